"""Pieces that begin with what somebody has played: composed aside, kept, and then played."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterable

from appliance.errors import BachboxError
from appliance.frontends import render_process
from appliance.frontends.library import Library
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files import piece_embedding
from appliance.music.notes import Note

_VELOCITY = 80

_HARMONISING_MODEL = "chorales"
"""It takes a melody as its soprano; the others go on from any music."""

logger = logging.getLogger(__name__)


class PieceStarter:
    """Starts pieces; ``library`` keeps and plays them."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def start(self, notes: Iterable[Note], model: str) -> None:
        """Compose a piece that goes on from ``notes``, with ``model``, and play it.

        Raises:
            BachboxError: the model cannot go on from them, or too many pieces are saved.
        """
        content = await asyncio.to_thread(midi_file, notes)
        logger.info("a piece begins with what was played")
        with render_process.work_folder() as folder:
            played, result = folder / "played.mid", folder / "piece.mid"
            await asyncio.to_thread(played.write_bytes, content)
            try:
                if model == _HARMONISING_MODEL:
                    await render_process.render("--melody", played, result)
                else:
                    await render_process.render(
                        *("--model", model, "--prime", played, "--pieces", "1", result)
                    )
            except BachboxError as error:
                # Nobody knows the file by this name.
                raise type(error)(str(error).removeprefix(f"{played}: ")) from error
            record = await asyncio.to_thread(piece_embedding.read, result)
        piece = await self._library.save_record(record)
        self._library.play_piece(piece.id)


def midi_file(notes: Iterable[Note]) -> bytes:
    """Return a MIDI file with ``notes``, without a key signature: nobody has named a key."""
    import mido  # Takes a tenth of a second, and is needed only here.

    moments = []
    for note in notes:
        moments.append((note.start, 1, note.pitch))
        moments.append((note.end, 0, note.pitch))
    track, before = mido.MidiTrack(), 0
    for tick, is_on, pitch in sorted(moments):
        kind, velocity = ("note_on", _VELOCITY) if is_on else ("note_off", 0)
        track.append(mido.Message(kind, note=pitch, velocity=velocity, time=tick - before))
        before = tick
    file, content = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT), io.BytesIO()
    file.tracks.append(track)
    file.save(file=content)
    return content.getvalue()
