"""Piece records inside other files: MIDI, WAV and MusicXML have room for them.

* MIDI: a sequencer-specific meta event (FF 7F) in the first track.
* WAV: a RIFF chunk ``bach``; title and settings for people in a ``LIST`` chunk of type ``INFO``.
* MusicXML: a ``miscellaneous-field`` called ``bachbox``, in base64.

Reading trusts nothing in the file and needs no parser of MIDI or XML: in all three a record is
found by its mark (:data:`appliance.music.files.piece_record.MAGIC`), and it marks its own end.
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
    require_notes,
    unpack,
)

MAX_FILE_BYTES: Final = 8 << 20
"""Of a MIDI or MusicXML file with one piece in it; a WAV file may be any size."""

NON_COMMERCIAL: Final = 0x7D
"""The manufacturer ID of sequencer-specific events for non-commercial use."""

FIELD: Final = "bachbox"

_FIELD: Final = re.compile(
    rb"<miscellaneous-field\s+name\s*=\s*[\"']bachbox[\"']\s*>([A-Za-z0-9+/=\s]{1,2000000})<"
)

_CHUNK: Final = struct.Struct("<4sI")
_RIFF_HEAD_BYTES: Final = 12
_MAX_CHUNKS: Final = 1000
_WAV_CHUNK: Final = b"bach"


def read(path: Path) -> PieceRecord:
    """Read the record in a file.

    Raises:
        UsageError: there is no such file, or no piece recorded by Bachbox in it; the message says
            which.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError("not a file, so there is no piece in it", path=path)
        with path.open("rb") as file:
            return require_notes(unpack(_found(file)))
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
    """The packed record in a file, with whatever follows it.

    Raises:
        BachboxError: there is none.
    """
    head = file.read(_RIFF_HEAD_BYTES)
    if head.startswith(b"RIFF") and head.endswith(b"WAVE"):
        return _chunk(file)
    content = head + file.read(MAX_FILE_BYTES)
    if len(content) > MAX_FILE_BYTES:
        raise BachboxError("larger than 8 MiB, so Bachbox did not write it")
    if content.startswith((MAGIC, b"MThd")):
        return content[max(0, content.find(MAGIC)) :]
    if content.startswith(b"PK"):
        raise BachboxError("it is compressed (.mxl): save it as .musicxml")
    field = _FIELD.search(content)
    if field is None:
        raise BachboxError("there is no piece recorded by Bachbox in it")
    try:
        return base64.b64decode(b"".join(field[1].split()), validate=True)
    except binascii.Error as why:
        raise BachboxError(f"the piece in it is damaged ({why})") from why


def _chunk(file: BinaryIO) -> bytes:
    """The content of the chunk ``bach`` of a WAV file."""
    for _ in range(_MAX_CHUNKS):
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            break
        name, size = _CHUNK.unpack(head)
        if name == _WAV_CHUNK:
            return file.read(min(size, MAX_PACKED_BYTES))
        file.seek(size + size % 2, SEEK_CUR)
    raise BachboxError("there is no piece recorded by Bachbox in it")


def midi_data(piece: PieceRecord) -> tuple[int, ...]:
    """The bytes of the sequencer-specific event that holds a record."""
    return (NON_COMMERCIAL, *pack(piece))


def xml_text(piece: PieceRecord) -> str:
    """The text of the MusicXML field that holds a record."""
    return base64.b64encode(pack(piece)).decode()


def append_to_wav(path: Path, piece: PieceRecord) -> None:
    """Append a record to a WAV file that is complete.

    Raises:
        OSError: the file cannot be written.
    """
    info = b"INFO" + b"".join(
        _riff(name, text.encode() + b"\0")
        for name, text in (
            (b"INAM", piece.title),
            (b"ICMT", piece.description),
            (b"ISFT", piece.made_by),
        )
    )
    with path.open("r+b") as file:
        file.seek(0, SEEK_END)
        file.write(_riff(b"LIST", info) + _riff(_WAV_CHUNK, pack(piece)))
        size = file.tell() - _CHUNK.size
        file.seek(0)
        file.write(_CHUNK.pack(b"RIFF", size))


def _riff(name: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(name, len(content)) + content + bytes(len(content) % 2)
