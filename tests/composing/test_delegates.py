"""Whatever a delegate does, the music goes on: loaded, refused, missing, gone, crashing."""

from __future__ import annotations

import faulthandler
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from appliance.composing import model_check, model_file
from appliance.composing.delegates import AUTO, EDGE_TPU, OFF, ModelLoader
from appliance.composing.interpreter import RUNTIME_VARIABLE, RUNTIMES, StepModel
from appliance.composing.model_file import ModelFile, Delegate
from tests.support.command import bachbox, home, playing
from tests.support.making_music import MODEL, altered

SOURCE = Path(__file__).parent / "delegate.c"
BOTH = RUNTIMES if sys.version_info < (3, 12) else ("ai_edge_litert",)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tests/delegate.c``, built; under Edge TPU's name, so that it can be found as that."""
    path = tmp_path_factory.mktemp("delegate") / EDGE_TPU
    built = subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", path, SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    # Any other name stands for any other delegate, which takes models as they are.
    (path.parent / "libother.so").symlink_to(path)
    return path.parent / "libother.so"


@pytest.fixture(params=BOTH)
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(RUNTIME_VARIABLE, str(request.param))
    return str(request.param)


@pytest.fixture
def crashes_are_quiet() -> Iterator[None]:
    """pytest would have the forked process print where it crashed."""
    faulthandler.disable()
    yield
    faulthandler.enable(2)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DELEGATE_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def delegated(library: Path, told: list[str]) -> ModelFile:
    return replace(model_file.load(MODEL), delegate=Delegate(str(library), None, told.append))


def test_a_delegate_is_loaded_and_asked(
    library: Path, runtime: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGATE_DOES", "pass")
    told: list[str] = []
    model, alone = StepModel(delegated(library, told)), StepModel(model_file.load(MODEL))
    assert (model.runtime, model.delegate, alone.delegate) == (runtime, str(library), "")
    assert log.read_text().split() == ["create", "prepare"]
    for feature in range(8):
        assert np.array_equal(model.step([feature]), alone.step([feature]))
    assert not told


@pytest.mark.usefixtures("runtime")
def test_a_delegate_that_takes_the_model_runs_it(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGATE_DOES", "claim")
    told: list[str] = []
    model, alone = StepModel(delegated(library, told)), StepModel(model_file.load(MODEL))
    assert not np.array_equal(model.step([1]), alone.step([1])), "it was the CPU after all"
    assert not told


@pytest.mark.usefixtures("runtime")
def test_when_the_stick_is_pulled_the_cpu_goes_on_from_the_same_state(
    library: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGATE_DOES", "fail")
    monkeypatch.setenv("DELEGATE_TOKENS", "5")  # two when it is opened
    told: list[str] = []
    model, alone = StepModel(delegated(library, told)), StepModel(model_file.load(MODEL))
    for feature in range(3):
        model.step([feature])
    assert model.delegate
    alone.state = model.state
    for feature in range(3, 9):
        assert np.array_equal(model.step([feature]), alone.step([feature]))
    assert log.read_text().split()[-1] == "gone"
    assert not model.delegate
    assert len(told) == 1
    assert "fails: the stick is gone" in told[0]


@pytest.mark.usefixtures("runtime", "crashes_are_quiet")
@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("refuse", "libother.so refuses: no stick is plugged in"),
        ("refuse-silently", "libother.so refuses: it gives no reason (is its device plugged in"),
        ("object", "cannot run this model with its delegate: these nodes are none of mine"),
        ("abort-create", "libother.so crashes (SIGABRT)"),
        ("abort-prepare", "libother.so crashes (SIGABRT)"),
        ("abort", "libother.so crashes (SIGABRT)"),
        ("hang", "libother.so has not come back for"),
    ],
)
def test_a_delegate_that_does_not_work_is_told_of_and_left_out(
    library: Path, does: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGATE_DOES", does)
    monkeypatch.setenv("DELEGATE_TOKENS", "0")
    monkeypatch.setattr(model_check, "_DELEGATE_TIMEOUT_S", 2 if does == "hang" else 20)
    told: list[str] = []
    assert ModelLoader(str(library), told.append).load(MODEL).delegate is None
    assert len(told) == 1
    assert why in told[0]
    assert told[0].endswith("; the CPU composes instead")
    assert "\n" not in told[0]


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/nowhere/libother.so", "cannot be loaded: /nowhere/libother.so: cannot open shared"),
        ("libm.so.6", "libm.so.6 is a library, but not a TensorFlow Lite delegate"),
        (str(SOURCE), "cannot be loaded"),
    ],
)
def test_what_is_no_delegate(name: str, why: str, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    assert ModelLoader(name, told.append).load(MODEL).delegate is None
    assert len(told) == 1
    assert why in told[0]
    assert "Traceback" not in capfd.readouterr().err


def test_a_library_is_tried_once(library: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process could not have the device while this one holds it."""
    monkeypatch.setenv("DELEGATE_DOES", "pass")
    models = ModelLoader(str(library), pytest.fail)
    for _ in range(3):
        assert models.load(MODEL).delegate is not None
    assert log.read_text().split().count("create") == 1


def test_after_a_death_there_is_none(library: Path, log: Path) -> None:
    told: list[str] = []
    models = ModelLoader(str(library), told.append, after_death=True)
    assert models.load(MODEL).delegate is None
    assert "died, perhaps of" in told[0]
    assert not log.exists()
    assert ModelLoader(OFF, pytest.fail, after_death=True).load(MODEL).delegate is None


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """The shipped model, and beside it what stands for its version for the Edge TPU."""
    model = tmp_path / "chorales.tflite"
    model.write_bytes(MODEL.read_bytes())
    of = model_file.load(MODEL).about.sha256
    altered(model_file.compiled_path(model), lambda about: about.update(compiled_from=of))
    return model


def test_what_is_there_is_used_unless_it_is_off(compiled: Path) -> None:
    told: list[str] = []
    # Not installed here, so it is seen to have been asked for.
    assert ModelLoader(AUTO, told.append).load(compiled).delegate is None
    assert f"the delegate {EDGE_TPU} cannot be loaded" in told[0]
    assert ModelLoader(OFF, pytest.fail).load(compiled).delegate is None
    assert ModelLoader(AUTO, pytest.fail).load(MODEL).delegate is None, "nothing was compiled"


def test_a_compiled_model_is_no_model_of_its_own(compiled: Path) -> None:
    assert model_file.listing([compiled.parent]) == [compiled]


def test_an_edge_tpu_wants_what_was_compiled_from_this_very_model(
    compiled: Path, library: Path
) -> None:
    edge_tpu = str(library.with_name(EDGE_TPU))
    told: list[str] = []
    models = ModelLoader(edge_tpu, told.append)
    found = models.load(compiled).delegate
    assert found is not None
    assert found.compiled is not None
    assert found.compiled.path == model_file.compiled_path(compiled)
    assert not told
    altered(model_file.compiled_path(compiled), lambda about: about.update(compiled_from="0" * 64))
    assert models.load(compiled).delegate is None
    assert "made from another chorales.tflite; `make edgetpu`" in told[0]
    model_file.compiled_path(compiled).write_bytes(b"no model")
    assert models.load(compiled).delegate is None
    assert "chorales_edgetpu.tflite" in told[1]
    model_file.compiled_path(compiled).unlink()
    assert models.load(compiled).delegate is None
    assert "there is no such file, so the Edge TPU cannot run chorales" in told[2]


def config(folder: Path, delegate: Path | str) -> Path:
    path = folder / "bachbox.toml"
    path.write_text(f'[music]\nmodels_folder = "."\ndelegate = "{delegate}"\n')
    return path


@pytest.mark.parametrize(
    ("does", "tokens", "said", "deaths"),
    [
        ("pass", "", "", 0),
        ("claim", "", "", 0),
        ("refuse", "", r"no stick is plugged in; the CPU composes instead", 0),
        ("object", "", r"none of mine.*; the CPU composes instead", 0),
        ("abort-create", "", r"crashes \(SIGABRT\); the CPU composes instead", 0),
        ("abort-prepare", "", r"crashes \(SIGABRT\); the CPU composes instead", 0),
        ("fail", "400", r"fails: the stick is gone; the CPU composes instead", 0),
        ("abort", "400", r"before this one died, perhaps of .*; the CPU composes instead", 1),
        ("missing", "", r"cannot be loaded: .*; the CPU composes instead", 0),
    ],
)
def test_the_box_plays_on(
    library: Path, tmp_path: Path, does: str, tokens: str, said: str, deaths: int
) -> None:
    path = library if does != "missing" else tmp_path / "libmissing.so"
    env = home(tmp_path) | {"DELEGATE_DOES": does, "DELEGATE_TOKENS": tokens or str(10**9)}
    env["DELEGATE_LOG"] = str(tmp_path / "log")
    arguments = ("--config", config(tmp_path, path), "--output", "null", "--tempo", 240)
    with playing(*arguments, env=env) as box:
        box.wait_for(r"chorales composes, seed")
        if said:
            box.wait_for(said)
        # Composed after the trouble: nothing of the second piece was there before.
        bachbox("set", "next_piece", env=env)
        box.wait_for(r"^bachbox: piece 2 ")
        assert box.end() == 0
    counts = box.counts()
    assert counts["composer"] == deaths, box.lines
    assert not [line for line in box.lines if "Traceback" in line]
    assert len([line for line in box.lines if "CPU composes instead" in line]) == bool(said)
    if does != "missing":
        assert "create" in (tmp_path / "log").read_text().split()


def test_present_means_used(compiled: Path, library: Path, tmp_path: Path) -> None:
    """No config but the model's own folder: what was compiled and the library are there."""
    env = home(tmp_path) | {"DELEGATE_DOES": "pass", "DELEGATE_LOG": str(tmp_path / "log")}
    env["LD_LIBRARY_PATH"] = str(library.parent)
    with playing("--model", compiled, "--output", "null", env=env) as box:
        box.wait_for(r"chorales composes, seed")
        assert box.end() == 0
    assert (tmp_path / "log").read_text().split() == ["create", "prepare"] * 2, "tried, then used"
    assert not [line for line in box.lines if "CPU" in line]


def test_render_and_doctor_too(library: Path, tmp_path: Path) -> None:
    env = home(tmp_path) | {"DELEGATE_DOES": "refuse"}
    asked = ("--config", config(tmp_path, library))
    said = bachbox("render", tmp_path / "one.mid", "--seconds", 5, *asked, env=env)
    assert said.code == 0, said.err
    assert "no stick is plugged in; the CPU composes instead" in said.err
    said = bachbox("doctor", *asked, env=env)
    assert "no stick is plugged in; the CPU composes instead" in said.out
    said = bachbox("doctor", *asked, env=env | {"DELEGATE_DOES": "pass"})
    assert "libother.so runs chorales" in said.out
