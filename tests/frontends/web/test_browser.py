"""The page in a real browser, with a box that plays on a sound card."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from appliance.state.settings import NAMES
from tests.support.broker import Broker, TestClient, broker, client, proxy
from tests.support.browser import NAME, TIMEOUT_MS, chromium, page, wait_until, wait_until_live
from tests.support.command import bachbox
from tests.support.priority import hurry_children
from tests.support.virtual_card import VirtualCard, virtual_card
from tests.support.web_server import WebBox, eventually, playing_web_box, start, web_box

BASE = "bachbox/kitchen"

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def card() -> Iterator[VirtualCard]:
    with virtual_card() as plugged_in:
        yield plugged_in


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("broker")) as one:
        yield one


@pytest.fixture(scope="module")
def box(
    tmp_path_factory: pytest.TempPathFactory, card: VirtualCard, mosquitto: Broker
) -> Iterator[WebBox]:
    with playing_web_box(
        tmp_path_factory.mktemp("kitchen"),
        f'name = "Kitchen"\nallowed_hosts = ["{NAME}"]',
        f'[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\nid = "kitchen"',
        output="default",
        environment=card.environment,
    ) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        hurry_children()
        yield one


@pytest.fixture(scope="module")
def shown(browser: Browser, box: WebBox) -> Iterator[Page]:
    """The page as a phone at home opens it: by host name, without TLS."""
    url = f"http://{NAME}:{box.port}/"
    with page(browser, url, viewport={"width": 390, "height": 800}) as one:
        assert not one.evaluate("isSecureContext")
        unfold(one)
        yield one


def unfold(one: Page) -> None:
    """Show the settings that are folded away."""
    one.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def slide(one: Page, label: str, value: float) -> None:
    """Move a slider as a user does."""
    one.get_by_role("slider", name=label, exact=True).evaluate(
        """(input, value) => {
          input.value = value;
          input.dispatchEvent(new Event('input', {bubbles: true}));
        }""",
        value,
    )


def violations(one: Page) -> list[tuple[str, list[str]]]:
    """Return the accessibility violations that axe-core finds: rule and elements."""
    axe: Any = Axe()
    found = axe.run(one).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


def set_elsewhere(box: WebBox, *changes: str) -> None:
    result = bachbox("set", *changes, env=box.env)
    assert result.code == 0, result.err


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


def test_instrument_is_searched_and_chosen(shown: Page, box: WebBox) -> None:
    search = shown.get_by_label("Search: Instrument")
    search.fill("string ens")
    expect(shown.get_by_text("4 found")).to_be_visible()
    search.press("Enter")
    eventually(lambda: box.settings["instrument"] == "String Ensemble 1")
    search.fill("")
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
    shown.get_by_role("button", name="Play this piece from its beginning").click()
    eventually(lambda: box.get("/api/now")["bar"] <= 1)


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


ROLL = "({notes: bachbox.timeline.notes, horizonTick: bachbox.timeline.horizonTick})"


def test_timeline_agrees_with_composer_after_rewinds(shown: Page, box: WebBox) -> None:
    for temperature in (1.4, 0.7, 1.0):
        box.set(temperature=temperature)

        def agree() -> bool:
            theirs = box.get("/api/roll")
            ours = shown.evaluate(ROLL)
            last_tick = min(theirs["horizon_tick"], ours["horizonTick"])
            first_tick = max(n["startTick"] for n in ours["notes"][:1])
            box_notes = {
                (n["voice"], n["pitch"], n["start_tick"], n["end_tick"]) for n in theirs["notes"]
            }
            page_notes = {
                (n["voice"], n["pitch"], n["startTick"], n["endTick"]) for n in ours["notes"]
            }

            def finished(notes: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
                return {
                    note
                    for note in notes
                    if first_tick < note[2] and (note[3] or last_tick + 1) <= last_tick
                }

            return len(finished(box_notes)) > 8 and finished(box_notes) == finished(page_notes)

        eventually(agree)


def test_temperature_change_is_visible_in_roll(shown: Page, box: WebBox) -> None:
    def screenshot() -> bytes:
        return bytes(shown.locator("#roll").screenshot())

    eventually(lambda: box.get("/api/health")["status"]["health"]["look_ahead_s"] > 3)
    rewinds = shown.evaluate("bachbox.timeline.rewinds")
    slide(shown, "Temperature", 1.7)
    wait_until(shown, "(rewinds) => bachbox.timeline.rewinds > rewinds", rewinds)
    wait_until(shown, "() => bachbox.timeline.notes.some((note) => note.addedMs)")
    assert shown.evaluate("bachbox.timeline.discarded.length") > 0
    before = screenshot()
    wait_until(
        shown,
        "() => bachbox.timeline.discarded.every((n) => performance.now() - n.discardedMs > 1300)",
    )
    assert screenshot() != before
    box.set(temperature=0.9)


def test_roll_is_in_time_with_sound(shown: Page, box: WebBox) -> None:
    """The tick on the screen is the performer's, but for an audio block and the network."""
    box.set(tempo=60)

    def off_ticks() -> float:
        before = box.get("/api/roll")["playhead_tick"]
        here = shown.evaluate("bachbox.clock.tick()")
        after = box.get("/api/roll")["playhead_tick"]
        return float(max(before - here, here - after, 0.0))

    # 480 ticks last a second. A clock that is wrong is wrong by more, however often one looks; on a
    # busy machine either side may be late for a while.
    for _ in range(3):
        eventually(lambda: off_ticks() < 120)


def test_roll_follows_local_playback(shown: Page) -> None:
    """What plays the sound here sets the clock; test_listen measures how well."""
    seen = shown.evaluate(
        """() => {
          const { clock } = bachbox;
          const before = clock.localTick;
          clock.localTick = () => 12345;
          const tick = clock.tick();
          clock.localTick = before;
          return tick;
        }"""
    )
    assert seen == 12345


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


def test_page_is_small_and_loads_from_box_only(browser: Browser, box: WebBox) -> None:
    context = browser.new_context()
    one = context.new_page()
    asked: list[str] = []
    sizes: list[int] = []
    session = context.new_cdp_session(one)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    one.on("request", lambda request: asked.append(request.url))
    one.goto(box.url, wait_until="networkidle")
    wait_until_live(one)
    assert all(url.startswith((box.url, box.url.replace("http", "ws"))) for url in asked)
    assert len(sizes) > 5
    assert sum(sizes) < 150_000, sizes
    context.close()


@pytest.mark.parametrize("path", ["/", "/health"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_accessibility(browser: Browser, box: WebBox, path: str, scheme: str, width: int) -> None:
    with page(
        browser,
        box.url + path,
        ready=path == "/",
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
    ) as one:
        expect(one.locator("#connection")).to_have_attribute("data-state", "live")
        unfold(one)
        assert not violations(one)
        assert one.evaluate("document.documentElement.scrollWidth") <= width


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


def test_foreign_text_is_never_markup(browser: Browser, box: WebBox, mosquitto: Broker) -> None:
    hostile = "<img src=x onerror=document.title='hacked'>"
    with page(browser, box.url) as one, client(mosquitto.port) as listener:
        listener.publish(f"{BASE}/model/set", hostile)
        listener.wait_for(f"{BASE}/error", ".*there is no model.*")
        one.goto(box.url + "/health")
        expect(one.locator("#log")).to_contain_text("img src=x onerror")
        assert one.evaluate("document.querySelectorAll('img[src=x]').length") == 0
        assert "hacked" not in one.title()


def test_health_page(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url + "/health", ready=False) as one:
        expect(one.locator("#charts figure")).to_have_count(6)
        expect(one.locator("#log")).to_contain_text("seed 5")
        expect(one.locator("#facts")).to_contain_text("xruns")
        one.get_by_role("button", name="Test the MQTT connection").click()
        expect(one.locator("#test-result")).to_contain_text("accepts the connection")
        one.get_by_role("button", name="Show knob and button events").click()
        expect(one.locator("#test-result")).to_contain_text("No knobs or buttons are configured")
        one.get_by_role("button", name="Play a test tone").click()
        expect(one.locator("#test-result")).to_contain_text("a tone")
        one.get_by_role("link", name="Back to the music").click()
        wait_until_live(one)


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


def test_login_on_page(browser: Browser, tmp_path: Path) -> None:
    hashed = bachbox("hash-password", "--stdin", env={}, stdin="a good password\n").out.strip()
    with (
        web_box(tmp_path, hashed.partition("\n")[2]) as one,
        page(browser, one.url) as shown,
    ):
        expect(shown.locator("#playing")).to_be_disabled()
        expect(shown.locator("#message")).to_contain_text("Log in to change settings")
        shown.evaluate("void bachbox.connection.request({set: {tempo: 99}})")
        shown.get_by_role("button", name="Log in").click()
        shown.get_by_role("textbox", name="Password").fill("a wrong password")
        shown.get_by_role("dialog").get_by_role("button", name="Log in").click()
        expect(shown.locator("#login-error")).to_contain_text("wrong password")
        shown.get_by_role("textbox", name="Password").fill("a good password")
        shown.get_by_role("textbox", name="Password").press("Enter")
        expect(shown.locator("#playing")).to_be_enabled()
        assert one.settings["tempo"] != 99
        slide(shown, "Tempo", 99)
        eventually(lambda: one.settings["tempo"] == 99)
        # The session survives a restart of the box.
        one.process.process.kill()
        one.process.process.wait()
        with start(one):
            shown.reload()
            wait_until_live(shown)
            expect(shown.locator("#playing")).to_be_enabled()
            shown.get_by_role("button", name="Log out").click()
            expect(shown.locator("#playing")).to_be_disabled()
            one.process.end()


def test_first_visitor_chooses_password(browser: Browser, tmp_path: Path) -> None:
    with web_box(tmp_path, "require_password = true") as one:
        assert one.request("GET", "/api/now").status == 401
        with page(browser, one.url, ready=False) as shown:
            expect(shown.locator("#login-title")).to_have_text("Choose a password")
            assert not violations(shown)
            shown.get_by_role("textbox", name="Password").fill("long enough")
            shown.get_by_role("textbox", name="Password").press("Enter")
            wait_until_live(shown)
            slide(shown, "Tempo", 99)
            eventually(lambda: one.settings["tempo"] == 99)
        with page(browser, one.url) as other:
            expect(other.locator("#playing")).to_be_disabled()
        answer = one.request("POST", "/api/password", {"password": "mine from now on"})
        assert answer.status == 403


def test_scene_is_chosen_kept_and_deleted(shown: Page, box: WebBox) -> None:
    organ = shown.get_by_role("button", name="Evening organ, 415 Hz")
    organ.click()
    expect(organ).to_have_attribute("aria-pressed", "true")
    eventually(lambda: box.settings["pitch"] == 415)
    set_elsewhere(box, "pitch=430")
    expect(organ).to_have_attribute("aria-pressed", "false")
    shown.get_by_role("button", name="Keep these settings as a scene").click()
    shown.get_by_label("Name of the scene").fill("Tea time")
    shown.get_by_label("Name of the scene").press("Enter")
    own = shown.get_by_role("button", name="Tea time", exact=True)
    expect(own).to_be_visible()
    set_elsewhere(box, "pitch=440")
    own.click()
    eventually(lambda: box.settings["pitch"] == 430)
    shown.get_by_role("button", name="Delete the scene Tea time").click()
    expect(own).to_have_count(0)
    box.set(pitch=440, instrument="default", tempo="default", temperament="equal")


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


def test_paused_page_draws_nothing(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url) as one:
        wait_until(one, "() => bachbox.roll.frames > 3")
        box.set(playing=False)
        # What is composed ahead is complete after a while, and nothing changes from then on.
        wait_until(
            one,
            """async () => {
              const frames = bachbox.roll.frames;
              await new Promise((done) => setTimeout(done, 1500));
              return !bachbox.clock.isMoving && bachbox.roll.frames === frames;
            }""",
        )
        frames = one.evaluate("bachbox.roll.frames")
        box.set(playing=True)
        wait_until(one, "(frames) => bachbox.roll.frames > frames + 3", frames)


@pytest.mark.parametrize(
    ("locale", "pause", "settings"),
    [("de-AT", "Pause", "Klang und Stil"), ("fr-FR", "Pause", "Son et style"),
     ("es-MX", "Pausa", "Sonido y estilo"), ("nl-NL", "Pause", "Sound and style")],
)  # fmt: skip
def test_page_speaks_the_language_of_the_browser(
    browser: Browser, box: WebBox, locale: str, pause: str, settings: str
) -> None:
    box.set(playing=True)
    with page(browser, box.url, locale=locale) as one:
        expect(one.locator("#playing")).to_have_text(pause)
        expect(one.get_by_text(settings)).to_be_visible()
        assert not violations(one)


def test_page_can_be_put_on_a_home_screen(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url) as one:
        session = one.context.new_cdp_session(one)
        found = session.send("Page.getAppManifest")
        assert found["url"] == f"{box.url}/static/bachbox.webmanifest"
        assert not found["errors"]
        faults = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        # A private window, as here, installs nothing; that is no fault of the page.
        assert {fault["errorId"] for fault in faults} <= {"in-incognito"}


def test_piece_is_saved_renamed_played_and_deleted(shown: Page, box: WebBox) -> None:
    box.set(playing=True)
    eventually(lambda: box.get("/api/now")["bar"] >= 2)
    shown.get_by_role("button", name="Save this piece").click()
    saved = shown.locator("#saved-pieces li")
    name = saved.get_by_role("textbox")
    expect(name).to_be_visible()
    name.fill("Tea time")
    name.press("Enter")
    eventually(lambda: box.get("/api/saved")["pieces"][0]["name"] == "Tea time")
    saved.get_by_role("button", name="Play: Tea time").click()
    eventually(lambda: box.get("/api/now")["saved"])
    expect(shown.locator("#condition")).to_have_text("Playing a saved piece")
    box.set(saved_piece="none")
    saved.get_by_role("button", name="Delete: Tea time").click()
    saved.get_by_role("button", name="Really delete? Tea time").click()
    expect(saved).to_contain_text("Nothing is saved yet")
