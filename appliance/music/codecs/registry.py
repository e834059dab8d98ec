"""The kinds of music there are; a new one is a module of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, cast

from appliance.errors import BachboxError
from appliance.music.codecs.base import Codec

CODECS: Final[dict[str, tuple[str, str]]] = {
    "satb-16th": ("appliance.music.codecs.four_part", "FourPartCodec"),
    "lines": ("appliance.music.codecs.free_rhythm", "FreeRhythmCodec"),
    "abc": ("appliance.music.codecs.abc.abc_codec", "AbcCodec"),
}
"""The module and the class of each codec, by name.

A module is imported when a model needs it: a box that plays one model has no memory for all.
"""


def make(name: str, options: Mapping[str, Any]) -> Codec:
    """The codec of that name.

    Raises:
        BachboxError: there is none, or not with these options.
    """
    if name not in CODECS:
        raise BachboxError(
            f"made for the codec {name!r}, but this Bachbox has {', '.join(CODECS)}; update it"
        )
    module, class_name = CODECS[name]
    try:
        return cast(Codec, getattr(import_module(module), class_name)(**options))
    except (TypeError, ValueError) as why:
        raise BachboxError(f"its codec {name!r} cannot be made from its options: {why}") from why
