"""The codec for music in free rhythm: a solo violin's line, a keyboard's two hands.

Three tokens a note: how long after the note before it begins (0: together with it), its
pitch, its length. Notes that begin together go from the highest down. The model hears where
in the bar it is, what sounds, and what followed when these notes, or the same intervals on
another degree, came before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

from appliance.errors import UsageError
from appliance.music.codecs.base import Cadence, Opening
from appliance.music.codecs.match_model import MatchModel, RepetitionLimit, echo_inputs
from appliance.music.codecs.voice_allocation import MAX_VOICES, Voices
from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP, Event
from appliance.music.score import Form, FreeRhythmScore, Key, Tessitura

AFTER, PITCH, LENGTH = range(3)
"""What the next token says."""
METRES = ((16, 4), (12, 4), (8, 4), (12, 6), (6, 2), (24, 6), (18, 6), (24, 4), (32, 8))
"""Bar and beat in 16th steps; any other is one more class."""
MAX_BAR_STEPS = 32
FINE = 4
"""Places within a 16th that are told apart."""
TO_END_STEPS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
BACK = 4
"""Notes before the next one that are heard by their pitch."""
ALIKE_SYMBOLS = 9
"""Three notes that agree are an echo."""
INTERVALS = 25
"""Up and down by at most an octave, for what is heard of the melody's shape."""
MAX_SILENCE_TICKS = 3 * TICKS_PER_BEAT // 2
OVERTIME_STEPS = 16
"""How far beyond its form a piece may go before it is ended."""
MAX_ENDING_STEPS = 32
SPARE_CHORDS = 6
"""So many more notes may be struck together than the scope's share of them: for a last chord."""


class FreeRhythmCodec:
    """Encodes notes in free rhythm.

    Args:
        lowest, highest: the MIDI notes there are.
        lengths: the lengths there are, in ticks, rising; one that is not there is told as the
            nearest.

    Raises:
        ValueError: these make no codec.
    """

    name = "lines"
    unit = "note"
    cycle = 3
    voices = 1
    forms = True

    def __init__(self, *, lowest: int, highest: int, lengths: Sequence[int]) -> None:
        self.lowest, self.highest = lowest, highest
        self.lengths = list(lengths)
        if not 0 <= lowest < highest <= 127:
            raise ValueError(f"notes from {lowest} to {highest}")
        if not 2 <= len(lengths) <= 64 or list(lengths) != sorted({*lengths}) or lengths[0] < 1:
            raise ValueError("its lengths are no rising list of at most 64")
        self.pitches = highest - lowest + 1
        self.after = [0, *self.lengths]
        self.end = len(self.after)
        self.first_pitch = self.end + 1
        self.first_length = self.first_pitch + self.pitches
        self.classes = self.first_length + len(self.lengths)
        if self.classes > 256:
            raise ValueError("more than 256 tokens")
        sizes = (
            ("place", self.cycle),
            ("back", BACK * (self.pitches + 1)),
            ("after", len(self.after) + 1),
            ("length", len(self.lengths) + 1),
            ("held", self.pitches),
            ("struck", self.pitches),
            ("shape", 2 * (INTERVALS + 1)),
            ("bar", MAX_BAR_STEPS),
            ("fine", FINE),
            ("metre", len(METRES) + 1),
            ("key", 24),
            ("degree", 13),
            ("end", len(TO_END_STEPS) + 1),
            ("echo", 2 * echo_inputs(self.classes)),
        )
        self.at: dict[str, int] = {}
        """Where each part of the input begins."""
        self.width = 0
        for part, size in sizes:
            self.at[part] = self.width
            self.width += size

    @property
    def vocabulary(self) -> list[str]:
        """A name for every class, in order."""
        names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
        return [
            *(f"after {ticks}" for ticks in self.after),
            "end",
            *(f"{names[p % 12]}{p // 12 - 1}" for p in range(self.lowest, self.highest + 1)),
            *(f"for {ticks}" for ticks in self.lengths),
        ]

    @property
    def options(self) -> dict[str, Any]:
        """What makes the same codec again."""
        return {"lowest": self.lowest, "highest": self.highest, "lengths": self.lengths}

    def start(self, form: Form, key: Key) -> FreeRhythmContext:
        """An empty piece in this form and key."""
        return FreeRhythmContext(self, form, key)

    def encode(self, score: FreeRhythmScore) -> tuple[list[list[int]], list[int]]:
        """Features and the true token at every place, three a note and the end."""
        context = self.start(score.form, score.key)
        features: list[list[int]] = []
        said: list[int] = []

        def say(token: int) -> None:
            features.append(context.features())
            said.append(token)
            context.accept(token)

        for note in score.notes:
            # From where the codec is, not from the note before: rounding must not add up.
            say(nearest(self.after, note.start - context.now))
            say(self.first_pitch + self._within(note.pitch) - self.lowest)
            say(self.first_length + nearest(self.lengths, note.length))
        say(self.end)
        return features, said

    def _within(self, pitch: int) -> int:
        """The pitch, or the nearest octave of it that is in range."""
        octaves = [p for p in range(pitch % 12, 128, 12) if self.lowest <= p <= self.highest]
        return min(octaves, key=lambda p: abs(p - pitch), default=self.highest)

    def units(self, score: FreeRhythmScore) -> tuple[int, int]:
        """How many tokens count (the end does not), and of how many notes."""
        return self.cycle * len(score.notes), len(score.notes)

    def shifts(self, score: FreeRhythmScore) -> list[int]:
        """Transpositions that stay in range, within half an octave."""
        low, high = score.range()
        return [s for s in range(-5, 7) if self.lowest - low <= s <= self.highest - high]

    def moved(self, semitones: int) -> tuple[list[int], list[int]]:
        """See :meth:`appliance.music.codecs.base.Codec.moved`."""
        up = [min(max(p + semitones, 0), self.pitches - 1) for p in range(self.pitches)]
        first, at = self.first_pitch, self.at
        classes = list(range(self.classes))
        classes[first : first + self.pitches] = [first + p for p in up]
        heard = [at["back"] + back * (self.pitches + 1) for back in range(BACK)]
        expected = [at["echo"] + echo * echo_inputs(self.classes) + first for echo in range(2)]
        inputs = list(range(self.width))
        for start in (*heard, at["held"], at["struck"], *expected):
            inputs[start : start + self.pitches] = [start + p for p in up]
        for key in range(24):
            inputs[at["key"] + key] = at["key"] + (key + 2 * semitones) % 24
        return inputs, classes

    def opening(self, path: Path) -> Opening:
        """The notes in a person's MIDI or MusicXML file."""
        from appliance.music.files import free_rhythm_reader

        score = free_rhythm_reader.read(path)
        low, high = score.range()
        if low < self.lowest or high > self.highest:
            raise UsageError(
                f"{path}: MIDI note {low if low < self.lowest else high} is out of the model's "
                f"range ({self.lowest} to {self.highest}); transpose the score"
            )
        said = self.encode(score)[1][:-1]
        return Opening(score.form, score.key, said)


def nearest(choices: Sequence[int], wanted: int) -> int:
    """Index of the choice (of a rising list) that is nearest to ``wanted``."""
    at = bisect_left(choices, wanted)
    if at == len(choices) or (at and wanted - choices[at - 1] <= choices[at] - wanted):
        return at - 1
    return at


class FreeRhythmContext:
    """A piece in free rhythm being written."""

    def __init__(self, codec: FreeRhythmCodec, form: Form, key: Key) -> None:
        self.codec = codec
        self.form = form
        self.key = key
        self.done = False
        self.now = 0
        """Tick at which the next note begins, or the last one did."""
        self.place = AFTER
        # A cello's piece stays a cello's: the model has learned from others too.
        low, high, self.together = form.scope or Tessitura(codec.lowest, codec.highest, 1.0)
        self.lowest = min(max(low, codec.lowest), codec.highest - 1)
        self.highest = max(min(high, codec.highest), self.lowest + 1)
        self.pitches: list[int] = []
        """Every note so far, in order of its tokens."""
        self.said = [-1, -1, -1]
        """Index of the last choice of each kind."""
        self.voices = Voices()
        """What sounds."""
        self.struck: list[int] = []
        """MIDI notes struck at ``now``."""
        self.lowest_before = -1
        """The bass before the notes struck last."""
        self.last_chord: list[int] = []
        """What sounded when the end was said."""
        self.echo, self.shape = MatchModel(ALIKE_SYMBOLS), MatchModel(ALIKE_SYMBOLS)
        """Of the notes, and of the intervals between them."""
        self.repeats = RepetitionLimit()
        self.chords = 0
        """Notes that were struck together with a higher one."""

    @property
    def tick(self) -> int:
        """Ticks since the piece began up to which the music is complete."""
        return self.now

    def features(self) -> list[int]:
        """Indices of the ones in the multi-hot input for the next token."""
        codec, at = self.codec, self.codec.at
        found = [at["place"] + self.place]
        for back in range(BACK):
            known = len(self.pitches) > back
            pitch = self.pitches[-1 - back] - codec.lowest if known else codec.pitches
            found.append(at["back"] + back * (codec.pitches + 1) + pitch)
        found.append(at["after"] + self.said[AFTER] + 1)
        found.append(at["length"] + self.said[LENGTH] + 1)
        found += [at["held"] + pitch - codec.lowest for pitch in {*self.voices.sounds.values()}]
        found += [at["struck"] + pitch - codec.lowest for pitch in {*self.struck}]
        for back in range(2):
            found.append(at["shape"] + back * (INTERVALS + 1) + self._interval(back))
        step, within = divmod(self.now - self.form.pickup_steps * TICKS_PER_STEP, TICKS_PER_STEP)
        found.append(at["bar"] + step % self.form.bar_steps % MAX_BAR_STEPS)
        found.append(at["fine"] + within * FINE // TICKS_PER_STEP)
        metre = (self.form.bar_steps, self.form.beat_steps)
        found.append(at["metre"] + (METRES.index(metre) if metre in METRES else len(METRES)))
        found.append(at["key"] + self.key.tonic * 2 + self.key.minor)
        degree = (self.pitches[-1] - self.key.tonic) % 12 if self.pitches else 12
        found.append(at["degree"] + degree)
        left = self.form.steps - self.now // TICKS_PER_STEP
        found.append(at["end"] + bisect_right(TO_END_STEPS, left))
        return found + self._heard_before()

    def _interval(self, back: int) -> int:
        """The melody's step so many notes ago, within an octave; the last class for none."""
        if len(self.pitches) < back + 2:
            return INTERVALS
        step = self.pitches[-1 - back] - self.pitches[-2 - back]
        return max(-12, min(12, step)) + 12

    def _heard_before(self) -> list[int]:
        """What both echoes expect, and how long they have been right."""
        codec, found = self.codec, []
        at = codec.at["echo"]
        by_shape = self._expected_by_shape()
        for echo, expected in ((self.echo, self.echo.expected), (self.shape, by_shape)):
            found.append(at + (codec.classes if expected is None else expected))
            found.append(at + codec.classes + 1 + echo.bucket)
            at += echo_inputs(codec.classes)
        return found

    def _expected_by_shape(self) -> int | None:
        symbol = self.shape.expected
        if symbol is None or self.place != PITCH:
            return symbol if symbol is not None and 0 <= symbol < self.codec.classes else None
        # As an interval from the last note, above every class.
        pitch = self.pitches[-1] + symbol - self.codec.classes - 128
        if self.codec.lowest <= pitch <= self.codec.highest:
            return self.codec.first_pitch + pitch - self.codec.lowest
        return None

    def forbidden(self, *, must_sound: bool = False) -> list[int]:
        """Classes that make no sense as the next token; ``must_sound`` rules out rests."""
        codec = self.codec
        if self.place == AFTER:
            return [*range(codec.first_pitch, codec.classes), *self._no_time(must_sound)]
        if self.place == PITCH:
            # A chord goes down.
            highest = min(self.highest, min(self.struck, default=self.highest + 1) - 1)
            lowest = codec.first_pitch + self.lowest - codec.lowest
            above = codec.first_pitch + highest - codec.lowest + 1
            said_before = self.echo.expected
            # The lowest may be all that is left.
            again = self.repeats.too_many and said_before is not None and said_before > lowest
            return [*range(lowest), *range(above, codec.classes), *([said_before] if again else ())]
        return [*range(codec.first_length)]

    def _no_time(self, must_sound: bool) -> list[int]:
        """Waits that make no sense: into silence, into a chord too full, or for nothing."""
        codec, found = self.codec, []
        if not self.pitches:
            # There has been a breath before the piece.
            return [*range(1, codec.end + 1)]
        left = self.form.steps * TICKS_PER_STEP - self.now
        if left > self.form.bar_steps * TICKS_PER_STEP:
            found.append(codec.end)
        lowest = self.struck and min(self.struck) <= self.lowest
        chordal = self.chords >= self.together * len(self.pitches) + SPARE_CHORDS
        if len(self.struck) == MAX_VOICES or lowest or chordal:
            found.append(0)
        quiet = 0 if must_sound else MAX_SILENCE_TICKS
        furthest = self.voices.last_end(self.now) + quiet
        allowed = [n for n, after in enumerate(codec.after) if self.now + after <= furthest]
        if len(allowed) <= 1:
            allowed = [0, 1]
        return [*found, *range(allowed[-1] + 1, codec.end)]

    def accept(self, token: int) -> list[Event]:
        """Write the token down; the events it gives, in ticks since the piece began."""
        codec, events = self.codec, list[Event]()
        if self.place == AFTER and token == codec.end:
            return self._end()
        first, choices = self._kind()
        choice = max(0, min(choices - 1, token - first))
        self.repeats.hear(as_before=self.echo.expected == first + choice)
        self.echo.hear(first + choice)
        if self.place == AFTER:
            self.shape.hear(first + choice)
            if codec.after[choice]:
                self.lowest_before = min(self.voices.sounds.values(), default=self.lowest_before)
                self.struck = []
                self.now += codec.after[choice]
                events = self.voices.leave(self.now)
                if self.now >= (self.form.steps + OVERTIME_STEPS) * TICKS_PER_STEP:
                    return events + self._end()
        elif self.place == PITCH:
            pitch = codec.lowest + choice
            before = self.pitches[-1] if self.pitches else pitch
            self.shape.hear(codec.classes + 128 + pitch - before)
            self.pitches.append(pitch)
        else:
            self.shape.hear(first + choice)
            self.chords += bool(self.struck)
            self.struck.append(self.pitches[-1])
            self.repeats.end_note()
            events = self.voices.strike(self.now, self.pitches[-1], codec.lengths[choice])
        self.said[self.place] = choice
        self.place = (self.place + 1) % 3
        return events

    def _kind(self) -> tuple[int, int]:
        """First class and number of the choices at this place."""
        codec = self.codec
        if self.place == AFTER:
            return 0, len(codec.after)
        if self.place == PITCH:
            return codec.first_pitch, codec.pitches
        return codec.first_length, len(codec.lengths)

    def _end(self) -> list[Event]:
        """The last notes sound to their ends."""
        self.done = True
        self.last_chord = [*self.voices.sounds.values()]
        self.now = self.voices.last_end(self.now)
        return self.voices.leave(self.now)

    def close(self) -> list[Event]:
        """Leave every note still sounding, at ``tick``."""
        return self.voices.leave_all(self.now)

    @property
    def faded(self) -> bool:
        """Never: the end is said."""
        return False

    @property
    def at_ending(self) -> bool:
        """Here the last bars begin."""
        at = max(0, self.form.steps - MAX_ENDING_STEPS) * TICKS_PER_STEP
        waited = self.codec.after[self.said[AFTER]] if self.said[AFTER] >= 0 else 0
        at_onset = self.place == PITCH and not self.struck
        return at_onset and self.now - waited < at <= self.now

    def cadence(self) -> Cadence:
        """How the piece closes: on the tonic, from a note that leads there."""
        last = self.last_chord or [*self.voices.sounds.values()]
        if not last:
            return Cadence.OPEN
        tonic = self.key.tonic
        chord = {(pitch - tonic) % 12 for pitch in last}
        if (min(last) - tonic) % 12 or not (chord <= {0, 4, 7} or chord <= {0, 3, 7}):
            return Cadence.OPEN
        leads = self.lowest_before >= 0 and (self.lowest_before - tonic) % 12 in (2, 5, 7, 11)
        return Cadence.FULL if leads else Cadence.HOME

    def copy(self) -> FreeRhythmContext:
        """A copy that goes its own way."""
        twin = FreeRhythmContext(self.codec, self.form, self.key)
        twin.done, twin.now, twin.place = self.done, self.now, self.place
        twin.pitches, twin.said = self.pitches.copy(), self.said.copy()
        twin.voices, twin.struck = self.voices.copy(), self.struck.copy()
        twin.lowest_before, twin.last_chord = self.lowest_before, self.last_chord
        twin.echo, twin.shape = self.echo.copy(), self.shape.copy()
        twin.repeats, twin.chords = copy(self.repeats), self.chords
        return twin
