"""The grammar of tunes in ABC: which symbol may come next.

A symbol is a pitch, an accidental, a length, a bar line. Whatever is written by these rules is a
tune: bars are full, pairs and triplets complete, repeats open before they close. The place in the
bar is carried on through every repeat, so a section that begins with an upbeat ends short of it.
"""

from __future__ import annotations

import enum
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import Final

from appliance.common.copying import Copyable
from appliance.music.codecs.abc.tokens import (
    ACCIDENTALS,
    END,
    GROUPED,
    LENGTHS,
    MIN_TICKS,
    MINOR_MODES,
    PITCHES,
    REPLAY,
    SCALES,
    TOKEN,
    UNIT_TICKS,
)
from appliance.music.events import TICKS_PER_STEP
from appliance.music.score import Form, Key

MAX_REST_TICKS = 2 * UNIT_TICKS
MIN_BARS = 7
"""A tune is longer than this, as it is played."""
MAX_SECTION_BARS = 24
MAX_ENDING_BARS = 3
_NOTES: Final = frozenset(TOKEN[symbol] for symbol in (*ACCIDENTALS, *PITCHES))
_PITCHES: Final = frozenset(TOKEN[symbol] for symbol in PITCHES)
_BROKEN: Final = frozenset((TOKEN[">"], TOKEN["<"]))
_REPLAY: Final = frozenset((TOKEN[REPLAY],))


class State(enum.IntEnum):
    """What was written last, and so what may come. The values are inputs of the model."""

    MODE = 0
    """Nothing yet; the mode comes first."""
    READY = 1
    """A bar line, the symbol of a broken rhythm or of a triplet."""
    ACCIDENTAL = 2
    NOTE = 3
    """A note or rest without a length."""
    LENGTH = 4
    REPLAY = 5
    """The end of a section that is to be played again."""


@dataclass
class Pending(Copyable):
    """A note or rest that may still get a length or become the first of a pair."""

    degree: int | None
    """Scale degree, ``None`` for a rest."""
    pitch: int
    """MIDI note, -1 for a rest."""
    length: int = UNIT_TICKS
    """As written, in ticks."""
    halves: int = 2
    """Halves of the length that it sounds for: three or one in a broken rhythm."""
    thirds: int = 3
    """Thirds of the length that it sounds for: two in a triplet."""
    has_length: bool = False
    """A length symbol has been written."""

    @property
    def ticks(self) -> int:
        """For how long it sounds if nothing more is written."""
        return self.length * self.halves * self.thirds // 6


class Grammar(Copyable):
    """The state of a tune being written, and the symbols that it allows next.

    Args:
        form: the form that the tune fills.
        key: its key; the mode that it begins with is one of this key's.
    """

    def __init__(self, form: Form, key: Key) -> None:
        self.form = form
        self.key = key
        self.mode = ""
        self.state = State.MODE
        self.symbols: list[str] = []
        """The tune so far, without what is played again."""
        self.bar_ticks = form.bar_steps * TICKS_PER_STEP
        self.phase_ticks = (form.bar_steps - form.pickup_steps) % form.bar_steps * TICKS_PER_STEP
        """The place in the bar where sections may begin and end, besides a bar's end."""
        self.tick = 0
        """Ticks since the tune began, with everything that has been played again."""
        self.at_ticks = self.phase_ticks
        """Place in the bar."""
        self.pending: Pending | None = None
        self.pair: tuple[int, int] | None = None
        """The second note of a broken rhythm that is to come: its halves, and its length."""
        self.triplet_left = 0
        """Notes of a triplet that are still to come."""
        self.triplet_length: int | None = None
        """Length of the triplet's first note, in ticks."""
        self.triplet_room_ticks = 0
        """From the triplet's beginning to the end of the bar."""
        self.rested = False
        """The last note or rest that is complete is a rest."""
        self.section_start = self.phase_ticks
        """Place in the bar where the section began."""
        self.section_ticks = 0
        """Length of the section so far, endings included."""
        self.repeated = False
        """The section began with a repeat sign."""
        self.ending = 0
        """1 or 2 in the first or second ending, 0 outside."""
        self.ending_ticks = 0
        """Length of the ending so far."""
        self._allowed: frozenset[int] | None = None

    def allowed_tokens(self) -> frozenset[int]:
        """The tokens that may come next; never empty."""
        if self._allowed is None:
            self._allowed = frozenset(self._next_tokens())
        return self._allowed

    def constrained(self, token: int) -> int:
        """The token if it is allowed, or else the first one that is."""
        return token if token in self.allowed_tokens() else min(self.allowed_tokens())

    def _next_tokens(self) -> AbstractSet[int]:
        if self.state == State.MODE:
            return {TOKEN[m] for m in SCALES if (m in MINOR_MODES) == self.key.minor}
        if self.state == State.REPLAY:
            return _REPLAY
        if self.state == State.ACCIDENTAL:
            return _PITCHES
        found: set[int] = set()
        here, rested, triplet_left = self.at_ticks, self.rested, self.triplet_left
        if self.pending:
            lengths, complete = self._lengths(self.pending)
            if not complete:
                return lengths
            found |= lengths
            here += self.pending.ticks
            rested = self.pending.degree is None
            if triplet_left:
                triplet_left -= 1
            elif self._may_be_broken(self.pending, here):
                found |= _BROKEN
        elif self.pair:
            return _NOTES
        if triplet_left:
            return found | _NOTES
        return found | self._elements(here, rested)

    def _stop(self, here: int) -> int:
        """The place in the bar up to which something that begins ``here`` may last."""
        closes_at = self._closes_at()
        if here < closes_at < self.bar_ticks and self._must_close():
            return closes_at
        return self.bar_ticks

    def _closes_at(self) -> int:
        """The place in the bar where a section that must close does so."""
        return self.section_start if self.repeated and self.ending < 2 else self.phase_ticks

    @property
    def _late_tick(self) -> int:
        """From here on the tune closes wherever it can."""
        return self.form.steps * TICKS_PER_STEP

    def _must_close(self) -> bool:
        replayed = self.section_ticks if self.repeated and not self.ending else 0
        if self.tick + replayed >= self._late_tick:
            return True
        if self.ending:
            return self.ending_ticks >= MAX_ENDING_BARS * self.bar_ticks
        return self.section_ticks >= MAX_SECTION_BARS * self.bar_ticks

    def _lengths(self, note: Pending) -> tuple[frozenset[int], bool]:
        """The lengths that the pending note may get, and whether it may do without."""
        if self.pair:
            wanted: tuple[int, ...] = (self.pair[1],)
        elif self.triplet_left:
            wanted = (
                (self.triplet_length,)
                if self.triplet_length
                else tuple(n for n in GROUPED if 2 * n <= self.triplet_room_ticks)
            )
        else:
            room = self._stop(self.at_ticks) - self.at_ticks
            if note.degree is None:
                room = min(room, MAX_REST_TICKS)
            wanted = _lengths_within(room)
        choices = frozenset() if note.has_length else _length_tokens(wanted)
        return choices, note.length in wanted

    def _may_be_broken(self, note: Pending, here: int) -> bool:
        return (
            note.degree is not None
            and not self.pair
            and note.length in GROUPED[1:]
            and here + note.ticks <= self._stop(self.at_ticks)
        )

    def _elements(self, here: int, rested: bool) -> set[int]:
        """What may begin at a place in the bar: notes, groups, bar lines."""
        closings = self._closings(here)
        found = {TOKEN[symbol] for symbol in closings}
        if closings and self._must_close():
            return found
        if here == self.bar_ticks:
            return found | {TOKEN["|"]}
        if len(self.symbols) < 2:
            found.add(TOKEN["|:"])
        if self.symbols[-1] == ":|" and self.tick >= MIN_BARS * self.bar_ticks:
            if self.tick >= self._late_tick:
                return {TOKEN[END]}
            found.add(TOKEN[END])
        found |= _NOTES
        if not rested:
            found.add(TOKEN["z"])
        if self._stop(here) - here >= 2 * MIN_TICKS:
            found.add(TOKEN["(3"])
        return found

    def _closings(self, here: int) -> list[str]:
        """The symbols that may close the section here; ``|1`` opens its first ending."""
        pending = self.pending.ticks if self.pending else 0
        if self.section_ticks + pending < self.bar_ticks and not self.ending:
            return []
        if self.repeated and self.ending < 2:
            return self._repeat_closings(here, pending)
        if here not in (self.bar_ticks, self.phase_ticks or self.bar_ticks):
            return []
        if self.ending == 2 and self.ending_ticks + pending == 0:
            return []
        played = self.tick + pending
        end = [END] if played >= MIN_BARS * self.bar_ticks else []
        if end and played >= self._late_tick:
            return end
        return ["||", "|:", *end]

    def _repeat_closings(self, here: int, pending: int) -> list[str]:
        """The same in a section that is to be played again."""
        found = []
        if here == (self.section_start or self.bar_ticks):
            if self.ending == 0:
                found = [":|", "::"]
            elif self.ending_ticks + pending > 0:
                found = [":|2"]
        late = self._must_close()
        if late and found:
            return found[:1]
        if here == self.bar_ticks and not self.ending and not late:
            found.append("|1")
        return found


@cache
def _lengths_within(room_ticks: int) -> tuple[int, ...]:
    """The lengths in ticks that fit."""
    return tuple(length for length in (UNIT_TICKS, *LENGTHS.values()) if length <= room_ticks)


@cache
def _length_tokens(lengths: tuple[int, ...]) -> frozenset[int]:
    """The tokens of lengths in ticks."""
    return frozenset(TOKEN[symbol] for symbol, ticks in LENGTHS.items() if ticks in lengths)
