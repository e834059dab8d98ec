"""The one seam to TensorFlow Lite: a bundle in, logits out, state carried in between.

Two runtimes share one API: ``tflite_runtime`` (the last one, 2.14, is for Python up to 3.11)
and its successor ``ai_edge_litert``. The first that can be imported is taken, or the one
named in the environment variable ``BACHBOX_RUNTIME``.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.composing.kv_cache import KVCache
from appliance.composing.model_file import Bundle
from appliance.errors import BachboxError

RUNTIMES = ("tflite_runtime", "ai_edge_litert")
RUNTIME_VARIABLE = "BACHBOX_RUNTIME"

_REFUSALS = (ArithmeticError, LookupError, RuntimeError, SystemError, TypeError, ValueError)
"""What either runtime raises for a model or a delegate that it cannot work with."""

State = tuple[NDArray[np.int8] | KVCache, ...]
"""The model's memory, in the order of its state inputs; what it holds never changes."""


def runtime() -> tuple[str, Any]:
    """Name and ``Interpreter`` class of the runtime in use.

    Raises:
        BachboxError: neither runtime is installed.
    """
    wanted = os.environ.get(RUNTIME_VARIABLE)
    for name in (wanted,) if wanted else RUNTIMES:
        try:
            return name, importlib.import_module(f"{name}.interpreter").Interpreter
        except ImportError:
            continue
    raise BachboxError(
        f"no TensorFlow Lite runtime ({' or '.join((wanted,) if wanted else RUNTIMES)}) can be "
        "imported; install one with `pip install ai-edge-litert`"
    )


def load_delegate(runtime_name: str, library: str) -> Any:
    """A delegate from a shared library, for the ``Interpreter`` of that runtime.

    Raises:
        BachboxError: there is no such library, it is no delegate, or it refuses.
    """
    try:
        return importlib.import_module(f"{runtime_name}.interpreter").load_delegate(library)
    except OSError as why:
        raise BachboxError(f"the delegate {library} cannot be loaded: {why}") from why
    except AttributeError as why:
        raise BachboxError(f"{library} is a library, but not a TensorFlow Lite delegate") from why
    except (RuntimeError, ValueError) as why:
        # The second line is the library's own; Edge TPU's says nothing where no stick is found.
        reason = str(why).partition("\n")[2].strip().split("\n")[0]
        reason = reason or "it gives no reason (is its device plugged in, and may you use it?)"
        raise BachboxError(f"the delegate {library} refuses: {reason}") from why


def _first_line(why: Exception) -> str:
    return str(why).strip().split("\n")[0]


class StepModel:
    """A model that answers one token at a time.

    The contract: the input ``x`` is a multi-hot vector ``(1, width)``, every other input is a
    state tensor whose new value is the output of the same name with ``_next``, and
    ``logits`` is ``(1, classes)``. A state ``(1, rows, width)`` whose output is ``(1, width)``
    is a window on its last rows: the output is the next one. All are int8; a state's input and
    output share their quantisation, so it is carried as it is.

    Where the bundle names a delegate that fails, now or at any later token, its ``warn`` is
    told why and the CPU goes on from the same state.

    Raises:
        BachboxError: the runtime refuses the model, or the model does not keep the contract.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.runtime, self._interpreter = runtime()
        self.delegate = ""
        """The library that runs the model; empty: the CPU does."""
        self._bundle = bundle
        self._given_up: list[Any] = []
        if (delegate := bundle.delegate) is not None:
            try:
                loaded = load_delegate(self.runtime, delegate.library)
                self._open(delegate.compiled or bundle, [loaded])
                self.delegate = delegate.library
            except BachboxError as why:
                delegate.warn(str(why))
        if not self.delegate:
            self._open(bundle, [])

    def _open(self, bundle: Bundle, delegates: list[Any]) -> None:
        try:
            self._tflite = self._interpreter(
                model_content=bundle.model, num_threads=1, experimental_delegates=delegates
            )
            self._tflite.allocate_tensors()
            self._bind(bundle)
            self.reset()
            # Twice, so that the state that comes out is seen to go in again.
            self._step([0])
            self._step([bundle.codec.width - 1])
        except _REFUSALS as why:
            whose = " with its delegate" if delegates else ""
            raise BachboxError(
                f"{bundle.path}: {self.runtime} cannot run this model{whose}: {_first_line(why)}"
            ) from why
        self.reset()

    def _bind(self, bundle: Bundle) -> None:
        """Find the tensors that the bundle names and check that they are what it says."""
        named = bundle.about.tensors
        inputs = {d["index"]: d for d in self._tflite.get_input_details()}
        outputs = {d["index"]: d for d in self._tflite.get_output_details()}
        x = inputs[named.inputs["x"]]
        logits = outputs[named.outputs["logits"]]
        sizes = (tuple(x["shape"]), tuple(logits["shape"]))
        if sizes != ((1, bundle.codec.width), (1, len(bundle.vocabulary))):
            raise ValueError("its tensors have other sizes than its vocabulary")
        if any(d["dtype"] != np.int8 for d in (*inputs.values(), *outputs.values())):
            raise ValueError("its tensors are not int8")
        scale, zero = x["quantization"]
        self._x_index = int(x["index"])
        self._off = int(np.clip(zero, -128, 127))
        self._on = int(np.clip(round(1 / scale) + zero, -128, 127))
        self._x = np.full(x["shape"], self._off, np.int8)
        self._logits_index = int(logits["index"])
        self._logits_scale, self._logits_zero = logits["quantization"]
        self._states: list[tuple[int, int]] = []
        self._zeros: list[NDArray[np.int8] | KVCache] = []
        for name, index in named.inputs.items():
            if name == "x":
                continue
            before, after = inputs[index], outputs[named.outputs[f"{name}_next"]]
            if before["quantization"] != after["quantization"]:
                raise ValueError(f"its state {name} changes its quantisation")
            self._states.append((int(index), int(after["index"])))
            zeros = np.full(before["shape"], before["quantization"][1], np.int8)
            windowed = zeros.ndim == 3 and tuple(after["shape"]) == (1, zeros.shape[2])
            self._zeros.append(KVCache.of(zeros[0]) if windowed else zeros)

    def reset(self) -> None:
        """Forget everything: the state before the first token of a piece."""
        self.state: State = tuple(self._zeros)

    def step(self, features: list[int]) -> NDArray[np.float32]:
        """Hear one input, given by the indices of its ones; the logits ``(classes,)``."""
        if not self.delegate:
            return self._step(features)
        try:
            return self._step(features)
        except _REFUSALS as why:
            self._leave_delegate(why)
            return self._step(features)

    def _leave_delegate(self, why: Exception) -> None:
        assert self._bundle.delegate is not None
        # Kept: to tidy up a device that is gone is a way to crash.
        self._given_up.append(self._tflite)
        library, self.delegate = self.delegate, ""
        state = self.state
        self._open(self._bundle, [])
        self.state = state
        self._bundle.delegate.warn(f"{library} fails: {_first_line(why)}")

    def _step(self, features: list[int]) -> NDArray[np.float32]:
        tflite = self._tflite
        row = self._x[0]
        row[features] = self._on
        tflite.set_tensor(self._x_index, self._x)
        row[features] = self._off
        for (index, _), value in zip(self._states, self.state, strict=True):
            tflite.set_tensor(index, value.rows[None] if isinstance(value, KVCache) else value)
        tflite.invoke()
        self.state = tuple(
            before.after(new[0]) if isinstance(before, KVCache) else new
            for before, new in zip(
                self.state, (tflite.get_tensor(index) for _, index in self._states), strict=True
            )
        )
        raw = tflite.get_tensor(self._logits_index)[0].astype(np.float32)
        return np.asarray((raw - self._logits_zero) * self._logits_scale, np.float32)
