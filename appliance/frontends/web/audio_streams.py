"""Listen here: the box's own sound for browsers and for any player.

Each listener has a task of its own, and whoever is slower than the music misses some of it: the
others, and the music, do not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from appliance.frontends.web.context import WebContext
from appliance.frontends.web.websocket import until_the_first_ends, websocket
from appliance.ipc.audio_tap import Sound
from appliance.ipc.pcm import BYTES_PER_FRAME

MAX_LISTENERS: Final = 64

SEND_S: Final = 10.0
"""Whoever takes nothing for so long has gone."""

MAX_HEARD_BYTES: Final = 256
"""Listeners have nothing to say."""

_ENDLESS: Final = 0xFFFFFFFF
"""The length of a WAV file whose end nobody knows."""

_TICKS: Final = struct.Struct("<dd")


def routes(house: WebContext) -> list[web.RouteDef]:
    """The streams."""
    listeners = 0

    @contextlib.contextmanager
    def seat() -> Iterator[None]:
        nonlocal listeners
        if listeners >= MAX_LISTENERS:
            raise web.HTTPServiceUnavailable(
                text=f"{listeners} listen already, and more cannot", headers={"Retry-After": "60"}
            )
        listeners += 1
        try:
            yield
        finally:
            listeners -= 1

    async def get_wav(request: web.Request) -> web.StreamResponse:
        with seat():
            async with contextlib.aclosing(_wav(house.box.sound.listen())) as parts:
                return await _send(request, "audio/wav", parts)

    async def get_opus(request: web.Request) -> web.StreamResponse:
        with seat():
            async with contextlib.aclosing(house.shelf.opus.listen(house.box)) as parts:
                return await _send(request, "audio/ogg", parts)

    async def listen(request: web.Request) -> web.StreamResponse:
        socket = websocket(request, MAX_HEARD_BYTES)
        with seat():
            await socket.prepare(request)
            playing = _play(socket, house.box.sound.listen())
            await until_the_first_ends(socket, _gone(socket), playing)
            return socket

    return [
        web.get("/stream.wav", get_wav),
        web.get("/stream.opus", get_opus),
        web.get("/api/listen", listen),
    ]


async def _send(
    request: web.Request, kind: str, parts: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    """An answer without end."""
    if request.method == "HEAD":
        return web.Response(content_type=kind)
    # What cannot be had is told before the answer has begun.
    first = await anext(parts, b"")
    response = web.StreamResponse(headers={"Content-Type": kind, "Cache-Control": "no-store"})
    await response.prepare(request)
    try:
        await _within(response.write(first))
        async for part in parts:
            await _within(response.write(part))
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    return response


async def _within(sending: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(SEND_S):
        await sending


async def _wav(sounds: AsyncGenerator[Sound, None]) -> AsyncGenerator[bytes, None]:
    """A WAV file without end, or until the sound card's rate changes."""
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
    """44 bytes: stereo, 16 bits, and as long as it can be said."""
    bytes_per_s = sample_rate * BYTES_PER_FRAME
    form = struct.pack("<IHHIIHH", 16, 1, 2, sample_rate, bytes_per_s, BYTES_PER_FRAME, 16)
    endless = struct.pack("<I", _ENDLESS)
    return b"RIFF" + endless + b"WAVEfmt " + form + b"data" + endless


async def _play(socket: web.WebSocketResponse, sounds: AsyncGenerator[Sound, None]) -> None:
    """The rate as JSON, whenever it changes; then sound, led by the ticks of its two ends."""
    sample_rate = 0
    async with contextlib.aclosing(sounds):
        async for sound in sounds:
            if sound.sample_rate != sample_rate:
                sample_rate = sound.sample_rate
                await socket.send_str(msgspec.json.encode({"sample_rate": sample_rate}).decode())
            ticks = _TICKS.pack(sound.start_tick, sound.end_tick)
            try:
                await _within(socket.send_bytes(ticks + sound.samples))
            except TimeoutError:
                return


async def _gone(socket: web.WebSocketResponse) -> None:
    """Returns when the listener has closed, or says something, which none does who knows us."""
    async for message in socket:
        if message.type is not WSMsgType.PING:
            return
