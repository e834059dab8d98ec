"""Compressed sound files, written by libsndfile, which FluidSynth brings along."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from appliance.errors import BachboxError
from appliance.ipc.pcm import BYTES_PER_FRAME

_WRITE: Final = 0x20
_FORMATS: Final = {
    ".flac": 0x170000 | 0x0002,  # FLAC, 16 bits
    ".ogg": 0x200000 | 0x0060,  # Ogg Vorbis
    ".mp3": 0x230000 | 0x0082,  # MPEG layer III, since libsndfile 1.1
}
SUFFIXES: Final = tuple(_FORMATS)

_STRING_NUMBERS: Final = {"title": 1, "software": 3, "artist": 4, "comment": 5}
_SET_QUALITY: Final = 0x1300
_QUALITY: Final = 0.6
"""Of Ogg Vorbis and MP3, 0 to 1."""
_CHUNK_FRAMES: Final = 2048
"""libsndfile's Vorbis encoder keeps a whole chunk on the stack."""


class _Info(ctypes.Structure):
    """SF_INFO of sndfile.h."""

    _fields_ = (
        ("frames", ctypes.c_int64),
        ("samplerate", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("format", ctypes.c_int),
        ("sections", ctypes.c_int),
        ("seekable", ctypes.c_int),
    )


@functools.cache
def _library() -> Any:
    """The shared library libsndfile.

    Raises:
        BachboxError: it is not installed.
    """
    try:
        library = ctypes.CDLL(ctypes.util.find_library("sndfile") or "libsndfile.so.1")
    except OSError as error:
        raise BachboxError(
            "libsndfile is missing, which writes compressed sound",
            remedy="run `sudo apt install libsndfile1`, or name a .wav file",
        ) from error
    library.sf_open.restype = ctypes.c_void_p
    library.sf_open.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(_Info))
    library.sf_set_string.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
    for write in (library.sf_writef_short, library.sf_writef_float):
        write.restype = ctypes.c_int64
        write.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64)
    library.sf_command.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
    library.sf_close.argtypes = (ctypes.c_void_p,)
    library.sf_strerror.restype = ctypes.c_char_p
    library.sf_strerror.argtypes = (ctypes.c_void_p,)
    return library


def check_suffix(path: Path, sample_rate: int) -> None:
    """Check that a file of this kind can be written.

    Raises:
        BachboxError: libsndfile is missing, or is too old.
    """
    suffix = path.suffix.lower()
    info = _Info(0, sample_rate, 2, _FORMATS[suffix], 0, 0)
    if not _library().sf_format_check(ctypes.byref(info)):
        raise BachboxError(
            f"the installed libsndfile cannot write {suffix} files (MP3 needs version 1.1)",
            path=path,
            remedy="name a .flac or .wav file",
        )


class EncodedFile:
    """A sound file whose suffix says how it is encoded.

    Args:
        path: where it is.
        suffix: one of :data:`SUFFIXES`.
        sample_rate: frames per second.
        tags: title, artist, comment and software, as far as they are known.
        shown_path: the name by which the user knows it.

    Raises:
        BachboxError: the file cannot be written.
    """

    def __init__(
        self, path: Path, suffix: str, sample_rate: int, tags: Mapping[str, str], shown_path: Path
    ) -> None:
        self._shown_path = shown_path
        self._library = _library()
        # libsndfile 1.2.0 writes crackling MP3 files from shorts.
        exact = suffix == ".flac"
        self._write = self._library.sf_writef_short if exact else self._library.sf_writef_float
        info = _Info(0, sample_rate, 2, _FORMATS[suffix], 0, 0)
        self._file = self._library.sf_open(bytes(path), _WRITE, ctypes.byref(info))
        if not self._file:
            raise self._error()
        quality = ctypes.c_double(_QUALITY)
        self._library.sf_command(self._file, _SET_QUALITY, ctypes.byref(quality), 8)
        for name, text in tags.items():
            self._library.sf_set_string(self._file, _STRING_NUMBERS[name], text.encode())

    def write(self, sound: bytes) -> None:
        """Append sound.

        Args:
            sound: whole frames, interleaved stereo s16le.

        Raises:
            BachboxError: the file cannot be written.
        """
        step = _CHUNK_FRAMES * BYTES_PER_FRAME
        for start in range(0, len(sound), step):
            chunk = sound[start : start + step]
            frames = len(chunk) // BYTES_PER_FRAME
            if self._write(self._file, self._converted(chunk), frames) != frames:
                raise self._error()

    def _converted(self, chunk: bytes) -> bytes:
        """Sound as the library takes it: float32 in place of s16le for encoders with loss."""
        if self._write is self._library.sf_writef_short:
            return chunk
        return array("f", [value / 32768 for value in array("h", chunk)]).tobytes()

    def close(self) -> None:
        """Complete the file; further calls do nothing.

        Raises:
            BachboxError: the file cannot be written.
        """
        if self._file:
            failed = self._library.sf_close(self._file)
            self._file = None
            if failed:
                raise self._error()

    def _error(self) -> BachboxError:
        reason = self._library.sf_strerror(self._file).decode(errors="replace")
        return BachboxError(
            f"cannot write {self._shown_path}: {reason.strip().rstrip('.')}",
            remedy="choose a folder that exists, may be written to and has room",
        )
