"""Changes to files with a structure, which changed bytes would only break.

Each function takes a file, the largest size allowed and a random seed, and returns another file;
what has not the structure gets changed bytes.
"""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import xml.etree.ElementTree as ET
import zipfile
import zlib
from typing import Any, Final

from appliance.music.files.piece_record import MAGIC

_NUMBERS: Final = ("0", "-1", "1", "7", "255", "65536", "1e400", "nan", "3/2", "", "x", "9" * 40)
_ELEMENTS: Final = (
    "<clef><sign>TAB</sign></clef>",
    '<clef number="2"><sign>percussion</sign></clef>',
    '<transpose number="1"><chromatic>-2</chromatic><octave-change>-1</octave-change></transpose>',
    "<divisions>1</divisions>",
    "<staves>3</staves>",
    "<staff>2</staff>",
    "<voice>2</voice>",
    "<time><beats>3+2</beats><beat-type>8</beat-type></time>",
    "<time><senza-misura/></time>",
    "<key><fifths>-3</fifths><mode>minor</mode></key>",
    "<chord/>",
    "<grace/>",
    "<cue/>",
    "<rest/>",
    "<dot/>",
    "<unpitched/>",
    "<backup><duration>4</duration></backup>",
    "<forward><duration>4</duration></forward>",
    "<duration>3</duration>",
    "<type>half</type>",
    '<tie type="start"/>',
    '<notations><tied type="stop"/><fermata/></notations>',
    '<barline><ending number="1" type="start"/><repeat direction="backward"/></barline>',
    '<midi-instrument id="x"><midi-channel>10</midi-channel></midi-instrument>',
    "<note><pitch><step>F</step><alter>-0.5</alter><octave>4</octave></pitch>"
    "<duration>2</duration></note>",
    '<attributes><measure-style><measure-repeat type="start">1</measure-repeat></measure-style>'
    "</attributes>",
    '<measure-style number="2"><measure-repeat type="stop"/></measure-style>',
    '<direction><sound dacapo="yes" tocoda="x"/></direction>',
    "<notehead>slash</notehead>",
    "<measure/>",
    "<part/>",
)
_WORDS: Final = (0, 1, 2, 5, 0x11, 41, 43, 53, 127, 128, 0x7FFF, 0x8000, 0x8001, 0xFFFF)
_VALUES: Final = (None, True, 0, -1, 1, 15, 127, 128, 255, 1 << 21, 1 << 40, 0.5, 1e300, "", "x")
_CHUNK: Final = struct.Struct("<4sI")
_ROWS: Final = {
    b"phdr": 38, b"pbag": 4, b"pmod": 10, b"pgen": 4, b"inst": 22, b"ibag": 4, b"imod": 10,
    b"igen": 4, b"shdr": 46,
}  # fmt: skip
"""Bytes of a row, by the name of a soundfont's table."""


def changed_bytes(data: bytes, max_size: int) -> bytes:
    """What libFuzzer makes of a file itself."""
    import atheris

    return bytes(atheris.Mutate(data, max_size))


def xml(data: bytes, max_size: int, seed: int) -> bytes:
    """An XML document with elements removed, doubled, moved, changed or added."""
    rng = random.Random(seed)
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError):
        return changed_bytes(data, max_size)
    for _ in range(rng.randint(1, 4)):
        parents = [element for element in root.iter() if len(element)]
        if not parents:
            break
        _change_child(rng, root, rng.choice(parents), parents)
    mutated = ET.tostring(root)
    return mutated if len(mutated) <= max_size else data


def _change_child(
    rng: random.Random, root: ET.Element, parent: ET.Element, parents: list[ET.Element]
) -> None:
    child = rng.choice(list(parent))
    match rng.randrange(7):
        case 0:
            parent.remove(child)
        case 1:
            parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(child))
        case 2:
            inside = {*child.iter()}
            parent.remove(child)
            rng.choice([other for other in parents if other not in inside]).append(child)
        case 3:
            child.text = rng.choice(_NUMBERS)
        case 4:
            child.tag = rng.choice(list(root.iter())).tag
        case 5:
            for name in child.attrib:
                child.attrib[name] = rng.choice(_NUMBERS)
        case _:
            added = ET.fromstring(rng.choice(_ELEMENTS))
            parent.insert(rng.randrange(len(parent) + 1), added)


def archive(data: bytes, max_size: int, seed: int) -> bytes:
    """A compressed MusicXML file with another score or container, or with other names in it."""
    rng = random.Random(seed)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as found:
            members = [(name, found.read(name)) for name in found.namelist()[:20]]
    except Exception:  # zipfile raises whatever it meets in garbage.
        return changed_bytes(data, max_size)
    if not members or rng.random() < 0.1:
        return changed_bytes(data, max_size)
    at = rng.randrange(len(members))
    name, content = members[at]
    match rng.randrange(8):
        case 0:
            members[at] = (rng.choice(("a.xml", "META-INF/container.xml", "é/b.mid", "")), content)
        case 1:
            del members[at]
        case 2:
            members.insert(0, (name, content))
        case 3:
            members[at] = (name, changed_bytes(content, max_size))
        case _:
            members[at] = (name, xml(content, max_size, seed))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as to:
        for name, content in members:
            to.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue() if len(packed.getvalue()) <= max_size else data


def riff(data: bytes, max_size: int, seed: int) -> bytes:
    """A soundfont with a row or a chunk changed, and all lengths right but for one in ten."""
    rng = random.Random(seed)
    lists = _lists(data)
    if not lists or rng.random() < 0.05:
        return changed_bytes(data, max_size)
    for _ in range(rng.randint(1, 4)):
        chunks = rng.choice(lists)[1]
        if not chunks:
            continue
        at = rng.randrange(len(chunks))
        name, content = chunks[at]
        match rng.randrange(10):
            case 0:
                del chunks[at]
            case 1:
                chunks.insert(rng.randrange(len(chunks) + 1), (name, content))
            case 2:
                chunks[at] = (name, changed_bytes(content, max_size))
            case _:
                chunks[at] = (name, _with_changed_row(rng, name, content))
    body = b"sfbk" + b"".join(
        _chunk(b"LIST", kind + b"".join(_chunk(*chunk) for chunk in chunks))
        for kind, chunks in lists
    )
    mutated = _chunk(b"RIFF", body)
    return mutated if len(mutated) <= max_size else data


def _lists(data: bytes) -> list[tuple[bytes, list[tuple[bytes, bytes]]]]:
    """The lists of a RIFF file, each with its kind and its chunks; none of what is no RIFF."""
    if data[:4] != b"RIFF":
        return []
    return [
        (content[:4], _chunks(content[4:]))
        for name, content in _chunks(data[12:])
        if name == b"LIST"
    ]


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    at = 0
    while at + _CHUNK.size <= len(data):
        name, length = _CHUNK.unpack_from(data, at)
        found.append((name, data[at + _CHUNK.size : at + _CHUNK.size + length]))
        at += _CHUNK.size + length + length % 2
    return found


def _chunk(name: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(name, len(content)) + content + bytes(len(content) % 2)


def _with_changed_row(rng: random.Random, name: bytes, content: bytes) -> bytes:
    size = _ROWS.get(name, 2)
    rows = [content[at : at + size] for at in range(0, len(content), size)]
    if not rows:
        return content
    at = rng.randrange(len(rows))
    match rng.randrange(6):
        case 0:
            rows.insert(at, rows[at])
        case 1:
            del rows[at]
        case 2:
            rows *= rng.choice((2, 16))
        case _:
            row = bytearray(rows[at])
            place = rng.randrange(max(1, len(row) // 2)) * 2
            row[place : place + 2] = rng.choice(_WORDS).to_bytes(2, "little")
            rows[at] = bytes(row)
    return b"".join(rows)


def record(data: bytes, max_size: int, seed: int) -> bytes:
    """A file with a piece of Bachbox's, of whose record a value is changed, doubled or removed."""
    rng = random.Random(seed)
    at = data.find(MAGIC)
    if at < 0 or rng.random() < 0.1:
        return changed_bytes(data, max_size)
    try:
        found = json.loads(zlib.decompress(data[at + len(MAGIC) :]))
    except (zlib.error, ValueError, RecursionError):
        return changed_bytes(data, max_size)
    for _ in range(rng.randint(1, 3)):
        _change_value(rng, found)
    return (data[: at + len(MAGIC)] + zlib.compress(json.dumps(found).encode()))[:max_size]


def _change_value(rng: random.Random, value: Any) -> None:
    """Change something in a JSON object or array, at any depth."""
    while isinstance(value, dict | list) and value:
        key: Any = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.8:
            value = value[key]
            continue
        match rng.randrange(4):
            case 0:
                del value[key]
            case 1 if isinstance(value, list):
                value.insert(rng.randrange(len(value)), value[key])
            case _:
                value[key] = rng.choice(_VALUES)
        return
