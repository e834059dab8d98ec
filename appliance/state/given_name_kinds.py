"""The kinds of settings whose value is a name that people gave: scenes and saved pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from appliance.common.text import quoted
from appliance.errors import UsageError
from appliance.state.setting_kinds import NamedKind, Value

NOTHING: Final = "none"
"""In place of the name of a scene or of a saved piece."""


def find_name(name: str, names: Iterable[str]) -> str | None:
    """Return the one of ``names`` that ``name`` means, in small or capital letters, or None."""
    folded = name.strip().casefold()
    return next((known for known in names if known.casefold() == folded), None)


def known_name(what: str, name: object, names: Sequence[str]) -> str:
    """Return the one of ``names`` that ``name`` means, in small or capital letters.

    Args:
        what: whose name it is, for the error.
        name: as it was given.
        names: those that there are.

    Raises:
        UsageError: it is none of them.
    """
    found = find_name(str(name), names)
    if found is None:
        # Names may have commas in them.
        have = "; ".join(names) or NOTHING
        raise UsageError(f"there is no {what} {quoted(name)}; there are: {have}")
    return found


class GivenName(NamedKind):
    """A name that people gave; :data:`NOTHING` stands for none of them."""

    thing: ClassVar[str]
    """What has such a name."""
    command: ClassVar[str]
    """Lists the names: ``bachbox COMMAND``."""

    def __str__(self) -> str:
        return f"the name of a {self.thing}, or none"

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return f"none, or a name that `bachbox {self.command}` lists"

    def options(self, names: Sequence[str]) -> Sequence[Value]:
        """Return :data:`NOTHING` and the names that there are now."""
        return list(dict.fromkeys([NOTHING, *names]))

    def parse(self, label: str, value: object, names: Sequence[str]) -> str:
        """Return the name in ``names`` that ``value`` means, in small or capital letters.

        Raises:
            UsageError: it is none of them.
        """
        return known_name(label.replace("_", " "), value, [str(n) for n in self.options(names)])


@dataclass(frozen=True)
class SceneName(GivenName):
    """The name of a scene."""

    thing = "scene"
    command = "scene"


@dataclass(frozen=True)
class SavedPieceName(GivenName):
    """The name of a saved piece."""

    thing = "saved piece"
    command = "saved"
