"""The Transformer's step for conversion: weights and KV cache in int8, sums in floating point.

A layer's keys and values go in as the rows of the last tokens, and come out as the one row of this
token, which the runtime adds to its KV cache. A mask separates the heads, because a reshape would
copy the whole cache at every token.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from appliance.training.convert.step import Array, NetworkStep
from appliance.training.recipe import NetworkConfig, Weights

EPSILON = 1e-5
"""The one that PyTorch's LayerNorm has."""
FLOAT_OPS = frozenset({"ADD", "BATCH_MATMUL", "MEAN", "MUL", "RSQRT", "SOFTMAX", "SUB", "SUM"})
"""These stay in floating point. In int8, sums lose the terms that were added first, and softmax
cannot express the shares below 1/256 that attention over hundreds of places has."""


def transformer_step(config: NetworkConfig) -> NetworkStep:
    """The step of a Transformer of this size; states are float32 ``(1, memory_tokens, hidden)``.

    Scale and shift of each LayerNorm are folded into the weights of the product after it.
    """
    import tensorflow as tf

    width, heads, memory = config.hidden, config.heads, config.memory_tokens
    head_mask = np.repeat(np.eye(heads, dtype=np.float32), width // heads, axis=1)[
        None
    ]  # (1, H, C)

    def normalised(y: Any) -> Any:
        centred = y - tf.reduce_mean(y, -1, keepdims=True)
        variance = tf.reduce_mean(centred * centred, -1, keepdims=True)
        return centred * tf.math.rsqrt(variance + EPSILON)

    def layer_constants(weights: Weights, layer: int) -> dict[str, Any]:
        prefix = f"blocks.{layer}."
        qkv, qkv_bias = fold_norm(weights, prefix + "qkv", prefix + "attention_norm")
        parts = [slice(first, first + width) for first in range(0, 3 * width, width)]
        up, up_bias = fold_norm(weights, prefix + "up", prefix + "feedforward_norm")
        return {
            "qkv": [(tf.constant(qkv[:, part]), qkv_bias[part]) for part in parts],
            "bias": weights[prefix + "bias"],
            "project": tf.constant(weights[prefix + "project.weight"].T),
            "up": (tf.constant(up), up_bias),
            "down": (
                tf.constant(weights[prefix + "down.weight"].T),
                weights[prefix + "down.bias"],
            ),
        }

    def build(weights: Weights, layers: Any, x: Any, state: Any) -> tuple[Any, list[Any]]:
        y = tf.matmul(x, tf.constant(weights["embed.weight"]))  # (1, C)
        next_state: list[Any] = []
        for n, layer in enumerate(layers):
            z = normalised(y)
            query, key, value = (tf.matmul(z, w) + b for w, b in layer["qkv"])  # (1, C) each
            next_state += [key, value]
            keys = tf.concat([state[2 * n], tf.reshape(key, (1, 1, width))], 1)  # (1, M + 1, C)
            values = tf.concat([state[2 * n + 1], tf.reshape(value, (1, 1, width))], 1)
            scale = (width // heads) ** -0.5
            queries = tf.reshape(query, (1, 1, width)) * (head_mask * scale)  # (1, H, C)
            scores = tf.matmul(queries, keys, transpose_b=True) + layer["bias"]  # (1, H, M + 1)
            mixed = tf.matmul(tf.nn.softmax(scores), values)  # (1, H, C)
            mixed = tf.reduce_sum(mixed * head_mask, 1)  # (1, C)
            y = y + tf.matmul(mixed, layer["project"])
            up, up_bias = layer["up"]
            hidden = tf.nn.relu(tf.matmul(normalised(y), up) + up_bias)  # (1, feedforward)
            down, down_bias = layer["down"]
            y = y + (tf.matmul(hidden, down) + down_bias)
        matrix, bias = fold_norm(weights, "out", "final_norm")
        return tf.matmul(normalised(y), tf.constant(matrix)) + bias, next_state

    return NetworkStep(
        [
            (f"{kind}{layer}", (1, memory, width))
            for layer in range(config.layers)
            for kind in ("keys", "values")
        ],
        lambda weights: [layer_constants(weights, layer) for layer in range(config.layers)],
        build,
        float_ops=FLOAT_OPS,
    )


def fold_norm(weights: Weights, product: str, norm: str) -> tuple[Array, Array]:
    """A product's matrix and bias, with scale and shift of the LayerNorm before it folded in.

    Args:
        weights: of the network.
        product: name of the linear layer, with or without a bias.
        norm: name of the LayerNorm.

    Returns:
        matrix ``(inputs, outputs)`` and bias ``(outputs,)``, float32.
    """
    matrix = weights[f"{product}.weight"].T
    bias = weights[f"{norm}.bias"] @ matrix
    return weights[f"{norm}.weight"][:, None] * matrix, bias + weights.get(f"{product}.bias", 0)
