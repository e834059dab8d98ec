"""What a codec is: music as tokens, and what the model sees before each of them.

A kind of music is one codec (``four_part``: four voices on a grid, ``free_rhythm``: notes in free
rhythm, ``abc``: tunes as text), listed in ``registry``. Composer, training and evaluation know
only what this module declares.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from appliance.music.codecs.input_layout import Inputs
from appliance.music.events import Event
from appliance.music.files.score_file import ScoreFile
from appliance.music.score import Form, Key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Aspects: TypeAlias = "NDArray[np.intp]"
"""``(rows, classes)``: indices in a codec's ``aspect_layout``; its width stands for none. Modules
that make them are imported when a piece is started: the daemon knows codecs, and holds no numpy."""


class Goal(enum.Enum):
    """Where a phrase leads that it pays to sample several times."""

    DOUBLE_BAR = "double bar"
    """The end of the first half, see :attr:`PieceFacts.double_bar_step`."""
    END = "end"


class Cadence(enum.IntEnum):
    """How a piece or its first half closes, from bad to good."""

    OPEN = 0
    """Not on the tonic chord."""
    TONIC = 1
    """On the tonic chord with its root in the bass."""
    FULL = 2
    """On the tonic chord, and the bass comes to it from a note that leads there."""


CADENCE_BASSES = (2, 5, 7, 11)
"""Semitones above the tonic from which a bass leads to it: the basses of vii6, IV, V and vii."""


def cadence_of(chord: Iterable[int], bass: int, bass_before: int | None, tonic: int) -> Cadence:
    """How a piece closes that ends with ``chord``.

    Args:
        chord: MIDI notes.
        bass: the MIDI note of the chord that counts as its bass.
        bass_before: the bass note before that; ``None`` where there was none.
        tonic: pitch class, 0 = C.
    """
    degrees = {(pitch - tonic) % 12 for pitch in chord}
    if (bass - tonic) % 12 or not (degrees <= {0, 4, 7} or degrees <= {0, 3, 7}):
        return Cadence.OPEN
    leads = bass_before is not None and (bass_before - tonic) % 12 in CADENCE_BASSES
    return Cadence.FULL if leads else Cadence.TONIC


def half_cadence_of(chord: Sequence[int], bass: int, bass_before: int | None, key: Key) -> Cadence:
    """How a first half closes that ends with ``chord``: on the dominant, the tonic, or III.

    Bach's dances close their first half on the dominant, in minor on its minor chord too or on the
    relative major; some on the tonic. The third degree of a major key is no such goal.

    Args:
        chord: MIDI notes.
        bass: the MIDI note of the chord that counts as its bass.
        bass_before: the bass note before that; ``None`` where there was none.
        key: of the piece.
    """
    degrees = (7, 0, 3) if key.minor else (7, 0)
    return max(cadence_of(chord, bass, bass_before, (key.tonic + d) % 12) for d in degrees)


class Opening(NamedTuple):
    """Music that a piece starts from, such as a user's own bars."""

    form: Form
    key: Key
    tokens: Sequence[int]
    notices: tuple[str, ...] = ()
    """What was left out or interpreted when the file was read, each a clause for the user."""
    whole: bool = False
    """It is a whole piece, with which the piece ends."""


class Context(Protocol):
    """A piece being written: the model's input before each token, the music after it.

    Ticks count from the beginning of the piece.
    """

    form: Form
    key: Key
    done: bool
    """The piece is complete; :meth:`release_all` ends the notes that still sound."""

    @property
    def tick(self) -> int:
        """The tick up to which the music is complete."""

    def features(self) -> list[int]:
        """Indices of the ones in the multi-hot input for the next token, each below ``width``."""

    def forbidden(self, *, must_sound: bool = False) -> list[int]:
        """Classes that are not allowed as the next token; ``must_sound`` rules out rests."""

    def planned(self) -> Sequence[int]:
        """Classes that the form's map of returns asks for; empty where it asks for none.

        They may be forbidden.
        """

    def aspects(self) -> Aspects:
        """The aspects of every class as the next token, ``(rows, classes)``."""

    def accept(self, token: int) -> list[Event]:
        """Append a token, and return the events that follow from it, in order of tick.

        A token that is not allowed is replaced by one that is.
        """

    def release_all(self) -> list[Event]:
        """End every sounding note at :attr:`tick`, and return the note-offs."""

    @property
    def only_rests_left(self) -> bool:
        """Whether the last notes have ended before ``done``, and only rests can follow."""

    @property
    def goal(self) -> Goal | None:
        """Where the phrase leads that begins here, if it pays to compare several samples of it."""

    @property
    def at_double_bar(self) -> bool:
        """Whether the first half ends here; nothing sounds then."""

    @property
    def in_repeat(self) -> bool:
        """Whether what comes next is heard only where repeats are played.

        It is a passage that the codec writes out again, or a first ending.
        """

    def cadence(self) -> Cadence:
        """How the piece closes if it ends here; at a double bar, how the half has closed."""

    def copy(self) -> Context:
        """A copy that changes independently of this context."""


def is_over(context: Context) -> bool:
    """Return whether nothing more sounds in the piece."""
    return context.done or context.only_rests_left


class Codec(Protocol):
    """A kind of music and its encoding in tokens.

    Attributes:
        name: of the kind, as model files have it.
        width: length of the multi-hot input.
        uses_forms: whether each piece fills a form and a key that are chosen for it.
        voices: how many voices have parts of their own, 0 the highest; 1 for notes without voices.
        unit: what losses are given per, such as ``note``.
        tokens_per_group: length of the fixed cycle of token meanings: 4 voices of a step, 3 facts
            about a note, 1 symbol. Training may enter a piece at every multiple of it.
        optional_inputs: groups of inputs, as indices, that training hides at random, so that the
            model does without them where they are not known.
    """

    name: str
    width: int
    uses_forms: bool
    voices: int
    unit: str
    tokens_per_group: int
    optional_inputs: Sequence[range]

    @property
    def aspect_layout(self) -> Inputs:
        """The aspects of a token that a correction can be fitted for."""

    @property
    def vocabulary(self) -> list[str]:
        """A name for every class, in order."""

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that make the same codec again, see ``registry.make``."""

    def start(self, form: Form, key: Key) -> Context:
        """An empty piece in this form and key."""

    def encode(self, score: Any) -> tuple[list[list[int]], list[int]]:
        """The features at every place of a score of this kind, and the true tokens.

        Both lists have one item per token. Features are indices of ones, as
        :meth:`Context.features` gives them.

        Raises:
            ValueError: the codec cannot encode the score.
        """

    def loss_counts(self, score: Any) -> tuple[int, int]:
        """How many of a score's tokens count for its loss, and how many units they make.

        Raises:
            ValueError: as :meth:`encode`.
        """

    def transpositions(self, score: Any) -> list[int]:
        """By how many semitones a score can be transposed and still be encoded.

        Raises:
            ValueError: the score has no notes.
        """

    def transposition_maps(self, semitones: int) -> tuple[list[int], list[int]]:
        """The inputs and the classes of a piece after it has been transposed.

        Two lists of indices, of length ``width`` and ``len(vocabulary)``. A pitch that would
        leave the codec's range stays on its last note.
        """

    def opening(self, file: ScoreFile) -> Opening:
        """The music of a user's file, for a piece to start from.

        Raises:
            UsageError: a piece of this kind cannot start from it.
        """
