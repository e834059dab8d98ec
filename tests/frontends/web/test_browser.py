"""The page in a real browser, on the box that plays on a card: everything works both ways."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from appliance.state.settings import EffectiveSettings
from tests.support.broker import Broker, TestClient, broker, client, proxy
from tests.support.browser import NAME, PATIENCE_MS, chromium, is_live, page, until
from tests.support.command import bachbox
from tests.support.priority import hurry_children
from tests.support.virtual_card import VirtualCard, virtual_card
from tests.support.web_server import House, eventually, good_house, house, start

BASE = "bachbox/kitchen"

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def card() -> Iterator[VirtualCard]:
    with virtual_card() as plugged_in:
        yield plugged_in


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("broker")) as one:
        yield one


@pytest.fixture(scope="module")
def kitchen(
    tmp_path_factory: pytest.TempPathFactory, card: VirtualCard, mosquitto: Broker
) -> Iterator[House]:
    with good_house(
        tmp_path_factory.mktemp("kitchen"),
        f'name = "Kitchen"\nnames = ["{NAME}"]',
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
def shown(browser: Browser, kitchen: House) -> Iterator[Page]:
    """The page as a phone in the house sees it: by a name, without TLS."""
    url = f"http://{NAME}:{kitchen.port}/"
    with page(browser, url, viewport={"width": 390, "height": 800}) as one:
        assert not one.evaluate("isSecureContext")
        yield one


def slide(one: Page, label: str, value: float) -> None:
    """Move a slider as a hand does."""
    one.get_by_role("slider", name=label, exact=True).evaluate(
        """(input, value) => {
          input.value = value;
          input.dispatchEvent(new Event('input', {bubbles: true}));
        }""",
        value,
    )


def violations(one: Page) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong: the rule, and the elements."""
    axe: Any = Axe()
    found = axe.run(one).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


def set_elsewhere(kitchen: House, *wishes: str) -> None:
    said = bachbox("set", *wishes, env=kitchen.env)
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    ("name", "label", "value"),
    [
        ("volume", "Volume", 33),
        ("tempo", "Tempo", 101),
        ("temperature", "Temperature", 1.1),
        ("top_p", "Top-p", 0.9),
        ("expression", "Expression", 80),
        ("pitch", "Pitch of A", 415),
    ],
)
def test_a_slider_moves_the_box_and_is_moved_by_others(
    shown: Page, kitchen: House, name: str, label: str, value: float
) -> None:
    slide(shown, label, value)
    eventually(lambda: kitchen.values[name] == value)
    other = round(value + (1 if value > 5 else 0.05), 2)
    set_elsewhere(kitchen, f"{name}={other:g}")
    until(
        shown,
        "([id, value]) => Math.abs(document.getElementById(id).value - value) < 0.001",
        [f"set-{name}", other],
    )
    typed = shown.locator(f"[data-setting={name}] input[type=number]")
    expect(typed).to_have_value(f"{other:g}")
    typed.fill(f"{value:g}")
    typed.press("Enter")
    eventually(lambda: kitchen.values[name] == value)


def test_what_a_model_wants_itself_can_be_left_to_it(shown: Page, kitchen: House) -> None:
    own = shown.get_by_role("button", name="Leave tempo to the model")
    expect(own).to_have_attribute("aria-pressed", "false")
    own.click()
    expect(own).to_have_attribute("aria-pressed", "true")
    assert "tempo" in kitchen.get("/api/settings")["own"]
    set_elsewhere(kitchen, "tempo=88")
    expect(own).to_have_attribute("aria-pressed", "false")


def test_an_instrument_is_searched_and_chosen(shown: Page, kitchen: House) -> None:
    search = shown.get_by_label("Search instrument")
    search.fill("string ens")
    expect(shown.get_by_text("4 found")).to_be_visible()
    search.press("Enter")
    eventually(lambda: kitchen.values["instrument"] == "String Ensemble 1")
    search.fill("")
    choice = shown.get_by_label("Instrument", exact=True)
    groups = choice.locator("optgroup").evaluate_all("all => all.map((one) => one.label)")
    assert len(groups) == 16
    choice.select_option("Oboe")
    eventually(lambda: kitchen.values["instrument"] == "Oboe")
    set_elsewhere(kitchen, "instrument=harpsichord")
    expect(choice).to_have_value("Harpsichord")


def test_the_model_is_chosen(shown: Page, kitchen: House) -> None:
    choice = shown.get_by_label("Model", exact=True)
    expect(choice).to_have_value("chorales")
    models = {m["value"] for s in kitchen.get("/api/known")["settings"] if s["name"] == "model"
              for m in s["choices"]}  # fmt: skip
    offered = choice.locator("option").evaluate_all("all => all.map((one) => one.value)")
    assert set(offered) == models


def test_the_temperament_is_chosen(shown: Page, kitchen: House) -> None:
    choice = shown.get_by_label("Temperament", exact=True)
    choice.select_option("werckmeister3")
    eventually(lambda: kitchen.values["temperament"] == "werckmeister3")
    set_elsewhere(kitchen, "temperament=equal")
    expect(choice).to_have_value("equal")


def test_pause_and_play_and_next(shown: Page, kitchen: House) -> None:
    button = shown.locator("#playing")
    button.click()
    eventually(lambda: kitchen.get("/api/now")["condition"] == "paused")
    expect(button).to_have_text("Play")
    expect(shown.locator("#piece")).to_contain_text("Paused")
    set_elsewhere(kitchen, "playing=on")
    expect(button).to_have_text("Pause")
    eventually(lambda: kitchen.get("/api/now")["condition"] == "playing")
    piece = kitchen.get("/api/now")["piece"]
    shown.get_by_role("button", name="Next").click()
    expect(shown.locator("#piece")).to_contain_text(f"Piece {piece + 1} in")
    shown.get_by_role("button", name="Again").click()
    eventually(lambda: kitchen.get("/api/now")["bar"] <= 1)


def test_what_is_refused_is_said_and_taken_back(shown: Page, kitchen: House) -> None:
    set_elsewhere(kitchen, "tempo=88")
    typed = shown.locator("[data-setting=tempo] input[type=number]")
    expect(typed).to_have_value("88")
    typed.fill("300")
    typed.press("Enter")
    expect(shown.locator("#message")).to_contain_text("300 is not allowed; it is a number from")
    expect(typed).to_have_value("88")


ROLL = "({notes: bachbox.score.notes, horizon: bachbox.score.horizon, tick: bachbox.clock.tick()})"


def test_the_rolls_notes_are_the_composers_also_after_it_changed_its_mind(
    shown: Page, kitchen: House
) -> None:
    for temperature in (1.4, 0.7, 1.0):
        kitchen.set(temperature=temperature)

        def agree() -> bool:
            theirs = kitchen.get("/api/roll")
            ours = shown.evaluate(ROLL)
            until_tick = min(theirs["horizon"], ours["horizon"])
            since = max(n["start"] for n in ours["notes"][:1])

            def seen(notes: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
                return {
                    (n["voice"], n["pitch"], n["start"], n["end"])
                    for n in notes
                    if since < n["start"] and (n["end"] or until_tick + 1) <= until_tick
                }

            return len(seen(theirs["notes"])) > 8 and seen(theirs["notes"]) == seen(ours["notes"])

        eventually(agree)


def test_turning_temperature_visibly_writes_the_future_anew(shown: Page, kitchen: House) -> None:
    def picture() -> bytes:
        return bytes(shown.locator("#roll").screenshot())

    eventually(lambda: kitchen.get("/api/health")["status"]["health"]["look_ahead_s"] > 3)
    cuts = shown.evaluate("bachbox.score.cuts")
    slide(shown, "Temperature", 1.7)
    until(shown, "(cuts) => bachbox.score.cuts > cuts", cuts)
    until(shown, "() => bachbox.score.notes.some((note) => note.born)")
    assert shown.evaluate("bachbox.score.ghosts.length") > 0
    drawn = picture()
    until(shown, "() => bachbox.score.ghosts.every((g) => performance.now() - g.died > 1300)")
    assert picture() != drawn
    kitchen.set(temperature=0.9)


def test_the_roll_keeps_time_with_the_sound(shown: Page, kitchen: House) -> None:
    """The tick on the screen is the performer's, within the blocks and the network between."""
    kitchen.set(tempo=60)
    off = []
    for _ in range(8):
        before = kitchen.get("/api/roll")["playhead"]
        here = shown.evaluate("bachbox.clock.tick()")
        after = kitchen.get("/api/roll")["playhead"]
        # 480 ticks last a second.
        off.append(max(before - here, here - after, 0.0))
    assert sorted(off)[4] < 120, off


def test_the_roll_follows_what_a_listener_hears(shown: Page) -> None:
    """Whoever plays the sound here says where it is; how far behind that is, test_listen knows."""
    seen = shown.evaluate(
        """() => {
          const { clock } = bachbox;
          const before = clock.heard;
          clock.heard = () => 12345;
          const heard = clock.tick();
          clock.heard = before;
          return heard;
        }"""
    )
    assert seen == 12345


def test_two_browsers_and_a_broker_agree_after_two_hundred_changes(
    browser: Browser, shown: Page, kitchen: House, mosquitto: Broker
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
        page(browser, kitchen.url) as second,
        client(mosquitto.port) as listener,
    ):
        for number in range(200):
            name = dice.choice(list(values))
            value = values[name]()
            hand = (shown, second, listener)[number % 3]
            if isinstance(hand, TestClient):
                hand.publish(f"{BASE}/{name}/set", "on" if value is True else str(value))
            else:
                hand.evaluate(
                    "([name, value]) => void bachbox.link.ask({set: {[name]: value}})",
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

        def told() -> dict[str, Any]:
            states = {name: listener.last(f"{BASE}/{name}") or "" for name in values}
            numbers = {n: float(states[n]) for n in ("tempo", "volume", "temperature", "top_p")}
            return {**numbers, "instrument": states["instrument"],
                    "playing": states["playing"] == "ON"}  # fmt: skip

        def agree() -> bool:
            truth = {name: value for name, value in kitchen.values.items() if name in values}
            return shows(shown) == shows(second) == told() == truth

        eventually(agree)
    kitchen.set(playing=True, temperature="own", top_p="own", tempo="own", volume=60)


def test_it_is_there_again_after_a_reload(shown: Page, kitchen: House) -> None:
    kitchen.set(tempo=77)
    shown.reload()
    is_live(shown)
    expect(shown.locator("#set-tempo")).to_have_value("77")


def test_it_comes_back_after_the_network_was_gone_for_ten_seconds(
    browser: Browser, kitchen: House
) -> None:
    with (
        proxy(kitchen.port) as between,
        page(browser, f"http://127.0.0.1:{between.port}/") as one,
    ):
        between.stall()
        expect(one.locator("#connection")).to_have_attribute("data-state", "lost")
        one.locator("#next").click()
        expect(one.locator("#message")).to_contain_text("Not connected")
        one.wait_for_timeout(10_000)
        kitchen.set(tempo=66)
        between.restore()
        is_live(one)
        expect(one.locator("#connection")).to_have_attribute("data-state", "live")
        expect(one.locator("#set-tempo")).to_have_value("66")
        one.locator("#set-volume").evaluate("(input) => input.focus()")
        slide(one, "Volume", 44)
        eventually(lambda: kitchen.values["volume"] == 44)


def test_it_comes_back_after_the_box_was_started_anew(browser: Browser, tmp_path: Path) -> None:
    with house(tmp_path) as one, page(browser, one.url) as shown:
        one.box.process.kill()
        one.box.process.wait()
        expect(shown.locator("#connection")).to_have_attribute("data-state", "lost")
        with start(one, "--tempo", 123):
            is_live(shown)
            expect(shown.locator("#connection")).to_have_attribute("data-state", "live")
            expect(shown.locator("#set-tempo")).to_have_value("123")
            one.box.end()


def test_first_paint_is_small_and_asks_nobody_else(browser: Browser, kitchen: House) -> None:
    context = browser.new_context()
    one = context.new_page()
    asked: list[str] = []
    sizes: list[int] = []
    session = context.new_cdp_session(one)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    one.on("request", lambda request: asked.append(request.url))
    one.goto(kitchen.url, wait_until="networkidle")
    is_live(one)
    assert all(url.startswith((kitchen.url, kitchen.url.replace("http", "ws"))) for url in asked)
    assert len(sizes) > 5
    assert sum(sizes) < 150_000, sizes
    context.close()


@pytest.mark.parametrize("path", ["/", "/health"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing_wrong(
    browser: Browser, kitchen: House, path: str, scheme: str, width: int
) -> None:
    with page(
        browser,
        kitchen.url + path,
        ready=path == "/",
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
    ) as one:
        expect(one.locator("#connection")).to_have_attribute("data-state", "live")
        assert not violations(one)
        assert one.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_is_reached_and_done_by_keyboard(browser: Browser, kitchen: House) -> None:
    with page(browser, kitchen.url) as one:
        reached: dict[str, str] = {}
        for _ in range(60):
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
                eventually(lambda: kitchen.values["volume"] == 100)
        wanted = {"playing", "restart", "next", *(f"set-{n}" for n in EffectiveSettings._fields)}
        assert wanted - {"set-playing"} <= set(reached)
        assert all(outline != "none" for name, outline in reached.items() if name.startswith("set"))
    kitchen.set(volume=60)


def test_what_others_call_things_is_never_taken_for_markup(
    browser: Browser, kitchen: House, mosquitto: Broker
) -> None:
    hostile = "<img src=x onerror=document.title='hacked'>"
    with page(browser, kitchen.url) as one, client(mosquitto.port) as listener:
        listener.publish(f"{BASE}/model/set", hostile)
        listener.wait_for(f"{BASE}/error", ".*there is no model.*")
        one.goto(kitchen.url + "/health")
        expect(one.locator("#log")).to_contain_text("img src=x onerror")
        assert one.evaluate("document.querySelectorAll('img[src=x]').length") == 0
        assert "hacked" not in one.title()


def test_the_health_page_shows_and_tries(browser: Browser, kitchen: House) -> None:
    with page(browser, kitchen.url + "/health", ready=False) as one:
        expect(one.locator("#charts figure")).to_have_count(6)
        expect(one.locator("#log")).to_contain_text("seed 5")
        expect(one.locator("#facts")).to_contain_text("Xruns")
        one.get_by_role("button", name="Ask the broker").click()
        expect(one.locator("#tried")).to_contain_text("accepts the connection")
        one.get_by_role("button", name="Watch the knobs").click()
        expect(one.locator("#tried")).to_contain_text("No knobs are wired")
        one.get_by_role("button", name="Play a test tone").click()
        expect(one.locator("#tried")).to_contain_text("A tone")
        one.get_by_role("link", name="Back to the music").click()
        is_live(one)


def test_guests_look_and_who_says_the_password_steers(browser: Browser, tmp_path: Path) -> None:
    hashed = bachbox("password", "--stdin", env={}, stdin="a good password\n").out.strip()
    with (
        house(tmp_path, hashed.partition("\n")[2]) as one,
        page(browser, one.url) as shown,
    ):
        expect(shown.locator("#playing")).to_be_disabled()
        expect(shown.locator("#message")).to_contain_text("Log in to steer")
        shown.evaluate("void bachbox.link.ask({set: {tempo: 99}})")
        shown.get_by_role("button", name="Log in").click()
        shown.get_by_role("textbox", name="Password").fill("a wrong password")
        shown.get_by_role("button", name="OK").click()
        expect(shown.locator("#login-error")).to_contain_text("not the password")
        shown.get_by_role("textbox", name="Password").fill("a good password")
        shown.get_by_role("textbox", name="Password").press("Enter")
        expect(shown.locator("#playing")).to_be_enabled()
        assert one.values["tempo"] != 99
        slide(shown, "Tempo", 99)
        eventually(lambda: one.values["tempo"] == 99)
        # The session outlives the box.
        one.box.process.kill()
        one.box.process.wait()
        with start(one):
            shown.reload()
            is_live(shown)
            expect(shown.locator("#playing")).to_be_enabled()
            shown.get_by_role("button", name="Log out").click()
            expect(shown.locator("#playing")).to_be_disabled()
            one.box.end()


def test_the_first_visitor_chooses_the_password(browser: Browser, tmp_path: Path) -> None:
    with house(tmp_path, 'first_visit = "password"') as one:
        assert one.ask("GET", "/api/now").status == 401
        with page(browser, one.url, ready=False) as shown:
            expect(shown.locator("#login-title")).to_have_text("Choose a password")
            assert not violations(shown)
            shown.get_by_role("textbox", name="Password").fill("long enough")
            shown.get_by_role("textbox", name="Password").press("Enter")
            is_live(shown)
            slide(shown, "Tempo", 99)
            eventually(lambda: one.values["tempo"] == 99)
        with page(browser, one.url) as other:
            expect(other.locator("#playing")).to_be_disabled()
        answer = one.ask("POST", "/api/password", {"password": "mine from now on"})
        assert answer.status == 403
