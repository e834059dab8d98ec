"""Kinds, titles and key names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music import key_names, kinds, titles
from appliance.music.events import Piece
from appliance.music.limits import TEMPO_BPM
from appliance.music.score import Form, Key, PieceFacts

KEYS = [Key(tonic, minor) for tonic in range(12) for minor in (False, True)]


def form_of(kind: str, density: float | None = None, bar: int = 16, beat: int = 4) -> Form:
    facts = PieceFacts(kind=kind, onsets_per_quarter=density)
    return Form(bar, 0, 256, beat_steps=beat, facts=facts)


@pytest.mark.parametrize("kind", kinds.KINDS)
@pytest.mark.parametrize(("bar", "beat"), [(16, 4), (12, 4), (6, 2), (12, 6), (24, 6), (9, 3)])
def test_every_kind_has_a_tempo_in_range_and_more_notes_make_it_slower(
    kind: str, bar: int, beat: int
) -> None:
    tempi = [kinds.tempo_bpm(form_of(kind, n / 2, bar, beat)) for n in range(1, 30)]
    assert all(bpm is not None and TEMPO_BPM.allow(bpm) for bpm in tempi)
    assert tempi == sorted(tempi, key=lambda bpm: -(bpm or 0))


def test_a_sarabande_is_slow_and_a_gigue_quick() -> None:
    in_order = ["adagio", "sarabande", "allemande", "menuet", "bourree"]
    tempi = [kinds.tempo_bpm(form_of(kind, 2.0)) or 0 for kind in in_order]
    assert tempi == sorted(tempi)
    assert (kinds.tempo_bpm(form_of("gigue", 2.0, 12, 6)) or 0) > 120


def test_a_piece_of_no_known_kind_has_no_tempo_of_its_own() -> None:
    assert kinds.tempo_bpm(form_of("")) is None
    assert kinds.tempo_bpm(form_of("tango")) is None


@pytest.mark.parametrize(
    ("key", "name", "accidentals"),
    [
        (Key(0, False), "C major", 0),
        (Key(10, False), "B-flat major", 2),
        (Key(3, True), "e-flat minor", 6),
        (Key(1, True), "c-sharp minor", 4),
        (Key(10, True), "b-flat minor", 5),
        (Key(5, True), "f minor", 4),
        (Key(6, False), "F-sharp major", 6),
    ],
)
def test_keys_are_spelled_as_they_are_called(key: Key, name: str, accidentals: int) -> None:
    assert (str(key), key.accidentals) == (name, accidentals)


@given(st.sampled_from(KEYS), st.sampled_from([str, str.upper, str.lower]))
def test_every_name_of_a_key_is_understood_in_any_case(key: Key, cased: type[str]) -> None:
    assert key_names.find(cased(str(key))) == key
    assert key_names.find(cased(str(key).replace("-", " "))) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("any", None), (" ANY ", None), ("Bb", Key(10, False)), ("f#", Key(6, True)),
        ("E♭ major", Key(3, False)), ("D# minor", Key(3, True)), ("Am", Key(9, True)),
        ("cis", "refused"), ("H major", "refused"), ("", "refused"), ("G mixolydian", "refused"),
    ],
)  # fmt: skip
def test_other_spellings_are_understood_or_refused(text: str, key: Key | str | None) -> None:
    if key == "refused":
        with pytest.raises(ValueError, match="not the name of a key"):
            key_names.find(text)
    else:
        assert key_names.find(text) == key


@given(st.text(max_size=12))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    try:
        found = key_names.find(text)
    except ValueError:
        return
    assert found is None or found in KEYS


def test_a_title_has_kind_and_key_and_a_place_in_its_group() -> None:
    sarabande = kinds.NAMES.index("sarabande")
    piece = Piece(
        7, 2, True, 3, 0, 0, kind=sarabande, group=titles.SUITE, place=3, group_size=6
    )  # fmt: skip
    assert titles.piece_title(piece) == "Sarabande in d minor"
    assert titles.place_in_group(piece) == "third of a suite"
    alone = Piece(1, 10, False, 4, 0, 0)
    assert titles.piece_title(alone) == "Piece in B-flat major"
    assert titles.place_in_group(alone) == ""
