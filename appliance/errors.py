"""The errors that people read: one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

import os
from os import PathLike
from typing import Final


class BachboxError(Exception):
    """Something outside Bachbox went wrong (a device, a file, a model).

    The command exits with :attr:`exit_code`. As text the error is ``PATH: KEY: MESSAGE; REMEDY``,
    without the parts that are not given.

    Args:
        message: what is wrong.
        path: the file that it is about.
        key: the setting or config key that it is about.
        remedy: what to do.
    """

    exit_code = 1

    def __init__(
        self,
        message: str = "",
        *,
        path: PathLike[str] | None = None,
        key: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.key = key
        self.remedy = remedy

    def __str__(self) -> str:
        where = [str(part) for part in (self.path, self.key) if part]
        what = ": ".join([*where, self.message])
        return f"{what}; {self.remedy}" if self.remedy else what


class UsageError(BachboxError, ValueError):
    """A request that cannot be met (a wrong value, an unknown name, an unsuitable file)."""

    exit_code = 2


ERROR_BY_EXIT_CODE: Final = {kind.exit_code: kind for kind in (BachboxError, UsageError)}
"""The class of an error that another process ended with."""


def cannot_write(path: PathLike[str], error: OSError) -> BachboxError:
    """Return the error for a file, by the name that the user gave it, that cannot be written."""
    return BachboxError(
        f"cannot write {path}: {error.strerror}",
        remedy="choose a folder that exists, may be written to and has room",
    )


def reason_of(error: OSError) -> str:
    """Return why the system refuses, in its own words, without an address or a number.

    asyncio adds the address as Python writes it. Errors of host names have codes of their own.
    """
    code = error.errno or 0
    return os.strerror(code) if code > 0 else error.strerror or str(error)


def bug_sentence(error: BaseException) -> str:
    """Return how an unexpected error of Bachbox itself is named in the log and on the screen."""
    return f"a bug in Bachbox ({type(error).__name__}: {error!s:.200})"
