"""The music continues whatever a delegate does: refuse, fail, hang, crash, or not exist."""

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
from appliance.composing.model_file import Delegate, ModelFile
from tests.support.command import bachbox, home, playing
from tests.support.making_music import MODEL, altered

SOURCE = Path(__file__).parent / "delegate.c"
BOTH = RUNTIMES if sys.version_info < (3, 12) else ("ai_edge_litert",)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tests/composing/delegate.c``, built, under the name of the Edge TPU's library."""
    path = tmp_path_factory.mktemp("delegate") / EDGE_TPU
    built = subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", path, SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    # Under another name it is any other delegate, which takes models as they are.
    (path.parent / "libother.so").symlink_to(path)
    return path.parent / "libother.so"


@pytest.fixture(params=BOTH)
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(RUNTIME_VARIABLE, str(request.param))
    return str(request.param)


@pytest.fixture
def crashes_are_quiet() -> Iterator[None]:
    """pytest would make the forked process print where it crashed."""
    faulthandler.disable()
    yield
    faulthandler.enable(2)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DELEGATE_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def delegated(library: Path, warnings: list[str]) -> ModelFile:
    return replace(model_file.load(MODEL), delegate=Delegate(str(library), None, warnings.append))


def test_a_delegate_is_loaded_and_prepared(
    library: Path, runtime: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGATE_DOES", "pass")
    warnings: list[str] = []
    model, alone = StepModel(delegated(library, warnings)), StepModel(model_file.load(MODEL))
    assert (model.runtime, model.delegate, alone.delegate) == (runtime, str(library), "")
    assert log.read_text().split() == ["create", "prepare"]
    for feature in range(8):
        assert np.array_equal(model.step([feature]), alone.step([feature]))
    assert not warnings


@pytest.mark.usefixtures("runtime")
def test_a_delegate_that_takes_the_model_runs_it(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGATE_DOES", "claim")
    warnings: list[str] = []
    model, alone = StepModel(delegated(library, warnings)), StepModel(model_file.load(MODEL))
    assert not np.array_equal(model.step([1]), alone.step([1])), "the CPU ran the model"
    assert not warnings


@pytest.mark.usefixtures("runtime")
def test_when_the_stick_is_pulled_the_cpu_continues_from_the_same_state(
    library: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGATE_DOES", "fail")
    monkeypatch.setenv("DELEGATE_TOKENS", "5")  # two when it is opened
    warnings: list[str] = []
    model, alone = StepModel(delegated(library, warnings)), StepModel(model_file.load(MODEL))
    for feature in range(3):
        model.step([feature])
    assert model.delegate
    alone.state = model.state
    for feature in range(3, 9):
        assert np.array_equal(model.step([feature]), alone.step([feature]))
    assert log.read_text().split()[-1] == "gone"
    assert not model.delegate
    assert len(warnings) == 1
    assert "fails: the stick is gone" in warnings[0]


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
        ("hang", "libother.so has not returned for"),
    ],
)
def test_a_delegate_that_does_not_work_is_reported_and_not_used(
    library: Path, does: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGATE_DOES", does)
    monkeypatch.setenv("DELEGATE_TOKENS", "0")
    monkeypatch.setattr(model_check, "_DELEGATE_TIMEOUT_S", 2 if does == "hang" else 120)
    warnings: list[str] = []
    assert ModelLoader(str(library), warnings.append).load(MODEL).delegate is None
    assert len(warnings) == 1
    assert why in warnings[0]
    assert warnings[0].endswith("; the CPU composes instead")
    assert "\n" not in warnings[0]


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/nowhere/libother.so", "cannot be loaded: /nowhere/libother.so: cannot open shared"),
        ("libm.so.6", "libm.so.6 is a library, but not a TensorFlow Lite delegate"),
        (str(SOURCE), "cannot be loaded"),
    ],
)
def test_a_library_that_is_no_delegate_is_reported(
    name: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    warnings: list[str] = []
    assert ModelLoader(name, warnings.append).load(MODEL).delegate is None
    assert len(warnings) == 1
    assert why in warnings[0]
    assert "Traceback" not in capfd.readouterr().err


def test_a_library_is_tried_once(library: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process could not have the device while this one holds it."""
    monkeypatch.setenv("DELEGATE_DOES", "pass")
    loader = ModelLoader(str(library), pytest.fail)
    for _ in range(3):
        assert loader.load(MODEL).delegate is not None
    assert log.read_text().split().count("create") == 1


def test_after_a_death_no_delegate_is_used(library: Path, log: Path) -> None:
    warnings: list[str] = []
    loader = ModelLoader(str(library), warnings.append, after_death=True)
    assert loader.load(MODEL).delegate is None
    assert "died, perhaps because of" in warnings[0]
    assert not log.exists()
    assert ModelLoader(OFF, pytest.fail, after_death=True).load(MODEL).delegate is None


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """The shipped model, and beside it a stand-in for its version for the Edge TPU."""
    model = tmp_path / "chorales.tflite"
    model.write_bytes(MODEL.read_bytes())
    of = model_file.load(MODEL).metadata.sha256
    altered(model_file.compiled_path(model), lambda about: about.update(compiled_from=of))
    return model


def test_a_compiled_model_is_used_unless_delegates_are_off(compiled: Path) -> None:
    warnings: list[str] = []
    # The library is not installed here; the warning shows that it was wanted.
    assert ModelLoader(AUTO, warnings.append).load(compiled).delegate is None
    assert f"the delegate {EDGE_TPU} cannot be loaded" in warnings[0]
    assert ModelLoader(OFF, pytest.fail).load(compiled).delegate is None
    assert ModelLoader(AUTO, pytest.fail).load(MODEL).delegate is None, "nothing was compiled"


def test_a_compiled_model_is_not_listed(compiled: Path) -> None:
    assert model_file.listing([compiled.parent]) == [compiled]


def test_a_compiled_model_must_be_of_the_very_model(compiled: Path, library: Path) -> None:
    edge_tpu = str(library.with_name(EDGE_TPU))
    warnings: list[str] = []
    loader = ModelLoader(edge_tpu, warnings.append)
    found = loader.load(compiled).delegate
    assert found is not None
    assert found.compiled is not None
    assert found.compiled.path == model_file.compiled_path(compiled)
    assert not warnings
    altered(model_file.compiled_path(compiled), lambda about: about.update(compiled_from="0" * 64))
    assert loader.load(compiled).delegate is None
    assert "made from another chorales.tflite; `make edgetpu`" in warnings[0]
    model_file.compiled_path(compiled).write_bytes(b"no model")
    assert loader.load(compiled).delegate is None
    assert "chorales_edgetpu.tflite" in warnings[1]
    model_file.compiled_path(compiled).unlink()
    assert loader.load(compiled).delegate is None
    assert "there is no such file, so the Edge TPU cannot run chorales" in warnings[2]


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
        (
            "abort",
            "400",
            r"before this one died, perhaps because of .*; the CPU composes instead",
            1,
        ),
        ("missing", "", r"cannot be loaded: .*; the CPU composes instead", 0),
    ],
)
def test_the_box_keeps_playing(
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
        # Nothing of the second piece was composed before the failure.
        bachbox("set", "next_piece", env=env)
        box.wait_for(r"^bachbox: piece 2: ")
        assert box.end() == 0
    counts = box.counts()
    assert counts["composer"] == deaths, box.lines
    assert not [line for line in box.lines if "Traceback" in line]
    assert len([line for line in box.lines if "CPU composes instead" in line]) == bool(said)
    if does != "missing":
        assert "create" in (tmp_path / "log").read_text().split()


def test_a_compiled_model_is_used_without_a_config(
    compiled: Path, library: Path, tmp_path: Path
) -> None:
    """The compiled model lies beside the model, and the library is installed."""
    env = home(tmp_path) | {"DELEGATE_DOES": "pass", "DELEGATE_LOG": str(tmp_path / "log")}
    env["LD_LIBRARY_PATH"] = str(library.parent)
    with playing("--model", compiled, "--output", "null", env=env) as box:
        box.wait_for(r"chorales composes, seed")
        assert box.end() == 0
    assert (tmp_path / "log").read_text().split() == ["create", "prepare"] * 2, "tried, then used"
    assert not [line for line in box.lines if "CPU" in line]


def test_render_and_doctor_report_a_delegate(library: Path, tmp_path: Path) -> None:
    env = home(tmp_path) | {"DELEGATE_DOES": "refuse"}
    asked = ("--config", config(tmp_path, library))
    said = bachbox("render", tmp_path / "one.mid", "--seconds", 5, *asked, env=env)
    assert said.code == 0, said.err
    assert "no stick is plugged in; the CPU composes instead" in said.err
    said = bachbox("doctor", *asked, env=env)
    assert "no stick is plugged in; the CPU composes instead" in said.out
    said = bachbox("doctor", *asked, env=env | {"DELEGATE_DOES": "pass"})
    assert "libother.so runs chorales" in said.out
