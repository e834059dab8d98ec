"""A program that encodes the sound, such as lame or opusenc, which runs while somebody listens."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import NamedTuple

from appliance.common.child_processes import send_signal
from appliance.errors import BachboxError
from appliance.ipc.audio_tap import Sound


class Encoder(NamedTuple):
    """An encoder that runs."""

    encoded: asyncio.StreamReader
    """What it writes."""
    feeding: asyncio.Task[Sound | None]
    """Writes the sound to it. The result is the first sound that another encoder has to take;
    ``None`` if there is no more, or the encoder has ended."""


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str],
    package: str,
    first: Sound,
    sounds: AsyncIterator[Sound],
    ends_before: Callable[[Sound], bool],
) -> AsyncGenerator[Encoder, None]:
    """Run an encoder, and end it at the end of the block.

    Args:
        command: the program and its arguments; it reads samples and writes what it has encoded.
        package: the Debian package of the program.
        first: the sound to begin with.
        sounds: the sound after it.
        ends_before: whether the encoder's input ends before a sound of ``sounds``.

    Raises:
        BachboxError: the program is missing.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BachboxError(
            f"the program {command[0]} is missing: run `sudo apt install {package}`"
        ) from error
    assert process.stdin is not None
    assert process.stdout is not None
    feeding = asyncio.create_task(_feed(process.stdin, first, sounds, ends_before))
    try:
        yield Encoder(process.stdout, feeding)
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        send_signal(process, signal.SIGKILL)
        await process.wait()


async def _feed(
    stdin: asyncio.StreamWriter,
    first: Sound,
    sounds: AsyncIterator[Sound],
    ends_before: Callable[[Sound], bool],
) -> Sound | None:
    after = None
    with contextlib.suppress(ConnectionError):
        stdin.write(first.samples)
        async for sound in sounds:
            if ends_before(sound):
                after = sound
                break
            stdin.write(sound.samples)
            await stdin.drain()
    stdin.close()
    return after
