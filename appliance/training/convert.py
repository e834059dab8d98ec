"""Weights to a model file: one int8 TFLite step with its state in explicit tensors.

The step is written out as plain operations, because a fused Keras LSTM hides its state and
is an order slower in int8. What keeps the loss in the per-mille range: the products with
the input and with the state are separate (a concatenation would force one scale on both),
the cell state is clipped in the graph, and the state's output tensors are given their
input tensors' quantisation, so that state is carried from step to step as raw int8.

Every operation is on the Edge TPU compiler's list of supported operations.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.music.bundle import FORMAT
from appliance.music.codec import Codec
from appliance.training.recipe import Recipe, Weights

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CELL_LIMIT = 8.0
"""Bound on the cell state: a cell beyond it is saturated through tanh anyway."""
CALIBRATION_PIECES = 12
CALIBRATION_TOKENS = 3000
CALIBRATION_STRIDE = 29
"""Every so-manieth token is shown to the converter; odd, so that all voices are."""

Array = NDArray[np.float32]


def gates(weights: Weights, layer: int) -> tuple[Array, Array, Array]:
    """Input matrix, state matrix and bias of a layer, gates in PyTorch's order i, f, g, o."""
    of = f"layers.{layer}."
    return (
        weights[of + "weight_ih_l0"].T,
        weights[of + "weight_hh_l0"].T,
        weights[of + "bias_ih_l0"] + weights[of + "bias_hh_l0"],
    )


def moved(weights: Weights, codec: Codec, semitones: int) -> Weights:
    """The network that takes a piece for the same piece so many semitones higher.

    It is the same network, its inputs and answers in other places; what leaves the codec's
    range counts as its last note.
    """
    inputs, classes = codec.moved(semitones)
    return weights | {
        "embed.weight": weights["embed.weight"][inputs],
        "out.weight": weights["out.weight"][classes],
        "out.bias": weights["out.bias"][classes],
    }


def state_name(kind: str, member: int, layer: int) -> str:
    """Name of a state tensor: ``h0``, ``c0`` for the first network, ``h0_2`` for the second."""
    return f"{kind}{layer}" + (f"_{member + 1}" if member else "")


def calibration(
    recipe: Recipe, codec: Codec, members: Sequence[Weights], scores: Sequence[Any]
) -> Callable[[], Iterator[dict[str, Array]]]:
    """Inputs and states that the step meets on real music (the float networks in NumPy)."""
    sizes = recipe.network
    rng = np.random.default_rng(recipe.training.seed)
    chosen = rng.permutation(len(scores))[:CALIBRATION_PIECES]
    keys = sizes.keys
    nets = [
        (
            np.stack([weights["embed.weight"][codec.moved(key)[0]] for key in keys]),
            [gates(weights, layer) for layer in range(sizes.layers)],
        )
        for weights in members
    ]
    zero = np.zeros((len(keys), sizes.hidden), np.float32)
    seen: list[dict[str, Array]] = []
    for n in chosen:
        score, shifts = scores[n], codec.shifts(scores[n])
        shift = int(shifts[int(rng.integers(len(shifts)))])
        features = codec.encode(score.transposed(shift) if shift else score)[0]
        states = [[(zero, zero)] * sizes.layers for _ in nets]
        for token, active in enumerate(features[:CALIBRATION_TOKENS]):
            x = np.zeros((1, codec.width), np.float32)
            x[0, active] = 1
            if token % CALIBRATION_STRIDE == 0:
                sample = {"x": x}
                for member, layers in enumerate(states):
                    for layer, (h, c) in enumerate(layers):
                        sample[state_name("h", member, layer)] = h
                        sample[state_name("c", member, layer)] = c
                seen.append(sample)
            for member, (embed, layers_of) in enumerate(nets):
                y = embed[:, active].sum(axis=1)
                for layer, (w, u, b) in enumerate(layers_of):
                    h, c = states[member][layer]
                    i, f, g, o = np.split(y @ w + h @ u + b, 4, axis=1)
                    c = np.clip(
                        _sigmoid(f) * c + _sigmoid(i) * np.tanh(g), -CELL_LIMIT, CELL_LIMIT
                    ).astype(np.float32)
                    y = (_sigmoid(o) * np.tanh(c)).astype(np.float32)
                    states[member][layer] = (y, c)
    return lambda: iter(seen)


def _sigmoid(x: Array) -> Array:
    return (1 / (1 + np.exp(-x))).astype(np.float32)


def tflite(
    recipe: Recipe,
    codec: Codec,
    members: Sequence[Weights],
    samples: Callable[[], Iterator[dict[str, Array]]],
) -> bytes:
    """The quantised step as a flatbuffer, its state tensors sharing one quantisation.

    The logits are the mean of the members', in all the keys that they hear: a share of each is
    in its output matrix already. Only the first and the last matrix are there for every key; in
    between, the keys are the rows of one product.
    """
    import tensorflow as tf

    sizes = recipe.network
    keys, shares = len(sizes.keys), len(members) * len(sizes.keys)
    signature = [tf.TensorSpec([1, codec.width], tf.float32, name="x")]
    for member in range(len(members)):
        for layer in range(sizes.layers):
            signature += [
                tf.TensorSpec(
                    [keys, sizes.hidden], tf.float32, name=state_name(kind, member, layer)
                )
                for kind in "hc"
            ]

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

    def step(x: Any, *state: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for member, weights in enumerate(members):
            own = state[2 * sizes.layers * member :]
            logits, after = network(weights, member, x, own)
            found |= after
            found["logits"] = found["logits"] + logits if member else logits
        return found

    module = tf.Module()
    module.step = tf.function(step, input_signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.step.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return _share_state(bytes(converter.convert()))


def _share_state(model: bytes) -> bytes:
    """Give every state output the scale and zero point of its input.

    The kernels requantise into whatever their output tensor declares, so this costs nothing
    and saves a rounding at every step.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    tensors, signature = tree.subgraphs[0].tensors, tree.signatureDefs[0]
    inputs = {entry.name.decode(): tensors[entry.tensorIndex] for entry in signature.inputs}
    for entry in signature.outputs:
        name = entry.name.decode()
        if name.endswith("_next"):
            source = inputs[name.removesuffix("_next")].quantization
            target = tensors[entry.tensorIndex].quantization
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
        "forms": [score.form for score in scores] if codec.forms else [],
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
    tokens = f"{plan.tokens / 1e6:.{0 if plan.tokens > 5e6 else 1}f}"
    made_by = recipe.card.made_by or f"the recipe `{recipe.name}.toml`"
    of_mean = f"the mean of {sizes.members} networks, each " if sizes.members > 1 else ""
    keys = len(sizes.keys)
    in_keys = f"hearing every piece in {keys} keys at once, " if keys > 1 else ""
    return f"""# {recipe.card.title} (`{recipe.name}`)

{recipe.card.description}

- **Trained on**: {recipe.card.corpus}; {len(scores)} pieces, by {made_by}.
- **Licence**: {recipe.card.licence}.
- **Network**: {of_mean}embedding {sizes.embedding}, LSTM {sizes.layers} x {sizes.hidden}, int8,
  {in_keys}{begun}{tokens} million tokens, dropout {plan.dropout}, averaged weights.
- **Plays at**: {recipe.card.tempo_bpm:g} BPM, temperature {recipe.card.temperature:g},
  top-p {recipe.card.top_p:g}, General MIDI program {recipe.card.instrument}.

## Measured

{measured}
"""
