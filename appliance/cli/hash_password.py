"""``bachbox hash-password``: hash the password of the web page for the config file."""

from __future__ import annotations

import sys

import click


@click.command(name="hash-password")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
def hash_password(from_stdin: bool) -> None:
    """Hash a password for the web page.

    Asks for a password, and prints the lines of the config file with which the web page requires
    it.
    """
    from appliance.frontends.web import passwords

    if from_stdin:
        password = sys.stdin.readline(4096).rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    passwords.check_new_password(password)
    click.echo(f'[web]\npassword_hash = "{passwords.hash_password(password)}"')
