"""Scenes, saved pieces and melodies on the page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, expect

from appliance.music.files import score_reader
from tests.support.browser import page, wait_until
from tests.support.web_server import WebBox, eventually, set_elsewhere


def test_scene_is_chosen_kept_and_deleted(shown: Page, box: WebBox) -> None:
    organ = shown.get_by_role("button", name="Evening organ, 415 Hz")
    organ.click()
    expect(organ).to_have_attribute("aria-pressed", "true")
    eventually(lambda: box.settings["pitch"] == 415)
    set_elsewhere(box, "pitch=430")
    expect(organ).to_have_attribute("aria-pressed", "false")
    set_elsewhere(box, "scene=Evening organ, 415 Hz")
    expect(organ).to_have_attribute("aria-pressed", "true")
    set_elsewhere(box, "pitch=430")
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


def keep_what_is_said(shown: Page) -> None:
    """Note each text beside the buttons, with the link it is: it is gone after some seconds."""
    shown.evaluate(
        """() => {
          const notice = document.querySelector('#notice');
          window.noticed = [];
          new MutationObserver(() => {
            const link = notice.querySelector('a')?.getAttribute('href') ?? null;
            window.noticed.push(JSON.stringify([notice.textContent, link]));
          }).observe(notice, { childList: true });
        }"""
    )


def was_said(shown: Page, text: str, link: str | None) -> None:
    """Wait until the page has shown the notice ``text``."""
    wait_until(shown, "(wanted) => window.noticed.includes(JSON.stringify(wanted))", [text, link])


def test_piece_is_saved_renamed_played_and_deleted(shown: Page, box: WebBox) -> None:
    box.set(playing=True)
    # So long that a busy machine shows that it plays.
    eventually(lambda: box.get("/api/now")["bar"] >= 4)
    keep_what_is_said(shown)
    shown.get_by_role("button", name="Save this piece").click()
    saved = shown.locator("#saved-pieces li")
    name = saved.get_by_role("textbox")
    expect(name).to_be_visible()
    # The name of the saved piece appears beside the button, and leads to it.
    title = box.get("/api/saved")["pieces"][0]["title"]
    was_said(shown, f"Saved: {title}", f"#{saved.get_attribute('id')}")
    expect(shown.locator("#save")).to_have_text("Saved")
    name.fill("Tea time")
    name.press("Enter")
    eventually(lambda: box.get("/api/saved")["pieces"][0]["name"] == "Tea time")
    # It is said to play until it is over, and then no more.
    expect(saved).to_contain_text("playing")
    box.request_json("POST", "/api/actions/next_piece")
    expect(saved).not_to_contain_text("playing")
    expect(shown.locator("#save")).to_have_text("Save this piece")
    # A paused box plays what is asked for.
    box.set(playing=False)
    saved.get_by_role("button", name="Play: Tea time").click()
    eventually(lambda: box.get("/api/now")["saved"])
    expect(shown.locator("#condition")).to_have_text("Playing a saved piece")
    expect(shown.locator("#save")).to_have_text("Saved")
    # The button beside what plays pauses it. So it does not end while it is looked at.
    saved.get_by_role("button", name="Pause: Tea time").click()
    expect(saved.get_by_role("button", name="Play: Tea time")).to_be_visible()
    eventually(lambda: box.settings["playing"] is False)
    was_said(shown, "Now playing: Tea time", None)
    expect(saved).to_contain_text("playing")
    # Its notes do not change any more, and the seed of the box would give others.
    expect(shown.locator("#legend")).to_contain_text("comes next")
    expect(shown.locator("#seed")).to_be_hidden()
    box.set(saved_piece="none", playing=True)
    expect(shown.locator("#legend")).to_contain_text("may still change")
    saved.get_by_role("button", name="Delete: Tea time").click()
    saved.get_by_role("button", name="Really delete? Tea time").click()
    expect(saved).to_contain_text("Nothing is saved yet")
    elsewhere = box.request_json("POST", "/api/saved", {"name": "By another phone"})["id"]
    expect(name).to_have_value("By another phone")
    box.request_json("PATCH", f"/api/saved/{elsewhere}", {"name": "Renamed there"})
    expect(name).to_have_value("Renamed there")
    box.request_json("DELETE", f"/api/saved/{elsewhere}")
    expect(saved).to_contain_text("Nothing is saved yet")


def test_address_of_a_saved_piece_is_copied(shown: Page, box: WebBox) -> None:
    piece = box.request_json("POST", "/api/saved", {"name": "For Anna"})["id"]
    keep_what_is_said(shown)
    shown.get_by_role("link", name="Copy link").click()
    was_said(shown, "The address of For Anna is copied. It works within your home.", None)
    search = shown.get_by_placeholder("Search: Instrument")
    search.press("Control+v")
    expect(search).to_have_value(f"{shown.url.split('#')[0]}#saved-{piece}")
    search.fill("")
    box.request_json("DELETE", f"/api/saved/{piece}")


def test_nobody_is_told_that_a_change_failed_who_made_none(shown: Page) -> None:
    shown.route("**/api/saved", lambda route: route.abort())
    shown.evaluate("bachbox.pieces.refresh()")
    expect(shown.locator("#message")).to_be_empty()
    shown.unroute("**/api/saved")


def test_backup_is_saved_and_restored(shown: Page, box: WebBox, tmp_path: Path) -> None:
    box.set(tempo=71)
    box.request_json("POST", "/api/scenes", {"name": "Of the backup"})
    with shown.expect_download() as downloading:
        shown.get_by_role("link", name="Save a backup").click()
    file = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(file)
    assert file.name.endswith(".bachbox.json")
    box.set(tempo=93)
    box.request_json("DELETE", "/api/scenes/Of%20the%20backup")
    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(file.read_bytes()[:-9])
    restore = shown.get_by_role("button", name="Restore this backup")
    told = shown.locator("#backup [role=status]")
    for chosen, says in ((damaged, "not a backup"), (file, "The backup is restored.")):
        expect(restore).to_be_hidden()
        shown.get_by_label("A backup to restore").set_input_files(chosen)
        expect(told).to_contain_text("Settings become those of the backup")
        assert box.settings["tempo"] == 93
        restore.click()
        expect(told).to_contain_text(says)
    assert box.settings["tempo"] == 71
    expect(shown.get_by_role("button", name="Of the backup", exact=True)).to_be_visible()
    box.request_json("DELETE", "/api/scenes/Of%20the%20backup")
    box.set(tempo="default")


def test_a_melody_from_the_keyboard_is_sent_as_midi(shown: Page, tmp_path: Path) -> None:
    sent: list[Any] = []

    def answer(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json={"piece": {"name": "Mine"}, "notices": ["it was moved"]})

    shown.route("**/api/melodies", answer)
    for key in ("B4", "A4", "F♯4", "C5"):
        shown.get_by_role("button", name=key, exact=True).click()
    shown.get_by_role("button", name="Undo").click()
    shown.get_by_label("Length of the next note").select_option("1/2")
    shown.get_by_role("button", name="G4", exact=True).click()
    expect(shown.locator("#melody output")).to_have_text("B 1/4 · A 1/4 · F♯ 1/4 · G 1/2")
    shown.get_by_role("button", name="Harmonise these notes").click()
    expect(shown.get_by_text("Now playing: Mine · it was moved")).to_be_visible()
    (melody,) = sent
    path = tmp_path / f"melody.{melody['kind']}"
    path.write_bytes(base64.b64decode(melody["content"]))
    file = score_reader.read(path)
    notes = [(note.start, note.length, note.pitch) for note in file.parts[0]]
    assert notes == [(0, 480, 71), (480, 480, 69), (960, 480, 66), (1440, 960, 67)]
    assert file.time_signatures == ((4, 4),)


def test_link_to_a_saved_piece_shows_it_once(browser: Browser, box: WebBox) -> None:
    box.set(playing=True)
    eventually(lambda: box.get("/api/now")["bar"] >= 2)
    piece = box.request_json("POST", "/api/saved", {"name": "Linked"})["id"]
    with page(browser, f"{box.url}/#saved-{piece}", viewport={"width": 390, "height": 700}) as one:
        linked = one.locator(f"#saved-{piece}")
        expect(linked).to_be_in_viewport()
        expect(linked).to_have_class("linked")
        expect(linked.get_by_role("button").first).to_be_focused()
        one.evaluate("scrollTo(0, 0)")
        one.evaluate("bachbox.pieces.refresh()")
        assert one.evaluate("scrollY") == 0
        one.evaluate("location.hash = '#saved-999999'")
        expect(one.locator("#message")).to_contain_text("not saved here any more")
    box.request("DELETE", f"/api/saved/{piece}")
