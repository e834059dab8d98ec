"""The table is the one place where settings are listed; the documents say what it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.state import settings_ranges_and_steps
from appliance.state.setting import Setting
from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings_ranges_and_steps import BY_CONFIG, BY_NAME, NAMES, SETTINGS
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
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", setting.icon), "as Home Assistant writes it"
    assert bool(setting.metric) == bool(setting.metric_help)
    assert not setting.metric or setting.metric_help.endswith(".")
    # A model has a default for what nobody configured.
    assert (setting.default is None) == bool(setting.model_default)
    if isinstance(setting.kind, Number):
        assert setting.metric
        assert setting.kind.low < setting.kind.high
        assert setting.kind.grain <= setting.kind.encoder_step


def test_a_row_has_nothing_that_it_does_not_name() -> None:
    row = Setting("x", Switch(), "X", "Do x.", "x")
    assert (row.default, row.advanced, row.in_scenes, row.is_kept) == (None, False, True, True)
    texts = (row.config, row.hint, row.model_default, row.group, row.metric, row.metric_help)
    assert texts == ("",) * 6
    assert (row.section, row.key, row.option) == ("", "", "")


def test_a_row_says_where_its_setting_is_configured() -> None:
    top_p = BY_NAME["top_p"]
    assert (top_p.section, top_p.key, top_p.option) == ("music", "top_p", "--top-p")
    assert BY_CONFIG["music.top_p"] is top_p
    # What the clock does is set in the config file or on the page.
    quiet_hours = BY_NAME["quiet_hours"]
    assert (quiet_hours.section, quiet_hours.option) == ("clock", "")
    # It is nowhere in the config file.
    scene = BY_NAME["scene"]
    assert (scene.section, scene.key, scene.option) == ("", "", "")


def test_a_value_is_the_default_as_people_read_it() -> None:
    assert BY_NAME["volume"].is_default(70.0)
    assert not BY_NAME["volume"].is_default(71.0)
    # The model has it.
    assert not BY_NAME["instrument"].is_default("Church Organ")


def test_only_a_number_has_a_range() -> None:
    assert settings_ranges_and_steps.number("volume").high == 100
    with pytest.raises(TypeError, match=r"^playing is not a number$"):
        settings_ranges_and_steps.number("playing")


def test_a_setting_is_found_by_its_name_with_hyphens_or_underscores() -> None:
    assert settings_ranges_and_steps.find("top-p") is settings_ranges_and_steps.find("top_p")
    with pytest.raises(UsageError, match="did you mean 'tempo'"):
        settings_ranges_and_steps.find("temppo")
    with pytest.raises(UsageError, match=r"^there is no setting 'to-pp'; did you mean 'top_p'"):
        settings_ranges_and_steps.find("to-pp")
    every = ", ".join(NAMES)
    with pytest.raises(UsageError, match=f"^there is no setting 'zzz'; there are {every}$"):
        settings_ranges_and_steps.find("zzz")


def test_the_documents_have_the_table() -> None:
    hint = "run python -m tests.support.settings_page"
    for path, text in settings_page.texts().items():
        assert path.read_text() == text, hint
        assert "| 40 to 240 BPM |" in text
