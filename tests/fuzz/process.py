"""The process in which libFuzzer calls one reader: ``python -m tests.fuzz.process READER ...``."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import atheris

_INSTRUMENTED: Final = ["appliance.music", "appliance.audio.soundfont", "appliance.offline", "mido"]
with atheris.instrument_imports(include=_INSTRUMENTED):
    # These are otherwise imported when the first file is read, and libFuzzer would be blind.
    from appliance.music.files import abc_reader, midi_reader, musicxml_reader  # noqa: F401
    from tests.fuzz.targets import TARGETS, codecs

    codecs()

MAX_CPU_S: Final = 15
"""A file may take 5 s; the fuzzed code is several times slower than it is otherwise."""


def _stop(_signal: int, _frame: object) -> None:
    raise TimeoutError("a hang: it took too much processor time")


def main() -> None:
    """Fuzz one reader; libFuzzer ends the process."""
    reader = sys.argv.pop(1)
    target = TARGETS[reader]
    # With this command libFuzzer starts itself again when it merges.
    sys.argv[0] = f"{sys.executable} -m tests.fuzz.process {reader}"
    folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    path = Path(folder.name) / f"fuzzed{target.suffix}"

    # Processor time, because a busy machine makes everything slow.
    signal.signal(signal.SIGPROF, _stop)

    def test_one_input(data: bytes) -> None:
        path.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
        target.run(path)
        signal.setitimer(signal.ITIMER_PROF, 0)

    options = {"custom_mutator": target.mutate} if target.mutate else {}
    atheris.Setup(sys.argv, test_one_input, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
