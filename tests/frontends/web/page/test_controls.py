"""Every control of the page does what it says, and shows what others did."""

from __future__ import annotations

import math
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from appliance.state.settings import NAMES
from tests.support.browser import page, slide, unfold, wait_until
from tests.support.web_server import WebBox, eventually, set_elsewhere


@pytest.mark.parametrize(
    ("name", "label", "value"),
    [
        ("volume", "Volume", 33),
        ("tempo", "Tempo", 101),
        ("temperature", "Temperature", 1.1),
        ("top_p", "Top-p", 0.9),
        ("expression", "Expression", 80),
        ("pitch", "Concert pitch", 415),
    ],
)
def test_slider_works_both_ways(
    shown: Page, box: WebBox, name: str, label: str, value: float
) -> None:
    slide(shown, label, value)
    eventually(lambda: box.settings[name] == value)
    other = round(value + (1 if value > 5 else 0.05), 2)
    set_elsewhere(box, f"{name}={other:g}")
    wait_until(
        shown,
        "([id, value]) => Math.abs(document.getElementById(id).value - value) < 0.001",
        [f"set-{name}", other],
    )
    typed = shown.locator(f"[data-setting={name}] input[type=number]")
    expect(typed).to_have_value(f"{other:g}")
    typed.fill(f"{value:g}")
    typed.press("Enter")
    eventually(lambda: box.settings[name] == value)


def test_default_button(shown: Page, box: WebBox) -> None:
    own = shown.get_by_role("button", name="Tempo: leave it to the model")
    expect(own).to_have_attribute("aria-pressed", "false")
    own.click()
    expect(own).to_have_attribute("aria-pressed", "true")
    assert "tempo" in box.get("/api/settings")["model_defaults"]
    set_elsewhere(box, "tempo=88")
    expect(own).to_have_attribute("aria-pressed", "false")


def test_how_fast_the_piece_plays_is_said_beside_the_tempo(shown: Page, box: WebBox) -> None:
    said = shown.locator("[data-setting=tempo] .hint")
    for tempo in (88, 120):
        box.set(tempo=tempo)
        # Another piece may begin in between.
        eventually(lambda: said.inner_text() == f"This piece plays at {bpm(box)} BPM")


def bpm(box: WebBox) -> int:
    """Return how fast the piece plays, rounded as JavaScript does."""
    return math.floor(float(box.get("/api/now")["tempo_bpm"]) + 0.5)


def test_instrument_is_searched_and_chosen(shown: Page, box: WebBox) -> None:
    search = shown.get_by_label("Search: Instrument")
    search.fill("string ens")
    expect(shown.get_by_text("4 found")).to_be_visible()
    search.press("Enter")
    eventually(lambda: box.settings["instrument"] == "String Ensemble 1")
    expect(search).to_have_value("")
    search.fill("guit")
    shown.get_by_role("button", name="Electric Guitar (jazz)", exact=True).click()
    eventually(lambda: box.settings["instrument"] == "Electric Guitar (jazz)")
    expect(shown.locator(".results button")).to_have_count(0)
    choice = shown.get_by_label("Instrument", exact=True)
    groups = choice.locator("optgroup").evaluate_all("all => all.map((one) => one.label)")
    assert len(groups) == 16
    choice.select_option("Oboe")
    eventually(lambda: box.settings["instrument"] == "Oboe")
    set_elsewhere(box, "instrument=harpsichord")
    expect(choice).to_have_value("Harpsichord")


def test_model_choice(shown: Page, box: WebBox) -> None:
    choice = shown.get_by_label("Model", exact=True)
    expect(choice).to_have_value("chorales")
    models = {m["value"] for s in box.get("/api/schema")["settings"] if s["name"] == "model"
              for m in s["choices"]}  # fmt: skip
    offered = choice.locator("option").evaluate_all("all => all.map((one) => one.value)")
    assert set(offered) == models


def test_temperament_choice(shown: Page, box: WebBox) -> None:
    choice = shown.get_by_label("Temperament", exact=True)
    choice.select_option("werckmeister3")
    eventually(lambda: box.settings["temperament"] == "werckmeister3")
    set_elsewhere(box, "temperament=equal")
    expect(choice).to_have_value("equal")


def test_transport_buttons(shown: Page, box: WebBox) -> None:
    button = shown.locator("#playing")
    button.click()
    eventually(lambda: box.get("/api/now")["condition"] == "paused")
    expect(button).to_have_text("Play")
    expect(shown.locator("#condition")).to_have_text("Paused")
    set_elsewhere(box, "playing=on")
    expect(button).to_have_text("Pause")
    eventually(lambda: box.get("/api/now")["condition"] == "playing")
    piece = box.get("/api/now")["piece"]
    shown.get_by_role("button", name="Next piece").click()
    eventually(lambda: box.get("/api/now")["piece"] == piece + 1)
    expect(shown.locator("#piece")).to_contain_text(box.get("/api/now")["title"])
    # Slowly, so that a busy machine sees its first bar.
    box.set(tempo=40)
    eventually(lambda: box.get("/api/now")["bar"] >= 2)
    shown.get_by_role("button", name="Play this piece from its beginning").click()
    eventually(lambda: box.get("/api/now")["bar"] <= 1)
    box.set(tempo=88)


def test_refused_value_shows_error_and_is_reverted(shown: Page, box: WebBox) -> None:
    set_elsewhere(box, "tempo=88")
    typed = shown.locator("[data-setting=tempo] input[type=number]")
    expect(typed).to_have_value("88")
    typed.fill("300")
    typed.press("Enter")
    expect(shown.locator("#message")).to_contain_text(
        "300 is not allowed; it must be a number from"
    )
    expect(typed).to_have_value("88")


def test_output_that_does_not_play_is_told_of_when_the_box_goes_back(
    shown: Page, box: WebBox
) -> None:
    unfold(shown)
    output, message = shown.locator("#set-output"), shown.locator("#message")
    shown.evaluate(
        """() => {
          window.outputs = [];
          bachbox.connection.addEventListener('settings', ({ detail }) => {
            outputs.push(detail.values.output);
          });
        }"""
    )
    output.select_option("null")
    wait_until(shown, "() => outputs.at(-1) === 'null'")
    # As the box does where what was chosen does not play.
    box.set(output="default")
    expect(message).to_have_text("“None (silent)” does not play here. “Default” plays on.")
    expect(output).to_have_value("default")
    # Of what others choose nobody is told here.
    box.set(output="null")
    expect(output).to_have_value("null")
    output.select_option("default")
    expect(message).to_have_text("")
    eventually(lambda: box.settings["output"] == "default")


def test_keyboard_reaches_every_control(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url) as one:
        unfold(one)
        reached: dict[str, str] = {}
        for _ in range(120):
            one.keyboard.press("Tab")
            focus = one.evaluate(
                """() => {
                  const on = document.activeElement;
                  const outline = getComputedStyle(on).outlineStyle;
                  return [on.id || on.textContent.trim().slice(0, 20), outline];
                }"""
            )
            reached[focus[0]] = focus[1]
            if focus[0] == "set-volume":
                one.keyboard.press("End")
                eventually(lambda: box.settings["volume"] == 100)
        wanted = {"playing", "restart", "next", *(f"set-{n}" for n in NAMES)}
        assert wanted - {"set-playing", "set-scene", "set-saved_piece"} <= set(reached)
        assert not [name for name, on in reached.items() if name.startswith("set") and on == "none"]
    box.set(volume=60)


def test_keyboard_shortcuts(browser: Browser, box: WebBox) -> None:
    box.set(playing=True, volume=50)
    with page(browser, box.url) as one:
        one.keyboard.press("Space")
        eventually(lambda: box.settings["playing"] is False)
        one.keyboard.press("Space")
        eventually(lambda: box.settings["playing"] is True)
        one.keyboard.press("+")
        eventually(lambda: box.settings["volume"] == 55)
        piece = box.get("/api/now")["piece"]
        one.keyboard.press("n")
        eventually(lambda: box.get("/api/now")["piece"] > piece)
        one.keyboard.press("?")
        expect(one.get_by_role("dialog")).to_contain_text("Louder")
        one.keyboard.press("Escape")
        expect(one.get_by_role("dialog")).to_be_hidden()
        one.keyboard.press("f")
        expect(one.locator("body")).to_have_class(re.compile("wall"))
        expect(one.locator("#settings")).to_be_hidden()
        one.keyboard.press("f")
        expect(one.locator("#settings")).to_be_visible()
    with page(browser, box.url + "/#wall") as one:
        expect(one.locator("#settings")).to_be_hidden()
