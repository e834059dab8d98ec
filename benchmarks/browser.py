"""How far the sound of a browser is behind that of the card: Chromium on the card's other side."""

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
from tests.support.broker import free_port
from tests.support.browser import NAME, chromium, listening_page
from tests.support.virtual_card import VirtualCard, virtual_card

RECORDINGS: Final = 3
RECORDING_S: Final = 6.0
ALIKE: Final = 0.9
BEHIND_BAR_S: Final = 0.5

HOSTS: Final = {"127.0.0.1": "AudioWorklet", NAME: "buffers, as over plain HTTP"}
"""Only on this machine's own name do browsers offer an AudioWorklet without TLS."""


def rows(card: VirtualCard) -> list[Row]:
    """The delay of a browser on both of its ways to play."""
    del card
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        virtual_card() as split,
        measure.step("a browser"),
    ):
        split.split("box", "browser")
        port = free_port()
        config = f'[web]\nport = {port}\nallowed_hosts = ["{NAME}"]\n'
        with playing(split, 1, config, {"PULSE_SINK": "box"}) as player:
            player.attach()
            sink = split.environment | {"PULSE_SINK": "browser"}
            return [
                _row(how, _delays_s(split, Path(name), sink, f"http://{host}:{port}/"))
                for host, how in HOSTS.items()
            ]


def _delays_s(card: VirtualCard, folder: Path, sink: dict[str, str], url: str) -> list[float]:
    recording = folder / "browser.raw"
    found = []
    try:
        with chromium(environment=sink, audible=True) as browser, listening_page(browser, url):
            time.sleep(measure.amount(5.0, 3.0))
            for _ in range(measure.count(RECORDINGS, 2)):
                with card.recording(recording):
                    time.sleep(RECORDING_S)
                delay_s, alike = audio_analysis.lag(*audio_analysis.sides(recording.read_bytes()))
                if alike > ALIKE:
                    found.append(delay_s)
    except RuntimeError as why:
        raise UnavailableError(str(why)) from why
    if not found:
        raise FailedError("the browser did not play what the card played")
    return found


def _row(how: str, delays_s: list[float]) -> Row:
    median = statistics.median(delays_s)
    return Row(
        f"a browser behind the card ({how})",
        f"median {1e3 * median:.0f} ms, at most {1e3 * max(delays_s):.0f} ms",
        f"median ≤ {1e3 * BEHIND_BAR_S:.0f} ms",
        median <= BEHIND_BAR_S,
        f"{len(delays_s)} recordings of {RECORDING_S:g} s in which both waves are alike",
    )
