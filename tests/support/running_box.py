"""A box that plays on the virtual card, steered and recorded: faults are injected into it."""

from __future__ import annotations

import contextlib
import ctypes
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
from tests.support.audio_analysis import HOP_FRAMES, RATE, Picture
from tests.support.command import Playing, bachbox, home, playing
from tests.support.virtual_card import VirtualCard, listen

TIMEOUT_S = 120.0
"""A hang fails the test; how fast things are is measured by `make bench`."""

SEED = 18
"""Every passage keeps its first sample, so that the music is the same however little time a busy
machine has to compare them."""

LONGEST_BREATH_S = 2.5
"""Longer than this there is no music: between two pieces are two beats, at 60 a minute or more."""

LOOK_AHEAD_S = 12.0
"""So much is composed ahead when a fault is injected."""

MORE_AHEAD = "look_ahead_s = 14"
"""In [music]: by default it is 4 s, and beside many others a composer takes longer than that to
start; how long is measured by `make bench`."""

ALIKE = 0.9
"""Correlation of two pictures of the same music; of other music in the same style: about 0.4."""

_WINDOW_HOPS = 2 * RATE // HOP_FRAMES
"""Two seconds: so much is compared at a time."""


def eventually(what: Callable[[], object]) -> None:
    """Wait until ``what`` gives something true.

    Raises:
        AssertionError: it does not within :data:`TIMEOUT_S`.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def hear_music(recording: Path, seconds: float = 1.0, silent_share: float = 0.5) -> None:
    """Listen to a recording that is being made until its last seconds are music.

    Args:
        recording: raw, of a virtual card.
        seconds: how many.
        silent_share: for so long a part of them at most it may be silent at a time.

    Raises:
        AssertionError: there is none within :data:`TIMEOUT_S`.
    """

    def is_music() -> bool:
        listen(recording, seconds)
        sound = audio_analysis.raw(recording.read_bytes())[-int(seconds * RATE) :]
        return audio_analysis.silence_seconds(sound) < seconds * silent_share

    eventually(is_music)


def ask(*actions: Action, **wishes: Any) -> Status:
    """Change settings of the box in this environment; its state then."""
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


class RunningBox:
    """The box and the recording of its card."""

    def __init__(self, box: Playing, recording: Path, environment: dict[str, str]) -> None:
        self.box = box
        self.environment = environment
        self._recording = recording

    def health(self) -> Health:
        """The box's own figures."""
        return ask().health

    def recorded(self) -> NDArray[np.int16]:
        """All that was heard so far, as one channel."""
        return audio_analysis.raw(self._recording.read_bytes())

    def sound(self, seconds: float) -> NDArray[np.int16]:
        """What was heard last."""
        return self.recorded()[-int(seconds * RATE) :]

    def listen(self, seconds: float) -> None:
        """Wait until so much more was heard."""
        listen(self._recording, seconds)

    def hears_music(self) -> None:
        """Listen from half a second after now on until there is music.

        Raises:
            AssertionError: there is none within :data:`TIMEOUT_S`.
        """
        self.listen(0.5)
        hear_music(self._recording)

    @contextlib.contextmanager
    def replaced(self, name: str) -> Iterator[None]:
        """In this context the child ``name`` is ended; wait for another one to take over."""
        restarts = self.health().restarts
        yield
        eventually(lambda: self.health().restarts > restarts)
        self.box.child(name)

    @contextlib.contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Listen throughout this context and for two seconds after it.

        Raises:
            AssertionError: the music stops for longer than between two pieces, or the performer
                is replaced.
        """
        eventually(lambda: self.health().look_ahead_s > LOOK_AHEAD_S)
        performer, begin = self.box.child("performer").pid, len(self.recorded())
        yield
        self.listen(2.5)
        heard = self.recorded()[begin:]
        assert audio_analysis.silence_seconds(heard) < LONGEST_BREATH_S
        assert self.box.child("performer").pid == performer

    def composed(self, folder: Path, seconds: float, *arguments: object) -> Picture:
        """What the music of this box looks like without card, clock, faults and pauses."""
        path = folder / "composed.wav"
        said = bachbox(
            *("render", path, "--seed", SEED, "--seconds", seconds, *arguments),
            env=self.environment,
        )
        assert said.code == 0, said.err
        return audio_analysis.picture(audio_analysis.without_gaps(audio_analysis.wav(path)))


def places(heard: Picture, composed: Picture) -> list[int]:
    """Where in ``composed`` each two seconds of ``heard`` are, in hops.

    Raises:
        AssertionError: some of them are not there, or they are not in order.
    """
    found = [
        audio_analysis.likeness(heard[start : start + _WINDOW_HOPS], composed)
        for start in range(0, len(heard) - _WINDOW_HOPS + 1, _WINDOW_HOPS)
    ]
    assert found
    assert min(alike for alike, _ in found) > ALIKE, found
    order = [place for _, place in found]
    assert order == sorted(order)
    return order


@contextlib.contextmanager
def running_box(
    card: VirtualCard,
    folder: Path,
    *arguments: object,
    env: dict[str, str] | None = None,
    through: Sequence[str] = (),
) -> Iterator[RunningBox]:
    """A box that plays on ``card``, recorded, :func:`ask` reaching it.

    It composes far ahead, unless ``arguments`` name a config.
    """
    if "--config" not in arguments:
        config = folder / "more-ahead.toml"
        config.write_text(f"[music]\n{MORE_AHEAD}\n")
        arguments = (*arguments, "--config", config)
    own = {name: value for name, value in home(folder).items() if name.startswith("XDG_")}
    environment = card.environment | own | (env or {})
    recording = folder / "recording.raw"
    with (
        pytest.MonkeyPatch.context() as patch,
        card.recording(recording),
        playing("--seed", SEED, *arguments, env=environment, through=through) as box,
    ):
        for name in own:
            patch.setenv(name, environment[name])
        box.wait_for("plays on")
        eventually(lambda: _bar() >= 1)
        yield RunningBox(box, recording, environment)


def _bar() -> int:
    with contextlib.suppress(Exception):
        return ask().now_playing.bar
    return 0
