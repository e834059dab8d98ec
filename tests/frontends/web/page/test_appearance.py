"""What the pages are made of, and who can use them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.browser import TIMEOUT_MS, page, unfold, violations, wait_until_live
from tests.support.web_server import WebBox


def test_page_is_small_and_loads_from_box_only(browser: Browser, box: WebBox) -> None:
    context = browser.new_context()
    context.set_default_timeout(TIMEOUT_MS)
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


SMALL_AND_LARGE = ((320, 900), (1280, 900))

SIZES = (*SMALL_AND_LARGE, (390, 800), (844, 390), (1440, 900), (2560, 1440))
"""A usual phone too, the same held sideways, and larger screens."""


@pytest.mark.parametrize("path", ["/", "/health"])
@pytest.mark.parametrize(("scheme", "sizes"), [("light", SIZES), ("dark", SMALL_AND_LARGE)])
def test_accessibility(
    browser: Browser, box: WebBox, path: str, scheme: str, sizes: tuple[tuple[int, int], ...]
) -> None:
    with page(browser, box.url + path, ready=path == "/", color_scheme=scheme) as one:
        expect(one.locator("#connection")).to_have_attribute("data-state", "live")
        unfold(one)
        for width, height in sizes:
            one.set_viewport_size({"width": width, "height": height})
            assert not violations(one), (width, height)
            assert one.evaluate("document.documentElement.scrollWidth") <= width


def test_another_language_is_chosen_for_every_page(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url, locale="es-ES") as one:
        expect(one.locator("#pieces summary").first).to_have_text("Piezas guardadas")
        with one.expect_navigation():
            one.get_by_label("Idioma").select_option("Deutsch")
        expect(one.locator("#pieces summary").first).to_have_text("Gespeicherte Stücke")
        expect(one.locator("html")).to_have_attribute("lang", "de")
        one.get_by_role("link", name="Zustand").click()
        expect(one.get_by_role("link", name="Zurück zur Musik")).to_be_visible()


def test_player_is_within_reach_on_a_phone_held_sideways(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url, viewport={"width": 844, "height": 390}) as one:
        for scrolled in ("0", "document.body.scrollHeight"):
            one.evaluate(f"scrollTo(0, {scrolled})")
            for control in ("#playing", "#next", "#set-volume", "#save"):
                expect(one.locator(control)).to_be_in_viewport(ratio=1)
        # The bar leaves the music more than half of the height.
        assert one.evaluate("document.querySelector('#player').offsetHeight") < 390 / 2


def test_health_page(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url + "/health", ready=False) as one:
        expect(one.locator("#charts figure")).to_have_count(6)
        expect(one.locator("#log")).to_contain_text("seed 5")
        expect(one.locator("#facts")).to_contain_text("xruns")
        topic = one.locator("#facts div", has_text="MQTT")
        expect(topic.locator("dd.value")).to_have_text("bachbox/kitchen")
        one.get_by_role("button", name="Test the MQTT connection").click()
        expect(one.locator("#test-result")).to_contain_text("accepts the connection")
        one.get_by_role("button", name="Show knob and button events").click()
        expect(one.locator("#test-result")).to_contain_text("No knobs or buttons are configured")
        one.get_by_role("button", name="Play a test tone").click()
        expect(one.locator("#test-result")).to_contain_text("a tone")
        one.get_by_role("link", name="Back to the music").click()
        wait_until_live(one)


def test_health_page_says_what_was_left_out_of_files(browser: Browser, box: WebBox) -> None:
    problem = f"/etc/{'x' * 60}.toml: [gpio] leds is 3; until this is corrected, [gpio] is off"

    def add(route: Route) -> None:
        answer = route.fetch()
        report = answer.json()
        report["status"]["notices"] = [problem]
        route.fulfill(response=answer, json=report)

    viewport = {"width": 320, "height": 800}
    with page(browser, box.url + "/health", ready=False, viewport=viewport) as one:
        left_out = one.locator("#facts div", has_text="Left out or off")
        expect(left_out).to_have_count(0)
        one.route("**/api/health", add)
        expect(left_out.locator("dd.value")).to_have_text(problem)
        assert one.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize(
    ("locale", "pause", "settings", "backup"),
    [("de-AT", "Pause", "Klang und Stil", "Sicherung herunterladen"),
     ("fr-FR", "Pause", "Son et style", "Télécharger une sauvegarde"),
     ("es-MX", "Pausa", "Sonido y estilo", "Descargar una copia"),
     ("nl-NL", "Pause", "Sound and style", "Save a backup")],
)  # fmt: skip
def test_page_speaks_the_language_of_the_browser(
    browser: Browser, box: WebBox, locale: str, pause: str, settings: str, backup: str
) -> None:
    box.set(playing=True)
    with page(browser, box.url, locale=locale) as one:
        expect(one.locator("#playing")).to_have_text(pause)
        expect(one.get_by_text(settings)).to_be_visible()
        unfold(one)
        expect(one.get_by_role("link", name=backup)).to_be_visible()
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
