"""The composer process: its look-ahead, its rewinds, and what replaces a killed one."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.delegates import OFF, ModelLoader
from appliance.composing.model_file import ModelFile
from appliance.ipc.ring import RingReader, last_piece
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
from appliance.workers.composer_process import BATCH_S, MIN_REWIND_AHEAD_S, ComposerWorker
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

TIMEOUT_S = 120.0
"""A hang fails the test. Speed is measured elsewhere."""
LOOK_AHEAD_S = 4.0
NEAR_S = 3
SEED = 11
SETTINGS = LiveSettings(tempo_bpm=120, temperature=0.9, top_p=0.95, model="chorales")
TICKS_PER_S = 120 * TICKS_PER_BEAT // 60


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not what():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.002)


class FakePerformer:
    """A stand-in for the performer, which reads the ring as time passes."""

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self.reader = RingReader(shared)
        self.playhead = 0
        self.played: list[Event] = []

    def refresh(self) -> None:
        """Play a block of no length."""
        self.reader.refresh(self.playhead)

    def play(self, up_to_tick: int) -> None:
        """Play up to a tick, but never so near to the horizon that a composer would hurry."""
        while self.playhead < up_to_tick:
            self.refresh()
            before = self.playhead
            near_tick = self.reader.horizon_tick - NEAR_S * TICKS_PER_S
            self.playhead = min(up_to_tick, max(before, near_tick))
            while (event := self.reader.peek()) is not None and event.tick < self.playhead:
                self.played.append(event)
                self.reader.pop()
            if self.playhead == before:
                until(self._has_more)
        self.refresh()

    def _has_more(self) -> bool:
        self.refresh()
        return self.reader.horizon_tick - NEAR_S * TICKS_PER_S > self.playhead

    @property
    def ahead_ticks(self) -> int:
        return self.shared.writer.read().horizon_tick - self.playhead


class Stage:
    """Shared memory, a performer, and one composer process after the other."""

    def __init__(self, folder: Path) -> None:
        self.shared = SharedState.create()
        self.shared.live_settings.write(SETTINGS)
        self.performer = FakePerformer(self.shared)
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
        """Start, and wait until it has composed the whole look-ahead."""
        process = self.start(*more)
        until(lambda: self.performer.ahead_ticks >= self.look_ahead_ticks)
        return process

    @property
    def look_ahead_ticks(self) -> float:
        """Fewer in a piece that is slower than others at the same set tempo."""
        events = last_piece(self.shared)
        first = events[0] if events else None
        bpm = SETTINGS.tempo_bpm
        bpm = first.piece.sounding_bpm(bpm) if isinstance(first, PieceStart) else bpm
        return LOOK_AHEAD_S * bpm * TICKS_PER_BEAT / 60

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def failed(self, *more: str, models: Path = MODELS) -> tuple[int, str]:
        """Exit code and error of a process that cannot start."""
        process = self.start(*more, models=models)
        said = process.communicate(timeout=TIMEOUT_S)[1]
        assert "Traceback" not in said
        lines = [line for line in said.splitlines() if line.startswith("<3>")]  # LOG_ERR
        assert len(lines) == 1, said
        return process.returncode, lines[0]

    def set(self, **changes: object) -> None:
        settings = self.shared.live_settings.read()
        self.shared.live_settings.write(settings._replace(**changes))  # type: ignore[arg-type]

    def act(self, action: Action) -> None:
        self.set(action=action, action_count=self.shared.live_settings.read().action_count + 1)

    def wait_for_rewinds(self, rewinds: int = 1) -> None:
        """Wait until the composer has rewound that often; the performer agrees."""

        def done() -> bool:
            self.performer.refresh()
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


def ticks_of_first_piece(seconds: float) -> float:
    """How many ticks of the first piece sound in that time, at the piece's own tempo."""
    piece = next(piece_of(e) for e in undisturbed(TICKS_PER_STEP) if isinstance(e, PieceStart))
    return seconds * piece.sounding_bpm(SETTINGS.tempo_bpm) * TICKS_PER_BEAT / 60


def test_it_composes_the_look_ahead_and_no_more(stage: Stage) -> None:
    wanted = ticks_of_first_piece(LOOK_AHEAD_S)
    most = ticks_of_first_piece(LOOK_AHEAD_S + BATCH_S) + BREATH_TICKS
    stage.start_and_wait()
    for playhead in (0, 1000, 5000, 5001):
        stage.performer.play(playhead)
        stage.performer.refresh()
        until(lambda: stage.performer.ahead_ticks >= wanted)
        beats = stage.shared.composer.read().heartbeat
        until(lambda beats=beats: stage.shared.composer.read().heartbeat > beats + 3)  # type: ignore[misc]
        assert wanted <= stage.performer.ahead_ticks <= most
    assert stage.shared.composer.read().seed == SEED
    assert stage.shared.composer.read().ready
    assert stage.performer.played == undisturbed(5001)


def tokens_when_idle(stage: Stage) -> int:
    """The number of tokens once the composer has finished what it was at."""

    def has_beaten_since(heartbeat: int) -> bool:
        # An idle composer has a hundred heartbeats in a second, one at work only four.
        return stage.shared.composer.read().heartbeat > heartbeat + 30

    while True:
        before = stage.shared.composer.read()
        until(partial(has_beaten_since, before.heartbeat))
        if stage.shared.composer.read().tokens == before.tokens:
            return before.tokens


def test_it_composes_in_batches(stage: Stage) -> None:
    wanted, batch = ticks_of_first_piece(LOOK_AHEAD_S), ticks_of_first_piece(BATCH_S)
    stage.start_and_wait()
    until(lambda: stage.performer.ahead_ticks >= wanted + batch)
    full = tokens_when_idle(stage)
    stage.performer.play(int(0.9 * batch))
    stage.performer.refresh()
    assert tokens_when_idle(stage) == full
    stage.performer.play(int(1.2 * batch) + BREATH_TICKS)
    stage.performer.refresh()
    until(lambda: stage.performer.ahead_ticks >= wanted + batch)
    assert stage.shared.composer.read().tokens > full


def test_a_slower_tempo_needs_fewer_notes_for_the_same_seconds(stage: Stage) -> None:
    stage.set(tempo_bpm=40.0)
    stage.start()
    third = LOOK_AHEAD_S * TICKS_PER_S / 3
    until(lambda: stage.performer.ahead_ticks >= third)
    beats = stage.shared.composer.read().heartbeat
    until(lambda: stage.shared.composer.read().heartbeat > beats + 5)
    assert stage.performer.ahead_ticks <= third + BATCH_S * TICKS_PER_S / 3 + BREATH_TICKS


def test_another_temperature_acts_at_once(stage: Stage) -> None:
    stage.start_and_wait()
    stage.performer.play(3000)
    stage.performer.refresh()
    stage.set(temperature=2.5)
    stage.wait_for_rewinds()
    rewind_tick = stage.shared.reader.read().accepted_tick
    min_ahead_ticks = MIN_REWIND_AHEAD_S * TICKS_PER_S
    assert 3000 < rewind_tick <= 3000 + min_ahead_ticks + TICKS_PER_STEP + BREATH_TICKS
    stage.performer.play(6000)
    before = [event for event in stage.performer.played if event.tick < rewind_tick]
    assert before == undisturbed(rewind_tick)
    assert stage.performer.played != undisturbed(6000)
    # From there on it is what a composer writes whose temperature changes at that very place.
    composer = Composer(model_file.load(MODEL), seed=SEED, temperature=0.9, top_p=0.95)
    events: list[Event] = []
    while composer.tick < 6000:
        if composer.tick == rewind_tick:
            composer.temperature = 2.5
        events += composer.step()
    assert stage.performer.played == [event for event in events if event.tick < 6000]


def test_a_temperature_that_is_changed_and_changed_back_has_no_effect(stage: Stage) -> None:
    stage.start_and_wait()
    stage.performer.play(2000)
    for number, temperature in enumerate((2.0, 1.5, 0.9), 1):
        stage.set(temperature=temperature)
        stage.wait_for_rewinds(number)
    stage.performer.play(7000)
    assert stage.performer.played == undisturbed(7000)


def test_the_next_piece_begins_after_a_pause(stage: Stage) -> None:
    stage.start_and_wait()
    stage.performer.play(1500)
    stage.act(Action.NEXT_PIECE)
    stage.wait_for_rewinds()
    stage.performer.play(4000)
    pieces = [piece_of(event) for event in stage.performer.played if isinstance(event, PieceStart)]
    assert [about.number for about in pieces] == [1, 2]
    assert (
        pieces[1].start_tick
        <= 1500 + MIN_REWIND_AHEAD_S * TICKS_PER_S + TICKS_PER_STEP + BREATH_TICKS
    )
    quiet = [e for e in stage.performer.played if e.tick < pieces[1].start_tick]
    assert is_well_formed(quiet)
    last = max(event.tick for event in quiet if isinstance(event, NoteOff))
    assert pieces[1].start_tick == last + BREATH_TICKS


def test_a_restarted_piece_is_the_same(stage: Stage) -> None:
    stage.start_and_wait()
    stage.performer.play(1500)
    stage.act(Action.RESTART_PIECE)
    stage.wait_for_rewinds()
    stage.performer.play(6000)
    starts = [at for at, e in enumerate(stage.performer.played) if isinstance(e, PieceStart)]
    assert len(starts) == 2
    again = from_start(stage.performer.played[starts[1] :])
    assert again == undisturbed(6000)[: len(again)]
    assert len(again) > 20


def test_a_killed_composer_is_replaced_without_any_change_of_the_music(stage: Stage) -> None:
    """Killed at a few places, the last of them in the second piece."""
    for place in (0, 1700, 9000, 30_000):
        stage.start()
        stage.performer.play(place + 800)
        stage.kill()
    stage.start()
    stage.performer.play(34_000)
    assert stage.performer.played == undisturbed(34_000)
    # Every note is counted once, even if it was replayed; some are still to be played.
    struck = sum(isinstance(event, NoteOn) for event in stage.performer.played)
    steps_ahead = LOOK_AHEAD_S * TICKS_PER_S // TICKS_PER_STEP + 1
    assert struck <= stage.shared.composer.read().notes <= struck + 4 * steps_ahead


def test_a_composer_killed_during_a_rewind_is_replaced(stage: Stage) -> None:
    stage.start_and_wait()
    stage.performer.play(2000)
    stage.set(temperature=2.0)
    until(lambda: stage.shared.rewind_request.read().epoch == 1)
    stage.kill()
    stage.start()
    beats = stage.shared.composer.read().heartbeat
    # Nobody answers yet. It waits, and its heartbeat continues.
    until(lambda: stage.shared.composer.read().heartbeat > beats + 10)
    stage.performer.play(6000)
    rewind_tick = stage.shared.reader.read().accepted_tick
    assert [e for e in stage.performer.played if e.tick < rewind_tick] == undisturbed(rewind_tick)
    assert stage.performer.played != undisturbed(6000)


def test_a_prime_survives_a_kill(stage: Stage) -> None:
    path = stage.folder / "mine.mid"
    midi_writer.write(path, events_of(OPENING), tempo_bpm=80, program=0, title="Mine")
    stage.start("--prime", str(path))
    stage.performer.play(20 * TICKS_PER_STEP)
    stage.kill()
    stage.start("--prime", str(path))
    stage.performer.play(60 * TICKS_PER_STEP)
    model = model_file.load(MODEL)
    prime = model.opening(path)
    composer = Composer(model, seed=SEED, temperature=0.9, top_p=0.95, prime=prime)
    expected = [e for e in compose(composer, 70) if e.tick < 60 * TICKS_PER_STEP]
    assert stage.performer.played == expected


def test_a_prime_of_four_thousand_events_fits(stage: Stage) -> None:
    busy = chords(*[(1, (72 + up, 67 + up, 60 + up, 48 + up)) for up in (0, 1)] * 256)
    path = stage.folder / "busy.mid"
    midi_writer.write(path, events_of(busy), tempo_bpm=80, program=0, title="Busy")
    stage.start("--prime", str(path))
    stage.performer.play(520 * TICKS_PER_STEP)
    struck = [e for e in stage.performer.played if isinstance(e, NoteOn)]
    assert len(struck) >= 4 * 512


def test_a_prime_that_does_not_fit(stage: Stage) -> None:
    path = stage.folder / "text.mid"
    path.write_text("no music")
    code, said = stage.failed("--prime", str(path))
    assert code == 2
    assert str(path) in said


def test_a_model_that_is_not_there(stage: Stage) -> None:
    stage.set(model="fugues")
    code, said = stage.failed()
    assert code == 2
    assert "no model called 'fugues'" in said
    assert "chorales" in said


def test_a_model_that_is_damaged(stage: Stage) -> None:
    (stage.folder / "chorales.tflite").write_bytes(MODEL.read_bytes()[:-100])
    code, said = stage.failed(models=stage.folder)
    assert code == 1
    assert "chorales.tflite" in said


def test_a_bad_model_is_refused_while_the_music_continues(
    stage: Stage,
) -> None:
    process = stage.start_and_wait()
    stage.performer.play(1000)
    stage.set(model="fugues")
    stage.performer.play(6000)
    assert stage.performer.played == undisturbed(6000)
    process.terminate()
    assert "no model called 'fugues'" in process.communicate(timeout=TIMEOUT_S)[1]


def test_another_model_begins_a_new_piece(stage: Stage) -> None:
    (stage.folder / "chorales.tflite").symlink_to(MODEL)
    altered(stage.folder / "other.tflite", lambda about: about.update(title="Other"))
    process = stage.start("--models", str(stage.folder))
    stage.performer.play(1000)
    until(lambda: stage.performer.ahead_ticks >= stage.look_ahead_ticks)
    stage.set(model="other")
    stage.wait_for_rewinds()
    stage.performer.play(4000)
    pieces = [e.number for e in stage.performer.played if isinstance(e, PieceStart)]
    assert process.poll() is None
    process.terminate()
    assert pieces == [1, 2], process.communicate(timeout=TIMEOUT_S)[1]


def test_another_model_is_loaded_before_the_music_changes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stage.folder / "chorales.tflite").symlink_to(MODEL)
    altered(stage.folder / "other.tflite", lambda about: about.update(title="Other"))
    worker = ComposerWorker(
        stage.shared, [stage.folder], ModelLoader(OFF, pytest.fail), LOOK_AHEAD_S
    )
    worker.open(SEED, None)
    disk, load = threading.Event(), model_file.load

    def slowly(path: Path) -> ModelFile:
        disk.wait()
        return load(path)

    def work_until(what: Callable[[], bool]) -> None:
        def done() -> bool:
            worker.work()
            stage.performer.refresh()
            return what()

        until(done)

    monkeypatch.setattr(model_file, "load", slowly)
    try:
        stage.set(model="other")
        # For longer than the look-ahead.
        for playhead in range(0, 6000, 200):
            stage.performer.playhead = playhead
            work_until(lambda: stage.performer.ahead_ticks >= stage.look_ahead_ticks)
        assert stage.shared.rewind_request.read().epoch == 0
        assert stage.shared.composer.read().model == "chorales"
    finally:
        disk.set()
    work_until(lambda: stage.shared.composer.read().model == "other")
    assert stage.shared.reader.read().accepted_tick < 6000 + TICKS_PER_S


def test_an_action_requested_without_a_composer_is_done_by_the_next(stage: Stage) -> None:
    stage.start_and_wait()
    stage.performer.play(1500)
    stage.kill()
    horizon = stage.shared.writer.read().horizon_tick
    stage.act(Action.NEXT_PIECE)
    stage.start_and_wait()
    stage.performer.play(horizon + 2000)
    pieces = [piece_of(event) for event in stage.performer.played if isinstance(event, PieceStart)]
    assert [about.number for about in pieces] == [1, 2]
    assert horizon <= pieces[1].start_tick <= horizon + BREATH_TICKS + TICKS_PER_STEP
    # And once only, even if a third composer follows.
    stage.kill()
    stage.start_and_wait()
    stage.performer.play(horizon + 4000)
    assert [e.number for e in stage.performer.played if isinstance(e, PieceStart)] == [1, 2]


def test_it_stops_at_sigterm_but_not_at_sigint(stage: Stage) -> None:
    process = stage.start_and_wait()
    process.send_signal(signal.SIGINT)  # Ctrl-C reaches all processes; the daemon decides.
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
        "'--shared-fd', sys.argv[1], '--models', sys.argv[2], "
        "'--seed', '1', '--look-ahead-s', '4'], "
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


def test_it_ends_if_its_parent_ended_before_it_began(stage: Stage) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    composer = subprocess.run(
        [
            *(sys.executable, "-m", "appliance.workers.composer_process"),
            *("--shared-fd", str(stage.shared.fd), "--parent", str(gone.pid)),
            *("--models", str(MODELS), "--seed", "1", "--look-ahead-s", "4"),
        ],
        pass_fds=(stage.shared.fd,),
        timeout=TIMEOUT_S,
        check=False,
    )
    assert composer.returncode in (0, -signal.SIGTERM)


def test_started_by_hand_it_says_how_to_start_it() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "appliance.workers.composer_process"),
            *("--shared-fd", "97", "--models", str(MODELS), "--seed", "1", "--look-ahead-s", "4"),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    assert "bachbox play" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_composer_that_reads_no_score_imports_no_reader() -> None:
    """mido and what it needs would take 4 MiB of the 512 that a Pi Zero 2 W has."""
    code = "import sys, appliance.workers.composer_process; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "appliance.composing.composer" in modules
    assert "mido" not in modules
    assert "appliance.music.files.score_reader" in modules
