"""Copies that share nothing mutable: a base class for the state that a snapshot holds.

The composer takes a snapshot for every event and may go back to any of them. A copy written by
hand, attribute by attribute, forgets the attribute that is added next, and a rewind then corrupts
the music silently. Here every attribute is copied, by its type, and a type that cannot be copied
safely is refused at the first copy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from types import MappingProxyType, NoneType
from typing import Any, ClassVar, Self

_IMMUTABLE = (int, float, complex, str, bytes, NoneType, tuple, frozenset, range, Enum)
"""Shared by copies, subclasses too. A tuple must hold immutable items only."""

_READ_ONLY = (MappingProxyType,)
"""Shared as well: nothing may keep a reference to the mapping that it wraps."""

_Copier = Callable[[Any], Any]


class Copyable:
    """State whose copies are independent of one another.

    Attributes of immutable types are shared. Lists, deques, dicts and sets are copied, and so are
    their items where these are containers or :class:`Copyable` themselves; the items of one
    container must be of one kind. Subclasses must keep their state in ``__dict__`` (no slots), and
    an attribute must not change from an immutable type to a mutable one, except from ``None``.
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
        kind = type(self)
        attributes = self.__dict__.copy()
        names = _copied_names.get((kind, len(attributes)))
        for name in _names_to_copy(kind, attributes) if names is None else names:
            value = attributes[name]
            attributes[name] = _copiers[type(value)](value)
        twin = object.__new__(kind)
        twin.__dict__ = attributes
        return twin


_copied_names: dict[tuple[type[Copyable], int], list[str]] = {}
"""The attributes that a copy must not share, by a class and its number of attributes."""


def _names_to_copy(kind: type[Copyable], attributes: dict[str, Any]) -> list[str]:
    names = [
        name
        for name, value in attributes.items()
        if name not in kind.shared_when_copied
        and (value is None or _copiers[type(value)] is not _share)
    ]
    _copied_names[kind, len(attributes)] = names
    return names


class _Copiers(dict[type, _Copier]):
    """How to copy a value, by its type."""

    def __missing__(self, kind: type) -> _Copier:
        self[kind] = copier = _copier_of(kind)
        return copier


_copiers = _Copiers()


def _copier_of(kind: type) -> _Copier:
    if issubclass(kind, Copyable):
        return kind.copy
    if issubclass(kind, dict):
        return _copy_dict
    if issubclass(kind, list | deque):
        return _copy_sequence
    if issubclass(kind, set | bytearray):
        return kind.copy
    if issubclass(kind, _IMMUTABLE + _READ_ONLY) or _is_frozen_dataclass(kind):
        return _share
    raise TypeError(f"{kind.__qualname__} cannot be copied: derive it from Copyable")


def _is_frozen_dataclass(kind: type) -> bool:
    # Without the module dataclasses, which costs the performer a megabyte.
    parameters = getattr(kind, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def _share(value: Any) -> Any:
    return value


def _copy_dict(source: dict[Any, Any]) -> dict[Any, Any]:
    twin = source.copy()
    for item in source.values():
        if (copier := _copiers[type(item)]) is not _share:
            twin.update((key, copier(item)) for key, item in source.items())
        break
    return twin


def _copy_sequence(source: list[Any]) -> list[Any]:
    twin = source.copy()
    if source and (copier := _copiers[type(source[0])]) is not _share:
        for index, item in enumerate(source):
            twin[index] = copier(item)
    return twin
