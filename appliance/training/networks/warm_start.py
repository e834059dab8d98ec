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
"""Conversion names the products in the order in which :func:`convert_lstm.step` writes them."""


def from_history(name: str) -> list[Weights]:
    """The weights of the networks of a model in this repository's history.

    Args:
        name: as ``git show`` takes it: ``COMMIT:models/NAME.tflite``.

    Raises:
        UsageError: git does not know it.
    """
    shown = subprocess.run(["git", "show", name], capture_output=True)
    if shown.returncode:
        why = shown.stderr.decode(errors="replace").strip()
        raise UsageError(
            f"start = {name!r} is not in this repository's history ({why}); it has to be "
            "COMMIT:models/NAME.tflite, and the clone a whole one"
        )
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
    states = [entry.name.decode() for entry in tree.signatureDefs[0].inputs]
    shares = sum(name.startswith("h0") for name in states)
    layers = sum(name.startswith("h") for name in states) // shares
    each = 8 * layers + 2
    networks, first = [], 0
    for last in range(0, shares * each, each):
        # All keys of a network share what is between its first and its last matrix, under the
        # names of the last key's; its own key is the first.
        inner = range(last + 1, last + each - 1)
        if all(number in products for number in inner):
            numbers = [first, *inner, first + each - 1]
            networks.append(_network([products[number] for number in numbers], shares))
            first = last + each
    return networks


def _network(products: Sequence[Product], shares: int) -> Weights:
    """One network's, its products in the order of :func:`convert_lstm.step`."""
    layers = (len(products) - 2) // 8
    weights = {"embed.weight": products[0][0].T}
    for layer in range(layers):
        gates = [products[1 + 8 * layer + 2 * gate] for gate in range(4)]
        states = [products[2 + 8 * layer + 2 * gate][0] for gate in range(4)]
        of = f"layers.{layer}."
        biases = np.concatenate([bias for _, bias in gates if bias is not None])
        weights[of + "weight_ih_l0"] = np.concatenate([product for product, _ in gates])
        weights[of + "weight_hh_l0"] = np.concatenate(states)
        weights[of + "bias_ih_l0"], weights[of + "bias_hh_l0"] = biases, np.zeros_like(biases)
    out, bias = products[-1]
    assert bias is not None
    # A share of the mean is in what the converter was given.
    return weights | {"out.weight": out * shares, "out.bias": bias * shares}


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
        raise UsageError(
            f"the model that start names has {len(known)} inputs, the codec only {width}: it is of "
            "another kind of music; take the start away"
        )
    more = np.zeros((width - len(known), known.shape[1]), np.float32)
    return weights | {"embed.weight": np.concatenate([known, more])}
