"""The address of the Unix socket that the shell uses, and how it is listened on."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Final

CONNECT_TIMEOUT_S: Final = 5.0
"""How long a connection may take, and each step after it."""

BACKLOG: Final = 32
"""Connections that may wait until they are accepted."""


class SocketAddress:
    """The address of a socket in a folder: a path may be long, an address only 107 bytes."""

    def __init__(self, path: Path) -> None:
        self._folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
        self.short = f"/proc/self/fd/{self._folder}/{path.name}"

    def close(self) -> None:
        """Close the folder; :attr:`short` means nothing afterwards."""
        os.close(self._folder)

    def connect(self) -> socket.socket:
        """Return a connection to the socket.

        Raises:
            OSError: nobody listens there.
        """
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(CONNECT_TIMEOUT_S)
        try:
            connection.connect(self.short)
        except OSError:
            connection.close()
            raise
        return connection

    def has_listener(self) -> bool:
        """Return whether a process listens there."""
        try:
            self.connect().close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError as error:
            # Its queue is full, so there is a listener.
            return error.errno == errno.EAGAIN
        return True


def listen(address: SocketAddress, path: Path) -> socket.socket | None:
    """Return a listening socket at ``path``; None if another process listens there."""
    if address.has_listener():
        return None
    if path.is_socket():
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(address.short)
        # Before it listens: no client may connect with the default mode.
        path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
