"""The text of ABC files: decoded, tidied up, and split into tunes."""

from __future__ import annotations

import codecs
import html
import re
from typing import Final, NamedTuple

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; the mark of UTF-16-LE is how that of UTF-32-LE begins, so it comes later."""
_RICH_TEXT: Final = b"{\\rtf"
_SAMPLE_BYTES: Final = 1000
"""By so much of a file's beginning, UTF-16 without a byte order mark is recognized."""
_TYPOGRAPHY: Final = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″＂", '"'),
        **dict.fromkeys("‘’‚‛′＇", "'"),
        **dict.fromkeys("‐‑‒–—−", "-"),
        **dict.fromkeys("\u00a0\u1680\u202f\u205f\u3000", " "),
        **{chr(code): " " for code in range(0x2000, 0x200B)},
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\0", None),
        **dict.fromkeys("\u0085\u2028\u2029\v\f", "\n"),
        "♯": "#",
        "♭": "b",
        "♮": "=",
        "｜": "|",
    }
)
"""Signs of word processors and web pages, as the plain signs that they stand for."""
_HTML_TAG: Final = re.compile(
    r"(?i)\n?[ \t]{0,8}<(?:/?(?:html|head|title|meta|link|body|pre|code|textarea|div|span|font"
    r"|table|tr|td|th|br|p|hr|h[1-6]|ul|ol|li|center|section|article|main|strong|em|tt)"
    r"|/a|a(?= )|!doctype)(?:[ /][^<>\n]{0,200})?>[ \t]{0,8}\n?"
)
"""Neither ``<a>`` nor ``<b>``, which can be notes of a broken rhythm."""
_TUNE_ENDS: Final = re.compile("(?i)</(?:pre|textarea)[ \t]{0,8}>")
_ENTITY: Final = re.compile(r"&(?:[A-Za-z]{2,10}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_MAIL_CODE: Final = re.compile("(?m)=3D|=20$|(?<!=)=$")
"""Quoted-printable (RFC 2045): an equals sign, a space at the end of a line, and a line break."""
_HEADER_DEFAULT: Final = re.compile(r"[ \t]*([LM]):(.*)")


class TuneText(NamedTuple):
    """One tune of a file, as text."""

    text: str
    first_line: int = 1
    """The number of its first line in the file."""
    defaults: tuple[tuple[str, str], ...] = ()
    """Fields of the file's header, which apply where the tune has none of that name."""


class Line(NamedTuple):
    """A line of notes."""

    number: int
    """In the file."""
    text: str


class LineError(ValueError):
    """Something in a line of a tune; the message begins with the line's number."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")


def decode(content: bytes) -> str:
    r"""Text in whatever encoding people have; lines end with ``\n``, and signs are plain.

    UTF-8 and UTF-16 with and without a byte order mark; anything else is taken as Windows-1252,
    which contains Latin-1.

    Raises:
        ValueError: it is a document of a word processor.
    """
    if content.lstrip().startswith(_RICH_TEXT):
        raise ValueError("it is a document of a word processor (RTF); save it as plain text")
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return tidy(_whole_characters(content[len(mark) :], encoding))
    sample = content.rstrip(b"\0")[:_SAMPLE_BYTES]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Padding is zero at even and odd places alike.
        zeros = sample[first::2].count(0) - sample[1 - first :: 2].count(0)
        if len(sample) > 3 and zeros > len(sample) // 4:
            return tidy(_whole_characters(content, encoding))
    try:
        return tidy(content.decode("utf-8"))
    except UnicodeDecodeError:
        return tidy(content.decode("cp1252", "replace"))


def _whole_characters(content: bytes, encoding: str) -> str:
    """Text without the part of a character at its end."""
    width = 4 if "32" in encoding else 2 if "16" in encoding else 1
    return content[: len(content) // width * width].decode(encoding, "replace")


def tidy(text: str) -> str:
    """Text without HTML, mail code, typographic quotes, invisible characters and odd line ends."""
    text = _lines(text)
    if _MAIL_CODE.search(text):
        text = _without_mail_code(text)
    if _ENTITY.search(text):
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if "<" in text:
        # An empty line ends the tune before what else is on the page.
        text = _HTML_TAG.sub("\n", _TUNE_ENDS.sub("\n\n", text))
    return text.translate(_TYPOGRAPHY)


def _without_mail_code(text: str) -> str:
    """The text of a mail in quoted-printable: ``=`` at a line's end joins it to the next line.

    A comment stands for each line that was joined to another, so that lines keep their numbers.
    """
    lines: list[str] = []
    broken: list[str] = []
    for line in text.split("\n"):
        is_broken = line.endswith("=") and not line.endswith("==")
        broken.append(line[:-1] if is_broken else line)
        if not is_broken:
            lines += ["".join(broken), *["%"] * (len(broken) - 1)]
            broken.clear()
    joined = "\n".join([*lines, *broken])
    return joined.replace("=20", " ").replace("=3D", "=")


def _lines(text: str) -> str:
    return re.sub(r"\r{1,2}\n|\r", "\n", text)


def split_tunes(text: str) -> list[TuneText]:
    """The tunes of a collection, each from its line ``X:`` on.

    A tune before the first such line needs a line ``K:``.
    """
    head, *parts = re.split(r"(?m)^[ \t]{0,8}(?=X:)", _lines(text))
    tunes = []
    line = 1 + head.count("\n")
    unnumbered = re.search(r"(?m)^[ \t]{0,8}K:.*\n(?=[^\n])", head)
    defaults = () if unnumbered else _header_defaults(head)
    if unnumbered:
        tunes.append(TuneText(head))
    for part in parts:
        tunes.append(TuneText(part, line, defaults))
        line += part.count("\n")
    return tunes


def _header_defaults(head: str) -> tuple[tuple[str, str], ...]:
    """The fields that a file has before its first tune and that concern the notes."""
    found = (_HEADER_DEFAULT.match(line) for line in head.split("\n"))
    return tuple((field[1], re.sub("%.*", "", field[2]).strip()) for field in found if field)
