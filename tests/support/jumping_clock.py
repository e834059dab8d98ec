"""A wall clock that a test sets while a program runs; its monotonic clock is the kernel's."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

_SOURCE = Path(__file__).parents[1] / "system" / "jumping_clock.c"


class JumpingClock:
    """The clock of every program that is started with :attr:`environment`, in UTC."""

    def __init__(self, folder: Path) -> None:
        library = folder / "jumping_clock.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
        self._file = folder / "clock"
        self.environment = {
            "LD_PRELOAD": str(library),
            "JUMPING_CLOCK": str(self._file),
            "TZ": "UTC",
        }

    def set(self, now: str) -> None:
        """Let it be ``now``, such as "2026-11-30 23:00"."""
        moment = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()
        new = self._file.with_name("new")
        new.write_text(str(round(moment - time.time())))
        # Whole, whenever somebody looks.
        new.replace(self._file)
