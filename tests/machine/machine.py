"""A machine in QEMU: started, asked, and its plug pulled."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Final

BOOT_S: Final = 1800.0
"""Emulated on a busy computer; on a quiet one it is about one minute."""

_COMMON: Final = ("-smp", "2", "-m", "1024", "-display", "none", "-no-reboot", "-nodefaults")

_KINDS: Final = {
    # The least that the runtime and numpy accept: what a processor can do more is dear to emulate.
    "amd64": ("qemu-system-x86_64", "-M", "q35", "-cpu", "Nehalem"),
    "arm64": ("qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a72"),
}

_QUICK: Final = (
    "quiet mitigations=off nokaslr audit=0 no_timer_check panic=1 systemd.show_status=yes"
)
"""For the kernel: nothing that costs an emulated machine much and shows nothing here."""

_CONSOLES: Final = {"amd64": "ttyS0", "arm64": "ttyAMA0"}


class Machine:
    """``kind`` is "amd64" or "arm64"; ``folder`` has what tests/machine/disk.sh made."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: socket.socket | None = None
        self._said = b""
        self.wav = folder / "card.wav"
        """What the machine's sound card has played since its last start."""

    def start(self) -> None:
        """Plug it in."""
        folder = self._folder
        for name in ("agent", "qmp", "qtest"):
            (folder / name).unlink(missing_ok=True)
        with (folder / "qemu").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *_KINDS[self._kind],
                    # One thread for all processors: with several, QEMU 7.2 now and then crashes a
                    # kernel that patches its own code ("Oops: int3" at a static key).
                    *("-accel", "tcg,thread=single,tb-size=512"),
                    *_COMMON,
                    *("-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.img"),
                    *("-append", f"root=/dev/vda rw console={_CONSOLES[self._kind]} {_QUICK}"),
                    # What the machine has written outlives QEMU without a flush of this computer's
                    # disk, which others keep busy; what it has not is lost with it.
                    *("-drive", f"file={folder / 'disk.img'},format=raw,if=virtio,cache=unsafe"),
                    *("-serial", f"file:{folder / 'console'}"),
                    *("-device", "virtio-serial-pci"),
                    *("-chardev", f"socket,id=agent,path={folder / 'agent'},server=on,wait=off"),
                    *("-device", "virtserialport,chardev=agent,name=agent"),
                    *("-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"),
                    *("-qtest", f"unix:{folder / 'qtest'},server=on,wait=off"),
                    *("-qtest-log", "none"),
                    *("-device", "intel-hda", "-device", "hda-duplex,audiodev=a"),
                    *("-audiodev", f"wav,id=a,path={self.wav},out.frequency=48000"),
                ],
                stdout=log,
                stderr=log,
            )
        self._agent = None

    def ask(self, command: str, timeout_s: float = 300.0) -> tuple[int, str]:
        """The code of a shell command in there and what it said.

        Raises:
            TimeoutError: nobody answers.
            RuntimeError: QEMU has ended; its own words.
        """
        deadline = time.monotonic() + timeout_s
        if self._agent is None:
            self._agent = self._connect("agent", deadline)
            self._said = b""
        self._agent.sendall(command.encode() + b"\n")
        while True:
            said, mark, rest = self._said.partition(b"\n\x04")
            if mark and b"\n" in rest:
                code, _, self._said = rest.partition(b"\n")
                return int(code), said.decode(errors="replace")
            self._agent.settimeout(max(0.1, deadline - time.monotonic()))
            more = self._agent.recv(65536)
            if not more:
                raise TimeoutError(f"{command}: the machine is gone")
            self._said += more

    def answer(self, command: str) -> str:
        """What a shell command in there said, which has to succeed."""
        code, said = self.ask(command, BOOT_S)
        assert code == 0, f"{command}: {said}"
        return said

    def write(self, path: str, content: str) -> None:
        """Write a file in there."""
        self.answer(f"echo {base64.b64encode(content.encode()).decode()} | base64 -d >{path}")

    def tell(self, command: str) -> None:
        """Ask without waiting for an answer; after that only the plug can be pulled."""
        assert self._agent
        self._agent.sendall(command.encode() + b"\n")

    def await_(self, command: str, what: str, timeout_s: float = BOOT_S) -> float:
        """Ask until the command succeeds; seconds that took.

        Raises:
            TimeoutError: it does not; ``what`` is in the sentence.
        """
        began = time.monotonic()
        said = ""
        while time.monotonic() - began < timeout_s:
            with contextlib.suppress(TimeoutError):
                code, said = self.ask(command, timeout_s)
                if code == 0:
                    return time.monotonic() - began
            time.sleep(1.0)
        raise TimeoutError(f"{what} did not come in {timeout_s:.0f} s; at last: {said}")

    def pull_the_plug(self) -> None:
        """From one instruction to the next it is off, if it was on."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def switch_off_card(self) -> None:
        """Let QEMU itself end, so that the header of the WAV is written."""
        self._qmp("quit")
        assert self._process
        self._process.wait(60)

    def drive_line(self, line: int, *, high: bool) -> None:
        """Set a line of the GPIO controller (a PL061) from outside."""
        with self._connect("qtest", time.monotonic() + 10) as wire:
            wire.sendall(
                f"set_irq_in {self._pl061()} unnamed-gpio-in {line} {int(high)}\n".encode()
            )
            answer = wire.recv(4096)
        if not answer.startswith(b"OK"):
            raise RuntimeError(f"the line was not set: {answer.decode()}")

    def keep_console(self) -> Path:
        """A copy of what it has said on its console."""
        return Path(shutil.copy(self._folder / "console", self._folder / "console.kept"))

    def _connect(self, name: str, deadline: float) -> socket.socket:
        while True:
            wire = socket.socket(socket.AF_UNIX)
            try:
                wire.connect(str(self._folder / name))
            except OSError:
                wire.close()
                if self._process is None or self._process.poll() is not None:
                    raise RuntimeError((self._folder / "qemu").read_text()) from None
                if time.monotonic() > deadline:
                    raise TimeoutError(f"QEMU has no {name}") from None
                time.sleep(0.1)
            else:
                return wire

    def _qmp(self, command: str, **arguments: object) -> Any:
        with self._connect("qmp", time.monotonic() + 10) as wire, wire.makefile("rw") as talk:
            talk.readline()
            for message in (
                {"execute": "qmp_capabilities"},
                {"execute": command, "arguments": arguments},
            ):
                talk.write(json.dumps(message) + "\n")
                talk.flush()
                answer = json.loads(talk.readline())
                while "event" in answer:
                    answer = json.loads(talk.readline())
            return answer.get("return")

    def _pl061(self) -> str:
        devices = self._qmp("qom-list", path="/machine/unattached")
        return next(
            f"/machine/unattached/{device['name']}"
            for device in devices
            if device["type"] == "child<pl061>"
        )
