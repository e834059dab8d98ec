"""The voices of the music, each with an instrument and a level of its own, or silent.

A chorale has four voices. A keyboard has two hands: the upper one plays from middle C up, with what
is set for the soprano, and the lower one with what is set for the bass. A violin's music and a
tune have one part, which plays with what is set for all.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, Protocol

from appliance.ipc.shared_state import NO_PIECE, SAME_PROGRAM, LiveSettings
from appliance.music import kinds, titles
from appliance.music.arpeggio import Manner, manner_of
from appliance.music.codecs.voice_allocation import MAX_VOICES
from appliance.music.events import NO_PROGRAM, Piece
from appliance.music.playability import KEYBOARDS

_SOPRANO: Final = 0
_BASS: Final = 3
_MIDDLE_C: Final = 60

FULL_LEVEL: Final = 100.0


class Parts(enum.Enum):
    """What parts the music of a piece has."""

    FOUR_VOICES = enum.auto()
    TWO_HANDS = enum.auto()
    ONE = enum.auto()


class Channel(NamedTuple):
    """How one channel of the synth plays."""

    program: int
    """General MIDI program, 0 to 127."""
    level: float
    """0 (silent) to 100 percent of perceived loudness."""


class ChannelSynth(Protocol):
    """The part of :class:`appliance.audio.performer.Synth` that plays notes."""

    def note_on(self, voice: int, pitch: int, velocity: int) -> None: ...

    def note_off(self, voice: int, pitch: int) -> None: ...

    def program(self, program: int) -> None: ...

    def voice(self, voice: int, program: int, level: float) -> None: ...


def parts_of(piece: Piece) -> Parts:
    """Return what parts the music of ``piece`` has, as far as its facts tell."""
    if piece.program != NO_PROGRAM:
        return Parts.TWO_HANDS if piece.program in KEYBOARDS else Parts.ONE
    if piece.group == titles.TUNES:
        return Parts.ONE
    return Parts.FOUR_VOICES if kinds.NAMES[piece.kind] in ("", "chorale") else Parts.TWO_HANDS


class VoicePlayer:
    """Plays the voices' notes on the channels of ``synth``, those of silent voices not at all.

    What is set applies at once: notes that are held end, or begin, or change their instrument.
    """

    def __init__(self, synth: ChannelSynth) -> None:
        self._synth = synth
        self._applied: tuple[object, ...] = ()
        self._parts = Parts.FOUR_VOICES
        self._program: int | None = None
        self._channels: dict[int, Channel] = {}
        """Those that do not play as all do."""
        self._held: dict[tuple[int, int], tuple[int, int]] = {}
        """The channel and the velocity of each note that is held, by voice and pitch."""

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        """Begin a note of ``voice``: MIDI note number and MIDI velocity, 0 to 127."""
        channel = self._channel_of(voice, pitch)
        self._held[voice, pitch] = channel, velocity
        if self._is_heard(channel):
            self._synth.note_on(channel, pitch, velocity)

    def note_off(self, voice: int, pitch: int) -> None:
        """Release the MIDI note ``pitch`` of ``voice``."""
        channel, _ = self._held.pop((voice, pitch), (self._channel_of(voice, pitch), 0))
        self._synth.note_off(channel, pitch)

    def apply(self, settings: LiveSettings, piece: Piece = NO_PIECE) -> None:
        """Play ``piece`` as ``settings`` say, from now on."""
        program = piece.sounding_program(settings.program, is_chosen=settings.is_program_chosen)
        asked = piece, program, settings.voice_programs, settings.voice_levels
        if asked == self._applied:
            return
        self._applied, parts = asked, parts_of(piece)
        channels = _channels(parts, settings, program)
        before, self._parts = self._channels, parts
        usual_before, usual = Channel(self._program or 0, FULL_LEVEL), Channel(program, FULL_LEVEL)
        is_new_program = program != self._program
        struck = []
        for (voice, pitch), (channel, velocity) in self._held.items():
            old = before.get(channel, usual_before)
            new = channels.get(channel, usual)
            if old.program != new.program or (old.level > 0) != (new.level > 0) or is_new_program:
                self._synth.note_off(channel, pitch)
                struck.append((voice, pitch, velocity))
        self._channels, self._program = channels, program
        if is_new_program:
            self._synth.program(program)
        for number in {**before, **channels}:
            channel_now = channels.get(number, usual)
            if is_new_program or channel_now != before.get(number, usual_before):
                self._synth.voice(number, *channel_now)
        for voice, pitch, velocity in struck:
            self.note_on(voice, pitch, velocity)

    def program_of(self, voice: int, pitch: int) -> int:
        """Return the General MIDI program that plays a note."""
        usual = Channel(self._program or 0, FULL_LEVEL)
        return self._channels.get(self._channel_of(voice, pitch), usual).program

    def manner(self, voice: int, pitch: int) -> Manner | None:
        """Return how chords with this note are broken; None if they are not, or it is silent."""
        if not self._is_heard(self._channel_of(voice, pitch)):
            return None
        return manner_of(self.program_of(voice, pitch), is_one_part=self._parts is Parts.ONE)

    def _channel_of(self, voice: int, pitch: int) -> int:
        """Return the channel of a note: its voice's, or that of its voice in the lower hand."""
        is_lower = self._parts is Parts.TWO_HANDS and pitch < _MIDDLE_C
        return voice + MAX_VOICES if is_lower else voice

    def _is_heard(self, channel: int) -> bool:
        return channel not in self._channels or self._channels[channel].level > 0


def _channels(parts: Parts, settings: LiveSettings, program: int) -> dict[int, Channel]:
    """Return the channels that do not play as all do."""
    set_for_voices = [
        Channel(program if own == SAME_PROGRAM else own, level)
        for own, level in zip(settings.voice_programs, settings.voice_levels, strict=True)
    ]
    match parts:
        case Parts.ONE:
            by_channel = {}
        case Parts.FOUR_VOICES:
            by_channel = dict(enumerate(set_for_voices))
        case Parts.TWO_HANDS:
            upper = dict.fromkeys(range(MAX_VOICES), set_for_voices[_SOPRANO])
            lower = dict.fromkeys(range(MAX_VOICES, 2 * MAX_VOICES), set_for_voices[_BASS])
            by_channel = upper | lower
    usual = Channel(program, FULL_LEVEL)
    return {number: channel for number, channel in by_channel.items() if channel != usual}
