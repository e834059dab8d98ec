"""Writes the man page and the shell completions, both from the command line itself.

PYTHON deploy/shell_files.py FOLDER, with a Python that has Bachbox, and a FOLDER such as
/usr/local/share. The package and `make install` call it.
"""

from __future__ import annotations

import datetime
import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from appliance import __version__
from appliance.cli import cli
from appliance.common.text import lowered

MAN_PAGE = "man/man1/bachbox.1"

COMPLETIONS = {
    "bash": "bash-completion/completions/bachbox",
    "zsh": "zsh/vendor-completions/_bachbox",
    "fish": "fish/vendor_completions.d/bachbox.fish",
}

END = """
.SH EXIT STATUS
0: done. 1: something went wrong, such as a device or a file.
2: the request cannot be met, such as a wrong value.
.SH ENVIRONMENT
.TP
.B BACHBOX_RUNTIME
ai_edge_litert or tflite_runtime: the runtime to use.
.TP
.B NO_COLOR
Set to anything: no colours.
.SH FILES
.TP
.I ~/.config/bachbox/bachbox.toml
The config of a user, or else
.TP
.I /etc/bachbox/bachbox.toml
that of the machine and of the service.
.SH SEE ALSO
.BR journalctl (1),
.BR systemctl (1),
.BR fluidsynth (1)
"""


def man_page(date: datetime.date) -> str:
    """Return the man page, in the format of man(7)."""
    commands = [cli.commands[name] for name in sorted(cli.commands)]
    lines = [
        f'.TH BACHBOX 1 {date:%Y-%m-%d} "Bachbox {__version__}" "User commands"',
        ".SH NAME",
        r"bachbox \- " + _escaped(lowered(inspect.cleandoc(cli.help or "").rstrip("."))),
        ".SH SYNOPSIS",
        r".B bachbox",
        r".I COMMAND",
        r"[\fIOPTION\fR]...",
        ".br",
        ".B bachbox",
        r"[\fICOMMAND\fR] \fB\-\-help\fR | \fB\-\-version\fR",
        ".SH DESCRIPTION",
        "A small neural network composes music in the style of Bach,",
        "and a synthesizer plays it at once.",
        r"The most important command is \fBbachbox play\fR;",
        "the others control the box that plays, or prepare it.",
        ".SH COMMANDS",
        *(line for command in commands for line in _command(command, "bachbox")),
    ]
    return "\n".join(lines) + END


def _command(command: click.Command, parent: str) -> Iterator[str]:
    context = click.Context(command, info_name=command.name, parent=click.Context(cli))
    path = f"{parent} {command.name}"
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _command(command.commands[name], path)
        return
    usage = " ".join(command.collect_usage_pieces(context)).replace("[OPTIONS]", "[OPTION]...")
    yield f".SS {_escaped(f'{path} {usage}'.strip())}"
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(command.help or ""))
    for number, paragraph in enumerate(paragraphs):
        as_it_stands = paragraph.startswith("\b")
        yield from [*([".PP"] if number else []), *([".nf"] if as_it_stands else [])]
        yield _escaped(paragraph.removeprefix("\b\n"))
        if as_it_stands:
            yield ".fi"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            yield from (".TP", rf"\fB{_escaped(record[0])}\fR", _escaped(record[1]))


def _escaped(text: str) -> str:
    """Return ``text`` so that troff prints it as it is; hyphens can be copied as options."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def completion(shell: str) -> str:
    """Return the script with which ``shell`` completes what follows ``bachbox``."""
    makers = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    return makers[shell](cli, {}, "bachbox", "_BACHBOX_COMPLETE").source()


def main(folder: Path) -> None:
    """Write all files below ``folder``."""
    made_s = int(os.environ.get("SOURCE_DATE_EPOCH", "0")) or None
    now = (
        datetime.datetime.fromtimestamp(made_s, datetime.UTC) if made_s else datetime.datetime.now()
    )
    texts = {MAN_PAGE: man_page(now.date())}
    texts |= {COMPLETIONS[shell]: completion(shell) for shell in COMPLETIONS}
    for name, text in texts.items():
        if "local" in folder.parts:
            name = name.replace("vendor-completions", "site-functions")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
