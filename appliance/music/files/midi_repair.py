"""Standard MIDI files as people have them, made readable for mido.

A file may be wrapped in RIFF, have chunks of other programs, a longer header or wrong lengths, and
its tracks may hold meta events that make no sense. All of that is passed over here: mido gets a
file with nothing but notes, the controllers that end or hold them, programs, time and key
signatures, tempos and the names of tracks. Source: Standard MIDI Files 1.0 (RP-001).
"""

from __future__ import annotations

import io
import re
import struct
from typing import Final, NamedTuple

import mido

from appliance.music.files.midi_bends import BentNotes
from appliance.music.files.midi_drums import BANK_SELECT, DrumChannels
from appliance.music.files.score_file import MAX_NOTES

SUSTAIN_PEDAL: Final = 64
"""The controller number of the sustain pedal."""
RESET_ALL_CONTROLLERS: Final = 121
"""The controller number that lifts the pedal too."""
ENDS_OF_NOTES: Final = (120, 123)
"""The controller numbers of All Sound Off and All Notes Off."""
_KEPT_CONTROLLERS: Final = (SUSTAIN_PEDAL, RESET_ALL_CONTROLLERS, *ENDS_OF_NOTES)
SMPTE_BPM: Final = 120
"""The tempo at which time in SMPTE frames becomes beats; a file without a tempo has it too."""
MAX_EVENTS: Final = 500_000
MAX_TRACKS: Final = 1000

_HEADER: Final = struct.Struct(">4sIHHh")
_CHUNK: Final = struct.Struct(">4sI")
_ANOTHER_FILE: Final = b"MThd\0\0\0\x06"
_HEADER_SEARCH_BYTES: Final = 1 << 16
_MAX_DENOMINATOR_POWER: Final = 6
_MAX_ACCIDENTALS: Final = 7
_NOTE_OFF, _NOTE_ON, _CONTROL_CHANGE = 0x80, 0x90, 0xB0
_PROGRAM_CHANGE, _CHANNEL_PRESSURE, _PITCH_BEND = 0xC0, 0xD0, 0xE0
_TIME_SIGNATURE, _KEY_SIGNATURE, _SET_TEMPO = 0x58, 0x59, 0x51
_END_OF_TRACK, _TRACK_NAME = 0x2F, 0x03
_MAX_NAME_BYTES: Final = 100
_META_SIZES: Final = {_TIME_SIGNATURE: 4, _KEY_SIGNATURE: 2, _SET_TEMPO: 3}
"""The meta events that are kept, with the number of their data bytes."""
_SYSTEM_SIZES: Final = {0xF1: 1, 0xF2: 2, 0xF3: 1}
"""Data bytes of the system messages that have any."""


class RepairedMidi(NamedTuple):
    """A MIDI file that mido has read.

    ``file.ticks_per_beat`` is not used: the file may count time in frames.
    """

    file: mido.MidiFile
    ticks_per_beat: float
    notices: tuple[str, ...]
    """What was not taken as it is written, in words for the user."""
    drum_channels: frozenset[int]
    """The channels that play drums, from 0."""


def load(content: bytes) -> RepairedMidi:
    """Read the content of a MIDI file.

    Raises:
        ValueError: it is not one, or has more than :data:`MAX_EVENTS` events,
            :data:`MAX_NOTES` notes or :data:`MAX_TRACKS` tracks.
    """
    start = content.find(b"MThd", 0, _HEADER_SEARCH_BYTES)
    if start < 0 or len(content) < start + _HEADER.size:
        is_xml = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        raise ValueError("it is a web page, or XML" if is_xml else "it has no MIDI header")
    _, length, file_type, count, division = _HEADER.unpack_from(content, start)
    ticks_per_beat, notices = _ticks_per_beat(division)
    following = content.find(_ANOTHER_FILE, start + _HEADER.size)
    if following >= 0:
        content = content[:following]
        notices.append("another MIDI file follows in the same file; it was left out")
    drums = DrumChannels()
    tracks, broken, bent = _tracks(content, start + _CHUNK.size + max(6, length), drums)
    if bent:
        notices.append(f"bends of the pitch wheel were left out ({bent} notes)")
    if broken:
        notices.append(
            "a track breaks off and was read up to there"
            if broken == 1
            else f"{broken} tracks break off and were read up to there"
        )
    if 0 < len(tracks) < count:
        notices.append(f"it has {len(tracks)} of the {count} tracks that its header tells of")
    if file_type > 2:
        notices.append(f"its MIDI type is {file_type}, which there is not; it was read as type 1")
        file_type = 1
    header = _HEADER.pack(b"MThd", 6, file_type, len(tracks), 480)
    chunks = (_CHUNK.pack(b"MTrk", len(track)) + track for track in tracks)
    file = mido.MidiFile(file=io.BytesIO(header + b"".join(chunks)), clip=True)
    return RepairedMidi(file, ticks_per_beat, tuple(notices), drums.found())


def _ticks_per_beat(division: int) -> tuple[float, list[str]]:
    """Ticks of a quarter note, and what there is to say about them.

    Raises:
        ValueError: the division is zero or not one of SMPTE.
    """
    if division >= 0:
        if not division:
            raise ValueError("no ticks in a beat")
        return float(division), []
    frames_per_s, ticks_per_frame = -(division >> 8), division & 0xFF
    if frames_per_s not in (24, 25, 29, 30) or not ticks_per_frame:
        raise ValueError(f"it has {frames_per_s} frames a second of {ticks_per_frame} ticks")
    exact_frames_per_s = 30_000 / 1001 if frames_per_s == 29 else frames_per_s
    ticks_per_beat = exact_frames_per_s * ticks_per_frame * 60 / SMPTE_BPM
    return ticks_per_beat, [f"its time is in SMPTE frames and was read at {SMPTE_BPM} BPM"]


class _Budget:
    """Counts what has been read of a file, so that no file takes minutes."""

    def __init__(self) -> None:
        self.events = 0
        self.notes = 0

    def spend(self, status: int) -> None:
        """Count an event.

        Raises:
            ValueError: there are too many.
        """
        self.events += 1
        self.notes += status & 0xF0 == _NOTE_ON
        if self.events > MAX_EVENTS:
            raise ValueError(f"it has more than {MAX_EVENTS} events")
        if self.notes > 2 * MAX_NOTES:  # Many programs write note-offs as note-ons.
            raise ValueError(f"it has more than {MAX_NOTES} notes")


def _tracks(content: bytes, position: int, drums: DrumChannels) -> tuple[list[bytes], int, int]:
    """The contents of the tracks from ``position`` on.

    Returns:
        the contents, how many of the tracks break off, and how many notes are bent.
    """
    budget = _Budget()
    tracks: list[bytes] = []
    broken = bent = 0
    while 0 <= position <= len(content) - _CHUNK.size:
        name, length = _CHUNK.unpack_from(content, position)
        start = position + _CHUNK.size
        if name == b"MTrk":
            end = _track_end(content, start, length)
            cleaner = _TrackCleaner(content[start:end], budget, drums)
            tracks.append(cleaner.clean())
            if len(tracks) > MAX_TRACKS:
                raise ValueError(f"it has more than {MAX_TRACKS} tracks")
            broken += cleaner.broken or (not cleaner.has_end and start + length > end)
            bent += cleaner.bent_notes.count
            position = end
        elif _is_name(name) and start + length <= len(content):
            position = start + length
        else:
            position = content.find(b"MTrk", position + 1)
    return tracks, broken, bent


def _is_name(name: bytes) -> bool:
    return re.fullmatch(rb"[ -~]{4}", name) is not None


def _track_end(content: bytes, start: int, length: int) -> int:
    """Where a track ends: as its length says if a chunk or the end follows there."""
    end = start + length
    if end == len(content) or (end < len(content) and _is_name(content[end : end + 4])):
        return end
    following = content.find(b"MTrk", start)
    return following if following >= 0 else len(content)


class _TrackCleaner:
    """Rewrites a track without what its music does not need.

    Args:
        data: the content of the track.
        budget: of the file.
        drums: of the file.
    """

    def __init__(self, data: bytes, budget: _Budget, drums: DrumChannels) -> None:
        self._data = data
        self._budget = budget
        self._drums = drums
        self._position = 0
        self.broken = False
        """Whether the track ends within an event, or has data where an event should begin."""
        self.has_end = False
        """Whether the track has an end-of-track event."""
        self.bent_notes = BentNotes()

    def clean(self) -> bytes:
        """The track with the events that are kept and an end-of-track event.

        Raises:
            ValueError: the budget is exhausted.
        """
        cleaned = bytearray()
        ticks = 0
        running = 0
        while self._position < len(self._data):
            try:
                ticks += self._number()
                status = self._data[self._position]
                if status >= 0x80:
                    self._position += 1
                elif running:
                    status = running
                else:
                    raise IndexError
                if status < 0xF0:
                    running = status
                event = self._event(status)
            except IndexError:
                self.broken = True
                break
            self._budget.spend(status)
            if event is None:
                self.has_end = True
                break
            if event:
                cleaned += _encoded(ticks) + event
                ticks = 0
        return bytes(cleaned + _encoded(ticks)) + bytes((0xFF, _END_OF_TRACK, 0))

    def _event(self, status: int) -> bytes | None:
        """The event that begins after its status; empty if it is dropped, ``None`` at the end.

        Raises:
            IndexError: it breaks off.
        """
        if status == 0xFF:
            return self._meta_event()
        if status in (0xF0, 0xF7):
            self._drums.take_exclusive(self._bytes(self._number()))
            return b""
        if status >= 0xF0:
            self._bytes(_SYSTEM_SIZES.get(status, 0))
            return b""
        kind = status & 0xF0
        size = 1 if kind in (_PROGRAM_CHANGE, _CHANNEL_PRESSURE) else 2
        data = [self._data_byte() for _ in range(size)]
        channel = status & 0x0F
        if kind == _CONTROL_CHANGE and data[0] == BANK_SELECT:
            self._drums.take_bank(channel, data[1])
        elif kind == _PITCH_BEND:
            self.bent_notes.take_wheel(channel, data[0] | data[1] << 7)
        elif kind in (_NOTE_OFF, _NOTE_ON):
            self.bent_notes.take_note(channel, data[0], data[1] if kind == _NOTE_ON else 0)
        is_kept = kind in (_NOTE_OFF, _NOTE_ON, _PROGRAM_CHANGE) or (
            kind == _CONTROL_CHANGE and data[0] in _KEPT_CONTROLLERS
        )
        return bytes((status, *data)) if is_kept else b""

    def _meta_event(self) -> bytes | None:
        kind = self._byte()
        data = self._bytes(self._number())
        if kind == _END_OF_TRACK:
            return None
        if kind == _TRACK_NAME:
            data = data[:_MAX_NAME_BYTES]
            return bytes((0xFF, kind, len(data))) + data
        size = _META_SIZES.get(kind, len(data) + 1)
        if len(data) < size:
            return b""
        if kind == _TIME_SIGNATURE and (not data[0] or data[1] > _MAX_DENOMINATOR_POWER):
            return b""
        if kind == _KEY_SIGNATURE:
            accidentals = min(data[0], 256 - data[0])  # Flats are negative.
            if accidentals > _MAX_ACCIDENTALS or data[1] > 1:
                return b""
        return bytes((0xFF, kind, size)) + data[:size]

    def _data_byte(self) -> int:
        """The next data byte; real-time messages between data bytes are passed over."""
        while (byte := self._byte()) >= 0xF8:
            pass
        return min(byte, 127)

    def _byte(self) -> int:
        self._position += 1
        return self._data[self._position - 1]

    def _bytes(self, count: int) -> bytes:
        if self._position + count > len(self._data):
            raise IndexError
        self._position += count
        return self._data[self._position - count : self._position]

    def _number(self) -> int:
        """A number of variable length, at most four bytes."""
        number = 0
        for _ in range(4):
            byte = self._byte()
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                break
        return number


def _encoded(number: int) -> bytes:
    """A number in the variable length of MIDI files."""
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(0x80 | number & 0x7F)
    return bytes(reversed(found))
