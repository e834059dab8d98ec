"""Tunes in ABC notation as scores: symbols in C (see ``tokens``).

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1). What is not a tune's notes
is left out: chord symbols, ornaments, grace notes, slurs, words. Of a chord the highest note is
kept; a note tied over a bar line is struck again.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from appliance.errors import UsageError
from appliance.music.codecs.abc.bars import Bar, WrittenNote, bars_of
from appliance.music.codecs.abc.body import Body, read_body
from appliance.music.codecs.abc.fitting import (
    drop_silent_bars,
    drop_wrong_bars,
    fit_bars,
    join_upbeats,
    write_out_pickups,
)
from appliance.music.codecs.abc.grammar import State
from appliance.music.codecs.abc.header import KeySignature, Meter, parse_key, parse_meter
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.sections import sections_of
from appliance.music.codecs.abc.symbols import LENGTHS_IN_EIGHTHS, symbols_of
from appliance.music.codecs.abc.text import LineError, TuneText, decode, split_tunes
from appliance.music.codecs.abc.tokens import END, MINOR_MODES, REPLAY, TOKEN
from appliance.music.codecs.abc.tune import MAX_STEPS, Tune
from appliance.music.events import TICKS_PER_STEP
from appliance.music.score import Form, Key

MAX_BYTES = 1 << 20
MAX_BOOK_BYTES = 16 << 20
MAX_OPENING_CHARACTERS = 20_000
"""The first tune that can be read is looked for among those that begin within so much."""
MAX_RETRIED_CHARACTERS = 20_000
"""Tunes are a twentieth as long; reading a longer text several times would take seconds."""
MAX_SHORT_SHARE = Fraction(1, 4)
"""A 2/4 tune of which this share of notes is shorter than an eighth is read as 4/4, with all
lengths doubled."""


class Book(NamedTuple):
    """The tunes of a file."""

    tunes: list[tuple[str, AbcScore | str]]
    """Each with its title; of a tune that cannot be read, the reason why. A tune without a title,
    or that cannot be read, is named by its number. Where the whole file cannot be read, there is
    one reason, without a name."""
    untried: int = 0
    """Tunes that follow them in the file."""


def read(path: Path) -> AbcScore:
    """Read the first tune of a file that can be encoded.

    Raises:
        UsageError: there is no such file, no tune in it, or none of those at its beginning can be
            encoded; the message says why.
    """
    texts = texts_of(path)
    reasons: list[str] = []
    for tune in at_the_beginning(texts, MAX_OPENING_CHARACTERS):
        try:
            score = parse_tolerantly(tune, path.stem)
        except ValueError as why:
            reasons.append(str(why))
        else:
            return replace(score, notices=(*which_tune(len(texts), reasons), *score.notices))
    raise none_can_be_read(path, reasons)


def texts_of(path: Path) -> list[TuneText]:
    """The tunes of a file as text, at least one.

    Raises:
        UsageError: there is no such file, or no tune in it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as why:
        raise UsageError(f"cannot read it: {why.strerror}", path=path) from why
    if len(content) > MAX_BYTES:
        raise UsageError("larger than a megabyte; keep one tune of it", path=path)
    try:
        found = split_tunes(decode(content))
    except ValueError as why:
        raise UsageError(str(why), path=path) from why
    if not found:
        raise UsageError(
            "no tune in ABC is in it (one begins with a line X:1, and has a line K:)", path=path
        )
    return found


def none_can_be_read(path: Path, reasons: Sequence[str]) -> UsageError:
    """The error for a file of which the first tunes cannot be read, each for a reason."""
    many = f"none of the first {len(reasons)} tunes can be read; tune 1: "
    return UsageError((many if len(reasons) > 1 else "") + reasons[0], path=path)


def which_tune(count: int, reasons: Sequence[str]) -> list[str]:
    """What to report about the other tunes of a file.

    Args:
        count: of all tunes.
        reasons: why those before the one that was read cannot be.
    """
    if count == 1:
        return []
    if not reasons:
        return [f"{count} tunes are in the file; the first was read"]
    number = len(reasons) + 1
    return [
        f"{count} tunes are in the file; tune {number} was read, the first that can be (tune 1: "
        f"{reasons[0]})"
    ]


def at_the_beginning(tunes: Sequence[TuneText], characters: int) -> list[TuneText]:
    """The tunes that begin within so much of their file."""
    starts = accumulate((len(tune.text) for tune in tunes), initial=0)
    return [tune for tune, start in zip(tunes, starts, strict=False) if start < characters]


def read_book(path: Path, max_characters: int = MAX_BOOK_BYTES) -> Book:
    """Read the tunes of a file.

    Args:
        path: of the file.
        max_characters: only the tunes that begin within so much of the file are tried.
    """
    try:
        if path.stat().st_size > MAX_BOOK_BYTES:
            return Book([("", "larger than 16 MiB; no book of tunes needs that much")])
        found = split_tunes(decode(path.read_bytes()))
    except OSError as why:
        return Book([("", f"cannot read it: {why.strerror}")])
    except ValueError as why:
        return Book([("", str(why))])
    tunes: list[tuple[str, AbcScore | str]] = []
    for number, tune in enumerate(at_the_beginning(found, max_characters), 1):
        line = re.search(r"(?m)^T:(.*)", tune.text)
        title = line[1].strip() if line else ""
        try:
            tunes.append((title or f"{path.stem} {number}", parse_tolerantly(tune, title)))
        except ValueError as why:
            tunes.append((f"tune {number}" + (f" ({title})" if title else ""), str(why)))
    if not tunes:
        return Book([("", "no tune is in it (a tune begins with a line X:1)")])
    return Book(tunes, len(found) - len(tunes))


def parse(
    text: TuneText | str, name: str = "", *, freely: bool = False, without_wrong_bars: bool = False
) -> AbcScore:
    """Parse one tune.

    Args:
        text: from its line ``X:`` on.
        name: of the score.
        freely: as in :func:`.bars_of`; and pickups that differ are written out. The
            corpus of the shipped model was read without it.
        without_wrong_bars: bars of a wrong length are left out, if they are few.

    Raises:
        ValueError: it cannot be encoded in the symbols of ``tokens``; the message says why.
    """
    body = read_body(text if isinstance(text, TuneText) else TuneText(text))
    key, meter = _key_and_meter(body)
    bars, notices = bars_of(body.lines, meter.unit, compound=meter.beat_steps == 6, freely=freely)
    bar_eighths = meter.bar_eighths
    if meter.beat_steps == 4 and bar_eighths == 4 and _has_short_notes(bars):
        bar_eighths = Fraction(8)
        notices.append(
            "it is in 2/4 with many notes shorter than an eighth: all lengths were doubled, to 4/4"
        )
        for note in _notes(bars):
            note.length *= 2
    if sum(bar.length() for bar in bars) * 2 > MAX_STEPS:
        raise ValueError(
            f"it is too long; allowed: {int(MAX_STEPS // (bar_eighths * 2))} bars as it is played. "
            "Keep a part of it"
        )
    _check_tuplets(bars)
    notices += drop_silent_bars(bars, bar_eighths)
    sections = sections_of(bars, notices, freely=freely)
    if without_wrong_bars:
        notices += drop_wrong_bars(sections, bar_eighths)
    join_upbeats(sections, bar_eighths)
    if freely:
        write_out_pickups(sections, bar_eighths)
    first = sections[0].bars[0].length()
    pickup = first if first < bar_eighths else Fraction(0)
    if (pickup * 2).denominator != 1:
        raise ValueError("its upbeat is not on the 16th grid")
    notices += fit_bars(sections, bar_eighths, pickup, freely=freely)
    symbols = (key.mode, *symbols_of(sections, key))
    tonic_and_mode = Key(key.tonic, key.mode in MINOR_MODES)
    form = Form(int(bar_eighths * 2), int(pickup * 2), 1, (), meter.beat_steps)
    steps = _played_steps(symbols, form, tonic_and_mode)
    interpreted = [notice for notice in (key.notice, meter.notice) if notice]
    return AbcScore(
        name,
        symbols,
        tonic_and_mode,
        form._replace(steps=steps),
        tuple(dict.fromkeys((*interpreted, *body.notices, *notices))),
    )


def parse_tolerantly(tune: TuneText, name: str) -> AbcScore:
    """Parse a tune, if need be with changes where it does not fit, which are reported.

    Raises:
        ValueError: it cannot be encoded; the message says what is wrong with the whole tune.
    """
    try:
        return parse(tune, name)
    except ValueError:
        if len(tune.text) > MAX_RETRIED_CHARACTERS:
            raise
        for without_wrong_bars in (False, True):
            with contextlib.suppress(ValueError):
                return parse(tune, name, freely=True, without_wrong_bars=without_wrong_bars)
        raise


def _key_and_meter(body: Body) -> tuple[KeySignature, Meter]:
    fields, lines = body.fields, body.field_lines
    try:
        key = parse_key(fields.get("K", ""))
    except ValueError as why:
        raise LineError(lines.get("K", 1), str(why)) from why
    try:
        return key, parse_meter(fields)
    except ValueError as why:
        raise LineError(lines.get("M", lines.get("L", 1)), str(why)) from why


def _check_tuplets(bars: Sequence[Bar]) -> None:
    """Check that the lengths of all tuplets can be written.

    Raises:
        LineError: one cannot.
    """
    for bar in bars:
        for note in bar.notes:
            if note.tuplet and note.length not in LENGTHS_IN_EIGHTHS:
                raise LineError(
                    bar.line_number,
                    f"{note.tuplet}: it has tuplets other than triplets of three notes; write "
                    "them as plain notes",
                )


def _played_steps(symbols: Sequence[str], form: Form, key: Key) -> int:
    """Length of a tune as it is played, in 16ths.

    Raises:
        ValueError: the grammar does not allow it.
    """
    tune = Tune(form._replace(steps=MAX_STEPS), key)
    for symbol in (*symbols, END):
        while tune.state == State.REPLAY:
            tune.accept(TOKEN[REPLAY])
        if TOKEN[symbol] not in tune.allowed_tokens():
            raise ValueError(
                "it breaks off, or is shorter than eight bars (repeats count)"
                if symbol == END
                else f"{symbol!r} cannot follow {''.join(tune.symbols[1:])[-20:]!r}"
            )
        tune.accept(TOKEN[symbol])
    return tune.tick // TICKS_PER_STEP


def _notes(bars: Sequence[Bar]) -> Iterator[WrittenNote]:
    return (note for bar in bars for note in bar.notes)


def _has_short_notes(bars: Sequence[Bar]) -> bool:
    notes = list(_notes(bars))
    return sum(note.length < 1 for note in notes) >= MAX_SHORT_SHARE * len(notes)
