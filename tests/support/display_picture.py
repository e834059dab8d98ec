"""Draws docs/display.png: what an OLED shows, three times as large.

python -m tests.support.display_picture
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image

from appliance.frontends.display.panels import draw
from appliance.frontends.display.screens import Screen

PLAYING: Final = Screen("Sarabande in d minor", "d minor", 66, "Church Organ", 12, 2, 3)
PAUSED: Final = PLAYING._replace(
    title="Prelude in B-flat maj", key="B-flat major", instrument="Harpsichord", silent="paused"
)
TROUBLED: Final = PLAYING._replace(beats_per_bar=4, trouble=True)
NO_CARD: Final = PLAYING._replace(title="Headphones is busy", silent="no sound card")
STATES: Final = (PLAYING, PAUSED, TROUBLED, NO_CARD)

SCALE: Final = 3
MARGIN: Final = 20


def main() -> None:
    width, height = 128 * SCALE, 64 * SCALE
    sheet = Image.new("1", (2 * width + 3 * MARGIN, 2 * height + 3 * MARGIN), 1)
    for number, screen in enumerate(STATES):
        row, column = divmod(number, 2)
        place = MARGIN + column * (width + MARGIN), MARGIN + row * (height + MARGIN)
        sheet.paste(draw(screen, (128, 64)).resize((width, height)), place)
    sheet.save(Path(__file__).parents[2] / "docs" / "display.png", optimize=True)


if __name__ == "__main__":
    main()
