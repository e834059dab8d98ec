"""Events as a standard MIDI file, written by mido."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

import mido

from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    TICKS_PER_BEAT,
    Event,
    NoteOff,
    NoteOn,
    Piece,
    PieceStart,
    TempoFactor,
)
from appliance.music.files import parts_and_clefs, piece_embedding
from appliance.music.files.piece_record import PieceRecord
from appliance.music.files.time_signatures import time_signature
from appliance.music.notes import Note, paired
from appliance.music.titles import piece_title

MODES = {False: "", True: "m"}
TONICS = {
    False: ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    True: ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}

_DRUM_CHANNEL: Final = 9

_Timed = list[tuple[int, Any]]
"""Messages of mido, each with its absolute tick."""


class Playing(NamedTuple):
    """The settings with which the music is played from a tick on."""

    tick: int
    tempo_bpm: float
    """Quarter notes per minute; the events' tempo factors are applied to it."""
    program: int
    """General MIDI program, 0 to 127."""
    is_program_chosen: bool = True
    """Pieces do not bring instruments of their own."""


NO_PIECE = Piece(0, 0, False, 4, 0, 0)

STANDARD_CENTS = tuple(100.0 * key for key in range(128))
"""Every key in equal temperament at A4 = 440 Hz, in cents above key 0."""


def write(
    path: Path,
    events: Iterable[Event],
    *,
    tempo_bpm: float,
    program: int,
    is_program_chosen: bool = True,
    title: str,
    changes: Sequence[Playing] = (),
    record: PieceRecord | None = None,
    cents: Sequence[float] = STANDARD_CENTS,
) -> None:
    """Write a type 1 file: a track for tempo, meter and keys, then one for each staff with notes.

    Sources: Standard MIDI Files 1.0 (RP-001), and the MIDI Tuning Standard for ``cents``.

    Args:
        path: written in place; to write a file completely or not at all, write to another path
            and rename it.
        events: in order of tick; notes that still sound at the end are released there.
        tempo_bpm: quarter notes per minute; the events' tempo factors become tempo changes.
        program: General MIDI program, 0 to 127.
        is_program_chosen: pieces do not bring instruments of their own.
        title: name of the first track.
        changes: of tempo and program, in order of tick.
        record: of the piece, embedded in the file for
            :mod:`appliance.music.files.piece_embedding` to find.
        cents: tuning of all 128 keys, in cents above key 0 of :data:`STANDARD_CENTS`. Another
            tuning than the standard one is written for players that know the MIDI Tuning Standard.

    Raises:
        OSError: the file cannot be written.
    """
    events = list(events)
    playing = [Playing(0, tempo_bpm, program, is_program_chosen), *changes]
    tuned = max(map(abs, map(float.__sub__, cents, STANDARD_CENTS))) > MIN_CENTS
    conductor: _Timed = [(0, mido.MetaMessage("track_name", name=title))]
    if tuned:
        conductor += [(0, message) for message in _tuning(cents)]
    if record is not None:
        conductor += [
            (0, mido.MetaMessage("text", text=record.description)),
            (0, mido.MetaMessage("sequencer_specific", data=piece_embedding.midi_data(record))),
        ]
    conductor += _tempos(events, playing)
    for event in events:
        if isinstance(event, PieceStart):
            conductor += _announcement(event)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    for track in (conductor, *_staff_tracks(events, playing, tuned=tuned)):
        # The sort is stable: messages at the same tick keep their order.
        file.tracks.append(_track(sorted(track, key=lambda timed: timed[0])))
    file.save(path)


def _staff_tracks(events: list[Event], playing: Sequence[Playing], *, tuned: bool) -> list[_Timed]:
    """The messages of each staff that has notes; not in order of tick.

    The channels are the voices', so that a note which two voices hold is released by both.
    """
    programs = _programs(events, playing)
    notes: dict[str, list[tuple[NoteOn, NoteOff]]] = defaultdict(list)
    for about, played in _pieces(events):
        for name, pairs in _staves(about, played).items():
            notes[name] += pairs
    tracks: list[_Timed] = []
    for name, pairs in notes.items():
        track: _Timed = [(0, mido.MetaMessage("track_name", name=name))]
        for voice in sorted({on.voice for on, _ in pairs}):
            track += [(0, message) for message in _select_tuning(_channel(voice)) if tuned]
            track += [(tick, _program_change(voice, program)) for tick, program in programs]
        track += [(note.tick, _message(note)) for pair in pairs for note in pair]
        tracks.append(track)
    return tracks


def _pieces(events: list[Event]) -> Iterator[tuple[Piece, list[tuple[NoteOn, NoteOff]]]]:
    """Each piece with its notes; those that are never released end with the music."""
    end_tick = max((event.tick for event in events), default=0)
    pairs = iter(paired(events))
    about: Piece = NO_PIECE
    played: list[tuple[NoteOn, NoteOff]] = []
    for event in events:
        if isinstance(event, PieceStart):
            yield about, played
            about, played = event.piece, []
        elif isinstance(event, NoteOn):
            on, end = next(pairs)
            played.append((on, NoteOff(end.tick if end else end_tick, on.voice, on.pitch)))
    yield about, played


def _staves(
    about: Piece, played: Sequence[tuple[NoteOn, NoteOff]]
) -> dict[str, list[tuple[NoteOn, NoteOff]]]:
    """The notes of a piece by the name of their staff, from the top of the page down."""
    start = about.start_tick
    by_note: dict[Note, list[tuple[NoteOn, NoteOff]]] = defaultdict(list)
    for on, off in played:
        by_note[Note(on.tick - start, off.tick - on.tick, on.pitch, on.voice)].append((on, off))
    return {
        name: [pair for note in dict.fromkeys(staff.notes) for pair in by_note[note]]
        for part in parts_and_clefs.parts_of(about, sorted(by_note))
        for name, staff in zip(part.staff_names, part.staves, strict=True)
        if staff.notes
    }


def _tempos(events: list[Event], playing: Sequence[Playing]) -> _Timed:
    """The tempo changes: what was set, times the piece's own tempo, times the tempo factor."""
    changes: list[tuple[int, Playing | PieceStart | TempoFactor]] = [
        *((now.tick, now) for now in playing),
        *((e.tick, e) for e in events if isinstance(e, PieceStart | TempoFactor)),
    ]
    tempo_bpm = playing[0].tempo_bpm
    piece_permille = permille = FULL_TEMPO_PERMILLE
    found: _Timed = []
    for tick, change in sorted(changes, key=lambda change: change[0]):
        if isinstance(change, Playing):
            tempo_bpm = change.tempo_bpm
        elif isinstance(change, PieceStart):
            piece_permille = change.tempo_permille
        else:
            permille = change.permille
        factor = permille * piece_permille / FULL_TEMPO_PERMILLE**2
        tempo = mido.bpm2tempo(tempo_bpm * factor)
        if found and found[-1][0] == tick:
            found.pop()
        found.append((tick, mido.MetaMessage("set_tempo", tempo=tempo)))
    return found


def _programs(events: list[Event], playing: Sequence[Playing]) -> list[tuple[int, int]]:
    """Ticks and programs: what was chosen, or else the piece's own."""
    changes: list[tuple[int, Playing | PieceStart]] = [
        *((now.tick, now) for now in playing),
        *((event.tick, event) for event in events if isinstance(event, PieceStart)),
    ]
    setting, piece = playing[0], NO_PIECE
    found: list[tuple[int, int]] = []
    for tick, change in sorted(changes, key=lambda change: change[0]):
        if isinstance(change, Playing):
            setting = change
        else:
            piece = change.piece
        chosen = setting.is_program_chosen
        program = piece.sounding_program(setting.program, is_chosen=chosen)
        if found and found[-1][0] == tick:
            found.pop()
        if not found or found[-1][1] != program:
            found.append((tick, program))
    return found


def _program_change(voice: int, program: int) -> mido.Message:
    return mido.Message("program_change", channel=_channel(voice), program=program)


def _channel(voice: int) -> int:
    """The MIDI channel of a voice, from 0; the drum channel is left out."""
    return voice + (voice >= _DRUM_CHANNEL)


def _message(note: NoteOn | NoteOff) -> mido.Message:
    on = isinstance(note, NoteOn)
    return mido.Message(
        "note_on" if on else "note_off",
        channel=_channel(note.voice),
        note=note.pitch,
        velocity=note.velocity if isinstance(note, NoteOn) else 0,
    )


MIN_CENTS = 100 / 2**14
"""The resolution of the MIDI Tuning Standard."""
MAX_KEYS = 64
"""Keys per message; some players do not read longer ones."""


def _tuning(cents: Sequence[float]) -> list[mido.Message]:
    """The messages that define tuning program 0, key by key.

    Source: MIDI Tuning Standard, single note tuning change, real-time (CA-020).
    """
    units = [min(max(round(c / MIN_CENTS), 0), (127 << 14) + 0x3FFE) for c in cents]
    keys = [(key, at >> 14, at >> 7 & 0x7F, at & 0x7F) for key, at in enumerate(units)]
    return [
        mido.Message(
            "sysex",
            data=[0x7F, 0x7F, 0x08, 0x02, 0, MAX_KEYS]
            + [byte for key in keys[first : first + MAX_KEYS] for byte in key],
        )
        for first in range(0, len(keys), MAX_KEYS)
    ]


def _select_tuning(channel: int) -> list[mido.Message]:
    """The messages that let a channel play in tuning program 0 (registered parameter 3)."""
    return [
        mido.Message("control_change", channel=channel, control=control, value=value)
        for control, value in ((101, 0), (100, 3), (6, 0), (101, 127), (100, 127))
    ]


def _announcement(event: PieceStart) -> _Timed:
    about = event.piece
    name = TONICS[about.minor][about.tonic] + MODES[about.minor]
    return [
        (event.tick, mido.MetaMessage("marker", text=piece_title(about))),
        (event.tick, mido.MetaMessage("key_signature", key=name)),
        *_meters(about),
    ]


def _meters(about: Piece) -> _Timed:
    """The time signature; a pickup is a bar of its own before it, as other programs write it."""
    meter = mido.MetaMessage("time_signature", **time_signature(about))
    if not about.pickup_ticks:
        return [(about.start_tick, meter)]
    quarters = Fraction(about.pickup_ticks, TICKS_PER_BEAT)
    under = next((n for n in (1, 2, 4) if (quarters * n).denominator == 1), 8)
    pickup = mido.MetaMessage(
        "time_signature", numerator=max(1, round(quarters * under)), denominator=4 * under
    )
    return [(about.start_tick, pickup), (about.start_tick + about.pickup_ticks, meter)]


def _track(timed: _Timed) -> mido.MidiTrack:
    """A track of messages with relative times, from messages at absolute ticks."""
    track = mido.MidiTrack()
    before = 0
    for tick, message in timed:
        track.append(message.copy(time=tick - before))
        before = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track
