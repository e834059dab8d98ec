"""The float weights of a model file, to start a training from.

An int8 file keeps what matters of its float weights, so a new training can build on an old one,
even where the codec has more inputs now.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.errors import UsageError
from appliance.training.recipe import NetworkConfig, Weights

REPOSITORY = Path(__file__).parents[3]

Product = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""The matrix of a product, ``(outputs, inputs)``, and the bias after it, ``(outputs,)``."""

_PRODUCT_NAME = re.compile(r"MatMul(?:_(\d+))?(?:;|$)")
"""The converter numbers the products in the order in which ``convert/lstm_step.py`` has them."""
_PRODUCTS_PER_LAYER = 8
"""Four gates, each with a product with the input and one with the state."""
_TRANSFORMER_PRODUCTS_PER_LAYER = 8
"""Query, key and value; scores and their mix, which have no weights; projection; up and down."""


def load_networks(path: Path) -> list[Weights]:
    """The weights of each ensemble member of a model file.

    They are float32, with the names and shapes of
    :class:`appliance.training.networks.lstm.LstmNetwork` or
    :class:`appliance.training.networks.transformer.TransformerNetwork`.

    Args:
        path: absolute, or relative to the repository.

    Raises:
        UsageError: the file cannot be read, or it averages several Transformers.
    """
    try:
        model = (REPOSITORY / path).read_bytes()
    except OSError as error:
        raise UsageError(f"warm_start: cannot read {path}: {error.strerror}") from error
    return networks_from_tflite(model)


def networks_from_tflite(model: bytes) -> list[Weights]:
    """The dequantised weights of each ensemble member in a TFLite flatbuffer.

    See :func:`load_networks`.

    Raises:
        UsageError: it averages several Transformers.
    """
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    products = _products(tree, schema.BuiltinOperator.FULLY_CONNECTED)
    states = [entry.name.decode() for entry in tree.signatureDefs[0].inputs]
    if "keys0" in states:
        if "keys0_2" in states:
            raise UsageError("warm_start: a model that averages Transformers cannot be one's start")
        return [_transformer_weights(products, _attention_biases(tree))]
    network_count = sum(name.startswith("h0") for name in states)
    layers = sum(name.startswith("h") for name in states) // network_count
    per_network = _PRODUCTS_PER_LAYER * layers + 2
    networks, first = [], 0
    for last in range(0, network_count * per_network, per_network):
        # The transpositions of a network share the products between the first and the last. The
        # converter names these after the last transposition; the untransposed one is the first.
        inner = range(last + 1, last + per_network - 1)
        if all(number in products for number in inner):
            numbers = [first, *inner, first + per_network - 1]
            networks.append(_weights([products[number] for number in numbers], network_count))
            first = last + per_network
    return networks


def network_config(weights: Weights) -> NetworkConfig:
    """The kind and the size of the network that has these weights."""
    if "layers.0.weight_hh_l0" in weights:
        return NetworkConfig(
            embedding=weights["embed.weight"].shape[1],
            hidden=weights["layers.0.weight_hh_l0"].shape[1],
            layers=sum(name.endswith("weight_hh_l0") for name in weights),
        )
    heads, reach = weights["blocks.0.bias"].shape
    return NetworkConfig(
        kind="transformer",
        hidden=weights["embed.weight"].shape[1],
        layers=sum(name.endswith("qkv.weight") for name in weights),
        heads=heads,
        feedforward=weights["blocks.0.up.weight"].shape[0],
        memory_tokens=reach - 1,
    )


def _products(tree: Any, fully_connected: int) -> dict[int, Product]:
    """The products of a graph by their numbers."""
    graph = tree.subgraphs[0]
    products: dict[int, Product] = {}
    for operator in graph.operators:
        if tree.operatorCodes[operator.opcodeIndex].builtinCode != fully_connected:
            continue
        _, matrix, *bias = (graph.tensors[index] for index in operator.inputs if index >= 0)
        match = _PRODUCT_NAME.match(matrix.name.decode())
        if match:
            dequantised_bias = _dequantise(tree, bias[0], np.int32) if bias else None
            products[int(match[1] or 0)] = (_dequantise(tree, matrix, np.int8), dequantised_bias)
    return products


def _weights(products: Sequence[Product], network_count: int) -> Weights:
    """One network's weights from its products, in the order of ``convert/lstm_step.py``."""
    weights = {"embed.weight": products[0][0].T}
    for layer in range((len(products) - 2) // _PRODUCTS_PER_LAYER):
        first = 1 + _PRODUCTS_PER_LAYER * layer
        inputs = products[first : first + _PRODUCTS_PER_LAYER : 2]
        states = products[first + 1 : first + _PRODUCTS_PER_LAYER : 2]
        prefix = f"layers.{layer}."
        bias = np.concatenate([bias for _, bias in inputs if bias is not None])
        weights[prefix + "weight_ih_l0"] = np.concatenate([matrix for matrix, _ in inputs])
        weights[prefix + "weight_hh_l0"] = np.concatenate([matrix for matrix, _ in states])
        weights[prefix + "bias_ih_l0"], weights[prefix + "bias_hh_l0"] = bias, np.zeros_like(bias)
    out, bias_out = products[-1]
    assert bias_out is not None
    # Conversion divides the last product by the number of networks in the average.
    return weights | {"out.weight": out * network_count, "out.bias": bias_out * network_count}


def _attention_biases(tree: Any) -> list[NDArray[np.float32]]:
    """The bias of each layer's attention, ``(heads, memory_tokens + 1)``.

    It is the only constant of two dimensions that is in floating point.
    """
    graph = tree.subgraphs[0]
    biases = []
    for operator in graph.operators:
        for tensor in (graph.tensors[index] for index in operator.inputs if index >= 0):
            data = tree.buffers[tensor.buffer].data
            if data is not None and len(data) and tensor.type == 0 and len(tensor.shape) == 2:
                biases.append(np.frombuffer(bytes(data), np.float32).reshape(tensor.shape))
    return biases


def _transformer_weights(
    products: dict[int, Product], attention_biases: Sequence[NDArray[np.float32]]
) -> Weights:
    """A Transformer's weights from its products, in the order of ``convert/transformer_step.py``.

    Conversion folds scale and shift of each LayerNorm into the product after it, and there they
    stay: the scales are 1. The shift before the attention is the one that gives the biases of its
    three products, which have none of their own.
    """
    width = len(products[0][0])
    ones, zeros = np.ones(width, np.float32), np.zeros(width, np.float32)
    weights = {"embed.weight": products[0][0].T}
    for layer, attention_bias in enumerate(attention_biases):
        first, prefix = 1 + _TRANSFORMER_PRODUCTS_PER_LAYER * layer, f"blocks.{layer}."
        qkv = [products[first + n] for n in range(3)]
        matrix = np.concatenate([matrix for matrix, _ in qkv])
        bias = np.concatenate([zeros if bias is None else bias for _, bias in qkv])
        shift = np.linalg.lstsq(matrix, bias, rcond=None)[0].astype(np.float32)
        project, up, down = (products[first + n] for n in (5, 6, 7))
        weights |= {
            prefix + "bias": attention_bias,
            prefix + "attention_norm.weight": ones,
            prefix + "attention_norm.bias": shift,
            prefix + "feedforward_norm.weight": ones,
            prefix + "feedforward_norm.bias": zeros,
            prefix + "qkv.weight": matrix,
            prefix + "project.weight": project[0],
            prefix + "up.weight": up[0],
            prefix + "up.bias": _bias_of(up),
            prefix + "down.weight": down[0],
            prefix + "down.bias": _bias_of(down),
        }
    out = products[1 + _TRANSFORMER_PRODUCTS_PER_LAYER * len(attention_biases)]
    return weights | {
        "final_norm.weight": ones,
        "final_norm.bias": zeros,
        "out.weight": out[0],
        "out.bias": _bias_of(out),
    }


def _bias_of(product: Product) -> NDArray[np.float32]:
    matrix, bias = product
    return np.zeros(len(matrix), np.float32) if bias is None else bias


def _dequantise(tree: Any, tensor: Any, dtype: type) -> NDArray[np.float32]:
    data = bytes(tree.buffers[tensor.buffer].data)
    raw: NDArray[Any] = np.frombuffer(data, dtype).reshape(tensor.shape)
    scales = np.asarray(tensor.quantization.scale, np.float32)
    if scales.size > 1:
        shape = [1] * raw.ndim
        shape[tensor.quantization.quantizedDimension] = -1
        scales = scales.reshape(shape)
    return (raw * scales).astype(np.float32)


def with_wider_input(weights: Weights, width: int) -> Weights:
    """The same network with ``width`` inputs; the weights of the new inputs are zero.

    ``embed.weight`` grows from ``(inputs, embedding)`` to ``(width, embedding)``, float32.

    Raises:
        UsageError: the network has more inputs than that.
    """
    embed = weights["embed.weight"]  # (inputs, embedding)
    if len(embed) > width:
        raise UsageError(
            f"warm_start: the model has {len(embed)} inputs, the codec only {width}, so it is for "
            "another kind of music; name another model, or none"
        )
    zeros = np.zeros((width - len(embed), embed.shape[1]), np.float32)
    return weights | {"embed.weight": np.concatenate([embed, zeros])}
