"""Standard MIDI Files 1.0 (RP-001), read by mido."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import mido

from appliance.errors import UsageError
from appliance.music import key_names
from appliance.music.events import TICKS_PER_BEAT, NoteOff, NoteOn
from appliance.music.files import midi_repair
from appliance.music.files.score_file import KeySignature, ScoreFile, first_line
from appliance.music.files.time_signatures import (
    TimeSignature,
    split_pickup,
    without_short_last_bar,
)
from appliance.music.notes import Note, paired

SUFFIXES: Final = (".mid", ".midi", ".kar", ".rmi", ".smf")
"""Those of karaoke and of MIDI in RIFF, too."""

_PEDAL_DOWN: Final = 64
"""The pedal is down from this controller value on."""

Spans = Mapping[int, list[tuple[int, int]]]
"""Half-open spans of ticks in which the sustain pedal of a channel is down, in order."""


def read(path: Path) -> ScoreFile:
    """Read the notes of a MIDI file, one part per track and channel, without drums.

    Notes that the sustain pedal holds last until it is lifted. Notes that are never released end
    with their track.

    Raises:
        UsageError: it is not a MIDI file, or has too many notes.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    try:
        midi = midi_repair.load(content)
    except Exception as why:  # mido raises whatever it meets in garbage, an OSError too
        raise UsageError(
            f"not a MIDI file that can be read ({first_line(why)})", path=path
        ) from why
    return _score_file(midi, path.stem)


class _Track:
    """What a track holds, in ticks of the file."""

    def __init__(self, messages: Iterable[Any]) -> None:
        self.events: list[NoteOn | NoteOff] = []
        self.signatures: list[TimeSignature] = []
        self.keys: list[tuple[int, KeySignature]] = []
        """Tick and key signature."""
        self.name = ""
        self.pedal: list[tuple[int, int, bool]] = []
        """Tick, channel, and whether the pedal is down from there on."""
        self.unreleased = 0
        """How many notes of :meth:`notes` are never released."""
        self._sounding: dict[int, dict[int, int]] = defaultdict(dict)
        """By channel, the pitches that are not released yet, with the ticks of their beginnings."""
        tick = 0
        for message in messages:
            tick += message.time
            if message.type == "time_signature":
                signature = TimeSignature(tick, message.numerator, message.denominator)
                self.signatures.append(signature)
            elif message.type == "key_signature":
                self.keys.append((tick, _key_signature(message.key)))
            elif message.type == "track_name":
                self.name = self.name or _text(message.name).strip("\0 ")
            elif message.type == "control_change":
                self._take_controller(message, tick)
            elif message.type in ("note_on", "note_off"):
                self._take_note(_event(message, tick))
        self.end_tick = tick

    def _take_controller(self, message: Any, tick: int) -> None:
        if message.control in midi_repair.ENDS_OF_NOTES:
            # Not what begins at the same tick: programs write this event behind it.
            pitches = self._sounding[message.channel]
            for pitch in [pitch for pitch, start in pitches.items() if start < tick]:
                self._take_note(NoteOff(tick, message.channel, pitch))
        else:
            is_down = message.control == midi_repair.SUSTAIN_PEDAL and message.value >= _PEDAL_DOWN
            self.pedal.append((tick, message.channel, is_down))

    def _take_note(self, event: NoteOn | NoteOff) -> None:
        self.events.append(event)
        pitches = self._sounding[event.voice]
        if isinstance(event, NoteOn):
            pitches[event.pitch] = event.tick
        else:
            pitches.pop(event.pitch, None)

    def notes(self, ticks_per_beat: float) -> dict[int, list[Note]]:
        """The notes of each channel, in the order of their beginnings."""
        channels: dict[int, list[Note]] = defaultdict(list)
        for on, off in _paired(self.events):
            end = off.tick if off else self.end_tick
            if off is None:
                self.unreleased += 1
                if end <= on.tick:  # A note that begins where its track ends is still a note.
                    end = on.tick + round(ticks_per_beat)
            channels[on.voice].append(Note(on.tick, end - on.tick, on.pitch, on.voice))
        return channels


def _score_file(midi: midi_repair.RepairedMidi, name: str) -> ScoreFile:
    notices = [*midi.notices]
    tracks = [_Track(messages) for messages in midi.file.tracks]
    if midi.file.type == 2:
        tracks = _first_sequence(tracks, notices)
    scale = TICKS_PER_BEAT / midi.ticks_per_beat
    pedal = _pedal_spans(tracks)
    pedal_counts = drum_parts = without_length = 0
    parts: list[tuple[Note, ...]] = []
    names: list[str] = []
    for track in tracks:
        for channel, notes in track.notes(midi.ticks_per_beat).items():
            if channel in midi.drum_channels:
                drum_parts += 1
                continue
            held = _with_pedal(notes, pedal.get(channel, []))
            pedal_counts += sum(a != b for a, b in zip(notes, held, strict=True))
            sounding = [note for note in held if note.length > 0]
            without_length += len(held) - len(sounding)
            parts.append(tuple(_scaled(note, scale, len(parts)) for note in sounding))
            names.append(track.name)
    if drum_parts:
        count = len(parts) + drum_parts
        notices.append(f"read {len(parts)} of {count} tracks (percussion left out)")
    if without_length:
        notices.append(f"notes without a length were left out ({without_length})")
    if pedal_counts:
        notices.append("the pedal was taken as length")
    if unreleased := sum(track.unreleased for track in tracks):
        notices.append(f"notes that are never released end with their track ({unreleased} notes)")
    # Of several at one tick, the last counts: programs write 4/4 first and then what is meant.
    written = {signature.tick: signature for track in tracks for signature in track.signatures}
    end_tick = max((note.end for part in parts for note in part), default=0) / scale
    pickup_ticks, signatures = split_pickup(
        sorted(written.values(), key=lambda signature: signature.tick), midi.ticks_per_beat
    )
    signatures = without_short_last_bar(signatures, midi.ticks_per_beat, end_tick)
    return ScoreFile(
        name,
        tuple(parts),
        tuple((signature.numerator, signature.denominator) for signature in signatures),
        first_bar_ticks=None if pickup_ticks is None else round(pickup_ticks * scale),
        notices=tuple(notices),
        part_names=tuple(names),
        titles=tuple(name for track in tracks if (name := track.name))[:1],
        key_signature=min((key for t in tracks for key in t.keys), default=(0, None))[1],
    )


def _first_sequence(tracks: list[_Track], notices: list[str]) -> list[_Track]:
    """The first track with notes of a file of type 2, whose tracks are independent pieces."""
    sequences = [track for track in tracks if track.events]
    if len(sequences) > 1:
        notices.append(f"it has {len(sequences)} pieces (MIDI type 2); the first of them was read")
    return sequences[:1]


def _text(latin: str) -> str:
    """A text that mido read as Latin-1; most programs write UTF-8."""
    try:
        return latin.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return latin


def _key_signature(name: str) -> KeySignature:
    """The key signature that mido calls ``name``, such as "Ebm"."""
    key = key_names.find(name)
    if key is None:
        raise ValueError(f"{name} is no key")
    return KeySignature(key.fifths, key.minor)


def _event(message: mido.Message, tick: int) -> NoteOn | NoteOff:
    """A note message of mido as an event, with the channel as its voice."""
    if message.type == "note_on" and message.velocity:
        return NoteOn(tick, message.channel, message.note, message.velocity)
    return NoteOff(tick, message.channel, message.note)


def _paired(
    events: Iterable[NoteOn | NoteOff],
) -> list[tuple[NoteOn, NoteOn | NoteOff | None]]:
    """Each note-on of a track with the event that ends its note, in the order of the note-ons.

    Where notes of a pitch overlap on a channel and each has a note-off, the first note-off ends the
    first note. Where a note-off is missing, a note ends with the next note-on of its pitch.
    """
    ends: dict[int, NoteOn | NoteOff] = {}
    """By the place of a note-on among the events."""
    groups: dict[tuple[int, int], list[tuple[int, NoteOn | NoteOff]]] = defaultdict(list)
    """By channel and pitch, the events since no note of them sounded."""
    sounding: Counter[tuple[int, int]] = Counter()
    ons: list[tuple[int, NoteOn]] = []
    for place, event in enumerate(events):
        key = event.voice, event.pitch
        if isinstance(event, NoteOn):
            ons.append((place, event))
        elif not sounding[key]:
            continue
        sounding[key] += 1 if isinstance(event, NoteOn) else -1
        groups[key].append((place, event))
        if not sounding[key]:
            group = groups.pop(key)
            begun = [at for at, member in group if isinstance(member, NoteOn)]
            released = [member for _, member in group if isinstance(member, NoteOff)]
            ends.update(zip(begun, released, strict=True))
    for group in groups.values():
        begun = [at for at, member in group if isinstance(member, NoteOn)]
        pairs = paired(member for _, member in group)
        ends.update((at, end) for at, (_, end) in zip(begun, pairs, strict=True) if end)
    return [(on, ends.get(place)) for place, on in ons]


def _pedal_spans(tracks: Iterable[_Track]) -> Spans:
    """Where the pedal of each channel is down; one that is never lifted is down to the end."""
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    down_since: dict[int, int] = {}
    changes = sorted((c for t in tracks for c in t.pedal), key=lambda change: change[0])
    for tick, channel, is_down in changes:
        if is_down:
            down_since.setdefault(channel, tick)
        elif channel in down_since:
            spans[channel].append((down_since.pop(channel), tick))
    end_tick = max((e.tick for t in tracks for e in t.events), default=0)
    for channel, tick in down_since.items():
        spans[channel].append((tick, end_tick))
    return spans


def _with_pedal(notes: list[Note], spans: list[tuple[int, int]]) -> list[Note]:
    """Notes of a channel that last until the pedal is lifted or the same pitch is struck again."""
    if not spans:
        return notes
    next_start: dict[int, int] = {}
    held: list[Note] = []
    for note in reversed(notes):
        end = note.end
        index = bisect_left(spans, (end, 0)) - 1
        if index >= 0 and end < spans[index][1]:
            end = max(end, min(spans[index][1], next_start.get(note.pitch, spans[index][1])))
        held.append(note._replace(length=end - note.start))
        next_start[note.pitch] = note.start
    return held[::-1]


def _scaled(note: Note, scale: float, part: int) -> Note:
    """A note in ticks of :data:`TICKS_PER_BEAT`; a length above 0 does not become 0."""
    length = max(1, round(note.length * scale)) if note.length > 0 else 0
    return Note(round(note.start * scale), length, note.pitch, part)
