"""What Bach's pupils were told first: no two voices in parallel fifths, octaves or unisons.

Source: J. J. Fux, Gradus ad Parnassum (1725), and every textbook since.
"""

from __future__ import annotations

from collections.abc import Iterable

from appliance.music.score import SILENT

PERFECT = (0, 7)
"""Octaves and unisons, fifths: semitones modulo 12."""


def parallels(now: int, others: Iterable[tuple[int | None, int | None]]) -> list[int]:
    """The MIDI notes to which a voice must not go on from ``now``.

    Args:
        now: the MIDI note that the voice leaves.
        others: of each other voice its note before and its note after; ``None`` or ``SILENT``
            where it had or has none.
    """
    found = []
    for before, after in others:
        if before is None or after is None or SILENT in (before, after) or before == after:
            continue
        if abs(before - now) % 12 in PERFECT:
            # A fifth that becomes a twelfth, or an octave a unison, is a parallel as well.
            found += [
                pitch
                for pitch in range(128)
                if pitch != now
                and (pitch > now) == (after > before)
                and (pitch - after) % 12 == (now - before) % 12
            ]
    return found
