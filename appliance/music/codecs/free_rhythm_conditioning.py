"""What a model of music in free rhythm is conditioned on besides its tokens.

That is what a composer knows: what kind of piece it is, for which instrument and what it is like as
a whole, how far its beginning and its double bar are, what stood at this place some bars ago, and
the degree of every note.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence

from appliance.common.copying import Copyable
from appliance.music.codecs.free_rhythm_returns import StruckNotes
from appliance.music.codecs.free_rhythm_tokens import (
    BARS_BACK,
    CONDITIONING_KINDS,
    CONDITIONING_PROGRAMS,
    FROM_START_STEPS,
    LENGTH,
    PAST_DEGREES,
    PITCH,
    TO_END_STEPS,
    TRAIT_BUCKETS,
    FreeRhythmTokens,
    nearest,
)
from appliance.music.events import TICKS_PER_STEP
from appliance.music.score import Form, Key

NO_DEGREE = 12


class ConditioningInputs(Copyable):
    """Gives the inputs of a piece.

    Args:
        codec: its tokens and inputs.
        form: the form that the piece fills, with what is known of the whole.
        key: its key.
    """

    shared_when_copied = frozenset({"codec"})

    def __init__(self, codec: FreeRhythmTokens, form: Form, key: Key) -> None:
        self.codec = codec
        self.tonic = key.tonic
        self.bar_ticks = form.bar_steps * TICKS_PER_STEP
        self.double_bar_step = form.facts.double_bar_step or 0
        self.whole = tuple(_whole_features(codec, form))
        """The inputs that stay the same for the whole piece."""

    def features(
        self,
        place: int,
        tick: int,
        pitches: Sequence[int],
        sounding: Collection[int],
        struck: Sequence[int],
        notes: StruckNotes,
    ) -> list[int]:
        """Indices of the ones in the inputs that ``conditioning`` adds.

        Args:
            place: what the next token is about.
            tick: at which the last note began, or the next one begins.
            pitches: of all notes so far.
            sounding: MIDI notes that sound.
            struck: MIDI notes struck at ``tick``.
            notes: of the piece so far.
        """
        inputs, tonic = self.codec.inputs, self.tonic
        step = tick // TICKS_PER_STEP
        ones = [*self.whole, inputs["from_start", bisect_right(FROM_START_STEPS, step)]]
        if step < self.double_bar_step:
            steps_left = self.double_bar_step - step
            ones.append(inputs["to_double_bar", bisect_right(TO_END_STEPS, steps_left)])
        for row, bars in enumerate(BARS_BACK):
            token = self._token_at(place, tick - bars * self.bar_ticks, len(struck), notes)
            ones.append(inputs["bars_back", row, self.codec.classes if token is None else token])
        for row in range(PAST_DEGREES):
            known = len(pitches) > row + 1
            degree = (pitches[-2 - row] - tonic) % 12 if known else NO_DEGREE
            ones.append(inputs["past_degree", row, degree])
        ones += [inputs["sounding_degree", d] for d in {(p - tonic) % 12 for p in sounding}]
        bass = (min(sounding) - tonic) % 12 if sounding else NO_DEGREE
        ones.append(inputs["bass_degree", bass])
        return ones

    def _token_at(self, place: int, tick: int, number: int, notes: StruckNotes) -> int | None:
        """The token that stood at a tick of the past, where ``number`` notes had been struck.

        ``None`` if nothing did.
        """
        codec = self.codec
        here = notes.at(tick)
        if place == PITCH:
            return codec.token_of_pitch(here[number][0]) if number < len(here) else None
        if place == LENGTH:
            if number >= len(here):
                return None
            return codec.first_length + nearest(codec.lengths, here[number][1])
        if number < len(here):
            return 0
        following = notes.next_tick(tick)
        if tick < 0 or following is None:
            return None
        return nearest(codec.time_shifts, following - tick)


def _whole_features(codec: FreeRhythmTokens, form: Form) -> list[int]:
    """The inputs for kind, instrument and traits of a piece; what is not known has no input."""
    ones, facts = [], form.facts
    if facts.kind in CONDITIONING_KINDS:
        ones.append(codec.inputs["kind", CONDITIONING_KINDS.index(facts.kind)])
    if facts.program in CONDITIONING_PROGRAMS:
        ones.append(codec.inputs["instrument", CONDITIONING_PROGRAMS.index(facts.program)])
    if facts.traits is not None:
        for row, (name, ends) in enumerate(TRAIT_BUCKETS.items()):
            bucket = bisect_right(ends, getattr(facts.traits, name))
            ones.append(codec.inputs["traits", row, bucket])
    return ones
