"""Scenes: settings that belong together, under a name.

Some come with Bachbox (``scenes.json`` beside this module); a listener's own are kept in a file in
the state folder. A scene is chosen with the setting ``scene``, and then sets all that it names in
one change. Changing one of these by hand leaves the scene: ``scene`` is "none" again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from appliance.common.atomic_write import write_atomically
from appliance.errors import BachboxError, UsageError
from appliance.state import given_names
from appliance.state.given_name_kinds import find_name, known_name
from appliance.state.setting_kinds import Value
from appliance.state.settings import RequestedSettings, Settings
from appliance.state.settings_ranges_and_steps import SETTINGS, USE_DEFAULT, find
from appliance.state.store import to_stored

FILE_NAME: Final = "scenes.json"

MAX_OWN_SCENES: Final = 50

_MAX_FILE_BYTES: Final = 1 << 18

_Values = Annotated[dict[Annotated[str, Meta(max_length=50)], Value], Meta(max_length=100)]

OwnScenes = dict[str, _Values]
"""A listener's own scenes: what each sets, by name."""

_SUPPLIED_FILE: Final = Path(__file__).with_name("scenes.json")

_NO_PART: Final = ("scene", "saved_piece", "playing")
"""Settings that no scene can name."""

logger = logging.getLogger(__name__)


class Scene(msgspec.Struct, frozen=True):
    """A scene in the list."""

    name: str
    settings: dict[str, Value]
    """The values that it sets, by name; ``default`` stands for the model's default."""
    supplied: bool
    """It comes with Bachbox and cannot be deleted."""


class Scenes:
    """The scenes of this box; registers itself with ``settings``.

    Args:
        path: the file with a listener's own scenes.
        settings: the settings that a scene sets.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._lock = threading.Lock()
        self._supplied = msgspec.json.decode(_SUPPLIED_FILE.read_bytes(), type=dict[str, _Values])
        self._own: OwnScenes = self._read()
        settings.scenes = self
        settings.add_names("scene", self.names)
        settings.add_names("wake_scene", self.names)

    def names(self) -> list[str]:
        """Return the names: those that come with Bachbox first."""
        return list(self._supplied | self._own)

    def listing(self) -> list[Scene]:
        """Return all scenes, in the order of :meth:`names`."""
        return [
            Scene(name, values, name not in self._own)
            for name, values in (self._supplied | self._own).items()
        ]

    def expand(self, parsed: Mapping[str, Value | None]) -> dict[str, Value | None]:
        """Return the settings in ``parsed``, and those of the scene that it chooses.

        What the scene sets and this box cannot take is left out, and reported in the log and in
        :attr:`Settings.warnings <appliance.state.settings.Settings.warnings>`.
        """
        name = str(parsed["scene"])
        values: dict[str, Value | None] = {}
        for setting_name, value in self._values(name).items():
            try:
                setting = find(setting_name)
                if setting.name in _NO_PART:
                    raise UsageError(f"{setting.name} is no part of a scene")
                values[setting.name] = self._settings.parse(setting.name, value)
            except BachboxError as error:
                sentence = f"scene {name}: {error}; the rest of the scene is set"
                self._settings.warnings.append(sentence)
                logger.warning("%s", sentence)
        return values | dict(parsed)

    def is_left(self, before: RequestedSettings, changed: frozenset[str]) -> bool:
        """Return whether a change of these settings means that the scene no longer applies."""
        return bool(changed & self._values(before.scene).keys())

    def current_values(self) -> dict[str, Value]:
        """Return the values that a scene made now would have."""
        names = [setting.name for setting in SETTINGS if setting.in_scenes]
        return to_stored(self._settings.requested, names)

    def save(self, name: str, values: Mapping[str, Value]) -> str:
        """Keep a scene; one with the same name is replaced. Writes to the disk.

        Returns:
            The name as it is kept.

        Raises:
            UsageError: the name or a setting is not allowed, or there are too many scenes.
            BachboxError: the file cannot be written; nothing has changed.
        """
        name = given_names.checked(name, "scene")
        name = find_name(name, self.names()) or name
        kept = {}
        for setting_name, value in values.items():
            setting = find(setting_name)
            if setting.name in _NO_PART:
                raise UsageError(f"{setting_name} is no part of a scene; leave it out")
            parsed = self._settings.parse(setting_name, value)
            kept[setting.name] = USE_DEFAULT if parsed is None else setting.kind.show(parsed)
        with self._lock:
            if name not in self._own and len(self._own) >= MAX_OWN_SCENES:
                raise UsageError(
                    f"there are {MAX_OWN_SCENES} scenes of your own, which is the most; delete one "
                    "first"
                )
            self._write(self._own | {name: kept})
        return name

    def delete(self, name: str) -> str:
        """Delete one of the listener's own scenes, and return its name. Writes to the disk.

        Raises:
            UsageError: there is no such scene, or it comes with Bachbox.
            BachboxError: the file cannot be written; nothing has changed.
        """
        known = known_name("scene", name, self.names())
        if known not in self._own:
            raise UsageError(
                f"the scene {known} comes with Bachbox and cannot be deleted; one that you save "
                "under its name takes its place"
            )
        with self._lock:
            self._write({other: self._own[other] for other in self._own if other != known})
        return known

    def own(self) -> OwnScenes:
        """Return the listener's own scenes."""
        return dict(self._own)

    def add(self, scenes: OwnScenes) -> None:
        """Keep scenes that were saved before; they replace those of the same name.

        Writes to the disk.

        Raises:
            UsageError: there would be too many; nothing has changed.
            BachboxError: the file cannot be written; nothing has changed.
        """
        with self._lock:
            own = {n: self._own[n] for n in self._own if find_name(n, scenes) is None} | scenes
            if len(own) > MAX_OWN_SCENES:
                raise UsageError(
                    f"there would be {len(own)} scenes of your own, and {MAX_OWN_SCENES} are the "
                    "most; delete some first"
                )
            self._write(own)

    def replace(self, scenes: OwnScenes) -> None:
        """Keep ``scenes`` in place of all the listener's own. Writes to the disk.

        Raises:
            BachboxError: the file cannot be written; nothing has changed.
        """
        with self._lock:
            self._write(scenes)

    def _values(self, name: str) -> Mapping[str, Value]:
        return self._own.get(name) or self._supplied.get(name) or {}

    def _write(self, own: OwnScenes) -> None:
        text = msgspec.json.format(msgspec.json.encode(own))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, text + b"\n")
        except OSError as error:
            raise BachboxError(
                f"{self._path}: the scenes cannot be stored ({error.strerror})"
            ) from error
        self._own = own

    def _read(self) -> OwnScenes:
        """Return the scenes in the file; a file that is none is renamed to ``.bad``."""
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES)
            own = msgspec.json.decode(content, type=OwnScenes)
            return {given_names.checked(name, "scene"): own[name] for name in own}
        except FileNotFoundError:
            return {}
        except OSError as error:
            logger.warning("%s: cannot read it (%s)", self._path, error.strerror)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, UsageError) as error:
            bad = self._path.with_suffix(".json.bad")
            with contextlib.suppress(OSError):
                self._path.replace(bad)
            logger.warning(
                "%s: not a file of scenes (%.100s); it is now %s, and your own scenes are missing",
                self._path, error, bad.name,
            )  # fmt: skip
        return {}
