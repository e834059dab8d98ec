"""Security of a running box: secrets, ports, and what untrusted files can reach."""

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


PATHS = ("/", "/api/status", "/api/health", "/api/schema", "/api/settings", "/metrics")
"""The parts of the web interface that report the state of the box."""


def listens(port: int) -> bool:
    """Return whether something listens on ``port``."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def fetched(port: int, path: str) -> str:
    """Return what a browser on this machine gets."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
        return str(answer.read().decode())


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    environment = home(tmp_path)
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, environment[name])
    return environment


def family(box: Playing) -> list[psutil.Process]:
    """Return the daemon and all its child processes."""
    daemon = psutil.Process(box.process.pid)
    return [daemon, *daemon.children(recursive=True)]


@pytest.mark.parametrize("kept", ["file", "credential"])
def test_broker_password_appears_nowhere_outside_its_file(
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
            outputs = [
                messages,
                repr([process.cmdline() for process in processes]),
                repr([process.environ() for process in processes]),
                repr(ask()),
                *(fetched(page, path) for path in PATHS),
                bachbox("config", "--config", config, env=env).out,
                bachbox("config", "--json", "--config", config, env=env).out,
                bachbox("doctor", "--config", config, env=env).out,
                # An error message quotes the user's input, nothing else.
                bachbox("set", "tempo=fast", env=env).err,
            ]
            for process in processes[1:]:
                # The child processes do not need it, and have no file of it open.
                assert not any("secrets" in file.path for file in process.open_files())
            assert box.end() == 0
        outputs += [*box.lines, server.log]
        outputs += [
            file.read_text(errors="replace")
            for place in ("state", "run")
            for file in (tmp_path / place).rglob("*")
            if file.is_file()
        ]
    assert len(outputs) > 10
    assert [text for text in outputs if SECRET in text] == []
    # The search would have found it: it is in its own file.
    assert SECRET in (folder / "mqtt-password").read_text()


def sockets(box: Playing) -> list[Any]:
    """Return every network socket of the box."""
    return [found for process in family(box) for found in process.net_connections("inet")]


def test_without_the_page_no_network_socket_is_open(env: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "bachbox.toml"
    config.write_text('[sound]\noutput = "null"\n[web]\nport = 0\n')
    with playing("--config", config, env=env) as box:
        box.wait_for("piece 1")
        assert sockets(box) == []
        # Only the owner and the group may use the local socket.
        local_socket = Path(env["XDG_RUNTIME_DIR"]) / "bachbox" / "control.sock"
        assert local_socket.stat().st_mode & 0o007 == 0
        assert box.end() == 0


def test_with_a_broker_the_only_connection_is_to_it(env: dict[str, str], tmp_path: Path) -> None:
    with broker(tmp_path) as server:
        config = tmp_path / "bachbox.toml"
        config.write_text(
            '[sound]\noutput = "null"\n[web]\nport = 0\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {server.port}\n'
        )
        with playing("--config", config, env=env) as box:
            box.wait_for("mqtt: connected to the broker")
            open_ones = sockets(box)
            assert {found.status for found in open_ones} == {psutil.CONN_ESTABLISHED}
            assert len([one for one in open_ones if one.raddr.port == server.port]) == 1
            # The others are pairs with which paho wakes its own thread.
            inside = [one for one in open_ones if one.raddr.port != server.port]
            assert {one.laddr for one in inside} == {one.raddr for one in inside}
            assert box.end() == 0


def test_web_server_listens_on_the_loopback_by_default(env: dict[str, str], tmp_path: Path) -> None:
    with playing("--output", "null", env=env) as box:
        port = int(
            box.wait_for("the page is at http://localhost:").rpartition(":")[2].split("/")[0]
        )
        box.wait_for("piece 1")
        eventually(lambda: sockets(box))
        assert {(one.status, *one.laddr) for one in sockets(box)} == {
            (psutil.CONN_LISTEN, "127.0.0.1", port)
        }
        assert box.end() == 0


def test_untrusted_files_are_parsed_only_in_child_processes(env: dict[str, str]) -> None:
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


def test_locked_packages_are_pinned_by_hash() -> None:
    locks = sorted(LOCK.glob("*.txt"))
    assert len(locks) >= 5
    for lock in locks:
        # An entry is a line with its continuation lines.
        entries = [
            entry
            for entry in lock.read_text().replace("\\\n", " ").splitlines()
            if entry.strip() and not entry.lstrip().startswith("#")
        ]
        assert entries
        for entry in entries:
            assert re.match(r"[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry), (lock, entry)
