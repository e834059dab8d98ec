"""A Unix socket for the shell: it takes requests and gives the state, a line of JSON each.

A request is ``{"set": {"tempo": 96}, "act": ["next_piece"], "follow": true}``; every part may be
left out. The response is ``{"status": …}`` or ``{"error": …, "code": …}``; with ``follow``, another
status comes after each change. To ``{"library": …}`` the response has a ``library`` too, and to
``{"backup": true}`` a ``backup`` in base64; after the line ``{"restore_bytes": N}`` come N bytes of
a backup. Members of the socket's group may change settings (mode 0660).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from appliance.errors import ERROR_BY_EXIT_CODE, BachboxError, UsageError
from appliance.frontends.library import Library, LibraryAnswer, LibraryRequest
from appliance.frontends.socket_address import SocketAddress, listen
from appliance.state.box_status import BoxStatus, Status
from appliance.state.settings import Action, Settings
from appliance.state.store import MAX_BACKUP_BYTES, state_folder

MAX_REQUEST_BYTES: Final = 1 << 16
"""Also the most that waits for a slow reader before it is disconnected."""

MAX_CLIENTS: Final = 32

IDLE_TIMEOUT_S: Final = 60.0
"""How long a client may take to send its next request."""

RESPONSE_TIMEOUT_S: Final = 5.0
"""How long the box may take to respond before the shell gives up."""

BACKUP_TIMEOUT_S: Final = 60.0
"""The same for a backup, and for a restore, which writes many files."""

FOLLOW_INTERVAL_S: Final = 0.1
"""How often the box looks for a change to tell a following client."""

FOLLOW_MAX_INTERVAL_S: Final = 1.0
"""How often a following client is sent the status even if only the uptime has changed."""

FILE_NAME: Final = "control.sock"

SERVICE_FOLDER: Final = Path("/run/bachbox")
"""The service's RuntimeDirectory, as systemd makes it."""

logger = logging.getLogger(__name__)


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client asks for."""

    set: dict[str, str | int | float | bool] = {}
    act: list[Action] = []
    library: LibraryRequest | None = None
    backup: bool = False
    restore_bytes: int = 0
    """The size of the backup that follows this line, and is restored; 0: there is none."""
    follow: bool = False


class Response(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the client gets: a status or an error."""

    status: Status | None = None
    error: str = ""
    code: int = 0
    """The exit code that belongs to the error."""
    warnings: list[str] = []
    """What a scene or a backup names and this box cannot take, a sentence each."""
    library: LibraryAnswer | None = None
    backup: bytes = b""
    restored: str = ""
    """What a restore did."""


class _NoBoxError(BachboxError):
    """No box runs here."""


def socket_folder() -> Path:
    """Return the folder for this process's socket: systemd's, the user's, or the state folder.

    Sources: ``RuntimeDirectory=`` in systemd.exec(5), the XDG Base Directory Specification.
    """
    from_systemd = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if from_systemd:
        return Path(from_systemd)
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "bachbox" if base else state_folder()


class LocalSocket:
    """Serves the socket ``path``; see :class:`appliance.frontends.base.Frontend`."""

    name = "local socket"

    def __init__(self, path: Path, library: Library | None = None) -> None:
        self._path = path
        self._library = library
        self._clients: set[asyncio.Task[None]] = set()

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Serve until cancelled.

        Raises:
            BachboxError: the socket cannot be created at this path.
        """
        with contextlib.ExitStack() as stack:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                # Open until the end: asyncio needs the address again when it closes the socket.
                address = stack.enter_context(contextlib.closing(SocketAddress(self._path)))
                listener = listen(address, self._path)
            except OSError as error:
                raise BachboxError(
                    f"the socket cannot be created ({error.strerror}), so `bachbox set` and "
                    "`bachbox status` do not reach this box",
                    path=self._path,
                ) from error
            if listener is None:
                logger.warning(
                    "another Bachbox listens at %s; `bachbox set` and `bachbox status` reach that "
                    "one",
                    self._path,
                )
                return
            await self._serve(listener, settings, box)

    async def _serve(self, listener: socket.socket, settings: Settings, box: BoxStatus) -> None:
        async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._clients.add(task)
            try:
                if len(self._clients) > MAX_CLIENTS:
                    writer.write(
                        _line(Response(error="too many clients at once; try again", code=1))
                    )
                    return
                await _handle_requests(reader, writer, settings, box, self._library)
            except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
                # The client is gone, silent or does not read; or the box is ending.
                return
            finally:
                self._clients.discard(task)
                if writer.transport.get_write_buffer_size():
                    # The client does not read the responses.
                    writer.transport.abort()
                writer.close()

        server = await asyncio.start_unix_server(
            serve_client, sock=listener, limit=MAX_REQUEST_BYTES
        )
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for client in tuple(self._clients):
                client.cancel()
            with contextlib.suppress(OSError):
                self._path.unlink()


async def _handle_requests(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    settings: Settings,
    box: BoxStatus,
    library: Library | None,
) -> None:
    while True:
        try:
            line = await asyncio.wait_for(reader.readline(), IDLE_TIMEOUT_S)
        except ValueError:
            writer.write(
                _line(Response(error=f"a request has at most {MAX_REQUEST_BYTES} bytes", code=2))
            )
            return
        if not line:
            return
        response, follow = await _respond(line, reader, settings, box, library)
        writer.write(_line(response))
        await asyncio.wait_for(writer.drain(), IDLE_TIMEOUT_S)
        if follow:
            disconnected = asyncio.create_task(reader.read(1))
            try:
                await _follow(writer, settings, box, disconnected)
            finally:
                disconnected.cancel()
            return


async def _respond(
    line: bytes,
    reader: asyncio.StreamReader,
    settings: Settings,
    box: BoxStatus,
    library: Library | None,
) -> tuple[Response, bool]:
    """Do what a request asks for; return the response, and whether the client wants to follow."""
    try:
        request = msgspec.json.decode(line, type=Request)
        warnings, answer, backup, restored = list[str](), None, b"", ""
        if request.set:
            settings.change_all(request.set)
            warnings = settings.warnings
        for action in request.act:
            settings.act(action)
        if request.library is not None and library is not None:
            answer = await library.answer(request.library)
        if request.backup and library is not None:
            backup = await asyncio.to_thread(library.backups.make)
        if request.restore_bytes and library is not None:
            size = min(request.restore_bytes, MAX_BACKUP_BYTES)
            packed = await asyncio.wait_for(reader.readexactly(size), IDLE_TIMEOUT_S)
            restored, warnings = await library.backups.restore(packed)
    except BachboxError as error:
        return Response(error=str(error), code=error.exit_code), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Response(error=f"not a valid request: {error}", code=UsageError.exit_code), False
    response = Response(
        box.status(), warnings=warnings, library=answer, backup=backup, restored=restored
    )
    return response, request.follow


async def _follow(
    writer: asyncio.StreamWriter,
    settings: Settings,
    box: BoxStatus,
    disconnected: asyncio.Task[bytes],
) -> None:
    loop = asyncio.get_running_loop()
    last: tuple[object, ...] = ()
    sent_at = loop.time()
    while not disconnected.done():
        await asyncio.sleep(FOLLOW_INTERVAL_S)
        now = box.now_playing()
        current = (settings.effective, msgspec.structs.replace(now, beat=0))
        if current != last or loop.time() - sent_at >= FOLLOW_MAX_INTERVAL_S:
            last, sent_at = current, loop.time()
            writer.write(_line(Response(status=box.status())))
            # A client that does not read is disconnected before much waits for it.
            await asyncio.wait_for(writer.drain(), FOLLOW_MAX_INTERVAL_S)


def _line(response: Response) -> bytes:
    return msgspec.json.encode(response) + b"\n"


def ask(request: Request) -> Iterator[Status]:
    """Send ``request`` to the running box; yield its state, and with ``follow`` each later one.

    Raises:
        BachboxError: no box is running here, it cannot be reached, or it rejects the request.
    """
    for response in _responses(request):
        assert response.status is not None
        yield response.status


def ask_library(request: LibraryRequest) -> LibraryAnswer:
    """Send ``request`` to the running box, and return the answer.

    Raises:
        BachboxError: as :func:`ask`.
    """
    answer = next(_responses(Request(library=request))).library
    assert answer is not None
    return answer


def exchange_backup(request: Request, packed: bytes = b"") -> Response:
    """Send ``request`` and the backup that it announces; return the answer.

    Raises:
        BachboxError: as :func:`ask`.
    """
    return next(_responses(request, packed, BACKUP_TIMEOUT_S))


def is_box_running() -> bool:
    """Return whether a box runs here, whether or not this user may control it."""
    try:
        _connect().close()
    except _NoBoxError:
        return False
    except BachboxError:
        return True
    return True


def _responses(
    request: Request, attached: bytes = b"", timeout_s: float | None = None
) -> Iterator[Response]:
    """Send ``request`` to the running box; yield what it answers, and log its warnings.

    Raises:
        BachboxError: as :func:`ask`.
    """
    timeout_s = timeout_s or RESPONSE_TIMEOUT_S
    connection = _connect()
    connection.settimeout(timeout_s)
    with connection, connection.makefile("rb") as lines:
        try:
            connection.sendall(msgspec.json.encode(request) + b"\n" + attached)
            for line in lines:
                response = msgspec.json.decode(line, type=Response)
                if response.status is None:
                    raise ERROR_BY_EXIT_CODE.get(response.code, BachboxError)(response.error)
                for warning in response.warnings:
                    logger.warning("%s", warning)
                yield response
                if not request.follow:
                    return
        except TimeoutError as error:
            raise BachboxError(
                f"the box has not answered for {timeout_s:g} s",
                remedy="if it hangs, restart it",
            ) from error
        except (OSError, msgspec.DecodeError) as error:
            raise BachboxError(f"the connection to the box broke ({error})") from error
    raise BachboxError(
        "the box has ended", remedy="start it with `bachbox play` or `systemctl start bachbox`"
    )


def _connect() -> socket.socket:
    """Return a connection to the user's own box, or else to the service."""
    for folder in dict.fromkeys([socket_folder(), state_folder(), SERVICE_FOLDER]):
        path = folder / FILE_NAME
        try:
            with contextlib.closing(SocketAddress(path)) as address:
                return address.connect()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            continue
        except PermissionError as error:
            raise BachboxError(
                "you are not allowed to control this box",
                path=path,
                remedy=f"join its group: sudo usermod -aG {_group(path)} $USER, then log in again",
            ) from error
        except OSError as error:
            raise BachboxError(
                f"the box cannot be reached ({error.strerror})", path=path
            ) from error
    raise _NoBoxError("no Bachbox is running here", remedy="start one with `bachbox play`")


def _group(path: Path) -> str:
    try:
        return path.group()
    except (OSError, KeyError):
        return "bachbox"
