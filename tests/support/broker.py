"""A real mosquitto for tests, an ear on it, and a network between that can be cut."""

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

_TIMEOUT_S = 30.0


class Broker:
    """A mosquitto on a port of the loopback that was free; it keeps nothing over a restart."""

    def __init__(self, folder: Path, *config: str) -> None:
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        listener = f"listener {self.port} 127.0.0.1"
        lines = [listener, *config, "persistence false", "log_type all"]
        if not any(line.startswith("allow_anonymous") for line in config):
            lines.append("allow_anonymous true")
        if os.geteuid() == 0:
            # Otherwise it becomes a user who may not read the test's folder.
            lines.append("user root")
        self._file.write_text("\n".join([*lines, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """It listens when this returns."""
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
        """It is gone, without a goodbye to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def log(self) -> str:
        """What it logged."""
        return self._log.read_text()


@contextlib.contextmanager
def broker(folder: Path, *config: str) -> Iterator[Broker]:
    """A broker that runs, with more lines of ``config``."""
    one = Broker(folder, *config)
    one.start()
    try:
        yield one
    finally:
        one.kill()


class Heard(NamedTuple):
    """A message that came."""

    topic: str
    payload: str
    retained: bool


class Ear:
    """Hears all on the broker, and can speak."""

    def __init__(self, port: int, user: str = "", password: str = "") -> None:
        self.heard: list[Heard] = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        if user:
            self.client.username_pw_set(user, password)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe("#")
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = self._hear
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._subscribed.wait(_TIMEOUT_S)

    def say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(_TIMEOUT_S)

    def last(self, topic: str) -> str | None:
        """The newest payload of ``topic``."""
        with self._news:
            return next((h.payload for h in reversed(self.heard) if h.topic == topic), None)

    def all(self, topic: str) -> list[str]:
        """Every payload of ``topic``, the oldest first."""
        with self._news:
            return [h.payload for h in self.heard if h.topic == topic]

    def forget(self) -> None:
        """As if nothing had been heard."""
        with self._news:
            self.heard.clear()

    def wait_for(self, topic: str, pattern: str = "", since: int = 0) -> str:
        """The first payload of ``topic`` that matches whole, of those after ``since``."""
        deadline = time.monotonic() + _TIMEOUT_S
        with self._news:
            while True:
                for h in self.heard[since:]:
                    if h.topic == topic and re.fullmatch(pattern or ".*", h.payload, re.DOTALL):
                        return h.payload
                left = deadline - time.monotonic()
                said = [h for h in self.heard[since:] if h.topic == topic]
                assert left > 0, (topic, pattern, said)
                self._news.wait(left)

    def json(self, topic: str) -> dict[str, Any]:
        """The newest payload, parsed."""
        return dict(json.loads(self.wait_for(topic) and (self.last(topic) or "")))

    def close(self) -> None:
        """Hear no more."""
        self.client.disconnect()
        self.client.loop_stop()

    def _hear(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        text = bytes(message.payload).decode(errors="replace")
        with self._news:
            self.heard.append(Heard(message.topic, text, message.retain))
            self._news.notify_all()


@contextlib.contextmanager
def ear(port: int, user: str = "", password: str = "") -> Iterator[Ear]:
    """An ear for as long as the context."""
    one = Ear(port, user, password)
    try:
        yield one
    finally:
        one.close()


class Wire:
    """A way to ``port`` through :attr:`port`, that can be cut or can swallow everything."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._whole = threading.Event()
        self._whole.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """From now on nothing comes through, and nobody is told: a cable pulled out."""
        self._whole.clear()

    def cut(self) -> None:
        """Every connection is reset."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def mend(self) -> None:
        """As before, for new connections; those that were held are reset."""
        self.cut()
        self._whole.set()

    def close(self) -> None:
        """For good."""
        self._listener.close()
        self.cut()

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
                    threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def _carry(self, a: socket.socket, b: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                if not self._whole.is_set():
                    return
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def wire(port: int) -> Iterator[Wire]:
    """A wire to ``port`` for as long as the context."""
    one = Wire(port)
    try:
        yield one
    finally:
        one.close()


def certificates(
    folder: Path, *, expired: bool = False, renew: bool = False
) -> tuple[Path, Path, Path]:
    """A CA's certificate, and certificate and key of 127.0.0.1 signed by it; PEM files.

    To ``renew`` takes the CA that the folder has, and makes the others anew.
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
    """A port of the loopback that nobody listens at just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def program(name: str) -> str:
    """Where the program is; Debian keeps mosquitto where only root looks."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed: run `make test`, which installs it")
    return found
