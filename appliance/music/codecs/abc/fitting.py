"""Bars of wrong lengths made to fit, as the grammar of tunes wants them: see ``grammar``.

Printed books leave out, repeat and shorten parts of bars where sections meet, and players know what
is meant. What is changed is reported.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Final

from appliance.music.codecs.abc.bars import Bar
from appliance.music.codecs.abc.sections import Section
from appliance.music.codecs.abc.symbols import LENGTHS_IN_EIGHTHS
from appliance.music.codecs.abc.text import LineError

MAX_WRONG_SHARE: Final = Fraction(1, 10)
"""The largest share of bars of a wrong length that is left out of a user's tune."""
MAX_STRETCH: Final = 3
"""Eighths by which a section's last note may be made longer or shorter."""


def drop_wrong_bars(sections: list[Section], whole: Fraction) -> list[str]:
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


def drop_silent_bars(bars: list[Bar], whole: Fraction) -> list[str]:
    """Take the notes out of bars that are silent as a whole; return what to report."""
    dropped = 0
    for bar in bars:
        if bar.notes and all(note.rest for note in bar.notes) and bar.length() >= whole:
            bar.notes = []
            dropped += 1
    return [f"bars of silence were left out ({dropped})"] if dropped else []


def join_upbeats(sections: list[Section], whole: Fraction, *, if_it_fits: bool = False) -> None:
    """Put an upbeat that is written before a section's repeat sign into the section.

    Args:
        sections: changed in place.
        whole: length of a bar, in eighths.
        if_it_fits: only where the section's last bar leaves room for it; otherwise it is played
            once.
    """
    for n in range(len(sections) - 2, -1, -1):
        section, following = sections[n], sections[n + 1]
        if if_it_fits and following.last_bars()[0].length() == whole:
            continue
        alone = len(section.bars) == 1 and not (section.repeated or section.first)
        if alone and section.bars[0].length() < whole <= following.bars[0].length():
            following.bars.insert(0, section.bars[0])
            del sections[n]


def write_out_pickups(sections: list[Section], whole: Fraction) -> None:
    """Move pickups that differ from the tune's into the bars that lead to them.

    In the grammar, sections begin either with a bar or with the tune's pickup. A pickup of another
    length becomes the end of the last bar before it, and of the bar from which its section is
    repeated; a section whose last bar leads to a pickup only once gets two endings.

    Args:
        sections: changed in place; lengths in eighths.
        whole: length of a bar.

    Raises:
        LineError: a last bar has no room for a pickup.
    """
    lengths = [section.bars[0].length() for section in sections]
    pickups = [length if length < whole else Fraction(0) for length in lengths]
    for n, section in enumerate(sections):
        if n and pickups[n] not in (0, pickups[0]) and len(section.bars) > 1:
            notes = section.bars.pop(0).notes
            for bar in _bars_before(sections[n - 1], section):
                _fit(bar, whole - pickups[n])
                bar.notes += [replace(note) for note in notes]
            pickups[n] = Fraction(0)
    for section, here, following in zip(sections, pickups, pickups[1:], strict=False):
        if bool(here) != bool(following):
            _with_endings(section)


def _bars_before(before: Section, section: Section) -> list[Bar]:
    """The last bars after which a section begins: of the one before it, and its own."""
    found = [_with_endings(before).last_bars()[-1]]
    return [*found, _with_endings(section).last_bars()[0]] if section.repeated else found


def _with_endings(section: Section) -> Section:
    """A section; if it is repeated, with an ending for each time."""
    if section.repeated and not section.second and len(section.bars) > 1:
        last = section.bars.pop()
        section.first = [last]
        section.second = [replace(last, notes=[replace(note) for note in last.notes])]
    return section


def fit_bars(
    sections: list[Section], whole: Fraction, pickup: Fraction, *, freely: bool
) -> list[str]:
    """Make every bar full, and let a section's last bar leave room for the next upbeat.

    Printed books often write a last bar in full where an upbeat follows. Its last note is made
    shorter then, or longer in the opposite case.

    Args:
        sections: changed in place; lengths in eighths.
        whole: length of a bar.
        pickup: length of the tune's upbeat.
        freely: the last notes of a bar may be left out where an upbeat comes in their place.

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
        fitted += _fit_section(section, whole, upbeats[n], following, freely=freely)
    if not fitted:
        return []
    lines = f"line{'s' * (len(fitted) > 1)} {', '.join(map(str, dict.fromkeys(fitted)))}"
    return [
        f"{lines}: the last note of a section was made longer or shorter, so that its bars are full"
    ]


def _fit_section(
    section: Section, whole: Fraction, upbeat: Fraction, following: Fraction, *, freely: bool
) -> list[int]:
    """The same for one section with its own upbeat and that of the section after it.

    Returns:
        The lines of the bars that were changed.
    """
    last_bars, fitted = section.last_bars(), []
    for bar in last_bars:
        last_time = bar is section.second[-1] if section.second else not section.repeated
        next_upbeat = following if last_time else upbeat
        if not last_time and not section.second and next_upbeat != following:
            raise ValueError("an upbeat that its repeat does not have")
        if by := whole - next_upbeat - bar.length():
            if freely:
                _fit(bar, whole - next_upbeat)
            else:
                _stretch(bar, by, Fraction(MAX_STRETCH))
            fitted.append(bar.line_number)
    for bar in section.bars[1 if upbeat else 0 :] + section.first + section.second:
        if bar.length() != whole and not any(bar is last for last in last_bars):
            raise LineError(
                bar.line_number, f"a bar has {bar.length()} eighths instead of {whole}; correct it"
            )
    return fitted


def _fit(bar: Bar, length: Fraction) -> None:
    """Make a bar so long at its end, without its last notes if need be."""
    while len(bar.notes) > 1 and not bar.notes[-1].group and bar.length() > length:
        if bar.length() - bar.notes[-1].length < length:
            break
        bar.notes.pop()
    if by := length - bar.length():
        _stretch(bar, by, -by if by < 0 else Fraction(MAX_STRETCH))


def _stretch(bar: Bar, by: Fraction, most: Fraction) -> None:
    """Make a bar longer by some eighths, or shorter if ``by`` is negative; by ``most`` at most."""
    while by:
        if not bar.notes or bar.notes[-1].group or abs(by) > most:
            raise LineError(bar.line_number, "a section's last bar is too long or too short")
        note = bar.notes[-1]
        length = max(Fraction(0), note.length + by) if note.rest else note.length + by
        if length not in (0, *LENGTHS_IN_EIGHTHS) or (length == 0 and not note.rest):
            raise LineError(bar.line_number, "a section's last bar is too long or too short")
        by -= length - note.length
        note.length = length
        if not length:
            bar.notes.pop()
