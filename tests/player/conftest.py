from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.virtual_card import VirtualCard, virtual_card

SOUNDFONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


@pytest.fixture(scope="session")
def card() -> Iterator[VirtualCard]:
    with virtual_card() as plugged_in:
        yield plugged_in


@pytest.fixture(scope="session")
def soundfont() -> Path:
    assert SOUNDFONT.is_file(), "run `make test`, which installs the package timgm6mb-soundfont"
    return SOUNDFONT
