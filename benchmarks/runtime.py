"""Microseconds a token, on each of the two TensorFlow Lite runtimes, in a process of its own.

``python -m benchmarks.runtime`` is that process; ``BACHBOX_RUNTIME`` names the runtime.
"""

from __future__ import annotations

import importlib.util
import sys
import time

import numpy as np
from numpy.typing import NDArray

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.interpreter import RUNTIME_VARIABLE, StepModel
from appliance.config import loader
from benchmarks import measure, report
from benchmarks.measure import Quantiles, Told, UnavailableError
from benchmarks.report import Row

WARM_UP_TOKENS = 2_000
TOKENS = 20_000


def measured(name: str) -> Told:
    """What a process that composes with the runtime ``name`` tells.

    Raises:
        UnavailableError: the runtime is not installed.
        FailedError: it is, and does not work.
    """
    if importlib.util.find_spec(name) is None:
        why = f"{name} is not installed"
        if name == "tflite_runtime" and sys.version_info >= (3, 12):
            why = f"{name} ends with Python 3.11"
        raise UnavailableError(f"{why}; run `make bench PYTHON=python3.11` to have both runtimes")
    return measure.child([sys.executable, "-m", "benchmarks.runtime"], {RUNTIME_VARIABLE: name})


def rows(name: str, told: Told) -> list[Row]:
    """The figures of one runtime."""
    figures = told.figures
    token_us = Quantiles(*figures["token_us"])
    tokens_a_second = figures["tokens_a_second"]
    return [
        Row(
            f"{name}: one step of the model",
            f"{Quantiles(*figures['step_us'])} µs",
            how=f"median over {TOKENS:,} tokens, model {figures['model']}, one thread",
        ),
        Row(
            f"{name}: one token, whole",
            f"{token_us} µs",
            how="the composer's own work included; mean of the four of a 16th step",
        ),
        Row(
            f"{name}: share of a core",
            f"{tokens_a_second * figures['token_cpu_us'] / 1e4:.2f} %",
            how=f"{tokens_a_second:.1f} tokens are a second of music at {figures['tempo_bpm']:g} "
            f"beats a minute, {figures['token_cpu_us']:.0f} µs of processor each; endings are "
            f"rehearsed, so the model makes {figures['steps_a_token']:.2f} steps for each",
        ),
        Row(
            f"{name}: the longest 16th step",
            f"{figures['longest_ms']:,.0f} ms",
            how="the most processor between two looks at the controls, an ending rehearsed",
        ),
        Row(
            f"{name}: the composing process",
            f"{figures['rss_mb']:.0f} MB, first note after {told.first_note_s:.2f} s",
            how="RSS at its largest; from the start of Python",
        ),
    ]


class _Timed(StepModel):
    """Notes how long every step takes."""

    def __init__(self, of: model_file.Bundle) -> None:
        self.step_ns: list[int] = []
        super().__init__(of)

    def step(self, features: list[int]) -> NDArray[np.float32]:
        start = time.perf_counter_ns()
        logits = super().step(features)
        self.step_ns.append(time.perf_counter_ns() - start)
        return logits


def main() -> None:
    """Compose, and tell how long it took."""
    defaults = loader.Config()
    path = model_file.find(defaults.music.model, loader.model_folders(defaults))
    composer = Composer(model_file.load(path), seed=1)
    composer.model = timed = _Timed(composer.bundle)
    while not composer.counts.notes:
        composer.step()
    measure.tell_first_note()
    while composer.counts.tokens < WARM_UP_TOKENS:
        composer.step()

    timed.step_ns.clear()
    token_us, longest_ns = [], 0
    tokens_before, notes_before = composer.counts.tokens, composer.counts.notes
    cpu_start, start = time.process_time(), time.perf_counter()
    while (done := composer.counts.tokens) < tokens_before + TOKENS:
        cpu_step_start, step_start = time.process_time_ns(), time.perf_counter_ns()
        composer.step()
        step_ns = time.perf_counter_ns() - step_start
        longest_ns = max(longest_ns, time.process_time_ns() - cpu_step_start)
        if tokens := composer.counts.tokens - done:
            token_us.append(step_ns / tokens / 1e3)
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
    notes = composer.counts.notes - notes_before

    tempo_bpm = composer.bundle.tempo_bpm
    measure.tell(
        {
            "model": composer.bundle.name,
            "runtime": f"{timed.runtime} {report.version(timed.runtime)}",
            "step_us": Quantiles.of([ns / 1e3 for ns in timed.step_ns]),
            "token_us": Quantiles.of(token_us),
            "steps_a_token": len(timed.step_ns) / TOKENS,
            "longest_ms": longest_ns / 1e6,
            "token_cpu_us": cpu_s / TOKENS * 1e6,
            "note_us": wall_s / notes * 1e6,
            "note_cpu_us": cpu_s / notes * 1e6,
            "tokens_a_note": TOKENS / notes,
            "tempo_bpm": tempo_bpm,
            # Four voices, four 16th steps a beat.
            "tokens_a_second": tempo_bpm / 60 * 4 * 4,
        }
    )


if __name__ == "__main__":
    main()
