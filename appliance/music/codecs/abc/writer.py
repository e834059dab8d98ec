"""Tunes written out as ABC: signs on C (see ``abc``) in the key that they are played in.

The layout is that of the books: notes of a beat are joined, four bars make a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from appliance.music.codecs.abc.abc_codec import AbcContext
from appliance.music.codecs.abc.grammar import MAX_STEPS
from appliance.music.codecs.abc.tokens import (
    ACCIDENTALS,
    AGAIN,
    BARS,
    END,
    LENGTHS,
    LETTERS,
    NATURAL,
    PITCHES,
    SCALES,
    VOCABULARY,
    alterations_of,
    degree_sign,
)
from appliance.music.events import (
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    Kind,
    Piece,
    piece_of,
    tokens_of,
)
from appliance.music.score import Form, Key

MODE_NAMES = {"major": "", "minor": "m", "dorian": "dor", "mixolydian": "mix"}
BARS_A_LINE = 4
OPENINGS = {"|:": ("||", "|:"), "::": (":|", "|:"), "||": ("||", ""), ":|": (":|", "")}
"""What a line of music ends with, and the next begins with, where a section begins."""
WRITTEN = {2: "^^", 1: "^", 0: "=", -1: "_", -2: "__"}


class Spelling(NamedTuple):
    """A key as it is written."""

    letter: int
    """Of the tonic, C = 0."""
    alterations: tuple[int, ...]
    """By how many semitones the key raises each letter, C to B."""
    name: str
    """For the line ``K:``."""


def spelling(tonic: int, mode: str) -> Spelling:
    """The name of a key that needs the fewest accidentals; sharps where flats are as many."""
    found = []
    for letter, natural in enumerate(NATURAL):
        sharp = (tonic - natural + 6) % 12 - 6
        if abs(sharp) <= 1:
            alterations = alterations_of(letter, tonic, mode)
            name = LETTERS[letter] + {1: "#", 0: "", -1: "b"}[sharp] + MODE_NAMES[mode]
            found.append((sum(map(abs, alterations)), -sharp, Spelling(letter, alterations, name)))
    return min(found)[2]


def written(
    tokens: Sequence[int], form: Form, key: Key, *, number: int, title: str, tempo_bpm: float
) -> str:
    """A tune as a block of ABC, ``X:`` to the last bar line.

    A tune that breaks off is written up to its last whole bar, and what was to be repeated
    there is not.
    """
    context = AbcContext(form, key)
    layout = _Layout(context)
    for token in tokens:
        if VOCABULARY[token] != AGAIN:
            layout.add(VOCABULARY[token])
        context.accept(token)
    body = layout.body(whole=context.done)
    over, under = form.bar_steps // 2, 8
    if form.beat_steps == 4 and form.bar_steps % 4 == 0:
        over, under = form.bar_steps // 4, 4
    beat = {2: "1/8", 4: "1/4", 6: "3/8", 8: "1/2"}.get(form.beat_steps, "1/4")
    beats_a_minute = round(tempo_bpm * 4 / (4 if beat == "1/4" else form.beat_steps))
    head = (
        f"X:{number}",
        f"T:{title}",
        f"M:{over}/{under}",
        "L:1/8",
        f"Q:{beat}={beats_a_minute}",
        f"K:{spelling(key.tonic, context.mode or 'major').name}",
    )
    return "\n".join((*head, body)) + "\n"


def book(events: Iterable[Event], *, title: str, tempo_bpm: float) -> str:
    """The tunes that a composer wrote, from its events."""
    pieces: list[tuple[Piece, list[int]]] = []
    for event in events:
        if event.kind == Kind.PIECE:
            pieces.append((piece_of(event), []))
        elif event.kind == Kind.TOKENS and pieces:
            pieces[-1][1].extend(tokens_of(event))
    found = ["%abc-2.1\n"]
    for about, tokens in pieces:
        beat_steps = about.beat_ticks // TICKS_PER_STEP
        form = Form(
            bar_steps=about.beats_per_bar * beat_steps,
            pickup_steps=about.pickup_ticks // TICKS_PER_STEP,
            steps=MAX_STEPS,
            beat_steps=beat_steps,
        )
        key, name = Key(about.tonic, about.minor), f"{title}, piece {about.number}"
        found.append(
            written(tokens, form, key, number=about.number, title=name, tempo_bpm=tempo_bpm)
        )
    return "\n".join(found)


class _Bar(NamedTuple):
    """A bar with the bar line before it."""

    line: str
    text: str
    upbeat: bool


class _Layout:
    """Signs laid out in bars and lines."""

    def __init__(self, context: AbcContext) -> None:
        self._context = context
        self._bars: list[_Bar] = []
        self._line, self._text, self._upbeat = "", "", False
        self._beat = -1
        self._accidental: int | None = None

    def add(self, sign: str) -> None:
        """Take a sign that the context is to take next."""
        if sign in SCALES or sign == END:
            return
        if sign in BARS:
            self._bars.append(_Bar(self._line, self._text, self._upbeat))
            self._line, self._text, self._upbeat, self._beat = sign, "", False, -1
        elif sign in PITCHES:
            if self._accidental is None:
                self._space()
            self._text += self._note(PITCHES[sign])
            self._accidental = None
        else:
            if sign not in LENGTHS and sign not in (">", "<"):
                self._space()
            if sign in ACCIDENTALS:
                self._accidental = ACCIDENTALS[sign]
            else:
                self._text += sign

    def _space(self) -> None:
        """Between two beats, but not within a pair or a triplet."""
        context = self._context
        pending = context.pending
        within = context.triplet_left > (pending is not None) and self._text[-2:] != "(3"
        paired = context.pair is not None and pending is None
        beat_ticks = max(context.form.beat_steps * TICKS_PER_STEP, TICKS_PER_BEAT)
        place = context.at_ticks + (pending.ticks if pending else 0)
        if self._beat == -1:
            self._upbeat = place > 0
        elif place // beat_ticks != self._beat and not within and not paired:
            self._text += " " if self._text[-2:] != "(3" else ""
        self._beat = place // beat_ticks

    def _note(self, degree: int) -> str:
        key = spelling(self._context.key.tonic, self._context.mode)
        step = degree + key.letter
        sign = ""
        if self._accidental is not None:
            sign = WRITTEN[key.alterations[step % 7] + self._accidental]
        return sign + degree_sign(step)

    def body(self, *, whole: bool) -> str:
        """The tune; where it is not ``whole``, to its last whole bar, which is not repeated."""
        bars = [*self._bars, _Bar(self._line, self._text, self._upbeat)]
        if not whole:
            bars = _to_last_bar(bars)
        found, count = "", 0
        for bar in bars:
            closing, opening = OPENINGS.get(bar.line, (bar.line, ""))
            if bar.line in OPENINGS or (bar.line == "|" and count == BARS_A_LINE):
                found += (closing if found else "") + "\n" + opening
                count = 0
            else:
                found += closing + (" " if bar.line in ("|1", ":|2") else "")
            found += bar.text
            count += bool(bar.text) and not bar.upbeat
        found = found.strip().removesuffix("||")
        return found if found.endswith(":|") else found + "|]"


def _to_last_bar(bars: list[_Bar]) -> list[_Bar]:
    """A tune that breaks off in its last bar, made one that ends with the bar before."""
    *whole, last = bars
    if last.line in OPENINGS:
        whole.append(last._replace(text=""))
    at = max((n for n, bar in enumerate(whole) if bar.line in (*OPENINGS, ":|2")), default=0)
    plain = {"|:": "||", "::": ":|", "|1": "|"}
    return [
        bar._replace(line=plain.get(bar.line, bar.line)) if n >= at else bar
        for n, bar in enumerate(whole)
    ]
