"""A model file: a TFLite flatbuffer with everything the appliance must know inside it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from appliance.errors import BachboxError, UsageError
from appliance.music.codec import SatbCodec
from appliance.music.score import Form

FORMAT = 1
SUFFIX = ".tflite"
MAX_FILE_BYTES = 256 << 20
MAX_ENTRY_BYTES = 8 << 20
ENTRIES = ("bundle.json", "vocabulary.txt", "card.md")


@dataclass(frozen=True)
class Bundle:
    """A checked model file.

    Attributes:
        about: ``bundle.json``: name, title, tempo and so on, as written by the training.
        model: the flatbuffer.
        card: Markdown for people.
    """

    path: Path
    about: dict[str, Any]
    vocabulary: tuple[str, ...]
    card: str
    model: bytes

    name = property(lambda self: str(self.about["name"]))
    title = property(lambda self: str(self.about["title"]))
    description = property(lambda self: str(self.about["description"]))
    licence = property(lambda self: str(self.about["licence"]))
    tempo_bpm = property(lambda self: float(self.about["tempo_bpm"]))
    temperature = property(lambda self: float(self.about["temperature"]))
    top_p = property(lambda self: float(self.about["top_p"]))
    instrument = property(lambda self: int(self.about["instrument"]))

    @cached_property
    def codec(self) -> SatbCodec:
        """The codec that the model was trained with."""
        wanted = self.about["codec"]
        return SatbCodec(onsets=bool(wanted["onsets"]), form=bool(wanted["form"]))

    @cached_property
    def forms(self) -> list[Form]:
        """Forms of the corpus to draw new pieces' forms from; empty where none are needed."""
        return [
            Form(bar, pickup, steps, tuple((int(a), int(b)) for a, b in fermatas))
            for bar, pickup, steps, fermatas in self.about["forms"]
        ]

    @cached_property
    def voices(self) -> list[tuple[int, int]]:
        """Lowest and highest MIDI note of every voice."""
        return [(int(low), int(high)) for low, high in self.about["voices"]]


def load(path: Path) -> Bundle:
    """Read and check a model file.

    Raises:
        BachboxError: it is missing, damaged, foreign, or made for another version; the
            sentence says which.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise BachboxError(f"{path}: {size >> 20} MiB is no model of ours (at most 256 MiB)")
        content = path.read_bytes()
    except FileNotFoundError as why:
        raise BachboxError(f"{path}: there is no such model file") from why
    except OSError as why:
        raise BachboxError(f"{path}: cannot read the model: {why.strerror}") from why
    if content[4:8] != b"TFL3":
        raise BachboxError(f"{path}: not a TensorFlow Lite model (no TFL3 mark in its head)")
    texts, start = _associated_files(path)
    try:
        about = json.loads(texts["bundle.json"])
        bundle = Bundle(
            path=path,
            about=about,
            vocabulary=tuple(texts["vocabulary.txt"].split("\n")[:-1]),
            card=texts["card.md"],
            model=content[:start],
        )
        if about["format"] != FORMAT:
            raise BachboxError(
                f"{path}: model format {about['format']!r}, this Bachbox reads {FORMAT}; "
                "update the one that is older"
            )
        _check(bundle)
    except (KeyError, TypeError, ValueError, AttributeError) as why:
        raise BachboxError(f"{path}: its bundle.json is not what it should be: {why!r}") from why
    return bundle


def _associated_files(path: Path) -> tuple[dict[str, str], int]:
    """The texts appended to the flatbuffer, and where it ends."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if big := [e.filename for e in entries if e.file_size > MAX_ENTRY_BYTES]:
                raise BachboxError(f"{path}: {big[0]} inside it is larger than 8 MiB")
            texts = {name: archive.read(name).decode() for name in ENTRIES}
            return texts, min(entry.header_offset for entry in entries)
    except zipfile.BadZipFile as why:
        raise BachboxError(
            f"{path}: a TensorFlow Lite model, but not one of Bachbox (nothing is appended to "
            "it), or cut short; copy it again or train one with `make train`"
        ) from why
    except (KeyError, UnicodeDecodeError, OSError, RuntimeError, NotImplementedError) as why:
        raise BachboxError(f"{path}: the files inside the model are damaged: {why}") from why


def _check(bundle: Bundle) -> None:
    """Everything about a bundle that can be known without running it."""
    about, path = bundle.about, bundle.path
    if hashlib.sha256(bundle.model).hexdigest() != about["sha256"]:
        raise BachboxError(f"{path}: damaged: its contents do not match its checksum")
    if about["codec"]["name"] != SatbCodec.name:
        raise BachboxError(
            f"{path}: made for the codec {about['codec']['name']!r}, "
            f"this Bachbox has {SatbCodec.name!r}; update Bachbox"
        )
    codec = bundle.codec
    if (about["width"], about["classes"]) != (codec.width, len(codec.vocabulary)):
        raise BachboxError(f"{path}: its sizes do not fit its codec; the model was built wrongly")
    if list(bundle.vocabulary) != codec.vocabulary:
        raise BachboxError(
            f"{path}: its vocabulary is not its codec's; the model was built wrongly"
        )
    if codec.form and not bundle.forms:
        raise BachboxError(f"{path}: it needs forms to fill and brings none")
    if any(form.bar_steps not in (12, 16) or not 0 < form.steps < 10_000 for form in bundle.forms):
        raise BachboxError(f"{path}: it brings a form that makes no sense")
    if len(bundle.voices) != 4 or any(not 0 <= low <= high <= 127 for low, high in bundle.voices):
        raise BachboxError(f"{path}: its voices' ranges make no sense")
    for name in (bundle.name, bundle.title, bundle.description, bundle.licence):
        if not name or not name.isprintable():
            raise BachboxError(f"{path}: its name or description is not readable text")
    if not (40 <= bundle.tempo_bpm <= 240 and 0.1 <= bundle.temperature <= 3.0):
        raise BachboxError(f"{path}: its tempo or temperature is out of range")
    if not (0.05 <= bundle.top_p <= 1.0 and 0 <= bundle.instrument <= 127):
        raise BachboxError(f"{path}: its top-p or instrument is out of range")


def listing(folders: Iterable[Path]) -> list[Path]:
    """All model files in the folders, the first of a name winning, by name."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if not path.stem.endswith("_edgetpu"):
                found.setdefault(path.stem, path)
    return [found[name] for name in sorted(found)]


def find(name: str, folders: Iterable[Path]) -> Path:
    """The file of a model given by name or by path.

    Raises:
        UsageError: there is none; the sentence lists those there are.
    """
    if name.endswith(SUFFIX) or "/" in name:
        return Path(name)
    paths = listing(folders := list(folders))
    for path in paths:
        if path.stem == name:
            return path
    have = ", ".join(path.stem for path in paths) or "none"
    where = ", ".join(map(str, folders))
    raise UsageError(f"no model called {name!r} in {where}; there are: {have}")
