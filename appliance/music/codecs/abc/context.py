"""A tune in ABC that is being written, and what the model sees of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from appliance.music.codecs.abc.grammar import State
from appliance.music.codecs.abc.returns import PlannedSymbols
from appliance.music.codecs.abc.tokens import (
    ACCIDENTALS,
    CLASSES,
    END,
    HIGHEST_DEGREE,
    LENGTHS,
    LOWEST_DEGREE,
    MIN_TICKS,
    PITCHES,
    REPLAY,
    SCALES,
    TOKEN,
    VOCABULARY,
    degree_symbol,
)
from appliance.music.codecs.abc.tune import Tune
from appliance.music.codecs.base import Aspects, Cadence, Goal
from appliance.music.codecs.input_layout import Inputs
from appliance.music.codecs.match_model import MatchModel, match_features, match_input_count
from appliance.music.events import TICKS_PER_STEP, Event
from appliance.music.score import Form, Key

LAST_PHRASE_BARS = 2
"""Length of the ending of which several are compared."""
MAX_EARLY_BARS = 4
"""How much earlier than its form a tune may end, so that a user's bars are continued."""
METERS = ((16, 4), (8, 4), (12, 6), (18, 6), (24, 6), (12, 4))
"""Bar and beat in 16th steps; any other meter is one more class."""
PAST_SYMBOLS, PAST_PITCHES = 3, 4
"""How many symbols, and how many pitches, before the next symbol are inputs."""
BARS_BACK = (1, 2, 4, 8)
"""How many bars ago the degree at the same place in the bar is an input."""
TO_END_BARS = (*range(1, 17), 20, 24, 32, 40, 48)
"""Lower ends of the buckets for the distance to the end."""
PLACES_IN_BAR = 64
"""Places in the bar that have inputs of their own, each a quarter of an eighth."""
MAX_SECTION_BARS = 20
MAX_SECTIONS = 7
MIN_MATCH_SYMBOLS = 5
"""Symbols that must agree before a match counts."""
NO_DEGREE = len(PITCHES)
MAX_INTERVAL = HIGHEST_DEGREE - LOWEST_DEGREE

BROKEN, BEGINNINGS = (">", "<"), (*ACCIDENTALS, "z", "(3")
"""Symbols, besides lengths and pitches, that belong to a note that has begun, or begin one."""

INPUTS = Inputs(
    ("state", len(State)),
    ("past_symbol", PAST_SYMBOLS, CLASSES + 1),
    ("past_pitch", PAST_PITCHES, NO_DEGREE + 1),
    ("bar", PLACES_IN_BAR),
    ("bars_back", len(BARS_BACK), NO_DEGREE + 1),
    ("altered", 7, 2),
    ("group", 5),
    ("meter", len(METERS) + 1),
    ("mode", len(SCALES) + 1),
    ("minor", 2),
    ("register", 3),
    ("section_bars", MAX_SECTION_BARS + 1),
    ("section_count", MAX_SECTIONS + 1),
    ("repeat", 4),
    ("pickup", 2),
    ("to_end", len(TO_END_BARS) + 1),
    ("to_repeat", len(TO_END_BARS) + 2),
    ("match", 2, match_input_count(CLASSES)),
)


class AbcContext(Tune):
    """A tune being written, and what the model sees of it."""

    def __init__(self, form: Form, key: Key) -> None:
        super().__init__(form, key)
        self.plan = PlannedSymbols(form)
        self.match = MatchModel(MIN_MATCH_SYMBOLS)
        """Of the symbols."""
        self.interval_match = MatchModel(MIN_MATCH_SYMBOLS)
        """Of the symbols, with intervals instead of pitches."""

    def features(self) -> list[int]:
        """Indices of the ones in the multi-hot input for the next token."""
        ones = [INPUTS["state", self.state], *self._past_features()]
        ones += [INPUTS["altered", step, by > 0] for step, by in self.altered.items() if by]
        ones.append(INPUTS["group", 4 if self.pair else self.triplet_left])
        meter = (self.form.bar_steps, self.form.beat_steps)
        ones.append(INPUTS["meter", METERS.index(meter) if meter in METERS else len(METERS)])
        mode = list(SCALES).index(self.mode) if self.mode else len(SCALES)
        ones.append(INPUTS["mode", mode])
        ones.append(INPUTS["minor", self.key.minor])
        ones.append(INPUTS["register", (self.key.tonic > 4) + (self.key.tonic > 7)])
        ones += self._form_features()
        matches = (
            (self.match.predicted, self.match.length_bucket),
            (self._predicted_by_interval(), self.interval_match.length_bucket),
        )
        return ones + match_features(INPUTS, CLASSES, matches)

    def _past_features(self) -> list[int]:
        """The last symbols and pitches, and what stood at this place in earlier bars."""
        ones = []
        for back in range(PAST_SYMBOLS):
            known = len(self.symbols) > back
            token = TOKEN[self.symbols[-1 - back]] if known else CLASSES
            ones.append(INPUTS["past_symbol", back, token])
        for back in range(PAST_PITCHES):
            known = len(self.degrees) > back
            degree = self.degrees[-1 - back] - LOWEST_DEGREE if known else NO_DEGREE
            ones.append(INPUTS["past_pitch", back, degree])
        here, bar = self.place_in_bar()
        ones.append(INPUTS["bar", min(PLACES_IN_BAR - 1, here // MIN_TICKS)])
        for row, back in enumerate(BARS_BACK):
            earlier = self.degree_at.get((bar - back, here))
            degree = NO_DEGREE if earlier is None else earlier - LOWEST_DEGREE
            ones.append(INPUTS["bars_back", row, degree])
        return ones

    def _form_features(self) -> list[int]:
        """Where in its sections and its form the tune is."""
        ones = []
        section_bars = self.section_ticks // self.bar_ticks
        ones.append(INPUTS["section_bars", min(MAX_SECTION_BARS, section_bars)])
        ones.append(INPUTS["section_count", min(MAX_SECTIONS, self.section_count)])
        ones.append(INPUTS["repeat", 1 + self.ending if self.repeated else 0])
        ones.append(INPUTS["pickup", self.phase_ticks > 0])
        left = self._ticks_left()
        ones.append(INPUTS["to_end", bisect_right(TO_END_BARS, left / self.bar_ticks + 1)])
        if self.repeated and not self.ending:
            once = (left - self.section_ticks) / 2
            to_repeat = bisect_right(TO_END_BARS, once / self.bar_ticks + 1)
        else:
            to_repeat = len(TO_END_BARS) + 1
        ones.append(INPUTS["to_repeat", to_repeat])
        return ones

    def place_in_bar(self) -> tuple[int, int]:
        """Where the next note begins: ticks in its bar, and the bar's number."""
        here = self.at_ticks + (self.pending.ticks if self.pending else 0)
        return (0, self.bar + 1) if here == self.bar_ticks else (here, self.bar)

    def _ticks_left(self) -> int:
        pending = self.pending.ticks if self.pending else 0
        return self.form.steps * TICKS_PER_STEP - self.tick - pending

    def _predicted_by_interval(self) -> int | None:
        symbol = self.interval_match.predicted
        if symbol is None or symbol < CLASSES:
            return symbol
        # Symbols above every class are intervals from the last note.
        degree = (self.degrees[-1] if self.degrees else 0) + symbol - CLASSES - MAX_INTERVAL
        return TOKEN[degree_symbol(degree)] if LOWEST_DEGREE <= degree <= HIGHEST_DEGREE else None

    def planned(self) -> Sequence[int]:
        """Classes that the form's map of returns asks for; empty where it asks for none."""
        if self.state in (State.MODE, State.REPLAY) or self.ending:
            return ()
        here, bar = self.place_in_bar()
        return self.plan.tokens((self.bar, self.at_ticks), (bar, here))

    def aspects(self) -> Aspects:
        """The aspects of every class as the next token, ``(rows, classes)``."""
        from appliance.music.codecs.abc.aspects import BARS_BACK, aspects_of, place_of

        here, bar = self.place_in_bar()
        return aspects_of(
            self.degrees,
            place_of(here, self.form.beat_steps * TICKS_PER_STEP),
            self.key.minor,
            [self.degree_at.get((bar - back, here)) for back in BARS_BACK],
            (self.match.predicted, self.match.length_bucket),
        )

    def forbidden(self, *, must_sound: bool = False) -> list[int]:
        """Classes that are not allowed as the next token; ``must_sound`` rules out rests."""
        allowed = self.allowed_tokens() - ({TOKEN["z"]} if must_sound else set())
        if self._ticks_left() > MAX_EARLY_BARS * self.bar_ticks and len(allowed) > 1:
            allowed -= {TOKEN[END]}
        if self._would_end_open():
            allowed = allowed - {TOKEN[":|"], TOKEN[END]} or allowed
        return [token for token in range(CLASSES) if token not in allowed]

    def _would_end_open(self) -> bool:
        """Whether the tune would end away from its tonic if its section closed here."""
        replayed = self.section_ticks if self.repeated and not self.ending else 0
        at_end = self._ticks_left() - replayed < self.bar_ticks
        return at_end and self.cadence() == Cadence.OPEN

    def accept(self, token: int) -> list[Event]:
        """Append a token, and return the events that follow from it.

        Their ticks count from the beginning of the tune. A token that is not allowed is replaced
        by the first one that is.
        """
        token = self.constrained(token)
        symbol = VOCABULARY[token]
        if symbol in LENGTHS or symbol in BROKEN:
            self.plan.add((self.bar, self.at_ticks), symbol)
        elif symbol in PITCHES or symbol in BEGINNINGS:
            here, bar = self.place_in_bar()
            self.plan.add((bar, here), symbol)
        if symbol in PITCHES:
            before = self.degrees[-1] if self.degrees else 0
            self.interval_match.update(CLASSES + MAX_INTERVAL + PITCHES[symbol] - before)
        elif symbol != REPLAY:
            self.interval_match.update(token)
        if symbol != REPLAY:
            self.match.update(token)
        return super().accept(token)

    @property
    def goal(self) -> Goal | None:
        """The end, if the last bars begin here, as they are written."""
        if not self.symbols or self.symbols[-1] != "|" or self.state != State.READY:
            return None
        left = self._ticks_left()
        if self.repeated and not self.ending:
            left = (left - self.section_ticks) // 2
        begins = (LAST_PHRASE_BARS - 1) * self.bar_ticks < left <= LAST_PHRASE_BARS * self.bar_ticks
        return Goal.END if begins else None

    @property
    def at_double_bar(self) -> bool:
        """Always False: a tune's own signs say what is played again."""
        return False

    @property
    def in_repeat(self) -> bool:
        """Whether what comes next is heard only where repeats are played."""
        return self.state == State.REPLAY or self.ending == 1

    def cadence(self) -> Cadence:
        """How the tune closes: on the tonic, and from a neighbour, the third, fifth or itself."""
        if not self.degrees or self.degrees[-1] % 7:
            return Cadence.OPEN
        leads = len(self.degrees) > 1 and self.degrees[-2] % 7 in (0, 1, 2, 4, 6)
        return Cadence.FULL if leads else Cadence.TONIC
