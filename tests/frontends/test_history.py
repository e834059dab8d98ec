"""The history keeps the last pieces as they were played, with every change of a setting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance.frontends import history
from appliance.frontends.history import MAX_PIECES, History
from appliance.ipc.ring import HISTORY_SLOTS, RingReader, RingWriter
from appliance.ipc.shared_state import SharedState
from appliance.music.events import Event, NoteOff, NoteOn, Piece, PieceStart, TempoFactor
from appliance.music.files.piece_record import PieceRecord
from appliance.state.box_status import BoxStatus
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from tests.support.log_lines import log_lines

BEAT = 480


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "POLL_INTERVAL_S", 0.002)


class Stage:
    """A ring that is written and played, and the history that observes it."""

    def __init__(self, path: Path) -> None:
        self.shared = SharedState.create()
        self.writer, self.reader = RingWriter(self.shared), RingReader(self.shared)
        defaults = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)
        self.settings = Settings(
            RequestedSettings(model="chorales"), lambda: ["chorales", "strings"], lambda _: defaults
        )
        self.box = BoxStatus(self.shared, self.settings, lambda: 0, dict)
        self.history = History(path)
        self.tick = 0

    def write(self, *events: Event) -> None:
        for event in events:
            self.writer.append(event)
        self.writer.publish(self.tick)

    async def play(self, seconds: float = 0.05) -> None:
        """Play all that is written, and give the history time to read it."""
        self.reader.refresh(self.tick)
        while self.reader.peek() is not None:
            self.reader.pop()
        self.reader.refresh(self.tick)
        await asyncio.sleep(seconds)

    def piece(self, number: int, beats: int = 12) -> list[Event]:
        """Write a piece of one voice at the current tick."""
        start = self.tick
        events: list[Event] = [
            PieceStart.of(Piece(number, number % 12, False, 4, 0, start)),
            TempoFactor(start, 1000),
        ]
        for beat in range(beats):
            at = start + beat * BEAT
            events += [NoteOn(at, 0, 60 + beat % 12, 80), NoteOff(at + BEAT, 0, 60 + beat % 12)]
        self.tick = start + (beats + 2) * BEAT
        self.write(*events)
        return events


class Run:
    """Runs the history in this context."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def __aenter__(self) -> Stage:
        stage = self._stage
        self._task = asyncio.create_task(stage.history.run(stage.settings, stage.box))
        await asyncio.sleep(0.02)
        return stage

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def played(events: list[Event]) -> list[Event]:
    return [event._replace(tick=event.tick - events[0].tick) for event in events]


def get(stage: Stage, index: int) -> PieceRecord:
    found = stage.history.get(stage.history.listing()[index].id)
    assert found is not None
    return found


def test_piece_is_kept_with_its_settings(tmp_path: Path) -> None:
    async def run() -> None:
        async with Run(Stage(tmp_path / "pieces.json")) as stage:
            stage.settings.change("tempo", 66)
            first = stage.piece(1)
            await stage.play()
            middle = stage.tick
            stage.settings.change_all({"temperature": 1.5, "instrument": "flute"})
            second = stage.piece(2)
            await stage.play()
            third = stage.piece(3)
            await stage.play()
            newest, before, oldest = stage.history.listing()
            assert (newest.piece, before.piece, oldest.piece) == (3, 2, 1)
            assert newest.playing
            assert not newest.complete
            assert before.complete
            kept = get(stage, 2)
            assert list(kept.events()) == played(first)
            assert kept.settings["tempo"] == 66
            assert kept.settings["temperature"] == 0.9
            assert [change.settings["temperature"] for change in kept.changes] == []
            turned = get(stage, 1)
            assert turned.settings["temperature"] == 1.5
            assert turned.settings["instrument"] == "Flute"
            assert list(turned.events()) == played(second)
            assert get(stage, 0).recorded[0].tick == 0
            assert len(list(get(stage, 0).events())) >= len(third)
            assert middle

    asyncio.run(run())


def test_setting_changed_during_a_piece_is_kept_at_its_tick(tmp_path: Path) -> None:
    async def run() -> None:
        async with Run(Stage(tmp_path / "pieces.json")) as stage:
            start = stage.tick
            events = stage.piece(1)
            stage.reader.refresh(start + 3 * BEAT)
            await asyncio.sleep(0.02)
            stage.settings.change("tempo", 100)
            stage.settings.change("temperature", 2.0)
            await stage.play()
            stage.piece(2)
            await stage.play()
            kept = get(stage, 1)
            assert list(kept.events()) == played(events)
            assert [(c.tick, c.settings) for c in kept.changes] == [
                (3 * BEAT, {"tempo": 100, "temperature": 2.0})
            ]
            assert kept.settings["tempo"] == 80

    asyncio.run(run())


def test_rewound_events_are_not_kept_and_the_piece_is_marked_incomplete(tmp_path: Path) -> None:
    async def run() -> None:
        async with Run(Stage(tmp_path / "pieces.json")) as stage:
            events = stage.piece(1)
            cut = events[: 2 + 2 * 10]
            stage.reader.refresh(4 * BEAT)
            for _ in cut[:8]:
                stage.reader.pop()
            stage.reader.refresh(4 * BEAT)
            await asyncio.sleep(0.05)
            index = stage.writer.write_index - (len(events) - len(cut))
            stage.writer.request_rewind(index, 10 * BEAT)
            stage.reader.refresh(4 * BEAT)
            assert stage.writer.rewind_answer()
            stage.settings.act("next_piece")
            stage.tick = 12 * BEAT
            stage.piece(2)
            await stage.play()
            kept = get(stage, 1)
            assert list(kept.events()) == played(cut)
            assert not kept.complete

    asyncio.run(run())


def test_last_fifty_pieces_are_kept_and_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "pieces.json"

    async def run() -> list[int]:
        async with Run(Stage(path)) as stage:
            for number in range(1, MAX_PIECES + 6):
                stage.piece(number)
                await stage.play(0.004)
            await stage.play(0.1)
        return [one.id for one in stage.history.listing()]

    async def run_again() -> Stage:
        async with Run(Stage(path)) as stage:
            stage.piece(1)
            await stage.play()
        return stage

    ids = asyncio.run(run())
    assert len(ids) == MAX_PIECES
    assert path.stat().st_size < 100_000
    with log_lines() as lines:
        again = asyncio.run(run_again())
    assert [one.id for one in again.history.listing()] == [ids[0] + 1, *ids[:-1]]
    assert not lines


@pytest.mark.parametrize("content", [b"", b"[]x", b'[{"entry":1}]', b"\0" * 100])
def test_file_with_other_content_is_reported_and_ignored(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pieces.json"
    path.write_bytes(content)

    async def run() -> Stage:
        async with Run(Stage(path)) as stage:
            return stage

    with log_lines() as lines:
        stage = asyncio.run(run())
    assert stage.history.listing() == []
    assert "not a history of pieces" in lines[0]


def test_short_piece_and_piece_with_a_gap_are_not_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with Run(Stage(tmp_path / "pieces.json")) as stage:
            stage.piece(1, beats=3)
            await stage.play()
            stage.piece(2)
            await stage.play()
            assert [one.piece for one in stage.history.listing()] == [2]
            stage.history._add(None)
            stage.write(NoteOn(stage.tick, 0, 60, 80))
            await stage.play()
            assert stage.history.listing() == []

    asyncio.run(run())


def test_ring_holds_more_than_is_played_between_two_polls() -> None:
    notes_a_second = 50
    assert notes_a_second * 2 * history.POLL_INTERVAL_S * 10 < HISTORY_SLOTS


def test_a_saved_piece_that_is_played_again_is_not_kept_twice(tmp_path: Path) -> None:
    async def run() -> None:
        stage = Stage(tmp_path / "pieces.json")
        over: list[tuple[int, int]] = []
        stage.history.on_finished = lambda number, record: over.append((number, record.note_count))
        stage.settings.add_names("saved_piece", lambda: ["Mine"])
        async with Run(stage):
            stage.piece(1)
            await stage.play()
            stage.settings.change("saved_piece", "Mine")
            start = stage.tick
            stage.tick += 8 * BEAT
            stage.write(
                PieceStart.of(Piece(9, 0, False, 4, 0, start, saved=17)),
                *(NoteOn(start + beat * BEAT, 0, 60 + beat, 80) for beat in range(8)),
            )
            await stage.play()
            assert [entry.piece for entry in stage.history.listing()] == [1]
            stage.settings.change("saved_piece", "none")
            stage.piece(2)
            await stage.play()
            stage.piece(3)
            await stage.play()
            entries = stage.history.listing()
            assert [(e.piece, e.complete) for e in entries] == [(3, False), (2, True), (1, False)]
            assert over == [(1, 12), (2, 12)]
            assert "saved_piece" not in get(stage, 1).settings

    asyncio.run(run())
