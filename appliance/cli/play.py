"""``bachbox play``: build everything the config asks for, and start it."""

from __future__ import annotations

import signal
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.options import Seconds, music_options
from appliance.cli.overrides import first_values, seed_of, usable, wished
from appliance.errors import BachboxError, UsageError

if TYPE_CHECKING:
    from appliance.config.loader import Config
    from appliance.frontends.base import Frontend


@click.command()
@music_options
@click.option("--output", help='"default", a sound card\'s name, wav:FILE, pipe:FILE or null.')
@click.option("--fallback", help="The output to use if there is no sound card.")
@click.option(
    "--duration",
    "duration_s",
    metavar="SECONDS",
    type=Seconds(),
    help="Stop after this many seconds of music.",
)
def play(
    config_file: Path | None,
    prime: Path | None,
    fallback: str | None,
    duration_s: float | None,
    **options: Any,
) -> None:
    """Play until Ctrl-C (or SIGTERM)."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # An exception in the middle of an import can be lost; the daemon handles the signal.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from appliance.composing import model_file
    from appliance.config import loader
    from appliance.daemon import daemon
    from appliance.state.settings import Settings
    from appliance.state.store import FILE_NAME, Store, state_folder

    if fallback is not None and fallback.partition(":")[0] not in ("wav", "pipe", "null"):
        raise UsageError(f"--fallback {fallback!r}: it is wav:FILE, pipe:FILE or null")
    config = wished(loader.load(config_file)[0], **options)
    folders, values, defaults = first_values(config)

    def model_names() -> list[str]:
        return [path.stem for path in model_file.listing(folders)]

    given = {name for name, value in options.items() if value is not None}
    problems: list[str] = []
    if "model" not in given:
        values, problems = usable(values, model_names(), defaults)
    settings = Settings(values, model_names, defaults)
    store = Store(state_folder() / FILE_NAME)
    problems += store.restore(settings, given)
    if not settings.requested.playing:
        problems.append("the music was left paused; `bachbox set playing=on` resumes it")
    if "volume" not in given and settings.requested.volume > config.sound.max_startup_volume:
        settings.change("volume", config.sound.max_startup_volume)
    plan = daemon.Plan(
        output=config.sound.output,
        soundfont=loader.soundfont(config),
        seed=seed_of(config),
        model_folders=folders,
        fallback=fallback,
        block_frames=config.sound.block_frames,
        look_ahead_s=config.music.look_ahead_s,
        prime=prime,
        delegate=config.music.delegate,
        duration_s=duration_s,
    )
    frontends = [store, *_frontends(config, plan.soundfont, problems)]
    daemon.play(plan, settings, frontends, problems)


def _frontends(config: Config, soundfont: Path, problems: list[str]) -> list[Frontend]:
    """Return the frontends that ``config`` asks for; append what failed to ``problems``."""
    from appliance.config.gpio_schema import Gpio
    from appliance.frontends import local_socket, systemd_notify
    from appliance.frontends.gpio.input_events import MAX_INPUT_EVENTS, InputEvent
    from appliance.frontends.local_socket import LocalSocket
    from appliance.frontends.streaming.opus import OpusBroadcast
    from appliance.state.store import state_folder

    frontends: list[Frontend] = [LocalSocket(local_socket.folder() / local_socket.FILE_NAME)]
    try:
        frontends += systemd_notify.control()
    except BachboxError as error:
        # The music does not depend on it; systemd may decide otherwise.
        problems.append(str(error))
    input_events: deque[InputEvent] = deque(maxlen=MAX_INPUT_EVENTS)
    opus = OpusBroadcast()
    if config.mqtt.host:
        from appliance.frontends.mqtt.mqtt_frontend import MqttFrontend

        frontends.append(MqttFrontend(config.mqtt))
    if config.web.port:
        from appliance.frontends import history
        from appliance.frontends.late_frontend import LateFrontend
        from appliance.frontends.web.media import Media

        pieces = history.History(state_folder() / history.FILE_NAME)
        media = Media(pieces, opus, soundfont)
        web = "appliance.frontends.web.server:WebFrontend"
        frontends += [pieces, LateFrontend("web", web, config, input_events, media)]
    if config.stream.snapcast:
        from appliance.frontends.streaming.snapcast import SnapcastPipe

        frontends.append(SnapcastPipe(config.stream.snapcast))
    if config.stream.icecast:
        from appliance.frontends.streaming.icecast import IcecastSource

        frontends.append(IcecastSource(config.stream.icecast, opus))
    if config.gpio != Gpio():
        from appliance.frontends.gpio.gpio_frontend import GpioFrontend

        frontends.append(
            GpioFrontend(config.gpio, lambda *event: input_events.append(InputEvent(*event)))
        )
    return frontends
