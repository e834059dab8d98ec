"""Any folder of scores: what can be used is, the rest is named with the reason."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import chain
from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.music.codecs.free_rhythm_conversion import bar_and_beat_steps
from appliance.training.data import score_folder as folders
from appliance.training.data.score_folder import LINES, TUNES, Folder
from tests.support.scores import folder, midi, tune


def read(path: Path, cache: Path) -> Folder:
    return folders.read(path, cache / "scores.json")


def names(found: Folder) -> dict[str, list[str]]:
    return {side: [score.name for score in scores] for side, scores in found.scores.items()}


def test_folders_within_folders_are_read_and_bad_files_are_named(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", 4)
    good = midi(source / "deep" / "deeper" / "other.MID", 9)
    (source / "cut.mid").write_bytes(good.read_bytes()[:60])
    (source / "empty.mid").write_bytes(b"")
    (source / "readme.txt").write_text("hello")
    (source / "bad.musicxml").write_text("<xml/>")
    (source / "tune.abc").write_text(tune(1))
    (source / ".hidden").write_text("not even looked at")
    midi(source / "short.mid", 1, notes=5)
    shutil.copy(good, source / "again.mid")
    found = read(source, tmp_path)
    assert sorted(chain(*names(found).values())) == [
        "again", "piece-0", "piece-1", "piece-2", "piece-3"
    ]  # fmt: skip
    why = dict(found.left_out)
    assert set(why) == {
        "cut.mid", "empty.mid", "readme.txt", "bad.musicxml", "tune.abc", "short", "other"
    }  # fmt: skip
    assert "not a MIDI file" in why["cut.mid"]
    assert "not a MusicXML file" in why["bad.musicxml"]
    assert "no score; known are .abc .mid" in why["readme.txt"]
    assert "most files here are .mid" in why["tune.abc"]
    assert why["short"] == "only 5 notes"
    assert why["other"] == "the same music as again"


def test_the_same_music_in_another_key_is_the_same_music(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", 5)
    file = mido.MidiFile(source / "piece-0.mid")
    for message in file.tracks[0]:
        if message.type in ("note_on", "note_off"):
            message.note += 3
    file.save(source / "zz-transposed.mid")
    assert ("zz-transposed", "the same music as piece-0") in read(source, tmp_path).left_out


def test_the_split_depends_on_the_music_alone(tmp_path: Path) -> None:
    one = read(folder(tmp_path / "one", 12), tmp_path / "a")
    other = tmp_path / "other"
    other.mkdir()
    for seed in range(12):
        shutil.copy(tmp_path / "one" / f"piece-{seed}.mid", other / f"{99 - seed}.mid")
    two = read(other, tmp_path / "b")
    assert {side: len(scores) for side, scores in one.scores.items()} == {
        "train": 10, "valid": 1, "test": 1
    }  # fmt: skip
    renamed = {f"{99 - seed}": f"piece-{seed}" for seed in range(12)}
    for side, scores in names(two).items():
        assert sorted(renamed[name] for name in scores) == sorted(names(one)[side])
    assert one.fingerprint == two.fingerprint


@given(st.integers(folders.MIN_PIECES, 60))
def test_every_split_has_all_three_sides(pieces: int) -> None:
    families = [[n] for n in range(pieces)]
    kind = replace(LINES, told=lambda piece: piece)
    sides = folders.split(kind, families)
    assert sorted(chain(*sides.values())) == [*range(pieces)]
    assert sides["valid"]
    assert sides["test"]
    assert len(sides["train"]) >= pieces / 2


@pytest.mark.parametrize("pieces", [1, 3])
def test_too_few_pieces_are_one_sentence(tmp_path: Path, pieces: int) -> None:
    source = folder(tmp_path / "in", pieces)
    (source / "bad.mid").write_bytes(b"nothing")
    with pytest.raises(
        folders.NotEnoughMusicError, match=f"{pieces} different pieces with .* at least"
    ):
        read(source, tmp_path)
    with pytest.raises(folders.NotEnoughMusicError) as refused:
        read(source, tmp_path)
    assert [what for what, _ in refused.value.left_out] == ["bad.mid"]
    assert "\n" not in str(refused.value)


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        read(tmp_path / "none", tmp_path)
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageError, match="no file in it"):
        read(tmp_path / "in", tmp_path)


def test_tempo_and_instrument_are_those_of_most_files(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", 4)
    midi(source / "x.mid", 7, tempo_bpm=300, program=3)
    found = read(source, tmp_path)
    assert (found.tempo_bpm, found.instrument) == (72, 40)


def test_what_would_take_too_long_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MAX_NOTES", 650)
    monkeypatch.setattr(folders, "MAX_NOTES_A_PIECE", 200)
    source = folder(tmp_path / "in", 8)
    midi(source / "long.mid", 20, notes=250)
    found = read(source, tmp_path)
    assert found.notes == 600
    why = dict(found.left_out)
    assert "too long (250 notes" in why["long"]
    assert sum("no more are used" in reason for reason in why.values()) == 3


def test_the_codec_tells_every_piece_also_those_held_out(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "in", 6), tmp_path)
    everything = [*chain(*found.scores.values())]
    codec = LINES.codec(everything)
    assert len(codec.vocabulary) <= 256
    for score in everything:
        assert all(0 <= token < len(codec.vocabulary) for token in codec.encode(score)[1])


def test_many_tunes_in_a_file_and_one_of_them_bad(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "book.abc").write_text("".join(tune(n) for n in range(8)) + "X:9\nK:C\nCDEF|\n")
    (source / "one.abc").write_text(tune(20))
    (source / "none.abc").write_text("words")
    found = read(source, tmp_path)
    assert found.kind is TUNES
    assert sum(map(len, found.scores.values())) == 9
    why = dict(found.left_out)
    assert "no tune is in it" in why["none.abc"]
    assert set(why) == {"none.abc", "book.abc, tune 9"}
    assert (found.tempo_bpm, found.instrument) == (TUNES.tempo_bpm, TUNES.instrument)


def test_variants_of_a_tune_are_on_one_side(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for n in range(10):
        text = tune(n)
        (source / f"{n}.abc").write_text(text)
        # Another first bar.
        head, _, rest = text.partition("|:")
        (source / f"{n}-variant.abc").write_text(f"{head}|:cBAGFEDC|{rest.partition('|')[2]}")
    found = read(source, tmp_path)
    for scores in found.scores.values():
        for score in scores:
            assert not any(
                score.name == other.name
                for side in found.scores.values()
                if side is not scores
                for other in side
            )


@given(st.integers(1, 255), st.sampled_from([2**n for n in range(8)]))
def test_any_time_signature_gives_a_form_that_a_model_file_can_bring(
    numerator: int, denominator: int
) -> None:
    bar, beat = bar_and_beat_steps(numerator, denominator)
    assert 1 <= bar <= 64
    assert 1 <= beat <= 16
    assert bar % beat == 0
