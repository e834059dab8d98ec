"""MusicXML through music21: what does not sound is left out with a notice, and ties are joined."""

from __future__ import annotations

from pathlib import Path

from music21 import meter, note, percussion, stream, tie

from appliance.music.files import musicxml_reader
from appliance.music.files.score_file import ScoreFile


def melody(*pitches: str) -> stream.Part:
    part = stream.Part()
    part.append([meter.TimeSignature("4/4"), *(note.Note(pitch) for pitch in pitches)])
    return part


def read(path: Path, *parts: stream.Part) -> ScoreFile:
    score = stream.Score()
    for part in parts:
        score.insert(0, part)
    score.write("musicxml", path / "a.musicxml")
    return musicxml_reader.read(path / "a.musicxml")


def test_percussion_is_left_out_with_a_notice(tmp_path: Path) -> None:
    drums = stream.Part()
    drums.append([meter.TimeSignature("4/4"), note.Unpitched(), note.Unpitched()])
    drums.append(percussion.PercussionChord([note.Unpitched("D4"), note.Unpitched("E4")]))
    file = read(tmp_path, melody("C4", "D4", "E4", "F4"), drums)
    assert [len(part) for part in file.parts] == [4]
    assert file.notices == ("read 1 of 2 parts (percussion left out)",)


def test_grace_notes_are_left_out_with_a_notice(tmp_path: Path) -> None:
    part = melody("C4", "D4")
    part.append([note.Note("E4").getGrace(), note.Note("F4", quarterLength=2)])
    file = read(tmp_path, part)
    assert [n.pitch for n in file.parts[0]] == [60, 62, 65]
    assert file.notices == ("grace notes were left out (1)",)


def test_ties_of_voices_that_overlap_are_joined(tmp_path: Path) -> None:
    """Both voices are tied over a bar line; music21 loses one of the ties when it joins them."""
    part = stream.Part()
    for number in (1, 2):
        bar = stream.Measure(number=number)
        if number == 1:
            bar.insert(0, meter.TimeSignature("4/4"))
        kind = "start" if number == 1 else "stop"
        for place, (pitch, first) in enumerate((("B4", 1.0), ("G4", 2.0)), start=1):
            voice = stream.Voice(id=str(place))
            lengths = (4 - first, first) if number == 1 else (first, 4 - first)
            pitches = ("A4", pitch) if number == 1 else (pitch, "A4")
            for name, length in zip(pitches, lengths, strict=True):
                added = note.Note(name, quarterLength=length)
                if name == pitch:
                    added.tie = tie.Tie(kind)
                voice.append(added)
            bar.insert(0, voice)
        part.append(bar)
    (notes,) = read(tmp_path, part).parts
    assert {(n.start, n.end) for n in notes if n.pitch == 71} == {(1440, 2400)}
    assert {(n.start, n.end) for n in notes if n.pitch == 67} == {(960, 2880)}
