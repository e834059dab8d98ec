"""Expressive performance: dynamics and tempo of phrases, accents, articulation, final ritardando.

The model writes bare notes. The rules that play them are those of the KTH system: phrase arch,
articulation of short and of repeated notes, punctuation, final ritard, after A. Friberg, R. Bresin,
J. Sundberg, "Overview of the KTH rule system for musical performance", Advances in Cognitive
Psychology 2 (2006), 145-161; the ritard after A. Friberg, J. Sundberg, "Does music performance
allude to locomotion?", JASA 105 (1999), 1469-1484.

The composer writes every event for expression 100, where everything is exaggerated, and whatever
plays it scales it down (:func:`scale_event`): at 60 the quantities are those that the literature
prefers (k = 1 and a little above), at 0 the notes are played as printed. So the setting acts at
once, on music that was composed long ago.

All rules depend on plain facts about the position in a piece (:class:`Position`), not on a codec.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from appliance.common.copying import Copyable
from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    PLAIN_VELOCITY,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    NoteEvent,
    NoteOff,
    NoteOn,
    TempoFactor,
)
from appliance.music.score import Form

FULL_EXPRESSION = 100.0
"""The expression that events are written for."""
BREATH_TICKS = 2 * TICKS_PER_BEAT
"""Silence after a piece that is abandoned."""

# All values from here on are for expression 100.

DOWNBEAT_ACCENT = 12
MIDDLE_ACCENT = 7
"""On the third beat of four."""
BEAT_ACCENT = 4
OFFBEAT_ACCENT = -3
"""These four are added to the MIDI velocity, and so are the next three."""
MELODY_ACCENT, BASS_ACCENT, INNER_VOICE_ACCENT = 10, 6, -5
"""The melody is louder than the other voices, but not ahead of them."""
VELOCITY_PER_SEMITONE, MIDDLE_PITCH, MAX_PITCH_ACCENT = 0.6, 60, 10
"""In music without voices: the higher a note, the louder."""

PHRASE_VELOCITY = (-7.0, 9.0, -13.0)
"""Change of velocity at a phrase's beginning, at its peak, at its end: 4 dB between them."""
RUBATO_PERMILLE = (-55.0, 40.0, -125.0)
"""Change of tempo at the same three places. Over a whole phrase the changes nearly cancel, so that
the mean tempo is what was asked for."""
PEAK = 0.55
"""Where in a phrase its peak lies, as a share of its length."""
PHRASE_BARS = 4
"""Length of a phrase if the form does not say, as far as one can know at its beginning."""
PLATEAU = 0.75
"""Where in its arch a phrase stays when it goes on for longer, or does not end after that."""
LONG_NOTE_BEATS, CADENCE_BEATS, REST_BEATS = 2.0, 1.0, 0.5
"""A new phrase begins after so long a wait for the next onset, after a bass that has leapt a fourth
or a fifth and then waits, and after silence."""

RESTING_PERMILLE = 500
"""The tempo factor in a fermata, and in the last chord."""
RITARD_TICKS = 4 * TICKS_PER_BEAT
"""Length of the final ritardando before the last chord, about 3 s."""
RITARD_END = RESTING_PERMILLE / FULL_TEMPO_PERMILLE
"""The tempo factor that the ritardando ends with."""
RITARD_CURVE = 3
"""q = 3: the tempo falls like the speed of a runner who stops with constant braking power."""
MIN_TEMPO_CHANGE_PERMILLE = 4
"""A smaller change of the tempo factor is not written: even 1 % cannot be heard."""

MAX_EARLY_RELEASE_TICKS = TICKS_PER_STEP
"""The most by which a note is released before its written end."""
PHRASE_END_RELEASE = 0.5
"""The share of its length by which the last note of a phrase is released early: a breath."""
REPEATED_NOTE_RELEASE = 0.25
"""The same for a note that is struck again, so that the new attack is heard."""
SHORT_NOTE_RELEASE = 0.1
"""The same for notes shorter than a beat: not quite legato."""


class Position(NamedTuple):
    """A position in a piece, in ticks: all that the rules need to know of the form."""

    in_bar_ticks: int
    """Since the bar line."""
    bar_ticks: int
    beat_ticks: int
    in_phrase_ticks: int
    """Since the phrase began."""
    phrase_ticks: int
    """From the beginning of the phrase to where it comes to rest."""
    resting: bool
    """In a fermata, or in the last chord."""
    left_ticks: int
    """To the last chord."""


def position_of(form: Form, tick: int, phrase_tick: int = 0) -> Position:
    """The position ``tick`` ticks after the beginning of a piece in this form.

    Args:
        form: of the piece.
        tick: the position.
        phrase_tick: where the last phrase began, in a form without fermatas. How far such a phrase
            goes is only known where it leads to the double bar or to the end.
    """
    step = tick // TICKS_PER_STEP
    last = form.steps - form.beat_steps
    if form.fermatas and form.fermatas[-1][1] >= last:
        last = form.fermatas[-1][0]
    start, rest, resting = 0, last, step >= last
    for fermata, end in form.fermatas:
        if step < end:
            rest, resting = min(rest, fermata), resting or step >= fermata
            break
        start = end
    bar_ticks = form.bar_steps * TICKS_PER_STEP
    in_phrase_ticks = tick - start * TICKS_PER_STEP
    phrase_ticks = max(1, rest - start) * TICKS_PER_STEP
    if not form.fermatas:
        phrase_ticks = PHRASE_BARS * bar_ticks
        goals = (last, form.facts.double_bar_step or last)
        left = min((g * TICKS_PER_STEP - tick for g in goals if g > step), default=0)
        through = min(PLATEAU, (tick - phrase_tick) / phrase_ticks)
        through = max(through, 1 - (1 - PLATEAU) * left / bar_ticks)
        in_phrase_ticks = round(through * phrase_ticks)
    return Position(
        in_bar_ticks=(tick - form.pickup_steps * TICKS_PER_STEP) % bar_ticks,
        bar_ticks=bar_ticks,
        beat_ticks=form.beat_steps * TICKS_PER_STEP,
        in_phrase_ticks=in_phrase_ticks,
        phrase_ticks=phrase_ticks,
        resting=resting,
        left_ticks=last * TICKS_PER_STEP - tick,
    )


def velocity(position: Position, voice: int, voices: int, pitch: int) -> int:
    """The MIDI velocity of a note.

    Args:
        position: where it is struck.
        voice: of the note, 0 the highest.
        voices: how many there are; 1 in music without voices.
        pitch: MIDI note, which only matters in music without voices.
    """
    weight = _weight(voice, voices) if voices > 1 else _height(pitch)
    return _midi(PLAIN_VELOCITY + _accent(position) + weight + _arch(position, PHRASE_VELOCITY))


def tempo_factor_permille(position: Position) -> int:
    """Return the tempo factor at ``position``, in thousandths."""
    if position.resting:
        return RESTING_PERMILLE
    arch = FULL_TEMPO_PERMILLE + _arch(position, RUBATO_PERMILLE)
    fastest = FULL_TEMPO_PERMILLE + RUBATO_PERMILLE[1]
    return round(min(arch, fastest * _ritard(position)))


def early_release_ticks(length_ticks: int, *, repeated: bool, phrase_ends: bool) -> int:
    """Return how long before its written end a note is released, in ticks.

    Args:
        length_ticks: of the note as written.
        repeated: the same note is struck again at once.
        phrase_ends: the note is the last of a phrase.
    """
    if phrase_ends:
        share = PHRASE_END_RELEASE
    elif repeated:
        share = REPEATED_NOTE_RELEASE
    else:
        share = SHORT_NOTE_RELEASE if length_ticks < TICKS_PER_BEAT else 0.0
    return min(MAX_EARLY_RELEASE_TICKS, round(share * length_ticks))


def _accent(position: Position) -> int:
    beat, off = divmod(position.in_bar_ticks, position.beat_ticks)
    if off:
        return OFFBEAT_ACCENT
    if not beat:
        return DOWNBEAT_ACCENT
    return MIDDLE_ACCENT if 2 * position.in_bar_ticks == position.bar_ticks else BEAT_ACCENT


def _weight(voice: int, voices: int) -> int:
    if not voice:
        return MELODY_ACCENT
    return BASS_ACCENT if voice == voices - 1 else INNER_VOICE_ACCENT


def _height(pitch: int) -> float:
    return max(
        -MAX_PITCH_ACCENT, min(MAX_PITCH_ACCENT, VELOCITY_PER_SEMITONE * (pitch - MIDDLE_PITCH))
    )


def _arch(position: Position, shape: tuple[float, float, float]) -> float:
    """A quantity on two parabolas that meet at the phrase's peak.

    ``shape`` has its values at the beginning, the peak and the end of the phrase.
    """
    start, top, end = shape
    through = min(1.0, position.in_phrase_ticks / position.phrase_ticks)
    if through < PEAK:
        return top + (start - top) * ((PEAK - through) / PEAK) ** 2
    return top + (end - top) * ((through - PEAK) / (1 - PEAK)) ** 2


def _ritard(position: Position) -> float:
    """The final ritardando as a factor: 1 before it, :data:`RITARD_END` at the last chord."""
    through = max(0.0, 1.0 - position.left_ticks / RITARD_TICKS)
    return float((1 + (RITARD_END**RITARD_CURVE - 1) * through) ** (1 / RITARD_CURVE))


class Performance(Copyable):
    """Turns the bare events of one piece, in order of tick, into events with full expression.

    Args:
        form: of the piece.
        start_tick: where the piece begins.
        voices: how many voices have parts of their own; 1 in music without voices.
    """

    def __init__(self, form: Form, start_tick: int = 0, voices: int = 1) -> None:
        self._form = form
        self.start_tick = start_tick
        """Where the piece would have begun without repeats before the present place."""
        self.last_time = True
        """False while what is played will be played again, so that it does not end the piece."""
        self._voices = voices
        self.tempo_factor_permille = FULL_TEMPO_PERMILLE
        self._struck_ticks: dict[tuple[int, int], int] = {}
        """Where each sounding note, by voice and pitch, was struck."""
        self.phrase_tick = 0
        """Where the phrase began, in the piece as it is written."""
        self._onset_tick = 0
        """Where something was struck last."""
        self._silent_tick: int | None = None
        """Since when nothing sounds."""
        self._basses = (0, 0)
        """The last two lowest notes that were struck."""

    def tempo_changes(self, tick: int) -> list[Event]:
        """Return the change of tempo ``tick`` ticks after the beginning, if there is one."""
        position = position_of(self._form, tick, self.phrase_tick)
        if not self.last_time and position.left_ticks < RITARD_TICKS:
            position = position._replace(resting=False, left_ticks=RITARD_TICKS)
        wanted = tempo_factor_permille(position)
        if abs(wanted - self.tempo_factor_permille) < MIN_TEMPO_CHANGE_PERMILLE:
            return []
        self.tempo_factor_permille = wanted
        return [TempoFactor(self.start_tick + tick, wanted)]

    def play(self, events: list[Event]) -> list[Event]:
        """Return the events as they are played at expression 100.

        Args:
            events: with ticks that count from the beginning of the piece; the returned events
                have those of the session.
        """
        return [self._play(event) for event in events]

    def _play(self, event: Event) -> Event:
        tick = self.start_tick + event.tick
        if not isinstance(event, NoteEvent):
            return event._replace(tick=tick)
        note = event.voice, event.pitch
        if isinstance(event, NoteOn):
            self._hear(event)
        position = position_of(self._form, event.tick, self.phrase_tick)
        if isinstance(event, NoteOn):
            self._struck_ticks[note] = event.tick
            loudness = velocity(position, event.voice, self._voices, event.pitch)
            return event._replace(tick=tick, velocity=loudness)
        length_ticks = event.tick - self._struck_ticks.pop(note, event.tick)
        self._silent_tick = None if self._struck_ticks else event.tick
        # There is no breath after phrases that are only guessed.
        breath = bool(self._form.fermatas) and not position.in_phrase_ticks
        return NoteOff(
            tick,
            *note,
            early_release_ticks(length_ticks, repeated=False, phrase_ends=breath),
            early_release_ticks(length_ticks, repeated=True, phrase_ends=breath),
        )

    def _hear(self, event: NoteOn) -> None:
        """Notice where a phrase begins: after a long note, a cadence or a rest."""
        tick, beat_ticks = event.tick, self._form.beat_steps * TICKS_PER_STEP
        if tick > self._onset_tick:
            waited_beats = (tick - self._onset_tick) / beat_ticks
            silent_ticks = 0 if self._silent_tick is None else tick - self._silent_tick
            leapt = abs(self._basses[1] - self._basses[0]) in (5, 7)
            if (
                waited_beats >= (CADENCE_BEATS if leapt else LONG_NOTE_BEATS)
                or silent_ticks >= REST_BEATS * beat_ticks
            ):
                self.phrase_tick = tick
            self._basses = self._basses[1], event.pitch
        self._basses = self._basses[0], min(self._basses[1], event.pitch)
        self._onset_tick, self._silent_tick = tick, None


def scale_event(event: Event, expression: float, *, repeated: bool = False) -> Event:
    """Return the event as it is played.

    At 0 all velocities and tempo factors are plain, and every note is released where it is
    written to end. A note off comes back at the tick at which the note is released, with
    ``early_release_ticks`` as the distance from there to its written end.

    Args:
        event: as a composer wrote it.
        expression: 0 to 100.
        repeated: the note that a note off releases is struck again at the same tick.
    """
    if isinstance(event, NoteOn):
        return event._replace(velocity=scale_velocity(event.velocity, expression))
    if isinstance(event, NoteOff):
        full_ticks = event.repeated_release_ticks if repeated else event.early_release_ticks
        ticks = round(full_ticks * (expression / FULL_EXPRESSION))
        return NoteOff(event.tick - ticks, event.voice, event.pitch, ticks)
    if isinstance(event, TempoFactor):
        return event._replace(permille=scale_tempo_factor(event.permille, expression))
    return event


def scale_velocity(velocity: int, expression: float) -> int:
    """Return the MIDI velocity of a note as it is played at ``expression`` (0 to 100)."""
    return _midi(PLAIN_VELOCITY + (velocity - PLAIN_VELOCITY) * (expression / FULL_EXPRESSION))


def scale_tempo_factor(permille: int, expression: float) -> int:
    """Return the tempo factor as it is played at ``expression`` (0 to 100), in thousandths."""
    return FULL_TEMPO_PERMILLE + round(
        (permille - FULL_TEMPO_PERMILLE) * (expression / FULL_EXPRESSION)
    )


def apply_expression(
    events: Sequence[Event], expression: float | Callable[[int], float]
) -> list[Event]:
    """Return ``events`` as they are played, sorted by tick again.

    Args:
        events: as a composer wrote them, in the order of their ticks.
        expression: 0 to 100, or a function that gives it for a tick.
    """
    struck = {(e.tick, e.pitch) for e in events if isinstance(e, NoteOn)}
    return sorted(
        (
            scale_event(
                event,
                expression(event.tick) if callable(expression) else expression,
                repeated=isinstance(event, NoteOff) and (event.tick, event.pitch) in struck,
            )
            for event in events
        ),
        key=lambda event: event.tick,
    )


def _midi(velocity: float) -> int:
    return round(min(127, max(1, velocity)))
