"""Loads models, each with the library that runs it instead of the CPU, if there is one.

The library is the Edge TPU's ``libedgetpu.so.1``, or any other with TensorFlow Lite's plug-in
interface. It is tried in another process first. Whatever is wrong with it, the CPU composes, and
a warning says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from appliance.composing import model_file
from appliance.composing.model_check import try_delegate
from appliance.composing.model_file import Delegate, ModelFile
from appliance.errors import BachboxError

AUTO: Final = "auto"
"""The Edge TPU for models that were compiled for it, else the CPU."""

OFF: Final = "off"
EDGE_TPU: Final = "libedgetpu.so.1"


class ModelLoader:
    """Loads models, each with the delegate that is to run it.

    Args:
        setting: :data:`AUTO`, :data:`OFF`, or a library's name or path.
        warn: called with the reason if the CPU composes although the setting wants a delegate.
        after_death: a process that used the setting has died, perhaps because of the delegate, so
            use none.
    """

    def __init__(
        self, setting: str, warn: Callable[[str], object], *, after_death: bool = False
    ) -> None:
        self._setting = setting
        self._report = warn
        self._after_death = after_death
        self._proven = False
        """The library has run a model here. It owns the device now, so another trial would fail."""

    def _warn(self, why: str) -> None:
        self._report(f"{why}; the CPU composes instead")

    def load(self, path: Path) -> ModelFile:
        """Load a model, and choose the delegate that can run it.

        Raises:
            BachboxError: as :func:`appliance.composing.model_file.load`.
        """
        model = model_file.load(path)
        try:
            delegate = choose_delegate(model, self._setting, self._warn)
            if delegate is None:
                return model
            if self._after_death:
                raise BachboxError(
                    f"the composer before this one died, perhaps because of {delegate.library}"
                )
            delegated = replace(model, delegate=delegate)
            if not self._proven:
                try_delegate(delegated)
                self._proven = True
        except BachboxError as why:
            self._warn(str(why))
            return model
        return delegated


def choose_delegate(
    model: ModelFile, setting: str, warn: Callable[[str], object]
) -> Delegate | None:
    """Return the delegate that the setting gives a model, untried; ``None``: the CPU.

    Raises:
        BachboxError: the compiled model that it needs is missing, damaged, or of another model.
    """
    path = model_file.compiled_path(model.path)
    if setting == OFF or (setting == AUTO and not path.exists()):
        return None
    if setting != AUTO and "edgetpu" not in Path(setting).name:
        return Delegate(setting, None, warn)
    if not path.exists():
        raise BachboxError(
            f"there is no such file, so the Edge TPU cannot run {model.name}",
            path=path,
            remedy="`make edgetpu` makes it",
        )
    compiled = model_file.load(path)
    if compiled.metadata.compiled_from != model.metadata.sha256:
        raise BachboxError(
            f"made from another {model.path.name}", path=path, remedy="`make edgetpu` replaces it"
        )
    return Delegate(EDGE_TPU if setting == AUTO else setting, compiled, warn)
