"""The Home Assistant app: the Supervisor takes its description, and its start makes a config."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from appliance import __version__
from appliance.config import loader
from appliance.frontends.web.static_files import STATIC

ROOT = Path(__file__).parents[2]
ADDON = ROOT / "deploy" / "homeassistant-addon"

SCHEMA_ELEMENT = re.compile(
    r"^(str|bool|int|float|email|url|password|port|match\(.*\)|list\(.+\))\??$"
)
"""As the Supervisor's addons/options.py has it, without ranges."""

TOP_KEYS = {
    "name", "version", "slug", "description", "arch", "init", "startup", "boot", "ingress",
    "ingress_port", "panel_icon", "panel_title", "ports", "ports_description", "watchdog", "audio",
    "services", "options", "schema",
}  # fmt: skip
"""Those of the Supervisor's addons/validate.py that are used; it silently ignores others."""

BROKER = {
    "host": "core-mosquitto",
    "port": 1883,
    "username": "addons",
    "password": 'a"b',
    "ssl": False,
}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ADDON / "config.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_addon", ADDON / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_supervisor_takes_the_description(described: dict[str, Any]) -> None:
    assert set(described) == TOP_KEYS
    assert described["version"] == __version__
    assert set(described["arch"]) <= {"amd64", "aarch64"}
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", described["slug"])
    pattern = r"^(?:https?|\[PROTO:\w+\]|tcp):\/\/\[HOST\]:(\[PORT:\d+\]|\d+).*$"
    assert re.match(pattern, described["watchdog"])
    assert all(re.match(r"^(mqtt|mysql):(provide|want|need)$", it) for it in described["services"])
    assert (described["startup"], described["boot"]) == ("application", "auto")


def test_the_documents_call_the_buttons_of_the_page_by_their_names() -> None:
    pressed = re.findall(r"press\s+\*(.+?)\*", (ADDON / "DOCS.md").read_text())
    assert pressed == [json.loads((STATIC / "texts.en.json").read_text())["listen"]["off"]]


def test_every_option_has_a_kind_a_default_and_words_in_each_language(
    described: dict[str, Any],
) -> None:
    kinds = described["schema"]
    for name, kind in kinds.items():
        kind = kind[0] if isinstance(kind, list) else kind
        assert SCHEMA_ELEMENT.match(kind), name
        assert name in described["options"] or kind.endswith("?"), name
    for path in (ADDON / "translations").glob("*.yaml"):
        words = yaml.safe_load(path.read_text())
        assert set(words["configuration"]) == set(kinds), path.name
        assert set(words["network"]) == set(described["ports"]), path.name


def test_its_defaults_and_a_broker_make_a_config(
    described: dict[str, Any], run: ModuleType
) -> None:
    text = run.config(described["options"], BROKER, Path("/data/bachbox/mqtt-password"))
    made = loader.parse(text, Path("/data/bachbox/bachbox.toml"))
    assert made.sound.output == "null"
    assert made.web.port == described["ingress_port"]
    assert made.web.allowed_hosts == ("homeassistant.local",)
    assert made.web.anonymous_access == "full"
    assert (made.mqtt.host, made.mqtt.port, made.mqtt.username) == (
        "core-mosquitto",
        1883,
        "addons",
    )
    assert 'a"b' not in text


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=3), st.text(max_size=30))
def test_no_option_can_break_the_file(
    run: ModuleType, output: str, hosts: list[str], icecast: str
) -> None:
    options = {"output": output, "allowed_hosts": hosts, "icecast": icecast}
    document = tomllib.loads(run.config(options, {}, Path("unused")))
    assert document["web"]["allowed_hosts"] == hosts
    assert document["sound"]["output"] == (output or "null")
    assert set(document) == {"sound", "web", "stream"}


def test_the_start_hands_over_to_bachbox_without_the_supervisors_token(
    run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(run, "DATA", tmp_path)
    monkeypatch.setattr(run, "broker", lambda: BROKER)
    monkeypatch.setattr(run.os, "getuid", lambda: 1000)
    monkeypatch.setattr(run.os, "umask", lambda _mask: 0)
    monkeypatch.setattr(run.sys, "argv", ["run-addon"])
    environment = {"SUPERVISOR_TOKEN": "secret", "PATH": "/usr/bin"}
    monkeypatch.setattr(run.os, "environ", environment)
    monkeypatch.setattr(run.os, "chdir", lambda _path: None)
    monkeypatch.setattr(
        run.os, "execvp", lambda _file, words: started.append((words, dict(environment)))
    )
    (tmp_path / "options.json").write_text(json.dumps({"mqtt": True, "output": "null"}))
    run.main()
    ((words, given_environment),) = started
    assert words == ["bachbox", "play", "--config", str(tmp_path / "bachbox/bachbox.toml")]
    assert "SUPERVISOR_TOKEN" not in given_environment
    assert given_environment["STATE_DIRECTORY"] == str(tmp_path / "bachbox")
    assert (tmp_path / "bachbox/mqtt-password").read_text() == 'a"b'


def test_the_container_has_a_config_that_is_allowed() -> None:
    path = ROOT / "deploy/container/bachbox.toml"
    made = loader.parse(path.read_text(), path)
    assert (made.sound.output, made.web.port, made.web.require_password) == ("null", 8080, True)
    recipe = (path.parent / "Containerfile").read_text()
    assert re.search(r"^USER bachbox$", recipe, re.MULTILINE)
    assert "http://127.0.0.1:8080/healthz" in recipe
