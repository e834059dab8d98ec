"""What stands between this machine and the music: each thing is ok, off, or has a remedy."""

from __future__ import annotations

import contextlib
import enum
import grp
import os
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import msgspec

from appliance.audio.soundfont_check import try_soundfont
from appliance.composing.model_check import try_model
from appliance.config import loader as configs
from appliance.config.loader import Config
from appliance.errors import BachboxError
from appliance.sandbox import run_in_fork
from appliance.state.general_midi import NAMES


class Health(enum.StrEnum):
    """How one thing is."""

    OK = "ok"
    OFF = "off"
    """Not there, and not needed for music."""
    BAD = "bad"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    thing: str
    health: Health
    detail: str
    remedy: str = ""
    """What to do, where the detail does not say it."""


def examine(config: Config, config_file: Path | None) -> Iterator[Finding]:
    """Look at everything, one thing after the other; nothing is changed."""
    yield Finding("config", Health.OK, str(config_file or "none, the defaults are in force"))
    looks: list[tuple[str, Callable[[Config], Iterator[Finding]]]] = [
        ("sound card", _sound_card),
        ("soundfont", _soundfont),
        ("runtime", _runtime),
        ("models", _models),
        ("delegate", _delegate),
        ("permissions", _permissions),
        ("broker", _broker),
        ("pins", _pins),
    ]
    for thing, look in looks:
        try:
            yield from look(config)
        except BachboxError as error:
            yield Finding(thing, Health.BAD, str(error))


def _sound_card(config: Config) -> Iterator[Finding]:
    from appliance.audio.outputs.sound_card import choose, list_cards

    output = config.sound.output
    if ended_by := run_in_fork(list_cards):
        remedy = "is ~/.asoundrc or /etc/asound.conf broken?"
        yield Finding("sound card", Health.BAD, f"PortAudio crashes ({ended_by})", remedy)
        return
    cards = list_cards()
    if ":" in output or output == "null":
        yield Finding("sound card", Health.OFF, f"the output is {output}")
    else:
        card = choose(cards, output)
        yield Finding("sound card", Health.OK, f"{card.name}, {card.sample_rate} Hz")
    others = [f"{card.name} ({card.sample_rate} Hz)" for card in cards]
    if others:
        yield Finding("all cards", Health.OK, ", ".join(others))


def _soundfont(config: Config) -> Iterator[Finding]:
    from appliance.audio.soundfont import presets
    from appliance.audio.synth import FluidSynth

    path = configs.soundfont(config)
    try_soundfont(path)
    have = {program for bank, program in presets(path) if bank == 0}
    synth = FluidSynth(path, 48_000)
    synth.volume(100)
    synth.program(min(have, default=0))
    synth.note_on(0, 60, 90)
    silent = not any(synth.render(4800))
    synth.close()
    if silent:
        yield Finding("soundfont", Health.BAD, f"{path} gives no sound", "choose another one")
        return
    missing = [name for program, name in enumerate(NAMES) if program not in have]
    lacks = f", lacks {', '.join(missing[:5])}{' …' if missing[5:] else ''}" if missing else ""
    detail = f"{path}, {len(have & set(range(128)))} of 128 instruments{lacks}"
    yield Finding("soundfont", Health.OK, detail)


def _runtime(config: Config) -> Iterator[Finding]:
    from appliance.composing.interpreter import runtime

    name, _ = runtime()
    version = metadata.version(name)
    yield Finding("runtime", Health.OK, f"{name} {version}, numpy {metadata.version('numpy')}")


def _models(config: Config) -> Iterator[Finding]:
    from appliance.audio.silence_stderr import quiet
    from appliance.composing import model_file
    from appliance.composing.interpreter import StepModel

    folders = configs.model_folders(config)
    chosen = model_file.find(config.music.model, folders)
    for path in sorted({chosen, *model_file.listing(folders)}):
        thing = f"model {path.stem}"
        try:
            # One token, for real: a runtime that does not fit fails only then.
            try_model(path)
            with quiet():
                StepModel(model_file.load(path))
        except BachboxError as error:
            yield Finding(thing, Health.BAD, str(error))
        else:
            yield Finding(thing, Health.OK, f"{path} composes")


def _delegate(config: Config) -> Iterator[Finding]:
    from appliance.composing import model_file
    from appliance.composing.delegates import Models

    troubles: list[str] = []
    path = model_file.find(config.music.model, configs.model_folders(config))
    model = Models(config.music.delegate, troubles.append).load(path)
    if troubles:
        remedy = "if the box is playing, it holds the device; else see docs/edgetpu.md"
        yield Finding("delegate", Health.BAD, troubles[0], remedy)
    elif model.delegate:
        yield Finding("delegate", Health.OK, f"{model.delegate.library} runs {path.stem}")
    else:
        yield Finding("delegate", Health.OFF, f"the CPU runs {path.stem}")


def _permissions(config: Config) -> Iterator[Finding]:
    in_audio = os.geteuid() == 0
    with contextlib.suppress(KeyError):
        in_audio = in_audio or grp.getgrnam("audio").gr_gid in {os.getegid(), *os.getgroups()}
    if in_audio:
        yield Finding("audio group", Health.OK, "you may use the sound card")
    else:
        yield Finding(
            "audio group",
            Health.OFF,
            "you are not in the group audio, so a sound server has to let you in",
            "if there is no sound: sudo usermod -aG audio $USER, then log in again",
        )
    if _may_be_real_time():
        yield Finding("real time", Health.OK, "granted, the performer comes first")
    else:
        yield Finding(
            "real time",
            Health.OFF,
            "not granted; it plays without, on a busy machine with gaps",
            "put `@audio - rtprio 20` into /etc/security/limits.d/audio.conf, then log in again",
        )


def _may_be_real_time() -> bool:
    """Tried in a thread of its own: on Linux a thread's scheduling is its own."""
    granted = []

    def attempt() -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            granted.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(granted)


def _broker(config: Config) -> Iterator[Finding]:
    mqtt = config.mqtt
    if not mqtt.host:
        yield Finding("broker", Health.OFF, "none is configured ([mqtt] host is empty)")
        return
    from appliance.frontends.mqtt.broker_check import check_broker

    yield Finding("broker", Health.OK, f"{check_broker(mqtt)} accepts the connection")


def _pins(config: Config) -> Iterator[Finding]:
    from appliance.config.gpio_schema import Gpio, Pot, wired

    chips = sorted(Path("/dev").glob("gpiochip*"))
    # What nobody has wired need not work.
    bad = Health.OFF if config.gpio == Gpio() else Health.BAD
    if not chips:
        yield Finding("pins", bad, "this machine has none")
    elif os.access(chips[0], os.R_OK | os.W_OK):
        yield Finding("pins", Health.OK, f"{chips[0]} can be used")
    else:
        remedy = "sudo usermod -aG gpio $USER, then log in again"
        yield Finding("pins", bad, f"{chips[0]} is there, but not for you", remedy)
    parts = list(wired(config.gpio))
    for where, _, problem in parts:
        if problem:
            yield Finding("wiring", Health.BAD, f"{where}: {problem}")
    if parts and not all(map(find_spec, ("gpiozero", "lgpio"))):
        remedy = "pip install 'bachbox[gpio]', or sudo apt install python3-gpiozero python3-lgpio"
        yield Finding("pins", Health.BAD, "gpiozero or lgpio is missing", remedy)
    if any(isinstance(part, Pot) for _, part, _ in parts) and not list(
        Path("/dev").glob("spidev*")
    ):
        remedy = "sudo raspi-config nonint do_spi 0, then restart"
        yield Finding("SPI", Health.BAD, "it is off, so no potentiometer is read", remedy)
