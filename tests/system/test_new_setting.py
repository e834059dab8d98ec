"""A setting that is added to the table appears everywhere, without another line of code."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import free_port
from tests.support.command import Playing, home
from tests.support.web_server import WebBox, eventually

ROOT = Path(__file__).parents[2]

ROW = """
    Setting(
        name="swing",
        kind=Number(0, 75, encoder_step=5, unit="percent", symbol="%"),
        title="Swing",
        help="How unequal two eighths are.",
        icon="swing",
        default=10.0,
        config="music.swing_percent",
        metric="swing_percent",
        metric_help="Swing in percent.",
    ),
)

NAMES: Final"""

PROBE = """
import json
from pathlib import Path
from appliance.config import loader
from appliance.frontends.mqtt import homeassistant
from appliance.frontends.mqtt.topics import Topics
topics = Topics("kitchen")
box = homeassistant.DiscoveredDevice(topics, "Bachbox", "1", {"model": ["chorales"]})
messages = homeassistant.discovery_messages(box, "homeassistant", as_device=False)
pot = 'pots = [{ turns = "swing", channel = 0 }]'
config = loader.parse("[music]\\nswing_percent = 33\\n[gpio]\\n" + pot, Path("/x.toml"))
try:
    loader.parse("music.swing_percent = 76", Path("/x.toml"))
except loader.ConfigError as error:
    problem = str(error)
print(json.dumps({
    "config": dict((key, value) for _, key, value in loader.items(config)),
    "problem": problem,
    "address": topics.address("bachbox/kitchen/swing/set"),
    "discovery": {message.topic: json.loads(message.payload) for message in messages},
}))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, with one more row in the table."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(
        ROOT / "appliance", folder / "appliance", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "models").symlink_to(ROOT / "models")
    table = folder / "appliance" / "state" / "settings_ranges_and_steps.py"
    text = table.read_text()
    assert text.count("\n)\n\nNAMES: Final") == 1
    table.write_text(text.replace("\n)\n\nNAMES: Final", ROW))
    return folder


def environment(package: Path) -> dict[str, str]:
    return home(package) | {"PYTHONPATH": str(package)}


def run(package: Path, *arguments: str) -> str:
    """Run Python with the copy; return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(package),
        cwd=package,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def box(package: Path) -> Iterator[WebBox]:
    """The changed package, playing, with its page."""
    box = WebBox(free_port(), environment(package), package / "bachbox.toml")
    box.config.write_text(f'[web]\nport = {box.port}\n[sound]\noutput = "null"\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "appliance", "play", "--config", box.config, "--swing", "25"],
        env=box.env,
        cwd=package,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    box.process = Playing(process)
    try:
        eventually(lambda: box.request("GET", "/healthz").status in (200, 503))
        yield box
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def found(package: Path) -> dict[str, Any]:
    return dict(json.loads(run(package, "-c", PROBE)))


def test_it_is_a_key_of_the_config_file(found: dict[str, Any]) -> None:
    assert found["config"]["swing_percent"] == 33
    assert "[music] swing_percent is 76; it must be a number from 0 to 75 p" in found["problem"]


def test_it_can_be_turned_by_a_knob(found: dict[str, Any]) -> None:
    assert found["config"]["pots"][0]["turns"] == "swing"


def test_it_has_topics_and_a_discovery_message(found: dict[str, Any]) -> None:
    assert found["address"] == ["swing", "swing"]
    entity = found["discovery"]["homeassistant/number/bachbox_kitchen/swing/config"]
    assert (entity["name"], entity["icon"], entity["max"]) == ("Swing", "mdi:swing", 75)
    assert entity["state_topic"] == "bachbox/kitchen/swing"


def test_it_is_an_option(package: Path) -> None:
    shown = " ".join(run(package, "-m", "appliance", "play", "--help").split())
    assert "--swing SWING How unequal two eighths are. [0 to 75%]" in shown
    assert "swing" in run(package, "-m", "appliance", "set", "--help")


def test_it_is_set_and_shown_in_the_shell(package: Path, box: WebBox) -> None:
    assert "swing 25" in run(package, "-m", "appliance", "status")
    assert "swing 50" in run(package, "-m", "appliance", "set", "swing=50")
    assert (
        json.loads(run(package, "-m", "appliance", "status", "--json"))["settings"]["swing"] == 50
    )


def test_the_api_describes_it_and_takes_it(box: WebBox) -> None:
    properties = box.get("/api")["components"]["schemas"]["SettingsChange"]["properties"]
    number, step = properties["swing"]["anyOf"]
    assert number == {"type": "number", "minimum": 0, "maximum": 75}
    assert step["type"] == "string"
    assert all(re.search(step["pattern"], text) for text in ("+5", "-5", "+=5", "-0.5"))
    assert not any(re.search(step["pattern"], text) for text in ("5", "+", "+5%", "toggle"))
    assert box.set(swing=60)["swing"] == 60
    assert box.set(swing="+5")["swing"] == 65
    assert box.set(swing="-5")["swing"] == 60
    assert box.request("PATCH", "/api/settings", {"swing": 76}).status == 422


def test_the_page_gets_what_a_widget_needs(box: WebBox) -> None:
    [schema] = [s for s in box.get("/api/schema")["settings"] if s["name"] == "swing"]
    assert schema == {
        "name": "swing",
        "kind": "number",
        "title": "Swing",
        "help": "How unequal two eighths are.",
        "low": 0,
        "high": 75,
        "step": 1,
        "unit": "%",
    }


def test_prometheus_gets_it(box: WebBox) -> None:
    box.set(swing=40)
    metrics = box.request("GET", "/metrics").body.decode()
    assert "# HELP bachbox_swing_percent Swing in percent.\n" in metrics
    assert "\nbachbox_swing_percent 40\n" in metrics


def test_it_survives_a_restart(box: WebBox, package: Path) -> None:
    box.set(swing=44)
    stored = package / "state" / "bachbox" / "settings.json"
    eventually(lambda: json.loads(stored.read_text())["swing"] == 44)
