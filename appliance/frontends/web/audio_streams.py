"""The sound of the box for browsers and media players.

Every listener has its own task. One that is slower than the music misses some of it; the other
listeners and the music are not affected.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from appliance.frontends.streaming import icy, mp3
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.routing import Permission, RouteTable, WebSocketMessages
from appliance.frontends.web.websocket import open_websocket, run_until_first_ends
from appliance.ipc.audio_tap import Sound
from appliance.ipc.pcm import BYTES_PER_FRAME

MAX_LISTENERS: Final = 64

SEND_TIMEOUT_S: Final = 10.0
"""A listener that takes nothing for this long is disconnected."""

MAX_MESSAGE_BYTES: Final = 256
"""Longest message of a listener; none is expected."""

_UNKNOWN_LENGTH: Final = 0xFFFFFFFF
"""The length field of a WAV file that has no end."""

_FIRST_RANGE: Final = re.compile(r"bytes=0-([0-9]{1,4})")

_FIRST_BYTES: Final = {206: (None, "The first bytes, if the request asks for up to 10,000 of them")}

_TICK_RANGE: Final = struct.Struct("<dd")
"""First and last tick of a chunk of sound."""


class AudioFormat(msgspec.Struct, frozen=True):
    """The format of the binary messages that follow."""

    sample_rate: int
    """In Hz."""


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the audio streams."""
    box = context.box
    limit = _ListenerLimit()

    @table.route(
        "GET", "/stream.wav", needs=Permission.READ, media_types=("audio/wav",), endless=True,
        errors=(503,), other_responses=_FIRST_BYTES,
        summary="The sound as an endless WAV file: 16 bits, stereo",
    )  # fmt: skip
    async def get_wav(request: web.Request) -> web.StreamResponse:
        with limit.listener():
            async with contextlib.aclosing(_wav(box.sound.listen())) as parts:
                return await _stream(request, "audio/wav", parts)

    @table.route(
        "GET", "/stream.opus", needs=Permission.READ, media_types=("audio/ogg",), endless=True,
        errors=(503,), other_responses=_FIRST_BYTES,
        summary="The sound as chained Ogg Opus streams, each a piece with its title; opus-tools",
    )  # fmt: skip
    async def get_opus(request: web.Request) -> web.StreamResponse:
        with limit.listener():
            async with contextlib.aclosing(context.media.opus.listen(box)) as parts:
                return await _stream(request, "audio/ogg", parts)

    @table.route(
        "GET", "/stream.mp3", needs=Permission.READ, media_types=("audio/mpeg",), endless=True,
        errors=(503,), other_responses=_FIRST_BYTES,
        summary="The sound as an endless MP3 stream; needs lame",
        description=(
            "With the request header Icy-MetaData: 1, the titles of the pieces are in the stream."
        ),
    )  # fmt: skip
    async def get_mp3(request: web.Request) -> web.StreamResponse:
        headers = {"icy-name": context.name, "icy-br": str(mp3.BITRATE_KBPS)}
        with limit.listener():
            async with contextlib.aclosing(context.media.mp3.listen(box)) as parts:
                if request.headers.get("Icy-MetaData") != "1":
                    return await _stream(request, "audio/mpeg", parts, headers)
                headers["icy-metaint"] = str(icy.INTERVAL_BYTES)
                titled = icy.with_titles(parts, lambda: box.now_playing().title)
                return await _stream(request, "audio/mpeg", titled, headers)

    @table.route(
        "GET", "/api/listen", needs=Permission.READ, errors=(503,),
        websocket=WebSocketMessages(AudioFormat),
        summary="WebSocket: the sound for browsers, with little delay",
        description=(
            "First, and whenever the sample rate changes, a text message with the format. Then "
            "binary messages: the ticks at which the chunk begins and ends, as two little-endian "
            "doubles, then stereo samples as signed 16-bit little-endian integers."
        ),
    )  # fmt: skip
    async def listen(request: web.Request) -> web.StreamResponse:
        socket = open_websocket(request, MAX_MESSAGE_BYTES)
        with limit.listener():
            await socket.prepare(request)
            sending = _send_sound(socket, box.sound.listen())
            await run_until_first_ends(socket, _wait_until_closed(socket), sending)
            return socket


class _ListenerLimit:
    """Counts the listeners."""

    def __init__(self) -> None:
        self._count = 0

    @contextlib.contextmanager
    def listener(self) -> Iterator[None]:
        """Count one more listener for as long as the context lasts.

        Raises:
            HTTPServiceUnavailable: there are :data:`MAX_LISTENERS` already.
        """
        if self._count >= MAX_LISTENERS:
            raise web.HTTPServiceUnavailable(
                text=f"there are {self._count} listeners, and no more can be served",
                headers={"Retry-After": "60"},
            )
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1


async def _stream(
    request: web.Request,
    media_type: str,
    parts: AsyncGenerator[bytes, None],
    more_headers: Mapping[str, str] = MappingProxyType({}),
) -> web.StreamResponse:
    """Answer ``request`` with ``parts``, which have no end."""
    headers = {"Content-Type": media_type, "Cache-Control": "no-store", **more_headers}
    if request.method == "HEAD":
        return web.Response(headers=headers)
    # An error before the first part still becomes an error response.
    first = await anext(parts, b"")
    if length := _first_bytes_wanted(request):
        while len(first) < length and (part := await anext(parts, b"")):
            first += part
        headers["Content-Range"] = f"bytes 0-{len(first[:length]) - 1}/*"
        return web.Response(status=206, body=first[:length], headers=headers)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        await _in_time(response.write(first))
        async for part in parts:
            await _in_time(response.write(part))
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    return response


def _first_bytes_wanted(request: web.Request) -> int:
    """Return how many bytes from the first one ``request`` asks for; 0: for the whole stream.

    Safari asks for two bytes first, and plays only what answers 206. Any other range of a stream
    without end is ignored, as RFC 9110 (section 14.2) allows.
    """
    found = _FIRST_RANGE.fullmatch(request.headers.get("Range", ""))
    return int(found[1]) + 1 if found else 0


async def _in_time(sending: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await sending


async def _wav(sounds: AsyncGenerator[Sound, None]) -> AsyncGenerator[bytes, None]:
    """Yield the parts of a WAV file that ends only when the sample rate changes."""
    async with contextlib.aclosing(sounds):
        sample_rate = 0
        async for sound in sounds:
            if not sample_rate:
                sample_rate = sound.sample_rate
                yield wav_header(sample_rate)
            if sound.sample_rate != sample_rate:
                return
            yield sound.samples


def wav_header(sample_rate: int) -> bytes:
    """Return the 44 bytes that begin an endless WAV file: stereo, 16 bits, ``sample_rate`` Hz.

    Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).
    """
    bytes_per_s = sample_rate * BYTES_PER_FRAME
    form = struct.pack("<IHHIIHH", 16, 1, 2, sample_rate, bytes_per_s, BYTES_PER_FRAME, 16)
    length = struct.pack("<I", _UNKNOWN_LENGTH)
    return b"RIFF" + length + b"WAVEfmt " + form + b"data" + length


async def _send_sound(socket: web.WebSocketResponse, sounds: AsyncGenerator[Sound, None]) -> None:
    """Send the sample rate whenever it changes, and every chunk with its ticks."""
    sample_rate = 0
    async with contextlib.aclosing(sounds):
        async for sound in sounds:
            if sound.sample_rate != sample_rate:
                sample_rate = sound.sample_rate
                await socket.send_str(msgspec.json.encode(AudioFormat(sample_rate)).decode())
            ticks = _TICK_RANGE.pack(sound.start_tick, sound.end_tick)
            try:
                await _in_time(socket.send_bytes(ticks + sound.samples))
            except TimeoutError:
                return


async def _wait_until_closed(socket: web.WebSocketResponse) -> None:
    """Return when the listener closes the connection or sends anything."""
    async for message in socket:
        if message.type is not WSMsgType.PING:
            return
