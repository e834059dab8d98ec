"""The figure that counts: nats a 16th step on held-out pieces, of the model file itself."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from appliance.music.bundle import Bundle
from appliance.music.interpreter import StepModel
from appliance.music.score import VOICES, Score


def nats_a_step(bundle: Bundle, scores: list[Score]) -> float:
    """Negative log-likelihood of the notes of whole pieces under the int8 model.

    Summed over the four voices, averaged over all 16th steps of all pieces, teacher-forced,
    temperature 1, the end token not counted: the unit of the literature's joint figures.
    """
    model = StepModel(bundle)
    total, steps = 0.0, 0
    for score in tqdm(scores, f"{bundle.name} on {model.runtime}", leave=False):
        features, tokens = bundle.codec.encode(score)
        model.reset()
        for active, token in zip(features[: VOICES * score.steps], tokens, strict=False):
            logits = model.step(active).astype(np.float64)
            peak = logits.max()
            total += peak + np.log(np.exp(logits - peak).sum()) - logits[token]
        steps += score.steps
    return total / steps
