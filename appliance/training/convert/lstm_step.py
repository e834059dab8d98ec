"""The LSTM's step for conversion, written as plain operations.

A fused Keras LSTM hides its state and is ten times slower in int8. Two things keep the loss from
quantisation below a percent: the products with the input and with the state are separate, because
their concatenation would force one scale on both; and the cell state is clipped in the graph.

Every operation is on the Edge TPU compiler's list of supported operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from appliance.training.convert.step import Array, NetworkStep
from appliance.training.recipe import NetworkConfig, Weights

CELL_LIMIT = 8.0
"""Bound on the cell state: beyond it, tanh is saturated anyway."""


def lstm_step(config: NetworkConfig) -> NetworkStep:
    """The step of an LSTM of this size; states are float32 ``(1, hidden)``."""
    import tensorflow as tf

    def build(weights: Weights, layers: Any, x: Any, state: Any) -> tuple[Any, list[Any]]:
        y = tf.matmul(x, tf.constant(weights["embed.weight"]))
        next_state: list[Any] = []
        for n in range(config.layers):
            h, c = state[2 * n], state[2 * n + 1]
            i, f, g, o = (
                tf.matmul(y, gate_w) + gate_b + tf.matmul(h, gate_u)
                for gate_w, gate_u, gate_b in layers[n]
            )
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            c = tf.minimum(tf.maximum(c, -CELL_LIMIT), CELL_LIMIT)
            y = tf.sigmoid(o) * tf.tanh(c)
            next_state += [y, c]
        return tf.matmul(y, tf.constant(weights["out.weight"].T)) + weights["out.bias"], next_state

    return NetworkStep(
        [(f"{kind}{layer}", (1, config.hidden)) for layer in range(config.layers) for kind in "hc"],
        lambda weights: [_gate_constants(weights, layer) for layer in range(config.layers)],
        build,
        state_limit=CELL_LIMIT,
    )


def layer_matrices(weights: Weights, layer: int) -> tuple[Array, Array, Array]:
    """The matrices and the bias of a layer, with the gates in PyTorch's order i, f, g, o.

    Returns:
        input matrix ``(inputs, 4 * hidden)``, state matrix ``(hidden, 4 * hidden)`` and bias
        ``(4 * hidden,)``, all float32.
    """
    prefix = f"layers.{layer}."
    return (
        weights[prefix + "weight_ih_l0"].T,
        weights[prefix + "weight_hh_l0"].T,
        weights[prefix + "bias_ih_l0"] + weights[prefix + "bias_hh_l0"],
    )


def _gate_constants(weights: Weights, layer: int) -> list[tuple[Any, Any, Array]]:
    """For each of the four gates of a layer its two matrices, as constants, and its bias."""
    import tensorflow as tf

    w, u, b = layer_matrices(weights, layer)
    gates = zip(np.split(w, 4, axis=1), np.split(u, 4, axis=1), np.split(b, 4), strict=True)
    return [(tf.constant(gate_w), tf.constant(gate_u), gate_b) for gate_w, gate_u, gate_b in gates]
