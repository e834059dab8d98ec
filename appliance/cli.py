"""The command ``bachbox``. Whatever goes wrong, a person reads one sentence and no traceback.

Everything heavy is imported where it is used, so that ``bachbox --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import secrets
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from appliance.errors import BachboxError, UsageError

if TYPE_CHECKING:
    from appliance.config import Config
    from appliance.settings import Own, Values
    from appliance.status import Status

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])

_INTERRUPTED: Final = 130
"""128 + SIGINT, as a shell tells it."""

_TRACEBACK_VARIABLE: Final = "BACHBOX_TRACEBACK"

_SEED_BITS: Final = 31
"""Of a seed that we draw: short enough to be typed again."""

_LONGEST_RENDER_SECONDS: Final = 6 * 3600
"""What a WAV file at 48 kHz can hold."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and exit: 0, 1 (something went wrong), 2 (asked for what cannot be)."""
    code = run(arguments)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    # Taking the interpreter apart in good order lasts 0.3 s on a busy machine, and is for nothing.
    os._exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code. The one place where errors become sentences."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = cli.main(arguments, prog_name="bachbox", standalone_mode=False)
        sys.stdout.flush()
    except BachboxError as error:
        return _fail(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        message = error.format_message().rstrip(".")
        context = getattr(error, "ctx", None)
        asked = context.command_path if context else "bachbox"
        lowered = message[:1].lower() + message[1:]
        stop = " " if message.endswith("?") else "; "
        return _fail(f"{lowered}{stop}`{asked} --help` says what there is", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("stopped", _INTERRUPTED)
    except BrokenPipeError:
        # The reader has seen enough (`bachbox instruments | head`); Python must not flush again.
        sys.stdout = None
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", BachboxError.exit_code)
    except Exception as error:
        if os.environ.get(_TRACEBACK_VARIABLE):
            raise
        return _fail(
            f"a mistake in Bachbox itself ({type(error).__name__}: {error}); please report it, "
            f"with what {_TRACEBACK_VARIABLE}=1 shows",
            BachboxError.exit_code,
        )
    return code if isinstance(code, int) else 0


def _fail(sentences: str, code: int) -> int:
    for sentence in sentences.splitlines():
        click.echo(f"bachbox: {sentence}", err=True)
    return code


class _Number(_ParamType):
    """A setting's number, refused with the same sentence as everywhere else."""

    def __init__(self, setting: str) -> None:
        self.name = setting

    def convert(self, value: Any, param: object, ctx: object) -> float:
        from appliance import settings

        allowed = {
            "tempo": settings.TEMPO_BPM,
            "temperature": settings.TEMPERATURE,
            "top-p": settings.TOP_P,
            "volume": settings.VOLUME,
            "expression": settings.EXPRESSION,
            "pitch": settings.PITCH_HZ,
        }[self.name]
        return allowed.parse(f"--{self.name}", value)


class _Instrument(_ParamType):
    name = "instrument"

    def convert(self, value: Any, param: object, ctx: object) -> int:
        from appliance import instruments

        return instruments.find(value)

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from appliance.instruments import NAMES

        # With hyphens, which the lookup takes for spaces, a shell has nothing to quote.
        words = [name.casefold().replace(" ", "-") for name in NAMES]
        return [CompletionItem(word) for word in words if word.startswith(incomplete.casefold())]


class _Temperament(_ParamType):
    name = "temperament"

    def convert(self, value: Any, param: object, ctx: object) -> str:
        from appliance import settings

        return settings.find_temperament(value)

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from appliance.settings import TEMPERAMENTS

        return [CompletionItem(name) for name in TEMPERAMENTS if name.startswith(incomplete)]


class _Seconds(click.FloatRange):
    """A number of seconds above 0; unlike click's own range it refuses ``nan``."""

    def __init__(self, most: float | None = None) -> None:
        super().__init__(min=0, max=most, min_open=True)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


class _Model(_ParamType):
    name = "model"

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from appliance import config
        from appliance.music import bundle

        names = [path.stem for path in bundle.listing(config.model_folders(config.Config()))]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_PATH: Final = click.Path(path_type=Path)
_SEED: Final = click.IntRange(0, 2**63 - 1)

_config_option: Final = click.option(
    "--config", "config_file", type=_PATH, help="Read this config file and no other."
)
_json_option: Final = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def _music_options(command: F) -> F:
    """What play and render have in common."""
    for option in reversed(
        [
            _config_option,
            click.option("--model", type=_Model(), help="A model's name, or a .tflite file."),
            click.option("--seed", type=_SEED, help="The same seed gives the same music."),
            click.option("--tempo", type=_Number("tempo"), help="40 to 240 beats a minute."),
            click.option(
                "--temperature", type=_Number("temperature"), help="0.1 (stiff) to 3.0 (wild)."
            ),
            click.option(
                "--top-p", type=_Number("top-p"), help="0.05 to 1.0: leave out unlikely notes."
            ),
            click.option(
                "--instrument", type=_Instrument(), help="A General MIDI name or number (0-127)."
            ),
            click.option("--volume", type=_Number("volume"), help="0 to 100 percent."),
            click.option(
                "--expression",
                type=_Number("expression"),
                help="0 (the printed page) to 100 (exaggerated).",
            ),
            click.option(
                "--temperament",
                type=_Temperament(),
                help="equal, werckmeister3, kirnberger3, vallotti or meantone.",
            ),
            click.option("--pitch", type=_Number("pitch"), help="The a': 392 to 466 Hz."),
            click.option("--soundfont", type=_PATH, help="A .sf2 or .sf3 file."),
            click.option(
                "--prime", type=_PATH, help="Start from these bars of yours (MIDI, MusicXML, ABC)."
            ),
        ]
    ):
        command = option(command)
    return command


# click colours whatever is a terminal; None leaves that to it, False forbids it.
_COLOUR: Final = False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "color": _COLOUR})
@click.version_option(package_name="bachbox")
def cli() -> None:
    """New four-part Bach, endlessly."""


@cli.command()
@_music_options
@click.option("--output", help='"default", a sound card\'s name, wav:FILE, pipe:FILE or null.')
@click.option("--fallback", help="The output to take where there is no sound card.")
@click.option(
    "--for",
    "for_seconds",
    type=_Seconds(),
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
    from appliance import config as configs
    from appliance.controls import Control, local, service
    from appliance.controls.local import LocalSocket
    from appliance.controls.opus import OpusRadio
    from appliance.controls.touches import MOST_TOUCHES, Touch
    from appliance.daemon import Plan
    from appliance.daemon import play as start
    from appliance.music import bundle
    from appliance.pins import Gpio
    from appliance.settings import Settings
    from appliance.store import FILE_NAME, Store, state_folder

    if fallback is not None and fallback.partition(":")[0] not in ("wav", "pipe", "null"):
        raise UsageError(f"--fallback {fallback!r}: it is wav:FILE, pipe:FILE or null")
    config = _wished(configs.load(config_file)[0], **wishes)
    folders, values, own = _chosen(config)
    said = {name for name, value in wishes.items() if value is not None}
    damaged: list[str] = []
    if "model" not in said:
        values, damaged = _usable(values, [p.stem for p in bundle.listing(folders)], own)
    settings = Settings(values, lambda: [p.stem for p in bundle.listing(folders)], own)
    store = Store(state_folder() / FILE_NAME)
    unkept = damaged + store.restore(settings, said)
    if not settings.values.playing:
        unkept.append("it was left paused; `bachbox set playing=on` goes on")
    if "volume" not in said and settings.values.volume > config.sound.max_startup_volume:
        settings.change("volume", config.sound.max_startup_volume)
    seed = _seed(config)
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
    controls: list[Control] = [store, LocalSocket(local.folder() / local.FILE_NAME)]
    try:
        controls += service.control()
    except BachboxError as error:
        # The music needs nobody to be told; systemd may see that differently.
        unkept.append(str(error))
    felt: deque[Touch] = deque(maxlen=MOST_TOUCHES)
    opus = OpusRadio()
    if config.mqtt.host:
        from appliance.controls.mqtt import MqttControl

        controls.append(MqttControl(config.mqtt))
    if config.web.port:
        from appliance.controls import keepsakes
        from appliance.controls.web.control import WebControl

        kept = keepsakes.Keepsakes(state_folder() / keepsakes.FILE_NAME)
        controls += [kept, WebControl(config, felt, kept, opus, plan.soundfont)]
    if config.stream.snapcast:
        from appliance.controls.snapcast import SnapcastPipe

        controls.append(SnapcastPipe(config.stream.snapcast))
    if config.stream.icecast:
        from appliance.controls.icecast import IcecastSource

        controls.append(IcecastSource(config.stream.icecast, opus))
    if config.gpio != Gpio():
        from appliance.controls.gpio import GpioControl

        controls.append(GpioControl(config.gpio, lambda *touch: felt.append(Touch(*touch))))
    start(plan, settings, controls, unkept)


@cli.command()
@click.argument("outputs", metavar="OUT...", nargs=-1, required=True, type=_PATH)
@_music_options
@click.option(
    "--seconds",
    type=_Seconds(_LONGEST_RENDER_SECONDS),
    help="How long; a minute where nothing is said.",
)
@click.option("--pieces", type=click.IntRange(1, 10_000), help="How many whole pieces.")
@click.option(
    "--from", "kept", type=_PATH, help="The piece that lies in this file of ours, note for note."
)
@_json_option
def render(
    outputs: tuple[Path, ...],
    config_file: Path | None,
    prime: Path | None,
    seconds: float | None,
    pieces: int | None,
    kept: Path | None,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Write music to OUT.wav, OUT.mid (tunes to OUT.abc too), faster than real time.

    One piece (--pieces 1, --from FILE) to OUT.musicxml, too, and so that --from finds it there.
    """
    if kept is not None:
        others = {"prime": prime, "seconds": seconds, "pieces": pieces, **wishes}
        _render_again(kept, list(outputs), config_file, as_json, others)
        return
    from appliance import config as configs
    from appliance import instruments
    from appliance import render as renderer
    from appliance.daemon import controls_for
    from appliance.delegates import Models
    from appliance.music import bundle, keepsake
    from appliance.music.composer import Composer
    from appliance.player.quiet import quiet
    from appliance.settings import in_force
    from appliance.trial import try_model

    if seconds is not None and pieces is not None:
        raise UsageError("--seconds and --pieces exclude each other; give one of them")
    config = _wished(configs.load(config_file)[0], **wishes)
    length = renderer.Length(seconds if pieces or seconds else 60.0, pieces)
    renderer.check_outputs(
        list(outputs), renderer.ONE_PIECE_SUFFIXES if pieces == 1 else renderer.SUFFIXES
    )
    folders, values, own_of = _chosen(config)
    chosen = in_force(values, own_of(values.model))
    said = chosen._asdict() | {"instrument": instruments.name(chosen.instrument)}
    controls = controls_for(chosen)
    path = bundle.find(values.model, folders)
    try_model(path)
    model = Models(config.music.delegate, _warn).load(path)
    with quiet():
        composer = Composer(
            model,
            seed=_seed(config),
            temperature=controls.temperature,
            top_p=controls.top_p,
            prime=model.opening(prime) if prime else None,
        )
    _end_as_by_ctrl_c()
    with _composing("Composing") as progress:
        rendered = renderer.render(
            composer,
            controls,
            lambda: configs.soundfont(config),
            list(outputs),
            length,
            progress,
            lambda events, end_tick: keepsake.of(
                events, end_tick, model=values.model, seed=composer.seed, settings=said
            ),
        )
    if as_json:
        facts = {"files": [str(path) for path in outputs], "seed": composer.seed}
        click.echo(json.dumps(facts | rendered._asdict()))
    else:
        names = " and ".join(str(path) for path in outputs)
        click.echo(
            f"{names}: {rendered.seconds:.0f} s, {rendered.pieces} pieces, "
            f"{rendered.notes} notes, seed {composer.seed}"
        )


def _render_again(
    kept: Path, outputs: list[Path], config_file: Path | None, as_json: bool, wishes: dict[str, Any]
) -> None:
    """A piece that was kept, again."""
    from appliance import config as configs
    from appliance import instruments, replay
    from appliance import render as renderer
    from appliance.music import keepsakefile

    said = {name: value for name, value in wishes.items() if value is not None}
    for name in ("model", "seed", "prime", "seconds", "pieces", "temperature", "top_p"):
        if name in said:
            raise UsageError(
                f"--from and --{name.replace('_', '-')} exclude each other: the notes are those "
                "in the file"
            )
    renderer.check_outputs(outputs, renderer.AGAIN_SUFFIXES)
    config = _wished(configs.load(config_file)[0], soundfont=said.pop("soundfont", None))
    volume = said.pop("volume", config.sound.volume)
    if "instrument" in said:
        said["instrument"] = instruments.name(said["instrument"])
    keepsake = replay.wished(keepsakefile.read(kept), said)
    try:
        steps = replay.steps_of(keepsake, volume)
    except UsageError as error:
        raise UsageError(f"{kept}: {error}") from error
    _end_as_by_ctrl_c()
    with _composing("Playing") as progress:
        rendered = renderer.again(
            keepsake, steps, lambda: configs.soundfont(config), outputs, progress
        )
    names = " and ".join(str(path) for path in outputs)
    if as_json:
        facts = {"files": [str(path) for path in outputs], "seed": keepsake.seed}
        click.echo(json.dumps(facts | rendered._asdict()))
    else:
        click.echo(f"{names}: {keepsake.title}, {rendered.notes} notes, seed {keepsake.seed}")


_ended: list[int] = []
"""Signals that asked for the end: an exception in a library's callback is lost (ctypes)."""


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    _ended.append(number)
    raise KeyboardInterrupt


def _end_as_by_ctrl_c() -> None:
    """Nothing half-written stays behind."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, _end)


@contextlib.contextmanager
def _composing(label: str) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal; takes how much is done, 0 to 1."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=1000, label=label, file=sys.stderr, hidden=hidden) as bar:

        def progress(done: float) -> None:
            if _ended:
                raise KeyboardInterrupt
            bar.update(round(1000 * done) - bar.pos)

        yield progress


class _Wish(_ParamType):
    """``name=value``, or the name of an action."""

    name = "wish"

    def convert(self, value: Any, param: object, ctx: object) -> tuple[str, str | None]:
        from appliance.settings import Action

        name, equals, said = str(value).partition("=")
        name = name.strip().replace("-", "_")
        if equals:
            return name, said
        if name not in list(Action):
            raise UsageError(
                f"{name} alone says nothing; write {name}=VALUE, or one of {', '.join(Action)}"
            )
        return name, None

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from appliance.settings import NAMES, Action

        known = [*Action, *(f"{name}=" for name in NAMES)]
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


@cli.command(name="set")
@click.argument("wishes", metavar="NAME=VALUE...", nargs=-1, required=True, type=_Wish())
@_json_option
def set_(wishes: tuple[tuple[str, str | None], ...], as_json: bool) -> None:
    """Change what the running box plays: tempo=96 instrument="church organ" next_piece.

    The settings: playing, model, instrument, tempo, temperature, top_p, volume, expression,
    temperament, pitch; "own" leaves one of the model's to it again. The actions: next_piece,
    restart_piece, test_tone.
    """
    from appliance.controls import local
    from appliance.settings import Action

    request = local.Request(
        set={name: value for name, value in wishes if value is not None},
        act=[Action(name) for name, value in wishes if value is None],
    )
    _tell(next(local.ask(request)), as_json)


@cli.command()
@_json_option
@click.option("--follow", is_flag=True, help="Go on as things change, until Ctrl-C.")
def status(as_json: bool, follow: bool) -> None:
    """Show what the running box plays, and how it is."""
    from appliance.controls import local

    try:
        for now in local.ask(local.Request(follow=follow)):
            _tell(now, as_json)
    except KeyboardInterrupt:
        if not follow:
            raise


def _tell(now: Status, as_json: bool) -> None:
    import msgspec

    from appliance import status

    click.echo(msgspec.json.encode(now) if as_json else status.told(now))
    sys.stdout.flush()


@cli.command()
@_config_option
@_json_option
def models(config_file: Path | None, as_json: bool) -> int:
    """List the models: put a .tflite file into a models folder, and it is here."""
    from appliance import config as configs
    from appliance import instruments
    from appliance.music import bundle

    config = configs.load(config_file)[0]
    rows: list[dict[str, Any]] = []
    broken = 0
    for path in bundle.listing(configs.model_folders(config)):
        try:
            model = bundle.load(path)
        except BachboxError as error:
            # One bad file must not hide the good ones.
            broken += 1
            click.echo(f"bachbox: {error}", err=True)
            continue
        rows.append(
            {
                "name": path.stem,
                "title": model.title,
                "description": model.description,
                "tempo_bpm": model.tempo_bpm,
                "temperature": model.temperature,
                "top_p": model.top_p,
                "instrument": instruments.name(model.instrument),
                "licence": model.licence,
                "path": str(path),
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    for row in [] if as_json else rows:
        click.secho(f"{row['name']}", bold=True, nl=False)
        click.echo(f"  {row['description']}")
        click.echo(
            f"    {row['tempo_bpm']:g} beats a minute, {row['instrument']}, "
            f"temperature {row['temperature']:g}; {row['licence']}"
        )
        click.echo(f"    {row['path']}")
    return BachboxError.exit_code if broken else 0


_WORKSHOP: Final = ("torch", "tensorflow", "tqdm", "music21")
"""What training needs of the extra ``train``."""


@cli.command()
@click.argument("folder", type=_PATH)
@click.option("--name", required=True, help="What the model is to be called.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, max=7 * 24 * 60, min_open=True),
    default=20,
    show_default=True,
    help="How long it may learn.",
)
@click.option("--seed", type=_SEED, default=1, show_default=True, help="Of the training.")
@_config_option
def train(folder: Path, name: str, minutes: float, seed: int, config_file: Path | None) -> None:
    """Make a model of your own from the MIDI, MusicXML or ABC files in FOLDER.

    It needs the extra `train` (Python 3.11, some gigabytes), and says before it starts how long
    it will take. See docs/training.md.
    """
    from appliance import config as configs
    from appliance.music import bundle

    config = configs.load(config_file)[0]
    _check_workshop()
    from appliance.training import own

    target = configs.own_models(config) / f"{name}{bundle.SUFFIX}"
    own.check_name(name, bundle.listing(configs.model_folders(config)), target)
    own.train(folder, name, minutes, seed, target, click.echo)


def _check_workshop() -> None:
    missing = [name for name in _WORKSHOP if importlib.util.find_spec(name) is None]
    if missing:
        raise BachboxError(
            f"{', '.join(missing)} is missing here, and training needs it; with Python 3.11 (for "
            "TensorFlow 2.15): pip install 'bachbox[train]', or, in a checkout, `make workshop` "
            "and then .venv-train/bin/bachbox train"
        )


@cli.command()
@click.option("--soundfont", type=_PATH, help="Look at this .sf2 or .sf3 file.")
@_config_option
@_json_option
def instruments(soundfont: Path | None, config_file: Path | None, as_json: bool) -> None:
    """List the 128 General MIDI instruments, and those that the soundfont lacks."""
    from appliance import config as configs
    from appliance.instruments import NAMES, family
    from appliance.player.soundfont import presets

    config = _wished(configs.load(config_file)[0], soundfont=soundfont)
    have = {program for bank, program in presets(configs.soundfont(config)) if bank == 0}
    if as_json:
        rows = [
            {
                "number": number,
                "name": name,
                "family": family(number),
                "in_soundfont": number in have,
            }
            for number, name in enumerate(NAMES)
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for number, name in enumerate(NAMES):
        if number % 8 == 0:
            click.secho(f"{family(number)}", bold=True)
        click.echo(f"  {number:3}  {name}{'' if number in have else '  (not in this soundfont)'}")


@cli.command()
@_config_option
@_json_option
@click.option("--gpio", is_flag=True, help="Show live what each knob does, until Ctrl-C.")
def doctor(config_file: Path | None, as_json: bool, gpio: bool) -> int:
    """See what stands between this machine and the music."""
    if gpio:
        _watch_gpio(config_file)
        return 0
    import msgspec

    from appliance import config as configs
    from appliance import doctor as doctors

    findings: list[doctors.Finding] = []
    colours = {"ok": "green", "off": None, "bad": "red"}
    for finding in doctors.examine(*configs.load(config_file)):
        findings.append(finding)
        if as_json:
            continue
        click.secho(f"{finding.health.value:>4}", fg=colours[finding.health.value], nl=False)
        click.echo(f"  {finding.thing}: {finding.detail}")
        if finding.remedy:
            click.echo(f"      -> {finding.remedy}")
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(findings), indent=2))
    bad = any(finding.health is doctors.Health.BAD for finding in findings)
    return BachboxError.exit_code if bad else 0


def _watch_gpio(config_file: Path | None) -> None:
    from appliance import config as configs
    from appliance.controls.gpio_live import watch
    from appliance.music import bundle
    from appliance.settings import Settings

    config = configs.load(config_file)[0]
    folders, values, own = _chosen(config)
    settings = Settings(values, lambda: [p.stem for p in bundle.listing(folders)], own)
    watch(config.gpio, settings, click.echo)


@cli.command()
@_config_option
@_json_option
def config(config_file: Path | None, as_json: bool) -> None:
    """Show the config in force, secrets masked."""
    from appliance import config as configs

    in_force, path = configs.load(config_file)
    sections: dict[str, dict[str, Any]] = {}
    for section, key, value in configs.items(in_force):
        sections.setdefault(section, {})[key] = value
    if as_json:
        click.echo(json.dumps({"file": str(path) if path else None} | sections, indent=2))
        return
    click.echo(f"# {path or 'no config file: the defaults are in force'}")
    for section, values in sections.items():
        click.echo(f"\n[{section}]")
        for key, value in values.items():
            click.echo(f"#{key} unset" if value is None else f"{key} = {_toml(value)}")


@cli.command()
@click.option("--stdin", "from_stdin", is_flag=True, help="Read it from standard input.")
def password(from_stdin: bool) -> None:
    """Hash a password for the page; the line it gives belongs into the config file."""
    from appliance.controls.web import passwords

    if from_stdin:
        chosen = sys.stdin.readline(4096).rstrip("\r\n")
    else:
        chosen = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    passwords.check_new(chosen)
    click.echo(f'[web]\npassword_hash = "{passwords.hash_of(chosen)}"')


@cli.group()
def mqtt() -> None:
    """The box on an MQTT broker, and in Home Assistant."""


@mqtt.command()
@_config_option
@_json_option
def forget(config_file: Path | None, as_json: bool) -> None:
    """Take this box away from the broker, and so from Home Assistant."""
    from appliance import config as configs
    from appliance.controls.mqtt_forget import forget as take_away

    config = configs.load(config_file)[0]
    if not config.mqtt.host:
        raise UsageError("no broker is configured: [mqtt] host is empty; there is nothing to do")
    gone = take_away(config.mqtt)
    if as_json:
        click.echo(json.dumps(gone._asdict()))
        return
    click.echo(f"{gone.id}: {gone.topics} retained topics taken away")
    if gone.still_running:
        click.echo(
            "bachbox: the box is running and will announce itself again; stop it first, or set "
            '[mqtt] discovery = "off" and start it anew',
            err=True,
        )


def _toml(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        given = [f"{key} = {_toml(item)}" for key, item in value.items() if item is not None]
        return f"{{ {', '.join(given)} }}"
    # JSON's strings, numbers and booleans are TOML's too.
    return json.dumps(value)


def _wished(config: Config, **wishes: Any) -> Config:
    """The config with what the command line says in place of what the file says."""
    from msgspec.structs import replace

    said = {name: value for name, value in wishes.items() if value is not None}
    for name, key in (("tempo", "tempo_bpm"), ("pitch", "pitch_hz")):
        if name in said:
            said[key] = said.pop(name)
    sections = {
        name: replace(section, **{k: v for k, v in said.items() if hasattr(section, k)})
        for name, section in (("music", config.music), ("sound", config.sound))
    }
    return replace(config, **sections)


def _chosen(config: Config) -> tuple[list[Path], Values, Callable[[str], Own]]:
    """Model folders, first settings, and the way to a model's own values.

    Raises:
        BachboxError: the model cannot be used.
    """
    from appliance import config as configs
    from appliance.music import bundle
    from appliance.settings import Own, Values

    music = config.music
    folders = configs.model_folders(config)
    path = bundle.find(music.model, folders)
    if path.suffix != bundle.SUFFIX:
        raise UsageError(f"{path}: a model is a {bundle.SUFFIX} file; `bachbox models` lists some")
    if music.model not in (known.stem for known in bundle.listing(folders)):
        # Given by its path: its folder comes first, so that from now on its name means it.
        bundle.load(path)
        folders.insert(0, path.parent)

    def own(name: str) -> Own:
        model = bundle.load(bundle.find(name, folders))
        return Own(model.tempo_bpm, model.temperature, model.top_p, model.instrument)

    values = Values(
        model=path.stem,
        instrument=music.instrument,
        tempo=music.tempo_bpm,
        temperature=music.temperature,
        top_p=music.top_p,
        volume=config.sound.volume,
        expression=music.expression,
        temperament=config.sound.temperament,
        pitch=config.sound.pitch_hz,
    )
    return folders, values, own


def _usable(
    values: Values, models: Sequence[str], own: Callable[[str], Own]
) -> tuple[Values, list[str]]:
    """``values`` with another of the ``models`` where the configured one is damaged, and why."""
    from dataclasses import replace

    try:
        own(values.model)
    except BachboxError as error:
        for other in models:
            with contextlib.suppress(BachboxError):
                own(other)
                return replace(values, model=other), [f"{error}; {other} plays instead"]
    return values, []


def _warn(sentence: str) -> None:
    click.echo(f"bachbox: {sentence}", err=True)


def _seed(config: Config) -> int:
    return secrets.randbits(_SEED_BITS) if config.music.seed is None else config.music.seed
