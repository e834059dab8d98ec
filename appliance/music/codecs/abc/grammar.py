"""The grammar of tunes in ABC: which sign may come next, and what the signs sound like.

A sign is a pitch, an accidental, a length, a bar line. Whatever is written by these rules is a
tune: bars are full, pairs and triplets complete, repeats open before they close. The place in
the bar runs on through every repeat, so a section that begins with an upbeat ends short of it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.music.codecs.abc.tokens import (
    ACCIDENTALS,
    AGAIN,
    END,
    GROUPED,
    LENGTHS,
    MIN_TICKS,
    MINOR_MODES,
    PITCHES,
    SCALES,
    TOKEN,
    UNIT_TICKS,
    VOCABULARY,
)
from appliance.music.events import PLAIN_VELOCITY, TICKS_PER_STEP, Event, note_off, note_on
from appliance.music.score import Form, Key

MAX_REST_TICKS = 2 * UNIT_TICKS
PLAYED_AT_ONCE = 16
"""So many notes of a repeat are played for one token at most."""
MIN_BARS = 7
"""A tune is longer than this, as it is played."""
MAX_STEPS = 9999
"""For a tune that is known: none has more (see ``bundle``)."""
MAX_SECTION_BARS = 24
MAX_ENDING_BARS = 3
BARS_KEPT = 8
"""So long it is known what stood where in a bar."""


class Place(enum.IntEnum):
    """What was said last, and so what may come."""

    MODE = 0
    READY = 1
    """After a bar line, a broken rhythm's sign, the sign of a triplet."""
    ACCIDENTAL = 2
    HELD = 3
    """After a note or rest that has not said its length."""
    SIZED = 4
    AGAIN = 5
    """A section is to be played again."""


@dataclass
class Pending:
    """A note or rest that may still say its length or be the first of a pair."""

    degree: int | None
    pitch: int
    length: int = UNIT_TICKS
    halves: int = 2
    """How much of it sounds: three or one in a pair."""
    thirds: int = 3
    """Two in a triplet."""
    sized: bool = False

    @property
    def ticks(self) -> int:
        """How long it sounds if nothing more is said."""
        return self.length * self.halves * self.thirds // 6


class Tune:
    """A tune being written, its repeats played where they close."""

    def __init__(self, form: Form, key: Key) -> None:
        self.form = form
        self.key = key
        self.done = False
        self.mode = ""
        self.place = Place.MODE
        self.signs: list[str] = []
        """The tune so far, what is played again left out."""
        self.bar_ticks = form.bar_steps * TICKS_PER_STEP
        self.phase = (form.bar_steps - form.pickup_steps) % form.bar_steps * TICKS_PER_STEP
        """Where in the bar sections begin and end, beside a bar's end."""
        self.now = 0
        """Ticks written, everything that is played again included."""
        self.at_ticks = self.phase
        """Place in the bar."""
        self.bar = 0
        """Bars written, whole or not."""
        self.pending: Pending | None = None
        self.altered: dict[int, int] = {}
        """Scale steps (0 to 6) raised or lowered in this bar."""
        self.accidental: int | None = None
        self.pair: tuple[int, int] | None = None
        """The second note of a pair: its halves, and its length."""
        self.triplet_left = 0
        self.triplet_length: int | None = None
        self.triplet_room = 0
        self.rested = False
        """The last thing written is a rest."""
        self.section: list[tuple[int, int]] = []
        """Ticks and MIDI note (-1: rest) of what is to be repeated; (0, -1) is a bar line."""
        self.section_start = self.phase
        self.section_ticks = 0
        self.sections = 0
        self.repeated = False
        self.ending = 0
        self.ending_ticks = 0
        self.again: list[list[tuple[int, int]]] = []
        """What is to be played again, a portion a token."""
        self.degrees: list[int] = []
        self.stood: dict[tuple[int, int], int] = {}
        """The scale step that began in a bar at a place."""
        self._allowed: frozenset[int] | None = None

    @property
    def tick(self) -> int:
        """Ticks since the piece began up to which the music is complete."""
        return self.now

    def allowed(self) -> frozenset[int]:
        """Tokens that keep the tune one; never none."""
        if self._allowed is None:
            self._allowed = frozenset(self._may_come())
        return self._allowed

    def sensible(self, token: int) -> int:
        """The token, or the first that is allowed where it is not."""
        return token if token in self.allowed() else min(self.allowed())

    def _may_come(self) -> set[int]:
        if self.place == Place.MODE:
            return {TOKEN[m] for m in SCALES if (m in MINOR_MODES) == self.key.minor}
        if self.place == Place.AGAIN:
            return {TOKEN[AGAIN]}
        if self.place == Place.ACCIDENTAL:
            return {TOKEN[sign] for sign in PITCHES}
        found: set[int] = set()
        here, rested, left = self.at_ticks, self.rested, self.triplet_left
        if self.pending:
            lengths, complete = self._lengths()
            found |= {TOKEN[sign] for sign in lengths}
            if not complete:
                return found
            here += self.pending.ticks
            rested = self.pending.degree is None
            if left:
                left -= 1
            elif self._may_be_broken(here):
                found |= {TOKEN[">"], TOKEN["<"]}
        elif self.pair:
            return self._notes()
        if left:
            return found | self._notes()
        return found | self._elements(here, rested)

    def _notes(self) -> set[int]:
        return {TOKEN[sign] for sign in (*ACCIDENTALS, *PITCHES)}

    def _stop(self, here: int) -> int:
        """Up to where in the bar what begins ``here`` may last."""
        if self._must_close() and here < self._closes_at() < self.bar_ticks:
            return self._closes_at()
        return self.bar_ticks

    def _closes_at(self) -> int:
        """The place in the bar where a section that must close does so."""
        return self.section_start if self.repeated and self.ending < 2 else self.phase

    @property
    def _late_ticks(self) -> int:
        """From here on the tune closes wherever it can."""
        return self.form.steps * TICKS_PER_STEP

    def _must_close(self) -> bool:
        again = self.section_ticks if self.repeated and not self.ending else 0
        if self.now + again >= self._late_ticks:
            return True
        if self.ending:
            return self.ending_ticks >= MAX_ENDING_BARS * self.bar_ticks
        return self.section_ticks >= MAX_SECTION_BARS * self.bar_ticks

    def _lengths(self) -> tuple[list[str], bool]:
        """The lengths that the pending note may say, and whether it need say none."""
        note = self.pending
        assert note is not None
        if self.pair:
            wanted = [self.pair[1]]
        elif self.triplet_left:
            wanted = (
                [self.triplet_length]
                if self.triplet_length
                else [length for length in GROUPED if 2 * length <= self.triplet_room]
            )
        else:
            room = self._stop(self.at_ticks) - self.at_ticks
            if note.degree is None:
                room = min(room, MAX_REST_TICKS)
            wanted = [length for length in (UNIT_TICKS, *LENGTHS.values()) if length <= room]
        choices = [] if note.sized else [sign for sign, n in LENGTHS.items() if n in wanted]
        return choices, note.length in wanted

    def _may_be_broken(self, here: int) -> bool:
        note = self.pending
        assert note is not None
        return (
            note.degree is not None
            and not self.pair
            and note.length in GROUPED[1:]
            and here + note.ticks <= self._stop(self.at_ticks)
        )

    def _elements(self, here: int, rested: bool) -> set[int]:
        """What may begin at a place in the bar: notes, groups, bar lines."""
        closings = self._closings(here)
        if closings and self._must_close():
            return {TOKEN[sign] for sign in closings}
        found = {TOKEN[sign] for sign in closings}
        if here == self.bar_ticks:
            return found | {TOKEN["|"]}
        if not self.signs[1:]:
            found.add(TOKEN["|:"])
        if self.signs[-1] == ":|" and self.now >= MIN_BARS * self.bar_ticks:
            if self.now >= self._late_ticks:
                return {TOKEN[END]}
            found.add(TOKEN[END])
        found |= self._notes()
        if not rested:
            found.add(TOKEN["z"])
        if self._stop(here) - here >= 2 * MIN_TICKS:
            found.add(TOKEN["(3"])
        return found

    def _closings(self, here: int) -> list[str]:
        """Signs that may close the section here; ``|1`` is one that opens its first ending."""
        pending = self.pending.ticks if self.pending else 0
        played = self.now + pending
        if self.section_ticks + pending < self.bar_ticks and not self.ending:
            return []
        if self.repeated and self.ending < 2:
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
        if here not in (self.bar_ticks, self.phase or self.bar_ticks):
            return []
        if self.ending == 2 and self.ending_ticks + pending == 0:
            return []
        end = [END] if played >= MIN_BARS * self.bar_ticks else []
        if end and played >= self._late_ticks:
            return end
        return ["||", "|:", *end]

    def accept(self, token: int) -> list[Event]:
        """Write the token down; the events it gives, in ticks since the piece began.

        Whatever the token: one that makes no sense is taken as the first that does.
        """
        sign = VOCABULARY[self.sensible(token)]
        self._allowed = None
        if sign == AGAIN:
            return self._play_again()
        self.signs.append(sign)
        if sign in SCALES:
            self.mode, self.place = sign, Place.READY
            return []
        if sign in LENGTHS:
            assert self.pending is not None
            self.pending.length, self.pending.sized = LENGTHS[sign], True
            self.place = Place.SIZED
            return []
        if sign in (">", "<"):
            return self._break(sign)
        events = self._commit()
        if sign in ACCIDENTALS:
            self.accidental, self.place = ACCIDENTALS[sign], Place.ACCIDENTAL
        elif sign in PITCHES:
            self._note(PITCHES[sign])
        elif sign == "z":
            self.pending, self.place = Pending(None, -1), Place.HELD
        elif sign == "(3":
            self.triplet_left, self.triplet_length = 3, None
            self.triplet_room = self._stop(self.at_ticks) - self.at_ticks
            self.place = Place.READY
        elif sign == END:
            self.signs.pop()
            self.done = True
        else:
            self._bar_line(sign)
        return events

    def _note(self, degree: int) -> None:
        step = degree % 7
        if self.accidental is not None:
            self.altered[step] = self.accidental
            self.accidental = None
        self.degrees.append(degree)
        self.stood[self.bar, self.at_ticks] = degree
        pitch = 60 + self.key.tonic + 12 * (degree // 7) + SCALES[self.mode][step]
        self.pending = Pending(
            degree,
            pitch + self.altered.get(step, 0),
            halves=self.pair[0] if self.pair else 2,
            thirds=2 if self.triplet_left else 3,
        )
        self.place = Place.HELD

    def _break(self, sign: str) -> list[Event]:
        assert self.pending is not None
        length = self.pending.length
        self.pending.halves = 3 if sign == ">" else 1
        events = self._commit()
        self.pair = (4 - (3 if sign == ">" else 1), length)
        self.place = Place.READY
        return events

    def _commit(self) -> list[Event]:
        """The pending note has its length: it sounds."""
        note, self.pending = self.pending, None
        if note is None:
            return []
        if self.triplet_left:
            self.triplet_left -= 1
            self.triplet_length = note.length
        self.pair = None
        ticks = note.ticks
        self.rested = note.degree is None
        self.at_ticks += ticks
        self.section_ticks += ticks
        self.ending_ticks += ticks
        if not self.ending:
            self.section.append((ticks, note.pitch))
        return self._sound(ticks, note.pitch)

    def _sound(self, ticks: int, pitch: int) -> list[Event]:
        start, self.now = self.now, self.now + ticks
        if pitch < 0:
            return []
        return [note_on(start, 0, pitch, PLAIN_VELOCITY), note_off(self.now, 0, pitch)]

    def _bar_line(self, sign: str) -> None:
        self.place = Place.READY
        self.altered = {}
        if self.at_ticks == self.bar_ticks:
            self.at_ticks, self.bar = 0, self.bar + 1
            self.stood = {at: n for at, n in self.stood.items() if at[0] >= self.bar - BARS_KEPT}
        if sign == "|":
            if not self.ending:
                self.section.append((0, -1))
            return
        if sign == "|1":
            self.ending, self.ending_ticks = 1, 0
            return
        if sign in (":|", "::", ":|2"):
            self.again = _portions(self.section)
            self.place = Place.AGAIN
        if sign == ":|2":
            self.ending, self.ending_ticks, self.at_ticks = 2, 0, 0
            return
        self.sections += bool(self.section_ticks)
        self.section, self.section_ticks, self.ending = [], 0, 0
        self.section_start = self.at_ticks
        self.repeated = sign in ("|:", "::")

    def _play_again(self) -> list[Event]:
        events: list[Event] = []
        for ticks, pitch in self.again.pop(0):
            events += self._sound(ticks, pitch)
        if not self.again:
            self.place = Place.READY
        return events

    def close(self) -> list[Event]:
        """Nothing: every note is left where it ends."""
        return []

    @property
    def faded(self) -> bool:
        """Never: the end is said."""
        return False


def _portions(section: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """A section in bars, or less where a bar has very many notes."""
    found: list[list[tuple[int, int]]] = [[]]
    for ticks, pitch in section:
        if not ticks or len(found[-1]) == PLAYED_AT_ONCE:
            found.append([])
        if ticks:
            found[-1].append((ticks, pitch))
    return [portion for portion in found if portion]
