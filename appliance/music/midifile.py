"""Events as a standard MIDI file, written by mido."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import mido

from appliance.music.notes import TICKS_PER_BEAT, Event, Kind, Piece, piece_of
from appliance.music.score import Key

VOICE_NAMES = ("Soprano", "Alto", "Tenor", "Bass")
MODES = {False: "", True: "m"}
TONICS = {
    False: ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    True: ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}


def write(
    path: Path, events: Iterable[Event], *, tempo_bpm: float, program: int, title: str
) -> None:
    """Write a type 1 file: a track for tempo, metre and keys, then one a voice.

    Args:
        path: written directly; a caller who wants it whole or not at all moves it into place.
        events: in order of tick; notes still on at the end are left there.
        tempo_bpm: quarters a minute; the events' pace becomes tempo changes.
        program: General MIDI program, 0 to 127.
        title: the file's name to its reader.

    Raises:
        OSError: the file cannot be written.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    conductor: list[tuple[int, mido.MetaMessage | mido.Message]] = [
        (0, mido.MetaMessage("track_name", name=title)),
        (0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo_bpm))),
    ]
    voices: list[list[tuple[int, mido.MetaMessage | mido.Message]]] = [
        [
            (0, mido.MetaMessage("track_name", name=name)),
            (0, mido.Message("program_change", channel=voice, program=program)),
        ]
        for voice, name in enumerate(VOICE_NAMES)
    ]
    end = 0
    sounding: dict[tuple[int, int], None] = {}
    for event in events:
        end = max(end, event.tick)
        if event.kind == Kind.PIECE:
            conductor += _announcement(event)
        elif event.kind == Kind.PACE:
            tempo = mido.bpm2tempo(tempo_bpm * event.value / 1000)
            conductor.append((event.tick, mido.MetaMessage("set_tempo", tempo=tempo)))
        elif event.kind in (Kind.NOTE_ON, Kind.NOTE_OFF):
            on = event.kind == Kind.NOTE_ON
            if on:
                sounding[event.voice, event.pitch] = None
            else:
                sounding.pop((event.voice, event.pitch), None)
            voices[event.voice].append(
                (event.tick, _note(event.voice, event.pitch, event.velocity, on=on))
            )
    for voice, pitch in sounding:
        voices[voice].append((end, _note(voice, pitch, 0, on=False)))
    for track in (conductor, *voices):
        file.tracks.append(_track(track))
    file.save(path)


def _note(voice: int, pitch: int, velocity: int, *, on: bool) -> mido.Message:
    kind = "note_on" if on else "note_off"
    return mido.Message(kind, channel=voice, note=pitch, velocity=velocity)


def _announcement(event: Event) -> list[tuple[int, mido.MetaMessage | mido.Message]]:
    about = piece_of(event)
    key = Key(about.tonic, about.minor)
    name = TONICS[about.minor][about.tonic] + MODES[about.minor]
    return [
        (event.tick, mido.MetaMessage("marker", text=f"Piece {about.number}, {key}")),
        (event.tick, mido.MetaMessage("key_signature", key=name)),
        (
            event.tick,
            mido.MetaMessage("time_signature", **_metre(about)),
        ),
    ]


def _metre(about: Piece) -> dict[str, int]:
    """6/8 for two beats of three eighths, 3/8 for three of one, and so on."""
    eighths = about.beats_per_bar * about.beat_ticks * 2 // TICKS_PER_BEAT
    if about.beat_ticks == TICKS_PER_BEAT:
        return {"numerator": about.beats_per_bar, "denominator": 4}
    return {"numerator": eighths, "denominator": 8}


def _track(timed: list[tuple[int, mido.MetaMessage | mido.Message]]) -> mido.MidiTrack:
    """Messages at absolute ticks as a track of deltas."""
    track = mido.MidiTrack()
    before = 0
    for tick, message in timed:
        track.append(message.copy(time=tick - before))
        before = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track
