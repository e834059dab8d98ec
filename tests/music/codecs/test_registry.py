"""Codecs are found by name, and imported when a model needs them."""

import subprocess
import sys
from importlib import import_module

import pytest

from appliance.errors import BachboxError
from appliance.music.codecs import registry


@pytest.mark.parametrize("name", registry.CODECS)
def test_each_name_is_that_of_its_codec(name: str) -> None:
    module, class_name = registry.CODECS[name]
    assert getattr(import_module(module), class_name).name == name


def test_an_unknown_codec_is_refused_with_those_there_are() -> None:
    with pytest.raises(BachboxError, match="satb-16th, lines, abc"):
        registry.make("neumes", {})


def test_options_of_another_codec_are_refused() -> None:
    with pytest.raises(BachboxError, match="cannot be made from its options"):
        registry.make("abc", {"voices": 4})


def test_a_composer_process_imports_no_codec_before_its_model_is_read() -> None:
    program = (
        "import sys, appliance.workers.composer_process;"
        "from appliance.music.codecs.registry import CODECS;"
        "print([module for module, _ in CODECS.values() if module in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
