"""A tune in ABC as the notes that are heard when it is played as written.

The grammar of tunes (see ``grammar``) allows only some lengths, and bars of one length. Here
everything that a player can read is read: any meter, ties over bar lines, and bars of any length.
Where two sections meet, players keep the beat, whatever is printed: a last note that leaves a gap
is held, and one that leaves no room for a pickup is shortened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from appliance.music.codecs.abc.bars import Bar, WrittenNote, bars_of
from appliance.music.codecs.abc.body import read_body
from appliance.music.codecs.abc.fitting import join_upbeats
from appliance.music.codecs.abc.header import KeySignature, parse_any_meter, parse_key, unit_of
from appliance.music.codecs.abc.sections import Section, sections_of
from appliance.music.codecs.abc.text import TuneText
from appliance.music.codecs.abc.tokens import MINOR_MODES, NATURAL, UNIT_TICKS
from appliance.music.codecs.abc.tune import MIDDLE_C
from appliance.music.notes import Note

MAX_NOTES: Final = 10_000
"""Before repeats; no tune has a tenth of them."""
MAX_WRONG_SHARE: Final = Fraction(1, 4)
"""If more bars than this share are not as long as the meter says, the meter is not believed."""
MAX_UNKNOWN_SIGNS: Final = 20
"""With more of them, a text is no music."""
_MODES: Final = {"major": False, "minor": True}


class WrittenTune(NamedTuple):
    """What a tune sounds like; times are in ticks."""

    notes: tuple[Note, ...]
    meters: tuple[tuple[int, int], ...]
    """Numerators and denominators, in the order of the tune."""
    pickup_ticks: int
    """0 if it begins with a full bar."""
    ticks: int
    """With a rest at its end."""
    fifths: int
    """Of its key signature, flats below 0."""
    minor: bool | None
    """None: in a mode that is neither major nor minor."""
    notices: tuple[str, ...]


def read(tune: TuneText) -> WrittenTune:
    """Read one tune.

    Args:
        tune: from its line ``X:`` on.

    Raises:
        ValueError: something in it is not ABC, or there is too much of it; the message says what.
    """
    body = read_body(tune, any_meter=True)
    key = parse_key(body.fields.get("K", ""))
    over, under, meter_notice = parse_any_meter(body.fields.get("M", "4/4"))
    unit = unit_of(body.fields, over, under)
    compound = under == 8 and over % 3 == 0
    bars, notices = bars_of(
        body.lines, unit, compound=compound, freely=True, max_unknown_signs=MAX_UNKNOWN_SIGNS
    )
    if (count := sum(len(bar.notes) for bar in bars)) > MAX_NOTES:
        raise ValueError(
            f"it is too long ({count} notes; at most {MAX_NOTES} are read). Keep a part of it"
        )
    whole = Fraction(8 * over, under)
    player = _Player(key, whole)
    believed = not meter_notice and _wrong_share(bars, whole) <= MAX_WRONG_SHARE
    if not (believed or meter_notice):
        notices.append(
            "many of its bars are not as long as its meter says; all were read as written"
        )
    sections = sections_of(bars, notices, freely=True)
    join_upbeats(sections, whole, if_it_fits=True)
    for passage in _passages(sections):
        player.play(passage, keep_bars=believed)
    if player.changed:
        lines = ", ".join(map(str, sorted(player.changed)))
        notices.append(
            f"line{'s' * (len(player.changed) > 1)} {lines}: the last note of a bar was made "
            "longer or shorter, so that bars are full"
        )
    interpreted = [notice for notice in (key.notice, meter_notice) if notice]
    return WrittenTune(
        tuple(player.notes),
        ((over, under), *body.meters),
        _ticks(player.pickup),
        _ticks(player.at),
        sum(key.alterations),
        _MODES.get(key.mode) if _is_plain(key) else None,
        tuple(dict.fromkeys((*interpreted, *body.notices, *notices))),
    )


def _is_plain(key: KeySignature) -> bool:
    """Whether the mode is the one that the signature has, with no accidentals of its own."""
    major = (key.tonic + (3 if key.mode in MINOR_MODES else 0)) % 12
    return (7 * sum(key.alterations)) % 12 == major


def _wrong_share(bars: Sequence[Bar], whole: Fraction) -> Fraction:
    """The share of bars of a wrong length, but for those beside repeats and double bars."""
    inner = [
        bar
        for before, bar in pairwise(bars)
        if before.line == "|" and bar.line == "|" and bar.notes
    ]
    wrong = sum(bar.length() != (bar.whole or whole) for bar in inner)
    return Fraction(wrong, max(4, len(inner)))


def _passages(sections: Sequence[Section]) -> Iterator[list[Bar]]:
    """The bars as they are played: what is repeated comes twice, with its endings."""
    for section in sections:
        times = [section.first, section.second] if section.repeated else [section.first]
        if section.repeated and not section.second:
            times = [section.first, section.first]
        for ending in times:
            yield [bar for bar in section.bars + ending if bar.notes]


class _Player:
    """Plays bars one after the other, and keeps the beat where they do not fit.

    Args:
        key: of the tune.
        whole: length of a bar, in eighths.
    """

    def __init__(self, key: KeySignature, whole: Fraction) -> None:
        self.notes: list[Note] = []
        self.at = Fraction(0)
        """Where the next note begins, in eighths."""
        self.pickup = Fraction(0)
        self.changed: set[int] = set()
        """The lines in which a last note was made longer or shorter."""
        self._key = key
        self._whole = whole
        self._place = Fraction(0)
        """Place in the bar."""
        self._starts: list[Fraction] = []
        """Where the notes begin, in eighths."""
        self._tie: tuple[int, int] | None = None
        """White key and pitch of the last note, if a tie leads on from it."""
        self._line = 0

    def play(self, bars: Sequence[Bar], *, keep_bars: bool) -> None:
        """Play one time through a section."""
        for n, bar in enumerate(bars):
            whole, length = bar.whole or self._whole, bar.length()
            remainder = whole - length if 0 < length < whole else Fraction(0)
            if not self.notes and not self.at:
                if len(bars) > 1 or remainder:
                    self._place, self.pickup = remainder, length if remainder else Fraction(0)
            elif keep_bars and self._place not in (0, remainder):
                self._go_to(remainder if n == 0 else Fraction(0), whole)
            self._play_bar(bar)
            self._place = (self._place + length) % whole

    def _go_to(self, place: Fraction, whole: Fraction) -> None:
        """Make the last note longer or shorter, so that the next bar begins at its place."""
        longer = (place - self._place) % whole
        shorter = whole - longer
        sounding = self.at - self._starts[-1] if self._starts else Fraction(0)
        by = -shorter if shorter < longer and sounding > shorter else longer
        if self.notes:
            note = self.notes[-1]
            if by < 0 or self.at == self._starts[-1] + Fraction(note.length, UNIT_TICKS):
                end = _ticks(self.at + by)
                self.notes[-1] = note._replace(length=end - note.start)
        self.at += by
        self._place = place
        self.changed.add(self._line)

    def _play_bar(self, bar: Bar) -> None:
        self._line = bar.line_number
        altered: dict[int, int] = {}
        factor = Fraction(1)
        for written in bar.notes:
            length, factor = _lengths(written, factor)
            if written.rest:
                self._tie = None
                self.at += length
                continue
            pitch = self._pitch(written, altered)
            start, end = _ticks(self.at), _ticks(self.at + length)
            if self._tie and self._tie[1] == pitch:
                note = self.notes[-1]
                self.notes[-1] = note._replace(length=end - note.start)
            elif 0 <= pitch < 128 and end > start:
                self.notes.append(Note(start, end - start, pitch))
                self._starts.append(self.at)
            self.at += length
            self._tie = (written.step, pitch) if written.tied else None

    def _pitch(self, written: WrittenNote, altered: dict[int, int]) -> int:
        """The MIDI note; accidentals hold to the end of the bar, in every octave."""
        step = written.step % 7
        if self._tie and written.alter is None and self._tie[0] == written.step:
            return self._tie[1]
        if written.alter is not None:
            altered[step] = written.alter
        in_key = written.in_key or self._key.alterations
        octave = written.step // 7
        return MIDDLE_C + 12 * octave + NATURAL[step] + altered.get(step, in_key[step])


def _lengths(written: WrittenNote, factor: Fraction) -> tuple[Fraction, Fraction]:
    """How long a note sounds, in eighths, and the factor of the length of the next one."""
    length = written.length * factor
    if "3" in written.group:
        return length * Fraction(2, 3), Fraction(1)
    if written.group in (">", "<"):
        first = Fraction(3, 2) if written.group == ">" else Fraction(1, 2)
        return length * first, 2 - first
    return length, Fraction(1)


def _ticks(eighths: Fraction) -> int:
    return round(eighths * UNIT_TICKS)
