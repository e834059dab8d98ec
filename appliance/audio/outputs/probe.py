"""Tries whether a sound card can be opened: ``python -m appliance.audio.outputs.probe CARD``.

A process of its own, because PortAudio's list of cards is as old as the process. The exit status
is 0 if the card can be opened; nothing is played.
"""

from __future__ import annotations

import os
import sys

from appliance.audio.outputs.sound_card import CardOutput
from appliance.errors import BachboxError

_BLOCK_FRAMES = 1024


def main() -> None:
    """Exit with 0 if the card can be opened, with 1 if it cannot."""
    try:
        CardOutput(sys.argv[1], _BLOCK_FRAMES, refuse_silent=True)
    except BachboxError:
        os._exit(1)
    # Without PortAudio's clean-up, which may hang.
    os._exit(0)


if __name__ == "__main__":
    main()
