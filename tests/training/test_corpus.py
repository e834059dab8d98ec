"""Scores are split by piece, turned into batches, and the figures have a baseline."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from music21 import corpus as music21_corpus

from appliance.composing import model_file
from appliance.errors import UsageError
from appliance.music.codecs.four_part import CLASSES, END, FourPartCodec
from appliance.music.codecs.four_part_conversion import to_four_parts
from appliance.music.files.musicxml_reader import from_music21
from appliance.music.score import VOICES, Score
from appliance.training import __main__ as workshop
from appliance.training import recipe
from appliance.training.convert import export_tflite
from appliance.training.data import corpus
from appliance.training.data.batches import IGNORE_INDEX, PieceSampler, chunks, encode, pad
from appliance.training.evaluate.int8_likelihood import nll_per_unit
from appliance.training.evaluate.ngram import NGram, baseline, counted
from appliance.training.networks.transposition import moved
from tests.support.making_music import MODEL, MODELS, OPENING, chords, parts_of
from tests.support.scores import midi

CODEC = FourPartCodec(onsets=True, form=True)
PLAIN = FourPartCodec(onsets=False, form=False)


def named(name: str, score: Score = OPENING) -> Score:
    return Score(name, score.pitches, score.onsets, score.key, score.form)


def cached(folder: Path, *scores: Score) -> Path:
    (folder / "chorales.json").write_text(json.dumps([asdict(score) for score in scores]))
    return folder


# The chorales


def test_pieces_are_held_out_by_name(tmp_path: Path) -> None:
    folder = cached(tmp_path, *map(named, "abcde"))
    found = corpus.chorales(folder, {"valid": ["b"], "test": ["d", "e"]})
    names = {split: [score.name for score in scores] for split, scores in found.items()}
    assert names == {"train": ["a", "c"], "valid": ["b"], "test": ["d", "e"]}
    assert found["train"][0] == named("a")


def test_a_piece_that_is_held_out_and_not_there_is_named(tmp_path: Path) -> None:
    folder = cached(tmp_path, named("a"))
    with pytest.raises(UsageError, match=r"held out for test but not .*\['z'\]"):
        corpus.chorales(folder, {"test": ["a", "z"]})


@pytest.mark.parametrize("content", ["", "[", "[{}]", "[[1]]", '{"a": 1}', "[null]"])
def test_a_damaged_cache_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "chorales.json").write_text(content)
    with pytest.raises(UsageError, match=r"chorales\.json: damaged; delete it"):
        corpus.chorales(tmp_path, {})


def test_a_chorale_comes_with_metre_pickup_fermatas_and_repeated_notes() -> None:
    score = to_four_parts(from_music21(music21_corpus.parse("bach/bwv269"), "bwv269"))
    assert score.form.bar_steps == 12
    assert score.form.pickup_steps == 4
    assert len(score.form.fermatas) >= 4
    assert str(score.key) == "G major"
    struck = sum(sum(row) for row in score.onsets)
    changed = sum(
        a != b for before, after in zip(score.pitches, score.pitches[1:], strict=False)
        for a, b in zip(before, after, strict=True)
    )  # fmt: skip
    assert struck > changed, "repeated notes are lost"


# Free rhythm


def test_what_is_learned_from_beside_the_corpus_is_apart_from_it(tmp_path: Path) -> None:
    for name in ("own/a.mid", "own/b.mid", "own/c.mid", "other/a.mid", "other/d.mid"):
        midi(tmp_path / name, seed=ord(name[-5]))
    part = recipe.CorpusConfig(
        source="lines", folders=["own"], also=["other"], valid=["b"], test=["c"]
    )
    for _ in range(2):  # read, and out of the cache
        found = corpus.lines(tmp_path, part, tmp_path / "cache.json")
        names = {split: [score.name for score in scores] for split, scores in found.items()}
        assert names == {"also": ["a", "d"], "train": ["a"], "valid": ["b"], "test": ["c"]}
        assert [score.name for score in corpus.learned(found)] == ["a", "a", "d"]
    part.also = ["nowhere"]
    with pytest.raises(UsageError, match=r"nowhere: there is no such folder of scores"):
        corpus.lines(tmp_path, part, tmp_path / "cache.json")


# The benchmark


def published(folder: Path, content: object) -> Path:
    path = folder / corpus.BENCHMARK_FILE
    path.parent.mkdir()
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_the_benchmark_is_read_in_its_own_split(tmp_path: Path) -> None:
    piece = [[72, 67, 64, 48], [72, 67, 64, 48], [74, -1, 65, 50]]
    found = corpus.benchmark(published(tmp_path, {"train": [piece], "valid": [], "test": [piece]}))
    assert [len(found[split]) for split in corpus.SPLITS] == [1, 0, 1]
    score = found["train"][0]
    assert score.pitches[2] == (74, -1, 65, 50)
    assert score.onsets == ((True,) * 4, (False,) * 4, (True, False, True, True))


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", {}, {"train": []}, {"train": 3, "valid": [], "test": []},
        {"train": [[[1, 2, 3]]], "valid": [], "test": []},
        {"train": [[[60, 60, 60, 600]]], "valid": [], "test": []},
        {"train": [[["C", "E", "G", "C"]]], "valid": [], "test": []},
        {"train": [[]], "valid": [], "test": []},
        {"train": [[[-1, -1, -1, -1]]], "valid": [], "test": []},
    ],
    ids=repr,
)  # fmt: skip
def test_something_else_than_the_benchmark_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(UsageError, match="not the benchmark"):
        corpus.benchmark(published(tmp_path, content))


def test_a_benchmark_that_is_not_there_says_how_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data FOLDER"):
        corpus.benchmark(tmp_path)


# Batches


def test_a_piece_is_drawn_only_in_keys_that_stay_in_range() -> None:
    high = chords((8, (81, 67, 64, 48)))
    keys = PieceSampler(CODEC, [high])
    rng = np.random.default_rng(1)
    drawn = {tuple(keys.draw(rng).targets[:4]) for _ in range(60)}
    assert len(drawn) == 6, "five semitones down, and none up"
    assert all(0 <= token < CLASSES for tokens in drawn for token in tokens)


def test_pieces_of_another_kind_are_drawn_less_and_less() -> None:
    other = chords((8, (81, 67, 64, 48)))
    keys, rng = PieceSampler(CODEC, [OPENING], [other, other, other]), np.random.default_rng(1)
    length = len(CODEC.encode(other)[1])
    drawn = []
    for share in (1.0, 0.5, 0.0):
        keys.also_share = share
        drawn.append(sum(len(keys.draw(rng).targets) == length for _ in range(400)))
    assert drawn == [pytest.approx(300, abs=40), pytest.approx(150, abs=40), 0]


def test_lanes_play_pieces_to_their_end() -> None:
    keys = PieceSampler(CODEC, [OPENING])
    source = chunks(
        keys, np.random.default_rng(1), lanes=3, tokens=48, crop_probability=0.0, cycle=VOICES
    )
    lanes: list[list[int]] = [[], [], []]
    for number in range(6):
        chunk = next(source)
        assert chunk.features.shape[:2] == chunk.targets.shape == (48, 3)
        assert chunk.fresh.tolist() == [number % 3 == 0] * 3
        for lane in range(3):
            column = chunk.targets[:, lane]
            lanes[lane] += column[column != IGNORE_INDEX].tolist()
    whole = {tuple(CODEC.encode(OPENING.transposed(shift))[1]) for shift in range(-5, 7)}
    length = VOICES * OPENING.steps
    for told in lanes:
        assert tuple(told[:length]) in whole
        assert tuple(told[length : 2 * length]) in whole


def test_a_piece_may_be_entered_in_its_midst_but_at_a_whole_step() -> None:
    keys = PieceSampler(CODEC, [OPENING])
    source = chunks(
        keys, np.random.default_rng(1), lanes=8, tokens=1000, crop_probability=1.0, cycle=VOICES
    )
    lengths = {int((column != IGNORE_INDEX).sum()) for column in next(source).targets.T}
    assert len(lengths) > 3
    assert all(length % VOICES == 0 and length >= 4 * VOICES for length in lengths)


def test_padding_is_ignored() -> None:
    parts = [encode(CODEC, OPENING), encode(CODEC, chords((4, (72, 67, 64, 48))))]
    chunk = pad(parts, VOICES * OPENING.steps, np.ones(2, bool))
    assert (chunk.targets[:, 0] != IGNORE_INDEX).all()
    assert (chunk.targets[:16, 1] != IGNORE_INDEX).all()
    assert (chunk.targets[16:, 1] == IGNORE_INDEX).all()
    assert encode(PLAIN, OPENING).targets[-1] == END


# Figures


def test_the_figure_counts_every_note_of_every_piece() -> None:
    model = model_file.load(MODEL)
    short = chords((16, (72, 67, 64, 48)))
    one, other = nll_per_unit(model, [OPENING]), nll_per_unit(model, [short])
    together = nll_per_unit(model, [OPENING, short])
    steps = OPENING.steps, short.steps
    assert together == pytest.approx((one * steps[0] + other * steps[1]) / sum(steps))
    assert 0 < other < VOICES * math.log(CLASSES)


def test_an_n_gram_learns_and_its_shares_add_up() -> None:
    model, tokens = NGram(CLASSES, VOICES, 4), counted(CODEC, OPENING)
    before = model.nats(tokens)
    assert before == pytest.approx(len(tokens) * math.log(CLASSES))
    model.learn([tokens])
    assert model.nats(tokens) < before / 2
    for at in (0, 7, 40):
        assert sum(model.share(tokens, at, token) for token in range(CLASSES)) == pytest.approx(1)
    n, figure = baseline(CODEC, [OPENING], [OPENING], [OPENING.transposed(2)])
    assert n >= 5
    assert figure < VOICES * math.log(CLASSES) / 2
    stranger = chords((16, (81, 41, 80, 40)))
    alone = baseline(CODEC, [stranger], [OPENING], [OPENING])
    helped = baseline(CODEC, [stranger], [OPENING], [OPENING], [OPENING])
    assert helped[1] < alone[1] / 2
    assert baseline(CODEC, [OPENING], [OPENING], [OPENING], [stranger]) == baseline(
        CODEC, [OPENING], [OPENING], [OPENING]
    )


# The model file


def tiny(monkeypatch: pytest.MonkeyPatch) -> recipe.Recipe:
    """The shipped recipe, and the tensors' names as TensorFlow would have read them."""
    shipped = json.loads(parts_of()[1]["metadata.json"])["tensors"]
    monkeypatch.setattr(export_tflite, "tensors_of", lambda model: shipped)
    return recipe.load(MODELS / "chorales.toml")


def test_what_the_training_writes_the_player_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny(monkeypatch)
    path = tmp_path / "chorales.tflite"
    codec = FourPartCodec(onsets=True, form=True, ranges=corpus.voice_ranges([OPENING]))
    export_tflite.write(made, codec, parts_of()[0], [OPENING], "Well enough.", path)
    model = model_file.load(path)
    assert model.name == made.name
    assert model.tempo_bpm == made.card.tempo_bpm
    assert model.forms == [OPENING.form]
    assert model.codec.options == codec.options
    assert codec.ranges == [(71, 74), (65, 67), (57, 64), (43, 55)]
    assert "Well enough." in model.card
    assert model.model == parts_of()[0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["chorales.tflite"]


def test_the_same_weights_are_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny(monkeypatch)
    paths = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    for path in paths:
        export_tflite.write(made, CODEC, parts_of()[0], [OPENING], "", path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_network_that_hears_another_key_takes_a_piece_for_the_moved_one() -> None:
    rng = np.random.default_rng(1)
    weights: dict[str, Any] = {
        "embed.weight": rng.normal(size=(CODEC.width, 4)),
        "out.weight": rng.normal(size=(CLASSES, 4)),
        "out.bias": rng.normal(size=CLASSES),
    }

    def says(heard: dict[str, Any], ones: list[int]) -> Any:
        return heard["out.weight"] @ heard["embed.weight"][ones].sum(axis=0) + heard["out.bias"]

    in_d = moved(weights, CODEC, 2)
    _, classes = CODEC.transposition_maps(2)
    for ones, moved_ones in zip(
        CODEC.encode(OPENING)[0], CODEC.encode(OPENING.transposed(2))[0], strict=True
    ):
        assert np.allclose(says(in_d, ones), says(weights, moved_ones)[classes])


def test_a_card_is_renewed_and_the_weights_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny(monkeypatch)
    path = tmp_path / MODEL.name
    shutil.copy(MODEL, path)
    made.card.temperature, made.card.top_p = 1.15, 0.97
    workshop.renew_card(made, {"train": [OPENING], "test": [OPENING] * 71}, path)
    before, after = model_file.load(MODEL), model_file.load(path)
    assert (after.temperature, after.top_p) == (1.15, 0.97)
    assert after.model == before.model
    measured = before.card.partition("## Measured")[2]
    assert after.card.partition("## Measured")[2] == measured
    assert measured.count("\n- ") == 4
    assert path.with_suffix(".md").read_text() == after.card
