"""The memory that daemon, composer and performer share.

One anonymous mapping (``memfd_create``): it has no name, so nothing is left behind when every
process is killed, and nobody else can open it. The daemon creates it and hands the file
descriptor to its children. It holds one cell for each thing that one process tells the others
(see :mod:`appliance.ipc.shared_value`), the slots of the ring of events
(see :mod:`appliance.ipc.ring`), and the last seconds of sound (:mod:`appliance.ipc.audio_tap`).
"""

from __future__ import annotations

import enum
import mmap
import os
from typing import Any, Final, NamedTuple

from appliance.errors import BachboxError, UsageError
from appliance.ipc.pcm import BYTES_PER_FRAME
from appliance.ipc.shared_value import SharedValue
from appliance.music import temperament as temperaments
from appliance.music.events import Piece
from appliance.music.limits import MAX_MODEL_NAME_BYTES

_MAGIC: Final = b"BACHBOX\x02"
"""Says what the mapping is, and the version of its layout."""

_CELLS_OFFSET: Final = 64
_SLOTS_OFFSET: Final = 4096

SLOT_COUNT: Final = 16384
"""Events that the ring holds, read and unread ones together."""

SLOT_BYTES: Final = 32

_TAP_OFFSET: Final = _SLOTS_OFFSET + SLOT_COUNT * SLOT_BYTES

GRAIN_FRAMES: Final = 512
"""The sound that others may take comes in grains of so many frames."""

GRAIN_COUNT: Final = 256
"""Grains that are kept: 2.7 seconds at 48 kHz."""

GRAIN_BYTES: Final = BYTES_PER_FRAME * GRAIN_FRAMES

TICK_BYTES: Final = 8
"""Of the tick at a grain's first frame, a double."""

_SOUND_OFFSET: Final = _TAP_OFFSET + GRAIN_COUNT * TICK_BYTES

EXIT_NO_CARD: Final = os.EX_TEMPFAIL
"""How a performer says that it has ended for want of a sound card."""

NO_PIECE: Final = Piece(0, 0, False, 4, 0, 0)
"""What the performer reports before the first piece has begun: number 0."""


class Action(enum.IntEnum):
    """What ``LiveSettings.action_count`` counts: the last thing asked for once."""

    NONE = 0
    NEXT_PIECE = 1
    RESTART_PIECE = 2


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
    """What the person wants; written by the daemon."""

    tempo_bpm: float = 80.0
    volume: float = 70.0
    """0 to 100, as heard: 50 is about half as loud as 100."""
    playing: bool = True
    program: int = 19
    """General MIDI program, 0 to 127; 19 is the church organ."""
    temperature: float = 1.0
    top_p: float = 1.0
    expression: float = 100.0
    """0 (the printed page) to 100 (all that the composer wrote)."""
    temperament: str = temperaments.EQUAL
    """One of :data:`appliance.music.temperament.NAMES`."""
    pitch_hz: float = temperaments.CONCERT_PITCH_HZ
    """Of the a'."""
    action_count: int = 0
    """One more for each action; a process acts when it differs from the one it saw last."""
    action: Action = Action.NONE
    tone_count: int = 0
    """One more for each test tone that is asked for."""
    model: str = ""


class WriterState(NamedTuple):
    """How far the composer has written."""

    epoch: int = 0
    """Number of the last cut that was accepted, 0 before any."""
    write_index: int = 0
    """Every slot before this one is written."""
    horizon_tick: int = 0
    """Every event before this tick is written."""


class RewindRequest(NamedTuple):
    """What the composer asks for: to write anew from here."""

    epoch: int = 0
    """Serial number of the request; one that is accepted becomes the epoch of what follows."""
    from_index: int = 0
    from_tick: int = 0


class ReaderState(NamedTuple):
    """How far the performer has read, and what it answered."""

    epoch: int = 0
    """The last cut answered."""
    accepted: bool = False
    """The answer."""
    read_index: int = 0
    """Every slot before this one has been taken."""
    playhead_tick: float = 0.0
    accepted_epoch: int = 0
    """The last cut accepted; slots from ``accepted_index`` on count only with this epoch."""
    accepted_index: int = 0
    accepted_tick: int = 0


class PerformerState(NamedTuple):
    """What the performer has done; the counts go on over its restarts."""

    heartbeat: int = 0
    """Blocks rendered."""
    frames_played: int = 0
    sample_rate: int = 0
    xruns: int = 0
    starved: int = 0
    """Blocks that reached the horizon, counted from the first note on."""
    late_events: int = 0
    condition: Condition = Condition.STARTING
    sounding: int = 0
    """Notes that are held just now."""
    piece: Piece = NO_PIECE


class ComposerState(NamedTuple):
    """What the composer has done."""

    heartbeat: int = 0
    tokens: int = 0
    notes: int = 0
    pieces: int = 0
    cured_frozen: int = 0
    cured_loop: int = 0
    cured_stuck: int = 0
    cured_silence: int = 0
    rewinds: int = 0
    actions_done: int = 0
    """The ``LiveSettings.action_count`` that has been obeyed."""
    seed: int = 0
    ready: bool = False
    model: str = ""
    """The model that composed last; "" before the first notes."""
    refused: str = ""
    """The model asked for last, where it could not be used."""


class Tap(NamedTuple):
    """How much sound has been put where others may take it; written by the performer."""

    frames: int = 0
    """Since the start of the box, over the performer's restarts."""
    sample_rate: int = 0


class SharedState:
    """The shared mapping; make one with :meth:`create` or :meth:`attach`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.memory = mmap.mmap(fd, _total_bytes())
        memory = self.memory
        self.live_settings = SharedValue(
            memory,
            _CELLS_OFFSET,
            f"<dd?BdddBdIBI{MAX_MODEL_NAME_BYTES}s",
            LiveSettings(),
            _pack_live_settings,
            _unpack_live_settings,
        )
        self.writer = SharedValue(
            memory,
            self.live_settings.end_offset,
            "<IQQ",
            WriterState(),
            tuple,
            lambda v: WriterState(*v),
        )
        self.rewind_request = SharedValue(
            memory,
            self.writer.end_offset,
            "<IQQ",
            RewindRequest(),
            tuple,
            lambda v: RewindRequest(*v),
        )
        self.reader = SharedValue(
            memory,
            self.rewind_request.end_offset,
            "<I?QdIQQ",
            ReaderState(),
            tuple,
            lambda v: ReaderState(*v),
        )
        self.performer = SharedValue(
            memory,
            self.reader.end_offset,
            "<QQIIIIBBIB?BIQH",
            PerformerState(),
            _pack_performer,
            _unpack_performer,
        )
        self.composer = SharedValue(
            memory,
            self.performer.end_offset,
            f"<QQQQIIIIIIQ?{MAX_MODEL_NAME_BYTES}s{MAX_MODEL_NAME_BYTES}s",
            ComposerState(),
            lambda v: (*v[:-2], _packed_name(v.model), _packed_name(v.refused)),
            lambda v: ComposerState(*v[:-2], *map(_unpacked_name, v[-2:])),
        )
        self.tap = SharedValue(
            memory, self.composer.end_offset, "<QI", Tap(), tuple, lambda v: Tap(*v)
        )
        if self.tap.end_offset > _SLOTS_OFFSET:
            raise ValueError("the cells have outgrown their page")

    @classmethod
    def create(cls) -> SharedState:
        """A new, empty board; ``fd`` closes on exec, so hand it on with ``pass_fds``."""
        fd = os.memfd_create("bachbox", os.MFD_CLOEXEC)
        os.ftruncate(fd, _total_bytes())
        shared = cls(fd)
        shared.memory[: len(_MAGIC)] = _MAGIC
        return shared

    @classmethod
    def attach(cls, fd: int) -> SharedState:
        """The board that the parent process created."""
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

    def slot_offset(self, index: int) -> int:
        """Where in :attr:`memory` the slot of event ``index`` begins."""
        return _SLOTS_OFFSET + (index % SLOT_COUNT) * SLOT_BYTES

    def grain_tick_offset(self, grain: int) -> int:
        """Where in :attr:`memory` the tick of the first frame of ``grain`` stands."""
        return _TAP_OFFSET + (grain % GRAIN_COUNT) * TICK_BYTES

    def grain_offset(self, grain: int) -> int:
        """Where in :attr:`memory` the sound of ``grain`` begins."""
        return _SOUND_OFFSET + (grain % GRAIN_COUNT) * GRAIN_BYTES

    def close(self) -> None:
        """Give the mapping and the descriptor back."""
        self.memory.close()
        os.close(self.fd)


def _total_bytes() -> int:
    return _SOUND_OFFSET + GRAIN_COUNT * GRAIN_BYTES


def _packed_name(model: str) -> bytes:
    name = model.encode()
    if len(name) > MAX_MODEL_NAME_BYTES:
        raise UsageError(
            f"the model name {model!r} is too long: at most {MAX_MODEL_NAME_BYTES} bytes "
            "are allowed; rename the file"
        )
    return name


def _unpacked_name(packed: bytes) -> str:
    return packed.rstrip(b"\0").decode()


def _pack_live_settings(value: LiveSettings) -> tuple[Any, ...]:
    number = temperaments.NAMES.index(value.temperament)
    packed = value._replace(temperament=number)  # type: ignore[arg-type]
    return (*packed[:-1], _packed_name(value.model))


def _unpack_live_settings(fields: tuple[Any, ...]) -> LiveSettings:
    value = LiveSettings(*fields)
    return value._replace(
        temperament=temperaments.NAMES[fields[LiveSettings._fields.index("temperament")]],
        action=Action(value.action),
        model=_unpacked_name(fields[-1]),
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
