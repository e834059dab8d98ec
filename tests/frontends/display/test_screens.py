"""What a small display says, for every state of the box, and how it fits."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.schema import Display
from appliance.frontends.display.panels import layout_of, text_lines
from appliance.frontends.display.screens import (
    PAUSE_DARK_S,
    SCROLL_HOLD_S,
    SCROLL_STEP_S,
    TROUBLE_S,
    Screen,
    Screens,
    plain,
    scrolled,
)
from appliance.ipc.shared_state import Condition
from appliance.music import key_names
from appliance.music.key_names import KEYS
from tests.frontends.display.box import Box, settings

TEXT = Display("hd44780", "20x4")


def shown(
    box: Box, now_s: float = 0.0, display: Display = TEXT, quiet_hours: str = "off"
) -> Screen:
    return Screens(display, layout_of(display)).screen(
        settings(quiet_hours=quiet_hours), box, now_s
    )


def test_a_screen_has_key_tempo_instrument_and_beat() -> None:
    assert text_lines(shown(Box()), 20) == [
        "Sarabande in d minor",
        "d minor       66 BPM",
        "Church Organ        ",
        ".*.           bar 12",
    ]
    assert text_lines(shown(Box()), 16) == ["d minor       66", "Church Organ .*."]


def test_a_bar_of_many_beats_has_its_number() -> None:
    box = Box()
    box.change(beat=11, beats_per_bar=12)
    assert text_lines(shown(box), 20)[3] == "11/12         bar 12"


@pytest.mark.parametrize(
    ("beats", "beat", "line"),
    [(3, 2, "Harpsichord  .*."), (4, 1, "Harpsichord *..."), (6, 5, "Harpsichord  5/6"),
     (12, 11, "Harpsichord   11")],
)  # fmt: skip
def test_beats_leave_room_for_the_instrument(beats: int, beat: int, line: str) -> None:
    box = Box()
    box.instrument = "Harpsichord"
    box.change(beat=beat, beats_per_bar=beats)
    display = Display("hd44780", "16x2")
    assert text_lines(shown(box, display=display), 16)[1] == line


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_whole_at_every_tempo(key: str) -> None:
    screen = Screen("Fugue", key, 240, "Flute")
    for columns, line in ((16, 0), (20, 1)):
        said = text_lines(screen, columns)[line].removesuffix("240" if columns == 16 else "240 BPM")
        assert key_names.find(said) == KEYS[key]


def test_the_bar_gives_way_to_what_is_missing() -> None:
    screen = Screen("Fugue", "d minor", 66, "Flute", 128, 2, 3, "no sound card")
    assert text_lines(screen, 20)[3] == "no sound card       "


def test_a_pause_and_a_missing_sound_card_are_said() -> None:
    box = Box()
    box.change(condition=Condition.PAUSED)
    assert text_lines(shown(box), 20)[3] == "paused        bar 12"
    assert text_lines(shown(box), 16)[1] == "paused          "
    box.change(condition=Condition.NO_SOUND_CARD, problem="Headphones is busy")
    assert text_lines(shown(box), 20)[0] == "Headphones is busy  "
    assert text_lines(shown(box), 16)[1] == "no sound card   "


def test_before_the_first_piece() -> None:
    box = Box()
    box.change(condition=Condition.STARTING, title="", key="", tempo_bpm=0.0, beat=0, bar=0)
    assert text_lines(shown(box), 20) == [
        "Bachbox             ", " " * 20, "Church Organ        ", "starting            ",
    ]  # fmt: skip
    assert text_lines(shown(box), 16) == ["Bachbox         ", "starting        "]


def test_trouble_is_shown_for_a_while() -> None:
    box = Box()
    box.faults = 3
    maker = Screens(TEXT, layout_of(TEXT))

    def trouble(now_s: float) -> bool:
        return maker.screen(settings(), box, now_s).trouble

    assert not trouble(0.0)
    box.faults = 4
    assert trouble(1.0)
    assert trouble(1.0 + TROUBLE_S - 0.1)
    assert not trouble(1.0 + TROUBLE_S + 0.1)


def test_nothing_changes_as_long_as_nothing_happens() -> None:
    maker = Screens(TEXT, layout_of(TEXT))
    made = {maker.screen(settings(), Box(), now_s / 10) for now_s in range(600)}
    assert len(made) == 1


def test_a_long_title_moves_a_character_at_a_time() -> None:
    text = "Prelude in E-flat major"
    assert scrolled(text, 21, 0.0) == scrolled(text, 21, SCROLL_HOLD_S) == text[:21]
    assert scrolled(text, 21, SCROLL_HOLD_S + 2.5 * SCROLL_STEP_S) == text[2:]


@given(st.text(max_size=60), st.integers(1, 21), st.floats(0, 1e6))
def test_a_text_never_needs_more_room_than_there_is(text: str, columns: int, at_s: float) -> None:
    seen = scrolled(text, columns, at_s)
    assert seen == text if len(text) <= columns else len(seen) == columns


@given(st.text(max_size=60))
def test_every_text_can_be_written(text: str) -> None:
    written = plain(text)
    assert len(written) == len(text)
    assert all(" " <= char <= "~" for char in written)
    assert plain("Für Élise…") == "Fur Elise."


@given(
    st.builds(
        Screen,
        st.text(max_size=20), st.text(max_size=14), st.integers(0, 240), st.text(max_size=20),
        st.integers(0, 9999), st.integers(0, 12), st.integers(1, 12),
        st.sampled_from(["", *(condition.words for condition in Condition)]), st.booleans(),
    ),
    st.sampled_from([16, 20]),
)  # fmt: skip
def test_lines_are_as_long_as_the_display(screen: Screen, columns: int) -> None:
    lines = text_lines(screen, columns)
    assert [len(line) for line in lines] == [columns] * (2 if columns == 16 else 4)


def test_a_long_pause_is_dark_and_ends_with_it() -> None:
    box, maker = Box(), Screens(TEXT, layout_of(TEXT))

    def brightness(now_s: float) -> int:
        return maker.screen(settings(), box, now_s).brightness

    box.change(condition=Condition.PAUSED)
    assert brightness(5.0) == brightness(PAUSE_DARK_S) == 80
    assert brightness(PAUSE_DARK_S + 6.0) == 0
    box.change(condition=Condition.PLAYING)
    assert brightness(PAUSE_DARK_S + 7.0) == 80


@pytest.mark.parametrize(("time", "brightness"), [("21:59", 60), ("22:00", 5), ("06:59", 5)])
def test_quiet_hours_are_dimmer(
    monkeypatch: pytest.MonkeyPatch, time: str, brightness: int
) -> None:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Clock:
            return cls.fromisoformat(f"2026-11-30T{time}")

    monkeypatch.setattr(datetime, "datetime", Clock)
    display = msgspec.structs.replace(TEXT, brightness=60, quiet_brightness=5)
    made = shown(Box(), display=display, quiet_hours="22:00-07:00")
    assert made.brightness == brightness
