"""Sends the sound to the TCP input of a Snapcast server, which may run on another machine.

The server's source is ``tcp://0.0.0.0:4953?name=Bachbox&mode=server``; it takes raw stereo samples
(s16le) at the sample rate of the sound card.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from appliance.common.backoff import Backoff
from appliance.config.addresses import host_port
from appliance.frontends.streaming.snapcast import DEFAULT_RATE
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

logger = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 2.0
RETRY_MAX_S: Final = 30.0

CONNECT_TIMEOUT_S: Final = 10.0

STALL_TIMEOUT_S: Final = 20.0
"""A server that reads nothing for this long is considered gone."""

_MAX_WAITING_BYTES: Final = 1 << 16
"""What the server has not read yet; beyond it, sound is dropped: the rooms must not fall behind."""


class SnapcastTcp:
    """Sends to one server; see :class:`appliance.frontends.base.Frontend`."""

    name = "snapcast"

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._is_sending = False

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Send until cancelled; connect again whenever the connection is lost."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S)
        is_reported = False
        address = host_port(self._host, self._port)
        while True:
            try:
                await self._send(box)
            except (OSError, TimeoutError) as error:
                if self._is_sending or not is_reported:
                    is_reported = True
                    why = str(error) or "it does not answer"
                    logger.warning("snapcast: %s: %s; trying again", address, why)
            if self._is_sending:
                backoff.reset()
            self._is_sending = False
            await asyncio.sleep(backoff.next_s())

    async def _send(self, box: BoxStatus) -> None:
        """Send the sound until the connection is lost.

        Raises:
            OSError: there is no connection, or it was lost.
            TimeoutError: the server does not answer, or reads nothing more.
        """
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(self._host, self._port)
        self._is_sending = True
        logger.info("snapcast: playing at %s", host_port(self._host, self._port))
        loop = asyncio.get_running_loop()
        sample_rate, written_at = DEFAULT_RATE, loop.time()
        try:
            async with contextlib.aclosing(box.sound.listen()) as sounds:
                async for sound in sounds:
                    if sound.sample_rate != sample_rate:
                        sample_rate = sound.sample_rate
                        logger.warning(
                            "snapcast: the sound card runs at %d Hz, so the source of snapserver "
                            "needs sampleformat=%d:16:2", sample_rate, sample_rate,
                        )  # fmt: skip
                    if writer.is_closing() or reader.at_eof():
                        raise ConnectionError("the server has closed the connection")
                    if writer.transport.get_write_buffer_size() < _MAX_WAITING_BYTES:
                        writer.write(sound.samples)
                        written_at = loop.time()
                    elif loop.time() > written_at + STALL_TIMEOUT_S:
                        raise TimeoutError("it reads nothing more")
        finally:
            writer.close()
