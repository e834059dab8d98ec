"""A box at work on the virtual card, with a hand on it and an ear: what the faults are tried on."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.frontends import local_socket
from appliance.frontends.local_socket import Request
from appliance.state.box_status import Health, Status
from appliance.state.settings import Action
from tests.support import audio_analysis
from tests.support.command import Playing, home, playing
from tests.support.virtual_card import VirtualCard

TIMEOUT_S = 30.0

BREATH_S = 1.5
"""Between two pieces, at most; longer than this there is no music."""


def eventually(what: Callable[[], object]) -> None:
    """Wait until it holds.

    Raises:
        AssertionError: it does not.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def ask(*actions: Action, **wishes: Any) -> Status:
    """Turn something on the box of this environment; its state then."""
    return next(local_socket.ask(Request(set=wishes, act=list(actions))))


@contextlib.contextmanager
def hanging(pid: int) -> Iterator[None]:
    """Hold a process as a debugger does: one that a signal has stopped would be noticed at once.

    At the end it is waited for until it has been killed.
    """
    seize, interrupt, wait_for_any_kind = 0x4206, 0x4207, 0x40000000
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    for request in (seize, interrupt):
        assert ptrace(request, pid, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(pid, wait_for_any_kind)
    yield
    # Its parent hears of the end only after its debugger has.
    os.waitpid(pid, wait_for_any_kind)


class XrunsError(AssertionError):
    """A block came too late."""


def second_chance(test: Callable[..., None]) -> Callable[..., None]:
    """A virtual machine may itself be kept waiting for a block's time; not twice."""

    @functools.wraps(test)
    def run(*, tmp_path: Path, **fixtures: Any) -> None:
        try:
            test(tmp_path=tmp_path, **fixtures)
        except XrunsError as error:
            print(f"the first time: {error}")
            (tmp_path / "again").mkdir()
            test(tmp_path=tmp_path / "again", **fixtures)

    return run


class AtWork:
    """The running box."""

    def __init__(self, box: Playing, recording: Path, environment: dict[str, str]) -> None:
        self.box = box
        self.environment = environment
        self._recording = recording

    def health(self) -> Health:
        """How it is."""
        return ask().health

    def sound(self, seconds: float) -> NDArray[np.int16]:
        """What was heard last."""
        content = self._recording.read_bytes()
        return audio_analysis.raw(content)[-int(seconds * audio_analysis.RATE) :]

    def hears_music(self, seconds: float = 2.0) -> None:
        """From now on there is music.

        Raises:
            AssertionError: there is none.
        """
        time.sleep(seconds + 0.5)
        assert audio_analysis.silence_seconds(self.sound(seconds)) < BREATH_S

    @contextlib.contextmanager
    def replaced(self, name: str) -> Iterator[None]:
        """What is done in this context ends the child ``name``, and another one takes over."""
        restarts = self.health().restarts
        yield
        eventually(lambda: self.health().restarts > restarts)
        self.box.child(name)

    @contextlib.contextmanager
    def unheard(self) -> Iterator[None]:
        """What is done in this context must not be heard at all, nor for two seconds after it."""
        eventually(lambda: self.health().look_ahead_s > 3.5)
        before = self.health()
        yield
        self.hears_music()
        after = self.health()
        assert (after.starved, after.late) == (before.starved, before.late), (before, after)
        # This can be promised only where real time is granted, as it is to the service.
        if os.geteuid() == 0 and after.xruns != before.xruns:
            raise XrunsError(f"{after.xruns - before.xruns} xruns")


@contextlib.contextmanager
def at_work(
    card: VirtualCard,
    folder: Path,
    *arguments: object,
    env: dict[str, str] | None = None,
    through: Sequence[str] = (),
) -> Iterator[AtWork]:
    """A box that plays on ``card``, recorded, :func:`ask` reaching it."""
    own = {name: value for name, value in home(folder).items() if name.startswith("XDG_")}
    environment = card.environment | own | (env or {})
    recording = folder / "recording.raw"
    with (
        pytest.MonkeyPatch.context() as patch,
        card.recording(recording),
        playing("--seed", 7, *arguments, env=environment, through=through) as box,
    ):
        for name in own:
            patch.setenv(name, environment[name])
        box.wait_for("plays on")
        eventually(lambda: _bar() >= 1)
        yield AtWork(box, recording, environment)


def _bar() -> int:
    with contextlib.suppress(Exception):
        return ask().now_playing.bar
    return 0
