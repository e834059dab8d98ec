"""A comparison: Keras, and the whole window computed again for every note.

This is what one finds when looking for a program that plays like Bach: two LSTM layers of 300
units over the last 40 notes, and ``model.predict()`` for the next one. The weights are random;
learned ones cost the same. ``python -m benchmarks.keras_baseline predict|call COUNT`` needs
TensorFlow (the extra ``keras``) and nothing of Bachbox.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import CHECKOUT, ChildResult, UnavailableError

WINDOW_NOTES = 40
UNITS = 300
PITCHES = 128
WAYS = {"predict": 100, "call": 300}
"""How the next note is asked for, and how many are measured."""


def measured(python: Path, way: str) -> ChildResult:
    """What a process that composes in this way printed.

    Raises:
        UnavailableError: the environment with TensorFlow does not exist.
    """
    if not any((CHECKOUT / python).parent.parent.glob("lib/python*/site-packages/tensorflow")):
        raise UnavailableError(
            f"there is no TensorFlow beside {python}; its 2.15 exists up to Python 3.11, so run "
            "`make bench TRAIN_PYTHON=/path/to/python3.11`"
        )
    notes = measure.count(WAYS[way], 20)
    return measure.child([CHECKOUT / python, "-m", "benchmarks.keras_baseline", way, str(notes)])


def main(way: str, notes: int) -> None:
    """Compose, and print how long it took."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np
    import tensorflow as tf

    model = tf.keras.Sequential(
        [
            tf.keras.layers.Input((WINDOW_NOTES, PITCHES)),
            tf.keras.layers.LSTM(UNITS, return_sequences=True),
            tf.keras.layers.LSTM(UNITS),
            tf.keras.layers.Dense(PITCHES, activation="softmax"),
        ]
    )
    dice = np.random.default_rng(1)
    window = np.eye(PITCHES, dtype=np.float32)[dice.integers(PITCHES, size=(1, WINDOW_NOTES))]

    def note() -> None:
        nonlocal window
        odds = model.predict(window, verbose=0) if way == "predict" else model(window).numpy()
        cumulated = np.cumsum(odds[0])
        pitch = int(np.searchsorted(cumulated, dice.random() * cumulated[-1]))
        sampled = np.eye(PITCHES, dtype=np.float32)[[[min(pitch, PITCHES - 1)]]]
        window = np.concatenate([window[:, 1:], sampled], axis=1)

    note()
    measure.print_first_note()
    for _ in range(10):
        note()
    note_us = []
    cpu_start = time.process_time()
    for _ in range(notes):
        start = time.perf_counter()
        note()
        note_us.append((time.perf_counter() - start) * 1e6)
    cpu_s = time.process_time() - cpu_start
    measure.print_figures(
        {
            "tensorflow": tf.__version__,
            "note_us": sum(note_us) / len(note_us),
            "note_cpu_us": cpu_s / len(note_us) * 1e6,
        }
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
