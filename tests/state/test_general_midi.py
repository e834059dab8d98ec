"""Instruments are found by what people type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.state import general_midi


def test_there_are_128_different_names_in_16_families() -> None:
    assert len(set(general_midi.NAMES)) == 128
    assert len(set(general_midi.FAMILIES)) == 16


@pytest.mark.parametrize(
    ("program", "name", "family"),
    [
        (0, "Acoustic Grand Piano", "Piano"),
        (19, "Church Organ", "Organ"),
        (40, "Violin", "Strings"),
        (73, "Flute", "Pipe"),
        (127, "Gunshot", "Sound Effects"),
    ],
)
def test_programs_have_the_names_of_the_standard(program: int, name: str, family: str) -> None:
    assert general_midi.name(program) == name
    assert general_midi.family(program) == family


@given(st.integers(0, 127), st.booleans())
def test_every_name_and_number_is_found_in_any_case(program: int, upper: bool) -> None:
    name = general_midi.name(program)
    assert general_midi.find(name.upper() if upper else name.lower()) == program
    assert general_midi.find(program) == program
    assert general_midi.find(f" {program} ") == program


@pytest.mark.parametrize(
    ("said", "program"),
    [
        ("church", 19),
        ("CHURCH ORGAN", 19),
        ("tub bells", 14),
        ("harpsi", 6),
        ("violin", 40),
        ("nylon", 24),
        ("honky tonk", 3),
        ("choir aahs", 52),
        ("flute", 73),
    ],
)
def test_an_unambiguous_beginning_is_enough(said: str, program: int) -> None:
    assert general_midi.find(said) == program


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("organ", "could be 'Drawbar Organ'"),
        ("chruch organ", "did you mean 'Church Organ'"),
        ("xyz", "lists all 128"),
        ("", "lists all 128"),
        ("128", "0 to 127"),
        ("-1", "0 to 127"),
        ("9" * 10_000, "0 to 127"),
        ("a" * 10_000, "lists all 128"),
    ],
)
def test_an_unknown_instrument_is_rejected_with_a_hint(said: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as error:
        general_midi.find(said)
    assert len(str(error.value)) < 300


@given(st.text())
def test_any_text_is_an_instrument_or_an_error(said: str) -> None:
    try:
        assert 0 <= general_midi.find(said) <= 127
    except UsageError as error:
        assert str(error)
