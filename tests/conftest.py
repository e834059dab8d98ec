"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.priority import before_others
from tests.support.virtual_card import SOUNDFONT, VirtualCard, virtual_card

# How long an example takes says something about the machine's other work only.
settings.register_profile("bachbox", deadline=None)
settings.load_profile("bachbox")


@pytest.fixture(scope="module")
def in_time() -> Iterator[None]:
    """A sound card and a browser cannot wait for whatever else the machine has to do."""
    with before_others():
        yield


@pytest.fixture(scope="session", autouse=True)
def _a_home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the settings or the running box of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def card() -> Iterator[VirtualCard]:
    """A virtual sound card that all tests share; a test that unplugs one makes its own."""
    with virtual_card() as plugged_in:
        yield plugged_in


@pytest.fixture(scope="session")
def soundfont() -> Path:
    """Debian's small General MIDI soundfont."""
    assert SOUNDFONT.is_file(), "run `make test`, which installs the package timgm6mb-soundfont"
    return SOUNDFONT
