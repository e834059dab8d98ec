"""Changed settings are kept on disk, so that the box comes back as it was left.

Only changed settings are stored; all others come from the config file and the model. The file is
replaced as a whole, so that a power cut leaves the old one or the new one. It is written at most
once a second, so that a knob being turned does not wear out an SD card.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from appliance.common.atomic_write import write_atomically
from appliance.errors import BachboxError
from appliance.state.box_status import BoxStatus
from appliance.state.setting_kinds import Value
from appliance.state.settings import RequestedSettings, Settings
from appliance.state.settings_ranges_and_steps import BY_NAME, USE_DEFAULT

WRITE_INTERVAL_S: Final = 1.0
"""The least time between two writes."""

RETRY_INTERVAL_S: Final = 10.0
"""A failed write (a full disk) is tried again after this time, or at the next change."""

FILE_NAME: Final = "settings.json"

UNFINISHED_RESTORE: Final = "restore.json"
"""In the state folder while a backup is restored: the backup."""

MAX_BACKUP_BYTES: Final = 16 << 20
"""A saved piece takes some ten kilobytes, and there are at most two hundred."""

_MAX_BYTES: Final = 1 << 16
"""The file has a few hundred bytes; a larger one is not ours."""

StoredValues = dict[str, Value]
"""Values by name, as :meth:`Settings.change_all` takes them and as they stand in the file."""

logger = logging.getLogger(__name__)


def state_folder() -> Path:
    """Return the folder for state that survives a restart: systemd's, or the user's.

    Sources: ``StateDirectory=`` in systemd.exec(5), the XDG Base Directory Specification.
    """
    from_systemd = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if from_systemd:
        return Path(from_systemd)
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "bachbox"


def to_stored(requested: RequestedSettings, names: Collection[str]) -> StoredValues:
    """Return the settings called ``names`` as the file holds them."""
    stored: StoredValues = {}
    for name in names:
        value = getattr(requested, name)
        stored[name] = USE_DEFAULT if value is None else BY_NAME[name].kind.show(value)
    return stored


def read(path: Path) -> StoredValues:
    """Return what is stored in ``path``; nothing if there is no such file.

    Raises:
        BachboxError: the file cannot be read, or has other content.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BachboxError(f"{path}: cannot read it ({error.strerror})") from error
    try:
        return msgspec.json.decode(content[:_MAX_BYTES], type=StoredValues)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _OtherContentError(f"{path}: not a settings file") from error


def write(path: Path, stored: StoredValues) -> None:
    """Replace ``path``; after a power cut at any moment it holds the old or the new values.

    Raises:
        OSError: the disk is full, or permission is denied; the file is unchanged.
    """
    text = msgspec.json.format(msgspec.json.encode(stored, order="sorted"))
    write_atomically(path, text + b"\n")


class _OtherContentError(BachboxError):
    """The file holds something other than settings."""


class Store:
    """Stores changed settings in the file ``path``; runs as a frontend."""

    name = "settings file"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stored: StoredValues = {}
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._writing = threading.Lock()
        self.configured: RequestedSettings | None = None
        """What was set before :meth:`restore`: by the config file and the command line."""

    @property
    def stored(self) -> StoredValues:
        """What is kept now; never changed in place."""
        return self._stored

    def replace(self, stored: StoredValues) -> None:
        """Keep ``stored`` in place of all that is kept. Writes to the disk.

        Raises:
            OSError: it cannot be written now; that is tried again.
        """
        self._stored = stored
        self._changed.set()
        with self._writing:
            write(self._path, stored)

    def restore(self, settings: Settings, overridden: Collection[str] = ()) -> list[str]:
        """Make the stored changes again, except those ``overridden`` on the command line.

        A file that cannot be understood is renamed to ``.bad``.

        Returns:
            A sentence about each value, or the whole file, that could not be used.
        """
        self.configured = settings.requested
        try:
            self._stored = read(self._path)
        except _OtherContentError as error:
            return [f"{error}; {self._set_aside()}, and the defaults apply"]
        except BachboxError as error:
            return [f"{error}; the defaults apply"]
        problems = []
        # The scene last: a setting that it names and that is set after it would leave it.
        for name, value in sorted(self._stored.items(), key=lambda item: item[0] == "scene"):
            if name in overridden or (name in BY_NAME and not BY_NAME[name].is_kept):
                continue
            try:
                settings.restore(name, value)
            except BachboxError as error:
                del self._stored[name]
                problems.append(f"{self._path}: {error}; the configured value applies")
        return problems

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Write every change until cancelled, the last one included.

        Raises:
            BachboxError: nothing can be written to the folder.
        """
        try:
            lock = self._lock()
        except BlockingIOError:
            logger.warning(
                "another Bachbox keeps its settings in %s; changes made here are lost when this "
                "one ends",
                self._path.parent,
            )
            return
        except OSError as error:
            raise BachboxError(
                f"{self._path.parent}: settings cannot be stored here ({error.strerror}); make the "
                "folder writable, or changes are lost when Bachbox ends"
            ) from error

        self._closing.clear()
        # Not a daemon thread: Python waits for it, so the last value reaches even a slow disk.
        writer = threading.Thread(
            target=self._write_changes, args=(self._stored,), name="settings-file"
        )
        writer.start()
        stop_observing = settings.observe(
            lambda requested, changed: self._note(requested, changed - settings.passing)
        )
        try:
            await asyncio.Event().wait()
        finally:
            stop_observing()
            self._closing.set()
            self._changed.set()
            while writer.is_alive():
                await asyncio.sleep(0.01)
            os.close(lock)

    def _note(self, requested: RequestedSettings, changed: frozenset[str]) -> None:
        names = {name for name in changed & BY_NAME.keys() if BY_NAME[name].is_kept}
        if names:
            # A new dict each time: the writer may be reading the old one.
            self._stored = self._stored | to_stored(requested, names)
            self._changed.set()

    def _write_changes(self, written: StoredValues) -> None:
        """Write the file whenever it is not what was ``written``; runs in the writer's thread."""
        last_failure = ""
        while True:
            self._changed.wait(RETRY_INTERVAL_S if last_failure else None)
            closing = self._closing.is_set()
            self._changed.clear()
            stored = self._stored
            if stored != written:
                try:
                    with self._writing:
                        write(self._path, stored)
                    written, last_failure = stored, ""
                except OSError as error:
                    if last_failure != (last_failure := error.strerror or str(error)):
                        logger.warning(
                            "%s: the settings cannot be stored (%s); they apply until Bachbox ends",
                            self._path, last_failure,
                        )  # fmt: skip
            if closing:
                return
            self._closing.wait(WRITE_INTERVAL_S)

    def _lock(self) -> int:
        """Return the descriptor of the locked lock file, which keeps a second box out."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Opened read-only: the file system can become read-only while the box runs.
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(self._path.with_suffix(".lock"), flags, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock

    def _set_aside(self) -> str:
        """Rename the file to ``.bad``; return a clause that says so."""
        bad = self._path.with_suffix(self._path.suffix + ".bad")
        try:
            self._path.replace(bad)
        except OSError as error:
            return f"it cannot be set aside ({error.strerror})"
        return f"it is now {bad.name}"
