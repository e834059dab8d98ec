"""Checks whether a file is a soundfont, and which instruments it has.

FluidSynth's parser is written in C and has had vulnerabilities, so a file is checked here first.
An SF2 or SF3 file is a RIFF form ``sfbk`` of three LISTs, of which ``pdta`` holds the chunk
``phdr``, a table of the presets (SoundFont Technical Specification 2.04, section 7.2).
"""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
import struct
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from appliance.audio.soundfont_zones import MAX_TABLE_BYTES, TABLES, SoundingPresets
from appliance.common.hidden_folders import hidden_problem
from appliance.errors import BachboxError

logger = logging.getLogger(__name__)

_CHUNK = struct.Struct("<4sI")
_PRESET = struct.Struct("<20sHHHIII")
"""Name, program, bank, first zone, and three reserved fields."""

_MAX_PRESETS: Final = 16384
"""128 banks of 128; a longer table is an attack on memory."""

_PROGRAMS: Final = 128
_BANKS: Final = 16384
"""FluidSynth selects no preset whose program or bank is not below these."""

DRUM_BANK: Final = 128
SLOW_LOAD_S: Final = 3.0
_UNPACKED_FACTOR: Final = 8
"""How much larger the samples of an .sf3 file are in memory than in the file, at most."""

_REMEDY: Final = (
    "give an .sf2 or .sf3 file, such as the one that `sudo apt install timgm6mb-soundfont` "
    "puts at /usr/share/sounds/sf2/TimGM6mb.sf2"
)


def check(soundfont: Path) -> None:
    """Check that a file is a soundfont.

    Raises:
        BachboxError: it is not, or cannot be read; the message says why.
    """
    presets(soundfont)


def presets(soundfont: Path) -> set[tuple[int, int]]:
    """Return the (bank, program) pairs that a soundfont has; General MIDI's 128 are bank 0.

    Raises:
        BachboxError: the file is not a soundfont, or cannot be read.
    """
    return set(preset_names(soundfont))


def fits_in_memory(soundfont: Path) -> bool:
    """Return whether all samples of a soundfont fit in half of the memory that is free.

    Raises:
        OSError: there is no such file.
    """
    factor = _UNPACKED_FACTOR if _is_packed(soundfont) else 1
    return factor * soundfont.stat().st_size <= free_memory_bytes() // 2


@contextlib.contextmanager
def warn_if_slow(soundfont: Path) -> Iterator[None]:
    """Log that a soundfont is being loaded if that takes longer than :data:`SLOW_LOAD_S`.

    An .sf3 file is unpacked while it is loaded, which takes a small machine tens of seconds.
    """
    timer = threading.Timer(
        SLOW_LOAD_S,
        lambda: logger.warning(
            "loading the soundfont %s takes a while; %s loads faster",
            soundfont,
            faster_kind(soundfont),
        ),
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def faster_kind(soundfont: Path) -> str:
    """What kind of soundfont loads faster than this one, in words."""
    return "an .sf2 file" if _is_packed(soundfont) else "a smaller soundfont"


def _is_packed(soundfont: Path) -> bool:
    """Whether its samples are packed, by its suffix."""
    return soundfont.suffix.lower() == ".sf3"


def free_memory_bytes() -> int:
    """Return the memory that is free for this process: the machine's, or less in a container."""
    free = [1 << 62]
    try:
        text = Path("/proc/meminfo").read_text()
        free += [1024 * int(kib) for kib in re.findall(r"MemAvailable:\s*(\d+) kB", text)]
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::/")[2]
        folder = Path("/sys/fs/cgroup") / group
        limit, used = ((folder / f"memory.{name}").read_text() for name in ("max", "current"))
        free.append(int(limit) - int(used))
    except (OSError, ValueError):
        pass  # There is no such file, or the limit is "max".
    return max(0, min(free))


def nearest_preset(available: Iterable[tuple[int, int]], program: int) -> tuple[int, int]:
    """Return the (bank, program) pair that plays a General MIDI program best.

    The program itself in bank 0 comes first, then another of bank 0, then the other banks. Within
    a bank, the same family of eight instruments comes before the others, and drums come last.

    Raises:
        ValueError: none is available.
    """

    def distance(preset: tuple[int, int]) -> tuple[bool, bool, bool, int, int]:
        bank, number = preset
        is_of_family = number // 8 == program // 8
        return bank == DRUM_BANK, bank != 0, not is_of_family, abs(number - program), bank

    return min(available, key=distance)


def preset_names(soundfont: Path) -> dict[tuple[int, int], str]:
    """Return the name of every (bank, program) pair that a soundfont has.

    Raises:
        BachboxError: the file is not a soundfont, or cannot be read.
    """
    try:
        if soundfont.exists() and not soundfont.is_file():
            raise BachboxError(f"the soundfont {soundfont} cannot be read (not a file): {_REMEDY}")
        with soundfont.open("rb") as file:
            return _read_presets(soundfont, file)
    except OSError as error:
        raise BachboxError(_refusal(soundfont, error)) from error


def _refusal(soundfont: Path, error: OSError) -> str:
    if hidden := hidden_problem("the soundfont", soundfont):
        return f"{hidden}: put the file into /usr/share/sounds/sf2"
    if isinstance(error, FileNotFoundError):
        return f"there is no soundfont {soundfont}: {_REMEDY}"
    return f"the soundfont {soundfont} cannot be read ({error.strerror}): {_REMEDY}"


def _read_presets(soundfont: Path, file: BinaryIO) -> dict[tuple[int, int], str]:
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"sfbk":
        what = "a DLS or GigaSampler file" if head[8:] == b"DLS " else "it does not begin as one"
        raise BachboxError(f"{soundfont} is not a soundfont ({what}): {_REMEDY}")
    declared = _CHUNK.unpack_from(head)[1] + 8
    if declared > size:
        raise BachboxError(
            f"the soundfont {soundfont} is cut short ({size} of {declared} bytes): copy or "
            "download it again"
        )
    if declared < size:  # FluidSynth refuses it.
        raise BachboxError(
            f"the soundfont {soundfont} has {size - declared} bytes behind its end: remove them "
            f"with `truncate --size={declared} {shlex.quote(str(soundfont))}`, or download it again"
        )
    tables, samples = _tables_and_samples(file, declared)
    rows = list(_PRESET.iter_unpack(tables.get(b"phdr", b"")))[:-1]
    names = [
        (row, (bank, program), name.split(b"\0")[0].decode("latin-1").strip())
        for row, (name, program, bank, *_) in enumerate(rows)
        if program < _PROGRAMS and bank < _BANKS
    ]
    if not names:
        raise BachboxError(
            f"the soundfont {soundfont} has no instruments in it, or is damaged: {_REMEDY}"
        )
    if any(name not in tables or len(tables[name]) > MAX_TABLE_BYTES for name in TABLES):
        return {preset: name for _, preset, name in names}  # FluidSynth says what is wrong.
    examined = SoundingPresets(file, tables, samples)
    found = {preset: name for row, preset, name in names if examined.sounds(row)}
    if not found:
        raise BachboxError(f"the soundfont {soundfont} makes no sound: {_why(examined)}")
    return found


def _why(examined: SoundingPresets) -> str:
    """Why no preset sounds, and what to do."""
    if examined.with_samples:
        reason = "all its samples are silent"
    elif examined.in_rom:
        reason = "its samples are in the memory of a sound card, not in the file"
    else:
        reason = "its instruments have no samples"
    return f"{reason}; {_REMEDY}"


def _tables_and_samples(file: BinaryIO, end: int) -> tuple[dict[bytes, bytes], tuple[int, int]]:
    """The tables of presets, instruments and samples, and where the sound of the samples is."""
    tables: dict[bytes, bytes] = {}
    samples = (0, 0)
    for chunk, start, length in _chunks(file, 12, end):
        file.seek(start)
        if chunk != b"LIST" or file.read(4) not in (b"pdta", b"sdta"):
            continue
        for name, inner_start, inner_length in _chunks(file, start + 4, start + length):
            if name == b"smpl":
                samples = inner_start, inner_length
            elif name == b"phdr" and inner_length % _PRESET.size == 0:
                file.seek(inner_start)
                tables[name] = file.read(min(inner_length, _MAX_PRESETS * _PRESET.size))
            elif name in TABLES and name != b"phdr":
                file.seek(inner_start)
                tables[name] = file.read(min(inner_length, MAX_TABLE_BYTES + 1))
    return tables, samples


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and length of each chunk that lies completely in ``start..end``."""
    while start + _CHUNK.size <= end:
        file.seek(start)
        name, length = _CHUNK.unpack(file.read(_CHUNK.size))
        start += _CHUNK.size
        if start + length > end:
            return
        yield name, start, length
        start += length + length % 2
