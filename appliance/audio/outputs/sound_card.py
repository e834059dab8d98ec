"""A sound card, through PortAudio's callback.

Blocking writes would hide underruns. PortAudio lists the devices once in the life of a process,
and is known to loop for ever when a card is unplugged. So no recovery is tried here: a lost card
raises :class:`DeviceLost` within seconds, the process ends, and the next one finds the cards that
there are then.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final, NamedTuple

from appliance.audio.outputs import DeviceLost, Render
from appliance.audio.silence_stderr import silence_stderr
from appliance.common.install_hint import install_hint
from appliance.common.text import similar
from appliance.errors import BachboxError
from appliance.ipc.pcm import BYTES_PER_FRAME

_STALLED_S: Final = 3.0
"""If there was no callback for this long, the card is gone, whatever PortAudio reports."""

_POLL_INTERVAL_S: Final = 0.25
"""How often the state of the stream is checked."""


MIXER_RATE_HZ: Final = 48_000

_SETTLE_S: Final = 0.3
"""Silence at the start. Sound servers size their buffers while a new stream is already running;
an underrun at that moment loses no music and is not counted."""


class Card(NamedTuple):
    """A device that can play stereo."""

    name: str
    number: int
    """PortAudio's device index, valid in this process only."""
    sample_rate: int
    """The default of the device, frames per second."""
    default: bool


def list_cards() -> list[Card]:
    """Return the sound cards that can play stereo.

    Raises:
        BachboxError: PortAudio or pyaudio is missing.
        DeviceLost: the sound system cannot be opened.
    """
    with silence_stderr(), _portaudio() as (_, audio):
        return _cards(audio)


class CardOutput:
    """Plays on a sound card.

    Args:
        name: ``default``, a card's name, or a part that only one name has.
        block_frames: size of a block.

    Raises:
        DeviceLost: there is no such card.
        BachboxError: PortAudio or pyaudio is missing.
    """

    def __init__(self, name: str, block_frames: int) -> None:
        self._block_frames = block_frames
        self._stack = contextlib.ExitStack()
        self._library, self._audio = self._stack.enter_context(_portaudio())
        try:
            self.card = choose(_cards(self._audio), name)
        except BachboxError:
            self._stack.close()
            raise
        self.sample_rate = self._rate()
        self._xruns = 0

    @property
    def xruns(self) -> int:
        """How many underruns PortAudio has reported."""
        return self._xruns

    def _rate(self) -> int:
        """48 kHz if the card takes it, otherwise PortAudio's default for it.

        PortAudio's default is 44.1 kHz for every device that takes it, even through a resampler,
        but the mixers in front of the cards (dmix, PulseAudio, PipeWire) run at 48 kHz.
        """
        try:
            self._audio.is_format_supported(
                MIXER_RATE_HZ,
                output_device=self.card.number,
                output_channels=2,
                output_format=self._library.paInt16,
            )
        except ValueError:
            return self.card.sample_rate
        return MIXER_RATE_HZ

    def run(self, render: Render, stop: threading.Event) -> None:
        """Play what ``render`` returns until ``stop`` is set.

        Raises:
            DeviceLost: the card cannot be opened, or went away.
        """
        underflow = self._library.paOutputUnderflow
        proceed, abort = self._library.paContinue, self._library.paAbort
        failure: list[Exception] = []
        last_call = time.monotonic()
        settling_frames = int(_SETTLE_S * self.sample_rate)
        kept_state = False

        def callback(_in: None, frames: int, _time: object, flags: int) -> tuple[bytes, int]:
            nonlocal last_call, settling_frames, kept_state
            if not kept_state:
                # Otherwise Python creates and destroys a thread state for every block, and the
                # state's stack is mapped and unmapped. Then every `ps` on the machine, which locks
                # the memory map to read the process name, can delay a block.
                ctypes.pythonapi.PyGILState_Ensure()
                kept_state = True
            last_call = time.monotonic()
            if settling_frames > 0:
                settling_frames -= frames
                return bytes(frames * BYTES_PER_FRAME), proceed
            if flags & underflow:
                self._xruns += 1
            try:
                return render(frames), proceed
            except Exception as error:
                failure.append(error)
                return b"", abort

        try:
            stream = self._audio.open(
                rate=self.sample_rate,
                channels=2,
                format=self._library.paInt16,
                output=True,
                output_device_index=self.card.number,
                frames_per_buffer=self._block_frames,
                stream_callback=callback,
            )
        except OSError as error:
            raise DeviceLost(
                f"the sound card {self.card.name!r} cannot be opened ({error.args[0]}): is it "
                "in use by another program, or are you not in the group audio?"
            ) from error
        while not stop.wait(_POLL_INTERVAL_S):
            if failure:
                raise failure[0]
            if not stream.is_active() or time.monotonic() - last_call > _STALLED_S:
                raise DeviceLost(
                    f"the sound card {self.card.name!r} is gone: plug it in again; the music "
                    "continues when it is back"
                )
        stream.close()

    def close(self) -> None:
        """Close PortAudio. Not after :class:`DeviceLost`: it may never return."""
        self._stack.close()


def choose(cards: list[Card], name: str) -> Card:
    """Return the card that ``name`` means.

    Args:
        cards: all cards.
        name: ``default``, a card's name, or a part that only one name has; case is ignored.

    Raises:
        DeviceLost: no card, or more than one, has that name.
    """
    if not cards:
        raise DeviceLost(
            "there is no sound card: plug one in, or play to a file with --output wav:FILE"
        )
    if name == "default":
        return next((card for card in cards if card.default), cards[0])
    wanted = name.casefold()
    exact = [card for card in cards if card.name.casefold() == wanted]
    part = [card for card in cards if wanted in card.name.casefold()]
    for found in (exact, part):
        if len(found) == 1:
            return found[0]
    names = [card.name for card in part or cards]
    if part:
        raise DeviceLost(
            f"{name!r} can mean {_listing(names)}: write more of the name of the one you want"
        )
    close = similar(name, names)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise DeviceLost(f"no sound card is called {name!r}{hint}: there is {_listing(names)}")


def _listing(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _cards(audio: Any) -> list[Card]:
    try:
        default_index = audio.get_default_output_device_info()["index"]
    except OSError:
        default_index = -1
    infos = [audio.get_device_info_by_index(i) for i in range(audio.get_device_count())]
    return [
        Card(
            name=info["name"],
            number=info["index"],
            sample_rate=int(info["defaultSampleRate"]),
            default=info["index"] == default_index,
        )
        for info in infos
        if info["maxOutputChannels"] >= 2
    ]


@contextlib.contextmanager
def _portaudio() -> Iterator[tuple[ModuleType, Any]]:
    """The library, and its list of devices."""
    # Otherwise PortAudio starts a JACK server to find out whether there is one.
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    try:
        import pyaudio
    except ModuleNotFoundError as error:
        raise BachboxError(
            "the Python package pyaudio is missing", remedy=install_hint()
        ) from error
    except (ImportError, OSError) as error:
        raise BachboxError(
            "the library PortAudio is missing: run `sudo apt install libportaudio2`"
        ) from error
    try:
        audio = pyaudio.PyAudio()
    except OSError as error:
        raise DeviceLost(
            f"the sound system cannot be opened ({error.args[0]}): look at `aplay -l`, and "
            "whether you are in the group audio"
        ) from error
    try:
        yield pyaudio, audio
    finally:
        audio.terminate()
