"""The settings table as Markdown: ``python -m tests.support.settings_page`` writes it.

``docs/settings.md`` as a whole; in ``README.md`` and ``docs/mqtt.md`` what is between two marks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from appliance.state.clock_kinds import ClockKind
from appliance.state.setting import Setting
from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings_ranges_and_steps import SETTINGS, USE_DEFAULT

ROOT: Final = Path(__file__).parents[2]

PAGE: Final = ROOT / "docs" / "settings.md"

_MARKED: Final = re.compile(
    r"(<!-- settings:begin[^\n]*-->\n).*?(<!-- settings:end -->)", re.DOTALL
)


_MEANING: Final = "Setting | What it does | Values | Default"
_PLACES: Final = "Setting | Option of play and render | Config file | Click of an encoder | Metric"


def page() -> str:
    """Return the text of ``docs/settings.md``."""
    return f"""\
# Settings

Generated from `appliance/state/settings_ranges_and_steps.py` by
`python -m tests.support.settings_page`.

Every setting has the same name, the same range and the same error messages on the command line
(`bachbox set NAME=VALUE`, or an option of `bachbox play`), on MQTT (`bachbox/ID/NAME/set`), in the
API (`PATCH /api/settings`), for knobs (`turns = "NAME"`) and on the page. Where the default is the
model's, the word `{USE_DEFAULT}` in place of a value returns to it.

{_table(_MEANING, _meaning)}

{_table(_PLACES, _places)}
"""


def with_table(path: Path) -> str:
    """Return the text of a document with the table for it between the marks."""
    # The README leaves out what is set for each voice and for the clock.
    table = _table(*_DOCUMENTS[path], is_short=path.name == "README.md")
    return _MARKED.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", path.read_text())


def _table(head: str, row: Callable[[Setting], Iterable[str]], *, is_short: bool = False) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|---" * columns + "|"]
    lines += [
        f"| {' | '.join(row(setting))} |"
        for setting in SETTINGS
        if not (is_short and setting.group)
    ]
    return "\n".join(lines)


def _meaning(setting: Setting) -> tuple[str, ...]:
    return f"`{setting.name}`", setting.help, setting.kind.brief, _default(setting)


def _entity(setting: Setting) -> tuple[str, ...]:
    kind = setting.kind
    component = {Switch: "switch", Number: "number"}.get(type(kind), "select")
    if isinstance(kind, ClockKind):
        component = "text"
    category = ", configuration" if setting.advanced else ""
    return setting.title, component + category, kind.brief


def _places(setting: Setting) -> tuple[str, ...]:
    kind = setting.kind
    return (
        f"`{setting.name}`",
        setting.option and f"`{setting.option}`",
        setting.config and f"`[{setting.section}] {setting.key}`",
        f"{kind.encoder_step:g}" if isinstance(kind, Number) else "the next value",
        f"`bachbox_{setting.metric}`" if setting.metric else "a label of `bachbox_info`",
    )


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "the model's"
    value = setting.kind.show(setting.default)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


_DOCUMENTS: Final[dict[Path, tuple[str, Callable[[Setting], Iterable[str]]]]] = {
    ROOT / "README.md": (_MEANING, _meaning),
    ROOT / "docs" / "mqtt.md": ("Entity | Kind | Values", _entity),
}


def texts() -> dict[Path, str]:
    """Return every document that has a table, with the table as it should be."""
    return {PAGE: page()} | {path: with_table(path) for path in _DOCUMENTS}


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text)
