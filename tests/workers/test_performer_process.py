"""The performer process on a virtual sound card: played, controlled, ended and killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.ipc.ring import RingWriter
from appliance.ipc.shared_state import Condition, LiveSettings, SharedState
from appliance.music.events import Event, NoteOff, NoteOn, Piece
from appliance.workers.performer_process import RenderLoop
from tests.support.spectrum import active_seconds, frequency_hz, stereo
from tests.support.virtual_card import RATE, VirtualCard, virtual_card

TIMEOUT_S = 120.0
"""A hang fails the test. Speed is measured by `make bench`."""

FLUTE = 73
TICKS_PER_SECOND = 960
"""At 120 quarter notes per minute."""


class Composer:
    """Writes one flute note after another, about a second ahead."""

    def __init__(self, shared: SharedState, pitch: int = 69, note_ticks: int = 480) -> None:
        self.shared = shared
        self.writer = RingWriter(shared)
        self.pitch = pitch
        self.note_ticks = note_ticks
        self.answers: list[bool] = []
        self.ends: list[tuple[int, int]] = []
        self._stop = threading.Event()
        self._change_to: int | None = None
        self._thread = threading.Thread(target=self._run)
        self.compose()
        self._thread.start()

    def compose(self) -> None:
        playhead = self.shared.reader.read().playhead_tick
        while self.writer.horizon_tick < playhead + 2 * TICKS_PER_SECOND:
            tick = self.writer.horizon_tick
            end = tick + self.note_ticks
            for event in self._note(tick, end):
                self.writer.append(event)
            self.writer.publish(end)
            self.ends.append((self.writer.write_index, end))

    def change_to(self, pitch: int) -> None:
        """Write another pitch as soon after the playhead as a note ends.

        What the performer refuses, as it came too late, is asked for again.
        """
        self._change_to = pitch

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _note(self, tick: int, end: int) -> list[Event]:
        return [NoteOn(tick, 0, self.pitch, 100), NoteOff(end - 1, 0, self.pitch)]

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            if self.writer.rewind_pending:
                answer = self.writer.rewind_answer()
                if answer is None:
                    continue
                self.answers.append(answer)
                if answer:
                    self.ends = [end for end in self.ends if end[1] <= self.writer.horizon_tick]
                    self.pitch, self._change_to = self._change_to or self.pitch, None
            elif self._change_to is not None:
                guard = self.shared.reader.read().playhead_tick + TICKS_PER_SECOND // 10
                for index, tick in self.ends:
                    if tick > guard:
                        self.writer.request_rewind(index, tick)
                        break
                else:
                    self.compose()
                continue
            self.compose()


class Worker:
    """A performer process."""

    def __init__(
        self, shared: SharedState, output: str, soundfont: Path, env: dict[str, str]
    ) -> None:
        self.shared = shared
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "appliance.workers.performer_process"),
                *("--shared-fd", str(shared.fd), "--output", output),
                *("--soundfont", str(soundfont)),
            ],
            env=env,
            pass_fds=[shared.fd],
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, condition: Callable[[], bool], seconds: float = TIMEOUT_S) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"never: {self.shared.performer.read()}"
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def wait_for_seconds_played(self, seconds: float) -> None:
        rate = self.shared.performer.read().sample_rate
        goal = self.shared.performer.read().frames_played + seconds * rate
        self.wait_for(lambda: self.shared.performer.read().frames_played >= goal)

    def wait_for_sound(self) -> None:
        self.wait_for(lambda: self.shared.performer.read().condition is Condition.PLAYING)

    def end(self) -> tuple[int, str]:
        """Send SIGTERM; return the exit code and standard error."""
        self.process.terminate()
        _, said = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, said

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def shared() -> Iterator[SharedState]:
    shared = SharedState.create()
    shared.live_settings.write(LiveSettings(tempo_bpm=120.0, program=FLUTE, volume=80.0))
    yield shared
    shared.close()


@pytest.fixture
def composer(shared: SharedState) -> Iterator[Composer]:
    composer = Composer(shared)
    yield composer
    composer.close()


@contextlib.contextmanager
def _worker(
    shared: SharedState, output: str, soundfont: Path, env: dict[str, str]
) -> Iterator[Worker]:
    worker = Worker(shared, output, soundfont, env)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.kill()


def _near(hertz: float, expected: float) -> bool:
    return abs(hertz / expected - 1) < 0.012


def test_the_card_plays_the_notes_and_a_rewind_changes_them(
    card: VirtualCard, shared: SharedState, composer: Composer, soundfont: Path, tmp_path: Path
) -> None:
    raw = tmp_path / "heard.raw"
    with card.recording(raw), _worker(shared, "default", soundfont, card.environment) as worker:
        worker.wait_for_sound()
        worker.wait_for_seconds_played(4.0)
        composer.change_to(81)
        worker.wait_for(lambda: True in composer.answers)
        worker.wait_for_seconds_played(4.0)
        code, _ = worker.end()
    assert code == 0
    assert shared.performer.read().condition is Condition.STOPPED
    sound = stereo(raw.read_bytes())
    loud = np.flatnonzero(np.abs(sound[:, 0].astype(int)) > 300)
    first, last = int(loud[0]), int(loud[-1])
    assert last - first > 6 * RATE
    assert _near(frequency_hz(sound[first + RATE // 2 : first + 3 * RATE], RATE), 440.0)
    assert _near(frequency_hz(sound[last - 2 * RATE : last], RATE), 880.0)


def test_a_pause_is_silent_and_the_music_goes_on_after_it(
    card: VirtualCard, shared: SharedState, composer: Composer, soundfont: Path, tmp_path: Path
) -> None:
    raw = tmp_path / "steered.raw"
    with card.recording(raw), _worker(shared, "default", soundfont, card.environment) as worker:
        worker.wait_for_sound()
        worker.wait_for_seconds_played(2.0)
        shared.live_settings.write(shared.live_settings.read()._replace(playing=False))
        worker.wait_for(lambda: shared.performer.read().condition is Condition.PAUSED)
        tick = shared.reader.read().playhead_tick
        worker.wait_for_seconds_played(2.0)
        assert shared.reader.read().playhead_tick == pytest.approx(tick, abs=1.0)
        shared.live_settings.write(
            shared.live_settings.read()._replace(playing=True, program=19, volume=30)
        )
        worker.wait_for_sound()
        worker.wait_for_seconds_played(2.0)
        worker.end()
    # How soon each is heard depends on the machine: `make bench` measures it.
    sound = stereo(raw.read_bytes())
    loud = np.flatnonzero(np.abs(sound.astype(int)).max(axis=1) > 200)
    paused = int(np.argmax(np.diff(loud)))
    assert loud[paused + 1] - loud[paused] > RATE, "two seconds, but for what dies away"
    for part in (sound[loud[0] : loud[paused]], sound[loud[paused + 1] : loud[-1]]):
        assert active_seconds(part, RATE, threshold=200) > 1.0


def test_it_ends_when_it_is_told_to(
    card: VirtualCard, shared: SharedState, composer: Composer, soundfont: Path
) -> None:
    """How soon depends on the machine: `make bench` measures it."""
    with _worker(shared, "default", soundfont, card.environment) as worker:
        worker.wait_for_sound()
        worker.wait_for_seconds_played(1.0)
        code, said = worker.end()
        assert code == 0
        assert "plays on default" in said
        assert len(said.splitlines()) == 1, "no library writes anything"
        assert shared.performer.read().condition is Condition.STOPPED


class Buzz:
    """A performer that is always loud, and an output that takes what it renders."""

    sample_rate = RATE
    xruns = starved = late_events = sounding = blocks = frame = playhead_tick = 0
    playing = begun = True
    piece = Piece(1, 0, False, 4, 0, 0)
    ended = False

    def render(self, frames: int) -> bytes:
        return (30_000).to_bytes(2, "little") * 2 * frames

    def end(self) -> None:
        self.ended = True


def test_it_fades_out_within_half_a_second_of_sound(shared: SharedState) -> None:
    buzz: Any = Buzz()
    loop, frames = RenderLoop(shared, buzz, buzz), 1024
    before = stereo(loop.render(frames))
    loop.end()
    assert buzz.ended, "the notes are released"
    blocks = []
    while not loop.stop.is_set():
        blocks.append(loop.render(frames))
    after = stereo(b"".join(blocks)).astype(int)
    assert before.min() == 30_000
    assert np.diff(after[:, 0]).max() <= 0, "ever quieter"
    assert np.diff(after[:, 0]).min() > -10, "no step"
    assert after[-1].max() == 0
    assert len(after) < 0.5 * RATE


def test_it_ends_and_says_so_though_the_card_takes_no_more_sound(
    shared: SharedState, composer: Composer, soundfont: Path
) -> None:
    with (
        virtual_card() as own,
        _worker(shared, "default", soundfont, own.environment) as worker,
    ):
        worker.wait_for_sound()
        assert own.process is not None
        own.process.send_signal(signal.SIGSTOP)
        code, said = worker.end()
        assert code == 0, said
        assert shared.performer.read().condition is Condition.STOPPED


def test_without_a_card_it_exits_with_a_sentence(shared: SharedState, soundfont: Path) -> None:
    with _worker(shared, "a card nobody has", soundfont, dict(os.environ)) as worker:
        _, said = worker.process.communicate(timeout=TIMEOUT_S)
        assert worker.process.returncode == os.EX_TEMPFAIL
        assert "no sound card" in said
        assert len(said.splitlines()) == 1
        assert shared.performer.read().condition is Condition.NO_SOUND_CARD


def test_a_card_that_was_pulled_out_ends_the_process_and_the_next_one_continues(
    shared: SharedState, composer: Composer, soundfont: Path
) -> None:
    with virtual_card() as own:
        with _worker(shared, "default", soundfont, own.environment) as worker:
            worker.wait_for_sound()
            worker.wait_for_seconds_played(1.0)
            own.pull_out()
            _, said = worker.process.communicate(timeout=TIMEOUT_S)
            assert worker.process.returncode == os.EX_TEMPFAIL
            assert "plug it in again" in said
            assert "Traceback" not in said
            assert shared.performer.read().condition is Condition.NO_SOUND_CARD
        tick = shared.reader.read().playhead_tick
        own.plug_in()
        with _worker(shared, "default", soundfont, own.environment) as worker:
            worker.wait_for_sound()
            worker.wait_for_seconds_played(1.0)
            assert shared.reader.read().playhead_tick > tick
            worker.end()


def test_after_a_kill_the_next_process_continues_and_strikes_the_held_notes_again(
    card: VirtualCard, shared: SharedState, soundfont: Path, tmp_path: Path
) -> None:
    # One note that nothing will strike again for the rest of the test.
    writer = RingWriter(shared)
    writer.append(NoteOn(0, 0, 69, 100))
    writer.publish(10**6)
    raw = tmp_path / "killed.raw"
    with _worker(shared, "default", soundfont, card.environment) as worker:
        worker.wait_for_sound()
        worker.wait_for_seconds_played(1.0)
        worker.kill()
    before, tick = shared.performer.read(), shared.reader.read().playhead_tick
    with (
        card.recording(raw),
        _worker(shared, "default", soundfont, card.environment) as worker,
    ):
        worker.wait_for_sound()
        worker.wait_for_seconds_played(1.5)
        after = shared.performer.read()
        assert after.heartbeat > before.heartbeat, "the counts continue"
        assert after.sounding == 1
        assert shared.reader.read().playhead_tick >= tick + 0.9 * TICKS_PER_SECOND
        worker.end()
    sound = stereo(raw.read_bytes())
    first = int(np.flatnonzero(np.abs(sound[:, 0].astype(int)) > 300)[0])
    assert _near(frequency_hz(sound[first : first + RATE], RATE), 440.0)


def test_a_restart_appends_to_the_wav_file(
    shared: SharedState, composer: Composer, soundfont: Path, tmp_path: Path
) -> None:
    file = tmp_path / "bach.wav"
    for _ in range(2):
        with _worker(shared, f"wav:{file}", soundfont, dict(os.environ)) as worker:
            worker.wait_for_sound()
            worker.wait_for_seconds_played(2.5)
            worker.kill()
    assert file.stat().st_size > 4 * 4 * RATE


@pytest.mark.parametrize(
    ("output", "font", "sentence"),
    [
        ("null", "{tmp}/diary.sf2", "is not a soundfont"),
        ("null", "{tmp}/none.sf2", "there is no soundfont"),
        ("wav:{tmp}/none/bach.wav", None, "cannot write"),
    ],
)
def test_an_error_that_a_restart_would_not_cure_exits_with_1_and_a_sentence(
    output: str,
    font: str | None,
    sentence: str,
    shared: SharedState,
    soundfont: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "diary.sf2").write_text("Dear diary")
    path = Path(font.format(tmp=tmp_path)) if font else soundfont
    with _worker(shared, output.format(tmp=tmp_path), path, dict(os.environ)) as worker:
        _, said = worker.process.communicate(timeout=TIMEOUT_S)
        assert worker.process.returncode == 1
        assert sentence in said
        assert len(said.splitlines()) == 1


def test_it_ends_with_its_parent(shared: SharedState, composer: Composer, soundfont: Path) -> None:
    command = [
        *(sys.executable, "-m", "appliance.workers.performer_process"),
        *("--shared-fd", str(shared.fd), "--output", "null", "--soundfont", str(soundfont)),
    ]
    program = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({command!r}, pass_fds=[{shared.fd}])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], pass_fds=[shared.fd], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + TIMEOUT_S
    while shared.performer.read().condition is not Condition.PLAYING:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    while shared.performer.read().condition is not Condition.STOPPED:
        assert time.monotonic() < deadline, f"process {child} lives on"
        time.sleep(0.01)
