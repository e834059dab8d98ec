"""What came before is expected again, for as long as it comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.music.codecs.match_model import MATCH_LENGTHS, MatchModel

symbols = st.lists(st.integers(0, 3), max_size=120)


def heard(said: list[int], shortest: int = 4) -> MatchModel:
    echo = MatchModel(shortest)
    for symbol in said:
        echo.hear(symbol)
    return echo


def test_nothing_is_expected_before_anything_has_been_repeated() -> None:
    echo = MatchModel(4)
    for symbol in range(50):
        assert echo.expected is None
        assert echo.bucket == 0
        echo.hear(symbol)


def test_a_repeated_strain_is_known_to_its_end() -> None:
    strain = list(range(40))
    echo = heard([*strain, 99, *strain[:4]])
    for symbol in strain[4:]:
        assert echo.expected == symbol
        echo.hear(symbol)
    assert echo.expected == 99


def test_the_longer_the_match_the_higher_its_bucket() -> None:
    strain = list(range(200))
    echo, buckets = heard([*strain, *strain[:4]]), []
    for symbol in strain[4:]:
        buckets.append(echo.bucket)
        echo.hear(symbol)
    assert buckets == sorted(buckets)
    assert {*buckets} == set(range(1, len(MATCH_LENGTHS) + 1))


def test_a_surprise_ends_the_match() -> None:
    strain = list(range(20))
    echo = heard([*strain, *strain[:8]])
    assert (echo.expected, echo.bucket) == (8, 1)
    echo.hear(77)
    assert (echo.expected, echo.bucket) == (None, 0)


@given(said=symbols)
def test_what_is_expected_once_followed_what_was_heard_last(said: list[int]) -> None:
    echo = heard(said, shortest=3)
    if echo.expected is None:
        assert all(said[at : at + 3] != said[-3:] for at in range(len(said) - 3)) or len(said) < 3
    else:
        followers = [said[at + 3] for at in range(len(said) - 3) if said[at : at + 3] == said[-3:]]
        assert echo.expected in followers


@given(before=symbols, after=symbols)
def test_a_copy_goes_its_own_way(before: list[int], after: list[int]) -> None:
    echo = heard(before)
    was, twin = (echo.expected, echo.bucket), echo.copy()
    for symbol in after:
        twin.hear(symbol)
    assert (echo.expected, echo.bucket) == was
    both = heard(before + after)
    assert (twin.expected, twin.bucket) == (both.expected, both.bucket)
