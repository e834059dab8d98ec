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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.music.bundle import FORMAT
from appliance.music.codec import SatbCodec
from appliance.music.score import SILENT, VOICES, Score
from appliance.training.batches import encode
from appliance.training.recipe import Recipe

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CELL_LIMIT = 8.0
"""Bound on the cell state: a cell beyond it is saturated through tanh anyway."""
CALIBRATION_PIECES = 12
CALIBRATION_STRIDE = 29
"""Every so-manieth token is shown to the converter; odd, so that all voices are."""

Weights = dict[str, NDArray[np.float32]]
Array = NDArray[np.float32]


def gates(weights: Weights, layer: int) -> tuple[Array, Array, Array]:
    """Input matrix, state matrix and bias of a layer, gates in PyTorch's order i, f, g, o."""
    of = f"layers.{layer}."
    return (
        weights[of + "weight_ih_l0"].T,
        weights[of + "weight_hh_l0"].T,
        weights[of + "bias_ih_l0"] + weights[of + "bias_hh_l0"],
    )


def calibration(
    recipe: Recipe, weights: Weights, scores: list[Score]
) -> Callable[[], Iterator[dict[str, Array]]]:
    """Inputs and states that the step meets on real music (the float network in NumPy)."""
    codec, sizes = recipe.codec.build(), recipe.network
    rng = np.random.default_rng(recipe.training.seed)
    chosen = rng.permutation(len(scores))[:CALIBRATION_PIECES]
    pieces = [encode(codec, scores[n].transposed(int(rng.integers(-2, 3)))) for n in chosen]
    layers = [gates(weights, layer) for layer in range(sizes.layers)]
    seen: list[dict[str, Array]] = []
    for piece in pieces:
        h = [np.zeros((1, sizes.hidden), np.float32) for _ in layers]
        c = [state.copy() for state in h]
        for token, active in enumerate(piece.features):
            x = np.zeros((1, codec.width), np.float32)
            x[0, active] = 1
            if token % CALIBRATION_STRIDE == 0:
                sample = {"x": x}
                for n in range(sizes.layers):
                    sample |= {f"h{n}": h[n], f"c{n}": c[n]}
                seen.append(sample)
            y = x @ weights["embed.weight"]
            for n, (w, u, b) in enumerate(layers):
                i, f, g, o = np.split(y @ w + h[n] @ u + b, 4, axis=1)
                c[n] = np.clip(
                    _sigmoid(f) * c[n] + _sigmoid(i) * np.tanh(g), -CELL_LIMIT, CELL_LIMIT
                )
                y = h[n] = (_sigmoid(o) * np.tanh(c[n])).astype(np.float32)
                c[n] = c[n].astype(np.float32)
    return lambda: iter(seen)


def _sigmoid(x: Array) -> Array:
    return (1 / (1 + np.exp(-x))).astype(np.float32)


def tflite(
    recipe: Recipe, weights: Weights, samples: Callable[[], Iterator[dict[str, Array]]]
) -> bytes:
    """The quantised step as a flatbuffer, its state tensors sharing one quantisation."""
    import tensorflow as tf

    sizes = recipe.network
    width = weights["embed.weight"].shape[0]
    signature = [tf.TensorSpec([1, width], tf.float32, name="x")]
    for n in range(sizes.layers):
        signature += [tf.TensorSpec([1, sizes.hidden], tf.float32, name=f"{s}{n}") for s in "hc"]

    def step(x: Any, *state: Any) -> dict[str, Any]:
        y = tf.matmul(x, tf.constant(weights["embed.weight"]))
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
            after |= {f"h{n}_next": y, f"c{n}_next": c}
        logits = tf.matmul(y, tf.constant(weights["out.weight"].T)) + weights["out.bias"]
        return after | {"logits": logits}

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


def voice_ranges(codec: SatbCodec, scores: list[Score]) -> list[list[int]]:
    """Lowest and highest MIDI note of every voice in the corpus."""
    found = []
    for voice in range(VOICES):
        notes = [row[voice] for score in scores for row in score.pitches if row[voice] != SILENT]
        found.append([min(notes), max(notes)])
    return found


def write(recipe: Recipe, model: bytes, scores: list[Score], measured: str, path: Path) -> None:
    """The model file: the flatbuffer with its associated files appended as a zip.

    That is the TFLite metadata convention: the runtime reads the front, ``zipfile`` the back.
    """
    codec = recipe.codec.build()
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
        "codec": {"name": codec.name, "onsets": codec.onsets, "form": codec.form},
        "classes": len(codec.vocabulary),
        "width": codec.width,
        "tensors": tensors_of(model),
        "voices": voice_ranges(codec, scores),
        "forms": [score.form for score in scores] if codec.form else [],
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


def card(recipe: Recipe, scores: list[Score], measured: str) -> str:
    """The model's card, for people."""
    sizes, plan = recipe.network, recipe.training
    return f"""# {recipe.card.title} (`{recipe.name}`)

{recipe.card.description}

- **Trained on**: {recipe.card.corpus}; {len(scores)} pieces, by the recipe `{recipe.name}.toml`.
- **Licence**: {recipe.card.licence}.
- **Network**: embedding {sizes.embedding}, LSTM {sizes.layers} x {sizes.hidden}, int8,
  {plan.tokens / 1e6:.0f} million tokens, dropout {plan.dropout}, averaged weights.
- **Plays at**: {recipe.card.tempo_bpm:g} BPM, temperature {recipe.card.temperature:g},
  top-p {recipe.card.top_p:g}, General MIDI program {recipe.card.instrument}.

## Measured

{measured}
"""
