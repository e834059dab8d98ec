"""The card image on an emulated Raspberry Pi 3."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.machine.machine import BOOT_S
from tests.machine.making import BUILD, ROOT, make, older, say

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
