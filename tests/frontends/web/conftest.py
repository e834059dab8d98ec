"""What holds for every test of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.web_server import House, good_house


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A box that plays, and its page; a module that wants a card in it has its own."""
    with good_house(tmp_path_factory.mktemp("kitchen")) as one:
        yield one
