"""What the box keeps to itself: secrets, ports, and what strangers' files can reach."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.broker import broker, client, free_port, program
from tests.support.command import Playing, bachbox, home, playing
from tests.support.running_box import ask, eventually

SECRET = "correct-horse-battery-staple"

LOCK = Path(__file__).parents[2] / "deploy" / "lock"


PATHS = ("/", "/api/status", "/api/health", "/api/known", "/api/settings", "/metrics")
"""Of the page, what tells of the box."""


def listens(port: int) -> bool:
    """Whether somebody does."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def fetched(port: int, path: str) -> str:
    """What a browser on this machine gets."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return str(answer.read().decode())


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    environment = home(tmp_path)
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, environment[name])
    return environment


def family(box: Playing) -> list[psutil.Process]:
    """The daemon and all that it has started."""
    daemon = psutil.Process(box.process.pid)
    return [daemon, *daemon.children(recursive=True)]


@pytest.mark.parametrize("kept", ["file", "credential"])
def test_the_brokers_password_is_nowhere_but_where_it_is_kept(
    env: dict[str, str], tmp_path: Path, kept: str
) -> None:
    passwords = tmp_path / "passwords"
    arguments = ["-b", "-c", str(passwords), "me", SECRET]
    subprocess.run([program("mosquitto_passwd"), *arguments], check=True)
    passwords.chmod(0o644)
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "mqtt-password").write_text(f"{SECRET}\n")
    rules = ("allow_anonymous false", f"password_file {passwords}")
    with broker(tmp_path, *rules) as server:
        config = tmp_path / "bachbox.toml"
        text = (
            '[sound]\noutput = "null"\n[mqtt]\nhost = "127.0.0.1"\nusername = "me"\n'
            f'port = {server.port}\nid = "kitchen"\n'
        )
        page = free_port()
        if kept == "file":
            text += f'password_file = "{folder / "mqtt-password"}"\n'
        else:
            env = env | {"CREDENTIALS_DIRECTORY": str(folder)}
        config.write_text(f"{text}[web]\nport = {page}\n")
        with playing("--config", config, env=env) as box:
            box.wait_for("mqtt: connected to the broker")
            with client(server.port, "me", SECRET) as listener:
                listener.wait_for("bachbox/kitchen/now_playing", ".*playing.*")
                ask(tempo=91)
                listener.wait_for("bachbox/kitchen/tempo", "91")
                eventually(lambda: listens(page))
                messages = repr(listener.messages)
            processes = family(box)
            told = [
                messages,
                repr([process.cmdline() for process in processes]),
                repr([process.environ() for process in processes]),
                repr(ask()),
                *(fetched(page, path) for path in PATHS),
                bachbox("config", "--config", config, env=env).out,
                bachbox("config", "--json", "--config", config, env=env).out,
                bachbox("doctor", "--config", config, env=env).out,
                # A guest's mistake is told with what he said, not with what we know.
                bachbox("set", "tempo=fast", env=env).err,
            ]
            for process in processes[1:]:
                # The children have no use for it: it is not even in their memory's files.
                assert not any("secrets" in file.path for file in process.open_files())
            assert box.end() == 0
        told += [*box.lines, server.log]
        told += [
            file.read_text(errors="replace")
            for place in ("state", "run")
            for file in (tmp_path / place).rglob("*")
            if file.is_file()
        ]
    assert len(told) > 10
    assert [text for text in told if SECRET in text] == []
    # And that it would have been found is shown by its place.
    assert SECRET in (folder / "mqtt-password").read_text()


def sockets(box: Playing) -> list[Any]:
    """Every network socket of the box, as psutil tells of it."""
    return [found for process in family(box) for found in process.net_connections("inet")]


def test_nothing_listens_to_the_network_and_nothing_is_called(env: dict[str, str]) -> None:
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        assert sockets(box) == []
        # The shell's way in is a file that only its owner and his group may use.
        way_in = Path(env["XDG_RUNTIME_DIR"]) / "bachbox" / "control.sock"
        assert way_in.stat().st_mode & 0o007 == 0
        assert box.end() == 0


def test_with_a_broker_there_is_one_connection_outwards(
    env: dict[str, str], tmp_path: Path
) -> None:
    with broker(tmp_path) as server:
        config = tmp_path / "bachbox.toml"
        config.write_text(
            f'[sound]\noutput = "null"\n[mqtt]\nhost = "127.0.0.1"\nport = {server.port}\n'
        )
        with playing("--config", config, env=env) as box:
            box.wait_for("mqtt: connected to the broker")
            open_ones = sockets(box)
            assert {found.status for found in open_ones} == {psutil.CONN_ESTABLISHED}
            assert len([one for one in open_ones if one.raddr.port == server.port]) == 1
            # The others are pairs by which paho wakes its own thread.
            inside = [one for one in open_ones if one.raddr.port != server.port]
            assert {one.laddr for one in inside} == {one.raddr for one in inside}
            assert box.end() == 0


def test_the_page_listens_on_this_machine_alone_unless_told_otherwise(
    env: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    config = tmp_path / "bachbox.toml"
    config.write_text(f'[sound]\noutput = "null"\n[web]\nport = {port}\n')
    with playing("--config", config, env=env) as box:
        box.wait_for("piece 1")
        eventually(lambda: sockets(box))
        assert {(one.status, *one.laddr) for one in sockets(box)} == {
            (psutil.CONN_LISTEN, "127.0.0.1", port)
        }
        assert box.end() == 0


def test_what_strangers_have_made_is_parsed_in_the_children_only(env: dict[str, str]) -> None:
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        libraries = {
            name: {Path(mapped.path).name for mapped in process.memory_maps()}
            for name, process in (
                ("daemon", psutil.Process(box.process.pid)),
                ("performer", box.child("performer")),
                ("composer", box.child("composer")),
            )
        }
        assert box.end() == 0

    def has(name: str, pattern: str) -> bool:
        return any(re.search(pattern, library) for library in libraries[name])

    runtime = r"tflite|_pywrap|litert"
    assert [has(name, r"libfluidsynth") for name in libraries] == [False, True, False]
    assert [has(name, runtime) for name in libraries] == [False, False, True]


def test_every_package_of_the_service_is_pinned_by_hash() -> None:
    locks = sorted(LOCK.glob("*.txt"))
    assert len(locks) >= 5
    for lock in locks:
        # One entry is a line and what is continued after it.
        entries = [
            entry
            for entry in lock.read_text().replace("\\\n", " ").splitlines()
            if entry.strip() and not entry.lstrip().startswith("#")
        ]
        assert entries
        for entry in entries:
            assert re.match(r"[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry), (lock, entry)
