"""Debian's Chromium without a window, driven by playwright; nothing is downloaded."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.javascript import coverage_folder, keep
from tests.support.priority import hurry_children, real_time_sound

NAME = "bachbox.home.arpa"
"""A name that browsers do not take for this machine: no secure context, as in a home network."""

TIMEOUT_MS = 120_000

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
    # Draw pages that are not visible, too.
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)  # fmt: skip


@contextlib.contextmanager
def chromium(
    *flags: str, environment: dict[str, str] | None = None, audible: bool = False
) -> Iterator[Browser]:
    """A browser with its own profile; an audible one plays on the default sink."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise RuntimeError("chromium is not installed: run `make test`, which installs it")
    # By default five seconds, which a busy machine does not keep.
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[*_FLAGS, *flags],
            env=dict(environment) if environment else None,
            ignore_default_args=["--mute-audio"] if audible else None,
        )
        hurry_children()
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def page(browser: Browser, url: str, *, ready: bool = True, **options: Any) -> Iterator[Page]:
    """Open ``url`` in a fresh context; an error or a violated security policy fails the test.

    Its user likes few pictures a second, unless ``options`` say otherwise: a browser that draws
    sixty without a graphics card takes a core.
    """
    context = browser.new_context(**({"reduced_motion": "reduce"} | options))
    context.set_default_timeout(TIMEOUT_MS)
    one = context.new_page()
    counting = _counting(context, one)
    errors: list[str] = []
    one.on("pageerror", lambda error: errors.append(str(error)))
    one.on(
        "console",
        lambda message: errors.append(message.text) if "Content Security" in message.text else None,
    )
    try:
        one.goto(url)
        if ready:
            wait_until_live(one)
        yield one
        assert not errors, errors
    finally:
        counting()
        context.close()


def _counting(context: BrowserContext, one: Page) -> Callable[[], None]:
    """Have the lines counted that the page runs, if that is wanted; call the result at the end."""
    folder = coverage_folder()
    if folder is None:
        return lambda: None
    session = context.new_cdp_session(one)
    session.send("Profiler.enable")
    session.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": True})
    return lambda: keep(session.send("Profiler.takePreciseCoverage"), folder)


@contextlib.contextmanager
def listening_page(browser: Browser, url: str) -> Iterator[Page]:
    """A page at ``url`` that plays the sound of the box."""
    with page(browser, url) as one:
        one.click("#listen")
        wait_until(one, "() => window.bachbox.player.state === 'playing'")
        # Its processes and threads have begun by now.
        hurry_children()
        real_time_sound("chrom")
        yield one


def wait_until_live(one: Page) -> None:
    """Wait until the page is connected and has notes."""
    one.wait_for_function(
        "() => window.bachbox?.connection.state === 'live'"
        " && window.bachbox.timeline.notes.length > 0"
    )


def wait_until(one: Page, condition: str, argument: object = None) -> None:
    """Wait until the JavaScript function ``condition``, async or not, returns true."""
    if not condition.startswith("async"):
        one.wait_for_function(condition, arg=argument)
        return
    # Playwright's own waiting takes any promise for true.
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while not one.evaluate(condition, argument):
        assert time.monotonic() < deadline, condition


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
