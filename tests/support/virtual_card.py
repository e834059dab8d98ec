"""A sound card for tests: a private PulseAudio null sink behind ALSA, and its recording.

It paces in real time and reports underruns, as a card does. Every child that is started with
:attr:`VirtualCard.environment` sees it as ALSA's default device.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SOUNDFONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
"""Debian's package timgm6mb-soundfont."""

RATE = 48_000
"""Frames a second of the card, and of a recording."""

_TIMEOUT_S = 120.0

_SETTLE_S = 3.0

_BYTES_A_SECOND = 4 * RATE

_ON_ITS_WAY_S = 0.3
"""From the card to the recording, on a quiet machine."""

_LATE_S = 10.0
"""No machine brings it later than this."""

_PRIORITY = 20
"""Before that of the player, as a kernel's interrupts are."""


class VirtualCard:
    """A running null sink, called ``card``."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self._listener: subprocess.Popen[bytes] | None = None

    def plug_in(self) -> None:
        """Start the card; it answers when this returns."""
        socket = self.folder / "native"
        # Left alone it asks to be killed after 0.2 s of real time without a wait (setrlimit(2),
        # RLIMIT_RTTIME), and on a busy machine it was.
        config = self.folder / "daemon.conf"
        config.write_text("rlimit-rttime = -1\n")
        self.process = subprocess.Popen(
            [
                _program("pulseaudio"),
                *("-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
                *("--log-target=stderr", "--log-level=error", "--no-cpu-limit=yes"),
                *("-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1"),
                "-L",
                f"module-null-sink sink_name=card rate={RATE} format=s16le channels=2",
            ],
            env=self.environment | {"PULSE_CONFIG": str(config)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "pulseaudio.log").open("wb"),
        )
        deadline = time.monotonic() + _TIMEOUT_S
        while subprocess.run(
            [_program("pactl"), "info"], env=self.environment, capture_output=True, check=False
        ).returncode:
            if time.monotonic() > deadline or self.process.poll() is not None:
                log = (self.folder / "pulseaudio.log").read_text()
                raise RuntimeError(f"PulseAudio does not start:\n{log}")
            time.sleep(0.05)
        self._be_hardware(self.process.pid)

    def revive(self) -> None:
        """Start the card again if its server has died, and warn of that."""
        if self.process is None or self.process.poll() is None:
            return
        log = (self.folder / "pulseaudio.log").read_text()
        warnings.warn(
            f"PulseAudio ended by itself with {self.process.returncode}: {log}", stacklevel=2
        )
        self.pull_out()
        self.plug_in()
        self.settle()

    def _be_hardware(self, pid: int) -> None:
        """A card waits for no program: where we may, neither does this one.

        PulseAudio asks for real time for the sink's own thread only, and what players send
        comes through another.
        """
        with contextlib.suppress(PermissionError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(_PRIORITY))

    def split(self, left: str, right: str) -> None:
        """Two sinks more, which play (mono) on one side of the card each: their sounds are then
        in one recording, and what lies between them in time is to be seen in it."""
        for name, side in ((left, "front-left"), (right, "front-right")):
            subprocess.run(
                [
                    *(_program("pactl"), "load-module", "module-remap-sink", "master=card"),
                    *(f"sink_name={name}", "channels=1", "channel_map=mono"),
                    *(f"master_channel_map={side}", "remix=no"),
                ],
                env=self.environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )

    def settle(self) -> None:
        """Wait until the card asks for sound in small bits, as a real one does.

        A null sink that nobody listens to works in bits of two seconds, and a player that
        comes then underruns once, whatever it does.
        """
        self._listener = self._record(subprocess.DEVNULL)
        time.sleep(_SETTLE_S)

    def pull_out(self) -> None:
        """Take the card away, as a hand does with a USB one."""
        if self._listener is not None:
            self._listener.terminate()
            self._listener.wait()
            self._listener = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        (self.folder / "native").unlink(missing_ok=True)

    @contextlib.contextmanager
    def recording(self, raw_file: Path) -> Iterator[None]:
        """What the card plays meanwhile, as raw stereo s16le at :data:`RATE`.

        Begins some frames before the first block inside the context.
        """
        with raw_file.open("wb") as file:
            recorder = self._record(file)
            try:
                deadline = time.monotonic() + _TIMEOUT_S
                while (size := raw_file.stat().st_size) == 0:
                    if time.monotonic() > deadline or recorder.poll() is not None:
                        raise RuntimeError("parec records nothing")
                    time.sleep(0.05)
                started = time.monotonic() - size / _BYTES_A_SECOND
                yield
                # What has been played is still on its way, and on a busy machine long.
                played = time.monotonic() - started + _ON_ITS_WAY_S
                deadline = time.monotonic() + _LATE_S
                while raw_file.stat().st_size < played * _BYTES_A_SECOND:
                    if time.monotonic() > deadline or recorder.poll() is not None:
                        break  # The card was pulled out.
                    time.sleep(0.05)
            finally:
                recorder.terminate()
                recorder.wait()

    def _record(self, to: int | BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                _program("parec"),
                *("--device=card.monitor", f"--rate={RATE}", "--format=s16le"),
                *("--channels=2", "--raw", "--latency-msec=50"),
            ],
            env=self.environment,
            stdout=to,
        )


def listen(raw_file: Path, seconds: float) -> None:
    """Wait until a recording is so much longer, however busy the machine is that makes it."""
    wanted = raw_file.stat().st_size + seconds * _BYTES_A_SECOND
    deadline = time.monotonic() + seconds + _TIMEOUT_S
    while raw_file.stat().st_size < wanted:
        assert time.monotonic() < deadline, "parec records nothing"
        time.sleep(0.05)


@contextlib.contextmanager
def virtual_card() -> Iterator[VirtualCard]:
    """A card that is plugged in for as long as the context."""
    with tempfile.TemporaryDirectory(prefix="card-") as name:
        folder = Path(name)
        asoundrc = folder / "asound.conf"
        asoundrc.write_text(
            "</usr/share/alsa/alsa.conf>\n"
            "pcm.!default { type pulse }\n"
            "ctl.!default { type pulse }\n"
        )
        environment = os.environ | {
            "PULSE_SERVER": f"unix:{folder}/native",
            "ALSA_CONFIG_PATH": str(asoundrc),
            "HOME": name,
            "XDG_RUNTIME_DIR": name,
            "XDG_STATE_HOME": name,
        }
        card = VirtualCard(folder, environment)
        try:
            card.plug_in()
            card.settle()
            yield card
        finally:
            card.pull_out()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed: run `make test`, which installs it")
    return found
