"""Access: passwords, sessions, permissions, rate limits."""

from __future__ import annotations

import os
import socket
import stat
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import BachboxError, UsageError
from appliance.frontends.web import passwords, sessions
from appliance.frontends.web.access import RateLimiter
from appliance.frontends.web.metrics import _escaped
from appliance.frontends.web.passwords import Passwords, check_hash, hash_password, verify_password
from tests.support.command import bachbox
from tests.support.web_server import web_box

GOOD = "a good password"


@pytest.fixture
def hashed() -> str:
    return hash_password(GOOD)


def test_password_hash_verifies_only_its_password(hashed: str) -> None:
    assert verify_password(GOOD, hashed)
    assert not verify_password(GOOD + " ", hashed)
    assert not verify_password("", hashed)
    assert hash_password(GOOD) != hashed, "each hash has its own salt"
    assert GOOD not in hashed
    assert hashed.startswith("$scrypt$ln=14,r=8,p=5$")


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_invalid_hash_verifies_nothing_and_is_refused(text: str) -> None:
    assert not verify_password(GOOD, text)
    with pytest.raises(UsageError, match="bachbox hash-password"):
        check_hash(text)


def test_hash_with_too_high_cost_is_refused() -> None:
    salt, key = "A" * 22, "A" * 43
    for cost in ("ln=24,r=8,p=1", "ln=14,r=99,p=1", "ln=14,r=8,p=99", "ln=0,r=8,p=1"):
        with pytest.raises(UsageError):
            check_hash(f"$scrypt${cost}${salt}${key}")


def test_session_survives_restart_and_ends_with_password(
    tmp_path: Path, hashed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Passwords(tmp_path, hashed)
    session = before.begin_session()
    again = Passwords(tmp_path, hashed)
    assert again.session(session.token) == session
    assert Passwords(tmp_path, hash_password("another one")).session(session.token) is None
    assert Passwords(tmp_path).session(session.token) is None
    monkeypatch.setattr(sessions, "SESSION_S", -1)
    assert again.session(again.begin_session().token) is None


@given(st.text(max_size=120), st.integers(0, 150), st.characters())
@settings(max_examples=300)
def test_forged_session_is_refused(text: str, at: int, sign: str) -> None:
    assert PASSWORDS.session(text) is None
    changed = TOKEN[:at] + sign + TOKEN[at + 1 :]
    assert changed == TOKEN or PASSWORDS.session(changed) is None


def test_password_file_is_private(tmp_path: Path) -> None:
    saved = Passwords(tmp_path / "state")
    saved.set_password(GOOD)
    file = tmp_path / "state" / passwords.FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert GOOD not in file.read_text()
    assert Passwords(tmp_path / "state").verify(GOOD)
    with pytest.raises(UsageError, match="8 to 200 characters"):
        saved.set_password("short")


def test_damaged_password_file_prevents_start(tmp_path: Path) -> None:
    (tmp_path / passwords.FILE_NAME).write_text('{"key": "xyz"}')
    with pytest.raises(BachboxError, match="there is no page"):
        Passwords(tmp_path)


def test_rate_limiter_allows_burst_then_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    limiter = RateLimiter(per_s=2.0, burst=3.0)
    assert [limiter.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert limiter.take("b") == 0.0
    now[0] += 0.5
    assert [limiter.take("a"), limiter.take("a")] == [0.0, 0.5]
    for number in range(5000):
        limiter.take(str(number))
    assert len(limiter._buckets) <= 1024


def test_hash_password_command_prints_config_line(tmp_path: Path) -> None:
    result = bachbox("hash-password", "--stdin", env=os.environ.copy(), stdin=f"{GOOD}\n")
    assert result.code == 0, result.err
    config = tmp_path / "bachbox.toml"
    config.write_text(result.out)
    shown = bachbox("config", "--config", config, env=os.environ.copy())
    assert 'password_hash = "********"' in shown.out
    short = bachbox("hash-password", "--stdin", env=os.environ.copy(), stdin="x\n")
    short.is_one_sentence(2, "8 to 200 characters")
    config.write_text('[web]\nport = 8080\npassword_hash = "geheim"\n')
    wrong = bachbox("config", "--config", config, env=os.environ.copy())
    wrong.is_one_sentence(2, "bachbox hash-password")
    assert "geheim" not in wrong.err


def test_with_password_anonymous_clients_read_and_sessions_control(
    tmp_path: Path, hashed: str
) -> None:
    with web_box(tmp_path, f'password_hash = "{hashed}"') as one:
        assert one.get("/api/session")["permission"] == "read"
        refused = one.request("PATCH", "/api/settings", {"tempo": 50})
        assert refused.status == 401
        assert "POST /api/session" in refused.json["error"]
        assert one.request("POST", "/api/actions/next_piece").status == 401
        assert one.request("POST", "/api/session", {"password": "wrong"}).status == 403
        logged_in = one.request("POST", "/api/session", {"password": GOOD})
        assert logged_in.status == 200
        set_cookie = str(logged_in.headers["Set-Cookie"])
        assert "HttpOnly" in set_cookie
        assert "SameSite=Strict" in set_cookie
        cookie = {"Cookie": logged_in.cookie}
        assert one.request("GET", "/api/session", headers=cookie).json["permission"] == "control"
        # Browsers send the cookie with any request, so it is not enough.
        assert one.request("PATCH", "/api/settings", {"tempo": 50}, headers=cookie).status == 403
        wrong = cookie | {"X-CSRF-Token": "0" * 64}
        assert one.request("PATCH", "/api/settings", {"tempo": 50}, headers=wrong).status == 403
        right = cookie | {"X-CSRF-Token": logged_in.json["csrf_token"]}
        assert one.request("PATCH", "/api/settings", {"tempo": 50}, headers=right).status == 200
        left = one.request("DELETE", "/api/session", headers=right)
        assert left.json["permission"] == "read"
        assert "Max-Age=0" in str(left.headers["Set-Cookie"])
        stands = one.request(
            "POST", "/api/password", {"password": "mine, mine", "old_password": GOOD}
        )
        assert stands.status == 422
        assert "config file" in stands.json["error"]


def test_anonymous_access_off(tmp_path: Path, hashed: str) -> None:
    with web_box(tmp_path, f'password_hash = "{hashed}"\nanonymous_access = "off"') as one:
        for path in ("/api/now", "/api/health", "/metrics", "/api/roll", "/api/live"):
            assert one.request("GET", path).status == 401, path
        for path in ("/", "/static/app.js", "/api", "/healthz", "/api/session"):
            assert one.request("GET", path).status == 200, path


def test_anonymous_access_read_without_password(tmp_path: Path) -> None:
    with web_box(tmp_path, 'anonymous_access = "read"') as one:
        refused = one.request("PATCH", "/api/settings", {"tempo": 50})
        assert refused.status == 401
        assert "`bachbox hash-password` makes one" in refused.json["error"]
        assert one.request("POST", "/api/session", {"password": GOOD}).status == 409
        # A password can be chosen on the page only where the config asks for it.
        assert one.request("POST", "/api/password", {"password": GOOD}).status == 409


def test_first_password_is_chosen_once_and_changed_with_old_one(tmp_path: Path) -> None:
    with web_box(tmp_path, "require_password = true") as one:
        assert one.get("/api/session") == {
            "permission": "none", "password_is_set": False, "must_choose_password": True,
            "csrf_token": "",
        }  # fmt: skip
        short = one.request("POST", "/api/password", {"password": "short"})
        assert short.status == 422
        elsewhere = {"Origin": "http://evil.example"}
        answer = one.request("POST", "/api/password", {"password": GOOD}, headers=elsewhere)
        assert answer.status == 403
        assert one.request("POST", "/api/password", {"password": GOOD}).status == 200
        assert one.get("/api/session")["permission"] == "read"
        assert one.request("POST", "/api/password", {"password": "mine, mine"}).status == 403
        changed = one.request(
            "POST", "/api/password", {"password": "another one", "old_password": GOOD}
        )
        assert changed.status == 200


def test_a_port_in_use_is_reported_and_the_page_comes_when_it_is_free(tmp_path: Path) -> None:
    """Like an address that this machine gets only when its network is there."""
    config = tmp_path / "bachbox.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(f'[sound]\noutput = "null"\n[web]\nport = {port}\n')
        from tests.support.command import home, playing

        with playing("--config", config, env=home(tmp_path)) as box:
            box.wait_for(
                rf"web: cannot listen on 127.0.0.1, port {port} \(Address already in use\); "
                "choose another .* trying again"
            )
            box.wait_for("piece 1")
            taken.close()
            box.wait_for(f"web: listens on port {port} now")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                assert b"Bachbox" in answer.read()
            assert box.end() == 0


def test_metrics_labels_are_escaped() -> None:
    assert _escaped('a"b\\c\nd') == 'a\\"b\\\\c\\nd'


PASSWORDS: Passwords
TOKEN: str


@pytest.fixture(scope="module", autouse=True)
def _a_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    global PASSWORDS, TOKEN
    PASSWORDS = Passwords(tmp_path_factory.mktemp("kept"), hash_password(GOOD))
    TOKEN = PASSWORDS.begin_session().token
