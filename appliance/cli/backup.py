"""``bachbox backup`` and ``restore``: settings, scenes and saved pieces as one file."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.errors import UsageError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
def backup(file: Path) -> None:
    """Write settings, scenes and saved pieces of the running box into FILE.

    The file has no passwords.
    """
    from appliance.common.atomic_write import write_atomically
    from appliance.frontends.local_socket import Request, exchange_backup

    packed = exchange_backup(Request(backup=True)).backup
    write_atomically(file, packed, 0o600)
    click.echo(f"{file}: {-(-len(packed) // 1024)} KiB; `bachbox restore {file}` restores it")


@click.command()
@click.argument("file", type=_FILE)
def restore(file: Path) -> None:
    """Restore the backup FILE on the running box, which plays on.

    Settings become those of the backup. Scenes and saved pieces that are only here stay.
    """
    from appliance.frontends.local_socket import Request, exchange_backup
    from appliance.state.store import MAX_BACKUP_BYTES

    with file.open("rb") as opened:
        packed = opened.read(MAX_BACKUP_BYTES + 1)
    if not 0 < len(packed) <= MAX_BACKUP_BYTES:
        raise UsageError(f"{file}: this is not a backup of a Bachbox; `bachbox backup` makes one")
    try:
        answer = exchange_backup(Request(restore_bytes=len(packed)), packed)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    click.echo(f"restored: {answer.restored}")
