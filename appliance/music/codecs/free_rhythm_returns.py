"""What a form plans to return in music in free rhythm, as the tokens that would say it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from appliance.common.copying import Copyable
from appliance.music.codecs.free_rhythm_tokens import (
    LENGTH,
    PITCH,
    FreeRhythmTokens,
    nearest,
)
from appliance.music.events import TICKS_PER_STEP
from appliance.music.playability import unplayable_pitches
from appliance.music.returns import sources
from appliance.music.score import Form, Key

SCALES = (frozenset({0, 2, 4, 5, 7, 9, 11}), frozenset({0, 2, 3, 5, 7, 8, 10, 11}))
"""Degrees of major and minor, with the leading note, as semitones over the tonic."""
OCTAVE = 12
MAX_SUBJECT_NOTES = 12
"""Notes of the opening's melody that are kept for its entries."""


class StruckNotes(Copyable):
    """All notes of a piece so far, by the ticks at which they were struck."""

    def __init__(self) -> None:
        self._onsets: list[tuple[int, tuple[tuple[int, int], ...]]] = []
        """Ticks, and what was struck then: pitches and lengths, from the highest down."""

    def add(self, tick: int, pitch: int, length: int) -> None:
        """Record a note: the tick at which it begins, its MIDI note and its length in ticks."""
        if self._onsets and self._onsets[-1][0] == tick:
            self._onsets[-1] = (tick, (*self._onsets[-1][1], (pitch, length)))
        else:
            self._onsets.append((tick, ((pitch, length),)))

    def at(self, tick: int) -> tuple[tuple[int, int], ...]:
        """Pitches and lengths in ticks of what was struck at a tick, from the highest down."""
        index = bisect_left(self._onsets, (tick,))
        if index == len(self._onsets) or self._onsets[index][0] != tick:
            return ()
        return self._onsets[index][1]

    def next_tick(self, tick: int) -> int | None:
        """The tick after this one at which something was struck; ``None``: not yet."""
        index = bisect_left(self._onsets, (tick + 1,))
        return self._onsets[index][0] if index < len(self._onsets) else None


class Now(NamedTuple):
    """Where a piece is, and which notes it can take."""

    tick: int
    """At which the last note began, or the next one begins."""
    pitches: Sequence[int]
    """The MIDI note of every note so far."""
    struck: Sequence[int]
    """MIDI notes struck at the tick."""
    lowest: int
    highest: int
    sounding: frozenset[int]
    """MIDI notes that sound."""
    program: int | None
    """General MIDI program of the instrument."""

    def takes(self, pitch: int) -> bool:
        """Whether this MIDI note can be struck."""
        in_range = self.lowest <= pitch <= self.highest
        return in_range and pitch not in unplayable_pitches(self.sounding, self.program)


class DueNote(NamedTuple):
    """A note of an entry that is to come."""

    wait: int
    """Ticks until it is to be struck."""
    pitch: int
    length: int
    move: int
    lower: bool


class PlannedNotes(Copyable):
    """Knows which notes a piece's map of returns asks for.

    In a bar that is to be as an earlier one, they are that bar's notes, moved. In an entry they
    are the notes of the opening's melody, moved; other voices continue around them.

    Args:
        codec: of the piece.
        form: of the piece, with its map.
        key: of the piece.
    """

    shared_when_copied = frozenset({"codec", "_entry_ticks"})

    def __init__(self, codec: FreeRhythmTokens, form: Form, key: Key) -> None:
        self.codec = codec
        self._tonic, self._scale = key.tonic, SCALES[key.minor]
        self._bar_ticks = form.bar_steps * TICKS_PER_STEP
        self._pickup_ticks = form.pickup_steps * TICKS_PER_STEP
        self._sources = MappingProxyType(
            {
                bar: ((bar - source) * self._bar_ticks, move)
                for bar, (source, move) in sources(form.facts.returns, form.steps).items()
            }
        )
        """For every planned bar: how many ticks before it its source is, and how much lower."""
        self._entries = form.facts.entries
        self._entry_ticks = [entry.step * TICKS_PER_STEP for entry in self._entries]
        self._first_tick = 0
        self.opening: list[tuple[int, int, int]] = []
        """Ticks since the first note, pitches and lengths of the opening's melody."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is planned."""
        return not (self._sources or self._entries)

    def add(self, tick: int, pitch: int, length: int, sounding: Sequence[int]) -> None:
        """Record a note.

        Args:
            tick: at which it is struck.
            pitch: MIDI note.
            length: in ticks.
            sounding: the MIDI notes that sound or were struck before it.
        """
        if not self._entries or len(self.opening) >= MAX_SUBJECT_NOTES:
            return
        if pitch > max(sounding, default=0):
            if not self.opening:
                self._first_tick = tick
            self.opening.append((tick - self._first_tick, pitch, length))

    def tokens(self, place: int, now: Now, notes: StruckNotes) -> Sequence[int]:
        """The planned tokens; empty where nothing is planned.

        Args:
            place: what the next token is about.
            now: where the piece is.
            notes: of the piece so far.
        """
        due = self._due_note(now)
        planned = self._sources.get(self._bar(now.tick))
        if place == LENGTH:
            wanted = [] if due is None else [(due.pitch, due.length)] * (not due.wait)
            wanted += [] if planned is None else self._chord(*planned, now.tick, notes)
            lengths = [n for pitch, n in wanted if abs(pitch - now.pitches[-1]) <= 1][:1]
            return [self.codec.first_length + nearest(self.codec.lengths, n) for n in lengths]
        if due is not None and not due.wait:
            return self._pitches(due, now) if place == PITCH else (0,)
        found = self._of_return(*planned, place, now, notes) if planned else ()
        if place == PITCH:
            return found
        limit = due.wait if due is not None else self._bar_ticks
        if not planned and (first := self._first_onset(self._bar(now.tick) + 1, notes)):
            limit = min(limit, first - now.tick)
        shifts = self.codec.time_shifts
        if found and shifts[found[0]] <= limit:
            return found
        return range(bisect_right(shifts, limit)) if shifts[1] <= limit < self._bar_ticks else ()

    def _bar(self, tick: int) -> int:
        return (tick - self._pickup_ticks) // self._bar_ticks

    def _of_return(
        self, distance: int, move: int, place: int, now: Now, notes: StruckNotes
    ) -> Sequence[int]:
        """The token that makes the present bar like its source."""
        chord = self._chord(distance, move, now.tick, notes)
        # In the place of a note its neighbour may have been struck.
        lowest = min(now.struck, default=128) - (place != PITCH)
        left = [pitch for pitch, _ in chord if now.takes(pitch) and pitch < lowest]
        if place == PITCH:
            return self._moved(left[0], move) if left else ()
        if left:
            return (0,)
        following = notes.next_tick(now.tick - distance)
        if following is not None:
            following += distance
        bar = self._bar(now.tick)
        if following is None or self._bar(following) > bar:
            following = self._first_onset(bar + 1, notes) or following
        if following is None:
            return ()
        # A wait that only comes near would leave the music off the beat.
        index = bisect_left(self.codec.time_shifts, following - now.tick)
        is_exact = self.codec.time_shifts[index : index + 1] == [following - now.tick]
        return (index,) if is_exact else ()

    def _chord(
        self, distance: int, move: int, tick: int, notes: StruckNotes
    ) -> list[tuple[int, int]]:
        """Pitches and lengths that a planned bar has at a tick, from the highest down."""
        return [(pitch + move, length) for pitch, length in notes.at(tick - distance)]

    def _first_onset(self, bar: int, notes: StruckNotes) -> int | None:
        """When something is struck first in a bar that is planned."""
        planned = self._sources.get(bar)
        if planned is None:
            return None
        start = self._pickup_ticks + bar * self._bar_ticks
        first = notes.next_tick(start - planned[0] - 1)
        if first is None or first + planned[0] >= start + self._bar_ticks:
            return None
        return first + planned[0]

    def _due_note(self, now: Now) -> DueNote | None:
        """The next note of an entry, if it comes within a bar."""
        if not self._entries:
            return None
        since_first = now.tick - self._first_tick
        index = bisect_right(self._entry_ticks, since_first)
        found = [
            note
            for number in range(max(0, index - 2), min(index + 1, len(self._entries)))
            if (note := self._next_of_entry(number, since_first, now)) is not None
        ]
        due = min(found, default=None)
        return due if due is not None and due.wait < self._bar_ticks else None

    def _next_of_entry(self, number: int, since_first: int, now: Now) -> DueNote | None:
        entry, since = self._entries[number], since_first - self._entry_ticks[number]
        subject = self.opening[: entry.notes]
        move = self._within(entry.move, [pitch for _, pitch, _ in subject], now)
        for tick, pitch, length in subject[bisect_left(subject, (since,)) :]:
            pitch += move
            is_struck = any(abs(pitch - other) <= 1 for other in now.struck)
            missed = not now.takes(pitch) or pitch >= min(now.struck, default=128)
            if tick > since or not (is_struck or missed):
                return DueNote(tick - since, pitch, length, move, entry.lower)
        return None

    def _within(self, move: int, pitches: Sequence[int], now: Now) -> int:
        """A move by an octave less or more, where the whole would leave the range otherwise."""
        low, high = min(pitches, default=60) + move, max(pitches, default=60) + move
        if high > now.highest and low - OCTAVE >= now.lowest:
            return move - OCTAVE
        if low < now.lowest and high + OCTAVE <= now.highest:
            return move + OCTAVE
        return move

    def _pitches(self, due: DueNote, now: Now) -> Sequence[int]:
        """The tokens that bring an entry's note, or a note above it if it is in a lower voice."""
        found = self._moved(due.pitch, due.move)
        if not due.lower or now.struck:
            return found
        return (*found, *range(self.codec.token_of_pitch(due.pitch) + 3, self.codec.first_length))

    def _moved(self, pitch: int, move: int) -> Sequence[int]:
        """The tokens of a note that was moved; of its neighbours too if it has left the scale."""
        codec = self.codec
        found = [pitch]
        if not self._in_scale(pitch) and self._in_scale(pitch - move):
            found += [other for other in (pitch - 1, pitch + 1) if self._in_scale(other)]
        return [codec.token_of_pitch(p) for p in found if codec.lowest <= p <= codec.highest]

    def _in_scale(self, pitch: int) -> bool:
        return (pitch - self._tonic) % OCTAVE in self._scale
