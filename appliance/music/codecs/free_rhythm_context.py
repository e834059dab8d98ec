"""A piece in free rhythm that is being written, and what the model sees of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from appliance.common.copying import Copyable
from appliance.music.codecs.base import Aspects, Cadence, Goal, cadence_of, half_cadence_of
from appliance.music.codecs.free_rhythm_conditioning import ConditioningInputs
from appliance.music.codecs.free_rhythm_returns import Now, PlannedNotes, StruckNotes
from appliance.music.codecs.free_rhythm_tokens import (
    INTERVALS,
    MAX_BAR_STEPS,
    METERS,
    PAST_INTERVALS,
    PAST_PITCHES,
    PITCH,
    PLACES_IN_STEP,
    TIME_SHIFT,
    TO_END_STEPS,
    FreeRhythmTokens,
)
from appliance.music.codecs.match_model import MatchModel, RepetitionLimit, match_features
from appliance.music.codecs.voice_allocation import MAX_VOICES, VoiceAllocator
from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP, Event
from appliance.music.playability import unplayable_pitches
from appliance.music.score import Form, Key, Tessitura

MIN_MATCH_SYMBOLS = 9
"""Tokens, three notes, that must agree before a match counts."""
MAX_SILENCE_TICKS = 3 * TICKS_PER_BEAT // 2
MAX_OVERRUN_STEPS = 16
"""How far a piece may go beyond its form before it is ended."""
MAX_ENDING_STEPS = 32
"""Length of the ending of which several are compared."""
DOUBLE_BAR_SLACK_TICKS = TICKS_PER_STEP // 2
"""A wait that goes beyond the double bar by no more than this ends at it."""
GRIDS_TICKS = (TICKS_PER_STEP // 4, TICKS_PER_STEP // 3)
"""Notes begin at multiples of a 64th, or of a third of a 16th."""
SPARE_CHORD_NOTES = 6
"""Notes that may be struck together beyond the tessitura's share of them, for a last chord."""


class FreeRhythmContext(Copyable):
    """A piece in free rhythm being written.

    Args:
        codec: its tokens.
        form: the form that it fills.
        key: its key.
    """

    shared_when_copied = frozenset({"codec"})

    def __init__(self, codec: FreeRhythmTokens, form: Form, key: Key) -> None:
        self.codec = codec
        self.form = form
        self.key = key
        self.done = False
        self.tick = 0
        """The tick at which the next note begins, or the last one did; the music is complete up
        to here."""
        self.place = TIME_SHIFT
        """What the next token is about."""
        # The model has learned from other instruments too, but a cello's piece stays a cello's.
        tessitura = form.tessitura or Tessitura(codec.lowest, codec.highest, 1.0)
        self.chord_share = tessitura.chord_share
        self.lowest = min(max(tessitura.lowest, codec.lowest), codec.highest - 1)
        self.highest = max(min(tessitura.highest, codec.highest), self.lowest + 1)
        self.notes = StruckNotes()
        """All notes so far, where they are needed again."""
        self.plan = PlannedNotes(codec, form, key)
        """What the form wants to return."""
        from appliance.music.codecs.free_rhythm_aspects import NoteAspects

        self.lines = NoteAspects(codec, form)
        self.pitches: list[int] = []
        """The MIDI note of every note so far, in the order of the tokens."""
        self.last_choices = [-1, -1, -1]
        """Index of the last choice of each kind of token, -1 before the first."""
        self.voices = VoiceAllocator()
        self.struck: list[int] = []
        """MIDI notes struck at ``tick``."""
        self.bass_before: int | None = None
        """The bass before the notes that were struck last."""
        self.last_chord: list[int] = []
        """What sounded when the piece was ended."""
        self.double_bar_tick = (form.facts.double_bar_step or 0) * TICKS_PER_STEP
        """Where the first half ends; 0: there are no halves."""
        self.half_cadence: Cadence | None = None
        """How the first half has closed, until the second one begins."""
        self.conditioning = ConditioningInputs(codec, form, key) if codec.conditioning else None
        """Further inputs, if the codec has them."""
        self.match = MatchModel(MIN_MATCH_SYMBOLS)
        """Of the tokens."""
        self.interval_match = MatchModel(MIN_MATCH_SYMBOLS)
        """Of the tokens, with intervals instead of pitches."""
        self.repetition = RepetitionLimit()
        self.chord_notes = 0
        """Notes that were struck together with a higher one."""

    def features(self) -> list[int]:
        """Indices of the ones in the multi-hot input for the next token."""
        codec, inputs = self.codec, self.codec.inputs
        ones = [inputs["place", self.place]]
        for back in range(PAST_PITCHES):
            known = len(self.pitches) > back
            pitch = self.pitches[-1 - back] - codec.lowest if known else codec.pitches
            ones.append(inputs["past_pitch", back, pitch])
        time_shift, _, length = self.last_choices
        ones.append(inputs["time_shift", time_shift + 1])
        ones.append(inputs["length", length + 1])
        sounding = {*self.voices.sounding.values()}
        ones += [inputs["sounding", pitch - codec.lowest] for pitch in sounding]
        ones += [inputs["struck", pitch - codec.lowest] for pitch in {*self.struck}]
        for back in range(PAST_INTERVALS):
            ones.append(inputs["past_interval", back, self._interval(back)])
        step, within = divmod(self.tick - self.form.pickup_steps * TICKS_PER_STEP, TICKS_PER_STEP)
        ones.append(inputs["bar", step % self.form.bar_steps % MAX_BAR_STEPS])
        ones.append(inputs["in_step", within * PLACES_IN_STEP // TICKS_PER_STEP])
        meter = (self.form.bar_steps, self.form.beat_steps)
        ones.append(inputs["meter", METERS.index(meter) if meter in METERS else len(METERS)])
        ones.append(inputs["key", self.key.tonic * 2 + self.key.minor])
        degree = (self.pitches[-1] - self.key.tonic) % 12 if self.pitches else 12
        ones.append(inputs["degree", degree])
        steps_left = self.form.steps - self.tick // TICKS_PER_STEP
        ones.append(inputs["end", bisect_right(TO_END_STEPS, steps_left)])
        matches = (
            (self.match.predicted, self.match.length_bucket),
            (self._predicted_by_interval(), self.interval_match.length_bucket),
        )
        if self.conditioning is not None:
            ones += self.conditioning.features(
                self.place, self.tick, self.pitches, sounding, self.struck, self.notes
            )
        return ones + match_features(inputs, codec.classes, matches)

    def _interval(self, back: int) -> int:
        """The class of the interval ``back`` notes ago; the last class if there is none."""
        if len(self.pitches) < back + 2:
            return INTERVALS
        interval = self.pitches[-1 - back] - self.pitches[-2 - back]
        return max(-12, min(12, interval)) + 12

    def _predicted_by_interval(self) -> int | None:
        symbol = self.interval_match.predicted
        if symbol is None or self.place != PITCH:
            return symbol if symbol is not None and 0 <= symbol < self.codec.classes else None
        # Symbols above every class are intervals from the last note.
        pitch = self.pitches[-1] + symbol - self.codec.classes - 128
        if self.codec.lowest <= pitch <= self.codec.highest:
            return self.codec.first_pitch + pitch - self.codec.lowest
        return None

    def forbidden(self, *, must_sound: bool = False) -> list[int]:
        """Classes that are not allowed as the next token; ``must_sound`` rules out rests."""
        codec = self.codec
        if self.place == TIME_SHIFT:
            return [
                *range(codec.first_pitch, codec.classes),
                *self._forbidden_time_shifts(must_sound),
            ]
        if self.place == PITCH:
            allowed = {codec.first_pitch + pitch - codec.lowest for pitch in self._next_pitches()}
            if self.repetition.reached and len(allowed) > 1 and not self.planned():
                allowed.discard(self.match.predicted)
            return [token for token in range(codec.classes) if token not in allowed]
        return [*range(codec.first_length)]

    def planned(self) -> Sequence[int]:
        """Classes that the form's map of returns asks for; empty where it asks for none."""
        if self.plan.is_empty:
            return ()
        sounding, program = frozenset(self.voices.sounding.values()), self.form.facts.program
        here = (self.tick, self.pitches, self.struck)
        now = Now(*here, self.lowest, self.highest, sounding, program)
        return self.plan.tokens(self.place, now, self.notes)

    def aspects(self) -> Aspects:
        """The aspects of every class as the next token, ``(rows, classes)``."""
        if self.place != PITCH:
            return self.lines.none()
        return self.lines.of(self.tick, self.voices.sounding.values(), self.struck)

    def _next_pitches(self) -> list[int]:
        """The MIDI notes that may be struck next, from the lowest up; never empty."""
        # The notes of a chord go down.
        highest = min(self.highest, min(self.struck, default=self.highest + 1) - 1)
        within = range(self.lowest, max(highest, self.lowest) + 1)
        sounding = frozenset(self.voices.sounding.values())
        unplayable = unplayable_pitches(sounding, self.form.facts.program)
        playable = [pitch for pitch in within if pitch not in unplayable] or [*within]
        if self.tick < self.form.steps * TICKS_PER_STEP:
            return playable
        # The piece is late: nothing but the chord that it can end on.
        chord = {(self.key.tonic + degree) % 12 for degree in (0, 3 if self.key.minor else 4, 7)}
        return [pitch for pitch in playable if pitch % 12 in chord] or playable

    def _forbidden_time_shifts(self, must_sound: bool) -> list[int]:
        """Waits into silence or off all grids, notes for a full chord, or too early an end."""
        codec = self.codec
        if not self.pitches:
            # There has been a breath before the piece.
            return [*range(1, codec.end + 1)]
        found = []
        left = self.form.steps * TICKS_PER_STEP - self.tick
        if left > self.form.bar_steps * TICKS_PER_STEP or self.cadence() == Cadence.OPEN:
            found.append(codec.end)
        full = self.struck and not self._has_room()
        chordal = self.chord_notes >= self.chord_share * len(self.pitches) + SPARE_CHORD_NOTES
        if full or chordal:
            found.append(0)
        silence = 0 if must_sound else MAX_SILENCE_TICKS
        latest = self.voices.last_end(self.tick) + silence
        if self.tick < self.double_bar_tick:
            # Not beyond the double bar, unless it is so near that no wait is short enough.
            nearest = self.tick + codec.time_shifts[1]
            latest = min(latest, max(self.double_bar_tick, nearest))
        allowed = [n for n, shift in enumerate(codec.time_shifts) if self.tick + shift <= latest]
        longest = max(1, len(allowed) - 1)
        waits = range(1, longest + 1)
        off_grid = [n for n in waits if not _is_on_grid(self.tick + codec.time_shifts[n])]
        # One short wait too many, and the rest of the piece would be off the beat.
        if len(off_grid) < len(waits):
            found += off_grid
        return [*found, *range(longest + 1, codec.end)]

    def _has_room(self) -> bool:
        """Whether a lower note can be added to the chord that is struck."""
        lowest = min(self.struck)
        if len(self.struck) == MAX_VOICES or lowest <= self.lowest:
            return False
        sounding = frozenset(self.voices.sounding.values())
        unplayable = unplayable_pitches(sounding, self.form.facts.program)
        return any(pitch not in unplayable for pitch in range(self.lowest, lowest))

    def accept(self, token: int) -> list[Event]:
        """Append a token, and return the events that follow from it.

        Their ticks count from the beginning of the piece.
        """
        codec, place = self.codec, self.place
        if place == TIME_SHIFT and token == codec.end:
            return self._end()
        first, choices = codec.choices_at(place)
        choice = max(0, min(choices - 1, token - first))
        repeats = self.match.predicted == first + choice and first + choice not in self.planned()
        self.repetition.update(as_predicted=repeats)
        self.match.update(first + choice)
        events = self._take(choice)
        if not self.done:
            self.last_choices[place] = choice
            self.place = (place + 1) % codec.tokens_per_group
        return events

    def _take(self, choice: int) -> list[Event]:
        if self.place == PITCH:
            self._take_pitch(self.codec.lowest + choice)
            return []
        first, _ = self.codec.choices_at(self.place)
        self.interval_match.update(first + choice)
        if self.place == TIME_SHIFT:
            return self._advance(self.codec.time_shifts[choice])
        return self._strike(self.codec.lengths[choice])

    def _take_pitch(self, pitch: int) -> None:
        before = self.pitches[-1] if self.pitches else pitch
        self.interval_match.update(self.codec.classes + 128 + pitch - before)
        self.pitches.append(pitch)

    def _advance(self, ticks: int) -> list[Event]:
        if not ticks:
            return []
        if self.struck:
            self.lines.end_onset(self.voices.sounding.values(), self.struck)
        if self.tick < self.double_bar_tick <= self.tick + ticks:
            return self._close_half(ticks)
        self.bass_before = min(self.voices.sounding.values(), default=self.bass_before)
        self.struck = []
        self.tick += ticks
        events = self.voices.release_playable(self.tick, self.form.facts.program)
        if self.tick >= (self.form.steps + MAX_OVERRUN_STEPS) * TICKS_PER_STEP:
            return events + self._end()
        return events

    def _close_half(self, ticks: int) -> list[Event]:
        """Go to the double bar; nothing sounds on beyond it."""
        chord = [*self.voices.sounding.values()]
        self.half_cadence = Cadence.OPEN
        if chord:
            self.half_cadence = half_cadence_of(chord, min(chord), self.bass_before, self.key)
        if ticks < self.form.beat_steps * TICKS_PER_STEP:
            # Music that runs on to the bar line has not come to rest.
            self.half_cadence = min(self.half_cadence, Cadence.TONIC)
        self.struck = []
        self.tick += ticks
        if self.tick <= self.double_bar_tick + DOUBLE_BAR_SLACK_TICKS:
            self.tick = self.double_bar_tick
        return self.voices.release_until(self.tick) + self.release_all()

    def _strike(self, length: int) -> list[Event]:
        self.half_cadence = None
        self.chord_notes += bool(self.struck)
        pitch = self.pitches[-1]
        self.plan.add(self.tick, pitch, length, [*self.voices.sounding.values()])
        if self.conditioning is not None or not self.plan.is_empty:
            self.notes.add(self.tick, pitch, length)
        self.struck.append(pitch)
        self.repetition.end_note()
        return self.voices.start_note(self.tick, pitch, length)

    def _end(self) -> list[Event]:
        """End the piece; the last notes sound to their ends."""
        self.done = True
        self.last_chord = [*self.voices.sounding.values()]
        self.tick = self.voices.last_end(self.tick)
        return self.voices.release_until(self.tick)

    def release_all(self) -> list[Event]:
        """End every sounding note, and return the note-offs."""
        return self.voices.release_all(self.tick)

    @property
    def only_rests_left(self) -> bool:
        """Always False: a token ends the piece."""
        return False

    @property
    def goal(self) -> Goal | None:
        """The end or the double bar, if the last bars before it begin here."""
        if self.place != PITCH or self.struck:
            return None
        time_shift = self.last_choices[TIME_SHIFT]
        waited = self.codec.time_shifts[time_shift] if time_shift >= 0 else 0
        ends = (
            (self.form.steps * TICKS_PER_STEP, Goal.END),
            (self.double_bar_tick, Goal.DOUBLE_BAR),
        )
        for end, goal in ends:
            first = max(0, end - MAX_ENDING_STEPS * TICKS_PER_STEP)
            if end and self.tick - waited < first <= self.tick:
                return goal
        return None

    @property
    def at_double_bar(self) -> bool:
        """Whether the first half ends here; nothing sounds then."""
        return self.half_cadence is not None

    @property
    def in_repeat(self) -> bool:
        """Always False: the codec writes no repeats."""
        return False

    def cadence(self) -> Cadence:
        """How the piece closes if it ends here; at a double bar, how the half has closed."""
        if self.half_cadence is not None:
            return self.half_cadence
        last = self.last_chord or [*self.voices.sounding.values()]
        if not last:
            return Cadence.OPEN
        return cadence_of(last, min(last), self.bass_before, self.key.tonic)


def _is_on_grid(tick: int) -> bool:
    return any(tick % grid == 0 for grid in GRIDS_TICKS)
