"""Piece records: packed, embedded in files, read back, and everything else refused."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import mido
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from music21 import converter

from appliance.audio.outputs.file_outputs import WavFile
from appliance.errors import BachboxError, UsageError
from appliance.music.events import (
    Event,
    NoteOff,
    NoteOn,
    Piece,
    PieceStart,
    TempoFactor,
    event_object,
)
from appliance.music.files import (
    midi_writer,
    musicxml_writer,
    notation,
    piece_embedding,
    piece_record,
    recorded_events,
)
from appliance.music.files.piece_record import MAGIC, Change, PieceRecord, pack, unpack
from appliance.music.notes import notes_from

START = 9_600

_settings = st.dictionaries(
    st.sampled_from(["tempo", "instrument", "temperature", "expression", "temperament", "new"]),
    st.one_of(st.text(max_size=20), st.booleans(), st.integers(-9, 999), st.floats(-9, 999)),
    max_size=5,
)


@st.composite
def pieces(draw: st.DrawFn, voices: int = 15) -> list[Event]:
    """The events of one piece off any grid, with any number of voices and of notes at once."""
    tonic, minor = draw(st.integers(0, 11)), draw(st.booleans())
    beats, beat_ticks = draw(st.sampled_from([(2, 480), (3, 480), (4, 480), (2, 720), (3, 240)]))
    pickup = draw(st.sampled_from([0, 240, 480]))
    about = Piece(draw(st.integers(1, 99)), tonic, minor, beats, pickup, START, beat_ticks)
    events: list[Event] = [PieceStart.of(about)]
    tick, held = START, set[tuple[int, int]]()
    for _ in range(draw(st.integers(1, 40))):
        tick += draw(st.sampled_from([0, 7, 60, 120, 160, 480, 3000]))
        voice, pitch = draw(st.integers(0, voices - 1)), draw(st.integers(0, 127))
        if draw(st.integers(0, 9)) == 0:
            events.append(TempoFactor(tick, draw(st.integers(300, 1500))))
        elif (voice, pitch) in held:
            held.discard((voice, pitch))
            events.append(NoteOff(tick, voice, pitch))
        else:
            held.add((voice, pitch))
            events.append(NoteOn(tick, voice, pitch, draw(st.integers(1, 127))))
    return events


def recorded(events: list[Event], **more: Any) -> PieceRecord:
    facts: dict[str, Any] = {"model": "chorales", "seed": 7, "settings": {"tempo": 80.0}}
    return piece_record.record_piece(events, events[-1].tick + 480, **facts | more)


def small() -> PieceRecord:
    return recorded(
        [
            PieceStart.of(Piece(3, 9, True, 4, 0, START)),
            NoteOn(START, 0, 69, 80),
            NoteOff(START + 480, 0, 69),
            NoteOn(START + 480, 0, 71, 80),
        ]
    )


@given(events=pieces(), at_start=_settings, changed=_settings)
def test_a_record_is_unpacked_as_it_was_packed(
    events: list[Event], at_start: Any, changed: Any
) -> None:
    change = Change(START + 5, changed)
    one = recorded(events, settings=at_start, changes=[change], complete=False)
    again = unpack(pack(one))
    assert again == one
    assert again.settings == at_start
    assert again.changes == [Change(5, changed)]
    played = [event._replace(tick=event.tick - START) for event in events]
    found = list(again.events())
    assert found[: len(played)] == played
    assert all(isinstance(event, NoteOff) for event in found[len(played) :])


@given(events=pieces(), at_start=_settings)
@settings(max_examples=15)
def test_a_record_is_found_in_every_kind_of_file(
    events: list[Event], at_start: Any, tmp_path: Path
) -> None:
    one = recorded(events, settings=at_start)
    if not one.note_count:
        return
    wav, midi, score = (tmp_path / f"one.{kind}" for kind in ("wav", "mid", "musicxml"))
    sound = WavFile(wav, 48_000)
    sound.write(bytes(4000))
    sound.close()
    piece_embedding.append_to_wav(wav, one)
    midi_writer.write(midi, one.events(), tempo_bpm=80, program=19, title="x", record=one)
    musicxml_writer.write(score, one, 80)
    for path in (wav, midi, score):
        assert piece_embedding.read(path) == one


@given(events=pieces())
@settings(max_examples=15)
def test_a_midi_file_has_the_notes_of_its_record(events: list[Event], tmp_path: Path) -> None:
    one, path = recorded(events), tmp_path / "one.mid"
    midi_writer.write(path, one.events(), tempo_bpm=80, program=19, title="x", record=one)
    found, channels = [], set()
    for track in mido.MidiFile(path).tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on":
                found.append((tick, message.note, message.velocity))
                channels.add(message.channel)
    wanted = [(e.tick, e.pitch, e.velocity) for e in one.events() if isinstance(e, NoteOn)]
    assert sorted(found) == sorted(wanted)
    assert 9 not in channels, "those are drums"


@given(events=pieces(voices=4))
@settings(max_examples=8)
def test_a_musicxml_file_has_the_notes_of_its_record(events: list[Event], tmp_path: Path) -> None:
    one, path = recorded(events), tmp_path / "one.musicxml"
    if not one.note_count:
        return
    musicxml_writer.write(path, one, 80)
    score = converter.parse(path, forceSource=True)
    found = {
        (round(float(struck.getOffsetInHierarchy(score)) * 48), note.pitch.midi)
        for struck in score.recurse().notes
        for note in (struck.notes if struck.isChord else [struck])
        if note.tie is None or note.tie.type == "start"
    }
    notes = notes_from(one.events())
    assert found == {(notation.on_grid(note.start), note.pitch) for note in notes}
    for part in score.parts:
        for measure in part.getElementsByClass("Measure")[1:]:
            assert measure.highestTime <= measure.barDuration.quarterLength + 1e-6


def test_only_a_whole_bar_without_notes_has_a_rest_for_the_measure(tmp_path: Path) -> None:
    """Programs take such a rest for as long as the meter says, so a pickup has written rests."""
    path, first = tmp_path / "one.musicxml", START + 240 + 960
    about = Piece(1, 0, False, 2, 240, START)
    one = recorded([PieceStart.of(about), NoteOn(first, 0, 60, 80), NoteOff(first + 480, 0, 60)])
    musicxml_writer.write(path, one, 80)
    pickup, whole = path.read_text().split("</measure>")[:2]
    assert '<rest measure="yes"/><duration>96</duration>' in whole
    assert "<rest/><duration>24</duration><voice>1</voice><type>eighth</type>" in pickup
    struck = converter.parse(path, forceSource=True).recurse().notes.first()
    assert struck is not None
    assert struck.getOffsetInHierarchy(struck.activeSite.activeSite.activeSite) == 2.5


def test_pitches_in_musicxml_are_spelt_in_the_key() -> None:
    names = [musicxml_writer._pitch(pitch, -1) for pitch in (70, 61, 66)]
    assert names[0] == "<pitch><step>B</step><alter>-1</alter><octave>4</octave></pitch>"
    assert "<step>C</step><alter>1</alter>" in names[1]
    assert "<step>F</step><alter>1</alter>" in names[2]


@given(content=st.binary(max_size=2000))
def test_unpack_refuses_garbage_with_a_message(content: bytes) -> None:
    for tried in (content, MAGIC + content, MAGIC + zlib.compress(content)):
        with pytest.raises(BachboxError):
            unpack(tried)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_damaged_file_is_refused_or_gives_the_same_record(
    at: int, bit: int, tmp_path: Path
) -> None:
    path = tmp_path / "one.mid"
    one = small()
    midi_writer.write(path, one.events(), tempo_bpm=80, program=19, title="x", record=one)
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        assert piece_embedding.read(path) == one
    except UsageError as error:
        assert str(error).startswith(str(path))


def _with(**changes: Any) -> bytes:
    facts = msgspec.to_builtins(small()) | changes
    return MAGIC + zlib.compress(msgspec.json.encode(facts))


PIECE = msgspec.to_builtins(recorded_events.record(PieceStart(0, 3, 9, True, 4, 0), 0))
NOTE = event_object(NoteOn(1, 0, 60, 80))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 1}, "format 1"),
        ({"events": []}, "damaged"),
        ({"events": [NOTE | {"tick": 0}]}, "does not begin"),
        ({"events": [PIECE, PIECE]}, "begins another"),
        ({"events": [PIECE, NOTE | {"tick": 9}, event_object(NoteOff(5, 0, 60))]}, "out of order"),
        ({"events": [PIECE, NOTE | {"voice": 15}]}, "not a note"),
        ({"events": [PIECE, NOTE | {"pitch": 128}]}, "not a note"),
        ({"events": [PIECE, event_object(TempoFactor(1, 0))]}, "tempo"),
        ({"events": [PIECE, NOTE | {"type": "key_change"}]}, "key_change"),
        ({"events": [PIECE | {"tonic": 12}]}, "key or meter"),
        ({"events": [PIECE | {"beats_per_bar": 0}]}, "key or meter"),
        ({"events": [PIECE | {"beat_ticks": 0}]}, "key or meter"),
        ({"events": [PIECE | {"beat_ticks": 1 << 20}]}, "key or meter"),
        ({"events": [PIECE] + [NOTE] * 100_001}, "damaged"),
        ({"length_ticks": 1 << 40}, "damaged"),
        ({"seed": -1}, "damaged"),
        ({"settings": {"tempo": [1]}}, "damaged"),
    ],
)
def test_unpack_refuses_a_record_that_cannot_be_played(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BachboxError, match=message):
        unpack(_with(**changes))


def test_unpack_refuses_a_decompression_bomb() -> None:
    bomb = MAGIC + zlib.compress(b'{"format":2,"x":"' + b"0" * (64 << 20) + b'"}')
    with pytest.raises(BachboxError, match="larger"):
        unpack(bomb)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no piece"),
        (b"MThd\0\0\0\6\0\1\0\0\1\xe0", "no piece"),
        (b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff", "no piece"),
        (b"RIFF\0\0\0\0WAVE" + b"bach\xff\xff\xff\xff", "no piece"),
        (b"PK\3\4" + bytes(100), "musicxml"),
        (b'<miscellaneous-field name="bachbox">AAA</miscellaneous-field>', "damaged"),
        (b'<miscellaneous-field name="bachbox">AAAA</miscellaneous-field>', "no piece"),
    ],
)
def test_files_without_a_record_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        piece_embedding.read(path)
    with pytest.raises(UsageError, match="not a file"):
        piece_embedding.read(tmp_path)
    with pytest.raises(UsageError, match="cannot read"):
        piece_embedding.read(tmp_path / "nowhere")
