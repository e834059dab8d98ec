"""MIDI files have the notes, tempos and keys of the events they are written from."""

from __future__ import annotations

from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st
from music21 import converter

from appliance.music.events import (
    EVENT_TYPES,
    TICKS_PER_BEAT,
    Event,
    NoteOff,
    NoteOn,
    Piece,
    PieceStart,
    TempoFactor,
)
from appliance.music.files import midi_writer
from appliance.music.score import VOICES
from appliance.music.titles import piece_title
from tests.support.making_music import Played


def written(path: Path, events: list[Event], tempo_bpm: float = 80, title: str = "") -> Path:
    midi_writer.write(path, events, tempo_bpm=tempo_bpm, program=19, title=title)
    return path


def read_notes(path: Path) -> list[tuple[int, str, int, int, int]]:
    """Every note as mido reads it: tick, type, channel, pitch, velocity."""
    found = []
    for track in mido.MidiFile(path).tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type in ("note_on", "note_off"):
                kind, channel = message.type, message.channel
                found.append((tick, kind, channel, message.note, message.velocity))
    return sorted(found)


def notes_of(events: list[Event]) -> list[tuple[int, str, int, int, int]]:
    return sorted(
        (event.tick, "note_on", event.voice, event.pitch, event.velocity)
        if isinstance(event, NoteOn)
        else (event.tick, "note_off", event.voice, event.pitch, 0)
        for event in events
        if isinstance(event, NoteOn | NoteOff)
    )


@st.composite
def performances(draw: st.DrawFn) -> list[Event]:
    """Events of four voices with pieces and tempo factors; last notes may not be released."""
    events: list[Event] = []
    tick, sounding = 0, [-1] * VOICES
    for _ in range(draw(st.integers(0, 25))):
        tick += draw(st.sampled_from([0, 1, 120, 960, 100_000]))
        kind = draw(st.sampled_from([*EVENT_TYPES]))
        voice = draw(st.integers(0, VOICES - 1))
        if kind is PieceStart:
            tonic, minor = draw(st.integers(0, 11)), draw(st.booleans())
            beats = draw(st.sampled_from([3, 4]))
            events.append(PieceStart.of(Piece(len(events) + 1, tonic, minor, beats, 0, tick)))
        elif kind is TempoFactor:
            events.append(TempoFactor(tick, draw(st.integers(300, 1500))))
        elif sounding[voice] >= 0:
            events.append(NoteOff(tick, voice, sounding[voice]))
            sounding[voice] = -1
        else:
            sounding[voice] = draw(st.integers(0, 127))
            events.append(NoteOn(tick, voice, sounding[voice], draw(st.integers(1, 127))))
    return events


@given(events=performances(), tempo_bpm=st.floats(40, 240), title=st.text(max_size=20))
def test_every_note_is_read_back_at_its_tick(
    tmp_path: Path, events: list[Event], tempo_bpm: float, title: str
) -> None:
    path = written(tmp_path / "a.mid", events, tempo_bpm, title)
    expected = notes_of(events)
    read = read_notes(path)
    left_on = read[:]
    for note in expected:
        left_on.remove(note)
    # Notes that still sound are released at the end.
    assert all(note[1] == "note_off" for note in left_on)
    assert [note[0] for note in left_on] == [events[-1].tick] * len(left_on) if events else True
    assert sum(note[1] == "note_on" for note in read) * 2 == len(read)


def test_tempo_factors_and_pieces_become_tempo_meter_key_and_marker(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.mid",
        [PieceStart.of(Piece(3, 9, True, 3, 480, 0)), TempoFactor(0, 1000), TempoFactor(960, 700)],
        tempo_bpm=100,
        title="Größe",
    )
    conductor = mido.MidiFile(path, charset="utf-8").tracks[0]
    messages = {message.type: message for message in conductor}
    assert messages["track_name"].name == "Größe"
    assert messages["marker"].text == "Piece in a minor"
    assert messages["key_signature"].key == "Am"
    assert (messages["time_signature"].numerator, messages["time_signature"].denominator) == (3, 4)
    tempos = [round(mido.tempo2bpm(m.tempo), 3) for m in conductor if m.type == "set_tempo"]
    assert tempos == [100, 70]


@pytest.mark.parametrize("minor", [False, True])
@pytest.mark.parametrize("tonic", range(12))
def test_every_key_has_a_key_signature(tmp_path: Path, tonic: int, minor: bool) -> None:
    path = written(tmp_path / "a.mid", [PieceStart.of(Piece(1, tonic, minor, 4, 0, 0))])
    keys = [m.key for m in mido.MidiFile(path).tracks[0] if m.type == "key_signature"]
    assert len(keys) == 1
    assert keys[0].endswith("m") == minor


def test_composed_music_is_read_by_mido_and_by_music21(
    tmp_path: Path, many_pieces: list[Played]
) -> None:
    events = many_pieces[0].events
    path = written(tmp_path / "piece.mid", events, title="Chorales")
    assert read_notes(path) == notes_of(events)
    assert mido.MidiFile(path).ticks_per_beat == TICKS_PER_BEAT
    parts = converter.parse(path, forceSource=True).parts
    assert len(parts) == VOICES
    for voice, part in enumerate(parts):
        struck = [e for e in events if isinstance(e, NoteOn) and e.voice == voice]
        # What lasts beyond a bar line comes as notes that are tied.
        read = part.stripTies().flatten().notes
        assert [n.pitch.midi for n in read] == [e.pitch for e in struck]
        assert [round(float(n.offset) * TICKS_PER_BEAT) for n in read] == [e.tick for e in struck]


def test_writing_into_a_missing_folder_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        written(tmp_path / "nowhere" / "a.mid", [])


def test_several_pieces_are_written_to_one_file(tmp_path: Path, many_pieces: list[Played]) -> None:
    played = many_pieces[:2]
    events = [event for one in played for event in one.events]
    path = written(tmp_path / "two.mid", events)
    assert read_notes(path) == notes_of(events)
    markers = [m.text for m in mido.MidiFile(path).tracks[0] if m.type == "marker"]
    assert markers == [piece_title(one.about) for one in played]


def test_each_piece_has_its_own_share_of_the_tempo(tmp_path: Path) -> None:
    slow = Piece(1, 9, True, 3, 0, 0, tempo_permille=600)
    quick = Piece(2, 9, True, 3, 0, 960, tempo_permille=1400)
    events: list[Event] = [
        PieceStart.of(slow), TempoFactor(0, 1000), TempoFactor(480, 500),
        PieceStart.of(quick), TempoFactor(960, 1000),
    ]  # fmt: skip
    conductor = mido.MidiFile(written(tmp_path / "a.mid", events, tempo_bpm=100)).tracks[0]
    tempos = [round(mido.tempo2bpm(m.tempo), 2) for m in conductor if m.type == "set_tempo"]
    assert tempos == [60, 30, 140]
