"""From the contacts of a rotary encoder to a value of a setting. No pins and no threads here."""

from __future__ import annotations

from typing import Final

from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings import Settings
from appliance.state.settings_ranges_and_steps import BY_NAME

_CYCLE: Final = {(False, False): 0, (True, False): 1, (True, True): 2, (False, True): 3}
"""The states of the contacts (closed or not) in the order of a turn to the right."""


class QuadratureDecoder:
    """Counts the clicks of an encoder from the edges of its two contacts.

    A contact that bounces goes a quarter of a cycle forward and back, which adds up to nothing; a
    click counts when the contacts rest where the encoder has a detent.

    Args:
        detents_per_cycle: 1 (a detent where both contacts are open), 2 (also where both are
            closed), or 4 (everywhere).
    """

    def __init__(self, detents_per_cycle: int = 1) -> None:
        self._quarters_per_click = 4 // detents_per_cycle
        self._a = self._b = False
        self._quarters = 0
        """Since the last detent; positive to the right."""

    def edge(self, is_a: bool, closed: bool) -> int:
        """Process an edge of contact A or B; return the clicks, positive to the right."""
        before = _CYCLE[self._a, self._b]
        if is_a:
            self._a = closed
        else:
            self._b = closed
        now = _CYCLE[self._a, self._b]
        self._quarters += (now - before + 1) % 4 - 1
        if now % self._quarters_per_click:
            return 0
        # A quarter that was lost on the way is made up for here.
        clicks = round(self._quarters / self._quarters_per_click)
        self._quarters = 0
        return clicks


def value_after_clicks(
    settings: Settings, name: str, clicks: int, step: float | None = None
) -> object:
    """Return the value of setting ``name`` after turning a rotary encoder.

    Args:
        settings: the current settings.
        name: the setting.
        clicks: how far; positive to the right.
        step: the change of a number at each click; None: ``encoder_step`` in the settings table.
    """
    current = getattr(settings.effective, name)
    kind = BY_NAME[name].kind
    if isinstance(kind, Number):
        return kind.clamp(current + clicks * (step or kind.encoder_step))
    if isinstance(kind, Switch):
        return clicks > 0
    options = settings.options(name)
    if current not in options:
        return current
    return options[(options.index(current) + clicks) % len(options)]
