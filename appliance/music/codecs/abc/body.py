"""The text of one tune: its header, and the notes of one voice without all that is not notes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from appliance.common.text import shortened
from appliance.music.codecs.abc.bars import (
    KEY_MARK,
    METER_MARK,
    UNIT_MARK,
    highest_note,
    key_mark,
)
from appliance.music.codecs.abc.header import (
    parse_any_meter,
    parse_key,
    parse_meter,
    parse_unit,
    shift_in,
)
from appliance.music.codecs.abc.text import Line, LineError, TuneText

MAX_BODY_CHARACTERS: Final = 100_000
"""The longest tune by far has a hundredth of this."""
_HEADER_FIELD: Final = re.compile(r"([A-Za-z+]):(.*)")
_BODY_FIELD: Final = re.compile(r"([A-Za-z+]):(?!(?<=[A-Ga-gxyzZ]:)\s{0,8}[|:])(.*)")
"""A field within the notes; what begins ``G:|`` or ``G::`` is a note before a bar line."""
_INLINE_FIELD: Final = re.compile(r"\[([A-Za-z]):([^\[\]\n]*)\]")
_TEXT_BLOCK: Final = re.compile(r"%%\s*(begin|end)([A-Za-z]+)")
_TRANSPOSED: Final = re.compile(r"%%\s*((?:MIDI\s+)?transpose\s+[+-]?[1-9]\d{0,2})(?!\d)")
_NOTE: Final = re.compile("[A-Ga-g]")
_NOT_NOTES: Final = re.compile(
    r"\{[^{}\n]*\}"  # Grace notes.
    r"|![^!|:\[\]\s]{1,40}!|\+[a-zA-Z.]{1,40}\+"  # Ornaments by name.
    r"|y\d*|[!~.H-Wuvk`*\\$]|\((?!\d)|\)"  # Signs that the standard lets a file define, too.
)
_PLUS_SIGNS: Final = re.compile(r"\+([^+\s|]{1,40})\+")
_OLD_CHORD: Final = re.compile(r"(?!f+$)(?:[_=^]{0,2}[A-Ga-g][,']{0,4}[\d/]{0,4}){2,10}")
"""Notes that ABC before 2.0 writes as a chord, as in +CEG+; but +ff+ is an ornament."""
_CHORD: Final = re.compile(r"\[([^\[\]|:\n]{0,200})\]((?:\d{1,4})?(?:/+\d{0,4})?)")
_OVERLAY: Final = re.compile(r"&[^|:\n]*")
_JUMP: Final = re.compile(
    r"""(?i)([!+"])[\^_<>@]?\s{0,4}((?:D\.? ?[CS]\.?|da ?capo|dal ?segno|da ?coda)"""
    r"""(?![a-z]*[#b\d]|[a-z]*us)(?:\s{0,4}al\b[^"!+\n]{0,40}|al(?:fine|coda|segno))?)\s{0,4}\1"""
)
"""Da capo and the like, as an ornament or as words."""
_QUOTED_ENDING: Final = re.compile(r'\[ {0,2}"\s{0,4}([12])[^"\n]{0,20}"')
"""As abcm2ps writes endings with a text, such as ["1st time"."""
_PARTS: Final = re.compile(r"[A-Z\d().*]{1,100}")
_QUARTER_TONE: Final = re.compile(r"([_^])([13]?)/[24]?(?=[A-Ga-g])")
_SPACED_BAR_LINE: Final = re.compile(
    r"(?<=[^|:\]\s])([ \t]{0,8}:)[ \t]{1,8}(?=\|)|(?<=\|)[ \t]{1,8}(?=:(?![|:]))"
)
"""As in ``| :A2 B2: |``: spaces within a repeat sign."""
_LONG_REST: Final = re.compile(r"[ZX](\d{0,4})")


@dataclass
class Body:
    """A tune's header and notes.

    Attributes:
        fields: of the header, with the first value of each.
        lines: the notes of one voice.
        field_lines: the line number of each field.
        notices: what was left out or interpreted.
        meters: numerators and denominators after changes of the meter within the notes.
    """

    fields: dict[str, str]
    lines: list[Line]
    field_lines: dict[str, int]
    notices: list[str]
    meters: list[tuple[int, int]]


def read_body(tune: TuneText, *, any_meter: bool = False) -> Body:
    """Separate a tune's header from its notes.

    Args:
        tune: from its line ``X:`` on.
        any_meter: bars may get another length on the way.

    Raises:
        ValueError: the tune has no notes, is too long, or gets bars of another length on its way.
    """
    reader = _BodyReader(tune, any_meter=any_meter)
    if len(tune.text) > MAX_BODY_CHARACTERS:
        raise ValueError(
            f"a tune of {len(tune.text)} characters; at most {MAX_BODY_CHARACTERS} are read, so "
            "keep a part of it"
        )
    return reader.read()


class _BodyReader:
    """Reads a tune's lines in order."""

    def __init__(self, tune: TuneText, *, any_meter: bool) -> None:
        self._tune = tune
        self._any_meter = any_meter
        self._meters: list[tuple[int, int]] = []
        self._fields: dict[str, str] = {}
        self._in_body = False
        self._voice = ""
        self._voices: dict[str, list[Line]] = {}
        """The lines of each voice, by its name; "" before the first field ``V:``."""
        self._notices: list[str] = []
        self._voice_notices: list[tuple[str, str]] = []
        """What was passed over, each with its voice; "" for all voices."""
        self._parts: list[str] = []
        """The parts in the order in which they are written."""
        self._field_lines: dict[str, int] = {}

    def read(self) -> Body:
        block = False
        for number, raw in enumerate(self._tune_lines(), self._tune.first_line):
            if found := _TRANSPOSED.match(raw):
                self._note_ignored(number, self._voice, found[1])
            if mark := _TEXT_BLOCK.match(raw):
                block = mark[1] == "begin"
            line = re.sub(r"(?<!\\)%.*", "", raw).strip()
            if block or (not line and raw.strip()):
                continue
            if not line and any(self._voices.values()):
                self._note_the_rest(number)
                break
            self._take(number, line)
        for name, value in self._tune.defaults:
            self._fields.setdefault(name, value)
        self._note_the_order_of_parts()
        lines = self._lines_of_first_voice()
        return Body(self._fields, lines, self._field_lines, self._notices, self._meters)

    def _tune_lines(self) -> list[str]:
        """The lines; without the empty ones if every other line is empty."""
        lines = self._tune.text.split("\n")
        spaced = len(lines) > 6 and not any(line.strip() for line in lines[1::2])
        return [line if n % 2 == 0 else "%" for n, line in enumerate(lines)] if spaced else lines

    def _note_the_rest(self, number: int) -> None:
        """Report music after the empty line that ends a tune."""
        rest = self._tune.text.split("\n")[number - self._tune.first_line :]
        if any("|" in line and _NOTE.search(line) and line[0] != "%" for line in rest):
            self._notices.append(f"what follows the empty line {number} was left out")

    def _take(self, number: int, line: str) -> None:
        found = (_BODY_FIELD if self._in_body else _HEADER_FIELD).match(line)
        if not found:
            if self._in_body and line:
                self._take_notes(number, line)
            return
        name, value = found[1], found[2].strip()
        if self._in_body:
            self._voices.setdefault(self._voice, []).append(
                Line(number, self._changed(number, name, value))
            )
        elif name in "KMLV" and len(value) > 200:
            raise LineError(number, f"{name}: is longer than a field can be; shorten it")
        else:
            self._fields.setdefault(name, value)
            self._field_lines.setdefault(name, number)
            self._note_shift(number, name, value)
            self._in_body = name == "K"

    def _take_notes(self, number: int, line: str) -> None:
        """Take a line of notes, and split it where a field within it begins another voice."""
        if jump := _JUMP.search(line):
            self._voice_notices.append(
                (self._voice, f"line {number}: {jump[2].strip()} was not followed")
            )
        if self._any_meter:
            line = _QUOTED_ENDING.sub(r"[\1 ", line)
        text = _without_quotes(number, re.sub(f"[{UNIT_MARK}{KEY_MARK}{METER_MARK}]", "", line))
        at = 0
        for found in _INLINE_FIELD.finditer(text):
            self._add(number, text[at : found.start()])
            self._add(number, self._changed(number, found[1], found[2].strip()))
            at = found.end()
        self._add(number, text[at:])

    def _add(self, number: int, text: str) -> None:
        if text.strip():
            lines = self._voices.setdefault(self._voice, [])
            if lines and lines[-1].number == number:
                lines[-1] = Line(number, lines[-1].text + text)
            else:
                lines.append(Line(number, text))

    def _changed(self, number: int, name: str, value: str) -> str:
        """Do what a field within the notes says; return what stands for it among the notes.

        Raises:
            LineError: the bars get another length.
        """
        if name == "V":
            self._voice = value.split()[0] if value else ""
        elif name == "P" and value:
            self._parts.append(value.split()[0])
        self._note_shift(number, name, value)
        try:
            return self._music_changed(number, name, value)
        except LineError:
            raise
        except ValueError as why:
            raise LineError(number, str(why)) from why

    def _music_changed(self, number: int, name: str, value: str) -> str:
        if name == "L":
            return f"{UNIT_MARK}{parse_unit(value).denominator} "
        if name == "K":
            return self._key_changed(number, value)
        if name == "M" and not self._has_notes():
            self._fields["M"], self._field_lines["M"] = value, number
        elif name == "M" and self._any_meter:
            over, under = parse_any_meter(value)[:2]
            self._meters.append((over, under))
            return f"{METER_MARK}{over}/{under} "
        elif name == "M":
            self._meter_changed(number, value)
        return ""

    def _has_notes(self) -> bool:
        return any(_NOTE.search(line.text) for lines in self._voices.values() for line in lines)

    def _note_shift(self, number: int, name: str, value: str) -> None:
        """Report that a key or a voice asks for other pitches than are written."""
        if name in "KV" and (shift := shift_in(value)):
            self._note_ignored(number, self._voice if name == "K" else value.split()[0], shift)

    def _note_ignored(self, number: int, voice: str, shift: str) -> None:
        notice = (
            f"line {number}: {shortened(shift)} was passed over; the notes were read as written"
        )
        self._voice_notices.append((voice, notice))

    def _note_the_order_of_parts(self) -> None:
        """Report that the header asks for another order of parts than the written one."""
        order = re.sub(r"\s", "", self._fields.get("P", ""))
        written = "".join(self._parts) or "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(order)]
        if _PARTS.fullmatch(order) and order.replace(".", "") != written:
            self._notices.append(
                f"P:{shortened(order)} was not followed; each part was read once, in the order in "
                "which they are written"
            )

    def _key_changed(self, number: int, value: str) -> str:
        """What stands for a field ``K:`` within the notes; a clef alone changes nothing."""
        if not re.search("[A-H]", re.sub(r"[a-z]+=\S*", "", value)):
            return ""
        header, key = parse_key(self._fields["K"]), parse_key(value)
        if key[:4] != header[:4]:
            self._notice_once(
                f"line {number}: the key changes to {shortened(value)}; its notes were read in "
                f"that key and written with accidentals in {shortened(self._fields['K'])}"
            )
        return f"{key_mark(key.alterations)} "

    def _meter_changed(self, number: int, value: str) -> None:
        fields = {**dict(self._tune.defaults), **self._fields, "L": "1/8"}
        before, now = parse_meter(fields), parse_meter({"M": value, "L": "1/8"})
        if now.bar_eighths != before.bar_eighths:
            raise LineError(
                number,
                f"M:{shortened(value)}: the meter changes within the tune, and Bachbox's tunes "
                "have bars of one length; leave out the part in the other meter",
            )
        if now.beat_steps != before.beat_steps:
            self._notice_once(
                f"line {number}: the meter changes to {shortened(value)}; the bars are as long as "
                "before, and the meter of the beginning was kept"
            )

    def _lines_of_first_voice(self) -> list[Line]:
        with_notes = {
            name: lines
            for name, lines in self._voices.items()
            if any(_NOTE.search(line.text) for line in lines)
        }
        if not self._in_body:
            raise ValueError("it has no line K: (such as K:C), which its notes follow")
        if not with_notes:
            raise ValueError("it has no notes (they follow the line K:)")
        name, lines = next(iter(with_notes.items()))
        if len(with_notes) > 1:
            which = f" (V:{shortened(name)})" if name else ""
            count = "two" if len(with_notes) == 2 else str(len(with_notes))
            self._notices.append(f"{count} voices have notes; the first{which} was read")
        for voice, notice in self._voice_notices:
            if voice in ("", name):
                self._notice_once(notice)
        return [Line(line.number, self._only_notes(line.text)) for line in lines]

    def _only_notes(self, text: str) -> str:
        """A line without ornaments, grace notes, slurs, spaces and the like."""
        text = _SPACED_BAR_LINE.sub(lambda found: found[1] or "", text)
        if _QUARTER_TONE.search(text):
            text = _QUARTER_TONE.sub(lambda found: found[1] if found[2] == "3" else "=", text)
            self._notice_once("quarter tones were read as the semitone below or above")
        text = _PLUS_SIGNS.sub(_chord_in_brackets, text)
        text = _NOT_NOTES.sub("", text)
        if "[" in text:
            text = _CHORD.sub(self._highest_note, text)
        if "&" in text:
            text = _OVERLAY.sub("", text)
            self._notice_once("a second voice within bars (&) was left out")
        text = re.sub("x(?![a-z])", "z", text)
        if _LONG_REST.search(text):
            text = _LONG_REST.sub("", text)
            self._notice_once("rests of whole bars (Z) were left out")
        return text

    def _highest_note(self, chord: re.Match[str]) -> str:
        if len(_NOTE.findall(chord[1])) > 1:
            self._notice_once("of each chord, the highest note was read")
        return highest_note(chord[1], chord[2])

    def _notice_once(self, notice: str) -> None:
        if notice not in self._notices:
            self._notices.append(notice)


def _chord_in_brackets(signs: re.Match[str]) -> str:
    """A chord between plus signs, written in brackets; ornaments are returned as they are."""
    return f"[{signs[1]}]" if _OLD_CHORD.fullmatch(signs[1]) else signs[0]


def _without_quotes(number: int, line: str) -> str:
    """A line without chord symbols and remarks in quotes.

    Raises:
        LineError: quotes are not closed.
    """
    line = re.sub(r'"[^"]*"', "", line)
    if '"' in line:
        raise LineError(number, 'a chord symbol in quotes is not closed; add the second "')
    return line
