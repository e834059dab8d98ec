"""The naive way, for comparison: Keras, and the whole window computed anew for every note.

What one finds when looking for a program that plays like Bach: two LSTM layers of 300 over the
last 40 notes, ``model.predict()`` for the next one. The weights are random, which costs the
same. ``python -m benchmarks.naive predict|call`` needs TensorFlow (the extra ``naive``) and
nothing of Bachbox.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import CHECKOUT, Quantiles, Told, UnavailableError

WINDOW_NOTES = 40
UNITS = 300
PITCHES = 128
WAYS = {"predict": 100, "call": 300}
"""How the next note is asked for, and how many are measured."""


def measured(python: Path, way: str) -> Told:
    """What a process that composes so tells.

    Raises:
        UnavailableError: the environment with TensorFlow is not there.
    """
    if not any((CHECKOUT / python).parent.parent.glob("lib/python*/site-packages/tensorflow")):
        raise UnavailableError(
            f"there is no TensorFlow beside {python}; its 2.15 exists up to Python 3.11, so run "
            "`make bench TRAIN_PYTHON=/path/to/python3.11`"
        )
    return measure.child([CHECKOUT / python, "-m", "benchmarks.naive", way])


def main(way: str) -> None:
    """Compose, and tell how long it took."""
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
        chances = model.predict(window, verbose=0) if way == "predict" else model(window).numpy()
        cumulated = np.cumsum(chances[0])
        pitch = int(np.searchsorted(cumulated, dice.random() * cumulated[-1]))
        heard = np.eye(PITCHES, dtype=np.float32)[[[min(pitch, PITCHES - 1)]]]
        window = np.concatenate([window[:, 1:], heard], axis=1)

    note()
    measure.tell_first_note()
    for _ in range(10):
        note()
    note_us = []
    cpu_start = time.process_time()
    for _ in range(WAYS[way]):
        start = time.perf_counter()
        note()
        note_us.append((time.perf_counter() - start) * 1e6)
    cpu_s = time.process_time() - cpu_start
    quantiles = Quantiles.of(note_us)
    measure.tell(
        {
            "tensorflow": tf.__version__,
            "note_us": quantiles.mean,
            "quantiles_us": quantiles,
            "note_cpu_us": cpu_s / len(note_us) * 1e6,
        }
    )


if __name__ == "__main__":
    main(sys.argv[1])
