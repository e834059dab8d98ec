"""Other people's programs: Debian's Snapcast and Icecast, and two rooms that play in step."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.broker import free_port
from tests.support.priority import hurry_children, real_time_children
from tests.support.virtual_card import VirtualCard

ROOMS = ("kitchen", "bath")


@contextlib.contextmanager
def program(folder: Path, name: str, *arguments: object, **environment: str) -> Iterator[Path]:
    """Run a program; the file with what it prints.

    Raises:
        RuntimeError: it is not installed.
    """
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed: run `make test`, which installs it")
    log = folder / f"{name}-{len(list(folder.iterdir()))}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [found, *map(str, arguments)],
            env=os.environ | {"HOME": str(folder)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    hurry_children()
    real_time_children(name)
    try:
        yield log
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def two_rooms(card: VirtualCard, folder: Path, pipe: Path) -> Iterator[Callable[[], str]]:
    """A snapserver that reads ``pipe``, which is made, and a snapclient on each side of ``card``.

    The card has to be split into :data:`ROOMS`. Yields what the programs have printed.
    """
    stream, control, web = free_port(), free_port(), free_port()
    os.mkfifo(pipe)
    server = (
        "snapserver", "--config", os.devnull, "--server.datadir", folder,
        "--stream.port", stream, "--tcp.port", control, "--http.port", web,
        "--stream.source", f"pipe://{pipe}?name=Bachbox&sampleformat=48000:16:2&mode=read",
    )  # fmt: skip
    with contextlib.ExitStack() as running:
        logs = [running.enter_context(program(folder, *map(str, server)))]
        for number, room in enumerate(ROOMS, start=1):
            client = (
                "snapclient", "--host", "127.0.0.1", "--port", stream, "--instance", number,
                "--hostID", room, "--player", "alsa", "--soundcard", "default",
            )  # fmt: skip
            sink = card.environment | {"PULSE_SINK": room}
            names = ("PULSE_SERVER", "PULSE_SINK", "ALSA_CONFIG_PATH")
            only = {name: sink[name] for name in names}
            logs.append(running.enter_context(program(folder, *map(str, client), **only)))
        yield lambda: "".join(log.read_text() for log in logs)
