"""Events as a standard MIDI file, written by mido."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from appliance.music.files import piece_embedding
from appliance.music.files.piece_record import PieceRecord
from appliance.music.score import VOICES, Key

VOICE_NAMES = ("Soprano", "Alto", "Tenor", "Bass")
MODES = {False: "", True: "m"}
TONICS = {
    False: ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    True: ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}

_DRUM_CHANNEL: Final = 9

_Timed = list[tuple[int, Any]]
"""mido's messages at their ticks."""


class Playing(NamedTuple):
    """How the music is played from a tick on."""

    tick: int
    tempo_bpm: float
    """Quarters a minute; the events' tempo factors are applied to it."""
    program: int
    """General MIDI program, 0 to 127."""


STANDARD_CENTS = tuple(100.0 * key for key in range(128))
"""Every key as it comes: equal temperament, a' = 440 Hz."""


def write(
    path: Path,
    events: Iterable[Event],
    *,
    tempo_bpm: float,
    program: int,
    title: str,
    changes: Sequence[Playing] = (),
    keepsake: PieceRecord | None = None,
    cents: Sequence[float] = STANDARD_CENTS,
) -> None:
    """Write a type 1 file: a track for tempo, meter and keys, then one a voice.

    Args:
        path: written directly; a caller who wants it whole or not at all moves it into place.
        events: in order of tick; notes still on at the end are left there.
        tempo_bpm: quarters a minute; the events' tempo factors become tempo changes.
        program: General MIDI program, 0 to 127.
        title: the file's name to its reader.
        changes: of tempo and program, in order of tick.
        keepsake: goes into the file, for :mod:`appliance.music.files.piece_embedding` to find.
        cents: how all 128 keys are tuned, in cents above key 0 as it comes. Another tuning than
            that is written down for players that know the MIDI Tuning Standard.

    Raises:
        OSError: the file cannot be written.
    """
    events = list(events)
    playing = [Playing(0, tempo_bpm, program), *changes]
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    conductor: _Timed = [(0, mido.MetaMessage("track_name", name=title))]
    tuned = max(map(abs, map(float.__sub__, cents, STANDARD_CENTS))) > MIN_CENTS
    if tuned:
        conductor += [(0, message) for message in _tuning(cents)]
    if keepsake is not None:
        conductor += [
            (0, mido.MetaMessage("text", text=keepsake.described())),
            (0, mido.MetaMessage("sequencer_specific", data=piece_embedding.midi_data(keepsake))),
        ]
    conductor += _tempos(events, playing)
    count = max((e.voice for e in events if isinstance(e, NoteOn | NoteOff)), default=-1) + 1
    names = VOICE_NAMES if count <= VOICES else [f"Voice {v + 1}" for v in range(count)]
    voices: list[_Timed] = [
        [
            (0, mido.MetaMessage("track_name", name=name)),
            *((0, message) for message in _chosen_tuning(_channel(voice)) if tuned),
            *_programs(voice, playing),
        ]
        for voice, name in enumerate(names)
    ]
    end = 0
    sounding: dict[tuple[int, int], None] = {}
    for event in events:
        end = max(end, event.tick)
        if isinstance(event, PieceStart):
            conductor += _announcement(event)
        elif isinstance(event, NoteOn):
            sounding[event.voice, event.pitch] = None
            message = _note(event.voice, event.pitch, event.velocity, on=True)
            voices[event.voice].append((event.tick, message))
        elif isinstance(event, NoteOff):
            sounding.pop((event.voice, event.pitch), None)
            message = _note(event.voice, event.pitch, 0, on=False)
            voices[event.voice].append((event.tick, message))
    for voice, pitch in sounding:
        voices[voice].append((end, _note(voice, pitch, 0, on=False)))
    for track in (conductor, *voices):
        # Stable: what belongs to the same tick stays in its order.
        file.tracks.append(_track(sorted(track, key=lambda timed: timed[0])))
    file.save(path)


def _tempos(events: list[Event], playing: Sequence[Playing]) -> _Timed:
    """The tempo changes: the tempo that was set, times the music's own tempo factor."""
    turns = [(now.tick, now.tempo_bpm, None) for now in playing]
    factors = [
        (event.tick, None, event.permille) for event in events if isinstance(event, TempoFactor)
    ]
    tempo_bpm, permille = playing[0].tempo_bpm, FULL_TEMPO_PERMILLE
    found: _Timed = []
    for tick, turned, factor in sorted([*turns, *factors], key=lambda change: change[0]):
        tempo_bpm = tempo_bpm if turned is None else turned
        permille = permille if factor is None else factor
        tempo = mido.bpm2tempo(tempo_bpm * permille / FULL_TEMPO_PERMILLE)
        found.append((tick, mido.MetaMessage("set_tempo", tempo=tempo)))
    return found


def _programs(voice: int, playing: Sequence[Playing]) -> _Timed:
    found: _Timed = []
    before = None
    for now in playing:
        if now.program != before:
            before = now.program
            message = mido.Message("program_change", channel=_channel(voice), program=before)
            found.append((now.tick, message))
    return found


def _channel(voice: int) -> int:
    """The MIDI channel of a voice: the drums' is left out."""
    return voice + (voice >= _DRUM_CHANNEL)


def _note(voice: int, pitch: int, velocity: int, *, on: bool) -> mido.Message:
    kind = "note_on" if on else "note_off"
    return mido.Message(kind, channel=_channel(voice), note=pitch, velocity=velocity)


MIN_CENTS = 100 / 2**14
"""The standard's resolution."""
MAX_KEYS = 64
"""In one message: some players read no longer ones."""


def _tuning(cents: Sequence[float]) -> list[mido.Message]:
    """Tuning program 0, key by key.

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


def _chosen_tuning(channel: int) -> list[mido.Message]:
    """Registered parameter 3: the channel plays in tuning program 0."""
    return [
        mido.Message("control_change", channel=channel, control=control, value=value)
        for control, value in ((101, 0), (100, 3), (6, 0), (101, 127), (100, 127))
    ]


def _announcement(event: PieceStart) -> _Timed:
    about = event.piece
    key = Key(about.tonic, about.minor)
    name = TONICS[about.minor][about.tonic] + MODES[about.minor]
    return [
        (event.tick, mido.MetaMessage("marker", text=f"Piece {about.number}, {key}")),
        (event.tick, mido.MetaMessage("key_signature", key=name)),
        (
            event.tick,
            mido.MetaMessage("time_signature", **meter(about)),
        ),
    ]


def meter(about: Piece) -> dict[str, int]:
    """6/8 for two beats of three eighths, 3/8 for three of one, and so on."""
    eighths = about.beats_per_bar * about.beat_ticks * 2 // TICKS_PER_BEAT
    if about.beat_ticks == TICKS_PER_BEAT:
        return {"numerator": about.beats_per_bar, "denominator": 4}
    return {"numerator": eighths, "denominator": 8}


def _track(timed: _Timed) -> mido.MidiTrack:
    """Messages at absolute ticks as a track of deltas."""
    track = mido.MidiTrack()
    before = 0
    for tick, message in timed:
        track.append(message.copy(time=tick - before))
        before = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track
