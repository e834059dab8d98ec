"""Compose music into files, faster than real time.

Composer and performer are the same as in the running box; only the clock is missing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from appliance import __version__
from appliance.audio.event_source import FOREVER_TICK, StepSource
from appliance.audio.outputs.encoded_file import EncodedFile
from appliance.audio.outputs.file_outputs import WavFile
from appliance.audio.performer import Performer, Synth
from appliance.audio.soundfont_check import try_soundfont
from appliance.audio.synth import FluidSynth
from appliance.audio.tempo_map import TempoMap
from appliance.errors import UsageError
from appliance.ipc.shared_state import LiveSettings
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.events import Event, NoteOn, PieceStart
from appliance.music.files.piece_record import PieceRecord
from appliance.offline.output_files import (
    ONE_PIECE_SUFFIXES,
    SAMPLE_RATE,
    SOUND_SUFFIXES,
    SUFFIXES,
    OutputFile,
    check_outputs,
    complete_or_absent,
    sound_file,
    write_abc,
    write_midi,
    write_piece,
)

if TYPE_CHECKING:
    from appliance.composing.composer import Composer

BLOCK_FRAMES: Final = 4096
"""No setting changes while rendering, so blocks may be large; events start inside them anyway."""

TAIL_S: Final = 2.0
"""How long the last chord may die away, even on a church organ."""


class Length(NamedTuple):
    """How much to render; one of the two is set."""

    seconds: float | None = None
    pieces: int | None = None


class Rendered(NamedTuple):
    """How much was rendered."""

    seconds: float
    """The length of the sound; 0 where none was rendered."""
    pieces: int
    notes: int


Progress = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


def render(
    composer: Composer,
    settings: LiveSettings,
    soundfont: Callable[[], Path],
    outputs: Sequence[Path],
    length: Length,
    progress: Progress,
    make_record: Callable[[list[Event], int], PieceRecord],
) -> Rendered:
    """Write ``length`` of the composer's music to each of ``outputs``.

    Args:
        composer: where the music comes from.
        settings: how it is played.
        soundfont: gives the soundfont; called only if there is a sound file to write.
        outputs: the files; their suffixes say what is written.
        length: how much.
        progress: called with the share that is done.
        make_record: makes the record of a piece from its events and end tick; called only if
            ``length`` is one piece.

    Raises:
        UsageError: a suffix is not possible, or the model does not write ABC.
        BachboxError: a file cannot be written, or the soundfont cannot be read. None of the
            outputs has appeared then, and those that existed before are unchanged.
    """
    check_outputs(outputs, ONE_PIECE_SUFFIXES if length.pieces == 1 else SUFFIXES)
    _check_abc(outputs, composer)
    with contextlib.ExitStack() as stack:
        # All files are renamed at the end, so none appears if something goes wrong before.
        files = [stack.enter_context(complete_or_absent(path)) for path in outputs]
        sound_outputs = [file for file in files if file.suffix in SOUND_SUFFIXES]
        synth = load_synth(soundfont()) if sound_outputs else _NullSynth()
        source = _RecordingSource(composer, length.pieces)
        performer = Performer(
            source.events_source(),
            synth,
            TempoMap(SAMPLE_RATE, settings.tempo_bpm),
            lambda: settings,
        )
        with contextlib.ExitStack() as open_files:
            sounds = [
                open_files.enter_context(sound_file(output, _tags(composer)))
                for output in sound_outputs
            ]
            end_tick = _play(performer, source, length, sounds, progress)
        events = [event for event in source.events if event.tick < end_tick]
        record = make_record(events, math.ceil(end_tick)) if length.pieces == 1 else None
        title = f"{composer.model_file.title}, seed {composer.seed}"
        for file in files:
            _write_score(file, events, settings, record, title)
    return Rendered(
        seconds=performer.frame / SAMPLE_RATE,
        pieces=sum(isinstance(event, PieceStart) for event in events),
        notes=sum(isinstance(event, NoteOn) for event in events),
    )


def _check_abc(outputs: Sequence[Path], composer: Composer) -> None:
    """Refuse ABC from a model that has none.

    Raises:
        UsageError: one of ``outputs`` is such a file.
    """
    for path in outputs:
        if path.suffix.lower() == ".abc" and composer.model_file.codec.name != AbcCodec.name:
            raise UsageError(
                f"{path}: the model {composer.model_file.name} does not write ABC; a model of "
                "tunes does, such as --model folk; all models write .mid"
            )


def _tags(composer: Composer) -> dict[str, str]:
    """What players show of a sound file."""
    model = composer.model_file
    return {
        "title": f"{model.title}, seed {composer.seed}",
        "artist": f"Bachbox ({model.name}, seed {composer.seed})",
        "software": f"Bachbox {__version__}",
    }


def _write_score(
    file: OutputFile,
    events: list[Event],
    settings: LiveSettings,
    record: PieceRecord | None,
    title: str,
) -> None:
    if file.suffix == ".abc":
        write_abc(file, events, settings, title)
    elif record is not None:
        write_piece(file, record, events, [(0, settings)])
    elif file.suffix not in SOUND_SUFFIXES:
        write_midi(file, events, settings, title)


def load_synth(soundfont: Path) -> FluidSynth:
    """Return a synth that plays ``soundfont`` at :data:`SAMPLE_RATE`.

    Raises:
        BachboxError: the file is not a usable soundfont.
    """
    try_soundfont(soundfont)
    return FluidSynth(soundfont, SAMPLE_RATE)


class _NullSynth(Synth):
    """Makes no sound, for outputs that are only scores."""

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        pass

    def note_off(self, voice: int, pitch: int) -> None:
        pass

    def program(self, program: int) -> None:
        pass

    def voice(self, voice: int, program: int, level: float) -> None:
        pass

    def tune(self, cents: Sequence[float]) -> None:
        pass

    def volume(self, percent: float) -> None:
        pass

    def render(self, frames: int) -> bytes:
        return b""


class _RecordingSource:
    """Composes on demand, keeps the events, and stops after ``pieces`` pieces."""

    def __init__(self, composer: Composer, pieces: int | None) -> None:
        self._composer = composer
        self._pieces = pieces
        self.events: list[Event] = []
        self.end_tick: int | None = None
        """Where the last piece ends, as soon as that is known."""

    def events_source(self) -> StepSource:
        """Return the source for a performer; after the last piece it is silent without end."""
        return StepSource(
            self._step,
            lambda: self._composer.tick if self.end_tick is None else FOREVER_TICK,
        )

    def _step(self) -> list[Event]:
        events = self._composer.step()
        for event in events:
            if isinstance(event, PieceStart) and event.number - 1 == self._pieces:
                self.end_tick = event.tick
                return []
        self.events += events
        return events


def _play(
    performer: Performer,
    source: _RecordingSource,
    length: Length,
    sounds: list[WavFile | EncodedFile],
    progress: Progress,
) -> float:
    """Render ``length`` into the files; return the tick at which the music stops."""

    def play(frames: int) -> None:
        while frames > 0:
            block = min(BLOCK_FRAMES, frames)
            sound = performer.render(block)
            for file in sounds:
                file.write(sound)
            frames -= block

    if length.seconds is not None:
        # The last chord is released early enough to die away within the requested length.
        tail_frames = round(min(TAIL_S, length.seconds / 4) * SAMPLE_RATE)
        total_frames = round(length.seconds * SAMPLE_RATE)
        while performer.frame < total_frames - tail_frames:
            play(min(BLOCK_FRAMES, total_frames - tail_frames - performer.frame))
            progress(performer.frame / total_frames)
        end_tick = performer.playhead_tick
        performer.end()
        play(total_frames - performer.frame)
    else:
        assert length.pieces is not None
        while source.end_tick is None or performer.playhead_tick < source.end_tick:
            play(BLOCK_FRAMES)
            progress(max(0, performer.piece.number - 1) / length.pieces)
        end_tick = source.end_tick
        if sounds:
            play(round(TAIL_S * SAMPLE_RATE))
    progress(1.0)
    return end_tick
