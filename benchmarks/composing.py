"""What composing costs: each model on each TensorFlow Lite runtime, in a process of its own.

``python -m benchmarks.composing MODEL SECONDS`` is that process; ``BACHBOX_RUNTIME`` names the
runtime.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import time

import numpy as np
from numpy.typing import NDArray

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.interpreter import RUNTIME_VARIABLE, StepModel
from appliance.config import loader
from appliance.music.events import TICKS_PER_BEAT
from benchmarks import measure, report
from benchmarks.measure import ChildResult, Quantiles, UnavailableError
from benchmarks.report import Row

TOKENS = 10_000
LONGEST_S = 60.0
QUICK_S = 4.0
PROBE_S = 1.0
"""So much processor time at most, where the runtime is slow."""

SLOWEST_TOKEN_US = 10_000.0
"""Where a token of the first model takes more processor time, no music can be composed in time."""
WARM_UP_S = 2.0

FLOOR_BAR = 2.0
"""So many times its floor a step may take, on the runtime that Bachbox will have everywhere."""
FLOOR_RUNTIME = "ai_edge_litert"

_READS = 400
"""How often the weights are read to find the floor."""

HEAD = (
    "model",
    "one token, µs",
    "one step of the network, µs",
    "floor, µs",
    "times the floor",
    "share of a core",
    "longest step, ms",
    "RSS, MB",
    "first note, s",
)

NOTE = (
    "One thread. *One token* has all that the composer does for it, endings that are rehearsed "
    "included; *one step of the network* is the runtime's part: median and 95th percentile. The "
    "*floor* is the time this machine needs to read the model's weights once from its cache: no "
    "step can be shorter. The *share of a core* holds at the model's own tempo. The *longest step* "
    "is the most processor time between two looks at the settings."
)


def measured(runtime: str, model: str) -> ChildResult:
    """What a process that composes with ``model`` on ``runtime`` printed.

    Raises:
        UnavailableError: the runtime is not installed.
        FailedError: it is, and does not work.
    """
    if importlib.util.find_spec(runtime) is None:
        why = f"{runtime} is not installed"
        if runtime == "tflite_runtime" and sys.version_info >= (3, 12):
            why = f"{runtime} ends with Python 3.11"
        raise UnavailableError(f"{why}; run `make bench PYTHON=python3.11` to have both runtimes")
    return _child(runtime, model, measure.amount(LONGEST_S, QUICK_S))


def check_speed(runtime: str, model: str) -> None:
    """Compose for a moment with ``model``, the first time.

    Raises:
        UnavailableError: ``runtime`` is too slow on this processor to play.
        FailedError: it does not work.
    """
    if why := _too_slow(runtime, model):
        raise UnavailableError(why)


@functools.cache
def _too_slow(runtime: str, model: str) -> str:
    if importlib.util.find_spec(runtime) is None:
        return ""
    with measure.step(f"whether {runtime} is fast enough"):
        figures = _child(runtime, model, PROBE_S).figures
    token_us = figures["token_cpu_us"]
    if token_us <= SLOWEST_TOKEN_US:
        return ""
    return (
        f"{runtime} cannot be judged on this processor, for which it has no fast kernels: one "
        f"token of {model} takes {token_us / 1e3:.0f} ms of processor time, which is too slow to "
        "play; Bachbox prefers the other runtime"
    )


def _child(runtime: str, model: str, longest_s: float) -> ChildResult:
    return measure.child(
        [sys.executable, "-m", "benchmarks.composing", model, str(longest_s)],
        # Several threads would read the weights from several caches.
        {RUNTIME_VARIABLE: runtime, "OPENBLAS_NUM_THREADS": "1"},
    )


def table_line(result: ChildResult) -> tuple[str, ...]:
    """One model's figures, in the order of :data:`HEAD`."""
    figures = result.figures
    step_us = Quantiles(*figures["step_us"])
    return (
        f"{figures['model']}, {figures['weights_mb']:.1f} MB",
        f"{figures['token_cpu_us']:,.0f}",
        str(step_us),
        measure.three_digits(figures["floor_us"]),
        f"{step_us.median / figures['floor_us']:.1f}",
        f"{share_percent(result):.2f} %",
        f"{figures['longest_ms']:,.0f}",
        f"{figures['rss_mb']:.0f}",
        f"{result.first_note_s:.2f}",
    )


def share_percent(result: ChildResult) -> float:
    """Percent of a core that composing takes at the model's own tempo."""
    return float(result.figures["tokens_a_second"] * result.figures["token_cpu_us"] / 1e4)


def judged(runtime: str, result: ChildResult) -> list[Row]:
    """The bar for one step, on the runtime for which there is one."""
    if runtime != FLOOR_RUNTIME:
        return []
    figures = result.figures
    times = Quantiles(*figures["step_us"]).median / figures["floor_us"]
    return [
        Row(
            f"{figures['model']}: one step of the network",
            f"{times:.1f} times its floor",
            f"≤ {FLOOR_BAR:g} times",
            times <= FLOOR_BAR,
            f"{figures['steps_a_token']:.2f} steps a token; {figures['tokens_a_second']:.1f} "
            f"tokens are a second of music at {figures['tempo_bpm']:g} beats a minute",
        )
    ]


class _TimedModel(StepModel):
    """Notes how long every step takes."""

    def __init__(self, model: model_file.ModelFile) -> None:
        self.step_ns: list[int] = []
        super().__init__(model)

    def step(self, features: list[int]) -> NDArray[np.float32]:
        start = time.perf_counter_ns()
        logits = super().step(features)
        self.step_ns.append(time.perf_counter_ns() - start)
        return logits


def floor_us(size_bytes: int) -> float:
    """Microseconds in which one core reads so many bytes from its cache.

    The quickest of many reads by numpy's vectorised sums, the memory having just been read.
    """
    numbers = np.ones(max(size_bytes // 4, 1), np.float32)
    integers = numbers.view(np.int32)
    best_ns = float("inf")
    for _ in range(_READS):
        start = time.perf_counter_ns()
        np.dot(numbers, numbers)
        middle = time.perf_counter_ns()
        np.bitwise_or.reduce(integers)
        best_ns = min(best_ns, middle - start, time.perf_counter_ns() - middle)
    return best_ns / 1e3


def main(model: str, longest_s: float) -> None:
    """Compose, and print how long it took."""
    path = model_file.find(model, loader.model_folders(loader.Config()))
    composer = Composer(model_file.load(path), seed=1)
    composer.step_model = timed = _TimedModel(composer.model_file)
    while not composer.counts.notes:
        composer.step()
    measure.print_first_note()
    warm_up = time.process_time() + min(WARM_UP_S, longest_s)
    while time.process_time() < warm_up:
        composer.step()

    timed.step_ns.clear()
    longest_ns, tick = 0, composer.tick
    tokens_before, notes_before = composer.counts.tokens, composer.counts.notes
    cpu_start, start = time.process_time(), time.perf_counter()
    while (
        composer.counts.tokens < tokens_before + TOKENS
        and time.process_time() < cpu_start + longest_s
    ):
        step_start = time.process_time_ns()
        composer.step()
        longest_ns = max(longest_ns, time.process_time_ns() - step_start)
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
    made = composer.counts.tokens - tokens_before
    notes = composer.counts.notes - notes_before
    tempo_bpm = composer.model_file.tempo_bpm
    music_s = (composer.tick - tick) / TICKS_PER_BEAT * 60 / tempo_bpm
    weights = len(composer.model_file.flatbuffer)
    measure.print_figures(
        {
            "model": composer.model_file.name,
            "runtime": f"{timed.runtime} {report.version(timed.runtime)}",
            "weights_mb": weights / 1e6,
            "floor_us": floor_us(weights),
            "step_us": Quantiles.of([ns / 1e3 for ns in timed.step_ns]),
            "steps_a_token": len(timed.step_ns) / made,
            "longest_ms": longest_ns / 1e6,
            "token_cpu_us": cpu_s / made * 1e6,
            "note_us": wall_s / notes * 1e6,
            "note_cpu_us": cpu_s / notes * 1e6,
            "tempo_bpm": tempo_bpm,
            "tokens_a_second": made / music_s,
        }
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
