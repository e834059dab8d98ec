"""The last pieces are kept as they were played, whatever was turned, cut or restarted meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance.frontends import history
from appliance.frontends.history import MAX_PIECES, History
from appliance.ipc.ring import HISTORY_SLOTS, RingReader, RingWriter
from appliance.ipc.shared_state import SharedState
from appliance.music.events import Event, Piece, note_off, note_on, pace, piece
from appliance.music.files.piece_record import PieceRecord
from appliance.state.box_status import BoxStatus
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings

BEAT = 480


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "POLL_INTERVAL_S", 0.002)


class Stage:
    """A ring that is written and played, and the keepsakes that look on."""

    def __init__(self, path: Path) -> None:
        self.shared = SharedState.create()
        self.writer, self.reader = RingWriter(self.shared), RingReader(self.shared)
        own = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)
        self.settings = Settings(
            RequestedSettings("chorales"), lambda: ["chorales", "strings"], lambda _model: own
        )
        self.said: list[str] = []
        self.box = BoxStatus(self.shared, self.settings, lambda: 0, dict, self.said.append)
        self.keepsakes = History(path)
        self.tick = 0

    def write(self, *events: Event) -> None:
        for event in events:
            self.writer.append(event)
        self.writer.publish(self.tick)

    async def play(self, seconds: float = 0.05) -> None:
        """All that is written, and let those who look on look on."""
        self.reader.refresh(self.tick)
        while self.reader.peek() is not None:
            self.reader.pop()
        self.reader.refresh(self.tick)
        await asyncio.sleep(seconds)

    def piece(self, number: int, beats: int = 12) -> list[Event]:
        """A piece of one voice, written at the tick where we are."""
        start = self.tick
        events = [piece(Piece(number, number % 12, False, 4, 0, start)), pace(start, 1000)]
        for beat in range(beats):
            at = start + beat * BEAT
            events += [note_on(at, 0, 60 + beat % 12, 80), note_off(at + BEAT, 0, 60 + beat % 12)]
        self.tick = start + (beats + 2) * BEAT
        self.write(*events)
        return events


class Run:
    """The keepsakes at work for as long as the context."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def __aenter__(self) -> Stage:
        stage = self._stage
        self._task = asyncio.create_task(stage.keepsakes.run(stage.settings, stage.box))
        await asyncio.sleep(0.02)
        return stage

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def played(events: list[Event]) -> list[Event]:
    return [event._replace(tick=event.tick - events[0].tick) for event in events]


def get(stage: Stage, at: int) -> PieceRecord:
    found = stage.keepsakes.get(stage.keepsakes.listing()[at].id)
    assert found is not None
    return found


def test_a_piece_is_kept_with_what_was_set_and_when(tmp_path: Path) -> None:
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
            newest, before, oldest = stage.keepsakes.listing()
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
            assert get(stage, 0).notes[0][0] == 0
            assert len(list(get(stage, 0).events())) >= len(third)
            assert middle

    asyncio.run(run())


def test_what_is_turned_while_it_plays_is_kept_at_its_tick(tmp_path: Path) -> None:
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


def test_what_was_cut_away_is_not_kept_and_what_was_left_says_so(tmp_path: Path) -> None:
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
            stage.writer.request_cut(index, 10 * BEAT)
            stage.reader.refresh(4 * BEAT)
            assert stage.writer.cut_answer()
            stage.settings.act("next_piece")
            stage.tick = 12 * BEAT
            stage.piece(2)
            await stage.play()
            kept = get(stage, 1)
            assert list(kept.events()) == played(cut)
            assert not kept.complete

    asyncio.run(run())


def test_the_last_fifty_are_kept_and_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "pieces.json"

    async def run() -> list[int]:
        async with Run(Stage(path)) as stage:
            for number in range(1, MAX_PIECES + 6):
                stage.piece(number)
                await stage.play(0.004)
            await stage.play(0.1)
        return [one.id for one in stage.keepsakes.listing()]

    async def run_again() -> Stage:
        async with Run(Stage(path)) as stage:
            stage.piece(1)
            await stage.play()
        return stage

    ids = asyncio.run(run())
    assert len(ids) == MAX_PIECES
    assert path.stat().st_size < 100_000
    again = asyncio.run(run_again())
    assert [one.id for one in again.keepsakes.listing()] == [ids[0] + 1, *ids[:-1]]
    assert not again.said


@pytest.mark.parametrize("content", [b"", b"[]x", b'[{"kept":1}]', b"\0" * 100])
def test_a_file_of_others_is_told_of_and_left(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pieces.json"
    path.write_bytes(content)

    async def run() -> Stage:
        async with Run(Stage(path)) as stage:
            return stage

    stage = asyncio.run(run())
    assert stage.keepsakes.listing() == []
    assert "not our pieces" in stage.said[0]


def test_one_that_has_hardly_begun_and_one_with_a_gap_are_not_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with Run(Stage(tmp_path / "pieces.json")) as stage:
            stage.piece(1, beats=3)
            await stage.play()
            stage.piece(2)
            await stage.play()
            assert [one.piece for one in stage.keepsakes.listing()] == [2]
            stage.keepsakes._hear(None)
            stage.write(note_on(stage.tick, 0, 60, 80))
            await stage.play()
            assert stage.keepsakes.listing() == []

    asyncio.run(run())


def test_the_ring_is_longer_than_anybody_sleeps() -> None:
    notes_a_second = 50
    assert notes_a_second * 2 * history.POLL_INTERVAL_S * 10 < HISTORY_SLOTS
