"""The files that rendered music is written to: sound, MIDI, ABC and MusicXML.

Nothing incomplete ever appears under the name that the user gave: music is written to a temporary
file beside it, which is renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from appliance.audio.outputs import encoded_file
from appliance.audio.outputs.encoded_file import EncodedFile
from appliance.audio.outputs.file_outputs import WavFile
from appliance.common.atomic_write import move_into_place
from appliance.errors import BachboxError, UsageError, cannot_write
from appliance.ipc.shared_state import LiveSettings
from appliance.music import expression
from appliance.music.codecs.abc import writer
from appliance.music.events import Event
from appliance.music.files import midi_writer, musicxml_writer, piece_embedding
from appliance.music.files.piece_record import PieceRecord
from appliance.music.temperament import key_cents

SAMPLE_RATE: Final = 48_000

SOUND_SUFFIXES: Final = (".wav", *encoded_file.SUFFIXES)

SUFFIXES: Final = (*SOUND_SUFFIXES, ".mid", ".midi", ".abc")
"""What music of any length can be written to."""

ONE_PIECE_SUFFIXES: Final = SUFFIXES + musicxml_writer.SUFFIXES
"""What a single composed piece can be written to."""

REPLAY_SUFFIXES: Final = (*SOUND_SUFFIXES, ".mid", ".midi", *musicxml_writer.SUFFIXES)
"""What a replayed piece can be written to."""

Timeline = Sequence[tuple[int, LiveSettings]]
"""Settings, each with the tick from which they apply; the first tick is 0."""


class OutputFile(NamedTuple):
    """A file that is being written."""

    path: Path
    """The name that the user gave."""
    part: Path
    """The temporary file to write to."""

    @property
    def suffix(self) -> str:
        """The suffix of :attr:`path` in small letters, such as ``.wav``."""
        return self.path.suffix.lower()


def check_outputs(outputs: Sequence[Path], suffixes: Sequence[str] = SUFFIXES) -> None:
    """Check that ``outputs`` can be written, before any time is spent on composing.

    Raises:
        UsageError: a suffix is not one of ``suffixes``, or a file is named twice.
        BachboxError: a folder does not exist or is not writable, or libsndfile is missing or
            too old for a suffix.
    """
    for path in outputs:
        if path.suffix.lower() not in suffixes:
            if path.suffix.lower() in musicxml_writer.SUFFIXES:
                raise UsageError(
                    f"{path}: a score holds one piece; use --pieces 1, or --replay FILE"
                )
            raise UsageError(
                f"{path}: cannot write a {path.suffix or 'nameless'} file; name it .wav, .flac, "
                ".ogg, .mp3, .mid or .abc, or .musicxml for one piece"
            )
        if path.suffix.lower() in encoded_file.SUFFIXES:
            encoded_file.check_suffix(path, SAMPLE_RATE)
        if outputs.count(path) > 1:
            raise UsageError(f"{path}: named twice; name each file once")
        if path.is_dir():
            raise BachboxError(f"cannot write {path}: it is a folder; name a file in it")
        if not path.parent.is_dir():
            raise BachboxError(
                f"cannot write {path}: the folder {path.parent} does not exist; create it first"
            )
        if not os.access(path.parent, os.W_OK):
            raise BachboxError(
                f"cannot write {path}: the folder {path.parent} is not writable; choose another"
            )


@contextlib.contextmanager
def complete_or_absent(path: Path) -> Iterator[OutputFile]:
    """Yield a file to write to; it is renamed to ``path`` if the context ends without an error.

    Raises:
        BachboxError: it cannot be renamed; a file that was there before is unchanged.
    """
    output = OutputFile(path, path.with_name(f".{path.name}.{os.getpid()}.part"))
    try:
        yield output
        with errors_about(path):
            move_into_place(output.part, path)
    finally:
        with contextlib.suppress(OSError):
            output.part.unlink(missing_ok=True)


@contextlib.contextmanager
def errors_about(path: Path) -> Iterator[None]:
    """Turn an OSError into a BachboxError about the file that the user named.

    Raises:
        BachboxError: the block raised an OSError; the sentence names ``path``.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


@contextlib.contextmanager
def sound_file(output: OutputFile, tags: Mapping[str, str]) -> Iterator[WavFile | EncodedFile]:
    """Open a stereo sound file at :data:`SAMPLE_RATE`.

    Args:
        output: the file; its suffix says how it is encoded.
        tags: title, artist, comment and software, for those formats that are compressed.

    Raises:
        BachboxError: it cannot be written.
    """
    file: WavFile | EncodedFile
    if output.suffix == ".wav":
        file = WavFile(output.part, SAMPLE_RATE, shown_path=output.path)
    else:
        file = EncodedFile(output.part, output.suffix, SAMPLE_RATE, tags, output.path)
    try:
        yield file
    except BaseException:
        with contextlib.suppress(BachboxError):
            file.close()
        raise
    file.close()


def write_piece(
    output: OutputFile, record: PieceRecord, events: Sequence[Event], timeline: Timeline
) -> None:
    """Write one piece, with ``record`` embedded for ``bachbox render --replay``.

    Args:
        output: a score to write, or a file that has its sound already.
        record: the piece.
        events: the same piece's events, in order of tick.
        timeline: how it is played.

    Raises:
        BachboxError: the file cannot be written.
    """
    first = timeline[0][1]
    with errors_about(output.path):
        if output.suffix == ".wav":
            piece_embedding.append_to_wav(output.part, record)
        elif output.suffix in SOUND_SUFFIXES:
            pass  # It has its tags already, and no place for a record.
        elif output.suffix in musicxml_writer.SUFFIXES:
            musicxml_writer.write(output.part, record, first.tempo_bpm)
        else:
            midi_writer.write(
                output.part,
                expression.apply_expression(
                    events, lambda tick: settings_at(timeline, tick).expression
                ),
                tempo_bpm=first.tempo_bpm,
                program=first.program,
                is_program_chosen=first.is_program_chosen,
                cents=key_cents(first.temperament, first.pitch_hz),
                title=record.title,
                changes=[
                    midi_writer.Playing(
                        tick, settings.tempo_bpm, settings.program, settings.is_program_chosen
                    )
                    for tick, settings in timeline[1:]
                ],
                record=record,
            )


def settings_at(timeline: Timeline, tick: float) -> LiveSettings:
    """Return the settings that apply at ``tick``."""
    return next(settings for start, settings in reversed(timeline) if start <= tick or start == 0)


def write_midi(
    output: OutputFile, events: Sequence[Event], settings: LiveSettings, title: str
) -> None:
    """Write ``events``, any number of pieces, as a MIDI file.

    Raises:
        BachboxError: the file cannot be written.
    """
    with errors_about(output.path):
        midi_writer.write(
            output.part,
            expression.apply_expression(events, settings.expression),
            tempo_bpm=settings.tempo_bpm,
            program=settings.program,
            is_program_chosen=settings.is_program_chosen,
            cents=key_cents(settings.temperament, settings.pitch_hz),
            title=title,
        )


def write_abc(
    output: OutputFile, events: Sequence[Event], settings: LiveSettings, title: str
) -> None:
    """Write ``events``, any number of tunes, as an ABC tune book.

    Raises:
        BachboxError: the file cannot be written.
    """
    with errors_about(output.path):
        output.part.write_text(
            writer.format_book(events, tempo_bpm=settings.tempo_bpm, title=title)
        )
