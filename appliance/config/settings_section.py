"""The part of a config section that follows from the settings table."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from appliance.state.setting import Setting
from appliance.state.setting_kinds import Choice, ModelName, NamedKind, Number
from appliance.state.settings_ranges_and_steps import SETTINGS


def settings_section(section: str) -> type[msgspec.Struct]:
    """Return a struct with a key for each setting that belongs to ``section``."""
    return msgspec.defstruct(
        f"{section.capitalize()}Settings",
        [(s.key, _annotation(s), s.default) for s in SETTINGS if s.section == section],
        module=__name__,
        frozen=True,
        forbid_unknown_fields=True,
    )


def _annotation(setting: Setting) -> Any:
    """Return the type of a key, with the allowed values in words as its description."""
    kind = setting.kind
    annotation: Any = kind.value_type
    description = str(kind)
    if isinstance(kind, Number):
        annotation = Annotated[annotation, Meta(ge=kind.low, le=kind.high)]
    elif isinstance(kind, Choice):
        annotation = Annotated[annotation, Meta(pattern=rf"^({'|'.join(kind.names)})\Z")]
    elif isinstance(kind, NamedKind):
        annotation = Annotated[annotation, Meta(min_length=1)]
        if isinstance(kind, ModelName):
            description += " or the path of a .tflite file"
    if setting.default is None:
        annotation = annotation | None
    return Annotated[annotation, Meta(description=description)]
