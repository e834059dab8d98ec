"""Sends the sound to an Icecast server as Ogg Opus or MP3, for listeners anywhere.

Icecast 2.4 takes a source over HTTP PUT (https://icecast.org/docs/); listeners connect to the
server, not to the box. The titles are in the Opus stream itself; those of MP3 are sent beside it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import ssl
from typing import Final
from urllib.parse import urlencode

from appliance.common.backoff import Backoff
from appliance.common.text import lowered
from appliance.config.addresses import IcecastAddress, host_port
from appliance.errors import BachboxError, reason_of
from appliance.frontends.streaming.mp3 import Mp3Broadcast
from appliance.frontends.streaming.opus import OpusBroadcast
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

logger = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 2.0
RETRY_MAX_S: Final = 60.0

RESPONSE_TIMEOUT_S: Final = 10.0

SEND_TIMEOUT_S: Final = 20.0
"""A server that takes nothing for this long is considered gone."""

_WRONG_PASSWORD: Final = 401
"""Not tried again: servers shut out who does so."""

_REASONS: Final = {
    _WRONG_PASSWORD: "it does not accept the password in [stream] icecast",
    # After a gap in the network, the server may take this box for another one for a minute.
    403: "it refuses: another source may be using the mount, or there are too many sources",
    404: "it does not know this mount",
}


class _TemporaryError(Exception):
    """The server refuses for now; trying again may help."""


class IcecastSource:
    """Sends to one mount; see :class:`appliance.frontends.base.Frontend`.

    Args:
        address: the mount, with user and password.
        encoder: of the sound.
    """

    name = "icecast"

    def __init__(self, address: IcecastAddress, encoder: OpusBroadcast | Mp3Broadcast) -> None:
        self._address = address
        login = f"{address.user}:{address.password}"
        self._credentials = base64.b64encode(login.encode(errors="replace")).decode()
        self._encoder = encoder
        self._title = ""
        """The title that the server has."""
        self._is_sending = False

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Send until cancelled; connect again whenever the connection is lost.

        Raises:
            BachboxError: the server refuses permanently, or the encoder is missing.
        """
        backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S)
        reported = ""
        while True:
            try:
                await self._send(box)
            except (
                _TemporaryError, OSError, TimeoutError, asyncio.IncompleteReadError
            ) as error:  # fmt: skip
                reason = _reason(error)
                if self._is_sending or reason != reported:
                    reported = reason
                    logger.warning("icecast: %s: %s; trying again", self._address, reason)
                if self._is_sending:
                    backoff.reset()
            self._is_sending = False
            await asyncio.sleep(backoff.next_s())

    async def try_login(self) -> None:
        """Connect as a source, and disconnect again as soon as the server has accepted it.

        Raises:
            BachboxError: the server refuses, or does not answer.
        """
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                reader, writer = await self._connect()
                try:
                    writer.write(self._request())
                    await self._check_response(reader)
                finally:
                    writer.close()
        except (_TemporaryError, OSError, TimeoutError, EOFError, ValueError) as error:
            raise BachboxError(f"{self._address}: {_reason(error)}") from error

    async def _send(self, box: BoxStatus) -> None:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            reader, writer = await self._connect()
        try:
            writer.write(self._request())
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                await self._check_response(reader)
            self._is_sending = True
            logger.info("icecast: playing at %s", self._address)
            self._title = ""
            async with contextlib.aclosing(self._encoder.listen(box)) as parts:
                async for part in parts:
                    writer.write(part)
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await writer.drain()
                    if isinstance(self._encoder, Mp3Broadcast):
                        await self._send_title(box.now_playing().title)
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            self._address.host,
            self._address.port,
            ssl=ssl.create_default_context() if self._address.is_tls else None,
        )

    async def _send_title(self, title: str) -> None:
        """Tell the server a new title; what goes wrong shows in the stream itself, too."""
        if title == self._title:
            return
        self._title = title
        query = urlencode(
            {
                "mount": self._address.mount,
                "mode": "updinfo",
                "charset": "UTF-8",
                "song": title,
            }
        )
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                reader, writer = await self._connect()
                try:
                    writer.write(self._head(f"GET /admin/metadata?{query} HTTP/1.0"))
                    await reader.read(1)
                finally:
                    writer.close()

    def _head(self, *lines: str) -> bytes:
        head = (
            lines[0],
            f"Host: {host_port(self._address.host, self._address.port)}",
            f"Authorization: Basic {self._credentials}",
            "User-Agent: Bachbox",
            *lines[1:],
        )
        return ("\r\n".join(head) + "\r\n\r\n").encode()

    def _request(self) -> bytes:
        return self._head(
            f"PUT {self._address.mount} HTTP/1.1",
            f"Content-Type: {self._encoder.media_type}",
            "Ice-Public: 0",
            "Ice-Name: Bachbox",
            "Ice-Description: New music in the style of Bach, composed as it plays",
            "Expect: 100-continue",
        )

    async def _check_response(self, reader: asyncio.StreamReader) -> None:
        """Read the server's first response.

        Raises:
            BachboxError: the password is wrong.
            _TemporaryError: it refuses for now.
        """
        head = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace").splitlines()
        words = head[0].split(None, 2)
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        if status in (100, 200):
            return
        reason = _REASONS.get(status, "it refuses")
        if status == _WRONG_PASSWORD:
            raise BachboxError(f"{self._address}: {reason} ({head[0]:.60})")
        raise _TemporaryError(f"{reason} ({head[0]:.60})")


def _reason(error: Exception) -> str:
    """Return why there is no connection, in words for people."""
    if isinstance(error, EOFError):
        return "it closed the connection"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        text = lowered(reason_of(error))
    else:
        text = str(error)
    return text or "it does not answer"
