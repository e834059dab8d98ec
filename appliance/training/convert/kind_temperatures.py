"""Calibration: a temperature for each kind of token that makes the valid pieces likeliest.

A network that has overfitted is too sure of itself, and more so about rhythm than about pitch.
Dividing the logits by a temperature that is fitted on held-out data mends that without any change
of the order of the tokens (Guo et al. 2017, "On Calibration of Modern Neural Networks"). Here each
kind of token has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import KindTemperature, ModelFile
from appliance.music.codecs.base import Codec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec

CANDIDATES = [round(0.8 + 0.05 * n, 2) for n in range(25)]
"""From 0.8 to 2."""
ROUNDS = 2
"""The kinds are fitted one after the other, this many times."""


def kinds(codec: Codec) -> list[range]:
    """Return the tokens of each kind; every token is of one.

    In free rhythm: times (and the end), pitches, lengths. The tokens of the other codecs are all of
    one kind.
    """
    if isinstance(codec, FreeRhythmCodec):
        edges = [0, codec.first_pitch, codec.first_length, codec.classes]
        return [range(first, end) for first, end in pairwise(edges)]
    return [range(len(codec.vocabulary))]


def fit_kind_temperatures(model: ModelFile, scores: Sequence[Any]) -> list[KindTemperature]:
    """Return the temperatures that make pieces likeliest, teacher-forced.

    Args:
        model: the model file; the temperatures in it count as 1.
        scores: held-out pieces of the codec's kind, which are used for nothing else.

    Raises:
        BachboxError: the runtime refuses the model.
        ValueError: the codec cannot encode a score.
    """
    plain = replace(model, metadata=msgspec.structs.replace(model.metadata, kind_temperatures=[]))
    logits, tokens = _forced_logits(plain, scores)
    groups = kinds(model.codec)
    temperatures = [1.0] * len(groups)
    for _ in range(ROUNDS):
        for number, group in enumerate(groups):
            # The logits of the other kinds hardly matter where this kind is next.
            of_kind = (tokens >= group.start) & (tokens < group.stop)
            if not of_kind.any():
                continue
            trials = [
                [*temperatures[:number], candidate, *temperatures[number + 1 :]]
                for candidate in CANDIDATES
            ]
            nlls = [_nll(logits[of_kind] / _by_class(groups, t), tokens[of_kind]) for t in trials]
            temperatures[number] = CANDIDATES[int(np.argmin(nlls))]
    return [
        (group.start, len(group), temperature)
        for group, temperature in zip(groups, temperatures, strict=True)
    ]


def _by_class(groups: Sequence[range], temperatures: Sequence[float]) -> NDArray[np.float32]:
    return np.repeat(np.array(temperatures, np.float32), [len(group) for group in groups])


def _nll(logits: NDArray[np.float32], tokens: NDArray[np.int64]) -> float:
    peak = logits.max(1)
    total = np.log(np.exp(logits - peak[:, None]).sum(1, dtype=np.float64)) + peak
    return float((total - logits[np.arange(len(tokens)), tokens]).mean())


def _forced_logits(
    model: ModelFile, scores: Sequence[Any]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The logits before each token of the pieces that counts, ``(tokens, classes)``, and these."""
    stepper = StepModel(model)
    logits: list[NDArray[np.float32]] = []
    targets: list[int] = []
    for score in tqdm(scores, f"{model.name}: calibrating", leave=False):
        features, tokens = model.codec.encode(score)
        count, _ = model.codec.loss_counts(score)
        stepper.reset()
        logits += [stepper.step(active) for active in features[:count]]
        targets += tokens[:count]
    return np.array(logits), np.array(targets)
