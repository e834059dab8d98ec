"""The composer process: writes events into the ring, a few seconds ahead of the playhead.

The daemon starts it as ``python -m appliance.workers.composer_process``. If it is killed, the
next one finds the bars composed so far in the ring and continues from them. Its exit status is 0
after SIGTERM, and 1 or 2, with an error in the log, if another start would not help.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple, NoReturn

if __name__ == "__main__" and find_spec("_sha2" if sys.version_info >= (3, 12) else "_sha256"):
    # numpy imports OpenSSL, 3.4 MB, for a random seed that nobody asks it for.
    sys.modules["_hashlib"] = None  # type: ignore[assignment]

from appliance.common import logs
from appliance.common.freed_memory import return_freed_memory
from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.delegates import AUTO, ModelLoader
from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import ModelFile
from appliance.composing.snapshot import Snapshot
from appliance.errors import BachboxError, UsageError, bug_sentence
from appliance.ipc.ring import RingWriter, last_piece
from appliance.ipc.shared_state import Action, ComposerState, LiveSettings, SharedState
from appliance.music import key_names
from appliance.music.codecs.base import Opening
from appliance.music.events import TICKS_PER_BEAT, Event, Piece, PieceStart
from appliance.workers.composing_speed import ComposingSpeed
from appliance.workers.music_source import MusicSource, Place
from appliance.workers.parent_death import end_with_parent

POLL_INTERVAL_S: Final = 0.01
"""How often a composer that is far enough ahead checks the settings."""

BATCH_S: Final = 1.5
"""How much more than the look-ahead is composed at a time. A large model has left the processor's
cache after each wait, and a token right after another takes two thirds of the time."""

MIN_REWIND_AHEAD_S: Final = 0.1
"""A rewind begins at least this far after the playhead."""

MAX_EVENTS_PER_STEP: Final = 64
"""Slots of the ring that are kept free for the events of one step."""

HEARTBEAT_INTERVAL_S: Final = 0.25
"""The longest time between heartbeats while a step takes long."""

# Not __name__, which is "__main__" here.
logger = logging.getLogger("appliance.workers.composer_process")


class Checkpoint(NamedTuple):
    """A place that the composer can go back to."""

    ring_index: int
    """Index in the ring of the first event after it."""
    place: Place | Snapshot


class ComposerWorker:
    """Composes into the ring, and rewinds it when the settings change.

    Args:
        shared: the memory shared with the daemon and the performer.
        folders: where models are looked for.
        loader: loads them.
        look_ahead_s: how far ahead of the playhead to compose: ``[music] look_ahead_s``.
        saved_folder: where the saved pieces are; None: there are none.
    """

    def __init__(
        self,
        shared: SharedState,
        folders: list[Path],
        loader: ModelLoader,
        look_ahead_s: float,
        saved_folder: Path | None = None,
    ) -> None:
        self._shared = shared
        self._folders = folders
        self._loader = loader
        self._look_ahead_s = look_ahead_s
        self._saved_folder = saved_folder
        self._writer = RingWriter(shared)
        self._checkpoints: deque[Checkpoint] = deque()
        self._before = shared.composer.read()
        """The report of the composer before this one."""
        self._rewinds = self._before.rewinds
        # An action that was requested while there was no composer is still to be done.
        actions_done = self._before.actions_done
        self._applied = shared.live_settings.read()._replace(action_count=actions_done)
        """The settings that the newest music was composed with."""
        self._requested: LiveSettings | None = None
        """The settings that a pending rewind is for."""
        self._rewind_target: Checkpoint | None = None
        self._executor = ThreadPoolExecutor(max_workers=1)
        self._loading: Future[ModelFile] | None = None
        self._next_model_file: ModelFile | None = None
        """Another model, loaded and ready."""
        self._model = self._applied.model
        """Name of the model that composes, or is about to."""
        self._requested_model = self._model
        self._proven_model = self._before.model
        """Name of the model that has composed something."""
        self._refused_model = ""
        self._filling = False
        """Whether a batch is being composed."""
        self._heartbeat_at_s = 0.0
        self.composer: Composer
        self._source: MusicSource
        self._speed: ComposingSpeed

    def open(self, seed: int, prime: Path | None) -> None:
        """Load the model; begin, or continue where the composer before this one died.

        Args:
            seed: of a new session. A composer that takes over keeps the session's seed.
            prime: a file with music to start from.

        Raises:
            BachboxError: the model or the prime cannot be used.
        """
        model = self._loader.load(model_file.find(self._applied.model, self._folders))
        while self._writer.rewind_pending and self._writer.rewind_answer() is None:
            # Only the performer can answer, and without a sound card there may be none.
            time.sleep(POLL_INTERVAL_S)
            self._send_heartbeat()
        resumed = self._writer.write_index > 0
        events = last_piece(self._shared)
        self.composer = Composer(
            model,
            seed=self._before.seed if resumed else seed,
            temperature=self._applied.temperature,
            top_p=self._applied.top_p,
            prime=_opening(prime, model, events),
            key=key_names.find(self._applied.key),
        )
        self.composer.on_token = self._send_heartbeat_in_time
        self._source = MusicSource(self.composer, self._saved_folder)
        self._speed = ComposingSpeed(self.composer)
        if resumed:
            self._resume(events)
        return_freed_memory()
        self._report()

    def _send_heartbeat(self) -> None:
        state = self._shared.composer.read()
        self._shared.composer.write(state._replace(heartbeat=state.heartbeat + 1))
        self._heartbeat_at_s = time.monotonic()

    def _send_heartbeat_in_time(self) -> None:
        if time.monotonic() - self._heartbeat_at_s > HEARTBEAT_INTERVAL_S:
            self._send_heartbeat()

    def _resume(self, events: list[Event]) -> None:
        playing, number = self._shared.performer.read().piece, self._before.piece_number
        self._write(self._source.resume(events, self._writer.horizon_tick, playing, number))

    def work(self) -> None:
        """Check the settings once; then compose one step, or advance a rewind, or wait a while.

        Raises:
            BachboxError: the delegate failed, and the runtime refuses the model on the CPU.
        """
        settings = self._shared.live_settings.read()
        self._poll_model_load(settings)
        if self._rewind_target is not None:
            self._poll_rewind()
        elif self._changed(settings):
            self._request_rewind(settings)
        elif self._needs_more(settings):
            self._compose(settings)
        else:
            self._wait(settings)
        self._report()

    def _wait(self, settings: LiveSettings) -> None:
        """Sleep until music is needed, the settings change, or a model is loaded."""
        spare_s = self._ahead_s(settings) - self._look_ahead_s
        until_s = time.monotonic() + min(max(spare_s, POLL_INTERVAL_S), HEARTBEAT_INTERVAL_S)
        while time.monotonic() < until_s and self._shared.live_settings.read() is settings:
            time.sleep(POLL_INTERVAL_S)
            if self._loading is not None and self._loading.done():
                break

    def _changed(self, settings: LiveSettings) -> bool:
        """Whether the music ahead of the playhead is no longer what is wanted."""
        applied = self._applied
        return (
            settings.temperature != applied.temperature
            or settings.top_p != applied.top_p
            or settings.action_count != applied.action_count
            or self._next_model_file is not None
        )

    def _poll_model_load(self, settings: LiveSettings) -> None:
        """Load another model in a thread: disks may be slow, and the music must not wait."""
        if settings.model != self._requested_model:
            self._requested_model = settings.model
            self._next_model_file, self._loading, self._refused_model = None, None, ""
            if settings.model != self._model:
                self._loading = self._executor.submit(self._load, settings.model)
        elif self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            try:
                self._next_model_file = loading.result()
            except BachboxError as why:
                self._refuse_model(why)

    def _load(self, name: str) -> ModelFile:
        model = self._loader.load(model_file.find(name, self._folders))
        # A model that the runtime refuses, or crashes on, must do so before the music changes.
        StepModel(replace(model, delegate=None))
        return model

    def _refuse_model(self, why: BachboxError) -> None:
        self._refused_model = self._requested_model
        logger.warning("%s; the model stays as it is", why)

    def _ahead_s(self, settings: LiveSettings) -> float:
        """How much music is composed beyond the playhead."""
        ahead_ticks = self._writer.horizon_tick - self._shared.reader.read().playhead_tick
        return ahead_ticks / _ticks_per_s(settings, self._source.piece)

    def _needs_more(self, settings: LiveSettings) -> bool:
        wanted_s = self._look_ahead_s + (BATCH_S if self._filling else 0)
        self._filling = self._ahead_s(settings) < wanted_s
        return self._filling and self._writer.room() >= MAX_EVENTS_PER_STEP

    def _compose(self, settings: LiveSettings) -> None:
        self.composer.change_key(key_names.find(settings.key))
        self.composer.repeats = settings.repeats
        if (place := self._source.place()) is not None:
            self._checkpoints.append(Checkpoint(self._writer.write_index, place))
        playhead_tick = self._shared.reader.read().playhead_tick
        while self._checkpoints and self._checkpoints[0].place.tick <= playhead_tick:
            self._checkpoints.popleft()
        first = not self._before.notes + self.composer.counts.notes
        ahead_s = self._ahead_s(settings)
        self._write(self._source.step(lambda: self._speed.step(ahead_s, first=first)))
        self._proven_model = self._model

    def _write(self, events: list[Event]) -> None:
        for event in events:
            self._writer.append(event)
        self._writer.publish(self._source.tick)

    def _request_rewind(self, settings: LiveSettings) -> None:
        """Ask to rewind to the first checkpoint that is far enough after the playhead."""
        self._requested = settings
        if settings.action_count != self._applied.action_count:
            self._source.load(settings)
        ahead_ticks = MIN_REWIND_AHEAD_S * _ticks_per_s(settings, self._source.piece)
        earliest_tick = self._shared.reader.read().playhead_tick + ahead_ticks
        for checkpoint in self._checkpoints:
            if checkpoint.place.tick >= earliest_tick:
                self._rewind_target = checkpoint
                self._writer.request_rewind(checkpoint.ring_index, checkpoint.place.tick)
                return
        self._apply(settings)

    def _poll_rewind(self) -> None:
        """If the performer has agreed, go back; if it has refused, a later place is next."""
        if (answer := self._writer.rewind_answer()) is None:
            time.sleep(POLL_INTERVAL_S / 10)
            return
        target, self._rewind_target = self._rewind_target, None
        assert target is not None
        assert self._requested is not None
        if not answer:
            return
        while self._checkpoints and self._checkpoints[-1].place.tick >= target.place.tick:
            self._checkpoints.pop()
        self._source.restore(target.place)
        self._rewinds += 1
        self._apply(self._requested)

    def _apply(self, settings: LiveSettings) -> None:
        """Compose with these settings from here on."""
        self.composer.temperature, self.composer.top_p = settings.temperature, settings.top_p
        if self._next_model_file is not None:
            try:
                self._write(self._source.change_model(self._next_model_file))
                self._checkpoints.clear()
                self._model = self._requested_model
            except BachboxError as why:
                self._refuse_model(why)
            self._next_model_file = None
        if settings.action_count != self._applied.action_count:
            if settings.action is Action.PLAY_SAVED:
                self._write(self._source.play_saved(settings))
            else:
                restart = settings.action is Action.RESTART_PIECE
                self._write(self._source.next_piece(restart=restart))
        self._applied = settings

    def _report(self) -> None:
        before, counts = self._before, self.composer.counts
        interventions = self.composer.interventions
        self._shared.composer.write(
            ComposerState(
                heartbeat=self._shared.composer.read().heartbeat + 1,
                tokens=before.tokens + counts.tokens,
                notes=before.notes + counts.notes,
                pieces=before.pieces + counts.pieces,
                frozen_interventions=before.frozen_interventions + interventions["frozen"],
                loop_interventions=before.loop_interventions + interventions["loop"],
                stuck_interventions=before.stuck_interventions + interventions["stuck"],
                silence_interventions=before.silence_interventions + interventions["silence"],
                rewinds=self._rewinds,
                actions_done=self._applied.action_count,
                piece_number=self.composer.piece.number,
                seed=self.composer.seed,
                ready=True,
                model=self._proven_model,
                refused=self._refused_model,
            )
        )
        self._heartbeat_at_s = time.monotonic()


def _opening(prime: Path | None, model: ModelFile, events: list[Event]) -> Opening | None:
    """The music to start from, which a composer that takes over in the first piece needs too.

    ``events`` are those of the piece that was being composed; empty at the start of a session.
    """
    first = events[0] if events else None
    if prime is None or (events and not (isinstance(first, PieceStart) and first.number == 1)):
        return None
    try:
        return model.opening(prime)
    except UsageError:
        if not events:
            raise
        return None  # It existed at the start. The music must not end because it has gone.


def _ticks_per_s(settings: LiveSettings, piece: Piece) -> float:
    return piece.sounding_bpm(settings.tempo_bpm) * TICKS_PER_BEAT / 60


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    # Not with an exception, which could be lost in a callback; there is nothing to clean up.
    os._exit(0)


def main() -> int:
    """Compose until SIGTERM or until the daemon is gone, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m appliance.workers.composer_process")
    parser.add_argument("--shared-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, help="process ID of the daemon")
    parser.add_argument("--models", type=Path, action="append", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--look-ahead-s", type=float, required=True)
    parser.add_argument("--prime", type=Path)
    parser.add_argument("--saved-pieces", type=Path)
    parser.add_argument("--delegate", default=AUTO)
    parser.add_argument("--after-death", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    logs.install_in_worker(verbose=options.verbose)
    end_with_parent(options.parent)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        loader = ModelLoader(options.delegate, logger.warning, after_death=options.after_death)
        worker = ComposerWorker(
            SharedState.attach(options.shared_fd),
            options.models,
            loader,
            options.look_ahead_s,
            options.saved_pieces,
        )
        worker.open(options.seed, options.prime)
        while True:
            worker.work()
    except BachboxError as why:
        logger.error("%s", why)
        return why.exit_code
    except Exception as error:
        logger.exception("%s", bug_sentence(error))
        return BachboxError.exit_code


if __name__ == "__main__":
    sys.exit(main())
