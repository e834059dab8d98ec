"""What the listener keeps: scenes. One object for all frontends, in the event loop's thread."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from appliance.state.kept_kinds import NOTHING
from appliance.state.scenes import Scene, Scenes
from appliance.state.setting_kinds import Value
from appliance.state.settings import Settings


class LibraryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the shell asks for."""

    of: Literal["scenes"]
    do: Literal["list", "save", "delete"] = "list"
    name: str = ""


class LibraryAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the shell gets: what there is now."""

    scenes: list[Scene] = []
    name: str = ""
    """Of what was saved or deleted."""


class Library:
    """The scenes of the running box.

    Args:
        settings: the settings of the box.
        scenes: what is kept.
    """

    def __init__(self, settings: Settings, scenes: Scenes) -> None:
        self._settings = settings
        self.scenes = scenes

    async def save_scene(self, name: str, values: dict[str, Value] | None = None) -> str:
        """Keep a scene and return its name; see :meth:`Scenes.save`.

        Args:
            name: what it is called.
            values: what it sets; the current settings if not given, and then it applies at once.

        Raises:
            UsageError: as :meth:`Scenes.save`.
            BachboxError: as :meth:`Scenes.save`.
        """
        kept = self.scenes.current_values() if values is None else values
        name = await asyncio.to_thread(self.scenes.save, name, kept)
        if values is None:
            self._settings.change("scene", name)
        return name

    async def delete_scene(self, name: str) -> str:
        """Delete a scene and return its name; see :meth:`Scenes.delete`.

        Raises:
            UsageError: as :meth:`Scenes.delete`.
            BachboxError: as :meth:`Scenes.delete`.
        """
        name = await asyncio.to_thread(self.scenes.delete, name)
        if self._settings.requested.scene == name:
            self._settings.change("scene", NOTHING)
        return name

    async def answer(self, request: LibraryRequest) -> LibraryAnswer:
        """Do what the shell asks for.

        Raises:
            BachboxError: it cannot be done.
        """
        name = ""
        if request.do == "save":
            name = await self.save_scene(request.name)
        elif request.do == "delete":
            name = await self.delete_scene(request.name)
        return LibraryAnswer(self.scenes.listing(), name)
