"""Broken chords: from the bass upwards, quickly, and the quicker the less time there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.arpeggio import (
    BOWED_MS,
    MAX_SHARE,
    MAX_SPREAD_MS,
    PLUCKED_MS,
    Manner,
    delays_ticks,
    manner_of,
)

TICKS_PER_MS = 0.64
"""At 80 quarter notes a minute."""


def broken(
    chord: list[int],
    manner: Manner = Manner.PLUCKED,
    expression: float = 100.0,
    room_ticks: int = 480,
) -> list[float]:
    """The delays of the notes in milliseconds, from the lowest note up."""
    delays = delays_ticks(
        chord,
        manner,
        expression=expression,
        ticks_per_ms=TICKS_PER_MS,
        room_ticks=room_ticks,
    )
    assert set(delays) == set(chord)
    return [delays[pitch] / TICKS_PER_MS for pitch in sorted(delays)]


@pytest.mark.parametrize(
    ("program", "is_one_part", "manner"),
    [
        (6, False, Manner.PLUCKED),  # harpsichord
        (7, False, Manner.PLUCKED),  # clavinet
        (24, True, Manner.PLUCKED),  # nylon guitar
        (46, False, Manner.PLUCKED),  # harp
        (107, True, Manner.PLUCKED),  # koto
        (40, True, Manner.BOWED),  # violin
        (42, True, Manner.BOWED),  # cello
        (40, False, None),  # a violin for each voice
        (0, False, None),  # piano
        (19, False, None),  # organ
        (48, True, None),  # many strings
        (52, False, None),  # choir
    ],
)
def test_who_breaks_chords(program: int, is_one_part: bool, manner: Manner | None) -> None:
    assert manner_of(program, is_one_part=is_one_part) is manner


def test_a_plucked_chord_rises_note_by_note() -> None:
    for delay_ms, step in zip(broken([67, 48, 60, 64]), range(4), strict=True):
        assert delay_ms == pytest.approx(PLUCKED_MS * step, abs=1 / TICKS_PER_MS)


def test_a_bow_takes_the_lower_two_notes_then_the_upper_ones() -> None:
    three, four = broken([60, 67, 76], Manner.BOWED), broken([55, 62, 71, 79], Manner.BOWED)
    upper_ms = pytest.approx(BOWED_MS, abs=1 / TICKS_PER_MS)
    assert three == [0, 0, upper_ms]
    assert four == [0, 0, upper_ms, upper_ms]


@pytest.mark.parametrize("manner", Manner)
def test_two_notes_are_struck_together(manner: Manner) -> None:
    assert broken([48, 64], manner) == [0, 0]


@pytest.mark.parametrize("manner", Manner)
def test_without_expression_all_notes_are_struck_together(manner: Manner) -> None:
    assert broken([48, 60, 64, 67], manner, expression=0) == [0, 0, 0, 0]


def test_at_the_usual_expression_a_note_follows_after_20_to_30_ms() -> None:
    _, second_ms, third_ms = broken([48, 64, 67], expression=60)
    assert 20 <= second_ms <= 30
    assert 40 <= third_ms <= 60


def test_on_short_notes_a_chord_is_broken_quicker() -> None:
    quarter, sixteenth = broken([48, 60, 64, 67]), broken([48, 60, 64, 67], room_ticks=120)
    assert sixteenth[-1] <= 120 * MAX_SHARE / TICKS_PER_MS < quarter[-1]
    assert sixteenth == sorted(set(sixteenth)), "the notes still come one after another"


@given(
    chord=st.sets(st.integers(0, 127), max_size=12),
    manner=st.sampled_from(Manner),
    expression=st.floats(0, 100),
    ticks_per_ms=st.floats(0.01, 20),
    room_ticks=st.integers(0, 480),
)
def test_every_chord_rises_and_is_complete_in_time(
    chord: set[int], manner: Manner, expression: float, ticks_per_ms: float, room_ticks: int
) -> None:
    delays = delays_ticks(
        chord,
        manner,
        expression=expression,
        ticks_per_ms=ticks_per_ms,
        room_ticks=room_ticks,
    )
    assert set(delays) == chord
    rising = [delays[pitch] for pitch in sorted(chord)]
    assert rising == sorted(rising)
    assert rising[:1] in ([], [0]), "the lowest note takes the beat"
    assert all(ticks <= MAX_SHARE * room_ticks for ticks in rising)
    assert all(ticks <= MAX_SPREAD_MS * ticks_per_ms for ticks in rising)
