"""`make quality`: the best setting, the guarantees, and the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from appliance.composing import model_file
from appliance.music.score import Form, Score
from appliance.training.evaluate import likeness_page, ngram, quality_page, sampling_jobs
from appliance.training.evaluate.defects import DefectCounter, find_defects
from appliance.training.evaluate.finished_pieces import ComposerStep, FinishedPiece
from appliance.training.evaluate.likeness import Control, Likeness, RealMeasures, summary
from appliance.training.evaluate.model_quality import (
    Choice,
    ModelQuality,
    check_guarantees,
    measure_quality,
)
from appliance.training.evaluate.page_measures import measure_pieces
from appliance.training.evaluate.sampling_jobs import (
    ComposedMusic,
    ReferenceMusic,
    SamplingSetting,
)
from appliance.training.evaluate.two_sample import Auc, Telling, Verdict
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
    return ComposedMusic(
        setting, pieces, counter.report, {"loop": 1}, [50.0] * 20, 1.0, tempos_bpm=[80]
    )


SCORES = [
    OPENING,
    chords((8, (72, 67, 64, 48)), (8, (71, 67, 62, 43)), (16, (72, 67, 64, 48))),
    chords(
        (4, (72, 67, 64, 48)), (4, (71, 67, 62, 43)), (8, (72, 69, 65, 41)), (16, (72, 67, 64, 48))
    ),
]
STRANGE = chords(*[(1, (61 + n % 7, 60, 50 + n % 5, 40)) for n in range(32)])


VERDICT = Verdict(
    Auc(0.81, 0.7, 0.9),
    Auc(0.82, 0.7, 0.9),
    Auc(0.83, 0.7, 0.9),
    [Telling("bass: repeated notes", 0.7, (0, 0, 0.1), (0, 0.1, 0.2))],
    150,
    48,
)


def likeness_of(real: list[FinishedPiece], composed: list[FinishedPiece]) -> Likeness:
    sides = (measure_pieces(some, solo_strings=False) for some in (real, composed))
    found = [summary(side) for side in sides]
    controls = [Control("an n-gram", 12, VERDICT, VERDICT)]
    return Likeness(VERDICT, VERDICT, controls, found[0], found[1], 0.97, 20)


def quality_of(
    aucs: dict[SamplingSetting, float],
    own: SamplingSetting,
    given_up: dict[SamplingSetting, float] | None = None,
) -> ModelQuality:
    """A model that composes strange pieces, and is told with these AUCs."""
    bach = [piece_from(score) for score in SCORES]
    strange = [piece_from(STRANGE)] * 3
    measures = RealMeasures([], [], [], [], [])
    reference = ReferenceMusic({"train": bach, "valid": bach, "test": bach[:2]}, strange, measures)
    return measure_quality(
        model_file.load(MODEL),
        Choice(own, aucs, dict.fromkeys(aucs, 0.0) | (given_up or {})),
        reference,
        composed_music(own, strange),
        [composed_music(setting, strange) for setting in aucs],
        likeness_of(bach, strange),
    )


NEAR, OWN, FAR = SamplingSetting(0.8, 0.9), SamplingSetting(0.9, 0.9), SamplingSetting(1.2, 1.0)


def test_the_setting_that_is_hardest_to_tell_from_the_valid_pieces_is_the_best() -> None:
    quality = quality_of({NEAR: 0.7, FAR: 0.9}, own=FAR)
    assert quality.choice.best_setting == NEAR
    assert "should be 0.8 and 0.9" in likeness_page.setting_verdict(quality)
    assert "are right" in likeness_page.setting_verdict(quality_of({NEAR: 0.7, FAR: 0.9}, own=NEAR))


def test_the_recipes_setting_stays_if_it_is_as_good_as_the_best() -> None:
    assert quality_of({NEAR: 0.70, OWN: 0.715, FAR: 0.9}, own=OWN).choice.best_setting == OWN
    assert quality_of({NEAR: 0.70, OWN: 0.725, FAR: 0.9}, own=OWN).choice.best_setting == NEAR


def test_a_setting_with_pieces_given_up_is_not_the_best() -> None:
    assert (
        quality_of({NEAR: 0.7, FAR: 0.9}, own=FAR, given_up={NEAR: 0.1}).choice.best_setting == FAR
    )


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
    quality = quality_of({NEAR: 0.71, OWN: 0.715, FAR: 0.9}, own=OWN)
    page = quality_page.render_page([quality], quality_page.Conditions(48, 16, 1, 1, 2))
    for text in (
        "**0.81** (0.70 to 0.90)",
        "| an n-gram | 12 | 0.81 (0.82) | 0.81 (0.82) |",
        "bass: repeated notes",
        "| diversity | 0.97 |",
        "grade",
        "| top-p 0.9 | 0.710 | **0.715** |",
        "are right",
    ):
        assert text in page
    assert page.index("Can it be told") < page.index("Originality") < page.index("grade")
    widths = {
        row.count("|") for row in page.partition("## Guarantees")[2].split("\n") if "|" in row[:3]
    }
    assert 3 in widths


def test_the_jobs_compose_and_load_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "pieces"
    found = sampling_jobs.compose(MODEL, SamplingSetting(0.9, 0.95), 1, 1, spool)
    (piece,) = sampling_jobs.read_spool(spool)
    assert found.report.notes == len(piece.notes)
    assert len(found.memory_mib) == 20
    scores: dict[str, list[Score]] = {"train": SCORES, "valid": SCORES, "test": SCORES}
    monkeypatch.setattr(sampling_jobs, "load_corpus", lambda *_: scores)
    monkeypatch.setattr(sampling_jobs, "COMPOSED_PIECES", 1)
    reference = sampling_jobs.load_reference(MODEL, None, tmp_path, 1)
    assert len(reference.ngram) == len(reference.measures.ngram) == 1
    assert [len(some) for some in reference.corpus.values()] == [3, 3, 3]
    assert len(reference.measures.shuffled) == 6
    monkeypatch.setattr(sampling_jobs, "load_corpus", None)
    again = sampling_jobs.load_reference(MODEL, None, tmp_path, 1)
    assert again.measures == reference.measures


def test_composed_music_is_kept_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = SamplingSetting(0.9, 0.95)
    music = sampling_jobs.compose_and_measure(MODEL, setting, 1, 1, tmp_path)
    assert len(music.pieces) == len(music.measures) == len(music.tempos_bpm) == 1
    monkeypatch.setattr(sampling_jobs, "compose", None)
    assert sampling_jobs.compose_and_measure(MODEL, setting, 1, 1, tmp_path) == music
