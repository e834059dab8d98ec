"""What can be set, described for a program that draws controls for it.

Everything here comes from the settings themselves, so that a new one appears on the page by
being a setting.
"""

from __future__ import annotations

from typing import Final

import msgspec

from appliance.frontends.gpio.knobs import GRAINS, RANGES
from appliance.state import general_midi
from appliance.state.settings import TEMPERAMENTS, Action, RequestedSettings, Settings

SWITCHES: Final = ("playing",)


class Choice(msgspec.Struct, frozen=True):
    """One of the values that a setting may have."""

    value: str
    group: str = ""
    """What it belongs to, such as an instrument's family."""


class Setting(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a setting is to be shown; the page has its name in words."""

    name: str
    kind: str
    """``switch``, ``number`` or ``choice``."""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    unit: str = ""
    choices: list[Choice] = []
    has_own: bool = False
    """It can be left to the model."""


def settings_schema(settings: Settings) -> list[Setting]:
    """Every setting there is just now."""
    return [_described(name, settings) for name in settings.names]


def actions() -> list[str]:
    """What can be asked for once."""
    return [str(action) for action in Action]


def own_names(values: RequestedSettings) -> list[str]:
    """The settings that are left to the model."""
    return [name for name in _with_own() if getattr(values, name) is None]


def _with_own() -> list[str]:
    nothing_said = RequestedSettings(model="")
    return [
        name
        for name in RequestedSettings.__dataclass_fields__
        if getattr(nothing_said, name) is None
    ]


def _described(name: str, settings: Settings) -> Setting:
    has_own = name in _with_own()
    if name in SWITCHES:
        return Setting(name, "switch", has_own=has_own)
    if name in RANGES:
        allowed = RANGES[name]
        return Setting(
            name,
            "number",
            allowed.low,
            allowed.high,
            GRAINS[name],
            allowed.unit,
            has_own=has_own,
        )
    return Setting(name, "choice", choices=_choices(name, settings), has_own=has_own)


def _choices(name: str, settings: Settings) -> list[Choice]:
    if name == "instrument":
        return [Choice(n, general_midi.family(at)) for at, n in enumerate(general_midi.NAMES)]
    if name == "model":
        return [Choice(model) for model in settings.models]
    if name == "temperament":
        return [Choice(temperament) for temperament in TEMPERAMENTS]
    raise KeyError(name)
