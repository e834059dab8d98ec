"""MusicXML as XML: unpacked, decoded, and handed out measure by measure.

Source: MusicXML 4.0 (w3.org/2021/06/musicxml40), compressed files included. No file is held in
memory as a tree, and none takes long: its size and the number of its elements are bounded.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, iterparse

from appliance.music.files.score_file import first_line

MAX_XML_BYTES: Final = 24 << 20
"""Of a file when it is unpacked; an hour of a string quartet has 5 MiB."""
MAX_ELEMENTS: Final = 800_000
"""A note has about fifteen."""

_MARKS: Final = (
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
"""How a file begins, and the encoding that this means, whatever its declaration says."""
_DECLARATION: Final = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NO_SCORES: Final = (".pdf", ".mid", ".png", ".jpg", ".mp3")
"""What else a container may name."""
_DAMAGES: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises; the last two for compressions that it does not know, and passwords."""
_DRUM_CHANNEL: Final = "10"
"""Of General MIDI, counted from 1."""
_PARTWISE, _TIMEWISE = "score-partwise", "score-timewise"


class Measure(NamedTuple):
    """A measure of one part."""

    part: tuple[int, str]
    """The part's id, after a number that tells parts with the same id apart."""
    number: int
    """From 0, whatever the file calls it."""
    element: Element


class MusicXmlDocument:
    """A MusicXML file; :meth:`measures` reads it once, and fills the other attributes.

    Args:
        content: of the file.

    Raises:
        ValueError: it is too large when it is unpacked, is a damaged archive, or not XML.
    """

    def __init__(self, content: bytes) -> None:
        self._text = _decoded(_unpacked(content))
        if not self._text.startswith("<"):
            raise ValueError("it is not XML" if self._text else "it is empty")
        self.part_names: dict[str, str] = {}
        """By the ids of the parts."""
        self.percussion: set[str] = set()
        """The ids of parts that drums play."""
        self.titles: list[str] = []
        """That of the movement first."""

    def measures(self) -> Iterator[Measure]:
        """The measures of every part, in the order of the file.

        Raises:
            ValueError: it is not MusicXML, or has more than :data:`MAX_ELEMENTS` elements.
            SyntaxError: it is not well-formed.
        """
        path: list[Element] = []
        inner = ""
        outer_number = 0
        """Of the part, or of the measure in a file written measure by measure."""
        inside: Counter[str] = Counter()
        """What has come in it: its measures, or its parts by their ids."""
        for event, element in self._events():
            if event == "start":
                if not path:
                    inner = _inner_element(element)
                path.append(element)
                continue
            path.pop()
            if not path:
                return
            if len(path) == 2 and element.tag == inner:
                name = element.get("id", "") if inner == "part" else ""
                if inner == "part":
                    yield Measure((inside[name], name), outer_number, element)
                else:
                    part = outer_number, path[1].get("id", "")
                    yield Measure(part, inside[name], element)
                inside[name] += 1
                del path[1][:]
            elif len(path) == 1:
                outer_number += element.tag in ("part", "measure")
                inside.clear()
                self._keep(element)
                del path[0][:]
        raise ValueError("it has no elements")

    def _events(self) -> Iterator[tuple[str, Element]]:
        if "<!ENTITY" in self._text:
            raise ValueError("it declares entities, which may expand without end")
        budget = MAX_ELEMENTS
        source = io.StringIO(self._text)
        for event, element in iterparse(source, ("start", "end")):  # noqa: S314 - no entities
            budget -= event == "start"
            if budget < 0:
                raise ValueError(f"it has more than {MAX_ELEMENTS} elements")
            if event == "start" and "}" in element.tag:
                element.tag = element.tag.rpartition("}")[2]
            yield event, element

    def _keep(self, element: Element) -> None:
        """Take titles and names of parts out of what stands before the music."""
        if element.tag == "part-list":
            parts = list(element.iter("score-part"))
            for part in parts:
                paths = ("part-name", "score-instrument/instrument-name")
                names = [(part.findtext(path) or "").strip() for path in paths]
                self.part_names[part.get("id", "")] = names[0] or names[1]
                if _is_percussion(part, len(parts)):
                    self.percussion.add(part.get("id", ""))
        elif element.tag == "movement-title":
            self.titles.insert(0, element.text or "")
        elif element.tag == "work":
            self.titles += [title.text or "" for title in element.iter("work-title")]


def _is_percussion(part: Element, parts: int) -> bool:
    """Whether all sounds of a part are drums': without a pitch, or on channel 10 of MIDI.

    In scores of ten and more ``parts``, programs number the channels by the parts.
    """
    sounds = list(part.iter("midi-instrument"))
    channels = {(sound.findtext("midi-channel") or "").strip() for sound in sounds}
    if parts < int(_DRUM_CHANNEL) and channels == {_DRUM_CHANNEL}:
        return True
    return bool(sounds) and all(sound.find("midi-unpitched") is not None for sound in sounds)


def _inner_element(root: Element) -> str:
    """The element that has the notes of one part and measure."""
    if root.tag == _PARTWISE:
        return "measure"
    if root.tag == _TIMEWISE:
        return "part"
    raise ValueError(f"it begins with <{root.tag[:40]}>, and should with <{_PARTWISE}>")


def _unpacked(content: bytes) -> bytes:
    """The score in a compressed file, as its container names it; other files as they are."""
    if not content.startswith(b"PK") and not zipfile.is_zipfile(io.BytesIO(content)):
        if len(content) > MAX_XML_BYTES:
            raise ValueError(f"it is larger than {MAX_XML_BYTES >> 20} MiB")
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _score(archive)
    except _DAMAGES as why:
        raise ValueError(f"the compressed file is damaged: {first_line(why)}") from why


def _score(archive: zipfile.ZipFile) -> bytes:
    """The score in an archive: the one that its container names, or else the first.

    Raises:
        ValueError: there is none, or it is too large.
        Exception: one of :data:`_DAMAGES`.
    """
    names = [n for n in archive.namelist() if not n.startswith(("META-INF", "__MACOSX"))]
    try:
        container = _decoded(_member(archive, "META-INF/container.xml"))
        named = re.findall(r"""full-path\s*=\s*["']([^"']+)["']""", container)
    except (KeyError, *_DAMAGES):
        named = []
    scores = [name for name in named if not name.lower().endswith(_NO_SCORES)]
    scores += [name for name in names if name.lower().endswith((".musicxml", ".xml"))]
    found = next((name for name in scores if name in names), None)
    if found is None:
        raise ValueError("there is no score in it")
    return _member(archive, found)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        content = file.read(MAX_XML_BYTES + 1)
    if len(content) > MAX_XML_BYTES:
        raise ValueError(f"it is larger than {MAX_XML_BYTES >> 20} MiB when it is unpacked")
    return content


def _decoded(content: bytes) -> str:
    """The text of a file without characters that XML does not allow; wrong encodings do no harm."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None:
        declared = _DECLARATION.match(content)
        encoding = declared[1].decode("ascii").casefold() if declared else "utf-8"
        if encoding.startswith(("utf-16", "utf-32")):  # Then this would not be legible.
            encoding = "utf-8"
    try:
        text = content.decode(encoding)
    except (LookupError, UnicodeError):
        try:
            text = content.decode("utf-8")
        except UnicodeError:
            text = content.decode("latin-1")
    return _NOT_XML.sub("", text).lstrip("\ufeff \t\r\n")
