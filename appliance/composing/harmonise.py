"""A melody kept as the soprano, and three voices composed under it.

The soprano's tokens are given, and the model composes the others left to right, so it cannot know
where the melody goes. Several drafts are therefore composed side by side. At every beat those under
which the melody went on as the model expected are continued more than once, and those under which
it came as a surprise are given up: sequential importance resampling, or a particle filter (N. J.
Gordon, D. J. Salmond, A. F. M. Smith, "Novel approach to nonlinear/non-Gaussian Bayesian state
estimation", IEE Proceedings F 140 (1993), 107-113). The particles are drafts, and the observations
are the notes of the melody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from appliance.common.logs import NOTICE
from appliance.composing import sampler
from appliance.composing.interpreter import State, StepModel
from appliance.composing.model_file import ModelFile
from appliance.composing.token_source import correction_of
from appliance.errors import UsageError
from appliance.music.codecs.base import Cadence, Opening
from appliance.music.codecs.four_part import FourPartCodec, FourPartContext
from appliance.music.files import score_reader
from appliance.music.melody import Melody, melody_of
from appliance.music.score import VOICE_ORDER

logger = logging.getLogger(__name__)

DRAFTS: Final = 8
"""How many drafts are composed side by side."""
BEAT_STEPS: Final = 4
"""16ths after which drafts are given up and others continued."""
MIN_EFFECTIVE_SHARE: Final = 2 / 3
"""Drafts are exchanged where their effective number is below this share of them all."""


def harmonise(
    model_file: ModelFile,
    melody: Melody,
    *,
    seed: int,
    temperature: float,
    top_p: float,
    drafts: int = DRAFTS,
    progress: Callable[[float], None] = lambda done: None,
) -> Opening:
    """Compose three voices under a melody; a whole piece for a composer to start from.

    Args:
        model_file: a model of four voices; see :func:`codec_of`.
        melody: becomes the soprano, note for note.
        seed: 0 or more; the same one gives the same voices.
        temperature: of the sampling.
        top_p: of the sampling.
        drafts: how many are composed side by side.
        progress: called with the share that is done, 0 to 1.

    Raises:
        UsageError: the model is not one of four voices, or temperature or top-p is out of range.
        BachboxError: the runtime refuses the model.
    """
    sampler.check(temperature, top_p)
    codec = codec_of(model_file)
    model = StepModel(model_file)
    rng = np.random.default_rng(seed)
    beginning = _Draft(codec.start(melody.form, melody.key), model.state)
    found = [beginning.copy() for _ in range(drafts)]
    for step, (pitch, struck) in enumerate(zip(melody.pitches, melody.onsets, strict=True)):
        if step and (step - melody.form.pickup_steps) % BEAT_STEPS == 0:
            found = _exchanged(found, rng)
        for draft in found:
            draft.add_step(model, codec, pitch, struck, rng, temperature, top_p)
        progress((step + 1) / len(melody.pitches))
    return Opening(melody.form, melody.key, _best(found).tokens, melody.notices, whole=True)


def codec_of(model_file: ModelFile) -> FourPartCodec:
    """The codec of a model that can harmonise.

    Raises:
        UsageError: the model is not one of four voices.
    """
    codec = model_file.codec
    if not (isinstance(codec, FourPartCodec) and codec.onsets and codec.uses_forms):
        raise UsageError(
            f"the model {model_file.name} does not write four voices, so it harmonises no melody",
            remedy="choose chorales",
        )
    return codec


def read_melody(model_file: ModelFile, path: Path) -> Melody:
    """Read the melody in a user's file, in the range of the model's soprano.

    What was left out or interpreted is logged.

    Raises:
        UsageError: there is no such file, it has no melody that can be kept as it is, or the model
            is not one of four voices.
    """
    lowest, highest = codec_of(model_file).ranges[0]
    melody = melody_of(score_reader.read(path), lowest, highest)
    for notice in melody.notices:
        logger.log(NOTICE, "%s: %s", path, notice)
    return melody


class _Draft:
    """A harmonisation up to one step.

    Args:
        context: of the piece.
        state: of the model.
    """

    def __init__(self, context: FourPartContext, state: State) -> None:
        self._context = context
        self._state = state
        self.tokens: list[int] = []
        self.log_likelihood = 0.0
        """Of all voices, in nats."""
        self.log_weight = 0.0
        """The log-likelihood of the melody since drafts were last exchanged."""

    def copy(self) -> Self:
        """A draft that continues from here by itself."""
        copied = type(self)(self._context.copy(), self._state)
        copied.tokens = self.tokens.copy()
        copied.log_likelihood = self.log_likelihood
        return copied

    @property
    def cadence(self) -> Cadence:
        """How it closes if it ends here."""
        return self._context.cadence()

    def add_step(
        self,
        model: StepModel,
        codec: FourPartCodec,
        pitch: int,
        struck: bool,
        rng: np.random.Generator,
        temperature: float,
        top_p: float,
    ) -> None:
        """Add a 16th: the melody's note, and three that are sampled."""
        context = self._context
        model.state = self._state
        for voice in VOICE_ORDER:
            logits = model.step(context.features())
            if voice == 0:
                token = codec.token(pitch, struck, context.sounding[0])
                self.log_weight += _log_probability(logits, token)
            else:
                token = sampler.sample(
                    logits,
                    temperature=temperature,
                    top_p=top_p,
                    uniform=float(rng.random()),
                    forbidden=context.forbidden(),
                    correction=correction_of(model, context),
                )
            self.log_likelihood += _log_probability(logits, token)
            self.tokens.append(token)
            context.accept(token)
        self._state = model.state


def _log_probability(logits: NDArray[np.float32], token: int) -> float:
    shifted = logits.astype(np.float64) - logits.max()
    return float(shifted[token] - np.log(np.exp(shifted).sum()))


def _best(drafts: list[_Draft]) -> _Draft:
    """The likeliest of the drafts that close best."""
    return max(drafts, key=lambda draft: (draft.cadence, draft.log_likelihood))


def _exchanged(drafts: list[_Draft], rng: np.random.Generator) -> list[_Draft]:
    """The drafts to go on with, as many as before.

    Each is continued as often as its weight says (systematic resampling); all once each while
    their weights are alike.
    """
    log_weights = np.array([draft.log_weight for draft in drafts])
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    count = len(drafts)
    if 1 / float((weights**2).sum()) >= MIN_EFFECTIVE_SHARE * count:
        return drafts
    places = (float(rng.random()) + np.arange(count)) / count
    chosen = np.searchsorted(np.cumsum(weights), places).clip(0, count - 1)
    return [drafts[index].copy() for index in chosen]
