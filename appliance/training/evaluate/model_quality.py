"""A model's music compared with held-out pieces and an n-gram's, and checked for its guarantees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.composing.model_file import ModelFile
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.expression import BREATH_TICKS
from appliance.music.notes import Note
from appliance.training.data.corpus import training_scores
from appliance.training.evaluate.defects import BAR_BEATS, Defects, find_defects
from appliance.training.evaluate.finished_pieces import FinishedPiece
from appliance.training.evaluate.likeness import Likeness
from appliance.training.evaluate.originality import SharedRuns
from appliance.training.evaluate.sampling_jobs import (
    ComposedMusic,
    ReferenceMusic,
    SamplingSetting,
)
from appliance.training.evaluate.style_distance import (
    Distances,
    StyleGrader,
    grade,
)
from appliance.training.evaluate.style_features import features_for

MAX_GIVEN_UP_SHARE = 0.05
"""A setting at which the stall detector ends more pieces than this is not chosen."""
TOLERANCE = 0.02
"""Settings whose AUC is at most this above the lowest count as equally good."""
MAX_FROZEN_BEATS = MIN_LOOP_LIMIT_BEATS = 4 * BAR_BEATS
MAX_NOTE_BEATS = 8 * BAR_BEATS
MAX_MEMORY_GROWTH = 1.05


@dataclass
class PieceGroup:
    """Pieces of one origin, and what was measured of each.

    Attributes:
        distances: from the training pieces.
        shared_runs, shared_melodies: the number of notes in the longest run in common with the
            training pieces, in all voices and in the melody alone.
        defects: of each piece.
        minor_share: the share of the pieces that are in minor.
    """

    distances: list[Distances]
    shared_runs: list[int]
    shared_melodies: list[int]
    defects: list[Defects]
    minor_share: float

    @property
    def grades(self) -> list[float]:
        """The grade of each piece."""
        return [grade(distances) for distances in self.distances]


@dataclass
class Choice:
    """How a model's temperature and top-p are chosen.

    Attributes:
        recipe_setting: temperature and top-p in the recipe.
        auc_by_setting: how well 8 bars can be told from the valid pieces, for each setting.
        given_up_share: of the pieces, for each setting.
    """

    recipe_setting: SamplingSetting
    auc_by_setting: dict[SamplingSetting, float]
    given_up_share: dict[SamplingSetting, float]

    @property
    def best_setting(self) -> SamplingSetting:
        """What the recipe should say: its present setting if that is as good as the best one."""
        aucs = self.auc_by_setting
        usable = [
            setting for setting in aucs if self.given_up_share[setting] <= MAX_GIVEN_UP_SHARE
        ] or list(aucs)
        best = min(usable, key=lambda setting: aucs[setting])
        good = [setting for setting in usable if aucs[setting] <= aucs[best] + TOLERANCE]
        return self.recipe_setting if self.recipe_setting in good else best

    @property
    def verdict(self) -> str:
        """Whether the recipe has the best setting."""
        recipe, best = self.recipe_setting, self.best_setting
        text = f"temperature {recipe.temperature:g} and top-p {recipe.top_p:g} "
        if recipe == best:
            return f"{text}are right"
        return f"{text}should be {best.temperature:g} and {best.top_p:g}"


@dataclass
class ModelQuality:
    """Everything that the page says about a model.

    Attributes:
        model: the model file.
        choice: how its temperature and top-p are chosen.
        long_run: music with the defaults of the model file.
        temperature_sweep: music at many temperatures and the model's top-p.
        likeness: how the music of the long run compares with real music.
        composed, held_out, ngram: the music of the long run, the test pieces, and an n-gram's.
        training_defects: of the training pieces.
        guarantees: each with whether it was kept.
    """

    model: ModelFile
    choice: Choice
    long_run: ComposedMusic
    temperature_sweep: list[ComposedMusic]
    likeness: Likeness
    composed: PieceGroup
    held_out: PieceGroup
    ngram: PieceGroup
    training_defects: list[Defects]
    guarantees: dict[str, bool]

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.model.name

    @property
    def model_setting(self) -> SamplingSetting:
        """The defaults in the model file."""
        return self.long_run.setting

    @property
    def broken_guarantees(self) -> list[str]:
        """The guarantees that were not kept."""
        return [guarantee for guarantee, kept in self.guarantees.items() if not kept]

    @property
    def preferred_over_held_out(self) -> float:
        """How often (0 to 1) the model's piece has the better grade of two, one held out."""
        pairs = [(a, b) for a in self.composed.grades for b in self.held_out.grades]
        return sum((a < b) + (a == b) / 2 for a, b in pairs) / len(pairs)


class PieceMeasurer:
    """Measures pieces against the training pieces of a model.

    Args:
        codec_name: decides which features and which melody a piece has.
        corpus: the pieces of the model's corpus, by split.
    """

    def __init__(self, codec_name: str, corpus: dict[str, list[FinishedPiece]]) -> None:
        self._grader = StyleGrader(features_for(codec_name), corpus["train"])
        self._melody = melody_of(codec_name)
        seen = training_scores(corpus)
        self._runs = SharedRuns([piece.notes for piece in seen])
        self._melodies = SharedRuns([self._melody(piece) for piece in seen])

    def distances(self, pieces: Sequence[FinishedPiece]) -> list[Distances]:
        """The distances of each piece from the training pieces."""
        return [self._grader.distances(piece) for piece in pieces]

    def measure(self, pieces: Sequence[FinishedPiece]) -> PieceGroup:
        """Everything in :class:`PieceGroup`, measured on ``pieces``."""
        return PieceGroup(
            distances=self.distances(pieces),
            shared_runs=[self._runs.longest(piece.notes) for piece in pieces],
            shared_melodies=[self._melodies.longest(self._melody(piece)) for piece in pieces],
            defects=[find_defects(piece) for piece in pieces],
            minor_share=sum(piece.key.minor for piece in pieces) / max(1, len(pieces)),
        )


def measure_quality(
    model: ModelFile,
    choice: Choice,
    reference: ReferenceMusic,
    long_run: ComposedMusic,
    sweep: Sequence[ComposedMusic],
    likeness: Likeness,
) -> ModelQuality:
    """Compare the music of a model with everything in ``reference``.

    Args:
        model: the model file.
        choice: how its temperature and top-p are chosen.
        reference: the corpus, and an n-gram's music.
        long_run: music with the defaults of the model file.
        sweep: music at many temperatures.
        likeness: of the music of the long run.
    """
    measurer = PieceMeasurer(model.codec.name, reference.corpus)
    training_defects = [find_defects(piece) for piece in reference.corpus["train"]]
    return ModelQuality(
        model=model,
        choice=choice,
        long_run=long_run,
        temperature_sweep=sorted(sweep, key=lambda run: run.setting),
        likeness=likeness,
        composed=measurer.measure(long_run.pieces),
        held_out=measurer.measure(reference.corpus["test"]),
        ngram=measurer.measure(reference.ngram),
        training_defects=training_defects,
        guarantees=check_guarantees(long_run, training_defects),
    )


def melody_of(codec_name: str) -> Callable[[FinishedPiece], list[Note]]:
    """A function that gives the melody of a piece: the soprano, or the highest notes."""
    if codec_name == FourPartCodec.name:
        return lambda piece: piece.voice(0)
    return FinishedPiece.top_line


def check_guarantees(
    long_run: ComposedMusic, training_defects: Sequence[Defects]
) -> dict[str, bool]:
    """What is guaranteed for the music with the defaults, each with whether it was kept.

    Loops may be as long as the longest in the training pieces: a moto perpetuo is one.
    """
    report = long_run.report
    loop_limit = max(MIN_LOOP_LIMIT_BEATS, *(piece.loop_beats for piece in training_defects))
    no_stuck_note = report.worst("held_beats") <= MAX_NOTE_BEATS and not report.unmatched_events
    memory_mib = long_run.memory_mib
    return {
        "no chord frozen beyond 4 bars": report.worst("frozen_beats") <= MAX_FROZEN_BEATS,
        "no silence within a piece beyond 2 beats": (
            report.worst("silent_beats") * TICKS_PER_BEAT <= BREATH_TICKS
        ),
        "no stuck note (8 bars)": no_stuck_note,
        f"no loop ({loop_limit / BAR_BEATS:g} bars)": report.worst("loop_beats") <= loop_limit,
        "no two pieces with the same opening": not report.repeated_openings,
        "memory does not grow": memory_mib[-1] <= memory_mib[4] * MAX_MEMORY_GROWTH,
    }
