"""What C libraries make of a file or a machine is tried in a process of its own first.

TensorFlow Lite trusts the model that it is given (its checksum tells damage, but who means harm
can forge it), FluidSynth's parser has had its holes, and PortAudio aborts on a broken ALSA
config. A child of the daemon that crashes so is replaced and at last given up; commands that
use these libraries in their own process try them here before.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from appliance.errors import BachboxError
from appliance.music.bundle import Bundle

_PATIENCE_SECONDS: Final = 30
"""Nothing tried here takes longer, on a small Pi and with a large soundfont."""

_DELEGATE_PATIENCE_SECONDS: Final = 20
"""The supervisor gives a composer that begins half a minute."""


def crash(task: Callable[[], object], patience_seconds: int = _PATIENCE_SECONDS) -> str | None:
    """The signal that ends a process which does ``task``; None where it comes through.

    An exception counts as coming through: done again in this process it says more.
    """
    child = os.fork()
    if child == 0:
        _attempt(task, patience_seconds)
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None


def try_model(path: Path) -> None:
    """Compose one token with the model where a crash does no harm.

    Raises:
        BachboxError: the runtime crashes, or never comes back.
    """

    def compose() -> None:
        from appliance.music import bundle
        from appliance.music.interpreter import StepModel

        StepModel(bundle.load(path))

    _refuse(path, "model", "the runtime", crash(compose))


def try_soundfont(path: Path) -> None:
    """Load the soundfont where a crash does no harm.

    Raises:
        BachboxError: FluidSynth crashes, or never comes back.
    """

    def load() -> None:
        from appliance.player.synth import FluidSynth

        FluidSynth(path, 48_000)

    _refuse(path, "soundfont", "FluidSynth", crash(load))


def try_delegate(delegated: Bundle) -> None:
    """Compose two tokens with the model's delegate where a crash does no harm.

    Raises:
        BachboxError: the delegate cannot run the model, crashes, or never comes back.
    """
    from appliance.music.interpreter import StepModel

    delegate = delegated.delegate
    assert delegate is not None
    reader, writer = os.pipe()
    # Said from there: done again in this process, it says more than people want to read.
    tell = replace(delegate, warn=lambda why: os.write(writer, why.encode()))
    tried = replace(delegated, delegate=tell)
    ended_by = crash(lambda: StepModel(tried), _DELEGATE_PATIENCE_SECONDS)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as pipe:  # noqa: PTH123
        refused = pipe.read()
    if ended_by == signal.SIGALRM.name:
        raise BachboxError(
            f"the delegate {delegate.library} has not come back for {_DELEGATE_PATIENCE_SECONDS} s"
        )
    if ended_by is not None:
        raise BachboxError(f"the delegate {delegate.library} crashes ({ended_by})")
    if refused:
        raise BachboxError(refused)


def _refuse(path: Path, kind: str, library: str, ended_by: str | None) -> None:
    if ended_by is not None:
        raise BachboxError(
            f"{path}: this {kind} crashes {library} ({ended_by}), so it is damaged or meant to "
            "do harm; get it again from where you trust"
        )


def _attempt(task: Callable[[], object], patience_seconds: int) -> NoReturn:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # A handler in Python would wait until the library comes back.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(patience_seconds)
        # What the libraries have to say is not for people.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with contextlib.suppress(Exception):
            task()
    finally:
        os._exit(0)
