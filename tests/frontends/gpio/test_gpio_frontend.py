"""Hands on the pins of a running box: gpiozero's mock pins, the real daemon and its children."""

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

from appliance.config import loader as configs
from appliance.config.gpio_schema import Button, Encoder, Gpio, Led, Pot
from appliance.daemon.daemon import Daemon, Plan
from appliance.daemon.status_line import StatusLine
from appliance.errors import UsageError
from appliance.frontends.gpio import gpio_frontend as gpios
from appliance.frontends.gpio import live_test
from appliance.frontends.gpio.gpio_frontend import GpioFrontend
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from tests.support import audio_analysis

OWN = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)

EVERYTHING = Gpio(
    encoders=(
        Encoder("tempo", 17, 27, push=22, press="playing"),
        Encoder("instrument", 5, 6),
    ),
    pots=(Pot("volume", 0), Pot("temperature", 3)),
    buttons=(Button(16, press="next_piece", hold="power_off"), Button(26, press="restart_piece")),
    leds=(Led(20, "playing"), Led(21, "beat"), Led(12, "trouble"), Led(21, "beat")),
)

TIMEOUT_S = 20.0


class Converter(MockSPIDevice):  # type: ignore[misc]
    """An MCP3008 whose potentiometers are turned by the test."""

    def __init__(self, factory: MockFactory) -> None:
        self.places = [0.0] * 8
        super().__init__(11, 10, 9, 8, pin_factory=factory)

    def on_start(self) -> None:
        super().on_start()
        self.rx_buf: list[bool] = []

    def on_bit(self) -> None:
        # Start, single-ended, three bits of channel, two bits to sample; then ten of value.
        bits = self.rx_buf[self.rx_buf.index(True) :] if any(self.rx_buf) else []
        if len(bits) == 5:
            channel = bits[2] * 4 + bits[3] * 2 + bits[4]
            self.tx_word(round(self.places[channel] * 1023), 12)


class Fingers:
    """Turn and press."""

    def __init__(self, factory: MockFactory) -> None:
        self.factory = factory

    def turn(self, a: int, b: int, steps: int, *, edge_seconds: float = 0.0) -> None:
        """So many steps clockwise, counter-clockwise where negative."""
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
                # At once: on a busy machine even a short sleep may last as long as a press.
                pin.drive_low()
                pin.drive_high()
            last()
            time.sleep(wait)


class Hand(Fingers):
    """From a thread of its own, as a person's; then it looks."""

    def __init__(self, factory: MockFactory, daemon: Daemon, settings: Settings) -> None:
        super().__init__(factory)
        self.daemon = daemon
        self.settings = settings

    def sees(self, what: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not what():
            assert time.monotonic() < deadline, (self.settings.values, self.daemon.box.status())
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
    work: Callable[[Daemon, Settings], None],
    output: str = "null",
) -> tuple[str, Daemon]:
    """Run the daemon with these pins, ``work`` in a thread; what it said."""
    config = configs.Config()
    settings = Settings(RequestedSettings("chorales"), lambda: ["chorales"], lambda _: OWN)
    failures: list[BaseException] = []
    with (tmp_path / "said").open("w+") as said:
        plan = Plan(output, configs.soundfont(config), 1, configs.model_folders(config))
        daemon = Daemon(plan, settings, StatusLine(said), [GpioFrontend(gpio)])

        async def run() -> None:
            loop = asyncio.get_running_loop()

            def hand() -> None:
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

            thread = threading.Thread(target=hand)
            thread.start()
            await daemon.run()
            thread.join()

        asyncio.run(run())
        if failures:
            raise failures[0]
        said.seek(0)
        return said.read(), daemon


def test_every_knob_and_button_reaches_the_music_and_every_led_shows_it(
    factory: MockFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_off = tmp_path / "off"
    command = tmp_path / "systemctl"
    command.write_text(f'#!/bin/sh\necho "$@" > {switched_off}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    converter = Converter(factory)

    def work(daemon: Daemon, settings: Settings) -> None:
        hand = Hand(factory, daemon, settings)
        shared, start = daemon._shared, settings.effective
        hand.sees(lambda: factory.pin(12).function == "output")
        # A fast spin, 400 steps in a blink: none is lost, and the last one holds.
        hand.turn(17, 27, 400)
        hand.sees(lambda: settings.values.tempo == 240)
        hand.turn(17, 27, -20, edge_seconds=0.0005)
        hand.sees(lambda: settings.values.tempo == 200)
        hand.sees(lambda: shared.live_settings.read().tempo_bpm == 200)
        # Jiggling between two steps is no turn.
        for _ in range(50):
            factory.pin(17).drive_low()
            factory.pin(17).drive_high()
        hand.turn(5, 6, -1)
        hand.sees(lambda: settings.values.instrument == start.instrument - 1)
        assert settings.values.tempo == 200
        # Push: pause and on, each press once however the contact bounces.
        hand.press(22, 0.06, bounces=8)
        hand.sees(lambda: daemon.box.now_playing().condition == "paused")
        hand.sees(lambda: not factory.pin(20).state)
        hand.press(22, 0.06, bounces=8)
        hand.sees(lambda: daemon.box.now_playing().condition == "playing")
        hand.sees(lambda: factory.pin(20).state)
        # The potentiometer stands at 0 and the volume at 70: it must not jump there.
        assert settings.values.volume == 70
        for percent in range(100):
            converter.places[0] = percent / 100
            time.sleep(0.01)
        hand.sees(lambda: settings.values.volume == 100)
        converter.places[0] = 0.5
        hand.sees(lambda: abs(settings.values.volume - 50) <= 1)
        assert settings.values.temperature is None
        piece = daemon.box.now_playing().piece
        hand.press(16, 0.06, bounces=5)
        hand.sees(lambda: daemon.box.now_playing().piece == piece + 1)
        hand.press(26, 0.06)
        hand.sees(lambda: shared.live_settings.read().action_count == 2)
        assert not switched_off.exists()
        hand.press(16, gpios.HOLD_S + 0.2)
        hand.sees(switched_off.exists)
        assert shared.live_settings.read().action_count == 2
        # The beat blinks; there is no trouble until a child dies.
        hand.sees(lambda: len(factory.pin(21).states) > 4)
        assert not factory.pin(12).state
        # lgpio's open chip must not live on in a child, or it stays busy for ever.
        open_chip = os.open("/dev/null", os.O_RDONLY)
        os.set_inheritable(open_chip, True)
        pid = daemon.composer.pid
        assert pid is not None
        os.kill(pid, 9)
        hand.sees(lambda: factory.pin(12).state)
        hand.sees(lambda: daemon.composer.pid not in (None, pid))
        hand.sees(lambda: "composer" in Path(f"/proc/{daemon.composer.pid}/cmdline").read_text())
        assert not Path(f"/proc/{daemon.composer.pid}/fd/{open_chip}").exists()
        os.close(open_chip)

    said, daemon = play(EVERYTHING, tmp_path, work)
    assert "leds 4 (beat): pin 21 is already taken by [gpio] leds 2 (beat)" in said
    assert "switched off by its button" in said
    assert "mistake" not in said
    state: Any = daemon._shared.performer.read()
    assert (state.xruns, state.late_events) == (0, 0)


def test_ten_thousand_edges_a_second_leave_the_music_alone(
    factory: MockFactory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken encoder, or a wire that picks up radio."""
    edges = 20_000
    live = tmp_path / "live.wav"

    def work(daemon: Daemon, settings: Settings) -> None:
        hand = Hand(factory, daemon, settings)
        hand.sees(lambda: daemon.box.look_ahead_s() > 3.5)
        before = daemon.box.health()
        begun = time.monotonic()
        # Up and down, so that every step changes something; four edges a step.
        for _ in range(edges // 400):
            hand.turn(17, 27, 50)
            hand.turn(17, 27, -50)
        seconds = time.monotonic() - begun
        with capsys.disabled():
            print(f"\n{edges / seconds:,.0f} edges a second")
        hand.turn(17, 27, -100)
        hand.sees(lambda: settings.values.tempo == 40)
        hand.sees(lambda: daemon._shared.live_settings.read().tempo_bpm == 40)
        after = daemon.box.health()
        assert (after.starved, after.late) == (before.starved, before.late)
        assert after.restarts == 0
        time.sleep(2.5)

    said, _ = play(EVERYTHING, tmp_path, work, f"wav:{live}")
    assert "mistake" not in said
    sound = audio_analysis.wav(live)
    assert audio_analysis.silence_seconds(audio_analysis.music(sound)) < 1.5


def test_a_machine_without_pins_says_so_once_and_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr(gpios, "DEVICES", tmp_path)
    said, _ = play(EVERYTHING, tmp_path, lambda *_: time.sleep(0.5))
    assert said.count("no GPIO pins") == 1
    assert "bachbox: pins: this machine has no GPIO pins" in said


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gpios, "DEVICES", tmp_path)
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    return tmp_path


def refusals(gpio: Gpio) -> list[str]:
    """What the control says where it cannot work, without a box."""
    said: list[str] = []

    class Log:
        def say(self, sentence: str) -> None:
            said.append(sentence)

        def now_playing(self) -> None:
            raise asyncio.CancelledError

    async def run() -> None:
        control: Any = GpioFrontend(gpio)
        task = asyncio.create_task(control.run(None, Log()))
        done, _ = await asyncio.wait([task], timeout=2)
        task.cancel()
        ended = [task.exception() for task in done if not task.cancelled()]
        said.extend(str(error) for error in ended if error)

    asyncio.run(run())
    return said


def test_pins_of_others_are_told(devices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (devices / "gpiochip0").write_text("")
    monkeypatch.setattr(os, "access", lambda *_: False)
    [sentence] = refusals(EVERYTHING)
    assert "is not for you" in sentence
    assert "usermod -aG gpio" in sentence


def test_pins_that_cannot_be_opened_are_told_and_nothing_is_left_behind(
    devices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (devices / "gpiochip0").write_text("")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    [sentence] = refusals(EVERYTHING)
    assert "install Bachbox with `pip install 'bachbox[gpio]'`" in sentence or (
        "the pins cannot be opened" in sentence
    )
    assert Path.cwd() == here
    assert not list(here.iterdir())


def test_spi_that_is_off_is_told_and_the_leds_work(
    factory: MockFactory, devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpios, "_factory", lambda _: factory)
    [sentence] = refusals(Gpio(pots=(Pot("tempo", 0),), leds=(Led(20, "beat"),)))
    assert "pots 1 (tempo): SPI is off" in sentence
    (devices / "spidev0.0").write_text("")
    monkeypatch.setattr(os, "access", lambda *_: False)
    [sentence] = refusals(Gpio(pots=(Pot("tempo", 0),), leds=(Led(20, "beat"),)))
    assert "usermod -aG spi" in sentence


def test_the_doctor_shows_live_what_each_knob_does(factory: MockFactory) -> None:
    settings = Settings(RequestedSettings("chorales"), lambda: ["chorales"], lambda _: OWN)
    said: list[str] = []
    gpio = Gpio(
        encoders=(Encoder("tempo", 17, 27, push=22),),
        buttons=(Button(16, press="next_piece"), Button(99, press="playing")),
        leds=(Led(20, "playing"), Led(12, "trouble")),
    )

    def until(what: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not what() and time.monotonic() < deadline:
            time.sleep(0.01)

    def hand() -> None:
        until(lambda: factory.pin(12).function == "output")
        until(lambda: len(factory.pin(20).states) > 2 and len(factory.pin(12).states) > 2)
        fingers.turn(17, 27, 3)
        fingers.press(16, 0.06)
        until(lambda: any("next_piece" in line for line in said[-1:]))
        os.kill(os.getpid(), signal.SIGINT)

    fingers = Fingers(factory)
    thread = threading.Thread(target=hand)
    thread.start()
    live_test.watch(gpio, settings, said.append)
    thread.join()
    assert "[gpio] encoders 1 (tempo): pins 17, 27, 22, pushed: playing" in said
    assert any("there is no pin 99" in line for line in said)
    assert said[-4:] == [
        *(f"[gpio] encoders 1 (tempo): tempo {bpm}" for bpm in (82.0, 84.0, 86.0)),
        "[gpio] buttons 1 (next_piece): next_piece",
    ]
    with pytest.raises(UsageError, match="nothing is wired"):
        live_test.watch(Gpio(), settings, said.append)
