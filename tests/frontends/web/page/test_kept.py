"""Scenes and saved pieces on the page."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.web_server import WebBox, eventually, set_elsewhere


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
