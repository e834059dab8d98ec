"""What a critic hears of a bar, which candidates make a pair, and which are refused as copies."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.events import TICKS_PER_BEAT
from appliance.training.data.bar_likeness import likeness
from appliance.training.data.batches import EncodedPiece
from appliance.training.preferences.bar_features import bar_features, bars_of
from appliance.training.preferences.candidates import Candidates
from appliance.training.preferences.copies import CopyGuard
from appliance.training.preferences.pairs import PREFIX_STEP, Pair, batches_of, pairs_of
from tests.support.finished_pieces import C_MAJOR, FOUR_BARS, line, piece_of

BAR = 4 * TICKS_PER_BEAT


def encoded(tokens: int) -> EncodedPiece:
    """So many tokens, numbered from 0."""
    numbers = np.arange(tokens, dtype=np.int16)
    return EncodedPiece(numbers[:, None], numbers)


def candidates(scores: list[float], copied: list[bool] | None = None) -> Candidates:
    """Candidates with these scores, each as long as its number and one."""
    drawn = [encoded(n + 1) for n in range(len(scores))]
    return Candidates(encoded(100), drawn, scores, copied or [False] * len(scores))


# Pairs


def test_a_pair_is_the_best_and_the_worst_from_one_prefix() -> None:
    (pair,) = pairs_of([candidates([0.5, 3.0, -2.0, 1.0])], min_advantage=1.0)
    assert (len(pair.chosen.targets), len(pair.rejected.targets)) == (2, 3)
    assert pair.advantage == 5.0


def test_candidates_that_are_about_as_good_make_no_pair() -> None:
    assert not pairs_of([candidates([0.5, 0.9, 0.2])], min_advantage=1.0)


def test_what_is_copied_is_never_the_better_one() -> None:
    (pair,) = pairs_of([candidates([2.0, 9.0, -1.0], [False, True, False])], 1.0)
    assert len(pair.chosen.targets) == 1
    assert not pairs_of([candidates([2.0, 9.0], [True, True])], 1.0)


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(1, 5))
def test_every_pair_is_in_one_batch_and_the_prefixes_of_a_batch_are_equally_long(
    lengths: list[int], size: int
) -> None:
    pairs = [
        Pair(encoded(length), encoded(n + 1), encoded(1), 1.0) for n, length in enumerate(lengths)
    ]
    batches = batches_of(pairs, size, np.random.default_rng(1))
    assert sorted(len(p.chosen.targets) for b in batches for p in b) == [*range(1, len(pairs) + 1)]
    for batch in batches:
        assert 0 < len(batch) <= size
        (length,) = {len(pair.prefix.targets) for pair in batch}
        assert length % PREFIX_STEP == 0
        # The last tokens are kept, those nearest to the candidates.
        for pair in batch:
            assert pair.prefix.targets[-1:].tolist() == (
                [lengths[len(pair.chosen.targets) - 1] - 1] if length else []
            )


# Copies


def test_a_longer_run_than_held_out_pieces_share_with_the_corpus_is_a_copy() -> None:
    rng = np.random.default_rng(1)
    known, other, own = (line(*rng.integers(50, 80, 100).tolist()) for _ in range(3))
    # The held-out piece begins like the corpus.
    held_out = piece_of([*known[:12], *(n._replace(start=n.start) for n in other[12:])])
    guard = CopyGuard([piece_of(known)], [held_out])
    assert guard.limit < 12
    start = 30 * TICKS_PER_BEAT
    assert not guard.is_copied(own, start)
    assert guard.is_copied([*own[:25], *known[25:45]], start)
    # What was copied long before a candidate is not its fault.
    assert not guard.is_copied([*known[:20], *own[20:]], start)


# Bars


def test_the_pickup_is_a_bar_of_its_own_and_a_held_note_sounds_in_the_next() -> None:
    form = FOUR_BARS._replace(pickup_steps=4)
    piece = piece_of(
        [
            *line(60, length=TICKS_PER_BEAT),
            *[n._replace(start=TICKS_PER_BEAT, length=5 * TICKS_PER_BEAT) for n in line(62)],
            *[n._replace(start=6 * TICKS_PER_BEAT) for n in line(64)],
        ],
        form=form,
    )
    pickup, first, second = bars_of(piece)
    assert pickup.by_onset == {3 * TICKS_PER_BEAT: [60]}
    assert first.by_onset == {0: [62]}
    assert second.by_onset == {TICKS_PER_BEAT: [64]}
    assert second.pitches_at(0) == [62]
    assert second.pitches_at(TICKS_PER_BEAT) == [64]


def test_a_bar_returns_in_any_transposition() -> None:
    piece = piece_of(line(60, 64, 67, 72, 65, 69, 72, 77, 50, 64, 67, 72, 60, 59, 58, 57))
    bars = bars_of(piece)
    assert likeness(bars[1].by_onset, bars[0].by_onset) == 1
    assert likeness(bars[2].by_onset, bars[0].by_onset) == 3 / 5
    assert likeness(bars[3].by_onset, bars[0].by_onset) == 1 / 7


@given(
    st.lists(
        st.tuples(st.integers(0, 4 * BAR), st.integers(1, BAR), st.integers(30, 90)), max_size=30
    )
)
def test_every_bar_has_as_many_features_and_all_are_finite(
    notes: list[tuple[int, int, int]],
) -> None:
    played = [line(pitch, length=length)[0]._replace(start=start) for start, length, pitch in notes]
    bars = bars_of(piece_of(played))
    rows = [bar_features(bars, index, C_MAJOR, FOUR_BARS) for index in range(len(bars))]
    assert len({len(row) for row in rows}) <= 1
    assert all(np.isfinite(row).all() for row in rows)
