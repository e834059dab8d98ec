"""A connection to the broker that is always being kept, and never in the way.

paho-mqtt lives in a thread of its own, where looking up a name or a TLS handshake may take its
time; everything that matters comes over into the event loop. What waits there is bounded: of
messages in the same slot only the last one stays, so a flood costs the loop next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from appliance.errors import BachboxError

RETRY_FIRST_S: Final = 1
RETRY_MAX_S: Final = 60
"""A lost broker is tried again after these, doubled each time."""

CONNECT_S: Final = 5.0
"""How long the broker's machine may take to answer at all."""

KEEPALIVE_S: Final = 15
"""A broken network is noticed after about twice, the last will comes after 1.5 times this."""

HELD_S: Final = 2.0
"""A connection that has held for so long is one."""

DRAIN_S: Final = 0.02
"""How often, at most, the messages that came are handed over."""

FAREWELL_S: Final = 0.2
"""How long saying goodbye to the broker may take."""


@dataclass(frozen=True)
class Broker:
    """Where it is and how it lets us in."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: Path | None = None
    """Who signed the broker's certificate; None: those whom the machine trusts."""

    @property
    def where(self) -> str:
        """For sentences."""
        return f"{self.host}:{self.port}"


class Message(NamedTuple):
    """What came over the broker."""

    topic: str
    payload: bytes
    retained: bool
    """It was stored there before we came, and is not said to us just now."""


class Throttle:
    """Does ``work`` soon after being asked, but not more often than every ``seconds``."""

    def __init__(self, seconds: float, work: Callable[[], None]) -> None:
        self._seconds = seconds
        self._work = work
        self._last = float("-inf")
        self._handle: asyncio.TimerHandle | None = None

    def ask(self, not_before_seconds: float = 0.0) -> None:
        """Have it done; asking again before it is done changes nothing."""
        if self._handle is None:
            loop = asyncio.get_running_loop()
            wait = max(not_before_seconds, self._last + self._seconds - loop.time())
            self._handle = loop.call_later(wait, self._go)

    def cancel(self) -> None:
        """What was asked for is not done any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _go(self) -> None:
        self._handle = None
        self._last = asyncio.get_running_loop().time()
        self._work()


class Link:
    """Keeps the connection from :meth:`start` to :meth:`stop`; lives in the event loop's thread.

    ``will`` is topic and payload of what the broker says, retained, when we are gone. ``slot``
    sorts messages by their topic (see :class:`Message`). ``on_up`` is called at each connection,
    ``on_messages`` with what came, ``say`` with sentences for the log.
    """

    def __init__(
        self,
        broker: Broker,
        will: tuple[str, str],
        topics: Sequence[str],
        slot: Callable[[str], str],
        on_up: Callable[[], None],
        on_messages: Callable[[list[Message]], None],
        say: Callable[[str], None],
    ) -> None:
        self.broker = broker
        self._topics = topics
        self._slot = slot
        self._on_up = on_up
        self._on_messages = on_messages
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._inbox: dict[str, Message] = {}
        self._inbox_lock = threading.Lock()
        self._drain = Throttle(DRAIN_S, self._hand_over)
        self.up = False
        """Connected and let in."""
        self._said = ""
        """The trouble that the log knows of."""
        self._holding: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._stopping = False
        self._client = client_for(broker, self._fail_from_thread)
        self._client.will_set(*will, qos=1, retain=True)
        self._client.reconnect_delay_set(RETRY_FIRST_S, RETRY_MAX_S)
        self._client.on_connect = self._answered
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._ended
        self._client.on_message = self._received

    def start(self) -> None:
        """Connect in the background, now and whenever the connection is lost."""
        self._client.connect_async(self.broker.host, self.broker.port, KEEPALIVE_S)
        self._client.loop_start()

    async def stop(self, last_words: tuple[str, str]) -> None:
        """Publish ``last_words`` (retained), and part as friends if that can be done quickly."""
        self._stopping = True
        self._drain.cancel()
        self._held()
        if self.up:
            self._client.publish(*last_words, qos=0, retain=True)
        # A thread that is busy connecting meanwhile ends by itself, or with the process.
        self._client.disconnect()
        if self.up:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), FAREWELL_S)

    def publish(self, topic: str, payload: str, *, retain: bool = True) -> None:
        """Send it if there is a connection. Never waits.

        QoS 0: within a connection TCP loses nothing, and after it everything is said anew.
        """
        if self.up:
            self._client.publish(topic, payload, qos=0, retain=retain)

    # In paho's thread ---------------------------------------------------------------------

    def _post(self, what: Callable[..., None], *arguments: object) -> None:
        # After the loop has been closed nobody is left to hear it.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *arguments)

    def _fail_from_thread(self, sentence: str) -> None:
        self._post(self._failed, sentence)

    def _answered(
        self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._client.unanswered = False
        if self._stopping:
            client.disconnect()
        elif reason.is_failure:
            self._post(self._failed, refusal(self.broker, str(reason)))
        else:
            # QoS 0 here, too: a broker holds back few messages of QoS 1 for each of us and drops
            # those after them, so that in a flood the last value would be the one to be lost.
            client.subscribe([(topic, 0) for topic in self._topics])
            self._post(self._went_up)

    def _subscribed(
        self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._post(
                self._say,
                f"the broker at {self.broker.where} does not let us listen to all of "
                f"{', '.join(self._topics)}: look at the rights it gives this user",
            )

    def _ended(
        self, _client: Any, _data: Any, _flags: Any, _reason: ReasonCode, _properties: Any
    ) -> None:
        self._post(self._went_down, self._client.unanswered)

    def _received(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        came = Message(message.topic, bytes(message.payload), message.retain)
        slot = self._slot(came.topic)
        with self._inbox_lock:
            first = not self._inbox
            if not (came.retained and slot in self._inbox):
                # Taken out first, so that the order is that of the last message of each slot.
                self._inbox.pop(slot, None)
                self._inbox[slot] = came
        if first:
            self._post(self._drain.ask)

    # In the event loop --------------------------------------------------------------------

    def _hand_over(self) -> None:
        with self._inbox_lock:
            messages = list(self._inbox.values())
            self._inbox.clear()
        if not self._stopping:
            self._on_messages(messages)

    def _went_up(self) -> None:
        if self._stopping:
            return
        self.up = True
        self._holding = self._loop.call_later(HELD_S, self._settle)
        self._on_up()

    def _went_down(self, unanswered: bool) -> None:
        was_up, self.up = self.up, False
        self._gone.set()
        short_lived = self._held()
        if self._stopping:
            return
        where = self.broker.where
        if was_up and short_lived:
            self._failed(
                f"the broker at {where} let us in and dropped us at once: does another box have "
                f"the same [mqtt] id ({self.broker.client_id})?"
            )
        elif was_up:
            self._failed(f"the broker at {where} is gone")
        elif unanswered:
            self._failed(
                f"{where} hangs up without a greeting: is it an MQTT broker, and does it want "
                f"{'no TLS' if self.broker.tls else 'TLS'} ([mqtt] tls)?"
            )

    def _held(self) -> bool:
        """Stop waiting for the connection to hold; whether it had not yet."""
        if self._holding is None:
            return False
        self._holding.cancel()
        self._holding = None
        return True

    def _settle(self) -> None:
        self._holding = None
        self._said = ""
        self._say(f"connected to the broker at {self.broker.where} as {self.broker.client_id}")

    def _failed(self, sentence: str) -> None:
        """Said once for as long as it stays the same."""
        if not self._stopping and sentence != self._said:
            self._said = sentence
            self._say(f"{sentence}; trying again in the background, the music goes on")


class _Client(Client):
    """paho's client, which tells why it could not connect, and whose thread does not die."""

    def __init__(self, broker: Broker, failed: Callable[[str], None]) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            broker.client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self._broker = broker
        self._failed = failed
        self.unanswered = True
        """The broker has not said a word in this connection."""

    def reconnect(self) -> Any:
        self.unanswered = True
        try:
            return super().reconnect()
        except (OSError, ValueError) as error:
            self._failed(why(self._broker, error))
            # What paho expects; a ValueError (a host name that is none) would end its thread.
            raise OSError(str(error)) from error

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> Any:
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception as error:
                # Bytes that are no MQTT end up here, as what they broke inside paho.
                self._failed(f"{self._broker.where} talks nonsense ({type(error).__name__})")
                time.sleep(RETRY_MAX_S)
                with contextlib.suppress(OSError):
                    self.reconnect()


def client_for(broker: Broker, failed: Callable[[str], None] = lambda _: None) -> _Client:
    """A client that knows how to get in, not yet connected.

    Raises:
        BachboxError: the certificates to trust cannot be read.
    """
    client = _Client(broker, failed)
    client.connect_timeout = CONNECT_S
    if broker.username:
        client.username_pw_set(broker.username, broker.password or None)
    if broker.tls:
        client.tls_set_context(_tls(broker.ca_file))
    return client


def why(broker: Broker, error: BaseException) -> str:
    """The sentence for a connection that failed with ``error``."""
    where = broker.where
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the broker at {where} is not accepted ({error.verify_message})"
    if isinstance(error, ssl.SSLError | ConnectionResetError) and broker.tls:
        return f"{where} does not speak TLS ({_reason(error)}): are [mqtt] port and tls right?"
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the broker's name {broker.host} is not known here: is [mqtt] host right?"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens at {where}: is the broker on, and is [mqtt] port right?"
    return f"the broker at {where} cannot be reached ({_reason(error)})"


def refusal(broker: Broker, reason: str) -> str:
    """The sentence for a broker that answered, but with ``reason`` against us."""
    return (
        f"the broker at {broker.where} does not let us in ({reason.lower()}): are [mqtt] username "
        "and password_file right?"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        reason = _reason(error) if error.errno or isinstance(error, ssl.SSLError) else "unreadable"
        raise BachboxError(
            f"{ca_file}: cannot read certificates from it ({reason}); [mqtt] ca_file has to be "
            "a PEM file"
        ) from error
