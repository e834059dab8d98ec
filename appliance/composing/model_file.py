"""A model file: a TFLite flatbuffer with everything the appliance must know inside it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from appliance.errors import BachboxError, UsageError
from appliance.music import limits
from appliance.music.codecs import registry
from appliance.music.codecs.base import Codec, Opening
from appliance.music.score import Form, Tessitura

FORMAT = 2
SUFFIX = ".tflite"
COMPILED = "_edgetpu"
"""Ends the name of what the Edge TPU's compiler made of a model."""
MAX_FILE_BYTES = 256 << 20
MAX_ENTRY_BYTES = 8 << 20
ENTRIES = ("bundle.json", "vocabulary.txt", "card.md")

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Midi = Annotated[int, Meta(ge=0, le=127)]
Steps = Annotated[int, Meta(ge=0, lt=10_000)]
Bar = Annotated[int, Meta(ge=1, le=64)]
Beat = Annotated[int, Meta(ge=1, le=16)]


class CodecPart(msgspec.Struct, frozen=True):
    """Which codec the model was trained with, and its options."""

    name: str
    options: dict[str, Any]


class Tensors(msgspec.Struct, frozen=True):
    """Index of every tensor by its name, for a runtime that knows no names."""

    inputs: dict[str, int]
    outputs: dict[str, int]


class ModelMetadata(msgspec.Struct, frozen=True):
    """What ``bundle.json`` says; more than this is allowed in it and left alone."""

    name: Text
    title: Text
    description: Text
    licence: Text
    tempo_bpm: Annotated[float, Meta(ge=limits.TEMPO_BPM.low, le=limits.TEMPO_BPM.high)]
    temperature: Annotated[float, Meta(ge=limits.TEMPERATURE.low, le=limits.TEMPERATURE.high)]
    top_p: Annotated[float, Meta(ge=limits.TOP_P.low, le=limits.TOP_P.high)]
    instrument: Midi
    codec: CodecPart
    classes: int
    width: int
    tensors: Tensors
    forms: list[tuple[Bar, Steps, Steps, list[tuple[Steps, Steps]], Beat]]
    sha256: str
    scopes: list[tuple[Midi, Midi, Annotated[float, Meta(ge=0, le=1)]]] = []
    """One a form, where pieces keep to what the one that has it asks of its instrument."""
    compiled_from: str = ""
    """Checksum of the model that this one was compiled from, for an Edge TPU."""


class _Format(msgspec.Struct):
    """Read first: another format may have other fields."""

    format: int


@dataclass(frozen=True)
class Delegate:
    """What runs a model in place of the CPU.

    Attributes:
        library: name or path of a shared library with TFLite's plug-in interface.
        compiled: what was made of the model for it; ``None``: it takes the model as it is.
        warn: is told why, where the CPU has to take over.
    """

    library: str
    compiled: Bundle | None
    warn: Callable[[str], object]


@dataclass(frozen=True)
class Bundle:
    """A checked model file.

    Attributes:
        about: ``bundle.json``: name, title, tempo and so on, as written by the training.
        model: the flatbuffer.
        card: Markdown for people.
        delegate: what is to run it; ``None``: the CPU.
    """

    path: Path
    about: ModelMetadata
    vocabulary: tuple[str, ...]
    card: str
    model: bytes
    delegate: Delegate | None = None

    name = property(lambda self: str(self.about.name))
    title = property(lambda self: str(self.about.title))
    description = property(lambda self: str(self.about.description))
    licence = property(lambda self: str(self.about.licence))
    tempo_bpm = property(lambda self: float(self.about.tempo_bpm))
    temperature = property(lambda self: float(self.about.temperature))
    top_p = property(lambda self: float(self.about.top_p))
    instrument = property(lambda self: int(self.about.instrument))

    @cached_property
    def codec(self) -> Codec:
        """The codec that the model was trained with."""
        return registry.make(self.about.codec.name, self.about.codec.options)

    def opening(self, path: Path) -> Opening:
        """The music in a person's file, for a piece of this model to start from.

        Raises:
            UsageError: no such file, or none that the model could go on with.
        """
        try:
            return self.codec.opening(path)
        except UsageError as why:
            raise UsageError(f"{why} (the model is {self.name})") from why

    @cached_property
    def forms(self) -> list[Form]:
        """Forms of the corpus to draw new pieces' forms from; empty where none are needed."""
        scopes = [Tessitura(*scope) for scope in self.about.scopes]
        return [
            Form(bar, pickup, steps, tuple(fermatas), beat, scope)
            for (bar, pickup, steps, fermatas, beat), scope in zip_longest(self.about.forms, scopes)
        ]


def load(path: Path) -> Bundle:
    """Read and check a model file.

    Raises:
        BachboxError: it is missing, damaged, foreign, or made for another version; the
            sentence says which.
    """
    content = _content(path)
    if content[4:8] != b"TFL3":
        raise BachboxError(f"{path}: not a TensorFlow Lite model (no TFL3 mark in its head)")
    texts, start = _associated_files(path, content)
    try:
        made_for = msgspec.json.decode(texts["bundle.json"], type=_Format).format
        if made_for != FORMAT:
            raise BachboxError(
                f"{path}: model format {made_for}, this Bachbox reads {FORMAT}; "
                "update the one that is older"
            )
        about = msgspec.json.decode(texts["bundle.json"], type=ModelMetadata)
    except (msgspec.MsgspecError, RecursionError) as why:
        raise BachboxError(f"{path}: its bundle.json is not what it should be: {why}") from why
    bundle = Bundle(
        path=path,
        about=about,
        vocabulary=tuple(texts["vocabulary.txt"].split("\n")[:-1]),
        card=texts["card.md"],
        model=content[:start],
    )
    _check(bundle)
    return bundle


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise BachboxError(f"{path}: not a file, so no model")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise BachboxError(f"{path}: {size >> 20} MiB is no model of ours (at most 256 MiB)")
        return path.read_bytes()
    except FileNotFoundError as why:
        raise BachboxError(f"{path}: there is no such model file") from why
    except OSError as why:
        raise BachboxError(f"{path}: cannot read the model: {why.strerror}") from why


def _associated_files(path: Path, content: bytes) -> tuple[dict[str, str], int]:
    """The texts appended to the flatbuffer, and where it ends."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if big := [e.filename for e in entries if e.file_size > MAX_ENTRY_BYTES]:
                raise BachboxError(f"{path}: {big[0]!r} inside it is larger than 8 MiB")
            texts = {name: archive.read(name).decode() for name in ENTRIES}
            return texts, min(entry.header_offset for entry in entries)
    except BachboxError:
        raise
    except zipfile.BadZipFile as why:
        raise BachboxError(
            f"{path}: a TensorFlow Lite model, but not one of Bachbox (nothing is appended to "
            "it), or cut short; copy it again or train one with `make train`"
        ) from why
    except Exception as why:  # zlib.error, EOFError, ...: whatever its readers meet in garbage
        raise BachboxError(
            f"{path}: the files inside the model are damaged ({why}); copy it again"
        ) from why


def _check(bundle: Bundle) -> None:
    """Everything about a bundle that can be known without running it."""
    about, path = bundle.about, bundle.path
    if hashlib.sha256(bundle.model).hexdigest() != about.sha256:
        raise BachboxError(f"{path}: damaged: its contents do not match its checksum")
    try:
        codec = bundle.codec
    except BachboxError as why:
        raise BachboxError(f"{path}: {why}") from why
    if (about.width, about.classes) != (codec.width, len(codec.vocabulary)):
        raise BachboxError(f"{path}: its sizes do not fit its codec; the model was built wrongly")
    if list(bundle.vocabulary) != codec.vocabulary:
        raise BachboxError(
            f"{path}: its vocabulary is not its codec's; the model was built wrongly"
        )
    if about.scopes and len(about.scopes) != len(about.forms):
        raise BachboxError(f"{path}: it brings scopes that do not fit its forms")
    if codec.forms and not bundle.forms:
        raise BachboxError(f"{path}: it needs forms to fill and brings none")
    for form in bundle.forms:
        spans = [edge for span in form.fermatas for edge in span]
        whole_beats = form.bar_steps % form.beat_steps == 0
        low, high = form.scope[:2] if form.scope else (0, 127)
        if not (
            form.pickup_steps < form.bar_steps and form.steps and whole_beats and low < high
        ) or spans != sorted(spans):
            raise BachboxError(f"{path}: it brings a form that makes no sense")
    for name in (bundle.name, bundle.title, bundle.description, bundle.licence):
        if not name.isprintable():
            raise BachboxError(f"{path}: its name or description is not readable text")


def listing(folders: Iterable[Path]) -> list[Path]:
    """All model files in the folders, the first of a name winning, by name."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if not path.stem.endswith(COMPILED):
                found.setdefault(path.stem, path)
    return [found[name] for name in sorted(found)]


def compiled_path(path: Path) -> Path:
    """Where a model's version for the Edge TPU is looked for."""
    return path.with_name(f"{path.stem}{COMPILED}{SUFFIX}")


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
