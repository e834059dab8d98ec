"""What playing costs, how soon it begins, and how soon new music is composed and played."""

from __future__ import annotations

import array
import itertools
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from appliance.composing.interpreter import RUNTIME_VARIABLE
from appliance.ipc.ring_slots import read_slot
from appliance.ipc.shared_state import PerformerState, SharedState
from appliance.music.events import NoteOn
from benchmarks import measure
from benchmarks.measure import FailedError
from benchmarks.report import Row
from benchmarks.running_player import TIMEOUT_S, Player, Usage, playing
from tests.support.virtual_card import RATE, VirtualCard

STARTS = 3
START_BAR_S = 1.0
END_BAR_S = 1.0
AUDIBLE = 33
"""Of a 16-bit sample: -60 dB."""

SETTLE_S = 6.0
"""Until the look-ahead is full."""
WINDOWS_S = (30.0, 30.0)
"""Of the model that plays by default."""
OTHER_WINDOWS_S = (12.0,)
CPU_BAR_PERCENT = {"tflite_runtime": 8.0, "ai_edge_litert": 5.0}
MEMORY_BAR_MB = 150.0

TURNS = 12
TEMPERATURE_STEP = 0.05


def starts(card: VirtualCard) -> list[Row]:
    """From the start of the command to the first sound recorded from the card, and to its end."""
    seconds, ends_s = list[float](), list[float]()
    recording = card.folder / "starts.raw"
    with card.recording(recording):
        # The first one warms the disk's cache and does not count.
        for seed in range(measure.count(STARTS, 2) + 1):
            with measure.step(f"start {seed}" if seed else "start, cold"):
                first_s, end_s = _first_sound_and_end_s(card, recording, seed)
                seconds.append(first_s)
                ends_s.append(end_s)
    cold_s, *warm_s = seconds
    median_s = statistics.median(warm_s)
    return [
        Row(
            "from start to first sound",
            f"{median_s:.2f} s ({min(warm_s):.2f} to {max(warm_s):.2f})",
            f"≤ {START_BAR_S:g} s",
            median_s <= START_BAR_S,
            f"median of {len(warm_s)}, warm; from exec of `bachbox play` to the first sample above "
            f"-60 dB in the card's recording, the recorder's delay included; the one before "
            f"them took {cold_s:.2f} s",
        ),
        Row(
            "from SIGTERM to the end",
            f"{statistics.median(ends_s):.2f} s ({min(ends_s):.2f} to {max(ends_s):.2f})",
            f"≤ {END_BAR_S:g} s",
            max(ends_s) <= END_BAR_S,
            f"median of {len(ends_s)}; the last chord dies away meanwhile",
        ),
    ]


def _first_sound_and_end_s(card: VirtualCard, recording: Path, seed: int) -> tuple[float, float]:
    # The last chord of the player before is still dying away in the recorder.
    time.sleep(1.0)
    offset = recording.stat().st_size & ~3
    start = time.monotonic()
    with playing(card, seed) as player, recording.open("rb") as file:
        deadline = start + TIMEOUT_S
        while True:
            file.seek(offset)
            chunk = file.read()
            now = time.monotonic()
            samples = array.array("h", chunk[: len(chunk) & ~3])
            first = next((at for at, value in enumerate(samples) if abs(value) >= AUDIBLE), -1)
            if first >= 0:
                player.process.terminate()
                player.process.wait(TIMEOUT_S)
                first_s = now - start - (len(samples) - first) / 2 / RATE
                return first_s, time.monotonic() - now
            offset += 2 * len(samples)
            player.check(deadline)


class _Sample(NamedTuple):
    """What the processes had used at one moment."""

    at: float
    usage: dict[str, Usage]


def costs(card: VirtualCard, runtime: str, model: str, windows_s: Sequence[float]) -> list[Row]:
    """Processor time and memory of playing with ``model``, and xruns meanwhile."""
    config = f'[music]\nmodel = "{model}"\n'
    with playing(card, 1, config, {RUNTIME_VARIABLE: runtime}) as player:
        player.attach()
        with measure.step(f"playing {model} on {runtime}"):
            measure.wait(SETTLE_S)
            before = player.shared.performer.read()
            samples = [_Sample(time.monotonic(), player.usage())]
            for window_s in windows_s:
                measure.wait(measure.amount(window_s, 5.0))
                samples.append(_Sample(time.monotonic(), player.usage()))
            after = player.shared.performer.read()
    played_s = (after.frames_played - before.frames_played) / after.sample_rate
    took_s = samples[-1].at - samples[0].at
    if abs(played_s - took_s) > 1.0:
        raise FailedError(f"{played_s:.1f} s were played in {took_s:.1f} s")
    what = f"{model} on {runtime}"
    usage = samples[1].usage
    return [
        _cpu(what, samples, CPU_BAR_PERCENT[runtime]),
        _memory(what, usage),
        _xruns(what, before, after, took_s, usage),
    ]


def _cpu(what: str, samples: list[_Sample], bar_percent: float) -> Row:
    """Percent of one core; the worst window is judged."""

    def percent(name: str, first: _Sample, last: _Sample) -> float:
        used_s = last.usage[name].cpu_s - first.usage[name].cpu_s
        return 100 * used_s / (last.at - first.at)

    names = list(samples[0].usage)
    windows = [sum(percent(n, *pair) for n in names) for pair in itertools.pairwise(samples)]
    each = ", ".join(f"{name} {percent(name, samples[0], samples[-1]):.2f}" for name in names)
    return Row(
        f"{what}: processor",
        f"{' and '.join(f'{window:.2f}' for window in windows)} % of a core",
        f"≤ {bar_percent:g} %",
        max(windows) <= bar_percent,
        f"user and system, windows of {samples[1].at - samples[0].at:.0f} s; {each}",
    )


def _memory(what: str, usage: dict[str, Usage]) -> Row:
    rss_mb = sum(process.rss_mb for process in usage.values())
    pss_mb = sum(process.pss_mb for process in usage.values())
    each = ", ".join(f"{name} {p.rss_mb:.1f} ({p.pss_mb:.1f})" for name, p in usage.items())
    return Row(
        f"{what}: memory",
        f"RSS {rss_mb:.1f} MB, PSS {pss_mb:.1f} MB",
        f"RSS ≤ {MEMORY_BAR_MB:g} MB",
        rss_mb <= MEMORY_BAR_MB,
        f"all processes; RSS counts what they share in each of them, PSS once; RSS (PSS): {each}",
        load_matters=False,
    )


def _xruns(
    what: str,
    before: PerformerState,
    after: PerformerState,
    took_s: float,
    usage: dict[str, Usage],
) -> Row:
    priority = "with" if usage["performer"].real_time else "without"
    xruns = after.xruns - before.xruns
    starved, late = after.starved - before.starved, after.late_events - before.late_events
    return Row(
        f"{what}: xruns, starved blocks, late events in {took_s:.0f} s",
        f"{xruns}, {starved}, {late}",
        "0",
        not (xruns or starved or late),
        f"counted by PortAudio and the performer, {priority} real-time priority; at the start "
        f"{before.xruns} xruns",
    )


class _Turn(NamedTuple):
    """What followed a turn of the knob, seconds after it."""

    rewritten: float
    """The composer has written new music."""
    reached: float
    """The player reaches the place from which it is new."""
    heard: float
    """The first new note is played."""


def rewinds(card: VirtualCard) -> list[Row]:
    """From a turn of the temperature to the first note composed after it."""
    dice = random.Random(1)
    count = measure.count(TURNS, 4)
    with playing(card, 1) as player, measure.step(f"{count} turns of the temperature"):
        player.attach()
        measure.wait(measure.amount(SETTLE_S, 4.0))
        # A turn starts from what is in force, whatever the model's own temperature is.
        in_force = player.shared.live_settings.read().temperature
        turns = []
        for number in range(count):
            # Anywhere between two notes.
            time.sleep(dice.uniform(0.5, 2.0))
            turns.append(_turn(player, in_force + TEMPERATURE_STEP * (1 - number % 2)))
    return [
        Row(
            "from the knob to new music",
            _milliseconds([turn.reached for turn in turns]),
            how=f"{count} turns of the temperature, from its write into the shared memory until "
            "the player reaches the place from which the music was composed again; it was "
            f"composed after {_milliseconds([turn.rewritten for turn in turns])}",
        ),
        Row(
            "from the knob to the first new note",
            _milliseconds([turn.heard for turn in turns]),
            how="the same until the first note after that place, which after the last chord of a "
            "piece is the first of the next",
        ),
    ]


def _milliseconds(seconds: list[float]) -> str:
    low, high = 1e3 * min(seconds), 1e3 * max(seconds)
    return f"{1e3 * statistics.median(seconds):,.0f} ms ({low:,.0f} to {high:,.0f})"


def _turn(player: Player, temperature: float) -> _Turn:
    shared = player.shared
    start = time.monotonic()
    deadline = start + TIMEOUT_S
    epoch = shared.writer.read().epoch
    # The daemon writes this value only when a setting changes, and here none does.
    shared.live_settings.write(shared.live_settings.read()._replace(temperature=temperature))
    while shared.writer.read().epoch == epoch:
        player.check(deadline)
    while (note_tick := first_new_note(shared)) is None:
        player.check(deadline)
    rewritten = time.monotonic() - start
    passed = []
    for tick in (shared.rewind_request.read().from_tick, note_tick):
        while shared.reader.read().playhead_tick <= tick:
            player.check(deadline)
        passed.append(time.monotonic() - start)
    return _Turn(rewritten, *passed)


def first_new_note(shared: SharedState) -> int | None:
    """Tick of the first note after the last rewind; ``None`` while there is none."""
    writer, request = shared.writer.read(), shared.rewind_request.read()
    for index in range(request.from_index, writer.write_index):
        event = read_slot(shared, index, writer.epoch)
        if isinstance(event, NoteOn):
            return event.tick
    return None
