"""The checks of ``bachbox doctor``: whether this machine can play, and how to fix what is wrong."""

from __future__ import annotations

import contextlib
import grp
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from appliance.audio.alsa_cards import (
    card_behind,
    hardware_cards,
    holder_pid,
    is_hdmi_without_screen,
)
from appliance.audio.silence_stderr import silence_stderr
from appliance.audio.soundfont_check import makes_sound, try_soundfont
from appliance.common.install_hint import install_hint
from appliance.composing.model_check import try_model
from appliance.config import loader
from appliance.config.loader import Config
from appliance.errors import BachboxError, bug_sentence
from appliance.offline import config_checks, stream_checks
from appliance.offline.findings import CheckStatus, Finding
from appliance.offline.midi_checks import check_midi
from appliance.offline.page_checks import check_page
from appliance.offline.soundfont_report import MAX_PRESETS_SHOWN, general_midi_programs, listed
from appliance.sandbox import run_in_fork
from appliance.state.general_midi import NAMES


def examine(config: Config, config_file: Path | None) -> Iterator[Finding]:
    """Run all checks and yield their findings one by one; nothing is changed."""
    yield Finding("config", CheckStatus.OK, str(config_file or "no config file; defaults apply"))
    is_service = config_file == loader.SYSTEM_FILE
    config, output = config_checks.stored_output(config, is_service=is_service)
    if output:
        yield output
    checks: list[tuple[str, Callable[[Config], Iterator[Finding]]]] = [
        ("files", partial(config_checks.check_files, is_service=is_service)),
        ("config", config_checks.check_effects),
        ("sound card", _check_sound_card),
        ("soundfont", _check_soundfont),
        ("runtime", _check_runtime),
        ("models", _check_models),
        ("delegate", _check_delegate),
        ("permissions", _check_permissions),
        ("broker", partial(_check_broker, is_service=is_service)),
        ("page", partial(check_page, is_service=is_service)),
        ("snapcast", partial(stream_checks.check_snapcast, is_service=is_service)),
        ("icecast", stream_checks.check_icecast),
        ("pins", _check_pins),
        ("display", _check_display),
        ("MIDI", check_midi),
    ]
    for name, check in checks:
        try:
            yield from check(config)
        except BachboxError as error:
            yield Finding(name, CheckStatus.FAILED, str(error))
        except Exception as error:
            # The other checks may find what is wrong.
            yield Finding(name, CheckStatus.FAILED, bug_sentence(error))


def _check_sound_card(config: Config) -> Iterator[Finding]:
    from appliance.audio.outputs import is_card
    from appliance.audio.outputs.sound_card import choose, list_cards, open_card

    output = config.sound.output
    if crash := run_in_fork(list_cards):
        remedy = "is ~/.asoundrc or /etc/asound.conf broken?"
        yield Finding("sound card", CheckStatus.FAILED, f"PortAudio crashes ({crash})", remedy)
        return
    cards = list_cards()
    names = [f"{card.label} ({card.sample_rate} Hz)" for card in cards if card.is_choice]
    if not is_card(output):
        yield _check_file_output(output)
    elif box := _box_that_plays():
        card = choose(cards, output)
        yield Finding("sound card", CheckStatus.OK, f"{card.label} is in use by the box ({box})")
    else:
        remedy = "choose another card with [sound] output, or `bachbox set output=NAME`"
        with silence_stderr():
            opened = open_card(output, config.sound.block_frames)
            opened.close()
        hardware = opened.card.hardware or card_behind(opened.card.name, hardware_cards())
        if opened.problem:
            yield Finding("sound card", CheckStatus.FAILED, opened.problem, remedy)
        elif hardware and is_hdmi_without_screen(hardware):
            detail = f"{opened.name} is HDMI, and no screen is connected, so nobody hears it"
            yield Finding("sound card", CheckStatus.FAILED, detail, remedy)
        else:
            mono = ", one channel" if opened.card.channels == 1 else ""
            detail = f"{opened.name}, {opened.sample_rate} Hz{mono}"
            yield Finding("sound card", CheckStatus.OK, detail)
    if names:
        yield Finding("all cards", CheckStatus.OK, ", ".join(names))


def _check_file_output(output: str) -> Finding:
    file = output.partition(":")[2]
    if file and not Path(file).absolute().parent.is_dir():
        detail = f"there is no folder for the output {output}"
        return Finding("sound card", CheckStatus.FAILED, detail, "correct [sound] output")
    return Finding("sound card", CheckStatus.OFF, f"not used: the output is {output}")


def _box_that_plays() -> str:
    """Return the performer that has a sound card open, such as "process 812"; "" if none has."""
    for card in hardware_cards():
        pid = holder_pid(card)
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"appliance.workers.performer_process" in command:
                return f"process {pid}"
    return ""


def _check_soundfont(config: Config) -> Iterator[Finding]:
    from appliance.audio.soundfont import fits_in_memory, preset_names

    path = loader.soundfont(config)
    try_soundfont(path)
    presets = preset_names(path)
    is_large = not fits_in_memory(path)
    programs = general_midi_programs(presets)
    if not makes_sound(path, min(programs, default=0)):
        yield Finding(
            "soundfont", CheckStatus.FAILED, f"{path} makes no sound", "choose another one"
        )
        return
    missing = [name for program, name in enumerate(NAMES) if program not in programs]
    lacks = f", lacks {', '.join(missing[:5])}{' …' if missing[5:] else ''}" if missing else ""
    if len(programs) <= MAX_PRESETS_SHOWN:
        named = listed(presets)
        more = " …" if named[MAX_PRESETS_SHOWN:] else ""
        lacks = f"; its presets are {', '.join(named[:MAX_PRESETS_SHOWN])}{more}"
    if is_large:
        lacks += "; too large for the free memory, so one instrument at a time is loaded"
    yield Finding("soundfont", CheckStatus.OK, f"{path}, {len(programs)} of 128 instruments{lacks}")


def _check_runtime(config: Config) -> Iterator[Finding]:
    from appliance.composing.interpreter import RUNTIME_VARIABLE, runtime

    name, _ = runtime()
    versions = f"{name} {metadata.version(name)}, numpy {metadata.version('numpy')}"
    reason = "as BACHBOX_RUNTIME says" if os.environ.get(RUNTIME_VARIABLE) else _why_runtime(name)
    yield Finding("runtime", CheckStatus.OK, f"{versions}; {reason}")


def _why_runtime(name: str) -> str:
    from appliance.composing.interpreter import PREFERRED_RUNTIMES

    others = [other for other in PREFERRED_RUNTIMES if other != name and find_spec(other)]
    return f"preferred to {others[0]} because it is faster" if others else "the only one installed"


def _check_models(config: Config) -> Iterator[Finding]:
    from appliance.audio.silence_stderr import silence_stderr
    from appliance.composing import model_file
    from appliance.composing.interpreter import StepModel

    folders = loader.model_folders(config)
    configured = model_file.find(config.music.model, folders)
    for path in sorted({configured, *model_file.listing(folders)}):
        name = f"model {path.stem}"
        try:
            # Compose a token: an incompatible runtime fails only then.
            try_model(path)
            with silence_stderr():
                StepModel(model_file.load(path))
        except BachboxError as error:
            yield Finding(name, CheckStatus.FAILED, str(error))
        else:
            yield Finding(name, CheckStatus.OK, f"{path} composes")


def _check_delegate(config: Config) -> Iterator[Finding]:
    from appliance.composing import model_file
    from appliance.composing.delegates import ModelLoader

    problems: list[str] = []
    path = model_file.find(config.music.model, loader.model_folders(config))
    model = ModelLoader(config.music.delegate, problems.append).load(path)
    if problems:
        remedy = "if the box is playing, it is using the device; otherwise see docs/edgetpu.md"
        yield Finding("delegate", CheckStatus.FAILED, problems[0], remedy)
    elif model.delegate:
        yield Finding("delegate", CheckStatus.OK, f"{model.delegate.library} runs {path.stem}")
    else:
        yield Finding("delegate", CheckStatus.OFF, f"the CPU runs {path.stem}")


def _check_permissions(config: Config) -> Iterator[Finding]:
    in_audio = os.geteuid() == 0
    with contextlib.suppress(KeyError):
        in_audio = in_audio or grp.getgrnam("audio").gr_gid in {os.getegid(), *os.getgroups()}
    if in_audio:
        yield Finding("audio group", CheckStatus.OK, "you may use the sound card")
    else:
        yield Finding(
            "audio group",
            CheckStatus.OFF,
            "you are not in the group audio, so only a sound server can give you sound",
            "if there is no sound: sudo usermod -aG audio $USER, then log in again",
        )
    if _real_time_is_granted():
        yield Finding("real time", CheckStatus.OK, "granted; playing takes priority")
    else:
        yield Finding(
            "real time",
            CheckStatus.OFF,
            "not granted; the music may have gaps when the machine is busy",
            "put `@audio - rtprio 20` into /etc/security/limits.d/audio.conf, then log in again",
        )


def _real_time_is_granted() -> bool:
    """Try it, in a thread of its own: on Linux each thread has its own scheduling."""
    granted = []

    def attempt() -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            granted.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(granted)


SERVICE_PASSWORD: Final = Path("/etc/bachbox/mqtt-password")
"""systemd gives it to the service as a credential (``LoadCredential=`` in its unit)."""


def _check_broker(config: Config, *, is_service: bool = False) -> Iterator[Finding]:
    mqtt = config.mqtt
    if is_service and mqtt.password_file is None and SERVICE_PASSWORD.exists():
        mqtt = msgspec.structs.replace(mqtt, password_file=SERVICE_PASSWORD)
    if not mqtt.host:
        yield Finding("broker", CheckStatus.OFF, "none is configured ([mqtt] host is empty)")
        return
    from appliance.frontends.mqtt.broker_check import check_broker

    yield Finding("broker", CheckStatus.OK, check_broker(mqtt))


def _check_pins(config: Config) -> Iterator[Finding]:
    from appliance.config.gpio_schema import Gpio, Pot, wired_parts
    from appliance.frontends.gpio.overlays import I2C_PINS, clash, pins_in_use

    chips = sorted(Path("/dev").glob("gpiochip*"))
    # Pins are needed only if something is wired to them.
    unusable = CheckStatus.OFF if config.gpio == Gpio() else CheckStatus.FAILED
    if not chips:
        yield Finding("pins", unusable, "this machine has none")
    elif os.access(chips[0], os.R_OK | os.W_OK):
        yield Finding("pins", CheckStatus.OK, f"{chips[0]} can be used")
    else:
        remedy = "sudo usermod -aG gpio $USER, then log in again"
        yield Finding("pins", unusable, f"{chips[0]}: permission denied", remedy)
    parts = list(wired_parts(config.gpio))
    used = pins_in_use()
    if config.display.driver and config.display.i2c_port == 1:
        used = dict.fromkeys(I2C_PINS, "the display on I2C") | used
    for where, part, found in parts:
        if problem := found or clash(part, used):
            yield Finding("wiring", CheckStatus.FAILED, f"{where}: {problem}")
    if parts and not all(map(find_spec, ("gpiozero", "lgpio"))):
        missing = "gpiozero or lgpio is missing"
        yield Finding("pins", CheckStatus.FAILED, missing, install_hint("gpio"))
    has_pots = any(isinstance(part, Pot) for _, part, _ in parts)
    if has_pots and not list(Path("/dev").glob("spidev*")):
        remedy = "sudo raspi-config nonint do_spi 0, then restart"
        yield Finding("SPI", CheckStatus.FAILED, "off, so no potentiometer can be read", remedy)


def _check_display(config: Config) -> Iterator[Finding]:
    if not config.display.driver:
        return
    from appliance.frontends.display.panels import address_of, load_drivers

    load_drivers(config.display)
    # Not opened: a box that plays is using it.
    bus = Path(f"/dev/i2c-{config.display.i2c_port}")
    remedy = ""
    if not bus.exists():
        remedy = "sudo raspi-config nonint do_i2c 0, then restart; or set [display] i2c_port"
    elif not os.access(bus, os.R_OK | os.W_OK):
        remedy = "sudo usermod -aG i2c $USER, then log in again"
    status = CheckStatus.FAILED if remedy else CheckStatus.OK
    detail = f"{config.display.driver} at {address_of(config.display):#04x} of {bus}"
    yield Finding("display", status, detail, remedy)
