"""Checking one section of the config file: a sentence for each key that is not allowed."""

from __future__ import annotations

import math
import re
import typing
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.common.text import did_you_mean, lowered, quoted, shortened
from appliance.config.addresses import parse_host, parse_icecast, parse_snapcast, parse_topic
from appliance.config.contradictions import contradictions
from appliance.errors import UsageError
from appliance.state.clock_kinds import ClockKind
from appliance.state.setting_kinds import ModelName, OutputName, Program
from appliance.state.settings_ranges_and_steps import BY_CONFIG

SOUNDFONT_SUFFIXES: Final = (".sf2", ".sf3")

MASK: Final = "********"

SECRET: Final = re.compile(
    r"pass(word|wd|phrase)?(_hash)?$|secret|token|api_?key|credential", re.IGNORECASE
)
"""Names of keys whose values nobody may see."""


def read_section(
    name: str,
    section: type[msgspec.Struct],
    content: dict[str, Any],
    path: Path,
    problems: list[str],
) -> Any:
    """Return an instance of ``section``; adds a sentence to ``problems`` for each bad key.

    Args:
        name: the section's, for messages.
        section: its class.
        content: its keys and values.
        path: the config file, for messages; relative paths start at its folder.
        problems: gets the sentences.
    """
    hints = typing.get_type_hints(section, include_extras=True)
    values: dict[str, Any] = {}
    for key, given in content.items():
        where = f"{path}: [{name}] {displayed(key)}"
        if key not in hints:
            hint = did_you_mean(key, hints) or f"there are {', '.join(hints)}"
            problems.append(f"{path}: [{name}] has no key {displayed(key)}; {hint}")
            continue
        try:
            values[key] = _value(name, key, hints[key], given, path.parent)
        except UsageError as error:
            problems.append(f"{where}: {error}")
        except (msgspec.ValidationError, ValueError, OverflowError) as error:
            secret = key == "icecast" or SECRET.search(key) or "@" in str(given)
            shown = MASK if secret else displayed(given)
            if isinstance(given, list) and (found := re.search(r"(.*) - at `\$(.*)`$", str(error))):
                shown = f"invalid ({lowered(found[1])} at {found[2] or 'its start'})"
                if "regex" in found[1] and found[2][1:-1].isdecimal():
                    # The pattern means nothing to people, and the description says it in words.
                    shown = MASK if secret else quoted(given[int(found[2][1:-1])], 60)
            description = next(
                meta.description for meta in hints[key].__metadata__ if meta.description
            )
            problems.append(f"{where} is {shown}; it must be {description}")
    made = section(**values)
    problems += [f"{path}: [{name}] {problem}" for problem in contradictions(made)]
    return made


def _value(section: str, key: str, hint: Any, given: Any, base: Path) -> Any:
    """Return the value of a key; relative paths start at the folder ``base``.

    Raises:
        UsageError: it is not allowed; the message says why.
        ValueError: it is not allowed.
        msgspec.ValidationError: it is not allowed.
    """
    setting = BY_CONFIG.get(f"{section}.{key}")
    if setting and isinstance(setting.kind, Program):
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise ValueError
        return setting.kind.parse(key, given)
    if setting and isinstance(setting.kind, ClockKind):
        return setting.kind.written(str(given))
    if Path in _arguments(hint):
        if not isinstance(given, str) or not given or "\0" in given:
            raise ValueError
        return base / Path(given).expanduser()
    value = msgspec.convert(given, hint)
    if setting and isinstance(setting.kind, OutputName):
        return setting.kind.written(value)
    is_model = setting is not None and isinstance(setting.kind, ModelName)
    if is_model and (value.endswith(".tflite") or "/" in value):
        return str(base / Path(value).expanduser())
    if key == "soundfont" and is_soundfont_path(value):
        return str(base / Path(value).expanduser())
    if key == "delegate" and "/" in value:
        return str(base / Path(value).expanduser())
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return _address(key, value, base) if isinstance(value, str) and value else value


def _address(key: str, value: str, base: Path) -> str:
    """Return the value of a key as it is used, if it is one with an address; else ``value``.

    Raises:
        UsageError: it is not allowed; the message says why.
    """
    match key:
        case "host":
            return parse_host(value)
        case "discovery_prefix" | "root_topic":
            return parse_topic(value)
        case "icecast":
            parse_icecast(value)
        case "snapcast":
            parsed = parse_snapcast(value, base)
            return str(parsed) if isinstance(parsed, Path) else value
    return value


def is_soundfont_path(soundfont: str) -> bool:
    """Return whether ``soundfont`` is a path, and not a name."""
    return "/" in soundfont or soundfont.lower().endswith(SOUNDFONT_SUFFIXES)


def _arguments(hint: Any) -> set[Any]:
    """Return the types in an annotation such as ``Annotated[Path | None, ...]``."""
    return {part for inner in typing.get_args(hint) for part in typing.get_args(inner)}


def displayed(value: object) -> str:
    """Return ``value`` as an error quotes it: a plain word bare, anything else as ``repr``."""
    is_word = isinstance(value, str) and value.isidentifier()
    return shortened(str(value), 60) if is_word else quoted(value, 60)
