"""A step ("+5") and a toggle start from the value now, whoever sends them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.state import general_midi
from appliance.state.setting_kinds import Number, absolute, is_relative
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings


def new_settings() -> Settings:
    return Settings(
        RequestedSettings(model="chorales"),
        models=lambda: ["chorales", "fugues"],
        defaults_of=lambda _: ModelDefaults(80, 0.9, 0.95, 127),
    )


@pytest.mark.parametrize(
    ("name", "said", "value"),
    [
        ("volume", "+5", 75),
        ("volume", " -5 ", 65),
        ("volume", "+=2.5", 72.5),
        ("volume", "-=5", 65),
        ("volume", "+40", 100),
        ("volume", "-400", 0),
        ("tempo", "-1", 79),
        ("temperature", "+0.05", 0.95),
        ("instrument", "+1", 0),
        ("instrument", "-1", 126),
        ("model", "+1", "fugues"),
        ("model", "-1", "fugues"),
        ("temperament", "+2", "kirnberger3"),
        ("playing", "TOGGLE", False),
        ("playing", "toggle", False),
    ],
)
def test_a_step_starts_from_the_effective_value(name: str, said: str, value: object) -> None:
    assert getattr(new_settings().change(name, said), name) == value


def test_steps_follow_one_another() -> None:
    settings = new_settings()
    for _ in range(3):
        settings.change("tempo", "+2")
        settings.change("playing", "toggle")
    assert settings.requested.tempo == 86
    assert not settings.requested.playing


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("playing", "+1", "it must be on or off"),
        ("volume", "toggle", "it must be a number from 0 to 100"),
        ("volume", "++5", "it must be a number from 0 to 100"),
        ("volume", "+", "it must be a number from 0 to 100"),
        ("volume", "1_0", "it must be a number from 0 to 100"),
        ("volume", "٣", "it must be a number from 0 to 100"),
        ("volume", "+٣", "it must be a number from 0 to 100"),
        ("volume", -5, "it must be a number from 0 to 100"),
        ("temperament", "+0.5", "it must be one of equal"),
        ("instrument", "+1.5", "no instrument"),
    ],
)
def test_what_is_no_step_is_refused(name: str, said: object, sentence: str) -> None:
    settings = new_settings()
    with pytest.raises(UsageError, match=sentence):
        settings.change(name, said)
    assert settings.requested == new_settings().requested


def test_in_a_range_with_negative_numbers_the_sign_is_part_of_the_value() -> None:
    signed = Number(-100, 100, encoder_step=5)
    assert absolute(signed, "-20", 50.0, ()) == "-20"
    assert absolute(signed, "+20", 50.0, ()) == "+20"
    assert absolute(signed, "-=20", 50.0, ()) == 30
    assert signed.parse("balance", "-20") == -20
    assert signed.parse("balance", "+20") == 20


@given(st.sampled_from(["volume", "tempo", "top_p", "pitch"]), st.text(alphabet="+-=0123456789."))
def test_any_step_stays_in_the_range_or_is_refused(name: str, said: str) -> None:
    settings = new_settings()
    low, high = {"volume": (0, 100), "tempo": (40, 240), "top_p": (0.05, 1), "pitch": (392, 466)}[
        name
    ]
    try:
        settings.change(name, said)
    except UsageError:
        assert settings.requested == new_settings().requested
    assert low <= getattr(settings.effective, name) <= high


@given(st.text(max_size=20))
def test_a_relative_value_is_recognised_without_its_setting(said: str) -> None:
    settings = new_settings()
    before = settings.effective.volume
    if not is_relative(said):
        return
    value = absolute(Number(0, 100, encoder_step=1), said, before, ())
    assert isinstance(value, (float, str))


def test_the_last_instrument_is_followed_by_the_first() -> None:
    settings = new_settings()
    for program in range(len(general_midi.NAMES)):
        settings.change("instrument", "+1")
        assert settings.requested.instrument == program
