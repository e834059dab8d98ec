"""Faults of the broker and the network: each is reported in a sentence, and recovered from."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.config import loader
from appliance.config.schema import Mqtt
from appliance.errors import BachboxError
from appliance.frontends.mqtt import broker_check, connection, mqtt_frontend, unregister
from appliance.frontends.mqtt import client as mqtt_client
from appliance.frontends.mqtt.broker_check import check_broker
from appliance.frontends.mqtt.client import Broker, MqttClient
from appliance.frontends.mqtt.connection import Connection, Message
from appliance.frontends.mqtt.mqtt_frontend import MqttFrontend
from appliance.frontends.mqtt.throttle import Throttle
from appliance.frontends.mqtt.topics import Topics
from appliance.frontends.mqtt.unregister import Unregistered
from appliance.ipc.shared_state import SharedState
from appliance.state.box_status import BoxStatus
from appliance.state.settings import NAMES, Action, ModelDefaults, RequestedSettings, Settings
from tests.support.broker import broker, certificates, client, free_port, program, proxy
from tests.support.command import home, playing
from tests.support.log_lines import log_lines

ENTITIES = len(NAMES) + len(Action) + 12
"""With sensors, events, a picture, and device triggers."""

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)

_TIMEOUT_S = 120.0


class FrontendAlone:
    """The MQTT frontend without any music, with its settings and its log."""

    def __init__(self, config: Mqtt) -> None:
        self.settings = Settings(
            RequestedSettings(model="chorales"), lambda: ["chorales"], lambda _: DEFAULTS
        )
        self.frontend = MqttFrontend(config)

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run the frontend while ``work`` runs."""
        with log_lines() as self.log:
            asyncio.run(asyncio.wait_for(self._run(work), _TIMEOUT_S))

    async def wait_for_log(self, part: str, count: int = 1) -> None:
        """Wait until ``count`` log lines contain ``part``."""
        deadline = time.monotonic() + _TIMEOUT_S
        while sum(part in line for line in self.log) < count:
            assert time.monotonic() < deadline, (part, self.log)
            await asyncio.sleep(0.02)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        shared = SharedState.create()
        box = BoxStatus(shared, self.settings, lambda: 0, dict)
        task = asyncio.create_task(self.frontend.run(self.settings, box))
        try:
            await work()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            shared.close()


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker beside many other programs is slow to answer."""
    monkeypatch.setattr(broker_check, "TIMEOUT_S", 30.0)
    monkeypatch.setattr(unregister, "TIMEOUT_S", 30.0)
    monkeypatch.setattr(unregister, "QUIET_S", 1.5)
    monkeypatch.setattr(mqtt_client, "CONNECT_TIMEOUT_S", 30.0)


def mqtt(port: int, **more: object) -> Mqtt:
    plain = {"host": "127.0.0.1", "port": port, "id": "kitchen"}
    return msgspec.convert(plain | more, Mqtt)


def test_a_wrong_password_is_logged_once_and_never_shown_while_the_music_plays(
    tmp_path: Path,
) -> None:
    passwords = tmp_path / "passwords"

    def set_password(password: str) -> None:
        arguments = ["-b", "-c", str(passwords), "me", password]
        subprocess.run([program("mosquitto_passwd"), *arguments], check=True)
        passwords.chmod(0o644)

    set_password("another")
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
            box.wait_for("mqtt: the broker at .* refuses the login .*username and password_file")
            box.wait_for("Chorale in")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
                with pytest.raises(BachboxError, match=r"password_file right\?") as error:
                    check_broker(loader.load(config)[0].mqtt)
            set_password("hunter2")
            server.kill()
            server.start()
            box.wait_for("mqtt: connected to the broker")
            assert len([line for line in box.lines if "refuses the login" in line]) == 1
            assert box.end() == 0
            assert box.counts()["performer"] == 0
        assert "hunter2" not in "\n".join(box.lines) + str(error.value) + server.log


def test_an_expired_certificate_is_refused_and_a_renewed_one_accepted(tmp_path: Path) -> None:
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
            box.wait_for("Chorale in")
            certificates(tmp_path / "old", renew=True)
            server.kill()
            server.start()
            box.wait_for("mqtt: connected to the broker")
            assert box.end() == 0
            assert box.counts()["performer"] == 0


def test_ca_file_is_checked_at_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name, part in [("ca.pem", "cannot read certificates"), ("missing.pem", "no such file")]:
        alone = FrontendAlone(mqtt(1, tls=True, ca_file=tmp_path / name))

        async def run(alone: FrontendAlone = alone) -> None:
            box = BoxStatus(SharedState.create(), alone.settings, lambda: 0, dict)
            await alone.frontend.run(alone.settings, box)

        with pytest.raises(BachboxError, match=part):
            asyncio.run(run())


@pytest.mark.parametrize(
    ("served", "config", "sentence"),
    [
        ("closed port", {}, "refuses the connection: is the broker running"),
        ("plain", {"tls": True}, "does not speak TLS"),
        (
            "tls",
            {},
            "closes the connection without an answer: is it an MQTT broker, and does it expect TLS",
        ),
        ("tls", {"tls": True}, "certificate of the broker at 127.0.0.1"),
        ("plain", {"host": "no.such.host.invalid"}, "no.such.host.invalid cannot be resolved"),
        ("plain", {"host": "x" * 70}, "cannot be resolved"),
    ],
)
def test_connection_failures_have_a_sentence_each(
    tmp_path: Path, served: str, config: dict[str, object], sentence: str
) -> None:
    rules: tuple[str, ...] = ()
    if served == "tls":
        ca, certificate, key = certificates(tmp_path)
        rules = (f"cafile {ca}", f"certfile {certificate}", f"keyfile {key}")
    with contextlib.ExitStack() as stack:
        port = (
            free_port()
            if served == "closed port"
            else stack.enter_context(broker(tmp_path, *rules)).port
        )
        alone = FrontendAlone(mqtt(port, **config))
        alone.run(lambda: alone.wait_for_log(sentence))
        assert sum("retrying in the background" in line for line in alone.log) == 1


def test_a_stalled_network_is_noticed_and_recovered_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_S", 2)
    with broker(tmp_path) as server, proxy(server.port) as network, client(server.port) as listener:
        alone = FrontendAlone(mqtt(network.port))

        async def work() -> None:
            await asyncio.to_thread(listener.wait_for, "bachbox/kitchen/availability", "online")
            since = len(listener.messages)
            network.stall()
            alone.settings.change("tempo", 99)
            # No connection is closed: both sides must notice, the broker then sends the last will.
            await asyncio.to_thread(
                listener.wait_for, "bachbox/kitchen/availability", "offline", since
            )
            await alone.wait_for_log("is lost")
            network.restore()
            await asyncio.to_thread(
                listener.wait_for, "bachbox/kitchen/availability", "online", since
            )
            await asyncio.to_thread(listener.wait_for, "bachbox/kitchen/tempo", "99", since)

        alone.run(work)


def test_two_boxes_with_one_id_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broker(tmp_path) as server:
        first, second = FrontendAlone(mqtt(server.port)), FrontendAlone(mqtt(server.port))

        async def both() -> None:
            await first.wait_for_log("connected")
            rival = asyncio.create_task(second._run(asyncio.Event().wait))  # type: ignore[arg-type]
            try:
                await first.wait_for_log("does another box have the same [mqtt] id")
            finally:
                rival.cancel()
                await asyncio.gather(rival, return_exceptions=True)

        first.run(both)
        assert len(first.log) < 6


@contextlib.contextmanager
def impostor(greeting: bytes) -> Iterator[int]:
    """Serve a port that sends ``greeting`` and then nothing."""
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
def test_another_server_on_the_port_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, greeting: bytes
) -> None:
    monkeypatch.setattr(mqtt_client, "RETRY_MAX_S", 1)
    monkeypatch.setattr(connection, "RETRY_MAX_S", 1)
    with impostor(greeting) as port:
        alone = FrontendAlone(mqtt(port))

        async def work() -> None:
            await asyncio.sleep(0.5)
            alone.settings.change("tempo", 99)

        alone.run(work)
        assert not any("connected" in line for line in alone.log)


def test_invalid_mqtt_data_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_client, "RETRY_MAX_S", 1)
    monkeypatch.setattr(connection, "RETRY_MAX_S", 1)
    raised = threading.Event()
    handle = MqttClient.loop_misc

    def once(client: object) -> object:
        if not raised.is_set():
            raised.set()
            raise IndexError("broken packet")
        return handle(client)  # type: ignore[arg-type]

    monkeypatch.setattr(MqttClient, "loop_misc", once)
    with broker(tmp_path) as server:
        alone = FrontendAlone(mqtt(server.port))

        async def work() -> None:
            await alone.wait_for_log("sent invalid data")
            await alone.wait_for_log("connected")

        alone.run(work)


@pytest.mark.parametrize("discovery", ["entities", "device", "off"])
def test_discovery_payloads_are_published_as_configured_and_removed_by_unregister(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, discovery: str
) -> None:
    monkeypatch.setattr(unregister, "REMOVAL_S", 0.1)
    expected = {"entities": ENTITIES, "device": 1, "off": 0}[discovery]
    with broker(tmp_path) as server, client(server.port) as listener:
        config = mqtt(server.port, discovery=discovery, discovery_prefix="ha/here")
        alone = FrontendAlone(config)

        def announced() -> set[str]:
            return {h.topic for h in list(listener.messages) if h.topic.startswith("ha/here/")}

        async def work() -> None:
            await asyncio.to_thread(listener.wait_for, "bachbox/kitchen/availability", "online")
            while len(announced()) < expected:
                await asyncio.sleep(0.02)
            # Time for one too many.
            await asyncio.sleep(2 * mqtt_frontend.DISCOVERY_DELAY_S)

        alone.run(work)
        assert len(announced()) == expected
        # Besides the settings: availability, health and what plays.
        states = len(NAMES) + 3
        assert unregister.unregister(config) == Unregistered(
            "kitchen", expected + states, still_running=False
        )
        with client(server.port) as late:
            time.sleep(0.3)
            assert not [h for h in late.messages if h.retained]


def test_a_new_model_updates_the_discovery_payload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_frontend, "HEALTH_INTERVAL_S", 0.5)
    monkeypatch.setattr(mqtt_frontend, "DISCOVERY_INTERVAL_S", 0.1)
    models = ["chorales"]
    with broker(tmp_path) as server, client(server.port) as listener:
        alone = FrontendAlone(mqtt(server.port))
        alone.settings = Settings(
            RequestedSettings(model="chorales"), lambda: models, lambda _: DEFAULTS
        )
        topic = "homeassistant/select/bachbox_kitchen/model/config"

        async def work() -> None:
            await asyncio.to_thread(listener.wait_for, topic, r'.*"options": \["chorales"\].*')
            models.append("fugues")
            await asyncio.to_thread(listener.wait_for, topic, r'.*\["chorales", "fugues"\].*')

        alone.run(work)


def test_a_sound_card_that_comes_or_goes_updates_the_discovery_payload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_frontend, "HEALTH_INTERVAL_S", 0.5)
    monkeypatch.setattr(mqtt_frontend, "DISCOVERY_INTERVAL_S", 0.1)
    cards = ["Headphones"]
    with broker(tmp_path) as server, client(server.port) as listener:
        alone = FrontendAlone(mqtt(server.port))
        alone.settings.add_names("output", lambda: ["default", *cards])
        topic = "homeassistant/select/bachbox_kitchen/output/config"

        async def work() -> None:
            for plugged_in in (["Headphones"], ["Headphones", "USB"], ["USB"]):
                cards[:] = plugged_in
                options = re.escape(json.dumps(["default", *plugged_in]))
                await asyncio.to_thread(listener.wait_for, topic, f'.*"options": {options}.*')

        alone.run(work)


def test_a_broker_with_an_ipv6_address(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "bachbox.toml"
    with broker(tmp_path, f"listener {port} ::1"):
        for host in ("[::1]", "::1"):
            file.write_text(f'mqtt.host = "{host}"\nmqtt.port = {port}\n')
            assert f"[::1]:{port} accepts" in check_broker(loader.load(file)[0].mqtt)


def test_unregister_reports_why_it_failed(tmp_path: Path) -> None:
    with pytest.raises(BachboxError, match="refuses the connection"):
        unregister.unregister(mqtt(free_port()))
    (tmp_path / "passwords").touch()
    rules = ("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    with broker(tmp_path, *rules) as server, pytest.raises(BachboxError, match="refuses the login"):
        unregister.unregister(mqtt(server.port))


def test_inbox_keeps_the_last_message_of_each_key_and_the_steps_after_it() -> None:
    got: list[list[Message]] = []

    class Received:
        def __init__(self, name: str, payload: bytes, retain: bool = False) -> None:
            self.topic, self.payload, self.retain = f"bachbox/a/{name}/set", payload, retain

    async def run() -> None:
        connection = Connection(
            *(Broker("127.0.0.1", 1, "x"), ("a", "b"), [], Topics("a").address),
            *(lambda: None, got.append),
        )

        def receive(name: str, payload: bytes, retain: bool = False) -> None:
            connection._received(None, None, Received(name, payload, retain))  # type: ignore[arg-type]

        # In the loop's own thread, so that nothing is delivered in between.
        for number in range(1000):
            receive("tempo", b"%d" % number)
            receive("volume", b"%d" % number)
        receive("tempo", b"last")
        receive("tempo", b"old", retain=True)
        for _ in range(3):
            receive("tempo", b"+1")
        await asyncio.sleep(0.1)

    asyncio.run(run())
    assert got == [
        [
            Message("volume", "bachbox/a/volume/set", b"999", False),
            Message("tempo", "bachbox/a/tempo/set", b"last", False),
            *[Message("tempo", "bachbox/a/tempo/set", b"+1", False)] * 3,
        ]
    ]


def test_throttle_runs_at_once_then_rarely_and_after_the_last_request() -> None:
    interval_s = 0.05
    done: list[int] = []
    value = 0

    async def run() -> float:
        nonlocal value
        started_s = asyncio.get_running_loop().time()
        throttle = Throttle(interval_s, lambda: done.append(value))
        for number in range(1, 101):
            value = number
            throttle.request()
            await asyncio.sleep(0.001)
        while done[-1] < 100:
            await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time() - started_s

    took_s = asyncio.run(asyncio.wait_for(run(), _TIMEOUT_S))
    assert done[0] == 1
    assert done[-1] == 100
    # As many as fit into the time that it took, which a busy machine makes longer.
    assert len(done) <= took_s / interval_s + 1
