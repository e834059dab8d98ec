"""A tune being written, symbol by symbol, and how it sounds with its repeats."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.music.codecs.abc.grammar import Grammar, Pending, State
from appliance.music.codecs.abc.tokens import (
    ACCIDENTALS,
    END,
    LENGTHS,
    PITCHES,
    REPLAY,
    SCALES,
    VOCABULARY,
)
from appliance.music.events import PLAIN_VELOCITY, Event, NoteOff, NoteOn
from appliance.music.score import Form, Key

MAX_NOTES_PER_REPLAY = 16
"""How many notes of a repeat are played for one token at most."""
MAX_STEPS = 9999
"""The longest form, for a tune that is only read; a model file has none longer."""
REMEMBERED_BARS = 8
"""For how many bars the degrees at each place are remembered."""
MIDDLE_C = 60

Sounds = tuple[tuple[int, int], ...]
"""Ticks and MIDI note (-1 for a rest) of notes in a row."""


class Tune(Grammar):
    """A tune being written; a section is played again where it closes."""

    def __init__(self, form: Form, key: Key) -> None:
        super().__init__(form, key)
        self.done = False
        self.bar = 0
        """Bars written, full or not."""
        self.altered: dict[int, int] = {}
        """Degrees (0 to 6) that are raised or lowered in this bar."""
        self.accidental: int | None = None
        """The accidental before a note that is still to come."""
        self.section: list[tuple[int, int]] = []
        """Ticks and MIDI note (-1: rest) of what is to be repeated; (0, -1) is a bar line."""
        self.section_count = 0
        """Sections that are complete."""
        self.replays: list[Sounds] = []
        """What is to be played again, one portion per token."""
        self.degrees: list[int] = []
        """The scale degree of every note so far."""
        self.degree_at: dict[tuple[int, int], int] = {}
        """The degree that began in a bar at a place, for the last bars."""

    def accept(self, token: int) -> list[Event]:
        """Append a token, and return the events that follow from it.

        Their ticks count from the beginning of the tune. A token that is not allowed is replaced
        by the first one that is.
        """
        symbol = VOCABULARY[self.constrained(token)]
        self._allowed = None
        if symbol == REPLAY:
            return self._replay()
        self.symbols.append(symbol)
        if symbol in SCALES:
            self.mode, self.state = symbol, State.READY
            return []
        if symbol in LENGTHS:
            assert self.pending is not None
            self.pending.length, self.pending.has_length = LENGTHS[symbol], True
            self.state = State.LENGTH
            return []
        if symbol in (">", "<"):
            return self._break_rhythm(symbol)
        events = self._complete_note()
        if symbol in ACCIDENTALS:
            self.accidental, self.state = ACCIDENTALS[symbol], State.ACCIDENTAL
        elif symbol in PITCHES:
            self._note(PITCHES[symbol])
        elif symbol == "z":
            self.pending, self.state = Pending(None, -1), State.NOTE
        elif symbol == "(3":
            self.triplet_left, self.triplet_length = 3, None
            self.triplet_room_ticks = self._stop(self.at_ticks) - self.at_ticks
            self.state = State.READY
        elif symbol == END:
            self.symbols.pop()
            self.done = True
        else:
            self._bar_line(symbol)
        return events

    def _note(self, degree: int) -> None:
        step = degree % 7
        if self.accidental is not None:
            self.altered[step] = self.accidental
            self.accidental = None
        self.degrees.append(degree)
        self.degree_at[self.bar, self.at_ticks] = degree
        pitch = MIDDLE_C + self.key.tonic + 12 * (degree // 7) + SCALES[self.mode][step]
        self.pending = Pending(
            degree,
            pitch + self.altered.get(step, 0),
            halves=self.pair[0] if self.pair else 2,
            thirds=2 if self.triplet_left else 3,
        )
        self.state = State.NOTE

    def _break_rhythm(self, symbol: str) -> list[Event]:
        assert self.pending is not None
        length = self.pending.length
        self.pending.halves = 3 if symbol == ">" else 1
        events = self._complete_note()
        self.pair = (4 - (3 if symbol == ">" else 1), length)
        self.state = State.READY
        return events

    def _complete_note(self) -> list[Event]:
        """The pending note has its length now, so it sounds."""
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
        start, self.tick = self.tick, self.tick + ticks
        if pitch < 0:
            return []
        return [NoteOn(start, 0, pitch, PLAIN_VELOCITY), NoteOff(self.tick, 0, pitch)]

    def _bar_line(self, symbol: str) -> None:
        self.state = State.READY
        self.altered = {}
        if self.at_ticks == self.bar_ticks:
            self.at_ticks, self.bar = 0, self.bar + 1
            first_bar = self.bar - REMEMBERED_BARS
            self.degree_at = {at: n for at, n in self.degree_at.items() if at[0] >= first_bar}
        if symbol == "|":
            if not self.ending:
                self.section.append((0, -1))
            return
        if symbol == "|1":
            self.ending, self.ending_ticks = 1, 0
            return
        if symbol in (":|", "::", ":|2"):
            self.replays = _portions(self.section)
            self.state = State.REPLAY
        if symbol == ":|2":
            self.ending, self.ending_ticks, self.at_ticks = 2, 0, 0
            return
        self.section_count += bool(self.section_ticks)
        self.section, self.section_ticks, self.ending = [], 0, 0
        self.section_start = self.at_ticks
        self.repeated = symbol in ("|:", "::")

    def _replay(self) -> list[Event]:
        events: list[Event] = []
        for ticks, pitch in self.replays.pop(0):
            events += self._sound(ticks, pitch)
        if not self.replays:
            self.state = State.READY
        return events

    def release_all(self) -> list[Event]:
        """Return no events: every note has ended with its symbol."""
        return []

    @property
    def only_rests_left(self) -> bool:
        """Always False: a token ends the tune."""
        return False


def _portions(section: Sequence[tuple[int, int]]) -> list[Sounds]:
    """A section in bars, or in less where a bar has very many notes."""
    found: list[list[tuple[int, int]]] = [[]]
    for ticks, pitch in section:
        if not ticks or len(found[-1]) == MAX_NOTES_PER_REPLAY:
            found.append([])
        if ticks:
            found[-1].append((ticks, pitch))
    return [tuple(portion) for portion in found if portion]
