"""A melody that is harmonised is the soprano, note for note, of a piece that ends with it."""

from __future__ import annotations

from itertools import combinations, groupby, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from appliance.composing import harmonise, model_file
from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.errors import UsageError
from appliance.music.codecs.base import Cadence, Opening
from appliance.music.events import TICKS_PER_STEP
from appliance.music.melody import Melody
from appliance.music.score import SILENT, VOICES, Form, Key, PieceFacts
from appliance.music.titles import piece_title
from tests.support.making_music import MODELS, Played, compose_pieces, is_well_formed, rows

TUNE = (66, 66, 67, 69, 69, 67, 66, 64, 62, 62, 64, 66, 64, 62, 62, 62)
"""In D major, in quarters; it closes on its tonic."""


class RandomModel:
    """Any logits at all, which follow from the state."""

    def __init__(self, model: ModelFile) -> None:
        self._classes = len(model.vocabulary)
        self.corrections = model.corrections
        self.state: Any = 0

    def step(self, features: list[int]) -> NDArray[np.float32]:
        rng = np.random.default_rng([self.state, *features])
        self.state = (self.state * 31 + sum(features)) % 2**31
        return rng.normal(0, 4, self._classes).astype(np.float32)


def quarters(pitches: tuple[int, ...]) -> Melody:
    steps = 4 * len(pitches)
    return Melody(
        tuple(pitch for pitch in pitches for _ in range(4)),
        (True, False, False, False) * len(pitches),
        Key(2, minor=False),
        Form(16, 0, steps, ((steps - 4, steps),), facts=PieceFacts(kind="chorale")),
    )


def harmonised(model: ModelFile, melody: Melody, seed: int = 1, **options: Any) -> Opening:
    return harmonise.harmonise(model, melody, seed=seed, temperature=1.0, top_p=0.9, **options)


def soprano_of(model: ModelFile, opening: Opening) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """What the tokens of the soprano say, without the model."""
    context = model.codec.start(opening.form, opening.key)
    events = [event for token in opening.tokens for event in context.accept(token)]
    assert context.done
    pitches, onsets = rows([*events, *context.release_all()], context.tick)
    return tuple(row[0] for row in pitches), tuple(row[0] for row in onsets)


@st.composite
def melodies(draw: st.DrawFn) -> Melody:
    """Any melody in the soprano's range, with rests and notes of any length."""
    moves = draw(
        st.lists(
            st.tuples(st.integers(57, 81), st.integers(1, 4), st.integers(0, 2)),
            min_size=1, max_size=5,
        )
    )  # fmt: skip
    pitches: list[int] = []
    onsets: list[bool] = []
    for pitch, length, rest in moves:
        pitches += [pitch] * length + [SILENT] * rest
        onsets += [True] + [False] * (length - 1 + rest)
    bar = draw(st.sampled_from([12, 16]))
    form = Form(bar, draw(st.integers(0, bar - 1)), len(pitches))
    return Melody(tuple(pitches), tuple(onsets), Key(draw(st.integers(0, 11)), False), form)


@settings(max_examples=20)
@given(melody=melodies(), seed=st.integers(0, 2**63 - 1), drafts=st.integers(1, 3))
def test_the_soprano_is_the_melody_note_for_note_whatever_the_model_says(
    shipped: ModelFile, melody: Melody, seed: int, drafts: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harmonise, "StepModel", RandomModel)
        opening = harmonised(shipped, melody, seed, drafts=drafts)
        again = harmonised(shipped, melody, seed, drafts=drafts)
    assert soprano_of(shipped, opening) == (melody.pitches, melody.onsets)
    assert len(opening.tokens) == VOICES * melody.form.steps
    assert opening == again


class Tune(NamedTuple):
    """The tune, harmonised and composed as a piece."""

    opening: Opening
    piece: Played
    pitches: tuple[tuple[int, ...], ...]
    onsets: tuple[tuple[bool, ...], ...]


@pytest.fixture(scope="module")
def tune(shipped: ModelFile) -> Tune:
    opening = harmonised(shipped, quarters(TUNE), drafts=4)
    piece = compose_pieces(Composer(shipped, seed=5, prime=opening), 1)[0]
    return Tune(opening, piece, *rows(piece.events, piece.end_tick))


def test_the_piece_is_the_melody_over_three_voices_and_ends_with_it(tune: Tune) -> None:
    melody = quarters(TUNE)
    assert is_well_formed(tune.piece.events)
    assert tune.piece.end_tick == 4 * len(TUNE) * TICKS_PER_STEP
    assert tuple(row[0] for row in tune.pitches) == melody.pitches
    assert tuple(row[0] for row in tune.onsets) == melody.onsets
    for voice in (1, 2, 3):
        assert len({row[voice] for row in tune.pitches}) > 1, "it moves"


def test_the_piece_is_announced_as_a_chorale_in_the_key_of_the_melody(tune: Tune) -> None:
    assert piece_title(tune.piece.about) == "Chorale in D major"
    assert tune.piece.about.beats_per_bar == 4


def test_the_likeliest_of_those_that_close_best_is_kept() -> None:
    closings = ((Cadence.OPEN, -1.0), (Cadence.FULL, -9.0), (Cadence.FULL, -8.0))
    drafts: list[Any] = [
        SimpleNamespace(cadence=cadence, log_likelihood=nats) for cadence, nats in closings
    ]
    assert harmonise._best(drafts) is drafts[2]


def test_no_two_voices_move_in_fifths_or_octaves(tune: Tune) -> None:
    chords = [chord for chord, _ in groupby(tune.pitches)]
    for before, after in pairwise(chords):
        for a, b in combinations(range(VOICES), 2):
            moved = (after[a] - before[a]) * (after[b] - before[b]) > 0
            interval = (before[a] - before[b]) % 12
            assert not (moved and interval in (0, 7) and interval == (after[a] - after[b]) % 12)


def test_another_seed_is_another_harmony(shipped: ModelFile) -> None:
    done: list[float] = []
    first, other = (
        harmonised(shipped, quarters(TUNE[:4]), seed, drafts=2, progress=done.append)
        for seed in (1, 2)
    )
    assert first.tokens != other.tokens
    assert done[:16] == done[16:] == sorted(done[:16])
    assert done[-1] == 1


def test_after_the_piece_the_composer_goes_on_with_another(shipped: ModelFile) -> None:
    opening = harmonised(shipped, quarters(TUNE[:2]), drafts=1)
    composer = Composer(shipped, seed=5, prime=opening)
    while composer.piece.number < 2:
        composer.step()
    composer.spare_steps = 0
    composer.step()
    assert composer.tick > composer.piece.start_tick >= 8 * TICKS_PER_STEP


def test_drafts_under_which_the_melody_surprises_are_given_up() -> None:
    class Draft:
        def __init__(self, log_weight: float) -> None:
            self.log_weight = log_weight

        def copy(self) -> Draft:
            return Draft(self.log_weight)

    rng = np.random.default_rng(1)
    alike: list[Any] = [Draft(-1.0), Draft(-1.1)]
    assert harmonise._exchanged(alike, rng) is alike
    one_is_better: list[Any] = [Draft(-1.0), Draft(-20.0), Draft(-30.0)]
    assert [draft.log_weight for draft in harmonise._exchanged(one_is_better, rng)] == [-1.0] * 3


@pytest.mark.parametrize("name", ["folk", "keyboard"])
def test_a_model_without_four_voices_says_so(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} does not write four voices"):
        harmonise.read_melody(model_file.load(MODELS / f"{name}.tflite"), Path("tune.mid"))
