"""The slots of the ring of events: 48 bytes each, with an event of one of five layouts.

A slot holds, little-endian: its lap (index // slots, u32) and its epoch (u32, see
:mod:`appliance.ipc.ring`), the event's tick (u64), the kind of event (u8) and at most 27 bytes
that depend on the kind, and a CRC-32 of all that.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, Final

from appliance.ipc.shared_state import SLOT_BYTES, SLOT_COUNT, SharedState
from appliance.music.events import (
    MAX_TOKENS_PER_EVENT,
    Event,
    NoteOff,
    NoteOn,
    PieceStart,
    TempoFactor,
    Tokens,
)

_PAYLOADS: Final[dict[type[Event], tuple[int, str]]] = {
    NoteOn: (1, "BBB"),
    NoteOff: (2, "BBHH"),
    PieceStart: (3, "IB?BHHIBHBBBBBI"),
    TempoFactor: (4, "H"),
    Tokens: (5, f"{MAX_TOKENS_PER_EVENT + 1}p"),
}
"""The number of each kind of event, and how the fields after its tick are packed."""

_CRC: Final = struct.Struct("<I")
_BODY_BYTES: Final = SLOT_BYTES - _CRC.size
_HEADER: Final = struct.Struct("<IIQB")
_KIND_OFFSET: Final = _HEADER.size - 1
_FRAME: Final = struct.Struct(f"<II{_BODY_BYTES - 8}xI")
"""Lap, epoch and CRC."""


def _writer(kind: int, payload: str) -> tuple[int, Callable[..., bytes]]:
    unused_bytes = _BODY_BYTES - _HEADER.size - struct.calcsize(f"<{payload}")
    return kind, struct.Struct(f"{_HEADER.format}{payload}{unused_bytes}x").pack


_WRITERS: Final = {event: _writer(*layout) for event, layout in _PAYLOADS.items()}

_READERS: Final[dict[int, tuple[Callable[[Any], Event], Callable[[bytes], tuple[Any, ...]]]]] = {
    kind: (event._make, struct.Struct(f"<8xQx{payload}").unpack_from)
    for event, (kind, payload) in _PAYLOADS.items()
}


def write_slot(shared: SharedState, index: int, epoch: int, event: Event) -> None:
    """Put ``event`` into the slot of ``index``.

    Raises:
        struct.error: a field is too large for its place in the slot.
    """
    kind, pack = _WRITERS[type(event)]
    body = pack(index // SLOT_COUNT, epoch, event[0], kind, *event[1:])
    offset = shared.slot_offset_bytes(index)
    shared.memory[offset : offset + SLOT_BYTES] = body + _CRC.pack(zlib.crc32(body))


def read_slot(shared: SharedState, index: int, epoch: int | None = None) -> Event | None:
    """Return the event of ``index``, or None if its slot holds another, an old or a torn one.

    The slot must be of ``epoch``; None stands for any.
    """
    offset = shared.slot_offset_bytes(index)
    slot = shared.memory[offset : offset + SLOT_BYTES]
    lap, slot_epoch, crc = _FRAME.unpack(slot)
    if lap != index // SLOT_COUNT or (epoch is not None and slot_epoch != epoch):
        return None
    if zlib.crc32(slot[:_BODY_BYTES]) != crc:
        return None
    make, unpack = _READERS[slot[_KIND_OFFSET]]
    return make(unpack(slot))
