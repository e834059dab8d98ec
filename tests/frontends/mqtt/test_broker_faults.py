"""Whatever is wrong with the broker, there is a sentence for it, and it ends when that ends."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.config import loader as configs
from appliance.config.schema import Mqtt
from appliance.errors import BachboxError
from appliance.frontends.mqtt import connection, session, unregister
from appliance.frontends.mqtt.connection import Broker, Link, Message, Throttle
from appliance.frontends.mqtt.mqtt_frontend import MqttFrontend
from appliance.frontends.mqtt.unregister import Forgotten, forget
from appliance.ipc.shared_state import SharedState
from appliance.offline import doctor_checks
from appliance.state.box_status import BoxStatus
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from tests.support.broker import broker, certificates, ear, free_port, program, wire
from tests.support.command import home, playing

OWN = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)

_TIMEOUT_S = 60.0


class Alone:
    """The control without the music: settings, a board that nobody plays from, and the log."""

    def __init__(self, config: Mqtt) -> None:
        self.settings = Settings(RequestedSettings("chorales"), lambda: ["chorales"], lambda _: OWN)
        self.said: list[str] = []
        self.control = MqttFrontend(config)

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have the control run while ``work`` does."""
        asyncio.run(asyncio.wait_for(self._run(work), _TIMEOUT_S))

    async def says(self, part: str, count: int = 1) -> None:
        """Wait for a sentence."""
        deadline = time.monotonic() + _TIMEOUT_S
        while sum(part in line for line in self.said) < count:
            assert time.monotonic() < deadline, (part, self.said)
            await asyncio.sleep(0.02)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        shared = SharedState.create()
        box = BoxStatus(shared, self.settings, lambda: 0, dict, self.said.append)
        task = asyncio.create_task(self.control.run(self.settings, box))
        try:
            await work()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            shared.close()


def mqtt(port: int, **more: object) -> Mqtt:
    plain = {"host": "127.0.0.1", "port": port, "id": "kitchen"}
    return msgspec.convert(plain | more, Mqtt)


def test_a_wrong_password_is_said_once_never_shown_and_the_music_plays(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"

    def let_in(password: str) -> None:
        arguments = ["-b", "-c", str(passwords), "me", password]
        subprocess.run([program("mosquitto_passwd"), *arguments], check=True)
        passwords.chmod(0o644)

    let_in("another")
    env = home(tmp_path) | {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    (tmp_path / "mqtt-password").write_text("hunter2\n")
    rules = ("allow_anonymous false", f"password_file {passwords}")
    with broker(tmp_path, *rules) as server:
        config = tmp_path / "bachbox.toml"
        config.write_text(
            '[sound]\noutput = "null"\n[mqtt]\nhost = "127.0.0.1"\nusername = "me"\n'
            f"port = {server.port}\n"
        )
        with playing("--config", config, env=env) as box:
            box.wait_for("mqtt: the broker at .* does not let us in .*username and password_file")
            box.wait_for("piece 1 in")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
                [found] = doctor_checks._broker(configs.load(config)[0])
            assert found.health is doctor_checks.Health.BAD
            assert "password_file right?" in found.detail
            let_in("hunter2")
            server.kill()
            server.start()
            box.wait_for("mqtt: connected to the broker")
            assert len([line for line in box.lines if "does not let us in" in line]) == 1
            assert box.end() == 0
            assert box.counts()["xruns"] == 0
        assert "hunter2" not in "\n".join(box.lines) + str(found) + server.log


def test_an_expired_certificate_is_not_accepted_and_a_new_one_is(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    ca, certificate, key = certificates(tmp_path / "old", expired=True)
    rules = (f"cafile {ca}", f"certfile {certificate}", f"keyfile {key}")
    env = home(tmp_path)
    with broker(tmp_path, *rules) as server:
        config = tmp_path / "bachbox.toml"
        config.write_text(
            '[sound]\noutput = "null"\n[mqtt]\nhost = "127.0.0.1"\ntls = true\n'
            f'port = {server.port}\nca_file = "ca.pem"\n'
        )
        shutil.copy(ca, tmp_path / "ca.pem")
        with playing("--config", config, env=env) as box:
            box.wait_for("mqtt: the certificate of the broker at .*certificate has expired")
            box.wait_for("piece 1 in")
            certificates(tmp_path / "old", renew=True)
            server.kill()
            server.start()
            box.wait_for("mqtt: connected to the broker")
            assert box.end() == 0
            assert box.counts()["xruns"] == 0


def test_ca_file_is_looked_at_when_it_starts(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name, part in [("ca.pem", "cannot read certificates"), ("missing.pem", "no such file")]:
        alone = Alone(mqtt(1, tls=True, ca_file=tmp_path / name))

        async def run(alone: Alone = alone) -> None:
            box = BoxStatus(
                SharedState.create(), alone.settings, lambda: 0, dict, alone.said.append
            )
            await alone.control.run(alone.settings, box)

        with pytest.raises(BachboxError, match=part):
            asyncio.run(run())


@pytest.mark.parametrize(
    ("served", "config", "sentence"),
    [
        ("nobody", {}, "nobody listens at 127.0.0.1"),
        ("plain", {"tls": True}, "does not speak TLS"),
        ("tls", {}, "hangs up without a greeting: is it an MQTT broker, and does it want TLS"),
        ("tls", {"tls": True}, "certificate of the broker at 127.0.0.1"),
        ("plain", {"host": "no.such.host.invalid"}, "no.such.host.invalid is not known here"),
        ("plain", {"host": "x" * 70}, "is not known here"),
    ],
)
def test_each_trouble_has_its_sentence(
    tmp_path: Path, served: str, config: dict[str, object], sentence: str
) -> None:
    rules: tuple[str, ...] = ()
    if served == "tls":
        ca, certificate, key = certificates(tmp_path)
        rules = (f"cafile {ca}", f"certfile {certificate}", f"keyfile {key}")
    with contextlib.ExitStack() as stack:
        port = (
            free_port()
            if served == "nobody"
            else stack.enter_context(broker(tmp_path, *rules)).port
        )
        alone = Alone(mqtt(port, **config))
        alone.run(lambda: alone.says(sentence))
        assert sum("trying again" in line for line in alone.said) == 1


def test_a_cable_that_is_pulled_out_is_noticed_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_S", 2)
    with broker(tmp_path) as server, wire(server.port) as line, ear(server.port) as listener:
        alone = Alone(mqtt(line.port))

        async def work() -> None:
            await asyncio.to_thread(listener.wait_for, "bachbox/kitchen/availability", "online")
            since = len(listener.heard)
            line.hold()
            alone.settings.change("tempo", 99)
            # Nobody hangs up, so both sides must find out: the broker by the last will.
            await asyncio.to_thread(
                listener.wait_for, "bachbox/kitchen/availability", "offline", since
            )
            await alone.says("is gone")
            line.mend()
            await asyncio.to_thread(
                listener.wait_for, "bachbox/kitchen/availability", "online", since
            )
            assert listener.last("bachbox/kitchen/tempo") == "99"

        alone.run(work)


def test_two_boxes_with_one_id_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with broker(tmp_path) as server:
        first, second = Alone(mqtt(server.port)), Alone(mqtt(server.port))

        async def both() -> None:
            await first.says("connected")
            rival = asyncio.create_task(second._run(asyncio.Event().wait))  # type: ignore[arg-type]
            try:
                await first.says("does another box have the same [mqtt] id")
            finally:
                rival.cancel()
                await asyncio.gather(rival, return_exceptions=True)

        first.run(both)
        assert len(first.said) < 6


@contextlib.contextmanager
def talker(greeting: bytes) -> Iterator[int]:
    """Somebody on the port who says ``greeting`` and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    one, _ = server.accept()
                    kept.append(one)
                    one.sendall(greeting)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        for one in kept:
            one.close()


@pytest.mark.parametrize("greeting", [b"\x90\x02\x00", b"SSH-2.0-OpenSSH\r\n", b"\xff" * 64, b""])
def test_somebody_else_on_the_port_is_survived(
    monkeypatch: pytest.MonkeyPatch, greeting: bytes
) -> None:
    monkeypatch.setattr(connection, "RETRY_MAX_S", 1)
    with talker(greeting) as port:
        alone = Alone(mqtt(port))

        async def work() -> None:
            await asyncio.sleep(0.5)
            alone.settings.change("tempo", 99)

        alone.run(work)
        assert not any("connected" in line for line in alone.said)


def test_bytes_that_are_no_mqtt_do_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RETRY_MAX_S", 1)
    raised = threading.Event()
    handle = connection._Client.loop_misc

    def once(client: object) -> object:
        if not raised.is_set():
            raised.set()
            raise IndexError("broken packet")
        return handle(client)  # type: ignore[arg-type]

    monkeypatch.setattr(connection._Client, "loop_misc", once)
    with broker(tmp_path) as server:
        alone = Alone(mqtt(server.port))

        async def work() -> None:
            await alone.says("talks nonsense")
            await alone.says("connected")

        alone.run(work)


@pytest.mark.parametrize("discovery", ["entities", "device", "off"])
def test_it_is_announced_as_configured_and_forgotten_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, discovery: str
) -> None:
    monkeypatch.setattr(unregister, "REMOVAL_S", 0.1)
    with broker(tmp_path) as server, ear(server.port) as listener:
        config = mqtt(server.port, discovery=discovery, discovery_prefix="ha/here")
        alone = Alone(config)

        async def work() -> None:
            await asyncio.to_thread(listener.wait_for, "bachbox/kitchen/availability", "online")
            await asyncio.sleep(2 * session.SETTLE_S)

        alone.run(work)
        announced = {h.topic for h in listener.heard if h.topic.startswith("ha/here/")}
        assert len(announced) == {"entities": 18, "device": 1, "off": 0}[discovery]
        assert forget(config) == Forgotten("kitchen", len(announced) + 13, still_running=False)
        with ear(server.port) as late:
            time.sleep(0.3)
            assert not [h for h in late.heard if h.retained]


def test_a_new_model_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "HEALTH_S", 0.5)
    monkeypatch.setattr(session, "ANNOUNCE_S", 0.1)
    models = ["chorales"]
    with broker(tmp_path) as server, ear(server.port) as listener:
        alone = Alone(mqtt(server.port))
        alone.settings = Settings(RequestedSettings("chorales"), lambda: models, lambda _: OWN)
        topic = "homeassistant/select/bachbox_kitchen/model/config"

        async def work() -> None:
            await asyncio.to_thread(listener.wait_for, topic, r'.*"options": \["chorales"\].*')
            models.append("fugues")
            await asyncio.to_thread(listener.wait_for, topic, r'.*\["chorales", "fugues"\].*')

        alone.run(work)


def test_what_cannot_be_forgotten_is_said(tmp_path: Path) -> None:
    with pytest.raises(BachboxError, match="nobody listens"):
        forget(mqtt(free_port()))
    (tmp_path / "passwords").touch()
    rules = ("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    with broker(tmp_path, *rules) as server, pytest.raises(BachboxError, match="not let us in"):
        forget(mqtt(server.port))


def test_what_waits_is_one_message_a_slot_in_the_order_of_the_last(tmp_path: Path) -> None:
    got: list[list[Message]] = []

    async def run() -> None:
        link = Link(
            Broker("127.0.0.1", 1, "x"), ("a", "b"), [], str, lambda: None, got.append, print
        )

        class Came:
            def __init__(self, topic: str, payload: bytes, retain: bool = False) -> None:
                self.topic, self.payload, self.retain = topic, payload, retain

        def flood() -> None:
            for number in range(1000):
                link._received(None, None, Came("tempo", b"%d" % number))  # type: ignore[arg-type]
                link._received(None, None, Came("volume", b"%d" % number))  # type: ignore[arg-type]
            link._received(None, None, Came("tempo", b"last"))  # type: ignore[arg-type]
            link._received(None, None, Came("tempo", b"old", retain=True))  # type: ignore[arg-type]

        # In the loop's own thread, so that nothing is handed over meanwhile.
        flood()
        await asyncio.sleep(0.1)

    asyncio.run(run())
    assert got == [[Message("volume", b"999", False), Message("tempo", b"last", False)]]


def test_a_throttle_works_at_once_then_seldom_and_always_in_the_end() -> None:
    done: list[int] = []
    wish = 0

    async def run() -> None:
        nonlocal wish
        throttle = Throttle(0.05, lambda: done.append(wish))
        for number in range(1, 101):
            wish = number
            throttle.ask()
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)

    asyncio.run(run())
    assert done[0] == 1
    assert done[-1] == 100
    assert len(done) < 50
