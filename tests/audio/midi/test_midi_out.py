"""MIDI out: the notes of the synth, when they are due, and a note-off for every note-on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.audio.midi import CLOCK, START, STOP, control
from appliance.audio.midi.memory_ports import MemoryOut
from appliance.audio.midi.midi_out import CLOCK_TICKS, LATE_S, Key, MidiOut, silence
from appliance.audio.midi.midi_synth import CHANNELS, MidiSynth
from appliance.audio.performer import Performer
from appliance.audio.synth import VOICE_CHANNELS
from appliance.audio.tempo_map import TempoMap
from appliance.ipc.ring import RingReader, RingWriter
from appliance.ipc.shared_state import LiveSettings, SharedState
from appliance.music.events import TICKS_PER_BEAT, NoteOff, NoteOn
from tests.audio.test_performer import RecordingSynth
from tests.support.midi_listener import hanging, notes

RATE = 48_000
BLOCK = 1024
BLOCK_S = BLOCK / RATE


class Player:
    """A MIDI output in blocks, on a clock of its own that begins with the real one."""

    def __init__(self, sounding: Iterable[Key] | None = (), **options: Any) -> None:
        self.port = MemoryOut()
        self.told: list[frozenset[Key]] = []
        self.out = MidiOut(
            "memory", self.port, [0, 1], lambda keys: self.told.append(frozenset(keys)),
            sounding, **options,
        )  # fmt: skip
        self.now_s = time.monotonic()
        self.tick = 0.0

    def block(self, *, is_playing: bool = True) -> None:
        """End a block of sound, at 120 quarter notes a minute."""
        self.out.advance(BLOCK)
        ticks = self.tick, self.tick + BLOCK_S * 2 * TICKS_PER_BEAT * is_playing
        self.out.end_block(self.now_s, RATE, ticks, is_playing=is_playing)
        self.tick = ticks[1]
        self.now_s += BLOCK_S

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.block()

    def heard(self) -> list[bytes]:
        return [message for _, message in self.port.sent]


@pytest.fixture
def player() -> Iterator[Player]:
    player = Player()
    # The port is silenced when it comes, and then restored.
    player.blocks(2)
    yield player
    player.out.close()


def test_a_note_is_sent_a_block_after_it_begins(player: Player) -> None:
    player.port.sent.clear()
    player.out.advance(480)
    player.out.note_on(1, 60, 90)
    start_s = player.now_s
    player.block()
    [(at_s, message)] = player.port.sent
    assert message == bytes((0x91, 60, 90))
    assert at_s == pytest.approx(start_s + (480 + BLOCK + 480) / RATE, abs=1e-3)


def test_a_key_that_is_held_is_released_before_it_is_struck_again(player: Player) -> None:
    player.out.note_on(0, 60, 90)
    player.out.note_on(0, 60, 90)
    player.out.note_off(0, 60)
    player.block()
    assert notes(player.heard()) == [("on", 0, 60), ("off", 0, 60), ("on", 0, 60), ("off", 0, 60)]


def test_notes_are_written_down_from_before_they_sound_until_they_are_released(
    player: Player,
) -> None:
    player.out.note_on(0, 60, 90)
    player.block()
    assert player.told[-1] == {(0, 60)}
    player.out.note_off(0, 60)
    player.block()
    assert player.told[-1] == {(0, 60)}, "its note-off is not due yet"
    player.blocks(2)
    assert player.told[-1] == {(0, 60)}, "its note-off may be late"
    player.blocks(int(LATE_S / BLOCK_S) + 1)
    assert not player.told[-1]


def test_a_note_off_that_was_due_just_now_is_repeated_at_the_end(player: Player) -> None:
    """The kernel's queue may still hold it, and is emptied then."""
    player.out.note_on(0, 60, 90)
    player.block()
    player.out.note_off(0, 60)
    player.blocks(3)
    player.port.sent.clear()
    player.out.release()
    assert notes(player.heard()) == [("off", 0, 60)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1), st.integers(60, 63)), max_size=40),
       st.integers(0, 30))  # fmt: skip
def test_nothing_hangs_after_a_kill_at_any_moment(
    steps: list[tuple[bool, int, int]], killed_at: int
) -> None:
    player = Player()
    for number, (is_on, channel, key) in enumerate(steps):
        if is_on:
            player.out.note_on(channel, key, 90)
        else:
            player.out.note_off(channel, key)
        if number % 3 == 0:
            player.block()
    # What is due later dies with the process.
    player.port.sent = [timed for timed in player.port.sent if timed.at_s <= player.now_s]
    sounding = player.told[-1] if player.told else frozenset()
    heard = player.heard()
    player.out.close()
    assert hanging(heard) <= sounding
    port = MemoryOut()
    assert silence(port, sounding)
    assert not hanging(heard + [message for _, message in port.sent])


def test_close_releases_everything_and_sends_nothing_that_was_to_come(player: Player) -> None:
    player.out.note_on(0, 60, 90)
    player.block()
    player.blocks(2)
    player.now_s += 100
    player.out.note_on(0, 62, 90)
    player.block()
    player.out.close()
    assert not hanging(player.heard())


def test_a_port_that_comes_back_is_silenced_and_then_plays_what_is_held(player: Player) -> None:
    player.out.program(0, 19)
    player.out.note_on(0, 60, 90)
    player.out.note_on(1, 48, 70)
    player.block()
    player.port.plug(False)
    player.out.note_off(1, 48)
    player.blocks(3)
    before = len(player.port.sent)
    player.port.plug(True)
    deadline = time.monotonic() + 60
    while len(player.port.sent) == before:
        assert time.monotonic() < deadline
        player.block()
        time.sleep(0.001)
    player.blocks(2)
    since = [message for _, message in player.port.sent[before:]]
    assert notes(since)[0] == ("off", 0, 60), "as far as anyone knows it still sounds there"
    assert notes(since)[-1] == ("on", 0, 60)
    assert bytes((0xC0, 19)) in since
    assert control(0, 123, 0) in since
    assert hanging(player.heard()) == {(0, 60)}


def test_the_first_player_releases_all_keys_as_slowly_as_a_cable_takes_them() -> None:
    player = Player(sounding=None)
    player.out.note_on(0, 60, 90)
    player.blocks(int(5 / BLOCK_S))
    offs = [timed for timed in player.port.sent if timed.message[0] & 0xF0 == 0x80]
    assert {tuple(notes([m])[0][1:]) for _, m in offs} == {
        (channel, key) for channel in (0, 1) for key in range(21, 109)
    }
    assert all(b.at_s - a.at_s >= 0.00096 for a, b in itertools.pairwise(offs))
    on = next(timed for timed in player.port.sent if timed.message[0] == 0x90)
    assert on.at_s > offs[-1].at_s
    player.out.close()


def test_what_a_player_before_left_is_released_by_the_next() -> None:
    player = Player(sounding={(1, 50)})
    player.block()
    assert notes(player.heard()) == [("off", 1, 50)]
    player.out.close()


def test_the_clock_has_24_pulses_a_quarter_note_and_says_when_it_stops() -> None:
    player = Player(has_clock=True)
    player.blocks(200)
    player.block(is_playing=False)
    pulses = [at_s for at_s, message in player.port.sent if message == CLOCK]
    gaps = [b - a for a, b in itertools.pairwise(pulses)]
    assert gaps
    # At 120 quarter notes a minute.
    assert all(gap == pytest.approx(0.5 / 24, abs=1e-3) for gap in gaps)
    assert TICKS_PER_BEAT == 24 * CLOCK_TICKS
    assert player.heard()[-1] == STOP
    player.block()
    assert any(message != START and message[0] == 0xFB for message in player.heard())
    player.out.close()


def test_programs_can_be_left_out() -> None:
    player = Player(has_programs=False)
    player.out.program(0, 19)
    player.blocks(3)
    assert not any(message[0] & 0xF0 == 0xC0 for message in player.heard())
    player.out.close()


@pytest.mark.parametrize("program", [19, 6], ids=["organ", "harpsichord, which breaks chords"])
def test_the_port_gets_the_notes_that_the_synth_gets(program: int) -> None:
    shared = SharedState.create()
    shared.live_settings.write(LiveSettings(tempo_bpm=120.0, program=program))
    writer = RingWriter(shared)
    for beat in range(12):
        for voice in range(4):
            tick = beat * TICKS_PER_BEAT
            writer.append(NoteOn(tick, voice, 48 + 5 * voice + beat, 90))
        for voice in range(4):
            writer.append(NoteOff(tick + 400 + voice, voice, 48 + 5 * voice + beat, 60, 60))
        writer.publish((beat + 1) * TICKS_PER_BEAT)
    player, synth = Player(), RecordingSynth()
    performer = Performer(
        RingReader(shared),
        MidiSynth(synth, player.out),
        TempoMap(RATE, 120.0),
        shared.live_settings.read,
    )
    for number in range(300):
        if number == 100:
            # Another instrument, a silent voice and a pause.
            changed = LiveSettings(
                tempo_bpm=120.0, program=73, voice_levels=(100.0, 0.0, 60.0, 100.0)
            )
            shared.live_settings.write(changed)
        shared.live_settings.write(
            shared.live_settings.read()._replace(playing=not 150 < number < 170)
        )
        start_tick = performer.playhead_tick
        performer.render(BLOCK)
        ticks = start_tick, performer.playhead_tick
        player.out.end_block(player.now_s, RATE, ticks, is_playing=performer.playing)
        player.now_s += BLOCK_S
    by_synth = [
        (what, VOICE_CHANNELS[voice], pitch)
        for _, what, voice, pitch in synth.calls
        if what in ("on", "off")
    ]
    heard = notes(player.heard())
    # The port was silent for the first block; note-offs of keys that are up are not sent.
    ons = [note for note in by_synth if note[0] == "on"]
    assert [note for note in heard if note[0] == "on"] == ons
    assert not hanging(player.heard())
    assert bytes((0xC0, 73)) in player.heard()
    assert len(ons) > 30
    player.out.close()
    shared.close()


def test_each_voice_has_a_channel_and_the_drums_have_none() -> None:
    assert len(set(CHANNELS)) == len(CHANNELS)
    assert 9 not in CHANNELS
