"""Passwords on the page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.browser import page, slide, violations, wait_until_live
from tests.support.command import bachbox
from tests.support.web_server import eventually, start, web_box


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
        expect(shown.locator("#login-error")).to_have_text("This password is wrong.")
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
            # Behind the dialog is nothing that looks broken.
            expect(shown.locator("#stage")).to_be_hidden()
            expect(shown.locator("#connection")).to_be_hidden()
            password = shown.get_by_role("textbox", name="Password")
            password.fill("long enough")
            expect(password).to_have_attribute("type", "password")
            shown.get_by_label("Show the password").check()
            expect(password).to_have_attribute("type", "text")
            password.press("Enter")
            wait_until_live(shown)
            expect(shown.locator("#stage")).to_be_visible()
            slide(shown, "Tempo", 99)
            eventually(lambda: one.settings["tempo"] == 99)
        with page(browser, one.url) as other:
            expect(other.locator("#playing")).to_be_disabled()
        answer = one.request("POST", "/api/password", {"password": "mine from now on"})
        assert answer.status == 403
