"""The Transformer's step for conversion: weights and memory in int8, sums in floating point.

A layer's keys and values go in as the rows of the last tokens and come out as the one row of
this token; the runtime adds it to the others. The heads are told apart by a mask and not by
reshaping, because all of the memory would be copied for that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.training.convert.export_tflite import Kind
from appliance.training.recipe import NetworkPart, Weights

EPSILON = 1e-5
"""PyTorch's, in its normalisation of layers."""
IN_FLOAT = frozenset({"ADD", "BATCH_MATMUL", "MEAN", "MUL", "RSQRT", "SOFTMAX", "SUB", "SUM"})
"""What stays in floating point: in int8, sums lose what was added first, and attention that is
spread over hundreds of places has shares below 1/256, of which softmax knows none."""
Array = NDArray[np.float32]


def kind(sizes: NetworkPart) -> Kind:
    """A Transformer of these sizes; what normalisation multiplies and adds is in the weights."""
    import tensorflow as tf

    width, heads, memory = sizes.hidden, sizes.heads, sizes.memory_tokens
    of_head = np.repeat(np.eye(heads, dtype=np.float32), width // heads, axis=1)[None]

    def normalised(y: Any) -> Any:
        off = y - tf.reduce_mean(y, -1, keepdims=True)
        return off * tf.math.rsqrt(tf.reduce_mean(off * off, -1, keepdims=True) + EPSILON)

    def inner(weights: Weights) -> list[dict[str, Any]]:
        """Of every layer its matrices, as constants, and what is added after them."""
        found = []
        for n in range(sizes.layers):
            of = f"blocks.{n}."
            matrix, added = folded(weights, of + "queries_keys_values", of + "before")
            places = [slice(at, at + width) for at in range(0, 3 * width, width)]
            up, up_added = folded(weights, of + "up", of + "between")
            found.append(
                {
                    "queries_keys_values": [(tf.constant(matrix[:, p]), added[p]) for p in places],
                    "bias": weights[of + "bias"],
                    "mix": tf.constant(weights[of + "mix.weight"].T),
                    "up": (tf.constant(up), up_added),
                    "down": (
                        tf.constant(weights[of + "down.weight"].T),
                        weights[of + "down.bias"],
                    ),
                }
            )
        return found

    def network(weights: Weights, layers: Any, x: Any, state: Any) -> tuple[Any, list[Any]]:
        y = tf.matmul(x, tf.constant(weights["embed.weight"]))
        after: list[Any] = []
        for n, layer in enumerate(layers):
            z = normalised(y)
            query, key, value = (tf.matmul(z, w) + b for w, b in layer["queries_keys_values"])
            after += [key, value]
            keys = tf.concat([state[2 * n], tf.reshape(key, (1, 1, width))], 1)
            values = tf.concat([state[2 * n + 1], tf.reshape(value, (1, 1, width))], 1)
            asked = tf.reshape(query, (1, 1, width)) * (of_head * (width // heads) ** -0.5)
            scores = tf.matmul(asked, keys, transpose_b=True) + layer["bias"]
            seen = tf.reduce_sum(tf.matmul(tf.nn.softmax(scores), values) * of_head, 1)
            y = y + tf.matmul(seen, layer["mix"])
            up, added = layer["up"]
            alone = tf.nn.relu(tf.matmul(normalised(y), up) + added)
            down, added = layer["down"]
            y = y + (tf.matmul(alone, down) + added)
        matrix, added = folded(weights, "out", "last")
        return tf.matmul(normalised(y), tf.constant(matrix)) + added, after

    return Kind(
        [
            (f"{of}{n}", (1, memory, width))
            for n in range(sizes.layers)
            for of in ("keys", "values")
        ],
        inner,
        network,
        in_float=IN_FLOAT,
    )


def folded(weights: Weights, name: str, norm: str) -> tuple[Array, Array]:
    """A product's matrix and bias with those of the normalisation before it."""
    matrix = weights[f"{name}.weight"].T
    bias = weights[f"{norm}.bias"] @ matrix
    return weights[f"{norm}.weight"][:, None] * matrix, bias + weights.get(f"{name}.bias", 0)
