"""Fixtures: the shipped model, many pieces by it, and the runtimes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator

import pytest

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.interpreter import RUNTIME_VARIABLE, RUNTIMES
from appliance.composing.model_file import ModelFile
from appliance.composing.passages import CLOSING_STEPS
from tests.support.making_music import MODEL, Played, compose_pieces


@pytest.fixture(scope="package", autouse=True)
def _faster_runtime() -> Iterator[None]:
    """Use the runtime that is four times as fast, unless a test asks for ``runtime``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNTIME_VARIABLE, "ai_edge_litert")
        yield


@pytest.fixture(scope="package")
def shipped() -> ModelFile:
    return model_file.load(MODEL)


@pytest.fixture(scope="package")
def many_pieces() -> list[Played]:
    """So many that two groups begin, in a row."""
    return _many_pieces()


@functools.cache
def _many_pieces() -> list[Played]:
    """Composed once for all folders, because it takes long; of each ending two samples."""
    composer = Composer(model_file.load(MODEL), seed=7)
    composer.spare_steps = 2 * CLOSING_STEPS
    return compose_pieces(composer, 14)


@pytest.fixture(params=RUNTIMES if sys.version_info < (3, 12) else ["ai_edge_litert"])
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the runtimes that this Python has."""
    name = str(request.param)
    monkeypatch.setenv(RUNTIME_VARIABLE, name)
    return name
