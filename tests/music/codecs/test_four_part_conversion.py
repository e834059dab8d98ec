"""Score files become four-part scores, or are refused with one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from music21 import expressions, instrument, metadata, meter, note, stream

from appliance.errors import UsageError
from appliance.music.codecs import four_part_conversion
from appliance.music.codecs.four_part_conversion import MAX_STEPS
from appliance.music.files import midi_writer
from appliance.music.score import HIGHEST_PITCH, LOWEST_PITCH, SILENT, VOICES, Score
from tests.support.making_music import OPENING, chords, events_of, scores

Notes = Sequence[tuple[int, int, int]]
"""Start and end in ticks (120 per 16th), and the MIDI note."""


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as refused:
        four_part_conversion.read(path)
    sentence = str(refused.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    assert "()" not in sentence
    return sentence.removeprefix(str(path))


def track(notes: Notes, channel: int = 0, before: Sequence[Any] = ()) -> mido.MidiTrack:
    timed = [(0, message) for message in before]
    for start, end, pitch in notes:
        timed.append((start, mido.Message("note_on", channel=channel, note=pitch, velocity=70)))
        timed.append((end, mido.Message("note_on", channel=channel, note=pitch, velocity=0)))
    timed.sort(key=lambda entry: (entry[0], getattr(entry[1], "velocity", 0)))
    found, now = mido.MidiTrack(), 0
    for tick, message in timed:
        found.append(message.copy(time=tick - now))
        now = tick
    return found


def midi(path: Path, *tracks: mido.MidiTrack, ticks_per_beat: int = 480) -> Path:
    file = mido.MidiFile(ticks_per_beat=ticks_per_beat)
    file.tracks.extend(tracks)
    file.save(path)
    return path


def time_signature(numerator: int, denominator: int) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)


def voices(bars: int = 2) -> list[Notes]:
    """Four voices in quarters."""
    return [
        [(480 * beat, 480 * (beat + 1), low + beat % 5) for beat in range(4 * bars)]
        for low in (72, 65, 58, 48)
    ]


def same_music(one: Score, other: Score) -> None:
    assert one.pitches == other.pitches
    assert one.onsets == other.onsets


# MIDI


@settings(max_examples=40)
@given(score=scores())
def test_a_midi_file_that_bachbox_wrote_is_read_back(tmp_path: Path, score: Score) -> None:
    # A voice is found by its height, so the four are moved apart.
    heights = [row[v] for row in score.pitches for v in range(VOICES) if row[v] != SILENT]
    every_voice = all(any(row[v] != SILENT for row in score.pitches) for v in range(VOICES))
    path = tmp_path / "a.mid"
    midi_writer.write(path, events_of(score), tempo_bpm=80, program=0, title="")
    if not heights:
        assert "no notes" in refusal(path)
    elif every_voice:
        read = four_part_conversion.read(path)
        columns = sorted(zip(*read.pitches, strict=True))
        longest = len(columns[0])
        assert columns == sorted(zip(*score.pitches[:longest], strict=True))
        assert all(p == SILENT for row in score.pitches[longest:] for p in row)


def test_four_tracks_may_be_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    midi_writer.write(path, events_of(OPENING), tempo_bpm=80, program=0, title="")
    score = four_part_conversion.read(path)
    same_music(score, OPENING)
    assert score.key == OPENING.key
    assert score.form.bar_steps == 16
    file = mido.MidiFile(path)
    for order in ((0, 4, 3, 2, 1), (2, 0, 4, 1, 3)):
        same_music(four_part_conversion.read(midi(path, *[file.tracks[n] for n in order])), OPENING)


def test_four_channels_in_one_track(tmp_path: Path) -> None:
    messages: list[tuple[int, Any]] = []
    for channel, part in enumerate(voices()):
        tick = 0
        for message in track(part, channel):
            tick += message.time
            messages.append((tick, message))
    messages.sort(key=lambda entry: (entry[0], entry[1].velocity))
    merged, now = mido.MidiTrack(), 0
    for tick, message in messages:
        merged.append(message.copy(time=tick - now))
        now = tick
    apart = midi(tmp_path / "apart.mid", *map(track, voices()))
    same_music(
        four_part_conversion.read(midi(tmp_path / "one.mid", merged)),
        four_part_conversion.read(apart),
    )


def test_four_part_chords_in_one_track(tmp_path: Path) -> None:
    together = sorted(entry for part in voices() for entry in part)
    apart = four_part_conversion.read(midi(tmp_path / "a.mid", *map(track, voices())))
    same_music(four_part_conversion.read(midi(tmp_path / "b.mid", track(together))), apart)


def test_voices_of_chords_do_not_cross_while_one_rests(tmp_path: Path) -> None:
    """Held notes stay in their voices, and the others go above and below them."""
    held = [(0, 1920, 60), (0, 1440, 72), (0, 1440, 66), (0, 1920, 48)]
    moving = [(1440, 1920, 58)]
    path = midi(tmp_path / "a.mid", track([*held, *moving]))
    score = four_part_conversion.read(path)
    for row in score.pitches:
        sounding = [p for p in row if p != SILENT]
        assert sounding == sorted(sounding, reverse=True)
    assert score.pitches[11] == (72, 66, 60, 48)
    assert score.pitches[12][3] == 48


@settings(max_examples=40)
@given(data=st.data())
def test_chords_of_up_to_four_notes_do_not_cross_and_lose_no_note(
    tmp_path: Path, data: st.DataObject
) -> None:
    notes: list[tuple[int, int, int]] = []
    sounding: list[set[int]] = []
    for beat in range(12):
        size = 4 if beat < 9 else data.draw(st.integers(1, 4))
        chord = data.draw(
            st.lists(
                st.integers(LOWEST_PITCH, HIGHEST_PITCH), min_size=size, max_size=size, unique=True
            )
        )
        sounding.append(set(chord))
        notes += [(480 * beat, 480 * beat + 480, pitch) for pitch in chord]
    score = four_part_conversion.read(midi(tmp_path / "a.mid", track(notes)))
    assert score.steps == 48
    for step, row in enumerate(score.pitches):
        found = [p for p in row if p != SILENT]
        assert found == sorted(sounding[step // 4], reverse=True)


def test_a_repeated_note_is_an_onset(tmp_path: Path) -> None:
    parts: list[Notes] = [[(0, 240, p), (240, 480, p), (480, 960, p)] for p in (72, 67, 60, 48)]
    score = four_part_conversion.read(midi(tmp_path / "a.mid", *map(track, parts)))
    struck = [step for step, row in enumerate(score.onsets) if all(row)]
    assert struck == [0, 2, 4]
    assert score.pitches == ((72, 67, 60, 48),) * 8


def test_notes_off_the_grid_are_rounded_at_any_resolution(tmp_path: Path) -> None:
    exact = four_part_conversion.read(midi(tmp_path / "a.mid", *map(track, voices())))
    other: list[Notes] = [
        [(start // 5 + 3, end // 5 - 4, pitch) for start, end, pitch in part] for part in voices()
    ]
    path = midi(tmp_path / "b.mid", *map(track, other), ticks_per_beat=96)
    same_music(four_part_conversion.read(path), exact)


def test_a_bar_in_three_four_has_twelve_steps(tmp_path: Path) -> None:
    first, *rest = voices(3)
    path = midi(tmp_path / "a.mid", track(first, before=[time_signature(3, 4)]), *map(track, rest))
    assert four_part_conversion.read(path).form.bar_steps == 12


def test_drums_are_ignored(tmp_path: Path) -> None:
    beats = track([(240 * n, 240 * n + 60, 35) for n in range(16)], channel=9)
    plain = four_part_conversion.read(midi(tmp_path / "a.mid", *map(track, voices())))
    with_drums = midi(tmp_path / "b.mid", beats, *map(track, voices()))
    same_music(four_part_conversion.read(with_drums), plain)
    assert "no notes" in refusal(midi(tmp_path / "c.mid", beats))


def test_only_the_beginning_of_a_long_file_is_taken(tmp_path: Path) -> None:
    path = midi(tmp_path / "a.mid", *map(track, voices(100)))
    assert four_part_conversion.read(path).steps == MAX_STEPS
    hours = [(start + 10**6, end + 10**6, pitch) for start, end, pitch in voices()[0]]
    path = midi(tmp_path / "b.mid", *map(track, [hours, *voices()[1:]]))
    assert "silent for its first 32 bars" in refusal(path)


# What does not fit


@pytest.mark.parametrize("other", [(6, 8), (5, 4), (3, 8), (12, 8)])
def test_an_unknown_meter_is_refused(tmp_path: Path, other: tuple[int, int]) -> None:
    first, *rest = voices()
    path = midi(
        tmp_path / "a.mid", track(first, before=[time_signature(*other)]), *map(track, rest)
    )
    message = refusal(path)
    assert f"{other[0]}/{other[1]}" in message
    assert "4/4" in message


def test_a_meter_that_changes_is_refused(tmp_path: Path) -> None:
    change = time_signature(3, 4).copy(time=4 * 480)
    meters = mido.MidiTrack([time_signature(4, 4), change])
    path = midi(tmp_path / "a.mid", meters, *map(track, voices()))
    assert "3/4, 4/4" in refusal(path)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_other_than_four_voices_are_refused(tmp_path: Path, count: int) -> None:
    parts = voices()[:count]
    message = refusal(midi(tmp_path / "a.mid", *map(track, parts)))
    assert "four are needed" in message
    assert "a model of four voices" in message


@pytest.mark.parametrize(
    ("pitch", "named"), [(LOWEST_PITCH - 1, 35), (HIGHEST_PITCH + 1, 82), (127, 127)]
)
def test_a_note_out_of_range_is_refused(tmp_path: Path, pitch: int, named: int) -> None:
    parts = voices()
    which = 0 if pitch > 60 else 3
    parts[which] = [*parts[which], (3840, 4320, pitch)]
    message = refusal(midi(tmp_path / "a.mid", *map(track, parts)))
    assert f"MIDI note {named} is out of the range" in message
    assert "transpose" in message


def test_an_empty_score_is_refused(tmp_path: Path) -> None:
    assert "no notes" in refusal(midi(tmp_path / "a.mid"))
    assert "no notes" in refusal(midi(tmp_path / "b.mid", track([])))


@pytest.mark.parametrize("name", ["a.mid", "a.midi", "a.musicxml", "a.mxl", "a.xml", "A.MID"])
@pytest.mark.parametrize("content", [b"", b"What is this?", bytes(200), b"MThd", b"<score>"])
def test_a_file_that_is_no_score_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("name", ["a.wav", "a.pdf", "a", ".mid.bak"])
def test_an_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    assert ".mid .midi .musicxml" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mid", "a.musicxml"])
def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    assert "No such file" in refusal(tmp_path / name)
    (tmp_path / name).mkdir()
    assert "not a file" in refusal(tmp_path / name)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(bytes((16 << 20) + 1))
    assert "16 MiB" in refusal(path)


@settings(max_examples=200)
@given(data=st.data())
def test_a_damaged_midi_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = midi(
        tmp_path / "a.mid",
        track(
            voices(1)[0],
            before=[time_signature(4, 4), mido.MetaMessage("key_signature", key="F#m"),
                    mido.MetaMessage("track_name", name="Soprano"),
                    mido.MetaMessage("set_tempo", tempo=500_000),
                    mido.Message("sysex", data=(1, 2, 3))],
        ),
        *map(track, voices(1)[1:]),
    )  # fmt: skip
    content = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] or content)
    try:
        score = four_part_conversion.read(path)
    except UsageError as refused:
        assert str(refused).startswith(str(path))
        assert "\n" not in str(refused)
    else:
        assert 0 < score.steps <= MAX_STEPS


# MusicXML


def engraved(score: Score, signature: str = "4/4", pickup_beats: int = 0) -> stream.Score:
    """A score as a notation program has it, one part per voice."""
    made = stream.Score()
    made.insert(0, metadata.Metadata(title="Engraved"))
    for voice in range(VOICES):
        part = stream.Part()
        part.append(meter.TimeSignature(signature))
        spans: list[list[int]] = []
        for row, struck in zip(score.pitches, score.onsets, strict=True):
            if spans and not struck[voice] and row[voice] == spans[-1][0]:
                spans[-1][1] += 1
            else:
                spans.append([row[voice], 1])
        for pitch, steps in spans:
            made_note = note.Rest() if pitch == SILENT else note.Note(pitch)
            made_note.quarterLength = steps / 4
            part.append(made_note)
        if pickup_beats:
            part.shiftElements(0)
            part.getElementsByClass(meter.TimeSignature).first().offset = 0
        made.insert(0, part)
    return made


def musicxml(path: Path, score: stream.Score) -> Path:
    score.write("musicxml", path)
    return path


def test_a_musicxml_file_is_read_as_it_sounds(tmp_path: Path) -> None:
    score = four_part_conversion.read(musicxml(tmp_path / "a.musicxml", engraved(OPENING)))
    same_music(score, OPENING)
    assert score.key == OPENING.key
    assert (score.form.bar_steps, score.form.pickup_steps) == (16, 0)


def test_meter_fermatas_and_pickup_are_read_from_musicxml(tmp_path: Path) -> None:
    made = stream.Score()
    for pitch in (72, 67, 60, 48):
        part = stream.Part()
        first = stream.Measure(number=0)
        first.append([meter.TimeSignature("3/4"), note.Note(pitch, quarterLength=1)])
        first.paddingLeft = 2
        second = stream.Measure(number=1)
        second.append([note.Note(pitch + 2, quarterLength=1), note.Note(pitch, quarterLength=2)])
        second.notes[1].expressions.append(expressions.Fermata())
        part.append([first, second])
        made.insert(0, part)
    score = four_part_conversion.read(musicxml(tmp_path / "a.musicxml", made))
    assert score.form.bar_steps == 12
    assert score.form.pickup_steps == 4
    assert score.form.fermatas == ((8, 16),)
    assert [row[0] for row in score.pitches] == [72] * 4 + [74] * 4 + [72] * 8


def test_only_the_beginning_of_a_long_musicxml_file_is_taken(tmp_path: Path) -> None:
    long = chords(*[(16, (72 + n % 5, 67, 60, 48)) for n in range(40)])
    score = four_part_conversion.read(musicxml(tmp_path / "a.musicxml", engraved(long)))
    same_music(score, Score("", long.pitches[:512], long.onsets[:512], long.key, long.form))


@pytest.mark.parametrize(
    ("signature", "sentence"), [("6/8", "meter is not 4/4"), ("5/4", "meter is not 4/4")]
)
def test_a_musicxml_file_in_another_meter_is_refused(
    tmp_path: Path, signature: str, sentence: str
) -> None:
    path = musicxml(tmp_path / "a.musicxml", engraved(OPENING, signature))
    assert sentence in refusal(path)


def test_a_musicxml_file_with_three_parts_is_refused_and_drums_are_no_voice(tmp_path: Path) -> None:
    made = engraved(OPENING)
    made.remove(list(made.parts)[3])
    assert "3 parts" in refusal(musicxml(tmp_path / "a.musicxml", made))
    drums = stream.Part([instrument.UnpitchedPercussion()])
    drums.append([note.Unpitched(quarterLength=1) for _ in range(8)])
    made.insert(0, drums)
    path = musicxml(tmp_path / "b.musicxml", made)
    try:  # A drum is no voice; a score that has one for its fourth part has only three.
        read = four_part_conversion.read(path)
    except UsageError as refused:
        assert str(refused).startswith(str(path))
    else:
        assert {row[3] for row in read.pitches} == {SILENT}


@settings(max_examples=15)
@given(data=st.data())
def test_a_damaged_musicxml_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    original = tmp_path / "original.musicxml"
    if not original.exists():
        musicxml(original, engraved(OPENING))
    content = bytearray(original.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[at] = data.draw(st.sampled_from(b'0<>/x-\xff"9'))
    path = tmp_path / "damaged.musicxml"
    path.write_bytes(content)
    try:
        four_part_conversion.read(path)
    except UsageError as refused:
        assert str(refused).startswith(str(path))
        assert "\n" not in str(refused)
