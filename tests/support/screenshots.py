"""Takes screenshots of the page as it plays: phone and desktop, light and dark, in one file.

    python -m tests.support.screenshots docs/page.png

Look at the file before you commit it.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support.browser import chromium, page, wait_until
from tests.support.priority import before_others, hurry_children
from tests.support.web_server import WebBox, eventually, web_box

_DESKTOP = {"width": 1180, "height": 800}
_PHONE = {"width": 390, "height": 800}


def main() -> None:
    """Take the screenshots and put them side by side."""
    with (
        before_others(),
        tempfile.TemporaryDirectory() as folder,
        web_box(Path(folder), 'name = "Kitchen"') as one,
        chromium() as browser,
    ):
        hurry_children()
        one.wait_until_playing()
        eventually(lambda: one.get("/api/now")["bar"] >= 5)
        # Some are taken while the music to come is composed again.
        pictures = [
            _picture(browser, one, _DESKTOP, "light", rewind=False),
            _picture(browser, one, _PHONE, "dark", rewind=True),
            _picture(browser, one, _PHONE, "light", rewind=False),
            _picture(browser, one, _DESKTOP, "dark", rewind=True),
        ]
        one.process.end()
        _together(browser, pictures, Path(sys.argv[1]))


def _picture(
    browser: Browser, one: WebBox, size: dict[str, int], scheme: str, *, rewind: bool
) -> bytes:
    with page(browser, one.url, viewport=size, color_scheme=scheme) as shown:
        eventually(lambda: one.get("/api/health")["status"]["health"]["look_ahead_s"] > 3)
        shown.wait_for_timeout(1500)
        if rewind:
            rewinds = shown.evaluate("bachbox.timeline.rewinds")
            one.set(temperature=one.settings["temperature"] + 0.2)
            wait_until(shown, "(rewinds) => bachbox.timeline.rewinds > rewinds", rewinds)
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
