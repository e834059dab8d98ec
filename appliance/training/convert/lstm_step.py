"""The LSTM's step for conversion, written out as plain operations.

A fused Keras LSTM hides its state and is an order slower in int8. What keeps the loss in the
per-mille range: the products with the input and with the state are separate (a concatenation
would force one scale on both), and the cell state is clipped in the graph.

Every operation is on the Edge TPU compiler's list of supported operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.training.convert.export_tflite import Kind
from appliance.training.recipe import NetworkPart, Weights

CELL_LIMIT = 8.0
"""Bound on the cell state: a cell beyond it is saturated through tanh anyway."""

Array = NDArray[np.float32]


def gates(weights: Weights, layer: int) -> tuple[Array, Array, Array]:
    """Input matrix, state matrix and bias of a layer, gates in PyTorch's order i, f, g, o."""
    of = f"layers.{layer}."
    return (
        weights[of + "weight_ih_l0"].T,
        weights[of + "weight_hh_l0"].T,
        weights[of + "bias_ih_l0"] + weights[of + "bias_hh_l0"],
    )


def kind(sizes: NetworkPart) -> Kind:
    """An LSTM of these sizes."""
    import tensorflow as tf

    def network(weights: Weights, inner: Any, x: Any, state: Any) -> tuple[Any, list[Any]]:
        y = tf.matmul(x, tf.constant(weights["embed.weight"]))
        after: list[Any] = []
        for n in range(sizes.layers):
            h, c = state[2 * n], state[2 * n + 1]
            i, f, g, o = (
                tf.matmul(y, part_w) + part_b + tf.matmul(h, part_u)
                for part_w, part_u, part_b in inner[n]
            )
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            c = tf.minimum(tf.maximum(c, -CELL_LIMIT), CELL_LIMIT)
            y = tf.sigmoid(o) * tf.tanh(c)
            after += [y, c]
        return tf.matmul(y, tf.constant(weights["out.weight"].T)) + weights["out.bias"], after

    return Kind(
        [(f"{of}{layer}", (1, sizes.hidden)) for layer in range(sizes.layers) for of in "hc"],
        lambda weights: [_parts(weights, layer) for layer in range(sizes.layers)],
        network,
        limit=CELL_LIMIT,
    )


def _parts(weights: Weights, layer: int) -> list[tuple[Any, Any, Array]]:
    """For every gate of a layer its two matrices, as constants, and its bias."""
    import tensorflow as tf

    w, u, b = gates(weights, layer)
    parts = zip(np.split(w, 4, axis=1), np.split(u, 4, axis=1), np.split(b, 4), strict=True)
    return [(tf.constant(part_w), tf.constant(part_u), part_b) for part_w, part_u, part_b in parts]
