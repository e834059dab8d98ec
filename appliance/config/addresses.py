"""Addresses in the config file: hosts, Icecast mounts, Snapcast inputs.

Errors never quote the address of an Icecast server, which contains a password.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from appliance.errors import UsageError

ICECAST_EXAMPLE: Final = "http://source:PASSWORD@HOST:8000/bachbox.ogg"

SNAPCAST_PORT: Final = 4953
"""The port of a Snapcast TCP input unless another one is given."""

MAX_TOPIC_CHARACTERS: Final = 200

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_HOST: Final = r"\[(?P<ipv6>[^\]]*)\]|(?P<name>[^\s/@:?#\[\]]+)"

_HOST_PORT: Final = re.compile(rf"(?:{_HOST})(?::(?P<port>[^/]*))?")


@dataclass(frozen=True)
class IcecastAddress:
    """Where to send the sound for an Icecast server, and as which user."""

    is_tls: bool
    host: str
    """A name or an address; IPv6 without brackets."""
    port: int
    mount: str
    """Begins with a slash; percent-encoded."""
    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def is_mp3(self) -> bool:
        """Whether the mount takes MP3; otherwise it takes Ogg Opus."""
        return self.mount.lower().endswith(".mp3")

    def __str__(self) -> str:
        """Return host, port and mount, without user and password."""
        return f"{host_port(self.host, self.port)}{self.mount}"


def host_port(host: str, port: int) -> str:
    """Return ``HOST:PORT``, with brackets around an IPv6 address (RFC 3986)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_icecast(text: str) -> IcecastAddress:
    """Return the parts of ``http(s)://[USER:PASSWORD@]HOST[:PORT]/MOUNT``.

    The last ``@`` ends the password, so it may contain any character. User and password may be
    percent-encoded.

    Raises:
        UsageError: it is not such an address.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in _DEFAULT_PORTS:
        raise UsageError(f"it has to be an address such as {ICECAST_EXAMPLE}")
    login, at, place = rest.rpartition("@")
    user, colon, password = login.partition(":") if at else ("source", ":", "")
    if not colon:
        raise UsageError("before the @ there has to be USER:PASSWORD")
    server, slash, mount = place.partition("/")
    if not slash:
        raise UsageError("after the host and the port there has to be the mount, at least a /")
    if re.search(r"[\s?#]", mount):
        raise UsageError("the mount (after the host) must not contain ?, # or spaces")
    host, port = _host_and_port(server, _DEFAULT_PORTS[scheme.lower()])
    return IcecastAddress(
        is_tls=scheme.lower() == "https",
        host=host,
        port=port,
        mount="/" + quote(mount, safe="/%!$&'()*+,;=:@~"),
        user=unquote(user),
        password=unquote(password),
    )


def parse_snapcast(text: str, base: Path) -> Path | tuple[str, int]:
    """Return the pipe, or host and port of the TCP input, that a Snapcast server reads.

    Args:
        text: a path, or ``pipe:///PATH`` or ``tcp://HOST[:PORT]`` as in snapserver.conf; what
            follows a ``?`` there is for the server.
        base: where relative paths start.

    Raises:
        UsageError: it is none of these.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        if not text or "\0" in text:
            raise UsageError("it has to be the path of a pipe, or tcp://HOST:PORT")
        return base / Path(text).expanduser()
    rest = rest.partition("?")[0]
    if scheme == "pipe":
        if not rest.startswith("/") or "\0" in rest:
            raise UsageError("after pipe: there have to be three slashes: pipe:///run/snapfifo")
        return Path(unquote(rest))
    if scheme == "tcp":
        return _host_and_port(rest.removesuffix("/"), SNAPCAST_PORT)
    raise UsageError("it has to be the path of a pipe, pipe:///PATH or tcp://HOST:PORT")


def parse_host(text: str) -> str:
    """Return a host name or address; an IPv6 address without its brackets.

    Raises:
        UsageError: there is more than a host.
    """
    if not text or _is_ipv6(text):
        return text
    if "@" in text:
        raise UsageError("it has to be a host name or address alone; user and password have keys")
    found = _HOST_PORT.fullmatch(text)
    if not found:
        raise UsageError("it has to be a host name or address alone, without http://, / and spaces")
    if found["port"] is not None:
        raise UsageError("it has to be the host alone; the port has a key of its own: port")
    return _host_and_port(text, 0)[0]


def parse_topic(text: str) -> str:
    """Return an MQTT topic without slashes at its ends.

    Raises:
        UsageError: it is not a topic to publish below.
    """
    topic = text.strip("/")
    if not topic or "//" in topic or re.search(r"[+#\s\0]", topic):
        raise UsageError("it has to be a topic without +, #, spaces and //")
    if topic.startswith("$"):
        raise UsageError("topics that begin with $ are the broker's own")
    if len(topic) > MAX_TOPIC_CHARACTERS:
        raise UsageError(f"at most {MAX_TOPIC_CHARACTERS} characters are allowed")
    return topic


def _host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """Return host and port.

    Raises:
        UsageError: the text is something else; it is not quoted, as it may hold a password.
    """
    found = _HOST_PORT.fullmatch(text)
    if not found:
        raise UsageError("the host is not a host name or address; IPv6 addresses need brackets")
    ipv6, host, port = found["ipv6"], found["name"], found["port"]
    if port is not None and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise UsageError("the port has to be a number from 1 to 65535")
    if ipv6 is not None and not _is_ipv6(ipv6):
        raise UsageError("what is in brackets is not an IPv6 address")
    if host is not None:
        try:
            host.encode("idna")
        except UnicodeError as error:
            raise UsageError("the host is not a host name or address") from error
    return ipv6 or host, int(port) if port else default_port


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
