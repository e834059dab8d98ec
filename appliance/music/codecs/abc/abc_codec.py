"""The codec for tunes as text: reels, jigs and hornpipes in ABC.

A token is a symbol of ABC (see ``tokens``). As in folk-rnn (Sturm et al. 2016, "Music
transcription modelling and composition using deep learning") every tune is transposed to the tonic
C, so that all keys look alike, and its first token is the mode. What is repeated is played again
bar by bar, with a token for each bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.errors import UsageError
from appliance.music.codecs.abc.context import INPUTS, AbcContext
from appliance.music.codecs.abc.grammar import State
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.tokens import END, REPLAY, TOKEN, VOCABULARY
from appliance.music.codecs.base import Opening
from appliance.music.codecs.input_layout import Inputs
from appliance.music.files.score_file import ScoreFile
from appliance.music.score import Form, Key


class AbcCodec:
    """Encodes tunes."""

    name = "abc"
    unit = "character"
    tokens_per_group = 1
    optional_inputs: Sequence[range] = ()
    uses_forms = True
    voices = 1
    width = INPUTS.width

    @property
    def aspect_layout(self) -> Inputs:
        """See :mod:`.aspects`."""
        from appliance.music.codecs.abc.aspects import ASPECTS

        return ASPECTS

    @property
    def vocabulary(self) -> list[str]:
        """A name for every class, in order."""
        return VOCABULARY

    @property
    def options(self) -> dict[str, Any]:
        """The codec has none."""
        return {}

    def start(self, form: Form, key: Key) -> AbcContext:
        """An empty tune in this form and key."""
        return AbcContext(form, key)

    def encode(self, score: AbcScore) -> tuple[list[list[int]], list[int]]:
        """The features at every place and the true tokens; repeats are played where they close.

        Raises:
            ValueError: a symbol stands where it must not.
        """
        context = self.start(score.form, score.key)
        features: list[list[int]] = []
        tokens: list[int] = []
        for symbol in (*score.symbols, END):
            while context.state == State.REPLAY:
                features.append(context.features())
                tokens.append(TOKEN[REPLAY])
                context.accept(TOKEN[REPLAY])
            if TOKEN[symbol] not in context.allowed_tokens():
                raise ValueError(f"{symbol!r} cannot follow {''.join(context.symbols[-12:])!r}")
            features.append(context.features())
            tokens.append(TOKEN[symbol])
            context.accept(TOKEN[symbol])
        return features, tokens

    def loss_counts(self, score: AbcScore) -> tuple[int, int]:
        """How many tokens count for the loss (the end does not), and how many characters.

        Raises:
            ValueError: as :meth:`encode`.
        """
        return len(self.encode(score)[1]) - 1, len(score.text)

    def transpositions(self, score: AbcScore) -> list[int]:
        """Only 0 semitones: in C all keys look alike."""
        del score
        return [0]

    def transposition_maps(self, semitones: int) -> tuple[list[int], list[int]]:
        """Inputs and classes unchanged: text in C stays as it is when a tune is transposed."""
        del semitones
        return list(range(self.width)), list(range(len(self.vocabulary)))

    def opening(self, file: ScoreFile) -> Opening:
        """The tune of a user's ABC file, for a piece to start from.

        Raises:
            UsageError: it is not an ABC file, or the codec cannot encode its tune.
        """
        score = file.tune
        if score is None:
            reason = file.not_a_tune or "a model of tunes takes an ABC file only"
            raise UsageError(reason, path=file.path)
        try:
            tokens = self.encode(score)[1][:-1]
        except ValueError as why:
            raise UsageError(str(why), path=file.path) from why
        return Opening(score.form, score.key, tokens, score.notices)
