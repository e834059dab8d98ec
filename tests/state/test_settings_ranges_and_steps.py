"""The table is the one place where settings are listed; the documents say what it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.state import settings_ranges_and_steps
from appliance.state.setting import Setting
from appliance.state.setting_kinds import Number
from appliance.state.settings_ranges_and_steps import NAMES, SETTINGS
from tests.support import settings_page

ROOT = Path(__file__).parents[2]

ALIASES = {"tempo_bpm": "tempo", "program": "instrument", "pitch_hz": "pitch"}
"""Names of settings in shared memory and in model files."""

MAX_FILES = 5
"""The table, its typed records, shared memory, and where settings act."""


def names_in(path: Path) -> set[str]:
    """The settings that a source file names, as an identifier, an attribute or a string."""
    text = path.read_text()
    if path.suffix != ".py":
        words = set(re.findall(r"\w+", text))
    else:
        words = set[str]()
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Name(id=word) | ast.Attribute(attr=word) | ast.arg(arg=word):
                    words.add(word)
                case ast.keyword(arg=str(word)) | ast.Constant(value=str(word)):
                    words.add(word)
    return {ALIASES.get(word, word) for word in words} & set(NAMES)


def test_the_settings_are_named_in_at_most_five_source_files() -> None:
    files = [
        path
        for path in (ROOT / "appliance").rglob("*")
        if path.suffix in (".py", ".js", ".html") and len(names_in(path)) > len(NAMES) / 2
    ]
    assert len(files) <= MAX_FILES, files


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_a_row_is_complete(setting: Setting) -> None:
    assert setting.title[0].isupper()
    assert setting.help.endswith(".")
    assert setting.icon
    assert bool(setting.metric) == bool(setting.metric_help)
    # A model has a default for what nobody configured.
    assert (setting.default is None) == bool(setting.model_default)
    if isinstance(setting.kind, Number):
        assert setting.metric
        assert setting.kind.low < setting.kind.high
        assert setting.kind.grain <= setting.kind.encoder_step


def test_a_setting_is_found_by_its_name_with_hyphens_or_underscores() -> None:
    assert settings_ranges_and_steps.find("top-p") is settings_ranges_and_steps.find("top_p")
    with pytest.raises(UsageError, match="did you mean 'tempo'"):
        settings_ranges_and_steps.find("temppo")


def test_the_documents_have_the_table() -> None:
    hint = "run python -m tests.support.settings_page"
    for path, text in settings_page.texts().items():
        assert path.read_text() == text, hint
        assert "| 40 to 240 BPM |" in text
