"""The performer: every event sounds at its own frame, in a file as on the card."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.audio.event_source import EventSource, StepSource, finished
from appliance.audio.performer import (
    CHANGE_BLOCKS,
    MAX_WAIT_S,
    TEST_TONE_PITCH,
    TEST_TONE_VOICE,
    Performer,
)
from appliance.audio.tempo_map import TempoMap
from appliance.ipc.ring import RingReader, RingWriter
from appliance.ipc.shared_state import LiveSettings, SharedState
from appliance.music.events import Event, NoteOff, NoteOn, Piece, PieceStart, TempoFactor
from appliance.music.expression import apply_expression
from appliance.music.temperament import key_cents

RATE = 48_000
FRAMES_PER_TICK = 75
"""At 80 quarter notes a minute."""

Call = tuple[int, str, int, int]


class RecordingSynth:
    """Records its calls and their frames; its sound is the number of each frame."""

    def __init__(self) -> None:
        self.frame = 0
        self.calls: list[Call] = []
        self.volumes: list[float] = []
        self.velocities: list[int] = []
        self.tunings: list[Sequence[float]] = []

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        self.velocities.append(velocity)
        self.calls.append((self.frame, "on", voice, pitch))

    def note_off(self, voice: int, pitch: int) -> None:
        self.calls.append((self.frame, "off", voice, pitch))

    def program(self, program: int) -> None:
        self.calls.append((self.frame, "program", program, 0))

    def voice(self, voice: int, program: int, level: float) -> None:
        self.calls.append((self.frame, "voice", voice, program))

    def tune(self, cents: Sequence[float]) -> None:
        self.tunings.append(cents)

    def volume(self, percent: float) -> None:
        self.volumes.append(percent)

    def render(self, frames: int) -> bytes:
        assert frames > 0 or not frames
        start, self.frame = self.frame, self.frame + frames
        return b"".join(frame.to_bytes(4, "little") for frame in range(start, self.frame))

    @property
    def notes(self) -> list[Call]:
        return [call for call in self.calls if call[1] in ("on", "off")]


class Setup:
    """A performer, its synth, and settings that a test can change."""

    def __init__(self, source: EventSource, tempo_bpm: float = 80.0) -> None:
        self.settings = LiveSettings(tempo_bpm=tempo_bpm)
        self.synth = RecordingSynth()
        self.tempo_map = TempoMap(RATE, tempo_bpm)
        self.performer = Performer(source, self.synth, self.tempo_map, lambda: self.settings)

    def set(self, **changes: object) -> None:
        self.settings = self.settings._replace(**changes)  # type: ignore[arg-type]

    def render(self, blocks: Iterable[int]) -> bytes:
        return b"".join(self.performer.render(frames) for frames in blocks)


def _ring_of(events: Iterable[Event], horizon_tick: int) -> tuple[RingWriter, RingReader]:
    shared = SharedState.create()
    weakref.finalize(shared, os.close, shared.fd)
    writer = RingWriter(shared)
    for event in events:
        writer.append(event)
    writer.publish(horizon_tick)
    return writer, RingReader(shared)


_music = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.sampled_from([NoteOn, NoteOff, TempoFactor]),
        st.integers(0, 3),
        st.integers(36, 81),
        st.integers(500, 1500),
    ),
    max_size=40,
)
_blocks = st.lists(st.integers(1, 4096), min_size=1, max_size=40)


def _events(music: list[tuple[int, type[Event], int, int, int]]) -> list[Event]:
    tick, events = 0, list[Event]()
    for gap, kind, voice, pitch, permille in music:
        tick += gap
        if kind is TempoFactor:
            events.append(TempoFactor(tick, permille))
        elif kind is NoteOn:
            events.append(NoteOn(tick, voice, pitch, 80))
        else:
            events.append(NoteOff(tick, voice, pitch))
    return events


@given(music=_music, blocks=_blocks)
def test_each_event_sounds_at_its_own_frame(
    music: list[tuple[int, type[Event], int, int, int]], blocks: list[int]
) -> None:
    events = _events(music)
    setup = Setup(finished(events))
    sound = setup.render(blocks)
    expected: list[Call] = []
    frame, tick, frames_per_tick = 0.0, 0, float(FRAMES_PER_TICK)
    for event in events:
        frame += (event.tick - tick) * frames_per_tick
        tick = event.tick
        if isinstance(event, TempoFactor):
            frames_per_tick = FRAMES_PER_TICK * 1000 / event.permille
        elif isinstance(event, NoteOn | NoteOff):
            word = "on" if isinstance(event, NoteOn) else "off"
            expected.append((round(frame), word, event.voice, event.pitch))
    total = sum(blocks)
    heard = setup.synth.notes
    assert len(heard) in (
        sum(call[0] < total for call in expected),
        sum(call[0] < total - 1 for call in expected),
        sum(call[0] < total + 1 for call in expected),
    )
    for ours, exact in zip(heard, expected, strict=False):
        assert abs(ours[0] - exact[0]) <= 1, "one frame is left to rounding"
        assert ours[1:] == exact[1:]
    assert sound == RecordingSynth().render(total), "and no frame is lost or played twice"


@given(music=_music, live_blocks=_blocks, offline_frames=st.integers(1, 4096))
def test_live_and_offline_give_the_same_frames(
    music: list[tuple[int, type[Event], int, int, int]], live_blocks: list[int], offline_frames: int
) -> None:
    events = _events(music)
    horizon = (events[-1].tick if events else 0) + 10**6
    _, reader = _ring_of(events, horizon)
    live, offline = Setup(reader), Setup(finished(events))
    live_sound = live.render(live_blocks)
    total = sum(live_blocks)
    whole, rest = divmod(total, offline_frames)
    offline_sound = offline.render([offline_frames] * whole + [rest] * bool(rest))
    assert live.synth.notes == offline.synth.notes
    assert live_sound == offline_sound


def test_a_step_source_composes_no_more_than_the_music_needs() -> None:
    steps = 0

    def step() -> list[Event]:
        nonlocal steps
        steps += 1
        return [NoteOn(120 * (steps - 1), 0, 60, 80)]

    setup = Setup(StepSource(step, lambda: 120 * steps))
    setup.render([1024] * 100)
    played = 100 * 1024 // (120 * FRAMES_PER_TICK) + 1
    assert len(setup.synth.notes) == played
    assert steps < played + 20
    assert setup.performer.starved == 0


def test_at_the_horizon_the_music_waits_and_continues_in_time() -> None:
    writer, reader = _ring_of([NoteOn(0, 0, 60, 80), NoteOn(10, 0, 62, 80)], 20)
    setup = Setup(reader)
    setup.render([1000] * 5)
    assert [call[0] for call in setup.synth.notes] == [0, 750]
    assert setup.performer.starved == 4, "the horizon was reached in the second block"
    assert setup.performer.playhead_tick == 20
    writer.append(NoteOn(20, 0, 64, 80))
    writer.append(NoteOn(30, 0, 65, 80))
    writer.publish(1000)
    setup.render([1000])
    assert [call[0] for call in setup.synth.notes] == [0, 750, 5000, 5750]
    assert setup.performer.late_events == 0


def test_a_chord_that_waits_for_seconds_is_released_and_struck_again_when_the_music_continues() -> (
    None
):
    writer, reader = _ring_of([NoteOn(0, 0, 60, 80), NoteOn(0, 1, 55, 80)], 100)
    setup = Setup(reader)
    waited_frames = round(MAX_WAIT_S * RATE)
    setup.render([7500, waited_frames - 1500, 1500])
    assert [call[1] for call in setup.synth.notes] == ["on", "on"], "this long it may sound"
    setup.render([1500, RATE, RATE])
    assert [call[1] for call in setup.synth.notes] == ["on", "on", "off", "off"]
    assert setup.performer.sounding == 0
    writer.append(NoteOff(110, 1, 55))
    writer.publish(1000)
    again = setup.synth.frame
    setup.render([1500])
    assert setup.synth.notes[4:] == [
        (again, "on", 0, 60),
        (again, "on", 1, 55),
        (again + 750, "off", 1, 55),
    ]


def test_waiting_for_the_first_note_counts_no_starved_block() -> None:
    setup = Setup(RingReader(SharedState.create()))
    setup.render([1024] * 10)
    assert setup.performer.starved == 0
    assert not setup.performer.begun
    assert setup.performer.playhead_tick == 0


def test_a_tempo_change_acts_at_the_next_block_without_a_jump() -> None:
    events = [NoteOn(tick, 0, 60, 80) for tick in range(0, 200, 10)]
    setup = Setup(finished(events))
    setup.render([1000])
    setup.set(tempo_bpm=160.0)
    setup.render([2000])
    frames = [call[0] for call in setup.synth.notes]
    # 1000 frames are 13 1/3 ticks; tick 20 is 6 2/3 ticks of 37.5 frames later.
    assert frames == [0, 750, 1250, 1625, 2000, 2375, 2750]


def test_the_tempo_does_not_rise_into_music_that_is_not_composed_yet() -> None:
    writer, reader = _ring_of([NoteOn(0, 0, 60, 80)], 100)
    setup = Setup(reader)
    setup.render([750])
    # Two blocks at 240 would be 60 ticks; 50 are left after the next block.
    setup.set(tempo_bpm=240.0)
    setup.render([3000])
    assert setup.performer.playhead_tick == 50
    writer.publish(1000)
    setup.render([750])
    assert setup.performer.playhead_tick == 80
    assert setup.performer.starved == 0


def test_a_rewind_that_is_too_near_is_refused() -> None:
    writer, reader = _ring_of([NoteOn(tick, 0, 60, 80) for tick in range(0, 1000, 10)], 1000)
    setup = Setup(reader)
    setup.render([750])
    for near, answer in ((2, False), (3, True)):
        here = round(setup.performer.playhead_tick) // 10
        writer.request_rewind(here + near, 10 * (here + near))
        setup.render([750])
        assert writer.rewind_answer() is answer


def test_a_pause_releases_the_notes_and_its_end_strikes_them_again() -> None:
    setup = Setup(finished([NoteOn(0, 0, 60, 80), NoteOn(0, 1, 55, 80), NoteOn(20, 2, 50, 80)]))
    setup.render([750])
    assert setup.performer.sounding == 2
    setup.set(playing=False)
    setup.render([1000, 1000])
    assert setup.performer.sounding == 0
    setup.set(playing=True)
    setup.render([1000])
    assert setup.synth.notes == [
        (0, "on", 0, 60),
        (0, "on", 1, 55),
        (750, "off", 0, 60),
        (750, "off", 1, 55),
        (2750, "on", 0, 60),
        (2750, "on", 1, 55),
        (3500, "on", 2, 50),
    ], "the music has waited 2000 frames"


def test_another_instrument_sounds_at_once_and_no_note_hangs() -> None:
    setup = Setup(finished([NoteOn(0, 0, 60, 80), NoteOff(100, 0, 60)]))
    setup.render([1000])
    setup.set(program=48)
    setup.render([1000, 7000])
    assert setup.synth.calls == [
        (0, "program", 19, 0),
        (0, "on", 0, 60),
        (1000, "off", 0, 60),
        (1000, "program", 48, 0),
        (1000, "on", 0, 60),
        (7500, "off", 0, 60),
    ]


def test_an_instrument_chosen_during_a_pause_sounds_after_it() -> None:
    setup = Setup(finished([NoteOn(0, 0, 60, 80)]))
    setup.render([1000])
    setup.set(program=48, playing=False)
    setup.render([1000])
    setup.set(playing=True)
    setup.render([1000])
    assert [call[:2] for call in setup.synth.calls[1:]] == [
        (0, "on"),
        (1000, "off"),
        (1000, "program"),
        (2000, "on"),
    ]


def test_volume_is_set_only_when_it_changes() -> None:
    setup = Setup(finished([]))
    setup.render([100, 100])
    setup.set(volume=20.0)
    setup.render([100, 100])
    assert setup.synth.volumes == [70.0, 20.0]


def early(tick: int, voice: int, pitch: int, ticks: int) -> Event:
    """A note-off that comes ``ticks`` early at full expression, repeated or not."""
    return NoteOff(tick, voice, pitch, ticks, ticks)


def test_expression_acts_at_the_next_block_on_velocity_tempo_and_length() -> None:
    music: list[Event] = []
    for beat in range(4):
        at = 480 * beat
        music += [NoteOn(at, 0, 60, 100), TempoFactor(at, 500), early(at + 480, 0, 60, 120)]
    setup = Setup(finished(sorted(music, key=lambda event: event.tick)))
    setup.set(expression=0.0)
    beat = 480 * FRAMES_PER_TICK
    setup.render([beat] * 2)
    setup.set(expression=100.0)
    setup.render([beat] * 2)
    setup.set(expression=50.0)
    setup.render([beat] * 2)
    assert setup.synth.velocities == [80, 80, 100, 90]
    ends = [frame for frame, what, *_ in setup.synth.notes if what == "off"]
    assert ends == [
        *(beat, 2 * beat),
        # At half the tempo, a quarter of a beat before the written end; then at 3/4, an eighth.
        *(2 * beat + 2 * 360 * FRAMES_PER_TICK, 4 * beat + 420 * FRAMES_PER_TICK * 4 // 3),
    ]
    onsets = [frame for frame, what, *_ in setup.synth.notes if what == "on"]
    assert onsets == [0, beat, 2 * beat, 4 * beat]


@given(
    st.lists(st.tuples(st.integers(1, 2000), st.integers(0, 120), st.integers(0, 3)), max_size=30),
    st.floats(0, 100),
    st.lists(st.sampled_from([64, 300, 1024, 4096]), min_size=1, max_size=9),
)
def test_a_note_released_early_sounds_as_it_is_written_into_a_file(
    notes: list[tuple[int, int, int]], percent: float, blocks: list[int]
) -> None:
    """Repeated notes on one key in each voice, the hardest case: no end may hit the next note."""
    ends, music = [0] * 4, list[Event]()
    for length, early_ticks, voice in notes:
        start, end = ends[voice], ends[voice] + length
        ends[voice] = end
        music += [
            NoteOn(start, voice, 60, 90),
            early(end, voice, 60, min(early_ticks, length // 2)),
        ]
    # At one tick, as composers do it, ends come before beginnings.
    music.sort(key=lambda event: (event.tick, isinstance(event, NoteOn)))
    setup = Setup(finished(music))
    setup.set(expression=percent)
    last = (max(ends) + 1) * FRAMES_PER_TICK
    while setup.performer.frame <= last:
        setup.render(blocks)
    wanted = [
        (
            event.tick * FRAMES_PER_TICK,
            "on" if isinstance(event, NoteOn) else "off",
            event.voice,
            event.pitch,
        )
        for event in apply_expression(music, percent)
        if isinstance(event, NoteOn | NoteOff)
    ]
    assert sorted(setup.synth.notes) == sorted(wanted)
    for voice in range(4):
        whats = [what for _, what, of, _ in setup.synth.notes if of == voice]
        assert whats == ["on", "off"] * (len(whats) // 2)


def test_a_note_that_was_released_early_is_not_rewound() -> None:
    music: list[Event] = [NoteOn(0, 0, 60, 90), early(480, 0, 60, 120), NoteOn(480, 0, 60, 90)]
    writer, reader = _ring_of(music, 960)
    setup = Setup(reader)
    setup.render([370 * FRAMES_PER_TICK])
    assert setup.synth.notes[-1][1] == "off"
    writer.request_rewind(1, 480)
    setup.render([FRAMES_PER_TICK])
    assert writer.rewind_answer() is False


def test_a_temperament_or_concert_pitch_is_set_at_the_next_block_and_once() -> None:
    setup = Setup(finished([]))
    setup.render([64, 64])
    setup.set(temperament="vallotti", pitch_hz=415.0)
    setup.render([64, 64])
    assert setup.synth.tunings == [key_cents("equal", 440), key_cents("vallotti", 415)]


def test_a_piece_start_releases_held_notes() -> None:
    about = Piece(2, 7, True, 3, 480, 40)
    setup = Setup(finished([NoteOn(0, 0, 60, 80), PieceStart.of(about), NoteOn(40, 0, 67, 80)]))
    setup.render([4000])
    assert setup.synth.notes == [
        (0, "on", 0, 60),
        (3000, "off", 0, 60),
        (3000, "on", 0, 67),
    ]
    assert setup.performer.piece == about


def test_each_piece_has_its_own_share_of_the_tempo() -> None:
    """At 80 BPM a tick has 75 frames."""
    slow = Piece(1, 7, True, 3, 0, 0, tempo_permille=500)
    quick = Piece(2, 7, True, 3, 0, 80, tempo_permille=2000)
    events: list[Event] = [
        PieceStart.of(slow), TempoFactor(0, 1000), NoteOn(40, 0, 60, 80),
        PieceStart.of(quick), TempoFactor(80, 1000), NoteOn(120, 0, 67, 80),
    ]  # fmt: skip
    setup = Setup(finished(events))
    setup.render([1000] * 14)
    struck = [call[0] for call in setup.synth.notes if call[1] == "on"]
    assert struck == [40 * 150, 80 * 150 + 40 * 75 // 2]


def test_a_late_event_is_played_at_once_and_counted() -> None:
    class Careless:
        """A source whose horizon is wrong."""

        horizon_tick = 10**9
        events: list[Event] = []  # noqa: RUF012

        def refresh(self, playhead_tick: float, near_ticks: float = 0.0) -> None:
            pass

        def peek(self) -> Event | None:
            return self.events[0] if self.events else None

        def pop(self) -> None:
            del self.events[0]

        def ahead(self) -> Iterable[Event]:
            return self.events

    source = Careless()
    setup = Setup(source)
    setup.render([7500])
    source.events = [NoteOn(50, 0, 60, 80)]
    setup.render([7500])
    assert setup.synth.notes == [(7500, "on", 0, 60)]
    assert setup.performer.late_events == 1


def test_a_performer_that_takes_over_strikes_the_held_notes_and_keeps_time() -> None:
    played: list[Event] = [
        PieceStart.of(Piece(3, 2, False, 4, 0, 0)),
        NoteOn(0, 0, 72, 80),
        NoteOn(0, 1, 64, 80),
        TempoFactor(50, 500),
        NoteOff(90, 1, 64),
    ]
    _, reader = _ring_of([*played, NoteOn(110, 2, 55, 80)], 1000)
    for _ in played:
        reader.pop()
    reader.refresh(100.5)
    setup = Setup(reader)
    setup.performer.resume(played, 100.5)
    setup.render([3000])
    assert setup.synth.notes == [
        (0, "on", 0, 72),
        (round(9.5 * 150), "on", 2, 55),
    ]
    assert setup.performer.piece.number == 3


def test_end_releases_the_notes_whatever_the_settings_say() -> None:
    setup = Setup(finished([NoteOn(0, 0, 60, 80), NoteOn(30, 0, 64, 80)]))
    setup.render([1000])
    setup.performer.end()
    setup.render([1000, 1000])
    assert setup.synth.notes == [(0, "on", 0, 60), (1000, "off", 0, 60)]


@pytest.mark.parametrize("playing", [True, False])
def test_a_test_tone_sounds_for_a_second_whether_music_plays_or_not(playing: bool) -> None:
    setup = Setup(finished([]))
    setup.set(tone_count=7, playing=playing)
    setup.render([1024])
    assert not setup.synth.notes, "one that was requested before it started is not played"
    setup.set(tone_count=8)
    setup.render([1024] * (2 * RATE // 1024))
    calls = [(word, voice, pitch) for _, word, voice, pitch in setup.synth.notes]
    assert calls == [
        ("on", TEST_TONE_VOICE, TEST_TONE_PITCH),
        ("off", TEST_TONE_VOICE, TEST_TONE_PITCH),
    ]
    (begun, *_), (ended, *_) = setup.synth.notes
    assert abs(ended - begun - RATE) <= 2 * 1024


def test_another_synth_takes_over_with_the_notes_that_are_held() -> None:
    _, reader = _ring_of([NoteOn(0, 0, 60, 80), NoteOn(0, 1, 64, 80)], horizon_tick=10**6)
    setup, other = Setup(reader), RecordingSynth()
    setup.render([512])
    setup.performer.change_synth(other)
    setup.render([512] * (CHANGE_BLOCKS + 2))
    old = setup.synth
    assert old.volumes[-1] == 0, "it fades before it goes"
    assert old.frame == (1 + CHANGE_BLOCKS) * 512
    assert [call[1:] for call in other.notes] == [("on", 0, 60), ("on", 1, 64)]
    assert other.calls[0][1] == "program"
    assert other.volumes == [setup.settings.volume]
    assert len(other.tunings) == 1
