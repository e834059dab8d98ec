"""``bachbox check``: say what Bachbox makes of your own scores."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from appliance.cli.options import PATH, config_option, json_option
from appliance.errors import BachboxError


@click.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=PATH)
@config_option
@json_option
def check(paths: tuple[Path, ...], config_file: Path | None, as_json: bool) -> int:
    """Say what is read from your own scores, and which models can start from them.

    FILE is a MIDI, MusicXML or ABC file, or a folder with such files. The command fails if there
    is a file that no model can use.
    """
    import msgspec

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
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(reports), indent=2))
    elif not hidden:
        for report in reports:
            _show(report)
    unusable = sum(not report.usable for report in reports)
    if not as_json and len(files) > 1:
        more = f"; {others} other files in the folders are not scores" if others else ""
        click.echo(f"{len(files) - unusable} of {len(files)} files can be used by a model{more}")
    return BachboxError.exit_code if unusable else 0


def _show(report: object) -> None:
    from appliance.offline import score_check

    assert isinstance(report, score_check.ScoreReport)
    for line in score_check.lines(report):
        click.echo(line)
