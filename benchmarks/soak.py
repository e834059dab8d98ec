"""``make soak HOURS=n``: hours of playing on a virtual card, measured every minute, and a plot.

All the time a web client has the page open and listens to the stream.

Each minute becomes a row of ``soak.csv``; an interrupted soak continues with the next row, in a
new player. The plot, ``soak.png``, is drawn again every ten minutes.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import matplotlib as mpl
import msgspec

from appliance.errors import BachboxError
from appliance.ipc.shared_state import PerformerState, SharedState
from appliance.music.events import TICKS_PER_BEAT
from benchmarks.latency import BAR_S, volume_delays_s
from benchmarks.listening import Recorder, SocketClient, p95
from benchmarks.measure import BUSY_PERCENT, FailedError, OtherLoad
from benchmarks.running_player import Player, Usage, playing
from benchmarks.web_listener import WebListener, web_listener
from tests.support.broker import free_port
from tests.support.virtual_card import VirtualCard, virtual_card

MINUTE_S: Final = 60.0
POLL_INTERVAL_S: Final = 0.25
"""How often the look-ahead is read."""
TURNING_S: Final = 6.0
"""The last seconds of a minute, in which the volume is turned and recorded."""
LOUD, QUIET = 70, 20
PLOT_MINUTES: Final = 10


@dataclasses.dataclass(frozen=True)
class Row:
    """One minute; counts are those of this minute alone."""

    run: int
    """Which player, from 1; one more after each interruption of the soak."""
    seconds: float
    """How long this minute was."""
    played_s: float
    """Seconds of sound that the card took."""
    daemon_mb: float
    performer_mb: float
    composer_mb: float
    """RSS at its end."""
    cpu_percent: float
    """Of one core, all three processes."""
    load: float
    """The machine's load average over a minute."""
    other_percent: float
    """Of all cores, used by other programs; this benchmark's own work does not count."""
    look_ahead_s: float
    """The least."""
    xruns: int
    starved: int
    late: int
    restarts: int
    notes: int
    volume_ms: float
    """From the change to the sound, the median of a few turns; nan in a breath of the music."""
    streamed_s: float
    """Seconds of sound that the web client received."""
    messages: int
    """That the web client received over the WebSocket."""


def rows_in(path: Path) -> list[Row]:
    """The rows of an earlier run.

    Raises:
        FailedError: there is something else in the file.
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        try:
            return msgspec.convert(list(csv.DictReader(file)), list[Row], strict=False)
        except (csv.Error, ValueError) as error:
            raise FailedError(
                f"{path}: no soak, or one of another version ({error}); remove it, or name another "
                "folder"
            ) from error


def add(path: Path, row: Row) -> None:
    """One more line, on the disk when this returns."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(dataclasses.asdict(row)))
        if new:
            writer.writeheader()
        writer.writerow(dataclasses.asdict(row))


class Soak:
    """Measures one player."""

    def __init__(
        self, player: Player, client: SocketClient, recorder: Recorder, web: WebListener, run: int
    ) -> None:
        self._player = player
        self._web = web
        self._client = client
        self._recorder = recorder
        self._run = run

    def minute(self) -> Row:
        """Let a minute pass; what was measured in it.

        Raises:
            FailedError: the player has ended.
        """
        load = OtherLoad()
        begin, before = time.monotonic(), self._player.shared.performer.read()
        heard_s, messages = self._web.heard_s, self._web.messages
        cpu_s, health = _cpu_s(self._player.usage()), self._client.ask().health
        least_s = float("inf")
        while (now := time.monotonic()) < begin + MINUTE_S - TURNING_S:
            least_s = min(least_s, _look_ahead_s(self._player.shared))
            self._player.check(now + MINUTE_S)
            time.sleep(POLL_INTERVAL_S)
        delays_s = self._turn()
        time.sleep(max(0.0, begin + MINUTE_S - time.monotonic()))
        seconds = time.monotonic() - begin
        usage, after, then = self._player.usage(), self._player.shared.performer.read(), health
        health = self._client.ask().health
        return Row(
            run=self._run,
            seconds=round(seconds, 3),
            played_s=round(_played_s(after) - _played_s(before), 3),
            daemon_mb=round(usage["daemon"].rss_mb, 2),
            performer_mb=round(usage["performer"].rss_mb, 2),
            composer_mb=round(usage["composer"].rss_mb, 2),
            cpu_percent=round(100 * (_cpu_s(usage) - cpu_s) / seconds, 2),
            load=round(os.getloadavg()[0], 2),
            other_percent=round(load.percent(), 1),
            look_ahead_s=round(least_s, 3),
            xruns=health.xruns - then.xruns,
            starved=health.starved_blocks - then.starved_blocks,
            late=health.late_notes - then.late_notes,
            restarts=health.restarts - then.restarts,
            notes=health.notes - then.notes,
            volume_ms=round(1000 * statistics.median(delays_s), 1) if delays_s else float("nan"),
            streamed_s=round(self._web.heard_s - heard_s, 3),
            messages=self._web.messages - messages,
        )

    def _turn(self) -> list[float]:
        """Turn the volume down and up again, twice; the seconds until each is heard."""
        self._recorder.restart()
        time.sleep(0.5)
        turns = []
        for percent in (QUIET, LOUD, QUIET, LOUD):
            turns.append(self._client.set(volume=percent))
            time.sleep(0.8)
        delays_s = volume_delays_s(self._recorder, turns)
        self._recorder.restart()
        return delays_s


def _look_ahead_s(shared: SharedState) -> float:
    ahead_ticks = shared.writer.read().horizon_tick - shared.reader.read().playhead_tick
    return ahead_ticks / TICKS_PER_BEAT * 60 / shared.live_settings.read().tempo_bpm


def _played_s(state: PerformerState) -> float:
    return state.frames_played / state.sample_rate


def _cpu_s(usage: dict[str, Usage]) -> float:
    return sum(process.cpu_s for process in usage.values())


def plot(rows: list[Row], path: Path) -> None:
    """Draw all minutes, one strip for each kind of figure."""
    mpl.use("Agg")
    from matplotlib import pyplot

    hours = [number / 60 for number in range(1, len(rows) + 1)]
    figure, (memory, ahead, knob, troubles, cpu) = pyplot.subplots(
        5, 1, sharex=True, figsize=(9, 9), layout="constrained"
    )
    for name in ("composer", "performer", "daemon"):
        memory.plot(hours, [getattr(row, f"{name}_mb") for row in rows], label=name)
    memory.set_ylabel("RSS, MB")
    memory.legend(loc="lower right", ncols=3, fontsize="small")
    ahead.plot(hours, [row.look_ahead_s for row in rows], color="C4")
    ahead.set_ylabel("least look-\nahead, s")
    knob.plot(hours, [row.volume_ms for row in rows], ".", color="C5", markersize=3)
    knob.set_ylabel("volume: change\nto sound, ms")
    for name, colour in (("xruns", "C3"), ("starved", "C1"), ("late", "C6"), ("restarts", "k")):
        total, sums = 0, []
        for row in rows:
            total += getattr(row, name)
            sums.append(total)
        troubles.plot(hours, sums, color=colour, label=f"{name} {total}")
    troubles.set_ylabel("troubles,\nin total")
    troubles.legend(loc="upper left", ncols=4, fontsize="small")
    cpu.plot(hours, [row.cpu_percent for row in rows], label="Bachbox, % of a core")
    cpu.plot(hours, [row.other_percent for row in rows], color="0.6", label="others, % of all")
    cpu.set_ylabel("processor")
    cpu.legend(loc="upper left", ncols=2, fontsize="small")
    cpu.set_xlabel("hours")
    for axes in (memory, ahead, knob, troubles, cpu):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def summary(rows: list[Row]) -> str:
    """The figures of all minutes, as lines for people, with bar and verdict."""
    heard_ms = [row.volume_ms for row in rows if row.volume_ms == row.volume_ms] or [float("nan")]
    settled = rows[min(len(rows) - 1, 9)]
    growth = {
        name: getattr(rows[-1], f"{name}_mb") - getattr(settled, f"{name}_mb")
        for name in ("daemon", "performer", "composer")
    }
    troubles = {
        name: sum(getattr(row, name) for row in rows)
        for name in ("xruns", "starved", "late", "restarts")
    }
    busy = [row for row in rows if row.other_percent > BUSY_PERCENT]
    unjudged = f"not judged: the machine was busy in {len(busy)} of {len(rows)} minutes"

    def verdict(met: bool) -> str:
        return "met" if met else unjudged if busy else "MISSED"

    return (
        f"{len(rows)} minutes, {sum(row.notes for row in rows)} notes; "
        + ", ".join(f"{name} {count}" for name, count in troubles.items())
        + f" (bar: 0 of each; {verdict(not any(troubles.values()))})"
        + f"\nleast look-ahead {min(row.look_ahead_s for row in rows):.2f} s; "
        f"volume, change to sound: median {statistics.median(heard_ms):.0f} ms, "
        f"p95 {p95(heard_ms):.0f} ms (bar: p95 <= {1e3 * BAR_S:.0f} ms; "
        f"{verdict(p95(heard_ms) <= 1e3 * BAR_S)})"
        "\nRSS since minute 10: "
        + ", ".join(f"{name} {mb:+.1f} MB" for name, mb in growth.items())
        + f"\nplayed {sum(row.played_s for row in rows):.2f} s in "
        f"{sum(row.seconds for row in rows):.2f} s; processor "
        f"{statistics.mean(row.cpu_percent for row in rows):.1f} % of a core; load "
        f"{min(row.load for row in rows):.1f} to {max(row.load for row in rows):.1f}, other "
        f"programs {min(row.other_percent for row in rows):.0f} to "
        f"{max(row.other_percent for row in rows):.0f} % of all cores"
    )


def soak(card: VirtualCard, table: Path, minutes: int) -> None:
    """Play until ``table`` has ``minutes`` rows.

    Raises:
        FailedError: the player has ended, or does not begin.
    """
    rows = rows_in(table)
    run = rows[-1].run + 1 if rows else 1
    port = free_port()
    with playing(card, run, f"[web]\nport = {port}\n") as player, web_listener(port) as web:
        player.attach()
        client, recorder = SocketClient(card), Recorder(card)
        try:
            client.set(volume=LOUD)
            # The look-ahead fills.
            time.sleep(TURNING_S)
            soaking = Soak(player, client, recorder, web, run)
            while len(rows) < minutes:
                rows.append(soaking.minute())
                add(table, rows[-1])
                row = rows[-1]
                print(
                    f"  {len(rows)} of {minutes}: {row.look_ahead_s:.1f} s ahead, xruns "
                    f"{row.xruns}, starved {row.starved}, volume {row.volume_ms:.0f} ms, RSS "
                    f"{row.daemon_mb + row.performer_mb + row.composer_mb:.1f} MB",
                    file=sys.stderr,
                    flush=True,
                )
                if len(rows) % PLOT_MINUTES == 0:
                    plot(rows, table.with_suffix(".png"))
        finally:
            client.close()
            recorder.stop()


def main() -> int:
    """Soak; 1 when the player failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, default=Path("build/soak"))
    options = parser.parse_args()
    minutes = round(options.hours * 60)
    if minutes < 1:
        parser.error("--hours: at least a minute, 0.02")
    options.folder.mkdir(parents=True, exist_ok=True)
    table = options.folder / "soak.csv"
    try:
        if len(rows_in(table)) < minutes:
            with virtual_card() as card:
                soak(card, table, minutes)
        rows = rows_in(table)
    except (FailedError, BachboxError, OSError, RuntimeError, subprocess.SubprocessError) as why:
        print(f"soak: {why}", file=sys.stderr)
        return 1
    plot(rows, table.with_suffix(".png"))
    print(summary(rows))
    print(f"written to {table} and {table.with_suffix('.png')}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
