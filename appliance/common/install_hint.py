"""What to do about missing Python packages.

Bachbox is not on PyPI, so the advice depends on how it was installed.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
"""The checkout, if this is one."""

_PACKAGE: Final = Path("/usr/lib/bachbox")
"""Where the Debian package has its Python environment, without pip."""

_INSTALLED: Final = Path("/opt/bachbox")
"""Where ``make install`` has its Python environments."""


def install_hint(extra: str = "") -> str:
    """Return what to do to get Bachbox's requirements, as an imperative clause.

    Args:
        extra: ``gpio``, ``display`` or ``systemd``, extras in pyproject.toml that the Debian
            package and ``make install`` install; "" for what every Bachbox needs.
    """
    prefix = Path(sys.prefix)
    if prefix.is_relative_to(_PACKAGE):
        return "install Bachbox's Debian package again, which contains it"
    if prefix.is_relative_to(_INSTALLED):
        return "run `sudo make install` in Bachbox's checkout again, which installs it"
    if (_ROOT / "pyproject.toml").exists():
        pip = (prefix if sys.prefix != sys.base_prefix else _ROOT / ".venv") / "bin" / "pip"
        target = f"{_ROOT}[{extra}]" if extra else str(_ROOT)
        # lgpio has no wheel for Python 3.13; this builds it with its library inside.
        variable = "PYPI=1 " if extra == "gpio" and sys.version_info >= (3, 13) else ""
        return f"run `{variable}{shlex.quote(str(pip))} install {shlex.quote(target)}`"
    return f"run `{shlex.quote(sys.executable)} -m pip install {_requirements(extra)}`"


def _requirements(extra: str) -> str:
    """Return the requirements of an extra as arguments for pip."""
    import importlib.metadata  # Takes time and memory, and is needed only for this sentence.

    found = []
    for line in importlib.metadata.requires("bachbox") or ():
        requirement, _, marker = line.partition(";")
        of_extra = re.search(r"extra == ['\"]([^'\"]*)['\"]", marker)
        if (of_extra[1] if of_extra else "") == extra:
            found.append(shlex.quote(requirement.strip()))
    return " ".join(found)
