"""The aspects of the next token in four-part music, by which its logits are corrected.

An aspect is a fact about one possible token that a player would notice: this step of the soprano
continues where two steps went before; this alto makes a seventh with the bass; this chord is a
dominant. A model's own music has more of some than the music that it has learned from, and less of
others; a correction for each, which ``make correct`` fits, is added to the logits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.common.copying import Copyable
from appliance.music.codecs.chords import KINDS, UNNAMED, completed_chords
from appliance.music.codecs.input_layout import Inputs
from appliance.music.score import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    SILENT,
    VOICE_ORDER,
    VOICES,
    Form,
    Key,
)

Indices = NDArray[np.intp]
Rows = dict[str, Indices]
"""The aspects of every pitch, by what they are about."""

PITCHES: Final = HIGHEST_PITCH - LOWEST_PITCH + 1
MAX_INTERVAL: Final = 13
"""Larger intervals than an octave are one."""
MOVES: Final = 9
"""Kinds of the move before: down or up by a step, a third, up to a fifth, more; and none."""
NO_MOVE: Final = MOVES
LINE_NOTES: Final = 4
"""Notes of a voice that are remembered: three intervals."""
STEPS_IN_BEAT: Final = 4
STEP_SEMITONES: Final = 2
"""A step is of one or two semitones."""
HELD_STEPS: Final = (1, 2, 3, 4, 8)
"""Lower ends of the buckets for how long a note has been held."""

ASPECTS: Final = Inputs(
    # Of each voice: the interval from its last note, after each kind of move.
    ("interval", VOICES * (MOVES + 1), 2 * MAX_INTERVAL + 1),
    # A third step in one direction, a turn after two of them, the note before the last again.
    ("line", VOICES, 3),
    # Whether two intervals lead on as they did before in this voice.
    ("figure", VOICES, 2),
    ("degree", VOICES * 2, 12),
    # Of the three lower voices on a beat and off it: semitones over the bass, of the bass under
    # the soprano.
    ("over_bass", VOICES * 2, 12),
    # Whether it clashes with another voice: by a semitone, by a tritone, by both.
    ("clash", VOICES * 2, 4),
    # Whether it goes beyond the next voice.
    ("crossing", VOICES),
    # Of the bass on a beat: its degree under the soprano's, and how far from the last root it is.
    ("frame", 2 * 12, 12),
    ("bass_move", 2, 12),
    # Of the last two voices of a step: the chord that is heard with each.
    ("chord", 2 * 2, KINDS),
    # On a beat: its root's degree, and how far the root has moved since the last beat.
    ("root", 2 * 12, KINDS),
    ("root_move", 2 * 12, 2),
    # Of a held note: place in the beat, and for how long.
    ("hold", VOICES * STEPS_IN_BEAT, len(HELD_STEPS) + 1),
    ("rest", VOICES),
)
"""The layout of the corrections."""
NONE: Final = ASPECTS.width
"""Stands for no aspect."""

_ALL: Final = np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1)
# Tables instead of arithmetic: this is done for every token.
_INTERVALS: Final = np.clip(_ALL - _ALL[:, None], -MAX_INTERVAL, MAX_INTERVAL) + MAX_INTERVAL
"""Index in its row of the interval from one pitch (the row) to each."""
_ABOVE: Final = (_ALL - np.arange(12)[:, None]) % 12
"""Semitones from a pitch class (the row) up to each pitch, without octaves."""
_BELOW: Final = -_ABOVE % 12
_PITCH_CLASSES: Final = _ALL % 12
_CLASHES: Final = (_ABOVE == 1) | (_ABOVE == 11) | 2 * (_ABOVE == 6)
"""How each pitch clashes with a pitch class (the row): 1 by a semitone, 2 by a tritone."""


def _move(interval: int) -> int:
    """The kind of a move, from far down (0) to far up (8); 4 is a note struck again."""
    size = sum(abs(interval) >= least for least in (1, 3, 5, 8))
    return 4 + size if interval > 0 else 4 - size


class PartAspects(Copyable):
    """Knows the aspects of every class at the place where a piece is.

    Args:
        form: of the piece.
        key: of the piece.
    """

    def __init__(self, form: Form, key: Key) -> None:
        self._bar_steps, self._pickup_steps = form.bar_steps, form.pickup_steps
        self._tonic, self._minor = key.tonic, int(key.minor)
        self._lines: tuple[tuple[int, ...], ...] = ((),) * VOICES
        """The last four notes that each voice struck since it rested, the last one at the end."""
        self._figures: dict[tuple[int, int, int], tuple[int, ...]] = {}
        """What followed two intervals of a voice; by voice, last interval and the one before."""
        self._root: int | None = None
        """Pitch class of the root of the last beat's chord that has one."""

    def add(self, voice: int, pitch: int) -> None:
        """Record that a voice (0 the highest) strikes a MIDI note, or rests (``SILENT``)."""
        line = () if pitch == SILENT else (*self._lines[voice][1 - LINE_NOTES :], pitch)
        self._lines = (*self._lines[:voice], line, *self._lines[voice + 1 :])
        if len(line) == LINE_NOTES:
            figure = (voice, line[2] - line[1], line[1] - line[0])
            self._figures[figure] = (*self._figures.get(figure, ()), line[3] - line[2])

    def end_step(self, step: int, sounding: Sequence[int | None]) -> None:
        """Record what sounds in a step, see :meth:`of`."""
        chord = [pitch for pitch in sounding if pitch is not None and pitch != SILENT]
        if (step - self._pickup_steps) % STEPS_IN_BEAT == 0 and chord:
            pitch_classes = frozenset(pitch % 12 for pitch in chord)
            root = int(completed_chords(pitch_classes).roots[chord[0] % 12])
            self._root = self._root if root == UNNAMED else root

    def of(
        self, step: int, place: int, sounding: Sequence[int | None], held: Sequence[int]
    ) -> Indices:
        """The aspects of every class, ``(rows, classes)``; ``NONE`` where there is none.

        Args:
            step: the 16th step.
            place: how many voices of the step are set already: soprano, bass, tenor.
            sounding: MIDI note of each voice, ``SILENT``, or ``None`` before its first token.
            held: for how many steps each voice has done what it does.
        """
        voice = VOICE_ORDER[place]
        in_beat = (step - self._pickup_steps) % STEPS_IN_BEAT
        off_beat = int(in_beat > 0)
        found = np.full((len(_ROWS), PITCHES + 2), NONE, dtype=np.intp)
        rows = dict(zip(_ROWS, found[:, :PITCHES], strict=True))
        degree = ASPECTS["degree", voice * 2 + self._minor, 0]
        np.add(_ABOVE[self._tonic], degree, out=rows["degree"])
        self._line_aspects(rows, voice)
        _interval_aspects(rows, voice, sounding, off_beat)
        soprano, bass, tenor = sounding[0], sounding[-1], sounding[-2]
        if place == 1 and not off_beat:
            self._bass_aspects(rows, soprano)
        if place > 1:
            chord = [soprano, bass, tenor][:place]
            notes = [pitch for pitch in chord if pitch is not None and pitch != SILENT]
            self._chord_aspects(rows, notes, step, place, off_beat)
        now = sounding[voice]
        if now is not None and LOWEST_PITCH <= now <= HIGHEST_PITCH:
            # A held note sounds in this step as a struck one would.
            found[_WITH_OTHERS, PITCHES + 1] = found[_WITH_OTHERS, now - LOWEST_PITCH]
        bucket = bisect_right(HELD_STEPS, held[voice])
        found[-1, PITCHES + 1] = ASPECTS["hold", voice * STEPS_IN_BEAT + in_beat, bucket]
        found[-1, PITCHES] = ASPECTS["rest", voice]
        return found

    def _line_aspects(self, rows: Rows, voice: int) -> None:
        """Those of the voice's own line."""
        line = self._lines[voice]
        if not line:
            return
        last = line[-1] - line[-2] if len(line) > 1 else 0
        move = _move(last) if len(line) > 1 else NO_MOVE
        interval = ASPECTS["interval", voice * (MOVES + 1) + move, 0]
        now = line[-1] - LOWEST_PITCH
        np.add(_INTERVALS[now], interval, out=rows["interval"])
        if len(line) < 3:
            return
        before = line[-2] - line[-3]
        if last * before > 0 and max(abs(last), abs(before)) <= STEP_SEMITONES:
            below = slice(max(now - STEP_SEMITONES, 0), now)
            above = slice(now + 1, now + 1 + STEP_SEMITONES)
            goes_on, turns = (above, slice(now)) if last > 0 else (below, slice(now + 1, None))
            rows["line"][goes_on] = ASPECTS["line", voice, 0]
            rows["line"][turns] = ASPECTS["line", voice, 1]
        elif last:
            rows["line"][line[-2] - LOWEST_PITCH] = ASPECTS["line", voice, 2]
        followed = self._figures.get((voice, last, before))
        if followed is not None:
            rows["figure"][:] = ASPECTS["figure", voice, 0]
            for interval in followed:
                if 0 <= now + interval < PITCHES:
                    rows["figure"][now + interval] = ASPECTS["figure", voice, 1]

    def _bass_aspects(self, rows: Rows, soprano: int | None) -> None:
        """Those of the bass of a beat under its soprano, and after the last root."""
        if soprano is not None and soprano != SILENT:
            frame = ASPECTS["frame", self._minor * 12 + (soprano - self._tonic) % 12, 0]
            np.add(_ABOVE[self._tonic], frame, out=rows["frame"])
        if self._root is not None:
            moved = ASPECTS["bass_move", self._minor, 0]
            np.add(_ABOVE[self._root], moved, out=rows["bass_move"])

    def _chord_aspects(
        self, rows: Rows, notes: list[int], step: int, place: int, off_beat: int
    ) -> None:
        """Those of the chord that is heard with each note."""
        chords = completed_chords(frozenset(pitch % 12 for pitch in notes))
        last = place == VOICES - 1
        aspects = ASPECTS["chord", last * 2 + off_beat, 0] + chords.kinds
        rows["chord"][:] = aspects[_PITCH_CLASSES]
        if off_beat or not last:
            return
        named = chords.roots != UNNAMED
        degree = ASPECTS["root", self._minor * 12, 0] + (chords.roots - self._tonic) % 12 * KINDS
        rows["root"][:] = np.where(named, degree + chords.kinds, NONE)[_PITCH_CLASSES]
        if self._root is not None:
            in_bar = int((step - self._pickup_steps) % self._bar_steps > 0)
            moved = ASPECTS["root_move", self._minor * 12, in_bar]
            moves = moved + (chords.roots - self._root) % 12 * 2
            rows["root_move"][:] = np.where(named, moves, NONE)[_PITCH_CLASSES]


def _interval_aspects(
    rows: Rows, voice: int, sounding: Sequence[int | None], off_beat: int
) -> None:
    """Those of a note with what sounds in the other voices."""
    notes = {
        number: pitch
        for number, pitch in enumerate(sounding)
        if number != voice and pitch is not None and pitch != SILENT
    }
    lowest = VOICES - 1
    over_bass = ASPECTS["over_bass", voice * 2 + off_beat, 0]
    if voice == lowest and 0 in notes:
        np.add(_BELOW[notes[0] % 12], over_bass, out=rows["over_bass"])
    elif voice and lowest in notes:
        np.add(_ABOVE[notes[lowest] % 12], over_bass, out=rows["over_bass"])
    crossing = ASPECTS["crossing", voice]
    if voice - 1 in notes:
        rows["crossing"][max(notes[voice - 1] + 1 - LOWEST_PITCH, 0) :] = crossing
    if voice + 1 in notes:
        rows["crossing"][: max(notes[voice + 1] - LOWEST_PITCH, 0)] = crossing
    if notes:
        clashes = [_CLASHES[pitch % 12] for pitch in notes.values()]
        clash = np.bitwise_or.reduce(clashes)
        np.add(clash, ASPECTS["clash", voice * 2 + off_beat, 0], out=rows["clash"])


_ROWS: Final = (
    *("interval", "line", "figure", "degree", "over_bass", "crossing", "frame", "bass_move"),
    *("clash", "chord", "root", "root_move", "time"),
)
"""What the rows of a result are about."""
_WITH_OTHERS: Final = slice(_ROWS.index("clash"), _ROWS.index("time"))
"""The rows that a held note has too."""
