"""MIDI in: knobs with soft takeover, foot switches, and music that is played on a keyboard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from appliance.audio.midi.memory_ports import MemoryIn
from appliance.config.midi_schema import Midi
from appliance.errors import UsageError
from appliance.frontends.midi import played_music
from appliance.frontends.midi.midi_frontend import MidiFrontend
from appliance.frontends.midi.piece_starter import midi_file
from appliance.frontends.midi.played_music import PlayedMusic
from appliance.music.files import midi_reader
from appliance.music.notes import Note
from tests.frontends.gpio.test_encoders_potentiometers_buttons import new_settings

TIMEOUT_S = 60.0


def turn(number: int, value: int) -> bytes:
    return bytes((0xB0, number, value))


def key(pitch: int, *, down: bool) -> bytes:
    return bytes((0x90, pitch, 90 * down))


class Desk:
    """The frontend with ports in memory."""

    def __init__(self, **config: Any) -> None:
        self.settings = new_settings()
        self.port = MemoryIn()
        self.inputs: list[tuple[str, str]] = []
        self.played: list[tuple[list[Note], str]] = []
        self.error: UsageError | None = None
        self.frontend = MidiFrontend(
            Midi(in_ports=("memory",), **config),
            lambda where, what: self.inputs.append((where, what)),
            self._on_music,
            lambda _names: self.port,
        )

    async def _on_music(self, notes: list[Note], model: str) -> None:
        self.played.append((notes, model))
        if self.error:
            raise self.error

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.frontend.run(self.settings, cast(Any, None)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task.exception()


async def eventually(what: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not what():
            await asyncio.sleep(0.005)


def test_a_storm_of_a_thousand_values_ends_with_the_last() -> None:
    desk = Desk(knobs={"7": "volume"})
    changes: list[float] = []
    desk.settings.observe(lambda requested, _changed: changes.append(requested.volume))

    async def scenario() -> None:
        async with desk.running():
            # From end to end: whatever the value is, it is passed.
            for count, value in enumerate((0, 127), start=1):
                desk.port.play(turn(7, value))
                await eventually(lambda: len(desk.inputs) == count)  # noqa: B023
            for number in range(1000):
                desk.port.play(turn(7, number * 37 % 128))
                if number % 50 == 0:
                    await asyncio.sleep(0)
            desk.port.play(turn(7, 0))
            await eventually(lambda: desk.settings.requested.volume == 0)

    asyncio.run(scenario())
    assert len(changes) < 500


def test_a_knob_takes_over_only_where_the_value_is() -> None:
    desk = Desk(knobs={"21": "volume"})
    desk.settings.change("volume", 50)

    async def scenario() -> None:
        async with desk.running():
            for count, value in enumerate((100, 90), start=1):
                desk.port.play(turn(21, value))
                await eventually(lambda: len(desk.inputs) == count)  # noqa: B023
            assert desk.settings.requested.volume == 50
            desk.port.play(turn(21, 40))
            await eventually(lambda: desk.settings.requested.volume == pytest.approx(31, abs=1))

    asyncio.run(scenario())


def test_a_foot_switch_acts_when_it_goes_down_and_once() -> None:
    desk = Desk(buttons={"64": "playing", "66": "volume=+5"})
    desk.settings.change("volume", 50)

    async def scenario() -> None:
        async with desk.running():
            desk.port.play(turn(64, 127), turn(64, 120), turn(64, 0), turn(66, 64), turn(66, 3))
            await eventually(lambda: desk.settings.requested.volume == 55)
            assert not desk.settings.requested.playing
            desk.port.play(turn(64, 127))
            await eventually(lambda: desk.settings.requested.playing)

    asyncio.run(scenario())
    assert [what for _, what in desk.inputs] == ["playing", "volume +5", "playing"]


def test_music_from_a_keyboard_is_handed_on_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(played_music, "PAUSE_S", 0.1)
    desk = Desk()
    desk.error = UsageError("nobody can go on from that")

    async def scenario() -> None:
        async with desk.running():
            for _ in range(2):
                count = len(desk.played)
                # At once: on a busy machine there may be a pause between any two.
                desk.port.play(
                    *(key(pitch, down=d) for pitch in (60, 62, 64, 65, 67) for d in (True, False))
                )
                await eventually(lambda: len(desk.played) > count)  # noqa: B023

    asyncio.run(scenario())
    notes, model = desk.played[0]
    assert {note.pitch for note in notes} == {60, 62, 64, 65, 67}
    assert model == desk.settings.effective.model
    assert "nobody can go on from that" in caplog.text


def test_keys_do_nothing_where_they_shall_not() -> None:
    desk = Desk(keys_start_pieces=False, buttons={"64": "playing"})

    async def scenario() -> None:
        async with desk.running():
            desk.port.play(*(key(pitch, down=True) for pitch in range(60, 70)), turn(64, 127))
            await eventually(lambda: not desk.settings.requested.playing)

    asyncio.run(scenario())
    assert not desk.played


def test_played_notes_lie_on_the_grid_of_the_tempo() -> None:
    music = PlayedMusic()
    # At 120 quarter notes a minute a 16th lasts 0.125 s; nobody plays exactly.
    for began_s, ended_s, pitch in (
        (10.0, 10.48, 60), (10.51, 10.74, 62), (10.76, 10.98, 64), (10.97, 12.1, 65),
    ):  # fmt: skip
        music.add(began_s, pitch, is_on=True)
        music.add(ended_s, pitch, is_on=False)
    assert not music.take(12.2, 120.0)
    assert music.take(16.0, 120.0) == [
        Note(0, 480, 60), Note(480, 240, 62), Note(720, 240, 64), Note(960, 1080, 65),
    ]  # fmt: skip
    assert not music.take(30.0, 120.0)


def test_a_touch_is_no_music_and_a_key_that_is_held_is_no_pause() -> None:
    music = PlayedMusic()
    music.add(0.0, 60, is_on=True)
    assert not music.take(60.0, 120.0)
    music.add(61.0, 60, is_on=False)
    assert not music.take(120.0, 120.0)


def test_the_file_has_the_notes_and_no_key(tmp_path: Path) -> None:
    notes = [Note(0, 480, 60), Note(0, 240, 64), Note(480, 240, 67)]
    path = tmp_path / "played.mid"
    path.write_bytes(midi_file(notes))
    read = midi_reader.read(path)
    assert read.key_signature is None
    assert sorted(note for part in read.parts for note in part) == sorted(notes)
