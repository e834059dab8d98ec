"""The public API that docs/architecture.md promises."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import appliance

ROOT = Path(__file__).parents[1]


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_example_in_the_documentation_works() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    events = run_python(example).splitlines()
    assert len(events) == 100
    assert events[0].startswith("PieceStart(tick=0, number=1,")


def test_public_names() -> None:
    assert set(appliance.__all__) == {"Composer", "load_model", "__version__"}
    assert {*appliance.__all__} <= {*dir(appliance)}
    assert appliance.Composer.__module__ == "appliance.composing.composer"
    assert appliance.load_model.__module__ == "appliance.composing.model_file"
    with pytest.raises(AttributeError, match="no attribute 'Compositor'"):
        appliance.Compositor  # noqa: B018


def test_public_names_are_imported_when_they_are_used() -> None:
    code = "import sys, appliance; print('numpy' in sys.modules, len(appliance.__version__) > 0)"
    assert run_python(code).split() == ["False", "True"]


def test_package_is_marked_as_typed() -> None:
    assert files("appliance").joinpath("py.typed").is_file()


def test_version_is_the_one_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"[{appliance.__version__}]" in changelog or "[Unreleased]" in changelog
