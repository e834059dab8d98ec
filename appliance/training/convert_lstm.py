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


def state_name(kind: str, number: int, layer: int) -> str:
    """Name of a state tensor: ``h0``, ``c0`` for the first network, ``h0_2`` for the second."""
    return f"{kind}{layer}" + (f"_{number + 1}" if number else "")


def step(recipe: Recipe, codec: Codec, members: Sequence[Weights]) -> Step:
    """The mean of the members' logits, in all the keys that they hear.

    A share of each is in its output matrix already. Only the first and the last matrix are there
    for every key; what is between them is there once. (The keys could be the rows of one product,
    but an Edge TPU takes none with more than one row.)
    """
    import tensorflow as tf

    sizes = recipe.network
    shares = len(members) * len(sizes.keys)

    def network(weights: Weights, inner: Any, number: int, x: Any, state: Any) -> tuple[Any, Any]:
        y = tf.matmul(x, tf.constant(weights["embed.weight"]))
        after: dict[str, Any] = {}
        for n in range(sizes.layers):
            h, c = state[2 * n], state[2 * n + 1]
            i, f, g, o = (
                tf.matmul(y, part_w) + part_b + tf.matmul(h, part_u)
                for part_w, part_u, part_b in inner[n]
            )
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            c = tf.minimum(tf.maximum(c, -CELL_LIMIT), CELL_LIMIT)
            y = tf.sigmoid(o) * tf.tanh(c)
            after[state_name("h", number, n) + "_next"] = y
            after[state_name("c", number, n) + "_next"] = c
        out = weights["out.weight"].T / shares
        return tf.matmul(y, tf.constant(out)) + weights["out.bias"] / shares, after

    def whole(x: Any, *state: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        number = 0
        for weights in members:
            inner = [_parts(weights, layer) for layer in range(sizes.layers)]
            for key in sizes.keys:
                own = state[2 * sizes.layers * number :]
                logits, after = network(moved(weights, codec, key), inner, number, x, own)
                found |= after
                found["logits"] = found["logits"] + logits if number else logits
                number += 1
        return found

    return Step(
        whole,
        {
            state_name(kind, number, layer): (1, sizes.hidden)
            for number in range(shares)
            for layer in range(sizes.layers)
            for kind in "hc"
        },
        limit=CELL_LIMIT,
    )


def _parts(weights: Weights, layer: int) -> list[tuple[Any, Any, Array]]:
    """For every gate of a layer its two matrices, as constants, and its bias."""
    import tensorflow as tf

    w, u, b = gates(weights, layer)
    parts = zip(np.split(w, 4, axis=1), np.split(u, 4, axis=1), np.split(b, 4), strict=True)
    return [(tf.constant(part_w), tf.constant(part_u), part_b) for part_w, part_u, part_b in parts]
