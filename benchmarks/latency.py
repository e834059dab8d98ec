"""How soon a change of a setting is heard in the recording of the card."""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from benchmarks import measure
from benchmarks.listening import SETTLE_S, Recorder, levels, onsets, p95, recorded_player
from benchmarks.measure import FailedError
from benchmarks.playing import TEMPERATURE_STEP, first_new_note
from benchmarks.report import Row
from benchmarks.running_player import TIMEOUT_S
from benchmarks.score_following import EventLog, Onset, anchor, follow, ticks_per_s
from tests.support.virtual_card import VirtualCard

CHANGES: Final = 20
QUICK_CHANGES: Final = 8
BAR_S: Final = 0.1
REWIND_BAR_S: Final = 0.15

PERCUSSIVE: Final = "woodblock"
"""Its onsets are found to the millisecond."""


def _changes() -> int:
    return measure.count(CHANGES, QUICK_CHANGES)


def volume(card: VirtualCard) -> list[Row]:
    """From the change to the level half way (by ratio) between before and after."""
    dice = random.Random(1)
    with measure.step(f"{_changes()} volumes"):
        with recorded_player(card, instrument="church organ", tempo=60, volume=100) as (
            _,
            client,
            recorder,
        ):
            turns = []
            for volume in itertools.islice(itertools.cycle((25, 100)), _changes()):
                turns.append(client.set(volume=volume))
                time.sleep(dice.uniform(0.6, 0.9))
        delays = volume_delays_s(recorder, turns)
    return [_row("volume", delays, "level half way between before and after, church organ")]


def volume_delays_s(recorder: Recorder, turns: Sequence[float]) -> list[float]:
    """From each of these moments to the changed sound; without those in a breath of the music."""
    level = levels(recorder.sound())
    delays = []
    for turn in turns:
        at = round((turn - recorder.begin) * 1000)
        before, after = np.median(level[at - 100 : at]), np.median(level[at + 300 : at + 500])
        if max(before, after) < 4 * min(before, after) or min(before, after) < 1:
            continue  # A breath between two pieces.
        inside = level[at : at + 300]
        half = np.sqrt(before * after)
        passed = inside >= half if after > before else inside <= half
        delays.append(int(np.argmax(passed)) / 1000)
    return delays


def instrument(card: VirtualCard) -> list[Row]:
    """From the change to the first bright sound, from ocarina to harpsichord."""
    dice = random.Random(2)
    with measure.step(f"{_changes()} instruments"):
        with recorded_player(card, instrument="ocarina", tempo=60, volume=100) as (
            _,
            client,
            recorder,
        ):
            turns = []
            for _ in range(_changes()):
                turns.append(client.set(instrument="harpsichord"))
                time.sleep(0.5)
                client.set(instrument="ocarina")
                time.sleep(dice.uniform(0.7, 1.0))
        bright = levels(np.diff(recorder.sound(), n=3))
    delays = []
    for turn in turns:
        at = round((turn - recorder.begin) * 1000)
        before, after = np.max(bright[at - 60 : at]), np.max(bright[at : at + 400])
        if after > 8 * max(before, 1):
            inside = bright[at : at + 400]
            delays.append(int(np.argmax(inside > np.sqrt(before * after))) / 1000)
    how = "first sound with a harpsichord's high partials after an ocarina"
    return [_row("instrument", delays, how)]


def tempo(card: VirtualCard) -> list[Row]:
    """From the change to the new speed, by the distances of the onsets around it."""
    dice = random.Random(3)
    settings: dict[str, Any] = {"instrument": PERCUSSIVE, "tempo": 90, "volume": 100}
    with (
        measure.step(f"{_changes()} tempos"),
        recorded_player(card, **settings) as (player, client, recorder),
    ):
        log = EventLog(player.shared)
        tick, moment = anchor(player.shared, log)
        measure.wait(SETTLE_S)
        turns = []
        for bpm in itertools.islice(itertools.cycle((180.0, 90.0)), _changes()):
            turns.append((client.set(tempo=bpm), bpm))
            time.sleep(dice.uniform(1.2, 1.8))
            log.update()
        time.sleep(1.0)
        log.update()
    score = log.score()
    # Half way to the bar, so that neither a quick nor a slow box is lost.
    tempos = [(0.0, 90.0), *((turn + BAR_S / 2, bpm) for turn, bpm in turns)]
    heard = follow(score, onsets(recorder), tempos, Onset(score.place(tick), moment))
    delays = []
    ends = [turn for turn, _ in turns[1:]] + [float("inf")]
    before_bpm, begins = 90.0, 0.0
    for (turn, bpm), end in zip(turns, ends, strict=True):
        old = [h for h in heard if begins + 0.2 < h.moment < turn]
        new = [h for h in heard if turn + 0.2 < h.moment < end]
        if old and new:
            fast, slow = ticks_per_s(before_bpm), ticks_per_s(bpm)
            (place_1, moment_1), (place_2, moment_2) = old[-1], new[0]
            changed = (place_2 - place_1 - slow * moment_2 + fast * moment_1) / (fast - slow)
            delays.append(changed - turn)
        before_bpm, begins = bpm, turn
    how = f"the moment that the {PERCUSSIVE}'s onsets before and after it have in common"
    return [_row("tempo", delays, how)]


def temperature(card: VirtualCard) -> list[Row]:
    """From the change to the last note composed before it."""
    dice = random.Random(4)
    found = []
    settings: dict[str, Any] = {"instrument": PERCUSSIVE, "tempo": 100, "volume": 100}
    with (
        measure.step(f"{_changes()} temperatures"),
        recorded_player(card, **settings) as (player, client, recorder),
    ):
        shared, log = player.shared, EventLog(player.shared)
        tick, moment = anchor(shared, log)
        measure.wait(SETTLE_S)
        # A turn starts from what is in force, whatever the model's own temperature is.
        in_force = client.ask().settings.temperature
        for number in range(_changes()):
            time.sleep(dice.uniform(0.5, 1.5))
            deadline, epoch = time.monotonic() + TIMEOUT_S, shared.writer.read().epoch
            turn = client.set(temperature=in_force + TEMPERATURE_STEP * (1 - number % 2))
            while shared.writer.read().epoch == epoch or first_new_note(shared) is None:
                player.check(deadline)
            note_tick = first_new_note(shared)
            assert note_tick is not None
            found.append((turn, shared.rewind_request.read().from_tick, note_tick))
            log.update()
        time.sleep(3.0)
        log.update()
    score = log.score()
    start = Onset(score.place(tick), moment)
    heard = dict(follow(score, onsets(recorder), [(0.0, 100.0)], start))
    delays, whole, places = [], [], []
    for turn, cut_tick, note_tick in found:
        cut, note_place = score.place(cut_tick), score.place(note_tick)
        note = next((m for p, m in heard.items() if abs(p - note_place) < 1), None)
        if note is not None:
            whole.append(note - turn)
            places.append(note - turn - (note_place - cut) / ticks_per_s(100))
            # Whatever is struck after this is new.
            old = [m for p, m in heard.items() if p < cut - 1 and m > turn]
            delays.append(max(old, default=turn) - turn)
    how = (
        "until the last onset of the old music, after which every one is new; "
        f"until the place from which the music is new {_milliseconds(places)}; until the first "
        f"new note {_milliseconds(whole)}, which after a last chord is that of the next piece"
    )
    return [_row("temperature", delays, how, REWIND_BAR_S)]


def _row(what: str, delays: list[float], how: str, bar_s: float = BAR_S) -> Row:
    if len(delays) < _changes() / 2:
        raise FailedError(f"only {len(delays)} of {_changes()} changes of {what} were heard")
    worst = p95(delays)
    return Row(
        f"{what}: from the change to the sound",
        f"p95 {1e3 * worst:,.0f} ms, median {1e3 * statistics.median(delays):,.0f} ms",
        f"p95 ≤ {1e3 * bar_s:,.0f} ms",
        worst <= bar_s,
        f"{len(delays)} changes; {how}",
    )


def _milliseconds(values: list[float]) -> str:
    return f"p95 {1e3 * p95(values):,.0f} ms, median {1e3 * statistics.median(values):,.0f} ms"


PARTS: Final = (volume, instrument, tempo, temperature)
