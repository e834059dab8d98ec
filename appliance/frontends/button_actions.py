"""What a button does, whatever it is wired to; :mod:`appliance.config.gpio_schema` names them."""

from __future__ import annotations

from appliance.config.gpio_schema import ButtonAction
from appliance.state.settings import Action, Settings


def press(settings: Settings, action: ButtonAction) -> str:
    """Do ``action``, but not "power_off"; return what was done, for people.

    Raises:
        BachboxError: a change of a setting that is not allowed now.
    """
    name, is_change, value = action.partition("=")
    if is_change:
        settings.change(name, value)
        return f"{name} {value}"
    if action == "playing":
        settings.change("playing", not settings.requested.playing)
    else:
        settings.act(Action(action))
    return action
