"""Writes a piece of the history as a file: MIDI, WAV or MusicXML.

A separate process with low priority does it, because the sound needs a synthesizer and the daemon
has none. Files are made one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from appliance.errors import BachboxError
from appliance.frontends import render_process
from appliance.music.files.piece_record import PieceRecord, pack

MEDIA_TYPES: Final = {
    "mid": "audio/midi",
    "wav": "audio/wav",
    "musicxml": "application/vnd.recordare.musicxml+xml",
}
"""Media type by kind of file."""

MAX_WAITING: Final = 4
"""Files that are being made or wait to be made."""


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
            with render_process.work_folder() as folder:
                source, result = folder / "piece", folder / f"piece.{kind}"
                source.write_bytes(pack(piece))
                async with self._one_at_a_time:
                    await self._render(source, result)
                yield result
        finally:
            self._waiting -= 1

    async def _render(self, source: Path, result: Path) -> None:
        try:
            await render_process.render(
                "--soundfont", self._soundfont(), "--replay", source, result
            )
        except BachboxError as error:
            raise BachboxError(f"the file cannot be made: {error}") from error
