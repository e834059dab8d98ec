"""What the box says in English is said on the page in the reader's language."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.frontends.web.static_files import STATIC
from appliance.music import kinds, titles
from appliance.music.score import Key
from appliance.music.temperament import NAMES as TEMPERAMENTS
from appliance.state import general_midi, scenes
from appliance.state.setting_kinds import Choice
from appliance.state.settings_ranges_and_steps import SETTINGS

TRANSLATIONS = sorted(path.name for path in STATIC.glob("texts.*.json"))

ENGLISH = "texts.en.json"

SCENES = Path(scenes.__file__).with_name("scenes.json")

MODELS = Path(__file__).parents[3] / "models"


ERRORS = {
    "there is no sound card: plug one in, or play to a file with --output wav:FILE",
    "wrong password",
    "there is no password yet",
}
"""What went wrong, where the page says it in words of its own."""


def _titles() -> set[str]:
    """The parts of a piece's title and of its place."""
    ordinals = set()
    groups = set()
    for group in range(1, len(titles.GROUPS)):
        for place in range(1, 11):
            words = titles.place_in_group(_piece(group, place))
            ordinal, of_a, name = words.partition(" of a ")
            groups.add(name if of_a else words)
            ordinals |= {ordinal} if of_a else set()
    keys = {str(Key(tonic, minor)) for tonic in range(12) for minor in (False, True)}
    return ordinals | groups | keys | {kind.title for kind in kinds.KINDS.values()} | {"Piece"}


def _piece(group: int, place: int) -> Any:
    return SimpleNamespace(group=group, place=place)


SHOWN = [setting for setting in SETTINGS if setting.name not in ("playing", "scene", "saved_piece")]
"""The settings that are on the page by their titles."""

WORDS = (
    {setting.title for setting in SHOWN}
    | {setting.hint for setting in SHOWN if setting.hint}
    | set(general_midi.FAMILIES)
    | _titles()
    | ERRORS
)
"""What every translation has."""

VALUES = (
    set(json.loads(SCENES.read_text()))
    | set(general_midi.NAMES)
    | set(TEMPERAMENTS)
    | {path.stem for path in MODELS.glob("*.toml")}
    | {str(s.kind.show(s.default)) for s in SETTINGS if s.default is not None}
    | {value for s in SETTINGS if isinstance(s.kind, Choice) for value in s.kind.names}
    | {"null"}
)
"""What a translation may have: names that are the same in many languages."""


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_what_the_box_sends_is_translated_and_nothing_else(name: str) -> None:
    translated = set(json.loads((STATIC / name).read_text())["from_box"])
    assert not translated - WORDS - VALUES
    if name != ENGLISH:
        assert not WORDS - translated
