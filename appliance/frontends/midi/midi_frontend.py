"""Knobs, foot switches and keys of MIDI devices.

A thread waits for messages and hands them to the event loop, where everything happens, 50 times a
second: of a knob that sends a thousand values a second only the last one counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from appliance.audio import midi
from appliance.audio.midi import CONTROL_CHANGE, NOTE_OFF, NOTE_ON, RETRY_S, InPort
from appliance.config.midi_schema import Midi
from appliance.errors import BachboxError
from appliance.frontends.button_actions import press
from appliance.frontends.gpio.potentiometers import SoftTakeover
from appliance.frontends.library import Library
from appliance.frontends.midi.played_music import PlayedMusic
from appliance.music.notes import Note
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

INTERVAL_S: Final = 0.02
"""How often messages are looked at; as often as the potentiometers on the pins."""

PRESSED: Final = 64
"""A switch is on from this value on (MIDI 1.0 Detailed Specification, "Switch Controllers")."""

MAX_VALUE: Final = 127

OnInput = Callable[[str, str], None]
"""Called with the name of a part and what it did, in the event loop's thread."""

logger = logging.getLogger(__name__)


class MidiFrontend:
    """Listens to ``[midi] in_ports``.

    Args:
        config: the section.
        on_input: called at each turn and press.
        on_music: called with what was played on a keyboard, once it pauses, and with the model
            that composes; None: nothing is.
        open_port: opens the port.
    """

    name = "midi"

    def __init__(
        self,
        config: Midi,
        on_input: OnInput = lambda _part, _what: None,
        on_music: Callable[[list[Note], str], Awaitable[None]] | None = None,
        open_port: Callable[[Sequence[str]], InPort] = midi.open_in,
    ) -> None:
        self._config = config
        self._on_input = on_input
        self._on_music = on_music if config.keys_start_pieces else None
        self._open_port = open_port
        self._settings: Settings
        self._takeovers = {number: SoftTakeover() for number in config.knobs}
        self._pressed: set[str] = set()
        self._music = PlayedMusic()

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Serve the ports until cancelled.

        Raises:
            BachboxError: this machine has no ALSA sequencer.
        """
        self._settings = settings
        loop = asyncio.get_running_loop()
        port = await asyncio.to_thread(self._open_port, self._config.in_ports)
        heard: list[tuple[float, bytes]] = []
        stopped = threading.Event()
        tasks: set[asyncio.Task[None]] = set()

        def listen() -> None:
            connected: list[str] = []
            with contextlib.closing(port):
                while not stopped.is_set():
                    now_connected = port.connect()
                    if now_connected != connected:
                        connected = now_connected
                        logger.info("listens to %s", ", ".join(connected) or "no MIDI port now")
                    messages = port.read(RETRY_S)
                    now_s = loop.time()
                    # A list's own append is atomic; the loop takes the list away as a whole.
                    heard.extend((now_s, message) for message in messages)

        thread = threading.Thread(target=listen, name="midi-in", daemon=True)
        thread.start()
        try:
            while True:
                await asyncio.sleep(INTERVAL_S)
                if heard:
                    taken = len(heard)
                    messages, heard[:taken] = heard[:taken], []
                    self._use(messages)
                tempo_bpm = settings.effective.tempo
                if played := self._music.take(loop.time(), tempo_bpm):
                    task = asyncio.create_task(self._start_piece(played))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        finally:
            stopped.set()
            for task in tasks:
                task.cancel()

    def _use(self, messages: Sequence[tuple[float, bytes]]) -> None:
        turned: dict[str, int] = {}
        for at_s, message in messages:
            kind = message[0] & 0xF0
            if kind == CONTROL_CHANGE:
                number, value = str(message[1]), message[2]
                if number in self._config.knobs:
                    turned[number] = value
                elif number in self._config.buttons:
                    self._switch(number, is_down=value >= PRESSED)
            elif kind in (NOTE_ON, NOTE_OFF) and self._on_music:
                is_on = kind == NOTE_ON and message[2] > 0
                self._music.add(at_s, message[1], is_on=is_on)
        for number, value in turned.items():
            self._turn(number, value / MAX_VALUE)

    def _turn(self, number: str, position: float) -> None:
        name, where = self._config.knobs[number], f"[midi] knobs {number}"
        value = self._takeovers[number].turn(self._settings, name, position)
        if value is None:
            self._on_input(where, f"at {position:.0%}, not yet at the current {name}")
            return
        with _warned(where):
            self._settings.change(name, value)
            self._on_input(where, f"{name} {value}")

    def _switch(self, number: str, *, is_down: bool) -> None:
        if is_down and number not in self._pressed:
            where = f"[midi] buttons {number}"
            with _warned(where):
                self._on_input(where, press(self._settings, self._config.buttons[number]))
        (self._pressed.add if is_down else self._pressed.discard)(number)

    async def _start_piece(self, played: list[Note]) -> None:
        assert self._on_music is not None
        with _warned("what was played"):
            await self._on_music(played, self._settings.effective.model)


def midi_frontend(config: Midi, on_input: OnInput, library: Library) -> MidiFrontend:
    """Return the frontend whose keyboards start pieces, which ``library`` keeps."""
    from appliance.frontends.midi.piece_starter import PieceStarter

    return MidiFrontend(config, on_input, PieceStarter(library).start)


@contextlib.contextmanager
def _warned(where: str) -> Iterator[None]:
    try:
        yield
    except BachboxError as error:
        logger.warning("%s: %s", where, error)
