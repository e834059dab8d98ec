"""How far a browser's sound and notes are behind the card: Chromium on the card's other side."""

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


ROLL_BAR_S: Final = 0.1
"""The roll shows a note so near to where it is heard."""

_ROLL_DELAY_S: Final = """() => new Promise((done) => {
  const found = [];
  bachbox.connection.addEventListener('clock', function hear({detail}) {
    if (!detail.ticks_per_s) return;
    found.push((detail.tick - bachbox.clock.tick()) / detail.ticks_per_s);
    if (found.length < 12) return;
    bachbox.connection.removeEventListener('clock', hear);
    done(found.sort((a, b) => a - b)[6]);
  });
})"""
"""How far the roll is behind the box's clock, in seconds: the median of three seconds."""


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
            found = []
            for host, how in HOSTS.items():
                delays = _delays(split, Path(name), sink, f"http://{host}:{port}/")
                found += [_row(how, [sound_s for sound_s, _ in delays]), _roll_row(how, delays)]
            return found


def _delays(
    card: VirtualCard, folder: Path, sink: dict[str, str], url: str
) -> list[tuple[float, float]]:
    """How far the page's sound and its notes are behind the box, in seconds, for each recording."""
    recording = folder / "browser.raw"
    found = []
    try:
        with (
            chromium(environment=sink, audible=True) as browser,
            listening_page(browser, url) as page,
        ):
            time.sleep(measure.amount(5.0, 3.0))
            for _ in range(measure.count(RECORDINGS, 2)):
                with card.recording(recording):
                    time.sleep(RECORDING_S)
                delay_s, alike = audio_analysis.lag(*audio_analysis.sides(recording.read_bytes()))
                if alike > ALIKE:
                    found.append((delay_s, float(page.evaluate(_ROLL_DELAY_S))))
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


def _roll_row(how: str, delays: list[tuple[float, float]]) -> Row:
    apart_s = statistics.median(abs(sound_s - roll_s) for sound_s, roll_s in delays)
    return Row(
        f"a page's notes beside its sound ({how})",
        f"median {1e3 * apart_s:.0f} ms apart",
        f"median ≤ {1e3 * ROLL_BAR_S:.0f} ms",
        apart_s <= ROLL_BAR_S,
        f"{len(delays)} recordings, each followed by 12 reports of the box's clock",
    )
