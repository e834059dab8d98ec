"""The memory that daemon, composer and performer share.

It is one anonymous mapping (``memfd_create``): it has no name, so nothing is left behind when
every process is killed, and no other process can open it. The daemon creates it and passes the
file descriptor to its children. It holds the values that one process publishes to the others (see
:mod:`appliance.ipc.shared_value`), the slots of the ring of events (:mod:`appliance.ipc.ring`),
and the last seconds of sound (:mod:`appliance.ipc.audio_tap`).
"""

from __future__ import annotations

import enum
import mmap
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from appliance.errors import BachboxError
from appliance.ipc.packed_keys import KEYS_LAYOUT, NO_KEYS, packed_keys, unpacked_keys
from appliance.ipc.packed_text import packed_name, packed_text, unpacked_text
from appliance.ipc.pcm import BYTES_PER_FRAME
from appliance.ipc.shared_value import SharedValue
from appliance.music import key_names
from appliance.music import temperament as temperaments
from appliance.music.events import Piece
from appliance.music.limits import MAX_MODEL_NAME_BYTES

T = TypeVar("T")

_MAGIC: Final = b"BACHBOX\x04"
"""Identifies the mapping and the version of its layout."""

_VALUES_OFFSET: Final = 64
_SLOTS_OFFSET: Final = 4 * 4096

SLOT_COUNT: Final = 16384
"""How many events the ring holds, read and unread ones together."""

SLOT_BYTES: Final = 48

_TAP_OFFSET: Final = _SLOTS_OFFSET + SLOT_COUNT * SLOT_BYTES

TAP_CHUNK_FRAMES: Final = 512
"""The audio tap passes sound on in chunks of this size."""

TAP_CHUNK_COUNT: Final = 256
"""How many chunks are kept: 2.7 seconds at 48 kHz."""

TAP_CHUNK_BYTES: Final = BYTES_PER_FRAME * TAP_CHUNK_FRAMES

_TICK_BYTES: Final = 8
"""Size of the tick at a chunk's first frame, a double."""

_SOUND_OFFSET: Final = _TAP_OFFSET + TAP_CHUNK_COUNT * _TICK_BYTES

MAX_TEXT_BYTES: Final = 400
"""The longest path, name or sentence in a shared value, in UTF-8."""

EXIT_OTHER_OUTPUT: Final = os.EX_PROTOCOL
"""Exit status of a performer whose successor can open an output that it cannot open itself."""

EXIT_NO_CARD: Final = os.EX_TEMPFAIL
"""Exit status of a performer that has no sound card."""

VOICES: Final = 4
"""The voices that have settings of their own."""

SAME_PROGRAM: Final = -1
"""In place of a voice's program: that of all voices."""

NO_PIECE: Final = Piece(0, 0, False, 4, 0, 0)
"""What the performer reports before the first piece: number 0."""


class Action(enum.IntEnum):
    """What ``LiveSettings.action_count`` counts: the last action that was requested."""

    NONE = 0
    NEXT_PIECE = 1
    RESTART_PIECE = 2
    PLAY_SAVED = 3


class Condition(enum.StrEnum):
    """What the performer is doing; the order of the members is that of their numbers in memory."""

    STARTING = "starting"
    """Loading, or waiting for the composer's first notes."""
    PLAYING = "playing"
    PAUSED = "paused"
    NO_SOUND_CARD = "no_sound_card"
    """The output could not be opened or was lost; the process has ended or is about to."""
    STOPPED = "stopped"

    @property
    def words(self) -> str:
        """The condition in English, such as "no sound card"."""
        return self.replace("_", " ")


_CONDITIONS: Final = tuple(Condition)


class LiveSettings(NamedTuple):
    """The effective settings; written by the daemon."""

    tempo_bpm: float = 80.0
    volume: float = 70.0
    """0 to 100 percent of perceived loudness: 50 sounds about half as loud as 100."""
    playing: bool = True
    program: int = 19
    """General MIDI program, 0 to 127; 19 is the church organ."""
    is_program_chosen: bool = True  # Pieces do not bring instruments of their own.
    temperature: float = 1.0
    top_p: float = 1.0
    expression: float = 100.0
    """0 (plain, as printed) to 100 (all that the composer wrote)."""
    key: str = key_names.ANY
    """The key of the pieces to begin, one of :data:`appliance.music.key_names.NAMES`."""
    repeats: bool = True  # From the next double bar on.
    temperament: str = temperaments.EQUAL
    """One of :data:`appliance.music.temperament.NAMES`."""
    pitch_hz: float = temperaments.CONCERT_PITCH_HZ
    """Frequency of the A above middle C (MIDI note 69)."""
    balance: float = 0.0
    """-100 (left only) to 100 (right only)."""
    is_swapped: bool = False
    """Left and right change places."""
    is_mono: bool = False
    action_count: int = 0
    """Incremented for each action; a process acts when it has changed."""
    action: Action = Action.NONE
    saved_piece: int = 0
    """Number of the saved piece that the last ``PLAY_SAVED`` asked for."""
    tone_count: int = 0
    """Incremented for each test tone that is requested."""
    voice_programs: tuple[int, ...] = VOICES * (SAME_PROGRAM,)
    """General MIDI programs of soprano, alto, tenor and bass; SAME_PROGRAM: that of all."""
    voice_levels: tuple[float, ...] = VOICES * (100.0,)
    """Of soprano, alto, tenor and bass: 0 (silent) to 100 percent of perceived loudness."""
    model: str = ""
    output: str = ""
    """As in ``[sound]``."""
    soundfont: str = ""
    """The path of the file."""


class WriterState(NamedTuple):
    """How far the composer has written; written by the composer."""

    epoch: int = 0
    """Number of the last rewind that was accepted, 0 before the first."""
    write_index: int = 0
    """Every slot before this one is written."""
    horizon_tick: int = 0
    """Every event before this tick is written."""


class RewindRequest(NamedTuple):
    """Where the composer wants to write again from; written by the composer."""

    epoch: int = 0
    """Serial number of the request; if it is accepted, the epoch of the slots written after it."""
    from_index: int = 0
    from_tick: int = 0


class ReaderState(NamedTuple):
    """How far the performer has read, and its answer to a rewind; written by the performer."""

    epoch: int = 0
    """The last rewind request that was answered."""
    accepted: bool = False
    """The answer."""
    read_index: int = 0
    """Every slot before this one has been taken."""
    playhead_tick: float = 0.0
    accepted_epoch: int = 0
    """The last request accepted. From ``accepted_index`` on, only slots of this epoch are valid."""
    accepted_index: int = 0
    accepted_tick: int = 0


class PerformerState(NamedTuple):
    """What the performer has done. The counts continue when the process is replaced."""

    heartbeat: int = 0
    """Blocks rendered."""
    frames_played: int = 0
    sample_rate: int = 0
    xruns: int = 0
    starved: int = 0
    """Blocks that reached the horizon, counted from the first event on."""
    late_events: int = 0
    condition: Condition = Condition.STARTING
    sounding: int = 0
    """How many notes are held."""
    piece: Piece = NO_PIECE


class OutputState(NamedTuple):
    """What the performer plays on; written by the performer."""

    requested: str = ""
    """The output that it was asked for last, and has tried."""
    playing_on: str = ""
    """What it plays on: a card's name, or the spec of another output."""
    soundfont: str = ""
    """The path of the soundfont that sounds."""
    refused: str = ""
    """The output or the soundfont that was asked for last, if it could not be used."""
    problem: str = ""
    """A sentence about what was asked for and does not play; "" if all is well."""
    cards: str = ""
    """The names of the sound cards that PortAudio knows, one a line."""


class ComposerState(NamedTuple):
    """What the composer has done. The counts continue when the process is replaced."""

    heartbeat: int = 0
    tokens: int = 0
    notes: int = 0
    pieces: int = 0
    frozen_interventions: int = 0
    loop_interventions: int = 0
    stuck_interventions: int = 0
    silence_interventions: int = 0
    rewinds: int = 0
    actions_done: int = 0
    """The ``LiveSettings.action_count`` that has been carried out."""
    piece_number: int = 0
    """Number of the newest composed piece, after which composing continues."""
    seed: int = 0
    ready: bool = False
    model: str = ""
    """The model that composed the newest music; "" before the first."""
    refused: str = ""
    """The model that was requested last, if it could not be used."""


class TapState(NamedTuple):
    """How much sound has gone into the audio tap; written by the performer."""

    frames: int = 0
    """Since the start of the box, continued when the process is replaced."""
    sample_rate: int = 0


class _Values:
    """Places shared values in ``memory``, one behind the other."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._end_offset = _VALUES_OFFSET

    def add(
        self,
        layout: str,
        default: T,
        pack: Callable[[T], tuple[Any, ...]],
        unpack: Callable[[tuple[Any, ...]], T],
    ) -> SharedValue[T]:
        """Return the next value.

        Raises:
            ValueError: there is no room for it before the slots.
        """
        value = SharedValue(self._memory, self._end_offset, layout, default, pack, unpack)
        self._end_offset = value.end_offset
        if self._end_offset > _SLOTS_OFFSET:
            raise ValueError("the values have outgrown their pages")
        return value


class SharedState:
    """The shared mapping; use :meth:`create` or :meth:`attach`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.memory = mmap.mmap(fd, _total_bytes())
        values = _Values(self.memory)
        self.live_settings = values.add(
            f"<dd?B?dddB?Bdd??IBII{VOICES}b{VOICES}d{MAX_MODEL_NAME_BYTES}s{MAX_TEXT_BYTES}s{MAX_TEXT_BYTES}s",
            LiveSettings(),
            _pack_live_settings,
            _unpack_live_settings,
        )
        self.writer = values.add("<IQQ", WriterState(), tuple, WriterState._make)
        self.rewind_request = values.add("<IQQ", RewindRequest(), tuple, RewindRequest._make)
        self.reader = values.add("<I?QdIQQ", ReaderState(), tuple, ReaderState._make)
        self.performer = values.add(
            "<QQIIIIBBIB?BIQHIBHBBBBBI", PerformerState(), _pack_performer, _unpack_performer
        )
        self.composer = values.add(
            f"<QQQQIIIIIIIQ?{MAX_MODEL_NAME_BYTES}s{MAX_MODEL_NAME_BYTES}s",
            ComposerState(),
            lambda v: (*v[:-2], packed_name(v.model), packed_name(v.refused)),
            lambda v: ComposerState(*v[:-2], *map(unpacked_text, v[-2:])),
        )
        self.output = values.add(
            "<" + len(OutputState._fields) * f"{MAX_TEXT_BYTES}s",
            OutputState(),
            lambda v: tuple(packed_text(text, MAX_TEXT_BYTES) for text in v),
            lambda v: OutputState(*map(unpacked_text, v)),
        )
        self.tap = values.add("<QI", TapState(), tuple, TapState._make)
        self.midi_sounding = values.add(KEYS_LAYOUT, NO_KEYS, packed_keys, unpacked_keys)
        """MIDI channels (from 0) and notes that may sound at the other end of the MIDI port."""

    @classmethod
    def create(cls) -> SharedState:
        """Create an empty mapping. ``fd`` closes on exec: pass it to a child with ``pass_fds``."""
        fd = os.memfd_create("bachbox", os.MFD_CLOEXEC)
        os.ftruncate(fd, _total_bytes())
        shared = cls(fd)
        shared.memory[: len(_MAGIC)] = _MAGIC
        return shared

    @classmethod
    def attach(cls, fd: int) -> SharedState:
        """Map the memory that the parent process created.

        Raises:
            BachboxError: ``fd`` is not open, or not the shared memory of this version.
        """
        try:
            size = os.fstat(fd).st_size
        except OSError as error:
            raise BachboxError(
                f"file descriptor {fd} given as --shared-fd is not open: this process is "
                "started by the Bachbox daemon, not by hand; run `bachbox play`"
            ) from error
        if size != _total_bytes() or os.pread(fd, len(_MAGIC), 0) != _MAGIC:
            raise BachboxError(
                f"file descriptor {fd} given as --shared-fd is not this version's shared "
                "memory: stop every Bachbox process and start `bachbox play` again"
            )
        return cls(fd)

    def slot_offset_bytes(self, index: int) -> int:
        """Return the offset in :attr:`memory` of the slot of event ``index``, in bytes."""
        return _SLOTS_OFFSET + (index % SLOT_COUNT) * SLOT_BYTES

    def chunk_tick_offset_bytes(self, chunk: int) -> int:
        """Return the offset in :attr:`memory` of the tick of a chunk's first frame, in bytes."""
        return _TAP_OFFSET + (chunk % TAP_CHUNK_COUNT) * _TICK_BYTES

    def chunk_offset_bytes(self, chunk: int) -> int:
        """Return the offset in :attr:`memory` of the sound of a chunk, in bytes."""
        return _SOUND_OFFSET + (chunk % TAP_CHUNK_COUNT) * TAP_CHUNK_BYTES

    def close(self) -> None:
        """Unmap the memory and close the file descriptor."""
        self.memory.close()
        os.close(self.fd)


def _total_bytes() -> int:
    return _SOUND_OFFSET + TAP_CHUNK_COUNT * TAP_CHUNK_BYTES


def _pack_live_settings(value: LiveSettings) -> tuple[Any, ...]:
    number = temperaments.NAMES.index(value.temperament)
    packed = value._replace(temperament=number, key=key_names.NAMES.index(value.key))  # type: ignore[arg-type]
    texts = (packed_text(text, MAX_TEXT_BYTES) for text in (value.output, value.soundfont))
    voices = (*value.voice_programs, *value.voice_levels)
    return (*packed[:-5], *voices, packed_name(value.model), *texts)


def _unpack_live_settings(fields: tuple[Any, ...]) -> LiveSettings:
    first = len(fields) - 2 * VOICES - 3
    programs, levels = fields[first : first + VOICES], fields[first + VOICES : -3]
    value = LiveSettings._make((*fields[:first], programs, levels, *fields[-3:]))
    return value._replace(
        temperament=temperaments.NAMES[fields[LiveSettings._fields.index("temperament")]],
        key=key_names.NAMES[fields[LiveSettings._fields.index("key")]],
        action=Action(value.action),
        model=unpacked_text(value.model),  # type: ignore[arg-type]
        output=unpacked_text(value.output),  # type: ignore[arg-type]
        soundfont=unpacked_text(value.soundfont),  # type: ignore[arg-type]
    )


def _pack_performer(value: PerformerState) -> tuple[Any, ...]:
    packed = value._replace(condition=_CONDITIONS.index(value.condition))  # type: ignore[arg-type]
    return (*packed[:-1], *value.piece)


def _unpack_performer(fields: tuple[Any, ...]) -> PerformerState:
    state = PerformerState(*fields[: -len(Piece._fields)])
    return state._replace(
        condition=_CONDITIONS[fields[PerformerState._fields.index("condition")]],
        piece=Piece(*fields[-len(Piece._fields) :]),
    )
