"""From scores to a model file: splits, batches, figures and their baseline, the file itself."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from music21 import corpus as music21_corpus

from appliance.composing import model_file
from appliance.errors import UsageError
from appliance.music.codecs import free_rhythm_conversion
from appliance.music.codecs.four_part import CLASSES, END, FourPartCodec
from appliance.music.codecs.four_part_conversion import to_four_parts
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.files import musicxml_reader
from appliance.music.notes import Note
from appliance.music.score import VOICES, FreeRhythmScore, Key, Score
from appliance.training import pipeline, recipe
from appliance.training.convert import export_tflite
from appliance.training.convert.model_card import figures_in_card
from appliance.training.convert.write_model_file import write_model_file
from appliance.training.data import corpus
from appliance.training.data.batches import (
    HIDDEN_SHARE,
    IGNORE_INDEX,
    PieceSampler,
    chunks,
    encode,
    pad,
)
from appliance.training.evaluate.int8_likelihood import nll_per_unit
from appliance.training.evaluate.ngram import NGram, evaluate_ngram, scored_tokens
from appliance.training.networks.transposition import transpose_weights
from tests.support.making_music import MODEL, MODELS, OPENING, chords, parts_of
from tests.support.scores import midi

CODEC = FourPartCodec(onsets=True, form=True)
PLAIN = FourPartCodec(onsets=False, form=False)


def named(name: str, score: Score = OPENING) -> Score:
    return Score(name, score.pitches, score.onsets, score.key, score.form)


def made_notes(*pitches: int) -> FreeRhythmScore:
    notes = [Note(480 * n, 480, pitch) for n, pitch in enumerate(pitches)]
    return free_rhythm_conversion.score_from_notes("made", notes, (16, 4), 0, Key(0, False))


def cached(folder: Path, *scores: Score) -> Path:
    (folder / "chorales.json").write_text(json.dumps([asdict(score) for score in scores]))
    return folder


# The chorales


def test_pieces_are_held_out_by_name(tmp_path: Path) -> None:
    folder = cached(tmp_path, *map(named, "abcde"))
    found = corpus.load_chorales(folder, {"valid": ["b"], "test": ["d", "e"]})
    names = {split: [score.name for score in scores] for split, scores in found.items()}
    assert names == {"train": ["a", "c"], "valid": ["b"], "test": ["d", "e"]}
    assert found["train"][0] == named("a")


def test_a_missing_held_out_piece_is_named(tmp_path: Path) -> None:
    folder = cached(tmp_path, named("a"))
    with pytest.raises(UsageError, match=r"held out for test but not .*\['z'\]"):
        corpus.load_chorales(folder, {"test": ["a", "z"]})


@pytest.mark.parametrize("content", ["", "[", "[{}]", "[[1]]", '{"a": 1}', "[null]"])
def test_a_damaged_cache_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "chorales.json").write_text(content)
    with pytest.raises(UsageError, match=r"chorales\.json: damaged; delete it"):
        corpus.load_chorales(tmp_path, {})


def test_a_chorale_comes_with_metre_pickup_fermatas_and_repeated_notes() -> None:
    score = to_four_parts(musicxml_reader.read(Path(music21_corpus.getWork("bach/bwv269"))))
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


def test_pretraining_pieces_are_apart_from_the_splits(tmp_path: Path) -> None:
    for name in ("own/a.mid", "own/b.mid", "own/c.mid", "other/a.mid", "other/d.mid"):
        midi(tmp_path / name, seed=ord(name[-5]))
    config = recipe.CorpusConfig(
        source="score-folders", folders=["own"], pretrain_folders=["other"], valid=["b"], test=["c"]
    )
    for _ in range(2):  # read, and out of the cache
        found = corpus.load_score_folders(tmp_path, config, tmp_path / "cache.json")
        names = {split: [score.name for score in scores] for split, scores in found.items()}
        assert names == {"pretrain": ["a", "d"], "train": ["a"], "valid": ["b"], "test": ["c"]}
        assert [score.name for score in corpus.training_scores(found)] == ["a", "a", "d"]
        assert all(score.form.facts.traits for score in corpus.training_scores(found))
    config.excluded = ["d"]
    found = corpus.load_score_folders(tmp_path, config, tmp_path / "cache.json")
    assert [score.name for score in found["pretrain"]] == ["a"]
    config.pretrain_folders = ["nowhere"]
    with pytest.raises(UsageError, match=r"nowhere: there is no such folder of scores"):
        corpus.load_score_folders(tmp_path, config, tmp_path / "cache.json")


# The benchmark


def published(folder: Path, content: object) -> Path:
    path = folder / corpus.BENCHMARK_FILE
    path.parent.mkdir()
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_the_benchmark_is_read_in_its_own_split(tmp_path: Path) -> None:
    piece = [[72, 67, 64, 48], [72, 67, 64, 48], [74, -1, 65, 50]]
    found = corpus.load_benchmark(
        published(tmp_path, {"train": [piece], "valid": [], "test": [piece]})
    )
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
def test_another_file_in_place_of_the_benchmark_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(UsageError, match="not the benchmark"):
        corpus.load_benchmark(published(tmp_path, content))


def test_a_missing_benchmark_is_refused_with_the_option_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data FOLDER"):
        corpus.load_benchmark(tmp_path)


# Batches


def test_pieces_are_sampled_only_in_transpositions_within_the_range() -> None:
    high = chords((8, (81, 67, 64, 48)))
    sampler = PieceSampler(CODEC, [high])
    rng = np.random.default_rng(1)
    sampled = {tuple(sampler.sample(rng).targets[:4]) for _ in range(60)}
    assert len(sampled) == 6, "five semitones down, and none up"
    assert all(0 <= token < CLASSES for tokens in sampled for token in tokens)


def test_pretraining_pieces_are_sampled_less_and_less() -> None:
    other = chords((8, (81, 67, 64, 48)))
    sampler, rng = PieceSampler(CODEC, [OPENING], [other, other, other]), np.random.default_rng(1)
    length = len(CODEC.encode(other)[1])
    sampled = []
    for share in (1.0, 0.5, 0.0):
        sampler.pretrain_share = share
        sampled.append(sum(len(sampler.sample(rng).targets) == length for _ in range(400)))
    assert sampled == [pytest.approx(300, abs=40), pytest.approx(150, abs=40), 0]


def test_optional_inputs_are_hidden_in_some_pieces_and_no_other_input_ever() -> None:
    codec = FreeRhythmCodec(lowest=40, highest=80, lengths=[120, 480], conditioning=True)
    score = made_notes(60, 62, 64, 60, 62, 64)
    sampler, rng = PieceSampler(codec, [score]), np.random.default_rng(1)
    seen = np.zeros(codec.width, int)
    for _ in range(400):
        features = sampler.sample(rng).features
        seen[np.unique(features[features >= 0])] += 1
    start = codec.inputs.indices("from_start").start
    assert seen[start] == pytest.approx(400 * (1 - HIDDEN_SHARE), abs=25)
    assert seen[codec.inputs.indices("place")].tolist() == [400, 400, 400]


def test_pieces_that_fit_the_range_in_no_key_are_never_drawn() -> None:
    codec = FreeRhythmCodec(lowest=60, highest=70, lengths=[120, 480])
    wide, narrow = made_notes(60, 75), made_notes(58, 62, 65)
    sampler, rng = PieceSampler(codec, [wide, narrow], [wide]), np.random.default_rng(1)
    assert {len(sampler.sample(rng).targets) for _ in range(20)} == {3 * 3 + 1}


def test_a_training_that_starts_from_a_model_keeps_the_range_and_durations_of_that_model() -> None:
    made = recipe.load(MODELS / "benchmarks/keyboard-conditioned.toml")
    start = model_file.load(MODELS / "keyboard.tflite").codec
    pieces = {"train": [made_notes(60, 62)]}
    codec = corpus.codec_for(made, pieces)
    assert codec.options == start.options | {"conditioning": True}
    made.training.warm_start = "models/folk.tflite"
    with pytest.raises(UsageError, match="composes 'abc', not 'lines'"):
        corpus.codec_for(made, pieces)
    made.training.warm_start = ""
    alone = corpus.codec_for(made, pieces)
    assert isinstance(alone, FreeRhythmCodec)
    assert (alone.lowest, alone.highest, alone.conditioning) == (60, 62, True)


def test_rows_of_a_batch_run_through_pieces_to_their_end() -> None:
    sampler = PieceSampler(CODEC, [OPENING])
    source = chunks(
        sampler,
        np.random.default_rng(1),
        batch_size=3,
        tokens=48,
        crop_probability=0.0,
        cycle=VOICES,
    )
    rows: list[list[int]] = [[], [], []]
    for number in range(6):
        chunk = next(source)
        assert chunk.features.shape[:2] == chunk.targets.shape == (48, 3)
        assert chunk.starts.tolist() == [number % 3 == 0] * 3
        for number_in_batch in range(3):
            column = chunk.targets[:, number_in_batch]
            rows[number_in_batch] += column[column != IGNORE_INDEX].tolist()
    whole = {tuple(CODEC.encode(OPENING.transposed(shift))[1]) for shift in range(-5, 7)}
    length = VOICES * OPENING.steps
    for tokens in rows:
        assert tuple(tokens[:length]) in whole
        assert tuple(tokens[length : 2 * length]) in whole


def test_a_cropped_piece_starts_at_a_whole_step() -> None:
    sampler = PieceSampler(CODEC, [OPENING])
    source = chunks(
        sampler,
        np.random.default_rng(1),
        batch_size=8,
        tokens=1000,
        crop_probability=1.0,
        cycle=VOICES,
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


def test_the_nll_counts_every_note_of_every_piece() -> None:
    model = model_file.load(MODEL)
    short = chords((16, (72, 67, 64, 48)))
    one, other = nll_per_unit(model, [OPENING]), nll_per_unit(model, [short])
    together = nll_per_unit(model, [OPENING, short])
    steps = OPENING.steps, short.steps
    assert together == pytest.approx((one * steps[0] + other * steps[1]) / sum(steps))
    assert 0 < other < VOICES * math.log(CLASSES)


def test_an_ngram_learns_and_its_probabilities_add_up() -> None:
    model, tokens = NGram(CLASSES, VOICES, 4), scored_tokens(CODEC, OPENING)
    before = model.nll(tokens)
    assert before == pytest.approx(len(tokens) * math.log(CLASSES))
    model.learn([tokens])
    assert model.nll(tokens) < before / 2
    for at in (0, 7, 40):
        assert sum(
            model.probability(tokens, at, token) for token in range(CLASSES)
        ) == pytest.approx(1)
    n, figure = evaluate_ngram(CODEC, [OPENING], [OPENING], [OPENING.transposed(2)])
    assert n >= 5
    assert figure < VOICES * math.log(CLASSES) / 2
    stranger = chords((16, (81, 41, 80, 40)))
    alone = evaluate_ngram(CODEC, [stranger], [OPENING], [OPENING])
    helped = evaluate_ngram(CODEC, [stranger], [OPENING], [OPENING], [OPENING])
    assert helped[1] < alone[1] / 2
    assert evaluate_ngram(CODEC, [OPENING], [OPENING], [OPENING], [stranger]) == evaluate_ngram(
        CODEC, [OPENING], [OPENING], [OPENING]
    )


# The model file


def shipped_recipe(monkeypatch: pytest.MonkeyPatch) -> recipe.Recipe:
    """The recipe of chorales; the tensors are not read with TensorFlow."""
    shipped = json.loads(parts_of()[1]["metadata.json"])["tensors"]
    monkeypatch.setattr(export_tflite, "tensor_indices", lambda flatbuffer: shipped)
    return recipe.load(MODELS / "chorales.toml")


def test_a_written_model_file_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shipped_recipe(monkeypatch)
    path = tmp_path / "chorales.tflite"
    codec = FourPartCodec(onsets=True, form=True, ranges=corpus.voice_ranges([OPENING]))
    write_model_file(made, codec, parts_of()[0], [OPENING], "Well enough.", path)
    model = model_file.load(path)
    assert model.name == made.name
    assert model.tempo_bpm == made.card.tempo_bpm
    assert model.forms == [OPENING.form]
    assert model.codec.options == codec.options
    assert codec.ranges == [(71, 74), (65, 67), (57, 64), (43, 55)]
    assert "Well enough." in model.card
    assert model.flatbuffer == parts_of()[0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["chorales.tflite"]


def test_the_same_weights_give_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shipped_recipe(monkeypatch)
    paths = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    for path in paths:
        write_model_file(made, CODEC, parts_of()[0], [OPENING], "", path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_network_in_another_key_predicts_as_for_the_transposed_piece() -> None:
    rng = np.random.default_rng(1)
    weights: dict[str, Any] = {
        "embed.weight": rng.normal(size=(CODEC.width, 4)),
        "out.weight": rng.normal(size=(CLASSES, 4)),
        "out.bias": rng.normal(size=CLASSES),
    }

    def logits(transposed: dict[str, Any], active: list[int]) -> Any:
        summed = transposed["embed.weight"][active].sum(axis=0)
        return transposed["out.weight"] @ summed + transposed["out.bias"]

    in_d = transpose_weights(weights, CODEC, 2)
    _, classes = CODEC.transposition_maps(2)
    for active, active_in_d in zip(
        CODEC.encode(OPENING)[0], CODEC.encode(OPENING.transposed(2))[0], strict=True
    ):
        assert np.allclose(logits(in_d, active), logits(weights, active_in_d)[classes])


def test_a_card_is_updated_and_the_weights_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shipped_recipe(monkeypatch)
    path = tmp_path / MODEL.name
    shutil.copy(MODEL, path)
    made.card.temperature, made.card.top_p = 1.15, 0.97
    pipeline.update_card(made, {"train": [OPENING], "test": [OPENING] * 71}, path)
    before, after = model_file.load(MODEL), model_file.load(path)
    assert (after.temperature, after.top_p) == (1.15, 0.97)
    assert after.flatbuffer == before.flatbuffer
    figures = figures_in_card(before.card)
    assert figures_in_card(after.card) == figures
    # A calibrated model's card: the network as trained, the model file, and the baseline.
    expected = (
        r"\d\.\d{4} nats per 16th step, float, not calibrated",
        r"\d\.\d{4} nats per 16th step, int8 on \w+",
        r"\d\.\d{4} nats per 16th step, \d+-gram with back-off",
    )
    assert len(figures) == len(expected)
    assert all(map(re.fullmatch, expected, figures))
    assert path.with_suffix(".md").read_text() == after.card
