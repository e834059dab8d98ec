"""The four-voice codec: what the model hears before each note, and what its answer means.

One token a voice a 16th step, in the order soprano, bass, tenor, alto: the outer voices
first, as chorales are written. The model sees a multi-hot vector of facts about the past
(and, with a form, about the frame of the piece); it keeps the rest in its own state.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.music.codecs import counterpoint
from appliance.music.codecs.base import Cadence, Opening
from appliance.music.codecs.match_model import MatchModel, echo_inputs
from appliance.music.events import PLAIN_VELOCITY, TICKS_PER_STEP, Event, note_off, note_on
from appliance.music.files import four_part_reader
from appliance.music.score import HIGHEST, LOWEST, SILENT, VOICES, Form, Key, Score

PITCHES = HIGHEST - LOWEST + 1
REST = PITCHES
HOLD = END = PITCHES + 1
"""The 48th class: a held note where the codec knows onsets, the end of the piece where not."""
CLASSES = PITCHES + 2

ORDER = (0, 3, 2, 1)
HELD_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
TO_FERMATA_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
TO_END_STEPS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
BARS = (16, 12)
ALIKE_TOKENS = 8
"""Two steps of all voices that agree are an echo."""
ALIKE_STEPS = 8
"""So are so many steps of one voice."""

MAX_ENDING_STEPS = 64
CADENCE_BASSES = (2, 5, 7, 11)
"""Semitones above the tonic from which the bass comes home: V, IV, vii6, vii."""


class FourPartCodec:
    """Encodes four-voice scores, with or without onsets and form.

    Args:
        onsets: a class tells held notes from struck ones (else every step repeats the
            pitch, as the JSB benchmark has it, and the 48th class ends the piece).
        form: metre, key, and the way to the next fermata and to the end are inputs.
        ranges: lowest and highest MIDI note of every voice; all notes for all where not given.

    Raises:
        ValueError: the ranges make no sense.
    """

    name = "satb-16th"
    unit = "16th step"
    cycle = VOICES
    voices = VOICES

    def __init__(
        self, *, onsets: bool, form: bool, ranges: Sequence[Sequence[int]] | None = None
    ) -> None:
        self.onsets = onsets
        self.forms = form
        self.ranges = [(low, high) for low, high in ranges or [(LOWEST, HIGHEST)] * VOICES]
        if len(self.ranges) != VOICES or any(low > high for low, high in self.ranges):
            raise ValueError(f"its voices' ranges make no sense: {self.ranges}")
        self.out_of_range = [
            [c for c in range(PITCHES) if not low <= c + LOWEST <= high]
            for low, high in self.ranges
        ]
        """Classes that each voice never gets."""
        self._held = VOICES * (PITCHES + 2)
        self._voice = self._held + VOICES * (len(HELD_STEPS) + 1)
        self._metre = self._voice + VOICES
        self._key = self._metre + (sum(BARS) if form else BARS[0])
        self._fermata = self._key + (24 if form else 0)
        self._end = self._fermata + (len(TO_FERMATA_STEPS) + 2 if form else 0)
        self._echoes = self._end + (len(TO_END_STEPS) + 1 if form else 0)
        self.width = self._echoes + 2 * echo_inputs(CLASSES)
        """Length of the multi-hot input."""

    @property
    def vocabulary(self) -> list[str]:
        """A name for every class, in order."""
        names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
        pitches = [f"{names[p % 12]}{p // 12 - 1}" for p in range(LOWEST, HIGHEST + 1)]
        return [*pitches, "rest", "hold" if self.onsets else "end"]

    @property
    def options(self) -> dict[str, Any]:
        """What makes the same codec again."""
        return {"onsets": self.onsets, "form": self.forms, "ranges": self.ranges}

    def units(self, score: Score) -> tuple[int, int]:
        """How many tokens count (the end does not), and in how many 16th steps."""
        return VOICES * score.steps, score.steps

    def shifts(self, score: Score) -> list[int]:
        """Transpositions that stay in range, within half an octave."""
        low, high = score.range()
        return [s for s in range(-5, 7) if LOWEST - low <= s <= HIGHEST - high]

    def moved(self, semitones: int) -> tuple[list[int], list[int]]:
        """See :meth:`appliance.music.codecs.base.Codec.moved`."""
        classes = [
            min(max(c + semitones, 0), PITCHES - 1) if c < PITCHES else c for c in range(CLASSES)
        ]
        inputs = list(range(self.width))
        heard = [voice * (PITCHES + 2) for voice in range(VOICES)]
        for first in (*heard, self._echoes, self._echoes + echo_inputs(CLASSES)):
            inputs[first : first + PITCHES] = [first + c for c in classes[:PITCHES]]
        for key in range(self._key, self._fermata):
            inputs[key] = self._key + (key - self._key + 2 * semitones) % 24
        return inputs, classes

    def opening(self, path: Path) -> Opening:
        """The four voices in a person's MIDI or MusicXML file."""
        return self.told(four_part_reader.read(path))

    def told(self, score: Score) -> Opening:
        """A score as something to start from."""
        form = score.form._replace(steps=score.steps)
        return Opening(form, score.key, self.encode(score)[1][: VOICES * score.steps])

    def start(self, form: Form, key: Key) -> FourPartContext:
        """An empty piece in this form and key."""
        return FourPartContext(self, form, key)

    def encode(self, score: Score) -> tuple[list[list[int]], list[int]]:
        """Features and the true token at every place of a score, ``4 * steps`` of each.

        Without onsets one more place follows, whose token is the end.
        """
        context = self.start(score.form._replace(steps=score.steps), score.key)
        features, tokens = [], []
        for row, struck in zip(score.pitches, score.onsets, strict=True):
            for voice in ORDER:
                features.append(context.features())
                tokens.append(self.token(row[voice], struck[voice], context.sounding[voice]))
                context.accept(tokens[-1])
        if not self.onsets:
            features.append(context.features())
            tokens.append(END)
        return features, tokens

    def token(self, pitch: int, struck: bool, sounding: int | None) -> int:
        """The class for a pitch (or ``SILENT``) over what the voice was doing before."""
        if self.onsets and not struck and sounding == pitch:
            return HOLD
        return REST if pitch == SILENT else pitch - LOWEST


class FourPartContext:
    """A four-voice piece being written."""

    def __init__(self, codec: FourPartCodec, form: Form, key: Key) -> None:
        self.codec = codec
        self.form = form
        self.key = key
        self.step = 0
        self.place = 0
        """Index into ``ORDER`` of the voice whose turn it is."""
        self.sounding: list[int | None] = [None] * VOICES
        """MIDI note of each voice, ``SILENT``, or ``None`` before its first token."""
        self.before: list[int | None] = [None] * VOICES
        """What the voices of this step that are set already did in the step before."""
        self.held = [0] * VOICES
        self.bass_before = SILENT
        """The bass note before the one that sounds."""
        self.echo = MatchModel(ALIKE_TOKENS)
        """Of all voices together."""
        self.echoes = [MatchModel(ALIKE_STEPS) for _ in range(VOICES)]
        """Of each voice alone."""
        self.done = False
        self._cadence = Cadence.OPEN

    @property
    def tick(self) -> int:
        """Ticks since the piece began up to which the music is complete."""
        return self.step * TICKS_PER_STEP

    def features(self) -> list[int]:
        """Indices of the ones in the multi-hot input for the next token."""
        codec = self.codec
        found = []
        for voice, pitch in enumerate(self.sounding):
            if pitch is None:
                pitch_class = PITCHES + 1
            else:
                pitch_class = REST if pitch == SILENT else pitch - LOWEST
            found.append(voice * (PITCHES + 2) + pitch_class)
            bucket = bisect_right(HELD_STEPS, self.held[voice])
            found.append(codec._held + voice * (len(HELD_STEPS) + 1) + bucket)
        found.append(codec._voice + self.place)
        found += self._heard_before()
        if not codec.forms:
            found.append(codec._metre + self.step % BARS[0])
            return found
        bar = self.form.bar_steps
        found.append(
            codec._metre
            + (BARS[0] if bar == BARS[1] else 0)
            + (self.step - self.form.pickup_steps) % bar
        )
        found.append(codec._key + self.key.tonic * 2 + self.key.minor)
        found.append(codec._fermata + self._to_fermata())
        left = self.form.steps - self.step
        found.append(codec._end + bisect_right(TO_END_STEPS, left))
        return found

    def _heard_before(self) -> list[int]:
        """What both echoes expect, and how long they have been right."""
        at, found = self.codec._echoes, []
        for echo in (self.echo, self.echoes[self.place]):
            expected = echo.expected
            found.append(at + (CLASSES if expected is None else expected % CLASSES))
            found.append(at + CLASSES + 1 + echo.bucket)
            at += echo_inputs(CLASSES)
        return found

    def _to_fermata(self) -> int:
        """Bucket of the way to the next fermata: 0 inside one, the last where none follows."""
        for start, end in self.form.fermatas:
            if self.step < start:
                return 1 + bisect_right(TO_FERMATA_STEPS, start - self.step - 1)
            if self.step < end:
                return 0
        return len(TO_FERMATA_STEPS) + 1

    def forbidden(self, *, must_sound: bool = False) -> list[int]:
        """Classes that make no sense as the next token; ``must_sound`` rules out rests."""
        # A piece does not begin with silence: at the latest its fourth voice sounds.
        last_to_begin = self.step == 0 and self.place == VOICES - 1
        must_sound |= last_to_begin and self.silent
        voice = ORDER[self.place]
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
            found += self._parallels(voice, now)
        return found

    def _parallels(self, voice: int, now: int) -> list[int]:
        """Classes that would move in fifths, octaves or unisons with a voice already set."""
        moved = [
            (before, self.sounding[other])
            for other, before in zip(ORDER[: self.place], self.before, strict=False)
        ]
        wrong = counterpoint.parallels(now, moved)
        return [pitch - LOWEST for pitch in wrong if LOWEST <= pitch <= HIGHEST]

    def accept(self, token: int) -> list[Event]:
        """Write the token down; the events it gives, in ticks since the piece began."""
        if token == END and not self.codec.onsets:
            self.done = True
            return []
        voice = ORDER[self.place]
        before = self.sounding[voice]
        self.before[self.place] = before
        if token == HOLD:
            pitch = SILENT if before is None else before
        else:
            pitch = SILENT if token == REST else token + LOWEST
        tick = self.tick
        events = []
        if token == HOLD or (pitch == before and (pitch == SILENT or not self.codec.onsets)):
            self.held[voice] += 1
        else:
            if before is not None and before != SILENT:
                events.append(note_off(tick, voice, before))
            if pitch != SILENT:
                events.append(note_on(tick, voice, pitch, PLAIN_VELOCITY))
            self.held[voice] = 1
        if voice == VOICES - 1 and pitch != before and before is not None:
            self.bass_before = before
        self.sounding[voice] = pitch
        self.echo.hear(token + CLASSES * self.place)
        self.echoes[self.place].hear(token)
        self.place += 1
        if self.place == VOICES:
            self.place = 0
            self.step += 1
            if not self.silent:
                self._cadence = self._cadence_now()
            self.done = self.codec.forms and self.step >= self.form.steps
        return events

    def close(self) -> list[Event]:
        """Leave every note still sounding."""
        events = [
            note_off(self.tick, voice, pitch)
            for voice, pitch in enumerate(self.sounding)
            if pitch is not None and pitch != SILENT
        ]
        self.sounding = [SILENT] * VOICES
        return events

    @property
    def silent(self) -> bool:
        """No voice sounds."""
        return all(pitch in (None, SILENT) for pitch in self.sounding)

    @property
    def faded(self) -> bool:
        """The last chord has sounded and been left: only rests are still to come."""
        last = self.form.fermatas[-1][0] if self.form.fermatas else self.form.steps
        return self.step > last and not self.place and self.silent

    @property
    def at_ending(self) -> bool:
        """Here the last phrase begins."""
        return self.codec.forms and not self.place and self.step == self.ending_step

    @property
    def ending_step(self) -> int:
        """Where the last phrase begins."""
        earlier = self.form.fermatas[-2][1] if len(self.form.fermatas) > 1 else 0
        return max(earlier, self.form.steps - MAX_ENDING_STEPS)

    def cadence(self) -> Cadence:
        """How the piece closes, if it closes with what sounds now or sounded last."""
        return self._cadence

    def _cadence_now(self) -> Cadence:
        chord = {(p - self.key.tonic) % 12 for p in self.sounding if p not in (None, SILENT)}
        bass = self.sounding[-1]
        at_home = bass not in (None, SILENT) and (bass - self.key.tonic) % 12 == 0
        if not at_home or not (chord <= {0, 4, 7} or chord <= {0, 3, 7}):
            return Cadence.OPEN
        approach = (self.bass_before - self.key.tonic) % 12
        leads_home = self.bass_before != SILENT and approach in CADENCE_BASSES
        return Cadence.FULL if leads_home else Cadence.HOME

    def copy(self) -> FourPartContext:
        """A copy that goes its own way."""
        twin = FourPartContext(self.codec, self.form, self.key)
        twin.step, twin.place, twin.done = self.step, self.place, self.done
        twin._cadence = self._cadence
        twin.bass_before, twin.before = self.bass_before, self.before.copy()
        twin.sounding, twin.held = self.sounding.copy(), self.held.copy()
        twin.echo, twin.echoes = self.echo.copy(), [echo.copy() for echo in self.echoes]
        return twin
