"""Writes a piece of the history as a file: MIDI, WAV or MusicXML.

A separate process with low priority does it, because the sound needs a synthesizer and the daemon
has none. Files are made one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from appliance.errors import BachboxError
from appliance.music.files.piece_record import PieceRecord, pack

MEDIA_TYPES: Final = {
    "mid": "audio/midi",
    "wav": "audio/wav",
    "musicxml": "application/vnd.recordare.musicxml+xml",
}
"""Media type by kind of file."""

MAX_WAITING: Final = 4
"""Files that are being made or wait to be made."""

TIMEOUT_S: Final = 300.0
"""A Raspberry Pi needs ten seconds for a minute of sound, so this is generous."""

_NICENESS: Final = 10


class Exporter:
    """Makes the files; ``soundfont`` gives the sound of WAV files."""

    def __init__(self, soundfont: Callable[[], Path]) -> None:
        self._soundfont = soundfont
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def file(self, piece: PieceRecord, kind: str) -> AsyncIterator[Path]:
        """Yield the path of ``piece`` as a file, which exists as long as the context.

        Raises:
            BachboxError: the file cannot be made, or too many are waiting.
        """
        if self._waiting >= MAX_WAITING:
            raise BachboxError("other files are being made; try again in a moment")
        self._waiting += 1
        try:
            # /tmp may be in memory, and ten minutes of sound take 115 MB.
            parent = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # noqa: S108
            with tempfile.TemporaryDirectory(prefix="bachbox-", dir=parent) as folder:
                source, result = Path(folder, "piece"), Path(folder, f"piece.{kind}")
                source.write_bytes(pack(piece))
                async with self._one_at_a_time:
                    await self._render(source, result)
                yield result
        finally:
            self._waiting -= 1

    async def _render(self, source: Path, result: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            *("nice", "-n", str(_NICENESS), sys.executable, "-m", "appliance", "render"),
            *("--config", os.devnull, "--soundfont", str(self._soundfont())),
            *("--replay", str(source), str(result)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                _, stderr = await process.communicate()
        except TimeoutError as error:
            raise BachboxError("making the file took too long; try again") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if process.returncode:
            lines = stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise BachboxError(f"the file cannot be made: {lines[-1]:.300}")
