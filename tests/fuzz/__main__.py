"""Fuzzing of the readers: no error but ours, no hang, no growth. ``make fuzz MINUTES=10``.

Each reader gets files that libFuzzer (through atheris) makes from ``tests/fuzz/seeds`` and
``tests/data``, guided by the code that they reach, in a process of its own. A finding is a file in
``build/fuzz/findings``; it becomes a test when it is mended. Inputs that reached new code are kept
in ``build/fuzz/READER`` and are the seeds of the next run, which goes other ways: libFuzzer prints
its random seed. ``--keep`` puts the fewest of them that reach the same code into
``tests/fuzz/seeds/kept.zip``; the tests read these, too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.fuzz.targets import KEPT, TARGETS

_ROOT: Final = Path(__file__).parents[2]
_BUILD: Final = _ROOT / "build" / "fuzz"
_MAX_RSS_MIB: Final = 700
"""Of the whole process, with models and what atheris needs; a file may take 300 MB."""
_MAX_FILE_BYTES: Final = 1 << 16


def main() -> int:
    """Fuzz the readers one after the other; return 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("readers", nargs="*", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--minutes", type=float, default=10, help="for each reader")
    parser.add_argument("--keep", action="store_true", help="do not fuzz, but keep what was found")
    options = parser.parse_args()
    readers = options.readers or [*TARGETS]
    unknown = {*readers} - TARGETS.keys()
    if unknown:
        parser.error(f"there is no reader {', '.join(sorted(unknown))}")
    if options.keep:
        _keep(readers)
        return 0
    findings = _BUILD / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    _unpack_kept()
    failed = []
    for name in readers:
        kept = _BUILD / name
        kept.mkdir(exist_ok=True)
        failed_here = _libfuzzer(
            name,
            f"-artifact_prefix={findings}/{name}-", f"-max_total_time={60 * options.minutes:.0f}",
            "-print_final_stats=1", str(kept), *map(str, TARGETS[name].seeds),
        )  # fmt: skip
        if failed_here:
            failed.append(name)
    print(f"findings in {findings}: {', '.join(failed)}" if failed else "no findings")
    return bool(failed)


def _libfuzzer(reader: str, *arguments: str) -> int:
    """Run libFuzzer for a reader; return its exit status."""
    dictionary = TARGETS[reader].dictionary
    return subprocess.run(
        [
            sys.executable, "-m", "tests.fuzz.process", reader,
            "-timeout=600", f"-rss_limit_mb={_MAX_RSS_MIB}", f"-max_len={_MAX_FILE_BYTES}",
            *([f"-dict={dictionary}"] if dictionary else []), *arguments,
        ],
        cwd=_ROOT,
        check=False,
    ).returncode  # fmt: skip


def _unpack_kept() -> None:
    """Put the inputs that were kept where libFuzzer finds them."""
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(_BUILD)


def _keep(readers: Iterable[str]) -> None:
    """Keep the fewest inputs of each reader that reach what all have reached."""
    with zipfile.ZipFile(KEPT) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    for reader in readers:
        found = {name: data for name, data in found.items() if Path(name).parent.name != reader}
        with tempfile.TemporaryDirectory() as fewest:
            _libfuzzer(reader, "-merge=1", fewest, str(_BUILD / reader))
            for path in Path(fewest).iterdir():
                found[f"{reader}/{path.name}"] = path.read_bytes()
    with zipfile.ZipFile(KEPT, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(found):
            entry = zipfile.ZipInfo(name)  # Without the time, so that the same is the same.
            archive.writestr(entry, found[name], zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    sys.exit(main())
