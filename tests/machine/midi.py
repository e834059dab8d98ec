"""MIDI through ALSA's sequencer: ``aseqdump`` is the organ, ``aplaymidi`` knobs and keys.

The organ writes down what it hears, also over its own ends: its file is what a device has heard.
"""

from __future__ import annotations

import re
import time
from typing import Final

from tests.machine.machine import Machine
from tests.machine.making import PLAYS, machine, say
from tests.support.midi_listener import hanging, notes

_CONFIG: Final = " ".join(
    (
        "sed -i",
        """-e 's/^output = .*/output = "null"/'""",
        """-e 's/^out_port = .*/out_port = "aseqdump"/'""",
        """-e 's/^in_ports = .*/in_ports = ["Midi Through"]/'""",
        """-e 's/^#knobs = .*/knobs = { 21 = "tempo", 7 = "volume" }/'""",
        "/etc/bachbox/bachbox.toml",
    )
)

_ORGAN: Final = "(chrt -f 50 aseqdump >>/root/heard 2>&1 & echo $! >/run/organ); sleep 1"
_NO_ORGAN: Final = "kill $(cat /run/organ); sleep 1"

_KILL_PERFORMER: Final = (
    r"kill -9 $(grep -l 'performer[_]process' /proc/[0-9]*/cmdline | tr -dc '0-9\n')"
)

_HANDS: Final = """
import sys, mido
kind, *values = sys.argv[1:]
track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)])
def add(kind, ms, **what):
    track.append(mido.Message(kind, time=ms, **what))
if kind == "storm":
    seconds, *last = map(int, values)
    for number in range(128):  # Past the present values, from where knobs take over.
        add("control_change", 5, control=21, value=number)
        add("control_change", 5, control=7, value=number)
    for number in range(1000 * seconds):
        add("control_change", 1, control=7 if number % 2 else 21, value=number * 37 % 128)
    for control, value in zip((21, 7), last):
        add("control_change", 1, control=control, value=value)
else:
    for key in map(int, values):
        add("note_on", 30, note=key, velocity=80)
        add("note_off", 400, note=key)
file = mido.MidiFile(type=0, ticks_per_beat=500)
file.tracks.append(track)
file.save("/root/hands.mid")
"""
"""Writes a MIDI file whose ticks are milliseconds."""

_PLAY_HANDS: Final = "aplaymidi -p 'Midi Through' -d 0 /root/hands.mid"

_KINDS: Final = {
    r"Note on +(\d+), note (\d+), velocity [1-9]": 0x90,
    r"Note (?:off|on) +(\d+), note (\d+)": 0x80,
    r"Program change +(\d+), program (\d+)": 0xC0,
    r"Control change +(\d+), controller (\d+)": 0xB0,
}

_PIECE: Final = "Storm"
"""The name of the piece that plays during the storm."""

_WRITE_PIECE: Final = f"""
from pathlib import Path
from appliance.audio.synth import VOICE_CHANNELS
from appliance.music.files.recorded_events import RecordedNoteOn
from appliance.state.saved_pieces import SavedPieces
saved = SavedPieces(Path("/var/lib/bachbox/pieces"))
saved.load()
record = saved.record(saved.find("{_PIECE}").id)
assert record.complete, "it is not over yet"
for event in record.recorded:
    if isinstance(event, RecordedNoteOn):
        print(VOICE_CHANNELS[event.voice], event.pitch)
"""
"""Prints channel and key of each note of the piece, once it is over."""

_STORM_S: Final = 10
_TEMPO, _VOLUME = 40.0, 100.0
"""Where the storm leaves the two knobs: at their left and their right end."""

_FLUTE: Final = 73
_TUNE: Final = (67, 69, 71, 72, 71, 69, 67)
_MANY: Final = 20
"""So many notes are music."""


class _Organ:
    """The other end of MIDI out."""

    def __init__(self, box: Machine) -> None:
        self._box = box
        self.heard: list[bytes] = []
        self._length = 0

    def listen(self) -> list[bytes]:
        """All that was heard until now."""
        # The dot shows where the last line ends: an answer comes without its last newline.
        said = self._box.answer(f"tail -c +{self._length + 1} /root/heard; echo .")
        whole = said[: said.rfind("\n") + 1]
        self._length += len(whole)
        for line in whole.splitlines():
            for pattern, status in _KINDS.items():
                if found := re.search(pattern, line):
                    self.heard.append(bytes((status | int(found[1]), int(found[2]))))
                    break
        return self.heard

    def await_notes(self, what: str) -> None:
        """Wait for music; every note up to then was released before it was struck again."""
        before = len(notes(self.listen()))
        deadline = time.monotonic() + 900
        while len(notes(self.listen())) < before + _MANY:
            assert time.monotonic() < deadline, f"no music {what}"
            time.sleep(2)
        hanging(self.heard)
        say(f"midi: {what}: every note-on so far was released before the key was struck again")

    def await_silence(self, what: str) -> None:
        """Wait until nothing sounds any longer."""
        deadline = time.monotonic() + 300
        while left := hanging(self.listen()):
            assert time.monotonic() < deadline, f"{what}: {left} hang"
            time.sleep(2)
        say(f"midi: {what}: nothing hangs, of {len(notes(self.heard)) // 2} notes")


def _write_hands(box: Machine, *arguments: object) -> None:
    said = " ".join(map(str, arguments))
    box.answer(f"/usr/lib/bachbox/bin/python3 /root/hands.py {said}")


def _setting(box: Machine, name: str) -> float:
    return float(
        box.answer(
            "bachbox status --json | python3 -c 'import json, sys; "
            f'print(json.load(sys.stdin)["settings"]["{name}"])\''
        )
    )


def _processor_s(box: Machine) -> float:
    """How long the daemon has used the processor."""
    said = box.answer("cat /proc/$(systemctl show -p MainPID --value bachbox)/stat")
    return sum(map(int, said.rpartition(")")[2].split()[11:13])) / 100


def _prove_storm(box: Machine, organ: _Organ) -> None:
    _write_hands(box, "storm", _STORM_S, 0, 127)
    began, used_s = time.monotonic(), _processor_s(box)
    box.answer(_PLAY_HANDS)
    say(
        f"midi: {1000 * _STORM_S} values of two knobs, in {time.monotonic() - began:.0f} s, of "
        f"which the daemon used the processor {_processor_s(box) - used_s:.1f} s"
    )
    time.sleep(2)
    found = _setting(box, "tempo"), _setting(box, "volume")
    say(f"midi: after the last values tempo and volume are {found}")
    assert found == (_TEMPO, _VOLUME)
    current = box.answer("bachbox status --json")
    assert f'"{_PIECE}"' in current, f"the piece was over before the storm was: {current}"
    organ.await_notes("after the storm")
    health = box.answer("systemctl show -p NRestarts bachbox; bachbox status")
    say(f"midi: {health.strip()}")


def _keep_piece(box: Machine) -> dict[int, list[int]]:
    """Save a piece; each channel's keys in it, as the box says it has heard them."""
    box.answer(f"bachbox save {_PIECE}")
    read = "/usr/lib/bachbox/bin/python3 /root/piece.py"
    box.await_(f"{read} >/run/piece", "the end of the piece")
    wanted: dict[int, list[int]] = {}
    for line in box.answer("cat /run/piece").splitlines():
        channel, key = map(int, line.split())
        wanted.setdefault(channel, []).append(key)
    assert sum(map(len, wanted.values())) >= _MANY
    return wanted


def _prove_score(organ: _Organ, wanted: dict[int, list[int]], before: int) -> None:
    """The organ has heard the kept piece, note for note, from its beginning to its end."""
    deadline = time.monotonic() + 900
    for channel, keys in sorted(wanted.items()):
        while True:
            got = [k for w, c, k in notes(organ.listen()[before:]) if (w, c) == ("on", channel)]
            if bytes(keys) in bytes(got):
                break
            assert time.monotonic() < deadline, f"channel {channel + 1}: {keys} is not in {got}"
            time.sleep(2)
        say(f"midi: channel {channel + 1} has all {len(keys)} notes of the piece, and no other")


def _prove_ends(box: Machine, organ: _Organ) -> None:
    box.answer("bachbox pause")
    organ.await_silence("paused")
    box.answer("bachbox set instrument=Flute && bachbox resume")
    organ.await_notes("with another instrument")
    assert bytes((0xC0, _FLUTE)) in organ.heard
    for number in range(3):
        box.answer(_KILL_PERFORMER)
        organ.await_notes(f"performer killed ({number + 1})")
    for number in range(3):
        box.answer("systemctl kill -s KILL --kill-whom=main bachbox")
        box.await_(PLAYS, "music")
        organ.await_notes(f"daemon killed ({number + 1})")
    box.answer("systemctl kill -s KILL bachbox")
    box.await_(PLAYS, "music")
    organ.await_notes("all killed")
    for number in range(3):
        box.answer(_NO_ORGAN)
        time.sleep(3)
        box.answer(_ORGAN)
        organ.await_notes(f"unplugged ({number + 1})")


def _prove_keys(box: Machine, organ: _Organ) -> None:
    """What is played becomes the soprano of a piece that is composed and played."""
    box.answer("bachbox pause")
    organ.await_silence("paused")
    before = len(organ.heard)
    began = time.monotonic()
    _write_hands(box, "tune", *_TUNE)
    box.answer(_PLAY_HANDS)
    box.await_("bachbox saved --json | grep -q '\"model\"'", "the piece")
    say(f"midi: a piece that begins with what was played, after {time.monotonic() - began:.0f} s")
    box.answer("bachbox resume")
    deadline = time.monotonic() + 600
    while True:
        sung = [k for w, c, k in notes(organ.listen()[before:]) if (w, c) == ("on", 0)]
        if bytes(_TUNE) in bytes(sung):
            break
        assert time.monotonic() < deadline, f"the organ heard {sung}"
        time.sleep(2)
    say("midi: the organ has heard the notes that were played, as the soprano")


def prove_midi() -> None:
    with machine("amd64") as box:
        box.start()
        box.await_("true", "an answer")
        box.answer("systemctl stop bachbox")
        box.answer(_CONFIG)
        box.write("/root/hands.py", _HANDS)
        box.write("/root/piece.py", _WRITE_PIECE)
        box.answer("systemctl start --no-block bachbox")
        box.await_(PLAYS, "music")
        box.answer(_ORGAN)
        organ = _Organ(box)
        say(f"midi: {box.answer('bachbox midi ports').strip()}")
        organ.await_notes("plugged in while it plays")
        piece = _keep_piece(box)
        before = len(organ.listen())
        box.answer(f"bachbox replay {_PIECE}")
        _prove_storm(box, organ)
        box.answer("bachbox set tempo=120")
        _prove_score(organ, piece, before)
        _prove_ends(box, organ)
        _prove_keys(box, organ)
        box.answer("systemctl stop bachbox")
        organ.await_silence("stopped")
