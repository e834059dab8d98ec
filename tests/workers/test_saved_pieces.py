"""The composer process plays a saved piece note for note, and then goes on composing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.replay import MAX_EVENTS_PER_STEP, Replay, piece_again
from appliance.errors import BachboxError
from appliance.ipc.ring_slots import read_slot, write_slot
from appliance.ipc.shared_state import Action, SharedState
from appliance.music.events import (
    NO_PROGRAM,
    TICKS_PER_BEAT,
    Event,
    NoteOff,
    NoteOn,
    Piece,
    PieceStart,
    TempoFactor,
    Tokens,
)
from appliance.music.expression import BREATH_TICKS
from appliance.music.files.piece_record import PieceRecord, pack, record_piece, unpack
from appliance.state import saved_files
from appliance.state.piece_entry import entry_fields
from appliance.state.saved_files import SavedFile
from tests.support.making_music import MODEL, is_well_formed
from tests.workers.test_composer_process import SEED, Stage, undisturbed, until

SAVED = 1764480136
BEATS = 24
ORGAN = 19


def record(**more: Any) -> PieceRecord:
    """A piece in one voice that lasts for 24 beats, played at 110 BPM on the organ."""
    start = 5000
    events: list[Event] = [
        PieceStart.of(Piece(30, 2, True, 4, 0, start)),
        TempoFactor(start, 1000),
    ]
    for beat in range(BEATS):
        at = start + beat * TICKS_PER_BEAT
        events += [
            NoteOn(at, 0, 60 + beat % 12, 80),
            NoteOff(at + TICKS_PER_BEAT, 0, 60 + beat % 12),
        ]
    return record_piece(
        events,
        start + (BEATS + 2) * TICKS_PER_BEAT,
        **{
            "model": "keyboard",
            "seed": 4,
            "settings": {"tempo": 110.0, "instrument": "Church Organ"},
            **more,
        },
    )


def notes(events: list[Event], start: int) -> list[Event]:
    """The notes, as if they began at tick 0."""
    return [e._replace(tick=e.tick - start) for e in events if isinstance(e, NoteOn | NoteOff)]


def written_notes() -> list[Event]:
    return notes(list(record().events()), 0)


class SavedStage(Stage):
    """A stage whose composer finds saved pieces."""

    def start(self, *more: str, **others: Any) -> Any:
        return super().start(*more, "--saved-pieces", str(self.folder), **others)

    def play_saved(self, number: int = SAVED) -> None:
        self.set(saved_piece=number)
        self.act(Action.PLAY_SAVED)

    def pieces(self) -> list[list[Event]]:
        """What was played, piece by piece."""
        played: list[Event] = [e for e in self.performer.played if not isinstance(e, Tokens)]
        starts = [at for at, event in enumerate(played) if isinstance(event, PieceStart)]
        ends = [*starts[1:], len(played)]
        return [played[start:end] for start, end in zip(starts, ends, strict=True)]

    def play_until_composed_again(self) -> None:
        def composed_again() -> bool:
            self.performer.play(self.performer.playhead + 1000)
            pieces = self.pieces()
            saved = [at for at, piece in enumerate(pieces) if piece[0].saved]  # type: ignore[union-attr]
            return bool(saved) and len(pieces) > saved[-1] + 1

        until(composed_again)
        self.performer.play(self.performer.playhead + 3000)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[SavedStage]:
    made = SavedStage(tmp_path)
    saved_files.write(saved_files.path_of(tmp_path, SAVED), SavedFile("Mine", "", record()))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def test_a_saved_piece_interrupts_the_music_and_then_the_next_piece_is_composed(
    stage: SavedStage,
) -> None:
    stage.start_and_wait()
    stage.performer.play(1500)
    stage.play_saved()
    stage.wait_for_rewinds()
    stage.play_until_composed_again()
    first, saved, second = stage.pieces()
    about = saved[0]
    assert isinstance(about, PieceStart)
    assert (about.saved, about.number, about.tonic, about.minor) == (SAVED, 30, 2, True)
    # 120 BPM are set, and it was played at 110.
    assert (about.tempo_permille, about.program) == (917, ORGAN)
    assert notes(saved, about.tick) == written_notes()
    assert second[0].tick == about.tick + (BEATS + 2) * TICKS_PER_BEAT
    assert is_well_formed(first + saved)
    # It is the piece that follows the one that was interrupted.
    composer = Composer(model_file.load(MODEL), seed=SEED)
    composer.step()
    composer.next_piece()
    following = composer.step()[0]
    assert following._replace(tick=0) == second[0]._replace(tick=0)
    assert len(notes(second, second[0].tick)) > 10


def test_killed_composers_go_on_with_the_saved_piece(stage: SavedStage) -> None:
    stage.play_saved()
    for ticks in (1, 3000, 6000):
        stage.start()
        stage.performer.play(ticks)
        stage.kill()
    stage.start()
    stage.play_until_composed_again()
    saved, composed = stage.pieces()
    assert saved[0].tick == 0
    assert notes(saved, 0) == written_notes()
    assert isinstance(composed[0], PieceStart)
    assert composed[0].number == 1


def test_a_saved_piece_can_be_left_and_restarted(stage: SavedStage) -> None:
    stage.play_saved()
    stage.start_and_wait()
    stage.performer.play(2500)
    stage.act(Action.RESTART_PIECE)
    stage.wait_for_rewinds()
    stage.performer.play(5500)
    stage.act(Action.NEXT_PIECE)
    stage.wait_for_rewinds(2)
    stage.performer.play(stage.performer.playhead + 4000)
    left, again, composed = stage.pieces()
    assert is_well_formed(left)
    assert is_well_formed(again)
    assert [piece[0].saved for piece in (left, again, composed)] == [SAVED, SAVED, 0]  # type: ignore[union-attr]
    heard = [e for e in notes(again, again[0].tick) if isinstance(e, NoteOn)]
    assert heard == [e for e in written_notes() if isinstance(e, NoteOn)][: len(heard)]
    assert again[0].tick <= left[-1].tick + BREATH_TICKS
    assert composed[0].number == 1  # type: ignore[union-attr]


def test_a_broken_file_is_said_and_the_music_goes_on(stage: SavedStage) -> None:
    path = saved_files.path_of(stage.folder, SAVED)
    path.write_bytes(path.read_bytes()[:200])
    process = stage.start_and_wait()
    stage.performer.play(1500)
    stage.play_saved()
    stage.wait_for_rewinds()
    stage.performer.play(6000)
    assert stage.performer.played == undisturbed(6000)
    stage.process = None
    process.terminate()
    said = process.communicate()[1]
    assert f"the saved piece {path} is damaged" in said
    assert "Traceback" not in said


def test_an_unfinished_piece_ends_with_a_breath_and_crowded_ticks_are_split() -> None:
    crowd: list[Event] = [PieceStart.of(Piece(1, 0, False, 4, 0, 0))]
    crowd += [NoteOn(0, voice % 15, voice % 128, 80) for voice in range(3 * MAX_EVENTS_PER_STEP)]
    made = record_piece(crowd, 480, model="m", seed=1, settings={}, complete=False)
    replay = Replay(made, piece_again(made, 7, 960, 80, NO_PROGRAM))
    steps = []
    while not replay.is_over:
        before = replay.tick
        steps.append(replay.step())
        assert all(before <= event.tick <= replay.tick for event in steps[-1])
    assert max(map(len, steps)) == MAX_EVENTS_PER_STEP
    assert replay.tick == 960 + 480 + BREATH_TICKS
    assert is_released([event for step in steps for event in step])


def is_released(events: list[Event]) -> bool:
    held: set[tuple[int, int]] = set()
    for event in events:
        if isinstance(event, NoteOn):
            held.add((event.voice, event.pitch))
        elif isinstance(event, NoteOff):
            held.discard((event.voice, event.pitch))
    return not held


@given(
    start=st.fixed_dictionaries(
        {
            "number": st.integers(0, 2**31 - 1),
            "beats_per_bar": st.integers(1, 64),
            "beat_ticks": st.integers(1, 70_000),
            "pickup_ticks": st.integers(0, 70_000),
            "tempo_permille": st.integers(200, 5000),
            "program": st.integers(0, 255),
            "form": st.integers(0, 2**31 - 1),
        }
    ),
    tempo=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    set_bpm=st.floats(40, 240),
)
def test_every_record_that_is_accepted_fits_into_the_ring(
    start: dict[str, Any], tempo: Any, set_bpm: float
) -> None:
    made = record(settings={"tempo": tempo})
    first = msgspec.structs.replace(made.recorded[0], **start)
    altered = msgspec.structs.replace(made, recorded=[first, *made.recorded[1:]])
    try:
        accepted = unpack(pack(altered))
    except BachboxError:
        return
    replay = Replay(accepted, piece_again(accepted, SAVED, 0, set_bpm, NO_PROGRAM))
    shared = SharedState.create()
    for index, event in enumerate(replay.step()):
        write_slot(shared, index, 0, event)
        assert read_slot(shared, index) == event
    shared.close()
    assert entry_fields(accepted)["seconds"] >= 0
