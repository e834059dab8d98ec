"""Tunes in ABC notation as scores: symbols in C (see ``tokens``).

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1). What is not a tune's notes
is left out: chord symbols, ornaments, grace notes, slurs, words. Of a chord the highest note is
kept; a note tied over a bar line is struck again.
"""

from __future__ import annotations

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
from appliance.music.codecs.abc.grammar import State
from appliance.music.codecs.abc.header import KeySignature, Meter, parse_key, parse_meter
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.sections import Section, sections_of
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
MAX_SHORT_SHARE = Fraction(1, 4)
"""A 2/4 tune of which this share of notes is shorter than an eighth is read as 4/4, with all
lengths doubled."""
MAX_WRONG_SHARE = Fraction(1, 10)
"""The largest share of bars of a wrong length that is left out of a user's tune."""
MAX_STRETCH = 3
"""Eighths by which a section's last note may be made longer or shorter."""


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
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as why:
        raise UsageError(f"cannot read it: {why.strerror}", path=path) from why
    if len(content) > MAX_BYTES:
        raise UsageError("larger than a megabyte; keep one tune of it", path=path)
    found = split_tunes(decode(content))
    if not found:
        raise UsageError(
            "no tune in ABC is in it (one begins with a line X:1, and has a line K:)", path=path
        )
    reasons: list[str] = []
    for tune in _at_the_beginning(found, MAX_OPENING_CHARACTERS):
        try:
            score = _parse_tolerantly(tune, path.stem)
        except ValueError as why:
            reasons.append(str(why))
        else:
            return replace(score, notices=(*_which_tune(len(found), reasons), *score.notices))
    many = f"none of the first {len(reasons)} tunes can be read; tune 1: "
    raise UsageError((many if len(reasons) > 1 else "") + reasons[0], path=path)


def _which_tune(count: int, reasons: Sequence[str]) -> list[str]:
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


def _at_the_beginning(tunes: Sequence[TuneText], characters: int) -> list[TuneText]:
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
    tunes: list[tuple[str, AbcScore | str]] = []
    for number, tune in enumerate(_at_the_beginning(found, max_characters), 1):
        line = re.search(r"(?m)^T:(.*)", tune.text)
        title = line[1].strip() if line else ""
        try:
            tunes.append((title or f"{path.stem} {number}", _parse_tolerantly(tune, title)))
        except ValueError as why:
            tunes.append((f"tune {number}" + (f" ({title})" if title else ""), str(why)))
    if not tunes:
        return Book([("", "no tune is in it (a tune begins with a line X:1)")])
    return Book(tunes, len(found) - len(tunes))


def parse(text: TuneText | str, name: str = "", *, without_wrong_bars: bool = False) -> AbcScore:
    """Parse one tune.

    Args:
        text: from its line ``X:`` on.
        name: of the score.
        without_wrong_bars: bars of a wrong length are left out, if they are few.

    Raises:
        ValueError: it cannot be encoded in the symbols of ``tokens``; the message says why.
    """
    body = read_body(text if isinstance(text, TuneText) else TuneText(text))
    key, meter = _key_and_meter(body)
    bars, notices = bars_of(body.lines, meter.unit, compound=meter.beat_steps == 6)
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
    notices += _drop_silent_bars(bars, bar_eighths)
    sections = sections_of(bars)
    if without_wrong_bars:
        notices += _drop_wrong_bars(sections, bar_eighths)
    _join_upbeats(sections, bar_eighths)
    first = sections[0].bars[0].length()
    pickup = first if first < bar_eighths else Fraction(0)
    if (pickup * 2).denominator != 1:
        raise ValueError("its upbeat is not on the 16th grid")
    notices += _fit_bars(sections, bar_eighths, pickup)
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


def _parse_tolerantly(tune: TuneText, name: str) -> AbcScore:
    """Parse a tune, if need be without its bars of a wrong length.

    Raises:
        ValueError: it cannot be encoded; the message says what is wrong with the whole tune.
    """
    try:
        return parse(tune, name)
    except ValueError as why:
        try:
            return parse(tune, name, without_wrong_bars=True)
        except ValueError:
            raise why from None


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


def _drop_wrong_bars(sections: list[Section], whole: Fraction) -> list[str]:
    """Leave out bars that are not as long as the meter says, if they are few.

    Upbeats and the last bars of sections may be shorter.

    Returns:
        A notice for each of them.
    """
    wrong = []
    for section in sections:
        for part in (section.bars, section.first, section.second):
            inner = part[1:-1]
            wrong += [
                bar
                for bar in part
                if bar.length() > whole + (0 if bar is not part[-1] else MAX_STRETCH)
                or (bar.length() < whole and any(bar is other for other in inner))
            ]
    if len(wrong) > MAX_WRONG_SHARE * sum(
        len(part) for s in sections for part in (s.bars, s.first, s.second)
    ):
        return []
    for section in sections:
        for part in (section.bars, section.first, section.second):
            part[:] = [bar for bar in part if not any(bar is other for other in wrong)]
    sections[:] = [section for section in sections if section.bars]
    return [
        f"line {bar.line_number}: a bar of {bar.length()} eighths instead of {whole} was left out"
        for bar in wrong
    ]


def _drop_silent_bars(bars: list[Bar], whole: Fraction) -> list[str]:
    """Take the notes out of bars that are silent as a whole; return what to report."""
    dropped = 0
    for bar in bars:
        if bar.notes and all(note.rest for note in bar.notes) and bar.length() >= whole:
            bar.notes = []
            dropped += 1
    return [f"bars of silence were left out ({dropped})"] if dropped else []


def _join_upbeats(sections: list[Section], whole: Fraction) -> None:
    """Put an upbeat that is written before a section's repeat sign into the section."""
    for n in range(len(sections) - 2, -1, -1):
        section, following = sections[n], sections[n + 1]
        alone = len(section.bars) == 1 and not (section.repeated or section.first)
        if alone and section.bars[0].length() < whole <= following.bars[0].length():
            following.bars.insert(0, section.bars[0])
            del sections[n]


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


def _fit_bars(sections: list[Section], whole: Fraction, pickup: Fraction) -> list[str]:
    """Make every bar full, and let a section's last bar leave room for the next upbeat.

    Printed books often write a last bar in full where an upbeat follows. Its last note is made
    shorter then, or longer in the opposite case.

    Args:
        sections: changed in place; lengths in eighths.
        whole: length of a bar.
        pickup: length of the tune's upbeat.

    Returns:
        What to report.

    Raises:
        ValueError: a bar or an upbeat does not fit.
    """
    upbeats = []
    for section in sections:
        first = section.bars[0].length()
        upbeat = first if first < whole else Fraction(0)
        if upbeat not in (0, pickup):
            raise ValueError("its sections have different upbeats")
        upbeats.append(upbeat)
    fitted: list[int] = []
    for n, section in enumerate(sections):
        following = upbeats[n + 1] if n + 1 < len(sections) else upbeats[n]
        fitted += _fit_section(section, whole, upbeats[n], following)
    if not fitted:
        return []
    lines = f"line{'s' * (len(fitted) > 1)} {', '.join(map(str, dict.fromkeys(fitted)))}"
    return [
        f"{lines}: the last note of a section was made longer or shorter, so that its bars are full"
    ]


def _fit_section(
    section: Section, whole: Fraction, upbeat: Fraction, following: Fraction
) -> list[int]:
    """The same for one section with its own upbeat and that of the section after it.

    Returns:
        The lines of the bars that were changed.
    """
    last_bars, fitted = section.last_bars(), []
    for bar in last_bars:
        last_time = section.second[-1:] == [bar] or not section.repeated
        next_upbeat = following if last_time else upbeat
        if not last_time and not section.second and next_upbeat != following:
            raise ValueError("an upbeat that its repeat does not have")
        if by := whole - next_upbeat - bar.length():
            _stretch(bar, by)
            fitted.append(bar.line_number)
    for bar in section.bars[1 if upbeat else 0 :] + section.first + section.second:
        if bar.length() != whole and not any(bar is last for last in last_bars):
            raise LineError(
                bar.line_number, f"a bar has {bar.length()} eighths instead of {whole}; correct it"
            )
    return fitted


def _stretch(bar: Bar, by: Fraction) -> None:
    """Make a bar longer by some eighths, or shorter if ``by`` is negative."""
    while by:
        if not bar.notes or bar.notes[-1].group or abs(by) > MAX_STRETCH:
            raise LineError(bar.line_number, "a section's last bar is too long or too short")
        note = bar.notes[-1]
        length = max(Fraction(0), note.length + by) if note.rest else note.length + by
        if length not in (0, *LENGTHS_IN_EIGHTHS) or (length == 0 and not note.rest):
            raise LineError(bar.line_number, "a section's last bar is too long or too short")
        by -= length - note.length
        note.length = length
        if not length:
            bar.notes.pop()
