"""What a form plans to return in four-part music."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from appliance.common.copying import Copyable
from appliance.music.returns import sources
from appliance.music.score import SILENT, Form

CLOSING_BARS: Final = 2
"""So many bars at the end of a piece never return: their source may close on another chord than the
tonic, and every sample of the ending would close as it does."""


class PlannedParts(Copyable):
    """Remembers the four parts of a piece, and knows which notes its map asks for.

    Args:
        form: of the piece, with its map.
    """

    shared_when_copied = frozenset({"_sources"})

    def __init__(self, form: Form) -> None:
        self._bar_steps, self._pickup_steps = form.bar_steps, form.pickup_steps
        self._closing_step = form.steps - CLOSING_BARS * form.bar_steps
        self._sources = MappingProxyType(sources(form.facts.returns, form.steps))
        self._notes: dict[tuple[int, int], tuple[int, bool]] = {}
        """MIDI note or ``SILENT``, and whether it is struck, by step and voice."""

    def add(self, step: int, voice: int, pitch: int, struck: bool) -> None:
        """Record the MIDI note, or ``SILENT``, that a voice strikes or holds in a 16th step."""
        if self._sources:
            self._notes[step, voice] = (pitch, struck)

    def note(self, step: int, voice: int) -> tuple[int, bool] | None:
        """What a voice does in a 16th step: a MIDI note or ``SILENT``, and whether it is struck.

        ``None`` where nothing is planned.
        """
        bar = (step - self._pickup_steps) // self._bar_steps
        if bar not in self._sources or step >= self._closing_step:
            return None
        source, move = self._sources[bar]
        found = self._notes.get((step - (bar - source) * self._bar_steps, voice))
        if found is None:
            return None
        pitch, struck = found
        return (pitch if pitch == SILENT else pitch + move, struck)
