"""The performer process: reads events from the ring and plays them.

The daemon starts it as ``python -m appliance.workers.performer_process``. All its state is in the
shared memory, so if it is killed, the next one continues at the same place. Its exit status is

* 0 after SIGTERM, within half a second, with the last chord released;
* 75 (``EX_TEMPFAIL``) if there is no sound card, or it went away: another start may help later;
* 76 (``EX_PROTOCOL``) if a new process can open an output that this one cannot;
* 1 or 2, with an error in the log, if another start would not help.

Another output or soundfont is opened while the music plays on
(:mod:`appliance.workers.output_changes`).

It needs 40 MB of memory with the default soundfont, of which 13 MB are Python's own (numpy, which
would add 23 MB, is not imported), and 17 MB more for PortAudio and ALSA. It takes 1 % of a core,
FluidSynth included, and 2 % more if it plays through PulseAudio.
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
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

from appliance.audio.outputs import DeviceLost, Output, open_output
from appliance.audio.performer import Performer, Synth
from appliance.audio.silence_stderr import silence_stderr
from appliance.audio.stereo import ChannelMixer, Layout
from appliance.audio.synth import FluidSynth
from appliance.audio.tempo_map import TempoMap
from appliance.common import logs
from appliance.common.freed_memory import return_freed_memory
from appliance.errors import BachboxError, bug_sentence
from appliance.ipc.audio_tap import TapWriter
from appliance.ipc.ring import RingReader, events_before
from appliance.ipc.shared_state import (
    EXIT_NO_CARD,
    EXIT_OTHER_OUTPUT,
    Condition,
    PerformerState,
    SharedState,
)
from appliance.workers.output_changes import OutputChanges
from appliance.workers.parent_death import end_with_parent

if TYPE_CHECKING:
    from appliance.audio.midi.midi_out import MidiOut

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
"""From linux/mman.h: keep in memory what is there now, and what comes later."""

_FADE_S: Final = 0.2
"""How long the last chord takes to die away after SIGTERM."""

_DRAIN_S: Final = 0.1
"""Silence after that, until the sound card has played its buffer."""

_EXIT_TIMEOUT_S: Final = 0.45
"""When to exit without the last chord, because the output no longer asks for blocks."""

# Not __name__, which is "__main__" here.
logger = logging.getLogger("appliance.workers.performer_process")


class RenderLoop:
    """What an output calls for each block: renders it, passes it on, and reports.

    Attributes:
        stop: set when the music has died away after :meth:`end` or :meth:`leave`.
        successor: what plays next; set before :meth:`leave`. None: nothing does.
    """

    def __init__(
        self, shared: SharedState, output: Output, performer: Performer, midi: MidiOut | None = None
    ) -> None:
        self._shared = shared
        self._output = output
        self._midi = midi
        self._performer = performer
        self._tap = TapWriter(shared, output.sample_rate)
        self._before = shared.performer.read()
        self._mixer = ChannelMixer()
        self._ending = False
        self._leaving = False
        self._ended_frames = 0
        self.stop = threading.Event()
        self.successor: tuple[Output, FluidSynth | None] | None = None

    def render(self, frames: int) -> bytes:
        """Return the next block of sound: ``frames`` frames, interleaved stereo s16le."""
        start_s, start_tick = time.monotonic(), self._performer.playhead_tick
        sound = self._performer.render(frames)
        if self._midi:
            ticks = start_tick, self._performer.playhead_tick
            is_playing = self._performer.playing and self._performer.begun
            self._midi.end_block(start_s, self._output.sample_rate, ticks, is_playing=is_playing)
        if self._ending:
            sound = self._fade(sound, frames)
        self._tap.write(sound, start_tick, self._performer.playhead_tick)
        plays = self._performer.playing or self._leaving
        self._report(Condition.PLAYING if plays else Condition.PAUSED)
        live = self._shared.live_settings.read()
        return self._mixer.apply(sound, Layout(live.balance, live.is_swapped, live.is_mono))

    def end(self) -> None:
        """Let the music die away from the next block on, and then set :attr:`stop`."""
        self._ending = True
        self.successor = None
        self._performer.end()

    def leave(self, successor: tuple[Output, FluidSynth | None]) -> None:
        """As :meth:`end`, but ``successor`` goes on at the same place in the music.

        Args:
            successor: an output that is open, and a synth for its sample rate; None: the old one.
        """
        if not self._ending:
            self.successor = successor
            self._leaving = self._performer.playing
            self._ending = True
            self._performer.end()

    def use_synth(self, synth: FluidSynth) -> None:
        """Play on another synth from one of the next blocks on."""
        self._performer.change_synth(with_midi(synth, self._midi))

    def close(self, condition: Condition) -> None:
        """Report ``condition`` for the last time."""
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
    """Play until SIGTERM, until the parent ends, or until the output fails; then exit."""
    parser = argparse.ArgumentParser(prog="appliance.workers.performer_process", allow_abbrev=False)
    parser.add_argument("--shared-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, help="process ID of the daemon")
    parser.add_argument("--output", required=True)
    parser.add_argument("--soundfont", type=Path, required=True)
    parser.add_argument("--block-frames", type=int, default=1024)
    parser.add_argument("--midi-port", default="")
    parser.add_argument("--midi-clock", action="store_true")
    parser.add_argument("--no-midi-programs", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(arguments)
    logs.install_in_worker(verbose=options.verbose)

    # Until the music plays, SIGTERM ends the process at once: opening a device may take long.
    end_with_parent(options.parent)
    # A Ctrl-C in the terminal reaches the daemon too, which then sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 0
    try:
        shared = SharedState.attach(options.shared_fd)
        try:
            with contextlib.nullcontext() if options.verbose else silence_stderr():
                _perform(shared, options)
        except DeviceLost as error:
            logger.warning("%s", error)
            shared.performer.write(
                shared.performer.read()._replace(condition=Condition.NO_SOUND_CARD)
            )
            shared.output.write(shared.output.read()._replace(playing_on="", problem=str(error)))
            code = EXIT_NO_CARD
        except _NeedsNewProcess:
            code = EXIT_OTHER_OUTPUT
    except BachboxError as error:
        logger.error("%s", error)
        code = error.exit_code
    except Exception as error:
        logger.exception("%s", bug_sentence(error))
        code = BachboxError.exit_code
    # Without the interpreter's clean-up, in which PortAudio may hang after a card was lost.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def with_midi(synth: Synth, midi: MidiOut | None) -> Synth:
    """Return a synth that plays on ``synth``, and on ``midi`` if there is one."""
    if midi is None:
        return synth
    from appliance.audio.midi.midi_synth import MidiSynth

    return MidiSynth(synth, midi)


def _perform(shared: SharedState, options: argparse.Namespace) -> None:
    if not options.midi_port:
        _play(shared, options, None)
        return
    from appliance.workers.midi_sink import open_midi_out

    midi = open_midi_out(
        shared,
        options.midi_port,
        has_clock=options.midi_clock,
        has_programs=not options.no_midi_programs,
    )
    try:
        _play(shared, options, midi)
    finally:
        if midi:
            midi.close()


def _play(shared: SharedState, options: argparse.Namespace, midi: MidiOut | None) -> None:
    before = shared.performer.read()
    shared.performer.write(before._replace(condition=Condition.STARTING, sounding=0))
    output = open_output(
        options.output,
        options.block_frames,
        resume=before.heartbeat > 0,
    )
    synth = FluidSynth(options.soundfont, output.sample_rate)
    stage = _Stage(shared, output, synth, midi)
    changes = OutputChanges(
        shared,
        output,
        options.soundfont,
        options.block_frames,
        lambda *successor: stage.loop.leave(successor),
        lambda new_synth: stage.loop.use_synth(new_synth),
        stage.restart_process,
    )

    def end(_signal: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, _EXIT_TIMEOUT_S)
        stage.is_ending = True
        stage.loop.end()

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        try:
            stage.loop.close(Condition.STOPPED)
            if midi:
                midi.release()
        finally:
            os._exit(0)

    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, end)
    _avoid_pauses()
    logger.info(
        "plays on %s at %d Hz in blocks of %d frames",
        output.name, output.sample_rate, options.block_frames,
    )  # fmt: skip
    if output.problem:
        logger.warning("%s", output.problem)
    changes.start()
    stage.run()
    if stage.is_starting_anew:
        raise _NeedsNewProcess


class _NeedsNewProcess(Exception):  # noqa: N818 - names what is needed
    """A new process can open an output that this one cannot."""


class _Stage:
    """The output, and what plays on it; one after another when the output changes."""

    def __init__(
        self, shared: SharedState, output: Output, synth: FluidSynth, midi: MidiOut | None
    ) -> None:
        self._shared = shared
        self._midi = midi
        self.is_ending = False
        self.is_starting_anew = False
        self._set(output, with_midi(synth, midi))

    def _set(self, output: Output, synth: Synth) -> None:
        """Take over at the playhead; the notes that were held are struck again."""
        shared = self._shared
        self._output = output
        reader = RingReader(shared)
        tempo_map = TempoMap(output.sample_rate, shared.live_settings.read().tempo_bpm)
        self.performer = Performer(reader, synth, tempo_map, shared.live_settings.read)
        self.performer.resume(events_before(shared, reader.read_index), reader.playhead_tick)
        self.loop = RenderLoop(shared, output, self.performer, self._midi)

    def restart_process(self) -> None:
        """End this process, so that another one opens the output."""
        self.is_starting_anew = True
        self.loop.end()

    def run(self) -> None:
        """Play until the end.

        Raises:
            DeviceLost: the card is gone.
        """
        while True:
            self._output.run(self.loop.render, self.loop.stop)
            self._output.close()
            successor = self.loop.successor
            if self.is_ending or self.is_starting_anew or successor is None:
                self.loop.close(Condition.STARTING if self.is_starting_anew else Condition.STOPPED)
                return
            output, synth = successor
            new = with_midi(synth, self._midi) if synth else self.performer.synth
            self._set(output, new)


def _avoid_pauses() -> None:
    """Avoid pauses in the audio callback: garbage collection and page faults."""
    gc.collect()
    gc.freeze()
    # What loading a soundfont has freed, 2.7 MB for the default one, would stay locked in memory.
    return_freed_memory()
    # Fails if the limit of locked memory is too low, as it usually is for a user; not an error.
    ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


if __name__ == "__main__":
    main()
