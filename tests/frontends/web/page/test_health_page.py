"""The health page: each figure is the box's own, with an axis and a sentence on what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.browser import page, violations
from tests.support.web_server import WebBox, eventually, start, web_box

CHARTS = {
    "xruns": "Audio dropouts per minute",
    "look_ahead_s": "Music composed ahead",
    "notes_per_s": "Notes composed per second",
    "tokens_per_s": "Model tokens per second",
    "cpu_percent": "Processor",
    "rss_mib": "Memory",
}


@pytest.fixture(scope="module")
def health(browser: Browser, box: WebBox) -> Iterator[Page]:
    eventually(lambda: len(box.get("/api/health")["samples"]) >= 2)
    with page(browser, box.url + "/health", ready=False) as one:
        expect(one.locator("#connection")).to_have_text("Connected")
        yield one


@pytest.mark.parametrize("name", CHARTS)
def test_each_chart_has_a_line_an_axis_and_an_explanation(
    health: Page, box: WebBox, name: str
) -> None:
    chart = health.locator(f"[data-chart={name}]")
    expect(chart.locator("strong")).to_have_text(CHARTS[name])
    samples = box.get("/api/health")["samples"]
    lines = len(samples[-1][name]) if isinstance(samples[-1][name], dict) else 1
    expect(chart.locator("polyline")).to_have_count(lines)
    points = chart.locator("polyline").first.get_attribute("points")
    assert points is not None
    assert len(points.split()) >= 2
    labels = chart.locator("text").all_text_contents()
    assert labels[0] == "0"
    assert float(labels[2]) == 2 * float(labels[1]) > 0
    assert labels[3:] == ["5 min ago", "now"]
    assert len(chart.locator("p.hint").inner_text().split()) > 10


def test_memory_is_that_of_each_process(health: Page, box: WebBox) -> None:
    shown = health.locator("[data-chart=rss_mib] figcaption")
    processes = box.get("/api/health")["samples"][-1]["rss_mib"]
    assert set(processes) == {"daemon", "composer", "performer"}
    for part in ("control", "composer", "performer"):
        expect(shown).to_contain_text(re.compile(rf"{part} [1-9][\d.]* MiB"))


def test_facts_are_those_of_the_box(health: Page, box: WebBox) -> None:
    def fact(label: str) -> str:
        named = health.locator("#facts div").filter(has=health.get_by_text(label, exact=True))
        assert len(named.locator("dd.hint").inner_text()) > 15
        return named.locator("dd.value").inner_text()

    status = box.get("/api/health")["status"]
    assert fact("Version of Bachbox") == status["version"]
    assert fact("Restarts") == str(status["health"]["restarts"])
    assert re.fullmatch(r"\d\d:\d\d:\d\d", fact("Running for"))
    # It goes up while the music plays; the page asks every two seconds.
    eventually(lambda: int(fact("Notes composed")) >= status["health"]["notes"])
    assert int(fact("Pieces composed")) >= status["health"]["pieces"] > 0


def test_latency_and_log_are_those_of_the_box(health: Page, box: WebBox) -> None:
    box.set(volume=61)
    box.set(volume=60)
    eventually(lambda: sum(box.get("/api/health")["latency"]["counts"]) > 0)
    bars = health.locator("#latency svg")
    expect(bars).to_have_attribute("aria-label", re.compile(r"[≤>]\d+ ms: [1-9]"))
    bounds = box.get("/api/health")["latency"]["bounds_ms"]
    expect(bars.locator("rect")).to_have_count(len(bounds) + 1)
    first = box.get("/api/health")["log"][0]
    expect(health.locator("#log")).to_contain_text(first)


def test_page_says_whether_all_is_well_or_leads_to_what_is_not(
    browser: Browser, box: WebBox
) -> None:
    found: dict[str, object] = {}

    def answer(route: Route) -> None:
        response = route.fetch()
        report = response.json()
        # What else the machine of these tests does is no matter here.
        report["samples"] = [
            {**one, "xruns": found.get("xruns", 0), "starved_blocks": 0, "late_notes": 0}
            | {"restarts": 0, "look_ahead_s": 4}
            for one in report["samples"]
        ]
        report["healthy"] = True
        report["latency"]["counts"] = [0] * len(report["latency"]["counts"])
        report["status"]["health"]["cpu_celsius"] = 50
        report["status"]["notices"] = found.get("notices", [])
        route.fulfill(response=response, json=report)

    eventually(lambda: box.get("/api/health")["samples"])
    with page(browser, box.url + "/health", ready=False) as one:
        one.route("**/api/health", answer)
        verdict = one.locator("#verdict")
        expect(verdict).to_have_text("All is well: nothing here needs your attention.")
        expect(one.locator(".look")).to_have_count(0)
        found["xruns"] = 1
        expect(verdict).to_contain_text("One thing to look at:")
        found["notices"] = ["[gpio] is off"]
        expect(verdict).to_contain_text("2 things to look at:")
        expect(verdict.get_by_role("link")).to_have_text([CHARTS["xruns"], "Left out or off"])
        expect(one.locator("[data-chart=xruns]")).to_contain_class("look")
        assert not violations(one)
        verdict.get_by_role("link", name="Left out or off").click()
        expect(one.locator("#facts .look")).to_be_in_viewport(ratio=1)
        expect(one.locator("#facts .look dt")).to_have_text("Left out or off")
        found.clear()
        expect(verdict).to_contain_text("All is well")
        expect(one.locator("#figure-xruns:not(.look)")).to_be_visible()
        # What was said before the box went away is not true for ever.
        one.route("**/api/health", lambda route: route.abort())
        expect(verdict).to_be_hidden()


def test_model_that_is_not_there_any_more_is_told_of(browser: Browser, tmp_path: Path) -> None:
    with web_box(tmp_path) as one:
        kept = Path(one.env["XDG_STATE_HOME"]) / "bachbox" / "settings.json"
        one.process.end()
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text('{"model": "organ"}')
        with start(one), page(browser, one.url + "/health", ready=False) as shown:
            left_out = shown.locator("#facts .look", has_text="Left out or off")
            expect(left_out.locator("dd.value")).to_have_text(
                f"{kept}: there is no model 'organ'; there are: chorales, folk, keyboard, strings; "
                "the configured value applies"
            )
            one.process.end()
