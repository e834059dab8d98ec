"""`make quality`: the best setting, the guarantees, and the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from appliance.composing import model_file
from appliance.music.score import Form, Score
from appliance.training.evaluate import ngram, quality_page, sampling_jobs
from appliance.training.evaluate.defects import DefectCounter, find_defects
from appliance.training.evaluate.finished_pieces import ComposerStep, FinishedPiece
from appliance.training.evaluate.model_quality import (
    ModelQuality,
    check_guarantees,
    measure_quality,
)
from appliance.training.evaluate.sampling_jobs import (
    Amount,
    ComposedMusic,
    ReferenceMusic,
    SamplingSetting,
)
from tests.support.finished_pieces import CODEC, line, piece_from, piece_of
from tests.support.making_music import MODEL, OPENING, chords


def test_an_ngram_composes_in_the_given_form() -> None:
    learned = ngram.ngram_in_c(CODEC, [OPENING], [CODEC.encode(OPENING)[1]], 4)
    tokens = CODEC.encode(OPENING)[1]
    for place in (0, 5, 20):
        probabilities, token = learned.probabilities(tokens, place), tokens[place]
        assert probabilities.sum() == pytest.approx(1)
        assert probabilities[token] == pytest.approx(learned.probability(tokens, place, token))
    form = Form(16, 0, 32, ((28, 32),))
    tokens = ngram.compose(learned, CODEC, form, minor=False, rng=np.random.default_rng(1))
    assert len(tokens) == 4 * 32


def composed_music(setting: SamplingSetting, pieces: list[FinishedPiece]) -> ComposedMusic:
    counter = DefectCounter()
    for piece in pieces:
        counter.add(piece, [ComposerStep(0, [], piece.ticks)])
    return ComposedMusic(setting, pieces, counter.report, {"loop": 1}, [50.0] * 20, 1.0)


SCORES = [
    OPENING,
    chords((8, (72, 67, 64, 48)), (8, (71, 67, 62, 43)), (16, (72, 67, 64, 48))),
    chords(
        (4, (72, 67, 64, 48)), (4, (71, 67, 62, 43)), (8, (72, 69, 65, 41)), (16, (72, 67, 64, 48))
    ),
]
STRANGE = chords(*[(1, (61 + n % 7, 60, 50 + n % 5, 40)) for n in range(32)])


def quality_of(
    near: SamplingSetting, others: list[SamplingSetting], own: SamplingSetting
) -> ModelQuality:
    """At one setting the model composes the held-out pieces, at the others strange ones."""
    bach = [piece_from(score) for score in SCORES]
    strange = [piece_from(STRANGE)] * 3
    runs = [composed_music(near, bach)] + [composed_music(setting, strange) for setting in others]
    reference = ReferenceMusic({"train": bach, "valid": bach, "test": bach[:2]}, strange)
    long_run = composed_music(own, bach if own == near else strange)
    return measure_quality(
        model_file.load(MODEL), own, reference, long_run, runs, [run.setting for run in runs]
    )


def test_the_setting_nearest_to_the_valid_pieces_is_the_best() -> None:
    near, far = SamplingSetting(0.8, 0.9), SamplingSetting(1.2, 1.0)
    quality = quality_of(near, [far], own=far)
    assert quality.distance_by_setting[near] == 0 < quality.distance_by_setting[far]
    assert quality.best_setting == near
    assert "should be 0.8 and 0.9" in quality_page.setting_verdict(quality)
    assert quality_of(near, [far], own=near).best_setting == near


def test_the_recipes_setting_stays_if_it_is_as_good_as_the_nearest() -> None:
    near, own, far = SamplingSetting(0.8, 0.9), SamplingSetting(0.9, 0.9), SamplingSetting(1.2, 1.0)
    quality = quality_of(near, [own, far], own=own)
    quality.distance_by_setting.update({near: 1.0, own: 1.09, far: 1.2})
    assert quality.best_setting == own
    quality.distance_by_setting[own] = 1.11
    assert quality.best_setting == near


def test_a_setting_with_pieces_given_up_is_not_the_best() -> None:
    near, far = SamplingSetting(0.8, 0.9), SamplingSetting(1.2, 1.0)
    quality = quality_of(near, [far], own=far)
    quality.given_up_share[near] = 0.1
    assert quality.best_setting == far


def test_each_guarantee_can_be_broken_alone() -> None:
    good = [piece_from(score) for score in SCORES]
    corpus = [find_defects(piece) for piece in good]
    assert all(check_guarantees(composed_music(SamplingSetting(1, 1), good), corpus).values())
    frozen = piece_from(chords((72, (72, 67, 64, 48)), (4, (71, 67, 62, 43))))
    looping = piece_of(line(*[60, 64, 67, 64] * 12))
    for piece, broken in (
        (frozen, "no chord frozen beyond 4 bars"),
        (looping, "no loop (4 bars)"),
        (good[0], "no two pieces with the same opening"),
    ):
        guarantees = check_guarantees(composed_music(SamplingSetting(1, 1), [*good, piece]), corpus)
        assert [guarantee for guarantee, kept in guarantees.items() if not kept] == [broken]
    growing = composed_music(SamplingSetting(1, 1), good)
    growing.memory_mib[-1] = 60
    assert not check_guarantees(growing, corpus)["memory does not grow"]


def test_the_limit_for_loops_is_the_longest_loop_of_the_corpus() -> None:
    perpetual = piece_of(line(*[60, 64, 67, 64] * 12))
    assert "no loop (11 bars)" in check_guarantees(
        composed_music(SamplingSetting(1, 1), [perpetual]), [find_defects(perpetual)]
    )


def test_the_page_has_all_tables() -> None:
    near, far = SamplingSetting(0.9, 0.95), SamplingSetting(1.2, 0.95)
    quality = quality_of(near, [far], own=near)
    page = quality_page.render_page([quality], quality_page.Conditions(1, 3, 1, 1))
    for text in ("grade", "the model", "an n-gram", "| top-p 0.95 | **0.00**", "are right"):
        assert text in page
    widths = {
        row.count("|") for row in page.partition("## Guarantees")[2].split("\n") if "|" in row
    }
    assert widths == {3}


def test_the_jobs_compose_and_load_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "pieces"
    found = sampling_jobs.compose(MODEL, SamplingSetting(0.9, 0.95), Amount(1), 1, spool)
    (piece,) = sampling_jobs.read_spool(spool)
    assert found.report.notes == len(piece.notes)
    assert len(found.memory_mib) == 20
    scores: dict[str, list[Score]] = {"train": SCORES, "valid": SCORES, "test": SCORES}
    monkeypatch.setattr(sampling_jobs, "load_corpus", lambda *_: scores)
    reference = sampling_jobs.load_reference(MODEL, None, tmp_path, 1, 1)
    assert len(reference.ngram) == 1
    assert [len(some) for some in reference.corpus.values()] == [3, 3, 3]
