"""systemd is notified: ready when sound is played, alive while it is, and why it is not."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from appliance.common.install_hint import install_hint
from appliance.daemon import journal_events
from appliance.daemon.journal import JournalHandler
from appliance.errors import BachboxError
from appliance.frontends import systemd_notify
from appliance.frontends.systemd_notify import SystemdNotifier
from appliance.ipc.shared_state import ComposerState, Condition, PerformerState, SharedState
from appliance.music.events import Piece
from appliance.state.box_status import BoxStatus
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from tests.support.command import NO_CARD, bachbox, home, playing
from tests.support.running_box import eventually, hanging
from tests.support.service_manager import Listener, environment, service_manager

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)
READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Listener]:
    with service_manager(tmp_path) as listener:
        yield listener


def surroundings(tmp_path: Path, manager: Listener, watchdog_seconds: float = 0) -> dict[str, str]:
    return home(tmp_path) | environment(manager, watchdog_seconds)


def test_ready_is_sent_once_when_sound_is_played_and_stopping_at_the_end(
    tmp_path: Path, manager: Listener
) -> None:
    env = surroundings(tmp_path, manager)
    with playing("--output", "null", env=env) as box:
        manager.wait_for(READY)
        status = manager.wait_for("STATUS=Playing: Chorale in")
        assert re.search(r"; chorales, [A-Z].*, \d+ beats a minute$", status)
        assert bachbox("set", "tempo=97", env=env).code == 0
        # Another piece may have begun in between.
        eventually(lambda: manager.messages()[-1].endswith("97 beats a minute"))
        assert bachbox("set", "playing=off", env=env).code == 0
        manager.wait_for("STATUS=Paused: Chorale in")
        assert box.end() == 0
    messages = manager.messages()
    assert messages.count(READY) == messages.count(STOPPING) == 1
    assert messages[-1] == STOPPING
    assert ALIVE not in messages  # Nobody asked for it.


def test_box_without_a_card_is_ready_and_alive_and_its_status_says_that_it_waits(
    tmp_path: Path, manager: Listener
) -> None:
    env = surroundings(tmp_path, manager, 8)
    with playing("--output", NO_CARD, env=env) as box:
        manager.wait_for(READY)
        manager.wait_for("STATUS=No sound card; plays as soon as there is one")
        manager.wait_for(ALIVE, 3)
        assert box.end() == 0


def test_paused_box_is_alive(tmp_path: Path, manager: Listener) -> None:
    env = surroundings(tmp_path, manager, 4)
    with playing("--output", "null", env=env) as box:
        manager.wait_for(READY)
        assert bachbox("set", "playing=off", env=env).code == 0
        manager.wait_for("STATUS=Paused")
        manager.wait_for(ALIVE, 3, after=time.monotonic())
        assert box.end() == 0


def test_hanging_daemon_sends_nothing(tmp_path: Path, manager: Listener) -> None:
    env = surroundings(tmp_path, manager, 2)
    with playing("--output", "null", env=env) as box:
        manager.wait_for(ALIVE, 2)
        box.process.send_signal(signal.SIGSTOP)
        eventually(lambda: psutil.Process(box.process.pid).status() == psutil.STATUS_STOPPED)
        hung_at = manager.caught_up()
        time.sleep(2.5)
        manager.caught_up()
        assert manager.count(ALIVE, after=hung_at) == 0
        box.process.send_signal(signal.SIGCONT)
        manager.wait_for(ALIVE, after=hung_at)


def test_watchdog_gets_no_ping_while_a_child_hangs(tmp_path: Path, manager: Listener) -> None:
    env = surroundings(tmp_path, manager, 2)
    with playing("--output", "null", env=env) as box:
        for name in ("composer", "performer"):
            manager.wait_for(ALIVE, 2, after=time.monotonic())
            with hanging(box.child(name).pid):
                hung_at = manager.caught_up()
                time.sleep(4.0)
                # For what was done before it hung.
                assert manager.count(ALIVE, after=hung_at) <= 1
            # The supervisor replaces it.
            manager.wait_for(ALIVE, after=hung_at)
        assert box.end() == 0


def test_watchdog_of_another_process_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    assert systemd_notify.watchdog_timeout_s() == 3.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert systemd_notify.watchdog_timeout_s() == 3.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd_notify.watchdog_timeout_s() is None
    monkeypatch.delenv("WATCHDOG_PID")
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert systemd_notify.watchdog_timeout_s() is None


def test_systemd_python_is_needed_only_under_systemd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "systemd", None)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert systemd_notify.frontends() == []
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    with pytest.raises(BachboxError, match=re.escape(install_hint("systemd"))):
        systemd_notify.frontends()


def test_watchdog_needs_both_frames_and_notes() -> None:
    shared = SharedState.create()
    settings = Settings(
        RequestedSettings(model="chorales"), lambda: ["chorales"], lambda _: DEFAULTS
    )
    box = BoxStatus(shared, settings, lambda: 0, dict)
    told: list[str] = []
    counts = itertools.count(1)

    async def look() -> None:
        task = asyncio.create_task(SystemdNotifier(told.append, 0.04).run(settings, box))

        async def pings(frames: bool, notes: bool, state: Condition) -> int:
            performer, composer = shared.performer.read(), shared.composer.read()
            told.clear()
            for _ in range(10):
                at = next(counts)
                shared.performer.write(
                    performer._replace(
                        heartbeat=at,
                        frames_played=at if frames else performer.frames_played,
                        condition=state,
                        piece=Piece(1, 7, True, 4, 0, 0),
                    )
                )
                shared.composer.write(
                    composer._replace(heartbeat=at, notes=at if notes else composer.notes)
                )
                await asyncio.sleep(0.02)
            return told.count(ALIVE)

        shared.performer.write(PerformerState())
        shared.composer.write(ComposerState())
        assert await pings(frames=True, notes=False, state=Condition.STARTING) == 0
        assert READY not in told
        assert await pings(frames=False, notes=True, state=Condition.PLAYING) <= 1
        assert await pings(frames=True, notes=False, state=Condition.PLAYING) <= 1
        assert await pings(frames=True, notes=True, state=Condition.PLAYING) > 1
        assert await pings(frames=False, notes=False, state=Condition.PAUSED) > 1
        assert await pings(frames=False, notes=False, state=Condition.NO_SOUND_CARD) > 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(look())
    assert told[-1] == STOPPING
    shared.close()


def test_journal_gets_fields_and_the_sentence_and_tracebacks() -> None:
    sent: list[tuple[str, dict[str, object]]] = []
    handler = JournalHandler(lambda message, **given: sent.append((message, given)))
    logger = logging.getLogger("appliance.test")
    logger.addHandler(handler)
    try:
        logger.warning(
            "the %s hangs and is killed", "composer",
            extra={"event": journal_events.CHILD_HANGS, "child": "composer"},
        )  # fmt: skip
        logger.info("performer: plays on default")
        try:
            raise TypeError("wrong type")
        except TypeError:
            logger.exception("a bug in Bachbox")
    finally:
        logger.removeHandler(handler)
    (hangs, given), (plain, others), (bug, about_it) = sent
    assert hangs == "the composer hangs and is killed"
    assert given["MESSAGE_ID"] == journal_events.CHILD_HANGS.id
    assert (given["PRIORITY"], given["BACHBOX_CHILD"]) == ("4", "composer")
    assert plain == "performer: plays on default"
    assert (others["MESSAGE_ID"], others["PRIORITY"]) == (None, "6")
    assert not any(name.startswith("BACHBOX_") for name in others)
    assert bug.startswith("a bug in Bachbox\nTraceback (most recent call last):")
    assert (about_it["MESSAGE_ID"], about_it["PRIORITY"]) == (journal_events.BUG.id, "3")
    assert about_it["CODE_FUNC"] == "test_journal_gets_fields_and_the_sentence_and_tracebacks"


def test_journal_events_are_listed_and_unique() -> None:
    known = {
        name: value
        for name, value in vars(journal_events).items()
        if isinstance(value, journal_events.JournalEvent)
    }
    ids = [event.id for event in known.values()]
    assert len(set(ids)) == len(ids)
    page = (Path(__file__).parents[2] / "docs" / "journal.md").read_text()
    assert sorted(re.findall(r"`([0-9a-f]{32})`", page)) == sorted(ids)
