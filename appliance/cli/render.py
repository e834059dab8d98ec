"""``bachbox render``: write music to files, newly composed or replayed."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from appliance.cli.model_catalog import ModelCatalog
from appliance.cli.options import PATH, Seconds, json_option, music_options
from appliance.cli.overrides import apply_overrides, choose_seed, requested_settings
from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.composing.composer import Composer
    from appliance.composing.model_file import ModelFile
    from appliance.config.loader import Config
    from appliance.ipc.shared_state import LiveSettings
    from appliance.music.codecs.base import Opening
    from appliance.music.events import Event
    from appliance.music.files.piece_record import PieceRecord
    from appliance.offline.renderer import Rendered
    from appliance.state.settings import EffectiveSettings

logger = logging.getLogger(__name__)

_MAX_RENDER_S: Final = 6 * 3600
"""The longest WAV file at 48 kHz."""
_HARMONISING_MODEL: Final = "chorales"
"""Harmonises melodies, whatever model plays."""


@click.command()
@click.argument("outputs", metavar="OUT...", nargs=-1, required=True, type=PATH)
@music_options
@click.option(
    "--seconds",
    type=Seconds(_MAX_RENDER_S),
    help="How much music, in seconds; 60 unless you give --pieces.",
)
@click.option("--pieces", type=click.IntRange(1, 10_000), help="How many complete pieces.")
@click.option(
    "--replay",
    "replay_file",
    type=PATH,
    help="Replay, note for note, the piece that Bachbox stored in this file.",
)
@click.option(
    "--melody",
    type=PATH,
    help="Harmonise the melody in this file (MIDI, MusicXML, ABC): it is kept as the soprano.",
)
@json_option
def render(
    outputs: tuple[Path, ...],
    config_file: Path | None,
    prime: Path | None,
    melody: Path | None,
    seconds: float | None,
    pieces: int | None,
    replay_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write music to files, faster than real time.

    The suffix of OUT says what is written: .wav, .flac, .ogg, .mp3, .mid, or .abc (models of tunes
    only). A single piece (--pieces 1 or --replay FILE) can also be written to OUT.musicxml. Its
    .wav, .mid and .musicxml files contain all that --replay needs to play it again. With
    --expression 0, the music is as printed: halves are not played again.

    With --melody FILE, the piece is your melody as the soprano, with three voices composed under
    it.
    """
    if replay_file is not None:
        others = {"prime": prime, "melody": melody, "seconds": seconds, "pieces": pieces}
        _replay(replay_file, outputs, config_file, as_json, others | options)
    else:
        _compose(outputs, config_file, as_json, options, prime, melody, seconds, pieces)


def _compose(
    outputs: Sequence[Path],
    config_file: Path | None,
    as_json: bool,
    options: dict[str, Any],
    prime: Path | None,
    melody: Path | None,
    seconds: float | None,
    pieces: int | None,
) -> None:
    """Write newly composed music.

    Raises:
        UsageError: options that do not go together, or an output that is not possible.
        BachboxError: the model, the prime, the melody or an output cannot be used.
    """
    from appliance.config import loader
    from appliance.offline import output_files, renderer
    from appliance.state.settings import effective, live_settings

    if seconds is not None and pieces is not None:
        raise UsageError("--seconds and --pieces cannot be combined; give one of them")
    if melody is not None:
        _refuse_with_melody(prime=prime, seconds=seconds, pieces=pieces, key=options["key"])
        pieces, options["model"] = 1, options["model"] or _HARMONISING_MODEL
    config = apply_overrides(loader.load(config_file)[0], **options)
    length = renderer.Length(seconds if pieces or seconds else 60.0, pieces)
    output_files.check_outputs(
        outputs, output_files.ONE_PIECE_SUFFIXES if pieces == 1 else output_files.SUFFIXES
    )
    catalog = ModelCatalog(config)
    model = catalog.configured
    requested = requested_settings(config, model)
    settings = effective(requested, catalog.defaults_of(model))
    live = live_settings(settings, is_program_chosen=requested.instrument is not None)
    composer = _composer(config, catalog, live, prime, melody)
    _stop_on_signals()
    with _progress_bar("Composing") as progress:
        rendered = renderer.render(
            composer,
            live,
            lambda: loader.soundfont(config),
            outputs,
            length,
            progress,
            _record_maker(model, composer.seed, settings, live),
        )
    _print_result(
        outputs,
        composer.seed,
        rendered,
        f"{rendered.seconds:.0f} s, {rendered.pieces} pieces, {rendered.notes} notes",
        as_json,
    )


def _composer(
    config: Config,
    catalog: ModelCatalog,
    settings: LiveSettings,
    prime: Path | None,
    melody: Path | None,
) -> Composer:
    """Return a composer with the configured model.

    Raises:
        BachboxError: the model, the prime or the melody cannot be used.
    """
    from appliance.audio.silence_stderr import silence_stderr
    from appliance.composing import model_file
    from appliance.composing.composer import Composer
    from appliance.composing.delegates import ModelLoader
    from appliance.composing.model_check import try_model
    from appliance.music import key_names

    path = model_file.find(catalog.configured, catalog.folders)
    try_model(path)
    model = ModelLoader(config.music.delegate, logger.warning).load(path)
    seed = choose_seed(config)
    opening = model.opening(prime) if prime else None
    if melody:
        opening = _harmonised(model, melody, seed, settings)
    with silence_stderr():
        return Composer(
            model,
            seed=seed,
            temperature=settings.temperature,
            top_p=settings.top_p,
            prime=opening,
            key=key_names.find(settings.key),
            # At expression 0 the printed page is written, which has repeat signs.
            repeats=settings.repeats and settings.expression > 0,
        )


def _refuse_with_melody(**options: object) -> None:
    """Refuse options that do not go with ``--melody``.

    Raises:
        UsageError: one of ``options`` is given.
    """
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"--melody and --{name} cannot be combined: key and length are the melody's"
            )


def _harmonised(model: ModelFile, path: Path, seed: int, settings: LiveSettings) -> Opening:
    """Return the melody in a file as a whole piece in four voices.

    Raises:
        UsageError: there is no such file, no melody in it, or the model does not harmonise.
    """
    from appliance.audio.silence_stderr import silence_stderr
    from appliance.composing import harmonise

    melody = harmonise.read_melody(model, path)
    _stop_on_signals()
    with silence_stderr(), _progress_bar("Harmonising") as progress:
        return harmonise.harmonise(
            model,
            melody,
            seed=seed,
            temperature=settings.temperature,
            top_p=settings.top_p,
            progress=progress,
        )


def _record_maker(
    model: str, seed: int, settings: EffectiveSettings, live: LiveSettings
) -> Callable[[list[Event], int], PieceRecord]:
    """Return a function that makes the record of a piece from its events and end tick."""

    def make_record(events: list[Event], end_tick: int) -> PieceRecord:
        from msgspec.structs import replace

        from appliance.music.events import PieceStart
        from appliance.music.files import piece_record
        from appliance.state.setting_records import recorded
        from appliance.state.settings import shown

        start = next(event for event in events if isinstance(event, PieceStart))
        program = start.piece.sounding_program(live.program, is_chosen=live.is_program_chosen)
        heard = replace(settings, instrument=program)
        return piece_record.record_piece(
            events, end_tick, model=model, seed=seed, settings=recorded(shown(heard))
        )

    return make_record


def _replay(
    replay_file: Path,
    outputs: Sequence[Path],
    config_file: Path | None,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    """Write the piece that is stored in ``replay_file``.

    Raises:
        UsageError: the file holds no piece, or an option does not go with it.
        BachboxError: an output cannot be written.
    """
    from appliance.config import loader
    from appliance.music.files import piece_embedding
    from appliance.offline import output_files, replay
    from appliance.state import general_midi

    given = {name: value for name, value in options.items() if value is not None}
    for name in ("model", "seed", "prime", "melody", "seconds", "pieces", "temperature", "top_p"):
        if name in given:
            raise UsageError(
                f"--replay and --{name.replace('_', '-')} cannot be combined: the notes are those "
                "in the file"
            )
    output_files.check_outputs(outputs, output_files.REPLAY_SUFFIXES)
    config = apply_overrides(loader.load(config_file)[0], soundfont=given.pop("soundfont", None))
    volume = given.pop("volume", config.sound.volume)
    if "instrument" in given:
        given["instrument"] = general_midi.name(given["instrument"])
    record = replay.override_settings(piece_embedding.read(replay_file), given)
    try:
        timeline = replay.timeline_of(record, volume)
    except UsageError as error:
        raise UsageError(str(error), path=replay_file) from error
    _stop_on_signals()
    with _progress_bar("Playing") as progress:
        rendered = replay.replay(
            record, timeline, lambda: loader.soundfont(config), outputs, progress
        )
    _print_result(
        outputs, record.seed, rendered, f"{record.title}, {rendered.notes} notes", as_json
    )


def _print_result(
    outputs: Sequence[Path], seed: int, rendered: Rendered, summary: str, as_json: bool
) -> None:
    if as_json:
        facts = {"files": [str(path) for path in outputs], "seed": seed}
        click.echo(json.dumps(facts | rendered._asdict()))
    else:
        click.echo(f"{' and '.join(map(str, outputs))}: {summary}, seed {seed}")


_received_signals: list[int] = []
"""Signals that asked us to stop: an exception raised in a ctypes callback is lost."""


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    _received_signals.append(number)
    raise KeyboardInterrupt


def _stop_on_signals() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that no incomplete file stays behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


@contextlib.contextmanager
def _progress_bar(label: str) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on a terminal; give a function that takes the share that is done."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=1000, label=label, file=sys.stderr, hidden=hidden) as bar:

        def progress(done: float) -> None:
            if _received_signals:
                raise KeyboardInterrupt
            bar.update(round(1000 * done) - bar.pos)

        yield progress
