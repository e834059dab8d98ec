"""Bachbox on whole machines in QEMU, without KVM: `sudo make test-machine`.

    python -m tests.machine sound         amd64: its sound card's WAV has the score's pitches
    python -m tests.machine plug [TIMES]  amd64: the plug is pulled (20 times) at random moments
    python -m tests.machine knob          arm64: an encoder on the pins is turned from outside
    python -m tests.machine midi          amd64: an organ and knobs at ALSA's sequencer
    python -m tests.machine hotspot       amd64: a phone fills in the page of bachbox-setup
    python -m tests.machine card          build/image/bachbox.img boots on a Raspberry Pi 3
    python -m tests.machine               all of them

``PACKAGE=FILE.deb`` installs this package instead of building one. Prints what it finds; how fast
things are depends on this computer and says nothing of a Pi.
"""

from __future__ import annotations

import base64
import math
import random
import sys
import time
from typing import Final

from tests.machine import pitches
from tests.machine.card import prove_card
from tests.machine.hotspot import prove_hotspot
from tests.machine.machine import BOOT_S, Machine
from tests.machine.making import BUILD, PLAYS, machine, say
from tests.machine.midi import prove_midi

HOLDS_S: Final = 2.0
"""What was set so long before the plug was pulled is there again."""

PULLED_AT_START: Final = 4
"""Each one of so many plugs is pulled while the machine starts, the others while it plays."""

QUARTER_S: Final = 0.7
"""Of a click of the encoder: faster, and an emulated machine on a busy computer misses some."""

MUSIC_S: Final = 60
MIN_LIKENESS: Final = 0.7


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


def main() -> None:
    match sys.argv[1:]:
        case ["sound"]:
            prove_sound()
        case ["plug", *times]:
            prove_plug(int(times[0]) if times else 20)
        case ["knob"]:
            prove_knob()
        case ["midi"]:
            prove_midi()
        case ["hotspot"]:
            prove_hotspot()
        case ["card"]:
            prove_card()
        case []:
            prove_sound()
            prove_plug(20)
            prove_knob()
            prove_midi()
            prove_hotspot()
            prove_card()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
