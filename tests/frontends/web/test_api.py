"""The HTTP API: names, values and errors as on the command line, and nothing beyond them."""

from __future__ import annotations

import json
import socket
import struct
import time
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
from appliance.state.settings import NAMES, Action
from tests.support.command import bachbox
from tests.support.web_server import TIMEOUT_S, WebBox, eventually


def test_settings_agree_with_command_line(box: WebBox) -> None:
    box.set(tempo=96, instrument="oboe", temperature="0.8")
    status = bachbox("status", "--json", env=box.env)
    shell = json.loads(status.out)["settings"]
    assert shell["tempo"] == 96
    assert shell["instrument"] == "Oboe"
    assert shell["temperature"] == 0.8
    assert bachbox("set", "volume=42", "tempo=default", env=box.env).code == 0
    state = box.get("/api/settings")
    assert state["values"]["volume"] == 42
    assert "tempo" in state["model_defaults"]
    assert "temperature" not in state["model_defaults"]
    assert set(state["values"]) == set(NAMES)
    known = box.get("/api/schema")
    assert {setting["name"] for setting in known["settings"]} == set(NAMES)
    assert set(known["actions"]) == set(Action)
    assert box.get("/api/status")["settings"] == state["values"]


def test_actions(box: WebBox) -> None:
    piece = box.get("/api/now")["piece"]
    assert box.request("POST", "/api/actions/next_piece").status == 200
    eventually(lambda: box.get("/api/now")["piece"] == piece + 1)
    answer = box.request("POST", "/api/actions/explode")
    assert answer.status == 404
    assert "choose one of next_piece" in answer.json["error"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tempo": 300}, "it must be a number from 40 to 240"),
        ({"tempo": "fast"}, "it must be a number"),
        ({"tempo": 96, "volume": 101}, "0 to 100"),
        ({"instrument": "kazoo"}, "no instrument"),
        ({"model": "wagner"}, "there is no model"),
        ({"model": "<script>alert(1)</script>"}, "there is no model"),
        ({"tmpo": 96}, "did you mean 'tempo'"),
        ({"playing": "maybe"}, "on or off"),
        ({"tempo": None}, "invalid request"),
        ({"tempo": [1]}, "invalid request"),
        ([], "invalid request"),
    ],
)
def test_invalid_changes_are_refused_and_change_nothing(
    box: WebBox, change: Any, reason: str
) -> None:
    before = box.settings
    answer = box.request("PATCH", "/api/settings", change)
    assert answer.status == 422
    assert reason in answer.json["error"]
    assert answer.headers["Content-Type"].startswith("application/json")
    assert box.settings == before


def test_body_must_be_small_json(box: WebBox) -> None:
    text = box.request("PATCH", "/api/settings", raw=b'{"tempo": 50}')
    assert text.status == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert box.request("PATCH", "/api/settings", raw=b"tempo=50", headers=form).status == 415
    large = box.request("PATCH", "/api/settings", {"model": "x" * 20_000})
    assert large.status == 413
    plain = {"Content-Type": "application/json"}
    deep = box.request("PATCH", "/api/settings", raw=b"[" * 10_000, headers=plain)
    assert deep.status == 422
    torn = box.request("PATCH", "/api/settings", raw=b'{"tempo": \xff', headers=plain)
    assert torn.status == 422


def test_roll_has_played_and_composed_notes(box: WebBox) -> None:
    box.set(playing=True)
    eventually(lambda: box.get("/api/roll")["horizon_tick"] > box.get("/api/roll")["playhead_tick"])
    roll = box.get("/api/roll")
    assert roll["notes"]
    assert all(
        note["end_tick"] is None or note["end_tick"] > note["start_tick"] for note in roll["notes"]
    )
    assert {note["voice"] for note in roll["notes"]} == {0, 1, 2, 3}


def test_metrics_parse_as_prometheus_text(box: WebBox) -> None:
    box.set(volume=60)
    box.set(volume=61)
    answer = box.request("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {f.name: f for f in text_string_to_metric_families(answer.body.decode())}
    assert families["bachbox_up"].samples[0].value == 1
    assert families["bachbox_xruns"].type == "counter"
    assert {s.labels["process"] for s in families["bachbox_cpu_seconds"].samples} == {
        *("daemon", "composer", "performer"),
    }

    def recorded() -> float:
        text = box.request("GET", "/metrics").body.decode()
        rows = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}
        return float(rows["bachbox_change_latency_seconds_count"])

    eventually(lambda: recorded() >= 1)


def test_health_has_samples_and_log(box: WebBox) -> None:
    eventually(lambda: len(box.get("/api/health")["samples"]) >= 2)
    report = box.get("/api/health")
    assert report["healthy"]
    assert report["samples"][-1]["rss_mib"]["composer"] > 10
    assert any("chorales composes, seed 5" in line for line in report["log"])
    assert sum(report["latency"]["counts"]) >= 0
    assert len(report["latency"]["counts"]) == len(report["latency"]["bounds_ms"]) + 1


def test_hardware_tests(box: WebBox) -> None:
    assert box.request("POST", "/api/tests/tone").json["ok"]
    broker = box.request("POST", "/api/tests/broker").json
    assert not broker["ok"]
    assert "no broker is configured" in broker["detail"]
    assert box.get("/api/input-events") == {"configured": False, "events": []}


def test_security_headers(box: WebBox) -> None:
    for path in ("/", "/health", "/static/app.js", "/api", "/api/status", "/nowhere", "/healthz"):
        headers = box.request("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "Python" not in headers["Server"]


def test_static_files_only_from_their_folder(box: WebBox) -> None:
    for path in ("/static/", "/static/../api.py", "/static/%2e%2e/api.py", "/static/..%2fapi.py"):
        assert box.request("GET", path).status == 404, path
    page = box.request("GET", "/")
    again = box.request("GET", "/", headers={"If-None-Match": page.headers["ETag"]})
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
def test_foreign_hosts_and_origins_are_refused(
    box: WebBox, headers: dict[str, str], status: int
) -> None:
    answer = box.request("GET", "/api/now", headers=headers)
    assert answer.status == status, answer
    if status != 200:
        assert b"evil" not in answer.body
        assert b"evil" not in str(answer.headers).encode()


def test_pages_of_other_sites_cannot_change_anything(box: WebBox) -> None:
    before = box.settings
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ):
        assert box.request("PATCH", "/api/settings", {"tempo": 41}, headers=headers).status == 403
        action = box.request("POST", "/api/actions/next_piece", headers=headers)
        assert action.status == 403
    assert box.settings == before
    same = {"Origin": f"http://127.0.0.1:{box.port}"}
    assert box.request("PATCH", "/api/settings", {"tempo": 81}, headers=same).status == 200


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_responses_conform_to_openapi(box: WebBox, mode: GenerationMode) -> None:
    eventually(lambda: box.request("GET", "/api").status == 200)
    document = box.get("/api")
    endless = {
        path for path, item in document["paths"].items() if item.get("get", {}).get("x-endless")
    }
    described = schemathesis.openapi.from_dict(document)
    tried = set()
    for result in described.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if operation.path in endless:
            continue
        has_input = "{" in operation.path or operation.body
        if mode is GenerationMode.NEGATIVE and not has_input:
            continue

        @given(operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=5,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def holds(case: Any) -> None:
            case.call_and_validate(base_url=box.url, checks=CHECKS)

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


def upgraded(box: WebBox) -> socket.socket:
    talk = socket.create_connection(("127.0.0.1", box.port), timeout=120)
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
            frame(1, b'{"actions": ["explode"]}'),
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
def test_websocket_survives_random_frames(box: WebBox, frames: list[bytes]) -> None:
    before = box.process.process.poll()
    with upgraded(box) as talk:
        for one in frames:
            try:
                talk.sendall(one)
            except OSError:
                break
    assert before is None
    assert box.request("GET", "/healthz").status in (200, 429)


def test_change_over_http_reaches_local_socket(
    box: WebBox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, box.env[name])
    box.set(tempo=123)
    assert next(ask(Request())).settings.tempo == 123


def test_rate_limit(box: WebBox) -> None:
    seen = set()
    with socket.create_connection(("127.0.0.1", box.port), timeout=120) as talk:
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        answers = talk.makefile("rb")
        # Sixty a second are allowed, and a busy machine does not answer many more.
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
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
    eventually(lambda: box.request("GET", "/healthz").status == 200)
