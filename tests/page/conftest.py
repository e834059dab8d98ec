"""What holds for every test of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.haste import before_others


@pytest.fixture(scope="module", autouse=True)
def _before_others() -> Iterator[None]:
    """A browser and a card cannot wait for whatever else the machine has to do."""
    with before_others():
        yield
