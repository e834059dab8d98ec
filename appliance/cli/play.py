"""``bachbox play``: everything that the config asks for, put together and started."""

from __future__ import annotations

import signal
from collections import deque
from pathlib import Path
from typing import Any

import click

from appliance.cli.options import Seconds, music_options
from appliance.cli.overrides import first_values, seed_of, usable, wished
from appliance.errors import BachboxError, UsageError


@click.command()
@music_options
@click.option("--output", help='"default", a sound card\'s name, wav:FILE, pipe:FILE or null.')
@click.option("--fallback", help="The output to take where there is no sound card.")
@click.option(
    "--for",
    "for_seconds",
    type=Seconds(),
    help="Stop after so many seconds of music.",
)
def play(
    config_file: Path | None,
    prime: Path | None,
    fallback: str | None,
    for_seconds: float | None,
    **wishes: Any,
) -> None:
    """Play until Ctrl-C (or SIGTERM)."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # An exception in the midst of an import can be lost; the daemon sees to its own end.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from appliance.composing import model_file
    from appliance.config import loader as configs
    from appliance.config.gpio_schema import Gpio
    from appliance.daemon.daemon import Plan
    from appliance.daemon.daemon import play as start
    from appliance.frontends import Frontend, local_socket, systemd_notify
    from appliance.frontends.gpio.input_events import MAX_TOUCHES, InputEvent
    from appliance.frontends.local_socket import LocalSocket
    from appliance.frontends.streaming.opus import OpusRadio
    from appliance.state.settings import Settings
    from appliance.state.store import FILE_NAME, Store, state_folder

    if fallback is not None and fallback.partition(":")[0] not in ("wav", "pipe", "null"):
        raise UsageError(f"--fallback {fallback!r}: it is wav:FILE, pipe:FILE or null")
    config = wished(configs.load(config_file)[0], **wishes)
    folders, values, own = first_values(config)
    said = {name for name, value in wishes.items() if value is not None}
    damaged: list[str] = []
    if "model" not in said:
        values, damaged = usable(values, [p.stem for p in model_file.listing(folders)], own)
    settings = Settings(values, lambda: [p.stem for p in model_file.listing(folders)], own)
    store = Store(state_folder() / FILE_NAME)
    unkept = damaged + store.restore(settings, said)
    if not settings.values.playing:
        unkept.append("it was left paused; `bachbox set playing=on` goes on")
    if "volume" not in said and settings.values.volume > config.sound.max_startup_volume:
        settings.change("volume", config.sound.max_startup_volume)
    seed = seed_of(config)
    plan = Plan(
        output=config.sound.output,
        soundfont=configs.soundfont(config),
        seed=seed,
        model_folders=folders,
        fallback=fallback,
        block_frames=config.sound.block_frames,
        look_ahead_s=config.music.look_ahead_s,
        prime=prime,
        delegate=config.music.delegate,
        for_seconds=for_seconds,
    )
    controls: list[Frontend] = [store, LocalSocket(local_socket.folder() / local_socket.FILE_NAME)]
    try:
        controls += systemd_notify.control()
    except BachboxError as error:
        # The music needs nobody to be told; systemd may see that differently.
        unkept.append(str(error))
    felt: deque[InputEvent] = deque(maxlen=MAX_TOUCHES)
    opus = OpusRadio()
    if config.mqtt.host:
        from appliance.frontends.mqtt.mqtt_frontend import MqttFrontend

        controls.append(MqttFrontend(config.mqtt))
    if config.web.port:
        from appliance.frontends import history
        from appliance.frontends.web.web_frontend import WebFrontend

        kept = history.History(state_folder() / history.FILE_NAME)
        controls += [kept, WebFrontend(config, felt, kept, opus, plan.soundfont)]
    if config.stream.snapcast:
        from appliance.frontends.streaming.snapcast import SnapcastPipe

        controls.append(SnapcastPipe(config.stream.snapcast))
    if config.stream.icecast:
        from appliance.frontends.streaming.icecast import IcecastSource

        controls.append(IcecastSource(config.stream.icecast, opus))
    if config.gpio != Gpio():
        from appliance.frontends.gpio.gpio_frontend import GpioFrontend

        controls.append(GpioFrontend(config.gpio, lambda *touch: felt.append(InputEvent(*touch))))
    start(plan, settings, controls, unkept)
