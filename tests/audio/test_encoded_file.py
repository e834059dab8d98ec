"""Compressed sound files have the sound and the tags that were written."""

from __future__ import annotations

import ctypes
import math
import struct
from pathlib import Path

import pytest

from appliance.audio.outputs import encoded_file
from appliance.audio.outputs.encoded_file import EncodedFile
from appliance.errors import BachboxError

RATE = 48_000
MAGIC = {".flac": b"fLaC", ".ogg": b"OggS", ".mp3": b""}
TAGS = {"title": "Sarabande in e-flat minor", "artist": "Bachbox (strings, seed 7)"}


def sine(seconds: float) -> bytes:
    frames = range(int(seconds * RATE))
    values = (round(12_000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in frames)
    return b"".join(struct.pack("<hh", value, value) for value in values)


def read(path: Path) -> tuple[int, int]:
    """Frames and loudest value of a file, as libsndfile reads it."""
    library = encoded_file._library()
    info = encoded_file._Info()
    file = library.sf_open(bytes(path), 0x10, ctypes.byref(info))
    assert file, path
    buffer = (ctypes.c_short * (2 * info.frames))()
    library.sf_readf_short.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    library.sf_readf_short.restype = ctypes.c_int64
    frames = library.sf_readf_short(file, buffer, info.frames)
    library.sf_close(file)
    return frames, max(map(abs, buffer))


@pytest.mark.parametrize("suffix", encoded_file.SUFFIXES)
def test_sound_and_tags_are_in_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"one{suffix}"
    encoded_file.check_suffix(path, RATE)
    file = EncodedFile(path, suffix, RATE, TAGS, path)
    sound = sine(1)
    for start in range(0, len(sound), 20_000):
        file.write(sound[start : start + 20_000])
    file.close()
    file.close()
    content = path.read_bytes()
    assert content.startswith(MAGIC[suffix])
    assert len(content) < len(sound) / 2
    frames, loudest = read(path)
    assert frames == pytest.approx(RATE, abs=3000)
    assert loudest == pytest.approx(12_000, abs=1500)
    for text in TAGS.values():
        assert text.encode() in content or text.encode("utf-16-le") in content


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    shown = Path("music.flac")
    with pytest.raises(BachboxError, match=r"cannot write music\.flac"):
        EncodedFile(tmp_path / "nowhere" / "x.part", ".flac", RATE, {}, shown)


def test_without_libsndfile_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError("no such library")

    encoded_file._library.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(BachboxError, match=r"libsndfile is missing.*apt install libsndfile1"):
        encoded_file.check_suffix(Path("a.ogg"), RATE)
    encoded_file._library.cache_clear()
