"""Where the composer's tokens come from: sampled, rehearsed, or given.

To rehearse is to sample a passage several times (best of n) and to keep the sample that does best
what the passage is for: an opening states the key, an ending closes on the tonic. Every sample is
music that the model could have composed anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.composing import sampler
from appliance.composing.interpreter import State, StepModel
from appliance.music.codecs.base import Context
from appliance.music.events import Event

MAX_PASSAGE_TOKENS = 1000
"""A sample of a passage is not longer than this."""


class Conditions(NamedTuple):
    """What besides model and past decides which token is sampled."""

    temperature: float
    top_p: float
    must_sound: bool
    """Rests are ruled out."""
    planned: bool
    """What the form plans to return is preferred."""


class SampledToken(NamedTuple):
    """A token, the conditions under which it was sampled, and the model's state after it."""

    conditions: Conditions
    token: int
    state: State


class Passage(NamedTuple):
    """What to sample several times, and how to choose among the samples."""

    name: str
    samples: int
    """How many at most; 0: it is not rehearsed."""
    over: Callable[[Context], bool]
    """Whether the passage has ended."""
    merit: Callable[[Context, list[Event]], float]
    """How good a sample is, from the context after it and its events."""
    enough: float
    """A sample of this merit is kept at once."""


def correction_of(step_model: StepModel, context: Context) -> NDArray[np.float64] | None:
    """Return what corrects the logits of the next token: float64 ``(classes,)``, or None."""
    corrections = step_model.corrections
    return corrections[context.aspects()].sum(axis=0) if len(corrections) else None


class TokenSource:
    """Gives a composer its tokens, each for one random number.

    Args:
        seed: 0 or more; everything random follows from it.
        step_model: gives the logits.
        on_token: called for each token, those of discarded samples too, as a sign of life.
    """

    def __init__(self, seed: int, step_model: StepModel, on_token: Callable[[], None]) -> None:
        self.step_model = step_model
        self.on_token = on_token
        self._seed = seed
        self._rng = np.random.default_rng(0)
        self._rehearsed: list[SampledToken] = []
        """What is left of the chosen sample, the next token last."""

    def random_numbers(self, *purpose: int) -> np.random.Generator:
        """The random numbers that the seed gives for a purpose, which is named by integers."""
        return np.random.default_rng([self._seed, *purpose])

    def begin(self, *purpose: int) -> None:
        """Use other random numbers from here on: those for ``purpose``."""
        self._rehearsed.clear()
        self._rng = self.random_numbers(*purpose)

    @property
    def state(self) -> tuple[State, Mapping[str, Any]]:
        """What decides the next tokens, besides the context and the conditions."""
        return self.step_model.state, self._rng.bit_generator.state

    def restore(self, state: tuple[State, Mapping[str, Any]]) -> None:
        """Go back to an earlier :attr:`state`."""
        self._rehearsed.clear()
        self.step_model.state, self._rng.bit_generator.state = state

    def give(self, context: Context, token: int) -> int:
        """Take a token that is known; model and random numbers advance as if it were sampled.

        Raises:
            BachboxError: as :meth:`StepModel.step`.
        """
        self._rehearsed.clear()
        self.on_token()
        self.step_model.step(context.features())
        self._rng.random()
        return token

    def sample(self, context: Context, conditions: Conditions) -> int:
        """Sample the next token.

        Raises:
            BachboxError: as :meth:`StepModel.step`.
        """
        return self._sample(context, conditions).token

    def _sample(self, context: Context, conditions: Conditions) -> SampledToken:
        self.on_token()
        uniform = float(self._rng.random())
        if self._rehearsed:
            rehearsed = self._rehearsed.pop()
            if rehearsed.conditions == conditions:
                # The same random number under the same conditions: the model need not run again.
                self.step_model.state = rehearsed.state
                return rehearsed
            self._rehearsed.clear()
        token = sampler.sample(
            self.step_model.step(context.features()),
            temperature=conditions.temperature,
            top_p=conditions.top_p,
            uniform=uniform,
            forbidden=context.forbidden(must_sound=conditions.must_sound),
            planned=context.planned() if conditions.planned else (),
            correction=correction_of(self.step_model, context),
        )
        return SampledToken(conditions, token, self.step_model.state)

    def rehearse(
        self, context: Context, conditions: Conditions, passage: Passage, *purpose: int
    ) -> None:
        """Sample a passage several times; the best sample's tokens are sampled next.

        Args:
            context: where the passage begins; it stays as it is.
            conditions: of the sampling. If they change, the rest is sampled afresh.
            passage: what to sample.
            purpose: names the random numbers; the number of the sample is added to it.

        Raises:
            BachboxError: as :meth:`StepModel.step`.
        """
        state = self.step_model.state
        best_merit, best_sample, best_tokens = float("-inf"), 0, list[SampledToken]()
        for sample in range(passage.samples):
            self.begin(*purpose, sample)
            tried, events, tokens = context.copy(), list[Event](), list[SampledToken]()
            while not passage.over(tried) and len(tokens) < MAX_PASSAGE_TOKENS:
                tokens.append(self._sample(tried, conditions))
                events += tried.accept(tokens[-1].token)
            self.step_model.state = state
            merit = passage.merit(tried, events)
            if merit > best_merit:
                best_merit, best_sample, best_tokens = merit, sample, tokens
            if merit >= passage.enough:
                break
        self.begin(*purpose, best_sample)
        self._rehearsed = best_tokens[::-1]
