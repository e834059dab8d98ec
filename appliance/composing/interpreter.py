"""The only module that calls TensorFlow Lite: features in, logits out, the state kept in between.

Two runtimes share one API: ``tflite_runtime`` (the last one, 2.14, is for Python up to 3.11)
and its successor ``ai_edge_litert``. Where both are installed the successor is used: it was 6 times
faster on one x86-64 processor and 35 times on another, which the older one has no fast kernels
for. The environment variable ``BACHBOX_RUNTIME`` names another.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.common.install_hint import install_hint
from appliance.composing.kv_cache import KVCache
from appliance.composing.model_file import ModelFile
from appliance.errors import BachboxError

RUNTIMES = ("tflite_runtime", "ai_edge_litert")
PREFERRED_RUNTIMES = ("ai_edge_litert", "tflite_runtime")
"""The faster one first."""

RUNTIME_VARIABLE = "BACHBOX_RUNTIME"

_REFUSALS = (ArithmeticError, LookupError, RuntimeError, SystemError, TypeError, ValueError)
"""What either runtime raises for a model or a delegate that it cannot use."""

State = tuple[NDArray[np.int8] | KVCache, ...]
"""The model's memory, one entry per state input. Entries are replaced, never changed."""


def runtime() -> tuple[str, Any]:
    """Return the name and the ``Interpreter`` class of the runtime in use.

    Raises:
        BachboxError: neither runtime is installed.
    """
    wanted = os.environ.get(RUNTIME_VARIABLE)
    for name in (wanted,) if wanted else PREFERRED_RUNTIMES:
        try:
            return name, importlib.import_module(f"{name}.interpreter").Interpreter
        except ImportError:
            continue
    raise BachboxError(
        f"no TensorFlow Lite runtime ({' or '.join((wanted,) if wanted else RUNTIMES)}) can be "
        "imported",
        remedy=install_hint(),
    )


def load_delegate(runtime_name: str, library: str) -> Any:
    """Load a delegate from a shared library, for the ``Interpreter`` of that runtime.

    Raises:
        BachboxError: there is no such library, it is not a delegate, or it refuses.
    """
    try:
        return importlib.import_module(f"{runtime_name}.interpreter").load_delegate(library)
    except OSError as why:
        raise BachboxError(f"the delegate {library} cannot be loaded: {why}") from why
    except AttributeError as why:
        raise BachboxError(f"{library} is a library, but not a TensorFlow Lite delegate") from why
    except (RuntimeError, ValueError) as why:
        # The second line is the library's own; libedgetpu leaves it empty if it finds no stick.
        reason = str(why).partition("\n")[2].strip().split("\n")[0]
        reason = reason or "it gives no reason (is its device plugged in, and accessible to you?)"
        raise BachboxError(f"the delegate {library} refuses: {reason}") from why


def _first_line(why: Exception) -> str:
    return str(why).strip().split("\n")[0]


class StepModel:
    """Runs a model, one token at a time, and keeps its state.

    The contract: the input ``x`` is a multi-hot vector ``(1, width)``, every other input is a
    state tensor whose new value is the output of the same name with ``_next``, and
    ``logits`` is ``(1, classes)``. A state ``(1, rows, width)`` whose output is ``(1, width)``
    is a window on its last rows: the output is the next one. All are int8; a state's input and
    output share their quantization, so it is carried as it is.

    If the model file's delegate fails, now or at any later token, its ``warn`` is called with the
    reason, and the CPU continues from the same state.

    Raises:
        BachboxError: the runtime refuses the model, or the model does not keep the contract.
    """

    def __init__(self, model_file: ModelFile) -> None:
        self.runtime, self._interpreter_class = runtime()
        self.delegate = ""
        """The library that runs the model; empty: the CPU does."""
        self._model_file = model_file
        self.corrections = model_file.corrections
        self._failed: list[Any] = []
        if (delegate := model_file.delegate) is not None:
            try:
                loaded = load_delegate(self.runtime, delegate.library)
                self._open(delegate.compiled or model_file, [loaded])
                self.delegate = delegate.library
            except BachboxError as why:
                delegate.warn(str(why))
        if not self.delegate:
            self._open(model_file, [])

    def _open(self, model_file: ModelFile, delegates: list[Any]) -> None:
        try:
            self._interpreter = self._interpreter_class(
                model_content=model_file.flatbuffer,
                num_threads=1,
                experimental_delegates=delegates,
            )
            self._interpreter.allocate_tensors()
            self._bind(model_file)
            self.reset()
            # Twice, to check that the state that comes out can go in again.
            self._step([0])
            self._step([model_file.codec.width - 1])
        except _REFUSALS as why:
            delegated = " with its delegate" if delegates else ""
            raise BachboxError(
                f"{self.runtime} cannot run this model{delegated}: {_first_line(why)}",
                path=model_file.path,
            ) from why
        self.reset()

    def _bind(self, model_file: ModelFile) -> None:
        """Find the tensors that the metadata names, and check that they keep the contract."""
        named = model_file.metadata.tensors
        inputs = {d["index"]: d for d in self._interpreter.get_input_details()}
        outputs = {d["index"]: d for d in self._interpreter.get_output_details()}
        x = inputs[named.inputs["x"]]
        logits = outputs[named.outputs["logits"]]
        shapes = (tuple(x["shape"]), tuple(logits["shape"]))
        if shapes != ((1, model_file.codec.width), (1, len(model_file.vocabulary))):
            raise ValueError("its tensors have other sizes than its vocabulary")
        if any(d["dtype"] != np.int8 for d in (*inputs.values(), *outputs.values())):
            raise ValueError("its tensors are not int8")
        scale, zero = x["quantization"]
        self._x_index = int(x["index"])
        self._off = int(np.clip(zero, -128, 127))
        self._on = int(np.clip(round(1 / scale) + zero, -128, 127))
        self._x = np.full(x["shape"], self._off, np.int8)
        self._logits_index = int(logits["index"])
        logits_scale, self._logits_zero = logits["quantization"]
        self._logits_scale = np.full(len(model_file.vocabulary), logits_scale, np.float32)
        for first, count, temperature in model_file.metadata.kind_temperatures:
            self._logits_scale[first : first + count] /= temperature
        self._state_indices: list[tuple[int, int]] = []
        """Input and output of each state tensor."""
        self._initial_state: list[NDArray[np.int8] | KVCache] = []
        for name, index in named.inputs.items():
            if name == "x":
                continue
            before, after = inputs[index], outputs[named.outputs[f"{name}_next"]]
            if before["quantization"] != after["quantization"]:
                raise ValueError(f"its state {name} changes its quantization")
            self._state_indices.append((int(index), int(after["index"])))
            zeros = np.full(before["shape"], before["quantization"][1], np.int8)
            is_window = zeros.ndim == 3 and tuple(after["shape"]) == (1, zeros.shape[2])
            self._initial_state.append(KVCache.of(zeros[0]) if is_window else zeros)

    def reset(self) -> None:
        """Set the state to that before the first token of a piece."""
        self.state: State = tuple(self._initial_state)

    def step(self, features: list[int]) -> NDArray[np.float32]:
        """Advance by one token.

        Args:
            features: indices of the ones in the multi-hot input, each below ``width``.

        Returns:
            The logits of the next token, float32 ``(classes,)``, calibrated by the temperatures
            in the metadata.

        Raises:
            BachboxError: the delegate failed, and the runtime refuses the model on the CPU.
        """
        if not self.delegate:
            return self._step(features)
        try:
            return self._step(features)
        except _REFUSALS as why:
            self._fall_back_to_cpu(why)
            return self._step(features)

    def _fall_back_to_cpu(self, why: Exception) -> None:
        assert self._model_file.delegate is not None
        # Not freed: cleaning up a device that is gone may crash.
        self._failed.append(self._interpreter)
        library, self.delegate = self.delegate, ""
        state = self.state
        self._open(self._model_file, [])
        self.state = state
        self._model_file.delegate.warn(f"{library} fails: {_first_line(why)}")

    def _step(self, features: list[int]) -> NDArray[np.float32]:
        interpreter = self._interpreter
        row = self._x[0]
        row[features] = self._on
        interpreter.set_tensor(self._x_index, self._x)
        row[features] = self._off
        for (index, _), value in zip(self._state_indices, self.state, strict=True):
            interpreter.set_tensor(index, value.rows[None] if isinstance(value, KVCache) else value)
        interpreter.invoke()
        new_values = (interpreter.get_tensor(index) for _, index in self._state_indices)
        self.state = tuple(
            before.append(new[0]) if isinstance(before, KVCache) else new
            for before, new in zip(self.state, new_values, strict=True)
        )
        raw = interpreter.get_tensor(self._logits_index)[0].astype(np.float32)
        return np.asarray((raw - self._logits_zero) * self._logits_scale, np.float32)
