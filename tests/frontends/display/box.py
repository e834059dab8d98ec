"""A box that says what a test wants it to."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.ipc.shared_state import Condition
from appliance.state.box_status import NowPlaying


class Box:
    """What a display shows."""

    instrument = "Church Organ"

    def __init__(self) -> None:
        self.faults = 0
        self.music = NowPlaying(
            condition=Condition.PLAYING,
            model="keyboard",
            piece=3,
            key="d minor",
            title="Sarabande in d minor",
            group="third of a suite",
            tempo_bpm=66.4,
            bar=12,
            beat=2,
            beats_per_bar=3,
            seed=1,
        )

    def change(self, **facts: object) -> None:
        self.music = msgspec.structs.replace(self.music, **facts)

    def now_playing(self) -> NowPlaying:
        return self.music

    def settings(self) -> Any:
        class Shown:
            instrument = self.instrument

        return Shown

    def fault_count(self) -> int:
        return self.faults


def settings(*, quiet_hours: str = "off") -> Any:
    """Settings with these quiet hours."""

    class Requested:
        pass

    requested: Any = Requested()
    requested.quiet_hours = quiet_hours
    made: Any = Requested()
    made.requested = requested
    return made
