"""The programme of an evening: which pieces follow each other, in which keys, with which pauses.

Pieces come in groups: a suite of dances in one key, a prelude and its fugue, the movements of a
sonata, a set of tunes, or a few pieces in related keys. A round deals out the forms of the corpus
like cards, each at most once, until most have been used; then the next round begins. Everything
follows from the seed and the number of the piece, so a composer that takes over in the middle of
an evening continues the same programme.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from appliance.composing.groups import GroupKind, deal_group, group_kind_of
from appliance.music import kinds, titles
from appliance.music.score import Form, Key

MAX_PIECE_STEPS: Final = 1024
"""Forms of the corpus that are longer than this are not drawn, so that no piece is too long."""
DEFAULT_FORM: Final = Form(16, 0, 512)
"""The form for a model without forms, which ends its pieces itself."""

USED_SHARE: Final = 0.85
"""The share of the forms that a round deals out."""

MIN_ROUND_FORMS: Final = 32
"""With fewer forms they are dealt out several times in a round, so that it is worth its while."""

MAX_ACCIDENTALS, MAX_TUNE_ACCIDENTALS = 4, 3
"""The most sharps or flats of a key that is chosen; fiddle tunes keep to fewer."""

RELATED_FIFTHS: Final = {0: 2.0, 1: 3.0, -1: 3.0, 2: 1.0, -2: 1.0}
"""How likely the next key's signature has so many sharps more (or flats less) than the last one;
the same key and one farther away have likelihoods of their own."""
SAME_KEY: Final = 0.5
FAR: Final = 0.02

_PURPOSE: Final = 0x50524F47
"""Tells the random numbers of the programme from those of the pieces."""


@dataclass(frozen=True)
class PlannedPiece:
    """A piece before a note of it is composed."""

    form: Form
    form_number: int
    """Of the form in the model file, from 0."""
    key: Key
    group: int = 0
    """The place of its group's name in :data:`appliance.music.titles.GROUPS`."""
    place: int = 0
    """Its place in the group, from 1; 0 for a piece that stands alone."""
    group_size: int = 0
    times: int = 1
    """How often the whole piece is played."""


class _Numbered(NamedTuple):
    """A form and its number in the model file."""

    number: int
    form: Form


class Programme:
    """All pieces of an endless evening, by their numbers.

    Args:
        seed: of the composer.
        forms: of the model; may be empty.
        key: the only key that is wanted; ``None``: any. Forms of the other mode are left out
            where there are others.
    """

    def __init__(self, seed: int, forms: Sequence[Form], key: Key | None = None) -> None:
        self._seed = seed
        self._key = key
        self._forms = _usable(forms, key)
        self._popularity = _popularity(self._forms)
        self._first_numbers = [1]
        """The number of the first piece of every round that is known."""
        self._round_number = -1
        """Of the round that is being dealt."""
        self._dealt: list[PlannedPiece] = []
        """What of it has been dealt."""
        self._dealing: Iterator[PlannedPiece] = iter(())

    def piece(self, number: int) -> PlannedPiece:
        """Return the piece with this number, from 1."""
        round_number = len(self._first_numbers) - 1
        while self._first_numbers[round_number] > number:
            round_number -= 1
        while (piece := self._piece_of_round(round_number, number)) is None:
            round_number += 1
            if round_number == len(self._first_numbers):
                self._first_numbers.append(self._first_numbers[-1] + len(self._dealt))
        return piece

    def _piece_of_round(self, round_number: int, number: int) -> PlannedPiece | None:
        """Return the piece with this number; ``None`` if the round ends before it."""
        if round_number != self._round_number:
            self._round_number, self._dealt = round_number, []
            self._dealing = self._deal_groups(round_number)
        place = number - self._first_numbers[round_number]
        self._dealt += islice(self._dealing, max(0, place + 1 - len(self._dealt)))
        return self._dealt[place] if place < len(self._dealt) else None

    def _deal_groups(self, round_number: int) -> Iterator[PlannedPiece]:
        rng = np.random.default_rng([self._seed, _PURPOSE, round_number])
        for _ in range(-(-MIN_ROUND_FORMS // len(self._forms))):
            yield from self._deal_once(rng)

    def _deal_once(self, rng: np.random.Generator) -> Iterator[PlannedPiece]:
        """Deal out the forms until most have been used."""
        deck = [self._forms[i] for i in rng.permutation(len(self._forms))]
        decks: dict[GroupKind, list[_Numbered]] = defaultdict(list)
        for numbered in deck:
            decks[group_kind_of(numbered.form.facts.kind)].append(numbered)
        left_over = round((1 - USED_SHARE) * len(deck))
        last_key: Key | None = None
        while sum(map(len, decks.values())) > left_over:
            # The next group is of the kind of a card drawn from all that are left.
            sizes = [len(cards) for cards in decks.values()]
            kind = [*decks][int(rng.choice(len(sizes), p=np.array(sizes) / sum(sizes)))]
            group = deal_group(kind, decks, rng, _kind_of, _go_together)
            keys = self._keys_of(group, last_key, same=kind.same_key, rng=rng)
            last_key = keys[-1]
            size = len(group)
            for place, (numbered, key) in enumerate(zip(group, keys, strict=True), start=1):
                yield PlannedPiece(
                    form=numbered.form,
                    form_number=numbered.number,
                    key=key,
                    group=kind.title if size > 1 else 0,
                    place=place if size > 1 else 0,
                    group_size=size if size > 1 else 0,
                    times=_times(numbered.form, rng),
                )

    def _keys_of(
        self, group: list[_Numbered], last_key: Key | None, *, same: bool, rng: np.random.Generator
    ) -> list[Key]:
        """The keys of a group's pieces: the mode is always the form's.

        Args:
            group: the pieces.
            last_key: of the piece before the group; ``None`` for the first of a round.
            same: all pieces that are in one mode have the same tonic; those in the other mode have
                it too, as the second of two menuets does.
            rng: decides.
        """
        if self._key is not None:
            tonic = self._key.tonic
            return [Key(tonic, _is_minor(n.form, self._key.minor, rng)) for n in group]
        keys: list[Key] = []
        for numbered in group:
            minor = _is_minor(numbered.form, None, rng)
            if same and keys:
                keys.append(self._on_same_tonic(keys[0], minor, numbered.form))
            else:
                last_key = self._related(last_key, minor, numbered.form, rng)
                keys.append(last_key)
        return keys

    def _on_same_tonic(self, first: Key, minor: bool, form: Form) -> Key:
        """The first key's tonic in this mode, or its relative if that has too many accidentals."""
        parallel = Key(first.tonic, minor)
        if parallel.accidentals <= max_accidentals(form):
            return parallel
        return Key((first.tonic + (9 if minor else 3)) % 12, minor)

    def _related(self, last: Key | None, minor: bool, form: Form, rng: np.random.Generator) -> Key:
        """A key in this mode that is related to the last one and as usual as it is in the corpus.

        The first key of a round is the form's own, if it has not too many accidentals.
        """
        own = form.facts.key
        if last is None and own is not None and own.accidentals <= max_accidentals(form):
            return Key(own.tonic, minor)
        allowed = [
            key
            for tonic in range(12)
            if (key := Key(tonic, minor)).accidentals <= max_accidentals(form)
        ]
        weights = np.array([self._popularity[key] * relatedness(last, key) for key in allowed])
        return allowed[int(rng.choice(len(allowed), p=weights / weights.sum()))]


def _popularity(forms: Sequence[_Numbered]) -> dict[Key, float]:
    """How much each key is liked: by its share of the corpus's keys of its mode, and a little."""
    counts = Counter(n.form.facts.key for n in forms if n.form.facts.key)
    found = {}
    for key in (Key(tonic, minor) for tonic in range(12) for minor in (False, True)):
        total = sum(count for other, count in counts.items() if other.minor == key.minor)
        share = counts[key] / total if total else max(0, 4 - key.accidentals) / 16
        found[key] = (0.05 + share) * (0.5 if key.accidentals == MAX_ACCIDENTALS else 1.0)
    return found


def _kind_of(numbered: _Numbered) -> str:
    return numbered.form.facts.kind


def _go_together(one: _Numbered, other: _Numbered) -> bool:
    """Whether two movements can be in one suite: of one mode, and for one instrument."""
    a, b = one.form.facts, other.form.facts
    return (a.minor, a.program) == (b.minor, b.program)


def max_accidentals(form: Form) -> int:
    """Return the most sharps or flats of a key for a piece in this form."""
    is_tune = group_kind_of(form.facts.kind).title == titles.TUNES
    return MAX_TUNE_ACCIDENTALS if is_tune else MAX_ACCIDENTALS


def relatedness(last: Key | None, key: Key) -> float:
    """Return how well ``key`` follows ``last``: its weight in a draw, by the two signatures."""
    if last is None:
        return 1.0
    if key == last:
        return SAME_KEY
    steps = (key.fifths - last.fifths + 6) % 12 - 6
    return RELATED_FIFTHS.get(steps, FAR)


def _is_minor(form: Form, wanted: bool | None, rng: np.random.Generator) -> bool:
    """The form's own mode; where it has none, the wanted one, or either."""
    if form.facts.minor is not None and wanted is None:
        return form.facts.minor
    return bool(rng.integers(2)) if wanted is None else wanted


def _times(form: Form, rng: np.random.Generator) -> int:
    """How often a piece is played: a dance tune two or three times."""
    if group_kind_of(form.facts.kind).title != titles.TUNES:
        return 1
    return int(rng.integers(2, 4))


def _usable(forms: Sequence[Form], key: Key | None) -> list[_Numbered]:
    usable = [_Numbered(n, f) for n, f in enumerate(forms) if f.steps <= MAX_PIECE_STEPS]
    if key is not None:
        usable = [n for n in usable if n.form.facts.minor in (None, key.minor)] or usable
    return usable or [_Numbered(0, DEFAULT_FORM)]


def tempo_permille(form: Form, default_bpm: float) -> int:
    """Return the tempo of a piece in this form in thousandths of the model's default tempo."""
    own_bpm = kinds.tempo_bpm(form)
    return 1000 if own_bpm is None else round(1000 * own_bpm / default_bpm)
