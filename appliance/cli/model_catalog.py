"""The models that this machine has, by name."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import BachboxError, UsageError

if TYPE_CHECKING:
    from appliance.config.loader import Config
    from appliance.state.settings import ModelDefaults


class ModelCatalog:
    """The model files in the folders that a config names.

    Args:
        config: the config; its model may be given by a path outside of these folders.

    Raises:
        BachboxError: the configured model does not exist, or cannot be used.
    """

    def __init__(self, config: Config) -> None:
        from appliance.composing import model_file
        from appliance.config import loader

        self.folders = loader.model_folders(config)
        """Where models are looked for; of two with the same name, the first one is used."""
        path = model_file.find(config.music.model, self.folders)
        if path.suffix != model_file.SUFFIX:
            raise UsageError(
                f"{path}: a model is a {model_file.SUFFIX} file; `bachbox models` lists some"
            )
        if config.music.model not in self.names():
            # Given by its path: its folder comes first, so that from now on its name means it.
            model_file.load(path)
            self.folders.insert(0, path.parent)
        self.configured = path.stem
        """The name of the configured model."""

    def names(self) -> list[str]:
        """Return the names of the models that exist now."""
        from appliance.composing import model_file

        return [path.stem for path in model_file.listing(self.folders)]

    def defaults_of(self, name: str) -> ModelDefaults:
        """Return the settings with which the model called ``name`` plays by default.

        Raises:
            BachboxError: there is no such model, or its file is damaged.
        """
        from appliance.composing import model_file

        path = model_file.find(name, self.folders)
        try:
            version = path.stat()
        except OSError:
            return _read_defaults(path, 0, 0)
        return _read_defaults(path, version.st_mtime_ns, version.st_size)

    def titles(self) -> dict[str, str]:
        """Return the titles of the models that can be used, by name; reads their files."""
        from appliance.composing import model_file

        found = {}
        for path in model_file.listing(self.folders):
            with contextlib.suppress(BachboxError, OSError):
                version = path.stat()
                found[path.stem] = _read_title(path, version.st_mtime_ns, version.st_size)
        return found

    def find_usable(self, name: str) -> tuple[str, list[str]]:
        """Return ``name``, or another model if that one is damaged, with a sentence about it.

        If no model can be used, ``name`` comes back.
        """
        try:
            self.defaults_of(name)
        except BachboxError as error:
            for other in self.names():
                with contextlib.suppress(BachboxError):
                    self.defaults_of(other)
                    return other, [f"{error}; {other} plays instead"]
        return name, []


@functools.lru_cache(maxsize=32)
def _read_title(path: Path, _mtime_ns: int, _size: int) -> str:
    from appliance.composing import model_file

    return str(model_file.load(path).title)


@functools.lru_cache(maxsize=8)
def _read_defaults(path: Path, _mtime_ns: int, _size: int) -> ModelDefaults:
    """Return a model's defaults; the whole file is checked, once for each version of it.

    Raises:
        BachboxError: the file cannot be read, or is damaged.
    """
    from appliance.composing import model_file
    from appliance.state.settings import ModelDefaults

    model = model_file.load(path)
    return ModelDefaults(model.tempo_bpm, model.temperature, model.top_p, model.instrument)
