"""The codec for four-part music: what the model sees before each note, what its tokens mean.

One token per voice and 16th step, in the order soprano, bass, tenor, alto: the outer voices
first, as chorales are written. The model sees a multi-hot vector of facts about the past and, with
a form, about the frame of the piece; it keeps the rest in its own state.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from appliance.common.copying import Copyable
from appliance.music.codecs import counterpoint, four_part_conversion
from appliance.music.codecs.base import Aspects, Cadence, Goal, Opening, cadence_of
from appliance.music.codecs.four_part_returns import PlannedParts
from appliance.music.codecs.input_layout import Inputs
from appliance.music.codecs.match_model import MatchModel, match_features, match_input_count
from appliance.music.events import PLAIN_VELOCITY, TICKS_PER_STEP, Event, NoteOff, NoteOn
from appliance.music.files.score_file import ScoreFile
from appliance.music.score import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    SILENT,
    VOICE_ORDER,
    VOICES,
    Form,
    Key,
    Score,
)

PITCHES = HIGHEST_PITCH - LOWEST_PITCH + 1
REST = PITCHES
HOLD = END = PITCHES + 1
"""The 48th class: a held note if the codec knows onsets, the end of the piece if not."""
CLASSES = PITCHES + 2

HELD_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
TO_FERMATA_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
TO_END_STEPS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
"""Lower ends of the buckets that numbers of steps fall into."""
BAR_STEPS = (16, 12)
"""The two lengths of a bar that have inputs for each of their steps."""
MIN_MATCH_TOKENS = 8
"""Tokens of all voices, two steps, that must agree before a match counts."""
MIN_VOICE_MATCH_STEPS = 8
"""Steps of one voice that must agree before a match counts."""

MAX_ENDING_STEPS = 64
"""Longest ending of which several are compared."""


class FourPartCodec:
    """Encodes four-part scores, with or without onsets and form.

    Args:
        onsets: a class tells held notes from struck ones. Otherwise every step repeats the pitch,
            as in the JSB benchmark, and the 48th class ends the piece.
        form: meter, key, and the distances to the next fermata and to the end are inputs.
        ranges: lowest and highest MIDI note of every voice; by default all notes for all voices.

    Raises:
        ValueError: the ranges are not four of a lowest and a highest note.
    """

    name = "satb-16th"
    unit = "16th step"
    tokens_per_group = VOICES
    optional_inputs: Sequence[range] = ()
    voices = VOICES

    def __init__(
        self, *, onsets: bool, form: bool, ranges: Sequence[Sequence[int]] | None = None
    ) -> None:
        self.onsets = onsets
        self.uses_forms = form
        self.ranges = [
            (low, high) for low, high in ranges or [(LOWEST_PITCH, HIGHEST_PITCH)] * VOICES
        ]
        if len(self.ranges) != VOICES or any(low > high for low, high in self.ranges):
            raise ValueError(f"its voices' ranges make no sense: {self.ranges}")
        self.out_of_range = [
            [c for c in range(PITCHES) if not low <= c + LOWEST_PITCH <= high]
            for low, high in self.ranges
        ]
        """The classes that each voice never gets."""
        self.inputs = Inputs(
            ("pitch", VOICES, PITCHES + 2),
            ("held", VOICES, len(HELD_STEPS) + 1),
            ("voice", VOICES),
            ("meter", sum(BAR_STEPS) if form else BAR_STEPS[0]),
            ("key", 24 if form else 0),
            ("fermata", len(TO_FERMATA_STEPS) + 2 if form else 0),
            ("end", len(TO_END_STEPS) + 1 if form else 0),
            ("match", 2, match_input_count(CLASSES)),
        )
        self.width = self.inputs.width
        """Length of the multi-hot input."""

    @property
    def aspect_layout(self) -> Inputs:
        """See :mod:`.four_part_aspects`."""
        from appliance.music.codecs.four_part_aspects import ASPECTS

        return ASPECTS

    @property
    def vocabulary(self) -> list[str]:
        """A name for every class, in order."""
        names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
        pitches = [f"{names[p % 12]}{p // 12 - 1}" for p in range(LOWEST_PITCH, HIGHEST_PITCH + 1)]
        return [*pitches, "rest", "hold" if self.onsets else "end"]

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that make the same codec again."""
        return {"onsets": self.onsets, "form": self.uses_forms, "ranges": self.ranges}

    def loss_counts(self, score: Score) -> tuple[int, int]:
        """How many tokens count for the loss (the end does not), and how many 16th steps."""
        return VOICES * score.steps, score.steps

    def transpositions(self, score: Score) -> list[int]:
        """As :meth:`.Codec.transpositions`: those that stay in range, within half an octave."""
        low, high = score.pitch_range()
        return [s for s in range(-5, 7) if LOWEST_PITCH - low <= s <= HIGHEST_PITCH - high]

    def transposition_maps(self, semitones: int) -> tuple[list[int], list[int]]:
        """The inputs and the classes of a piece after it has been transposed, as indices.

        See :meth:`appliance.music.codecs.base.Codec.transposition_maps`.
        """
        classes = [
            min(max(c + semitones, 0), PITCHES - 1) if c < PITCHES else c for c in range(CLASSES)
        ]
        inputs = list(range(self.width))
        pitch_rows = [self.inputs["pitch", voice, 0] for voice in range(VOICES)]
        for first in (*pitch_rows, self.inputs["match", 0, 0], self.inputs["match", 1, 0]):
            inputs[first : first + PITCHES] = [first + c for c in classes[:PITCHES]]
        if self.uses_forms:
            for key in range(24):
                inputs[self.inputs["key", key]] = self.inputs["key", (key + 2 * semitones) % 24]
        return inputs, classes

    def opening(self, file: ScoreFile) -> Opening:
        """The four voices of a user's file, for a piece to start from.

        Raises:
            UsageError: it has no four voices, or the codec cannot encode them.
        """
        return self.opening_from(four_part_conversion.four_voices_of(file))

    def opening_from(self, score: Score) -> Opening:
        """The whole of a score as the music that a piece starts from."""
        form = score.form._replace(steps=score.steps)
        tokens = self.encode(score)[1][: VOICES * score.steps]
        return Opening(form, score.key, tokens, score.notices)

    def start(self, form: Form, key: Key) -> FourPartContext:
        """An empty piece in this form and key."""
        return FourPartContext(self, form, key)

    def encode(self, score: Score) -> tuple[list[list[int]], list[int]]:
        """The features at every place of a score and the true tokens, ``4 * steps`` of each.

        Without onsets one more place follows, whose token is the end.
        """
        context = self.start(score.form._replace(steps=score.steps), score.key)
        features, tokens = [], []
        for row, struck in zip(score.pitches, score.onsets, strict=True):
            for voice in VOICE_ORDER:
                features.append(context.features())
                tokens.append(self.token(row[voice], struck[voice], context.sounding[voice]))
                context.accept(tokens[-1])
        if not self.onsets:
            features.append(context.features())
            tokens.append(END)
        return features, tokens

    def token(self, pitch: int, struck: bool, sounding: int | None) -> int:
        """The class for a MIDI note or ``SILENT``, in a voice that has been ``sounding`` this."""
        if self.onsets and not struck and sounding == pitch:
            return HOLD
        return REST if pitch == SILENT else pitch - LOWEST_PITCH


class FourPartContext(Copyable):
    """A four-part piece being written."""

    shared_when_copied = frozenset({"codec"})

    def __init__(self, codec: FourPartCodec, form: Form, key: Key) -> None:
        self.codec = codec
        self.form = form
        self.key = key
        self.step = 0
        self.place = 0
        """Index into ``VOICE_ORDER`` of the voice that comes next."""
        self.sounding: list[int | None] = [None] * VOICES
        """MIDI note of each voice, ``SILENT``, or ``None`` before its first token."""
        self.before: list[int | None] = [None] * VOICES
        """What the voices of this step that are set already did in the step before."""
        self.held = [0] * VOICES
        """For how many steps each voice has done what it does."""
        self.bass_before = SILENT
        """The bass note before the one that sounds, or ``SILENT``."""
        self.match = MatchModel(MIN_MATCH_TOKENS)
        """Of all voices together."""
        self.voice_matches = [MatchModel(MIN_VOICE_MATCH_STEPS) for _ in range(VOICES)]
        """Of each voice alone, in the order of ``VOICE_ORDER``."""
        self.plan = PlannedParts(form)
        from appliance.music.codecs.four_part_aspects import PartAspects

        self.lines = PartAspects(form, key)
        self.done = False
        self._cadence = Cadence.OPEN

    @property
    def tick(self) -> int:
        """The tick since the piece began up to which the music is complete."""
        return self.step * TICKS_PER_STEP

    def features(self) -> list[int]:
        """Indices of the ones in the multi-hot input for the next token."""
        inputs = self.codec.inputs
        ones = []
        for voice, pitch in enumerate(self.sounding):
            pitch_class = PITCHES + 1 if pitch is None else self.codec.token(pitch, True, None)
            ones.append(inputs["pitch", voice, pitch_class])
            ones.append(inputs["held", voice, bisect_right(HELD_STEPS, self.held[voice])])
        ones.append(inputs["voice", self.place])
        voice_match = self.voice_matches[self.place]
        predicted = self.match.predicted
        matches = (
            (None if predicted is None else predicted % CLASSES, self.match.length_bucket),
            (voice_match.predicted, voice_match.length_bucket),
        )
        ones += match_features(inputs, CLASSES, matches)
        if not self.codec.uses_forms:
            ones.append(inputs["meter", self.step % BAR_STEPS[0]])
            return ones
        bar = self.form.bar_steps
        first_of_meter = BAR_STEPS[0] if bar == BAR_STEPS[1] else 0
        in_bar = (self.step - self.form.pickup_steps) % bar
        ones.append(inputs["meter", first_of_meter + in_bar])
        ones.append(inputs["key", self.key.tonic * 2 + self.key.minor])
        ones.append(inputs["fermata", self._to_fermata()])
        ones.append(inputs["end", bisect_right(TO_END_STEPS, self.form.steps - self.step)])
        return ones

    def _to_fermata(self) -> int:
        """Bucket of the distance to the next fermata: 0 inside one, the last if none follows."""
        for start, end in self.form.fermatas:
            if self.step < start:
                return 1 + bisect_right(TO_FERMATA_STEPS, start - self.step - 1)
            if self.step < end:
                return 0
        return len(TO_FERMATA_STEPS) + 1

    def forbidden(self, *, must_sound: bool = False) -> list[int]:
        """Classes that are not allowed as the next token; ``must_sound`` rules out rests."""
        # A piece does not begin with silence: its fourth voice sounds at the latest.
        last_to_begin = self.step == 0 and self.place == VOICES - 1
        must_sound |= last_to_begin and self.silent
        voice = VOICE_ORDER[self.place]
        now = self.sounding[voice]
        found = list(self.codec.out_of_range[voice])
        if must_sound:
            found.append(REST)
        if self.codec.onsets:
            if now is None or (must_sound and now == SILENT):
                found.append(HOLD)
        elif self.place or not self.step:
            found.append(END)
        if now is not None and now != SILENT:
            found += self._parallels(now)
        return found

    def planned(self) -> Sequence[int]:
        """The class that the form's map of returns asks for, if it asks for one."""
        voice = VOICE_ORDER[self.place]
        note = self.plan.note(self.step, voice)
        if note is None or (note[0] != SILENT and not LOWEST_PITCH <= note[0] <= HIGHEST_PITCH):
            return ()
        return (self.codec.token(*note, self.sounding[voice]),)

    def aspects(self) -> Aspects:
        """The aspects of every class as the next token, ``(rows, classes)``."""
        return self.lines.of(self.step, self.place, self.sounding, self.held)

    def _parallels(self, now: int) -> list[int]:
        """Classes that would move in fifths, octaves or unisons with a voice already set."""
        moves = [
            (before, self.sounding[other])
            for other, before in zip(VOICE_ORDER[: self.place], self.before, strict=False)
        ]
        wrong = counterpoint.parallels(now, moves)
        return [pitch - LOWEST_PITCH for pitch in wrong if LOWEST_PITCH <= pitch <= HIGHEST_PITCH]

    def accept(self, token: int) -> list[Event]:
        """Append a token, and return the events that follow from it.

        Their ticks count from the beginning of the piece.
        """
        if token == END and not self.codec.onsets:
            self.done = True
            return []
        voice = VOICE_ORDER[self.place]
        before = self.sounding[voice]
        self.before[self.place] = before
        if token == HOLD:
            pitch = SILENT if before is None else before
        else:
            pitch = SILENT if token == REST else token + LOWEST_PITCH
        self.plan.add(self.step, voice, pitch, token not in (HOLD, REST))
        if token != HOLD:
            self.lines.add(voice, pitch)
        events: list[Event] = []
        if token == HOLD or (pitch == before and (pitch == SILENT or not self.codec.onsets)):
            self.held[voice] += 1
        else:
            if before is not None and before != SILENT:
                events.append(NoteOff(self.tick, voice, before))
            if pitch != SILENT:
                events.append(NoteOn(self.tick, voice, pitch, PLAIN_VELOCITY))
            self.held[voice] = 1
        if voice == VOICES - 1 and pitch != before and before is not None:
            self.bass_before = before
        self.sounding[voice] = pitch
        self.match.update(token + CLASSES * self.place)
        self.voice_matches[self.place].update(token)
        self.place += 1
        if self.place == VOICES:
            self._end_step()
        return events

    def _end_step(self) -> None:
        self.lines.end_step(self.step, self.sounding)
        self.place = 0
        self.step += 1
        if not self.silent:
            self._cadence = self._cadence_now()
        self.done = self.codec.uses_forms and self.step >= self.form.steps

    def release_all(self) -> list[Event]:
        """End every sounding note, and return the note-offs."""
        events: list[Event] = [
            NoteOff(self.tick, voice, pitch)
            for voice, pitch in enumerate(self.sounding)
            if pitch is not None and pitch != SILENT
        ]
        self.sounding = [SILENT] * VOICES
        return events

    @property
    def silent(self) -> bool:
        """Whether no voice sounds."""
        return all(pitch in (None, SILENT) for pitch in self.sounding)

    @property
    def only_rests_left(self) -> bool:
        """Whether the last chord has sounded and ended."""
        last = self.form.fermatas[-1][0] if self.form.fermatas else self.form.steps
        return self.step > last and not self.place and self.silent

    @property
    def goal(self) -> Goal | None:
        """The end, if the last phrase begins here."""
        begins = self.codec.uses_forms and not self.place and self.step == self.last_phrase_step
        return Goal.END if begins else None

    @property
    def at_double_bar(self) -> bool:
        """Always False: four-part music is composed without halves."""
        return False

    @property
    def last_phrase_step(self) -> int:
        """The 16th step at which the last phrase begins."""
        earlier = self.form.fermatas[-2][1] if len(self.form.fermatas) > 1 else 0
        return max(earlier, self.form.steps - MAX_ENDING_STEPS)

    @property
    def in_repeat(self) -> bool:
        """Always False: the codec writes no repeats."""
        return False

    def cadence(self) -> Cadence:
        """How the piece closes if it ends with what sounds now or sounded last."""
        return self._cadence

    def _cadence_now(self) -> Cadence:
        bass = self.sounding[-1]
        if bass is None or bass == SILENT:
            return Cadence.OPEN
        chord = [pitch for pitch in self.sounding if pitch is not None and pitch != SILENT]
        before = None if self.bass_before == SILENT else self.bass_before
        return cadence_of(chord, bass, before, self.key.tonic)
