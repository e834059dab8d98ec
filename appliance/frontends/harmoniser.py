"""Melodies that are given to the running box: harmonised, kept as a saved piece, and played.

A process of its own does it, so that the music that plays is not held up, and nothing of it is
loaded until somebody brings a melody.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from appliance.errors import BachboxError, UsageError
from appliance.frontends import render_process
from appliance.frontends.library import Library
from appliance.music.files import piece_embedding
from appliance.state.saved_pieces import SavedPiece

FORMATS: Final = ("abc", "mid", "musicxml", "mxl")
"""The kinds of files that a melody may come in."""


class Harmonised(NamedTuple):
    """A melody in four parts."""

    piece: SavedPiece
    notices: list[str]
    """What was left out or not taken as it is written, a clause each."""


class Harmoniser:
    """Harmonises melodies, one at a time; ``library`` keeps and plays them."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._busy = False

    async def harmonise(self, content: bytes, kind: str, name: str = "") -> Harmonised:
        """Harmonise a melody, keep the result, and begin to play it.

        Args:
            content: of a file with a melody.
            kind: of that file, one of :data:`FORMATS`.
            name: what the piece is called; its title if not given.

        Raises:
            UsageError: there is no melody in it, or too many pieces are saved.
            BachboxError: it cannot be harmonised or kept, or another one is being harmonised.
        """
        if kind not in FORMATS:
            raise UsageError(f"{kind} is no kind of melody; allowed: {', '.join(FORMATS)}")
        if self._busy:
            raise BachboxError("another melody is being harmonised; try again in a minute")
        self._busy = True
        try:
            with render_process.work_folder() as folder:
                melody, result = folder / f"melody.{kind}", folder / "chorale.mid"
                await asyncio.to_thread(melody.write_bytes, content)
                try:
                    said = await render_process.render("--melody", melody, result)
                except BachboxError as error:
                    # Nobody knows the file by this name.
                    raise type(error)(str(error).removeprefix(f"{melody}: ")) from error
                record = await asyncio.to_thread(piece_embedding.read, result)
        finally:
            self._busy = False
        piece = await self._library.save_record(record, name)
        self._library.play_piece(piece.id)
        return Harmonised(
            piece, [line.partition(f"{melody}: ")[2] for line in said if str(melody) in line]
        )
