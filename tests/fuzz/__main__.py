"""Fuzzing of the readers: no error but ours, no hang, no growth. ``make fuzz MINUTES=10``.

Each reader gets files that libFuzzer (through atheris) makes from ``tests/fuzz/seeds`` and
``tests/data``, guided by the code that they reach, in a process of its own. A finding is a file in
``build/fuzz/findings``; it becomes a test when it is mended. Inputs that reached new code are kept
in ``build/fuzz/READER`` and are the seeds of the next run, which goes other ways: libFuzzer prints
its random seed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.fuzz.targets import TARGETS

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
    options = parser.parse_args()
    unknown = {*options.readers} - TARGETS.keys()
    if unknown:
        parser.error(f"there is no reader {', '.join(sorted(unknown))}")
    findings = _BUILD / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.readers or TARGETS:
        target = TARGETS[name]
        kept = _BUILD / name
        kept.mkdir(exist_ok=True)
        result = subprocess.run(
            [
                sys.executable, "-m", "tests.fuzz.process", name,
                f"-artifact_prefix={findings}/{name}-",
                f"-max_total_time={60 * options.minutes:.0f}",
                "-timeout=600", f"-rss_limit_mb={_MAX_RSS_MIB}",
                f"-max_len={_MAX_FILE_BYTES}", "-print_final_stats=1",
                *([f"-dict={target.dictionary}"] if target.dictionary else []),
                str(kept), *map(str, target.seeds),
            ],
            cwd=_ROOT,
            check=False,
        )  # fmt: skip
        if result.returncode:
            failed.append(name)
    print(f"findings in {findings}: {', '.join(failed)}" if failed else "no findings")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
