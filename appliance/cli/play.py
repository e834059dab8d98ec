"""``bachbox play``: build everything the config asks for, and start it."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.model_catalog import ModelCatalog
from appliance.cli.options import Seconds, loudspeaker_options, music_options
from appliance.cli.overrides import apply_overrides, choose_seed, new_settings
from appliance.common.logs import AS_NOTICE
from appliance.errors import BachboxError, UsageError, bug_sentence

if TYPE_CHECKING:
    from appliance.config.loader import Config
    from appliance.frontends.base import Frontend
    from appliance.frontends.gpio.input_events import InputEvent
    from appliance.frontends.library import Library
    from appliance.frontends.streaming.mp3 import Mp3Broadcast
    from appliance.frontends.streaming.opus import OpusBroadcast
    from appliance.state.settings import Settings
    from appliance.state.store import Store

logger = logging.getLogger(__name__)


@click.command()
@music_options
@loudspeaker_options
@click.option("--piece", metavar="NAME", help="Play this saved piece first (bachbox saved).")
@click.option("--fallback", help="The output to use if there is no sound card.")
@click.option(
    "--duration",
    "duration_s",
    metavar="SECONDS",
    type=Seconds(),
    help="Stop after this many seconds of music.",
)
@click.option("--verbose", is_flag=True, help="Log details, and the traceback of every bug.")
def play(
    config_file: Path | None,
    prime: Path | None,
    piece: str | None,
    fallback: str | None,
    duration_s: float | None,
    verbose: bool,
    **options: Any,
) -> None:
    """Play new music until Ctrl-C (or SIGTERM)."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # An exception in the middle of an import can be lost; the daemon handles the signal.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from appliance.config import loader
    from appliance.daemon import daemon
    from appliance.daemon.daemon_log import DaemonLog
    from appliance.daemon.play_options import PlayOptions

    if fallback is not None and fallback.partition(":")[0] not in ("wav", "pipe", "null"):
        raise UsageError(f"--fallback {fallback!r}: it must be wav:FILE, pipe:FILE or null")
    left_out: list[str] = []
    config = apply_overrides(loader.load(config_file, left_out)[0], **options)
    _set_time_zone(config.clock.time_zone)
    catalog = ModelCatalog(config)
    log = DaemonLog(verbose=verbose)
    log.install()
    for problem in left_out:
        logger.error("%s", problem, extra=AS_NOTICE)
    given = {name for name, value in options.items() if value is not None}
    settings, store, library = _as_left(config, catalog, given)
    if piece is not None:
        library.saved.load()
        settings.change_all({"saved_piece": piece, "playing": True})
    if not settings.requested.playing:
        logger.info("the music was left paused; `bachbox set playing=on` resumes it")
    if "volume" not in given and settings.requested.volume > config.sound.max_startup_volume:
        settings.change("volume", config.sound.max_startup_volume)
    soundfont_file = functools.partial(loader.soundfont, config)
    _require_soundfont(settings, soundfont_file, is_given="soundfont" in given)
    play_options = PlayOptions(
        soundfont_file=soundfont_file,
        seed=choose_seed(config),
        model_folders=catalog.folders,
        fallback=fallback,
        block_frames=config.sound.block_frames,
        look_ahead_s=config.music.look_ahead_s,
        prime=prime,
        delegate=config.music.delegate,
        duration_s=duration_s,
        saved=library.saved,
        midi=config.midi,
    )

    def soundfont() -> Path:
        return soundfont_file(settings.requested.soundfont)

    frontends = _frontends(config, soundfont, catalog.titles, library)
    daemon.play(play_options, settings, log, [store, *frontends])


def _set_time_zone(name: str) -> None:
    """Have this process tell the time of a zone such as ``Europe/Berlin``; "": the system's."""
    if name:
        os.environ["TZ"] = name
        time.tzset()


def _as_left(
    config: Config, catalog: ModelCatalog, given: Collection[str]
) -> tuple[Settings, Store, Library]:
    """Return the settings and the library as the box was left, and what stores them.

    Args:
        config: what holds where nothing was left.
        catalog: the models that there are.
        given: the settings that the command line gives; they are not restored.

    Raises:
        BachboxError: no model can be used.
    """
    from appliance.frontends.library import new_library
    from appliance.state.store import FILE_NAME, Store, state_folder

    model, problems = catalog.configured, list[str]()
    if "model" not in given:
        model, problems = catalog.find_usable(model)
    settings = new_settings(config, catalog, model)
    store = Store(state_folder() / FILE_NAME)
    library = new_library(settings, store)
    for problem in problems + store.restore(settings, given):
        logger.warning("%s", problem, extra=AS_NOTICE)
    library.finish_interrupted_restore()
    return settings, store, library


def _require_soundfont(
    settings: Settings, soundfont_file: Callable[[str], Path], *, is_given: bool
) -> None:
    """Let the default soundfont play where the one that is set is not there, and say so.

    Args:
        settings: of the box.
        soundfont_file: gives the file of a soundfont, as ``loader.soundfont`` does.
        is_given: the command line names it, so that nothing else is meant.

    Raises:
        BachboxError: there is none, or the one that the command line names is not there.
    """
    name = settings.requested.soundfont
    if is_given or name == "default":
        soundfont_file(name)
        return
    try:
        if not (path := soundfont_file(name)).exists():
            raise BachboxError(f"there is no soundfont {path}")
    except BachboxError as error:
        soundfont_file("default")
        logger.error("%s; the default soundfont plays", error, extra=AS_NOTICE)
        settings.change("soundfont", "default")


@contextlib.contextmanager
def _optional(name: str) -> Iterator[None]:
    """Log an error while the frontend ``name`` is built; the music plays without it."""
    try:
        yield
    except BachboxError as error:
        logger.error("%s: %s", name, error)
    except Exception as error:
        logger.exception("%s: %s; the music plays without it", name, bug_sentence(error))


def _frontends(
    config: Config,
    soundfont: Callable[[], Path],
    model_titles: Callable[[], Mapping[str, str]],
    library: Library,
) -> list[Frontend]:
    """Return the frontends that ``config`` asks for; log why one is missing."""
    from appliance.config.schema import AUTO_PORT
    from appliance.frontends import local_socket, systemd_notify
    from appliance.frontends.gpio.input_events import MAX_INPUT_EVENTS
    from appliance.frontends.lazy_frontend import LazyFrontend, UnvisitedFrontend
    from appliance.frontends.local_socket import LocalSocket
    from appliance.frontends.page_url import page_url
    from appliance.frontends.streaming.mp3 import Mp3Broadcast
    from appliance.frontends.streaming.opus import OpusBroadcast

    address = local_socket.socket_folder() / local_socket.FILE_NAME
    frontends: list[Frontend] = [
        LocalSocket(address, library), library.history, library,
    ]  # fmt: skip
    is_wanted = config.web.port != AUTO_PORT
    config, listeners = _listening(config)
    try:
        frontends += systemd_notify.frontends()
    except BachboxError as error:
        # The music does not depend on it; systemd may decide otherwise.
        logger.warning("%s", error)
    input_events: deque[InputEvent] = deque(maxlen=MAX_INPUT_EVENTS)
    opus, mp3 = OpusBroadcast(), Mp3Broadcast()
    if config.mqtt.host:
        url = functools.partial(page_url, config.web)
        mqtt = "appliance.frontends.mqtt.mqtt_frontend:MqttFrontend"
        frontends.append(LazyFrontend("mqtt", mqtt, config.mqtt, url, model_titles, library.events))
    if config.web.port:
        with _optional("web"):
            from appliance.frontends.web.media import Media

            media = Media(library, opus, soundfont, mp3)
            web = "appliance.frontends.web.server:WebFrontend"
            page = LazyFrontend("web", web, config, input_events, media, listeners)
            frontends.append(page if is_wanted else UnvisitedFrontend(page, listeners))
    if config.stream.snapcast:
        with _optional("snapcast"):
            frontends.append(_snapcast(config.stream.snapcast))
    if config.stream.icecast:
        with _optional("icecast"):
            frontends.append(_icecast(config.stream.icecast, opus, mp3))
    return frontends + _hardware(config, input_events, library)


def _hardware(config: Config, input_events: deque[InputEvent], library: Library) -> list[Frontend]:
    """Return the frontends for pins, MIDI ports and the display that ``config`` names.

    ``input_events`` gets every turn and press.
    """
    from appliance.config.gpio_schema import Gpio
    from appliance.frontends.box_events import BoxEvent
    from appliance.frontends.gpio.input_events import InputEvent
    from appliance.frontends.lazy_frontend import LazyFrontend

    frontends: list[Frontend] = []

    def on_input(where: str, what: str) -> None:
        input_events.append(InputEvent(where, what))
        library.events.emit(BoxEvent.KNOB_TURNED, what)

    if config.gpio != Gpio():
        with _optional("gpio"):
            from appliance.frontends.gpio.gpio_frontend import GpioFrontend

            frontends.append(GpioFrontend(config.gpio, on_input))
    if config.midi.in_ports:
        midi = "appliance.frontends.midi.midi_frontend:midi_frontend"
        frontends.append(LazyFrontend("midi", midi, config.midi, on_input, library))
    if config.display.driver:
        display = "appliance.frontends.display.display_frontend:DisplayFrontend"
        frontends.append(LazyFrontend("display", display, config.display))
    return frontends


def _listening(config: Config) -> tuple[Config, list[socket.socket]]:
    """Return the sockets of the page, if they can be had now, and ``config`` with their port."""
    from msgspec.structs import replace

    from appliance.cli.page_address import announce
    from appliance.config.schema import AUTO_PORT, FIRST_PORT
    from appliance.frontends.web.listening_sockets import listen

    listeners: list[socket.socket] = []
    port = FIRST_PORT if config.web.port == AUTO_PORT else config.web.port
    if port:
        try:
            listeners = listen(config.web)
            port = listeners[0].getsockname()[1]
        except BachboxError as error:
            # At the start of a machine, its network may come later.
            logger.error("web: %s; trying again", error)
    web = replace(config.web, port=port)
    if listeners:
        announce(web)
    return replace(config, web=web), listeners


def _snapcast(address: str) -> Frontend:
    """Return the frontend for ``[stream] snapcast``, a pipe or ``tcp://HOST:PORT``."""
    from appliance.config.addresses import parse_snapcast

    target = parse_snapcast(address, Path())
    if isinstance(target, Path):
        from appliance.frontends.streaming.snapcast import SnapcastPipe

        return SnapcastPipe(target)
    from appliance.frontends.streaming.snapcast_tcp import SnapcastTcp

    return SnapcastTcp(*target)


def _icecast(address: str, opus: OpusBroadcast, mp3: Mp3Broadcast) -> Frontend:
    """Return the frontend for ``[stream] icecast``."""
    from appliance.config.addresses import parse_icecast
    from appliance.frontends.streaming.icecast import IcecastSource

    target = parse_icecast(address)
    return IcecastSource(target, mp3 if target.is_mp3 else opus)
