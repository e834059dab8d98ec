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

from appliance.errors import BachboxError
from appliance.music.bundle import Bundle

RUNTIMES = ("tflite_runtime", "ai_edge_litert")
RUNTIME_VARIABLE = "BACHBOX_RUNTIME"

State = tuple[NDArray[np.int8], ...]
"""The model's memory, in the order of its state inputs."""


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


class StepModel:
    """A model that answers one token at a time.

    The contract: the input ``x`` is a multi-hot vector ``(1, width)``, every other input is a
    state tensor whose new value is the output of the same name with ``_next``, and
    ``logits`` is ``(1, classes)``. All are int8; a state's input and output share their
    quantisation, so it is carried as it is.

    Raises:
        BachboxError: the runtime refuses the model, or the model does not keep the contract.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.runtime, interpreter = runtime()
        try:
            self._tflite = interpreter(model_content=bundle.model, num_threads=1)
            self._tflite.allocate_tensors()
            self._bind(bundle)
            self.reset()
            # Twice, so that the state that comes out is seen to go in again.
            self.step([0])
            self.step([bundle.codec.width - 1])
        except (
            ArithmeticError,
            LookupError,
            RuntimeError,
            SystemError,
            TypeError,
            ValueError,
        ) as why:
            first_line = str(why).strip().split("\n")[0]
            raise BachboxError(
                f"{bundle.path}: {self.runtime} cannot run this model: {first_line}"
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
        self._zeros: list[NDArray[np.int8]] = []
        for name, index in named.inputs.items():
            if name == "x":
                continue
            before, after = inputs[index], outputs[named.outputs[f"{name}_next"]]
            if before["quantization"] != after["quantization"]:
                raise ValueError(f"its state {name} changes its quantisation")
            self._states.append((int(index), int(after["index"])))
            self._zeros.append(np.full(before["shape"], before["quantization"][1], np.int8))

    def reset(self) -> None:
        """Forget everything: the state before the first token of a piece."""
        self.state: State = tuple(self._zeros)

    def step(self, features: list[int]) -> NDArray[np.float32]:
        """Hear one input, given by the indices of its ones; the logits ``(classes,)``."""
        tflite = self._tflite
        row = self._x[0]
        row[features] = self._on
        tflite.set_tensor(self._x_index, self._x)
        row[features] = self._off
        for (index, _), value in zip(self._states, self.state, strict=True):
            tflite.set_tensor(index, value)
        tflite.invoke()
        self.state = tuple(tflite.get_tensor(index) for _, index in self._states)
        raw = tflite.get_tensor(self._logits_index)[0].astype(np.float32)
        return np.asarray((raw - self._logits_zero) * self._logits_scale, np.float32)
