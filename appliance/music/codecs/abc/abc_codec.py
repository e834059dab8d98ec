"""The codec for tunes as text: reels, jigs and hornpipes in ABC.

A token is a sign of ABC (see ``abcgrammar``). As in folk-rnn (Sturm et al. 2016, "Music
transcription modelling and composition using deep learning") every tune is told on the tonic C,
so that all keys are one, and its first token is the mode. What is repeated is played again bar
by bar, a token each.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.errors import UsageError
from appliance.music.codecs.abc.grammar import Place, Tune
from appliance.music.codecs.abc.tokens import (
    AGAIN,
    CLASSES,
    END,
    HIGHEST_DEGREE,
    LOWEST_DEGREE,
    MIN_TICKS,
    PITCHES,
    SCALES,
    TOKEN,
    VOCABULARY,
    degree_sign,
)
from appliance.music.codecs.base import Cadence, Opening
from appliance.music.codecs.match_model import MatchModel, echo_inputs
from appliance.music.events import TICKS_PER_STEP, Event
from appliance.music.score import Form, Key

LAST_BARS = 2
EARLY_BARS = 4
"""A tune does not end earlier before its form does: one that a person began goes on."""
METRES = ((16, 4), (8, 4), (12, 6), (18, 6), (24, 6), (12, 4))
"""Bar and beat in 16th steps; any other is one more class."""
BACK_SIGNS, BACK_PITCHES = 3, 4
BACK_BARS = (1, 2, 4, 8)
"""Bars ago of which is heard what stood at this place."""
TO_END_BARS = (*range(1, 17), 20, 24, 32, 40, 48)
PLACES_IN_BAR = 64
"""Quarters of a unit that are told apart."""
SECTION_BARS = 20
ALIKE_SIGNS = 5
"""Signs that agree before it is an echo."""
NO_DEGREE = len(PITCHES)
INTERVALS = HIGHEST_DEGREE - LOWEST_DEGREE


@dataclass(frozen=True)
class AbcScore:
    """A tune by its signs, from the mode to the last bar line, repeats not played."""

    name: str
    signs: tuple[str, ...]
    key: Key
    form: Form
    """Its steps are those of the tune as it is played."""

    @property
    def text(self) -> str:
        """The tune's text on C, without header and layout."""
        return "".join(self.signs[1:])

    def transposed(self, semitones: int) -> AbcScore:
        """The same tune on another tonic; its signs stay."""
        return replace(self, key=self.key.up(semitones))


def _parts() -> tuple[dict[str, int], int]:
    """Where each part of the input begins, and its width."""
    at, width = {}, 0
    for part, size in (
        ("place", len(Place)),
        ("signs", BACK_SIGNS * (CLASSES + 1)),
        ("pitches", BACK_PITCHES * (NO_DEGREE + 1)),
        ("bar", PLACES_IN_BAR),
        ("before", len(BACK_BARS) * (NO_DEGREE + 1)),
        ("altered", 14),
        ("group", 5),
        ("metre", len(METRES) + 1),
        ("mode", len(SCALES) + 1),
        ("minor", 2),
        ("register", 3),
        ("section", SECTION_BARS + 1),
        ("sections", 8),
        ("state", 4),
        ("pickup", 2),
        ("end", len(TO_END_BARS) + 1),
        ("repeated", len(TO_END_BARS) + 2),
        ("echo", 2 * echo_inputs(CLASSES)),
    ):
        at[part] = width
        width += size
    return at, width


AT, WIDTH = _parts()


class AbcCodec:
    """Encodes tunes."""

    name = "abc"
    unit = "character"
    cycle = 1
    forms = True
    voices = 1
    width = WIDTH

    @property
    def vocabulary(self) -> list[str]:
        """A name for every class, in order."""
        return VOCABULARY

    @property
    def options(self) -> dict[str, Any]:
        """None."""
        return {}

    def start(self, form: Form, key: Key) -> AbcContext:
        """An empty tune in this form and key."""
        return AbcContext(form, key)

    def encode(self, score: AbcScore) -> tuple[list[list[int]], list[int]]:
        """Features and the true token at every place; repeats are played where they close.

        Raises:
            ValueError: a sign stands where none of its kind may.
        """
        context = self.start(score.form, score.key)
        features: list[list[int]] = []
        said: list[int] = []
        for sign in (*score.signs, END):
            while context.place == Place.AGAIN:
                features.append(context.features())
                said.append(TOKEN[AGAIN])
                context.accept(TOKEN[AGAIN])
            if TOKEN[sign] not in context.allowed():
                raise ValueError(f"{sign!r} cannot follow {''.join(context.signs[-12:])!r}")
            features.append(context.features())
            said.append(TOKEN[sign])
            context.accept(TOKEN[sign])
        return features, said

    def units(self, score: AbcScore) -> tuple[int, int]:
        """How many tokens count (the end does not), and of how many characters."""
        return len(self.encode(score)[1]) - 1, len(score.text)

    def shifts(self, score: AbcScore) -> list[int]:
        """None but where it is: on C all keys are one."""
        del score
        return [0]

    def moved(self, semitones: int) -> tuple[list[int], list[int]]:
        """See :meth:`appliance.music.codecs.base.Codec.moved`; text on C stays as it is."""
        del semitones
        return list(range(self.width)), list(range(len(self.vocabulary)))

    def opening(self, path: Path) -> Opening:
        """The tune in a person's ABC file."""
        from appliance.music.codecs.abc import reader

        try:
            score = reader.read(path)
            return Opening(score.form, score.key, self.encode(score)[1][:-1])
        except ValueError as why:
            raise UsageError(f"{path}: {why}") from why


class AbcContext(Tune):
    """A tune being written, and what the model hears of it."""

    def __init__(self, form: Form, key: Key) -> None:
        super().__init__(form, key)
        self.echo, self.shape = MatchModel(ALIKE_SIGNS), MatchModel(ALIKE_SIGNS)
        """Of the signs, and of signs and intervals."""

    def features(self) -> list[int]:
        """Indices of the ones in the multi-hot input for the next token."""
        here, bar = self._place_in_bar()
        found = [AT["place"] + self.place]
        for back in range(BACK_SIGNS):
            known = len(self.signs) > back
            token = TOKEN[self.signs[-1 - back]] if known else CLASSES
            found.append(AT["signs"] + back * (CLASSES + 1) + token)
        for back in range(BACK_PITCHES):
            known = len(self.degrees) > back
            degree = self.degrees[-1 - back] - LOWEST_DEGREE if known else NO_DEGREE
            found.append(AT["pitches"] + back * (NO_DEGREE + 1) + degree)
        found.append(AT["bar"] + min(PLACES_IN_BAR - 1, here // MIN_TICKS))
        for n, back in enumerate(BACK_BARS):
            stood = self.stood.get((bar - back, here))
            degree = NO_DEGREE if stood is None else stood - LOWEST_DEGREE
            found.append(AT["before"] + n * (NO_DEGREE + 1) + degree)
        found += [AT["altered"] + 2 * step + (by > 0) for step, by in self.altered.items() if by]
        found.append(AT["group"] + (4 if self.pair else self.triplet_left))
        metre = (self.form.bar_steps, self.form.beat_steps)
        found.append(AT["metre"] + (METRES.index(metre) if metre in METRES else len(METRES)))
        found.append(AT["mode"] + (list(SCALES).index(self.mode) if self.mode else len(SCALES)))
        found.append(AT["minor"] + self.key.minor)
        found.append(AT["register"] + (self.key.tonic > 4) + (self.key.tonic > 7))
        section_bars = self.section_ticks // self.bar_ticks
        found.append(AT["section"] + min(SECTION_BARS, section_bars))
        found.append(AT["sections"] + min(7, self.sections))
        found.append(AT["state"] + (1 + self.ending if self.repeated else 0))
        found.append(AT["pickup"] + (self.phase > 0))
        left = self._ticks_left()
        found.append(AT["end"] + bisect_right(TO_END_BARS, left / self.bar_ticks + 1))
        if self.repeated and not self.ending:
            alone = (left - self.section_ticks) / 2
            to_close = bisect_right(TO_END_BARS, alone / self.bar_ticks + 1)
        else:
            to_close = len(TO_END_BARS) + 1
        found.append(AT["repeated"] + to_close)
        return found + self._heard_before()

    def _place_in_bar(self) -> tuple[int, int]:
        """Where the next note begins: ticks in its bar, and the bar's number."""
        here = self.at_ticks + (self.pending.ticks if self.pending else 0)
        return (0, self.bar + 1) if here == self.bar_ticks else (here, self.bar)

    def _ticks_left(self) -> int:
        pending = self.pending.ticks if self.pending else 0
        return self.form.steps * TICKS_PER_STEP - self.now - pending

    def _heard_before(self) -> list[int]:
        """What both echoes expect, and how long they have been right."""
        at, found = AT["echo"], []
        for expected, bucket in (
            (self.echo.expected, self.echo.bucket),
            (self._expected_by_shape(), self.shape.bucket),
        ):
            found.append(at + (CLASSES if expected is None else expected))
            found.append(at + CLASSES + 1 + bucket)
            at += echo_inputs(CLASSES)
        return found

    def _expected_by_shape(self) -> int | None:
        symbol = self.shape.expected
        if symbol is None or symbol < CLASSES:
            return symbol
        degree = (self.degrees[-1] if self.degrees else 0) + symbol - CLASSES - INTERVALS
        return TOKEN[degree_sign(degree)] if LOWEST_DEGREE <= degree <= HIGHEST_DEGREE else None

    def forbidden(self, *, must_sound: bool = False) -> list[int]:
        """Classes that make no sense as the next token; ``must_sound`` rules out rests."""
        allowed = self.allowed() - ({TOKEN["z"]} if must_sound else set())
        if self._ticks_left() > EARLY_BARS * self.bar_ticks and len(allowed) > 1:
            allowed -= {TOKEN[END]}
        return [token for token in range(CLASSES) if token not in allowed]

    def accept(self, token: int) -> list[Event]:
        """Write the token down; the events it gives, in ticks since the piece began.

        Whatever the token: one that makes no sense is taken as the first that does.
        """
        token = self.sensible(token)
        sign = VOCABULARY[token]
        if sign in PITCHES:
            before = self.degrees[-1] if self.degrees else 0
            self.shape.hear(CLASSES + INTERVALS + PITCHES[sign] - before)
        elif sign != AGAIN:
            self.shape.hear(token)
        if sign != AGAIN:
            self.echo.hear(token)
        return super().accept(token)

    @property
    def at_ending(self) -> bool:
        """Here the last bars begin, as they are written."""
        if not self.signs or self.signs[-1] != "|" or self.place != Place.READY:
            return False
        left = self._ticks_left()
        if self.repeated and not self.ending:
            left = (left - self.section_ticks) // 2
        return (LAST_BARS - 1) * self.bar_ticks < left <= LAST_BARS * self.bar_ticks

    def cadence(self) -> Cadence:
        """How the tune closes: on the tonic, and from a neighbour, the fifth or itself."""
        if not self.degrees or self.degrees[-1] % 7:
            return Cadence.OPEN
        leads = len(self.degrees) > 1 and self.degrees[-2] % 7 in (0, 1, 2, 4, 6)
        return Cadence.FULL if leads else Cadence.HOME

    def copy(self) -> AbcContext:
        """A copy that goes its own way."""
        twin = AbcContext(self.form, self.key)
        vars(twin).update(vars(self))
        for name in ("signs", "section", "again", "degrees", "altered", "stood", "echo", "shape"):
            setattr(twin, name, getattr(self, name).copy())
        twin.pending = self.pending and replace(self.pending)
        return twin
