"""What came before is expected again, for as long as it comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.music.codecs.match_model import MATCH_LENGTHS, MatchModel

symbols = st.lists(st.integers(0, 3), max_size=120)


def heard(said: list[int], shortest: int = 4) -> MatchModel:
    match = MatchModel(shortest)
    for symbol in said:
        match.update(symbol)
    return match


def test_nothing_is_expected_before_anything_has_been_repeated() -> None:
    match = MatchModel(4)
    for symbol in range(50):
        assert match.predicted is None
        assert match.length_bucket == 0
        match.update(symbol)


def test_a_repeated_strain_is_known_to_its_end() -> None:
    strain = list(range(40))
    match = heard([*strain, 99, *strain[:4]])
    for symbol in strain[4:]:
        assert match.predicted == symbol
        match.update(symbol)
    assert match.predicted == 99


def test_the_longer_the_match_the_higher_its_bucket() -> None:
    strain = list(range(200))
    match, buckets = heard([*strain, *strain[:4]]), []
    for symbol in strain[4:]:
        buckets.append(match.length_bucket)
        match.update(symbol)
    assert buckets == sorted(buckets)
    assert {*buckets} == set(range(1, len(MATCH_LENGTHS) + 1))


def test_a_surprise_ends_the_match() -> None:
    strain = list(range(20))
    match = heard([*strain, *strain[:8]])
    assert (match.predicted, match.length_bucket) == (8, 1)
    match.update(77)
    assert (match.predicted, match.length_bucket) == (None, 0)


@given(said=symbols)
def test_what_is_expected_once_followed_what_was_heard_last(said: list[int]) -> None:
    match = heard(said, shortest=3)
    if match.predicted is None:
        assert all(said[at : at + 3] != said[-3:] for at in range(len(said) - 3)) or len(said) < 3
    else:
        followers = [said[at + 3] for at in range(len(said) - 3) if said[at : at + 3] == said[-3:]]
        assert match.predicted in followers


@given(before=symbols, after=symbols)
def test_a_copy_goes_its_own_way(before: list[int], after: list[int]) -> None:
    match = heard(before)
    was, twin = (match.predicted, match.length_bucket), match.copy()
    for symbol in after:
        twin.update(symbol)
    assert (match.predicted, match.length_bucket) == was
    both = heard(before + after)
    assert (twin.predicted, twin.length_bucket) == (both.predicted, both.length_bucket)
