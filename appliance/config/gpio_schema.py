"""The ``[gpio]`` section: the parts wired to the pins, and whether they fit together.

Pins have the BCM numbers ("GPIO17"), never their position on the header.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from appliance.common.text import quoted
from appliance.errors import UsageError
from appliance.state.clock_kinds import ClockKind
from appliance.state.setting_kinds import NamedKind, is_relative
from appliance.state.settings_ranges_and_steps import SETTINGS, USE_DEFAULT, find

HOLD_S: Final = 2.0
"""How long a button must be held for its ``hold`` action."""

LAST_PIN: Final = 27
"""The header of a Raspberry Pi has BCM 0 to 27."""

SPI_PINS: Final = {9: "MISO", 10: "MOSI", 11: "SCLK"}
"""Used by the potentiometers' analog-to-digital converter, together with its select pin."""

SELECT_PINS: Final = {0: 8, 1: 7}
"""CE0 and CE1."""

if TYPE_CHECKING:
    SettingName = str
else:
    # A time of day is nothing to turn to.
    SettingName = Literal[
        tuple(setting.name for setting in SETTINGS if not isinstance(setting.kind, ClockKind))
    ]

POWER_OFF: Final = "power_off"

ACTIONS: Final = ("playing", "next_piece", "restart_piece", "save", POWER_OFF)
"""What a button can do, besides changing a setting; "playing" pauses and resumes."""

ButtonAction = str
"""One of :data:`ACTIONS`, or a change of a setting: "volume=+5", "instrument=-1", "scene=+1"."""


class Encoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rotary encoder; its common pin is wired to ground."""

    turns: SettingName
    a: int
    """The pin that leads when it is turned clockwise."""
    b: int
    push: int | None = None
    """The pin of its push button, the other one to ground."""
    press: ButtonAction = "playing"
    hold: ButtonAction | None = None
    double: ButtonAction | None = None
    detents_per_cycle: Literal[1, 2, 4] = 1
    """How often it clicks while its contacts go through all four states."""
    step: Annotated[float, Meta(gt=0, le=100)] | None = None
    """The change of a number at each click; None: ``encoder_step`` of the settings table."""


class Pot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A potentiometer on an MCP3008."""

    turns: SettingName
    channel: Annotated[int, Meta(ge=0, le=7)]
    select: Literal[0, 1] = 0
    """The converter's select line: CE0 or CE1."""


class Button(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A push button or another contact; to ground unless it says otherwise."""

    pin: int
    press: ButtonAction | None = None
    hold: ButtonAction | None = None
    double: ButtonAction | None = None
    pull: Literal["up", "down", "off"] = "up"
    """The pin's own resistor: "down" for a button to 3.3 V, "off" if there is one outside."""
    active: Literal["low", "high"] | None = None
    """The level that means pressed; None: high with the pull "down", otherwise low."""

    @property
    def is_active_high(self) -> bool:
        """Whether the pin is high while the button is pressed."""
        return (self.active or ("high" if self.pull == "down" else "low")) == "high"


class Led(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An LED with its resistor, to ground."""

    pin: int
    shows: Literal["playing", "beat", "trouble"]


Part = Encoder | Pot | Button | Led


class Gpio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[gpio]``: the parts that are wired; none by default."""

    encoders: Annotated[
        tuple[Encoder, ...],
        Meta(
            description='a list of { turns = "tempo", a = 17, b = 27 }, with push = 22, '
            'press = "playing", hold = "next_piece", step = 2 and detents_per_cycle = 2 if you like'
        ),
    ] = ()
    pots: Annotated[
        tuple[Pot, ...],
        Meta(description='a list of { turns = "volume", channel = 0 } with channels from 0 to 7'),
    ] = ()
    buttons: Annotated[
        tuple[Button, ...],
        Meta(
            description='a list of { pin = 16, press = "next_piece", hold = "power_off" }, with '
            'double, pull = "down" and active = "high" if you like; they do "playing", '
            '"next_piece", "restart_piece", "save", "power_off" or a change such as "volume=+5"'
        ),
    ] = ()
    leds: Annotated[
        tuple[Led, ...],
        Meta(
            description='a list of { pin = 24, shows = "playing" }; they show "playing", "beat" '
            'or "trouble"'
        ),
    ] = ()


class WiredPart(NamedTuple):
    """A part of the section, and whether it can work."""

    where: str
    """Such as "[gpio] encoders 1 (tempo)"."""
    part: Part
    problem: str
    """"" if it can work."""


def wired_parts(gpio: Gpio) -> Iterator[WiredPart]:
    """Yield every part in the order of the file; of two that share a pin, the first keeps it."""
    taken: dict[int, str] = {}
    for kind in gpio.__struct_fields__:
        for number, part in enumerate(getattr(gpio, kind), 1):
            where = f"[gpio] {kind} {number} ({_purpose(part)})"
            problem = _problem(part, taken)
            if not problem:
                taken.update(dict.fromkeys(pins_of(part), where))
            yield WiredPart(where, part, problem)


def pins_of(part: Part) -> list[int]:
    """Return the pins of a part, as BCM numbers; only potentiometers may share theirs."""
    match part:
        case Encoder():
            return [part.a, part.b, *([] if part.push is None else [part.push])]
        case Pot():
            return [*SPI_PINS, SELECT_PINS[part.select]]
        case Button() | Led():
            return [part.pin]


def _problem(part: Part, taken: dict[int, str]) -> str:
    pins = pins_of(part)
    for pin in pins:
        if not 0 <= pin <= LAST_PIN:
            return f"there is no pin {pin}; BCM numbers go from 0 to {LAST_PIN}"
        if pins.count(pin) > 1:
            return f"pin {pin} is named twice; each wire needs a pin of its own"
        other = taken.get(pin)
        if other and not (isinstance(part, Pot) and "[gpio] pots" in other):
            return f"pin {pin} is already taken by {other}; choose another one"
    if isinstance(part, Button) and not (part.press or part.hold or part.double):
        return 'it does nothing; write press = "playing" or hold = "power_off"'
    if isinstance(part, Encoder | Button):
        return _action_problem(part)
    return ""


def _action_problem(part: Encoder | Button) -> str:
    """Return a sentence about what a button shall do and cannot; "" if all is well."""
    for key in ("press", "hold", "double"):
        action = getattr(part, key)
        if action is not None and (problem := action_problem(key, action)):
            return problem
    return ""


def action_problem(key: str, action: ButtonAction) -> str:
    """Return a sentence about an ``action`` that cannot be done; "" if all is well."""
    if action in ACTIONS:
        return ""
    name, equals, value = action.partition("=")
    if not equals:
        return (
            f"{key} = {quoted(action)} is not known; allowed are {', '.join(ACTIONS)} and "
            'changes of a setting such as "volume=+5"'
        )
    try:
        kind = find(name).kind
        if not (is_relative(value) or isinstance(kind, NamedKind) or value == USE_DEFAULT):
            kind.parse(name, value)
    except UsageError as error:
        return f"{key} = {quoted(action)}: {error}"
    return ""


def _purpose(part: Part) -> str:
    match part:
        case Encoder() | Pot():
            return part.turns
        case Button():
            return part.press or part.hold or part.double or "nothing"
        case Led():
            return part.shows
