"""How a piece is to be played: the swell and the breath of a phrase, accents, the last ritardando.

The model writes notes; nobody would play them all alike. The rules are those of the KTH system:
phrase arch, articulation of short and of repeated notes, punctuation, final ritard, after
A. Friberg, R. Bresin, J. Sundberg, "Overview of the KTH rule system for musical performance",
Advances in Cognitive Psychology 2 (2006), 145-161; the ritard after A. Friberg, J. Sundberg,
"Does music performance allude to locomotion?", JASA 105 (1999), 1469-1484.

The composer writes every event as at expression 100, where all of it is exaggerated, and whoever
plays takes back what is too much (:func:`scale_event`): at 60 the quantities are those that the
literature prefers (k = 1 and a little above), at 0 it is the printed page. So the setting acts
at once, on music composed long ago.

All of it follows from plain facts about the place (:class:`Place`), none of them a codec's own.
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

FULL = 100.0
"""The expression that events are written with."""
BREATH_TICKS = 2 * TICKS_PER_BEAT
"""Silence between two pieces."""

# All that follows is for expression 100.

DOWNBEAT_ACCENT = 12
MIDDLE_ACCENT = 7
"""The third beat of four."""
BEAT_ACCENT = 4
WEAK_ACCENT = -3
"""Off the beat."""
MELODY, LOWEST_VOICE, INNER_VOICE = 10, 6, -5
"""The melody leads in loudness; in time all are together."""
HIGHER, MIDDLE_PITCH, MAX_HIGHER = 0.6, 60, 10
"""Where notes have no parts of their own: the higher the louder, by so much a semitone."""

SWELL = (-7.0, 9.0, -13.0)
"""Velocity at a phrase's beginning, at its height, at its end: 4 dB between them."""
RUBATO_PERMILLE = (-55.0, 40.0, -125.0)
"""The change of tempo at the same three places. Over a whole phrase the changes nearly cancel, so
that the mean tempo is what was asked for."""
HEIGHT = 0.55
"""Where a phrase's height lies in it."""
PHRASE_BARS = 4
"""Of a phrase where the form does not say."""

RESTING_PERMILLE = 500
"""The tempo factor in a fermata, and in the last chord."""
RITARD_TICKS = 4 * TICKS_PER_BEAT
"""Its length before the last chord, about 3 s."""
RITARD_END = RESTING_PERMILLE / FULL_TEMPO_PERMILLE
RITARD_CURVE = 3
"""q = 3: as a runner stops, with constant braking power."""
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


class Place(NamedTuple):
    """A moment in a piece, in ticks: all that playing has to know of the form."""

    in_bar_ticks: int
    """Since the bar line."""
    bar_ticks: int
    beat_ticks: int
    in_phrase_ticks: int
    """Since the phrase began."""
    phrase_ticks: int
    """From there to where the phrase comes to rest."""
    resting: bool
    """In a fermata, or in the last chord."""
    left_ticks: int
    """To the last chord."""


def place_of(form: Form, tick: int) -> Place:
    """The place ``tick`` ticks after the beginning of a piece in this form."""
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
    if not form.fermatas and not resting:
        # A pickup belongs to the phrase that it leads into.
        phrase = PHRASE_BARS * form.bar_steps
        number = max(0, step - form.pickup_steps) // phrase
        start = form.pickup_steps + number * phrase if number else 0
        rest = min(last, form.pickup_steps + (number + 1) * phrase)
    bar_ticks = form.bar_steps * TICKS_PER_STEP
    return Place(
        in_bar_ticks=(tick - form.pickup_steps * TICKS_PER_STEP) % bar_ticks,
        bar_ticks=bar_ticks,
        beat_ticks=form.beat_steps * TICKS_PER_STEP,
        in_phrase_ticks=tick - start * TICKS_PER_STEP,
        phrase_ticks=max(1, rest - start) * TICKS_PER_STEP,
        resting=resting,
        left_ticks=last * TICKS_PER_STEP - tick,
    )


def velocity(place: Place, voice: int, voices: int, pitch: int) -> int:
    """MIDI velocity of a note struck at ``place``, in the ``voice``-th (from 0) of ``voices``."""
    weight = _weight(voice, voices) if voices > 1 else _height(pitch)
    return _midi(PLAIN_VELOCITY + _accent(place) + weight + _arch(place, SWELL))


def tempo_factor_permille(place: Place) -> int:
    """Return the tempo factor at ``place``, in thousandths."""
    if place.resting:
        return RESTING_PERMILLE
    arch = FULL_TEMPO_PERMILLE + _arch(place, RUBATO_PERMILLE)
    fastest = FULL_TEMPO_PERMILLE + RUBATO_PERMILLE[1]
    return round(min(arch, fastest * _ritard(place)))


def early_release_ticks(length_ticks: int, *, repeated: bool, phrase_ends: bool) -> int:
    """Return how long before its written end a note of ``length_ticks`` is released.

    Args:
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


def _accent(place: Place) -> int:
    beat, off = divmod(place.in_bar_ticks, place.beat_ticks)
    if off:
        return WEAK_ACCENT
    if not beat:
        return DOWNBEAT_ACCENT
    return MIDDLE_ACCENT if 2 * place.in_bar_ticks == place.bar_ticks else BEAT_ACCENT


def _weight(voice: int, voices: int) -> int:
    if not voice:
        return MELODY
    return LOWEST_VOICE if voice == voices - 1 else INNER_VOICE


def _height(pitch: int) -> float:
    return max(-MAX_HIGHER, min(MAX_HIGHER, HIGHER * (pitch - MIDDLE_PITCH)))


def _arch(place: Place, shape: tuple[float, float, float]) -> float:
    """Two parabolas that meet at the phrase's height."""
    start, top, end = shape
    through = min(1.0, place.in_phrase_ticks / place.phrase_ticks)
    if through < HEIGHT:
        return top + (start - top) * ((HEIGHT - through) / HEIGHT) ** 2
    return top + (end - top) * ((through - HEIGHT) / (1 - HEIGHT)) ** 2


def _ritard(place: Place) -> float:
    """The final ritard: 1 until it begins, :data:`RITARD_END` at the last chord."""
    through = max(0.0, 1.0 - place.left_ticks / RITARD_TICKS)
    return float((1 + (RITARD_END**RITARD_CURVE - 1) * through) ** (1 / RITARD_CURVE))


class Performance(Copyable):
    """A piece being read: plain events in, in the order of time, and played ones out.

    Args:
        form: of the piece.
        start_tick: where it begins.
        voices: how many have a part of their own; 1 where notes come as they may.
    """

    def __init__(self, form: Form, start_tick: int = 0, voices: int = 1) -> None:
        self._form = form
        self._start_tick = start_tick
        self._voices = voices
        self._tempo_factor_permille = FULL_TEMPO_PERMILLE
        self._struck: dict[tuple[int, int], int] = {}

    def tempo_changes(self, tick: int) -> list[Event]:
        """Return the change of tempo ``tick`` ticks after the beginning, if there is one."""
        wanted = tempo_factor_permille(place_of(self._form, tick))
        if abs(wanted - self._tempo_factor_permille) < MIN_TEMPO_CHANGE_PERMILLE:
            return []
        self._tempo_factor_permille = wanted
        return [TempoFactor(self._start_tick + tick, wanted)]

    def play(self, events: list[Event]) -> list[Event]:
        """Events counted from the beginning of the piece, as they are played at 100."""
        return [self._play(event) for event in events]

    def _play(self, event: Event) -> Event:
        tick = self._start_tick + event.tick
        if not isinstance(event, NoteEvent):
            return event._replace(tick=tick)
        place, note = place_of(self._form, event.tick), (event.voice, event.pitch)
        if isinstance(event, NoteOn):
            self._struck[note] = event.tick
            loudness = velocity(place, event.voice, self._voices, event.pitch)
            return event._replace(tick=tick, velocity=loudness)
        length_ticks = event.tick - self._struck.pop(note, event.tick)
        # No breath where phrases are only guessed.
        breath = bool(self._form.fermatas) and not place.in_phrase_ticks
        return NoteOff(
            tick,
            *note,
            early_release_ticks(length_ticks, repeated=False, phrase_ends=breath),
            early_release_ticks(length_ticks, repeated=True, phrase_ends=breath),
        )


def scale_event(event: Event, expression: float, *, repeated: bool = False) -> Event:
    """Return the event as it is played at ``expression`` (0 to 100).

    At 0 all velocities and tempo factors are plain, and every note is released where it is
    written to end. A note off comes back at the tick at which the note is released, with
    ``early_release_ticks`` as the distance from there to its written end.

    Args:
        repeated: the note that a note off releases is struck again at the same tick.
    """
    if isinstance(event, NoteOn):
        return event._replace(velocity=scale_velocity(event.velocity, expression))
    if isinstance(event, NoteOff):
        full_ticks = event.repeated_release_ticks if repeated else event.early_release_ticks
        ticks = round(full_ticks * (expression / FULL))
        return NoteOff(event.tick - ticks, event.voice, event.pitch, ticks)
    if isinstance(event, TempoFactor):
        return event._replace(permille=scale_tempo_factor(event.permille, expression))
    return event


def scale_velocity(velocity: int, expression: float) -> int:
    """Return the MIDI velocity of a note as it is played at ``expression`` (0 to 100)."""
    return _midi(PLAIN_VELOCITY + (velocity - PLAIN_VELOCITY) * (expression / FULL))


def scale_tempo_factor(permille: int, expression: float) -> int:
    """Return the tempo factor as it is played at ``expression`` (0 to 100), in thousandths."""
    return FULL_TEMPO_PERMILLE + round((permille - FULL_TEMPO_PERMILLE) * (expression / FULL))


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
