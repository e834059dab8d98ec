"""The settings table as Markdown: ``python -m tests.support.settings_page`` writes it.

Into ``docs/settings.md`` as a whole, and into ``README.md`` between two marks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from appliance.state.setting_kinds import Number
from appliance.state.settings_table import SETTINGS, USE_DEFAULT, Setting

ROOT: Final = Path(__file__).parents[2]

PAGE: Final = ROOT / "docs" / "settings.md"
README: Final = ROOT / "README.md"

_MARKED: Final = re.compile(
    r"(<!-- settings:begin[^\n]*-->\n).*?(<!-- settings:end -->)", re.DOTALL
)


_MEANING: Final = "Setting | What it does | Values | Default"
_PLACES: Final = "Setting | Option of play and render | Config file | Click of an encoder | Metric"


def page() -> str:
    """Return the text of ``docs/settings.md``."""
    return f"""\
# Settings

Generated from `appliance/state/settings_table.py` by `python -m tests.support.settings_page`.

Every setting has the same name, the same range and the same error messages on the command line
(`bachbox set NAME=VALUE`, or an option of `bachbox play`), on MQTT (`bachbox/ID/NAME/set`), in the
API (`PATCH /api/settings`), for knobs (`turns = "NAME"`) and on the page. Where the default is the
model's, the word `{USE_DEFAULT}` in place of a value returns to it.

{_table(_MEANING, _meaning)}

{_table(_PLACES, _places)}
"""


def readme(text: str) -> str:
    """Return the README ``text`` with the table between its marks."""
    table = _table(_MEANING, _meaning)
    return _MARKED.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)


def _table(head: str, row: Callable[[Setting], Iterable[str]]) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|---" * columns + "|"]
    lines += [f"| {' | '.join(row(setting))} |" for setting in SETTINGS]
    return "\n".join(lines)


def _meaning(setting: Setting) -> tuple[str, ...]:
    return f"`{setting.name}`", setting.help, setting.kind.brief, _default(setting)


def _places(setting: Setting) -> tuple[str, ...]:
    kind = setting.kind
    return (
        f"`{setting.name}`",
        setting.option and f"`{setting.option}`",
        setting.config and f"`[{setting.section}] {setting.key}`",
        f"{kind.step:g}" if isinstance(kind, Number) else "the next value",
        f"`bachbox_{setting.metric}`" if setting.metric else "a label of `bachbox_info`",
    )


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "the model's"
    value = setting.kind.show(setting.default)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page())
    README.write_text(readme(README.read_text()))
