"""The man page and the completions that are installed say what the command line has."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from appliance.cli import cli

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "shell_files.py"


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1000000000"}
    subprocess.run([sys.executable, "-B", SCRIPT, folder], check=True, env=env)
    return folder


def test_the_man_page_has_every_command_and_option(share: Path) -> None:
    page = share / "man/man1/bachbox.1"
    assert "2001-09-09" in page.read_text()
    man = subprocess.run(
        ["man", "--warnings", "-l", page],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MANWIDTH": "400", "LC_ALL": "C.UTF-8"},
    )
    assert man.stderr == ""
    text = subprocess.check_output(["col", "-b"], input=man.stdout, text=True)
    for path, command in commands(cli, "bachbox"):
        assert path in text
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.opts[0] in text, f"{path} {option.opts[0]}"


def commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        inner = f"{path} {name}"
        if isinstance(command, click.Group):
            found += commands(command, inner)
        else:
            found.append((inner, command))
    return found


def test_bash_completes_commands_and_settings(share: Path) -> None:
    script = share / "bash-completion/completions/bachbox"
    registered = subprocess.check_output(
        ["bash", "-c", f". {script}; complete -p bachbox"], text=True
    )
    assert registered.split()[-3:] == ["-F", "_bachbox_completion", "bachbox"]
    # What the script asks the command; on a machine, `bachbox` is found by PATH.
    asked = {
        **os.environ, "_BACHBOX_COMPLETE": "bash_complete", "COMP_WORDS": "bachbox set temp",
        "COMP_CWORD": "2",
    }  # fmt: skip
    answer = subprocess.check_output([sys.executable, "-m", "appliance"], env=asked, text=True)
    assert answer.split() == ["plain,tempo=", "plain,temperature=", "plain,temperament="]


def test_zsh_and_fish_ask_the_same_command(share: Path) -> None:
    for name in ("zsh/vendor-completions/_bachbox", "fish/vendor_completions.d/bachbox.fish"):
        assert "_BACHBOX_COMPLETE" in (share / name).read_text()


def test_what_make_install_installs_is_where_zsh_looks(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("shell_files", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path / "local" / "share")
    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert Path("local/share/zsh/site-functions/_bachbox") in written
    installer = (ROOT / "deploy" / "install.sh").read_text()
    for path in written:
        assert str(path.relative_to("local/share")) in installer, f"{path} would stay behind"
