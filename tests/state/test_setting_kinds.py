"""What each kind of setting takes, however it is spelled, and how it says what is allowed."""

from __future__ import annotations

import pytest

from appliance.audio.alsa_cards import HardwareCard
from appliance.errors import UsageError
from appliance.ipc.shared_state import MAX_TEXT_BYTES
from appliance.state import setting_kinds
from appliance.state.setting_kinds import (
    Choice,
    KeyName,
    ModelName,
    Number,
    OutputName,
    Program,
    SoundfontName,
    Switch,
    Value,
    absolute,
    is_plain_name,
)

LOUDNESS = Number(0, 100, 2, unit="percent", symbol="%")
PITCH = Number(392, 466, 1, unit="Hz", symbol="Hz")
SWITCH = Switch()
FRUIT = Choice(("apple", "blood-orange"))
OUTPUT = OutputName()
CARDS = ["default", "Headphones"]


@pytest.mark.parametrize(
    ("kind", "full", "brief"),
    [
        (LOUDNESS, "a number from 0 to 100 percent", "0 to 100%"),
        (PITCH, "a number from 392 to 466 Hz", "392 to 466 Hz"),
        (Number(0.1, 3, 0.05), "a number from 0.1 to 3", "0.1 to 3"),
        (SWITCH, "on or off", "on or off"),
        (FRUIT, "one of apple, blood-orange", "apple, blood-orange"),
    ],
)
def test_what_is_allowed_is_said_in_full_and_in_brief(
    kind: Number | Switch | Choice, full: str, brief: str
) -> None:
    assert (str(kind), kind.brief) == (full, brief)
    with pytest.raises(UsageError, match=f"^x: '\\?' is not allowed; it must be {full}$"):
        kind.parse("x", "?")


@pytest.mark.parametrize("said", ["40", " 240\n", 40, 240.0, "4e1", "+40", "040.", "2.4E+2"])
def test_a_number_may_be_at_either_end_of_its_range_in_any_notation(said: object) -> None:
    assert Number(40, 240, 2).parse("tempo", said) in (40, 240)


def test_where_a_knob_leads_to_is_in_the_range_and_has_four_decimals() -> None:
    share = Number(0, 1, 0.1)
    assert [share.clamp(value) for value in (-1, 0.123456, 2)] == [0, 0.1235, 1]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        *(("on", True), ("true", True), ("1", True), (True, True), (1, True)),
        *(("off", False), ("false", False), ("0", False), (False, False), (0, False)),
        (" On\n", True),
    ],
)
def test_a_switch_takes_the_words_of_people_and_of_programs(said: object, state: bool) -> None:
    assert SWITCH.parse("mono", said) is state


@pytest.mark.parametrize(
    "said", ["blood-orange", "Blood Orange", "BLOOD_ORANGE", "bloodorange", " blood-orange "]
)
def test_a_choice_is_found_in_any_case_with_any_hyphens_or_blanks(said: str) -> None:
    assert FRUIT.parse("fruit", said) == "blood-orange"


@pytest.mark.parametrize(
    ("said", "key"), [("E minor", "e minor"), ("g major", "G major"), ("Any", "any")]
)
def test_a_key_is_found_however_it_is_spelled(said: str, key: str) -> None:
    assert KeyName().parse("key", said) == key


def test_a_models_name_has_a_limit_that_is_named() -> None:
    longest = "x" * 48
    assert ModelName().parse("model", longest, [longest]) == longest
    sentence = "^the model name 'y+…'? is too long: at most 48 bytes are allowed; rename the file$"
    with pytest.raises(UsageError, match=sentence):
        ModelName().parse("model", "y" * 49, ["y" * 49])


def test_a_name_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    for names, said in ((["a", "b"], "a, b"), ([], "none")):
        with pytest.raises(UsageError, match=f"^there is no model 'c'; there are: {said}$"):
            ModelName().parse("model", "c", names)


def test_an_output_is_found_in_any_case_and_in_alsas_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = HardwareCard(1, "Headphones", 0)
    monkeypatch.setattr(setting_kinds, "hardware_cards", lambda: [card])
    for said in ("Headphones", " HEADPHONES ", "plughw:1,0", "hw:CARD=Headphones"):
        assert OUTPUT.parse("output", said, CARDS) == "Headphones"
    for said in ("hw:2", "Attic"):
        with pytest.raises(UsageError, match=f"^there is no output '{said}'; there are: default"):
            OUTPUT.parse("output", said, CARDS)


def test_a_midi_port_is_no_output_and_the_line_to_write_is_said() -> None:
    for said, port in (("midi:Organ", "Organ"), ("MIDI:", "NAME")):
        sentence = (
            f"^'{said}' is no sound card; for notes to a MIDI port, write out_port = "
            rf'"{port}" under \[midi\] in the config file$'
        )
        with pytest.raises(UsageError, match=sentence):
            OUTPUT.written(said)
    # A card may be called so.
    for card in ("midi", "wav:x.wav", "hw:1"):
        assert OUTPUT.written(card) == card


def test_a_card_has_a_name_and_not_a_file() -> None:
    for name in ("C", "hw:1", "wave:x", "midi keys", "x" * MAX_TEXT_BYTES):
        assert is_plain_name(name), name
    for other in ("", "wav:x", "pipe:x", "midi:x", "a\nb", "ü" * 200 + "x"):
        assert not is_plain_name(other), other


@pytest.mark.parametrize(
    ("said", "led_to"), [("+1", "c"), ("-1", "a"), ("+2", "a"), ("+=1", "c"), ("+0.5", "+0.5")]
)
def test_a_step_leads_from_name_to_name_round_and_round(said: str, led_to: Value) -> None:
    assert absolute(FRUIT, said, "b", ["a", "b", "c"]) == led_to


def test_without_a_place_to_start_from_a_step_stays_what_was_said() -> None:
    assert absolute(FRUIT, "+1", "gone", ["a", "b", "c"]) == "+1"


def test_a_range_with_negative_numbers_is_told_by_its_low_end() -> None:
    for low, led_to in ((-0.5, "+5"), (0, 55), (0.5, 55)):
        assert absolute(Number(low, 100, 1), "+5", 50, ()) == led_to


@pytest.mark.parametrize(
    "kind",
    [PITCH, SWITCH, FRUIT, KeyName(), Program(), ModelName(), OUTPUT, SoundfontName()],
    ids=str,
)
def test_what_a_setting_takes_stays_as_it_is(kind: object) -> None:
    with pytest.raises(AttributeError):
        kind.low = 0  # type: ignore[attr-defined]
