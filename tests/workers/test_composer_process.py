"""The composer as a process: a bounded way ahead of the ear, going back, killed and replaced."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.delegates import OFF, ModelLoader
from appliance.composing.model_file import ModelFile
from appliance.ipc.ring import RingReader
from appliance.ipc.shared_state import Action, LiveSettings, SharedState
from appliance.music.events import (
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    NoteOff,
    NoteOn,
    PieceStart,
)
from appliance.music.expression import BREATH_TICKS
from appliance.music.files import midi_writer
from appliance.workers.composer_process import BATCH_S, GUARD_S, ComposerWorker
from tests.support.making_music import (
    MODEL,
    MODELS,
    OPENING,
    altered,
    chords,
    compose,
    events_of,
    from_start,
    is_well_formed,
    piece_of,
)

TIMEOUT_S = 60.0
"""A hang fails the test; how fast things are is measured elsewhere."""
LOOK_AHEAD_S = 4.0
NEAR_S = 3
SEED = 11
CONTROLS = LiveSettings(tempo_bpm=120, temperature=0.9, top_p=0.95, model="chorales")
TICKS_PER_S = 120 * TICKS_PER_BEAT // 60


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not what():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.002)


class Ear:
    """Stands for the performer: listens to the ring as time goes on."""

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self.reader = RingReader(shared)
        self.playhead = 0
        self.heard: list[Event] = []

    def look(self) -> None:
        """A block passes in which no time does."""
        self.reader.refresh(self.playhead)

    def listen(self, up_to_tick: int) -> None:
        """Play on, no nearer to the horizon than where a composer would hurry."""
        while self.playhead < up_to_tick:
            self.look()
            before = self.playhead
            near_tick = self.reader.horizon_tick - NEAR_S * TICKS_PER_S
            self.playhead = min(up_to_tick, max(before, near_tick))
            while (event := self.reader.peek()) is not None and event.tick < self.playhead:
                self.heard.append(event)
                self.reader.pop()
            if self.playhead == before:
                until(self._has_more)
        self.look()

    def _has_more(self) -> bool:
        self.look()
        return self.reader.horizon_tick - NEAR_S * TICKS_PER_S > self.playhead

    @property
    def ahead_ticks(self) -> int:
        return self.shared.writer.read().horizon_tick - self.playhead


class Stage:
    """A board, an ear, and one composer process after the other."""

    def __init__(self, folder: Path) -> None:
        self.shared = SharedState.create()
        self.shared.live_settings.write(CONTROLS)
        self.ear = Ear(self.shared)
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None

    def start(self, *more: str, models: Path = MODELS, seed: int = SEED) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "appliance.workers.composer_process"),
                *("--shared-fd", str(self.shared.fd), "--models", str(models)),
                *("--seed", str(seed), "--look-ahead-s", str(LOOK_AHEAD_S), *more),
            ],
            pass_fds=(self.shared.fd,),
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def start_and_wait(self, *more: str) -> subprocess.Popen[str]:
        """Until it has composed as far ahead as it may."""
        process = self.start(*more)
        until(lambda: self.ear.ahead_ticks >= LOOK_AHEAD_S * TICKS_PER_S)
        return process

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def failed(self, *more: str, models: Path = MODELS) -> tuple[int, str]:
        """Exit code and the sentence of one that cannot work."""
        process = self.start(*more, models=models)
        said = process.communicate(timeout=TIMEOUT_S)[1]
        assert "Traceback" not in said
        lines = [line for line in said.splitlines() if line.startswith("bachbox: ")]
        assert len(lines) == 1, said
        return process.returncode, lines[0]

    def want(self, **changes: object) -> None:
        controls = self.shared.live_settings.read()
        self.shared.live_settings.write(controls._replace(**changes))  # type: ignore[arg-type]

    def act(self, action: Action) -> None:
        self.want(action=action, action_count=self.shared.live_settings.read().action_count + 1)

    def went_back(self, rewinds: int = 1) -> None:
        """Until the composer has composed anew, the ear saying yes."""

        def done() -> bool:
            self.ear.look()
            return self.shared.composer.read().rewinds >= rewinds

        until(done)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


def undisturbed(ticks: int, **changes: object) -> list[Event]:
    """What a composer in this process writes up to a tick."""
    composer = Composer(model_file.load(MODEL), seed=SEED, temperature=0.9, top_p=0.95)
    for name, value in changes.items():
        setattr(composer, name, value)
    events: list[Event] = []
    while composer.tick < ticks:
        events += composer.step()
    return [event for event in events if event.tick < ticks]


def test_it_is_so_far_ahead_and_no_farther(stage: Stage) -> None:
    wanted = LOOK_AHEAD_S * TICKS_PER_S
    stage.start_and_wait()
    for playhead in (0, 1000, 5000, 5001):
        stage.ear.listen(playhead)
        stage.ear.look()
        until(lambda: stage.ear.ahead_ticks >= wanted)
        beats = stage.shared.composer.read().heartbeat
        until(lambda beats=beats: stage.shared.composer.read().heartbeat > beats + 3)  # type: ignore[misc]
        assert wanted <= stage.ear.ahead_ticks <= wanted + BATCH_S * TICKS_PER_S + BREATH_TICKS
    assert stage.shared.composer.read().seed == SEED
    assert stage.shared.composer.read().ready
    assert stage.ear.heard == undisturbed(5001)


def test_it_composes_a_batch_at_a_time_and_waits_in_between(stage: Stage) -> None:
    wanted, batch = LOOK_AHEAD_S * TICKS_PER_S, BATCH_S * TICKS_PER_S
    stage.start_and_wait()
    until(lambda: stage.ear.ahead_ticks >= wanted + batch)
    full = stage.shared.composer.read().tokens
    stage.ear.listen(int(0.9 * batch))
    stage.ear.look()
    beats = stage.shared.composer.read().heartbeat
    until(lambda: stage.shared.composer.read().heartbeat > beats + 3)
    assert stage.shared.composer.read().tokens == full
    stage.ear.listen(int(1.2 * batch) + BREATH_TICKS)
    stage.ear.look()
    until(lambda: stage.ear.ahead_ticks >= wanted + batch)
    assert stage.shared.composer.read().tokens > full


def test_a_slower_tempo_needs_fewer_notes_for_the_same_seconds(stage: Stage) -> None:
    stage.want(tempo_bpm=40.0)
    stage.start()
    third = LOOK_AHEAD_S * TICKS_PER_S / 3
    until(lambda: stage.ear.ahead_ticks >= third)
    beats = stage.shared.composer.read().heartbeat
    until(lambda: stage.shared.composer.read().heartbeat > beats + 5)
    assert stage.ear.ahead_ticks <= third + BATCH_S * TICKS_PER_S / 3 + BREATH_TICKS


def test_another_temperature_is_heard_at_once_and_only_from_there(stage: Stage) -> None:
    stage.start_and_wait()
    stage.ear.listen(3000)
    stage.ear.look()
    stage.want(temperature=2.5)
    stage.went_back()
    rewind_tick = stage.shared.reader.read().accepted_tick
    guard_ticks = GUARD_S * TICKS_PER_S
    assert 3000 < rewind_tick <= 3000 + guard_ticks + TICKS_PER_STEP + BREATH_TICKS
    stage.ear.listen(6000)
    before = [event for event in stage.ear.heard if event.tick < rewind_tick]
    assert before == undisturbed(rewind_tick)
    assert stage.ear.heard != undisturbed(6000)
    # From there on it is what a composer writes whose knob is turned at that very place.
    composer = Composer(model_file.load(MODEL), seed=SEED, temperature=0.9, top_p=0.95)
    events: list[Event] = []
    while composer.tick < 6000:
        if composer.tick == rewind_tick:
            composer.temperature = 2.5
        events += composer.step()
    assert stage.ear.heard == [event for event in events if event.tick < 6000]


def test_a_knob_that_is_turned_and_turned_back_changes_nothing(stage: Stage) -> None:
    stage.start_and_wait()
    stage.ear.listen(2000)
    for number, temperature in enumerate((2.0, 1.5, 0.9), 1):
        stage.want(temperature=temperature)
        stage.went_back(number)
    stage.ear.listen(7000)
    assert stage.ear.heard == undisturbed(7000)


def test_the_next_piece_begins_after_a_breath(stage: Stage) -> None:
    stage.start_and_wait()
    stage.ear.listen(1500)
    stage.act(Action.NEXT_PIECE)
    stage.went_back()
    stage.ear.listen(4000)
    pieces = [piece_of(event) for event in stage.ear.heard if isinstance(event, PieceStart)]
    assert [about.number for about in pieces] == [1, 2]
    assert pieces[1].start_tick <= 1500 + GUARD_S * TICKS_PER_S + TICKS_PER_STEP + BREATH_TICKS
    quiet = [e for e in stage.ear.heard if e.tick < pieces[1].start_tick]
    assert is_well_formed(quiet)
    last = max(event.tick for event in quiet if isinstance(event, NoteOff))
    assert pieces[1].start_tick == last + BREATH_TICKS


def test_the_same_piece_again_is_the_same(stage: Stage) -> None:
    stage.start_and_wait()
    stage.ear.listen(1500)
    stage.act(Action.RESTART_PIECE)
    stage.went_back()
    stage.ear.listen(6000)
    starts = [at for at, e in enumerate(stage.ear.heard) if isinstance(e, PieceStart)]
    assert len(starts) == 2
    again = from_start(stage.ear.heard[starts[1] :])
    assert again == undisturbed(6000)[: len(again)]
    assert len(again) > 20


def test_one_that_is_killed_is_replaced_and_nobody_hears_it(stage: Stage) -> None:
    """At a few places, the last of them in the second piece."""
    for place in (0, 1700, 9000, 30_000):
        stage.start()
        stage.ear.listen(place + 800)
        stage.kill()
    stage.start()
    stage.ear.listen(34_000)
    assert stage.ear.heard == undisturbed(34_000)
    # Every note is counted once, however often it was read again; some are still to be heard.
    struck = sum(isinstance(event, NoteOn) for event in stage.ear.heard)
    steps_ahead = LOOK_AHEAD_S * TICKS_PER_S // TICKS_PER_STEP + 1
    assert struck <= stage.shared.composer.read().notes <= struck + 4 * steps_ahead


def test_one_killed_while_it_goes_back_is_replaced(stage: Stage) -> None:
    stage.start_and_wait()
    stage.ear.listen(2000)
    stage.want(temperature=2.0)
    until(lambda: stage.shared.rewind_request.read().epoch == 1)
    stage.kill()
    stage.start()
    beats = stage.shared.composer.read().heartbeat
    # Nobody answers yet: it waits, and is seen to be alive.
    until(lambda: stage.shared.composer.read().heartbeat > beats + 10)
    stage.ear.listen(6000)
    rewind_tick = stage.shared.reader.read().accepted_tick
    assert [e for e in stage.ear.heard if e.tick < rewind_tick] == undisturbed(rewind_tick)
    assert stage.ear.heard != undisturbed(6000)


def test_a_prime_opens_the_music_and_survives_a_kill(stage: Stage) -> None:
    path = stage.folder / "mine.mid"
    midi_writer.write(path, events_of(OPENING), tempo_bpm=80, program=0, title="Mine")
    stage.start("--prime", str(path))
    stage.ear.listen(20 * TICKS_PER_STEP)
    stage.kill()
    stage.start("--prime", str(path))
    stage.ear.listen(60 * TICKS_PER_STEP)
    model = model_file.load(MODEL)
    prime = model.opening(path)
    composer = Composer(model, seed=SEED, temperature=0.9, top_p=0.95, prime=prime)
    expected = [e for e in compose(composer, 70) if e.tick < 60 * TICKS_PER_STEP]
    assert stage.ear.heard == expected


def test_a_prime_of_four_thousand_events_fits(stage: Stage) -> None:
    busy = chords(*[(1, (72 + up, 67 + up, 60 + up, 48 + up)) for up in (0, 1)] * 256)
    path = stage.folder / "busy.mid"
    midi_writer.write(path, events_of(busy), tempo_bpm=80, program=0, title="Busy")
    stage.start("--prime", str(path))
    stage.ear.listen(520 * TICKS_PER_STEP)
    struck = [e for e in stage.ear.heard if isinstance(e, NoteOn)]
    assert len(struck) >= 4 * 512


def test_a_prime_that_does_not_fit(stage: Stage) -> None:
    path = stage.folder / "text.mid"
    path.write_text("no music")
    code, said = stage.failed("--prime", str(path))
    assert code == 2
    assert str(path) in said


def test_a_model_that_is_not_there(stage: Stage) -> None:
    stage.want(model="fugues")
    code, said = stage.failed()
    assert code == 2
    assert "no model called 'fugues'" in said
    assert "chorales" in said


def test_a_model_that_is_damaged(stage: Stage) -> None:
    (stage.folder / "chorales.tflite").write_bytes(MODEL.read_bytes()[:-100])
    code, said = stage.failed(models=stage.folder)
    assert code == 1
    assert "chorales.tflite" in said


def test_a_bad_model_asked_for_while_playing_is_refused_and_the_music_goes_on(
    stage: Stage,
) -> None:
    process = stage.start_and_wait()
    stage.ear.listen(1000)
    stage.want(model="fugues")
    stage.ear.listen(6000)
    assert stage.ear.heard == undisturbed(6000)
    process.terminate()
    assert "no model called 'fugues'" in process.communicate(timeout=TIMEOUT_S)[1]


def test_another_model_begins_a_new_piece(stage: Stage) -> None:
    (stage.folder / "chorales.tflite").symlink_to(MODEL)
    altered(stage.folder / "other.tflite", lambda about: about.update(title="Other"))
    process = stage.start("--models", str(stage.folder))
    stage.ear.listen(1000)
    until(lambda: stage.ear.ahead_ticks >= LOOK_AHEAD_S * TICKS_PER_S)
    stage.want(model="other")
    stage.went_back()
    stage.ear.listen(4000)
    pieces = [e.value for e in stage.ear.heard if isinstance(e, PieceStart)]
    assert process.poll() is None
    process.terminate()
    assert pieces == [1, 2], process.communicate(timeout=TIMEOUT_S)[1]


def test_another_model_is_loaded_before_anything_is_given_up_for_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stage.folder / "chorales.tflite").symlink_to(MODEL)
    altered(stage.folder / "other.tflite", lambda about: about.update(title="Other"))
    desk = ComposerWorker(stage.shared, [stage.folder], ModelLoader(OFF, pytest.fail), LOOK_AHEAD_S)
    desk.open(SEED, None)
    disk, load = threading.Event(), model_file.load

    def slowly(path: Path) -> ModelFile:
        disk.wait()
        return load(path)

    def work_until(what: Callable[[], bool]) -> None:
        def done() -> bool:
            desk.work()
            stage.ear.look()
            return what()

        until(done)

    monkeypatch.setattr(model_file, "load", slowly)
    try:
        stage.want(model="other")
        # Longer than it looks ahead.
        for playhead in range(0, 6000, 200):
            stage.ear.playhead = playhead
            work_until(lambda: stage.ear.ahead_ticks >= LOOK_AHEAD_S * TICKS_PER_S)
        assert stage.shared.rewind_request.read().epoch == 0
        assert stage.shared.composer.read().model == "chorales"
    finally:
        disk.set()
    work_until(lambda: stage.shared.composer.read().model == "other")
    assert stage.shared.reader.read().accepted_tick < 6000 + TICKS_PER_S


def test_what_is_asked_for_while_there_is_no_composer_is_done_by_the_next(stage: Stage) -> None:
    stage.start_and_wait()
    stage.ear.listen(1500)
    stage.kill()
    horizon = stage.shared.writer.read().horizon_tick
    stage.act(Action.NEXT_PIECE)
    stage.start_and_wait()
    stage.ear.listen(horizon + 2000)
    pieces = [piece_of(event) for event in stage.ear.heard if isinstance(event, PieceStart)]
    assert [about.number for about in pieces] == [1, 2]
    assert horizon <= pieces[1].start_tick <= horizon + BREATH_TICKS + TICKS_PER_STEP
    # And once only, also by a third.
    stage.kill()
    stage.start_and_wait()
    stage.ear.listen(horizon + 4000)
    assert [e.value for e in stage.ear.heard if isinstance(e, PieceStart)] == [1, 2]


def test_asked_to_stop_it_stops(stage: Stage) -> None:
    process = stage.start_and_wait()
    process.send_signal(signal.SIGINT)  # Ctrl-C reaches the whole group; the daemon decides.
    beats = stage.shared.composer.read().heartbeat
    until(lambda: stage.shared.composer.read().heartbeat > beats + 5)
    process.terminate()
    said = process.communicate(timeout=TIMEOUT_S)[1]
    assert process.returncode == 0
    assert "Traceback" not in said


def test_it_ends_with_its_parent(stage: Stage) -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'appliance.workers.composer_process', "
        "'--shared-fd', sys.argv[1], '--models', sys.argv[2], '--seed', '1'], "
        "pass_fds=(int(sys.argv[1]),))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(stage.shared.fd), str(MODELS)],
        pass_fds=(stage.shared.fd,),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    composer = psutil.Process(int(parent.stdout.readline()))
    until(lambda: stage.shared.composer.read().ready)
    parent.kill()
    parent.communicate()

    def gone() -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return composer.status() == psutil.STATUS_ZOMBIE
        return True

    until(gone)


def test_it_ends_where_its_parent_had_ended_before_it_began(stage: Stage) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    composer = subprocess.run(
        [
            *(sys.executable, "-m", "appliance.workers.composer_process"),
            *("--shared-fd", str(stage.shared.fd), "--parent", str(gone.pid)),
            *("--models", str(MODELS), "--seed", "1"),
        ],
        pass_fds=(stage.shared.fd,),
        timeout=TIMEOUT_S,
        check=False,
    )
    assert composer.returncode in (0, -signal.SIGTERM)


def test_started_by_hand_it_says_who_starts_it() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "appliance.workers.composer_process"),
            *("--shared-fd", "97", "--models", str(MODELS), "--seed", "1"),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    assert "bachbox play" in done.stderr
    assert "Traceback" not in done.stderr
