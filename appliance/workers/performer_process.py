"""The performer's process: the ring in shared memory in, sound out, and nothing else.

Started by the daemon as ``python -m appliance.workers.performer_process``. It keeps no state that is
not on the board, so one that is killed is replaced by another that goes on at the same place.
It ends with

* 0 after SIGTERM, within half a second, the last chord released;
* 75 (``EX_TEMPFAIL``) when there is no sound card or it went away: start another, later;
* 1 or 2 with a sentence on standard error when starting another would not help.

It needs 40 MB with the default font, of which 13 MB are Python's own (numpy, which would add
23 MB, is not imported), and 17 MB more for PortAudio and ALSA; and 1 % of a core, FluidSynth
included, to which a PulseAudio in between adds 2 %.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from appliance.audio.outputs import DeviceLost, Output, open_output
from appliance.audio.performer import Performer
from appliance.audio.silence_stderr import quiet
from appliance.audio.synth import FluidSynth
from appliance.audio.transport import Transport
from appliance.common import logs
from appliance.errors import BachboxError, bug_sentence
from appliance.ipc.audio_tap import TapWriter
from appliance.ipc.ring import RingReader, events_before
from appliance.ipc.shared_state import EXIT_NO_CARD, Condition, PerformerState, SharedState
from appliance.workers.parent_death import end_with_parent

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
"""From linux/mman.h: what is in memory, now or later, stays there when memory gets short."""

_FADE_S: Final = 0.2
"""How long the last chord takes to die away when we are told to end."""

_DRAIN_S: Final = 0.1
"""Silence after that, until a card's buffer has played what was in it."""

_END_S: Final = 0.45
"""After so long we end without the last chord: the output no longer asks for blocks."""

# Not by __name__, which is __main__ here.
logger = logging.getLogger("appliance.workers.performer_process")


class RenderLoop:
    """What the output calls for each block: the performer, its report, and its end."""

    def __init__(self, shared: SharedState, output: Output, performer: Performer) -> None:
        self._shared = shared
        self._output = output
        self._performer = performer
        self._tap = TapWriter(shared, output.sample_rate)
        self._before = shared.performer.read()
        self._ending = False
        self._ended_frames = 0
        self.stop = threading.Event()

    def render(self, frames: int) -> bytes:
        """One block."""
        start_tick = self._performer.playhead_tick
        sound = self._performer.render(frames)
        if self._ending:
            sound = self._fade(sound, frames)
        self._tap.write(sound, start_tick, self._performer.playhead_tick)
        self._report(Condition.PLAYING if self._performer.playing else Condition.PAUSED)
        return sound

    def end(self) -> None:
        """From the next block on, let the music die away; then :attr:`stop` is set."""
        self._ending = True
        self._performer.end()

    def close(self, condition: Condition) -> None:
        """The last report."""
        self._report(condition)

    def _fade(self, sound: bytes, frames: int) -> bytes:
        fade_frames = _FADE_S * self._output.sample_rate
        drain_frames = _DRAIN_S * self._output.sample_rate
        start = self._ended_frames
        self._ended_frames = end = start + frames
        if end >= fade_frames + drain_frames:
            self.stop.set()
        if start >= fade_frames:
            return bytes(len(sound))
        samples = array.array("h", sound)
        for at, sample in enumerate(samples):
            level = max(0.0, 1.0 - (start + at // 2) / fade_frames)
            samples[at] = int(sample * level)
        return samples.tobytes()

    def _report(self, condition: Condition) -> None:
        before, performer, output = self._before, self._performer, self._output
        if condition is Condition.PLAYING and not performer.begun:
            condition = Condition.STARTING
        self._shared.performer.write(
            PerformerState(
                heartbeat=before.heartbeat + performer.blocks,
                frames_played=before.frames_played + performer.frame,
                sample_rate=output.sample_rate,
                xruns=before.xruns + output.xruns,
                starved=before.starved + performer.starved,
                late_events=before.late_events + performer.late_events,
                condition=condition,
                sounding=performer.sounding,
                piece=performer.piece,
            )
        )


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run until SIGTERM, until the parent ends, or until the output fails."""
    parser = argparse.ArgumentParser(prog="appliance.workers.performer_process", allow_abbrev=False)
    parser.add_argument("--shared-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, help="process ID of the daemon")
    parser.add_argument("--output", required=True)
    parser.add_argument("--soundfont", type=Path, required=True)
    parser.add_argument("--block-frames", type=int, default=1024)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(arguments)
    logs.install_in_worker(verbose=options.verbose)

    # Until the music plays, SIGTERM ends us at once: the device may take long to answer.
    end_with_parent(options.parent)
    # A terminal's Ctrl-C reaches the daemon too, which then ends us in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 0
    try:
        shared = SharedState.attach(options.shared_fd)
        try:
            with contextlib.nullcontext() if options.verbose else quiet():
                _perform(shared, options)
        except DeviceLost as error:
            logger.warning("%s", error)
            shared.performer.write(
                shared.performer.read()._replace(condition=Condition.NO_SOUND_CARD)
            )
            code = EXIT_NO_CARD
    except BachboxError as error:
        logger.error("%s", error)
        code = error.exit_code
    except Exception as error:
        logger.exception("%s", bug_sentence(error))
        code = BachboxError.exit_code
    # Not by the interpreter's clean end: PortAudio may never come back from a lost card.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _perform(shared: SharedState, options: argparse.Namespace) -> None:
    before = shared.performer.read()
    shared.performer.write(before._replace(condition=Condition.STARTING, sounding=0))
    output = open_output(
        options.output,
        options.block_frames,
        resume=before.heartbeat > 0,
    )
    synth = FluidSynth(options.soundfont, output.sample_rate)
    reader = RingReader(shared)
    transport = Transport(output.sample_rate, shared.live_settings.read().tempo_bpm)
    performer = Performer(reader, synth, transport, shared.live_settings.read)
    performer.resume(events_before(shared, reader.read_index), reader.playhead_tick)
    stage = RenderLoop(shared, output, performer)

    def end(_signal: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, _END_S)
        stage.end()

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        os._exit(0)

    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, end)
    _pause_for_nothing()
    logger.info(
        "plays on %s at %d Hz in blocks of %d frames",
        options.output, output.sample_rate, options.block_frames,
    )  # fmt: skip
    output.run(stage.render, stage.stop)
    output.close()
    stage.close(Condition.STOPPED)


def _pause_for_nothing() -> None:
    """No pause for collecting garbage, nor for fetching a page back."""
    gc.collect()
    gc.freeze()
    # Refused where the limit of locked memory is below our size, as it mostly is for a user.
    ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


if __name__ == "__main__":
    main()
