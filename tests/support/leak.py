"""A child that leaks, for the test of what watches it."""

from __future__ import annotations

import os
import struct
import sys
import time

COUNT = struct.Struct("q")
"""The file that it inherits holds two: its heartbeats so far, and how many it may have."""


def main() -> None:
    """Grow by 20 MB with each heartbeat, for ever."""
    file, kept = int(sys.argv[1]), []
    while True:
        beats, allowed = struct.unpack("2q", os.pread(file, 2 * COUNT.size, 0))
        if beats < allowed:
            kept.append(b"\1" * 20_000_000)
            os.pwrite(file, COUNT.pack(beats + 1), 0)
        time.sleep(0.01)


if __name__ == "__main__":
    main()
