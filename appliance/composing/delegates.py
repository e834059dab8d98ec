"""Which library runs a model in place of the CPU, tried where a crash does no harm.

An Edge TPU's ``libedgetpu.so.1``, or any other library with TensorFlow Lite's plug-in interface.
Whatever is wrong with it, the CPU composes, and a sentence says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from appliance.composing import model_file
from appliance.composing.model_check import try_delegate
from appliance.composing.model_file import Bundle, Delegate
from appliance.errors import BachboxError

AUTO: Final = "auto"
"""The Edge TPU for models that were compiled for it, else the CPU."""

OFF: Final = "off"
EDGE_TPU: Final = "libedgetpu.so.1"


class Models:
    """Loads models, each with what is to run it.

    ``setting`` is :data:`AUTO`, :data:`OFF`, or a library; ``warn`` is told why the CPU composes
    where it should not. ``after_death``: a process that did this died, perhaps of the delegate,
    so do without.
    """

    def __init__(
        self, setting: str, warn: Callable[[str], object], *, after_death: bool = False
    ) -> None:
        self._setting = setting
        self._tell = warn
        self._after_death = after_death
        self._trusted = False
        """The library has run a model here: a second trial would find its device taken."""

    def _warn(self, why: str) -> None:
        self._tell(f"{why}; the CPU composes instead")

    def load(self, path: Path) -> Bundle:
        """A model, and the delegate that can run it.

        Raises:
            BachboxError: as :func:`appliance.composing.model_file.load`.
        """
        model = model_file.load(path)
        try:
            delegate = chosen(model, self._setting, self._warn)
            if delegate is None:
                return model
            if self._after_death:
                raise BachboxError(
                    f"the composer before this one died, perhaps of {delegate.library}"
                )
            delegated = replace(model, delegate=delegate)
            if not self._trusted:
                try_delegate(delegated)
                self._trusted = True
        except BachboxError as why:
            self._warn(str(why))
            return model
        return delegated


def chosen(model: Bundle, setting: str, warn: Callable[[str], object]) -> Delegate | None:
    """The delegate that the setting means for a model, untried; ``None``: the CPU.

    Raises:
        BachboxError: what was compiled for it is missing, damaged, or not of this model.
    """
    path = model_file.compiled_path(model.path)
    if setting == OFF or (setting == AUTO and not path.exists()):
        return None
    if setting != AUTO and "edgetpu" not in Path(setting).name:
        return Delegate(setting, None, warn)
    if not path.exists():
        raise BachboxError(
            f"{path}: there is no such file, so the Edge TPU cannot run {model.name}; "
            "`make edgetpu` makes it"
        )
    compiled = model_file.load(path)
    if compiled.about.compiled_from != model.about.sha256:
        raise BachboxError(
            f"{path}: made from another {model.path.name}; `make edgetpu` makes it anew"
        )
    return Delegate(EDGE_TPU if setting == AUTO else setting, compiled, warn)
