"""Pieces small enough to count by hand."""

from __future__ import annotations

from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.notes import Note
from appliance.music.score import Form, Key, Score
from appliance.training.evaluate.finished_pieces import FinishedPiece, decode_piece

CODEC = FourPartCodec(onsets=True, form=True)
FOUR_BARS, C_MAJOR = Form(16, 0, 64), Key(0, False)


def line(*pitches: int, length: int = TICKS_PER_BEAT, voice: int = 0) -> list[Note]:
    """Notes of one length in a row."""
    return [Note(n * length, length, pitch, voice) for n, pitch in enumerate(pitches)]


def piece_of(*voices: list[Note], form: Form = FOUR_BARS) -> FinishedPiece:
    """A piece of these notes, in C major."""
    notes = sorted((n for voice in voices for n in voice), key=lambda n: (n.start, -n.pitch))
    ticks = max((note.end for note in notes), default=0)
    return FinishedPiece(tuple(notes), C_MAJOR, form, ticks)


def piece_from(score: Score) -> FinishedPiece:
    """A score as a finished piece."""
    return decode_piece(CODEC, CODEC.encode(score)[1], score.form, score.key)
