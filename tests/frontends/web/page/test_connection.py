"""The page and whatever else controls the box agree, through whatever interrupts them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.support.broker import Broker, TestClient, client, proxy
from tests.support.browser import page, slide, unfold, wait_until_live
from tests.support.web_server import WebBox, eventually, start, web_box

BASE = "bachbox/kitchen"


def test_two_browsers_and_mqtt_agree_after_many_changes(
    browser: Browser, shown: Page, box: WebBox, mosquitto: Broker
) -> None:
    dice = random.Random(6)
    values: dict[str, Callable[[], Any]] = {
        "tempo": lambda: dice.randint(40, 240),
        "volume": lambda: dice.randint(0, 100),
        "temperature": lambda: round(dice.uniform(0.5, 1.5), 2),
        "top_p": lambda: round(dice.uniform(0.5, 1.0), 2),
        "instrument": lambda: dice.choice(["Oboe", "Flute", "Harpsichord", "Church Organ"]),
        "playing": lambda: dice.random() < 0.5,
    }
    with (
        page(browser, box.url) as second,
        client(mosquitto.port) as listener,
    ):
        for number in range(200):
            name = dice.choice(list(values))
            value = values[name]()
            changer = (shown, second, listener)[number % 3]
            if isinstance(changer, TestClient):
                changer.publish(f"{BASE}/{name}/set", "on" if value is True else str(value))
            else:
                changer.evaluate(
                    "([name, value]) => void bachbox.connection.request({set: {[name]: value}})",
                    [name, value],
                )

        def shows(one: Page) -> dict[str, Any]:
            return dict(
                one.evaluate(
                    """() => Object.fromEntries([
                      ...['tempo', 'volume', 'temperature', 'top_p'].map((name) =>
                        [name, document.getElementById(`set-${name}`).valueAsNumber]),
                      ['instrument', document.getElementById('set-instrument').value],
                      ['playing', document.getElementById('playing').dataset.playing === 'true'],
                    ])"""
                )
            )

        def published() -> dict[str, Any]:
            states = {name: listener.last(f"{BASE}/{name}") or "" for name in values}
            numbers = {n: float(states[n]) for n in ("tempo", "volume", "temperature", "top_p")}
            return {**numbers, "instrument": states["instrument"],
                    "playing": states["playing"] == "ON"}  # fmt: skip

        def agree() -> bool:
            truth = {name: value for name, value in box.settings.items() if name in values}
            return shows(shown) == shows(second) == published() == truth

        eventually(agree)
    box.set(playing=True, temperature="default", top_p="default", tempo="default", volume=60)


def test_reload(shown: Page, box: WebBox) -> None:
    box.set(tempo=77)
    shown.reload()
    wait_until_live(shown)
    unfold(shown)
    expect(shown.locator("#set-tempo")).to_have_value("77")


def test_page_reconnects_after_network_loss(browser: Browser, box: WebBox) -> None:
    with (
        proxy(box.port) as between,
        page(browser, f"http://127.0.0.1:{between.port}/") as one,
    ):
        between.stall()
        expect(one.locator("#connection")).to_have_attribute("data-state", "lost")
        one.locator("#next").click()
        expect(one.locator("#message")).to_contain_text("Not connected")
        one.wait_for_timeout(10_000)
        box.set(tempo=66)
        between.restore()
        wait_until_live(one)
        expect(one.locator("#connection")).to_have_attribute("data-state", "live")
        expect(one.locator("#set-tempo")).to_have_value("66")
        one.locator("#set-volume").evaluate("(input) => input.focus()")
        slide(one, "Volume", 44)
        eventually(lambda: box.settings["volume"] == 44)


def test_page_reconnects_after_restart(browser: Browser, tmp_path: Path) -> None:
    with web_box(tmp_path) as one, page(browser, one.url) as shown:
        one.process.process.kill()
        one.process.process.wait()
        expect(shown.locator("#connection")).to_have_attribute("data-state", "lost")
        with start(one, "--tempo", 123):
            wait_until_live(shown)
            expect(shown.locator("#connection")).to_have_attribute("data-state", "live")
            expect(shown.locator("#set-tempo")).to_have_value("123")
            one.process.end()


def test_a_seed_that_javascript_would_round_is_shown_in_full(
    browser: Browser, tmp_path: Path
) -> None:
    seed = 2**53 + 1
    with web_box(tmp_path) as one:
        one.process.end()
        with start(one, "--seed", seed), page(browser, one.url) as shown:
            expect(shown.locator("#seed")).to_contain_text(f"seed {seed}")
            assert one.get("/api/now")["seed"] == seed
            one.process.end()


def test_foreign_text_is_never_markup(browser: Browser, box: WebBox, mosquitto: Broker) -> None:
    hostile = "<img src=x onerror=document.title='hacked'>"
    with page(browser, box.url) as one, client(mosquitto.port) as listener:
        listener.publish(f"{BASE}/model/set", hostile)
        listener.wait_for(f"{BASE}/error", ".*there is no model.*")
        one.goto(box.url + "/health")
        expect(one.locator("#log")).to_contain_text("img src=x onerror")
        assert one.evaluate("document.querySelectorAll('img[src=x]').length") == 0
        assert "hacked" not in one.title()
