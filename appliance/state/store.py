"""What hands have set is kept on disk, so that the box comes back as it was left.

Only what somebody has changed is kept; the rest stays with the config file and the model. The
file is replaced as a whole (written beside, flushed to the disk, renamed), so that a power cut
leaves the one before or the new one, and it is written at most once a second, which spares an
SD card a turning knob.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import msgspec

from appliance.errors import BachboxError
from appliance.state import general_midi
from appliance.state.box_status import BoxStatus
from appliance.state.settings import OWN, RequestedSettings, Settings

WRITE_S: Final = 1.0
"""The least time between two writes."""

RETRY_S: Final = 10.0
"""A write that failed (a full disk) is tried again after this, or at the next change."""

FILE_NAME: Final = "settings.json"

_MAX_BYTES: Final = 1 << 16
"""The file has some hundred bytes; more is not ours."""

Wishes = dict[str, str | int | float | bool]
"""Values by name, as :meth:`Settings.change_all` takes them and as they stand in the file."""


def state_folder() -> Path:
    """Where the box keeps what it must not forget: systemd's place for it, or the user's."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "bachbox"


def wishes_of(values: RequestedSettings, names: Collection[str]) -> Wishes:
    """Those settings of ``values`` as a person would say them."""
    wishes: Wishes = {}
    for name in names:
        value = getattr(values, name)
        if value is None:
            value = OWN
        elif name == "instrument":
            value = general_midi.name(value)
        wishes[name] = value
    return wishes


def read(path: Path) -> Wishes:
    """What is kept in ``path``; nothing where there is no file.

    Raises:
        BachboxError: there is something else in it, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BachboxError(f"{path}: cannot read it ({error.strerror})") from error
    try:
        return msgspec.json.decode(content[:_MAX_BYTES], type=Wishes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _NotOursError(f"{path}: these are not settings") from error


def write(path: Path, wishes: Wishes) -> None:
    """Replace ``path``; after a power cut at any moment it holds the old or the new.

    Raises:
        OSError: the disk is full, or not ours to write; the file is as before.
    """
    new = path.with_suffix(".new")
    text = msgspec.json.format(msgspec.json.encode(wishes, order="sorted"))
    try:
        with new.open("wb") as file:
            file.write(text + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _NotOursError(BachboxError):
    """A file with something else in it."""


class Store:
    """Keeps settings in ``path``; a control that only listens."""

    name = "settings file"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: Wishes = {}
        self._dirty = threading.Event()
        self._closing = threading.Event()

    def restore(self, settings: Settings, said: Collection[str] = ()) -> list[str]:
        """Put back what was kept, except where a name is in ``said``; sentences about the rest.

        A file that cannot be understood is set aside as ``.bad``, and the box begins anew.
        """
        try:
            self._kept = read(self._path)
        except _NotOursError as error:
            return [f"{error}; {self._set_aside()}, the defaults play"]
        except BachboxError as error:
            return [f"{error}; the defaults play"]
        sentences = []
        for name, value in self._kept.copy().items():
            if name in said:
                continue
            try:
                settings.change(name, value)
            except BachboxError as error:
                del self._kept[name]
                sentences.append(f"{self._path}: {error}; it stays as it is configured")
        return sentences

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Write down every change until cancelled, the last one included."""
        loop = asyncio.get_running_loop()
        try:
            lock = self._lock()
        except BlockingIOError:
            box.say(
                f"bachbox: another Bachbox keeps its settings in {self._path.parent}; "
                "what is set here is forgotten at the end"
            )
            return
        except OSError as error:
            raise BachboxError(
                f"{self._path.parent}: settings cannot be kept here ({error.strerror}); make the "
                "folder writable, or what is set is forgotten at the end"
            ) from error

        def say(sentence: str) -> None:
            with contextlib.suppress(RuntimeError):  # The loop is closed: we are at the end.
                loop.call_soon_threadsafe(box.say, sentence)

        self._closing.clear()
        # Not a daemon thread: Python waits for it, so the last value reaches even a slow disk.
        writer = threading.Thread(target=self._write_down, args=(say,), name="settings-file")
        writer.start()
        forget = settings.observe(self._note)
        try:
            await asyncio.Event().wait()
        finally:
            forget()
            self._closing.set()
            self._dirty.set()
            while writer.is_alive():
                await asyncio.sleep(0.01)
            os.close(lock)

    def _note(self, values: RequestedSettings, changed: frozenset[str]) -> None:
        names = changed & set(values.__dataclass_fields__)
        if names:
            # A new dict each time: the writer may be reading the one before.
            self._kept = self._kept | wishes_of(values, names)
            self._dirty.set()

    def _write_down(self, say: Callable[[str], None]) -> None:
        """The writer's thread."""
        written = self._kept
        complaint = ""
        while True:
            self._dirty.wait(RETRY_S if complaint else None)
            closing = self._closing.is_set()
            self._dirty.clear()
            kept = self._kept
            if kept != written:
                try:
                    write(self._path, kept)
                    written, complaint = kept, ""
                except OSError as error:
                    if complaint != (complaint := error.strerror or str(error)):
                        say(
                            f"bachbox: {self._path}: the settings cannot be kept ({complaint}); "
                            "they hold until the end"
                        )
            if closing:
                return
            self._closing.wait(WRITE_S)

    def _lock(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Not for writing: the file system can be made read-only meanwhile.
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(self._path.with_suffix(".lock"), flags, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock

    def _set_aside(self) -> str:
        bad = self._path.with_suffix(self._path.suffix + ".bad")
        try:
            self._path.replace(bad)
        except OSError as error:
            return f"it cannot be set aside ({error.strerror})"
        return f"it is now {bad.name}"
