"""Settings are changed by anyone, checked once, and seen by all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.settings import Settings, Values


@pytest.fixture
def settings() -> Settings:
    return Settings(Values(model="chorales"), models=lambda: ["chorales", "fugues"])


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
    ],
)
def test_values_come_typed_or_as_text(
    settings: Settings, name: str, said: object, value: object
) -> None:
    assert getattr(settings.change(name, said), name.replace("-", "_")) == value


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("tempo", "fast", "tempo: 'fast' is not allowed; it is a number from 40 to 240 beats"),
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
        ("colour", "red", "there is no setting 'colour'"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    settings: Settings, name: str, said: object, sentence: str
) -> None:
    before = settings.values
    with pytest.raises(UsageError) as error:
        settings.change(name, said)
    assert sentence in str(error.value)
    assert settings.values is before


@given(
    st.sampled_from(["playing", "model", "instrument", "tempo", "temperature", "top_p", "volume"]),
    st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none(), st.binary()),
)
def test_anything_is_a_change_or_a_sentence(name: str, said: object) -> None:
    settings = Settings(Values(model="chorales"), models=lambda: ["chorales"])
    try:
        settings.change(name, said)
    except UsageError as error:
        assert "\n" not in str(error)
    values = settings.values
    assert values.tempo is None or 40 <= values.tempo <= 240
    assert 0 <= values.volume <= 100


def test_observers_hear_each_change_once_and_no_non_change(settings: Settings) -> None:
    heard: list[tuple[float | None, frozenset[str]]] = []
    stop = settings.observe(lambda values, changed: heard.append((values.tempo, changed)))
    settings.change("tempo", 96)
    settings.change("tempo", "96.0")
    settings.change("volume", 70)
    stop()
    settings.change("tempo", 97)
    assert heard == [(96.0, frozenset({"tempo"}))]
