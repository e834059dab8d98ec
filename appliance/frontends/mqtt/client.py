"""MQTT clients: connection settings, errors as sentences, and short-lived connections."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client, WebsocketConnectionError
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from appliance.config.addresses import host_port
from appliance.config.loader import password
from appliance.config.schema import Mqtt
from appliance.errors import BachboxError
from appliance.frontends.mqtt.topics import (
    Topics,
    box_id,
)

CONNECT_TIMEOUT_S: Final = 5.0
"""How long the TCP connection to the broker may take."""

_TLS_ALERT: Final = re.compile(r"\[SSL: (?:SSLV3_|TLSV1_|TLSV13_)?ALERT_([A-Z_]+)\]")
"""In an error of OpenSSL: what the other side refuses."""

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
    cert_file: Path | None = None
    """The box's own certificate (PEM), for brokers that want one."""
    key_file: Path | None = None
    """Its private key (PEM); None: it is in ``cert_file``."""
    websocket_path: str = ""
    """The path of MQTT over WebSockets, such as "/mqtt"; "": plain MQTT."""

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
        cert_file=config.cert_file,
        key_file=config.key_file,
        websocket_path=config.websocket_path,
    )


def topics_of(config: Mqtt) -> Topics:
    """Return the topics of the box that ``config`` describes."""
    return Topics(box_id(config.id), config.group, config.root_topic)


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
            transport="websockets" if broker.websocket_path else "tcp",
        )
        self._broker = broker
        self._on_failure = on_failure
        self.unanswered = True
        """The broker has not answered yet on this connection."""
        self._tls_alert = ""
        # With TLS 1.3 a refused certificate shows only at the first read, which paho only logs.
        self.on_log = self._remember_tls_alert

    @property
    def silence(self) -> str:
        """The sentence for a broker that closed the connection, or sends nothing, as it began."""
        address = self._broker.address
        if self._tls_alert and self._broker.cert_file:
            return (
                f"the broker at {address} does not accept this box's certificate "
                f"({self._tls_alert}): are [mqtt] cert_file and key_file right?"
            )
        if self._tls_alert:
            return (
                f"the broker at {address} wants a certificate of this box ({self._tls_alert}): set "
                "[mqtt] cert_file and key_file"
            )
        # A reset may have overtaken the alert, so a certificate is likely with TLS in any case.
        cause = "does it expect TLS ([mqtt] tls)?"
        if self._broker.cert_file:
            cause = "does it accept this box's certificate ([mqtt] cert_file)?"
        elif self._broker.tls:
            cause = "does it want a certificate of this box ([mqtt] cert_file and key_file)?"
        return (
            f"{address} closes the connection without an answer: is it an MQTT broker, and {cause}"
        )

    def _remember_tls_alert(self, _client: Any, _data: Any, _level: int, text: str) -> None:
        if found := _TLS_ALERT.search(text):
            self._tls_alert = found[1].replace("_", " ").lower()

    def reconnect(self) -> Any:
        """Connect again, as paho does, and report why it failed.

        Raises:
            OSError: the connection failed, or the host name is invalid.
        """
        self.unanswered, self._tls_alert = True, ""
        try:
            return super().reconnect()
        except (OSError, ValueError) as error:
            self._on_failure(connection_error(self._broker, error))
            # paho expects an OSError; a ValueError (an invalid host name) would end its thread.
            raise OSError(str(error)) from error

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> Any:
        """Run paho's loop, and again after invalid data from the broker, until it is stopped.

        Args:
            timeout: of one round of the loop, in seconds.
            retry_first_connection: whether to try again if the first connection fails.
        """
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
        BachboxError: the certificates or the key cannot be read.
    """
    client = MqttClient(broker, on_failure)
    client.connect_timeout = CONNECT_TIMEOUT_S
    if broker.websocket_path:
        client.ws_set_options(broker.websocket_path)
    if broker.username:
        client.username_pw_set(broker.username, broker.password or None)
    if broker.tls:
        client.tls_set_context(_tls_context(broker))
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
    answers: queue.SimpleQueue[ReasonCode | None] = queue.SimpleQueue()

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        answers.put(reason)

    def on_disconnect(*_of_paho: Any) -> None:
        answers.put(None)

    client.on_connect, client.on_disconnect = on_connect, on_disconnect
    try:
        client.connect(broker.host, broker.port)
    except OSError as error:
        raise BachboxError(connection_error(broker, error.__cause__ or error)) from error
    client.loop_start()
    try:
        try:
            reason = answers.get(timeout=timeout_s)
        except queue.Empty:
            reason = None
        if reason is None:
            raise BachboxError(client.silence)
        if reason.is_failure:
            raise BachboxError(refusal(broker, reason))
        yield client
    finally:
        stop(client)


def stop(client: Client) -> None:
    """Disconnect a client and wait until its thread has ended."""
    client.disconnect()
    # The thread ends by itself then, and paho may forget it in the middle of waiting for it.
    with contextlib.suppress(AttributeError):
        client.loop_stop()


def connection_error(broker: Broker, error: BaseException) -> str:
    """Return the sentence for a connection that failed with ``error``."""
    address = broker.address
    if isinstance(error, WebsocketConnectionError):
        return (
            f"{address} does not speak MQTT over WebSockets at {broker.websocket_path}: are "
            "[mqtt] port and websocket_path right?"
        )
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


def _tls_context(broker: Broker) -> ssl.SSLContext:
    ca_file, cert_file, key_file = broker.ca_file, broker.cert_file, broker.key_file
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise BachboxError(
            f"{ca_file}: cannot read certificates from it ({_file_reason(error)}); [mqtt] ca_file "
            "has to be a PEM file"
        ) from error
    if cert_file is None:
        return context
    try:
        # Without a password OpenSSL would ask on the terminal for that of an encrypted key.
        context.load_cert_chain(cert_file, key_file, password="")
    except OSError as error:
        files = f"{cert_file} and {key_file}" if key_file else str(cert_file)
        raise BachboxError(
            f"{files}: cannot read a certificate and its key ({_file_reason(error)}); [mqtt] "
            "cert_file and key_file have to be PEM files that belong together, the key unencrypted"
        ) from error
    return context


def _file_reason(error: OSError) -> str:
    return _reason(error) if error.errno or isinstance(error, ssl.SSLError) else "unreadable"
