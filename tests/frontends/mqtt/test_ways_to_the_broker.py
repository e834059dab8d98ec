"""Brokers as people have them: client certificates, WebSockets, a root topic for each user."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from pathlib import Path

import pytest

from appliance.config import loader
from appliance.config.loader import ConfigError
from appliance.errors import BachboxError
from appliance.frontends.mqtt import broker_check
from appliance.frontends.mqtt import client as mqtt_client
from appliance.frontends.mqtt.broker_check import check_broker
from tests.support.broker import broker, certificates, client, free_port
from tests.support.command import bachbox, home, playing


def checked(folder: Path, lines: str) -> str:
    """What `bachbox doctor` says of the broker with ``lines`` in [mqtt]."""
    file = folder / "bachbox.toml"
    file.write_text(f'[mqtt]\nhost = "127.0.0.1"\nid = "kitchen"\n{lines}\n')
    try:
        return check_broker(loader.load(file)[0].mqtt)
    except BachboxError as error:
        return str(error)


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker beside many other programs is slow to answer."""
    monkeypatch.setattr(broker_check, "TIMEOUT_S", 30.0)
    monkeypatch.setattr(mqtt_client, "CONNECT_TIMEOUT_S", 30.0)


def until_listening(port: int) -> None:
    """Wait for the second listener of a broker."""
    deadline = time.monotonic() + 120
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_broker_that_wants_a_client_certificate(tmp_path: Path) -> None:
    ca, certificate, key = certificates(tmp_path)
    (tmp_path / "stranger").mkdir()
    _, strange_certificate, strange_key = certificates(tmp_path / "stranger")
    together = tmp_path / "both.pem"
    together.write_bytes(certificate.read_bytes() + key.read_bytes())
    rules = (
        *(f"cafile {ca}", f"certfile {certificate}", f"keyfile {key}"),
        "require_certificate true",
    )
    with broker(tmp_path, *rules) as server:
        tls = f'port = {server.port}\ntls = true\nca_file = "{ca}"'

        def said(more: str) -> str:
            return checked(tmp_path, f"{tls}\n{more}")

        assert "accepts the connection" in said(f'cert_file = "{certificate}"\nkey_file = "{key}"')
        assert "accepts the connection" in said(f'cert_file = "{together}"')
        # Whether the broker's alert or the end of the connection comes first, is a race.
        assert re.search("wants? a certificate of this box", said(""))
        assert re.search(
            "(does not accept|does it accept) this box's certificate",
            said(f'cert_file = "{strange_certificate}"\nkey_file = "{strange_key}"'),
        )
        for wrong in (
            f'cert_file = "{certificate}"',
            f'cert_file = "{certificate}"\nkey_file = "{strange_key}"',
            f'cert_file = "{tmp_path / "missing.pem"}"',
            f'cert_file = "{tmp_path / "bachbox.toml"}"\nkey_file = "{key}"',
        ):
            assert "have to be PEM files that belong together" in said(wrong)


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
def test_certificates_without_tls_are_named_when_the_file_is_read(tmp_path: Path, key: str) -> None:
    file = tmp_path / "bachbox.toml"
    file.write_text(f'[mqtt]\nhost = "broker"\n{key} = "x.pem"\n')
    said = bachbox("config", "--config", file, env=home(tmp_path))
    said.is_one_sentence(2, f"{file}: [mqtt] {key} has no effect without TLS")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('tls = true\nkey_file = "x.key"', "[mqtt] key_file belongs to a certificate"),
        ('websocket_path = "mqtt"', "[mqtt] websocket_path is mqtt; it must be the path of MQTT"),
        ('root_topic = "users/+/bach"', "[mqtt] root_topic: it has to be a topic without +"),
        ('root_topic = "$SYS"', "[mqtt] root_topic: topics that begin with $"),
        (f'root_topic = "{"x" * 201}"', "[mqtt] root_topic: at most 200 characters"),
        ('root_topic = ""', "[mqtt] root_topic is ''"),
        ('host = "broker:1883"', "[mqtt] host: it has to be the host alone; the port has a key"),
        ('host = "[fd00::1"', "[mqtt] host"),
    ],
)
def test_a_wrong_value_is_named_when_the_file_is_read(line: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        loader.parse(f"[mqtt]\n{line}", Path("bachbox.toml"))
    assert f"bachbox.toml: {sentence}" in str(error.value)
    assert len(error.value.problems) == 1


def test_mqtt_over_websockets(tmp_path: Path) -> None:
    port = free_port()
    with broker(tmp_path, f"listener {port} 127.0.0.1", "protocol websockets") as server:
        until_listening(port)
        path = 'websocket_path = "/mqtt"'
        assert "accepts the connection" in checked(tmp_path, f"port = {port}\n{path}")
        said = checked(tmp_path, f"port = {server.port}\n{path}")
        assert "does not speak MQTT over WebSockets at /mqtt" in said
        assert "is it an MQTT broker" in checked(tmp_path, f"port = {port}")


def test_a_user_with_a_root_of_its_own_over_secure_websockets(tmp_path: Path) -> None:
    """Everything at once, while the music plays: certificate, WebSockets, root topic, ACL."""
    ca, certificate, key = certificates(tmp_path)
    rules = tmp_path / "acl"
    rules.write_text("user 127.0.0.1\ntopic readwrite users/anna/#\n")
    port, env = free_port(), home(tmp_path)
    lines = (
        "per_listener_settings true", "allow_anonymous true",
        f"listener {port} 127.0.0.1", "protocol websockets", f"cafile {ca}",
        f"certfile {certificate}", f"keyfile {key}", "require_certificate true",
        # The user is the name in the certificate, which is that of the broker in this test.
        "use_identity_as_username true", f"acl_file {rules}",
    )  # fmt: skip
    config = tmp_path / "bachbox.toml"
    config.write_text(
        f'[sound]\noutput = "null"\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\nid = "kitchen"\n'
        f'tls = true\nca_file = "{ca}"\ncert_file = "{certificate}"\nkey_file = "{key}"\n'
        'websocket_path = "/mqtt"\nroot_topic = "users/anna/bachbox"\n'
        'discovery_prefix = "users/anna/homeassistant"\n'
    )
    with broker(tmp_path, *lines) as server, client(server.port) as listener:
        until_listening(port)
        base = "users/anna/bachbox/kitchen"
        with playing("--config", config, env=env) as box:
            listener.wait_for(f"{base}/availability", "online")
            listener.wait_for(f"{base}/now_playing", r'.*"piece":[1-9].*')
            listener.publish(f"{base}/tempo/set", "123")
            listener.wait_for(f"{base}/tempo", "123")
            listener.publish("users/anna/bachbox/all/volume/set", "33")
            listener.wait_for(f"{base}/volume", "33")
            topic = "users/anna/homeassistant/number/bachbox_kitchen/tempo/config"
            assert f"{base}/tempo/set" in listener.wait_for(topic)
            assert box.end() == 0
            assert (box.counts()["composer"], box.counts()["performer"]) == (0, 0)
        listener.wait_for(f"{base}/availability", "offline")
        assert {m.topic.split("/")[0] for m in listener.messages} == {"users"}
        assert bachbox("mqtt", "unregister", "--config", config, env=env).code == 0
        listener.wait_for(topic, "")
