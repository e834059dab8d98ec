"""The settings stay true to what plays when an output or a soundfont cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.daemon import output_guard
from appliance.daemon.output_guard import OutputGuard
from appliance.errors import UsageError
from appliance.ipc.shared_state import LiveSettings, OutputState, SharedState
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings

DEFAULTS = ModelDefaults(80, 0.9, 0.95, 19)


class Box:
    """A guard, and a performer that says what the test says."""

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self.restarts = 0
        self.settings = Settings(
            RequestedSettings(model="a"),
            lambda: ["a"],
            lambda _: DEFAULTS,
            {"soundfont": lambda: ["default", "large", "broken"]},
        )
        self.guard = OutputGuard(shared, self.settings, lambda: self.restarts)
        self.settings.observe(lambda *_: self.write())
        self.write()
        self.plays("default", "default")

    def write(self) -> None:
        wanted = self.settings.requested
        self.shared.live_settings.write(
            LiveSettings(output=wanted.output, soundfont=wanted.soundfont)
        )

    def plays(self, output: str, font: str, refused: str = "", problem: str = "") -> None:
        self.shared.output.write(OutputState(output, output, font, refused, problem, "kitchen"))
        self.guard.check()

    @property
    def set_to(self) -> tuple[str, str]:
        return self.settings.requested.output, self.settings.requested.soundfont


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setattr(output_guard, "hardware_cards", list)
    shared = SharedState.create()
    yield Box(shared)
    shared.close()


def test_the_choices_are_the_cards_that_there_are(box: Box) -> None:
    assert box.settings.options("output") == ["default", "kitchen", "null"]
    with pytest.raises(UsageError, match="there is no output 'Kitchens'; there are: default, k"):
        box.settings.change("output", "Kitchens")
    with pytest.raises(UsageError, match="there is no output"):
        box.settings.change("output", "wav:/etc/passwd")
    assert box.settings.change("output", "KITCHEN").output == "kitchen"


def test_a_card_that_is_kept_and_absent_stays_set_and_is_a_choice(box: Box) -> None:
    box.settings.restore("output", "Speakers")
    assert box.set_to[0] == "Speakers"
    assert "Speakers" in box.settings.options("output")
    with pytest.raises(UsageError):
        box.settings.restore("output", "pipe:/run/x")


def test_what_works_stays(box: Box) -> None:
    box.settings.change("output", "kitchen")
    box.guard.check()
    assert box.set_to == ("kitchen", "default"), "it has time"
    box.plays("kitchen", "default")
    box.settings.change("soundfont", "large")
    box.plays("kitchen", "large")
    assert box.set_to == ("kitchen", "large")


def test_what_is_refused_goes_back_and_the_reason_is_logged(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    box.settings.change("output", "kitchen")
    box.plays("default", "default", refused="kitchen", problem="mpd uses it")
    assert box.set_to == ("default", "default")
    assert "output kitchen: mpd uses it; default plays on" in caplog.text
    box.settings.change("soundfont", "broken")
    box.plays("default", "default", refused="broken", problem="it is damaged")
    assert box.set_to == ("default", "default")
    assert "soundfont broken: it is damaged; default plays on" in caplog.text


def test_a_soundfont_that_crashes_the_performer_goes_back(box: Box) -> None:
    box.settings.change("soundfont", "broken")
    box.guard.check()
    box.restarts = 1
    box.guard.check()
    assert box.set_to == ("default", "default")


def test_a_crash_with_what_worked_changes_nothing(box: Box) -> None:
    box.restarts = 3
    box.guard.check()
    assert box.set_to == ("default", "default")
    assert not box.guard.return_to_working("a reason")
