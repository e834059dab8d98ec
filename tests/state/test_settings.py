"""Settings can be changed by any frontend, are checked once, and every observer sees them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import BachboxError, UsageError
from appliance.music.temperament import NAMES as TEMPERAMENTS
from appliance.state.settings import (
    ASKED_TO_PLAY,
    NAMES,
    ModelDefaults,
    RequestedSettings,
    Settings,
    left_to_model,
)

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        RequestedSettings(model="chorales"),
        models=lambda: ["chorales", "fugues"],
        defaults_of=lambda _: DEFAULTS,
    )


@pytest.mark.parametrize(
    ("name", "said", "value"),
    [
        ("tempo", "96", 96.0),
        ("tempo", 40, 40.0),
        ("temperature", "0.1", 0.1),
        ("top-p", 0.05, 0.05),
        ("top_p", "1", 1.0),
        ("volume", "0", 0.0),
        ("instrument", "church", 19),
        ("instrument", 0, 0),
        ("model", "fugues", "fugues"),
        ("playing", "OFF", False),
        ("playing", False, False),
        ("expression", "0", 0.0),
        ("temperament", "Vallotti", "vallotti"),
        ("temperament", "werckmeister-3", "werckmeister3"),
        ("pitch", "415", 415.0),
    ],
)
def test_a_value_may_be_typed_or_text(
    settings: Settings, name: str, said: object, value: object
) -> None:
    assert getattr(settings.change(name, said), name.replace("-", "_")) == value


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("tempo", "fast", "tempo: 'fast' is not allowed; it must be a number from 40 to 240 beats"),
        ("tempo", 39.9, "40 to 240"),
        ("tempo", math.nan, "40 to 240"),
        ("tempo", True, "40 to 240"),
        ("tempo", "1" * 5000, "40 to 240"),
        ("temperature", 3.01, "0.1 to 3"),
        ("top_p", 0, "0.05 to 1"),
        ("volume", -1, "0 to 100"),
        ("volume", None, "0 to 100"),
        ("instrument", "kazoo", "no instrument"),
        ("model", "jazz", "there are: chorales, fugues"),
        ("model", 3, "there are: chorales, fugues"),
        ("playing", "maybe", "on or off"),
        ("expression", 101, "0 to 100"),
        (
            "temperament",
            "just",
            "must be one of equal, werckmeister3, kirnberger3, vallotti, meantone",
        ),
        ("temperament", None, "it must be one of equal"),
        ("pitch", 391, "392 to 466 Hz"),
        ("pitch", "baroque", "392 to 466 Hz"),
        ("colour", "red", "there is no setting 'colour'"),
    ],
)
def test_a_value_that_is_not_allowed_is_rejected_and_changes_nothing(
    settings: Settings, name: str, said: object, sentence: str
) -> None:
    before = settings.requested
    with pytest.raises(UsageError) as error:
        settings.change(name, said)
    assert sentence in str(error.value)
    assert settings.requested is before


@given(
    st.sampled_from(NAMES),
    st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none(), st.binary()),
)
def test_any_value_is_either_set_or_rejected_with_one_sentence(name: str, said: object) -> None:
    settings = Settings(
        RequestedSettings(model="chorales"),
        models=lambda: ["chorales"],
        defaults_of=lambda _: DEFAULTS,
    )
    try:
        settings.change(name, said)
    except UsageError as error:
        assert "\n" not in str(error)
    values = settings.requested
    assert values.tempo is None or 40 <= values.tempo <= 240
    assert 0 <= values.volume <= 100
    assert 0 <= values.expression <= 100
    assert 392 <= values.pitch <= 466
    assert values.temperament in TEMPERAMENTS


def test_observers_are_called_once_per_change_and_not_without_a_change(settings: Settings) -> None:
    calls: list[tuple[float | None, frozenset[str]]] = []
    stop = settings.observe(lambda values, changed: calls.append((values.tempo, changed)))
    settings.change("tempo", 96)
    settings.change("tempo", "96.0")
    settings.change("volume", 70)
    stop()
    settings.change("tempo", 97)
    assert calls == [(96.0, frozenset({"tempo"}))]


def test_an_action_calls_the_observers_and_changes_no_value(settings: Settings) -> None:
    calls: list[frozenset[str]] = []
    settings.observe(lambda _, changed: calls.append(changed))
    before = settings.requested
    settings.act("next-piece")
    settings.act("restart_piece")
    with pytest.raises(UsageError, match="there are next_piece, restart_piece, model_defaults"):
        settings.act("encore")
    assert calls == [{"next_piece"}, {"restart_piece"}]
    assert settings.requested is before


def test_the_models_defaults_apply_again_at_once(settings: Settings) -> None:
    settings.change_all({"tempo": 96, "instrument": "oboe", "top_p": 0.5, "volume": 30})
    settings.act("model_defaults")
    assert left_to_model(settings.requested) == ["tempo", "temperature", "instrument", "top_p"]
    assert settings.requested.volume == 30


def test_several_changes_are_made_together_or_not_at_all(settings: Settings) -> None:
    with pytest.raises(UsageError, match="did you mean 'temperature'"):
        settings.change_all({"tempo": 96, "temprature": 1})
    assert settings.requested.tempo is None
    values = settings.change_all({"tempo": 96, "volume": "50"})
    assert (values.tempo, values.volume) == (96, 50)


def test_default_returns_to_the_models_default(settings: Settings) -> None:
    settings.change_all({"tempo": 96, "instrument": "oboe"})
    assert (settings.effective.tempo, settings.effective.instrument) == (96, 68)
    settings.change_all({"tempo": "default", "instrument": "Default"})
    assert settings.requested.tempo is None
    assert (settings.effective.tempo, settings.effective.instrument) == (
        DEFAULTS.tempo_bpm,
        DEFAULTS.program,
    )


def test_an_unusable_model_is_rejected_and_changes_nothing() -> None:
    def defaults_of(name: str) -> ModelDefaults:
        if name == "broken":
            raise BachboxError("broken.tflite: not a model")
        return DEFAULTS

    settings = Settings(
        RequestedSettings(model="good"), lambda: ["good", "broken", "x" * 49], defaults_of
    )
    with pytest.raises(BachboxError, match="not a model"):
        settings.change("model", "broken")
    with pytest.raises(UsageError, match="48 bytes"):
        settings.change("model", "x" * 49)
    assert settings.requested.model == "good"


def test_a_failing_observer_does_not_keep_others_from_being_called(settings: Settings) -> None:
    calls: list[float | None] = []
    errors: list[Exception] = []

    def fails(_values: RequestedSettings, _changed: frozenset[str]) -> None:
        raise RuntimeError("broken knob")

    settings.on_observer_error = errors.append
    settings.observe(fails)
    settings.observe(lambda values, _: calls.append(values.tempo))
    settings.change("tempo", 96)
    assert calls == [96]
    assert [str(error) for error in errors] == ["broken knob"]


def test_an_observer_gets_the_newest_state(settings: Settings) -> None:
    calls: list[float] = []

    def limits(values: RequestedSettings, _changed: frozenset[str]) -> None:
        if values.volume > 80:
            settings.change("volume", 80)

    settings.observe(limits)
    settings.observe(lambda values, _: calls.append(values.volume))
    settings.change("volume", 100)
    assert calls == [80, 80]


def test_without_anybody_for_it_an_observers_error_reaches_who_made_the_change(
    settings: Settings,
) -> None:
    def fails(_values: RequestedSettings, _changed: frozenset[str]) -> None:
        raise RuntimeError("broken knob")

    settings.observe(fails)
    with pytest.raises(RuntimeError, match="broken knob"):
        settings.change("tempo", 96)
    assert settings.requested.tempo == 96


def test_asking_for_music_is_heard_even_where_it_plays_already(settings: Settings) -> None:
    calls: list[frozenset[str]] = []
    settings.observe(lambda _, changed: calls.append(changed))
    settings.change("playing", True)
    settings.change("playing", False)
    settings.change("tempo", 96)
    assert calls == [{ASKED_TO_PLAY}, {"playing", ASKED_TO_PLAY}, {"tempo"}]


def test_what_is_changed_for_now_stays_so_until_it_is_changed_for_good(settings: Settings) -> None:
    assert settings.passing == frozenset()
    settings.change_all({"volume": 20, "playing": False}, is_passing=True)
    settings.change_all({"tempo": 90}, is_passing=True)
    assert settings.passing == {"volume", "playing", "tempo"}
    settings.change("volume", 30)
    assert settings.passing == {"playing", "tempo"}
