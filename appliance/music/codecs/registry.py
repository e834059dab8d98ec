"""The kinds of music there are; a new one is a module of its own and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from appliance.errors import BachboxError
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.base import Codec
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec

CODECS: Final[dict[str, Callable[..., Codec]]] = {
    FourPartCodec.name: FourPartCodec,
    FreeRhythmCodec.name: FreeRhythmCodec,
    AbcCodec.name: AbcCodec,
}


def make(name: str, options: Mapping[str, Any]) -> Codec:
    """The codec of that name.

    Raises:
        BachboxError: there is none, or not with these options.
    """
    if name not in CODECS:
        raise BachboxError(
            f"made for the codec {name!r}, but this Bachbox has {', '.join(CODECS)}; update it"
        )
    try:
        return CODECS[name](**options)
    except (TypeError, ValueError) as why:
        raise BachboxError(f"its codec {name!r} cannot be made from its options: {why}") from why
