"""The likelihood of held-out pieces under the model file as it is played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import ModelFile


def nll_per_unit(model: ModelFile, scores: Sequence[Any]) -> float:
    """The negative log-likelihood of whole pieces under the int8 model, in nats per unit.

    Teacher-forced, at temperature 1, without the end token. The unit is the codec's: one note, one
    character, or one 16th step with the sum over all four voices, which is the unit of the joint
    figures in the literature.

    Raises:
        BachboxError: the runtime refuses the model.
        ValueError: the codec cannot encode a score.
    """
    stepper = StepModel(model)
    total, units = 0.0, 0
    for score in tqdm(scores, f"{model.name} on {stepper.runtime}", leave=False):
        features, tokens = model.codec.encode(score)
        token_count, unit_count = model.codec.loss_counts(score)
        stepper.reset()
        for active, token in zip(features[:token_count], tokens, strict=False):
            logits = stepper.step(active).astype(np.float64)
            peak = logits.max()
            total += peak + np.log(np.exp(logits - peak).sum()) - logits[token]
        units += unit_count
    return float(total / units)
