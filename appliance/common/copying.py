"""Copies that share nothing mutable: a base class for the state that a snapshot holds.

The composer takes a snapshot for every event and may go back to any of them. A copy written by
hand, attribute by attribute, forgets the attribute that is added next, and a rewind then corrupts
the music silently. Here every attribute is copied, by its type, and a type that cannot be copied
safely is refused at the first copy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from types import MappingProxyType, NoneType
from typing import Any, ClassVar, Self

_IMMUTABLE = (int, float, complex, str, bytes, NoneType, tuple, frozenset, range, Enum)
"""Shared by a copy, subclasses too. A tuple must hold immutable items only."""

_READ_ONLY = (MappingProxyType,)
"""Shared as well: nothing may keep a reference to the mapping that it wraps."""


class Copyable:
    """State whose copies are independent of one another.

    Attributes of immutable types are shared. Lists, deques, dicts and sets are copied, and so are
    their items where these are containers or :class:`Copyable` themselves; the items of one
    container must be of one kind. Subclasses must keep their state in ``__dict__`` (no slots).
    """

    shared_when_copied: ClassVar[frozenset[str]] = frozenset()
    """Names of attributes that all copies share on purpose, such as constant tables."""

    def copy(self) -> Self:
        """Return a copy that changes independently of this object.

        Raises:
            TypeError: an attribute is of a type that may be mutable and cannot be copied here.
                Derive its class from :class:`Copyable`, make it a frozen dataclass, or name
                the attribute in :attr:`shared_when_copied`.
        """
        twin = object.__new__(type(self))
        attributes, shared = vars(twin), self.shared_when_copied
        for name, value in vars(self).items():
            if name in shared:
                attributes[name] = value
            else:
                copier = _copiers[type(value)]
                attributes[name] = value if copier is None else copier(value)
        return twin


_Copier = Callable[[Any], Any]


class _Copiers(dict[type, _Copier | None]):
    """How to copy a value, by its type; ``None`` for one that can be shared."""

    def __missing__(self, kind: type) -> _Copier | None:
        self[kind] = found = _copier_of(kind)
        return found


_copiers = _Copiers()


def _copier_of(kind: type) -> _Copier | None:
    if issubclass(kind, Copyable):
        return kind.copy
    if issubclass(kind, dict):
        return _copy_dict
    if issubclass(kind, list | deque):
        return _copy_sequence
    if issubclass(kind, set | bytearray):
        return kind.copy
    if issubclass(kind, _IMMUTABLE + _READ_ONLY) or _is_frozen_dataclass(kind):
        return None
    raise TypeError(f"{kind.__qualname__} cannot be copied: derive it from Copyable")


def _is_frozen_dataclass(kind: type) -> bool:
    return is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def _copy_dict(source: dict[Any, Any]) -> dict[Any, Any]:
    twin = source.copy()
    for first in source.values():
        if copier := _copiers[type(first)]:
            for key, item in source.items():
                twin[key] = copier(item)
        break
    return twin


def _copy_sequence(source: list[Any]) -> list[Any]:
    twin = source.copy()
    if source and (copier := _copiers[type(source[0])]):
        for index, item in enumerate(source):
            twin[index] = copier(item)
    return twin
