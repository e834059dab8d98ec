"""``bachbox check``: say what Bachbox makes of your own scores and soundfonts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.options import PATH, config_option, json_option
from appliance.errors import BachboxError

if TYPE_CHECKING:
    from appliance.offline.score_check import ScoreReport


@click.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=PATH)
@config_option
@json_option
def check(paths: tuple[Path, ...], config_file: Path | None, as_json: bool) -> int:
    """Say what is read from your own scores, and which models can start from them.

    FILE is a MIDI, MusicXML or ABC file, or a folder with such files. The command fails if there
    is a file that no model can use. FILE may be a soundfont, too: its instruments are counted, and
    one of them is played.
    """
    import msgspec

    from appliance.offline import soundfont_report

    fonts = [path for path in paths if path.suffix.lower() in soundfont_report.SUFFIXES]
    scores = [path for path in paths if path not in fonts]
    font_reports = soundfont_report.check(fonts) if fonts else []
    if not as_json:
        for font_report in font_reports:
            for line in soundfont_report.lines(font_report):
                click.echo(line)
    reports, others = _score_reports(scores, config_file, as_json=as_json) if scores else ([], 0)
    if as_json:
        encoded = msgspec.json.encode([*font_reports, *reports])
        click.echo(msgspec.json.format(encoded, indent=2))
    unusable = sum(not report.usable for report in reports)
    if not as_json and len(reports) > 1:
        more = f"; {others} other files in the folders are not scores" if others else ""
        click.echo(
            f"{len(reports) - unusable} of {len(reports)} files can be used by a model{more}"
        )
    is_unusable = unusable or not all(report.usable for report in font_reports)
    return BachboxError.exit_code if is_unusable else 0


def _score_reports(
    paths: Sequence[Path], config_file: Path | None, *, as_json: bool
) -> tuple[list[ScoreReport], int]:
    """The reports of scores, shown unless ``as_json``, and how many other files are in folders."""
    from appliance.composing import model_file
    from appliance.config import loader
    from appliance.offline import score_check

    config = loader.load(config_file)[0]
    models = model_file.listing(loader.model_folders(config))
    codecs = {path.stem: model_file.load(path).codec for path in models}
    if not codecs:
        raise BachboxError("there is no model; `bachbox models` says where they are looked for")
    files, others = score_check.score_files(paths)
    reports = []
    hidden = len(files) == 1 or not sys.stderr.isatty()
    with click.progressbar(files, label="Reading", file=sys.stderr, hidden=hidden) as bar:
        for path in bar:
            reports.append(score_check.check(path, codecs))
            if not as_json and hidden:
                _show(reports[-1])
    if not (as_json or hidden):
        for report in reports:
            _show(report)
    return reports, others


def _show(report: ScoreReport) -> None:
    from appliance.offline import score_check

    for line in score_check.lines(report):
        click.echo(line)
