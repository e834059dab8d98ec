"""The wiring is checked before a pin is used; a part with a problem is off, the rest works."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from appliance.config import gpio_schema
from appliance.config.gpio_schema import Button, Encoder, Gpio, Led, Part, Pot, wired_parts
from appliance.state.settings import NAMES


def problems(*parts: Part) -> list[str]:
    gpio = Gpio(
        encoders=tuple(part for part in parts if isinstance(part, Encoder)),
        pots=tuple(part for part in parts if isinstance(part, Pot)),
        buttons=tuple(part for part in parts if isinstance(part, Button)),
        leds=tuple(part for part in parts if isinstance(part, Led)),
    )
    return [f"{found.where}: {found.problem}" for found in wired_parts(gpio) if found.problem]


def test_every_setting_but_times_can_be_turned() -> None:
    times = {"quiet_hours", "wake_time", "stop_time"}
    assert {*get_args(gpio_schema.SettingName)} == {*NAMES} - times


def test_a_pin_used_twice_belongs_to_the_first_part() -> None:
    assert problems(
        Encoder("tempo", 17, 27, push=22),
        Button(22, press="next_piece"),
        Led(17, "beat"),
        Led(20, "beat"),
    ) == [
        "[gpio] buttons 1 (next_piece): pin 22 is already taken by [gpio] encoders 1 (tempo); "
        "choose another one",
        "[gpio] leds 1 (beat): pin 17 is already taken by [gpio] encoders 1 (tempo); "
        "choose another one",
    ]
    assert problems(Encoder("tempo", 5, 5)) == [
        "[gpio] encoders 1 (tempo): pin 5 is named twice; each wire needs a pin of its own"
    ]


def test_a_pin_that_does_not_exist_is_reported() -> None:
    assert problems(Led(28, "beat"), Led(-1, "trouble"), Led(27, "playing")) == [
        "[gpio] leds 1 (beat): there is no pin 28; BCM numbers go from 0 to 27",
        "[gpio] leds 2 (trouble): there is no pin -1; BCM numbers go from 0 to 27",
    ]


def test_only_potentiometers_share_the_converters_pins() -> None:
    assert not problems(Pot("tempo", 0), Pot("volume", 1), Pot("top_p", 0, select=1))
    assert (
        "pin 10 is already taken by [gpio] pots 1" in problems(Pot("tempo", 0), Led(10, "beat"))[0]
    )


def test_a_button_that_does_nothing_is_reported() -> None:
    assert "it does nothing" in problems(Button(16))[0]


@given(st.lists(st.builds(Led, st.integers(-5, 40), st.just("beat"))))
def test_no_two_working_parts_share_a_pin(leds: list[Led]) -> None:
    good = [found.part for found in wired_parts(Gpio(leds=tuple(leds))) if not found.problem]
    used = [pin for part in good for pin in gpio_schema.pins_of(part)]
    assert len(used) == len(set(used))
    assert all(0 <= pin <= gpio_schema.LAST_PIN for pin in used)
