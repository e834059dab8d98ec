"""A model file: a TFLite flatbuffer, and a zip archive of what else is known about the model.

The archive is appended to the flatbuffer, which is TensorFlow Lite's convention for metadata: both
a zip reader and a TFLite runtime take the file as it is.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from appliance.common.hidden_folders import hidden_problem
from appliance.common.logs import NOTICE
from appliance.errors import BachboxError, UsageError
from appliance.music import limits
from appliance.music.codecs import registry
from appliance.music.codecs.base import Codec, Opening
from appliance.music.files import score_reader
from appliance.music.score import NO_FACTS, Form, PieceFacts, Tessitura

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

FORMAT = 3
"""Version of the metadata."""
SUFFIX = ".tflite"
COMPILED_SUFFIX = "_edgetpu"
"""Ends the name (without ``SUFFIX``) of a model that was compiled for the Edge TPU."""
_REMEDY = "move it to /etc/bachbox"
"""What helps where the service does not see a file."""
MAX_FILE_BYTES = 256 << 20
MAX_ENTRY_BYTES = 8 << 20
ENTRIES = ("metadata.json", "vocabulary.txt", "card.md")

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Midi = Annotated[int, Meta(ge=0, le=127)]
Steps = Annotated[int, Meta(ge=0, lt=10_000)]
Bar = Annotated[int, Meta(ge=1, le=64)]
Beat = Annotated[int, Meta(ge=1, le=16)]
Class = Annotated[int, Meta(ge=0, lt=256)]
KindTemperature = tuple[Class, Class, Annotated[float, Meta(ge=0.1, le=10)]]
"""First token, number of tokens, and the temperature by which their logits are divided."""


class CodecMetadata(msgspec.Struct, frozen=True):
    """Which codec the model was trained with, and its options."""

    name: str
    options: dict[str, Any]


class TensorIndices(msgspec.Struct, frozen=True):
    """Index in the flatbuffer of each input and output, for a runtime that knows no names."""

    inputs: dict[str, int]
    outputs: dict[str, int]


class ModelMetadata(msgspec.Struct, frozen=True):
    """The contents of ``metadata.json``; additional fields are ignored."""

    name: Text
    title: Text
    description: Text
    licence: Text
    tempo_bpm: Annotated[float, Meta(ge=limits.TEMPO_BPM.low, le=limits.TEMPO_BPM.high)]
    temperature: Annotated[float, Meta(ge=limits.TEMPERATURE.low, le=limits.TEMPERATURE.high)]
    top_p: Annotated[float, Meta(ge=limits.TOP_P.low, le=limits.TOP_P.high)]
    instrument: Midi
    """General MIDI program."""
    codec: CodecMetadata
    classes: int
    """Size of the vocabulary."""
    width: int
    """Length of the multi-hot input."""
    tensors: TensorIndices
    forms: list[tuple[Bar, Steps, Steps, list[tuple[Steps, Steps]], Beat]]
    """Bar, pickup, length, fermatas and beat of each form, see :class:`Form`."""
    sha256: str
    """Of the flatbuffer, in hexadecimal."""
    tessituras: list[tuple[Midi, Midi, Annotated[float, Meta(ge=0, le=1)]]] = []
    """One for each form, see :class:`Tessitura`; empty where pieces may use the whole range."""
    facts: list[PieceFacts] = []
    """One for each form; empty in a model that was made without them."""
    corrections: list[Annotated[float, Meta(ge=-20, le=20)]] = []
    """Added to the logits of the tokens that have an aspect, one for each aspect of the codec;
    empty in a model that was made without them."""
    kind_temperatures: list[KindTemperature] = []
    """Calibrate the network, one for each kind of token; a token in none of them has 1."""
    compiled_from: str = ""
    """``sha256`` of the model that this one was compiled from for the Edge TPU."""


class _Format(msgspec.Struct):
    """The version alone: metadata of another version may have other fields."""

    format: int


@dataclass(frozen=True)
class Delegate:
    """What runs a model instead of the CPU.

    Attributes:
        library: name or path of a shared library with TFLite's plug-in interface.
        compiled: the model as compiled for the delegate; ``None``: it takes the original.
        warn: called with the reason if the CPU has to take over.
    """

    library: str
    compiled: ModelFile | None
    warn: Callable[[str], object]


@dataclass(frozen=True)
class ModelFile:
    """The contents of a checked model file.

    Attributes:
        path: where the file is.
        metadata: name, title, tempo and so on, as written by the training.
        vocabulary: a name for every class, in order.
        card: Markdown for people.
        flatbuffer: the TFLite model.
        delegate: what runs it; ``None``: the CPU.
    """

    path: Path
    metadata: ModelMetadata
    vocabulary: tuple[str, ...]
    card: str
    flatbuffer: bytes
    delegate: Delegate | None = None

    name = property(lambda self: str(self.metadata.name))
    title = property(lambda self: str(self.metadata.title))
    description = property(lambda self: str(self.metadata.description))
    licence = property(lambda self: str(self.metadata.licence))
    tempo_bpm = property(lambda self: float(self.metadata.tempo_bpm))
    temperature = property(lambda self: float(self.metadata.temperature))
    top_p = property(lambda self: float(self.metadata.top_p))
    instrument = property(lambda self: int(self.metadata.instrument))

    @cached_property
    def codec(self) -> Codec:
        """The codec that the model was trained with.

        Raises:
            BachboxError: this version has no such codec, or the codec refuses its options.
        """
        return registry.make(self.metadata.codec.name, self.metadata.codec.options)

    def opening(self, path: Path) -> Opening:
        """Read the music in a user's file, for a piece of this model to start from.

        What was left out or interpreted is logged.

        Raises:
            UsageError: there is no such file, or the model cannot continue from it.
        """
        file = score_reader.read(path)
        try:
            opening = self.codec.opening(file)
        except UsageError as why:
            notices = "".join(f"; {notice}" for notice in file.notices)
            raise UsageError(f"{why} (the model is {self.name}{notices})") from why
        for notice in opening.notices:
            logger.log(NOTICE, "%s: %s", path, notice)
        return opening

    @cached_property
    def corrections(self) -> NDArray[np.float64]:
        """Float64 ``(aspects + 1,)``: a correction each, and 0 for none; empty if it has none.

        Raises:
            BachboxError: they are not those of the codec's aspects.
        """
        # The daemon reads model files too, and holds no numpy.
        import numpy as np

        found = self.metadata.corrections
        if found and len(found) != self.codec.aspect_layout.width:
            raise BachboxError(
                "its corrections do not fit its codec: the model was built wrongly", path=self.path
            )
        return np.array([*found, 0.0] if found else [])

    @cached_property
    def forms(self) -> list[Form]:
        """Forms of the corpus, one of which each new piece fills; empty if none are needed."""
        tessituras = [Tessitura(*tessitura) for tessitura in self.metadata.tessituras]
        return [
            Form(bar, pickup, steps, tuple(fermatas), beat, tessitura, facts or NO_FACTS)
            for (bar, pickup, steps, fermatas, beat), tessitura, facts in zip_longest(
                self.metadata.forms, tessituras, self.metadata.facts
            )
        ]


def load(path: Path) -> ModelFile:
    """Read and check a model file.

    Raises:
        BachboxError: the file is missing, damaged, not a model of Bachbox, or made for another
            version; the message says which.
    """
    content = _read(path)
    if content[4:8] != b"TFL3":
        raise BachboxError("not a TensorFlow Lite model (no TFL3 mark in its head)", path=path)
    texts, flatbuffer_bytes = _archived_texts(path, content)
    try:
        version = msgspec.json.decode(texts["metadata.json"], type=_Format).format
        if version != FORMAT:
            raise BachboxError(
                f"model format {version}, but this Bachbox reads {FORMAT}",
                path=path,
                remedy="update the one that is older",
            )
        metadata = msgspec.json.decode(texts["metadata.json"], type=ModelMetadata)
    except (msgspec.MsgspecError, RecursionError) as why:
        raise BachboxError(f"its metadata.json is invalid: {why}", path=path) from why
    model = ModelFile(
        path=path,
        metadata=metadata,
        vocabulary=tuple(texts["vocabulary.txt"].split("\n")[:-1]),
        card=texts["card.md"],
        flatbuffer=content[:flatbuffer_bytes],
    )
    _check(model)
    return model


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise BachboxError("not a file, so not a model", path=path)
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise BachboxError(
                f"{size >> 20} MiB is too large for a model (at most 256 MiB)", path=path
            )
        return path.read_bytes()
    except OSError as why:
        if hidden := hidden_problem("the model", path):
            raise BachboxError(hidden, remedy=_REMEDY) from why
        if isinstance(why, FileNotFoundError):
            raise BachboxError("there is no such model file", path=path) from why
        raise BachboxError(f"cannot read the model: {why.strerror}", path=path) from why


def _archived_texts(path: Path, content: bytes) -> tuple[dict[str, str], int]:
    """The texts in the archive by their names, and the length of the flatbuffer before it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if large := [e.filename for e in entries if e.file_size > MAX_ENTRY_BYTES]:
                raise BachboxError(f"{large[0]!r} inside it is larger than 8 MiB", path=path)
            texts = {name: archive.read(name).decode() for name in ENTRIES}
            return texts, min(entry.header_offset for entry in entries)
    except BachboxError:
        raise
    except zipfile.BadZipFile as why:
        raise BachboxError(
            "a TensorFlow Lite model, but not one of Bachbox (nothing is appended to it), or cut "
            "short",
            path=path,
            remedy="copy it again or train one with `make train`",
        ) from why
    except Exception as why:  # zlib.error, EOFError, KeyError, ...: whatever garbage causes
        raise BachboxError(
            f"the files inside the model are damaged ({why})", path=path, remedy="copy it again"
        ) from why


def _check(model: ModelFile) -> None:
    """Check everything that can be known without running the model."""
    problem = _mismatch(model) or _bad_form(model)
    if problem:
        raise BachboxError(problem, path=model.path)


def _mismatch(model: ModelFile) -> str:
    """What does not fit together, "" if all does."""
    metadata = model.metadata
    if hashlib.sha256(model.flatbuffer).hexdigest() != metadata.sha256:
        return "damaged: its contents do not match its checksum"
    try:
        codec = model.codec
    except BachboxError as why:
        return str(why)
    if (metadata.width, metadata.classes) != (codec.width, len(codec.vocabulary)):
        return "its sizes do not fit its codec: the model was built wrongly"
    if list(model.vocabulary) != codec.vocabulary:
        return "its vocabulary is not its codec's: the model was built wrongly"
    if any(first + count > metadata.classes for first, count, _ in metadata.kind_temperatures):
        return "it calibrates tokens that it does not have"
    if codec.uses_forms and not metadata.forms:
        return "it needs forms and has none"
    if metadata.tessituras and len(metadata.tessituras) != len(metadata.forms):
        return "it has tessituras that do not fit its forms"
    if metadata.facts and len(metadata.facts) != len(metadata.forms):
        return "it has facts that do not fit its forms"
    for text in (model.name, model.title, model.description, model.licence):
        if not text.isprintable():
            return "its name or description is not readable text"
    return ""


def _bad_form(model: ModelFile) -> str:
    for form in model.forms:
        edges = [edge for span in form.fermatas for edge in span]
        whole_beats = form.bar_steps % form.beat_steps == 0
        low, high = form.tessitura[:2] if form.tessitura else (0, 127)
        if not (
            form.pickup_steps < form.bar_steps and form.steps and whole_beats and low < high
        ) or edges != sorted(edges):
            return "one of its forms makes no sense"
        if not _possible(form.facts, form.steps):
            return "the facts of one of its forms make no sense"
    return ""


def _possible(facts: PieceFacts, steps: int) -> bool:
    return (
        (facts.tonic is None or 0 <= facts.tonic < 12)
        and (facts.double_bar_step is None or 0 < facts.double_bar_step < steps)
        and (facts.program is None or 0 <= facts.program < 128)
        and (facts.onsets_per_quarter is None or 0 < facts.onsets_per_quarter < 1000)
        and all(0 <= r.source_bar < r.bar and 0 < r.bars <= steps for r in facts.returns)
        and all(0 <= e.step <= steps for e in facts.entries)
    )


def listing(folders: Iterable[Path]) -> list[Path]:
    """Return the model files in the folders, sorted by name; the first of two with one name."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if not path.stem.endswith(COMPILED_SUFFIX):
                found.setdefault(path.stem, path)
    return [found[name] for name in sorted(found)]


def compiled_path(path: Path) -> Path:
    """Return where a model's version for the Edge TPU would be; it need not exist."""
    return path.with_name(f"{path.stem}{COMPILED_SUFFIX}{SUFFIX}")


def find(name: str, folders: Iterable[Path]) -> Path:
    """Return the path of a model that is given by its name or by its path.

    Raises:
        UsageError: no folder has a model of that name; the message lists the names there are.
    """
    if name.endswith(SUFFIX) or "/" in name:
        return Path(name)
    paths = listing(folders := list(folders))
    for path in paths:
        if path.stem == name:
            return path
    names = ", ".join(path.stem for path in paths) or "none"
    where = ", ".join(map(str, folders))
    hidden = next(filter(None, (hidden_problem("the folder", folder) for folder in folders)), "")
    problem = f"no model called {name!r} in {where}; there are: {names}"
    raise UsageError(f"{problem}; {hidden}" if hidden else problem, remedy=hidden and _REMEDY)
