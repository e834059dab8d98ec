"""What playing costs, how soon it begins, and how soon it obeys."""

from __future__ import annotations

import array
import itertools
import random
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from appliance.ipc.ring import read_slot
from appliance.ipc.shared_state import PerformerState, SharedState
from appliance.music.events import Kind
from benchmarks import measure
from benchmarks.measure import FailedError
from benchmarks.player import TIMEOUT_S, Player, Usage, playing
from benchmarks.report import Row
from tests.support.virtual_card import RATE, VirtualCard

STARTS = 5
START_BAR_S = 2.0
SILENT_BELOW = 33
"""Of a sample: -60 dB."""

SETTLE_S = 10.0
"""Until the look-ahead is full."""
WINDOW_S = 30.0
WINDOWS = 2
CPU_BAR_PERCENT = 8.0
MEMORY_BAR_MB = 160.0

TURNS = 24


def starts(card: VirtualCard) -> list[Row]:
    """From the start of the command to the first sound recorded from the card."""
    seconds = []
    recording = card.folder / "starts.raw"
    with card.recording(recording):
        # The first one warms the disk's cache and does not count.
        for seed in range(STARTS + 1):
            with measure.step(f"start {seed} of {STARTS}" if seed else "start, cold"):
                seconds.append(_first_sound_s(card, recording, seed))
    cold_s, *warm_s = seconds
    median_s = statistics.median(warm_s)
    return [
        Row(
            "from start to first sound",
            f"{median_s:.2f} s ({min(warm_s):.2f} to {max(warm_s):.2f})",
            f"≤ {START_BAR_S:g} s",
            median_s <= START_BAR_S,
            f"median of {STARTS}, warm; from exec of `bachbox play` to the first sample above "
            f"-60 dB in the card's recording, the recorder's delay included; the one before "
            f"them took {cold_s:.2f} s",
        )
    ]


def _first_sound_s(card: VirtualCard, recording: Path, seed: int) -> float:
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
            first = next((at for at, value in enumerate(samples) if abs(value) >= SILENT_BELOW), -1)
            if first >= 0:
                return now - start - (len(samples) - first) / 2 / RATE
            offset += 2 * len(samples)
            player.check(deadline)


class _Look(NamedTuple):
    """At one moment of playing."""

    at: float
    usage: dict[str, Usage]


def costs(card: VirtualCard) -> list[Row]:
    """Processor, memory and xruns over a minute."""
    with playing(card, 1) as player:
        player.attach()
        with measure.step(f"playing {SETTLE_S + WINDOWS * WINDOW_S:.0f} s"):
            measure.wait(SETTLE_S)
            before = player.shared.performer.read()
            looks = [_Look(time.monotonic(), player.usage())]
            for _ in range(WINDOWS):
                measure.wait(WINDOW_S)
                looks.append(_Look(time.monotonic(), player.usage()))
            after = player.shared.performer.read()
    frames = after.frames_played - before.frames_played
    if abs(frames / after.sample_rate - WINDOWS * WINDOW_S) > 1.0:
        raise FailedError(
            f"{frames / after.sample_rate:.1f} s were played in {WINDOWS * WINDOW_S:g} s"
        )
    return [*_cpu(looks), *_memory(looks[1].usage), _xruns(before, after, looks[1].usage)]


def _cpu(looks: list[_Look]) -> list[Row]:
    """Percent of one core, the worst window judged."""

    def percent(name: str, first: _Look, last: _Look) -> float:
        used_s = last.usage[name].cpu_s - first.usage[name].cpu_s
        return 100 * used_s / (last.at - first.at)

    names = list(looks[0].usage)
    windows = [sum(percent(n, *pair) for n in names) for pair in itertools.pairwise(looks)]
    each = ", ".join(f"{name} {percent(name, looks[0], looks[-1]):.2f}" for name in names)
    return [
        Row(
            "processor while playing",
            f"{' and '.join(f'{window:.2f}' for window in windows)} % of a core",
            f"≤ {CPU_BAR_PERCENT:g} %",
            max(windows) <= CPU_BAR_PERCENT,
            f"user and system, {WINDOWS} windows of {WINDOW_S:.0f} s; {each}",
        )
    ]


def _memory(usage: dict[str, Usage]) -> list[Row]:
    rss_mb = sum(process.rss_mb for process in usage.values())
    pss_mb = sum(process.pss_mb for process in usage.values())
    rows = [
        Row(
            f"memory: {name}",
            f"RSS {process.rss_mb:.1f} MB, PSS {process.pss_mb:.1f} MB",
        )
        for name, process in usage.items()
    ]
    total = Row(
        "memory: all together",
        f"RSS {rss_mb:.1f} MB, PSS {pss_mb:.1f} MB",
        f"RSS ≤ {MEMORY_BAR_MB:g} MB",
        rss_mb <= MEMORY_BAR_MB,
        f"after {SETTLE_S + WINDOW_S:.0f} s; RSS counts what processes share in each of them, "
        "PSS once",
    )
    return [*rows, total]


def _xruns(before: PerformerState, after: PerformerState, usage: dict[str, Usage]) -> Row:
    priority = "with" if usage["performer"].real_time else "without"
    xruns = after.xruns - before.xruns
    return Row(
        f"xruns in {WINDOWS * WINDOW_S:.0f} s",
        str(xruns),
        "0",
        xruns == 0,
        f"told by PortAudio, on a virtual card that paces as a real one, {priority} real-time "
        f"priority; starved blocks {after.starved - before.starved}, late events "
        f"{after.late_events - before.late_events}, "
        f"at the start xruns {before.xruns}",
    )


class _Turn(NamedTuple):
    """What followed a turn of the knob, seconds after it."""

    answered: float
    """The music is written anew."""
    begun: float
    """The first of it is played."""
    heard: float
    """Its first note is played."""


def knob(card: VirtualCard) -> list[Row]:
    """From a turn of the temperature to the first note composed after it."""
    dice = random.Random(1)
    with playing(card, 1) as player, measure.step(f"{TURNS} turns of the knob"):
        player.attach()
        measure.wait(SETTLE_S)
        turns = []
        for number in range(TURNS):
            # Anywhere between two notes.
            time.sleep(dice.uniform(0.5, 2.0))
            turns.append(_turn(player, 1.0 + 0.05 * (number % 2)))
    return [
        Row(
            "from the knob to new music",
            _milliseconds([turn.begun for turn in turns]),
            how=f"{TURNS} turns of the temperature, from its write into the shared memory until "
            "the player reaches the place from which the music was composed again; that was done "
            f"after {_milliseconds([turn.answered for turn in turns])}",
        ),
        Row(
            "from the knob to the first new note",
            _milliseconds([turn.heard for turn in turns]),
            how="the same until the first note from there on, which after the last chord of a "
            "piece comes only with the next",
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
    # The daemon writes this cell only when a setting changes, and here none does.
    shared.live_settings.write(shared.live_settings.read()._replace(temperature=temperature))
    while shared.writer.read().epoch == epoch:
        player.check(deadline)
    while (note_tick := first_new_note(shared)) is None:
        player.check(deadline)
    answered = time.monotonic() - start
    reached = []
    for tick in (shared.rewind_request.read().from_tick, note_tick):
        while shared.reader.read().playhead_tick <= tick:
            player.check(deadline)
        reached.append(time.monotonic() - start)
    return _Turn(answered, *reached)


def first_new_note(shared: SharedState) -> int | None:
    """Tick of the first note that follows the last cut, once it is there."""
    head, cut = shared.writer.read(), shared.rewind_request.read()
    for index in range(cut.from_index, head.write_index):
        event = read_slot(shared, index, head.epoch)
        if event is not None and event.kind is Kind.NOTE_ON:
            return event.tick
    return None
