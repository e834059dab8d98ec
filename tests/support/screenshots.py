"""Pictures of the page as it plays: phone and desk, light and dark, in one file.

    python -m tests.support.screenshots docs/page.png

Look at it before it is committed.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support.browser import chromium, page, until
from tests.support.priority import before_others, hurry_children
from tests.support.web_server import House, eventually, house

_DESK = {"width": 1180, "height": 800}
_PHONE = {"width": 390, "height": 800}


def main() -> None:
    """Play, look, and put the pictures side by side."""
    with (
        before_others(),
        tempfile.TemporaryDirectory() as folder,
        house(Path(folder), 'name = "Kitchen"') as one,
        chromium() as browser,
    ):
        hurry_children()
        one.wait()
        eventually(lambda: one.get("/api/now")["bar"] >= 5)
        # The second picture is taken while the future is written anew.
        pictures = [
            _picture(browser, one, _DESK, "light", turn=False),
            _picture(browser, one, _PHONE, "dark", turn=True),
            _picture(browser, one, _PHONE, "light", turn=False),
            _picture(browser, one, _DESK, "dark", turn=True),
        ]
        one.box.end()
        _together(browser, pictures, Path(sys.argv[1]))


def _picture(
    browser: Browser, one: House, size: dict[str, int], scheme: str, *, turn: bool
) -> bytes:
    with page(browser, one.url, viewport=size, color_scheme=scheme) as shown:
        eventually(lambda: one.get("/api/health")["status"]["health"]["look_ahead_s"] > 3)
        shown.wait_for_timeout(1500)
        if turn:
            cuts = shown.evaluate("bachbox.score.cuts")
            one.set(temperature=one.values["temperature"] + 0.2)
            until(shown, "(cuts) => bachbox.score.cuts > cuts", cuts)
            shown.wait_for_timeout(250)
        return shown.screenshot()


def _together(browser: Browser, pictures: list[bytes], file: Path) -> None:
    sources = [f"data:image/png;base64,{base64.b64encode(p).decode()}" for p in pictures]
    images = [f'<img src="{source}">' for source in sources]
    sheet: Page = browser.new_page(viewport={"width": 1040, "height": 560})
    sheet.set_content(
        "<style>body{margin:0;background:#888;padding:5px;width:max-content}"
        "div{display:flex}img{height:340px;margin:5px;border-radius:8px}</style>"
        f"<div>{''.join(images[:2])}</div><div>{''.join(images[2:])}</div>"
    )
    body = sheet.locator("body")
    file.write_bytes(body.screenshot())
    sheet.close()


if __name__ == "__main__":
    main()
