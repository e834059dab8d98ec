"""A soundfont that holds one exact sine, so that a spectrum shows what the synthesizer tunes.

Source: SoundFont Technical Specification 2.04.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

RATE = 44_000
PERIODS, PERIOD_FRAMES = 40, 100
"""440 Hz, in whole periods, so that the loop has no seam."""

KEY = 69

_SAMPLE_MODES, _SAMPLE_ID, _INSTRUMENT, _LOOPS = 54, 53, 41, 1


def write(
    path: Path, bank: int = 0, program: int = 0, *, amplitude: int = 12_000, sample_type: int = 1
) -> Path:
    """A font with one preset; of amplitude 0, it is silent."""
    frames = np.arange(PERIODS * PERIOD_FRAMES)
    wave = (amplitude * np.sin(2 * np.pi * frames / PERIOD_FRAMES)).astype("<i2")
    samples = wave.tobytes() + bytes(2 * 46)
    rows = {
        "phdr": struct.pack("<20sHHHIII", b"Sine", program, bank, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        "pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        "pmod": bytes(10),
        "pgen": struct.pack("<HHHH", _INSTRUMENT, 0, 0, 0),
        "inst": struct.pack("<20sH20sH", b"Sine", 0, b"EOI", 1),
        "ibag": struct.pack("<HHHH", 0, 0, 2, 0),
        "imod": bytes(10),
        "igen": struct.pack("<HHHHHH", _SAMPLE_MODES, _LOOPS, _SAMPLE_ID, 0, 0, 0),
        "shdr": struct.pack(
            "<20sIIIIIBbHH",
            *(b"Sine", 0, len(wave), PERIOD_FRAMES, len(wave) - PERIOD_FRAMES, RATE),
            *(KEY, 0, 0, sample_type),
        )
        + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    info = _chunk("ifil", struct.pack("<HH", 2, 1)) + _chunk("INAM", b"Sine\0\0")
    body = (
        b"sfbk"
        + _chunk("LIST", b"INFO" + info)
        + _chunk("LIST", b"sdta" + _chunk("smpl", samples))
        + _chunk("LIST", b"pdta" + b"".join(_chunk(name, row) for name, row in rows.items()))
    )
    path.write_bytes(_chunk("RIFF", body))
    return path


def _chunk(name: str, content: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(content)) + content
