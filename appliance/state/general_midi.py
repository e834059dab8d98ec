"""The instruments of General MIDI by name.

Names and order are those of the GM 1 sound set (MIDI Manufacturers Association, RP-003, "General
MIDI Level 1 Instrument Patch Map"). Numbers here count from 0, as they do inside MIDI files.
"""

from __future__ import annotations

import re
from typing import Final

from appliance.common.text import quoted, shortened, similar
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

_MAX_LISTED: Final = 6
"""Names listed in a sentence before it says only how many more there are."""


def name(program: int) -> str:
    """Return the name of the instrument with ``program`` (0 to 127)."""
    return NAMES[program]


def family(program: int) -> str:
    """Return the family of the instrument with ``program`` (0 to 127)."""
    return FAMILIES[program // 8]


def find(wanted: str | int) -> int:
    """Return the program (0 to 127) that a person means by ``wanted``.

    ``wanted`` is a number, a full name, or the beginnings of enough of its words to tell it from
    the other names ("church", "tub bells"), in any case.

    Raises:
        UsageError: no instrument fits, or more than one does.
    """
    text = str(wanted).strip()
    if re.fullmatch(r"-?[0-9]+", text):
        number = int(text) if len(text) <= 4 else -1
        if not 0 <= number <= 127:
            raise UsageError(
                f"there is no instrument {shortened(text)}: numbers go from 0 to 127; "
                "`bachbox instruments` lists them"
            )
        return number
    folded = _folded(text)
    folded_names = [_folded(known) for known in NAMES]
    if folded in folded_names:
        return folded_names.index(folded)
    matches = [program for program, known in enumerate(folded_names) if _begins(known, folded)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"the instrument {quoted(text)} could be {_listed(matches)}; say which")
    alike = [folded_names.index(known) for known in similar(folded, folded_names, 3)]
    hint = f"did you mean {_listed(alike)}? " if alike else ""
    raise UsageError(
        f"there is no instrument {quoted(text)}: {hint}`bachbox instruments` lists all 128"
    )


def _folded(text: str) -> str:
    """Return the words of ``text`` in lower case, with a blank for anything else."""
    kept = "".join(letter if letter.isalnum() else " " for letter in text.casefold())
    return " ".join(kept.split())


def _begins(folded_name: str, folded: str) -> bool:
    """Return whether every word of ``folded`` begins a word of the name, in the same order."""
    words = iter(folded_name.split())
    return bool(folded) and all(
        any(word.startswith(wanted) for word in words) for wanted in folded.split()
    )


def _listed(programs: list[int]) -> str:
    names = [f"'{NAMES[program]}'" for program in programs[:_MAX_LISTED]]
    if len(programs) > _MAX_LISTED:
        return f"{', '.join(names)} or {len(programs) - _MAX_LISTED} more"
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
