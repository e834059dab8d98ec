"""The first rule of counterpoint: no two voices in parallel fifths, octaves or unisons.

It keeps the composer from them. How many there are in finished music is counted, by looser rules
that suit any texture, in ``training/evaluate/``: style_features.py, page_features/four_voices.py.

Source: J. J. Fux, Gradus ad Parnassum (1725), and every textbook since.
"""

from __future__ import annotations

from collections.abc import Iterable

from appliance.music.score import SILENT

PERFECT_INTERVALS = (0, 7)
"""Unisons and octaves, fifths: semitones modulo 12."""


def parallels(now: int, others: Iterable[tuple[int | None, int | None]]) -> list[int]:
    """The MIDI notes to which a voice must not move from ``now``.

    Args:
        now: the MIDI note that the voice leaves.
        others: the note before and the note after of each other voice; ``None`` or ``SILENT``
            where it had or has none.
    """
    found = []
    for before, after in others:
        if before is None or after is None or SILENT in (before, after) or before == after:
            continue
        if abs(before - now) % 12 in PERFECT_INTERVALS:
            # A fifth that becomes a twelfth, or an octave a unison, is a parallel as well.
            found += [
                pitch
                for pitch in range(128)
                if pitch != now
                and (pitch > now) == (after > before)
                and (pitch - after) % 12 == (now - before) % 12
            ]
    return found
