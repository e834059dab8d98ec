"""Topics, limits and the payloads of states, as people and Home Assistant see them."""

from __future__ import annotations

import socket

import msgspec
import pytest

from appliance.errors import UsageError
from appliance.frontends.mqtt import topics as mqtt_topics
from appliance.frontends.mqtt.payloads import (
    MAX_PAYLOAD_BYTES,
    format_state,
    is_press,
    is_step,
    parse,
)
from appliance.frontends.mqtt.topics import (
    MAX_ID_CHARACTERS,
    UNKNOWN,
    Address,
    Topics,
    box_id,
    device_name,
)
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings

TOPICS = Topics("kitchen", "all")


def test_every_topic_of_a_box_lies_below_its_id() -> None:
    assert {
        TOPICS.availability, TOPICS.now_playing, TOPICS.health, TOPICS.error, TOPICS.state("tempo"),
        TOPICS.command("next_piece"),
    } == {
        "bachbox/kitchen/availability", "bachbox/kitchen/now_playing", "bachbox/kitchen/health",
        "bachbox/kitchen/error", "bachbox/kitchen/tempo", "bachbox/kitchen/next_piece/set",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "address"),
    [
        ("bachbox/kitchen/next-piece/set", Address("next_piece", "next_piece")),
        ("bachbox/kitchen//set", Address("", UNKNOWN)),
        ("bachbox/kitchen/tempo/set/more", Address(None, UNKNOWN)),
        ("bachbox/kitchen/tempo/get", Address(None, UNKNOWN)),
        ("bachbox/kitchen", Address(None, UNKNOWN)),
        ("bachbox//tempo/set", Address(None, UNKNOWN)),
        ("homeassistant/status", Address(None, "homeassistant/status")),
        ("x/bachbox/kitchen/tempo/set", Address(None, "x/bachbox/kitchen/tempo/set")),
    ],
)
def test_only_a_command_to_this_box_is_one(topic: str, address: Address) -> None:
    assert TOPICS.address(topic) == address


def test_without_a_group_no_box_obeys_an_empty_one() -> None:
    assert Topics("kitchen").command_filters == ["bachbox/kitchen/+/set"]


def test_a_payload_may_be_as_long_as_allowed_and_no_longer() -> None:
    assert parse(b"x" * MAX_PAYLOAD_BYTES) == "x" * MAX_PAYLOAD_BYTES
    with pytest.raises(UsageError, match="a payload of 257 bytes is too long; at most 256 bytes"):
        parse(b"x" * (MAX_PAYLOAD_BYTES + 1))


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"\xff" + b"x" * 40, r"b'\\xffx{19}' is not text in UTF-8"),
        (b" ", "^the payload is empty; send a value$"),
        (b'{"value": 96', r"^'\{\"value\": 96' looks like JSON but is not$"),
        (b'{"value": [1]}', r"is not a value; as JSON, write 96, \"text\" or \{\"value\": 96\}$"),
        (b'{"value": 96, "more": 1}', "is not a value"),
    ],
)
def test_a_refused_payload_is_quoted_and_the_sentence_says_what_to_send(
    payload: bytes, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse(payload)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b'""', ""),
        (b'"96"', "96"),
        (b'{"value": 1.5}', 1.5),
        (b'{"value": "x"}', "x"),
        (b"tr", "tr"),
    ],
)
def test_json_is_read_only_where_it_begins_like_it(payload: bytes, value: object) -> None:
    assert parse(payload) == value
    assert type(parse(payload)) is type(value)


def test_steps_are_told_from_values() -> None:
    steps = (b"+5", b"-0.5", b"TOGGLE", b' "+1" ', b'{"value": "-=5"}')
    assert all(map(is_step, steps))
    assert not any(
        map(is_step, (b"5", b"", b"\xff", b"x" * 999, b"{", b"default", b'{"value": 5}'))
    )


def test_a_press_is_understood_in_any_case() -> None:
    assert all(map(is_press, ("PRESS", "press", "On", True, 1, "1")))
    assert not any(map(is_press, ("off", False, 0, "", None, "11", "pressed")))


def test_states_are_short_and_as_home_assistant_expects_them() -> None:
    settings = Settings(
        RequestedSettings(model="chorales", tempo=80.0, volume=33.333333333, instrument=73),
        lambda: ["chorales"],
        lambda _: ModelDefaults(84, 1.25, 1, 19),
    )
    values = settings.effective
    assert format_state("playing", values) == "ON"
    assert format_state("playing", msgspec.structs.replace(values, playing=False)) == "OFF"
    assert format_state("tempo", values) == "80"
    assert format_state("volume", values) == "33.3333"
    assert format_state("temperature", values) == "1.25"
    assert format_state("instrument", values) == "Flute"
    assert format_state("model", values) == "chorales"


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ("Bachbox_attic", "Bachbox attic"),
        ("BACHBOX-attic", "Bachbox attic"),
        ("bachboxes", "Bachbox bachboxes"),
        ("my-bachbox", "Bachbox my-bachbox"),
    ],
)
def test_only_a_whole_word_at_the_beginning_is_left_out_of_the_name(own: str, name: str) -> None:
    assert device_name(own) == name


@pytest.mark.parametrize(
    ("host", "machine", "own"),
    [
        ("-_-", "3fa2", "_-3fa2"),
        ("---", "", "bachbox"),
        ("a" * 26 + "-b", "3fa2", "a" * 26 + "-3fa2"),
        ("attic.lan.example", "3fa2", "attic-3fa2"),
        ("one  two", "3fa2", "one-two-3fa2"),
    ],
)
def test_an_id_made_of_the_host_name_is_a_topic_level(
    monkeypatch: pytest.MonkeyPatch, host: str, machine: str, own: str
) -> None:
    monkeypatch.setattr(mqtt_topics, "short_machine_id", lambda: machine)
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert box_id("") == own
    assert len(own) <= MAX_ID_CHARACTERS
