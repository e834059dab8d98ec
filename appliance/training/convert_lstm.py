"""The LSTM's step for conversion, written out as plain operations.

A fused Keras LSTM hides its state and is an order slower in int8. What keeps the loss in the
per-mille range: the products with the input and with the state are separate (a concatenation
would force one scale on both), and the cell state is clipped in the graph.

Every operation is on the Edge TPU compiler's list of supported operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.music.codec import Codec
from appliance.training.convert import Step
from appliance.training.moved import moved
from appliance.training.recipe import Recipe, Weights

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


def state_name(kind: str, member: int, layer: int) -> str:
    """Name of a state tensor: ``h0``, ``c0`` for the first network, ``h0_2`` for the second."""
    return f"{kind}{layer}" + (f"_{member + 1}" if member else "")


def step(recipe: Recipe, codec: Codec, members: Sequence[Weights]) -> Step:
    """The mean of the members' logits, in all the keys that they hear.

    A share of each is in its output matrix already. Only the first and the last matrix are there
    for every key; in between, the keys are the rows of one product.
    """
    import tensorflow as tf

    sizes = recipe.network
    keys, shares = len(sizes.keys), len(members) * len(sizes.keys)

    def network(weights: Weights, member: int, x: Any, state: Sequence[Any]) -> tuple[Any, Any]:
        heard = [moved(weights, codec, key) for key in sizes.keys]
        embed = np.concatenate([one["embed.weight"] for one in heard], axis=1)
        y = tf.reshape(tf.matmul(x, tf.constant(embed)), [keys, sizes.embedding])
        after: dict[str, Any] = {}
        for n in range(sizes.layers):
            h, c = state[2 * n], state[2 * n + 1]
            w, u, b = gates(weights, n)
            i, f, g, o = (
                tf.matmul(y, part_w) + part_b + tf.matmul(h, part_u)
                for part_w, part_u, part_b in zip(
                    np.split(w, 4, axis=1),
                    np.split(u, 4, axis=1),
                    np.split(b, 4),
                    strict=True,
                )
            )
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            c = tf.minimum(tf.maximum(c, -CELL_LIMIT), CELL_LIMIT)
            y = tf.sigmoid(o) * tf.tanh(c)
            after[state_name("h", member, n) + "_next"] = y
            after[state_name("c", member, n) + "_next"] = c
        out = np.concatenate([one["out.weight"].T for one in heard]) / shares
        bias = np.sum([one["out.bias"] for one in heard], axis=0) / shares
        y = tf.reshape(y, [1, keys * sizes.hidden])
        return tf.matmul(y, tf.constant(out)) + bias, after

    def whole(x: Any, *state: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for member, weights in enumerate(members):
            own = state[2 * sizes.layers * member :]
            logits, after = network(weights, member, x, own)
            found |= after
            found["logits"] = found["logits"] + logits if member else logits
        return found

    return Step(
        whole,
        codec.width,
        {
            state_name(kind, member, layer): (keys, sizes.hidden)
            for member in range(len(members))
            for layer in range(sizes.layers)
            for kind in "hc"
        },
        limit=CELL_LIMIT,
    )
