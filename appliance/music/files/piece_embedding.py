"""Where a keepsake lies in a file: in MIDI, WAV and MusicXML, each has a place for such things.

* MIDI: a sequencer-specific meta event (FF 7F) of the first track.
* WAV: a RIFF chunk ``bach``; title and settings for people in a ``LIST`` of kind ``INFO``.
* MusicXML: a ``miscellaneous-field`` called ``bachbox``, in base64.

Reading trusts nothing in the file, and needs no reader of MIDI or XML: in all three the keepsake
is found by its mark, and ends by itself.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from io import SEEK_CUR, SEEK_END
from pathlib import Path
from typing import BinaryIO, Final

from appliance.errors import BachboxError, UsageError
from appliance.music.files.piece_record import (
    MAGIC,
    MAX_PACKED_BYTES,
    PieceRecord,
    pack,
    require,
    unpack,
)

MAX_FILE_BYTES: Final = 8 << 20
"""Of a MIDI or MusicXML file with one piece in it; a WAV file may be any size."""

NON_COMMERCIAL: Final = 0x7D
"""The manufacturer of sequencer-specific events that belong to none."""

FIELD: Final = "bachbox"

_FIELD: Final = re.compile(
    rb"<miscellaneous-field\s+name\s*=\s*[\"']bachbox[\"']\s*>([A-Za-z0-9+/=\s]{1,2000000})<"
)

_CHUNK: Final = struct.Struct("<4sI")
_RIFF_HEAD_BYTES: Final = 12
_MAX_CHUNKS: Final = 1000
_WAV_CHUNK: Final = b"bach"


def read(path: Path) -> PieceRecord:
    """The piece that lies in a file.

    Raises:
        UsageError: no such file, or none with a piece of ours in it; the sentence says why.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError("not a file, so there is no piece in it", path=path)
        with path.open("rb") as file:
            return require(unpack(_found(file)))
    except OSError as why:
        raise UsageError(f"{path}: cannot read it: {why.strerror or why}") from why
    except BachboxError as why:
        if why.path is not None:
            raise
        raise UsageError(
            f"{path}: {why}; --replay takes a file that Bachbox wrote: of one piece, as .mid, .wav "
            "or .musicxml"
        ) from why


def _found(file: BinaryIO) -> bytes:
    """The packed keepsake."""
    head = file.read(_RIFF_HEAD_BYTES)
    if head.startswith(b"RIFF") and head.endswith(b"WAVE"):
        return _chunk(file)
    content = head + file.read(MAX_FILE_BYTES)
    if len(content) > MAX_FILE_BYTES:
        raise BachboxError("larger than 8 MiB, which no score of ours is")
    if content.startswith((MAGIC, b"MThd")):
        return content[max(0, content.find(MAGIC)) :]
    if content.startswith(b"PK"):
        raise BachboxError("it is compressed (.mxl): save it as .musicxml")
    field = _FIELD.search(content)
    if field is None:
        raise BachboxError("there is no piece of Bachbox in it")
    try:
        return base64.b64decode(b"".join(field[1].split()), validate=True)
    except binascii.Error as why:
        raise BachboxError(f"the piece in it is damaged ({why})") from why


def _chunk(file: BinaryIO) -> bytes:
    """The content of the chunk that is ours."""
    for _ in range(_MAX_CHUNKS):
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            break
        name, size = _CHUNK.unpack(head)
        if name == _WAV_CHUNK:
            return file.read(min(size, MAX_PACKED_BYTES))
        file.seek(size + size % 2, SEEK_CUR)
    raise BachboxError("there is no piece of Bachbox in it")


def midi_data(keepsake: PieceRecord) -> tuple[int, ...]:
    """The bytes of the sequencer-specific event."""
    return (NON_COMMERCIAL, *pack(keepsake))


def xml_text(keepsake: PieceRecord) -> str:
    """The text of the field."""
    return base64.b64encode(pack(keepsake)).decode()


def append_to_wav(path: Path, keepsake: PieceRecord) -> None:
    """Put it behind the sound of a WAV file that is whole.

    Raises:
        OSError: the file cannot be written.
    """
    info = b"INFO" + b"".join(
        _riff(name, text.encode() + b"\0")
        for name, text in (
            (b"INAM", keepsake.title),
            (b"ICMT", keepsake.described()),
            (b"ISFT", keepsake.made_by),
        )
    )
    with path.open("r+b") as file:
        file.seek(0, SEEK_END)
        file.write(_riff(b"LIST", info) + _riff(_WAV_CHUNK, pack(keepsake)))
        size = file.tell() - _CHUNK.size
        file.seek(0)
        file.write(_CHUNK.pack(b"RIFF", size))


def _riff(name: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(name, len(content)) + content + bytes(len(content) % 2)
