"""Fixtures, test tiers and Hypothesis profiles shared by all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from appliance.frontends import local_socket
from tests.support.priority import before_others
from tests.support.virtual_card import SOUNDFONT, VirtualCard, virtual_card

# Under nohup or behind a "&" of a script these are ignored, and what tests start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

TIERS: Final = ("unit", "process", "sound")
"""In the order in which they run. ``debian`` is a machine of its own: ``tests/systemd``."""

_TIER_OF: Final = {
    # Nothing is started, nothing is heard.
    "audio": "unit",
    "common": "unit",
    "composing": "unit",
    "config": "unit",
    "daemon": "unit",
    "frontends": "unit",
    "fuzz": "unit",
    "ipc": "unit",
    "music": "unit",
    "state": "unit",
    "test_code_size.py": "unit",
    "test_public_api.py": "unit",
    "training": "unit",
    # Commands and whole boxes are started; they play into a file or into nothing.
    "cli": "process",
    "composing/test_delegates.py": "process",
    "deployment": "process",
    "frontends/gpio/test_gpio_frontend.py": "process",
    "frontends/test_security.py": "process",
    "frontends/web": "process",
    "state/test_store.py": "process",
    "system": "process",
    "workers": "process",
    # A sound card, a browser or a broker takes part.
    "audio/test_outputs.py": "sound",
    "frontends/mqtt/test_broker_faults.py": "sound",
    "frontends/mqtt/test_clock_and_voices.py": "sound",
    "frontends/mqtt/test_mqtt.py": "sound",
    "frontends/mqtt/test_mqtt_while_playing.py": "sound",
    "frontends/mqtt/test_ways_to_the_broker.py": "sound",
    "frontends/streaming": "sound",
    "frontends/web/page": "sound",
    "frontends/web/test_history_api.py": "sound",
    "frontends/web/test_listen.py": "sound",
    "frontends/web/test_overload.py": "sound",
    "frontends/web/test_proxies.py": "sound",
    "system/test_changing_output.py": "sound",
    "system/test_faults.py": "sound",
    "system/test_play.py": "sound",
    "system/test_supervision.py": "sound",
    "system/test_turning_knobs.py": "sound",
    "workers/test_performer_process.py": "sound",
    # Not collected by name; `make test-training` and `make test-homeassistant` run them.
    "acceptance": "process",
}
"""Folder or module below ``tests`` to tier; the longest name that fits decides."""

_TOGETHER: Final = ("composing/test_composed_pieces.py", "music/files/test_midi_writer.py")
"""They look at the same pieces, which take long to compose, so one worker runs them."""

_PAGE: Final = "frontends/web/page"
"""Its modules share a box and a browser, so one worker runs them."""

_APART: Final = (
    "composing/test_composer.py",
    "frontends/mqtt/test_broker_faults.py",
    "system/test_faults.py",
    "system/test_play.py",
    "system/test_service.py",
    "system/test_supervision.py",
    "system/test_turning_knobs.py",
    "workers/test_composer_process.py",
    "workers/test_performer_process.py",
)
"""Their tests share nothing but the worker's sound card, so each may run in another worker."""

_LONGEST: Final = (
    "composing/test_composer.py",
    *_TOGETHER,
    _PAGE,
    "frontends/mqtt/test_mqtt_while_playing.py",
    "frontends/web/test_listen.py",
    "system/test_turning_knobs.py",
    "frontends/web/test_overload.py",
    "system/test_supervision.py",
    "system/test_play.py",
    "system/test_faults.py",
    "workers/test_composer_process.py",
)
"""They begin, so that no worker has to do one of them alone at the end."""

# How long an example takes depends on what else the machine is doing; and a test whose examples
# share a folder says so by asking for one.
settings.register_profile(
    "repeatable",
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "long", settings.get_profile("repeatable"), derandomize=False, max_examples=500
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


_terminal: pytest.TerminalReporter | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Keep hold of the terminal, which a worker of pytest-xdist has not."""
    global _terminal
    if not hasattr(config, "workerinput"):
        _terminal = config.pluginmanager.get_plugin("terminalreporter")


def _tier(path: Path) -> str:
    """The tier of a test module.

    Raises:
        pytest.UsageError: no entry of the table fits.
    """
    name = path.relative_to(Path(__file__).parent).as_posix()
    fitting = [entry for entry in _TIER_OF if name == entry or name.startswith(f"{entry}/")]
    if not fitting:
        raise pytest.UsageError(f"tests/{name} has no tier; name one in tests/conftest.py")
    return _TIER_OF[max(fitting, key=len)]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the modules of other tiers unread where one tier is asked for.

    Every worker reads all modules it collects, which costs more than many a tier's tests.
    """
    asked = config.option.markexpr
    if asked in TIERS and collection_path.name.startswith("test_"):
        return _tier(collection_path) != asked or None
    return None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test with its tier."""
    item.add_marker(_tier(item.path))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print a failure at once; pytest shows what it knows of it at the end."""
    if report.failed and _terminal is not None:
        _terminal.write_line(f"\nFAILED {report.nodeid}", red=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that passed only when they listened again."""
    for report in terminalreporter.stats.get("passed", []):
        counted = [value for name, value in report.user_properties if name == "tries"]
        if report.when == "call" and max(counted, default=1) > 1:
            terminalreporter.write_line(f"repeated: {report.nodeid}: {max(counted)} tries")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the quick tiers first, and in each first what takes longest."""

    def place(item: pytest.Item) -> tuple[int, int]:
        module = _module(item.nodeid)
        module = _PAGE if module.startswith(_PAGE) else module
        place = _LONGEST.index(module) if module in _LONGEST else len(_LONGEST)
        return TIERS.index(_tier(item.path)), place

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give modules to the workers as wholes, but for those of the lists above."""
    return _ModuleScheduling(config, log)


class _ModuleScheduling(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        module = _module(nodeid)
        if module in _APART:
            return nodeid
        if module.startswith(_PAGE):
            return _PAGE
        return "together" if module in _TOGETHER else module


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/")


@pytest.fixture(scope="module", autouse=True)
def _ahead_of_other_programs(request: pytest.FixtureRequest) -> Iterator[None]:
    """A card and a browser cannot wait for what else the machine has to do."""
    if _tier(request.path) != "sound":
        yield
        return
    with before_others():
        yield


@pytest.fixture(scope="session", autouse=True)
def _separate_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the user's settings and running box."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
            patch.delenv(name, raising=False)
        # On a busy machine a running box takes longer to answer than people wait.
        patch.setattr(local_socket, "RESPONSE_TIMEOUT_S", 60.0)
        yield


@pytest.fixture(scope="session")
def card() -> Iterator[VirtualCard]:
    """A virtual sound card that all tests share; a test that unplugs one makes its own."""
    with virtual_card() as plugged_in:
        yield plugged_in


@pytest.fixture(autouse=True)
def _card_that_plays(request: pytest.FixtureRequest) -> None:
    """The shared card's server, a program of others, has not died since the test before."""
    card = request.getfixturevalue("card") if "card" in request.fixturenames else None
    if isinstance(card, VirtualCard):
        card.revive()


@pytest.fixture(scope="session")
def soundfont() -> Path:
    """Debian's small General MIDI soundfont."""
    assert SOUNDFONT.is_file(), "run `make test`, which installs the package timgm6mb-soundfont"
    return SOUNDFONT
