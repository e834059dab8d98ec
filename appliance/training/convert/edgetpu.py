"""``make edgetpu``: models for a Coral Edge TPU, each beside the one that it was made from.

    python -m appliance.training.convert.edgetpu [MODEL.tflite ...]

``edgetpu_compiler`` is Coral's own, a program for 64-bit Debian and Ubuntu on Intel and AMD.
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
HOW_TO_GET_IT = (
    f"{COMPILER} is not installed. It is Coral's own and closed, for Debian and Ubuntu on 64-bit "
    "Intel or AMD: add Coral's Debian repository as coral.ai/docs/edgetpu/compiler says, then "
    "`sudo apt install edgetpu-compiler` and `make edgetpu` again. On a Raspberry Pi it does not "
    "run: compile elsewhere and copy the *_edgetpu.tflite files beside the models."
)


def report(model: ModelFile) -> list[str]:
    """A line that counts the operations, and one for whatever the compiler would not take."""
    found = operations(model.flatbuffer)
    kinds = Counter(operation.name for operation in found)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    return [counts, *sorted({line for operation in found for line in objections(operation)})]


def compiled(model: ModelFile) -> Path:
    """Compile a model, and show what the compiler says of it; the file beside it.

    Raises:
        BachboxError: the compiler fails, or what it wrote is not this model.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"
        source.write_bytes(model.flatbuffer)
        done = subprocess.run(
            [COMPILER, "--show_operations", "--out_dir", folder, source],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        written = model_file.compiled_path(source)
        if done.returncode or not written.exists():
            said = (done.stderr.strip() or done.stdout.strip()).replace("\n", " ")
            raise BachboxError(f"{model.path}: {COMPILER} does not take it: {said or 'no reason'}")
        print(done.stdout.strip())
        path = model_file.compiled_path(model.path)
        _write(path, written.read_bytes(), model)
    model_file.load(path)
    return path


def _write(path: Path, flatbuffer: bytes, model: ModelFile) -> None:
    """The compiled flatbuffer with the model's own files appended, its tensors found anew."""
    with zipfile.ZipFile(model.path) as archive:
        texts = [(entry, archive.read(entry)) for entry in archive.infolist()]
    file = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for entry, text in texts:
            if entry.filename == "metadata.json":
                about: dict[str, Any] = json.loads(text)
                about["compiled_from"] = about["sha256"]
                about["sha256"] = hashlib.sha256(flatbuffer).hexdigest()
                about["tensors"] = _moved(about["tensors"], model, flatbuffer)
                text = json.dumps(about).encode()
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    write_atomically(path, file.getvalue())


def _moved(
    tensors: dict[str, dict[str, int]], model: ModelFile, flatbuffer: bytes
) -> dict[str, dict[str, int]]:
    """Where the compiler has put the tensors: it numbers them anew and keeps their names."""
    before, after = _ends(model.flatbuffer), _ends(flatbuffer)
    try:
        return {
            side: {
                name: next(at for at, known in after[side].items() if known == before[side][index])
                for name, index in tensors[side].items()
            }
            for side in ("inputs", "outputs")
        }
    except (KeyError, StopIteration) as why:
        raise BachboxError(f"{model.path}: {COMPILER} has renamed its inputs or outputs") from why


def _ends(flatbuffer: bytes) -> dict[str, dict[int, bytes]]:
    """Index and name of the tensors that go in and come out."""
    model = schema.Model.GetRootAsModel(bytearray(flatbuffer), 0)
    graph = schema.ModelT.InitFromObj(model).subgraphs[0]
    return {
        side: {int(at): graph.tensors[at].name for at in getattr(graph, side)}
        for side in ("inputs", "outputs")
    }


def main() -> int:
    """Report on every model, then compile those that qualify."""
    parser = argparse.ArgumentParser(prog="python -m appliance.training.convert.edgetpu")
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.tflite")
    asked = parser.parse_args().models or model_file.listing([MODELS])
    have = shutil.which(COMPILER) is not None
    failed = False
    for path in asked:
        try:
            model = model_file.load(path)
            counts, *why = report(model)
            print(f"{path.name}: {counts}")
            for line in why:
                print(f"  {line}")
            if why:
                print(f"{path.name}: stays with the CPU")
            elif have:
                print(f"{path.name}: compiled into {compiled(model)}")
            else:
                print(f"{path.name}: all int8 and all on the Edge TPU compiler's list")
        except BachboxError as error:
            failed = True
            print(f"bachbox: {error}", file=sys.stderr)
    if not have:
        print(f"bachbox: {HOW_TO_GET_IT}", file=sys.stderr)
    return BachboxError.exit_code if failed or not have else 0


if __name__ == "__main__":
    sys.exit(main())
