"""Finds what two copies share although it may change."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from appliance.common.copying import Copyable


def shared_mutables(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """The path of every mutable object that belongs to both, attribute by attribute."""
    if isinstance(one, Copyable):
        assert vars(one).keys() == vars(other).keys(), where
        if one is other:
            yield where
        for name, value in vars(one).items():
            if name not in one.shared_when_copied:
                yield from shared_mutables(value, vars(other)[name], f"{where}.{name}")
    elif isinstance(one, tuple):
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from shared_mutables(a, b, f"{where}[{index}]")
    elif hasattr(one, "copy") and not isinstance(one, frozenset | MappingProxyType):
        if one is other:
            yield where
        pairs = zip(one.values(), other.values(), strict=True) if isinstance(one, dict) else ()
        pairs = zip(one, other, strict=True) if hasattr(one, "append") else pairs
        for index, (a, b) in enumerate(pairs):
            yield from shared_mutables(a, b, f"{where}[{index}]")


def copyable_classes(parent: type[Copyable] = Copyable) -> set[type[Copyable]]:
    """Every class of the package that is derived from :class:`Copyable`."""
    found = set(parent.__subclasses__())
    found |= {cls for child in found for cls in copyable_classes(child)}
    return {cls for cls in found if cls.__module__.startswith("appliance.")}
