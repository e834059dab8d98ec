"""The kinds of values that a setting can have: how each is read, checked and shown."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from appliance.audio.alsa_cards import find_by_alsa_name, hardware_cards
from appliance.common.text import quoted
from appliance.errors import UsageError
from appliance.ipc.shared_state import MAX_TEXT_BYTES
from appliance.music import key_names
from appliance.music.limits import MAX_MODEL_NAME_BYTES
from appliance.state import general_midi
from appliance.state.clock_kinds import ClockKind

Value = bool | int | float | str

_SWITCH_WORDS: Final = {
    "on": True, "off": False, "true": True, "false": False, "1": True, "0": False,
}  # fmt: skip

TOGGLE: Final = "toggle"
"""In place of on or off: the other one of the two."""

# ASCII digits alone: float() also takes "1_0" and the digits of other scripts.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

_STEP: Final = re.compile(r"([+-])(=?)([0-9]{1,9}(?:\.[0-9]{1,9})?)")


class _Kind:
    """What the kinds have in common; ``str`` says what is allowed, to follow "it must be"."""

    value_type: ClassVar[type]
    """Of a value in :class:`appliance.state.settings.EffectiveSettings`."""
    shown_type: ClassVar[type]
    """Of a value as people read it."""

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return str(self)

    def show(self, value: Value) -> Value:
        """Return ``value`` as people read it."""
        return value

    def options(self, names: Sequence[str]) -> Sequence[Value]:
        """Return the possible values; none for a number.

        Args:
            names: what there is now, for a kind that is a :class:`NamedKind`.
        """
        return ()


@dataclass(frozen=True)
class Number(_Kind):
    """A number in a range."""

    value_type = shown_type = float

    low: float
    high: float
    encoder_step: float
    """The change at one click of a rotary encoder."""
    grain: float = 1.0
    """Sliders and potentiometers set multiples of this."""
    unit: str = ""
    """In a sentence, such as "beats per minute"."""
    symbol: str = ""
    """Beside a number, such as "BPM"."""

    def __str__(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}{self.unit and ' ' + self.unit}"

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        symbol = self.symbol if self.symbol in ("", "%") else f" {self.symbol}"
        return f"{self.low:g} to {self.high:g}{symbol}"

    def parse(self, label: str, value: object) -> float:
        """Return the number that ``value`` (a number or text) stands for.

        Raises:
            UsageError: it is not a number, or out of range.
        """
        try:
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise ValueError
            if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
                raise ValueError
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if not self.low <= number <= self.high:
            raise UsageError(_refusal(label, value, self))
        return number

    def clamp(self, value: float) -> float:
        """Return the allowed number that is nearest to ``value``, rounded to four decimals."""
        return round(float(min(max(value, self.low), self.high)), 4)


@dataclass(frozen=True)
class Switch(_Kind):
    """On or off."""

    value_type = shown_type = bool

    def __str__(self) -> str:
        return "on or off"

    def parse(self, label: str, value: object) -> bool:
        """Return the state that ``value`` (a bool, or text such as "on") stands for.

        Raises:
            UsageError: it is neither on nor off.
        """
        state = _SWITCH_WORDS.get(str(value).strip().casefold())
        if state is None:
            raise UsageError(_refusal(label, value, self))
        return state

    def options(self, names: Sequence[str]) -> Sequence[Value]:
        """Return both states."""
        return (False, True)


@dataclass(frozen=True)
class Choice(_Kind):
    """One of a few names."""

    value_type = shown_type = str

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}"

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return ", ".join(self.names)

    def parse(self, label: str, value: object) -> str:
        """Return the name that ``value`` means, in any case, with any hyphens or blanks.

        Raises:
            UsageError: it is none of the names.
        """
        wanted = _folded(str(value))
        for name in self.names:
            if _folded(name) == wanted:
                return name
        raise UsageError(_refusal(label, value, self))

    def options(self, names: Sequence[str]) -> Sequence[Value]:
        """Return the names."""
        return self.names


@dataclass(frozen=True)
class KeyName(Choice):
    """The name of a key, or "any"."""

    names: tuple[str, ...] = key_names.NAMES

    def __str__(self) -> str:
        return 'a key such as "G major", "e minor" or "B-flat major", or any'

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return "any, or a key such as e minor"

    def parse(self, label: str, value: object) -> str:
        """Return the name of the key that ``value`` means, however it is spelled.

        Raises:
            UsageError: it is no key.
        """
        try:
            key = key_names.find(str(value))
        except ValueError as error:
            raise UsageError(_refusal(label, value, self)) from error
        return key_names.ANY if key is None else str(key)


@dataclass(frozen=True)
class Program(_Kind):
    """A General MIDI program, 0 to 127; people read the instrument's name."""

    value_type = int
    shown_type = str

    def __str__(self) -> str:
        return "a General MIDI instrument by name or number (0 to 127)"

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return "a General MIDI name or number"

    def parse(self, label: str, value: object) -> int:
        """Return the program that ``value`` (a number, a name or its beginning) means.

        Raises:
            UsageError: no instrument fits, or more than one does.
        """
        return general_midi.find(str(value))

    def show(self, value: Value) -> Value:
        """Return the name of the instrument with program ``value``."""
        return general_midi.name(int(value))

    def options(self, names: Sequence[str]) -> Sequence[Value]:
        """Return every program."""
        return range(len(general_midi.NAMES))


class NamedKind(_Kind):
    """The name of something on this machine; which there are is known at run time."""

    value_type = shown_type = str

    def options(self, names: Sequence[str]) -> Sequence[Value]:
        """Return the names that there are now."""
        return names

    def parse(self, label: str, value: object, names: Sequence[str]) -> str:
        """Return the name in ``names`` that ``value`` means.

        Raises:
            UsageError: it is none of them.
        """
        if not isinstance(value, str) or value not in names:
            have = ", ".join(names) or "none"
            raise UsageError(f"there is no {label} {quoted(value)}; there are: {have}")
        return value


@dataclass(frozen=True)
class ModelName(NamedKind):
    """The name of a model file, without its suffix."""

    def __str__(self) -> str:
        return "the name of a model"

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return "a name that `bachbox models` lists"

    def parse(self, label: str, value: object, names: Sequence[str]) -> str:
        """Return ``value`` if it is one of the models called ``names``.

        Raises:
            UsageError: there is no such model, or its name is too long.
        """
        model = super().parse(label, value, names)
        if len(model.encode()) > MAX_MODEL_NAME_BYTES:
            raise UsageError(
                f"the {label} name {quoted(model)} is too long: at most {MAX_MODEL_NAME_BYTES} "
                "bytes are allowed; rename the file"
            )
        return model


@dataclass(frozen=True)
class OutputName(NamedKind):
    """Where the sound goes; while it plays, one of the sound cards that there are."""

    def __str__(self) -> str:
        return '"default", a sound card\'s name, "wav:FILE", "pipe:FILE" or "null"'

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return '"default" or a sound card\'s name'

    def written(self, text: str) -> str:
        """Return ``text`` as config file and command line take it; a card is looked up later.

        Raises:
            UsageError: it names a MIDI port, which is no output of sound.
        """
        kind, colon, port = text.strip().partition(":")
        if colon and kind.casefold() == "midi":
            raise UsageError(
                f"{quoted(text)} is no sound card; for notes to a MIDI port, write out_port = "
                f'"{port or "NAME"}" under [midi] in the config file'
            )
        return text

    def parse(self, label: str, value: object, names: Sequence[str]) -> str:
        """Return the output in ``names`` that ``value`` means; ALSA's spellings are understood.

        Raises:
            UsageError: there is no such card now, or as :meth:`written`. Files are for the config
                alone: people who may turn the knobs may not write files.
        """
        wanted = self.written(str(value)).strip().casefold()
        for name in names:
            if name.casefold() == wanted:
                return name
        card = find_by_alsa_name(wanted, hardware_cards())
        return super().parse(label, card.label if card else value, names)


@dataclass(frozen=True)
class SoundfontName(NamedKind):
    """The name of a soundfont file, without its suffix; "default" is the machine's own."""

    def __str__(self) -> str:
        return "the name of a soundfont, or the path of a .sf2 or .sf3 file"

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return '"default" or the name of a soundfont'


Kind = Number | Switch | Choice | KeyName | Program | NamedKind | ClockKind


def is_plain_name(output: str) -> bool:
    """Return whether ``output`` can be a card: no file or MIDI port, not long or unprintable."""
    is_other = output.partition(":")[0] in ("wav", "pipe", "midi")
    return output.isprintable() and 0 < len(output.encode()) <= MAX_TEXT_BYTES and not is_other


def is_relative(text: str) -> bool:
    """Return whether ``text`` may be a step ("+5", "-5", "+=5") or :data:`TOGGLE`."""
    stripped = text.strip()
    return bool(_STEP.fullmatch(stripped)) or stripped.casefold() == TOGGLE


def absolute(kind: Kind, value: str, current: Value, options: Sequence[Value]) -> Value:
    """Return the value that a step or a toggle leads to; any other ``value`` as it is.

    A step is text: "+5" or "-5" from a number, which stays in its range; "+1" or "-1" to the next
    or previous of the ``options``, round and round. A range with negative numbers needs the sign
    for its values, so a step there is "+=5" or "-=5"; that form is understood everywhere.

    Args:
        kind: the kind of the setting.
        value: what was asked for, not checked yet.
        current: the value now.
        options: the possible values; none for a number.
    """
    text = value.strip()
    if isinstance(kind, Switch):
        return not current if text.casefold() == TOGGLE else value
    found = _STEP.fullmatch(text)
    if not found:
        return value
    sign, equals, digits = found.groups()
    step = float(sign + digits)
    if isinstance(kind, Number):
        has_sign = kind.low < 0 and not equals
        return value if has_sign else kind.clamp(float(current) + step)
    if current not in options or not step.is_integer():
        return value
    return options[(options.index(current) + int(step)) % len(options)]


def _refusal(label: str, value: object, kind: Number | Switch | Choice) -> str:
    return f"{label}: {quoted(value)} is not allowed; it must be {kind}"


def _folded(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "").replace(" ", "")
