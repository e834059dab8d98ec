"""The command ``bachbox``, which reports every error as one sentence without a traceback.

Everything heavy is imported where it is used, so that ``bachbox --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from typing import Final, NoReturn

import click

from appliance import __version__
from appliance.cli import (
    backup,
    check,
    config,
    doctor,
    hash_password,
    instruments,
    midi,
    models,
    mqtt,
    play,
    render,
    saved,
    scene,
    set_,
    status,
    train,
    transport,
)
from appliance.common import logs
from appliance.common.logs import PREFIX, SentenceFormatter, StderrHandler
from appliance.common.text import lowered
from appliance.errors import BachboxError, bug_sentence

_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells report it."""

_TRACEBACK_VARIABLE: Final = "BACHBOX_TRACEBACK"
"""An environment variable: where it is set, a bug leaves its traceback on the screen."""

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and exit: 0, 1 (something went wrong) or 2 (the request cannot be met)."""
    code = run(arguments)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    # An orderly shutdown of the interpreter takes 0.3 s on a busy machine, for no benefit.
    os._exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return the exit code. Only here do errors become sentences."""
    tracebacks = bool(os.environ.get(_TRACEBACK_VARIABLE))
    logs.install(StderrHandler(SentenceFormatter(tracebacks=tracebacks)))
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
        stop = " " if message.endswith("?") else "; "
        return _fail(
            f"{lowered(message)}{stop}`{asked} --help` lists what there is", error.exit_code
        )
    except (click.Abort, KeyboardInterrupt):
        return _fail("stopped", _INTERRUPTED)
    except BrokenPipeError:
        # The reader closed the pipe (`bachbox instruments | head`); Python must not flush again.
        sys.stdout = None
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", BachboxError.exit_code)
    except Exception as error:
        logger.exception(
            "%s; please report it, with what %s=1 shows", bug_sentence(error), _TRACEBACK_VARIABLE
        )
        return BachboxError.exit_code
    return code if isinstance(code, int) else 0


def _fail(sentences: str, code: int) -> int:
    for sentence in sentences.splitlines():
        click.echo(f"{PREFIX}{sentence}", err=True)
    return code


# None lets click use colours on terminals; False forbids them.
_COLOUR: Final = False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "color": _COLOUR})
@click.version_option(__version__)
def cli() -> None:
    """Compose and play new music in the style of Bach, endlessly."""


for _command in (
    play.play,
    render.render,
    set_.set_,
    transport.pause,
    transport.resume,
    transport.toggle,
    transport.next_,
    transport.sleep,
    scene.scene,
    saved.save,
    saved.saved,
    saved.replay,
    backup.backup,
    backup.restore,
    status.status,
    models.models,
    instruments.instruments,
    check.check,
    doctor.doctor,
    config.config,
    hash_password.hash_password,
    mqtt.mqtt,
    midi.midi,
    train.train,
):
    cli.add_command(_command)
