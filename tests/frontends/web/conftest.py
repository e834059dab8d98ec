"""Fixtures of the tests of the web frontend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.web_server import WebBox, playing_web_box


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebBox]:
    """A box that plays without a sound card; a module that needs one overrides this."""
    with playing_web_box(tmp_path_factory.mktemp("kitchen")) as one:
        yield one
