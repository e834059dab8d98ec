"""The API: the same names, values and sentences as on the command line, and no way around them."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from appliance.frontends.local_socket import Request, ask
from appliance.state.settings import Action, EffectiveSettings
from tests.support.command import bachbox
from tests.support.web_server import House, eventually


def test_everything_set_here_is_set_everywhere_and_the_other_way_round(kitchen: House) -> None:
    kitchen.set(tempo=96, instrument="oboe", temperature="0.8")
    told = bachbox("status", "--json", env=kitchen.env)
    shell = json.loads(told.out)["settings"]
    assert shell["tempo"] == 96
    assert shell["instrument"] == "Oboe"
    assert shell["temperature"] == 0.8
    assert bachbox("set", "volume=42", "tempo=own", env=kitchen.env).code == 0
    state = kitchen.get("/api/settings")
    assert state["values"]["volume"] == 42
    assert "tempo" in state["own"]
    assert "temperature" not in state["own"]
    assert set(state["values"]) == set(EffectiveSettings._fields)
    known = kitchen.get("/api/known")
    assert {setting["name"] for setting in known["settings"]} == set(EffectiveSettings._fields)
    assert set(known["actions"]) == set(Action)
    assert kitchen.get("/api/status")["settings"] == state["values"]


def test_actions_are_done(kitchen: House) -> None:
    piece = kitchen.get("/api/now")["piece"]
    assert kitchen.ask("POST", "/api/actions/next_piece").status == 200
    eventually(lambda: kitchen.get("/api/now")["piece"] == piece + 1)
    answer = kitchen.ask("POST", "/api/actions/explode")
    assert answer.status == 404
    assert "there are next_piece" in answer.json["error"]


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"tempo": 300}, "it is a number from 40 to 240"),
        ({"tempo": "fast"}, "it is a number"),
        ({"tempo": 96, "volume": 101}, "0 to 100"),
        ({"instrument": "kazoo"}, "no instrument"),
        ({"model": "wagner"}, "there is no model"),
        ({"model": "<script>alert(1)</script>"}, "there is no model"),
        ({"tmpo": 96}, "did you mean tempo"),
        ({"playing": "maybe"}, "on or off"),
        ({"tempo": None}, "no request"),
        ({"tempo": [1]}, "no request"),
        ([], "no request"),
    ],
)
def test_what_cannot_be_is_refused_with_the_same_sentence_and_changes_nothing(
    kitchen: House, wish: Any, reason: str
) -> None:
    before = kitchen.values
    answer = kitchen.ask("PATCH", "/api/settings", wish)
    assert answer.status == 422
    assert reason in answer.json["error"]
    assert answer.headers["Content-Type"].startswith("application/json")
    assert kitchen.values == before


def test_a_body_has_to_be_json_and_small(kitchen: House) -> None:
    text = kitchen.ask("PATCH", "/api/settings", raw=b'{"tempo": 50}')
    assert text.status == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert kitchen.ask("PATCH", "/api/settings", raw=b"tempo=50", headers=form).status == 415
    large = kitchen.ask("PATCH", "/api/settings", {"model": "x" * 20_000})
    assert large.status == 413
    plain = {"Content-Type": "application/json"}
    deep = kitchen.ask("PATCH", "/api/settings", raw=b"[" * 10_000, headers=plain)
    assert deep.status == 422
    torn = kitchen.ask("PATCH", "/api/settings", raw=b'{"tempo": \xff', headers=plain)
    assert torn.status == 422


def test_the_roll_tells_notes_heard_and_to_come(kitchen: House) -> None:
    kitchen.set(playing=True)
    eventually(lambda: kitchen.get("/api/roll")["horizon"] > kitchen.get("/api/roll")["playhead"])
    roll = kitchen.get("/api/roll")
    assert roll["notes"]
    assert all(note["end"] is None or note["end"] > note["start"] for note in roll["notes"])
    assert {note["voice"] for note in roll["notes"]} == {0, 1, 2, 3}


def test_prometheus_understands_the_metrics(kitchen: House) -> None:
    kitchen.set(volume=60)
    kitchen.set(volume=61)
    answer = kitchen.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {f.name: f for f in text_string_to_metric_families(answer.body.decode())}
    assert families["bachbox_up"].samples[0].value == 1
    assert families["bachbox_xruns"].type == "counter"
    assert {s.labels["process"] for s in families["bachbox_cpu_seconds"].samples} == {
        *("daemon", "composer", "performer"),
    }

    def heard() -> float:
        text = kitchen.ask("GET", "/metrics").body.decode()
        rows = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}
        return float(rows["bachbox_hand_to_sound_seconds_count"])

    eventually(lambda: heard() >= 1)


def test_health_has_a_history_and_the_log(kitchen: House) -> None:
    eventually(lambda: len(kitchen.get("/api/health")["samples"]) >= 2)
    report = kitchen.get("/api/health")
    assert report["well"]
    assert report["samples"][-1]["rss_mib"]["composer"] > 10
    assert any("chorales composes, seed 5" in line for line in report["log"])
    assert sum(report["latency"]["counts"]) >= 0
    assert len(report["latency"]["counts"]) == len(report["latency"]["bounds_ms"]) + 1


def test_the_box_is_tried_from_the_page(kitchen: House) -> None:
    assert kitchen.ask("POST", "/api/tests/tone").json["ok"]
    broker = kitchen.ask("POST", "/api/tests/broker").json
    assert not broker["ok"]
    assert "none is configured" in broker["detail"]
    assert kitchen.get("/api/touches") == {"wired": False, "touches": []}


def test_every_answer_has_the_headers_that_keep_a_browser_safe(kitchen: House) -> None:
    for path in ("/", "/health", "/static/app.js", "/api", "/api/status", "/nowhere", "/healthz"):
        headers = kitchen.ask("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "Python" not in headers["Server"]


def test_files_come_only_from_their_folder(kitchen: House) -> None:
    for path in ("/static/", "/static/../api.py", "/static/%2e%2e/api.py", "/static/..%2fapi.py"):
        assert kitchen.ask("GET", path).status == 404, path
    page = kitchen.ask("GET", "/")
    again = kitchen.ask("GET", "/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "127.0.0.1;evil"}, 421),
        ({"Host": "192.168.1.7:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": f"{socket.gethostname()}.local"}, 200),
        ({"Host": "LOCALHOST:1"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_strangers_names_and_pages_do_not_reach_it(
    kitchen: House, headers: dict[str, str], status: int
) -> None:
    answer = kitchen.ask("GET", "/api/now", headers=headers)
    assert answer.status == status, answer
    if status != 200:
        assert b"evil" not in answer.body
        assert b"evil" not in str(answer.headers).encode()


def test_another_page_cannot_steer(kitchen: House) -> None:
    before = kitchen.values
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ):
        assert kitchen.ask("PATCH", "/api/settings", {"tempo": 41}, headers=headers).status == 403
        action = kitchen.ask("POST", "/api/actions/next_piece", headers=headers)
        assert action.status == 403
    assert kitchen.values == before
    same = {"Origin": f"http://127.0.0.1:{kitchen.port}"}
    assert kitchen.ask("PATCH", "/api/settings", {"tempo": 81}, headers=same).status == 200


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_whatever_fits_the_description_or_not_is_answered_as_described(
    kitchen: House, mode: GenerationMode
) -> None:
    eventually(lambda: kitchen.ask("GET", "/api").status == 200)
    described = schemathesis.openapi.from_dict(kitchen.get("/api"))
    tried = set()
    for result in described.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        takes_something = "{" in operation.path or operation.body
        if mode is GenerationMode.NEGATIVE and not takes_something:
            continue

        @given(operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=5,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def holds(case: Any) -> None:
            case.call_and_validate(base_url=kitchen.url, checks=CHECKS)

        holds()
        tried.add(operation.label)
    assert "PATCH /api/settings" in tried


def frame(opcode: int, payload: bytes, *, masked: bool = True, flags: int = 0x80) -> bytes:
    head = bytes([flags | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    return head + (b"\0\0\0\0" if masked else b"") + payload


def upgraded(kitchen: House) -> socket.socket:
    talk = socket.create_connection(("127.0.0.1", kitchen.port), timeout=30)
    talk.sendall(
        b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    start = b""
    while b"\r\n\r\n" not in start:
        start += talk.recv(1)
    assert b"101 Switching" in start
    return talk


FRAMES = st.one_of(
    st.binary(max_size=300),
    st.builds(
        frame,
        st.integers(0, 15),
        st.binary(max_size=200),
        masked=st.booleans(),
        flags=st.sampled_from([0x80, 0x00, 0xC0, 0xF0]),
    ),
    st.sampled_from(
        [
            frame(1, b'{"set": {"tempo": 1e999}}'),
            frame(1, b'{"set": {"tempo": {"a": 1}}}'),
            frame(1, b'{"act": ["explode"]}'),
            frame(1, b"\xff\xfe"),
            frame(1, b"[" * 4000),
            frame(1, b"x" * 5000),
            frame(8, b"\x03"),
            bytes([0x81, 0xFF]) + struct.pack(">Q", 1 << 62),
        ]
    ),
)


@given(st.lists(FRAMES, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_whatever_a_websocket_is_told_the_box_says_nothing_wrong_and_lives(
    kitchen: House, frames: list[bytes]
) -> None:
    before = kitchen.box.process.poll()
    with upgraded(kitchen) as talk:
        for one in frames:
            try:
                talk.sendall(one)
            except OSError:
                break
    assert before is None
    assert kitchen.ask("GET", "/healthz").status in (200, 429)


def test_the_shell_hears_what_was_set_here(
    kitchen: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, kitchen.env[name])
    kitchen.set(tempo=123)
    assert next(ask(Request())).settings.tempo == 123


def test_who_asks_too_often_has_to_wait(kitchen: House) -> None:
    seen = set()
    with socket.create_connection(("127.0.0.1", kitchen.port), timeout=30) as talk:
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        answers = talk.makefile("rb")
        for _ in range(40):
            talk.sendall(request * 20)
            for _ in range(20):
                seen.add(int(answers.readline().split()[1]))
                length = 0
                while (line := answers.readline().strip()) != b"":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split()[1])
                answers.read(length)
            if 429 in seen:
                break
    assert seen == {200, 429}
    eventually(lambda: kitchen.ask("GET", "/healthz").status == 200)
