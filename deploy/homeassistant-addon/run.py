"""Starts Bachbox as a Home Assistant app: writes its config from the app's options.

The Supervisor has written ``/data/options.json``, and answers at ``http://supervisor`` with the
address of its broker. Bachbox then runs as the user bachbox, with its state in ``/data``.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
import urllib.request
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("BACHBOX_ADDON_DATA", "/data"))
SUPERVISOR = os.environ.get("BACHBOX_ADDON_SUPERVISOR", "http://supervisor")
USER = "bachbox"

INGRESS = "172.30.32.0/23"
"""The network of Home Assistant and its Supervisor, which has checked who the visitor is."""


def broker() -> dict[str, Any]:
    """Return what the Supervisor says of its broker; nothing if there is none."""
    request = urllib.request.Request(
        f"{SUPERVISOR}/services/mqtt",
        headers={"Authorization": f"Bearer {os.environ.get('SUPERVISOR_TOKEN', '')}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
            return found
    except (OSError, ValueError, KeyError) as error:
        print(f"no broker is used: the Supervisor names none ({error})", file=sys.stderr)
        return {}


def text(value: object) -> str:
    """Return a text, a number or a list of texts as TOML writes it, which is nearly JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def config(options: dict[str, Any], mqtt: dict[str, Any], password_file: Path) -> str:
    """Return Bachbox's config."""
    lines = [
        "[sound]",
        f"output = {text(options.get('output') or 'null')}",
        "[web]",
        'host = ""',
        "port = 8080",
        f"allowed_hosts = {text(options.get('allowed_hosts', []))}",
        f"trusted_proxies = [{text(INGRESS)}]",
        # Home Assistant has asked for the password.
        'anonymous_access = "full"',
        "[stream]",
        *(f"{key} = {text(options[key])}" for key in ("icecast", "snapcast") if options.get(key)),
    ]
    if mqtt:
        lines += [
            "[mqtt]",
            f"host = {text(mqtt['host'])}",
            f"port = {text(mqtt['port'])}",
            f"username = {text(mqtt.get('username') or '')}",
            f"tls = {text(bool(mqtt.get('ssl')))}",
            f"password_file = {text(str(password_file))}",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the config, give up root, and become ``bachbox play``."""
    os.umask(0o077)
    options = json.loads((DATA / "options.json").read_text(encoding="utf-8"))
    mqtt = broker() if options.get("mqtt") else {}
    state = DATA / "bachbox"
    state.mkdir(exist_ok=True)
    file, password_file = state / "bachbox.toml", state / "mqtt-password"
    file.write_text(config(options, mqtt, password_file), encoding="utf-8")
    password_file.write_text(str(mqtt.get("password") or ""), encoding="utf-8")
    if os.getuid() == 0:
        user = pwd.getpwnam(USER)
        for path in (state, *state.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        os.initgroups(USER, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    os.environ |= {
        "STATE_DIRECTORY": str(state),
        "XDG_DATA_HOME": str(state),
    }
    os.environ.pop("SUPERVISOR_TOKEN", None)
    os.chdir(state)
    os.execvp("bachbox", ["bachbox", "play", "--config", str(file), *sys.argv[1:]])


if __name__ == "__main__":
    main()
