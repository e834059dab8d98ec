"""The match model predicts what followed the same symbols before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.music.codecs.match_model import MATCH_LENGTHS, MatchModel

symbols = st.lists(st.integers(0, 3), max_size=120)


def matched(symbols_seen: list[int], shortest: int = 4) -> MatchModel:
    match = MatchModel(shortest)
    for symbol in symbols_seen:
        match.update(symbol)
    return match


def test_nothing_is_predicted_before_a_repetition() -> None:
    match = MatchModel(4)
    for symbol in range(50):
        assert match.predicted is None
        assert match.length_bucket == 0
        match.update(symbol)


def test_a_repeated_passage_is_predicted_to_its_end() -> None:
    passage = list(range(40))
    match = matched([*passage, 99, *passage[:4]])
    for symbol in passage[4:]:
        assert match.predicted == symbol
        match.update(symbol)
    assert match.predicted == 99


def test_the_length_bucket_grows_with_the_match() -> None:
    passage = list(range(200))
    match, buckets = matched([*passage, *passage[:4]]), []
    for symbol in passage[4:]:
        buckets.append(match.length_bucket)
        match.update(symbol)
    assert buckets == sorted(buckets)
    assert {*buckets} == set(range(1, len(MATCH_LENGTHS) + 1))


def test_another_symbol_ends_the_match() -> None:
    passage = list(range(20))
    match = matched([*passage, *passage[:8]])
    assert (match.predicted, match.length_bucket) == (8, 1)
    match.update(77)
    assert (match.predicted, match.length_bucket) == (None, 0)


@given(symbols_seen=symbols)
def test_the_predicted_symbol_once_followed_the_last_symbols(symbols_seen: list[int]) -> None:
    match = matched(symbols_seen, shortest=3)
    if match.predicted is None:
        assert (
            all(
                symbols_seen[at : at + 3] != symbols_seen[-3:]
                for at in range(len(symbols_seen) - 3)
            )
            or len(symbols_seen) < 3
        )
    else:
        followers = [
            symbols_seen[at + 3]
            for at in range(len(symbols_seen) - 3)
            if symbols_seen[at : at + 3] == symbols_seen[-3:]
        ]
        assert match.predicted in followers


@given(before=symbols, after=symbols)
def test_a_copy_changes_independently(before: list[int], after: list[int]) -> None:
    match = matched(before)
    was, twin = (match.predicted, match.length_bucket), match.copy()
    for symbol in after:
        twin.update(symbol)
    assert (match.predicted, match.length_bucket) == was
    both = matched(before + after)
    assert (twin.predicted, twin.length_bucket) == (both.predicted, both.length_bucket)
