"""A kept piece as a file: MIDI, WAV or MusicXML.

A process of its own makes it, with low priority and one at a time: it needs a synth of its own
for the sound, and the daemon holds none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from appliance.errors import BachboxError
from appliance.music.files.piece_record import PieceRecord, pack

KINDS: Final = {
    "mid": "audio/midi",
    "wav": "audio/wav",
    "musicxml": "application/vnd.recordare.musicxml+xml",
}
"""The files there are, and what they are called on the web."""

MAX_WAITING: Final = 4

TIMEOUT_S: Final = 300.0
"""A Raspberry Pi needs ten seconds for a minute of sound; more than this is a mistake."""

_NICENESS: Final = 10


class Exporter:
    """Makes the files, with the sound of ``soundfont``."""

    def __init__(self, soundfont: Path) -> None:
        self._soundfont = soundfont
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def file(self, keepsake: PieceRecord, kind: str) -> AsyncIterator[Path]:
        """The file, for as long as the context.

        Raises:
            BachboxError: it cannot be made, or too many are waiting.
        """
        if self._waiting >= MAX_WAITING:
            raise BachboxError("others are taking pieces home; try again in a moment")
        self._waiting += 1
        try:
            # Not in memory, as /tmp may be: a piece of ten minutes has 115 MB.
            place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # noqa: S108
            with tempfile.TemporaryDirectory(prefix="bachbox-", dir=place) as folder:
                source, result = Path(folder, "piece"), Path(folder, f"piece.{kind}")
                source.write_bytes(pack(keepsake))
                async with self._one_at_a_time:
                    await self._make(source, result)
                yield result
        finally:
            self._waiting -= 1

    async def _make(self, source: Path, result: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            *("nice", "-n", str(_NICENESS), sys.executable, "-m", "appliance", "render"),
            *("--config", os.devnull, "--soundfont", str(self._soundfont)),
            *("--from", str(source), str(result)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                _, said = await process.communicate()
        except TimeoutError as error:
            raise BachboxError("the piece takes too long to be played; try again") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines() or ["it does not say why"]
            raise BachboxError(f"the piece cannot be written: {lines[-1]:.300}")
