"""The checks of ``bachbox doctor`` for keys that are allowed and do not do what they say."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from appliance.config.loader import Config
from appliance.errors import BachboxError
from appliance.offline.findings import CheckStatus, Finding
from appliance.state.store import FILE_NAME, read, state_folder

_HOME_FOLDERS: Final = (Path("/home"), Path("/root"), Path("/run/user"))
"""Hidden from the service (``ProtectHome=`` in its unit)."""

PRIVATE_FOLDERS: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108
"""The service has copies of its own (``PrivateTmp=`` in its unit)."""

_SERVICE_USER: Final = "bachbox"

SERVICE_STATE: Final = Path("/var/lib/bachbox")
"""The service's ``StateDirectory=``."""

_SECRETS: Final = ("[mqtt] password_file", "[mqtt] key_file")


def check_files(config: Config, *, is_service: bool) -> Iterator[Finding]:
    """Find files that are not there, that the service cannot see or read, or that all can read.

    Args:
        config: the config.
        is_service: whether the service reads this config.
    """
    for key, path in _files(config):
        if is_service and (reason := _unseen(path)):
            detail = f"{key}: the service does not see {path}, {reason}"
            yield Finding("files", CheckStatus.FAILED, detail, "move it to /etc/bachbox")
        elif not os.access(path, os.F_OK):
            # Other checks name the other files.
            if key == "[music] models_folder":
                remedy = f"mkdir -p {path}, or correct the key"
                yield Finding("files", CheckStatus.FAILED, f"{key}: there is no {path}", remedy)
        elif is_service and not _service_may_read(path):
            remedy = f"sudo chgrp {_SERVICE_USER} {path} && sudo chmod g+rX {path}"
            detail = f"{key}: the service's user {_SERVICE_USER} may not read {path}"
            yield Finding("files", CheckStatus.FAILED, detail, remedy)
        elif key in _SECRETS and path.stat().st_mode & stat.S_IROTH:
            detail = f"{key}: every user of this machine can read {path}"
            yield Finding("files", CheckStatus.OFF, detail, f"chmod o-r {path}")


def stored_output(config: Config, *, is_service: bool) -> tuple[Config, Finding | None]:
    """Return ``config`` with the output that was chosen while it played, and what to say of it.

    Args:
        config: the config.
        is_service: whether the service reads this config; its state is elsewhere.
    """
    file = (SERVICE_STATE if is_service else state_folder()) / FILE_NAME
    try:
        output = str(read(file).get("output", config.sound.output))
    except BachboxError as error:
        detail = f"{error}, so the output of the config is checked"
        return config, Finding("output", CheckStatus.OFF, detail, "sudo bachbox doctor")
    if output == config.sound.output:
        return config, None
    detail = f"{output}, as it was set last; the config says {config.sound.output}"
    sound = replace(config.sound, output=output)
    return replace(config, sound=sound), Finding("output", CheckStatus.OK, detail)


def check_effects(config: Config) -> Iterator[Finding]:
    """Find keys that have no effect without others, and a volume that nobody hears."""
    mqtt, midi, sound = config.mqtt, config.midi, config.sound
    for key, is_set, needed, has_needed in (
        ("[mqtt] password_file", mqtt.host and mqtt.password_file, "username", mqtt.username),
        ("[midi] knobs", midi.knobs, "in_ports", midi.in_ports),
        ("[midi] buttons", midi.buttons, "in_ports", midi.in_ports),
        ("[midi] clock", midi.clock, "out_port", midi.out_port),
    ):
        if is_set and not has_needed:
            detail = f"{key} has no effect without {needed}"
            yield Finding("config", CheckStatus.FAILED, detail, f"set {needed}, or remove the key")
    for key, percent in (
        ("volume", sound.volume),
        ("max_startup_volume", sound.max_startup_volume),
    ):
        if not percent:
            detail = f"[sound] {key} is 0, so the box starts silent"
            yield Finding("config", CheckStatus.OFF, detail, "set it to 30, for example")


def _files(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the key and the path of every file and folder that the config names."""
    mqtt = config.mqtt
    for key, value in (
        ("[music] models_folder", config.music.models_folder),
        ("[music] model", config.music.model),
        ("[music] delegate", config.music.delegate),
        ("[sound] soundfont", config.sound.soundfont),
        *(
            (f"[mqtt] {key}", getattr(mqtt, key))
            for key in ("password_file", "ca_file", "cert_file", "key_file")
            if mqtt.host
        ),
    ):
        # A name, such as "chorales", has no slash.
        if value is not None and "/" in str(value):
            yield key, Path(value)


def _unseen(path: Path) -> str:
    """Return why the service does not see ``path``; "" if it does."""
    if any(path.is_relative_to(folder) for folder in _HOME_FOLDERS):
        return "since home folders are hidden from it"
    if any(path.is_relative_to(folder) for folder in PRIVATE_FOLDERS):
        return "since it has a /tmp and a /var/tmp of its own"
    return ""


def _service_may_read(path: Path) -> bool:
    """Return whether the permission bits let the service's user read ``path``.

    True if the machine has no such user.
    """
    try:
        user = pwd.getpwnam(_SERVICE_USER)
    except KeyError:
        return True
    groups = {user.pw_gid, *(g.gr_gid for g in grp.getgrall() if _SERVICE_USER in g.gr_mem)}
    return _may_read(path.stat(), user.pw_uid, groups)


def _may_read(status: os.stat_result, uid: int, groups: set[int]) -> bool:
    """Return whether a user may read what has ``status``; only the first class that fits counts."""
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IRUSR)
    if status.st_gid in groups:
        return bool(status.st_mode & stat.S_IRGRP)
    return bool(status.st_mode & stat.S_IROTH)
