"""Chords are broken where the instrument breaks them, and whatever happens, no note is lost."""

from __future__ import annotations

from collections import Counter
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.audio.event_source import EventSource, finished
from appliance.audio.performer import CHANGE_BLOCKS, Performer
from appliance.ipc.ring import RingReader, events_before
from appliance.music import kinds
from appliance.music.arpeggio import PLUCKED_MS
from appliance.music.events import Event, NoteOff, NoteOn, Piece, PieceStart
from tests.audio.test_performer import (
    FRAMES_PER_TICK,
    RATE,
    Call,
    RecordingSynth,
    Setup,
    _ring_of,
)

ORGAN, HARPSICHORD, VIOLIN, FLUTE = 19, 6, 40, 73
PITCHES = (67, 48, 60, 64)
GAP = round(PLUCKED_MS * RATE / 1000)
BEAT = 480 * FRAMES_PER_TICK
ONE_TICK = FRAMES_PER_TICK


def chord(tick: int = 0, length: int = 480, early: int = 0) -> list[Event]:
    """Four notes, each in a voice of its own, the highest first, as composers write them."""
    notes = [(voice, pitch) for voice, pitch in enumerate(PITCHES)]
    ons: list[Event] = [NoteOn(tick, *note, 80) for note in notes]
    return ons + [NoteOff(tick + length, *note, early, early) for note in notes]


class SilentSynth(RecordingSynth):
    """Records its calls only, which takes less time than numbered frames."""

    def render(self, frames: int) -> bytes:
        self.frame += frames
        return b""


class QuickSetup(Setup):
    def __init__(self, source: EventSource) -> None:
        super().__init__(source)
        self.synth = SilentSynth()
        self.performer = Performer(source, self.synth, self.tempo_map, lambda: self.settings)


def harpsichord(source: EventSource) -> Setup:
    setup = QuickSetup(source)
    setup.set(program=HARPSICHORD)
    return setup


def struck(synth: RecordingSynth) -> list[tuple[int, int]]:
    """The frame and the pitch of each note on."""
    return [(frame, pitch) for frame, what, _, pitch in synth.calls if what == "on"]


def assert_whole(calls: list[Call], music: list[Event]) -> None:
    """Every note of ``music`` has sounded and ended; none has begun twice without an end."""
    notes = {(e.voice, e.pitch) for e in music if isinstance(e, NoteOn)}
    by_note = Counter((e.voice, e.pitch) for e in music if isinstance(e, NoteOn))
    for note in notes:
        words = [what for _, what, *of in calls if tuple(of) == note and what in ("on", "off")]
        assert words == ["on", "off"] * (len(words) // 2)
        assert len(words) // 2 >= by_note[note]


def test_a_harpsichord_breaks_a_chord_from_the_bass_upwards() -> None:
    setup = harpsichord(finished(chord()))
    setup.render([1024] * 50)
    frames, pitches = zip(*struck(setup.synth), strict=True)
    assert pitches == tuple(sorted(PITCHES))
    assert frames[0] == 0, "the bass takes the beat"
    for number, frame in enumerate(frames):
        assert abs(frame - number * GAP) <= ONE_TICK
    ends = [call[0] for call in setup.synth.calls if call[1] == "off"]
    assert ends == [BEAT] * 4, "the notes end where they are written to end"
    assert setup.performer.late_events == 0


@pytest.mark.parametrize(
    ("program", "expression"), [(ORGAN, 100.0), (FLUTE, 100.0), (VIOLIN, 100.0), (HARPSICHORD, 0.0)]
)
def test_others_play_it_as_it_is_written(program: int, expression: float) -> None:
    setup = QuickSetup(finished(chord()))
    setup.set(program=program, expression=expression)
    setup.render([1024] * 50)
    assert struck(setup.synth) == [(0, pitch) for pitch in PITCHES]


def test_a_violinist_plays_the_lower_two_strings_then_the_upper_ones() -> None:
    piece = Piece(1, 0, False, 4, 0, 0, kind=kinds.NAMES.index("sarabande"), program=VIOLIN)
    notes = [NoteOn(0, voice, pitch, 80) for voice, pitch in enumerate((79, 55, 71, 62))]
    setup = QuickSetup(finished([PieceStart.of(piece), *notes]))
    setup.set(is_program_chosen=False)
    setup.render([1024] * 20)
    frames, pitches = zip(*struck(setup.synth), strict=True)
    assert frames[:2] == (0, 0)
    assert frames[2] == frames[3] > GAP
    assert sorted(pitches[:2]) == [55, 62]


def test_only_the_voices_that_pluck_are_broken() -> None:
    """Three voices on a harpsichord, and a flute above them."""
    setup = harpsichord(finished(chord()))
    setup.set(voice_programs=(FLUTE, -1, -1, -1))
    setup.render([1024] * 50)
    on_beat = {pitch for frame, pitch in struck(setup.synth) if frame == 0}
    assert on_beat == {67, 48}
    setup = harpsichord(finished(chord()))
    setup.set(voice_programs=(FLUTE, FLUTE, -1, -1))
    setup.render([1024] * 50)
    assert {frame for frame, _ in struck(setup.synth)} == {0}, "two notes are struck together"


def test_a_silent_voice_leaves_no_gap() -> None:
    setup = harpsichord(finished(chord()))
    setup.set(voice_levels=(100.0, 100.0, 0.0, 100.0))
    setup.render([1024] * 50)
    assert [pitch for _, pitch in struck(setup.synth)] == [48, 64, 67]
    assert abs(struck(setup.synth)[1][0] - GAP) <= ONE_TICK


def test_the_chord_is_complete_before_the_next_note() -> None:
    following: list[Event] = [NoteOn(40, 4, 72, 80), NoteOff(80, 4, 72)]
    music = sorted([*chord(), *following], key=lambda event: event.tick)
    setup = harpsichord(finished(music))
    setup.render([1024] * 50)
    *broken, last = [frame for frame, _ in struck(setup.synth)]
    assert last == 40 * FRAMES_PER_TICK
    assert max(broken) <= 10 * FRAMES_PER_TICK
    assert len(set(broken)) == 4


def test_a_pause_within_a_broken_chord_loses_no_note() -> None:
    setup = harpsichord(finished(chord()))
    setup.render([GAP + 1024])
    assert len(struck(setup.synth)) == 2
    setup.set(playing=False)
    setup.render([1024, 1024])
    assert [call[1] for call in setup.synth.notes] == ["on", "on", "off", "off"]
    setup.set(playing=True)
    setup.render([1024] * 50)
    again = struck(setup.synth)[2:]
    assert sorted(pitch for _, pitch in again) == sorted(PITCHES)
    assert {frame for frame, _ in again} == {GAP + 3 * 1024}
    assert_whole(setup.synth.notes, chord())


def test_another_synth_gets_the_whole_chord_once() -> None:
    setup, other = harpsichord(finished(chord(length=4800))), SilentSynth()
    setup.render([512])
    setup.performer.change_synth(other)
    setup.render([512] * (CHANGE_BLOCKS + 40))
    assert sorted(pitch for _, pitch in struck(other)) == sorted(PITCHES)


def test_an_instrument_that_is_chosen_within_a_chord_plays_the_rest_of_it() -> None:
    setup = harpsichord(finished(chord()))
    setup.render([GAP + 1024])
    setup.set(program=ORGAN)
    setup.render([1024] * 50)
    assert_whole(setup.synth.notes, chord())


def test_a_note_that_ends_before_its_turn_is_struck_and_ends() -> None:
    """The rest of the chord was composed again, and now ends at once."""
    writer, reader = _ring_of(chord(length=960), 960)
    setup = harpsichord(reader)
    setup.render([256])
    writer.request_rewind(4, 40)
    setup.render([256])
    assert writer.rewind_answer()
    for voice, pitch in enumerate(PITCHES):
        writer.append(NoteOff(40, voice, pitch))
    writer.publish(960)
    setup.render([1024] * 50)
    assert_whole(setup.synth.notes, chord())


def test_a_performer_that_takes_over_within_a_chord_plays_all_of_it() -> None:
    _, reader = _ring_of(chord(), 1000)
    setup = harpsichord(reader)
    setup.render([GAP + 1024, 1024])
    assert len(struck(setup.synth)) < 4
    next_reader = RingReader(reader._shared)
    successor = harpsichord(next_reader)
    before = events_before(reader._shared, next_reader.read_index)
    successor.performer.resume(before, next_reader.playhead_tick)
    successor.render([1024] * 50)
    assert sorted(pitch for _, pitch in struck(successor.synth)) == sorted(PITCHES)
    assert_whole(successor.synth.notes, chord())


@st.composite
def _chords(draw: st.DrawFn) -> list[Event]:
    """Chords one after another, some of them short, some released early."""
    tick, music = 0, list[Event]()
    for _ in range(draw(st.integers(1, 6))):
        tick += draw(st.sampled_from([0, 0, 30, 240]))
        length = draw(st.sampled_from([1, 3, 30, 60, 120, 480]))
        early = min(120, draw(st.sampled_from([0, length // 2])))
        pitches = draw(st.permutations(range(36, 84, 4)))[: draw(st.integers(1, 6))]
        music += [NoteOn(tick, voice, pitch, 90) for voice, pitch in enumerate(pitches)]
        tick += length
        music += [NoteOff(tick, voice, p, early, early) for voice, p in enumerate(pitches)]
    return music


@given(music=_chords(), blocks=st.lists(st.sampled_from([256, 1000, 4096]), min_size=1))
def test_the_sound_card_hears_what_a_file_has(music: list[Event], blocks: list[int]) -> None:
    """However the sound is cut into blocks, each note begins and ends at the same frame."""
    _, reader = _ring_of(music, music[-1].tick + 10**6)
    live, offline = harpsichord(reader), harpsichord(finished(music))
    last = (music[-1].tick + 1) * FRAMES_PER_TICK
    turns = cycle(blocks)
    while live.performer.frame <= last:
        live.render([next(turns)])
    offline.render([1024] * (last // 1024 + 1))
    assert live.synth.notes == offline.synth.notes
    assert_whole(offline.synth.notes, music)


@given(
    music=_chords(),
    changes=st.lists(
        st.sampled_from(
            [{"playing": False}, {"program": ORGAN}, {"program": HARPSICHORD}, {"expression": 0.0},
             {"expression": 100.0}, {"tempo_bpm": 300.0}, {"tempo_bpm": 30.0}]
        ),
        max_size=12,
    ),
    frames=st.integers(512, 4096),
)  # fmt: skip
def test_whatever_is_changed_no_note_hangs(
    music: list[Event], changes: list[dict[str, object]], frames: int
) -> None:
    setup = harpsichord(finished(music))
    for change in changes:
        setup.set(**{"playing": True, **change})
        setup.render([frames])
    setup.set(playing=True)
    while setup.performer.playhead_tick <= music[-1].tick + 1:
        setup.render([4096])
    assert setup.performer.sounding == 0
    assert_whole(setup.synth.notes, music)
