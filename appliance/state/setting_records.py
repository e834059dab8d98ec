"""The values of all settings as records, whose fields are the rows of the settings table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from appliance.state.setting_kinds import Value
from appliance.state.settings_ranges_and_steps import SETTINGS

if TYPE_CHECKING:
    _Float = TypeVar("_Float")
    _Program = TypeVar("_Program")
    _Voice = TypeVar("_Voice")
    _ANY: Any = None

    class _Record(msgspec.Struct, Generic[_Float, _Program, _Voice], frozen=True, kw_only=True):
        """The table's settings as the type checker sees them.

        Those that the model has a default for are of the types ``_Float`` and ``_Program``, the
        instruments of the voices of the type ``_Voice``.
        """

        playing: bool = msgspec.field(default=_ANY)
        volume: float = msgspec.field(default=_ANY)
        tempo: _Float = msgspec.field(default=_ANY)
        temperature: _Float = msgspec.field(default=_ANY)
        instrument: _Program = msgspec.field(default=_ANY)
        model: str = msgspec.field(default=_ANY)
        top_p: _Float = msgspec.field(default=_ANY)
        scene: str = msgspec.field(default=_ANY)
        saved_piece: str = msgspec.field(default=_ANY)
        key: str = msgspec.field(default=_ANY)
        repeats: bool = msgspec.field(default=_ANY)
        expression: float = msgspec.field(default=_ANY)
        temperament: str = msgspec.field(default=_ANY)
        pitch: float = msgspec.field(default=_ANY)
        output: str = msgspec.field(default=_ANY)
        soundfont: str = msgspec.field(default=_ANY)
        balance: float = msgspec.field(default=_ANY)
        swap_channels: bool = msgspec.field(default=_ANY)
        mono: bool = msgspec.field(default=_ANY)
        soprano: bool = msgspec.field(default=_ANY)
        soprano_level: float = msgspec.field(default=_ANY)
        soprano_instrument: _Voice = msgspec.field(default=_ANY)
        alto: bool = msgspec.field(default=_ANY)
        alto_level: float = msgspec.field(default=_ANY)
        alto_instrument: _Voice = msgspec.field(default=_ANY)
        tenor: bool = msgspec.field(default=_ANY)
        tenor_level: float = msgspec.field(default=_ANY)
        tenor_instrument: _Voice = msgspec.field(default=_ANY)
        bass: bool = msgspec.field(default=_ANY)
        bass_level: float = msgspec.field(default=_ANY)
        bass_instrument: _Voice = msgspec.field(default=_ANY)
        solo: str = msgspec.field(default=_ANY)
        sleep: float = msgspec.field(default=_ANY)
        quiet_hours: str = msgspec.field(default=_ANY)
        quiet_volume: float = msgspec.field(default=_ANY)
        wake_time: str = msgspec.field(default=_ANY)
        wake_rise: float = msgspec.field(default=_ANY)
        wake_scene: str = msgspec.field(default=_ANY)
        stop_time: str = msgspec.field(default=_ANY)

    class RequestedSettings(_Record[float | None, int | None, int], frozen=True, kw_only=True):
        """What people asked for; None leaves a setting to the model."""

    class EffectiveSettings(_Record[float, int, int], frozen=True, kw_only=True):
        """The requested settings, with the model's defaults filled in."""

    class ShownSettings(_Record[float, str, str], frozen=True, kw_only=True):
        """The effective settings as people read them: the instruments by their names."""

else:

    def _record(name: str, fields: list[tuple[Any, ...]]) -> type[msgspec.Struct]:
        return msgspec.defstruct(name, fields, module=__name__, frozen=True, kw_only=True)

    RequestedSettings = _record(
        "RequestedSettings",
        [
            (
                s.name,
                s.kind.value_type | None if s.default is None else s.kind.value_type,
                s.default,
            )
            for s in SETTINGS
        ],
    )
    EffectiveSettings = _record(
        "EffectiveSettings", [(s.name, s.kind.value_type) for s in SETTINGS]
    )
    ShownSettings = _record("ShownSettings", [(s.name, s.kind.shown_type) for s in SETTINGS])


def recorded(values: ShownSettings) -> dict[str, Value | None]:
    """Return the settings that the record of a piece states.

    Those of the clock and the saved piece that plays are not part of a piece, and those of the
    voices only where they are in use.
    """
    return {
        s.name: value
        for s in SETTINGS
        for value in [getattr(values, s.name)]
        if s.is_kept and (not s.group or (s.group == "voices" and not s.is_default(value)))
    }
