"""A sound card, through PortAudio's callback.

A card is called by the ID that ALSA gives it (``Headphones``), or by PortAudio's name if it is no
hardware (``default``, ``pulse``). The spellings that ``aplay -L`` prints are understood, too.

Blocking writes would hide underruns. PortAudio lists the devices once in the life of a process,
and is known to loop for ever when a card is unplugged. So no recovery is tried here: a lost card
raises :class:`DeviceLost` within seconds, the process ends, and the next one finds the cards that
there are then.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final, NamedTuple

from appliance.audio import alsa_cards
from appliance.audio.alsa_cards import HardwareCard, hardware_cards
from appliance.audio.outputs import DeviceLost, Render
from appliance.audio.silence_stderr import silence_stderr
from appliance.audio.stereo import to_one_channel
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


_HARDWARE: Final = re.compile(r".*\(hw:(\d+),(\d+)\)", re.DOTALL)
"""How PortAudio ends the names of hardware."""

_CONVERTERS: Final = re.compile(
    r"sysdefault|front|rear|center_lfe|side|surround\d+|iec958|spdif|hdmi|dmix|dsnoop|modem"
    r"|phoneline|lavrate|samplerate|speexrate|speex|upmix|vdownmix|oss|jack|usbstream|a52|null"
)
"""ALSA's own devices, which lead to a card that is listed anyway, or nowhere."""


class Card(NamedTuple):
    """A device that can play."""

    name: str
    """PortAudio's name of it."""
    number: int
    """PortAudio's device index, valid in this process only."""
    sample_rate: int
    """The default of the device, frames per second."""
    default: bool
    channels: int = 2
    """1 or 2."""
    hardware: HardwareCard | None = None
    """The kernel's device; None if a program or a plugin of ALSA stands in between."""

    @property
    def label(self) -> str:
        """What people call it: ALSA's ID, or PortAudio's name."""
        return self.hardware.label if self.hardware else self.name

    @property
    def is_choice(self) -> bool:
        """Whether it is worth offering to people."""
        return self.hardware is not None or not _CONVERTERS.fullmatch(self.name)


def list_cards() -> list[Card]:
    """Return the sound cards that can play.

    Raises:
        BachboxError: PortAudio or pyaudio is missing.
        DeviceLost: the sound system cannot be opened.
    """
    with silence_stderr(), _portaudio() as (_, audio):
        return _cards(audio)


def open_card(name: str, block_frames: int) -> CardOutput:
    """Open a sound card; in place of a default card that cannot play, another one.

    Args:
        name: ``default``, or what a card is called.
        block_frames: size of a block.

    Raises:
        DeviceLost: there is no such card, or none can be opened.
        BachboxError: PortAudio or pyaudio is missing.
    """
    try:
        return CardOutput(name, block_frames, refuse_silent=name == "default")
    except DeviceLost as error:
        if name != "default":
            raise
        for card in _others():
            with contextlib.suppress(DeviceLost):
                output = CardOutput(card.name, block_frames, refuse_silent=True)
                output.problem = f"{error}; {output.name} plays instead"
                return output
        # A screen may be switched on later, and nothing else can play.
        with contextlib.suppress(DeviceLost):
            return CardOutput(name, block_frames)
        raise


def _others() -> list[Card]:
    """Return the cards that may play in place of the default one, the likeliest first."""
    cards = [card for card in list_cards() if card.is_choice and card.name != "default"]
    return sorted(cards, key=lambda card: (card.hardware is None, "hdmi" in card.label.lower()))


class CardOutput:
    """Plays on a sound card, which is open from the start.

    Args:
        name: ``default``, a card's name, or a part that only one name has.
        block_frames: size of a block.
        refuse_silent: refuse an HDMI output without a screen, which nobody would hear.

    Raises:
        DeviceLost: there is no such card, or it cannot be opened; the message says why.
        BachboxError: PortAudio or pyaudio is missing.
    """

    def __init__(self, name: str, block_frames: int, *, refuse_silent: bool = False) -> None:
        self._block_frames = block_frames
        self._stack = contextlib.ExitStack()
        self._library, self._audio = self._stack.enter_context(_portaudio())
        self._xruns = 0
        self.problem = ""
        self._render: Render = lambda frames: bytes(frames * BYTES_PER_FRAME)
        self._last_call = 0.0
        try:
            cards = _cards(self._audio)
            _refuse_unlisted(cards, name)
            self.card = choose(cards, name)
            self.choices = [card.label for card in cards if card.is_choice]
            if refuse_silent:
                self._refuse_silent_hdmi()
            self.sample_rate = self._rate()
            self._settling_frames = int(_SETTLE_S * self.sample_rate)
            self._stream = self._open()
        except BachboxError:
            self._stack.close()
            raise

    @property
    def name(self) -> str:
        """The card that plays."""
        return self.card.label

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
                output_channels=self.card.channels,
                output_format=self._library.paInt16,
            )
        except ValueError:
            return self.card.sample_rate
        return MIXER_RATE_HZ

    def run(self, render: Render, stop: threading.Event) -> None:
        """Play what ``render`` returns until ``stop`` is set.

        Raises:
            DeviceLost: the card went away.
            Exception: what ``render`` raised.
        """
        self._render = render
        self._last_call = time.monotonic()
        try:
            self._stream.start_stream()
        except OSError as error:
            raise DeviceLost(self._refusal()) from error
        while not stop.wait(_POLL_INTERVAL_S):
            if self._failure:
                raise self._failure
            silent_s = time.monotonic() - self._last_call
            if not self._stream.is_active() or silent_s > _STALLED_S:
                raise DeviceLost(
                    f"the sound card {self.name!r} is gone: plug it in again; the music "
                    "continues when it is back"
                )
        self._stream.close()

    def _open(self) -> Any:
        self._failure: Exception | None = None
        self._has_thread_state = False
        try:
            return self._audio.open(
                rate=self.sample_rate,
                channels=self.card.channels,
                format=self._library.paInt16,
                output=True,
                output_device_index=self.card.number,
                frames_per_buffer=self._block_frames,
                stream_callback=self._callback,
                start=False,
            )
        except OSError as error:
            raise DeviceLost(self._refusal()) from error

    def _callback(self, _in: None, frames: int, _time: object, flags: int) -> tuple[bytes, int]:
        """Return the next block; PortAudio calls this in a thread of its own."""
        library = self._library
        if not self._has_thread_state:
            # Otherwise Python creates and destroys a thread state for every block, and the
            # state's stack is mapped and unmapped. Then every `ps` on the machine, which locks
            # the memory map to read the process name, can delay a block.
            ctypes.pythonapi.PyGILState_Ensure()
            self._has_thread_state = True
        self._last_call = time.monotonic()
        if self._settling_frames > 0:
            self._settling_frames -= frames
            return bytes(frames * BYTES_PER_FRAME)[: self._bytes(frames)], library.paContinue
        if flags & library.paOutputUnderflow:
            self._xruns += 1
        try:
            sound = self._render(frames)
            return to_one_channel(sound) if self.card.channels == 1 else sound, library.paContinue
        except Exception as error:
            self._failure = error
            return b"", library.paAbort

    def _bytes(self, frames: int) -> int:
        return frames * BYTES_PER_FRAME * self.card.channels // 2

    def _refuse_silent_hdmi(self) -> None:
        card = self.card.hardware or alsa_cards.card_behind(self.card.name, hardware_cards())
        if card is not None and alsa_cards.is_hdmi_without_screen(card):
            raise DeviceLost(f"the sound card {card.label!r} is HDMI, and no screen is connected")

    def _refusal(self) -> str:
        """Return a sentence that says why the card cannot be opened."""
        card = self.card.hardware
        pcm = f"hw:{card.number},{card.device}" if card else self.card.name
        code = alsa_cards.open_error(pcm)
        if card is None:
            card = alsa_cards.card_behind(pcm, hardware_cards())
        why = alsa_cards.explanation(pcm, code, card)
        return f"the sound card {self.name!r} cannot be opened: {why}"

    def close(self) -> None:
        """Close PortAudio. Not after :class:`DeviceLost`: it may never return."""
        self._stack.close()


def _refuse_unlisted(cards: list[Card], name: str) -> None:
    """Say why a card that exists is not in PortAudio's list, which has only what can be opened.

    Raises:
        DeviceLost: the card exists, and cannot be opened.
    """
    if any(name.casefold() in (card.name.casefold(), card.label.casefold()) for card in cards):
        return
    kernels = hardware_cards()
    card = alsa_cards.find(name, kernels)
    if card is not None and any(listed.hardware == card for listed in cards):
        return
    pcm = f"hw:{card.number},{card.device}" if card else name
    code = alsa_cards.open_error(pcm)
    if code == 0 or (code == errno.ENOENT and card is None and not (name == "default" and cards)):
        return
    card = card or alsa_cards.card_behind(name, kernels)
    why = alsa_cards.explanation(pcm, code, card)
    raise DeviceLost(f"the sound card {name!r} cannot be opened: {why}")


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
    known = [card.hardware for card in cards if card.hardware]
    if (named := alsa_cards.find_by_alsa_name(name, known)) is not None:
        return next(card for card in cards if card.hardware == named)
    exact = [card for card in cards if wanted in (card.name.casefold(), card.label.casefold())]
    part = [card for card in cards if wanted in card.name.casefold()]
    for found in (exact, part):
        if len(found) == 1:
            return found[0]
    names = [card.label for card in part or [c for c in cards if c.is_choice]]
    if part:
        raise DeviceLost(
            f"{name!r} can mean {_listing(names)}: write more of the name of the one you want"
        )
    close = similar(name, names)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise DeviceLost(
        f"no sound card is called {name!r}{hint}: there is {_listing(names)}; choose one with "
        "bachbox set output=NAME"
    )


def _listing(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _cards(audio: Any) -> list[Card]:
    try:
        default_index = audio.get_default_output_device_info()["index"]
    except OSError:
        default_index = -1
    infos = [audio.get_device_info_by_index(i) for i in range(audio.get_device_count())]
    known = {(card.number, card.device): card for card in hardware_cards()}
    return [
        Card(
            name=info["name"],
            number=info["index"],
            sample_rate=int(info["defaultSampleRate"]),
            default=info["index"] == default_index,
            channels=min(info["maxOutputChannels"], 2),
            hardware=_hardware(info["name"], known),
        )
        for info in infos
        if info["maxOutputChannels"] >= 1
    ]


def _hardware(name: str, known: dict[tuple[int, int], HardwareCard]) -> HardwareCard | None:
    found = _HARDWARE.fullmatch(name)
    if not found:
        return None
    number, device = int(found[1]), int(found[2])
    return known.get((number, device), HardwareCard(number, str(number), device))


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
