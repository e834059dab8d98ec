"""Weights to a model file: one int8 TFLite step with its state in explicit tensors.

A kind of network is a module that writes its step out (``convert_lstm``, ``convert_attention``).
The state's output tensors are given their input tensors' quantisation, so that state is
carried from step to step as raw int8.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.composing.model_file import FORMAT
from appliance.music.codecs.base import Codec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.training.data.batches import encode
from appliance.training.networks.transposition import moved
from appliance.training.recipe import Recipe, Trained, Weights

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CALIBRATION_PIECES = 12
CALIBRATION_TOKENS = 3000
CALIBRATION_STRIDE = 29
"""Every so-manieth token is shown to the converter; odd, so that all voices are."""

Array = NDArray[np.float32]


class Kind(NamedTuple):
    """One token through one network of some kind, in TensorFlow.

    Attributes:
        states: name and shape of every state.
        inner: what is between a network's first and last matrix, made ready once for all keys.
        network: from weights, ``inner`` of them, the multi-hot input ``(1, width)`` and the
            states, in order, to the logits and every state's new value, or its new row.
        limit: no state is beyond it.
        in_float: operations that stay in floating point, by TFLite's names.
    """

    states: list[tuple[str, tuple[int, ...]]]
    inner: Callable[[Weights], Any]
    network: Callable[[Weights, Any, Any, Sequence[Any]], tuple[Any, list[Any]]]
    limit: float = np.inf
    in_float: frozenset[str] = frozenset()


class Step(NamedTuple):
    """One token through all networks of a model.

    Attributes:
        function: from input and states to ``logits`` and to every state's ``NAME_next``.
        states: shape of every state by its name.
        limit: no state is beyond it.
        in_float: as in :class:`Kind`.
    """

    function: Callable[..., dict[str, Any]]
    states: dict[str, tuple[int, ...]]
    limit: float
    in_float: frozenset[str]


def kind_of(recipe: Recipe) -> Kind:
    """The kind of network that a recipe names."""
    from appliance.training.convert import lstm_step, transformer_step

    module = transformer_step if recipe.network.kind == "attention" else lstm_step
    return module.kind(recipe.network)


def step_for(trained: Trained, codec: Codec) -> Step:
    """The mean of what all members answer, in all the keys that they hear.

    A network's share of the mean is in its last matrix. (The keys could be the rows of one
    product, but an Edge TPU takes none with more than one row.)
    """
    kind = kind_of(trained.recipe)
    keys = trained.recipe.network.keys
    states: list[dict[str, tuple[int, ...]]] = []
    """Of every network, in order."""
    for number in range(trained.networks):
        of = f"_{number + 1}" if number else ""
        states.append({name + of: shape for name, shape in kind.states})

    def whole(x: Any, *given: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        carried, names = iter(given), iter(states)
        for weights in trained.members:
            inner = kind.inner(weights)
            for key in keys:
                own = list(next(names))
                logits, after = kind.network(
                    _with_share(moved(weights, codec, key), trained.networks),
                    inner,
                    x,
                    [next(carried) for _ in own],
                )
                found |= {f"{name}_next": new for name, new in zip(own, after, strict=True)}
                found["logits"] = found["logits"] + logits if "logits" in found else logits
        return found

    return Step(
        whole,
        {name: shape for own in states for name, shape in own.items()},
        kind.limit,
        kind.in_float,
    )


def _with_share(weights: Weights, shares: int) -> Weights:
    return weights | {name: weights[name] / shares for name in ("out.weight", "out.bias")}


def calibration(
    trained: Trained, codec: Codec, scores: Sequence[Any]
) -> Callable[[], Iterator[dict[str, Array]]]:
    """Inputs and states that the step meets on real music (of the float networks)."""
    # PyTorch takes seconds to import, and this module writes cards without it.
    import torch

    from appliance.training.trainer import in_all_keys

    step = step_for(trained, codec)
    rng = np.random.default_rng(trained.recipe.training.seed)
    chosen = [
        (scores[n], int(rng.choice(codec.shifts(scores[n]))))
        for n in rng.permutation(len(scores))[:CALIBRATION_PIECES]
    ]
    pieces = [encode(codec, score.transposed(shift) if shift else score) for score, shift in chosen]
    seen: list[dict[str, Array]] = []
    networks = in_all_keys(trained, codec)
    for piece in pieces:
        states: list[Any] = [None] * len(networks)
        features = torch.tensor(piece.features[:CALIBRATION_TOKENS, None].astype(np.int64))
        for chunk in features.split(CALIBRATION_STRIDE):
            # What was carried to the first token of the chunk; nothing, at the beginning.
            carried = [part for state in states if state for layer in state for part in layer]
            x = np.zeros((1, codec.width), np.float32)
            x[0, [at for at in chunk[0, 0].tolist() if at >= 0]] = 1
            sample = {"x": x}
            for at, (name, shape) in enumerate(step.states.items()):
                known = carried[at].numpy() if carried else np.zeros(shape, np.float32)
                sample[name] = known.reshape(shape).clip(-step.limit, step.limit)
            seen.append(sample)
            with torch.no_grad():
                states = [
                    network(chunk, state)[1]
                    for network, state in zip(networks, states, strict=True)
                ]
    return lambda: iter(seen)


def tflite(
    trained: Trained,
    codec: Codec,
    samples: Callable[[], Iterator[dict[str, Array]]],
) -> bytes:
    """The quantised step as a flatbuffer, its state tensors sharing one quantisation."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    step = step_for(trained, codec)
    signature = [tf.TensorSpec([1, codec.width], tf.float32, name="x")]
    signature += [
        tf.TensorSpec(shape, tf.float32, name=name) for name, shape in step.states.items()
    ]
    module = tf.Module()
    module.step = tf.function(step.function, input_signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.step.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        if step.in_float:
            converter._experimental_calibrate_only = True
            model = mlir_quantize(
                converter.convert(),
                input_data_type=tf.int8,
                output_data_type=tf.int8,
                # Anything but a list or a set is taken for none.
                denylisted_ops=set(step.in_float),
            )
            return _share_state(bytes(model))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return _share_state(bytes(converter.convert()))


def _share_state(model: bytes) -> bytes:
    """Give every state output the scale and zero point of its input.

    The kernels requantise into whatever their output tensor declares, so this costs nothing
    and saves a rounding at every step. What only reshapes an output has its scale too.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    graph, signature = tree.subgraphs[0], tree.signatureDefs[0]
    reshaped = {
        int(operator.inputs[0]): int(operator.outputs[0])
        for operator in graph.operators
        if tree.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.RESHAPE
    }
    inputs = {entry.name.decode(): entry.tensorIndex for entry in signature.inputs}
    for entry in signature.outputs:
        name = entry.name.decode()
        if name.endswith("_next"):
            source = graph.tensors[inputs[name.removesuffix("_next")]].quantization
            for at in {entry.tensorIndex, reshaped.get(entry.tensorIndex, entry.tensorIndex)}:
                target = graph.tensors[at].quantization
                target.scale, target.zeroPoint = source.scale, source.zeroPoint
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def tensors_of(model: bytes) -> dict[str, dict[str, int]]:
    """Tensor index of every named input and output, for a runtime that knows no names."""
    from tensorflow.lite.python import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    signature = tree.signatureDefs[0]
    return {
        "inputs": {e.name.decode(): int(e.tensorIndex) for e in signature.inputs},
        "outputs": {e.name.decode(): int(e.tensorIndex) for e in signature.outputs},
    }


def write(
    recipe: Recipe,
    codec: Codec,
    model: bytes,
    scores: Sequence[Any],
    measured: str,
    path: Path,
) -> None:
    """The model file: the flatbuffer with its associated files appended as a zip.

    That is the TFLite metadata convention: the runtime reads the front, ``zipfile`` the back.
    """
    about = {
        "format": FORMAT,
        "name": recipe.name,
        "title": recipe.card.title,
        "description": recipe.card.description,
        "licence": recipe.card.licence,
        "tempo_bpm": recipe.card.tempo_bpm,
        "temperature": recipe.card.temperature,
        "top_p": recipe.card.top_p,
        "instrument": recipe.card.instrument,
        "codec": {"name": codec.name, "options": codec.options},
        "classes": len(codec.vocabulary),
        "width": codec.width,
        "tensors": tensors_of(model),
        "forms": [score.form[:5] for score in scores] if codec.forms else [],
        "scopes": [score.scope for score in scores] if isinstance(codec, FreeRhythmCodec) else [],
        "sha256": hashlib.sha256(model).hexdigest(),
    }
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(model)
    with zipfile.ZipFile(unfinished, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (
            ("bundle.json", json.dumps(about)),
            ("vocabulary.txt", "\n".join(codec.vocabulary) + "\n"),
            ("card.md", card(recipe, scores, measured)),
        ):
            # A fixed date makes the same weights the same file.
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    unfinished.replace(path)


def card(recipe: Recipe, scores: Sequence[Any], measured: str) -> str:
    """The model's card, for people."""
    sizes, plan = recipe.network, recipe.training
    first = "the first " if sizes.members > 1 else ""
    begun = f"{first}begun with the weights of `{plan.start}`, " if plan.start else ""
    if plan.processor_s:
        learned = f"{plan.processor_s / 60:g} minutes of a processor"
    else:
        learned = f"{plan.tokens / 1e6:.{0 if plan.tokens > 5e6 else 1}f} million tokens"
    if sizes.kind == "attention":
        network = (
            f"Transformer, {sizes.layers} layers of {sizes.hidden}, {sizes.heads} heads, "
            f"{sizes.memory_tokens} tokens in memory"
        )
    else:
        network = f"embedding {sizes.embedding}, LSTM {sizes.layers} x {sizes.hidden}"
    made_by = recipe.card.made_by or f"the recipe `{recipe.name}.toml`"
    of_mean = f"the mean of {sizes.members} networks, each " if sizes.members > 1 else ""
    others = f", those of {' and '.join(recipe.corpus.also)} at first" if recipe.corpus.also else ""
    keys = len(sizes.keys)
    in_keys = f"hearing every piece in {keys} keys at once, " if keys > 1 else ""
    return f"""# {recipe.card.title} (`{recipe.name}`)

{recipe.card.description}

- **Trained on**: {recipe.card.corpus}; {len(scores)} pieces{others}, by {made_by}.
- **Licence**: {recipe.card.licence}.
- **Network**: {of_mean}{network}, int8,
  {in_keys}{begun}{learned}, dropout {plan.dropout}, averaged weights.
- **Plays at**: {recipe.card.tempo_bpm:g} BPM, temperature {recipe.card.temperature:g},
  top-p {recipe.card.top_p:g}, General MIDI program {recipe.card.instrument}.

## Measured

{measured}
"""
