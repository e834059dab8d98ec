"""The config file: one TOML file, checked as a whole, with a sentence for everything wrong in it.

Searched for in this order: the file named by ``--config``, the user's, the system's. Without
any, the defaults below are in force; ``bachbox.example.toml`` documents every key.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.config.gpio_schema import Gpio
from appliance.config.schema import Mqtt, Music, Sound, Stream, Web
from appliance.errors import BachboxError, UsageError
from appliance.state import general_midi

SYSTEM_FILE: Final = Path("/etc/bachbox/bachbox.toml")

SOUNDFONTS: Final = (
    Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
    Path("/usr/share/sounds/sf2/default-GM.sf2"),
    Path("/usr/share/sounds/sf3/default-GM.sf3"),
)
"""Where Debian puts General MIDI soundfonts, the small one first."""

MASK: Final = "********"

_MAX_BYTES: Final = 1 << 20
"""A config file is some hundred bytes; more is another file named by mistake."""

_SECRET: Final = re.compile(
    r"pass(word|wd|phrase)?(_hash)?$|secret|token|api_?key|credential", re.IGNORECASE
)

_IN_ADDRESS: Final = re.compile(r"(?<=://)[^/@]*(?=@)")
"""User and password in an address."""

CREDENTIAL: Final = "mqtt-password"
"""The broker's password among systemd's credentials: ``LoadCredential=mqtt-password:FILE``."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be configured; :mod:`appliance.config.schema` says what."""

    music: Music = Music()
    sound: Sound = Sound()
    mqtt: Mqtt = Mqtt()
    web: Web = Web()
    stream: Stream = Stream()
    gpio: Gpio = Gpio()


SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "music": Music,
    "sound": Sound,
    "mqtt": Mqtt,
    "web": Web,
    "stream": Stream,
    "gpio": Gpio,
}


class ConfigError(UsageError):
    """A config file with problems, each a sentence on a line of its own."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def user_file() -> Path:
    """The user's own config file, whether or not it exists."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "bachbox" / "bachbox.toml"


def load(asked: Path | None = None) -> tuple[Config, Path | None]:
    """The config in force, and the file that it came from (None: the defaults).

    Raises:
        ConfigError: the file is not what it should be; all of its problems are listed.
        BachboxError: it cannot be read.
    """
    for path in (asked,) if asked else (user_file(), SYSTEM_FILE):
        try:
            text = _read(path)
        except FileNotFoundError as error:
            if asked:
                raise UsageError(
                    f"{path}: there is no such config file; copy bachbox.example.toml there, "
                    "or leave --config away"
                ) from error
        else:
            return parse(text, path), path
    return Config(), None


def parse(text: str, path: Path) -> Config:
    """The config that ``text`` spells; ``path`` names it, and relative paths start beside it.

    Raises:
        ConfigError: as :func:`load`.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([f"{path}: this is not TOML: {_lower(str(error))}"]) from error
    problems: list[str] = []
    sections: dict[str, Any] = {}
    for name, content in document.items():
        section = SECTIONS.get(name)
        if section is None:
            allowed = "there are " + ", ".join(f"[{known}]" for known in SECTIONS)
            problems.append(
                f"{path}: there is no section [{_shown(name)}]; {_guess(name, SECTIONS, allowed)}"
            )
        elif not isinstance(content, dict):
            problems.append(f"{path}: {name} is a section: write [{name}] and its keys below it")
        else:
            sections[name] = _section(name, section, content, path, problems)
    if problems:
        raise ConfigError(problems)
    return Config(**sections)


def items(config: Config) -> Iterator[tuple[str, str, Any]]:
    """Section, key and value of everything, fit to be shown: secrets masked, paths as text."""
    for section in SECTIONS:
        values = getattr(config, section)
        for key in values.__struct_fields__:
            value = getattr(values, key)
            if _SECRET.search(key) and value:
                value = MASK
            elif isinstance(value, str):
                value = _IN_ADDRESS.sub(MASK, value)
            elif key == "instrument" and value is not None:
                value = general_midi.name(value)
            elif isinstance(value, Path):
                value = str(value)
            elif isinstance(value, tuple):
                value = msgspec.to_builtins(value)
            yield section, key, value


def own_models(config: Config) -> Path:
    """The folder for models that a person makes: the one configured, or else the user's."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return config.music.models_folder or Path(base).expanduser() / "bachbox" / "models"


def model_folders(config: Config) -> list[Path]:
    """The folders in which models are found, the first one winning."""
    users = own_models(Config())
    return [
        *dict.fromkeys((own_models(config), users)),
        Path(__file__).parents[2] / "models",
        Path(sys.prefix) / "share" / "bachbox" / "models",
    ]


def soundfont(config: Config) -> Path:
    """The soundfont to play with.

    Raises:
        BachboxError: none is configured and the usual places have none.
    """
    if config.sound.soundfont:
        return config.sound.soundfont
    for path in SOUNDFONTS:
        if path.exists():
            return path
    raise BachboxError(
        f"there is no soundfont at {SOUNDFONTS[0]}: install one with `sudo apt install "
        "timgm6mb-soundfont`, or name your own with --soundfont or [sound] soundfont"
    )


def password(mqtt: Mqtt) -> str:
    """The broker's password, empty where none is configured; never show it.

    From ``password_file``, or else from systemd's credential :data:`CREDENTIAL`.

    Raises:
        BachboxError: its file cannot be read.
    """
    path = mqtt.password_file
    if path is None:
        given = Path(os.environ.get("CREDENTIALS_DIRECTORY") or "/nonexistent") / CREDENTIAL
        if not given.exists():
            return ""
        path = given
    try:
        return _read(path).rstrip("\r\n")
    except FileNotFoundError as error:
        raise BachboxError(
            f"{path}: there is no such file; [mqtt] password_file has to name the file that "
            "holds the broker's password"
        ) from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise UsageError(f"{path}: larger than a mebibyte, so hardly the file that is meant")
        return content.decode()
    except (FileNotFoundError, UsageError):
        raise
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: not a text file in UTF-8 (byte {error.start} is not text)"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BachboxError(f"{path}: cannot read it: {_lower(reason)}") from error


def _section(
    name: str,
    section: type[msgspec.Struct],
    content: dict[str, Any],
    path: Path,
    problems: list[str],
) -> Any:
    """An instance of ``section``, each problem of its keys added to ``problems``."""
    hints = typing.get_type_hints(section, include_extras=True)
    values: dict[str, Any] = {}
    for key, given in content.items():
        where = f"{path}: [{name}] {_shown(key)}"
        if key not in hints:
            allowed = f"there are {', '.join(hints)}"
            problems.append(
                f"{path}: [{name}] has no key {_shown(key)}; {_guess(key, hints, allowed)}"
            )
            continue
        try:
            values[key] = _value(key, hints[key], given, path.parent)
        except UsageError as error:
            problems.append(f"{where}: {error}")
        except (msgspec.ValidationError, ValueError, OverflowError) as error:
            secret = _SECRET.search(key) or (isinstance(given, str) and "@" in given)
            shown = MASK if secret else _shown(given)
            if isinstance(given, list) and (found := re.search(r"(.*) - at `\$(.*)`$", str(error))):
                shown = f"not right ({_lower(found[1])} at {found[2] or 'its start'})"
            description = next(
                meta.description for meta in hints[key].__metadata__ if meta.description
            )
            problems.append(f"{where} is {shown}; allowed is {description}")
    return section(**values)


def _value(key: str, hint: Any, given: Any, base: Path) -> Any:
    if key == "instrument":
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise ValueError
        return general_midi.find(given)
    if Path in _arguments(hint):
        if not isinstance(given, str) or not given or "\0" in given:
            raise ValueError
        return base / Path(given).expanduser()
    value = msgspec.convert(given, hint)
    if key == "model" and (value.endswith(".tflite") or "/" in value):
        return str(base / Path(value).expanduser())
    if key == "delegate" and "/" in value:
        return str(base / Path(value).expanduser())
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return value


def _arguments(hint: Any) -> set[Any]:
    return {part for inner in typing.get_args(hint) for part in typing.get_args(inner)}


def _guess(wrong: str, known: typing.Iterable[str], otherwise: str) -> str:
    known = list(known)
    close = difflib.get_close_matches(wrong.casefold(), known, 1, 0.6)
    # "tempo" is further from "tempo_bpm" than from nothing, yet it is what was meant.
    close = close or [name for name in known if len(wrong) > 3 and name.startswith(wrong)]
    return f"did you mean {close[0]!r}?" if close else otherwise


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and value.isidentifier() else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
