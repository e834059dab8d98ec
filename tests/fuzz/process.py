"""The process in which libFuzzer calls one reader: ``python -m tests.fuzz.process READER ...``."""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["appliance.music", "appliance.audio.soundfont", "mido"]):
    from tests.fuzz.targets import TARGETS

MAX_CPU_S: Final = 15
"""A file may take 5 s; the fuzzed code is several times slower than it is otherwise."""

_NUMBERS: Final = ("0", "-1", "1", "7", "255", "65536", "1e400", "nan", "3/2", "", "x", "9" * 40)


def _mutated_xml(data: bytes, max_size: int, seed: int) -> bytes:
    """An XML document with an element removed, doubled, moved or changed; or changed bytes.

    Changed bytes are seldom well-formed, and would test the XML parser only.
    """
    rng = random.Random(seed)
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError):
        return bytes(atheris.Mutate(data, max_size))
    for _ in range(rng.randint(1, 4)):
        parents = [element for element in root.iter() if len(element)]
        if not parents:
            break
        parent = rng.choice(parents)
        child = rng.choice(list(parent))
        match rng.randrange(6):
            case 0:
                parent.remove(child)
            case 1:
                parent.insert(rng.randrange(len(parent) + 1), child)
            case 2:
                parent.remove(child)
                rng.choice(parents).append(child)
            case 3:
                child.text = rng.choice(_NUMBERS)
            case 4:
                child.tag = rng.choice(list(root.iter())).tag
            case _:
                for name in child.attrib:
                    child.attrib[name] = rng.choice(_NUMBERS)
    mutated = ET.tostring(root)
    return mutated if len(mutated) <= max_size else data


def _stop(_signal: int, _frame: object) -> None:
    raise TimeoutError("a hang: it took too much processor time")


def main() -> None:
    """Fuzz one reader; libFuzzer ends the process."""
    target = TARGETS[sys.argv.pop(1)]
    folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    path = Path(folder.name) / f"fuzzed{target.suffix}"

    # Processor time, because a busy machine makes everything slow.
    signal.signal(signal.SIGPROF, _stop)

    def test_one_input(data: bytes) -> None:
        path.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
        target.run(path)
        signal.setitimer(signal.ITIMER_PROF, 0)

    options = {}
    if target.suffix == ".musicxml":
        options["custom_mutator"] = _mutated_xml
    atheris.Setup(sys.argv, test_one_input, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
