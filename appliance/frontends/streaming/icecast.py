"""The world beyond the house: the box as a source of an Icecast server's mount, in Ogg Opus.

Icecast 2.4 takes a source by HTTP's PUT (https://icecast.org); listeners are its business.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit

from appliance.errors import BachboxError
from appliance.frontends.streaming.opus import OpusBroadcast
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

RETRY_FIRST_S: Final = 2.0
RETRY_MAX_S: Final = 60.0

ANSWER_S: Final = 10.0

SEND_S: Final = 20.0
"""A server that takes nothing for so long has gone."""

_PORTS: Final = {"http": 80, "https": 443}

_REFUSED_FOR_GOOD: Final = {
    401: "it does not take the password in [stream] icecast",
    403: "it refuses: the mount may be in use by another, or there are too many sources",
    404: "it knows no such place",
}


class _Lost(Exception):  # noqa: N818 - it says what happened
    """The server is not there, or no longer."""


class IcecastSource:
    """See :class:`appliance.frontends.base.Frontend`; ``url`` is ``http://USER:PASSWORD@HOST:PORT/MOUNT``."""

    name = "icecast"

    def __init__(self, url: str, opus: OpusBroadcast) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._mount = parts.path
        who = f"{unquote(parts.username or 'source')}:{unquote(parts.password or '')}"
        self._credentials = base64.b64encode(who.encode()).decode()
        self._opus = opus
        self._sends = False

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Send until cancelled.

        Raises:
            BachboxError: the server does not want us, or there is no encoder.
        """
        wait = RETRY_FIRST_S
        told = False
        while True:
            try:
                await self._send(box)
            except (_Lost, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                if self._sends or not told:
                    told = True
                    why = str(error) or "it does not answer"
                    box.say(f"bachbox: icecast: {self._place}: {why}; trying again")
                wait = RETRY_FIRST_S if self._sends else wait
            self._sends = False
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_MAX_S)

    @property
    def _place(self) -> str:
        return f"{self._host}:{self._port}{self._mount}"

    async def _send(self, box: BoxStatus) -> None:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(
                self._host, self._port, ssl=ssl.create_default_context() if self._tls else None
            )
        try:
            writer.write(self._request())
            async with asyncio.timeout(ANSWER_S):
                await self._admitted(reader)
            self._sends = True
            box.say(f"bachbox: icecast: plays at {self._place}")
            async with contextlib.aclosing(self._opus.listen(box)) as pages:
                async for page in pages:
                    writer.write(page)
                    async with asyncio.timeout(SEND_S):
                        await writer.drain()
        finally:
            writer.close()

    def _request(self) -> bytes:
        lines = (
            f"PUT {self._mount} HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            f"Authorization: Basic {self._credentials}",
            "User-Agent: Bachbox",
            "Content-Type: audio/ogg",
            "Ice-Public: 0",
            "Ice-Name: Bachbox",
            "Ice-Description: New Bach, composed as it plays",
            "Expect: 100-continue",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def _admitted(self, reader: asyncio.StreamReader) -> None:
        """Its first answer, which has to be yes."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace").splitlines()
        words = head[0].split(None, 2)
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        if status in (100, 200):
            return
        if status in _REFUSED_FOR_GOOD:
            raise BachboxError(f"{self._place}: {_REFUSED_FOR_GOOD[status]} ({head[0]:.60})")
        raise _Lost(f"it answers {head[0]:.60}")
