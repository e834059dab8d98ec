"""``bachbox render``: music into files, composed or again."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import click

from appliance.cli.options import PATH, Seconds, json_option, music_options
from appliance.cli.overrides import first_values, seed_of, warn, wished
from appliance.errors import UsageError

_MAX_RENDER_S: Final = 6 * 3600
"""What a WAV file at 48 kHz can hold."""


@click.command()
@click.argument("outputs", metavar="OUT...", nargs=-1, required=True, type=PATH)
@music_options
@click.option(
    "--seconds",
    type=Seconds(_MAX_RENDER_S),
    help="How long; a minute where nothing is said.",
)
@click.option("--pieces", type=click.IntRange(1, 10_000), help="How many whole pieces.")
@click.option(
    "--from", "kept", type=PATH, help="The piece that lies in this file of ours, note for note."
)
@json_option
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
    from appliance.audio.silence_stderr import quiet
    from appliance.composing import model_file
    from appliance.composing.composer import Composer
    from appliance.composing.delegates import Models
    from appliance.composing.model_check import try_model
    from appliance.config import loader as configs
    from appliance.daemon.daemon import live_settings_for
    from appliance.music.files import piece_record as keepsake
    from appliance.offline import renderer
    from appliance.state import general_midi
    from appliance.state.settings import effective

    if seconds is not None and pieces is not None:
        raise UsageError("--seconds and --pieces exclude each other; give one of them")
    config = wished(configs.load(config_file)[0], **wishes)
    length = renderer.Length(seconds if pieces or seconds else 60.0, pieces)
    renderer.check_outputs(
        list(outputs), renderer.ONE_PIECE_SUFFIXES if pieces == 1 else renderer.SUFFIXES
    )
    folders, values, own_of = first_values(config)
    chosen = effective(values, own_of(values.model))
    said = chosen._asdict() | {"instrument": general_midi.name(chosen.instrument)}
    controls = live_settings_for(chosen)
    path = model_file.find(values.model, folders)
    try_model(path)
    model = Models(config.music.delegate, warn).load(path)
    with quiet():
        composer = Composer(
            model,
            seed=seed_of(config),
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
    from appliance.config import loader as configs
    from appliance.music.files import piece_embedding
    from appliance.offline import renderer, replay
    from appliance.state import general_midi

    said = {name: value for name, value in wishes.items() if value is not None}
    for name in ("model", "seed", "prime", "seconds", "pieces", "temperature", "top_p"):
        if name in said:
            raise UsageError(
                f"--from and --{name.replace('_', '-')} exclude each other: the notes are those "
                "in the file"
            )
    renderer.check_outputs(outputs, renderer.AGAIN_SUFFIXES)
    config = wished(configs.load(config_file)[0], soundfont=said.pop("soundfont", None))
    volume = said.pop("volume", config.sound.volume)
    if "instrument" in said:
        said["instrument"] = general_midi.name(said["instrument"])
    keepsake = replay.wished(piece_embedding.read(kept), said)
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
