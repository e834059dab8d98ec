"""A user's folder of scores: what is usable is used, and everything else is named with a reason."""

from __future__ import annotations

import os
import random
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
from appliance.training.data import score_folder
from appliance.training.data.score_folder import (
    ABC,
    FREE_RHYTHM,
    NotEnoughMusicError,
    ScoreFolder,
)
from tests.support.scores import folder, midi, tune


def read(path: Path, cache: Path) -> ScoreFolder:
    return score_folder.read_folder(path, cache / "scores.json")


def names(found: ScoreFolder) -> dict[str, list[str]]:
    return {split: [score.name for score in scores] for split, scores in found.corpus.items()}


def test_subfolders_are_read_and_unusable_files_are_named(tmp_path: Path) -> None:
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
    (source / "broken.mid").symlink_to("/nowhere/at/all.mid")
    (source / "elsewhere").symlink_to(source)
    os.mkfifo(source / "pipe.mid")
    found = read(source, tmp_path)
    assert sorted(chain(*names(found).values())) == [
        "again", "piece-0", "piece-1", "piece-2", "piece-3"
    ]  # fmt: skip
    reasons = dict(found.skipped)
    assert set(reasons) == {
        "cut", "empty.mid", "readme.txt", "bad.musicxml", "tune.abc", "short", "other",
        "broken.mid", "elsewhere", "pipe.mid",
    }  # fmt: skip
    assert reasons["broken.mid"] == "a link to a file that is not there"
    assert reasons["elsewhere"] == "a link to a folder, which is not followed"
    assert reasons["pipe.mid"] == "not a file"
    # A track that breaks off is read up to there, which here is too little.
    assert reasons["cut"].startswith("only ")
    assert "not a MIDI file" in reasons["empty.mid"]
    assert "not a MusicXML file" in reasons["bad.musicxml"]
    assert "not a score; the known formats are .abc .kar .mid" in reasons["readme.txt"]
    assert "most files here are .mid" in reasons["tune.abc"]
    assert reasons["short"] == "only 5 notes"
    assert reasons["other"] == "the same music as again"


def test_a_file_that_was_mended_is_read_again(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", 5)
    damaged, whole = source / "damaged.mid", (source / "piece-0.mid").read_bytes()
    damaged.write_bytes(bytes(len(whole)))
    assert "damaged.mid" in dict(read(source, tmp_path).skipped)
    damaged.write_bytes(whole)
    assert ("piece-0", "the same music as damaged") in read(source, tmp_path).skipped


def test_a_folder_that_was_moved_is_read_again(tmp_path: Path) -> None:
    source = folder(tmp_path / "a" / "in", 5)
    (source / "empty.mid").write_bytes(b"")
    first = read(source, tmp_path)
    moved = (tmp_path / "a").rename(tmp_path / "b") / "in"
    assert read(moved, tmp_path).skipped == first.skipped


def test_a_transposed_piece_is_a_duplicate(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", 5)
    file = mido.MidiFile(source / "piece-0.mid")
    for message in file.tracks[0]:
        if message.type in ("note_on", "note_off"):
            message.note += 3
    file.save(source / "zz-transposed.mid")
    assert ("zz-transposed", "the same music as piece-0") in read(source, tmp_path).skipped


def test_the_split_depends_on_the_music_alone(tmp_path: Path) -> None:
    one = read(folder(tmp_path / "one", 12), tmp_path / "a")
    other = tmp_path / "other"
    other.mkdir()
    for seed in range(12):
        shutil.copy(tmp_path / "one" / f"piece-{seed}.mid", other / f"{99 - seed}.mid")
    two = read(other, tmp_path / "b")
    assert {split: len(scores) for split, scores in one.corpus.items()} == {
        "train": 10, "valid": 1, "test": 1
    }  # fmt: skip
    renamed = {f"{99 - seed}": f"piece-{seed}" for seed in range(12)}
    for split, scores in names(two).items():
        assert sorted(renamed[name] for name in scores) == sorted(names(one)[split])
    assert one.fingerprint == two.fingerprint


@given(st.integers(score_folder.MIN_PIECES, 60))
def test_every_split_has_pieces(pieces: int) -> None:
    families = [[n] for n in range(pieces)]
    numbers = replace(FREE_RHYTHM, content=lambda piece: piece)
    splits = score_folder.split(numbers, families)
    assert sorted(chain(*splits.values())) == [*range(pieces)]
    assert splits["valid"]
    assert splits["test"]
    assert len(splits["train"]) >= pieces / 2


@pytest.mark.parametrize("pieces", [1, 3])
def test_too_few_pieces_are_refused_in_one_line(tmp_path: Path, pieces: int) -> None:
    source = folder(tmp_path / "in", pieces)
    (source / "bad.mid").write_bytes(b"nothing")
    with pytest.raises(
        NotEnoughMusicError, match=f"{pieces} different usable pieces with .* at least"
    ):
        read(source, tmp_path)
    with pytest.raises(NotEnoughMusicError) as refused:
        read(source, tmp_path)
    assert [name for name, _ in refused.value.skipped] == ["bad.mid"]
    assert "\n" not in str(refused.value)


def test_a_missing_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
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


def test_what_exceeds_the_limits_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_folder, "MAX_TOTAL_NOTES", 650)
    monkeypatch.setattr(score_folder, "MAX_NOTES_PER_PIECE", 200)
    source = folder(tmp_path / "in", 8)
    midi(source / "long.mid", 20, notes=250)
    found = read(source, tmp_path)
    assert found.note_count == 600
    reasons = dict(found.skipped)
    assert "too long (250 notes" in reasons["long"]
    assert sum("which is the limit" in reason for reason in reasons.values()) == 3


def test_the_codec_encodes_every_piece_also_the_held_out_ones(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "in", 6), tmp_path)
    everything = [*chain(*found.corpus.values())]
    codec = FREE_RHYTHM.make_codec(everything)
    assert len(codec.vocabulary) <= 256
    for score in everything:
        assert all(0 <= token < len(codec.vocabulary) for token in codec.encode(score)[1])


def test_a_file_with_many_tunes_may_have_a_bad_one(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "book.abc").write_text("".join(tune(n) for n in range(8)) + "X:9\nK:C\nCDEF|\n")
    (source / "one.abc").write_text(tune(20))
    (source / "none.abc").write_text("words")
    found = read(source, tmp_path)
    assert found.format is ABC
    assert sum(map(len, found.corpus.values())) == 9
    reasons = dict(found.skipped)
    assert "no tune is in it" in reasons["none.abc"]
    assert set(reasons) == {"none.abc", "book.abc, tune 9"}
    assert (found.tempo_bpm, found.instrument) == (ABC.tempo_bpm, ABC.instrument)


def test_variants_of_a_tune_are_in_one_split(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for n in range(10):
        text = tune(n)
        (source / f"{n}.abc").write_text(text)
        # Another first bar.
        head, _, rest = text.partition("|:")
        (source / f"{n}-variant.abc").write_text(f"{head}|:cBAGFEDC|{rest.partition('|')[2]}")
    found = read(source, tmp_path)
    for scores in found.corpus.values():
        for score in scores:
            assert not any(
                score.name == other.name
                for split in found.corpus.values()
                if split is not scores
                for other in split
            )


@given(st.integers(1, 255), st.sampled_from([2**n for n in range(8)]))
def test_any_time_signature_gives_a_form_that_a_model_file_can_hold(
    numerator: int, denominator: int
) -> None:
    bar, beat = bar_and_beat_steps(numerator, denominator)
    assert 1 <= bar <= 64
    assert 1 <= beat <= 16
    assert bar % beat == 0


def test_each_of_a_thousand_files_is_used_or_named_and_a_run_is_repeatable(tmp_path: Path) -> None:
    source = tmp_path / "in"
    brought = Path(__file__).parents[1] / "data" / "brought"
    rng = random.Random(1)
    for number in range(1000):
        good = midi(source / f"{number // 100}" / f"{number:04}.mid", number, notes=40)
        content = bytearray(good.read_bytes())
        match number % 10:
            case 0:
                good.write_bytes(content[: rng.randrange(len(content))])
            case 1:
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
                good.write_bytes(content)
            case 2:
                good.write_bytes(rng.choice(sorted(brought.glob("*.mid"))).read_bytes())
            case 3:
                good.rename(good.with_suffix(".txt"))
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    first = read(source, tmp_path)
    used = {name for scores in names(first).values() for name in scores}
    named = {Path(name).stem for name, _ in first.skipped}
    assert used | named == {path.stem for path in files}
    assert not used & named
    assert len(used) > 600
    assert all(reason for _, reason in first.skipped)
    part = source / "5"
    runs = []
    for cache in (tmp_path / "a", tmp_path / "b"):
        cache.mkdir()
        found = read(part, cache)
        runs.append((names(found), found.skipped, found.notices, found.fingerprint))
    assert runs[0] == runs[1]
