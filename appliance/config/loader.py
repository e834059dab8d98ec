"""Reading the config file: one TOML file, checked as a whole, with a sentence for each problem.

The first of these files is read: the one that ``--config`` names, the user's, the system's. If
there is none, the defaults apply; ``bachbox.example.toml`` documents every key.
"""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.common.text import did_you_mean, lowered
from appliance.config.gpio_schema import Gpio
from appliance.config.midi_schema import Midi
from appliance.config.schema import (
    Clock,
    Display,
    Mqtt,
    Music,
    Sound,
    Stream,
    Voices,
    Web,
)
from appliance.config.sections import (
    MASK,
    SECRET,
    SOUNDFONT_SUFFIXES,
    displayed,
    is_soundfont_path,
    read_section,
)
from appliance.errors import BachboxError, UsageError
from appliance.state.settings_ranges_and_steps import BY_CONFIG

SYSTEM_FILE: Final = Path("/etc/bachbox/bachbox.toml")

SOUNDFONTS: Final = (
    Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
    Path("/usr/share/sounds/sf2/default-GM.sf2"),
    Path("/usr/share/sounds/sf3/default-GM.sf3"),
)
"""Where Debian installs General MIDI soundfonts, the small one first."""

_MAX_BYTES: Final = 1 << 20
"""A config file has a few hundred bytes; a larger one was named by mistake."""

_USER_INFO: Final = re.compile(r"(?<=://).*(?=@)", re.DOTALL)
"""User and password in a URL. The last @ ends them, as in :mod:`appliance.config.addresses`."""

CREDENTIAL: Final = "mqtt-password"
"""The systemd credential with the broker's password: ``LoadCredential=mqtt-password:FILE``."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole config file, a section each; see :mod:`appliance.config.schema`."""

    music: Music = Music()
    sound: Sound = Sound()
    voices: Voices = Voices()
    clock: Clock = Clock()
    mqtt: Mqtt = Mqtt()
    web: Web = Web()
    stream: Stream = Stream()
    gpio: Gpio = Gpio()
    midi: Midi = Midi()
    display: Display = Display()


SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "music": Music,
    "sound": Sound,
    "voices": Voices,
    "clock": Clock,
    "mqtt": Mqtt,
    "web": Web,
    "stream": Stream,
    "gpio": Gpio,
    "midi": Midi,
    "display": Display,
}


OPTIONAL: Final[dict[str, msgspec.Struct]] = {
    "mqtt": Mqtt(),
    # Not its defaults, which would be a page that was not asked for like this.
    "web": Web(port=0),
    "stream": Stream(),
    "gpio": Gpio(),
    "midi": Midi(),
    "display": Display(),
}
"""The sections that the music does not need, and how each is off."""


class ConfigError(UsageError):
    """A config file with problems; the message has one sentence a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def user_file() -> Path:
    """Return the path of the user's config file, whether or not it exists.

    Source of the folder: the XDG Base Directory Specification.
    """
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "bachbox" / "bachbox.toml"


def load(
    explicit: Path | None = None, left_out: list[str] | None = None
) -> tuple[Config, Path | None]:
    """Return the config that applies and the file it came from; None for the defaults.

    Args:
        explicit: read this file and no other.
        left_out: as for :func:`parse`.

    Raises:
        ConfigError: the file has problems; all of them are listed.
        UsageError: there is no file ``explicit``, or it is not text.
        BachboxError: the file cannot be read.
    """
    for path in (explicit,) if explicit else (user_file(), SYSTEM_FILE):
        try:
            text = _read(path)
        except FileNotFoundError as error:
            if explicit:
                raise UsageError(
                    f"{path}: there is no such config file; copy bachbox.example.toml there, "
                    "or omit --config"
                ) from error
        else:
            return parse(text, path, left_out), path
    return Config(), None


def parse(text: str, path: Path, left_out: list[str] | None = None) -> Config:
    """Return the config in the TOML document ``text``.

    Args:
        text: the document.
        path: its file, for messages; relative paths start at its folder.
        left_out: an :data:`OPTIONAL` section with problems is off, and this list gets a sentence
            about each of them; None: they are raised as all others are.

    Raises:
        ConfigError: the document has problems; all of them are listed.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([f"{path}: this is not TOML: {lowered(str(error))}"]) from error
    problems: list[str] = []
    sections: dict[str, Any] = {}
    is_refused = False
    for name, content in document.items():
        section = SECTIONS.get(name)
        found: list[str] = []
        if section is None:
            hint = did_you_mean(name, SECTIONS) or "there are " + ", ".join(
                f"[{known}]" for known in SECTIONS
            )
            found.append(f"{path}: there is no section [{displayed(name)}]; {hint}")
        elif not isinstance(content, dict):
            found.append(f"{path}: {name} is a section: write [{name}] and its keys below it")
        else:
            sections[name] = read_section(name, section, content, path, found)
        problems += found
        if found and left_out is not None and name in OPTIONAL:
            left_out += [f"{one}; until this is corrected, [{name}] is off" for one in found]
            sections[name] = OPTIONAL[name]
        elif found:
            is_refused = True
    if is_refused:
        raise ConfigError(problems)
    return Config(**sections)


def items(config: Config) -> Iterator[tuple[str, str, Any]]:
    """Yield section, key and value of everything, as people read it; secrets are masked."""
    for section in SECTIONS:
        values = getattr(config, section)
        for key in values.__struct_fields__:
            value = getattr(values, key)
            if SECRET.search(key) and value:
                value = MASK
            elif isinstance(value, str):
                value = _USER_INFO.sub(MASK, value)
            elif (setting := BY_CONFIG.get(f"{section}.{key}")) and value is not None:
                value = setting.kind.show(value)
            elif isinstance(value, Path):
                value = str(value)
            elif isinstance(value, tuple):
                value = msgspec.to_builtins(value)
            yield section, key, value


def custom_models_folder(config: Config) -> Path:
    """Return the folder for models that people train: the configured one, or the user's.

    Source of the user's folder: the XDG Base Directory Specification.
    """
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return config.music.models_folder or Path(base).expanduser() / "bachbox" / "models"


def model_folders(config: Config) -> list[Path]:
    """Return the folders with models; the first that has a model of some name wins."""
    users = custom_models_folder(Config())
    return [
        *dict.fromkeys((custom_models_folder(config), users)),
        # In a checkout, and in an installed package.
        Path(__file__).parents[2] / "models",
        Path(__file__).parents[1] / "models",
    ]


def soundfonts(config: Config) -> dict[str, Path]:
    """Return the files of the soundfonts that there are, by name; "default" is not among them."""
    folders = [
        custom_models_folder(Config()).with_name("soundfonts"),
        SYSTEM_FILE.with_name("soundfonts"),
        *dict.fromkeys(path.parent for path in SOUNDFONTS),
    ]
    if is_soundfont_path(config.sound.soundfont):
        folders.insert(0, Path(config.sound.soundfont).parent)
    found: dict[str, Path] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in SOUNDFONT_SUFFIXES:
                    found.setdefault(path.stem, path)
    return found


def soundfont(config: Config, name: str = "") -> Path:
    """Return the file of the soundfont called ``name``, by default the configured one.

    Args:
        config: the config.
        name: "default", a name without suffix, or the path of a file.

    Raises:
        BachboxError: there is none; the message says where it was looked for.
    """
    name = name or config.sound.soundfont
    if is_soundfont_path(name):
        return Path(name)
    if name != "default":
        known = soundfonts(config)
        if name not in known:
            have = ", ".join(["default", *known])
            raise BachboxError(f"there is no soundfont {name!r}; there are: {have}")
        return known[name]
    for path in SOUNDFONTS:
        if path.exists():
            return path
    raise BachboxError(
        f"there is no soundfont at {SOUNDFONTS[0]}: install one with `sudo apt install "
        "timgm6mb-soundfont`, or name another one with --soundfont or [sound] soundfont"
    )


def password(mqtt: Mqtt) -> str:
    """Return the broker's password, "" if none is configured; never log it.

    It comes from ``password_file``, or else from systemd's credential :data:`CREDENTIAL`.

    Raises:
        BachboxError: its file cannot be read.
    """
    path = mqtt.password_file
    if path is None:
        credential = Path(os.environ.get("CREDENTIALS_DIRECTORY") or "/nonexistent") / CREDENTIAL
        if not credential.exists():
            return ""
        path = credential
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
            raise UsageError(f"{path}: larger than 1 MiB, so probably the wrong file")
        # Some editors begin a file with a byte order mark.
        return content.decode("utf-8-sig")
    except (FileNotFoundError, UsageError):
        raise
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: not a text file in UTF-8 (byte {error.start} is not text)"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BachboxError(f"{path}: cannot read it: {lowered(reason)}") from error
