"""A child that leaks, for the test of what watches it."""

from __future__ import annotations

import time

kept = []
while True:
    kept.append(b"\1" * 20_000_000)
    time.sleep(0.15)
