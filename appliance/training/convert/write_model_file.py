"""The model file: the flatbuffer with metadata, vocabulary and card appended as a zip.

That is the TFLite metadata convention: the runtime reads the front, ``zipfile`` the back.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.common.atomic_write import write_atomically
from appliance.composing.model_file import FORMAT
from appliance.music.codecs.base import Codec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.training.convert import export_tflite
from appliance.training.convert.model_card import model_card
from appliance.training.recipe import Recipe

FIXED_DATE = (2026, 1, 1, 0, 0, 0)
"""With a fixed date, the same weights give the same file."""


def write_model_file(
    recipe: Recipe,
    codec: Codec,
    flatbuffer: bytes,
    scores: Sequence[Any],
    evaluation: str,
    path: Path,
) -> None:
    """Write a model file atomically.

    Args:
        recipe: how the model was made.
        codec: encodes the music of the model.
        flatbuffer: the TFLite model.
        scores: the training pieces, whose forms new pieces get.
        evaluation: a text for the card.
        path: of the model file.

    Raises:
        OSError: the file cannot be written.
    """
    card = recipe.card
    metadata = {
        "format": FORMAT,
        "name": recipe.name,
        "title": card.title,
        "description": card.description,
        "licence": card.licence,
        "tempo_bpm": card.tempo_bpm,
        "temperature": card.temperature,
        "top_p": card.top_p,
        "instrument": card.instrument,
        "codec": {"name": codec.name, "options": codec.options},
        "classes": len(codec.vocabulary),
        "width": codec.width,
        "tensors": export_tflite.tensor_indices(flatbuffer),
        "forms": [score.form[:5] for score in scores] if codec.uses_forms else [],
        "tessituras": [score.tessitura for score in scores]
        if isinstance(codec, FreeRhythmCodec)
        else [],
        "sha256": hashlib.sha256(flatbuffer).hexdigest(),
    }
    file = io.BytesIO()
    file.write(flatbuffer)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (
            ("metadata.json", json.dumps(metadata)),
            ("vocabulary.txt", "\n".join(codec.vocabulary) + "\n"),
            ("card.md", model_card(recipe, len(scores), evaluation)),
        ):
            entry = zipfile.ZipInfo(name, date_time=FIXED_DATE)
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    write_atomically(path, file.getvalue())
