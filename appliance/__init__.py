"""Bachbox: composes new music in the style of Bach and plays it, endlessly.

The public API is :class:`Composer` and :func:`load_model`, which are imported when they are first
used: the performer process, which is part of this package, must not import numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from appliance.composing.composer import Composer
    from appliance.composing.model_file import load as load_model

__version__ = "0.2.0"

__all__ = ["Composer", "__version__", "load_model"]

_LAZY: Final = {
    "Composer": ("appliance.composing.composer", "Composer"),
    "load_model": ("appliance.composing.model_file", "load"),
}
"""Module and name of what is imported when it is first used (PEP 562)."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
