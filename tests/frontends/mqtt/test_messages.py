"""Payloads become values or sentences, whatever somebody sends."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import BachboxError, UsageError
from appliance.frontends.mqtt.messages import Topics, identity, parse, pressed, show
from appliance.state import general_midi
from appliance.state.settings import (
    TEMPERAMENTS,
    TEMPO_BPM,
    EffectiveSettings,
    ModelDefaults,
    RequestedSettings,
    Settings,
)

TOPICS = Topics("kitchen", "all")


def settings() -> Settings:
    return Settings(
        RequestedSettings("chorales"),
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
def test_number_text_and_json_are_values(payload: bytes, value: object) -> None:
    assert parse(payload) == value


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xfe", "not text in UTF-8"),
        (b"x" * 1_000_000, "1000000 bytes"),
        (b"", "empty"),
        (b" \t", "empty"),
        (b"{96", "looks like JSON and is none"),
        (b"[96]", "is no value"),
        (b'{"value": null}', "is no value"),
        (b'{"tempo": 96}', "is no value"),
        (b"[" * 256, "looks like JSON"),
    ],
)
def test_anything_else_is_refused_with_a_reason(payload: bytes, reason: str) -> None:
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


@given(st.sampled_from([*EffectiveSettings._fields, "nonsense"]), payloads)
def test_any_payload_changes_a_setting_within_its_range_or_nothing(
    name: str, payload: bytes
) -> None:
    box = settings()
    before = box.values
    try:
        box.change(name, parse(payload))
    except BachboxError as error:
        assert str(error)
        assert "\n" not in str(error)
        assert box.values == before
    now = box.effective
    assert TEMPO_BPM.low <= now.tempo <= TEMPO_BPM.high
    assert 0.1 <= now.temperature <= 3
    assert 0.05 <= now.top_p <= 1
    assert 0 <= now.volume <= 100
    assert 0 <= now.expression <= 100
    assert now.temperament in TEMPERAMENTS
    assert 392 <= now.pitch <= 466
    assert 0 <= now.instrument <= 127
    assert now.model in ("chorales", "fugues")


@given(
    st.sampled_from(EffectiveSettings._fields),
    st.builds(
        EffectiveSettings,
        playing=st.booleans(),
        model=st.sampled_from(["chorales", "fugues"]),
        instrument=st.integers(0, 127),
        tempo=st.floats(40, 240),
        temperature=st.floats(0.1, 3),
        top_p=st.floats(0.05, 1),
        volume=st.floats(0, 100),
        expression=st.floats(0, 100),
        temperament=st.sampled_from(TEMPERAMENTS),
        pitch=st.floats(392, 466),
    ),
)
def test_what_is_shown_can_be_sent_back(name: str, values: EffectiveSettings) -> None:
    box = settings()
    box.change(name, parse(show(name, values).encode()))
    now, meant = getattr(box.effective, name), getattr(values, name)
    assert now == meant if isinstance(meant, str) else now == pytest.approx(meant, rel=1e-5)


def test_every_instrument_can_be_named() -> None:
    for program, name in enumerate(general_midi.NAMES):
        assert general_midi.find(str(parse(name.encode()))) == program


def test_only_our_own_and_our_groups_commands_are_meant_for_us() -> None:
    assert TOPICS.commands == ["bachbox/kitchen/+/set", "bachbox/all/+/set"]
    assert TOPICS.wish("bachbox/kitchen/tempo/set") == "tempo"
    assert TOPICS.wish("bachbox/all/tempo/set") == "tempo"
    for other in ("bachbox/bath/tempo/set", "bachbox/kitchen/tempo", "homeassistant/status", ""):
        assert TOPICS.wish(other) is None
    assert Topics("kitchen", "").commands == ["bachbox/kitchen/+/set"]
    assert Topics("all", "all").commands == ["bachbox/all/+/set"]


@given(st.text())
def test_slots_are_few(name: str) -> None:
    slot = TOPICS.slot(f"bachbox/kitchen/{name}/set")
    assert slot in (*EffectiveSettings._fields, "next_piece", "restart_piece", "test_tone", "")


def test_group_and_box_share_a_slot() -> None:
    assert TOPICS.slot("bachbox/all/top-p/set") == TOPICS.slot("bachbox/kitchen/top_p/set")


def test_buttons_are_pressed() -> None:
    assert all(pressed(parse(p)) for p in (b"PRESS", b"on", b"1", b"true", b'{"value": true}'))
    assert not any(pressed(parse(p)) for p in (b"OFF", b"0", b"hello", b'{"value": false}'))


def test_the_host_names_the_box_unless_the_config_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity("kitchen") == "kitchen"
    for host, name in [
        ("music-room.local", "music-room"),
        ("Küche 2", "K-che-2"),
        ("", "bachbox"),
        ("日本", "bachbox"),
        ("h" * 63, "h" * 32),
    ]:
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        assert identity("") == name
