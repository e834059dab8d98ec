"""GPIO on a running box: gpiozero's mock pins, the real daemon and its child processes."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockSPIDevice

from appliance.common import logs
from appliance.common.install_hint import install_hint
from appliance.config import gpio_schema, loader
from appliance.config.gpio_schema import Button, Encoder, Gpio, Led, Pot
from appliance.daemon.daemon import Daemon
from appliance.daemon.daemon_log import DaemonLog
from appliance.daemon.play_options import PlayOptions
from appliance.daemon.status_line import StatusLine
from appliance.errors import UsageError
from appliance.frontends.gpio import buttons, gpio_frontend, live_test, pin_factory
from appliance.frontends.gpio.gpio_frontend import GpioFrontend
from appliance.state.box_status import BoxStatus
from appliance.state.scenes import Scenes
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from tests.support import audio_analysis
from tests.support.log_lines import log_lines

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)

EVERYTHING = Gpio(
    encoders=(
        Encoder("tempo", 17, 27, push=22, press="playing"),
        Encoder("instrument", 5, 6),
    ),
    pots=(Pot("volume", 0), Pot("temperature", 3)),
    buttons=(Button(16, press="next_piece", hold="power_off"), Button(26, press="restart_piece")),
    leds=(Led(20, "playing"), Led(21, "beat"), Led(12, "trouble"), Led(21, "beat")),
)

TIMEOUT_S = 120.0


class Converter(MockSPIDevice):  # type: ignore[misc]
    """An MCP3008; the test sets the positions of its potentiometers."""

    def __init__(self, factory: MockFactory) -> None:
        self.positions = [0.0] * 8
        super().__init__(11, 10, 9, 8, pin_factory=factory)

    def on_start(self) -> None:
        super().on_start()
        self.rx_buf: list[bool] = []

    def on_bit(self) -> None:
        # Start bit, single-ended bit, three channel bits, two to sample, then ten of value.
        bits = self.rx_buf[self.rx_buf.index(True) :] if any(self.rx_buf) else []
        if len(bits) == 5:
            channel = bits[2] * 4 + bits[3] * 2 + bits[4]
            self.tx_word(round(self.positions[channel] * 1023), 12)


class Fingers:
    """Turns encoders and presses buttons."""

    def __init__(self, factory: MockFactory) -> None:
        self.factory = factory

    def turn(self, a: int, b: int, steps: int, *, edge_seconds: float = 0.0) -> None:
        """Turn ``steps`` clockwise, or counter-clockwise if negative."""
        first, second = (a, b) if steps > 0 else (b, a)
        pins = [self.factory.pin(first), self.factory.pin(second)]
        for _ in range(abs(steps)):
            for move in ("drive_low", "drive_high"):
                for pin in pins:
                    getattr(pin, move)()
                    time.sleep(edge_seconds)

    def press(self, number: int, seconds: float, *, bounces: int = 0) -> None:
        pin = self.factory.pin(number)
        for last, wait in ((pin.drive_low, seconds), (pin.drive_high, 0.1)):
            for _ in range(bounces):
                # Without sleeping: on a busy machine, even a short sleep may be a press.
                pin.drive_low()
                pin.drive_high()
            last()
            self.wait(wait)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class OperatedDaemon(Daemon):
    """A daemon whose event loop is known to whoever operates it."""

    loop: asyncio.AbstractEventLoop


class Operator(Fingers):
    """Operates a running box from another thread and waits for the effects."""

    def __init__(self, factory: MockFactory, daemon: OperatedDaemon, settings: Settings) -> None:
        super().__init__(factory)
        self.daemon = daemon
        self.settings = settings

    def wait(self, seconds: float) -> None:
        """Wait as the box's event loop sees it: on a busy machine it may see an edge late."""
        asyncio.run_coroutine_threadsafe(asyncio.sleep(seconds), self.daemon.loop).result()

    def wait_until(self, what: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not what():
            assert time.monotonic() < deadline, (self.settings.requested, self.daemon.box.status())
            time.sleep(0.005)


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    factory = MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.close()


def play(
    gpio: Gpio,
    tmp_path: Path,
    work: Callable[[OperatedDaemon, Settings], None],
    output: str = "null",
) -> str:
    """Run the daemon with these pins, and ``work`` in a thread; return its log."""
    config = loader.Config()
    settings = Settings(
        RequestedSettings(model="chorales", output=output), lambda: ["chorales"], lambda _: DEFAULTS
    )
    failures: list[BaseException] = []
    with (tmp_path / "log").open("w+") as file:
        folders = loader.model_folders(config)
        options = PlayOptions(lambda _: loader.soundfont(config), 1, folders, 4.0)
        log = DaemonLog(StatusLine(file))
        log.install()
        daemon = OperatedDaemon(options, settings, log, [GpioFrontend(gpio)])

        async def run() -> None:
            daemon.loop = loop = asyncio.get_running_loop()

            def operate() -> None:
                try:
                    deadline = time.monotonic() + TIMEOUT_S
                    while daemon.box.now_playing().condition != "playing":
                        assert time.monotonic() < deadline
                        time.sleep(0.02)
                    work(daemon, settings)
                except BaseException as error:
                    failures.append(error)
                finally:
                    loop.call_soon_threadsafe(daemon.stop)

            thread = threading.Thread(target=operate)
            thread.start()
            await daemon.run()
            thread.join()

        try:
            asyncio.run(run())
        finally:
            logs.install()
        if failures:
            raise failures[0]
        file.seek(0)
        return file.read()


def test_knobs_buttons_and_leds_of_a_running_box(
    factory: MockFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only restarts count as faults here; whether blocks are late depends on the machine."""
    monkeypatch.setattr(BoxStatus, "fault_count", lambda box: box._restarts())
    switched_off = tmp_path / "off"
    command = tmp_path / "systemctl"
    command.write_text(f'#!/bin/sh\necho "$@" > {switched_off}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    converter = Converter(factory)

    def work(daemon: OperatedDaemon, settings: Settings) -> None:
        operator = Operator(factory, daemon, settings)
        shared, start = daemon._shared, settings.effective
        operator.wait_until(lambda: factory.pin(12).function == "output")
        # A fast spin of 400 steps: none is lost, and the last one wins.
        operator.turn(17, 27, 400)
        operator.wait_until(lambda: settings.requested.tempo == 240)
        operator.turn(17, 27, -20, edge_seconds=0.0005)
        operator.wait_until(lambda: settings.requested.tempo == 200)
        operator.wait_until(lambda: shared.live_settings.read().tempo_bpm == 200)
        # Jitter between two steps is not a turn.
        for _ in range(50):
            factory.pin(17).drive_low()
            factory.pin(17).drive_high()
        operator.turn(5, 6, -1)
        operator.wait_until(lambda: settings.requested.instrument == start.instrument - 1)
        assert settings.requested.tempo == 200
        # Push: pause and resume; each press counts once however the contact bounces.
        operator.press(22, 0.06, bounces=8)
        operator.wait_until(lambda: daemon.box.now_playing().condition == "paused")
        operator.wait_until(lambda: not factory.pin(20).state)
        operator.press(22, 0.06, bounces=8)
        operator.wait_until(lambda: daemon.box.now_playing().condition == "playing")
        operator.wait_until(lambda: factory.pin(20).state)
        # The potentiometer is at 0 and the volume at 70: the volume must not jump.
        assert settings.requested.volume == 70
        for percent in range(100):
            converter.positions[0] = percent / 100
            time.sleep(0.01)
        operator.wait_until(lambda: settings.requested.volume == 100)
        converter.positions[0] = 0.5
        operator.wait_until(lambda: abs(settings.requested.volume - 50) <= 1)
        assert settings.requested.temperature is None
        piece = daemon.box.now_playing().piece
        operator.press(16, 0.06, bounces=5)
        operator.wait_until(lambda: daemon.box.now_playing().piece == piece + 1)
        operator.press(26, 0.06)
        operator.wait_until(lambda: shared.live_settings.read().action_count == 2)
        assert not switched_off.exists()
        operator.press(16, gpio_schema.HOLD_S + 0.2)
        operator.wait_until(switched_off.exists)
        assert shared.live_settings.read().action_count == 2
        # The beat LED flashes; the trouble LED is dark until a child dies.
        operator.wait_until(lambda: len(factory.pin(21).states) > 4)
        assert not factory.pin(12).state
        # A child must not inherit lgpio's open chip, or the chip stays busy.
        open_chip = os.open("/dev/null", os.O_RDONLY)
        os.set_inheritable(open_chip, True)
        pid = daemon.composer.pid
        assert pid is not None
        os.kill(pid, 9)
        operator.wait_until(lambda: factory.pin(12).state)
        operator.wait_until(lambda: daemon.composer.pid not in (None, pid))
        operator.wait_until(
            lambda: "composer" in Path(f"/proc/{daemon.composer.pid}/cmdline").read_text()
        )
        assert not Path(f"/proc/{daemon.composer.pid}/fd/{open_chip}").exists()
        os.close(open_chip)

    log = play(EVERYTHING, tmp_path, work)
    assert "leds 4 (beat): pin 21 is already taken by [gpio] leds 2 (beat)" in log
    assert "switched off by its button" in log
    assert "a bug in Bachbox" not in log


def test_a_thousand_detents_arrive_however_fast_and_bouncing(factory: MockFactory) -> None:
    """The edges come as fast as they can be made, far more than 1000 a second; buttons that bounce
    for 5 ms need a clock, and are in test_encoders_potentiometers_buttons."""
    settings = Settings(
        RequestedSettings(model="chorales", tempo=140), lambda: ["chorales"], lambda _: DEFAULTS
    )
    done: list[str] = []
    gpio = Gpio(encoders=(Encoder("tempo", 17, 27),))
    frontend: Any = GpioFrontend(gpio, lambda _where, what: done.append(what))
    pins = factory.pin(17), factory.pin(27)

    def turn() -> None:
        for number in range(1000):
            # To and fro, so that no end of the range hides a click.
            contacts = pins if number // 20 % 2 == 0 else pins[::-1]
            for closes in (True, False):
                for pin in contacts:
                    for low in (*(closes, not closes) * (number % 4), closes):
                        (pin.drive_low if low else pin.drive_high)()

    async def run() -> None:
        claimed = asyncio.Event()

        async def no_leds() -> None:
            claimed.set()
            await asyncio.Event().wait()

        frontend._update_leds = no_leds
        task = asyncio.create_task(frontend.run(settings, None))
        await asyncio.wait_for(claimed.wait(), TIMEOUT_S)
        await asyncio.to_thread(turn)
        # What the edges have scheduled comes before this.
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    assert len(done) == 1000
    assert done[:20] == [f"tempo {140.0 + 2 * clicks}" for clicks in range(1, 21)]
    assert settings.requested.tempo == 140


def test_buttons_to_both_rails_and_encoders_with_two_detents(
    factory: MockFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the second press comes later; how late is too late is in the unit tests.
    monkeypatch.setattr(buttons, "DOUBLE_S", 2.0)
    gpio = Gpio(
        encoders=(Encoder("tempo", 17, 27, detents_per_cycle=2),),
        buttons=(
            Button(5, "volume=+5", pull="down"),
            Button(6, "volume=-5", active="high"),
            Button(13, "instrument=+1", double="instrument=default"),
            Button(16, "nonsense"),
            Button(19, "save", double="scene=Evening organ, 415 Hz"),
        ),
    )
    asked: list[frozenset[str]] = []

    def work(daemon: OperatedDaemon, settings: Settings) -> None:
        operator = Operator(factory, daemon, settings)
        operator.wait_until(lambda: factory.pin(13).function == "input")
        operator.wait(0.1)
        # Ten detents, of which each is half a cycle.
        start = settings.effective.tempo
        for _ in range(5):
            for move in ("drive_low", "drive_high"):
                for pin in (17, 27):
                    getattr(factory.pin(pin), move)()
        operator.wait_until(lambda: settings.effective.tempo == start + 20)
        factory.pin(5).drive_high()
        operator.wait(0.1)
        factory.pin(5).drive_low()
        operator.wait_until(lambda: settings.requested.volume == 75)
        # Normally closed: it opens when it is pressed.
        factory.pin(6).drive_low()
        operator.wait(0.1)
        factory.pin(6).drive_high()
        operator.wait_until(lambda: settings.requested.volume == 70)
        program = settings.effective.instrument
        operator.press(13, 0.06)
        operator.wait_until(lambda: settings.effective.instrument == (program + 1) % 128)
        operator.press(13, 0.06)
        operator.press(13, 0.06)
        operator.wait_until(lambda: settings.requested.instrument is None)
        settings.observe(lambda _requested, changed: asked.append(changed))
        Scenes(tmp_path / "scenes.json", settings)
        operator.press(19, 0.06)
        operator.wait_until(lambda: frozenset({"save"}) in asked)
        operator.press(19, 0.06)
        operator.press(19, 0.06)
        operator.wait_until(lambda: settings.requested.pitch == 415)
        assert settings.requested.scene == "Evening organ, 415 Hz"

    log = play(gpio, tmp_path, work)
    assert "[gpio] buttons 4 (nonsense): press = 'nonsense' is not known" in log
    assert "a bug in Bachbox" not in log


LONGEST_PAUSE_S = 4.0
"""Between two pieces are two beats, which take 3 s at the slowest tempo, 40 a minute."""


def test_twenty_thousand_edges_do_not_stop_the_music(factory: MockFactory, tmp_path: Path) -> None:
    """As from a broken encoder, or a wire that picks up radio."""
    edges = 20_000
    live = tmp_path / "live.wav"

    def work(daemon: OperatedDaemon, settings: Settings) -> None:
        operator = Operator(factory, daemon, settings)
        operator.wait_until(lambda: daemon.box.look_ahead_s() > 3.5)
        # Up and down, so that every step changes something; four edges a step.
        for _ in range(edges // 400):
            operator.turn(17, 27, 50)
            operator.turn(17, 27, -50)
        operator.turn(17, 27, -100)
        operator.wait_until(lambda: settings.requested.tempo == 40)
        operator.wait_until(lambda: daemon._shared.live_settings.read().tempo_bpm == 40)
        assert daemon.box.health().restarts == 0
        time.sleep(2.5)

    log = play(EVERYTHING, tmp_path, work, f"wav:{live}")
    assert "a bug in Bachbox" not in log
    sound = audio_analysis.wav(live)
    assert audio_analysis.silence_seconds(audio_analysis.music(sound)) < LONGEST_PAUSE_S


def test_a_machine_without_pins_reports_it_once_and_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr(pin_factory, "DEVICES", tmp_path)

    def work(daemon: OperatedDaemon, settings: Settings) -> None:
        operator = Operator(MockFactory(), daemon, settings)
        operator.wait_until(lambda: "no GPIO pins" in (tmp_path / "log").read_text())
        # Time to say it twice.
        time.sleep(0.5)

    log = play(EVERYTHING, tmp_path, work)
    assert log.count("no GPIO pins") == 1
    assert "bachbox: pins: this machine has no GPIO pins" in log


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pin_factory, "DEVICES", tmp_path)
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    return tmp_path


def refusals(gpio: Gpio) -> list[str]:
    """Run the frontend without a box; return what it logs and raises where it cannot work."""

    class Box:
        def now_playing(self) -> None:
            raise asyncio.CancelledError

    async def run() -> list[str]:
        frontend: Any = GpioFrontend(gpio)
        task = asyncio.create_task(frontend.run(None, Box()))
        done, _ = await asyncio.wait([task], timeout=TIMEOUT_S)
        task.cancel()
        errors = [task.exception() for task in done if not task.cancelled()]
        return [str(error) for error in errors if error]

    with log_lines() as lines:
        return lines + asyncio.run(run())


def test_pins_without_permission_are_reported(
    devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (devices / "gpiochip0").write_text("")
    monkeypatch.setattr(os, "access", lambda *_: False)
    [sentence] = refusals(EVERYTHING)
    assert "permission denied" in sentence
    assert "usermod -aG gpio" in sentence


def test_pins_that_cannot_be_opened_are_reported_and_no_file_is_left_behind(
    devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (devices / "gpiochip0").write_text("")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    [sentence] = refusals(EVERYTHING)
    assert f"so no knob works; {install_hint('gpio')}" in sentence or (
        "the pins cannot be opened" in sentence
    )
    assert Path.cwd() == here
    assert not list(here.iterdir())


def test_spi_that_is_off_is_reported_and_the_leds_work(
    factory: MockFactory, devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpio_frontend, "open_pin_factory", lambda _: factory)
    [sentence] = refusals(Gpio(pots=(Pot("tempo", 0),), leds=(Led(20, "beat"),)))
    assert "pots 1 (tempo): SPI is off" in sentence
    (devices / "spidev0.0").write_text("")
    monkeypatch.setattr(os, "access", lambda *_: False)
    [sentence] = refusals(Gpio(pots=(Pot("tempo", 0),), leds=(Led(20, "beat"),)))
    assert "usermod -aG spi" in sentence


def test_live_test_prints_what_each_knob_does(factory: MockFactory) -> None:
    settings = Settings(
        RequestedSettings(model="chorales"), lambda: ["chorales"], lambda _: DEFAULTS
    )
    lines: list[str] = []
    gpio = Gpio(
        encoders=(Encoder("tempo", 17, 27, push=22),),
        buttons=(Button(16, press="next_piece"), Button(99, press="playing")),
        leds=(Led(20, "playing"), Led(12, "trouble")),
    )

    def until(what: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not what() and time.monotonic() < deadline:
            time.sleep(0.01)

    def operate() -> None:
        until(lambda: factory.pin(12).function == "output")
        until(lambda: len(factory.pin(20).states) > 2 and len(factory.pin(12).states) > 2)
        fingers.turn(17, 27, 3)
        fingers.press(16, 0.06)
        until(lambda: any("next_piece" in line for line in lines[-1:]))
        os.kill(os.getpid(), signal.SIGINT)

    fingers = Fingers(factory)
    thread = threading.Thread(target=operate)
    thread.start()
    with log_lines() as log:
        live_test.watch(gpio, settings, lines.append)
    thread.join()
    assert "[gpio] encoders 1 (tempo): pins 17, 27, 22, pushed: playing" in lines
    assert any("there is no pin 99" in line for line in log)
    assert lines[-4:] == [
        *(f"[gpio] encoders 1 (tempo): tempo {bpm}" for bpm in (82.0, 84.0, 86.0)),
        "[gpio] buttons 1 (next_piece): next_piece",
    ]
    with pytest.raises(UsageError, match="nothing is wired"):
        live_test.watch(Gpio(), settings, lines.append)
