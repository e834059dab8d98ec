"""A model's recipe: the TOML file in ``models/`` that says how it is made."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.errors import UsageError

Weights = dict[str, NDArray[np.float32]]
"""A network's, by name."""


class CorpusPart(msgspec.Struct, forbid_unknown_fields=True):
    """Which scores, and which of them are held out by name."""

    source: Literal["music21-chorales", "jsb-benchmark", "lines", "tunes"]
    folders: list[str] = []
    """For ``lines``: the folders of scores, below the one that --data names."""
    also: list[str] = []
    """For ``lines``: more such folders, whose pieces are drawn at first as they come, then less and
    less, and in the end not at all; none of them is held out."""
    valid: list[str] = []
    test: list[str] = []
    left_out: list[str] = []
    """Used for nothing, for being too much like a piece that is held out."""


class CodecPart(msgspec.Struct, forbid_unknown_fields=True):
    """The kind of music; what a codec needs beside this comes from the corpus.

    ``onsets`` and ``form``: see :class:`appliance.music.codecs.four_part.FourPartCodec`.
    """

    name: Literal["satb-16th", "lines", "abc"]
    onsets: bool = True
    form: bool = True


class NetworkPart(msgspec.Struct, forbid_unknown_fields=True):
    """Kind and sizes of the network.

    ``embedding`` is the LSTM's alone; ``heads``, ``inner`` (the width within the layers for each
    token alone) and ``memory_tokens`` are the Transformer's, whose width is ``hidden``.
    """

    hidden: int
    layers: int
    kind: Literal["lstm", "attention"] = "lstm"
    embedding: int = 0
    heads: int = 0
    inner: int = 0
    memory_tokens: int = 0
    members: int = 1
    """Networks trained apart, of which the model is the mean."""
    keys: tuple[int, ...] = (0,)
    """The model hears every piece in all these keys at once, so many semitones up, and is the
    mean of what it would say in each."""


class TrainingPart(msgspec.Struct, forbid_unknown_fields=True):
    """How long and how hard.

    ``tokens`` counts predictions, padding not included; ``processor_s`` in its place is the
    processor time to learn in, by which unlike networks can be compared.
    """

    tokens: int = 0
    processor_s: int = 0
    lanes: int = 128
    chunk_tokens: int = 128
    learning_rate: float = 2e-3
    warmup_updates: int = 100
    weight_decay: float = 1e-2
    dropout: float = 0.4
    crop_share: float = 0.5
    average: float = 0.998
    patience_looks: int = 0
    """Looks at the valid pieces without a gain before the training ends; 0: it never does."""
    seed: int = 1
    start: str = ""
    """What the first networks begin with, as many as there are in a model of old:
    ``COMMIT:models/NAME.tflite``."""


class CardPart(msgspec.Struct, forbid_unknown_fields=True):
    """What goes into the model file for people to read, and for the player to begin with."""

    title: str
    description: str
    corpus: str
    licence: str
    tempo_bpm: float
    temperature: float
    top_p: float
    instrument: int
    made_by: str = ""
    """The command, where it is no recipe that a model is made by."""


class Recipe(msgspec.Struct, forbid_unknown_fields=True):
    """Everything that makes a model."""

    name: str
    card: CardPart
    corpus: CorpusPart
    codec: CodecPart
    network: NetworkPart
    training: TrainingPart


class Trained(NamedTuple):
    """What came of a recipe: the weights of its members."""

    recipe: Recipe
    members: Sequence[Weights]

    @property
    def networks(self) -> int:
        """How many there are, one a member and key."""
        return len(self.members) * len(self.recipe.network.keys)


def load(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        UsageError: there is no such file, or it does not say what it must.
    """
    try:
        made = msgspec.convert(tomllib.loads(path.read_text()), Recipe)
        _check(made)
    except OSError as why:
        raise UsageError(f"{path}: cannot read the recipe: {why.strerror}") from why
    except (ValueError, msgspec.ValidationError) as why:
        raise UsageError(f"{path}: not a recipe: {why}") from why
    return made


def _check(made: Recipe) -> None:
    """What the types do not say.

    Raises:
        ValueError: it is not so.
    """
    network, plan = made.network, made.training
    if (plan.tokens > 0) == (plan.processor_s > 0):
        raise ValueError("training wants either tokens or processor_s")
    if network.members < 1:
        raise ValueError("members are at least 1")
    if network.kind == "lstm":
        if network.embedding < 1:
            raise ValueError("an LSTM wants an embedding")
    elif min(network.heads, network.inner, network.memory_tokens) < 1 or (
        network.hidden % network.heads
    ):
        raise ValueError("attention wants heads that share hidden, inner and memory_tokens")
    elif plan.start:
        raise ValueError("attention starts from nothing")
    if not network.keys or network.keys[0] != 0:
        raise ValueError("keys begin with 0, the piece's own")
