"""Both runtimes run the shipped model, and what they cannot run is refused at the start."""

from __future__ import annotations

import faulthandler
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.composing import interpreter, model_file
from appliance.composing.interpreter import RUNTIME_VARIABLE, StepModel
from appliance.composing.model_check import try_model
from appliance.composing.model_file import ModelFile
from appliance.errors import BachboxError
from tests.support.making_music import MODELS, altered, joined, parts_of


def test_the_shipped_model_runs_on_both_runtimes(shipped: ModelFile, runtime: str) -> None:
    model = StepModel(shipped)
    assert model.runtime == runtime
    first, second = model.step([0]), model.step([0])
    assert first.shape == second.shape == (len(shipped.vocabulary),)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert not np.array_equal(first, second), "the state has no effect"


def test_a_state_can_be_saved_and_restored(shipped: ModelFile, runtime: str) -> None:
    del runtime
    model = StepModel(shipped)
    for one in range(5):
        model.step([one])
    kept, expected = model.state, model.step([7])
    for one in range(5):
        model.step([one])
    model.state = kept
    assert np.array_equal(model.step([7]), expected)
    model.reset()
    fresh = StepModel(shipped)
    assert np.array_equal(model.step([3, 9]), fresh.step([3, 9]))


def test_a_kv_cache_can_be_saved_and_restored_at_every_place_of_its_window(runtime: str) -> None:
    """`keyboard` keeps the last tokens as rows; the buffer is refilled several times.

    Not with tflite-runtime, which takes up to 35 times as long on some processors.
    """
    keyboard = model_file.load(MODELS / "keyboard.tflite")
    count = 700 if runtime == "ai_edge_litert" else 100
    model, inputs = StepModel(keyboard), np.random.default_rng(1).integers(0, 300, count)
    states, logits = [], []
    for one in inputs:
        states.append(model.state)
        logits.append(model.step([int(one)]))
    for place in (count - 1, 0, *(place for place in (480, 230, 479, 60) if place < count)):
        model.state = states[place]
        for one, expected in zip(inputs[place:][:30], logits[place:], strict=False):
            assert np.array_equal(model.step([int(one)]), expected)
        model.state = states[place]
        model.step([7])


def test_two_models_do_not_disturb_each_other(shipped: ModelFile, runtime: str) -> None:
    del runtime
    one, other, alone = StepModel(shipped), StepModel(shipped), StepModel(shipped)
    for feature in range(20):
        expected = alone.step([feature])
        assert np.array_equal(one.step([feature]), expected)
        other.step([300 - feature])


def test_the_faster_runtime_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNTIME_VARIABLE, raising=False)
    assert interpreter.runtime()[0] == "ai_edge_litert"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime is for Python up to 3.11")
def test_the_older_runtime_is_used_where_it_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNTIME_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert interpreter.runtime()[0] == "tflite_runtime"


def test_a_missing_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNTIME_VARIABLE, "no_such_runtime")
    with pytest.raises(BachboxError, match=r"no_such_runtime.*pip install"):
        interpreter.runtime()


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0TFL3", b"\x1c\0\0\0TFL3" + bytes(2000)])
def test_a_flatbuffer_that_is_none_is_refused(shipped: ModelFile, content: bytes) -> None:
    """With a correct checksum. The newer runtime checks it, the older one crashes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNTIME_VARIABLE, "ai_edge_litert")
        with pytest.raises(BachboxError, match=r"chorales\.tflite: ai_edge_litert cannot run"):
            StepModel(replace(shipped, flatbuffer=content))


@pytest.fixture
def crashes_are_quiet() -> Iterator[None]:
    """pytest would make the forked process print where it crashed."""
    faulthandler.disable()
    yield
    faulthandler.enable(2)


@pytest.mark.usefixtures("crashes_are_quiet")
@settings(max_examples=25)
@given(data=st.data())
def test_a_hostile_model_is_refused_or_plays(tmp_path: Path, data: st.DataObject) -> None:
    """Its checksum is forged, so that only the runtime can notice, or crash."""
    model, texts = parts_of()
    hostile = bytearray(model)
    edge = len(model) - 40_000
    places = st.one_of(st.integers(8, 2000), st.integers(edge, len(model) - 1))
    for at in data.draw(st.lists(places, min_size=1, max_size=3)):
        hostile[at] = data.draw(st.integers(0, 255))
    about = json.loads(texts["metadata.json"])
    about["sha256"] = hashlib.sha256(hostile).hexdigest()
    path = tmp_path / "hostile.tflite"
    path.write_bytes(joined(bytes(hostile), texts | {"metadata.json": json.dumps(about)}))
    try:
        try_model(path)
    except BachboxError as refused:
        assert str(path) in str(refused)


def swap(tensors: dict[str, dict[str, int]], kind: str, one: str, other: str) -> None:
    names = tensors[kind]
    names[one], names[other] = names[other], names[one]


def tensors_of(shipped: ModelFile) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = msgspec.to_builtins(shipped.metadata.tensors)
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["inputs"].pop("x"),
        lambda t: t["outputs"].pop("logits"),
        lambda t: t["outputs"].pop("h0_next"),
        lambda t: t["inputs"].update(x=10**6),
        lambda t: t["inputs"].update(x=-1),
        lambda t: t["outputs"].update(logits=2**63),
        lambda t: swap(t, "inputs", "x", "h0"),
        lambda t: swap(t, "outputs", "logits", "h0_next"),
        lambda t: swap(t, "outputs", "c0_next", "h0_next"),
    ],
)
def test_tensors_that_are_not_what_the_metadata_says(
    shipped: ModelFile, change: Any, runtime: str
) -> None:
    tensors = tensors_of(shipped)
    change(tensors)
    metadata = msgspec.structs.replace(
        shipped.metadata, tensors=msgspec.convert(tensors, type(shipped.metadata.tensors))
    )
    with pytest.raises(BachboxError, match=f"{runtime} cannot run this model") as refused:
        StepModel(replace(shipped, metadata=metadata))
    assert "\n" not in str(refused.value)


def test_the_checksum_is_of_the_weights_alone(tmp_path: Path) -> None:
    path = altered(tmp_path / "model.tflite", lambda about: about.update(title="Other"))
    try_model(path)
