"""Browsers and media players hear the sound of the card."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.support import audio_analysis
from tests.support.broker import proxy
from tests.support.browser import NAME, chromium, listening_page, wait_until
from tests.support.priority import hurry_children
from tests.support.virtual_card import VirtualCard, listen, virtual_card
from tests.support.web_server import WebBox, playing_web_box

MIN_LIKENESS = 0.9
"""Correlation of two pictures of the same music; of other music in the same style: about 0.4."""

MIN_SAME_S = 2.0
"""So much of a recording is the box's own sound; of other music half a second in a minute."""

MAX_TICKS_APART = 24
"""The roll and the sound, asked one after the other: a 20th of a quarter."""

TRIES = 15
"""A browser that is held up has to catch up first; a test that is repeated says so."""

RECORDED_S = 8.0
"""The analysis looks back three seconds."""


@pytest.fixture(scope="module")
def card() -> Iterator[VirtualCard]:
    with virtual_card() as plugged_in:
        plugged_in.split("box", "ear")
        yield plugged_in


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, card: VirtualCard) -> Iterator[WebBox]:
    """Plays on the card's left side."""
    with playing_web_box(
        tmp_path_factory.mktemp("kitchen"),
        f'allowed_hosts = ["{NAME}"]',
        output="default",
        environment=card.environment | {"PULSE_SINK": "box"},
    ) as one:
        yield one


@pytest.fixture(scope="module")
def browser(card: VirtualCard) -> Iterator[Browser]:
    """Plays on the card's right side."""
    with chromium(environment=card.environment | {"PULSE_SINK": "ear"}, audible=True) as one:
        hurry_children()
        yield one


def _both(card: VirtualCard, folder: Path) -> tuple[float, float]:
    """How far the browser is behind the card, and for how long it played the same, in seconds."""
    recording = folder / "both.raw"
    with card.recording(recording):
        listen(recording, RECORDED_S)
    box, ear = audio_analysis.sides(recording.read_bytes())
    return audio_analysis.repeated(box, ear)


@pytest.mark.parametrize(("host", "kind"), [("127.0.0.1", "worklet"), (NAME, "buffers")])
def test_browser_plays_sound_and_roll_follows_it(
    host: str,
    kind: str,
    box: WebBox,
    card: VirtualCard,
    browser: Browser,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    # How far behind the card the sound and the roll are depends on the machine: `make bench`
    # measures it.
    with listening_page(browser, f"http://{host}:{box.port}/") as one:
        assert one.evaluate("isSecureContext") == (kind == "worklet")
        assert one.evaluate("window.bachbox.player.outputKind") == kind
        assert one.get_attribute("#listen", "aria-pressed") == "true"
        for tries in range(1, TRIES + 1):
            record_property("tries", tries)
            _, same_s = _both(card, tmp_path)
            if same_s >= MIN_SAME_S:
                break
        assert same_s >= MIN_SAME_S
        # The page's notes are drawn where they are heard, not where the box is.
        wait_until(
            one,
            """(most) => {
              const { player, clock } = window.bachbox;
              const heard = player.tick();
              return heard !== null && Math.abs(heard - clock.tick()) < most;
            }""",
            MAX_TICKS_APART,
        )
        one.click("#listen")
        wait_until(one, "() => window.bachbox.player.state === 'off'")
        assert one.get_attribute("#listen", "aria-pressed") == "false"


def test_browser_reconnects_audio(
    box: WebBox,
    card: VirtualCard,
    browser: Browser,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    with (
        proxy(box.port) as between,
        listening_page(browser, f"http://127.0.0.1:{between.port}/") as one,
    ):
        between.stall()
        wait_until(one, "() => window.bachbox.player.state === 'connecting'")
        between.restore()
        wait_until(one, "() => window.bachbox.player.state === 'playing'")
        for tries in range(1, TRIES + 1):
            record_property("tries", tries)
            _, same_s = _both(card, tmp_path)
            if same_s >= MIN_SAME_S:
                break
        assert same_s >= MIN_SAME_S


@pytest.mark.parametrize("kind", ["wav", "opus"])
def test_media_player_hears_sound(
    kind: str,
    box: WebBox,
    card: VirtualCard,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    recording, stream = tmp_path / "card.raw", tmp_path / f"stream.{kind}"
    for tries in range(1, TRIES + 1):
        record_property("tries", tries)
        with card.recording(recording):
            _record(box, kind, stream, 8.0)
        recorded = audio_analysis.raw(_pcm(stream))
        whole = audio_analysis.picture(audio_analysis.sides(recording.read_bytes())[0])
        likeness = audio_analysis.best_likeness(recorded, whole)
        if len(recorded) > 3 * audio_analysis.RATE and likeness > MIN_LIKENESS:
            break
    assert len(recorded) > 3 * audio_analysis.RATE
    assert likeness > MIN_LIKENESS


def _record(box: WebBox, kind: str, to: Path, seconds: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)
    with contextlib.closing(connection), to.open("wb") as file:
        connection.request("GET", f"/stream.{kind}")
        response = connection.getresponse()
        assert response.status == 200
        file.write(response.read(64))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            file.write(response.read1(65536))


def _pcm(stream: Path) -> bytes:
    """Raw stereo, without its header."""
    if stream.suffix == ".wav":
        content = stream.read_bytes()
        assert content[:16] == b"RIFF\xff\xff\xff\xffWAVEfmt "
        assert content[36:44] == b"data\xff\xff\xff\xff"
        return content[44:]
    decoded = subprocess.run(
        ["opusdec", "--quiet", "--rate", "48000", "--force-stereo", stream, "-"],
        capture_output=True,
        check=True,
    )
    return decoded.stdout


def test_stream_has_no_gaps(
    box: WebBox, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """No part of the stream is missing or doubled: the wave has no jump in it.

    But where the machine holds the box up for longer than the tap reaches back.
    """
    stream = tmp_path / "whole.wav"
    for tries in range(1, TRIES + 1):
        record_property("tries", tries)
        _record(box, "wav", stream, 5.0)
        samples = audio_analysis.sides(_pcm(stream))[0].astype(int)
        jumps = np.abs(np.diff(samples, 2))
        loud = np.abs(samples).max(initial=0)
        if len(samples) > 3 * audio_analysis.RATE and 100 < loud > jumps.max():
            break
    assert len(samples) > 3 * audio_analysis.RATE
    assert loud > 100
    assert jumps.max() < loud, "a seam would be a step in the wave"
