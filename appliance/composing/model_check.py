"""Try a model or a delegate in a process that may crash, before this process uses it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Final

from appliance.composing.model_file import Bundle
from appliance.errors import BachboxError
from appliance.sandbox import refuse_crash, run_in_fork

_DELEGATE_TIMEOUT_S: Final = 20
"""The supervisor gives a composer that begins half a minute."""


def try_model(path: Path) -> None:
    """Compose one token with the model where a crash does no harm.

    Raises:
        BachboxError: the runtime crashes, or never comes back.
    """

    def compose() -> None:
        from appliance.composing import model_file
        from appliance.composing.interpreter import StepModel

        StepModel(model_file.load(path))

    refuse_crash(path, "model", "the runtime", run_in_fork(compose))


def try_delegate(delegated: Bundle) -> None:
    """Compose two tokens with the model's delegate where a crash does no harm.

    Raises:
        BachboxError: the delegate cannot run the model, crashes, or never comes back.
    """
    from appliance.composing.interpreter import StepModel

    delegate = delegated.delegate
    assert delegate is not None
    reader, writer = os.pipe()
    # Said from there: done again in this process, it says more than people want to read.
    tell = replace(delegate, warn=lambda why: os.write(writer, why.encode()))
    tried = replace(delegated, delegate=tell)
    ended_by = run_in_fork(lambda: StepModel(tried), _DELEGATE_TIMEOUT_S)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as pipe:  # noqa: PTH123
        refused = pipe.read()
    if ended_by == signal.SIGALRM.name:
        raise BachboxError(
            f"the delegate {delegate.library} has not come back for {_DELEGATE_TIMEOUT_S} s"
        )
    if ended_by is not None:
        raise BachboxError(f"the delegate {delegate.library} crashes ({ended_by})")
    if refused:
        raise BachboxError(refused)
