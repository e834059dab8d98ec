"""The tokens and the inputs of music in free rhythm, for one range of notes and set of lengths."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from appliance.music.codecs.input_layout import Inputs, Place
from appliance.music.codecs.match_model import match_input_count

TIME_SHIFT, PITCH, LENGTH = range(3)
"""What a token is about: the time since the note before, or the pitch or length of a note."""
METERS = ((16, 4), (12, 4), (8, 4), (12, 6), (6, 2), (24, 6), (18, 6), (24, 4), (32, 8))
"""Bar and beat in 16th steps; any other meter is one more class."""
MAX_BAR_STEPS = 32
PLACES_IN_STEP = 4
"""Places within a 16th that have inputs of their own."""
TO_END_STEPS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Lower ends of the buckets for the distance to the end."""
PAST_PITCHES = 4
"""How many notes before the next one are inputs by their pitch."""
PAST_INTERVALS = 2
INTERVALS = 25
"""Intervals from an octave down to an octave up; larger ones are clipped."""

# The inputs below are there if the codec's option ``conditioning`` is set.

FROM_START_STEPS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Lower ends of the buckets for the distance from the beginning."""
BARS_BACK = (1, 2, 4, 8)
"""How many bars ago the music at the same place in the bar is an input."""
PAST_DEGREES = 3
"""Of how many notes, before the last one, the degree is an input; that of the last always is."""
CONDITIONING_KINDS = (
    *("allemande", "courante", "sarabande", "menuet", "gavotte", "bourree", "passepied", "loure"),
    *("polonaise", "rondeau", "gigue", "double", "chaconne", "prelude", "fugue", "invention"),
    *("sinfonia", "duet", "ricercar", "canon", "toccata", "fantasia", "aria", "grave", "adagio"),
    *("largo", "siciliana", "andante", "allegro", "presto", "march", "air"),
)
"""Kinds of pieces that have an input, of :data:`appliance.music.kinds.KINDS`."""
CONDITIONING_PROGRAMS = (6, 19, 24, 40, 42, 48, 73)
"""Instruments that have an input, as General MIDI programs: harpsichord, organ, lute, violin,
cello, ensemble, flute."""
TRAIT_BUCKETS = {
    "voices": (1.15, 1.5, 1.85, 2.15, 2.5, 2.9, 3.4),
    "notes_per_quarter": (1.5, 2.2, 3.0, 3.8, 4.6, 5.5, 6.5),
    "alone": (0.005, 0.03, 0.08, 0.16, 0.3, 0.6, 0.9),
    "together": (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "top_repeats": (0.002, 0.01, 0.025, 0.05, 0.08, 0.12, 0.2),
    "top_steps": (0.3, 0.4, 0.5, 0.58, 0.65, 0.72, 0.8),
    "bass_repeats": (0.002, 0.01, 0.025, 0.05, 0.08, 0.12, 0.2),
    "bass_leaps": (0.002, 0.01, 0.02, 0.04, 0.06, 0.09, 0.14),
    "steady": (0.4, 0.5, 0.6, 0.7, 0.8, 0.88, 0.95),
    "returns": (0.01, 0.06, 0.12, 0.2, 0.3, 0.45, 0.65),
}
"""Lower ends of the buckets of each of a piece's traits, see
:class:`appliance.music.traits.Traits`."""
BUCKETS = 8


class FreeRhythmTokens:
    """The vocabulary and the layout of the input.

    Args:
        lowest: lowest MIDI note.
        highest: highest MIDI note.
        lengths: the lengths of notes in ticks, rising; any other is rounded to the nearest.
        conditioning: whether the model is conditioned on more: kind, instrument and traits of the
            piece, how far its beginning and its double bar are, what stood at this place some bars
            ago, and notes as degrees of the key.

    Attributes:
        time_shifts: waits in ticks since the note before; token ``n`` stands for
            ``time_shifts[n]``.
        end: the token that ends the piece.
        first_pitch: the token of the lowest note.
        first_length: the token of the first of ``lengths``.
        classes: size of the vocabulary.
        inputs: the layout of the multi-hot input.
        width: its length.
        optional_inputs: see :class:`appliance.music.codecs.base.Codec`.

    Raises:
        ValueError: the arguments give no vocabulary.
    """

    tokens_per_group = 3

    def __init__(
        self, *, lowest: int, highest: int, lengths: Sequence[int], conditioning: bool = False
    ) -> None:
        self.conditioning = conditioning
        self.lowest, self.highest = lowest, highest
        self.lengths = list(lengths)
        if not 0 <= lowest < highest <= 127:
            raise ValueError(f"notes from {lowest} to {highest}")
        if not 2 <= len(lengths) <= 64 or list(lengths) != sorted({*lengths}) or lengths[0] < 1:
            raise ValueError("its lengths are not a rising list of at most 64")
        self.pitches = highest - lowest + 1
        self.time_shifts = [0, *self.lengths]
        self.end = len(self.time_shifts)
        self.first_pitch = self.end + 1
        self.first_length = self.first_pitch + self.pitches
        self.classes = self.first_length + len(self.lengths)
        if self.classes > 256:
            raise ValueError("more than 256 tokens")
        self.inputs = Inputs(
            ("place", self.tokens_per_group),
            ("past_pitch", PAST_PITCHES, self.pitches + 1),
            ("time_shift", len(self.time_shifts) + 1),
            ("length", len(self.lengths) + 1),
            ("sounding", self.pitches),
            ("struck", self.pitches),
            ("past_interval", PAST_INTERVALS, INTERVALS + 1),
            ("bar", MAX_BAR_STEPS),
            ("in_step", PLACES_IN_STEP),
            ("meter", len(METERS) + 1),
            ("key", 24),
            ("degree", 13),
            ("end", len(TO_END_STEPS) + 1),
            ("match", 2, match_input_count(self.classes)),
            *(self._conditioning_parts() if conditioning else ()),
        )
        self.width = self.inputs.width
        self.optional_inputs = self._optional_inputs()

    def _conditioning_parts(self) -> tuple[Place, ...]:
        """The parts of the input that ``conditioning`` adds."""
        return (
            ("from_start", len(FROM_START_STEPS) + 1),
            ("bars_back", len(BARS_BACK), self.classes + 1),
            ("past_degree", PAST_DEGREES, 13),
            ("sounding_degree", 12),
            ("bass_degree", 13),
            ("to_double_bar", len(TO_END_STEPS) + 1),
            ("kind", len(CONDITIONING_KINDS)),
            ("instrument", len(CONDITIONING_PROGRAMS)),
            ("traits", len(TRAIT_BUCKETS), BUCKETS),
        )

    def _optional_inputs(self) -> Sequence[range]:
        """See :class:`appliance.music.codecs.base.Codec`."""
        if not self.conditioning:
            return ()
        parts = (("traits", len(TRAIT_BUCKETS)), ("bars_back", len(BARS_BACK)), ("match", 2))
        rows = [row for name, count in parts for row in self._rows(name, count)]
        names = ("from_start", "to_double_bar", "kind", "instrument")
        parts_alone = [self.inputs.indices(name) for name in names]
        kind, traits = self.inputs.indices("kind"), self.inputs.indices("traits")
        whole = range(kind.start, traits.stop)
        return [*parts_alone, whole, *rows]

    def _rows(self, part: str, count: int) -> list[range]:
        """The rows of a part, as ranges of indices."""
        whole = self.inputs.indices(part)
        length = len(whole) // count
        return [whole[n * length : (n + 1) * length] for n in range(count)]

    @property
    def vocabulary(self) -> list[str]:
        """A name for every class, in order."""
        names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
        return [
            *(f"after {ticks}" for ticks in self.time_shifts),
            "end",
            *(f"{names[p % 12]}{p // 12 - 1}" for p in range(self.lowest, self.highest + 1)),
            *(f"for {ticks}" for ticks in self.lengths),
        ]

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that make the same codec again."""
        extra = {"conditioning": True} if self.conditioning else {}
        return {"lowest": self.lowest, "highest": self.highest, "lengths": self.lengths} | extra

    def token_of_pitch(self, pitch: int) -> int:
        """The token of a MIDI note in range."""
        return self.first_pitch + pitch - self.lowest

    def choices_at(self, place: int) -> tuple[int, int]:
        """The first token of a kind (``TIME_SHIFT``, ``PITCH``, ``LENGTH``), and their number."""
        if place == TIME_SHIFT:
            return 0, len(self.time_shifts)
        if place == PITCH:
            return self.first_pitch, self.pitches
        return self.first_length, len(self.lengths)

    def transposition_maps(self, semitones: int) -> tuple[list[int], list[int]]:
        """The inputs and the classes of a piece after it has been transposed, as indices.

        See :meth:`appliance.music.codecs.base.Codec.transposition_maps`.
        """
        up = [min(max(p + semitones, 0), self.pitches - 1) for p in range(self.pitches)]
        first, at = self.first_pitch, self.inputs
        classes = list(range(self.classes))
        classes[first : first + self.pitches] = [first + p for p in up]
        past = [at["past_pitch", back, 0] for back in range(PAST_PITCHES)]
        predicted = [at["match", row, first] for row in range(2)]
        if self.conditioning:
            predicted += [at["bars_back", row, first] for row in range(len(BARS_BACK))]
        inputs = list(range(self.width))
        for start in (*past, at["sounding", 0], at["struck", 0], *predicted):
            inputs[start : start + self.pitches] = [start + p for p in up]
        for key in range(24):
            inputs[at["key", key]] = at["key", (key + 2 * semitones) % 24]
        return inputs, classes


def nearest(choices: Sequence[int], wanted: int) -> int:
    """Index of the choice (of a rising list) that is nearest to ``wanted``."""
    index = bisect_left(choices, wanted)
    if index == len(choices) or (index and wanted - choices[index - 1] <= choices[index] - wanted):
        return index - 1
    return index
