"""How a piece is to be played: the swell and the breath of a phrase, accents, the last ritardando.

The model writes notes; nobody would play them all alike. The rules are those of the KTH system:
phrase arch, articulation of short and of repeated notes, punctuation, final ritard, after
A. Friberg, R. Bresin, J. Sundberg, "Overview of the KTH rule system for musical performance",
Advances in Cognitive Psychology 2 (2006), 145-161; the ritard after A. Friberg, J. Sundberg,
"Does music performance allude to locomotion?", JASA 105 (1999), 1469-1484.

The composer writes every event as at expression 100, where all of it is exaggerated, and whoever
plays takes back what is too much (:func:`scaled`): at 60 the quantities are those that the
literature prefers (k = 1 and a little above), at 0 it is the printed page. So the setting acts
at once, on music composed long ago.

All of it follows from plain facts about the place (:class:`Place`), none of them a codec's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from appliance.music.events import (
    AS_WRITTEN_PERMILLE,
    PLAIN_VELOCITY,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    Kind,
    pace,
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
"""Pace likewise. Over a whole phrase the two sides nearly make up for each other, so that the
tempo is what was asked for."""
HEIGHT = 0.55
"""Where a phrase's height lies in it."""
PHRASE_BARS = 4
"""Of a phrase where the form does not say."""

RESTING_PERMILLE = 500
"""The pace in a fermata, and in the last chord."""
RITARD_TICKS = 4 * TICKS_PER_BEAT
"""Its length before the last chord, about 3 s."""
RITARD_END = RESTING_PERMILLE / AS_WRITTEN_PERMILLE
RITARD_CURVE = 3
"""q = 3: as a runner stops, with constant braking power."""
PACE_GRAIN_PERMILLE = 4
"""A change of pace below this is not written; nobody hears one of 1 %."""

MAX_LIFT_TICKS = TICKS_PER_STEP
"""No note is left earlier than this before its end."""
PHRASE_LIFT = 0.5
"""Of its length is the last note of a phrase left early, for a breath."""
REPEATED_LIFT = 0.25
"""A note that is struck again: enough to hear it."""
SHORT_LIFT = 0.1
"""Notes of less than a beat: not quite legato, the shorter the less."""


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


def pace_permille(place: Place) -> int:
    """Pace at ``place``, in thousandths of the tempo."""
    if place.resting:
        return RESTING_PERMILLE
    arch = AS_WRITTEN_PERMILLE + _arch(place, RUBATO_PERMILLE)
    fastest = AS_WRITTEN_PERMILLE + RUBATO_PERMILLE[1]
    return round(min(arch, fastest * _ritard(place)))


def lift_ticks(length_ticks: int, *, repeated: bool, phrase_ends: bool) -> int:
    """How long before its end a note is left that is followed by another one.

    ``repeated``: the next is the same note again.
    """
    if phrase_ends:
        share = PHRASE_LIFT
    elif repeated:
        share = REPEATED_LIFT
    else:
        share = SHORT_LIFT if length_ticks < TICKS_PER_BEAT else 0.0
    return min(MAX_LIFT_TICKS, round(share * length_ticks))


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


class Performance:
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
        self._pace_permille = AS_WRITTEN_PERMILLE
        self._struck: dict[tuple[int, int], int] = {}

    def pace(self, tick: int) -> list[Event]:
        """The change of pace ``tick`` ticks after the beginning, if there is one."""
        wanted = pace_permille(place_of(self._form, tick))
        if abs(wanted - self._pace_permille) < PACE_GRAIN_PERMILLE:
            return []
        self._pace_permille = wanted
        return [pace(self._start_tick + tick, wanted)]

    def play(self, events: list[Event]) -> list[Event]:
        """Events counted from the beginning of the piece, as they are played at 100."""
        return [self._play(event) for event in events]

    def _play(self, event: Event) -> Event:
        place, note = place_of(self._form, event.tick), (event.voice, event.pitch)
        tick = self._start_tick + event.tick
        if event.kind is Kind.NOTE_ON:
            self._struck[note] = event.tick
            loudness = velocity(place, event.voice, self._voices, event.pitch)
            return event._replace(tick=tick, velocity=loudness)
        if event.kind is Kind.NOTE_OFF:
            length_ticks = event.tick - self._struck.pop(note, event.tick)
            # No breath where phrases are only guessed.
            breath = bool(self._form.fermatas) and not place.in_phrase_ticks
            value, aux = (
                lift_ticks(length_ticks, repeated=repeated, phrase_ends=breath)
                for repeated in (False, True)
            )
            return event._replace(tick=tick, value=value, aux=aux)
        return event._replace(tick=tick)

    def copy(self) -> Performance:
        """A copy that goes its own way."""
        twin = Performance(self._form, self._start_tick, self._voices)
        twin._pace_permille, twin._struck = self._pace_permille, self._struck.copy()
        return twin


def scaled(event: Event, expression: float, *, repeated: bool = False) -> Event:
    """The event as it is played at ``expression`` (0 to 100): louder, slower, left earlier.

    At 0 velocity and pace are plain and every note is left where it is written. ``repeated``: the
    note that is left is struck again at once. The ``value`` of a note off then says by how many
    ticks it has come forward.
    """
    share = expression / FULL
    if event.kind is Kind.NOTE_ON:
        loudness = PLAIN_VELOCITY + (event.velocity - PLAIN_VELOCITY) * share
        return event._replace(velocity=_midi(loudness))
    if event.kind is Kind.NOTE_OFF:
        lift = round((event.aux if repeated else event.value) * share)
        return event._replace(tick=event.tick - lift, value=lift, aux=0)
    if event.kind is Kind.PACE:
        off = event.value - AS_WRITTEN_PERMILLE
        return event._replace(value=AS_WRITTEN_PERMILLE + round(off * share))
    return event


def played(events: Sequence[Event], expression: float | Callable[[int], float]) -> list[Event]:
    """``events`` as they are played, in the order of time again.

    ``expression`` is the same for all of them, or what it is at a tick.
    """
    struck = {(e.tick, e.pitch) for e in events if e.kind is Kind.NOTE_ON}
    return sorted(
        (
            scaled(
                event,
                expression(event.tick) if callable(expression) else expression,
                repeated=(event.tick, event.pitch) in struck,
            )
            for event in events
        ),
        key=lambda event: event.tick,
    )


def _midi(loudness: float) -> int:
    return round(min(127, max(1, loudness)))
