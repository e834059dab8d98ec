"""The model file: the flatbuffer with metadata, vocabulary and card appended as a zip.

That is the TFLite metadata convention: the runtime reads the front, ``zipfile`` the back.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from appliance.common.atomic_write import write_atomically
from appliance.composing.model_file import FORMAT, KindTemperature
from appliance.errors import UsageError
from appliance.music.codecs.base import Codec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.training.convert import export_tflite
from appliance.training.convert.model_card import model_card
from appliance.training.data.return_map import with_returns
from appliance.training.recipe import Recipe

MIN_KNOWN_SHARE = 0.9
"""The share of a model's forms that must be those of its corpus."""
FIXED_DATE = (2026, 1, 1, 0, 0, 0)
"""With a fixed date, the same weights give the same file."""


def write_facts(path: Path, scores: Sequence[Any]) -> None:
    """Write the facts of the forms in a model file again; everything else stays as it is.

    Args:
        path: of the model file.
        scores: the training pieces of the model, in the order of its forms. A form whose piece is
            not among them any more gets no facts.

    Raises:
        UsageError: the forms are not those of these pieces; nothing has been written.
        OSError: the file cannot be written.
    """
    flatbuffer, texts = _read(path)
    metadata = json.loads(texts["metadata.json"])
    forms = [*map(json.dumps, metadata["forms"])]
    facts: list[dict[str, Any]] = [{} for _ in forms]
    # A file may have been added to the corpus, or have gone, since the model was made.
    pieces = [json.dumps(score.form[:5]) for score in scores]
    blocks = SequenceMatcher(None, forms, pieces, autojunk=False).get_matching_blocks()
    for at, piece, length in blocks:
        facts[at : at + length] = map(_facts, scores[piece : piece + length])
    if sum(map(bool, facts)) < MIN_KNOWN_SHARE * len(forms):
        raise UsageError(
            f"{path}: its {len(forms)} forms are not those of the {len(scores)} training pieces; "
            "train it again to have their facts"
        )
    metadata["facts"] = facts
    texts["metadata.json"] = json.dumps(metadata)
    write_atomically(path, _with_archive(flatbuffer, texts))


def write_corrections(path: Path, corrections: Sequence[float]) -> None:
    """Write the corrections in a model file again; everything else stays as it is.

    Raises:
        OSError: the file cannot be read or written.
    """
    flatbuffer, texts = _read(path)
    metadata = json.loads(texts["metadata.json"])
    metadata["corrections"] = list(corrections)
    texts["metadata.json"] = json.dumps(metadata)
    write_atomically(path, _with_archive(flatbuffer, texts))


def update_model_file(
    recipe: Recipe,
    path: Path,
    piece_count: int,
    evaluation: str,
    kind_temperatures: Sequence[KindTemperature],
) -> None:
    """Write what the recipe says about a model again, and its calibration.

    Weights, forms and their facts stay.

    Args:
        recipe: how the model was made.
        path: of the model file.
        piece_count: of the training pieces; only for a model without forms, which has one a piece.
        evaluation: a text for the card.
        kind_temperatures: see :class:`ModelMetadata`.

    Raises:
        OSError: the file cannot be read or written.
    """
    flatbuffer, texts = _read(path)
    metadata = json.loads(texts["metadata.json"])
    metadata |= _facts_of_recipe(recipe) | {"kind_temperatures": kind_temperatures}
    piece_count = len(metadata["forms"]) or piece_count
    texts["metadata.json"] = json.dumps(metadata)
    texts["card.md"] = model_card(recipe, piece_count, evaluation)
    write_atomically(path, _with_archive(flatbuffer, texts))


def with_other_weights(path: Path, flatbuffer: bytes, target: Path) -> None:
    """Write a model file that has other weights and is the same in everything else.

    Args:
        path: of the model file.
        flatbuffer: the TFLite model with the new weights, of the same network.
        target: of the new model file.

    Raises:
        OSError: a file cannot be read or written.
    """
    _, texts = _read(path)
    metadata = json.loads(texts["metadata.json"])
    metadata["tensors"] = export_tflite.tensor_indices(flatbuffer)
    metadata["sha256"] = hashlib.sha256(flatbuffer).hexdigest()
    texts["metadata.json"] = json.dumps(metadata)
    write_atomically(target, _with_archive(flatbuffer, texts))


def _facts_of_recipe(recipe: Recipe) -> dict[str, Any]:
    card = recipe.card
    return {
        "name": recipe.name,
        "title": card.title,
        "description": card.description,
        "licence": card.licence,
        "tempo_bpm": card.tempo_bpm,
        "temperature": card.temperature,
        "top_p": card.top_p,
        "instrument": card.instrument,
    }


def _read(path: Path) -> tuple[bytes, dict[str, str]]:
    """The flatbuffer of a model file, and the texts in its archive by their names."""
    content = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        flatbuffer = content[: min(entry.header_offset for entry in archive.infolist())]
        return flatbuffer, {e.filename: archive.read(e).decode() for e in archive.infolist()}


def _facts(score: Any) -> dict[str, Any]:
    """The facts of a piece that are known, with its map of returns."""
    facts = with_returns(score).form.facts
    return {name: v for name, v in asdict(facts).items() if v not in (None, "", ())}


def _with_archive(flatbuffer: bytes, texts: Mapping[str, str]) -> bytes:
    """The flatbuffer with a zip archive of the texts behind it."""
    file = io.BytesIO(flatbuffer)
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            entry = zipfile.ZipInfo(name, date_time=FIXED_DATE)
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def write_model_file(
    recipe: Recipe,
    codec: Codec,
    flatbuffer: bytes,
    scores: Sequence[Any],
    evaluation: str,
    path: Path,
    kind_temperatures: Sequence[KindTemperature] = (),
) -> None:
    """Write a model file atomically.

    Args:
        recipe: how the model was made.
        codec: encodes the music of the model.
        flatbuffer: the TFLite model.
        scores: the training pieces, whose forms new pieces get.
        evaluation: a text for the card.
        path: of the model file.
        kind_temperatures: see :class:`ModelMetadata`; empty: the model is not calibrated.

    Raises:
        OSError: the file cannot be written.
    """
    metadata = {
        "format": FORMAT,
        **_facts_of_recipe(recipe),
        "codec": {"name": codec.name, "options": codec.options},
        "classes": len(codec.vocabulary),
        "width": codec.width,
        "tensors": export_tflite.tensor_indices(flatbuffer),
        "forms": [score.form[:5] for score in scores] if codec.uses_forms else [],
        "tessituras": [score.tessitura for score in scores]
        if isinstance(codec, FreeRhythmCodec)
        else [],
        "facts": [_facts(score) for score in scores] if codec.uses_forms else [],
        "kind_temperatures": kind_temperatures,
        "sha256": hashlib.sha256(flatbuffer).hexdigest(),
    }
    texts = {
        "metadata.json": json.dumps(metadata),
        "vocabulary.txt": "\n".join(codec.vocabulary) + "\n",
        "card.md": model_card(recipe, len(scores), evaluation),
    }
    write_atomically(path, _with_archive(flatbuffer, texts))
