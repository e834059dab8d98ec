"""Changed settings survive restarts, power cuts and bad disks."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.temperament import NAMES as TEMPERAMENTS
from appliance.state import store as stores
from appliance.state.box_status import BoxStatus
from appliance.state.clock_kinds import ClockKind, HoursOfDay, TimeOfDay
from appliance.state.setting_kinds import Number, is_plain_name
from appliance.state.settings import NAMES, ModelDefaults, RequestedSettings, Settings
from appliance.state.settings_ranges_and_steps import SETTINGS
from appliance.state.store import Store
from tests.support.log_lines import log_lines

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)


NAMES_NOW = {
    "model": ["chorales", "fugues"],
    "output": ["default", "Headphones"],
    "soundfont": ["default", "Organ"],
}
"""What there is on this box now."""


def new_settings() -> Settings:
    return Settings(
        RequestedSettings(model="chorales"),
        lambda: NAMES_NOW["model"],
        lambda _: DEFAULTS,
        {name: partial(list, names) for name, names in NAMES_NOW.items()},
    )


def run_store(path: Path, work: Callable[[Settings], Any], *, seconds: float = 0.0) -> list[str]:
    """Run a store while ``work`` changes settings; return the log."""
    settings, store = new_settings(), Store(path)
    store.restore(settings)

    async def run() -> None:
        task = asyncio.create_task(store.run(settings, cast(BoxStatus, None)))
        await asyncio.sleep(0.05)
        done = work(settings)
        if asyncio.iscoroutine(done):
            await done
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with log_lines() as lines:
        asyncio.run(run())
    return lines


def restored(path: Path, *overridden: str) -> tuple[RequestedSettings, list[str]]:
    settings = new_settings()
    sentences = Store(path).restore(settings, overridden)
    return settings.requested, sentences


changes_to_make = st.one_of(
    st.tuples(st.just("playing"), st.booleans()),
    st.tuples(st.just("model"), st.sampled_from(["chorales", "fugues"])),
    st.tuples(st.just("instrument"), st.one_of(st.integers(0, 127), st.just("default"))),
    st.tuples(st.just("tempo"), st.one_of(st.floats(40, 240), st.just("default"))),
    st.tuples(st.just("temperature"), st.floats(0.1, 3)),
    st.tuples(st.just("top_p"), st.floats(0.05, 1)),
    st.tuples(st.just("volume"), st.floats(0, 100)),
    st.tuples(st.just("expression"), st.floats(0, 100)),
    st.tuples(st.just("temperament"), st.sampled_from(TEMPERAMENTS)),
    st.tuples(st.just("pitch"), st.floats(392, 466)),
)


@given(st.lists(changes_to_make))
def test_stored_settings_are_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, object]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    settings = new_settings()
    names = set()
    for name, value in changes:
        settings.change(name, value)
        names.add(name)
    stores.write(path, stores.to_stored(settings.requested, names))
    assert restored(path) == (settings.requested, [])


def test_only_changed_settings_are_restored_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    run_store(path, lambda settings: settings.change_all({"tempo": 96, "instrument": "oboe"}))
    assert restored(path) == (RequestedSettings(model="chorales", tempo=96, instrument=68), [])
    assert set(stores.read(path)) == {"tempo", "instrument"}
    # The next session adds to it.
    run_store(path, lambda settings: settings.change("tempo", "default"))
    assert restored(path)[0] == RequestedSettings(model="chorales", instrument=68)


def test_the_command_line_overrides_stored_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    run_store(path, lambda settings: settings.change_all({"tempo": 96, "volume": 30}))
    assert restored(path, "tempo")[0] == RequestedSettings(model="chorales", volume=30)


def test_a_run_without_changes_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    run_store(path, lambda settings: settings.act("next_piece"))
    assert not path.exists()


def test_a_turning_knob_is_stored_once_per_second_and_its_last_value_always(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, writes = tmp_path / "settings.json", list[float]()
    real = stores.write

    def counted(where: Path, what: stores.StoredValues) -> None:
        writes.append(time.monotonic())
        real(where, what)

    monkeypatch.setattr(stores, "write", counted)

    async def turn(settings: Settings) -> None:
        # Until it was stored while it turned; however late a busy machine does that.
        for number in itertools.count():
            settings.change("tempo", 40 + number % 200)
            await asyncio.sleep(0.01)
            if len(writes) >= 2:
                break
        settings.change("tempo", 239.5)

    run_store(path, turn)
    assert restored(path)[0].tempo == 239.5
    took_s = writes[-1] - writes[0]
    # One at once and one at the end, which do not wait.
    assert 3 <= len(writes) <= took_s / stores.WRITE_INTERVAL_S + 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[1, 2]", b'{"tempo": {"a": 1}}', b"\0" * 4096, b"[" * 100_000],
)
def test_a_file_with_other_content_is_renamed_and_the_defaults_apply(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    values, [sentence] = restored(path)
    assert values == RequestedSettings(model="chorales")
    assert sentence == (
        f"{path}: not a settings file; it is now settings.json.bad, and the defaults apply"
    )
    assert (tmp_path / "settings.json.bad").read_bytes() == content
    assert not path.exists()


def test_a_value_that_is_no_longer_allowed_is_reported_and_the_others_apply(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"tempo": 9999, "volume": 20, "model": "gone", "colour": "red"}')
    values, sentences = restored(path)
    assert values == RequestedSettings(model="chorales", volume=20)
    assert len(sentences) == 3
    assert all(str(path) in sentence for sentence in sentences)


def test_an_absent_card_stays_and_an_absent_soundfont_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"output": "Attic", "soundfont": "gone", "tempo": 96, "volume": 20}')
    values, [sentence] = restored(path)
    assert values == RequestedSettings(model="chorales", output="Attic", tempo=96, volume=20)
    assert sentence == (
        f"{path}: there is no soundfont 'gone'; there are: default, Organ; the configured value "
        "applies"
    )


@pytest.mark.parametrize("output", ["wav:/etc/passwd", "pipe:/tmp/x", "", "x" * 500])
def test_a_stored_output_that_is_no_card_is_reported(tmp_path: Path, output: str) -> None:
    path = tmp_path / "settings.json"
    stores.write(path, {"output": output, "volume": 20})
    values, [sentence] = restored(path)
    assert values == RequestedSettings(model="chorales", volume=20)
    assert sentence.startswith(f"{path}: there is no output ")


TIMES = {
    HoursOfDay: ["off", "22:00-07:00", "13:00-15:00"],
    TimeOfDay: ["off", "07:00", "09:30 Sat Sun"],
}
allowed_values = {
    setting.name: st.floats(setting.kind.low, setting.kind.high)
    if isinstance(setting.kind, Number)
    else st.sampled_from(TIMES[type(setting.kind)])
    if isinstance(setting.kind, ClockKind)
    else st.sampled_from(list(setting.kind.options(NAMES_NOW.get(setting.name, ()))))
    for setting in SETTINGS
    if setting.is_kept
}
any_value = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.text(), st.booleans())


@given(
    st.fixed_dictionaries({}, optional=allowed_values),
    st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text()), any_value, max_size=3),
)
def test_any_file_of_values_restores_to_what_is_allowed_of_it(
    tmp_path_factory: pytest.TempPathFactory, allowed: dict[str, Any], others: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    try:
        stores.write(path, allowed | others)
    except UnicodeEncodeError:
        return
    values, _ = restored(path)
    expected = new_settings()
    for name in allowed.keys() - others.keys():
        expected.change(name, allowed[name])
        assert getattr(values, name) == getattr(expected.requested, name)
    # A card that is switched off may come back, so it stays; a file is for the config alone.
    assert is_plain_name(values.output)
    for name in set(NAMES) - {"output"}:
        new_settings().change(
            name, "default" if getattr(values, name) is None else getattr(values, name)
        )


def test_a_kill_while_writing_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    code = (
        "import sys, pathlib; from appliance.state.store import write\n"
        "n = 40\n"
        "while True:\n"
        "    n = n + 1 if n < 240 else 40\n"
        "    write(pathlib.Path(sys.argv[1]), {'tempo': n, 'volume': n / 10})\n"
    )
    rng = random.Random(4)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            time.sleep(0.01)
        time.sleep(0.1 + rng.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = stores.read(path)
        assert kept["volume"] == float(kept["tempo"]) / 10
        path.unlink()


def test_a_change_is_stored_that_comes_before_the_writer_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine its thread may be late."""
    real = Store._write_changes

    def late(store: Store, *written: Any) -> None:
        time.sleep(0.3)
        real(store, *written)

    monkeypatch.setattr(Store, "_write_changes", late)
    path = tmp_path / "settings.json"
    run_store(path, lambda settings: settings.change("tempo", 60))
    assert stores.read(path) == {"tempo": 60}


def test_a_full_disk_is_reported_once_and_the_values_are_stored_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    real, full, before = stores.write, [True], list[stores.StoredValues]()

    def write(where: Path, what: stores.StoredValues) -> None:
        if full:
            full.clear()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        before.append(stores.read(where))
        real(where, what)

    monkeypatch.setattr(stores, "write", write)
    path.write_text('{"tempo": 50}')

    async def fill(settings: Settings) -> None:
        settings.change("tempo", 60)
        while full:
            await asyncio.sleep(0.01)
        settings.change("tempo", 61)

    [sentence] = run_store(path, fill, seconds=0.1)
    assert "cannot be stored (No space left on device)" in sentence
    # What was there stayed whole until there was room.
    assert before[0] == {"tempo": 50}
    assert stores.read(path) == {"tempo": 61}


def test_an_impossible_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = new_settings()
    store = Store(tmp_path / "file" / "settings.json")
    assert "the defaults apply" in " ".join(store.restore(settings))
    with pytest.raises(Exception, match="settings cannot be stored here"):
        asyncio.run(store.run(settings, cast(BoxStatus, None)))


def test_a_second_box_does_not_touch_the_file_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    said: list[str] = []

    def second(settings: Settings) -> None:
        settings.change("tempo", 96)
        code = (
            "import asyncio, sys, pathlib\n"
            "from appliance.state.store import Store\n"
            "asyncio.run(Store(pathlib.Path(sys.argv[1])).run(None, None))\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        said.append(run.stderr)

    run_store(path, second)
    assert "another Bachbox keeps its settings" in said[0]
    assert restored(path)[0].tempo == 96


def test_systemd_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/bachbox:/var/lib/more")
    assert stores.state_folder() == Path("/var/lib/bachbox")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert stores.state_folder() == Path.home() / ".local/state/bachbox"
