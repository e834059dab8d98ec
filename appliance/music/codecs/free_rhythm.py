"""The codec for music in free rhythm: a solo violin's line, a keyboard's two hands.

Three tokens a note: how long after the note before it begins (0: together with it), its pitch and
its length. Notes that begin together go from the highest down. The model sees where in the bar the
music is, what sounds, and what followed when these notes, or the same intervals on another degree,
came before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from appliance.errors import UsageError
from appliance.music.codecs import free_rhythm_conversion
from appliance.music.codecs.base import Opening
from appliance.music.codecs.free_rhythm_context import FreeRhythmContext
from appliance.music.codecs.free_rhythm_tokens import FreeRhythmTokens, nearest
from appliance.music.codecs.input_layout import Inputs
from appliance.music.files.score_file import ScoreFile
from appliance.music.key_finding import written_key
from appliance.music.score import Form, FreeRhythmScore, Key

MAX_OPENING_NOTES: Final = 4096
"""How many notes of a user's file are taken; a quarter of an hour of a keyboard."""
MAX_OPENING_STEPS: Final = 8192
"""How many 16ths of a user's file are taken; a quarter of an hour at 120 BPM."""


class FreeRhythmCodec(FreeRhythmTokens):
    """Encodes notes in free rhythm; for the arguments see :class:`FreeRhythmTokens`."""

    name = "lines"
    unit = "note"
    voices = 1
    uses_forms = True

    @property
    def aspect_layout(self) -> Inputs:
        """See :mod:`.free_rhythm_aspects`."""
        from appliance.music.codecs.free_rhythm_aspects import ASPECTS

        return ASPECTS

    def start(self, form: Form, key: Key) -> FreeRhythmContext:
        """An empty piece in this form and key."""
        return FreeRhythmContext(self, form, key)

    def encode(self, score: FreeRhythmScore) -> tuple[list[list[int]], list[int]]:
        """The features at every place and the true tokens: three a note, and the end."""
        context = self.start(score.form, score.key)
        features: list[list[int]] = []
        tokens: list[int] = []

        def append(token: int) -> None:
            features.append(context.features())
            tokens.append(token)
            context.accept(token)

        for note in score.notes:
            # Counted from where the context is, so that rounding errors do not add up.
            append(nearest(self.time_shifts, note.start - context.tick))
            append(self.first_pitch + self._in_range(note.pitch) - self.lowest)
            append(self.first_length + nearest(self.lengths, note.length))
        append(self.end)
        return features, tokens

    def _in_range(self, pitch: int) -> int:
        """The pitch, or the nearest octave of it that is in range."""
        octaves = [p for p in range(pitch % 12, 128, 12) if self.lowest <= p <= self.highest]
        return min(octaves, key=lambda p: abs(p - pitch), default=self.highest)

    def loss_counts(self, score: FreeRhythmScore) -> tuple[int, int]:
        """How many tokens count for the loss (the end does not), and how many notes they are."""
        return self.tokens_per_group * len(score.notes), len(score.notes)

    def transpositions(self, score: FreeRhythmScore) -> list[int]:
        """As :meth:`.Codec.transpositions`: those that stay in range, within half an octave."""
        low, high = score.pitch_range()
        return [s for s in range(-5, 7) if self.lowest - low <= s <= self.highest - high]

    def opening(self, file: ScoreFile) -> Opening:
        """The notes of a user's file, for a piece to start from.

        Raises:
            UsageError: there are none, or they are out of the codec's range.
        """
        score = free_rhythm_conversion.to_free_rhythm(file)
        score = free_rhythm_conversion.beginning(score, MAX_OPENING_NOTES, MAX_OPENING_STEPS)
        low, high = score.pitch_range()
        if low < self.lowest or high > self.highest:
            raise UsageError(
                f"MIDI note {low if low < self.lowest else high} is out of the model's "
                f"range ({self.lowest} to {self.highest})",
                path=file.path,
                remedy="transpose the score",
            )
        key = written_key(score.notes, score.key, file.key_signature)
        tokens = self.encode(replace(score, key=key))[1][:-1]
        return Opening(score.form, key, tokens, score.notices)
