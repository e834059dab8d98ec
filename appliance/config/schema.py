"""The sections of the config file: their keys, the allowed values and the defaults.

``bachbox.example.toml`` explains every key to people; :mod:`appliance.config.gpio_schema` has
``[gpio]``, :mod:`appliance.state.settings_ranges_and_steps` the keys of the live settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from appliance.config.addresses import ICECAST_EXAMPLE
from appliance.config.settings_section import settings_section
from appliance.state.settings_ranges_and_steps import number

AUTO_PORT: Final = "auto"
"""In place of a port: the first of these that is free."""

FIRST_PORT: Final = 8080
LAST_PORT: Final = 8179

_TOPIC_LEVEL: Final = Meta(
    pattern=r"^[A-Za-z0-9_-]{0,32}\Z",
    description='at most 32 letters, digits, "-" and "_"',
)


if TYPE_CHECKING:

    class Voices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``[voices]``: what is set for each voice."""

    class _ClockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        pass

    class _MusicSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        model: str = ""

    class _SoundSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        volume: float = 0.0
        output: str = "default"
        soundfont: str = "default"
else:
    Voices, _ClockSettings = settings_section("voices"), settings_section("clock")
    _MusicSettings = settings_section("music")
    _SoundSettings = settings_section("sound")

_VOLUME: Final = number("volume")


class Music(_MusicSettings, frozen=True, forbid_unknown_fields=True):
    """``[music]``: what is composed; the keys of the settings table come first."""

    seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**63 - 1)] | None,
        Meta(description="a whole number from 0 to 2^63 - 1, or unset for new music every time"),
    ] = None
    look_ahead_s: Annotated[
        float, Meta(ge=2, le=30, description="a number from 2 to 30 seconds")
    ] = 4.0
    models_folder: Annotated[
        Path | None, Meta(description="the path of a folder with .tflite models")
    ] = None
    delegate: Annotated[
        str,
        Meta(
            pattern=r"^[^\x00]+\Z",
            description='"auto", "off", or the name or path of a delegate library',
        ),
    ] = "auto"


class Sound(_SoundSettings, frozen=True, forbid_unknown_fields=True):
    """``[sound]``: how it sounds; the keys of the settings table come first."""

    block_frames: Annotated[
        int, Meta(ge=64, le=8192, description="a whole number from 64 to 8192 frames")
    ] = 1024
    max_startup_volume: Annotated[
        float, Meta(ge=_VOLUME.low, le=_VOLUME.high, description=str(_VOLUME))
    ] = _VOLUME.high


class Clock(_ClockSettings, frozen=True, forbid_unknown_fields=True):
    """``[clock]``: what happens by the clock; the keys of the settings table come first."""

    time_zone: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2})?\Z",
            description='a time zone such as "Europe/Berlin", or "" for the machine\'s',
        ),
    ] = ""


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[mqtt]``: the MQTT broker; none while ``host`` is empty."""

    host: Annotated[str, Meta(description="a host name or address")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="a port from 1 to 65535")] = 1883
    username: Annotated[str, Meta(description="text")] = ""
    password_file: Annotated[
        Path | None, Meta(description="the path of a file that holds nothing but the password")
    ] = None
    tls: Annotated[bool, Meta(description="true or false")] = False
    ca_file: Annotated[
        Path | None, Meta(description="the path of a PEM file with certificates to trust")
    ] = None
    cert_file: Annotated[
        Path | None, Meta(description="the path of a PEM file with this box's certificate")
    ] = None
    key_file: Annotated[
        Path | None, Meta(description="the path of a PEM file with the certificate's private key")
    ] = None
    websocket_path: Annotated[
        str,
        Meta(
            pattern=r"^(/[!-~]{0,200})?\Z",
            description='the path of MQTT over WebSockets, such as "/mqtt", or "" for plain MQTT',
        ),
    ] = ""
    root_topic: Annotated[str, Meta(min_length=1, description="a topic without + and #")] = (
        "bachbox"
    )
    id: Annotated[str, _TOPIC_LEVEL] = ""
    group: Annotated[str, _TOPIC_LEVEL] = "all"
    discovery: Annotated[
        Literal["entities", "device", "off"], Meta(description='"entities", "device" or "off"')
    ] = "entities"
    discovery_prefix: Annotated[str, Meta(min_length=1, description="a topic without + and #")] = (
        "homeassistant"
    )


class Web(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[web]``: the page and its API; off if ``port`` is 0."""

    host: Annotated[
        str,
        Meta(
            description='an address: "127.0.0.1" (this machine only), or "" (the whole network)',
        ),
    ] = "127.0.0.1"
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | Literal["auto"],
        Meta(description='"auto", a port from 1 to 65535, or 0 for no page'),
    ] = AUTO_PORT
    name: Annotated[
        str, Meta(max_length=40, description="what the page is called, at most 40 characters")
    ] = ""
    allowed_hosts: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,253}\Z")], ...],
        Meta(
            description="a list of host names under which browsers may reach this box, without "
            "http:// and port"
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description='a list of addresses and networks, such as "127.0.0.1", "10.0.0.0/8"'),
    ] = ()
    frame_ancestors: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.*\[\]:-]{1,253}\Z")], ...],
        Meta(description='a list of sites, such as "http://homeassistant.local:8123"'),
    ] = ()
    anonymous_access: Annotated[
        Literal["auto", "off", "read", "full"],
        Meta(description='"auto", "off", "read" or "full"'),
    ] = "auto"
    password_hash: Annotated[
        str,
        Meta(
            pattern=r"^(\$scrypt\$[!-~]{1,300})?\Z",
            description="the line that `bachbox hash-password` gives",
        ),
    ] = ""
    require_password: Annotated[bool, Meta(description="true or false")] = False


class Stream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[stream]``: the sound for other rooms and for the internet, beside the sound card."""

    snapcast: Annotated[
        str, Meta(description='the path of the pipe that snapserver reads, or "tcp://HOST:PORT"')
    ] = ""
    icecast: Annotated[str, Meta(description=f'an address such as "{ICECAST_EXAMPLE}"')] = ""


class Display(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[display]``: a small display on the I2C bus; none while ``driver`` is empty."""

    driver: Annotated[
        Literal["", "ssd1306", "sh1106", "hd44780"],
        Meta(description='"ssd1306", "sh1106", "hd44780", or "" for no display'),
    ] = ""
    size: Annotated[
        Literal["", "128x64", "128x32", "16x2", "20x4"],
        Meta(
            description='"128x64" or "128x32" for an OLED, "16x2" or "20x4" for an HD44780, or '
            '"" for the first of these'
        ),
    ] = ""
    i2c_port: Annotated[int, Meta(ge=0, le=63, description="a number: 1 is /dev/i2c-1")] = 1
    i2c_address: Annotated[
        Annotated[int, Meta(ge=0x08, le=0x77)] | None,
        Meta(description="an address from 0x08 to 0x77, as `i2cdetect -y 1` shows it"),
    ] = None
    rotate: Annotated[Literal[0, 180], Meta(description="0 or 180 degrees")] = 0
    brightness: Annotated[
        int, Meta(ge=0, le=100, description="a whole number from 0 to 100 percent")
    ] = 80
    quiet_brightness: Annotated[
        int, Meta(ge=0, le=100, description="a whole number from 0 (dark) to 100 percent")
    ] = 10
