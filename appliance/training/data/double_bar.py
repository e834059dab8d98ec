"""Where a dance has its double bar, if its file does not say: at the cadence that ends the half."""

from __future__ import annotations

from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.music.score import FreeRhythmScore

EARLIEST, LATEST = 0.22, 0.56
"""Where it can be, as a share of the piece: the second half is at least nearly as long."""
USUAL_BARS = (8, 12, 16, 20, 24, 32)
"""The lengths that first halves have most often."""


def find_double_bar(score: FreeRhythmScore) -> int | None:
    """Return the step at which the second half of a dance begins.

    Every bar line (less a pickup, which both halves have) is a candidate. What speaks for one:
    the bass before it is the dominant or tonic, in minor the relative major's tonic too, and the
    music comes to rest: the chord before is long, and nothing is held over the line. Halves of
    eight, twelve, sixteen and more bars are usual.

    Returns:
        ``None`` if the music rests nowhere near its middle.
    """
    form = score.form
    first = form.pickup_steps
    bars = range(1, (form.steps - first) // form.bar_steps)
    rated = []
    for bar in bars:
        # Both halves have the same pickup: the second one's is before this bar line.
        step = bar * form.bar_steps
        if EARLIEST * form.steps <= step <= LATEST * form.steps:
            rated.append((_rating(score, step, bar), -abs(step - 0.42 * form.steps), step))
    return max(rated)[2] if rated and max(rated)[0] > 0 else None


def _rating(score: FreeRhythmScore, step: int, bars: int) -> float:
    """How well the first half can end at ``step``, after ``bars`` bars."""
    tick = step * TICKS_PER_STEP
    before = [note for note in score.notes if note.start < tick]
    if not before:
        return -1
    held_over = [n for n in before if n.end > tick + TICKS_PER_BEAT // 8]
    last_start = max(note.start for note in before)
    rest_quarters = min(3.0, (tick - last_start) / TICKS_PER_BEAT)
    bar_start = tick - score.form.bar_steps * TICKS_PER_STEP
    ending = [note for note in before if note.end > max(bar_start, last_start)]
    bass = min(note.pitch for note in ending)
    degree = (bass - score.key.tonic) % 12
    goals = {7: 2.0, 0: 1.0, 3: 2.0, 10: 0.5} if score.key.minor else {7: 2.0, 0: 1.0}
    rating = goals.get(degree, -2.0) + rest_quarters - 3.0 * len(held_over)
    if bars in USUAL_BARS:
        return rating + 1.0
    return rating + (0.5 if bars % 4 == 0 else -0.5 if bars % 2 == 0 else -1.0)
