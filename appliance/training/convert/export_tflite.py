"""Trained weights to a TFLite flatbuffer: one int8 step with its state in explicit tensors.

The output tensors of the state get the quantisation of the input tensors, so that the runtime can
carry the state from step to step as raw int8.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from appliance.music.codecs.base import Codec
from appliance.training.convert.ensemble_step import ensemble_step
from appliance.training.convert.step import Samples
from appliance.training.recipe import TrainedModel

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def to_int8_tflite(trained: TrainedModel, codec: Codec, samples: Samples) -> bytes:
    """The flatbuffer of the quantised step.

    Args:
        trained: weights and recipe.
        codec: for the shape of the input.
        samples: float32 arrays, see
            :func:`appliance.training.convert.calibration.calibration_samples`.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    step = ensemble_step(trained, codec)
    signature = [tf.TensorSpec([1, codec.width], tf.float32, name="x")]
    signature += [
        tf.TensorSpec(shape, tf.float32, name=name) for name, shape in step.state_shapes.items()
    ]
    module = tf.Module()
    module.step = tf.function(step.function, input_signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.step.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        if step.float_ops:
            # The converter has no option for this, so calibration and quantisation are called
            # one by one.
            converter._experimental_calibrate_only = True
            model = mlir_quantize(
                converter.convert(),
                input_data_type=tf.int8,
                output_data_type=tf.int8,
                # Must be a list or a set: anything else is silently ignored.
                denylisted_ops=set(step.float_ops),
            )
            return _share_state_quantization(bytes(model))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return _share_state_quantization(bytes(converter.convert()))


def _share_state_quantization(model: bytes) -> bytes:
    """Give every output tensor of the state the scale and zero point of its input tensor.

    The kernels requantise into whatever their output tensor declares, so this costs nothing
    and saves a rounding at every step. A reshape of such an output gets the same scale.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    graph, signature = tree.subgraphs[0], tree.signatureDefs[0]
    source_of_reshape = {
        int(operator.inputs[0]): int(operator.outputs[0])
        for operator in graph.operators
        if tree.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.RESHAPE
    }
    inputs = {entry.name.decode(): entry.tensorIndex for entry in signature.inputs}
    for entry in signature.outputs:
        name, index = entry.name.decode(), entry.tensorIndex
        if name.endswith("_next"):
            source = graph.tensors[inputs[name.removesuffix("_next")]].quantization
            for tensor in {index, source_of_reshape.get(index, index)}:
                target = graph.tensors[tensor].quantization
                target.scale, target.zeroPoint = source.scale, source.zeroPoint
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def tensor_indices(model: bytes) -> dict[str, dict[str, int]]:
    """The index of every input and output tensor by its name, for runtimes without names.

    Args:
        model: a TFLite flatbuffer with one signature.

    Returns:
        ``{"inputs": {name: index}, "outputs": {name: index}}``
    """
    from tensorflow.lite.python import schema_py_generated as schema

    tree: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    signature = tree.signatureDefs[0]
    return {
        "inputs": {e.name.decode(): int(e.tensorIndex) for e in signature.inputs},
        "outputs": {e.name.decode(): int(e.tensorIndex) for e in signature.outputs},
    }
