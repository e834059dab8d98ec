"""Every operation of the shipped LSTMs is one that the Edge TPU's compiler accepts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from appliance.composing import model_file
from appliance.composing.interpreter import RUNTIME_VARIABLE, StepModel
from appliance.composing.model_file import ModelFile
from appliance.training import recipe
from appliance.training.convert.edgetpu import report
from appliance.training.convert.edgetpu_ops import LIST, Operation, Tensor, objections, operations
from tests.support.making_music import MODEL, MODELS, joined, parts_of

SHIPPED = [
    path
    for path in sorted(MODELS.rglob("*.tflite"))
    if path.with_suffix(".toml").is_file() and not path.stem.endswith(model_file.COMPILED_SUFFIX)
]
TRANSFORMERS = [
    path for path in SHIPPED if recipe.load(path.with_suffix(".toml")).network.kind == "transformer"
]
"""By their recipes. Attention multiplies activations with activations, which is not on the list."""

QUALIFIED = [path for path in SHIPPED if path not in TRANSFORMERS]

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", QUALIFIED, ids=lambda path: str(path.stem))
def test_every_operation_is_on_the_list_and_int8(path: Path) -> None:
    found = operations(model_file.load(path).flatbuffer)
    assert len(found) > 10
    for number, operation in enumerate(found):
        assert not objections(operation), f"operation {number}: {operation}"
        print(f"{number:3} {operation.name}: int8, on the list")
    assert all(tensor.type == "INT8" for operation in found for tensor in operation.outputs)


def test_an_lstm_is_shipped() -> None:
    assert MODEL in QUALIFIED


@pytest.mark.parametrize("path", TRANSFORMERS, ids=lambda path: str(path.stem))
def test_a_transformer_has_int8_weights_and_stays_on_the_cpu(path: Path) -> None:
    model = model_file.load(path)
    products = [
        operation
        for operation in operations(model.flatbuffer)
        if operation.name == "FULLY_CONNECTED"
    ]
    assert len(products) > 10
    assert all(tensor.type == "INT8" for operation in products for tensor in operation.inputs[:2])
    assert "BATCH_MATMUL is not on the list" in report(model)


def altered(change: Callable[[Any], object], model: bytes | None = None) -> bytes:
    """The shipped flatbuffer after a change to its tree."""
    content = bytearray(model_file.load(MODEL).flatbuffer if model is None else model)
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    change(tree)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def replace_first_operation(tree: Any, name: str) -> None:
    code = tree.operatorCodes[tree.subgraphs[0].operators[0].opcodeIndex]
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def first_output(tree: Any) -> Any:
    graph = tree.subgraphs[0]
    return graph.tensors[graph.operators[0].outputs[0]]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tree: replace_first_operation(tree, "GATHER"), "GATHER is not on the list"),
        (
            lambda tree: replace_first_operation(tree, "BATCH_MATMUL"),
            "BATCH_MATMUL is not on the list",
        ),
        (lambda tree: replace_first_operation(tree, "GELU"), "GELU is not on the list"),
        (
            lambda tree: replace_first_operation(tree, "PACK"),
            "PACK is limited: not along the batch",
        ),
        (
            lambda tree: setattr(first_output(tree), "type", schema.TensorType.FLOAT32),
            "is FLOAT32, not INT8",
        ),
        (
            lambda tree: setattr(first_output(tree), "type", schema.TensorType.INT16),
            "is INT16, not INT8",
        ),
        (
            lambda tree: setattr(
                first_output(tree), "shapeSignature", np.array([-1, 512], np.int32)
            ),
            "has an open size: (-1, 512)",
        ),
        (
            lambda tree: setattr(first_output(tree), "shape", np.array([2, 1, 1, 512], np.int32)),
            "has more than three dimensions: (2, 1, 1, 512)",
        ),
        (
            lambda tree: setattr(first_output(tree), "shape", np.array([2, 512], np.int32)),
            "FULLY_CONNECTED is limited: weights in the default format, and a vector as output",
        ),
        (
            lambda tree: setattr(tree.subgraphs[0].operators[0].builtinOptions, "weightsFormat", 1),
            "FULLY_CONNECTED is limited",
        ),
        (
            lambda tree: tree.subgraphs[0].operators[0].inputs.__setitem__(1, 0),
            "FULLY_CONNECTED has weights that are not constant",
        ),
    ],
)
def test_an_operation_that_the_compiler_refuses_is_reported(
    change: Callable[[Any], object], why: str
) -> None:
    model = replace(model_file.load(MODEL), flatbuffer=altered(change))
    _, *found = report(model)
    assert any(why in line for line in found), found


def vector(size: int, constant: bool = False) -> Tensor:
    return Tensor("x", "INT8", (1, size), constant)


@pytest.mark.parametrize(
    ("name", "inputs", "options", "taken"),
    [
        ("SOFTMAX", [vector(16_000)], {}, True),
        ("SOFTMAX", [vector(16_001)], {}, False),
        ("SOFTMAX", [Tensor("x", "INT8", (2, 8), False)], {}, False),
        ("CONCATENATION", [vector(8), vector(8)], {"fusedActivationFunction": 0}, True),
        ("CONCATENATION", [vector(8), vector(8)], {"fusedActivationFunction": 1}, False),
        ("CONCATENATION", [vector(8), vector(8, True)], {"fusedActivationFunction": 0}, False),
        ("CONV_2D", [vector(8)], {"dilationWFactor": 2, "dilationHFactor": 2}, True),
        ("CONV_2D", [vector(8)], {"dilationWFactor": 2, "dilationHFactor": 1}, False),
        ("MAX_POOL_2D", [vector(8)], {"fusedActivationFunction": 3}, False),
        ("SUB", [vector(8), vector(8)], {}, True),
    ],
)
def test_the_limits_of_the_list(
    name: str, inputs: list[Tensor], options: dict[str, int], taken: bool
) -> None:
    operation = Operation(name, tuple(inputs), (vector(8),), SimpleNamespace(**options))
    assert (not objections(operation)) == taken


def test_the_list_has_tflites_names() -> None:
    assert set(LIST) <= set(vars(schema.BuiltinOperator))
    assert LIST.keys().isdisjoint({"GATHER", "BATCH_MATMUL", "EMBEDDING_LOOKUP"})


FAKE = """#!{python}
# Stands for Coral's compiler: writes the same model with its tensors in reverse order.
import sys
from pathlib import Path
import flatbuffers
from ai_edge_litert import schema_py_generated as schema

source, folder = Path(sys.argv[-1]), Path(sys.argv[sys.argv.index("--out_dir") + 1])
if "{does}" == "fail":
    sys.exit("Internal compiler error. Aborting!")
tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(source.read_bytes()), 0))
graph = tree.subgraphs[0]
last = len(graph.tensors) - 1
graph.tensors.reverse()
graph.inputs = [last - at for at in graph.inputs]
graph.outputs = [last - at for at in graph.outputs]
for one in graph.operators:
    one.inputs = [last - at if at >= 0 else at for at in one.inputs]
    one.outputs = [last - at for at in one.outputs]
if "{does}" == "rename":
    graph.tensors[graph.inputs[0]].name = b"other"
tree.signatureDefs = None
builder = flatbuffers.Builder(1 << 22)
builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
(folder / f"{{source.stem}}_edgetpu.tflite").write_bytes(bytes(builder.Output()))
print("Model compiled successfully")
"""


def make_edgetpu(folder: Path, *models: Path, does: str) -> subprocess.CompletedProcess[str]:
    """Run `make edgetpu` with a fake compiler, or without one."""
    if does != "nothing":
        (folder / "bin").mkdir()
        fake = folder / "bin" / "edgetpu_compiler"
        fake.write_text(FAKE.format(python=sys.executable, does=does))
        fake.chmod(0o755)
    return subprocess.run(
        [sys.executable, "-m", "appliance.training.convert.edgetpu", *map(str, models)],
        env=os.environ | {"PATH": str(folder / "bin"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "chorales.tflite"
    path.write_bytes(MODEL.read_bytes())
    return path


def test_a_compiled_model_gives_the_same_logits(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = make_edgetpu(tmp_path, model, does="compile")
    assert finished.returncode == 0, finished.stderr
    assert "Model compiled successfully" in finished.stdout
    first, second = model_file.load(model), model_file.load(model_file.compiled_path(model))
    assert second.metadata.compiled_from == first.metadata.sha256
    assert second.metadata.tensors != first.metadata.tensors, "the fake compiler renumbers them"
    assert (second.card, second.vocabulary) == (first.card, first.vocabulary)
    assert second.metadata.forms == first.metadata.forms
    monkeypatch.setenv(RUNTIME_VARIABLE, "ai_edge_litert")
    assert steps(second) == steps(first)
    # It can be run again.
    before = model_file.compiled_path(model).read_bytes()
    (tmp_path / "bin" / "edgetpu_compiler").unlink()
    (tmp_path / "bin").rmdir()
    assert make_edgetpu(tmp_path, model, does="compile").returncode == 0
    assert model_file.compiled_path(model).read_bytes() == before


def steps(model: ModelFile) -> list[list[float]]:
    running = StepModel(model)
    return [running.step([feature]).tolist() for feature in range(12)]


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("fail", "edgetpu_compiler refuses it: Internal compiler error. Aborting!"),
        ("rename", "edgetpu_compiler has renamed its inputs or outputs"),
    ],
)
def test_a_failure_of_the_compiler_is_reported(
    model: Path, tmp_path: Path, does: str, why: str
) -> None:
    finished = make_edgetpu(tmp_path, model, does=does)
    assert finished.returncode == 1
    assert finished.stderr == f"bachbox: {model}: {why}\n"
    assert not model_file.compiled_path(model).exists()


def test_a_missing_compiler_is_reported_with_the_remedy(model: Path, tmp_path: Path) -> None:
    finished = make_edgetpu(tmp_path, model, does="nothing")
    assert finished.returncode == 1
    assert "chorales.tflite: all int8 and all on the Edge TPU compiler's list" in finished.stdout
    assert re.search(r"chorales.tflite: .*\d+ FULLY_CONNECTED", finished.stdout)
    assert "sudo apt install edgetpu-compiler" in finished.stderr
    assert "coral.ai/docs/edgetpu/compiler" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert not model_file.compiled_path(model).exists()


def test_a_refused_model_stays_on_the_cpu(model: Path, tmp_path: Path) -> None:
    content = altered(lambda tree: replace_first_operation(tree, "GATHER"))
    _, texts = parts_of()
    about = json.loads(texts["metadata.json"]) | {"sha256": hashlib.sha256(content).hexdigest()}
    model.write_bytes(joined(content, texts | {"metadata.json": json.dumps(about)}))
    finished = make_edgetpu(tmp_path, model, does="compile")
    assert finished.returncode == 0, finished.stderr
    assert "GATHER is not on the list" in finished.stdout
    assert "chorales.tflite: stays on the CPU" in finished.stdout
    assert not model_file.compiled_path(model).exists()
