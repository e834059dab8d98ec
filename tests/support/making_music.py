"""Scores, composers and model files for tests."""

from __future__ import annotations

import functools
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from appliance.composing.composer import Composer
from appliance.composing.model_file import CodecMetadata, ModelFile, ModelMetadata, TensorIndices
from appliance.music.codecs.base import Codec
from appliance.music.codecs.four_part import CLASSES, FourPartCodec
from appliance.music.events import TICKS_PER_STEP, Event, NoteOff, NoteOn, Piece, PieceStart
from appliance.music.score import HIGHEST_PITCH, LOWEST_PITCH, SILENT, VOICES, Form, Key, Score

MODELS = Path(__file__).parents[2] / "models"
MODEL = MODELS / "chorales.tflite"


def piece_of(event: Event) -> Piece:
    """The piece that an event announces."""
    assert isinstance(event, PieceStart), event
    return event.piece


class Played(NamedTuple):
    """A piece as it was composed."""

    about: Piece
    events: list[Event]
    end_tick: int
    """Where its last chord is released."""
    given_up: bool
    """The stall detector or a user ended it before its form was full."""


def compose(composer: Composer, steps: int) -> list[Event]:
    return [event for _ in range(steps) for event in composer.step()]


def compose_pieces(composer: Composer, count: int) -> list[Played]:
    """Compose ``count`` whole pieces; the composer must be between two pieces."""
    found: list[Played] = []
    events: list[Event] = []
    while len(found) < count:
        given_up, tick = composer.stall_detector.give_up, composer.tick
        new = composer.step()
        if composer.snapshot() is None:
            found.append(Played(composer.piece, events + new, tick, given_up))
            events = []
        else:
            events += new
    return found


def events_of(score: Score, codec: FourPartCodec | None = None) -> list[Event]:
    """A score as the events that a composer would write, its last notes released at the end."""
    codec = codec or FourPartCodec(onsets=True, form=True)
    context = codec.start(score.form._replace(steps=score.steps), score.key)
    events: list[Event] = [
        PieceStart.of(Piece(1, score.key.tonic, score.key.minor, score.form.bar_steps // 4, 0, 0))
    ]
    for token in codec.encode(score)[1]:
        events += context.accept(token)
    return events + context.release_all()


def rows(
    events: list[Event], horizon_tick: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[bool, ...], ...]]:
    """Pitches and onsets on the 16th grid, from a piece's events up to ``horizon_tick``."""
    sounding = [SILENT] * VOICES
    pitches, onsets = [], []
    waiting = [e for e in events if isinstance(e, NoteOn | NoteOff)]
    at = 0
    for tick in range(events[0].tick, horizon_tick, TICKS_PER_STEP):
        struck = [False] * VOICES
        while at < len(waiting) and waiting[at].tick < tick + TICKS_PER_STEP:
            event = waiting[at]
            at += 1
            on = isinstance(event, NoteOn)
            sounding[event.voice] = event.pitch if on else SILENT
            struck[event.voice] = on
        pitches.append(tuple(sounding))
        onsets.append(tuple(struck))
    return tuple(pitches), tuple(onsets)


def is_well_formed(events: Iterable[Event]) -> bool:
    """Whether ticks never go back and every voice releases a note before it strikes another."""
    tick, sounding = 0, dict.fromkeys(range(VOICES), SILENT)
    for event in events:
        assert event.tick >= tick, event
        tick = event.tick
        if isinstance(event, NoteOn):
            assert sounding[event.voice] == SILENT, event
            sounding[event.voice] = event.pitch
        elif isinstance(event, NoteOff):
            assert sounding[event.voice] == event.pitch, event
            sounding[event.voice] = SILENT
    return set(sounding.values()) == {SILENT}


def last_piece(events: list[Event]) -> list[Event]:
    """Everything since the last piece began."""
    starts = [at for at, event in enumerate(events) if isinstance(event, PieceStart)]
    return events[starts[-1] :]


def from_start(events: list[Event]) -> list[Event]:
    """The same events as if their piece began at tick 0."""
    start = piece_of(events[0]).start_tick
    return [event._replace(tick=event.tick - start) for event in events]


def chords(*steps_and_pitches: tuple[int, tuple[int, ...]], bar: int = 16) -> Score:
    """Four voices that strike together; each chord comes with its length in steps."""
    pitches: list[tuple[int, ...]] = []
    onsets: list[tuple[bool, ...]] = []
    for steps, chord in steps_and_pitches:
        pitches += [chord] * steps
        onsets += [tuple(at == 0 and p != SILENT for p in chord) for at in range(steps)]
    return Score("chords", tuple(pitches), tuple(onsets), Key(0, False), Form(bar, 0, len(pitches)))


OPENING = chords(
    *[(4, chord) for chord in ((72, 67, 64, 48), (71, 67, 62, 43), (72, 67, 60, 52))],
    *[(2, chord) for chord in ((72, 65, 57, 53), (74, 65, 58, 53))],
    *[(4, chord) for chord in ((71, 67, 62, 55), (72, 67, 64, 48))],
    (8, (72, 67, 64, 48)),
)
"""Two bars in C major that close on the tonic; the last chord is struck twice."""


REST_MOVE, AGAIN_MOVE = -2, -1
"""Below these a voice holds; from 0 on it strikes another note."""


@st.composite
def scores(draw: st.DrawFn, form: bool = True) -> Score:
    """Any four voices that hold, rest, strike and strike again."""
    moves = st.integers(-4, HIGHEST_PITCH - LOWEST_PITCH)
    flat = draw(st.lists(moves, min_size=VOICES, max_size=24 * VOICES))
    steps = len(flat) // VOICES
    voices = []
    for voice in range(VOICES):
        row, sounding = [], SILENT
        for move in flat[voice * steps : (voice + 1) * steps]:
            if move >= 0:
                sounding = LOWEST_PITCH + move
            elif move == REST_MOVE:
                sounding = SILENT
            row.append((sounding, move >= AGAIN_MOVE and sounding != SILENT))
        voices.append(row)
    at_once = list(zip(*voices, strict=True))
    bar = draw(st.sampled_from([12, 16]))
    edges = draw(st.lists(st.integers(0, steps), unique=True, max_size=6).map(sorted))
    fermatas = tuple(zip(edges[::2], edges[1::2], strict=False))
    return Score(
        name="any",
        pitches=tuple(tuple(pitch for pitch, _ in row) for row in at_once),
        onsets=tuple(tuple(struck for _, struck in row) for row in at_once),
        key=Key(draw(st.integers(0, 11)), draw(st.booleans())),
        form=Form(bar, draw(st.integers(0, bar - 1)), steps, fermatas if form else ()),
    )


NO_CORRECTIONS: NDArray[np.float64] = np.array([])


class Puppet:
    """A model that always prefers the class that ``preferred`` gives for its count of tokens."""

    runtime = "puppet"

    def __init__(self, preferred: Callable[[int], int], classes: int = CLASSES) -> None:
        self._preferred = preferred
        self._classes = classes
        self.state: Any = 0
        self.corrections = NO_CORRECTIONS

    def reset(self) -> None:
        self.state = 0

    def step(self, features: list[int]) -> NDArray[np.float32]:
        del features
        logits = np.full(self._classes, -30, np.float32)
        logits[self._preferred(self.state)] = 30
        self.state += 1
        return logits


@functools.cache
def parts_of(path: Path = MODEL) -> tuple[bytes, dict[str, str]]:
    """A model file's flatbuffer, and the texts appended to it."""
    content = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        return content[: min(e.header_offset for e in entries)], {
            e.filename: archive.read(e).decode() for e in entries
        }


def joined(model: bytes, texts: dict[str, str]) -> bytes:
    """A model file of a flatbuffer and texts, see :func:`parts_of`."""
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return file.getvalue()


def altered(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write the shipped model with a changed metadata.json to ``path``, and return ``path``."""
    model, texts = parts_of()
    about = json.loads(texts["metadata.json"])
    change(about)
    path.write_bytes(joined(model, texts | {"metadata.json": json.dumps(about)}))
    return path


def span(first: int, last: int) -> range:
    """Ticks of the steps from ``first`` up to ``last``."""
    return range(first * TICKS_PER_STEP, last * TICKS_PER_STEP, TICKS_PER_STEP)


class Noise:
    """A model without training but with memory: its logits are a hash of its whole past.

    It has a correction for every aspect of its codec.
    """

    runtime = "noise"

    def __init__(self, model_file: ModelFile) -> None:
        self._classes = len(model_file.vocabulary)
        self.state: Any = 0
        aspects = model_file.codec.aspect_layout.width
        self.corrections = np.append(np.random.default_rng(1).normal(0, 0.5, aspects), 0.0)

    def reset(self) -> None:
        self.state = 0

    def step(self, features: list[int]) -> NDArray[np.float32]:
        self.state = zlib.crc32(repr(features).encode(), self.state)
        return np.random.default_rng(self.state).normal(0, 2, self._classes).astype(np.float32)


def model_file_of(codec: Codec, forms: Iterable[Form]) -> ModelFile:
    """A model file without a flatbuffer, for :class:`Noise`."""
    forms = list(forms)
    about = ModelMetadata(
        name="noise",
        title="Noise",
        description="Knows only what its codec knows",
        licence="none",
        tempo_bpm=190,
        temperature=1,
        top_p=1,
        instrument=40,
        codec=CodecMetadata(codec.name, codec.options),
        classes=len(codec.vocabulary),
        width=codec.width,
        tensors=TensorIndices({}, {}),
        forms=[(*form[:3], list(form.fermatas), form.beat_steps) for form in forms],
        facts=[form.facts for form in forms],
        sha256="",
    )
    return ModelFile(Path("noise.tflite"), about, tuple(codec.vocabulary), "", b"")
