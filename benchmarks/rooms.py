"""How far apart two rooms play: a snapclient on either side of one virtual card."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks import measure
from benchmarks.measure import FailedError, UnavailableError
from benchmarks.report import Row
from benchmarks.running_player import playing
from tests.support import audio_analysis
from tests.support.programs import ROOMS, two_rooms
from tests.support.virtual_card import VirtualCard, virtual_card

RECORDINGS: Final = 5
RECORDING_S: Final = 5.0
SETTLE_S: Final = 12.0
"""Until the clients have found the server's clock."""

ALIKE: Final = 0.9
APART_BAR_S: Final = 0.02
"""Sooner than the ear tells two sounds apart."""


def rows(card: VirtualCard) -> list[Row]:
    """The distance in time of what is heard from both sides of a second card."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        virtual_card() as second,
        measure.step("two rooms"),
    ):
        folder = Path(name)
        second.split(*ROOMS)
        pipe = folder / "pipe"
        try:
            with (
                two_rooms(second, folder, pipe),
                playing(card, 1, f'[stream]\nsnapcast = "{pipe}"\n') as player,
            ):
                player.attach()
                measure.wait(measure.amount(SETTLE_S, 8.0))
                found = [
                    apart
                    for _ in range(measure.count(RECORDINGS, 2))
                    if (apart := _apart_s(second, folder)) is not None
                ]
        except RuntimeError as why:
            raise UnavailableError(str(why)) from why
    if not found:
        raise FailedError("the rooms did not play the same")
    median, worst = statistics.median(found), max(found)
    return [
        Row(
            "two rooms in step (Snapcast)",
            f"{1e3 * median:.1f} ms apart, at most {1e3 * worst:.1f} ms",
            f"median ≤ {1e3 * APART_BAR_S:.0f} ms",
            median <= APART_BAR_S,
            f"{len(found)} recordings of {RECORDING_S:g} s in which both waves are alike",
        )
    ]


def _apart_s(card: VirtualCard, folder: Path) -> float | None:
    """The distance in one recording; ``None`` where both sides do not play the same."""
    recording = folder / "rooms.raw"
    with card.recording(recording):
        time.sleep(RECORDING_S)
    left, right = audio_analysis.sides(recording.read_bytes())
    if min(abs(left.astype(int)).max(), abs(right.astype(int)).max()) < 100:
        return None
    # Either may be the later one.
    ways = [audio_analysis.lag(left, right), audio_analysis.lag(right, left)]
    apart_s, alike = max(ways, key=lambda way: way[1])
    return apart_s if alike > ALIKE else None
