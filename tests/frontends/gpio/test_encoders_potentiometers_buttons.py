"""Encoders, potentiometers and buttons: what their signals mean for a setting."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.gpio_schema import HOLD_S, SettingName
from appliance.frontends.gpio import potentiometers
from appliance.frontends.gpio.buttons import DebouncedButton
from appliance.frontends.gpio.potentiometers import (
    HYSTERESIS,
    TAKEOVER_DISTANCE,
    NoiseFilter,
    SoftTakeover,
)
from appliance.frontends.gpio.rotary_encoders import QuadratureDecoder, value_after_clicks
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)


def new_settings() -> Settings:
    return Settings(RequestedSettings(model="b"), lambda: ["a", "b", "c"], lambda _: DEFAULTS)


@pytest.mark.parametrize(
    ("name", "clicks", "value"),
    [
        ("tempo", 1, 82),
        ("tempo", -100, 40),
        ("temperature", 2, 1.0),
        ("top_p", 5, 1.0),
        ("volume", 3, 76),
        ("instrument", 1, 20),
        ("instrument", -20, 127),
        ("model", 2, "a"),
        ("playing", -1, False),
        ("expression", 1, 65),
        ("temperament", 6, "werckmeister3"),
        ("pitch", -25, 415),
    ],
)
def test_encoder_clicks_start_from_the_effective_value(
    name: str, clicks: int, value: object
) -> None:
    assert value_after_clicks(new_settings(), name, clicks) == value


@given(st.sampled_from(get_args(SettingName)), st.lists(st.integers(-5, 5), max_size=30))
def test_encoder_clicks_give_only_allowed_values(name: str, turns: list[int]) -> None:
    settings = new_settings()
    for clicks in turns:
        settings.change(name, value_after_clicks(settings, name, clicks))


@given(st.sampled_from(get_args(SettingName)), st.floats(0, 1))
def test_potentiometer_positions_and_values_correspond(name: str, position: float) -> None:
    settings = new_settings()
    settings.change(name, potentiometers.value_at(settings, name, position))
    options = settings.options(name)
    coarse = 0.51 / len(options) if options else 0.02
    assert abs(potentiometers.position_of(settings, name) - position) <= coarse


@given(st.floats(0, 1), st.lists(st.floats(-HYSTERESIS * 0.45, HYSTERESIS * 0.45), max_size=200))
def test_noise_filter_ignores_noise(position: float, noise: list[float]) -> None:
    noise_filter = NoiseFilter()
    noise_filter.update(position)
    moves = [noise_filter.update(min(max(position + error, 0), 1)) for error in noise]
    # Near the ends, the filter may snap to them.
    assert {move for move in moves if move is not None} <= {0.0, 1.0}


@given(st.floats(0, 1), st.floats(0, 1))
def test_noise_filter_follows_a_turn_to_its_end(start: float, end: float) -> None:
    noise_filter = NoiseFilter()
    position = noise_filter.update(start)
    for _ in range(20):
        moved = noise_filter.update(end)
        position = position if moved is None else moved
    assert position is not None
    assert abs(position - end) <= HYSTERESIS + 2 * potentiometers.DEAD_ZONE


def test_noise_filter_reaches_both_ends() -> None:
    noise_filter = NoiseFilter()
    noise_filter.update(0.5)
    assert [noise_filter.update(0.003) for _ in range(12)][-1] is None
    assert noise_filter._position == 0.0
    for _ in range(12):
        noise_filter.update(0.997)
    assert noise_filter._position == 1.0


@given(st.floats(0, 100), st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_soft_takeover_waits_until_the_potentiometer_passes_the_value(
    volume: float, positions: list[float]
) -> None:
    settings, takeover = new_settings(), SoftTakeover()
    settings.change("volume", volume)
    target = potentiometers.position_of(settings, "volume")
    for before, position in zip([None, *positions], positions, strict=False):
        value = takeover.turn(settings, "volume", position)
        met = before is not None and (
            (before - target) * (position - target) <= 0
            or abs(position - target) <= TAKEOVER_DISTANCE
        )
        assert (value is not None) == met
        if met:
            # It has taken over, until another frontend sets the value.
            settings.change("volume", value)
            assert takeover.turn(settings, "volume", position) is not None
            settings.change("volume", 0 if settings.requested.volume > 50 else 100)
            new_target = potentiometers.position_of(settings, "volume")
            if abs(position - new_target) > TAKEOVER_DISTANCE:
                assert takeover.turn(settings, "volume", position) is None
            return


class Clock:
    """A clock for scheduled calls that the test moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, function: Callable[[], None]) -> Clock.Entry:
        entry = (self.now + seconds, function)
        self.due.append(entry)
        return Clock.Entry(self, entry)

    def until(self, moment: float) -> None:
        while self.due and min(self.due, key=lambda e: e[0])[0] <= moment:
            entry = min(self.due, key=lambda e: e[0])
            self.due.remove(entry)
            self.now = entry[0]
            entry[1]()
        self.now = moment

    class Entry:
        def __init__(self, clock: Clock, entry: tuple[float, Callable[[], None]]) -> None:
            self.clock, self.entry = clock, entry

        def cancel(self) -> None:
            if self.entry in self.clock.due:
                self.clock.due.remove(self.entry)


bounces = st.lists(st.floats(0.0002, 0.004), max_size=6)


@given(
    st.lists(st.tuples(st.floats(0.04, 3.5), st.floats(0.04, 1.0), bounces, bounces), max_size=6),
    st.booleans(),
)
def test_debounced_button_counts_each_press_once(
    presses: list[tuple[float, float, list[float], list[float]]], with_hold: bool
) -> None:
    clock, contact, done = Clock(), [False], list[str]()
    button = DebouncedButton(
        lambda: contact[0],
        clock.call_later,
        lambda: done.append("press"),
        (lambda: done.append("hold")) if with_hold else None,
        HOLD_S,
    )

    def move(to: bool, bouncing: list[float]) -> None:
        contact[0] = to
        button.on_edge(to)
        for gap in bouncing:
            clock.until(clock.now + gap)
            contact[0] = not contact[0]
            button.on_edge(contact[0])
        if contact[0] != to:
            contact[0] = to
            button.on_edge(to)

    expected = []
    for down, pause, closing, opening in presses:
        begun = clock.now
        move(True, closing)
        clock.until(max(clock.now, begun + down))
        held = with_hold and clock.now >= begun + 2.0
        expected.append("hold" if held else "press")
        move(False, opening)
        clock.until(clock.now + pause)
    assert done == expected


QUARTERS = [(True, True), (False, True), (True, False), (False, False)]
"""The edges of a cycle to the right: which contact (A: True), and whether it closes."""


def turned(decoder: QuadratureDecoder, quarters: int, bounces: list[int]) -> int:
    """Turn by ``quarters`` of a cycle, each edge bouncing; return the clicks."""
    clicks, right = 0, quarters > 0
    position = 0
    for number in range(abs(quarters)):
        is_a, closes = QUARTERS[position % 4] if right else QUARTERS[(position - 1) % 4]
        closes = closes if right else not closes
        position += 1 if right else -1
        for _ in range(bounces[number % len(bounces)]):
            clicks += decoder.edge(is_a, closes)
            clicks += decoder.edge(is_a, not closes)
        clicks += decoder.edge(is_a, closes)
    return clicks


@given(
    st.sampled_from([1, 2, 4]),
    st.integers(-1000, 1000),
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
)
def test_an_encoder_counts_every_detent_however_its_contacts_bounce(
    detents_per_cycle: int, detents: int, bounces: list[int]
) -> None:
    # At 1000 edges a second, and with contacts that bounce for 5 ms when it turns slowly: what
    # matters is their order, not when they come.
    quarters = detents * 4 // detents_per_cycle
    assert turned(QuadratureDecoder(detents_per_cycle), quarters, bounces) == detents


@given(st.integers(1, 3), st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_a_knob_that_is_let_go_between_two_detents_has_not_clicked(
    quarters: int, bounces: list[int]
) -> None:
    decoder = QuadratureDecoder()
    assert turned(decoder, quarters, bounces) == 0
    for number in reversed(range(quarters)):
        is_a, closes = QUARTERS[number]
        assert decoder.edge(is_a, not closes) == 0, "and back again"


def test_a_quarter_that_was_lost_costs_no_click() -> None:
    decoder = QuadratureDecoder(detents_per_cycle=2)
    edges = [QUARTERS[number % 4] for number in range(4000)]
    clicks = sum(decoder.edge(*edge) for number, edge in enumerate(edges) if number % 401)
    assert abs(clicks - 2000) <= 20, "one edge of 400 is lost, and less than 1 % of the clicks"


@given(st.lists(st.sampled_from(["press", "double", "hold"]), max_size=8), st.integers(0, 3))
def test_single_double_and_long_presses_are_told_apart(wanted: list[str], bouncing: int) -> None:
    clock, contact, done = Clock(), [False], list[str]()
    button = DebouncedButton(
        lambda: contact[0],
        clock.call_later,
        lambda: done.append("press"),
        lambda: done.append("hold"),
        HOLD_S,
        on_double=lambda: done.append("double"),
    )

    def press(seconds: float) -> None:
        for down, wait in ((True, seconds), (False, 0.1)):
            for state in (*(down, not down) * bouncing, down):
                contact[0] = state
                button.on_edge(state)
                # Contacts bounce for 5 ms.
                clock.until(clock.now + 0.005 / (2 * bouncing + 1))
            clock.until(clock.now + wait)

    for what in wanted:
        for _ in range(2 if what == "double" else 1):
            press(2.5 if what == "hold" else 0.1)
        clock.until(clock.now + 1)
    assert done == wanted
