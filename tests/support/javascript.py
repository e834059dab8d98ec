"""The unit tests of the page's JavaScript in node, and which lines they and the browser run.

``python -m tests.support.javascript`` prints the table of ``make coverage``. Both node and Chromium
have V8, which counts how often each range of characters runs (Chrome DevTools Protocol,
``Profiler.takePreciseCoverage``); where ``BACHBOX_JAVASCRIPT_COVERAGE`` names a folder, it is
written there as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from appliance.frontends.web.static_files import STATIC

TESTS = Path(__file__).parents[1] / "frontends" / "web" / "js"

COVERAGE_VARIABLE = "BACHBOX_JAVASCRIPT_COVERAGE"

TIMEOUT_S = 120.0

_COMMENTS = ("//", "/*", "*")


def node_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run them in ``folder``."""
    node = shutil.which("node")
    assert node is not None, "node is not installed: run `make test`, which installs it"
    # Older versions of node take a .js file for a module only if a package.json says so.
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copytree(STATIC, folder / "static")
    shutil.copytree(TESTS, folder / "js")
    counted = coverage_folder()
    return subprocess.run(
        [node, "--test", *sorted(f"js/{path.name}" for path in TESTS.iterdir())],
        cwd=folder,
        env=os.environ | ({"NODE_V8_COVERAGE": str(counted)} if counted else {}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def coverage_folder() -> Path | None:
    """Where counts are written, if they are wanted; it exists then."""
    name = os.environ.get(COVERAGE_VARIABLE)
    if not name:
        return None
    folder = Path(name).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep(counts: dict[str, Any], folder: Path) -> None:
    """Keep what ``Profiler.takePreciseCoverage`` gives."""
    (folder / f"chromium-{uuid.uuid4()}.json").write_text(json.dumps(counts))


def covered_lines(source: str, runs: Iterable[list[dict[str, Any]]]) -> list[bool]:
    """For each line of code in ``source`` (not blank, no comment): whether any run ran it.

    Args:
        source: one file.
        runs: V8's ``functions`` of this file, from each run.
    """
    covered = bytearray(len(source))
    for functions in runs:
        ranges = [part for function in functions for part in function["ranges"]]
        counts = bytearray(len(source))
        # Inner ranges count for themselves.
        for part in sorted(ranges, key=lambda part: (part["startOffset"], -part["endOffset"])):
            start, end = part["startOffset"], min(part["endOffset"], len(source))
            counts[start:end] = bytes([part["count"] > 0]) * (end - start)
        covered = bytearray(map(max, covered, counts))
    found, at = [], 0
    for line in source.splitlines(keepends=True):
        code = line.strip()
        if code and not code.startswith(_COMMENTS):
            start = at + line.index(code)
            found.append(any(covered[start : start + len(code)]))
        at += len(line)
    return found


def main() -> int:
    """Print the share of lines that was run of each file; 1 if node's tests fail."""
    with tempfile.TemporaryDirectory() as folder:
        result = node_tests(Path(folder))
    runs: dict[str, list[list[dict[str, Any]]]] = {}
    for file in (coverage_folder() or Path()).glob("*.json"):
        for script in json.loads(file.read_text())["result"]:
            folder_name, _, name = script["url"].rpartition("/")
            if folder_name.endswith("/static"):
                runs.setdefault(name, []).append(script["functions"])
    total = []
    for path in sorted(STATIC.glob("*.js")):
        lines = covered_lines(path.read_text(), runs.get(path.name, []))
        total += lines
        print(f"{path.name:28} {sum(lines):5} of {len(lines):4} {sum(lines) / len(lines):7.0%}")
    print(f"All of the page's JavaScript: {sum(total) / len(total):.0%}")
    if result.returncode:
        print(result.stdout + result.stderr, file=sys.stderr)
    return min(result.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
