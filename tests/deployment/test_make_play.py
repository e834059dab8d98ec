"""`make play` says in one sentence that a Python cannot run Bachbox, and builds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("pretence", "sentence"),
    [
        ("sys.maxsize = 2**31 - 1", "Bachbox needs a 64-bit Python, so a 64-bit system"),
        ("sys.version_info = (3, 10, 2)", "Bachbox needs Python 3.11, 3.12 or 3.13"),
    ],
)
def test_a_python_that_does_not_fit_is_refused(
    tmp_path: Path, pretence: str, sentence: str
) -> None:
    python, venv = tmp_path / "python3", tmp_path / "venv"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; {pretence}; $2"\n')
    python.chmod(0o755)
    command = ["make", "--old-file=system-packages", f"PYTHON={python}", f"VENV={venv}"]
    made = subprocess.run(
        [*command, f"{venv}/.python"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode
    assert sentence in made.stderr
    assert not venv.exists()
