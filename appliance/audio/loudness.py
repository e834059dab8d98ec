"""How loud each instrument is made, so that all models sound equally loud at one volume.

Measured as integrated loudness (ITU-R BS.1770-4) with TimGM6mb, each instrument playing the music
of the shipped model that it belongs to, for 100 s at volume 70: a harpsichord's notes die away
where an organ's four voices sound on.
"""

from __future__ import annotations

from typing import Final

GAINS_DB: Final = {
    6: 3.4,
    19: -1.6,
    40: -1.6,
    41: 0.1,
    42: -0.3,
    73: 0.0,
}
"""By General MIDI program: harpsichord, church organ, violin, viola, cello, flute; 0 for others."""


def program_gain(program: int) -> float:
    """The factor for the amplitude of a General MIDI program, 0 to 127."""
    return float(10 ** (GAINS_DB.get(program, 0.0) / 20))
