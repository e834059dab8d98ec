"""Each voice with its own instrument and level, or silent; nothing hangs, whatever is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.audio.event_source import finished
from appliance.audio.performer import Performer
from appliance.audio.synth import FluidSynth, amplitude
from appliance.audio.tempo_map import TempoMap
from appliance.audio.voices import Parts, VoicePlayer, parts_of
from appliance.ipc.shared_state import NO_PIECE, LiveSettings
from appliance.music import kinds, titles
from appliance.music.events import Event, NoteOff, NoteOn
from tests.support import sine_font
from tests.support.spectrum import stereo

SAME = -1
USUAL = LiveSettings()
ALTO_MUTED = LiveSettings(voice_levels=(100, 0, 100, 100))
KEYBOARD = NO_PIECE._replace(kind=kinds.NAMES.index("fugue"))
TUNE = NO_PIECE._replace(kind=kinds.NAMES.index("reel"), group=titles.TUNES)
RATE = 48_000


class Keys:
    """A synth that knows which keys are down, and how each channel plays."""

    def __init__(self) -> None:
        self.down: dict[int, set[int]] = {}
        self.programs: dict[int, int] = {}
        self.levels: dict[int, float] = {}
        self.struck: list[tuple[int, int]] = []

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        self.down.setdefault(voice, set()).add(pitch)
        self.struck.append((voice, pitch))

    def note_off(self, voice: int, pitch: int) -> None:
        self.down.get(voice, set()).discard(pitch)

    def program(self, program: int) -> None:
        self.programs = dict.fromkeys(range(15), program)
        self.levels = dict.fromkeys(range(15), 100.0)

    def voice(self, voice: int, program: int, level: float) -> None:
        self.programs[voice], self.levels[voice] = program, level

    @property
    def sounding(self) -> set[tuple[int, int]]:
        return {(voice, pitch) for voice, pitches in self.down.items() for pitch in pitches}


def chord(settings: LiveSettings = USUAL) -> tuple[Keys, VoicePlayer]:
    """A chord of four voices that is held."""
    synth = Keys()
    player = VoicePlayer(synth)
    player.apply(settings)
    for voice, pitch in enumerate((72, 67, 64, 48)):
        player.note_on(voice, pitch, 80)
    return synth, player


def test_without_settings_of_its_own_each_voice_is_its_channel() -> None:
    synth, _ = chord()
    assert synth.struck == [(0, 72), (1, 67), (2, 64), (3, 48)]
    assert {synth.programs[voice] for voice in range(4)} == {19}


def test_a_muted_voice_ends_at_once_and_is_struck_again_when_it_is_heard_again() -> None:
    synth, player = chord()
    player.apply(ALTO_MUTED)
    assert synth.sounding == {(0, 72), (2, 64), (3, 48)}
    player.note_off(1, 67)
    player.note_on(1, 65, 80)
    assert synth.sounding == {(0, 72), (2, 64), (3, 48)}
    synth.struck.clear()
    player.apply(LiveSettings())
    assert synth.struck == [(1, 65)], "the voices that were heard are not struck again"
    assert synth.sounding == {(0, 72), (1, 65), (2, 64), (3, 48)}


def test_a_voice_has_an_instrument_and_a_level_of_its_own() -> None:
    synth, player = chord()
    synth.struck.clear()
    player.apply(LiveSettings(voice_programs=(73, SAME, SAME, 70)))
    assert [synth.programs[voice] for voice in range(4)] == [73, 19, 19, 70]
    assert synth.struck == [(0, 72), (3, 48)], "so that the change is heard at once"
    player.apply(LiveSettings(voice_levels=(50, 100, 100, 100)))
    assert [synth.programs[voice] for voice in range(4)] == [19] * 4
    assert synth.levels[0] == 50
    assert len(synth.struck) == 4, "a level alone strikes nothing"


def test_another_instrument_of_all_leaves_the_voices_their_own() -> None:
    own = LiveSettings(voice_programs=(73, SAME, SAME, SAME))
    synth, player = chord(own)
    player.apply(own._replace(program=0))
    assert [synth.programs[voice] for voice in range(4)] == [73, 0, 0, 0]
    assert len(synth.sounding) == 4


def test_a_keyboards_hands_have_the_settings_of_soprano_and_bass() -> None:
    synth, player = Keys(), VoicePlayer(Keys())
    player = VoicePlayer(synth)
    player.apply(LiveSettings(voice_levels=(100, 100, 100, 0)), KEYBOARD)
    for voice, pitch in enumerate((76, 60, 59, 40)):
        player.note_on(voice, pitch, 80)
    assert synth.sounding == {(0, 76), (1, 60)}
    player.apply(LiveSettings(voice_programs=(SAME, SAME, SAME, 0)), KEYBOARD)
    assert {pitch for _, pitch in synth.sounding} == {76, 60, 59, 40}
    programs = {pitch: synth.programs[channel] for channel, pitch in synth.sounding}
    assert programs == {76: 19, 60: 19, 59: 0, 40: 0}


def test_music_of_one_part_is_heard_whatever_is_set_for_the_voices() -> None:
    synth = Keys()
    player = VoicePlayer(synth)
    player.apply(LiveSettings(voice_levels=(0, 0, 0, 0)), TUNE)
    player.note_on(0, 67, 80)
    assert synth.sounding == {(0, 67)}


@pytest.mark.parametrize(
    ("piece", "parts"),
    [
        (NO_PIECE, Parts.FOUR_VOICES),
        (NO_PIECE._replace(kind=kinds.NAMES.index("chorale")), Parts.FOUR_VOICES),
        (KEYBOARD, Parts.TWO_HANDS),
        (NO_PIECE._replace(program=6), Parts.TWO_HANDS),
        (NO_PIECE._replace(program=40), Parts.ONE),
        (TUNE, Parts.ONE),
    ],
)
def test_the_parts_of_a_piece_follow_from_its_facts(piece: Any, parts: Parts) -> None:
    assert parts_of(piece) is parts


_settings = st.builds(
    LiveSettings,
    program=st.sampled_from([0, 19]),
    voice_programs=st.tuples(*4 * [st.sampled_from([SAME, 19, 73])]),
    voice_levels=st.tuples(*4 * [st.sampled_from([0.0, 50.0, 100.0])]),
)
_pieces = st.sampled_from([NO_PIECE, KEYBOARD, TUNE])
_steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["on", "off"]), st.integers(0, 5), st.integers(55, 65)),
        st.tuples(st.just("set"), _settings, _pieces),
    ),
    max_size=60,
)


@given(steps=_steps)
def test_what_sounds_is_what_is_held_and_heard_and_nothing_hangs(steps: list[Any]) -> None:
    synth = Keys()
    player = VoicePlayer(synth)
    player.apply(LiveSettings())
    held: set[tuple[int, int]] = set()
    for what, first, second in steps:
        if what == "set":
            # The performer releases everything before another piece begins.
            for note in held:
                player.note_off(*note)
            before, held = held, set()
            player.apply(first, second)
            for note in before:
                player.note_on(*note, 80)
            held = before
            player.apply(first._replace(voice_levels=(100.0, 0.0, 100.0, 0.0)), second)
        elif what == "on":
            player.note_on(first, second, 80)
            held.add((first, second))
        else:
            player.note_off(first, second)
            held.discard((first, second))
        assert {pitch for _, pitch in synth.sounding} <= {pitch for _, pitch in held}
    player.apply(LiveSettings(), TUNE)
    for note in held:
        player.note_off(*note)
    assert synth.sounding == set()


def sine(tmp_path: Path) -> FluidSynth:
    synth = FluidSynth(sine_font.write(tmp_path / "sine.sf2"), RATE)
    synth.volume(100)
    synth.program(0)
    return synth


def loudness(synth: FluidSynth, voice: int) -> float:
    synth.note_on(voice, 69, 80)
    synth.render(RATE // 2)
    loud = float(np.sqrt(np.mean(stereo(synth.render(RATE // 2)).astype(float) ** 2)))
    synth.note_off(voice, 69)
    synth.render(2 * RATE)
    return loud


def test_a_voices_level_has_the_loudness_of_the_volume(tmp_path: Path) -> None:
    synth = sine(tmp_path)
    full = loudness(synth, 0)
    for level in (75, 50, 20):
        synth.voice(0, 0, level)
        assert loudness(synth, 0) / full == pytest.approx(amplitude(level), rel=0.05)
    synth.voice(0, 0, 100)
    assert loudness(synth, 0) == pytest.approx(full, rel=0.02)
    synth.voice(0, 0, 10)
    synth.program(0)
    assert loudness(synth, 0) == pytest.approx(full, rel=0.02), "all voices are alike again"


def played(soundfont: Path, **settings: Any) -> Any:
    """Four voices, played by the performer as ``settings`` say."""
    events: list[Event] = []
    for voice, pitch in enumerate((72, 67, 64, 48)):
        for beat in range(4):
            note = 480 * beat, voice, pitch + 2 * beat
            events += [NoteOn(*note, 80), NoteOff(note[0] + 400, *note[1:])]
    events.sort(key=lambda event: (event.tick, isinstance(event, NoteOn)))
    live = LiveSettings(volume=50, **settings)
    synth, tempo_map = FluidSynth(soundfont, RATE), TempoMap(RATE, live.tempo_bpm)
    performer = Performer(finished(events), synth, tempo_map, lambda: live)
    return stereo(b"".join(performer.render(4096) for _ in range(40))).astype(int)


def test_the_voices_alone_add_up_to_the_music(soundfont: Path) -> None:
    """So each of them is heard alone as it is among the others, and nothing of the others is."""
    alone = [
        played(soundfont, voice_levels=tuple(100.0 * (voice == n) for voice in range(4)))
        for n in range(4)
    ]
    together = played(soundfont)
    assert all(np.abs(one).max() > 500 for one in alone)
    # Each sound is rounded to whole steps of 16 bits, and dithered.
    assert np.abs(sum(alone) - together).max() <= 8


def test_voices_with_other_instruments_are_equally_loud(soundfont: Path) -> None:
    alone, among = FluidSynth(soundfont, RATE), FluidSynth(soundfont, RATE)
    for synth in (alone, among):
        synth.volume(50)
    alone.program(40)
    among.program(19)
    among.voice(0, 40, 100)
    assert loudness(among, 0) == pytest.approx(loudness(alone, 0), rel=0.1)
