"""How a piece is to be played: accents, the swell of a phrase, and time taken at its end.

The model writes notes; a performer would not play them all alike. What is done here is
the common practice of choirs: strong beats a little stronger, phrases that grow toward
their middle, fermatas held, the last bar slower.
"""

from __future__ import annotations

from appliance.music.codec import PLAIN_VELOCITY
from appliance.music.notes import AS_WRITTEN_PERMILLE, TICKS_PER_BEAT
from appliance.music.score import Form

DOWNBEAT_ACCENT = 7
BEAT_ACCENT = 3
PHRASE_SWELL = 8
VOICE_BALANCE = (6, -3, -2, 4)
"""Outer voices forward."""
FERMATA_PERMILLE = 700
RITARDANDO_PERMILLE = (930, 850)
"""Over the second last and the last beat before the final chord."""
BREATH_TICKS = 2 * TICKS_PER_BEAT
"""Silence between two pieces."""
STEPS_PER_BEAT = 4


def velocity(form: Form, step: int, voice: int) -> int:
    """MIDI velocity (1 to 127) of a note struck at ``step`` of a piece."""
    in_bar = (step - form.pickup_steps) % form.bar_steps
    accent = DOWNBEAT_ACCENT if in_bar == 0 else BEAT_ACCENT if in_bar % STEPS_PER_BEAT == 0 else 0
    start, end = _phrase(form, step)
    through = (step - start) / max(1, end - start)
    swell = PHRASE_SWELL * (1 - abs(2 * through - 1.2) / 1.2)
    return round(min(127, max(1, PLAIN_VELOCITY + accent + swell + VOICE_BALANCE[voice % 4])))


def _phrase(form: Form, step: int) -> tuple[int, int]:
    """The phrase that a step belongs to, as a half-open span of steps."""
    start = 0
    for _, end in form.fermatas:
        if step < end:
            return start, end
        start = end
    return start, max(form.steps, start + 1)


def pace_permille(form: Form, step: int) -> int:
    """Pace at ``step``, in thousandths of the tempo."""
    last = form.steps - STEPS_PER_BEAT
    if form.fermatas and form.fermatas[-1][1] >= last:
        last = form.fermatas[-1][0]
    if any(start <= step < end for start, end in form.fermatas) or step >= last:
        return FERMATA_PERMILLE
    beats_left = (last - step - 1) // STEPS_PER_BEAT
    if beats_left < len(RITARDANDO_PERMILLE):
        return RITARDANDO_PERMILLE[-1 - beats_left]
    return AS_WRITTEN_PERMILLE
