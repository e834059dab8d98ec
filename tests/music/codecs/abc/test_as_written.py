"""Tunes that any player can read, as they are played; the grammar of tunes allows less."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.music.codecs.abc import as_written, reader
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.abc.text import TuneText
from appliance.music.events import TICKS_PER_BEAT, NoteOn
from appliance.music.files import abc_reader

HEADER = "X:1\nM:4/4\nL:1/8\nK:G\n"
FOUR = "GABc dedB|dedB dedB|c2ec B2dB|"
PICKUP_ONCE = HEADER + "ed|:" + FOUR + "A2A2 A2ed:|\n|:" + FOUR + "A2A2 G4:|"
OTHER_PICKUP = HEADER + "D|:" + FOUR + "A2A2 G3:|\n|:ef|" + FOUR + "A2A2 G2:|"
SPLIT_ENDING = HEADER + "|:" + FOUR + "A2A2[1 A2ed:|[2 G4|]\n|:" + FOUR + "A2A2 G4:|"


def played(text: str) -> list[tuple[float, int, float]]:
    """Start and length of each note in eighths, and its pitch in between."""
    eighth = TICKS_PER_BEAT // 2
    notes = as_written.read(TuneText(text)).notes
    return [(note.start / eighth, note.pitch, note.length / eighth) for note in notes]


def test_a_pickup_that_the_repeat_writes_out_is_played_once() -> None:
    tune = as_written.read(TuneText(PICKUP_ONCE))
    assert tune.pickup_ticks == TICKS_PER_BEAT
    assert tune.ticks == (2 + 4 * 32) * TICKS_PER_BEAT // 2
    assert tune.notices == ()


def test_where_sections_meet_the_beat_goes_on() -> None:
    notes = played(OTHER_PICKUP)
    second = next(n for n, note in enumerate(notes) if note[1] == 76 and notes[n + 1][1] == 78)
    # The second time, G3 leaves no room for a pickup of two.
    assert notes[second - 1] == (1 + 64 - 4, 67, 2)
    assert notes[second] == (1 + 64 - 2, 76, 1)


@pytest.mark.parametrize("text", [PICKUP_ONCE, OTHER_PICKUP, SPLIT_ENDING])
def test_models_of_tunes_get_the_same_notes(text: str) -> None:
    score = reader.parse(text, freely=True)
    events, context = [], AbcCodec().start(score.form, score.key)
    for token in AbcCodec().encode(score)[1]:
        events += context.accept(token)
    pitches = [event.pitch for event in events if isinstance(event, NoteOn)]
    written = [pitch for _, pitch, _ in played(text)]
    # A pickup comes in place of what its repeat writes out.
    assert [pitches.count(p) for p in {*pitches}] == [written.count(p) for p in {*pitches}]


def test_ties_over_bar_lines_broken_rhythms_and_other_meters_are_read() -> None:
    assert played(HEADER + "^F8-|F4 F4|") == [(0, 66, 12), (12, 66, 4)]
    assert played(HEADER + "G>>A z>B|") == [(0, 67, 1.75), (1.75, 69, 0.25), (3.5, 71, 0.5)]
    assert [round(length, 2) for _, _, length in played(HEADER + "(3G>AB|")] == [1, 0.33, 0.67]
    tune = as_written.read(TuneText(HEADER + "G8|[M:7/8]G7|\nM:3/8\nG3|"))
    assert tune.meters == ((4, 4), (7, 8), (3, 8))
    assert tune.notices == ()


def test_endings_with_a_text_in_quotes_are_endings() -> None:
    text = SPLIT_ENDING.replace("[1", '["1st"').replace("[2", '["2nd time"')
    assert played(text) == played(SPLIT_ENDING)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("|:" + FOUR + "A4 B4|1 c8|d8|]", FOUR + "A4 B4|c8|d8|]"),
        ("|:" + FOUR + "[1 A8|B8||" + FOUR, FOUR + "A8|B8|" + FOUR),
        (FOUR + "|2 c8|d8:|", "|:" + FOUR + "c8|d8:|"),
        (FOUR + "[2 A8|]", FOUR + "A8|]"),
        ("|:" + FOUR + "[1 A8|[1 B8:|[2 c8|]", "|:" + FOUR + "[1 A8|B8:|[2 c8|]"),
    ],
)
def test_endings_that_do_not_fit_together_are_bars_like_others(text: str, plain: str) -> None:
    assert played(HEADER + text) == played(HEADER + plain)
    odd = "endings that do not fit together were read one after the other"
    assert odd in as_written.read(TuneText(HEADER + text)).notices
    assert odd not in as_written.read(TuneText(HEADER + plain)).notices


def test_a_few_unknown_signs_are_passed_over() -> None:
    tune = as_written.read(TuneText(HEADER + "G4 @A4|" * 3))
    assert len(tune.notes) == 6
    assert "line 5: the sign '@' was passed over" in tune.notices
    with pytest.raises(ValueError, match="not a symbol"):
        as_written.read(TuneText(HEADER + "G4 @A4|" * 30))


def test_a_tune_that_models_of_tunes_cannot_take_is_there_for_the_others(tmp_path: Path) -> None:
    path = tmp_path / "odd.abc"
    path.write_text(HEADER.replace("4/4", "3/8").replace("K:G", "K:Edor") + "|:GAB:|" * 4)
    file = abc_reader.read(path)
    assert (file.tune, file.time_signatures, len(file.parts[0])) == (None, ((3, 8),), 24)
    assert file.first_bar_ticks == 3 * TICKS_PER_BEAT // 2
    assert file.key_signature == (2, None)
    with pytest.raises(UsageError, match="M:3/8"):
        AbcCodec().opening(file)
