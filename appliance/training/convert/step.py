"""One token through a network, as the converter needs it: operations and named states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.training.recipe import Weights

Array = NDArray[np.float32]

Samples = Callable[[], Iterator[dict[str, Array]]]
"""Gives samples for the converter, each a dict of arrays: the input ``x`` ``(1, width)`` and the
states by their names."""


class NetworkStep(NamedTuple):
    """One token through one network of some kind; all arrays are float32.

    Attributes:
        state_shapes: name and shape of every state tensor.
        make_constants: from a network's weights the constants between its first and its last
            matrix, which all transpositions of the network share.
        build: from weights, these constants, the multi-hot input ``(1, width)`` and the states in
            order, to the logits ``(1, classes)`` and each state's new value, or its new row.
        state_limit: the bound on the absolute value of the states.
        float_ops: operations that stay in floating point, by TFLite's names.
    """

    state_shapes: list[tuple[str, tuple[int, ...]]]
    make_constants: Callable[[Weights], Any]
    build: Callable[[Weights, Any, Any, Sequence[Any]], tuple[Any, list[Any]]]
    state_limit: float = np.inf
    float_ops: frozenset[str] = frozenset()


class ModelStep(NamedTuple):
    """One token through all networks of a model; all arrays are float32.

    Attributes:
        function: from the input ``(1, width)`` and all states to a dict with ``logits``
            ``(1, classes)`` and, for each state, ``NAME_next``.
        state_shapes: shape of every state by its name.
        state_limit, float_ops: as in :class:`NetworkStep`.
    """

    function: Callable[..., dict[str, Any]]
    state_shapes: dict[str, tuple[int, ...]]
    state_limit: float
    float_ops: frozenset[str]
