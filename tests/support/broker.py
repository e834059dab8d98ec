"""A real mosquitto for tests, a client for it, and a TCP proxy that can break connections."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from appliance.frontends.mqtt.client import stop

_TIMEOUT_S = 120.0


class Broker:
    """A mosquitto on a free port of the loopback; it keeps nothing over a restart."""

    def __init__(self, folder: Path, *config: str) -> None:
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        listener = f"listener {self.port} 127.0.0.1"
        lines = [listener, *config, "persistence false", "log_type all"]
        if not any(line.startswith("allow_anonymous") for line in config):
            lines.append("allow_anonymous true")
        if os.geteuid() == 0:
            # Otherwise it switches to a user who may not read the folder of the test.
            lines.append("user root")
        self._file.write_text("\n".join([*lines, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("mosquitto"), "-c", str(self._file)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it, without closing its connections properly."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def log(self) -> str:
        """Everything it has logged."""
        return self._log.read_text()


@contextlib.contextmanager
def broker(folder: Path, *config: str) -> Iterator[Broker]:
    """Run a broker with the additional lines ``config`` for the duration of the context."""
    one = Broker(folder, *config)
    one.start()
    try:
        yield one
    finally:
        one.kill()


class ReceivedMessage(NamedTuple):
    """A message from the broker."""

    topic: str
    payload: str
    retained: bool


class TestClient:
    """Subscribes to everything on the broker, and publishes."""

    __test__ = False

    def __init__(self, port: int, user: str = "", password: str = "") -> None:
        self.messages: list[ReceivedMessage] = []
        self._new_message = threading.Condition()
        self._subscribed = threading.Event()
        self.paho = Client(CallbackAPIVersion.VERSION2)
        if user:
            self.paho.username_pw_set(user, password)
        self.paho.reconnect_delay_set(1, 1)
        self.paho.on_connect = lambda client, *_: client.subscribe("#")
        self.paho.on_subscribe = lambda *_: self._subscribed.set()
        self.paho.on_message = self._received
        self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()
        assert self._subscribed.wait(_TIMEOUT_S)

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publish, and wait until the broker has the message."""
        self.paho.publish(topic, payload, qos=1, retain=retain).wait_for_publish(_TIMEOUT_S)

    def last(self, topic: str) -> str | None:
        """Return the newest payload of ``topic``."""
        with self._new_message:
            return next((h.payload for h in reversed(self.messages) if h.topic == topic), None)

    def all(self, topic: str) -> list[str]:
        """Return every payload of ``topic``, the oldest first."""
        with self._new_message:
            return [h.payload for h in self.messages if h.topic == topic]

    def clear(self) -> None:
        """Drop all messages received so far."""
        with self._new_message:
            self.messages.clear()

    def wait_for(self, topic: str, pattern: str = "", since: int = 0) -> str:
        """Wait for the first payload of ``topic`` that matches ``pattern`` as a whole; return it.

        Messages before number ``since`` do not count.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        with self._new_message:
            while True:
                for h in self.messages[since:]:
                    if h.topic == topic and re.fullmatch(pattern or ".*", h.payload, re.DOTALL):
                        return h.payload
                left = deadline - time.monotonic()
                seen = [h for h in self.messages[since:] if h.topic == topic]
                assert left > 0, (topic, pattern, seen)
                self._new_message.wait(left)

    def json(self, topic: str) -> dict[str, Any]:
        """Return the newest payload, parsed as a JSON object."""
        return dict(json.loads(self.wait_for(topic) and (self.last(topic) or "")))

    def close(self) -> None:
        """Disconnect."""
        stop(self.paho)

    def _received(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        text = bytes(message.payload).decode(errors="replace")
        with self._new_message:
            self.messages.append(ReceivedMessage(message.topic, text, message.retain))
            self._new_message.notify_all()


@contextlib.contextmanager
def client(port: int, user: str = "", password: str = "") -> Iterator[TestClient]:
    """Connect a client for the duration of the context."""
    one = TestClient(port, user, password)
    try:
        yield one
    finally:
        one.close()


class TcpProxy:
    """Forwards connections on :attr:`port` to ``port``; can reset or stall them."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._forwarding = threading.Event()
        self._forwarding.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Forward nothing from now on, without closing anything, like a cable pulled out."""
        self._forwarding.clear()

    def reset(self) -> None:
        """Reset every connection."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def restore(self) -> None:
        """Forward again; the connections that were stalled are reset."""
        self.reset()
        self._forwarding.set()

    def close(self) -> None:
        """Stop for good."""
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    near.close()
                    continue
                self._pairs.append((near, far))
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    def _copy(self, a: socket.socket, b: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                if not self._forwarding.is_set():
                    return
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy(port: int) -> Iterator[TcpProxy]:
    """Forward to ``port`` for the duration of the context."""
    one = TcpProxy(port)
    try:
        yield one
    finally:
        one.close()


def certificates(
    folder: Path, *, expired: bool = False, renew: bool = False
) -> tuple[Path, Path, Path]:
    """Return a CA certificate, and a certificate and key for 127.0.0.1 signed by it; PEM files.

    With ``renew``, the CA in the folder stays, and the other two are made again.
    """
    files = folder / "ca.pem", folder / "broker.pem", folder / "broker.key"
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    root_key_file = folder / "ca.key"
    if renew:
        root_key = serialization.load_pem_private_key(root_key_file.read_bytes(), None)
        assert isinstance(root_key, ec.EllipticCurvePrivateKey)
    else:
        root_key = ec.generate_private_key(ec.SECP256R1())
        root_key_file.write_bytes(_private(root_key))
    root = _dated(_builder("A CA of tests", root_key), now - 10 * day, now + 10 * day)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    key = ec.generate_private_key(ec.SECP256R1())
    begins, ends = (now - 9 * day, now - day) if expired else (now - day, now + 9 * day)
    leaf = _dated(_builder("127.0.0.1", key), begins, ends)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    leaf = leaf.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    if not renew:
        files[0].write_bytes(root.sign(root_key, hashes.SHA256()).public_bytes(_PEM))
    files[1].write_bytes(leaf.sign(root_key, hashes.SHA256()).public_bytes(_PEM))
    files[2].write_bytes(_private(key))
    return files


_PEM = serialization.Encoding.PEM


def _builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder().subject_name(name(subject)).public_key(key.public_key())
    return builder.issuer_name(name("A CA of tests"))


def _dated(
    builder: x509.CertificateBuilder, begins: datetime.datetime, ends: datetime.datetime
) -> x509.CertificateBuilder:
    numbered = builder.serial_number(x509.random_serial_number())
    return numbered.not_valid_before(begins).not_valid_after(ends)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def free_port() -> int:
    """Return a port of the loopback on which nothing listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def program(name: str) -> str:
    """Return the path of a program; Debian has mosquitto outside the PATH of ordinary users."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed: run `make test`, which installs it")
    return found
