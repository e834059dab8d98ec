"""Full screen for a tablet on the wall: what it shows, and when the controls come and go."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.support.browser import page, violations, wait_until
from tests.support.web_server import WebBox, eventually

TABLET = {"width": 1024, "height": 768}


def only_the_music_is_shown(one: Page, box: WebBox) -> None:
    """Check that the wall has the title and the roll of what plays, and nothing else."""
    eventually(lambda: one.locator("#title").inner_text() == box.get("/api/now")["title"])
    expect(one.locator("#condition")).to_have_text("Now playing")
    for hidden in ("header", "footer", "#show-score", "#legend", "#scenes", "#settings", "#pieces"):
        expect(one.locator(hidden)).to_be_hidden()
    roll = one.locator("#roll").bounding_box()
    assert roll is not None
    assert roll["height"] > 0.7 * TABLET["height"]
    assert roll["width"] > 0.9 * TABLET["width"]
    wait_until(
        one,
        """() => [...document.querySelectorAll('#roll canvas')].some((tile) => {
          const { data } = tile.getContext('2d').getImageData(0, 0, tile.width, tile.height);
          return new Set(new Uint32Array(data.buffer)).size > 3;
        })""",
    )


def test_wall_shows_title_and_roll_and_hides_the_controls(browser: Browser, box: WebBox) -> None:
    box.set(playing=True)
    with page(browser, box.url + "/#wall", viewport=TABLET) as one:
        only_the_music_is_shown(one, box)
        # The controls are there at first, and go when nobody touches the screen.
        expect(one.locator("body")).to_have_class("wall asleep")
        expect(one.locator("#player")).not_to_be_in_viewport()
        assert not violations(one)
        one.mouse.move(300, 300)
        expect(one.locator("#playing")).to_be_in_viewport(ratio=1)
        expect(one.locator("#set-volume")).to_be_in_viewport(ratio=1)
        expect(one.locator("#player")).not_to_be_in_viewport()


def test_wall_moves_the_picture_so_that_nothing_burns_in(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url, viewport=TABLET) as one:
        one.clock.install()
        one.keyboard.press("f")
        places = set()
        for _ in range(4):
            place = one.locator("#stage").bounding_box()
            assert place is not None
            places.add((place["x"], place["y"]))
            one.clock.fast_forward(60_000)
        assert len(places) == 4
        # Who has no keyboard leaves by the button that brought them here.
        one.mouse.move(300, 300)
        one.get_by_role("button", name="Full screen", pressed=True).click()
        expect(one.locator("#settings")).to_be_visible()
        one.keyboard.press("f")
        expect(one.locator("#settings")).to_be_hidden()
        one.keyboard.press("Escape")
        expect(one.locator("#settings")).to_be_visible()
        assert one.evaluate("document.body.dataset.shift") is None
