"""Who may do what: guests, sessions, passwords; and what a forger gets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import BachboxError, UsageError
from appliance.frontends.web import passwords
from appliance.frontends.web.access import Buckets
from appliance.frontends.web.metrics import _escaped
from appliance.frontends.web.passwords import Passwords, check_hash, fits, hash_of
from tests.support.command import bachbox
from tests.support.web_server import house

GOOD = "a good password"


@pytest.fixture
def hashed() -> str:
    return hash_of(GOOD)


def test_a_hash_fits_its_password_alone_and_tells_nothing(hashed: str) -> None:
    assert fits(GOOD, hashed)
    assert not fits(GOOD + " ", hashed)
    assert not fits("", hashed)
    assert hash_of(GOOD) != hashed, "each has a salt of its own"
    assert GOOD not in hashed
    assert hashed.startswith("$scrypt$ln=14,r=8,p=5$")


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_what_is_no_hash_fits_nothing_and_is_refused(text: str) -> None:
    assert not fits(GOOD, text)
    with pytest.raises(UsageError, match="bachbox hash-password"):
        check_hash(text)


def test_a_hash_that_would_cost_too_much_is_refused() -> None:
    salt, key = "A" * 22, "A" * 43
    for cost in ("ln=24,r=8,p=1", "ln=14,r=99,p=1", "ln=14,r=8,p=99", "ln=0,r=8,p=1"):
        with pytest.raises(UsageError):
            check_hash(f"$scrypt${cost}${salt}${key}")


def test_a_session_lives_over_a_restart_and_ends_with_the_password(
    tmp_path: Path, hashed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Passwords(tmp_path, hashed)
    session = before.begin()
    again = Passwords(tmp_path, hashed)
    assert again.session(session.token) == session
    assert Passwords(tmp_path, hash_of("another one")).session(session.token) is None
    assert Passwords(tmp_path).session(session.token) is None
    monkeypatch.setattr(passwords, "SESSION_S", -1)
    assert again.session(again.begin().token) is None


@given(st.text(max_size=120), st.integers(0, 150), st.characters())
@settings(max_examples=300)
def test_no_forged_session_is_believed(text: str, at: int, sign: str) -> None:
    assert KEPT.session(text) is None
    changed = TOKEN[:at] + sign + TOKEN[at + 1 :]
    assert changed == TOKEN or KEPT.session(changed) is None


def test_the_key_and_the_password_are_for_the_boxs_eyes_only(tmp_path: Path) -> None:
    kept = Passwords(tmp_path / "state")
    kept.choose(GOOD)
    file = tmp_path / "state" / passwords.FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert GOOD not in file.read_text()
    assert Passwords(tmp_path / "state").fits(GOOD)
    with pytest.raises(UsageError, match="8 to 200 characters"):
        kept.choose("short")


def test_a_broken_password_file_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / passwords.FILE_NAME).write_text('{"key": "xyz"}')
    with pytest.raises(BachboxError, match="there is no page"):
        Passwords(tmp_path)


def test_a_bucket_gives_what_it_holds_and_then_what_flows_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    buckets = Buckets(per_s=2.0, most=3.0)
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0
    now[0] += 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 0.5]
    for number in range(5000):
        buckets.take(str(number))
    assert len(buckets._left) <= 1024


def test_the_command_gives_a_line_for_the_config(tmp_path: Path) -> None:
    said = bachbox("password", "--stdin", env=os.environ.copy(), stdin=f"{GOOD}\n")
    assert said.code == 0, said.err
    config = tmp_path / "bachbox.toml"
    config.write_text(said.out)
    shown = bachbox("config", "--config", config, env=os.environ.copy())
    assert 'password_hash = "********"' in shown.out
    short = bachbox("password", "--stdin", env=os.environ.copy(), stdin="x\n")
    short.is_one_sentence(2, "8 to 200 characters")
    config.write_text('[web]\nport = 8080\npassword_hash = "geheim"\n')
    wrong = bachbox("config", "--config", config, env=os.environ.copy())
    wrong.is_one_sentence(2, "bachbox hash-password")
    assert "geheim" not in wrong.err


def test_with_a_password_guests_look_and_sessions_steer(tmp_path: Path, hashed: str) -> None:
    with house(tmp_path, f'password_hash = "{hashed}"') as one:
        assert one.get("/api/session")["may"] == "look"
        refused = one.ask("PATCH", "/api/settings", {"tempo": 50})
        assert refused.status == 401
        assert "POST /api/session" in refused.json["error"]
        assert one.ask("POST", "/api/actions/next_piece").status == 401
        assert one.ask("POST", "/api/session", {"password": "wrong"}).status == 403
        entered = one.ask("POST", "/api/session", {"password": GOOD})
        assert entered.status == 200
        set_cookie = str(entered.headers["Set-Cookie"])
        assert "HttpOnly" in set_cookie
        assert "SameSite=Strict" in set_cookie
        cookie = {"Cookie": entered.cookie}
        assert one.ask("GET", "/api/session", headers=cookie).json["may"] == "control"
        # The cookie alone, which a browser sends by itself, is not enough.
        assert one.ask("PATCH", "/api/settings", {"tempo": 50}, headers=cookie).status == 403
        wrong = cookie | {"X-CSRF-Token": "0" * 64}
        assert one.ask("PATCH", "/api/settings", {"tempo": 50}, headers=wrong).status == 403
        right = cookie | {"X-CSRF-Token": entered.json["csrf"]}
        assert one.ask("PATCH", "/api/settings", {"tempo": 50}, headers=right).status == 200
        left = one.ask("DELETE", "/api/session", headers=right)
        assert left.json["may"] == "look"
        assert "Max-Age=0" in str(left.headers["Set-Cookie"])
        stands = one.ask("POST", "/api/password", {"password": "mine, mine", "old": GOOD})
        assert stands.status == 422
        assert "config file" in stands.json["error"]


def test_guests_may_be_shut_out(tmp_path: Path, hashed: str) -> None:
    with house(tmp_path, f'password_hash = "{hashed}"\nguests = "off"') as one:
        for path in ("/api/now", "/api/health", "/metrics", "/api/roll", "/api/live"):
            assert one.ask("GET", path).status == 401, path
        for path in ("/", "/static/app.js", "/api", "/healthz", "/api/session"):
            assert one.ask("GET", path).status == 200, path


def test_a_guest_may_be_let_in_all_the_way_and_nobody_by_mistake(tmp_path: Path) -> None:
    with house(tmp_path, 'guests = "read"') as one:
        refused = one.ask("PATCH", "/api/settings", {"tempo": 50})
        assert refused.status == 401
        assert "`bachbox hash-password` makes one" in refused.json["error"]
        assert one.ask("POST", "/api/session", {"password": GOOD}).status == 409
        # Nobody chooses a password where the config does not ask for it.
        assert one.ask("POST", "/api/password", {"password": GOOD}).status == 409


def test_the_first_password_is_chosen_once_and_changed_with_the_old(tmp_path: Path) -> None:
    with house(tmp_path, 'first_visit = "password"') as one:
        assert one.get("/api/session") == {
            "may": "nothing", "password_is_set": False, "has_to_choose": True, "csrf": "",
        }  # fmt: skip
        short = one.ask("POST", "/api/password", {"password": "short"})
        assert short.status == 422
        elsewhere = {"Origin": "http://evil.example"}
        answer = one.ask("POST", "/api/password", {"password": GOOD}, headers=elsewhere)
        assert answer.status == 403
        assert one.ask("POST", "/api/password", {"password": GOOD}).status == 200
        assert one.get("/api/session")["may"] == "look"
        assert one.ask("POST", "/api/password", {"password": "mine, mine"}).status == 403
        changed = one.ask("POST", "/api/password", {"password": "another one", "old": GOOD})
        assert changed.status == 200


def test_a_port_that_is_taken_is_told_and_the_music_plays(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        other = tmp_path / "other"
        other.mkdir()
        config = other / "bachbox.toml"
        config.write_text(f'[sound]\noutput = "null"\n[web]\nport = {one.port}\n')
        from tests.support.command import home, playing

        with playing("--config", config, env=home(other)) as second:
            second.wait_for(rf"page: no page at 127.0.0.1, port {one.port} \(Address already in")
            second.wait_for("piece 1")
            assert second.end() == 0


def test_labels_of_metrics_hold_any_name() -> None:
    assert _escaped('a"b\\c\nd') == 'a\\"b\\\\c\\nd'


KEPT: Passwords
TOKEN: str


@pytest.fixture(scope="module", autouse=True)
def _a_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    global KEPT, TOKEN
    KEPT = Passwords(tmp_path_factory.mktemp("kept"), hash_of(GOOD))
    TOKEN = KEPT.begin().token
