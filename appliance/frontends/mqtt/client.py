"""MQTT clients: connection settings, errors as sentences, and short-lived connections."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from appliance.config.addresses import host_port
from appliance.config.loader import password
from appliance.config.schema import Mqtt
from appliance.errors import BachboxError
from appliance.frontends.mqtt.messages import box_id

CONNECT_TIMEOUT_S: Final = 5.0
"""How long the TCP connection to the broker may take."""

RETRY_MAX_S: Final = 60
"""The longest pause between two attempts to connect."""


@dataclass(frozen=True)
class Broker:
    """Where the broker is, and how to log in."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: Path | None = None
    """CA certificates (PEM) that sign the broker's; None: those that the system trusts."""

    @property
    def address(self) -> str:
        """``host:port``, for messages."""
        return host_port(self.host, self.port)


def broker_of(config: Mqtt) -> Broker:
    """Return the broker that ``config`` names.

    Raises:
        BachboxError: the password file cannot be read.
    """
    return Broker(
        host=config.host,
        port=config.port,
        client_id=f"bachbox-{box_id(config.id)}",
        username=config.username,
        password=password(config),
        tls=config.tls,
        ca_file=config.ca_file,
    )


class MqttClient(Client):
    """paho's client, which reports why a connection failed and whose thread does not die.

    ``on_failure`` is called with a sentence, in paho's thread.
    """

    def __init__(self, broker: Broker, on_failure: Callable[[str], None]) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            broker.client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self._broker = broker
        self._on_failure = on_failure
        self.unanswered = True
        """The broker has not answered yet on this connection."""

    def reconnect(self) -> Any:
        """Connect again, as paho does, and report why it failed.

        Raises:
            OSError: the connection failed, or the host name is invalid.
        """
        self.unanswered = True
        try:
            return super().reconnect()
        except (OSError, ValueError) as error:
            self._on_failure(connection_error(self._broker, error))
            # paho expects an OSError; a ValueError (an invalid host name) would end its thread.
            raise OSError(str(error)) from error

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> Any:
        """Run paho's loop, and again after invalid data from the broker, until it is stopped."""
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception as error:
                # Bytes that are not MQTT raise whatever they break inside paho.
                self._on_failure(
                    f"{self._broker.address} sent invalid data ({type(error).__name__})"
                )
                time.sleep(RETRY_MAX_S)
                with contextlib.suppress(OSError):
                    self.reconnect()


def new_client(broker: Broker, on_failure: Callable[[str], None] = lambda _: None) -> MqttClient:
    """Return a client with login and TLS set up, not yet connected.

    Raises:
        BachboxError: the CA certificates cannot be read.
    """
    client = MqttClient(broker, on_failure)
    client.connect_timeout = CONNECT_TIMEOUT_S
    if broker.username:
        client.username_pw_set(broker.username, broker.password or None)
    if broker.tls:
        client.tls_set_context(_tls_context(broker.ca_file))
    return client


@contextlib.contextmanager
def connected(broker: Broker, purpose: str, timeout_s: float) -> Iterator[MqttClient]:
    """Connect for the duration of the context, beside a running box.

    Blocks for up to twice ``timeout_s``, so it must not run in an event loop.

    Args:
        broker: where to connect.
        purpose: becomes part of the client ID. Under the box's own one, the broker would
            disconnect a running box.
        timeout_s: for the TCP connection, and again for the broker's answer.

    Raises:
        BachboxError: the broker cannot be reached, does not answer or refuses the connection.
    """
    broker = replace(broker, client_id=f"bachbox-{purpose}-{os.getpid()}")
    client = new_client(broker)
    client.connect_timeout = timeout_s
    answers: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        answers.put(reason)

    client.on_connect = on_connect
    try:
        client.connect(broker.host, broker.port)
    except OSError as error:
        raise BachboxError(connection_error(broker, error.__cause__ or error)) from error
    client.loop_start()
    try:
        try:
            reason = answers.get(timeout=timeout_s)
        except queue.Empty:
            raise BachboxError(
                f"{broker.address} does not answer: is it an MQTT broker, and is [mqtt] tls right?"
            ) from None
        if reason.is_failure:
            raise BachboxError(refusal(broker, reason))
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def connection_error(broker: Broker, error: BaseException) -> str:
    """Return the sentence for a connection that failed with ``error``."""
    address = broker.address
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the broker at {address} is not accepted ({error.verify_message})"
        )
    if isinstance(error, ssl.SSLError | ConnectionResetError) and broker.tls:
        return f"{address} does not speak TLS ({_reason(error)}): are [mqtt] port and tls right?"
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the host name {broker.host} cannot be resolved: is [mqtt] host right?"
    if isinstance(error, ConnectionRefusedError):
        return f"{address} refuses the connection: is the broker running, and is [mqtt] port right?"
    return f"the broker at {address} cannot be reached ({_reason(error)})"


def refusal(broker: Broker, reason: ReasonCode) -> str:
    """Return the sentence for a broker that refused the login for ``reason``."""
    return (
        f"the broker at {broker.address} refuses the login ({str(reason).lower()}): are [mqtt] "
        "username and password_file right?"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        reason = _reason(error) if error.errno or isinstance(error, ssl.SSLError) else "unreadable"
        raise BachboxError(
            f"{ca_file}: cannot read certificates from it ({reason}); [mqtt] ca_file has to be "
            "a PEM file"
        ) from error
