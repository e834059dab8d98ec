"""A scene sets all that it names in one change, says what it cannot set, and is left by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import BachboxError, UsageError
from appliance.state import given_names, store
from appliance.state.given_name_kinds import find_name
from appliance.state.scenes import MAX_OWN_SCENES, Scenes
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from tests.support.log_lines import log_lines

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)
EVENING = "Evening organ, 415 Hz"
MODELS = ["chorales", "keyboard", "strings", "folk"]


def new_settings(*models: str) -> Settings:
    return Settings(
        RequestedSettings(model="chorales"), lambda: models or MODELS, lambda _: DEFAULTS
    )


class Box:
    """Settings, their scenes, and what every change was told as."""

    def __init__(self, folder: Path, *models: str) -> None:
        self.settings = new_settings(*models)
        self.path = folder / "scenes.json"
        self.scenes = Scenes(self.path, self.settings)
        self.changes: list[frozenset[str]] = []
        self.settings.observe(lambda _requested, changed: self.changes.append(changed))


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_five_scenes_come_along_and_this_box_can_take_all_of_them(box: Box) -> None:
    assert len(box.scenes.names()) == 5
    assert box.settings.warnings == []
    for name in box.scenes.names():
        box.settings.change("scene", name)
        assert box.settings.warnings == []
        assert box.settings.requested.scene == name


def test_a_scene_is_one_change(box: Box) -> None:
    box.settings.change_all({"scene": "evening ORGAN, 415 hz", "volume": 20})
    now = box.settings.requested
    assert (now.scene, now.pitch, now.temperament) == (EVENING, 415, "werckmeister3")
    assert (now.tempo, now.instrument, now.volume) == (66, 19, 20)
    assert len(box.changes) == 1
    assert {"scene", "pitch", "volume"} <= box.changes[0]


def test_an_unknown_scene_is_refused_with_the_names_that_there_are(box: Box) -> None:
    with pytest.raises(UsageError, match="no scene 'x'; there are: none; Evening organ, 415 Hz; "):
        box.settings.change("scene", "x")
    with pytest.raises(UsageError, match=r"no saved piece 5; there are: none$"):
        box.settings.change("saved_piece", 5)


def test_what_is_given_beside_a_scene_wins(box: Box) -> None:
    assert box.settings.change_all({"scene": EVENING, "tempo": 90}).tempo == 90


def test_a_step_leads_from_scene_to_scene(box: Box) -> None:
    first, second = box.scenes.names()[:2]
    assert box.settings.change("scene", "+1").scene == first
    assert box.settings.change("scene", "+1").scene == second
    assert box.settings.change("scene", "-1").scene == first


def test_a_scene_is_left_by_changing_what_it_names(box: Box) -> None:
    box.settings.change("scene", EVENING)
    box.settings.change("volume", 11)
    assert box.settings.requested.scene == EVENING
    box.settings.change("tempo", 67)
    assert box.settings.requested.scene == "none"
    assert {"tempo", "scene"} in box.changes


def test_what_this_box_cannot_take_is_said_and_the_rest_is_set(tmp_path: Path) -> None:
    values = {"model": "gone", "tempo": 500, "nonsense": 1, "pitch": 415, "playing": False}
    (tmp_path / "scenes.json").write_text(json.dumps({"Attic": values}))
    box = Box(tmp_path)
    box.settings.change("scene", "Attic")
    assert box.settings.requested.pitch == 415
    assert box.settings.requested.playing
    sentences = box.settings.warnings
    assert len(sentences) == 4
    assert all(one.startswith("scene Attic: ") for one in sentences)
    for part in ("there is no model 'gone'", "tempo: 500", "'nonsense'", "playing is no part"):
        assert any(part in one for one in sentences), part
    box.settings.change("tempo", 100)
    assert box.settings.warnings == []


def test_a_scene_whose_model_is_unusable_keeps_the_model(tmp_path: Path) -> None:
    def defaults_of(model: str) -> ModelDefaults:
        if model == "keyboard":
            raise BachboxError("keyboard.tflite is damaged")
        return DEFAULTS

    settings = Settings(RequestedSettings(model="chorales"), lambda: MODELS, defaults_of)
    Scenes(tmp_path / "scenes.json", settings)
    now = settings.change("scene", "Morning harpsichord")
    assert (now.model, now.instrument, now.pitch) == ("chorales", 6, 415)
    assert "keyboard.tflite is damaged" in settings.warnings[0]


def test_own_scenes_outlive_a_restart_and_can_be_deleted(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.settings.change_all({"tempo": 61, "instrument": "flute", "volume": 12})
    box.scenes.save("  Tea time ", box.scenes.current_values())
    again = Box(tmp_path)
    assert again.scenes.names()[-1] == "Tea time"
    now = again.settings.change("scene", "tea time")
    assert (now.tempo, now.instrument, now.volume) == (61, 73, 70)
    assert again.scenes.delete("TEA TIME") == "Tea time"
    assert "Tea time" not in Box(tmp_path).scenes.names()


def test_a_scene_made_now_has_the_music_and_nothing_of_the_room(box: Box) -> None:
    voices = ("soprano", "alto", "tenor", "bass")
    assert box.scenes.current_values().keys() == {
        "tempo", "temperature", "instrument", "model", "top_p", "key", "repeats", "expression",
        "temperament", "pitch", "solo",
        *(voice + what for voice in voices for what in ("", "_level", "_instrument")),
    }  # fmt: skip


def test_an_own_scene_takes_the_place_of_a_supplied_one(box: Box) -> None:
    before = box.scenes.names()
    box.scenes.save(EVENING.upper(), {"tempo": "50", "instrument": "default"})
    assert box.scenes.names() == before
    assert box.settings.change("scene", EVENING).tempo == 50
    box.scenes.delete(EVENING)
    assert box.settings.change("scene", EVENING).tempo == 66
    with pytest.raises(UsageError, match="comes with Bachbox"):
        box.scenes.delete(EVENING)


def test_a_scene_with_a_wrong_value_is_not_kept(box: Box) -> None:
    for values in ({"tempo": 500}, {"nonsense": 1}, {"scene": EVENING}):
        with pytest.raises(UsageError):
            box.scenes.save("Wrong", values)
    assert not box.path.exists()


def test_there_are_not_endless_scenes(box: Box) -> None:
    for number in range(MAX_OWN_SCENES):
        box.scenes.save(f"Scene {number}", {"tempo": 60})
    with pytest.raises(UsageError, match="delete one first"):
        box.scenes.save("One more", {"tempo": 60})
    box.scenes.save("Scene 1", {"tempo": 61})


def test_a_full_disk_is_said_and_changes_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.state.scenes.write_atomically", full)
    with pytest.raises(BachboxError, match="No space left on device"):
        box.scenes.save("Tea time", {"tempo": 60})
    assert "Tea time" not in box.scenes.names()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b'{"a": 1}', b'{"none": {}}', b"[" * 9999]
)
def test_a_broken_file_is_said_and_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scenes.json").write_bytes(content)
    with log_lines() as lines:
        assert len(Box(tmp_path).scenes.names()) == 5
    assert (tmp_path / "scenes.json.bad").read_bytes() == content
    assert "your own scenes are missing" in lines[0]


def test_stored_settings_keep_their_scene(tmp_path: Path) -> None:
    """The values are those that were stored, even if the scene is another one now."""
    path = tmp_path / "settings.json"
    store.write(path, {"scene": EVENING, "tempo": 66, "pitch": 415, "volume": 12})
    box = Box(tmp_path)
    assert store.Store(path).restore(box.settings) == []
    now = box.settings.requested
    assert (now.scene, now.tempo, now.pitch, now.volume) == (EVENING, 66, 415, 12)
    assert now.temperament == "equal"


@given(st.text(max_size=70))
def test_a_name_that_is_kept_means_itself(name: str) -> None:
    try:
        kept = given_names.checked(name, "scene")
    except UsageError as error:
        assert "cannot be the name of a scene" in str(error)
        return
    assert given_names.checked(kept, "scene") == kept
    assert kept[0] not in '+-{["'
    assert find_name(kept.swapcase(), [kept]) in (kept, None)
