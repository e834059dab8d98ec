"""Sleep, quiet hours, wake-up and voices: set on the page, and shown there when set elsewhere."""

from __future__ import annotations

import json
import re
import time

from playwright.sync_api import Page, expect

from tests.support.browser import slide
from tests.support.command import bachbox
from tests.support.web_server import WebBox, eventually, set_elsewhere


def in_hours(hours: int) -> str:
    """Return the time of day in ``hours``: nothing happens to the music until then."""
    return time.strftime("%H:%M", time.localtime(time.time() + 3600 * hours))


def in_the_shell(box: WebBox, name: str) -> object:
    """Return a setting as ``bachbox status`` has it."""
    said = bachbox("status", "--json", env=box.env)
    assert said.code == 0, said.err
    return json.loads(said.out)["settings"][name]


def test_sleep_timer(shown: Page, box: WebBox) -> None:
    minutes = shown.get_by_label("Sleep timer as a number, min")
    # A finger taps left of the number, which is replaced all the same.
    minutes.click(position={"x": 2, "y": 8})
    shown.keyboard.type("45")
    minutes.press("Enter")
    # It counts down.
    eventually(lambda: 43 < box.settings["sleep"] <= 45)
    set_elsewhere(box, "sleep=150")
    eventually(lambda: 148 < float(minutes.input_value()) <= 150)
    # It is in sight where the title is.
    expect(shown.locator("#sleep")).to_have_text(re.compile(r"Sleep in (149|150) min"))
    shown.get_by_role("button", name="Pause", exact=True).click()
    expect(shown.locator("#condition")).to_have_text("Paused")
    expect(shown.locator("#sleep")).to_have_text(re.compile(r"Sleep in 1[45]\d min"))
    shown.get_by_role("button", name="Play", exact=True).click()
    eventually(lambda: box.settings["playing"])
    assert box.settings["sleep"] > 100, "it runs on through a pause"
    slide(shown, "Sleep timer", 0)
    eventually(lambda: box.settings["sleep"] == 0)
    expect(shown.locator("#sleep")).to_be_empty()
    assert box.settings["playing"] is True


def test_quiet_hours(shown: Page, box: WebBox) -> None:
    begin, end = in_hours(6), in_hours(8)
    shown.get_by_label("Quiet hours", exact=True).fill(begin)
    shown.get_by_label("Quiet hours: end").fill(end)
    eventually(lambda: box.settings["quiet_hours"] == f"{begin}-{end}")
    later = in_hours(7)
    set_elsewhere(box, f"quiet_hours={later}-{end}", "quiet_volume=20")
    expect(shown.get_by_label("Quiet hours", exact=True)).to_have_value(later)
    expect(shown.get_by_label("Quiet volume as a number, %")).to_have_value("20")
    shown.get_by_role("button", name="Quiet hours: off").click()
    eventually(lambda: box.settings["quiet_hours"] == "off")
    expect(shown.get_by_label("Quiet hours: end")).to_have_value("")
    box.set(quiet_volume=0)


def test_wake_up_with_its_days(shown: Page, box: WebBox) -> None:
    field = shown.get_by_label("Wake-up", exact=True)
    days = shown.get_by_role("group", name="Wake-up: days")
    time_here, time_elsewhere = in_hours(12), in_hours(13)
    field.fill(time_here)
    eventually(lambda: box.settings["wake_time"] == time_here)
    days.get_by_role("button", name="Sun").click()
    eventually(lambda: box.settings["wake_time"].endswith("Mon Tue Wed Thu Fri Sat"))
    set_elsewhere(box, f"wake_time={time_elsewhere} Sat Sun", "wake_rise=9")
    expect(field).to_have_value(time_elsewhere)
    expect(days.locator("[aria-pressed=true]")).to_have_text(["Sat", "Sun"])
    expect(shown.get_by_label("Wake-up grows louder over as a number, min")).to_have_value("9")
    shown.get_by_role("button", name="Wake-up: off").click()
    eventually(lambda: box.settings["wake_time"] == "off")
    expect(days).to_be_hidden()
    box.set(wake_rise=5)


def test_a_voice_is_silent_and_sounds_again(shown: Page, box: WebBox) -> None:
    alto = shown.get_by_label("Alto", exact=True)
    expect(alto).to_be_checked()
    alto.uncheck()
    eventually(lambda: box.settings["alto"] is False)
    assert in_the_shell(box, "alto") is False
    set_elsewhere(box, "alto=on")
    expect(alto).to_be_checked()


def test_a_voice_is_heard_alone(shown: Page, box: WebBox) -> None:
    solo = shown.get_by_label("Solo", exact=True)
    solo.select_option("tenor")
    eventually(lambda: box.settings["solo"] == "tenor")
    assert in_the_shell(box, "solo") == "tenor"
    set_elsewhere(box, "solo=off")
    expect(solo).to_have_value("off")


def test_a_voice_has_its_instrument_and_level(shown: Page, box: WebBox) -> None:
    instrument = shown.get_by_label("Bass or lower hand: instrument", exact=True)
    instrument.select_option("Bassoon")
    slide(shown, "Bass or lower hand: level", 60)
    eventually(lambda: box.settings["bass_instrument"] == "Bassoon")
    eventually(lambda: box.settings["bass_level"] == 60)
    assert in_the_shell(box, "bass_instrument") == "Bassoon"
    set_elsewhere(box, "bass_instrument=same", "bass_level=100")
    expect(instrument).to_have_value("same")
    level = shown.get_by_label("Bass or lower hand: level as a number, %")
    expect(level).to_have_value("100")
