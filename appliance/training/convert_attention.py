"""The Transformer's step for conversion: weights and memory in int8, sums in floating point.

A layer's keys and values go in as the rows of the last tokens and come out as the one row of
this token; the runtime adds it to the others. The heads are told apart by a mask and not by
reshaping, because all of the memory would be copied for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.training.convert import Step
from appliance.training.recipe import Recipe, Weights

EPSILON = 1e-5
"""PyTorch's, in its normalisation of layers."""
IN_FLOAT = frozenset({"ADD", "BATCH_MATMUL", "MEAN", "MUL", "RSQRT", "SOFTMAX", "SUB", "SUM"})
"""What stays in floating point: in int8, sums lose what was added first, and attention that is
spread over hundreds of places has shares below 1/256, of which softmax knows none."""
Array = NDArray[np.float32]


def step(recipe: Recipe, members: Sequence[Weights]) -> Step:
    """One token through the network; what normalisation multiplies and adds is in the weights."""
    import tensorflow as tf

    sizes, (weights,) = recipe.network, members
    width, heads, memory = sizes.hidden, sizes.heads, sizes.memory_tokens
    of_head = np.repeat(np.eye(heads, dtype=np.float32), width // heads, axis=1)[None]

    def normalised(y: Any) -> Any:
        off = y - tf.reduce_mean(y, -1, keepdims=True)
        return off * tf.math.rsqrt(tf.reduce_mean(off * off, -1, keepdims=True) + EPSILON)

    def product(y: Any, name: str, norm: str, part: slice = slice(None)) -> Any:
        matrix, bias = folded(weights, name, norm)
        return tf.matmul(y, tf.constant(matrix[:, part])) + bias[part]

    def whole(x: Any, *state: Any) -> dict[str, Any]:
        y = tf.matmul(x, tf.constant(weights["embed.weight"]))
        found: dict[str, Any] = {}
        for n in range(sizes.layers):
            of = f"blocks.{n}."
            z = normalised(y)
            query, key, value = (
                product(z, of + "queries_keys_values", of + "before", slice(at, at + width))
                for at in range(0, 3 * width, width)
            )
            found[f"keys{n}_next"], found[f"values{n}_next"] = key, value
            keys = tf.concat([state[2 * n], tf.reshape(key, (1, 1, width))], 1)
            values = tf.concat([state[2 * n + 1], tf.reshape(value, (1, 1, width))], 1)
            asked = tf.reshape(query, (1, 1, width)) * (of_head * (width // heads) ** -0.5)
            scores = tf.matmul(asked, keys, transpose_b=True) + weights[of + "bias"]
            seen = tf.reduce_sum(tf.matmul(tf.nn.softmax(scores), values) * of_head, 1)
            y = y + tf.matmul(seen, tf.constant(weights[of + "mix.weight"].T))
            inner = tf.nn.relu(product(normalised(y), of + "up", of + "between"))
            down = tf.constant(weights[of + "down.weight"].T)
            y = y + (tf.matmul(inner, down) + weights[of + "down.bias"])
        return found | {"logits": product(normalised(y), "out", "last")}

    return Step(
        whole,
        {
            f"{kind}{n}": (1, memory, width)
            for n in range(sizes.layers)
            for kind in ("keys", "values")
        },
        in_float=IN_FLOAT,
    )


def folded(weights: Weights, name: str, norm: str) -> tuple[Array, Array]:
    """A product's matrix and bias with those of the normalisation before it."""
    matrix = weights[f"{name}.weight"].T
    bias = weights[f"{norm}.bias"] @ matrix
    return weights[f"{norm}.weight"][:, None] * matrix, bias + weights.get(f"{name}.bias", 0)
