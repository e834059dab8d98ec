"""Wheel and sdist have what plays and nothing else, and a wheel works from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder

ROOT = Path(__file__).parents[2]
SHIPPED_MODELS = {"chorales", "folk", "keyboard", "strings"}
MAX_WHEEL_BYTES = 16 << 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as `pip install` builds it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (found,) = folder.glob("bachbox-*-py3-none-any.whl")
    return found


def test_the_wheel_has_program_page_and_shipped_models_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    models = {Path(name).stem for name in names if name.endswith(".tflite")}
    assert models == SHIPPED_MODELS
    assert {f"appliance/models/{name}.md" for name in SHIPPED_MODELS} <= names
    tracked = subprocess.check_output(["git", "ls-files", "appliance"], cwd=ROOT, text=True)
    assert {name for name in tracked.splitlines() if (ROOT / name).exists()} <= names
    tops = {name.split("/")[0].partition("-")[0] for name in names}
    assert tops == {"appliance", "bachbox"}
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_the_sdist_has_no_benchmarks_and_all_that_the_wheel_is_made_of(wheel: Path) -> None:
    # Its files as hatchling chooses them; packing them takes long.
    names = {file.relative_path for file in SdistBuilder(str(ROOT)).recurse_included_files()}
    with zipfile.ZipFile(wheel) as content:
        code = {name for name in content.namelist() if name.endswith((".py", ".js", ".json"))}
    assert code <= names
    assert {f"models/{name}.tflite" for name in SHIPPED_MODELS} <= names
    assert {"pyproject.toml", "LICENSE", "README.md", "bachbox.example.toml"} <= names
    assert not [name for name in names if name.startswith(("benchmarks", "models/benchmarks"))]


def test_an_installed_wheel_composes_in_a_foreign_folder(wheel: Path, tmp_path: Path) -> None:
    site, foreign = tmp_path / "site", tmp_path / "somewhere else"
    foreign.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", site, wheel], check=True)
    code = (
        f"import appliance; assert appliance.__file__.startswith({str(site)!r})\n"
        "from appliance.cli import main\n"
        "main(['render', 'one.mid', '--seconds', '10', '--model', 'folk'])"
    )
    env = {**os.environ, "PYTHONPATH": str(site), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=foreign, env=env, check=True)
    assert (foreign / "one.mid").read_bytes().startswith(b"MThd")
