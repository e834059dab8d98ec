"""Bachbox on whole machines in QEMU, without KVM: `sudo make test-machine`.

    python -m tests.machine sound         amd64: its sound card's WAV has the score's pitches
    python -m tests.machine plug [TIMES]  amd64: the plug is pulled (20 times) at random moments
    python -m tests.machine knob          arm64: an encoder on the pins is turned from outside
    python -m tests.machine card          build/image/bachbox.img boots on a Raspberry Pi 3
    python -m tests.machine               all of them

Prints what it finds; how fast things are depends on this computer and says nothing of a Pi.
"""

from __future__ import annotations

import base64
import contextlib
import math
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.machine import pitches
from tests.machine.machine import BOOT_S, Machine

ROOT: Final = Path(__file__).parent.parent.parent
BUILD: Final = ROOT / "build" / "machine"

PLAYS: Final = (
    "systemctl is-active -q bachbox && systemctl show -p StatusText bachbox | grep Playing"
)
HOLDS_S: Final = 2.0
"""What was set so long before the plug was pulled is there again."""

PULLED_AT_START: Final = 4
"""Each one of so many plugs is pulled while the machine starts, the others while it plays."""

QUARTER_S: Final = 0.7
"""Of a click of the encoder: faster, and an emulated machine on a busy computer misses some."""

MUSIC_S: Final = 60
MIN_LIKENESS: Final = 0.7

_TOLD: Final = (
    "systemd.show_status=yes systemd.journald.forward_to_console=1 "
    "systemd.default_device_timeout_sec=900"
)
"""For the card's kernel: what happens comes to the console, and an emulated Pi is waited for."""

_OF_CARD: Final = {
    "bachbox.service is active": r"Started .*bachbox\.service",
    "bachbox.txt is read": r"plays on null",
    "the settings' file system is there": r"Mounted .*/var/lib/bachbox",
}
"""What is waited for on the console of the emulated Pi."""

_began = time.monotonic()


def say(sentence: str) -> None:
    print(f"{time.monotonic() - _began:6.0f} s  {sentence}", flush=True)


def older(made: Path) -> bool:
    """Whether it is not there, or any source has changed since."""
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "-z",
            "appliance",
            "deploy",
            "models",
            "systemd",
            "pyproject.toml",
            ":!*.md",
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    sources = [ROOT / name for name in listed.split("\0") if name]
    return not made.exists() or made.stat().st_mtime < max(s.stat().st_mtime for s in sources)


def make(what: str, architecture: str, *command: str | Path) -> None:
    """Run a script that installs the package, built where there is none of these sources."""
    built = sorted((ROOT / "build/deb").glob(f"bachbox_*+deb13_{architecture}.deb"))
    if not built or older(built[-1]):
        say(f"the package for {architecture} is built")
        said = subprocess.run(
            [ROOT / "deploy/deb.sh", "trixie", architecture],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        built = [Path(said.stdout.strip())]
    say(f"{what} is made")
    subprocess.run(command, check=True, env=os.environ | {"PACKAGE": str(built[-1])})


@contextlib.contextmanager
def machine(kind: str) -> Iterator[Machine]:
    """With a disk as after the installation, and off at the end whatever happens."""
    folder = BUILD / kind
    fresh = folder / "fresh.img"
    if older(fresh):
        make(f"a disk for {kind}", kind, ROOT / "tests/machine/disk.sh", kind, folder)
    subprocess.run(["cp", "--sparse=always", fresh, folder / "disk.img"], check=True)
    box = Machine(kind, folder)
    try:
        yield box
    finally:
        box.pull_the_plug()


def start(box: Machine) -> float:
    """Seconds from power to music, in the status and in the card's WAV."""
    began = time.monotonic()
    box.start()
    box.await_("true", "an answer")
    box.await_(PLAYS, "music")
    while not pitches.sounds(box.wav):
        if time.monotonic() - began > BOOT_S:
            raise TimeoutError("it says that it plays, and the card's WAV is silent")
        time.sleep(0.5)
    return time.monotonic() - began


def tempo(box: Machine) -> float:
    code, said = box.ask(
        "bachbox status --json | python3 -c 'import json, sys; "
        'print(json.load(sys.stdin)["settings"]["tempo"])\''
    )
    assert code == 0, said
    return float(said)


def prove_sound() -> None:
    with machine("amd64") as box:
        say(f"amd64: music {start(box):.0f} s after power")
        time.sleep(MUSIC_S)
        say(f"amd64: {box.ask('bachbox status')[1].strip()}")
        # The score of the same seed, once the music leaves the processor to others.
        code, said = box.ask(
            "systemctl stop bachbox && cd /var/tmp && rm -f s.mid && base64 -w0 $(bachbox render "
            f"s.mid --seed 1685 --seconds {MUSIC_S} >/dev/null 2>&1 && echo s.mid)",
            BOOT_S,
        )
        assert code == 0, said
        box.switch_off_card()
    score = BUILD / "score.mid"
    score.write_bytes(base64.b64decode(said))
    found, moved = pitches.likeness(pitches.of_recording(box.wav), pitches.of_score(score, MUSIC_S))
    say(f"amd64: pitches in the card's WAV are those of the score: {found:.2f} alike")
    assert moved == 0, f"the score moved by {moved} semitones is likest"
    assert found >= MIN_LIKENESS


def prove_plug(times: int) -> None:
    dice = random.Random(time.time_ns())
    # What may be there after the next start, and what that is for the first.
    allowed: list[float] = []
    took: list[float] = []

    def play_again(box: Machine) -> float:
        took.append(start(box))
        found = tempo(box)
        assert found in allowed or not allowed, f"tempo is {found}, and might be {allowed}"
        return found

    with machine("amd64") as box:
        for number in range(1, times + 1):
            if took and number % PULLED_AT_START == 0:
                box.start()
                wait = dice.uniform(0, took[-1])
                time.sleep(wait)
                box.pull_the_plug()
                say(f"plug {number}/{times}: pulled {wait:.0f} s after power, before the music")
                continue
            found = play_again(box)
            # When each was set, and the first long ago.
            said = [(-math.inf, found)]
            pull_at = time.monotonic() + dice.uniform(0, 12)
            while time.monotonic() < pull_at:
                wish = float(dice.randint(40, 240))
                assert box.ask(f"bachbox set tempo={wish:g}")[0] == 0
                said.append((time.monotonic(), wish))
                time.sleep(dice.uniform(0, 4))
            # One more, which may just be written when the plug is out.
            wish = float(dice.randint(40, 240))
            box.tell(f"bachbox set tempo={wish:g}")
            said.append((math.inf, wish))
            time.sleep(dice.uniform(0, 4))
            ages = [time.monotonic() - when for when, _ in said]
            box.pull_the_plug()
            first = max(index for index, age in enumerate(ages) if age >= HOLDS_S)
            allowed = [value for _, value in said[first:]]
            say(
                f"plug {number}/{times}: music after {took[-1]:.0f} s, tempo {found:g} as set; "
                f"pulled after {len(said) - 1} more settings"
            )
        found = play_again(box)
        box.switch_off_card()
    say(
        f"plug: {times} times pulled; all {len(took)} starts that were let finish played, the last "
        f"with tempo {found:g} as set; from power to music {min(took):.0f} to {max(took):.0f} s"
    )


def prove_knob() -> None:
    with machine("arm64") as box:
        box.start()
        box.await_("true", "an answer")
        for line in (0, 1):
            box.drive_line(line, high=True)
        box.await_(PLAYS, "music")
        say("arm64: it plays")
        box.ask("bachbox set tempo=80")
        # A leads when it is turned to the right; the pins pull up.
        right = [(False, True), (False, False), (True, False), (True, True)]
        left = [(b, a) for a, b in right]
        for quarter in right * 10 + left * 4:
            for line, high in enumerate(quarter):
                box.drive_line(line, high=high)
            time.sleep(QUARTER_S)
        time.sleep(10)
        found = tempo(box)
        say(f"arm64: from tempo 80, 10 clicks to the right and 4 to the left of 2 each: {found:g}")
        box.switch_off_card()
        assert found == 80 + (10 - 4) * 2


def prove_card() -> None:
    folder = BUILD / "card"
    folder.mkdir(parents=True, exist_ok=True)
    card = folder / "card.img"
    image = ROOT / "build/image/bachbox.img"
    if older(image):
        make("the card image", "arm64", ROOT / "deploy/image.sh")
    subprocess.run(["cp", "--sparse=always", image, card], check=True)
    boot = ("-i", f"{card}@@4M")

    def on_card(tool: str, *arguments: str | Path) -> str:
        return subprocess.run(
            [tool, *arguments], check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    # The emulated Pi has no sound, so somebody writes that into bachbox.txt, as on any computer.
    wishes = on_card("mtype", *boot, "::/bachbox.txt")
    text = folder / "bachbox.txt"
    text.write_text(wishes.replace('output = "default"', 'output = "null"'))
    on_card("mcopy", "-n", "-o", *boot, text, "::/bachbox.txt")
    # What the Pi's own firmware does, and QEMU does not: finding these on the card.
    names = on_card("mdir", "-b", *boot, "::/")
    found = {}
    for what in ("vmlinuz-", "initrd.img-", "bcm2837-rpi-3-b.dtb", "cmdline.txt"):
        name = next(line.strip() for line in names.splitlines() if what in line)
        found[what] = folder / what.strip("-")
        on_card("mcopy", "-n", "-o", *boot, name, found[what])
    arguments = found["cmdline.txt"].read_text().strip().replace("quiet", "")
    console = folder / "console"
    began = time.monotonic()
    with (folder / "qemu").open("wb") as log:
        process = subprocess.Popen(
            [
                *("qemu-system-aarch64", "-M", "raspi3b", "-display", "none", "-no-reboot"),
                *("-kernel", found["vmlinuz-"], "-initrd", found["initrd.img-"]),
                *("-dtb", found["bcm2837-rpi-3-b.dtb"], "-append"),
                f"{arguments} console=ttyS1,115200 {_TOLD}",
                *("-drive", f"file={card},format=raw,if=sd"),
                *("-serial", "null", "-serial", f"file:{console}"),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        while time.monotonic() - began < BOOT_S:
            assert process.poll() is None, (folder / "qemu").read_text()
            said = console.read_text(errors="replace") if console.exists() else ""
            missing = [what for what, pattern in _OF_CARD.items() if not re.search(pattern, said)]
            if not missing:
                say(f"card: {', '.join(_OF_CARD)}; {time.monotonic() - began:.0f} s after power")
                return
            time.sleep(1)
        raise TimeoutError(f"the card did not come to this: {', '.join(missing)}; see {console}")
    finally:
        process.kill()
        process.wait()


def main() -> None:
    match sys.argv[1:]:
        case ["sound"]:
            prove_sound()
        case ["plug", *times]:
            prove_plug(int(times[0]) if times else 20)
        case ["knob"]:
            prove_knob()
        case ["card"]:
            prove_card()
        case []:
            prove_sound()
            prove_plug(20)
            prove_knob()
            prove_card()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
