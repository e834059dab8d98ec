"""The remedies for missing packages work where Bachbox is, which is not on PyPI."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from appliance.common import install_hint as module
from appliance.common.install_hint import install_hint

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def command(hint: str) -> list[str]:
    found = re.fullmatch(r"run `(?:PYPI=1 )?(.*)`", hint)
    assert found, hint
    return shlex.split(found[1])


@pytest.mark.parametrize("extra", ["", "gpio", "display", "systemd"])
def test_in_a_checkout(extra: str) -> None:
    pip, install, target = command(install_hint(extra))
    assert Path(pip).exists()
    assert install == "install"
    assert target == (f"{ROOT}[{extra}]" if extra else str(ROOT))
    assert not extra or extra in EXTRAS


def test_in_a_checkout_whose_path_has_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my box"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    monkeypatch.setattr(module, "_ROOT", folder)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert command(install_hint("gpio")) == [
        str(folder / ".venv/bin/pip"), "install", f"{folder}[gpio]",
    ]  # fmt: skip


def test_with_the_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr/lib/bachbox")
    for extra in ("", "gpio", "systemd"):
        assert "Debian package again" in install_hint(extra)


def test_after_make_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/opt/bachbox/20260101-120000")
    assert "`sudo make install`" in install_hint("gpio")


def test_in_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    words = command(install_hint("gpio"))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    assert {re.split(r"[<>=!~ ]", word)[0] for word in words[4:]} == {"gpiozero", "lgpio"}
    base = " ".join(command(install_hint())).casefold()
    assert "pyaudio" in base
    assert "music21" not in base


def test_what_is_included_is_pinned() -> None:
    for lock in (ROOT / "deploy" / "lock").glob("python3*.txt"):
        names = {re.split(r"[=\s;]", line)[0] for line in lock.read_text().splitlines()}
        assert {"gpiozero", "lgpio", "luma-oled", "luma-lcd", "systemd-python"} <= names


def test_nothing_names_bachbox_on_pypi() -> None:
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for folder in ("appliance", "docs", "deploy"):
        texts += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix in (".py", ".md", ".sh", ".html", ".js")
        ]
    assert len(texts) > 200
    for path in texts:
        assert not re.search(r"pip install ['\"]?bachbox", path.read_text()), path
