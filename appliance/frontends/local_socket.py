"""The shell's way in: a Unix socket that takes wishes and gives the state, a line of JSON each.

``{"set": {"tempo": 96}, "act": ["next_piece"], "follow": true}``: every part may be left out.
The answer is ``{"status": …}`` or ``{"error": …, "code": …}``; with ``follow``, more of the former
come as things change. Whoever is in the socket's group may steer (mode 0660).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from appliance.errors import BachboxError, UsageError
from appliance.state.box_status import BoxStatus, Status
from appliance.state.settings import Action, Settings
from appliance.state.store import state_folder

MAX_BYTES: Final = 1 << 16
"""The longest request, and the most that waits for a slow reader before we let it go."""

MAX_CLIENTS: Final = 32

IDLE_S: Final = 60.0
"""How long a client may take to say something."""

ANSWER_S: Final = 5.0
"""How long the box may take to answer before the shell gives up."""

FOLLOW_S: Final = 0.1
"""How soon a follower sees a change."""

FOLLOW_ALWAYS_S: Final = 1.0
"""How often it hears something where only the uptime changes."""

FILE_NAME: Final = "control.sock"

SERVICE_FOLDER: Final = Path("/run/bachbox")
"""systemd's RuntimeDirectory of the service."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client asks for."""

    set: dict[str, str | int | float | bool] = {}
    act: list[Action] = []
    follow: bool = False


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it gets."""

    status: Status | None = None
    error: str = ""
    code: int = 0
    """The exit code that belongs to the error."""


def folder() -> Path:
    """Where this process puts its socket."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "bachbox" if base else state_folder()


class LocalSocket:
    """Listens at ``path``."""

    name = "local socket"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clients: set[asyncio.Task[None]] = set()

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Serve until cancelled."""
        with contextlib.ExitStack() as stack:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                # Open until the end: asyncio looks the socket's address up again.
                place = stack.enter_context(contextlib.closing(_Place(self._path)))
                listener = _listen(place, self._path)
            except OSError as error:
                raise BachboxError(
                    f"{self._path}: no socket can be made here ({error.strerror}), so "
                    "`bachbox set` and `bachbox status` do not reach this box"
                ) from error
            if listener is None:
                box.say(
                    f"bachbox: another Bachbox listens at {self._path}; `bachbox set` and "
                    "`bachbox status` reach that one"
                )
                return
            await self._serve(listener, settings, box)

    async def _serve(self, listener: socket.socket, settings: Settings, box: BoxStatus) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._clients.add(task)
            try:
                if len(self._clients) > MAX_CLIENTS:
                    writer.write(_line(Answer(error="too many ask at once; try again", code=1)))
                    return
                await _converse(reader, writer, settings, box)
            except (OSError, TimeoutError, asyncio.CancelledError):
                # It went away, fell silent or does not listen; or we end.
                return
            finally:
                self._clients.discard(task)
                if writer.transport.get_write_buffer_size():
                    # It does not read what it asked for.
                    writer.transport.abort()
                writer.close()

        server = await asyncio.start_unix_server(serve, sock=listener, limit=MAX_BYTES)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for client in tuple(self._clients):
                client.cancel()
            with contextlib.suppress(OSError):
                self._path.unlink()


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: Settings, box: BoxStatus
) -> None:
    while True:
        try:
            line = await asyncio.wait_for(reader.readline(), IDLE_S)
        except ValueError:
            writer.write(_line(Answer(error=f"a request has at most {MAX_BYTES} bytes", code=2)))
            return
        if not line:
            return
        answer, follow = _answer(line, settings, box)
        writer.write(_line(answer))
        await asyncio.wait_for(writer.drain(), IDLE_S)
        if follow:
            gone = asyncio.create_task(reader.read(1))
            try:
                await _follow(writer, settings, box, gone)
            finally:
                gone.cancel()
            return


def _answer(line: bytes, settings: Settings, box: BoxStatus) -> tuple[Answer, bool]:
    """What to say to a request, and whether to go on saying it."""
    try:
        request = msgspec.json.decode(line, type=Request)
        if request.set:
            settings.change_all(request.set)
        for action in request.act:
            settings.act(action)
    except BachboxError as error:
        return Answer(error=str(error), code=error.exit_code), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Answer(error=f"this is no request: {error}", code=UsageError.exit_code), False
    return Answer(status=box.status()), request.follow


async def _follow(
    writer: asyncio.StreamWriter, settings: Settings, box: BoxStatus, gone: asyncio.Task[bytes]
) -> None:
    loop = asyncio.get_running_loop()
    last: tuple[object, ...] = ()
    told = loop.time()
    while not gone.done():
        await asyncio.sleep(FOLLOW_S)
        now = box.now_playing()
        seen = (settings.effective, msgspec.structs.replace(now, beat=0))
        if seen != last or loop.time() - told >= FOLLOW_ALWAYS_S:
            last, told = seen, loop.time()
            writer.write(_line(Answer(status=box.status())))
            # Raises TimeoutError for one who does not read: what waits for it stays small.
            await asyncio.wait_for(writer.drain(), FOLLOW_ALWAYS_S)


def _line(answer: Answer) -> bytes:
    return msgspec.json.encode(answer) + b"\n"


def _listen(place: _Place, path: Path) -> socket.socket | None:
    """A socket at ``path``, None if somebody listens there already."""
    if place.answers():
        return None
    if path.is_socket():
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(place.address)
        # Nobody can connect before it listens, so nobody sees another mode.
        path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP)
        listener.listen(MAX_CLIENTS)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class _Place:
    """A socket's address through its folder: a path may be long, an address 107 bytes."""

    def __init__(self, path: Path) -> None:
        self._folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
        self.address = f"/proc/self/fd/{self._folder}/{path.name}"

    def close(self) -> None:
        os.close(self._folder)

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_S)
        try:
            connection.connect(self.address)
        except OSError:
            connection.close()
            raise
        return connection

    def answers(self) -> bool:
        try:
            self.connect().close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError as error:
            # Full of others who wait: somebody listens.
            return error.errno == errno.EAGAIN
        return True


def ask(request: Request) -> Iterator[Status]:
    """Have the running box do as asked; its state then, and with ``follow`` from then on.

    Raises:
        BachboxError: no box is running here, it cannot be reached, or it refuses.
    """
    connection = _reach()
    with connection, connection.makefile("rb") as lines:
        try:
            connection.sendall(msgspec.json.encode(request) + b"\n")
            for line in lines:
                answer = msgspec.json.decode(line, type=Answer)
                if answer.status is None:
                    kind = UsageError if answer.code == UsageError.exit_code else BachboxError
                    raise kind(answer.error)
                yield answer.status
                if not request.follow:
                    return
        except TimeoutError as error:
            raise BachboxError(
                f"the box has not answered for {ANSWER_S:g} s; is it stopped? Start it anew"
            ) from error
        except (OSError, msgspec.DecodeError) as error:
            raise BachboxError(f"the box broke off in the middle ({error})") from error
    raise BachboxError("the box has ended; `bachbox play` starts it, or systemctl start bachbox")


def _reach() -> socket.socket:
    """A connection to the user's own box, or else to the machine's."""
    for place in dict.fromkeys([folder(), state_folder(), SERVICE_FOLDER]):
        path = place / FILE_NAME
        try:
            with contextlib.closing(_Place(path)) as found:
                return found.connect()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            continue
        except PermissionError as error:
            raise BachboxError(
                f"{path}: you may not steer this box; join its group: "
                f"sudo usermod -aG {_group(path)} $USER, then log in again"
            ) from error
        except OSError as error:
            raise BachboxError(f"{path}: the box cannot be reached ({error.strerror})") from error
    raise BachboxError("no Bachbox is running here; start one with `bachbox play`")


def _group(path: Path) -> str:
    try:
        return path.group()
    except (OSError, KeyError):
        return "bachbox"
