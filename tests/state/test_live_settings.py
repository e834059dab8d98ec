"""What a setting is, what it can be, and where it arrives."""

from __future__ import annotations

import itertools
from typing import Any, Final

import msgspec
import pytest

from appliance.errors import UsageError
from appliance.ipc import shared_state
from appliance.ipc.shared_state import LiveSettings
from appliance.state.settings import (
    NAMES,
    EffectiveSettings,
    ModelDefaults,
    RequestedSettings,
    Settings,
    effective,
    left_to_model,
    live_settings,
    shown,
)
from appliance.state.settings_ranges_and_steps import SETTINGS

DEFAULTS: Final = ModelDefaults(tempo_bpm=66, temperature=0.8, top_p=0.7, program=73)

PLACE: Final = {
    "tempo": "tempo_bpm",
    "instrument": "program",
    "pitch": "pitch_hz",
    "swap_channels": "is_swapped",
    "mono": "is_mono",
}
"""Settings that have another name in the shared memory."""

DAEMON_ONLY: Final = {
    *("scene", "saved_piece"),
    *(setting.name for setting in SETTINGS if setting.group == "clock"),
}
"""Settings that set others, and one that the daemon turns into a number."""

VOICES: Final = {setting.name for setting in SETTINGS if setting.group == "voices"}


VOICE_PROGRAMS: Final = {name for name in VOICES if name.endswith("_instrument")}


def any_values() -> dict[str, Any]:
    """A value for every setting, each another one, and none the one that a new box has."""
    numbers = itertools.count(41)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        kind = setting.kind.value_type
        if kind is bool:
            values[setting.name] = not setting.default
        else:
            values[setting.name] = kind(next(numbers)) if kind is not str else setting.name
    return values


def test_every_setting_arrives_in_the_shared_memory() -> None:
    values = any_values()
    live = live_settings(EffectiveSettings(**values), soundfont="/fonts/soundfont.sf2")
    for name in values.keys() - DAEMON_ONLY - VOICES:
        value = values[name]
        expected = "/fonts/soundfont.sf2" if name == "soundfont" else value
        assert getattr(live, PLACE.get(name, name)) == expected, name


def test_what_is_set_for_the_voices_arrives_in_the_shared_memory() -> None:
    settings = new_settings()

    def live() -> LiveSettings:
        return live_settings(settings.effective)

    assert (live().voice_programs, live().voice_levels) == ((-1,) * 4, (100,) * 4)
    settings.change_all({"soprano_instrument": "flute", "bass_instrument": "bassoon"})
    assert live().voice_programs == (73, -1, -1, 70)
    settings.change_all({"soprano_instrument": "same", "tenor_level": 40, "alto": "off"})
    assert live().voice_programs == (-1, -1, -1, 70)
    assert live().voice_levels == (100, 0, 40, 100)
    settings.change("solo", "alto")
    assert live().voice_levels == (0, 100, 0, 0), "a voice that is soloed is heard"
    settings.change_all({"solo": "off", "alto": "toggle"})
    assert live().voice_levels == (100, 100, 40, 100)


def test_actions_and_tones_arrive_in_the_shared_memory() -> None:
    settings = EffectiveSettings(**any_values())
    plain = live_settings(settings)
    assert (plain.action_count, plain.tone_count, plain.soundfont) == (0, 0, "")
    assert plain.action is shared_state.Action.NONE
    assert plain.is_program_chosen
    action = shared_state.Action.NEXT_PIECE
    acted = live_settings(settings, 3, action, 2, is_program_chosen=False)
    assert (acted.action_count, acted.action, acted.tone_count) == (3, action, 2)
    assert not acted.is_program_chosen
    assert isinstance(acted, LiveSettings)


def test_the_models_defaults_are_filled_in_where_nothing_was_asked_for() -> None:
    asked = RequestedSettings(model="chorales", tempo=100.0)
    values = effective(asked, DEFAULTS)
    assert (values.tempo, values.temperature, values.top_p, values.instrument) == (
        *(100, 0.8, 0.7, 73),
    )
    assert left_to_model(asked) == ["temperature", "instrument", "top_p"]
    assert shown(values) == msgspec.convert(
        msgspec.structs.asdict(values)
        | {"instrument": "Flute"}
        | dict.fromkeys(VOICE_PROGRAMS, "same"),
        type(shown(values)),
    )


def new_settings(**more: Any) -> Settings:
    return Settings(
        RequestedSettings(model="b", **more), lambda: ["c", "a", "b"], lambda _: DEFAULTS
    )


def test_the_names_that_exist_now_are_the_choices() -> None:
    settings = new_settings(output="Kitchen")
    cards = ["default", "Kitchen"]
    settings.add_names("output", lambda: cards)
    assert settings.models == ["a", "b", "c"]
    assert settings.choices["model"] == ["a", "b", "c"]
    assert settings.choices["output"] == ["default", "Kitchen"]
    assert list(settings.options("output")) == ["default", "Kitchen"]
    # It is switched off: no control may show a value that it lacks.
    cards.remove("Kitchen")
    assert settings.choices["output"] == ["default", "Kitchen"]
    settings.change("output", "default")
    assert settings.choices["output"] == ["default"]
    assert set(settings.choices) == {
        "model",
        "output",
        "soundfont",
        "scene",
        "saved_piece",
        "wake_scene",
    }


def test_a_setting_has_the_options_of_its_kind() -> None:
    settings = new_settings()
    assert list(settings.options("model")) == ["a", "b", "c"]
    assert list(settings.options("playing")) == [False, True]
    assert list(settings.options("instrument")) == list(range(128))
    assert list(settings.options("tempo")) == []


def test_what_was_kept_may_be_a_card_that_is_switched_off_but_no_file() -> None:
    settings = new_settings()
    settings.add_names("output", lambda: ["default"])
    with pytest.raises(UsageError, match="there is no output 'Attic'; there are: default"):
        settings.change("output", "Attic")
    settings.restore("output", "Attic")
    assert settings.requested.output == "Attic"
    for file in ("wav:/etc/passwd", "pipe:/etc/passwd", "midi:Organ", "a\nb", "", 3):
        with pytest.raises(UsageError):
            settings.restore("output", file)
    assert settings.requested.output == "Attic"
    for port in ("midi:Organ", " MIDI:Organ"):
        with pytest.raises(UsageError, match=r'out_port = "Organ" under \[midi\]'):
            settings.change("output", port)
    settings.restore("tempo", "99")
    assert settings.requested.tempo == 99
    with pytest.raises(UsageError, match="40 to 240"):
        settings.restore("tempo", 999)


def test_without_anything_of_a_kind_the_sentence_says_so() -> None:
    settings = Settings(RequestedSettings(model="b"), list, lambda _: DEFAULTS)
    with pytest.raises(UsageError, match="there is no model 'a'; there are: none"):
        settings.change("model", "a")


def test_another_model_brings_its_own_defaults() -> None:
    defaults = {"a": DEFAULTS, "b": DEFAULTS._replace(tempo_bpm=120)}
    settings = Settings(RequestedSettings(model="a"), lambda: defaults, defaults.__getitem__)
    assert settings.effective.tempo == 66
    settings.change("model", "b")
    assert settings.effective.tempo == 120
    settings.change("tempo", 50)
    settings.change("model", "a")
    assert settings.effective.tempo == 50


def test_every_setting_is_one_of_the_records() -> None:
    for record in (RequestedSettings, EffectiveSettings, type(shown(new_settings().effective))):
        assert record.__struct_fields__ == tuple(NAMES)
