"""From the clicks of a rotary encoder to a value of a setting. No pins and no threads here."""

from __future__ import annotations

from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings import Settings
from appliance.state.settings_table import BY_NAME


def value_after_clicks(
    settings: Settings, name: str, clicks: int, step: float | None = None
) -> object:
    """Return the value of setting ``name`` after turning a rotary encoder.

    Args:
        settings: the current settings.
        name: the setting.
        clicks: how far; positive to the right.
        step: the change of a number at each click; None: the step in the settings table.
    """
    current = getattr(settings.effective, name)
    kind = BY_NAME[name].kind
    if isinstance(kind, Number):
        return kind.clamp(current + clicks * (step or kind.step))
    if isinstance(kind, Switch):
        return clicks > 0
    options = settings.options(name)
    if current not in options:
        return current
    return options[(options.index(current) + clicks) % len(options)]
