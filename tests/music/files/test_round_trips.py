"""What Bachbox writes it reads back as the same notes, bars, keys and voices, for every model.

Besides composed pieces there are improvised ones: of random tokens, without a network, so that
there can be many, and with more in them than a model would write.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.music.codecs import free_rhythm_conversion
from appliance.music.codecs.abc import writer
from appliance.music.codecs.base import Codec, is_over
from appliance.music.events import TICKS_PER_STEP, Event, PieceStart
from appliance.music.files import (
    midi_writer,
    musicxml_writer,
    piece_record,
    score_reader,
)
from appliance.music.files.score_file import KeySignature, ScoreFile
from appliance.music.notes import Note, notes_from
from appliance.music.score import Form, Key
from tests.support import musicxml_schema
from tests.support.making_music import compose_pieces

MODELS = Path(__file__).parents[3] / "models"
NAMES = ("chorales", "folk", "keyboard", "strings")
SEEDS = (3,)
MAX_TOKENS = 400


@cache
def composed(model: str, seed: int) -> tuple[Event, ...]:
    (played,) = compose_pieces(Composer(model_file.load(MODELS / f"{model}.tflite"), seed=seed), 1)
    return tuple(played.events)


@cache
def codec_of(model: str) -> Codec:
    return model_file.load(MODELS / f"{model}.tflite").codec


def improvised(model: str, seed: int) -> tuple[Event, ...]:
    """A piece of a few bars, of tokens that are drawn from those that the codec allows."""
    rng = random.Random(seed)
    codec = codec_of(model)
    meters = ((16, 4), (12, 4)) if model == "chorales" else ((16, 4), (12, 4), (12, 6), (8, 4))
    bar, beat = rng.choice(meters)
    pickup = rng.choice((0, beat))
    key = Key(rng.randrange(12), minor=rng.random() < 0.5)
    context = codec.start(Form(bar, pickup, pickup + rng.randint(1, 5) * bar, (), beat), key)
    pickup_ticks, beat_ticks = pickup * TICKS_PER_STEP, beat * TICKS_PER_STEP
    events: list[Event] = [
        PieceStart(0, 1, key.tonic, key.minor, bar // beat, pickup_ticks, beat_ticks)
    ]
    for _ in range(MAX_TOKENS):
        if is_over(context):
            break
        forbidden = {*context.forbidden()}
        allowed = [t for t in range(len(codec.vocabulary)) if t not in forbidden]
        events += context.accept(rng.choice(allowed))
    return (*events, *context.release_all())


def start_of(events: tuple[Event, ...]) -> PieceStart:
    (start,) = [event for event in events if isinstance(event, PieceStart)]
    return start


def written(
    path: Path, model: str, seed: int, events: tuple[Event, ...] = ()
) -> tuple[list[Note], PieceStart]:
    """Write a piece, by default a composed one; return its notes, and its start, from tick 0."""
    events = events or composed(model, seed)
    end_tick = max(event.tick for event in events)
    record = piece_record.record_piece(events, end_tick, model=model, seed=seed, settings={})
    if path.suffix == ".musicxml":
        musicxml_writer.write(path, record, 80)
    elif path.suffix == ".abc":
        path.write_text(writer.format_book(events, tempo_bpm=80, title="Book"))
    else:
        midi_writer.write(path, record.events(), tempo_bpm=80, program=0, title="Piece")
    start = start_of(events)
    return sorted(notes_from(events, start.tick)), start


def sounding(notes: list[Note]) -> list[tuple[int, int, int]]:
    """Notes as start, end and pitch; a note that is doubled at its start counts once."""
    longest: dict[tuple[int, int], int] = {}
    for note in notes:
        longest[note.start, note.pitch] = max(note.end, longest.get((note.start, note.pitch), 0))
    return sorted((start, end, pitch) for (start, pitch), end in longest.items())


def read(path: Path) -> tuple[ScoreFile, list[Note]]:
    file = score_reader.read(path)
    return file, sorted(note for part in file.parts for note in part)


def same_notes_bars_and_key(path: Path, notes: list[Note], start: PieceStart) -> None:
    file, found = read(path)
    assert file.notices == ()
    assert sounding(found) == sounding(notes)
    form = free_rhythm_conversion.to_free_rhythm(file).form
    bar_ticks = start.beats_per_bar * start.beat_ticks
    assert form.bar_steps * TICKS_PER_STEP == bar_ticks
    # That there is no pickup MIDI cannot say; it is guessed.
    if start.pickup_ticks or path.suffix != ".mid":
        assert form.pickup_steps * TICKS_PER_STEP == start.pickup_ticks
    key = Key(start.tonic, start.minor)
    assert file.key_signature == KeySignature(key.fifths, key.minor)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("suffix", [".mid", ".musicxml"])
def test_composed_music_is_read_back(tmp_path: Path, suffix: str, model: str, seed: int) -> None:
    path = tmp_path / f"piece{suffix}"
    same_notes_bars_and_key(path, *written(path, model, seed))
    if suffix == ".musicxml":
        assert musicxml_schema.errors(path) == []


@pytest.mark.parametrize("model", ["chorales", "keyboard", "strings"])
@pytest.mark.parametrize("suffix", [".mid", ".musicxml"])
@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 32))
def test_improvised_music_is_read_back(tmp_path: Path, suffix: str, model: str, seed: int) -> None:
    path = tmp_path / f"piece{suffix}"
    events = improvised(model, seed)
    notes, start = written(path, model, seed, events)
    same_notes_bars_and_key(path, notes, start)
    if suffix == ".musicxml":
        assert musicxml_schema.errors(path) == []


@pytest.mark.parametrize("suffix", [".mid", ".musicxml"])
def test_the_four_voices_of_a_chorale_are_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"piece{suffix}"
    notes, _ = written(path, "chorales", SEEDS[0])
    file, _ = read(path)
    assert len(file.parts) == 4
    for voice, part in enumerate(file.parts):
        wanted = [(n.start, n.end, n.pitch) for n in notes if n.voice == voice]
        assert [(n.start, n.end, n.pitch) for n in part] == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tune_is_read_back_from_abc_in_its_key(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "tune.abc"
    notes, start = written(path, "folk", seed)
    file, found = read(path)
    assert file.tune is not None
    assert file.notices == ()
    assert (file.tune.key.tonic, file.tune.key.minor) == (start.tonic, start.minor)
    # A tune of a set is played two or three times, and written once.
    assert len(notes) == start.times * len(found)
    assert sounding(found) == sounding(notes)[: len(found)]
    assert file.tune.form.pickup_steps * TICKS_PER_STEP == start.pickup_ticks


def test_the_schema_refuses_what_is_not_musicxml(tmp_path: Path) -> None:
    path = tmp_path / "piece.musicxml"
    written(path, "chorales", 1, improvised("chorales", 1))
    path.write_text(path.read_text().replace("<octave>", "<octave>x", 1))
    assert len(musicxml_schema.errors(path)) == 1
