"""The notes that play now as a picture (SVG), small enough for a broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from appliance.ipc.ring_observer import Note
from appliance.music.events import TICKS_PER_BEAT

PAST_BEATS: Final = 12
AHEAD_BEATS: Final = 4

_BEAT_PX: Final = 40
_PITCH_PX: Final = 6
_MIN_PITCHES: Final = 24

_COLOURS: Final = ("#c0392b", "#2471a3", "#1e8449", "#9a7d0a", "#6c3483", "#5d6d7e")
"""Of the voices, the highest first."""


def piano_roll(notes: Sequence[Note], playhead_tick: float, title: str) -> str:
    """Return an SVG document with the notes around ``playhead_tick``; time runs to the right.

    Args:
        notes: the notes; those outside the picture are left out.
        playhead_tick: where the line stands that marks the present.
        title: what plays.
    """
    first = playhead_tick - PAST_BEATS * TICKS_PER_BEAT
    last = playhead_tick + AHEAD_BEATS * TICKS_PER_BEAT
    seen = [n for n in notes if n.start_tick < last and (n.end_tick or last) > first]
    low = min((n.pitch for n in seen), default=48) - 2
    high = max(max((n.pitch for n in seen), default=72) + 2, low + _MIN_PITCHES)
    width, height = (PAST_BEATS + AHEAD_BEATS) * _BEAT_PX, (high - low) * _PITCH_PX

    def x(tick: float) -> float:
        return round((min(max(tick, first), last) - first) / TICKS_PER_BEAT * _BEAT_PX, 1)

    bars = "".join(
        f'<rect x="{x(n.start_tick)}" y="{(high - n.pitch) * _PITCH_PX}" rx="2" '
        f'width="{max(1.0, round(x(n.end_tick or last) - x(n.start_tick), 1))}" '
        f'height="{_PITCH_PX - 1}" fill="{_COLOURS[n.voice % len(_COLOURS)]}"/>'
        for n in seen
    )
    now = x(playhead_tick)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 24}">'
        f"<title>{escape(title)}</title>"
        f'<rect width="{width}" height="{height + 24}" fill="#fdfbf5"/>{bars}'
        f'<line x1="{now}" x2="{now}" y1="0" y2="{height}" stroke="#333"/>'
        f'<text x="8" y="{height + 17}" font-family="serif" font-size="15">{escape(title)}</text>'
        "</svg>"
    )
