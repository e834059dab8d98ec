"""Keys by their names: "G major", "e minor", "B-flat major"."""

from __future__ import annotations

import re
from typing import Final

from appliance.music.score import Key

ANY: Final = "any"
"""In place of a key: whatever suits."""

KEYS: Final = {
    str(key): key for tonic in range(12) for minor in (False, True) for key in [Key(tonic, minor)]
}
"""Every key by its name."""

NAMES: Final = (ANY, *KEYS)

_NAME: Final = re.compile(r"([a-g])(flat|sharp|b|#|♭|♯|)(major|maj|minor|min|m|)", re.IGNORECASE)
_NATURALS: Final = dict(zip("cdefgab", (0, 2, 4, 5, 7, 9, 11), strict=True))
_SHIFTS: Final = {"": 0, "flat": -1, "b": -1, "♭": -1, "sharp": 1, "#": 1, "♯": 1}


def find(text: str) -> Key | None:
    """Return the key that ``text`` names, ``None`` for "any".

    Case, hyphens and blanks do not matter: "e flat minor", "Eb minor" and "D# minor" are one key.
    Without the mode, as in "Bb" or "f#", a capital letter means major.

    Raises:
        ValueError: it is no key.
    """
    plain = re.sub(r"[\s_-]+", "", text)
    if plain.casefold() == ANY:
        return None
    match = _NAME.fullmatch(plain)
    if match is None or (shift := _SHIFTS.get(match[2].casefold())) is None:
        raise ValueError(f"{text!r} is not the name of a key")
    mode = match[3].casefold() if match[3] != "M" else "major"
    minor = mode.startswith("min") or mode == "m" if mode else match[1].islower()
    return Key((_NATURALS[match[1].casefold()] + shift) % 12, minor)
