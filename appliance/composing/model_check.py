"""Tries a model or a delegate in a process that may crash, before this process uses it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Final

from appliance.composing.model_file import ModelFile
from appliance.errors import BachboxError
from appliance.sandbox import refuse_crash, run_in_fork

_DELEGATE_TIMEOUT_S: Final = 20
"""Less than the half minute that the supervisor gives a composer to start."""


def try_model(path: Path) -> None:
    """Check that the runtime can load and run the model, in a forked process.

    A model that is refused without a crash passes: loading it here says what is wrong.

    Raises:
        BachboxError: the runtime crashes, or does not return.
    """

    def compose() -> None:
        from appliance.composing import model_file
        from appliance.composing.interpreter import StepModel

        StepModel(model_file.load(path))

    refuse_crash(path, "model", "the runtime", run_in_fork(compose))


def try_delegate(delegated: ModelFile) -> None:
    """Check that the delegate can run the model for two tokens, in a forked process.

    Raises:
        BachboxError: the delegate cannot run the model, crashes, or does not return.
    """
    from appliance.composing.interpreter import StepModel

    delegate = delegated.delegate
    assert delegate is not None
    reader, writer = os.pipe()
    # Through a pipe, because the library writes a lot to standard error.
    piped = replace(delegate, warn=lambda why: os.write(writer, why.encode()))
    tried = replace(delegated, delegate=piped)
    ended_by = run_in_fork(lambda: StepModel(tried), _DELEGATE_TIMEOUT_S)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as pipe:  # noqa: PTH123
        refusal = pipe.read()
    if ended_by == signal.SIGALRM.name:
        raise BachboxError(
            f"the delegate {delegate.library} has not returned for {_DELEGATE_TIMEOUT_S} s"
        )
    if ended_by is not None:
        raise BachboxError(f"the delegate {delegate.library} crashes ({ended_by})")
    if refusal:
        raise BachboxError(refusal)
