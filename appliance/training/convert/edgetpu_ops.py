"""The operations that the Edge TPU's compiler accepts, and a check of a model against them.

Source: the requirements and the table "Supported operations" of "TensorFlow models on the Edge
TPU", coral.ai/docs/edgetpu/models-intro, for the compiler's last version (16, runtime 14). A limit
of the table that is not checked here counts as an objection, so that nothing is overlooked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ai_edge_litert import schema_py_generated as schema

MAX_SOFTMAX_ELEMENTS: Final = 16_000


class Tensor(NamedTuple):
    """One tensor of a model; ``shape`` has -1 for an open size, ``type`` is TFLite's name."""

    name: str
    type: str
    shape: tuple[int, ...]
    constant: bool

    @property
    def is_vector(self) -> bool:
        """Whether at most one size is more than 1."""
        return math.prod(self.shape) == max(self.shape, default=1)


class Operation(NamedTuple):
    """One operation of a model, with TFLite's name for it and its options."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    options: Any

    def option(self, name: str) -> Any:
        """The value of an option; ``None`` where the operation does not have it."""
        return getattr(self.options, name, None)


class Limit(NamedTuple):
    """A "known limitation" of the table: its text, and whether an operation keeps to it."""

    text: str
    is_kept: Callable[[Operation], bool] = lambda _: False


NO_LIMIT: Final = Limit("", lambda _: True)


def _dilation_is_square(operation: Operation) -> bool:
    return bool(operation.option("dilationWFactor") == operation.option("dilationHFactor"))


def _no_activation(operation: Operation) -> bool:
    return operation.option("fusedActivationFunction") == schema.ActivationFunctionType.NONE


def _plain_weights(operation: Operation) -> bool:
    default = schema.FullyConnectedOptionsWeightsFormat.DEFAULT
    return operation.option("weightsFormat") == default and operation.outputs[0].is_vector


def _short_vector(operation: Operation) -> bool:
    x = operation.inputs[0]
    return x.is_vector and math.prod(x.shape) <= MAX_SOFTMAX_ELEMENTS


def _joins_few(operation: Operation) -> bool:
    return _no_activation(operation) and not any(x.constant for x in operation.inputs)


LIST: Final[dict[str, Limit]] = {
    "ADD": NO_LIMIT,
    "AVERAGE_POOL_2D": Limit("no fused activation", _no_activation),
    "CONCATENATION": Limit(
        "no fused activation; a constant only as zeros beside one other input", _joins_few
    ),
    "CONV_2D": Limit("the same dilation in x and y", _dilation_is_square),
    "DEPTHWISE_CONV_2D": Limit("the same dilation in x and y", _dilation_is_square),
    "EXPAND_DIMS": NO_LIMIT,
    "FULLY_CONNECTED": Limit(
        "weights in the default format, and a vector as output", _plain_weights
    ),
    "L2_NORMALIZATION": NO_LIMIT,
    "LOGISTIC": NO_LIMIT,
    "LSTM": Limit("in one direction only"),
    "MAXIMUM": NO_LIMIT,
    "MAX_POOL_2D": Limit("no fused activation", _no_activation),
    "MEAN": Limit("not over the batch; over z only where it is a multiple of 4"),
    "MINIMUM": NO_LIMIT,
    "MUL": NO_LIMIT,
    "PACK": Limit("not along the batch"),
    "PAD": Limit("not along the batch"),
    "PRELU": Limit("alpha has one dimension"),
    "QUANTIZE": NO_LIMIT,
    "REDUCE_MAX": Limit("not over the batch"),
    "REDUCE_MIN": Limit("not over the batch"),
    "RELU": NO_LIMIT,
    "RELU6": NO_LIMIT,
    "RELU_N1_TO_1": NO_LIMIT,
    "RESHAPE": Limit("large ones may be left to the CPU"),
    "RESIZE_BILINEAR": Limit("may be left to the CPU, by its size"),
    "RESIZE_NEAREST_NEIGHBOR": Limit("may be left to the CPU, by its size"),
    "RSQRT": NO_LIMIT,
    "SLICE": NO_LIMIT,
    "SOFTMAX": Limit(f"a vector of at most {MAX_SOFTMAX_ELEMENTS} elements", _short_vector),
    "SPACE_TO_DEPTH": NO_LIMIT,
    "SPLIT": Limit("not along the batch"),
    "SQUARED_DIFFERENCE": NO_LIMIT,
    "SQUEEZE": NO_LIMIT,
    "STRIDED_SLICE": Limit("strides of 1, without ellipsis and new axes"),
    "SUB": NO_LIMIT,
    "SUM": Limit("not over the batch"),
    "TANH": NO_LIMIT,
    "TRANSPOSE": NO_LIMIT,
    "TRANSPOSE_CONV": NO_LIMIT,
}
"""The operations of the table by TFLite's names, each with its limit."""


def operations(model: bytes) -> list[Operation]:
    """All operations of a TFLite flatbuffer, in the order in which they run."""
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    names, types = _names(schema.BuiltinOperator), _names(schema.TensorType)
    found = []
    for graph in tree.subgraphs:
        tensors = [
            Tensor(
                tensor.name.decode(),
                types[tensor.type],
                tuple(map(int, _or_default(tensor.shapeSignature, _or_default(tensor.shape, ())))),
                tree.buffers[tensor.buffer].data is not None,
            )
            for tensor in graph.tensors
        ]
        for operator in graph.operators:
            code = tree.operatorCodes[operator.opcodeIndex]
            # Older files have the code in the deprecated field, which ends at 127.
            name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            found.append(
                Operation(
                    code.customCode.decode() if name == "CUSTOM" else name,
                    tuple(tensors[at] for at in _or_default(operator.inputs, ()) if at >= 0),
                    tuple(tensors[at] for at in _or_default(operator.outputs, ())),
                    operator.builtinOptions,
                )
            )
    return found


def objections(operation: Operation) -> list[str]:
    """The reasons why the compiler would leave an operation to the CPU; none if it accepts it."""
    found = []
    limit = LIST.get(operation.name)
    if limit is None:
        found.append(f"{operation.name} is not on the list")
    elif not limit.is_kept(operation):
        found.append(f"{operation.name} is limited: {limit.text}")
    for tensor in (*operation.inputs, *operation.outputs):
        # Biases have the precision of the sums; sizes and axes are not data.
        if tensor.type != "INT8" and not (tensor.type == "INT32" and tensor.constant):
            found.append(f"{tensor.name} is {tensor.type}, not INT8")
        if min(tensor.shape, default=1) < 0:
            found.append(f"{tensor.name} has an open size: {tensor.shape}")
        if math.prod(tensor.shape[:-3]) > 1:
            found.append(f"{tensor.name} has more than three dimensions: {tensor.shape}")
    if operation.name == "FULLY_CONNECTED" and not all(x.constant for x in operation.inputs[1:]):
        found.append(f"{operation.name} has weights that are not constant")
    return found


def _names(enumeration: type) -> dict[int, str]:
    return {code: name for name, code in vars(enumeration).items() if isinstance(code, int)}


def _or_default(array: Any, default: Any) -> Any:
    """The schema's arrays are ``None`` where the file does not have them."""
    return default if array is None else array
