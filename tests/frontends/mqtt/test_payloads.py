"""Any payload becomes a value or an error message."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.common import machine_id
from appliance.errors import BachboxError, UsageError
from appliance.frontends.mqtt import topics as mqtt_topics
from appliance.frontends.mqtt.payloads import (
    format_state,
    is_press,
    parse,
)
from appliance.frontends.mqtt.topics import (
    UNKNOWN,
    Address,
    Topics,
    box_id,
    device_name,
)
from appliance.music.temperament import NAMES as TEMPERAMENTS
from appliance.state import general_midi
from appliance.state.clock_kinds import ClockKind
from appliance.state.setting import Setting
from appliance.state.setting_kinds import Number
from appliance.state.settings import (
    NAMES,
    EffectiveSettings,
    ModelDefaults,
    RequestedSettings,
    Settings,
)
from appliance.state.settings_ranges_and_steps import SETTINGS

TOPICS = Topics("kitchen", "all")


def settings() -> Settings:
    return Settings(
        RequestedSettings(model="chorales"),
        lambda: ["chorales", "fugues"],
        lambda _: ModelDefaults(84, 1, 1, 19),
    )


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"96", "96"),
        (b" 96.5\n", "96.5"),
        (b"ON", "ON"),
        (b"church organ", "church organ"),
        (b'"church organ"', "church organ"),
        (b'{"value": 96}', 96),
        (b'{"value": true}', True),
        ("Fagott ♪".encode(), "Fagott ♪"),
    ],
)
def test_payloads_of_numbers_text_and_json_are_values(payload: bytes, value: object) -> None:
    assert parse(payload) == value


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xfe", "not text in UTF-8"),
        (b"x" * 1_000_000, "1000000 bytes"),
        (b"", "empty"),
        (b" \t", "empty"),
        (b"{96", "looks like JSON but is not"),
        (b"[96]", "is not a value"),
        (b'{"value": null}', "is not a value"),
        (b'{"tempo": 96}', "is not a value"),
        (b"[" * 256, "looks like JSON"),
    ],
)
def test_payloads_without_a_value_are_refused_with_a_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse(payload)


scalars = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=20), st.none())
payloads = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=60).map(str.encode),
    st.one_of(scalars, st.lists(scalars), st.dictionaries(st.text(max_size=5), scalars)).map(
        lambda value: json.dumps(value).encode()
    ),
)


@given(st.sampled_from([*NAMES, "nonsense"]), payloads)
def test_payloads_keep_every_setting_within_its_range(name: str, payload: bytes) -> None:
    box = settings()
    before = box.requested
    try:
        box.change(name, parse(payload))
    except BachboxError as error:
        assert str(error)
        assert "\n" not in str(error)
        assert box.requested == before
    now = box.effective
    assert 40 <= now.tempo <= 240
    assert 0.1 <= now.temperature <= 3
    assert 0.05 <= now.top_p <= 1
    assert 0 <= now.volume <= 100
    assert 0 <= now.expression <= 100
    assert now.temperament in TEMPERAMENTS
    assert 392 <= now.pitch <= 466
    assert 0 <= now.instrument <= 127
    assert now.model in ("chorales", "fugues")


def possible_values(setting: Setting) -> st.SearchStrategy[object]:
    kind = setting.kind
    if isinstance(kind, Number):
        return st.floats(kind.low, kind.high)
    if isinstance(kind, ClockKind):
        return st.sampled_from(["off", "07:00 Mon Tue" if kind.schema == "time" else "22:00-07:00"])
    return st.sampled_from(list(settings().options(setting.name)) or ["default"])


@given(
    st.sampled_from(NAMES),
    st.fixed_dictionaries({s.name: possible_values(s) for s in SETTINGS}).map(
        lambda values: EffectiveSettings(**values)  # type: ignore[arg-type]
    ),
)
def test_state_payloads_can_be_sent_back_as_commands(name: str, values: EffectiveSettings) -> None:
    box = settings()
    box.change(name, parse(format_state(name, values).encode()))
    now, meant = getattr(box.effective, name), getattr(values, name)
    assert now == meant if isinstance(meant, (bool, str)) else now == pytest.approx(meant, rel=1e-5)


def test_instrument_names_are_valid_payloads() -> None:
    for program, name in enumerate(general_midi.NAMES):
        assert general_midi.find(str(parse(name.encode()))) == program


def test_commands_are_those_to_the_box_and_its_group() -> None:
    assert TOPICS.command_filters == ["bachbox/kitchen/+/set", "bachbox/all/+/set"]
    assert TOPICS.address("bachbox/kitchen/tempo/set") == Address("tempo", "tempo")
    assert TOPICS.address("bachbox/all/tempo/set") == Address("tempo", "tempo")
    assert TOPICS.address("bachbox/kitchen/tmpo/set") == Address("tmpo", UNKNOWN)
    for other in ("bachbox/bath/tempo/set", "bachbox/kitchen/tempo", "homeassistant/status", ""):
        assert TOPICS.address(other).name is None
    assert Topics("kitchen", "").command_filters == ["bachbox/kitchen/+/set"]
    assert Topics("all", "all").command_filters == ["bachbox/all/+/set"]


@given(st.text())
def test_inbox_keys_are_few(name: str) -> None:
    key = TOPICS.address(f"bachbox/kitchen/{name}/set").key
    assert key in (*NAMES, "next_piece", "restart_piece", "model_defaults", "test_tone", "")


def test_commands_to_group_and_box_share_a_key() -> None:
    assert TOPICS.address("bachbox/all/top-p/set") == TOPICS.address("bachbox/kitchen/top_p/set")


def test_press_payloads_trigger_an_action() -> None:
    assert all(is_press(parse(p)) for p in (b"PRESS", b"on", b"1", b"true", b'{"value": true}'))
    assert not any(is_press(parse(p)) for p in (b"OFF", b"0", b"hello", b'{"value": false}'))


def test_topics_below_a_root_of_ones_own() -> None:
    topics = Topics("kitchen", "all", "users/anna/bachbox")
    assert topics.state("tempo") == "users/anna/bachbox/kitchen/tempo"
    assert topics.command_filters[1] == "users/anna/bachbox/all/+/set"
    assert topics.address("users/anna/bachbox/kitchen/tempo/set") == Address("tempo", "tempo")
    assert topics.address("bachbox/kitchen/tempo/set").name is None


def test_two_boxes_from_one_image_have_different_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "bachbox")
    serial, machine = tmp_path / "serial-number", tmp_path / "machine-id"
    monkeypatch.setattr(machine_id, "SOURCES", (serial, machine))
    assert box_id("") == "bachbox"
    machine.write_text("uninitialized\n")
    assert box_id("") == "bachbox"
    ids = set()
    for number in range(8):
        machine.write_text(f"{number:032x}\n")
        assert re.fullmatch("bachbox-[0-9a-f]{4}", box_id(""))
        assert box_id("") == box_id("")
        ids.add(box_id(""))
    # A copied card: the machine ID is the same, the Raspberry Pi another one.
    for serial_number in (b"10000000a1b2c3d4\0", b"10000000a1b2c3d5\0"):
        serial.write_bytes(serial_number)
        ids.add(box_id(""))
    assert len(ids) == 10


def test_the_devices_name_does_not_say_bachbox_twice() -> None:
    assert device_name("kitchen") == "Bachbox kitchen"
    assert device_name("bachbox-3fa2") == "Bachbox 3fa2"
    assert device_name("bachbox") == "Bachbox"


def test_box_id_is_made_of_host_name_and_machine_unless_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt_topics, "short_machine_id", lambda: "3fa2")
    assert box_id("kitchen") == "kitchen"
    for host, name in [
        ("music-room.local", "music-room-3fa2"),
        ("Küche 2", "K-che-2-3fa2"),
        ("", "bachbox-3fa2"),
        ("日本", "bachbox-3fa2"),
        ("h" * 63, f"{'h' * 27}-3fa2"),
    ]:
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        assert box_id("") == name
