"""The composer's process: notes into the ring, a few seconds ahead of the ear.

Started by the daemon as ``python -m appliance.workers.composer_process``. One that is killed is
replaced by another, which finds in the ring the bars already composed and goes on from them.
It ends with 0 after SIGTERM, and with 1 or 2 and a sentence on standard error when starting
another would not help.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple, NoReturn

from appliance.composing import model_file
from appliance.composing.composer import REHEARSALS, Composer, Snapshot
from appliance.composing.delegates import AUTO, Models
from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import Bundle
from appliance.errors import BachboxError, UsageError
from appliance.ipc.ring import RingWriter, history
from appliance.ipc.shared_state import Action, ComposerState, LiveSettings, SharedState
from appliance.music.codecs.base import Opening
from appliance.music.events import TICKS_PER_BEAT, Event
from appliance.workers.parent_death import end_with_parent

POLL_S: Final = 0.01
"""How often a composer that is far enough ahead looks for something new."""

BATCH_S: Final = 1.5
"""So much more than the look-ahead is composed at once: a model of megabytes has left the
processor's cache after each nap, and a token right after another takes two thirds of the time."""

GUARD_S: Final = 0.1
"""What is so close to the ear is played as it is: the rewind begins after it."""

HURRY_S: Final = 1.0
"""With less than this ahead of the ear there is no time to rehearse an ending."""

PHRASE_STEPS: Final = 32
"""About so many 16ths are tried in a rehearsal of an ending."""

ROOM_FOR_A_STEP: Final = 64
"""Slots kept free for the events of one step."""

BEAT_S: Final = 0.25
"""How often the heart beats, at least, while a step takes long."""

_STEP_WEIGHT: Final = 0.05
"""Of the newest step, in the mean of what a step takes."""


class Mark(NamedTuple):
    """A place that can be gone back to."""

    slot: int
    """Slot of the first event after it."""
    snapshot: Snapshot


class ComposerWorker:
    """The composer at work: what it has written, and how it goes back."""

    def __init__(
        self, shared: SharedState, folders: list[Path], models: Models, look_ahead_s: float
    ) -> None:
        self._shared = shared
        self._folders = folders
        self._models = models
        self._look_ahead_s = look_ahead_s
        self._writer = RingWriter(shared)
        self._marks: deque[Mark] = deque()
        self._before = shared.composer.read()
        self._rewinds = self._before.rewinds
        # What was asked for while there was no composer is still to be done.
        self._seen = shared.live_settings.read()._replace(action_count=self._before.actions_done)
        self._wanted: LiveSettings | None = None
        self._asked: Mark | None = None
        self._loader = ThreadPoolExecutor(max_workers=1)
        self._loading: Future[Bundle] | None = None
        self._next: Bundle | None = None
        """Another model, ready to take over."""
        self._model = self._seen.model
        """The model that composes, or will."""
        self._wanted_model = self._model
        self._proven = self._before.model
        """The model that has composed something."""
        self._refused = ""
        self._filling = False
        """It has begun to compose, and goes on for a batch."""
        self._step_s = 1e-3
        """What a 16th has taken lately."""
        self._beat_at_s = 0.0
        self.composer: Composer

    def open(self, seed: int, prime: Path | None) -> None:
        """Load the model; begin, or go on where a composer before this one died.

        Raises:
            BachboxError: the model or the prime cannot be used.
        """
        loaded = self._models.load(model_file.find(self._seen.model, self._folders))
        while self._writer.cut_pending and self._writer.cut_answer() is None:
            # Only the performer can answer, and there may be none for want of a sound card.
            time.sleep(POLL_S)
            self._beat()
        resumed = self._writer.write_index > 0
        events = history(self._shared)
        self.composer = Composer(
            loaded,
            seed=self._before.seed if resumed else seed,
            temperature=self._seen.temperature,
            top_p=self._seen.top_p,
            prime=_opening(prime, loaded, events),
        )
        self.composer.on_token = self._beat_in_time
        if resumed:
            self._resume(events)
        self._report()

    def _beat(self) -> None:
        state = self._shared.composer.read()
        self._shared.composer.write(state._replace(heartbeat=state.heartbeat + 1))
        self._beat_at_s = time.monotonic()

    def _beat_in_time(self) -> None:
        if time.monotonic() - self._beat_at_s > BEAT_S:
            self._beat()

    def _resume(self, events: list[Event]) -> None:
        self.composer.piece = self._shared.performer.read().piece
        self._write(self.composer.resume(events, self._writer.horizon_tick))

    def work(self) -> None:
        """One look at the controls, and one step or one nap."""
        controls = self._shared.live_settings.read()
        self._mind_the_model(controls)
        if self._asked is not None:
            self._follow_answer()
        elif self._changed(controls):
            self._go_back(controls)
        elif self._wants_more(controls):
            self._compose(controls)
        else:
            self._nap(controls)
        self._report()

    def _nap(self, controls: LiveSettings) -> None:
        """Until music is wanted, or something else is: all that is looked at are the controls."""
        spare_s = self._ahead_s(controls) - self._look_ahead_s
        until_s = time.monotonic() + min(max(spare_s, POLL_S), BEAT_S)
        while time.monotonic() < until_s and self._shared.live_settings.read() is controls:
            time.sleep(POLL_S)
            if self._loading is not None and self._loading.done():
                break

    def _changed(self, controls: LiveSettings) -> bool:
        """Whether what was composed ahead is no longer what is wanted."""
        seen = self._seen
        return (
            controls.temperature != seen.temperature
            or controls.top_p != seen.top_p
            or controls.action_count != seen.action_count
            or self._next is not None
        )

    def _mind_the_model(self, controls: LiveSettings) -> None:
        """Have another model loaded while this one goes on composing: a disk may be slow."""
        if controls.model != self._wanted_model:
            self._wanted_model, self._next, self._refused = controls.model, None, ""
            other = controls.model != self._model
            self._loading = self._loader.submit(self._load, controls.model) if other else None
        elif self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            try:
                self._next = loading.result()
            except BachboxError as why:
                self._refuse(why)

    def _load(self, model: str) -> Bundle:
        loaded = self._models.load(model_file.find(model, self._folders))
        # What the runtime refuses, or crashes on, must do so before anything is given up for it.
        StepModel(replace(loaded, delegate=None))
        return loaded

    def _refuse(self, why: BachboxError) -> None:
        self._refused = self._wanted_model
        print(f"bachbox: {why}; the model stays as it is", file=sys.stderr)

    def _ahead_s(self, controls: LiveSettings) -> float:
        """How far the music is composed beyond the ear."""
        ahead_ticks = self._writer.horizon_tick - self._shared.reader.read().playhead_tick
        return ahead_ticks / _ticks_per_s(controls)

    def _wants_more(self, controls: LiveSettings) -> bool:
        wanted_s = self._look_ahead_s + (BATCH_S if self._filling else 0)
        self._filling = self._ahead_s(controls) < wanted_s
        return self._filling and self._writer.room() >= ROOM_FOR_A_STEP

    def _compose(self, controls: LiveSettings) -> None:
        spare_s = self._ahead_s(controls) - HURRY_S
        # No more than there is time for, as fast as it has gone lately: a machine may be slow.
        rehearsals = int(max(spare_s, 0.0) / (PHRASE_STEPS * self._step_s))
        self.composer.rehearsals = min(rehearsals, REHEARSALS)
        snapshot = self.composer.snapshot()
        if snapshot is not None:
            self._marks.append(Mark(self._writer.write_index, snapshot))
        playhead = self._shared.reader.read().playhead_tick
        while self._marks and self._marks[0].snapshot.tick <= playhead:
            self._marks.popleft()
        # Of processor: the same seed is to give the same endings on a busy machine too.
        begun_s = time.thread_time()
        self._write(self.composer.step())
        took_s = time.thread_time() - begun_s
        # One that rehearsed tells nothing of the ordinary ones.
        self._step_s += _STEP_WEIGHT * (min(took_s, 4 * self._step_s) - self._step_s)
        self._proven = self._model

    def _write(self, events: list[Event]) -> None:
        for event in events:
            self._writer.append(event)
        self._writer.publish(self.composer.tick)

    def _go_back(self, controls: LiveSettings) -> None:
        """Ask to write anew from the first mark that is far enough from the ear."""
        self._wanted = controls
        playhead = self._shared.reader.read().playhead_tick
        earliest = playhead + GUARD_S * _ticks_per_s(controls)
        for mark in self._marks:
            if mark.snapshot.tick >= earliest:
                self._asked = mark
                self._writer.request_cut(mark.slot, mark.snapshot.tick)
                return
        self._take_up(controls)

    def _follow_answer(self) -> None:
        """After the performer's yes, go back; after its no, ask again for a later place."""
        answer = self._writer.cut_answer()
        if answer is None:
            time.sleep(POLL_S / 10)
            return
        asked, self._asked = self._asked, None
        assert asked is not None
        assert self._wanted is not None
        if not answer:
            return
        while self._marks and self._marks[-1].snapshot.tick >= asked.snapshot.tick:
            self._marks.pop()
        self.composer.restore(asked.snapshot)
        self._rewinds += 1
        self._take_up(self._wanted)

    def _take_up(self, controls: LiveSettings) -> None:
        """Compose from here on as the controls say."""
        self.composer.temperature, self.composer.top_p = controls.temperature, controls.top_p
        if self._next is not None:
            try:
                self._write(self.composer.change_model(self._next))
                self._marks.clear()
                self._model = self._wanted_model
            except BachboxError as why:
                self._refuse(why)
            self._next = None
        if controls.action_count != self._seen.action_count:
            again = controls.action == Action.RESTART_PIECE
            self._write(self.composer.next_piece(again=again))
        self._seen = controls

    def _report(self) -> None:
        counts, cures, before = self.composer.counts, self.composer.cures, self._before
        self._shared.composer.write(
            ComposerState(
                heartbeat=self._shared.composer.read().heartbeat + 1,
                tokens=before.tokens + counts.tokens,
                notes=before.notes + counts.notes,
                pieces=before.pieces + counts.pieces,
                cured_frozen=before.cured_frozen + cures["frozen"],
                cured_loop=before.cured_loop + cures["loop"],
                cured_stuck=before.cured_stuck + cures["stuck"],
                cured_silence=before.cured_silence + cures["silence"],
                rewinds=self._rewinds,
                actions_done=self._seen.action_count,
                seed=self.composer.seed,
                ready=True,
                model=self._proven,
                refused=self._refused,
            )
        )
        self._beat_at_s = time.monotonic()


def _opening(prime: Path | None, loaded: Bundle, events: list[Event]) -> Opening | None:
    """The user's bars, at the start and for a composer that takes over in the midst of them."""
    if prime is None or (events and events[0].value != 1):
        return None
    try:
        return loaded.opening(prime)
    except UsageError:
        if not events:
            raise
        return None  # It was there at the start: the music is not to end because it has gone.


def _ticks_per_s(controls: LiveSettings) -> float:
    return controls.tempo_bpm * TICKS_PER_BEAT / 60


def _warn(sentence: str) -> None:
    print(f"bachbox: {sentence}", file=sys.stderr, flush=True)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    # Not by an exception, which could be lost in a callback: there is nothing to tidy up.
    os._exit(0)


def main() -> int:
    """Run until the daemon says stop or is gone."""
    parser = argparse.ArgumentParser(prog="python -m appliance.workers.composer_process")
    parser.add_argument("--shared-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, help="process ID of the daemon")
    parser.add_argument("--models", type=Path, action="append", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--look-ahead-s", type=float, default=4.0)
    parser.add_argument("--prime", type=Path)
    parser.add_argument("--delegate", default=AUTO)
    parser.add_argument("--after-death", action="store_true")
    asked = parser.parse_args()
    end_with_parent(asked.parent)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        models = Models(asked.delegate, _warn, after_death=asked.after_death)
        desk = ComposerWorker(
            SharedState.attach(asked.shared_fd), asked.models, models, asked.look_ahead_s
        )
        desk.open(asked.seed, asked.prime)
        while True:
            desk.work()
    except BachboxError as why:
        print(f"bachbox: {why}", file=sys.stderr)
        return why.exit_code


if __name__ == "__main__":
    sys.exit(main())
