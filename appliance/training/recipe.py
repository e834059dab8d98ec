"""A model's recipe: the TOML file in ``models/`` that says how the model is made."""

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
"""The float32 weights of one network, by PyTorch's names for them."""


class CorpusConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Which scores to use, and which of them to hold out, by name."""

    source: Literal["music21-chorales", "music21-folk", "jsb-benchmark", "score-folders"]
    folders: list[str] = []
    """For ``score-folders``: the folders of scores, below the one that --data names."""
    pretrain_folders: list[str] = []
    """For ``score-folders``: more folders, whose pieces are also drawn in training. They are drawn
    in proportion to their number at first, then less and less, and not at all at the end. None of
    them is held out."""
    valid: list[str] = []
    test: list[str] = []
    excluded: list[str] = []
    """Pieces that are not used, neither these nor ``pretrain`` ones: because they are too similar
    to a held-out piece, or of a style that does harm. The beginnings of their names will do."""


class CodecConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The kind of music. Everything else that a codec needs is read off the corpus.

    ``onsets`` and ``form``: see :class:`appliance.music.codecs.four_part.FourPartCodec`;
    ``conditioning``: :class:`appliance.music.codecs.free_rhythm_tokens.FreeRhythmTokens`.
    """

    name: Literal["satb-16th", "lines", "abc"]
    onsets: bool = True
    form: bool = True
    conditioning: bool = False


class NetworkConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Kind and size of the network.

    ``embedding`` is for the LSTM only. ``heads``, ``feedforward`` (the width of the feed-forward
    layers) and ``memory_tokens`` are for the Transformer only, whose width is ``hidden``.
    """

    hidden: int
    layers: int
    kind: Literal["lstm", "transformer"] = "lstm"
    embedding: int = 0
    heads: int = 0
    feedforward: int = 0
    memory_tokens: int = 0
    ensemble_size: int = 1
    """How many networks are trained, each with its own seed. The model averages their logits."""
    transpositions: tuple[int, ...] = (0,)
    """Test-time augmentation: the model reads every piece in all these transpositions at once (in
    semitones up) and averages the logits. The first is 0."""


class TrainingConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The length and the settings of the training.

    Exactly one of ``tokens`` and ``cpu_budget_s`` is set. ``tokens`` counts predicted tokens,
    without padding. ``cpu_budget_s`` is processor time in seconds, to compare different networks.
    """

    tokens: int = 0
    cpu_budget_s: int = 0
    batch_size: int = 128
    bptt_tokens: int = 128
    """Tokens per chunk, that is, per step of truncated back-propagation through time."""
    learning_rate: float = 2e-3
    warmup_updates: int = 100
    weight_decay: float = 1e-2
    dropout: float = 0.4
    crop_probability: float = 0.5
    """How likely a piece is started in the middle."""
    ema_decay: float = 0.998
    """Decay per update of the exponential moving average of the weights."""
    patience_evals: int = 0
    """Training stops after this many evaluations in a row without an improvement; 0: never."""
    seed: int = 1
    warm_start: str = ""
    """A ``.tflite`` file whose weights the first networks of the ensemble start from, as a path
    relative to the repository. Empty: random weights."""


class PreferenceConfig(msgspec.Struct, forbid_unknown_fields=True):
    """How a trained model is taught by what a critic prefers, see ``preferences/teach.py``."""

    rounds: int = 0
    """At most this many, each with new candidates and a new critic; 0: ``make train`` does not
    teach."""
    pieces: int = 40
    """How many are composed with a choice in each round."""
    candidates: int = 4
    """How many are drawn for each bar."""
    min_advantage: float = 1.0
    """Pairs whose scores differ by less are left out."""
    beta: float = 0.5
    """How much preference a nat of log-probability stands for."""
    penalty: float = 1.0
    """Weight of what the chosen one's log-probability falls."""
    learning_rate: float = 2e-4
    batch_size: int = 4
    ordinary_share: float = 0.2
    """Batches of real music that are mixed in for each batch of pairs."""
    seed: int = 1


class CorrectionConfig(msgspec.Struct, forbid_unknown_fields=True):
    """How a finished model's logits are corrected, see ``training/corrections.py``."""

    rounds: int = 0
    """At most this many, the best of which is kept; 0: ``make train`` fits no corrections."""
    pieces: int = 48
    """How many are composed for each round."""
    strength: float = 0.05
    """The inverse of the regularization: more follows rare aspects more closely."""
    seed: int = 1


class CardConfig(msgspec.Struct, forbid_unknown_fields=True):
    """What the model file says to people, and the defaults that it plays with."""

    title: str
    description: str
    corpus: str
    licence: str
    tempo_bpm: float
    temperature: float
    top_p: float
    instrument: int
    """General MIDI program, from 0."""
    made_by: str = ""
    """The command that made the model, where no recipe did."""


class Recipe(msgspec.Struct, forbid_unknown_fields=True):
    """Everything that makes a model."""

    name: str
    card: CardConfig
    corpus: CorpusConfig
    codec: CodecConfig
    network: NetworkConfig
    training: TrainingConfig
    preferences: PreferenceConfig = msgspec.field(default_factory=PreferenceConfig)
    corrections: CorrectionConfig = msgspec.field(default_factory=CorrectionConfig)


class TrainedModel(NamedTuple):
    """A recipe and the weights that training gave, one set for each network of the ensemble."""

    recipe: Recipe
    ensemble: Sequence[Weights]

    @property
    def network_count(self) -> int:
        """How many networks are averaged: one for each ensemble member and transposition."""
        return len(self.ensemble) * len(self.recipe.network.transpositions)


def load(path: Path) -> Recipe:
    """Read and check the recipe in a TOML file.

    Raises:
        UsageError: the file cannot be read, or it is not a valid recipe.
    """
    try:
        recipe = msgspec.convert(tomllib.loads(path.read_text()), Recipe)
        _check(recipe)
    except OSError as error:
        raise UsageError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: not a valid recipe: {error}") from error
    return recipe


def _check(recipe: Recipe) -> None:
    """Check what the types do not express.

    Raises:
        ValueError: the recipe contradicts itself.
    """
    network, training = recipe.network, recipe.training
    if (training.tokens > 0) == (training.cpu_budget_s > 0):
        raise ValueError("[training] needs either tokens or cpu_budget_s")
    if network.ensemble_size < 1:
        raise ValueError("ensemble_size must be at least 1")
    if network.kind == "lstm":
        if network.embedding < 1:
            raise ValueError("an LSTM needs an embedding size")
    elif min(network.heads, network.feedforward, network.memory_tokens) < 1:
        raise ValueError("a Transformer needs heads, feedforward and memory_tokens")
    elif network.hidden % network.heads:
        raise ValueError("a Transformer needs a hidden size that is a multiple of heads")
    if not network.transpositions or network.transpositions[0] != 0:
        raise ValueError("transpositions must start with 0")
