"""Music into files, faster than real time: the same composer and performer, without a clock.

Nothing half-written is ever seen under the name that was asked for: a file is written beside
it and moved there when it is whole.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from appliance.audio.event_source import FOREVER_TICK, StepSource, finished
from appliance.audio.outputs.file_outputs import WavFile
from appliance.audio.performer import Performer, Synth
from appliance.audio.soundfont_check import try_soundfont
from appliance.audio.synth import FluidSynth
from appliance.audio.transport import Transport
from appliance.common.atomic_write import move_into_place
from appliance.errors import BachboxError, UsageError, cannot_write
from appliance.ipc.shared_state import LiveSettings
from appliance.music import expression
from appliance.music.codecs.abc import writer
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.events import Event, NoteOn, PieceStart
from appliance.music.files import midi_writer, musicxml_writer, piece_embedding
from appliance.music.files.piece_record import PieceRecord
from appliance.music.temperament import key_cents

if TYPE_CHECKING:
    from appliance.composing.composer import Composer

SAMPLE_RATE: Final = 48_000

BLOCK_FRAMES: Final = 4096
"""Nobody turns a knob here, so blocks may be large; events are placed inside them all the same."""

TAIL_S: Final = 2.0
"""For the last chord to die away, in the church too."""

AGAIN_SUFFIXES: Final = (".wav", ".mid", ".midi", *musicxml_writer.SUFFIXES)
"""What a keepsake can be rendered to."""

SUFFIXES: Final = (".wav", ".mid", ".midi", ".abc")

ONE_PIECE_SUFFIXES: Final = SUFFIXES + musicxml_writer.SUFFIXES

AGAIN_BLOCK_FRAMES: Final = 1024
"""What was turned while the piece played is turned where it was turned, to a block."""


class Length(NamedTuple):
    """How much to render: one of the two."""

    seconds: float | None = None
    pieces: int | None = None


class Rendered(NamedTuple):
    """What came out."""

    seconds: float
    pieces: int
    notes: int


Progress = Callable[[float], None]
"""Told how much is done, 0 to 1."""


def check_outputs(outputs: list[Path], suffixes: Sequence[str] = SUFFIXES) -> None:
    """Refuse what cannot be written before any time is spent.

    Raises:
        UsageError: a suffix that is not ours, or a file named twice.
        BachboxError: a folder that is not there or may not be written to.
    """
    for path in outputs:
        if path.suffix.lower() not in suffixes:
            if path.suffix.lower() in musicxml_writer.SUFFIXES:
                raise UsageError(f"{path}: a score holds one piece: say --pieces 1, or --from FILE")
            raise UsageError(
                f"{path}: cannot write a {path.suffix or 'nameless'} file; name it .wav, .mid "
                "or .abc, or .musicxml for one piece"
            )
        if outputs.count(path) > 1:
            raise UsageError(f"{path}: named twice; name each file once")
        if path.is_dir():
            raise BachboxError(f"cannot write {path}: it is a folder; name a file in it")
        if not path.parent.is_dir():
            raise BachboxError(
                f"cannot write {path}: there is no folder {path.parent}; make it first"
            )
        if not os.access(path.parent, os.W_OK):
            raise BachboxError(
                f"cannot write {path}: you may not write in the folder {path.parent}; choose "
                "another"
            )


def render(
    composer: Composer,
    controls: LiveSettings,
    soundfont: Callable[[], Path],
    outputs: list[Path],
    length: Length,
    progress: Progress,
    keep: Callable[[list[Event], int], PieceRecord],
) -> Rendered:
    """Write ``length`` of the composer's music to every one of ``outputs``.

    ``soundfont`` is asked only where sound is wanted, and ``keep``, which makes a keepsake of a
    piece's events up to a tick, only where that is all.

    Raises:
        UsageError: ABC is asked of a model that writes none.
        BachboxError: a file cannot be written, or the soundfont cannot be read; no output is
            left then, and one that was there before is as it was.
    """
    check_outputs(outputs, ONE_PIECE_SUFFIXES if length.pieces == 1 else SUFFIXES)
    for path in outputs:
        if path.suffix.lower() == ".abc" and composer.bundle.codec.name != AbcCodec.name:
            raise UsageError(
                f"{path}: the model {composer.bundle.name} does not write ABC; a model of tunes "
                "does, such as --model folk; all write .mid"
            )
    with contextlib.ExitStack() as stack:
        # Whatever goes wrong before the last one is whole, none of them appears.
        parts = [(path, stack.enter_context(_complete_or_absent(path))) for path in outputs]
        sounds = [(path, part) for path, part in parts if path.suffix.lower() == ".wav"]
        synth = _synth(soundfont()) if sounds else _Silence()
        tape = _Tape(composer, length.pieces)
        performer = Performer(
            tape.source(), synth, Transport(SAMPLE_RATE, controls.tempo_bpm), lambda: controls
        )
        with contextlib.ExitStack() as open_files:
            files = [open_files.enter_context(_wav(part, path)) for path, part in sounds]
            end_tick = _play(performer, tape, length, files, progress)
        events = [event for event in tape.events if event.tick < end_tick]
        kept = keep(events, math.ceil(end_tick)) if length.pieces == 1 else None
        for path, part in parts:
            suffix = path.suffix.lower()
            with _errors_about(path):
                if suffix == ".abc":
                    _write_abc(part, events, controls, composer)
                elif kept is not None:
                    _put_in(suffix, part, kept, events, [(0, controls)])
                elif suffix != ".wav":
                    _write_midi(part, events, controls, composer)
    return Rendered(
        seconds=performer.frame / SAMPLE_RATE,
        pieces=sum(isinstance(event, PieceStart) for event in events),
        notes=sum(isinstance(event, NoteOn) for event in events),
    )


def again(
    keepsake: PieceRecord,
    steps: Sequence[tuple[int, LiveSettings]],
    soundfont: Callable[[], Path],
    outputs: list[Path],
    progress: Progress,
) -> Rendered:
    """Write a piece that was played to every one of ``outputs``, which keep it in them.

    ``steps`` are the settings with the ticks from which on they hold, the first one 0;
    ``soundfont`` is asked only where sound is wanted.

    Raises:
        BachboxError: as :func:`render`.
    """
    check_outputs(outputs, AGAIN_SUFFIXES)
    events = list(keepsake.events())
    with contextlib.ExitStack() as stack:
        parts = [(path, stack.enter_context(_complete_or_absent(path))) for path in outputs]
        sounds = [(path, part) for path, part in parts if path.suffix.lower() == ".wav"]
        frames = 0
        if sounds:
            frames = _play_again(events, steps, _synth(soundfont()), sounds, progress)
        for path, part in parts:
            with _errors_about(path):
                _put_in(path.suffix.lower(), part, keepsake, events, steps)
        progress(1.0)
    return Rendered(frames / SAMPLE_RATE, 1, keepsake.note_count)


def _play_again(
    events: list[Event],
    steps: Sequence[tuple[int, LiveSettings]],
    synth: Synth,
    parts: list[tuple[Path, Path]],
    progress: Progress,
) -> int:
    """The sound into the files; how many frames."""

    def controls() -> LiveSettings:
        return _at(steps, performer.playhead_tick)

    transport = Transport(SAMPLE_RATE, steps[0][1].tempo_bpm)
    performer = Performer(finished(events), synth, transport, controls)
    end_tick = events[-1].tick
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_wav(part, path)) for path, part in parts]
        tail_blocks = round(TAIL_S * SAMPLE_RATE / AGAIN_BLOCK_FRAMES)
        while tail_blocks:
            tail_blocks -= performer.playhead_tick > end_tick
            sound = performer.render(AGAIN_BLOCK_FRAMES)
            for file in files:
                file.write(sound)
            progress(min(1.0, performer.playhead_tick / (end_tick + 1)))
    return performer.frame


def _at(steps: Sequence[tuple[int, LiveSettings]], tick: float) -> LiveSettings:
    """What holds at ``tick``."""
    return next(now for start, now in reversed(steps) if start <= tick or not start)


def _put_in(
    suffix: str,
    part: Path,
    keepsake: PieceRecord,
    events: list[Event],
    steps: Sequence[tuple[int, LiveSettings]],
) -> None:
    """The piece into a file, behind its sound or as a score."""
    first = steps[0][1]
    if suffix == ".wav":
        piece_embedding.append_to_wav(part, keepsake)
    elif suffix in musicxml_writer.SUFFIXES:
        musicxml_writer.write(part, keepsake, first.tempo_bpm)
    else:
        midi_writer.write(
            part,
            expression.played(events, lambda tick: _at(steps, tick).expression),
            tempo_bpm=first.tempo_bpm,
            program=first.program,
            cents=key_cents(first.temperament, first.pitch_hz),
            title=keepsake.title,
            changes=[midi_writer.Playing(at, c.tempo_bpm, c.program) for at, c in steps[1:]],
            keepsake=keepsake,
        )


def _synth(soundfont: Path) -> Synth:
    try_soundfont(soundfont)
    return FluidSynth(soundfont, SAMPLE_RATE)


class _Silence:
    """A synth for those who want the score alone."""

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        pass

    def note_off(self, voice: int, pitch: int) -> None:
        pass

    def program(self, program: int) -> None:
        pass

    def tune(self, cents: Sequence[float]) -> None:
        pass

    def volume(self, percent: float) -> None:
        pass

    def render(self, frames: int) -> bytes:
        return b""


class _Tape:
    """Keeps the events that were composed, and stops before piece ``pieces`` + 1."""

    def __init__(self, composer: Composer, pieces: int | None) -> None:
        self._composer = composer
        self._pieces = pieces
        self.events: list[Event] = []
        self.end_tick: int | None = None
        """Where the last wanted piece has ended, as soon as that is known."""

    def source(self) -> StepSource:
        """The music, without end: after the last piece there is silence."""
        return StepSource(
            self._step,
            lambda: self._composer.tick if self.end_tick is None else FOREVER_TICK,
        )

    def _step(self) -> list[Event]:
        events = self._composer.step()
        for event in events:
            if isinstance(event, PieceStart) and event.value - 1 == self._pieces:
                self.end_tick = event.tick
                return []
        self.events += events
        return events


def _play(
    performer: Performer,
    tape: _Tape,
    length: Length,
    files: list[WavFile],
    progress: Progress,
) -> float:
    """Play it all into the files; returns the tick at which the music stops."""

    def play(frames: int) -> None:
        while frames > 0:
            block = min(BLOCK_FRAMES, frames)
            sound = performer.render(block)
            for file in files:
                file.write(sound)
            frames -= block

    if length.seconds is not None:
        # The last chord is let go in time to die away within the length that was asked for.
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
        while tape.end_tick is None or performer.playhead_tick < tape.end_tick:
            play(BLOCK_FRAMES)
            progress(max(0, performer.piece.number - 1) / length.pieces)
        end_tick = tape.end_tick
        if files:
            play(round(TAIL_S * SAMPLE_RATE))
    progress(1.0)
    return end_tick


def _write_midi(
    part: Path, events: list[Event], controls: LiveSettings, composer: Composer
) -> None:
    midi_writer.write(
        part,
        expression.played(events, controls.expression),
        tempo_bpm=controls.tempo_bpm,
        program=controls.program,
        cents=key_cents(controls.temperament, controls.pitch_hz),
        title=f"{composer.bundle.title}, seed {composer.seed}",
    )


def _write_abc(part: Path, events: list[Event], controls: LiveSettings, composer: Composer) -> None:
    title = f"{composer.bundle.title}, seed {composer.seed}"
    part.write_text(writer.book(events, tempo_bpm=controls.tempo_bpm, title=title))


@contextlib.contextmanager
def _wav(part: Path, path: Path) -> Iterator[WavFile]:
    file = WavFile(part, SAMPLE_RATE, shown_path=path)
    try:
        yield file
    except BaseException:
        with contextlib.suppress(BachboxError):
            file.close()
        raise
    file.close()


@contextlib.contextmanager
def _complete_or_absent(path: Path) -> Iterator[Path]:
    """Give a temporary file to write to, which becomes ``path`` if the context ends well."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with _errors_about(path):
            move_into_place(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _errors_about(path: Path) -> Iterator[None]:
    """Turn an OSError into a sentence about the file that the user named."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
