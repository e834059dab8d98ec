"""Some 200 numerical features of an excerpt: rhythm, texture, lines, pitch, harmony, structure.

Every number has a name that a musician understands; the report prints the names of those that
distinguish composed music from real music.
"""

from __future__ import annotations

from appliance.training.evaluate.page_features.calculation import Features
from appliance.training.evaluate.page_features.four_voices import add_four_voices
from appliance.training.evaluate.page_features.harmony import add_harmony, add_pitch
from appliance.training.evaluate.page_features.lines import add_line, add_outer_lines, outer_lines
from appliance.training.evaluate.page_features.rhythm import add_rhythm
from appliance.training.evaluate.page_features.structure import add_form, add_structure
from appliance.training.evaluate.page_features.texture import add_texture, sounding_pitches
from appliance.training.evaluate.pages import Page

MIN_NOTES = 12
"""An excerpt with fewer notes has no features."""

MIN_VOICE_NOTES = 4
"""Four voices are looked at as such where each has this many notes."""

MONOPHONIC_SHARE = 0.85
"""Music in which one note sounds for more of the time than this has no bass of its own."""


def features(page: Page, start: int, end: int, *, whole: bool = False) -> Features | None:
    """Return the features of the music from ``start`` to ``end`` (grid positions).

    With ``whole``, features of form are added, which only a whole piece has. ``None`` for an
    excerpt with fewer than :data:`MIN_NOTES` notes. A feature that cannot be computed is left out.
    """
    notes = [note for note in page.notes if start <= note.start < end]
    if len(notes) < MIN_NOTES:
        return None
    found: Features = {}
    add_rhythm(found, page, notes, start, end)
    sounding = sounding_pitches(page, start, end)
    add_texture(found, notes, sounding, page.beat)
    top, bottom = outer_lines(notes)
    add_line(found, "melody", top)
    polyphonic = found["texture: time with one note sounding"] < MONOPHONIC_SHARE
    if polyphonic:
        add_line(found, "bass", bottom)
        add_outer_lines(found, page, top, bottom)
    add_pitch(found, page, notes, start, end)
    add_harmony(found, page, notes, sounding, start, end, polyphonic)
    add_structure(found, page, notes, top, start, end)
    voices = sorted({note.voice for note in page.notes})
    if polyphonic and len(voices) == 4:
        lines = [[note for note in notes if note.voice == voice] for voice in voices]
        if all(len(line) >= MIN_VOICE_NOTES for line in lines):
            add_four_voices(found, page, lines, start, end)
    if whole:
        add_form(found, page, top)
    return {name: float(value) for name, value in found.items()}
