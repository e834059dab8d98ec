"""The errors a person reads: one sentence that says what, where, and what to do."""


class BachboxError(Exception):
    """Something outside went wrong (a device, a file, a model); the command exits with 1."""

    exit_code = 1


class UsageError(BachboxError):
    """The person asked for something that cannot be; the command exits with 2."""

    exit_code = 2
