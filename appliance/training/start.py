"""The weights of a model file that was made before, to begin a training with.

An int8 file keeps what matters of its float weights, so what one training has learned is not
lost to the next, even where the input has grown in the meantime.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.errors import UsageError
from appliance.training.recipe import Weights

Product = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""A matrix and what is added after it."""

_PRODUCT = re.compile(r"MatMul(?:_(\d+))?(?:;|$)")
"""Conversion names the products in the order in which :func:`convert.tflite` writes them."""


def from_history(name: str) -> list[Weights]:
    """The weights of the networks of a model in this repository's history.

    Args:
        name: as ``git show`` takes it: ``COMMIT:models/NAME.tflite``.

    Raises:
        UsageError: git does not know it.
    """
    shown = subprocess.run(["git", "show", name], capture_output=True)
    if shown.returncode:
        raise UsageError(f"start = {name!r}: {shown.stderr.decode(errors='replace').strip()}")
    return networks_of(shown.stdout)


def networks_of(model: bytes) -> list[Weights]:
    """The float weights behind a model's int8, one by one of the networks it is the mean of."""
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    graph = tree.subgraphs[0]
    products: dict[int, Product] = {}
    for operator in graph.operators:
        code = tree.operatorCodes[operator.opcodeIndex]
        if code.builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
            continue
        _, product, *more = (graph.tensors[at] for at in operator.inputs if at >= 0)
        found = _PRODUCT.match(product.name.decode())
        if found:
            added = _values(tree, more[0], np.int32) if more else None
            products[int(found[1] or 0)] = (_values(tree, product, np.int8), added)
    states = {e.name.decode(): e.tensorIndex for e in tree.signatureDefs[0].inputs}
    members = sum(name.startswith("h0") for name in states)
    keys = int(graph.tensors[states["h0"]].shape[0])
    ordered = [products[number] for number in sorted(products)]
    each = len(ordered) // members
    return [
        _network(ordered[first : first + each], members, keys)
        for first in range(0, len(ordered), each)
    ]


def _network(products: Sequence[Product], members: int, keys: int) -> Weights:
    """One network's, its products in the order of :func:`convert.tflite`."""
    layers = (len(products) - 2) // 8
    # Of all the keys that it hears, the first is its own.
    embed, out = products[0][0], products[-1][0]
    weights = {"embed.weight": embed[: len(embed) // keys].T}
    for layer in range(layers):
        gates = [products[1 + 8 * layer + 2 * gate] for gate in range(4)]
        states = [products[2 + 8 * layer + 2 * gate][0] for gate in range(4)]
        of = f"layers.{layer}."
        biases = np.concatenate([bias for _, bias in gates if bias is not None])
        weights[of + "weight_ih_l0"] = np.concatenate([product for product, _ in gates])
        weights[of + "weight_hh_l0"] = np.concatenate(states)
        weights[of + "bias_ih_l0"], weights[of + "bias_hh_l0"] = biases, np.zeros_like(biases)
    out = out[:, : out.shape[1] // keys]
    bias = products[-1][1]
    assert bias is not None
    # A share of the mean is in what the converter was given.
    return weights | {"out.weight": out * members * keys, "out.bias": bias * members}


def _values(tree: Any, tensor: Any, dtype: type) -> NDArray[np.float32]:
    data = bytes(tree.buffers[tensor.buffer].data)
    raw: NDArray[Any] = np.frombuffer(data, dtype).reshape(tensor.shape)
    scales = np.asarray(tensor.quantization.scale, np.float32)
    if scales.size > 1:
        shape = [1] * raw.ndim
        shape[tensor.quantization.quantizedDimension] = -1
        scales = scales.reshape(shape)
    return (raw * scales).astype(np.float32)


def grown(weights: Weights, width: int) -> Weights:
    """The same network with an input of ``width``: what is new in it begins with no say."""
    known = weights["embed.weight"]
    if len(known) > width:
        raise UsageError(f"start has {len(known)} inputs, the codec only {width}")
    more = np.zeros((width - len(known), known.shape[1]), np.float32)
    return weights | {"embed.weight": np.concatenate([known, more])}
