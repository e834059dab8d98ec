"""What disturbs the sound: many changes, deaths of processes, busy cores, a flood of requests.

The tests check that the music is right through all of this; here the blocks that came too late are
counted, and gaps are timed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from appliance.daemon.supervisor import BACKOFF_RESET_S
from appliance.ipc.shared_state import PerformerState
from appliance.music import temperament
from benchmarks import measure
from benchmarks.listening import Recorder, SocketClient, recorded_player
from benchmarks.measure import FailedError, UnavailableError
from benchmarks.report import Row
from benchmarks.running_player import TIMEOUT_S, Player, playing
from benchmarks.score_following import ticks_per_s
from tests.support import audio_analysis
from tests.support.broker import free_port
from tests.support.virtual_card import VirtualCard

STORM_S: Final = 30.0
STORM_RATE: Final = 50
"""Changes a second."""

DECAY_S: Final = 5.0
"""After a pause; a second earlier a glockenspiel or an ice rain may still be heard by itself."""

AUDIBLE: Final = 33
"""Of a 16-bit sample: -60 dB."""

FAULTS: Final = 3
"""How often each fault is injected."""
FAULT_S: Final = 3.0
"""How long the box is watched after each."""

KILLED_BAR_S: Final = 0.6
STOPPED_BAR_S: Final = 1.1


def changes(card: VirtualCard) -> list[Row]:
    """Many changes a second: blocks that came too late, jumps of the beat, notes left sounding."""
    dice = random.Random(5)
    values: dict[str, Callable[[], Any]] = {
        "tempo": lambda: dice.randint(40, 240),
        "volume": lambda: dice.randint(0, 100),
        "instrument": lambda: dice.randint(0, 111),
        "temperature": lambda: round(dice.uniform(0.5, 1.5), 2),
        "top_p": lambda: round(dice.uniform(0.8, 1.0), 2),
        "expression": lambda: dice.randint(0, 100),
        "temperament": lambda: dice.choice(temperament.NAMES),
        "pitch": lambda: dice.randint(392, 466),
    }
    seconds = measure.amount(STORM_S, 8.0)
    jumps, most_sounding, made = 0, 0, 0
    with (
        measure.step(f"{STORM_RATE} changes a second"),
        recorded_player(card) as (player, client, recorder),
    ):
        shared = player.shared
        before, rewinds = shared.performer.read(), shared.composer.read().rewinds
        begin = now = time.monotonic()
        tick = shared.reader.read().playhead_tick
        while now < begin + seconds:
            name = dice.choice(list(values))
            client.set(**{name: values[name]()})
            made += 1
            most_sounding = max(most_sounding, shared.performer.read().sounding)
            time.sleep(max(0.0, begin + made / STORM_RATE - time.monotonic()))
            last, last_tick = now, tick
            now, tick = time.monotonic(), shared.reader.read().playhead_tick
            # A block or two may lie between two looks; no phrase is much faster than 240.
            jumps += not 0 <= tick - last_tick <= ticks_per_s(250) * (now - last + 0.1)
        took = time.monotonic() - begin
        after, rewinds = shared.performer.read(), shared.composer.read().rewinds - rewinds
        left_sounding, tail = _after_a_pause(player, client, recorder)
    loudest = int(np.abs(tail).max(initial=0))
    counts = _counts(before, after)
    good = not (any(counts) or jumps or left_sounding) and most_sounding <= 4
    return [
        Row(
            f"{made / took:.0f} changes a second for {took:.0f} s",
            f"{_sentence(counts)}, jumps of the beat {jumps}, notes left sounding {left_sounding}",
            "0 of each",
            good and loudest < AUDIBLE and made / took > 0.9 * STORM_RATE,
            f"all settings but the model at random; {rewinds} rewinds, at most {most_sounding} "
            f"notes at once; {DECAY_S:g} s after a pause the loudest sample is {loudest}",
        )
    ]


def _after_a_pause(
    player: Player, client: SocketClient, recorder: Recorder
) -> tuple[int, np.ndarray[Any, Any]]:
    """Notes that still sound after a pause, and what is recorded then."""
    client.set(volume=100, instrument="church organ")
    time.sleep(1.0)
    client.set(playing=False)
    time.sleep(DECAY_S)
    left = player.shared.performer.read().sounding
    quiet = len(recorder.sound())
    time.sleep(1.0)
    return left, recorder.sound()[quiet:]


def deaths(card: VirtualCard) -> list[Row]:
    """The composer's and the performer's death: blocks that came too late, seconds of silence."""
    rows = []
    times = measure.count(FAULTS, 1)
    with (
        measure.step(f"{4 * times} deaths"),
        recorded_player(card, instrument="church organ", volume=100) as (player, client, recorder),
    ):
        for number, how in ((signal.SIGKILL, "killed"), (signal.SIGSTOP, "stopped by a signal")):
            before = player.shared.performer.read()
            for _ in range(times):
                _die(player, client, "composer", number)
                time.sleep(FAULT_S)
            counts = _counts(before, player.shared.performer.read())
            rows.append(_counted(f"the composer is {how} {times} times", counts))
        for number, how, bar_s in (
            (signal.SIGKILL, "killed", KILLED_BAR_S),
            (signal.SIGSTOP, "stopped by a signal", STOPPED_BAR_S),
        ):
            gaps = [_gap_s(player, client, recorder, number) for _ in range(times)]
            rows.append(
                Row(
                    f"the performer is {how}",
                    f"{min(gaps):.2f} to {max(gaps):.2f} s of silence",
                    f"≤ {bar_s:g} s",
                    max(gaps) <= bar_s,
                    f"{times} times, in the middle of a piece, church organ",
                )
            )
    return rows


def _die(player: Player, client: SocketClient, name: str, number: int) -> None:
    """Send a child a signal; until another one has taken its place."""
    restarts = client.ask().health.restarts
    deadline = time.monotonic() + TIMEOUT_S
    while not player.has_child(name):
        # It died a moment ago, and the next one is not there yet.
        player.check(deadline)
    player.child(name).send_signal(number)
    while client.ask().health.restarts == restarts:
        player.check(deadline)


def _gap_s(player: Player, client: SocketClient, recorder: Recorder, number: int) -> float:
    # After a death not long ago the daemon would wait before it starts another one.
    time.sleep(BACKOFF_RESET_S + 1.0)
    deadline = time.monotonic() + TIMEOUT_S * 3
    # Nothing else makes a silence there.
    while client.ask().now_playing.bar not in range(2, 5):
        player.check(deadline)
    recorder.restart()
    _die(player, client, "performer", number)
    while client.ask().now_playing.condition != "playing":
        player.check(deadline)
    time.sleep(1.5)
    return audio_analysis.silence_seconds(recorder.sound().astype(np.int16))


def busy_cores(card: VirtualCard) -> list[Row]:
    """Every core busy with other programs of this benchmark."""
    seconds = round(measure.amount(15.0, 5.0))
    cores = os.cpu_count() or 1
    with measure.step("all cores busy"), recorded_player(card) as (player, _, _):
        before = player.shared.performer.read()
        try:
            subprocess.run(
                [
                    *("stress-ng", "--quiet", "--cpu", str(2 * cores), "--cpu-load", "100"),
                    *("--timeout", f"{seconds}s"),
                ],
                check=True,
            )
        except FileNotFoundError as error:
            raise UnavailableError("stress-ng is not installed; apt install stress-ng") from error
        counts = _counts(before, player.shared.performer.read())
    return [_counted(f"{2 * cores} busy processes on {cores} cores for {seconds} s", counts)]


def second_player(card: VirtualCard) -> list[Row]:
    """Another Bachbox starts, plays on the same card and ends."""
    with measure.step("a second player"), recorded_player(card) as (player, _, _):
        before = player.shared.performer.read()
        with playing(card, 2) as second:
            second.attach()
            time.sleep(measure.amount(6.0, 3.0))
        counts = _counts(before, player.shared.performer.read())
    return [_counted("a second player on the same card", counts)]


def web_flood(card: VirtualCard) -> list[Row]:
    """Eight clients ask the page for its state as fast as they can."""
    port, seconds = free_port(), measure.amount(10.0, 4.0)
    with (
        measure.step("a flood of requests"),
        recorded_player(card, f"[web]\nport = {port}\n") as (player, _, _),
    ):
        before = player.shared.performer.read()
        with _asking(f"http://127.0.0.1:{port}/api/status", 8) as answers:
            time.sleep(seconds)
        counts = _counts(before, player.shared.performer.read())
    if not sum(answers):
        raise FailedError("the page answered nothing")
    what = f"8 clients at the page for {seconds:.0f} s"
    return [_counted(what, counts, f"{sum(answers) / seconds:,.0f} answers a second")]


@contextlib.contextmanager
def _asking(url: str, clients: int) -> Iterator[list[int]]:
    """Threads that ask; how many answers each has had so far."""
    stop, answers = threading.Event(), [0] * clients

    def ask(number: int) -> None:
        while not stop.is_set():
            try:
                urllib.request.urlopen(url, timeout=10).read()
            except urllib.error.HTTPError:
                pass  # Too many requests, which is an answer.
            except OSError:
                continue
            answers[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _counts(before: PerformerState, after: PerformerState) -> tuple[int, int, int]:
    """Xruns, starved blocks and late events between two moments."""
    return (
        after.xruns - before.xruns,
        after.starved - before.starved,
        after.late_events - before.late_events,
    )


def _sentence(counts: tuple[int, int, int]) -> str:
    return "xruns {}, starved blocks {}, late notes {}".format(*counts)


def _counted(what: str, counts: tuple[int, int, int], how: str = "") -> Row:
    return Row(what, _sentence(counts), "0 of each", not any(counts), how)


PARTS: Final = (changes, deaths, busy_cores, second_player, web_flood)
