"""The local socket: the shell controls the running box, and no client can harm it."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from appliance.errors import BachboxError, UsageError
from appliance.frontends import local_socket
from appliance.frontends.local_socket import LocalSocket, Request
from appliance.ipc.shared_state import SharedState
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Action, ModelDefaults, RequestedSettings, Settings
from tests.support.log_lines import log_lines

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)


class Fixture:
    """A box that listens at a socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = Settings(
            RequestedSettings(model="chorales"), lambda: ["chorales"], lambda _: DEFAULTS
        )
        self.shared = SharedState.create()
        self.box = BoxStatus(self.shared, self.settings, lambda: 0, dict)

    def serve(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            task = asyncio.create_task(LocalSocket(self.path).run(self.settings, self.box))
            await asyncio.sleep(0.05)
            await work()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(asyncio.wait_for(run(), 240))
        self.shared.close()

    async def talk(self, line: bytes) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self.path, limit=1 << 20)
        writer.write(line)
        answer = await asyncio.wait_for(reader.readline(), 60)
        writer.close()
        return dict(json.loads(answer))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fixture:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return Fixture(local_socket.socket_folder() / local_socket.FILE_NAME)


def test_request_is_done_and_the_state_comes_back(served: Fixture) -> None:
    acted: list[frozenset[str]] = []
    served.settings.observe(lambda _, changed: acted.append(changed))
    request = Request(set={"tempo": "96", "instrument": "oboe"}, act=[Action.NEXT_PIECE])

    async def work() -> None:
        assert stat.S_IMODE(served.path.stat().st_mode) == 0o660
        status = await asyncio.to_thread(lambda: next(local_socket.ask(request)))
        assert (status.settings.tempo, status.settings.instrument) == (96, "Oboe")

    served.serve(work)
    assert acted == [{"tempo", "instrument"}, {"next_piece"}]
    assert not served.path.exists()


def test_invalid_request_is_rejected_with_its_exit_code_and_changes_nothing(
    served: Fixture,
) -> None:
    async def work() -> None:
        def ask() -> None:
            next(local_socket.ask(Request(set={"volume": 10, "tempo": 999})))

        with pytest.raises(UsageError, match="40 to 240"):
            await asyncio.to_thread(ask)

    served.serve(work)
    assert served.settings.requested == RequestedSettings(model="chorales")


def test_following_client_sees_a_change_at_once(served: Fixture) -> None:
    async def work() -> None:
        reader, writer = await asyncio.open_unix_connection(served.path, limit=1 << 20)
        writer.write(b'{"follow": true}\n')
        await reader.readline()
        served.settings.change("tempo", 123)
        while json.loads(await reader.readline())["status"]["settings"]["tempo"] != 123:
            pass
        # And something at least once a second, so that they know it is alive.
        await asyncio.wait_for(reader.readline(), 60)
        writer.close()

    served.serve(work)


garbage = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=20)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(["set", "act", "follow", "tempo", "x"]), inner),
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
)


def test_garbage_gets_a_response_and_the_next_request_is_served(served: Fixture) -> None:
    lines: list[bytes] = []

    @hypothesis_settings(max_examples=60)
    @given(garbage)
    def collect(line: bytes) -> None:
        lines.append(line.replace(b"\n", b" ") + b"\n")

    collect()

    async def work() -> None:
        for line in lines:
            answer = await served.talk(line)
            assert set(answer) in ({"status"}, {"error", "code"})
            assert 40 <= served.settings.effective.tempo <= 240
        answer = await served.talk(b"[" * 60_000 + b"\n")
        assert "not a valid request" in answer["error"]
        answer = await served.talk(b'{"set": {"tempo": "' + b"9" * (1 << 20) + b'"}}\n')
        assert "at most 65536 bytes" in answer["error"]
        assert "status" in await served.talk(b"{}\n")

    served.serve(work)


def test_clients_that_hang_or_do_not_read_do_not_delay_others(
    served: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crowd(idle_s: float) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        monkeypatch.setattr(local_socket, "IDLE_TIMEOUT_S", idle_s)
        clients = [
            await asyncio.open_unix_connection(served.path) for _ in range(local_socket.MAX_CLIENTS)
        ]
        await asyncio.sleep(0.05)
        return clients

    async def work() -> None:
        patient = await crowd(60.0)
        assert "too many" in (await served.talk(b"{}\n"))["error"]
        for _, writer in patient:
            writer.close()
        while "error" in await served.talk(b"{}\n"):
            await asyncio.sleep(0.05)
        # Idle clients are disconnected, and there is room again.
        for reader, writer in await crowd(0.5):
            assert await asyncio.wait_for(reader.read(), 60) == b""
            writer.close()
        assert "status" in await served.talk(b"{}\n")
        deaf = socket.socket(socket.AF_UNIX)
        deaf.connect(str(served.path))
        deaf.sendall(b"{}\n" * 20_000)
        assert "status" in await served.talk(b"{}\n")
        deaf.close()

    served.serve(work)


def test_socket_left_by_a_killed_box_is_taken_over(served: Fixture) -> None:
    served.path.parent.mkdir(parents=True)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(served.path))
    left.close()

    async def work() -> None:
        assert "status" in await served.talk(b"{}\n")

    served.serve(work)


def test_second_box_leaves_the_socket_to_the_first(served: Fixture) -> None:
    async def work() -> None:
        with log_lines() as lines:
            await LocalSocket(served.path).run(served.settings, served.box)
        assert "another Bachbox listens" in lines[0]
        assert "status" in await served.talk(b"{}\n")

    served.serve(work)


def test_path_may_be_longer_than_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 120)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    served = Fixture(local_socket.socket_folder() / local_socket.FILE_NAME)

    async def work() -> None:
        status = await asyncio.to_thread(lambda: next(local_socket.ask(Request())))
        assert status.settings.model == "chorales"

    served.serve(work)


def test_no_running_box_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(local_socket, "SERVICE_FOLDER", tmp_path)
    with pytest.raises(BachboxError, match="no Bachbox is running here; start one with"):
        next(local_socket.ask(Request()))
    assert not local_socket.is_box_running()


def test_stopped_box_is_an_error(served: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_socket, "RESPONSE_TIMEOUT_S", 0.2)
    served.path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(served.path))
        silent.listen()
        with pytest.raises(BachboxError, match="has not answered"):
            next(local_socket.ask(Request()))
        assert local_socket.is_box_running()


def test_impossible_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    served = Fixture(tmp_path / "file" / local_socket.FILE_NAME)
    with pytest.raises(BachboxError, match="the socket cannot be created"):
        asyncio.run(LocalSocket(served.path).run(served.settings, served.box))


def test_status_survives_json(served: Fixture) -> None:
    status = served.box.status()
    assert msgspec.json.decode(msgspec.json.encode(status), type=type(status)) == status
