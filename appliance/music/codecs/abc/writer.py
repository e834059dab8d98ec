"""Tunes as ABC text: symbols in C (see ``tokens``), transposed to the key they are played in.

The layout is that of printed books: notes of a beat are joined, four bars make a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from appliance.music.codecs.abc.context import AbcContext
from appliance.music.codecs.abc.tokens import (
    ACCIDENTALS,
    BAR_LINES,
    END,
    LENGTHS,
    LETTERS,
    NATURAL,
    PITCHES,
    REPLAY,
    SCALES,
    VOCABULARY,
    alterations_of,
    degree_symbol,
)
from appliance.music.codecs.abc.tune import MAX_STEPS
from appliance.music.events import (
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    Piece,
    PieceStart,
    Tokens,
)
from appliance.music.score import Form, Key
from appliance.music.titles import piece_title

MODE_NAMES = {"major": "", "minor": "m", "dorian": "dor", "mixolydian": "mix"}
BARS_PER_LINE = 4
BEATS = {2: "1/8", 4: "1/4", 6: "3/8", 8: "1/2"}
"""A beat as the field ``Q:`` has it, by its length in 16ths."""
OPENINGS = {"|:": ("||", "|:"), "::": (":|", "|:"), "||": ("||", ""), ":|": (":|", "")}
"""What a line of text ends with, and the next begins with, where a section begins."""
ACCIDENTAL_TEXTS = {2: "^^", 1: "^", 0: "=", -1: "_", -2: "__"}


class Spelling(NamedTuple):
    """A key as it is written: the letter of its tonic and its signature."""

    letter: int
    """Of the tonic, C = 0."""
    alterations: tuple[int, ...]
    """By how many semitones the key raises each letter, C to B."""
    name: str
    """As the field ``K:`` has it."""


def spelling(tonic: int, mode: str) -> Spelling:
    """The spelling of a key with the fewest accidentals; sharps rather than as many flats.

    Args:
        tonic: pitch class.
        mode: one of ``tokens.SCALES``.
    """
    found = []
    for letter, natural in enumerate(NATURAL):
        sharp = (tonic - natural + 6) % 12 - 6
        if abs(sharp) <= 1:
            alterations = alterations_of(letter, tonic, mode)
            name = LETTERS[letter] + {1: "#", 0: "", -1: "b"}[sharp] + MODE_NAMES[mode]
            found.append((sum(map(abs, alterations)), -sharp, Spelling(letter, alterations, name)))
    return min(found)[2]


def format_tune(
    tokens: Sequence[int], form: Form, key: Key, *, number: int, title: str, tempo_bpm: float
) -> str:
    """A tune as a block of ABC, from ``X:`` to the last bar line.

    A tune that breaks off is written up to its last full bar, and a section that has not closed
    there is not repeated.

    Args:
        tokens: of the tune, from its mode on.
        form: of the tune; its length does not matter.
        key: that it is played in.
        number: for the field ``X:``.
        title: for the field ``T:``.
        tempo_bpm: quarter notes per minute.
    """
    context = AbcContext(form, key)
    layout = _Layout(context)
    for token in tokens:
        if VOCABULARY[token] != REPLAY:
            layout.add(VOCABULARY[token])
        context.accept(token)
    body = layout.body(complete=context.done)
    over, under = form.bar_steps // 2, 8
    if form.beat_steps == 4 and form.bar_steps % 4 == 0:
        over, under = form.bar_steps // 4, 4
    beat = BEATS.get(form.beat_steps, "1/4")
    beats_per_minute = round(tempo_bpm * 4 / (4 if beat == "1/4" else form.beat_steps))
    header = (
        f"X:{number}",
        f"T:{title}",
        f"M:{over}/{under}",
        "L:1/8",
        f"Q:{beat}={beats_per_minute}",
        f"K:{spelling(key.tonic, context.mode or 'major').name}",
    )
    return "\n".join((*header, body)) + "\n"


def format_book(events: Iterable[Event], *, title: str, tempo_bpm: float) -> str:
    """The tunes that a composer wrote, as a collection in ABC.

    Args:
        events: with the events of kind ``PIECE`` and ``TOKENS``; others are skipped.
        title: of the book; it follows the title of every tune.
        tempo_bpm: as it is set, in quarter notes per minute; each tune has its own share of it.
    """
    pieces: list[tuple[Piece, list[int]]] = []
    for event in events:
        if isinstance(event, PieceStart):
            pieces.append((event.piece, []))
        elif isinstance(event, Tokens) and pieces:
            # Beyond the vocabulary are the composer's marks for what is played again.
            pieces[-1][1].extend(token for token in event.tokens if token < len(VOCABULARY))
    found = ["%abc-2.1\n"]
    for about, tokens in pieces:
        beat_steps = about.beat_ticks // TICKS_PER_STEP
        form = Form(
            bar_steps=about.beats_per_bar * beat_steps,
            pickup_steps=about.pickup_ticks // TICKS_PER_STEP,
            steps=MAX_STEPS,
            beat_steps=beat_steps,
        )
        key, name = Key(about.tonic, about.minor), f"{piece_title(about)} ({title})"
        bpm = about.sounding_bpm(tempo_bpm)
        found.append(format_tune(tokens, form, key, number=about.number, title=name, tempo_bpm=bpm))
    return "\n".join(found)


class _Bar(NamedTuple):
    """A bar with the bar line before it."""

    line: str
    text: str
    upbeat: bool
    """It is not full, so it does not count as a bar of a line."""


class _Layout:
    """Lays out symbols in bars and lines."""

    def __init__(self, context: AbcContext) -> None:
        self._context = context
        self._bars: list[_Bar] = []
        self._line, self._text, self._upbeat = "", "", False
        self._beat = -1
        """The beat of the last note or group; -1 before the first of a bar."""
        self._accidental: int | None = None

    def add(self, symbol: str) -> None:
        """Add a symbol, before the context takes it."""
        if symbol in SCALES or symbol == END:
            return
        if symbol in BAR_LINES:
            self._bars.append(_Bar(self._line, self._text, self._upbeat))
            self._line, self._text, self._upbeat, self._beat = symbol, "", False, -1
        elif symbol in PITCHES:
            if self._accidental is None:
                self._space()
            self._text += self._note(PITCHES[symbol])
            self._accidental = None
        else:
            if symbol not in LENGTHS and symbol not in (">", "<"):
                self._space()
            if symbol in ACCIDENTALS:
                self._accidental = ACCIDENTALS[symbol]
            else:
                self._text += symbol

    def _space(self) -> None:
        """Add a space between two beats, but not within a pair or a triplet."""
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
        accidental = ""
        if self._accidental is not None:
            accidental = ACCIDENTAL_TEXTS[key.alterations[step % 7] + self._accidental]
        return accidental + degree_symbol(step)

    def body(self, *, complete: bool) -> str:
        """The text of the tune, up to its last full bar if it is not ``complete``."""
        bars = [*self._bars, _Bar(self._line, self._text, self._upbeat)]
        if not complete:
            bars = _up_to_last_bar(bars)
        found, count = "", 0
        for bar in bars:
            closing, opening = OPENINGS.get(bar.line, (bar.line, ""))
            if bar.line in OPENINGS or (bar.line == "|" and count == BARS_PER_LINE):
                found += (closing if found else "") + "\n" + opening
                count = 0
            else:
                found += closing + (" " if bar.line in ("|1", ":|2") else "")
            found += bar.text
            count += bool(bar.text) and not bar.upbeat
        found = found.strip().removesuffix("||")
        return found if found.endswith(":|") else found + "|]"


def _up_to_last_bar(bars: list[_Bar]) -> list[_Bar]:
    """The bars of a tune that breaks off, closed before its last bar and not repeated there."""
    *whole, last = bars
    if last.line in OPENINGS:
        whole.append(last._replace(text=""))
    at = max((n for n, bar in enumerate(whole) if bar.line in (*OPENINGS, ":|2")), default=0)
    plain = {"|:": "||", "::": ":|", "|1": "|"}
    return [
        bar._replace(line=plain.get(bar.line, bar.line)) if n >= at else bar
        for n, bar in enumerate(whole)
    ]
