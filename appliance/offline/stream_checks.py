"""The checks of ``bachbox doctor`` for ``[stream]``: Snapcast and Icecast."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance.config.addresses import host_port, parse_icecast, parse_snapcast
from appliance.config.loader import Config
from appliance.errors import BachboxError
from appliance.offline.config_checks import PRIVATE_FOLDERS
from appliance.offline.findings import CheckStatus, Finding

_TIMEOUT_S: Final = 5.0


def check_snapcast(config: Config, *, is_service: bool) -> Iterator[Finding]:
    """Check the pipe, or the server, of ``[stream] snapcast``.

    Args:
        config: the config.
        is_service: whether the service reads this config.
    """
    address = config.stream.snapcast
    if not address:
        yield Finding("snapcast", CheckStatus.OFF, "[stream] snapcast is not set")
        return
    target = parse_snapcast(address, Path())
    if isinstance(target, Path):
        yield _check_pipe(target, is_service)
    else:
        yield _check_server("snapcast", *target, "start snapserver there, with a tcp source")


def check_icecast(config: Config) -> Iterator[Finding]:
    """Check the encoder that ``[stream] icecast`` needs, and that the server takes the sound.

    While a box runs, which may be sending, it is only checked that the server answers.
    """
    from appliance.frontends.local_socket import is_box_running
    from appliance.frontends.streaming.icecast import IcecastSource
    from appliance.frontends.streaming.mp3 import Mp3Broadcast
    from appliance.frontends.streaming.opus import OpusBroadcast

    if not config.stream.icecast:
        yield Finding("icecast", CheckStatus.OFF, "[stream] icecast is not set")
        return
    address = parse_icecast(config.stream.icecast)
    program, package = ("lame", "lame") if address.is_mp3 else ("opusenc", "opus-tools")
    if not shutil.which(program):
        missing = f"the program {program} is missing"
        yield Finding("icecast", CheckStatus.FAILED, missing, f"sudo apt install {package}")
    found = _check_server("icecast", address.host, address.port, "start the Icecast server")
    if found.status is CheckStatus.OK and not is_box_running():
        encoder = Mp3Broadcast() if address.is_mp3 else OpusBroadcast()
        try:
            asyncio.run(IcecastSource(address, encoder).try_login())
        except BachboxError as error:
            remedy = "correct the user, password or mount in [stream] icecast, or the server's"
            found = Finding("icecast", CheckStatus.FAILED, str(error), remedy)
        else:
            found = Finding("icecast", CheckStatus.OK, f"{address} takes the sound")
    yield found


def _check_pipe(pipe: Path, is_service: bool) -> Finding:
    def failed(detail: str, remedy: str) -> Finding:
        return Finding("snapcast", CheckStatus.FAILED, f"{pipe}: {detail}", remedy)

    if is_service and any(folder in pipe.parents for folder in PRIVATE_FOLDERS):
        return failed(
            "the service has a /tmp and a /var/tmp of its own, so snapserver does not see this "
            "pipe",
            "use /run/snapfifo, here and in snapserver.conf",
        )
    try:
        mode = pipe.stat().st_mode
    except OSError:
        if os.access(pipe.parent, os.W_OK):
            return Finding("snapcast", CheckStatus.OK, f"{pipe} will be created")
        return failed(
            "there is no such pipe, and it cannot be created",
            "start snapserver, or see docs/listening.md",
        )
    if not stat.S_ISFIFO(mode):
        return failed("this is not a pipe", "name another path, or remove the file")
    if not os.access(pipe, os.W_OK):
        return failed("you may not write to it", f"sudo chmod 666 {pipe}, or see docs/listening.md")
    return Finding("snapcast", CheckStatus.OK, f"{pipe} can be written to")


def _check_server(check: str, host: str, port: int, remedy: str) -> Finding:
    where = host_port(host, port)
    try:
        socket.create_connection((host, port), _TIMEOUT_S).close()
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        return Finding(check, CheckStatus.FAILED, f"{where}: {reason.lower()}", remedy)
    return Finding(check, CheckStatus.OK, f"{where} answers")
