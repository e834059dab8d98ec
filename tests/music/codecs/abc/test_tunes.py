"""The composer with a model of tunes, and tunes written as ABC."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import NoReturn

import pytest

from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.composing.stall_detector import StallDetector
from appliance.errors import UsageError
from appliance.ipc.shared_state import LiveSettings
from appliance.music.codecs.abc import reader, writer
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.abc.tokens import CLASSES, TOKEN
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.events import TICKS_PER_STEP, Event, NoteOn, PieceStart, Tokens
from appliance.music.files import score_reader
from appliance.music.notes import notes_from
from appliance.music.score import Form, PieceFacts
from appliance.offline.renderer import Length, render
from tests.support.abc2midi import abc2midi, are_the_same
from tests.support.making_music import (
    Noise,
    Puppet,
    compose,
    compose_pieces,
    from_start,
    is_well_formed,
    model_file_of,
    piece_of,
)

FORMS = [
    Form(16, 0, 256, facts=PieceFacts("reel")),
    Form(16, 2, 128, facts=PieceFacts("tune")),
    Form(12, 2, 192, (), 6, facts=PieceFacts("jig")),
    Form(18, 0, 144, (), 6, facts=PieceFacts("slip jig")),
]
ROOM_FOR_A_STEP = 64
TUNE = "X:1\nM:6/8\nL:1/8\nK:Ador\n|:E|ABc dcB|ABA GEG|ABc dcB|ABA A2:|\n"


@pytest.fixture
def folk(monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    """A model of tunes that knows nothing but the grammar."""
    monkeypatch.setattr("appliance.composing.composer.StepModel", Noise)
    return model_file_of(AbcCodec(), FORMS)


def test_abc2midi_reads_every_composed_tune_as_it_is_played(folk: ModelFile) -> None:
    composer = Composer(folk, seed=2)
    pieces = compose_pieces(composer, 6)
    assert is_well_formed(event for piece in pieces for event in piece.events)
    assert len({(piece.about.beats_per_bar, piece.about.beat_ticks) for piece in pieces}) > 1
    for piece in pieces:
        found = abc2midi(writer.format_book(piece.events, title="Noise", tempo_bpm=190))
        assert found.complaints == []
        heard = notes_from(from_start(piece.events))
        assert piece.about.times in (2, 3), "a tune is written once"
        assert are_the_same(found.notes, heard[: len(heard) // piece.about.times])


def test_a_step_fits_into_the_ring(folk: ModelFile) -> None:
    composer = Composer(folk, seed=5)
    for _ in range(600):
        assert len(composer.step()) <= ROOM_FOR_A_STEP


def test_resume_goes_on_with_the_same_events(folk: ModelFile) -> None:
    composer = Composer(folk, seed=6)
    steps = [composer.step() for _ in range(2)]
    ticks = [composer.tick] * 2
    while composer.snapshot() is not None:
        steps.append(composer.step())
        ticks.append(composer.tick)
    for place in (*range(3, len(steps) - 5, 31), len(steps) - 1):
        second = Composer(folk, seed=6)
        second.resume(list(itertools.chain(*steps[:place])), ticks[place - 1])
        assert second.tick == ticks[place - 1]
        for expected in steps[place : place + 20]:
            assert second.step() == expected


def test_restore_goes_on_with_the_same_events(folk: ModelFile) -> None:
    composer = Composer(folk, seed=7)
    compose(composer, 90)
    snapshot = composer.snapshot()
    assert snapshot is not None
    after = compose(composer, 60)
    composer.restore(snapshot)
    assert compose(composer, 60) == after


def test_a_restarted_tune_is_the_same_tune(folk: ModelFile) -> None:
    composer = Composer(folk, seed=8)
    once = compose(composer, 60)
    composer.next_piece(restart=True)
    assert [e._replace(tick=0) for e in compose(composer, 60)] == [e._replace(tick=0) for e in once]


def test_an_opening_begins_the_first_tune(folk: ModelFile, tmp_path: Path) -> None:
    path = tmp_path / "tune.abc"
    path.write_text(TUNE)
    composer = Composer(folk, seed=9, prime=folk.codec.opening(score_reader.read(path)))
    piece = compose_pieces(composer, 1)[0]
    assert (piece.about.tonic, piece.about.minor) == (9, True)
    assert piece.about.pickup_ticks == 2 * TICKS_PER_STEP
    notes = [e.pitch for e in piece.events if isinstance(e, NoteOn)]
    once = [64, 69, 71, 72, 74, 72, 71, 69, 71, 69, 67, 64, 67]
    assert notes[: len(once)] == once
    book = writer.format_book(piece.events, title="Primed", tempo_bpm=190)
    assert "K:Ador\n|:E|ABc dcB|ABA GEG|ABc dcB|ABA A2:|\n" in book


def test_a_complete_tune_as_an_opening_is_continued(folk: ModelFile, tmp_path: Path) -> None:
    path = tmp_path / "tune.abc"
    path.write_text(TUNE)
    opening = folk.codec.opening(score_reader.read(path))
    piece = compose_pieces(Composer(folk, seed=9, prime=opening), 1)[0]
    found = [token for e in piece.events if isinstance(e, Tokens) for token in e.tokens]
    assert tuple(found[: len(opening.tokens)]) == tuple(opening.tokens)
    assert piece.end_tick >= (opening.form.steps + 4 * 12) * TICKS_PER_STEP


def test_a_model_that_repeats_itself_is_stopped(folk: ModelFile) -> None:
    composer = Composer(folk, seed=1)
    composer.step_model = Puppet(lambda token: TOKEN["C"], CLASSES)  # type: ignore[assignment]
    compose(composer, 400)
    assert composer.piece.number > 3
    assert composer.interventions["frozen"] + composer.interventions["loop"] > 2


def test_a_repeated_bar_is_not_a_stall() -> None:
    """Each of these bars ends on the note that the bar before ended on."""
    score = reader.parse("X:1\nL:1/8\nK:C\n|:" + "CEGC EGGC|DFAC FADC|" * 3 + "CEGC EGGC:|\n")
    context, detector = AbcCodec().start(score.form, score.key), StallDetector()
    for token in AbcCodec().encode(score)[1]:
        before = context.tick
        detector.update(before, context.tick, context.accept(token))
        assert detector.stall is None


# Written as ABC


def no_record(events: list[Event], end_tick: int) -> NoReturn:
    raise AssertionError("a record holds one piece")


def rendered(model: ModelFile, path: Path, length: Length) -> list[Event]:
    composer = Composer(model, seed=3)
    controls = LiveSettings(tempo_bpm=190)
    render(
        composer, controls, lambda: Path("none.sf2"), [path], length, lambda done: None, no_record
    )
    return compose(Composer(model, seed=3), 800)


def test_render_writes_complete_tunes_as_abc(folk: ModelFile, tmp_path: Path) -> None:
    path = tmp_path / "tunes.abc"
    events = rendered(folk, path, Length(pieces=2))
    text = path.read_text()
    title = r"T:[A-Z][a-z ]+ in [A-Ga-g][a-z -]* m(aj|in)or \(Noise, seed 3\)"
    assert re.match(rf"%abc-2.1\n\nX:1\n{title}\nM:", text)
    assert text.count("\nX:") == 2
    first = text[text.index("X:1") : text.index("X:2")]
    ends = [n for n, e in enumerate(events) if isinstance(e, PieceStart)]
    heard = notes_from(from_start(events[: ends[1]]))
    once = heard[: len(heard) // piece_of(events[0]).times]
    assert are_the_same(abc2midi(first).notes, once)
    assert first.rstrip()[-2:] in ("|]", ":|")
    assert piece_of(events[0]).number == 1
    assert any(event.tokens for event in events[:5] if isinstance(event, Tokens))


def test_render_for_a_time_ends_with_a_full_bar(folk: ModelFile, tmp_path: Path) -> None:
    path = tmp_path / "minute.abc"
    rendered(folk, path, Length(seconds=8))
    for tune in path.read_text().split("\n\n")[1:]:
        assert abc2midi(tune).complaints == []


def test_render_refuses_abc_for_other_models(
    monkeypatch: pytest.MonkeyPatch, folk: ModelFile, tmp_path: Path
) -> None:
    del folk
    other = model_file_of(FourPartCodec(onsets=True, form=True), [Form(16, 0, 64)])
    with pytest.raises(UsageError, match="does not write ABC"):
        rendered(other, tmp_path / "tune.abc", Length(pieces=1))
    assert list(tmp_path.iterdir()) == []
