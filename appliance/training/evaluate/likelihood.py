"""The figure that counts: nats a unit on held-out pieces, of the model file itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import Bundle


def nats_a_unit(bundle: Bundle, scores: Sequence[Any]) -> float:
    """Negative log-likelihood of the music of whole pieces under the int8 model.

    Teacher-forced, temperature 1, the end token not counted; averaged over the codec's units
    of all pieces (for four voices the sum over the voices a 16th step: the unit of the
    literature's joint figures).
    """
    model = StepModel(bundle)
    total, units = 0.0, 0
    for score in tqdm(scores, f"{bundle.name} on {model.runtime}", leave=False):
        features, tokens = bundle.codec.encode(score)
        counted, length = bundle.codec.units(score)
        model.reset()
        for active, token in zip(features[:counted], tokens, strict=False):
            logits = model.step(active).astype(np.float64)
            peak = logits.max()
            total += peak + np.log(np.exp(logits - peak).sum()) - logits[token]
        units += length
    return float(total / units)
