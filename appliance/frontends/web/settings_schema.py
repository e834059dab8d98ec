"""The settings, described for a program that draws widgets for them."""

from __future__ import annotations

import msgspec

from appliance.state import general_midi
from appliance.state.clock_kinds import ClockKind
from appliance.state.setting import Setting
from appliance.state.setting_kinds import Number, Program, Switch
from appliance.state.settings import Action, Settings
from appliance.state.settings_ranges_and_steps import SETTINGS


class Option(msgspec.Struct, frozen=True):
    """One of the values that a setting can have."""

    value: str
    group: str = ""
    """The heading above it, such as an instrument's family."""


class SettingSchema(msgspec.Struct, frozen=True, omit_defaults=True):
    """A setting as a widget needs it."""

    name: str
    kind: str
    """``switch``, ``number``, ``choice``, ``time`` ("off", "07:00" or "07:00 Mon Tue") or ``hours``
    ("off" or "22:00-07:00")."""
    title: str
    help: str
    hint: str = ""
    """A few words to show below the widget."""
    group: str = ""
    """``voices``, ``clock``, or nothing for the music as a whole."""
    pattern: str = ""
    """A regular expression for the whole text of a ``time`` or of ``hours``."""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    unit: str = ""
    choices: list[Option] = []
    has_default: bool = False
    """It can be set to ``default``, the model's default."""


def settings_schema(settings: Settings) -> list[SettingSchema]:
    """Return the schema of every setting, with the models that exist now."""
    return [_schema(setting, settings) for setting in SETTINGS]


def actions() -> list[str]:
    """Return the names of the actions."""
    return [str(action) for action in Action]


def _schema(setting: Setting, settings: Settings) -> SettingSchema:
    kind = setting.kind
    common = SettingSchema(
        name=setting.name,
        kind="choice",
        title=setting.title,
        help=setting.help,
        hint=setting.hint,
        group=setting.group,
        has_default=setting.default is None,
    )
    if isinstance(kind, Switch):
        return msgspec.structs.replace(common, kind="switch")
    if isinstance(kind, Number):
        return msgspec.structs.replace(
            common,
            kind="number",
            low=kind.low,
            high=kind.high,
            step=kind.grain,
            unit=kind.symbol,
        )
    if isinstance(kind, ClockKind):
        return msgspec.structs.replace(common, kind=kind.schema, pattern=kind.pattern)
    options = [
        Option(str(kind.show(value)), general_midi.family(int(value)))
        if isinstance(kind, Program) and int(value) >= 0
        else Option(str(kind.show(value)))
        for value in settings.options(setting.name)
    ]
    return msgspec.structs.replace(common, choices=options)
