"""Files as people bring them, with the faults of other programs: read right, or refused.

The files in ``tests/data/brought`` hold the same music as ``plain.mid`` (four bars of 4/4 in four
parts) unless their tests say otherwise.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.composing import model_file
from appliance.errors import UsageError
from appliance.music.codecs import four_part_conversion, free_rhythm_conversion
from appliance.music.files import score_reader
from appliance.music.files.midi_repair import MAX_EVENTS
from appliance.music.files.score_file import MAX_BEATS, MAX_NOTES, KeySignature, ScoreFile
from appliance.music.notes import Note
from tests.support.processor_limit import bounded_processor_time

BROUGHT = Path(__file__).parents[2] / "data" / "brought"
MODELS = Path(__file__).parents[3] / "models"
END_OF_TRACK = b"\x00\xff\x2f\x00"


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack(">I", len(content)) + content


def midi(
    *tracks: bytes, file_type: int = 1, division: int = 480, count: int | None = None
) -> bytes:
    header = struct.pack(">HHh", file_type, len(tracks) if count is None else count, division)
    return chunk(b"MThd", header) + b"".join(chunk(b"MTrk", track) for track in tracks)


def number(value: int) -> bytes:
    """A number in the variable length of MIDI files."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(0x80 | value & 0x7F)
    return bytes(reversed(found))


def melody(*pitches: int, channel: int = 0, beat: int = 480, before: bytes = b"") -> bytes:
    """A track of quarter notes, after events that are given as bytes."""
    notes = (
        bytes((0, 0x90 | channel, pitch, 80)) + number(beat) + bytes((0x80 | channel, pitch, 0))
        for pitch in pitches
    )
    return before + b"".join(notes) + END_OF_TRACK


def signature(tick: int, numerator: int, denominator_power: int) -> bytes:
    return number(tick) + bytes((0xFF, 0x58, 4, numerator, denominator_power, 24, 8))


def read(tmp_path: Path, content: bytes, name: str = "a.mid") -> ScoreFile:
    path = tmp_path / name
    path.write_bytes(content)
    return score_reader.read(path)


def spans(notes: Iterable[Note]) -> list[tuple[int, int]]:
    return [(note.start, note.end) for note in notes]


PLAIN = score_reader.read(BROUGHT / "plain.mid")


@pytest.mark.parametrize(
    "name",
    [
        "alien_chunk.mid", "alien_end.mid", "badkey.mid", "hdr_len8.mid", "ppq960_div1.mid",
        "realtime_f8.mid", "riff.mid", "text_latin.mid", "upper_MID.mid",
    ],
)  # fmt: skip
def test_faults_that_do_not_concern_the_music_are_passed_over(name: str) -> None:
    file = score_reader.read(BROUGHT / name)
    assert file.parts == PLAIN.parts
    assert file.notices == ()
    score = four_part_conversion.read(BROUGHT / name)
    plain = four_part_conversion.read(BROUGHT / "plain.mid")
    assert (score.pitches, score.onsets, score.key, score.form) == (
        plain.pitches, plain.onsets, plain.key, plain.form,
    )  # fmt: skip


PLAIN_BYTES = (BROUGHT / "plain.mid").read_bytes()
HEADER, TRACKS = PLAIN_BYTES[:14], PLAIN_BYTES[14:]
ALIEN = chunk(b"XFKM", b"karaoke" * 3)


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ALIEN + TRACKS + ALIEN,
        (HEADER + TRACKS).replace(b"\x00\xff/\x00MTrk", b"\x00\xff/\x00" + ALIEN + b"MTrk", 2),
        PLAIN_BYTES.replace(b"\x00\x01\x00\x04\x01\xe0", b"\x00\x01\x00\x07\x01\xe0"),
        PLAIN_BYTES.replace(b"\x00\x01\x00\x04\x01\xe0", b"\x00\x01\x00\x01\x01\xe0"),
        PLAIN_BYTES.replace(b"\x00\x01\x00\x04\x01\xe0", b"\x00\x01\x00\x00\x01\xe0"),
        chunk(b"MThd", HEADER[8:] + bytes(6)) + TRACKS,
        b"\xef\xbb\xbf" + PLAIN_BYTES,
        bytes(128) + PLAIN_BYTES,
        PLAIN_BYTES + bytes(400),
        PLAIN_BYTES + b"\x00" * 3 + b"trailing text that is no chunk",
        b"RIFF" + struct.pack("<I", len(PLAIN_BYTES) + 12) + b"RMIDdata"
        + struct.pack("<I", len(PLAIN_BYTES)) + PLAIN_BYTES + b"LIST\x04\x00\x00\x00INFO",
        PLAIN_BYTES.replace(b"MTrk\x00\x00\x00\x94", b"MTrk\x00\x00\x00\x10"),
        PLAIN_BYTES.replace(b"MTrk\x00\x00\x00\x94", b"MTrk\x00\x00\x02\x94"),
        PLAIN_BYTES.replace(b"MTrk\x00\x00\x00\x94", b"MTrk\xff\xff\xff\xff"),
        PLAIN_BYTES.replace(b"MTrk\x00\x00\x00\x94", b"MTrk\x00\x00\x00\x00"),
    ],
)  # fmt: skip
def test_chunks_lengths_and_counts_that_are_wrong_are_passed_over(
    tmp_path: Path, content: bytes
) -> None:
    assert read(tmp_path, content).parts == PLAIN.parts


@pytest.mark.parametrize(
    "event",
    [
        b"\x00\xff\x59\x02\x12\x01", b"\x00\xff\x59\x02\x80\x07", b"\x00\xff\x59\x00",
        b"\x00\xff\x58\x04\x00\x02\x18\x08", b"\x00\xff\x58\x04\x04\xf0\x18\x08",
        b"\x00\xff\x58\x01\x04", b"\x00\xff\x51\x01\x00", b"\x00\xff\x00\x01\x00",
        b"\x00\xff\x54\x01\x00", b"\x00\xff\x20\x00", b"\x00\xff\x6e\x02ab",
        "\x00\xff\x01\x06".encode("latin-1") + "賛美".encode("shift-jis") + b"\x80\xff",
        b"\x00\xf8", b"\x00\xfe", b"\x00\xf0\x05\x7e\x7f\x09\x01\xf7", b"\x00\xf7\x01\xf8",
        b"\x00\xf2\x01\x02", b"\x00\xe0\x00\x40", b"\x00\xd0\x40", b"\x00\xa0\x40\x40",
    ],
)  # fmt: skip
def test_events_that_are_not_music_are_passed_over_whatever_is_in_them(
    tmp_path: Path, event: bytes
) -> None:
    plain = read(tmp_path, midi(melody(60, 62)))
    assert read(tmp_path, midi(melody(60, 62, before=event))).parts == plain.parts
    between = melody(60)[:-4] + event + melody(62)
    assert read(tmp_path, midi(between)).parts == plain.parts


@pytest.mark.parametrize("name", ["meta_running.mid", "sysex_running.mid"])
def test_running_status_continues_after_other_events(name: str) -> None:
    (part,) = score_reader.read(BROUGHT / name).parts
    assert [(note.start, note.length, note.pitch) for note in part] == [
        (0, 480, 72),
        (480, 480, 73),
    ]


def test_real_time_bytes_within_a_message_are_passed_over(tmp_path: Path) -> None:
    track = b"\x00\x90\xf8\x40\xfe\x50\x83\x60\x80\x40\x00" + END_OF_TRACK
    assert read(tmp_path, midi(track)).parts == ((Note(0, 480, 64),),)


@pytest.mark.parametrize(
    ("frames", "ticks", "beat"), [(25, 40, 500), (24, 80, 960), (30, 80, 1200), (29, 100, 1499)]
)
def test_time_in_frames_is_read_at_120_bpm(
    tmp_path: Path, frames: int, ticks: int, beat: int
) -> None:
    division = struct.unpack(">h", bytes((256 - frames, ticks)))[0]
    file = read(tmp_path, midi(melody(60, 62, 64, beat=beat), division=division))
    assert spans(file.parts[0]) == [(0, 480), (480, 960), (960, 1440)]
    assert file.notices == ("its time is in SMPTE frames and was read at 120 BPM",)
    plain = four_part_conversion.read(BROUGHT / "plain.mid")
    assert four_part_conversion.read(BROUGHT / "smpte25_40.mid").pitches == plain.pitches


@pytest.mark.parametrize("division", [0, -1, -256, -25 * 256, -100 * 256 + 4])
def test_an_impossible_division_is_refused(tmp_path: Path, division: int) -> None:
    with pytest.raises(UsageError, match="not a MIDI file that can be read"):
        read(tmp_path, midi(melody(60), division=division))


@pytest.mark.parametrize("convert", [four_part_conversion.read, free_rhythm_conversion.read])
@bounded_processor_time()
def test_a_note_far_away_is_refused_at_once(convert: object) -> None:
    with pytest.raises(UsageError, match=rf"at most {MAX_BEATS} can be read; look for a stray"):
        convert(BROUGHT / "far.mid")  # type: ignore[operator]


@bounded_processor_time()
def test_too_many_events_or_notes_are_refused_in_time(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"more than {MAX_EVENTS} events"):
        read(tmp_path, midi(b"\x00\xb0\x07\x01" * (MAX_EVENTS + 1)))
    with pytest.raises(UsageError, match=f"more than {MAX_NOTES} notes"):
        read(tmp_path, midi(b"\x00\x90\x40\x40\x01\x80\x40\x40" * (2 * MAX_NOTES + 1)))
    with pytest.raises(UsageError, match="tracks"):
        read(tmp_path, midi(*[b""] * 2000))


def test_the_pedal_holds_notes_until_it_is_lifted() -> None:
    file = score_reader.read(BROUGHT / "pedal.mid")
    assert spans(file.parts[0]) == [(480 * n, 480 * (n + 1)) for n in range(8)]
    assert file.notices == ("the pedal was taken as length",)


def test_a_held_note_ends_where_it_is_struck_again_and_the_pedal_is_the_channels(
    tmp_path: Path,
) -> None:
    pedal = b"\x00\xb0\x40\x7f\x8f\x00\xb0\x40\x00" + END_OF_TRACK  # down from 0 to 1920
    notes = melody(60, 62, 60, beat=240)
    other = melody(72, channel=1, beat=240)
    first, second = read(tmp_path, midi(pedal, notes, other)).parts
    assert spans(first) == [(0, 480), (240, 1920), (480, 1920)]
    assert spans(second) == [(0, 240)]


def test_a_pedal_that_is_never_lifted_holds_to_the_last_note(tmp_path: Path) -> None:
    file = read(tmp_path, midi(melody(60, 62, before=b"\x00\xb0\x40\x7f")))
    assert spans(file.parts[0]) == [(0, 960), (480, 960)]


def test_notes_that_are_never_released_end_with_their_track(tmp_path: Path) -> None:
    file = score_reader.read(BROUGHT / "no_noteoff.mid")
    assert [len(part) for part in file.parts] == [16] * 4
    assert {part[-1].end for part in file.parts} == {16 * 480}
    assert "never released" in file.notices[0]
    bare = b"\x00\x90\x3c\x50\x83\x60\x90\x3e\x50" + END_OF_TRACK
    assert spans(read(tmp_path, midi(bare)).parts[0]) == [(0, 480), (480, 960)]


NOTE_ON, NOTE_OFF = b"\x90\x3c\x50", b"\x80\x3c\x40"


@pytest.mark.parametrize(
    ("events", "notes"),
    [
        ([NOTE_ON, (480, NOTE_ON), (480, NOTE_OFF), (480, NOTE_OFF)], [(0, 960), (480, 1440)]),
        ([NOTE_ON, NOTE_ON, (480, NOTE_OFF), (480, NOTE_OFF)], [(0, 480), (0, 960)]),
        ([NOTE_ON, (480, NOTE_ON), NOTE_OFF, (480, NOTE_OFF)], [(0, 480), (480, 960)]),
        ([NOTE_ON, (480, NOTE_ON), (480, NOTE_OFF)], [(0, 480), (480, 960)]),
        ([NOTE_ON, (480, NOTE_OFF), NOTE_OFF, NOTE_ON, (480, NOTE_OFF)], [(0, 480), (480, 960)]),
    ],
)
def test_of_overlapping_notes_of_a_pitch_the_first_note_off_ends_the_first_unless_one_is_missing(
    tmp_path: Path, events: list[bytes | tuple[int, bytes]], notes: list[tuple[int, int]]
) -> None:
    timed = (event if isinstance(event, tuple) else (0, event) for event in events)
    track = b"".join(number(ticks) + event for ticks, event in timed)
    file = read(tmp_path, midi(track + END_OF_TRACK))
    assert spans(file.parts[0]) == notes
    assert file.notices == ()


def test_percussion_is_left_out_with_a_notice(tmp_path: Path) -> None:
    tracks = [melody(60), melody(64), melody(67), melody(36, 38, channel=9)]
    file = read(tmp_path, midi(*tracks))
    assert len(file.parts) == 3
    assert file.notices == ("read 3 of 4 tracks (percussion left out)",)


XG = b"\x00\xf0\x08\x43\x10\x4c\x00\x00\x7e\x00\xf7"
GM2 = b"\x00\xf0\x05\x7e\x7f\x09\x03\xf7"


def gs_drums(part: int, mode: int) -> bytes:
    """The message of Roland's GS that lets a part play drums, or not."""
    data = bytes((0x41, 0x10, 0x42, 0x12, 0x40, 0x10 | part, 0x15, mode, 0, 0xF7))
    return b"\x00\xf0" + bytes((len(data),)) + data


def bank(channel: int, number: int) -> bytes:
    return bytes((0, 0xB0 | channel, 0, number))


@pytest.mark.parametrize(
    ("before", "channel", "is_drums"),
    [
        (b"", 9, True), (b"", 8, False),
        (XG + bank(8, 127), 8, True), (XG + bank(8, 126), 8, True), (bank(8, 127), 8, False),
        (XG + bank(8, 0), 8, False), (XG + bank(7, 127), 8, False),
        (b"\x00\xf0\x08\x43\x10\x4c\x08\x05\x07\x02\xf7", 5, True),
        (GM2 + bank(3, 120), 3, True), (GM2 + bank(3, 121), 3, False), (bank(3, 120), 3, False),
        (gs_drums(1, 1), 0, True), (gs_drums(9, 1), 8, True), (gs_drums(10, 2), 10, True),
        (gs_drums(15, 1), 15, True), (gs_drums(0, 0), 9, False), (gs_drums(0, 1), 9, True),
        (gs_drums(10, 0), 10, False), (b"\x00\xf0\x00\x00\xf0\x01\xf7", 3, False),
    ],
)  # fmt: skip
def test_drums_are_on_the_channels_that_the_file_says(
    tmp_path: Path, before: bytes, channel: int, is_drums: bool
) -> None:
    other = 11
    tracks = melody(60, channel=other, before=before), melody(36, 38, channel=channel)
    file = read(tmp_path, midi(*tracks))
    assert len(file.parts) == 1 + (not is_drums)
    assert file.notices == (("read 1 of 2 tracks (percussion left out)",) if is_drums else ())


def test_of_two_files_in_one_the_first_is_read(tmp_path: Path) -> None:
    file = read(tmp_path, midi(melody(60, 62)) + midi(melody(70, 71)))
    assert [[note.pitch for note in part] for part in file.parts] == [[60, 62]]
    assert file.notices == ("another MIDI file follows in the same file; it was left out",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (midi(END_OF_TRACK), "there are no notes in it"),
        (midi(melody(36, channel=9)), "no notes in it: read 0 of 1 tracks (percussion left out)"),
        (b"<!DOCTYPE html><html>404</html>", "it is a web page, or XML"),
        (b"MUS\x1a" + bytes(40), "it has no MIDI header"),
    ],
)
def test_what_is_no_music_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, content)
    assert reason in str(refused.value)


def test_the_first_of_several_independent_sequences_is_read() -> None:
    file = score_reader.read(BROUGHT / "type2.mid")
    assert file.parts == PLAIN.parts[:1]
    assert file.notices == ("it has 4 pieces (MIDI type 2); the first of them was read",)
    with pytest.raises(UsageError, match=r"melody alone.*takes it as it is"):
        four_part_conversion.read(BROUGHT / "type2.mid")
    chorales = model_file.load(MODELS / "chorales.tflite")
    with pytest.raises(UsageError, match=r"model is chorales; .* the first of them was read\)"):
        chorales.opening(BROUGHT / "type2.mid")


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    file = read(tmp_path, PLAIN_BYTES[:-40])
    assert file.parts[:3] == PLAIN.parts[:3]
    assert 8 < len(file.parts[3]) < 16
    assert "a track breaks off and was read up to there" in file.notices


@pytest.mark.parametrize(
    ("data", "signature"),
    [
        (b"\xfd\x01", KeySignature(-3, minor=True)), (b"\x02\x00", KeySignature(2, minor=False)),
        (b"\x00\x00\x00", KeySignature(0, minor=False)), (b"\x12\x01", None),
        (b"\x80\x00", None), (b"\x01\x02", None), (b"\x01", None), (b"", None),
    ],
)  # fmt: skip
def test_key_signatures_are_read_and_impossible_ones_are_passed_over(
    tmp_path: Path, data: bytes, signature: KeySignature | None
) -> None:
    event = b"\x00\xff\x59" + bytes((len(data),)) + data
    file = read(tmp_path, midi(melody(60, 62, before=event)))
    assert file.key_signature == signature
    assert file.notices == ()


def test_the_first_key_signature_counts(tmp_path: Path) -> None:
    later = number(960) + b"\xff\x59\x02\x04\x00" + END_OF_TRACK
    first = b"\x00\xff\x59\x02\xff\x00" + END_OF_TRACK
    file = read(tmp_path, midi(later, first, melody(60, 62)))
    assert file.key_signature == KeySignature(-1, minor=False)


@bounded_processor_time()
def test_a_long_file_is_taken_up_to_a_bar_line(tmp_path: Path) -> None:
    """Of 5000 notes, a model in free rhythm starts from 4096 at most."""
    content = midi(melody(*(60 + n % 12 for n in range(5000)), beat=240))
    file = read(tmp_path, content)
    opening = model_file.load(MODELS / "keyboard.tflite").codec.opening(file)
    assert len(opening.tokens) == 3 * 4096
    assert opening.form.steps == 2 * 4096
    assert "it is long; its first 512 bars were read" in opening.notices


# Pickups


def test_of_few_long_notes_a_quarter_of_an_hour_is_taken(tmp_path: Path) -> None:
    keyboard = model_file.load(MODELS / "keyboard.tflite").codec
    held = midi(melody(*[60, 62] * 100, beat=16 * 480))
    opening = keyboard.opening(read(tmp_path, held))
    assert opening.form.steps == 8192
    assert opening.notices == ("it is long; its first 512 bars were read",)
    late = midi(number(3000 * 480) + melody(60)[1:])
    with pytest.raises(UsageError, match="it is silent for its first 750 bars"):
        keyboard.opening(read(tmp_path, late))


def test_the_bar_of_the_first_note_is_kept_however_many_notes_it_has() -> None:
    notes = [Note(7680 + 10 * n, 10, pitch) for n in range(90) for pitch in range(40, 90)]
    score = free_rhythm_conversion.score_from_notes("dense", notes, (16, 4), 0)
    beginning = free_rhythm_conversion.beginning(score, 4096, 8192)
    assert (len(beginning.notes), beginning.form.steps) == (4096, 80)


def test_a_short_first_bar_is_an_upbeat_for_every_model() -> None:
    for convert in (four_part_conversion.read, free_rhythm_conversion.read):
        form = convert(BROUGHT / "pickupmetre.mid").form
        assert (form.bar_steps, form.pickup_steps) == (16, 4)


FOUR_PARTS = (72, 67, 64, 48)


@pytest.mark.parametrize(
    ("signatures", "bar", "pickup"),
    [
        (signature(0, 1, 2) + signature(480, 4, 2), 16, 4),
        (signature(0, 1, 2) + signature(480, 3, 2), 12, 4),
        (signature(0, 1, 3) + signature(240, 3, 2), 12, 2),
        (signature(0, 3, 2) + signature(1440, 4, 2), 16, 12),
        (signature(0, 1, 2) + signature(480, 4, 2) + signature(1920 * 2, 3, 2), 16, 4),
        (signature(480, 4, 2), 16, 4),
        (signature(0, 4, 2) + signature(480, 4, 2), 16, 4),
        (signature(0, 3, 2) + signature(240, 3, 2) + signature(1440, 3, 2), 12, 2),
        (signature(0, 4, 2) + signature(480, 4, 2) + signature(480, 4, 2), 16, 0),
        (signature(0, 4, 2) + signature(0, 4, 2), 16, 0),
        (signature(0, 4, 2), 16, 0),
    ],
)
def test_pickups_that_are_written_down(
    tmp_path: Path, signatures: bytes, bar: int, pickup: int
) -> None:
    conductor = signatures + END_OF_TRACK
    parts = [melody(*[pitch] * 12, channel=n) for n, pitch in enumerate(FOUR_PARTS)]
    path = tmp_path / "a.mid"
    path.write_bytes(midi(conductor, *parts))
    for convert in (four_part_conversion.read, free_rhythm_conversion.read):
        form = convert(path).form
        assert (form.bar_steps, form.pickup_steps) == (bar, pickup)


def test_a_meter_that_changes_later_is_no_pickup(tmp_path: Path) -> None:
    conductor = signature(0, 4, 2) + signature(1920, 3, 2) + END_OF_TRACK
    parts = [melody(*[pitch] * 12, channel=n) for n, pitch in enumerate(FOUR_PARTS)]
    path = tmp_path / "a.mid"
    path.write_bytes(midi(conductor, *parts))
    with pytest.raises(UsageError, match="3/4, 4/4"):
        four_part_conversion.read(path)
    score = free_rhythm_conversion.read(path)
    assert score.form.bar_steps == 16
    assert score.notices == ("its meter changes; all bars were counted in 4/4",)


# MusicXML


@pytest.mark.parametrize(
    "name",
    [
        "closed_satb.musicxml", "chordsymbols.musicxml", "utf16_sibelius.xml",
        "utf16_sibelius.musicxml",
    ],
)  # fmt: skip
def test_musicxml_of_other_programs_is_read_as_open_score(name: str) -> None:
    opened = four_part_conversion.read(BROUGHT / "open.musicxml")
    score = four_part_conversion.read(BROUGHT / name)
    assert (score.pitches, score.onsets, score.key, score.form) == (
        opened.pitches, opened.onsets, opened.key, opened.form,
    )  # fmt: skip


def test_parts_of_transposing_instruments_are_read_as_they_sound() -> None:
    opened = score_reader.read(BROUGHT / "open.musicxml")
    brass = score_reader.read(BROUGHT / "brass_Bb.musicxml")
    assert brass.parts == tuple(
        tuple(note._replace(pitch=note.pitch - 2) for note in part) for part in opened.parts
    )


def test_a_pickup_is_read_from_musicxml() -> None:
    for convert in (four_part_conversion.read, free_rhythm_conversion.read):
        form = convert(BROUGHT / "pickup.musicxml").form
        assert (form.bar_steps, form.pickup_steps) == (16, 4)


def test_a_pickup_that_musicxml_writes_as_a_bar_of_its_own(tmp_path: Path) -> None:
    text = (BROUGHT / "pickup.musicxml").read_text()
    time_of = "<time><beats>{}</beats><beat-type>4</beat-type></time>"
    text = text.replace(time_of.format(4), time_of.format(1))
    text = text.replace(
        '<measure number="1">',
        f'<measure number="1"><attributes>{time_of.format(4)}</attributes>',
    )
    path = tmp_path / "a.musicxml"
    path.write_text(text)
    score = four_part_conversion.read(path)
    written = four_part_conversion.read(BROUGHT / "pickup.musicxml")
    assert (score.form, score.pitches) == (written.form, written.pitches)


# Anything at all


def mutated(content: bytes, edits: Sequence[tuple[int, bytes, int]]) -> bytes:
    for place, inserted, removed in edits:
        at = place % (len(content) + 1)
        content = content[:at] + inserted + content[at + removed :]
    return content


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(path.name for path in BROUGHT.iterdir() if path.suffix == ".mid")),
    edits=st.lists(
        st.tuples(st.integers(0, 700), st.binary(max_size=6), st.integers(0, 6)), max_size=6
    ),
)
@bounded_processor_time()
def test_any_bytes_give_a_score_or_a_refusal_in_bounded_time(
    tmp_path_factory: pytest.TempPathFactory, name: str, edits: Sequence[tuple[int, bytes, int]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.mid"
    path.write_bytes(mutated((BROUGHT / name).read_bytes(), edits))
    try:
        file = score_reader.read(path)
    except UsageError as refused:
        assert str(refused).startswith(str(path))
        assert "\n" not in str(refused)
    else:
        notes = list(itertools.chain(*file.parts))
        assert all(0 <= note.start <= note.end <= 480 * MAX_BEATS for note in notes)
        assert all(0 <= note.pitch <= 127 for note in notes)


@pytest.mark.parametrize("controller", [120, 123])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_controller_that_ends_all_notes_ends_them(
    tmp_path: Path, controller: int, is_first: bool
) -> None:
    ends = bytes((0xB0, controller, 0))
    ons = [bytes((0x90, pitch, 80)) for pitch in (60, 62, 64)]
    later = [ends + b"\x00" + on if is_first else on + b"\x00" + ends for on in ons[1:]]
    events = [ons[0], *later, ends]
    held = b"\x00" + number(480).join(events)
    file = read(tmp_path, midi(held + number(4800) + END_OF_TRACK[1:]))
    assert spans(file.parts[0]) == [(0, 480), (480, 960), (960, 1440)]
    assert file.notices == ()


def test_the_reset_of_all_controllers_lifts_the_pedal(tmp_path: Path) -> None:
    track = b"\x00\xb0\x40\x7f" + melody(60)[:-4] + b"\x83\x60\xb0\x79\x00"
    file = read(tmp_path, midi(track + number(4800) + melody(62)[1:]))
    assert spans(file.parts[0])[0] == (0, 960)


def wheel(value: int, channel: int = 0) -> bytes:
    return bytes((0xE0 | channel, value & 0x7F, value >> 7))


def test_bends_of_the_pitch_wheel_are_told_of(tmp_path: Path) -> None:
    on, off = b"\x00\x90\x3c\x50", number(480) + b"\x80\x3c\x00"
    vibrato = number(240) + wheel(0x2000 + 900)
    bent, back = number(240) + wheel(0x3FFF), b"\x00" + wheel(0x2000)
    # Plain; with vibrato; bent twice while it sounds; two that begin bent; plain again.
    track = (
        on + off + on + vibrato + off + on + bent + bent + off + (on + off) * 2 + back + on + off
    )
    other = melody(72, 74, channel=1)
    file = read(tmp_path, midi(track + END_OF_TRACK, other))
    assert {note.pitch for note in file.parts[0]} == {60}
    assert file.notices == ("bends of the pitch wheel were left out (3 notes)",)


def test_a_stray_note_behind_a_long_silence_is_left_out_with_a_notice(tmp_path: Path) -> None:
    def with_stray(beats: int) -> ScoreFile:
        stray = number(480 * beats) + melody(60)[1:]
        return read(tmp_path, midi(melody(60, 62, 64)[:-4] + stray))

    assert spans(with_stray(63).parts[0])[3:] == [(66 * 480, 67 * 480)]
    far = with_stray(8000)
    assert spans(far.parts[0]) == [(0, 480), (480, 960), (960, 1440)]
    assert far.notices == (
        "there is a silence of 8000 quarter notes; what follows it was left out (notes: 1)",
    )
    assert free_rhythm_conversion.to_free_rhythm(far).form.steps == 12


def test_of_two_time_signatures_at_one_tick_the_last_counts(tmp_path: Path) -> None:
    track = melody(60, 62, 64, before=signature(0, 4, 2) + signature(0, 3, 2))
    assert read(tmp_path, midi(track)).time_signatures == ((3, 4),)
    track = melody(60, 62, 64, before=signature(0, 3, 2) + signature(0, 4, 2))
    assert read(tmp_path, midi(track)).time_signatures == ((4, 4),)


@pytest.mark.parametrize(
    ("content", "notice"),
    [
        (midi(melody(60), count=3), "it has 1 of the 3 tracks that its header tells of"),
        (midi(melody(60), file_type=3), "its MIDI type is 3"),
        (midi(melody(60)[:-4] + melody(62, beat=0)), "notes without a length were left out (1)"),
    ],
)
def test_what_is_odd_in_a_midi_file_is_said(tmp_path: Path, content: bytes, notice: str) -> None:
    file = read(tmp_path, content)
    assert spans(file.parts[0]) == [(0, 480)]
    assert len(file.notices) == 1
    assert file.notices[0].startswith(notice)
