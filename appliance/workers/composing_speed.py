"""How fast this machine composes, and so how many samples of a passage it can compare."""

from __future__ import annotations

import time
from typing import Final

from appliance.composing.composer import Composer
from appliance.music.events import Event

MIN_AHEAD_S: Final = 1.0
"""With less music than this ahead of the playhead there is no time to compare samples."""

FIRST_SAMPLES_S: Final = 0.4
"""How long samples of the very first bars may take, while nothing is heard yet."""

TRIAL_TOKENS: Final = 6
"""How many tokens measure the speed at the start: about a step."""

_STEP_WEIGHT: Final = 0.05
"""Weight of the newest step in the mean duration of a step."""


class ComposingSpeed:
    """Measures the composer's steps in processor time.

    The same seed is to give the same music on a busy machine too.

    Args:
        composer: before its first step; the model's state is reset.
    """

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        begun_s = time.thread_time()
        for _ in range(TRIAL_TOKENS):
            composer.step_model.step([0])
        self._step_s = max(time.thread_time() - begun_s, 1e-6)
        """Mean processor time of the most recent steps."""
        composer.step_model.reset()

    def step(self, ahead_s: float, *, first: bool) -> list[Event]:
        """Compose a step, comparing as many samples as there is time for.

        Args:
            ahead_s: how much music is composed beyond the playhead.
            first: nothing has been heard of this session yet.

        Raises:
            BachboxError: as :meth:`Composer.step`.
        """
        composer = self._composer
        spare_s = FIRST_SAMPLES_S if first else max(ahead_s - MIN_AHEAD_S, 0.0)
        composer.spare_steps = spare_s / self._step_s
        begun_s, tokens = time.thread_time(), composer.counts.tokens
        events = composer.step()
        took_s = time.thread_time() - begun_s
        if composer.counts.tokens > tokens:
            # A step that compared samples must not dominate the mean, nor one that only repeats.
            self._step_s += _STEP_WEIGHT * (min(took_s, 4 * self._step_s) - self._step_s)
        return events
