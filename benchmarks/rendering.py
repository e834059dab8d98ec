"""How much faster than it sounds music is written to files."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import FailedError
from benchmarks.report import Row

SECONDS = 300
RENDERS = 2
BAR = 20.0


def rows() -> list[Row]:
    """Ten minutes to WAV and MIDI, the whole command."""
    speeds, cpu_s = [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for seed in range(1, measure.count(RENDERS, 1) + 1):
            with measure.step(f"render {seed}"):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                speeds.append(_speed(Path(folder), seed))
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu_s.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    median = statistics.median(speeds)
    return [
        Row(
            f"render of {SECONDS // 60} minutes",
            f"{median:.0f} times real time ({min(speeds):.0f} to {max(speeds):.0f})",
            f"≥ {BAR:g} times",
            median >= BAR,
            f"median of {len(speeds)}, WAV and MIDI, the whole command; "
            f"{statistics.median(cpu_s):.1f} s of processor each",
        )
    ]


def _speed(folder: Path, seed: int) -> float:
    wav, midi, defaults = folder / "music.wav", folder / "music.mid", folder / "bachbox.toml"
    defaults.touch()
    bachbox = Path(sys.executable).with_name("bachbox")
    command: list[str | Path] = [bachbox, "render", wav, midi, "--config", defaults]
    command += ["--seconds", str(SECONDS), "--seed", str(seed)]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took_s = time.monotonic() - start
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise FailedError(f"`bachbox render` ended with {done.returncode}: {last}")
    with wave.open(str(wav)) as file:
        sounding_s = int(file.getnframes()) / int(file.getframerate())
    if not SECONDS <= sounding_s < SECONDS + 10 or not midi.stat().st_size:
        raise FailedError(f"`bachbox render` of {SECONDS} s gave {sounding_s:.1f} s")
    return sounding_s / took_s
