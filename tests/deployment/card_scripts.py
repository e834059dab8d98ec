"""The scripts of the card image, which are no part of the package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

CARD = Path(__file__).parents[2] / "deploy" / "card"


def load(name: str) -> Any:
    """The script ``name`` as a module, with those beside it, as Python loads it on the card."""
    if name in sys.modules:
        return sys.modules[name]
    sys.path.insert(0, str(CARD))
    try:
        spec = importlib.util.spec_from_file_location(name, CARD / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(CARD))
    return module
