"""The facts of corpus pieces: kind, key, density, double bar."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from appliance.composing import model_file
from appliance.errors import UsageError
from appliance.music.codecs import free_rhythm_conversion
from appliance.music.files import score_reader
from appliance.music.notes import Note
from appliance.music.returns import Entry, Return
from appliance.music.score import Form, FreeRhythmScore, Key, PieceFacts, Score
from appliance.music.traits import traits_of
from appliance.training.convert.write_model_file import write_facts
from appliance.training.data import piece_facts
from appliance.training.data.double_bar import find_double_bar
from tests.support.scores import midi

SHIPPED = Path(__file__).parents[2] / "models" / "chorales.tflite"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("French Suite V: Bourrée", "bourree"), ("Præludium 17, A-flat Major", "prelude"),
        ("bwv856_fugue11", "fugue"), ("Fuga (Allegro)", "fugue"), ("Tempo di Borea", "bourree"),
        ("Menuet II", "menuet"), ("Corrente", "courante"), ("Ciaccona", "chaconne"),
        ("bwv773-bach-invention-02", "invention"), ("Suite 1 for Cello Solo", ""), ("", ""),
        ("Jigsaw", ""), ("Largo", "largo"), ("Double (Presto)", "double"),
    ],
)  # fmt: skip
def test_a_title_says_what_kind_of_piece_it_is(text: str, kind: str) -> None:
    assert piece_facts.kind_in(text) == kind


def test_the_first_text_with_one_kind_alone_decides() -> None:
    assert piece_facts.kind_in("Chromatic Fantasia and Fugue", "bwv903fug") == "fugue"
    assert piece_facts.kind_in("English Suite II: Gigue", "suite-2-prelude") == "gigue"


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("X:1\nT:7th Regiment -- Reel\nK:G", "reel"), ("T:Cuckoo\nR: hornpipe\n", "hornpipe"),
        ("T:A Trip -- Jig\nR:slip jig", "slip jig"), ("T:Nothing\n", "tune"),
        ("R:double jig", "jig"),
        ("T:Highland Laddie -- Highland Fling", "highland fling"), ("T:Gigue", "jig"),
    ],
)  # fmt: skip
def test_the_rhythm_or_the_title_of_a_tune_says_its_kind(header: str, kind: str) -> None:
    assert piece_facts.kind_of_tune(header, Form(16, 0, 256)) == kind
    compound = Form(12, 0, 192, beat_steps=6)
    assert piece_facts.kind_of_tune("T:Nothing", compound) == "jig"


@pytest.mark.parametrize(
    ("stem", "kind"),
    [
        ("bwv1007-0", "prelude"), ("bwv1007-6", "gigue"), ("bach-bwv825-1", "prelude"),
        ("bach-bwv825-7", "gigue"), ("bach-bwv829-8", ""), ("bwv1013-flute-3", "bourree"),
    ],
)  # fmt: skip
def test_the_number_of_a_movement_says_its_kind(stem: str, kind: str) -> None:
    assert piece_facts._kind_by_number(stem) == kind


@pytest.mark.parametrize(
    ("path", "program"),
    [
        ("organ/bach-bwv565.mid", 19), ("lute/bach-bwv999-prelude.mid", 24),
        ("ensemble/violin-sonata.mid", 40), ("keyboard/bwv772.mid", None),
    ],
)  # fmt: skip
def test_name_or_folder_say_the_instrument(tmp_path: Path, path: str, program: int | None) -> None:
    scored = midi(tmp_path / path, seed=1)
    file = score_reader.read(scored)
    score = free_rhythm_conversion.to_free_rhythm(file)
    assert piece_facts.with_facts_of_file(score, file, scored).form.facts.program == program


def dance(half_bars: int, bars: int, pickup_steps: int = 0) -> FreeRhythmScore:
    """A dance in C of eighths that rests on G at the end of its first half and on C at its end."""
    bar, pickup = 12 * 120, pickup_steps * 120
    notes = []
    for number in range(bars):
        start = pickup + number * bar
        if number in (half_bars - 1, bars - 1):
            length = bar - pickup if number == half_bars - 1 else bar
            notes.append(Note(start, length, 43 if number == half_bars - 1 else 48))
            if number == half_bars - 1 and pickup:
                notes.append(Note(start + length, pickup, 71))
        else:
            notes += [Note(start + n * 240, 240, 60 + 2 * ((n + number) % 5)) for n in range(6)]
    form = Form(12, pickup_steps, pickup_steps + 12 * bars, (), 4)
    return FreeRhythmScore("dance", tuple(sorted(notes)), Key(0, False), form)


@pytest.mark.parametrize(("half", "bars"), [(8, 24), (12, 28), (16, 32), (18, 42)])
@pytest.mark.parametrize("pickup_steps", [0, 2])
def test_the_double_bar_is_at_the_cadence_of_the_half(
    half: int, bars: int, pickup_steps: int
) -> None:
    """Less the pickup that the second half begins with."""
    assert find_double_bar(dance(half, bars, pickup_steps)) == half * 12


def test_facts_survive_the_cache_of_a_corpus() -> None:
    traits = traits_of([Note(0, 480, 60)], 16, 0)
    returns, entries = (Return(4, 0, 2, 5), Return(7, 3, 1, -2)), (Entry(32, -5, 9, True),)
    facts = PieceFacts("sarabande", 2, True, 96, 40, 2.5, traits, returns, entries)
    form = Form(12, 0, 192, (), 4, None, facts)
    stored = json.loads(json.dumps([*form[:6], dataclasses.asdict(facts)]))
    assert piece_facts.facts_from_json(stored) == facts
    assert piece_facts.facts_from_json(stored[:5]) == PieceFacts()


def test_facts_are_written_into_a_model_file_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "chorales.tflite"
    path.write_bytes(SHIPPED.read_bytes())
    before = model_file.load(path)

    facts = PieceFacts(kind="chorale", tonic=7, minor=False)
    pieces = [
        Score("made", (), (), Key(7, False), form._replace(facts=facts)) for form in before.forms
    ]
    write_facts(path, pieces)
    after = model_file.load(path)
    assert {form.facts.key for form in after.forms} == {Key(7, False)}
    assert after.flatbuffer == before.flatbuffer
    assert (after.card, after.vocabulary) == (before.card, before.vocabulary)
    assert [form[:6] for form in after.forms] == [form[:6] for form in before.forms]
    once = path.read_bytes()
    write_facts(path, pieces)
    assert path.read_bytes() == once
    with pytest.raises(UsageError, match="train it again"):
        write_facts(path, pieces[: len(pieces) // 2])
    assert path.read_bytes() == once
    # One piece has gone since: its form alone has no facts.
    write_facts(path, [*pieces[:9], *pieces[10:]])
    unknown = [form.facts.kind for form in model_file.load(path).forms].count("")
    assert unknown == 1
