"""``make edgetpu``: compile models for a Coral Edge TPU, each into a file beside the original.

    python -m appliance.training.convert.edgetpu [MODEL.tflite ...]

``edgetpu_compiler`` is a program by Coral for 64-bit Debian and Ubuntu on Intel and AMD.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from appliance.common.atomic_write import write_atomically
from appliance.composing import model_file
from appliance.composing.model_file import ModelFile
from appliance.errors import BachboxError
from appliance.training.convert.edgetpu_ops import objections, operations

MODELS = Path(__file__).parents[3] / "models"
COMPILER = "edgetpu_compiler"
NOT_INSTALLED = (
    f"{COMPILER} is not installed. It is closed-source, for Debian and Ubuntu on 64-bit Intel or "
    "AMD: add Coral's Debian repository as described at coral.ai/docs/edgetpu/compiler, then run "
    "`sudo apt install edgetpu-compiler` and `make edgetpu` again. It does not run on a Raspberry "
    "Pi: compile on another computer, and copy the *_edgetpu.tflite files beside the models."
)


def report(model: ModelFile) -> list[str]:
    """A line with the number of operations by kind, and a line for each of :func:`objections`."""
    found = operations(model.flatbuffer)
    kinds = Counter(operation.name for operation in found)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    return [counts, *sorted({line for operation in found for line in objections(operation)})]


def compile_model(model: ModelFile) -> Path:
    """Compile a model, print what the compiler says, and return the path of the compiled model.

    Raises:
        BachboxError: the compiler fails, or what it wrote is not this model.
        OSError: the compiled model cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"
        source.write_bytes(model.flatbuffer)
        finished = subprocess.run(
            [COMPILER, "--show_operations", "--out_dir", folder, source],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        written = model_file.compiled_path(source)
        if finished.returncode or not written.exists():
            message = (finished.stderr.strip() or finished.stdout.strip()).replace("\n", " ")
            raise BachboxError(
                f"{model.path}: {COMPILER} refuses it: {message or 'no reason given'}"
            )
        print(finished.stdout.strip())
        path = model_file.compiled_path(model.path)
        _write(path, written.read_bytes(), model)
    model_file.load(path)
    return path


def _write(path: Path, flatbuffer: bytes, model: ModelFile) -> None:
    """Write the compiled flatbuffer with the original's archive, its metadata adapted."""
    with zipfile.ZipFile(model.path) as archive:
        entries = [(entry, archive.read(entry)) for entry in archive.infolist()]
    file = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries:
            if entry.filename == "metadata.json":
                metadata: dict[str, Any] = json.loads(content)
                metadata["compiled_from"] = metadata["sha256"]
                metadata["sha256"] = hashlib.sha256(flatbuffer).hexdigest()
                metadata["tensors"] = _new_indices(metadata["tensors"], model, flatbuffer)
                content = json.dumps(metadata).encode()
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    write_atomically(path, file.getvalue())


def _new_indices(
    tensors: dict[str, dict[str, int]], model: ModelFile, flatbuffer: bytes
) -> dict[str, dict[str, int]]:
    """The indices of inputs and outputs in the compiled model: the compiler keeps their names."""
    before, after = _names_by_index(model.flatbuffer), _names_by_index(flatbuffer)
    try:
        return {
            side: {
                name: next(
                    new for new, known in after[side].items() if known == before[side][index]
                )
                for name, index in tensors[side].items()
            }
            for side in ("inputs", "outputs")
        }
    except (KeyError, StopIteration) as error:
        raise BachboxError(f"{model.path}: {COMPILER} has renamed its inputs or outputs") from error


def _names_by_index(flatbuffer: bytes) -> dict[str, dict[int, bytes]]:
    """The names of the input and output tensors by their indices."""
    model = schema.Model.GetRootAsModel(bytearray(flatbuffer), 0)
    graph = schema.ModelT.InitFromObj(model).subgraphs[0]
    return {
        side: {int(index): graph.tensors[index].name for index in getattr(graph, side)}
        for side in ("inputs", "outputs")
    }


def main() -> int:
    """Report on every model, and compile those without objections; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m appliance.training.convert.edgetpu")
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.tflite")
    paths = parser.parse_args().models or model_file.listing([MODELS])
    installed = shutil.which(COMPILER) is not None
    failed = False
    for path in paths:
        try:
            model = model_file.load(path)
            counts, *reasons = report(model)
            print(f"{path.name}: {counts}")
            for line in reasons:
                print(f"  {line}")
            if reasons:
                print(f"{path.name}: stays on the CPU")
            elif installed:
                print(f"{path.name}: compiled into {compile_model(model)}")
            else:
                print(f"{path.name}: all int8 and all on the Edge TPU compiler's list")
        except BachboxError as error:
            failed = True
            print(f"bachbox: {error}", file=sys.stderr)
    if not installed:
        print(f"bachbox: {NOT_INSTALLED}", file=sys.stderr)
    return BachboxError.exit_code if failed or not installed else 0


if __name__ == "__main__":
    sys.exit(main())
