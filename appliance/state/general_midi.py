"""The instruments of General MIDI by name.

Names and order are those of the GM 1 sound set (MIDI Manufacturers Association, RP-003, "General
MIDI Level 1 Instrument Patch Map"). Numbers here count from 0, as they do inside MIDI files.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from appliance.errors import UsageError

FAMILIES: Final = (
    "Piano", "Chromatic Percussion", "Organ", "Guitar", "Bass", "Strings", "Ensemble", "Brass",
    "Reed", "Pipe", "Synth Lead", "Synth Pad", "Synth Effects", "Ethnic", "Percussive",
    "Sound Effects",
)  # fmt: skip
"""Eight instruments each."""

NAMES: Final = (
    "Acoustic Grand Piano", "Bright Acoustic Piano", "Electric Grand Piano", "Honky-tonk Piano",
    "Electric Piano 1", "Electric Piano 2", "Harpsichord", "Clavinet",
    "Celesta", "Glockenspiel", "Music Box", "Vibraphone",
    "Marimba", "Xylophone", "Tubular Bells", "Dulcimer",
    "Drawbar Organ", "Percussive Organ", "Rock Organ", "Church Organ",
    "Reed Organ", "Accordion", "Harmonica", "Tango Accordion",
    "Acoustic Guitar (nylon)", "Acoustic Guitar (steel)",
    "Electric Guitar (jazz)", "Electric Guitar (clean)",
    "Electric Guitar (muted)", "Overdriven Guitar", "Distortion Guitar", "Guitar Harmonics",
    "Acoustic Bass", "Electric Bass (finger)", "Electric Bass (pick)", "Fretless Bass",
    "Slap Bass 1", "Slap Bass 2", "Synth Bass 1", "Synth Bass 2",
    "Violin", "Viola", "Cello", "Contrabass",
    "Tremolo Strings", "Pizzicato Strings", "Orchestral Harp", "Timpani",
    "String Ensemble 1", "String Ensemble 2", "Synth Strings 1", "Synth Strings 2",
    "Choir Aahs", "Voice Oohs", "Synth Voice", "Orchestra Hit",
    "Trumpet", "Trombone", "Tuba", "Muted Trumpet",
    "French Horn", "Brass Section", "Synth Brass 1", "Synth Brass 2",
    "Soprano Sax", "Alto Sax", "Tenor Sax", "Baritone Sax",
    "Oboe", "English Horn", "Bassoon", "Clarinet",
    "Piccolo", "Flute", "Recorder", "Pan Flute",
    "Blown Bottle", "Shakuhachi", "Whistle", "Ocarina",
    "Lead 1 (square)", "Lead 2 (sawtooth)", "Lead 3 (calliope)", "Lead 4 (chiff)",
    "Lead 5 (charang)", "Lead 6 (voice)", "Lead 7 (fifths)", "Lead 8 (bass + lead)",
    "Pad 1 (new age)", "Pad 2 (warm)", "Pad 3 (polysynth)", "Pad 4 (choir)",
    "Pad 5 (bowed)", "Pad 6 (metallic)", "Pad 7 (halo)", "Pad 8 (sweep)",
    "FX 1 (rain)", "FX 2 (soundtrack)", "FX 3 (crystal)", "FX 4 (atmosphere)",
    "FX 5 (brightness)", "FX 6 (goblins)", "FX 7 (echoes)", "FX 8 (sci-fi)",
    "Sitar", "Banjo", "Shamisen", "Koto",
    "Kalimba", "Bagpipe", "Fiddle", "Shanai",
    "Tinkle Bell", "Agogo", "Steel Drums", "Woodblock",
    "Taiko Drum", "Melodic Tom", "Synth Drum", "Reverse Cymbal",
    "Guitar Fret Noise", "Breath Noise", "Seashore", "Bird Tweet",
    "Telephone Ring", "Helicopter", "Applause", "Gunshot",
)  # fmt: skip

_MAX_SHOWN = 6
"""Names listed in a sentence before it says that there are more."""


def name(program: int) -> str:
    """The instrument's name; ``program`` is 0 to 127."""
    return NAMES[program]


def family(program: int) -> str:
    """The family that the instrument belongs to."""
    return FAMILIES[program // 8]


def find(wanted: str | int) -> int:
    """The program (0 to 127) that a person means.

    A number, a full name, or as many beginnings of its words as tell it from the others
    ("church", "tub bells"), in any case.

    Raises:
        UsageError: nothing fits, or more than one instrument does; the sentence says which.
    """
    text = str(wanted).strip()
    if re.fullmatch(r"[+-]?\d+", text):
        number = int(text) if len(text) <= 4 else -1
        if not 0 <= number <= 127:
            raise UsageError(
                f"there is no instrument {_short(text)}: numbers go from 0 to 127; "
                "`bachbox instruments` lists them"
            )
        return number
    folded = _fold(text)
    exact = [program for program, known in enumerate(NAMES) if _fold(known) == folded]
    if exact:
        return exact[0]
    begins = [program for program, known in enumerate(NAMES) if _begins(known, folded)]
    if len(begins) == 1:
        return begins[0]
    if begins:
        raise UsageError(f"the instrument {_short(text)!r} could be {_listed(begins)}; say which")
    folded_names = [_fold(known) for known in NAMES]
    close = difflib.get_close_matches(folded, folded_names, 3, 0.6)
    meant = [folded_names.index(name) for name in close]
    hint = f"did you mean {_listed(meant)}? " if meant else ""
    raise UsageError(
        f"there is no instrument {_short(text)!r}: {hint}`bachbox instruments` lists all 128"
    )


def _fold(text: str) -> str:
    kept = "".join(sign if sign.isalnum() else " " for sign in text.casefold())
    return " ".join(kept.split())


def _begins(known: str, folded: str) -> bool:
    """Every wanted word begins a word of the name, in the same order."""
    words = iter(_fold(known).split())
    return bool(folded) and all(
        any(word.startswith(wanted) for word in words) for wanted in folded.split()
    )


def _listed(programs: list[int]) -> str:
    shown = [f"'{NAMES[program]}'" for program in programs[:_MAX_SHOWN]]
    if len(programs) > _MAX_SHOWN:
        return f"{', '.join(shown)} or {len(programs) - _MAX_SHOWN} more"
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
