"""``bachbox save``, ``saved`` and ``replay``: keep pieces for good, and play them again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from appliance.cli.name_completion import KeptName
from appliance.cli.options import json_option
from appliance.cli.status import print_status
from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.frontends.library import LibraryAnswer, LibraryRequest


@click.command()
@click.argument("name", default="")
@json_option
def save(name: str, as_json: bool) -> None:
    """Keep the current piece for good, under NAME or under its title."""
    from appliance.frontends.library import LibraryRequest

    _print(_ask(LibraryRequest("pieces", "save", name)), "saved", as_json)


@click.command()
@click.option("--rename", nargs=2, metavar="NAME NEW_NAME", help="Give a piece another name.")
@click.option("--delete", metavar="NAME", type=KeptName("pieces"), help="Delete a piece.")
@json_option
def saved(rename: tuple[str, str] | None, delete: str | None, as_json: bool) -> None:
    """List the saved pieces, the newest first; `bachbox replay NAME` plays one."""
    from appliance.frontends.library import LibraryRequest

    if rename and delete is not None:
        raise UsageError("give one of --rename and --delete")
    request, done = LibraryRequest("pieces"), ""
    if rename:
        request, done = LibraryRequest("pieces", "rename", *rename), "renamed"
    elif delete is not None:
        request, done = LibraryRequest("pieces", "delete", delete), "deleted"
    _print(_ask(request), done, as_json)


@click.command()
@click.argument("name", type=KeptName("pieces"))
@json_option
def replay(name: str, as_json: bool) -> None:
    """Play the saved piece NAME on the running box, note for note; it ends a pause.

    Composing continues after it. `bachbox next` ends it early.
    """
    from appliance.frontends import local_socket

    request = local_socket.Request(set={"saved_piece": name, "playing": True})
    print_status(next(local_socket.ask(request)), as_json)


def _ask(request: LibraryRequest) -> LibraryAnswer:
    from appliance.frontends import local_socket

    return local_socket.ask_library(request)


def _print(answer: LibraryAnswer, done: str, as_json: bool) -> None:
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(answer.pieces), indent=2))
        return
    if done:
        click.echo(f"{answer.name}: {done}")
        return
    if not answer.pieces:
        click.echo("no piece is saved; `bachbox save` keeps the one that plays")
    for piece in answer.pieces:
        click.secho(piece.name, bold=True)
        length = f"{piece.seconds // 60}:{piece.seconds % 60:02}"
        click.echo(
            f"    {piece.title}, {length}, {piece.instrument}; "
            f"model {piece.model}, seed {piece.seed}; played {piece.played_at}"
        )
