"""Turns events into sound, block by block: the same code for a sound card and for a file.

The performer knows no device and no clock. Each call of :meth:`Performer.render` renders one
block. Settings act at the start of a block, events at their own frame inside it (FluidSynth
itself begins a note at the next multiple of 64 frames that it renders, 1.3 ms). If the composer
has not written far enough, the music waits at the horizon while the held notes sound on, for a
few seconds.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Final, Protocol

from appliance.audio.broken_chords import BrokenChords
from appliance.audio.event_source import EventSource
from appliance.audio.tempo_map import TempoMap
from appliance.audio.voices import VoicePlayer
from appliance.ipc.shared_state import NO_PIECE, LiveSettings
from appliance.music import expression
from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    Event,
    NoteOff,
    NoteOn,
    Piece,
    PieceStart,
    TempoFactor,
)
from appliance.music.temperament import key_cents

UNCHANGEABLE_BLOCKS: Final = 2
"""Music that is nearer to the playhead than this many blocks can no longer be rewound."""

CHANGE_BLOCKS: Final = 3
"""How many blocks the old synth gets to fade before another one plays."""

MAX_WAIT_S: Final = 3.0
"""How long a chord is held while the music waits; after that an organ would sound for ever."""


TEST_TONE_VOICE: Final = 14
"""The last of the synth's voices, which no model uses."""

TEST_TONE_PITCH: Final = 69
TEST_TONE_VELOCITY: Final = 100
TEST_TONE_S: Final = 1.0


class Synth(Protocol):
    """What the performer plays on; :class:`appliance.audio.synth.FluidSynth` is one."""

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        """Begin a note of ``voice``: MIDI note number and MIDI velocity, 0 to 127."""

    def note_off(self, voice: int, pitch: int) -> None:
        """Release the MIDI note ``pitch`` of ``voice``; it then dies away."""

    def program(self, program: int) -> None:
        """Choose the General MIDI program (0 to 127) of every voice, from the next note on.

        The level of every voice is 100 again.
        """

    def voice(self, voice: int, program: int, level: float) -> None:
        """Choose the program of one voice from its next note on, and its level, 0 to 100."""

    def tune(self, cents: Sequence[float]) -> None:
        """Tune all 128 keys.

        Args:
            cents: the pitch of each MIDI key, above the untuned key 0. Sounding notes change too.
        """

    def volume(self, percent: float) -> None:
        """Set the volume, 0 to 100; it moves there without a click."""

    def render(self, frames: int) -> bytes:
        """Return the next ``frames`` frames of sound, interleaved stereo s16le."""


class Performer:
    """Plays a source's events on a synth.

    Args:
        source: where the events come from.
        synth: what they are played on.
        tempo_map: the mapping of ticks to frames; the performer moves it.
        read_settings: returns the effective settings.
    """

    def __init__(
        self,
        source: EventSource,
        synth: Synth,
        tempo_map: TempoMap,
        read_settings: Callable[[], LiveSettings],
    ) -> None:
        self._source = source
        self._synth = synth
        self._voices = VoicePlayer(synth)
        self._tempo_map = tempo_map
        self._read_settings = read_settings
        self._next_synth: Synth | None = None
        self._blocks_to_change = 0
        self._volume: float | None = None
        self._tuning: tuple[str, float] | None = None
        self._expression = expression.FULL_EXPRESSION
        self._written_permille = FULL_TEMPO_PERMILLE
        """The last tempo factor that the composer wrote."""
        self._held: dict[tuple[int, int], NoteOn] = {}
        """The notes that sound, by voice and pitch; some wait for their place in a broken chord."""
        self._broken = BrokenChords()
        self._released_early: dict[tuple[int, int], int] = {}
        """The notes that were released early, and the tick at which each is written to end."""
        self._released = False
        self._test_tones_requested: int | None = None
        self._test_tone_frames = 0
        """How much of a test tone is still to be played."""
        self._waited_frames = 0
        """How long the music has waited at the horizon."""
        self._begun = False
        self._ended = False
        self.frame = 0
        """Frames rendered so far."""
        self.blocks = 0
        """Blocks rendered so far."""
        self.starved = 0
        """Blocks in which the horizon was reached, counted from the first event on."""
        self.late_events = 0
        """Events that were seen only after their frame had been rendered."""
        self.piece: Piece = NO_PIECE
        """The piece that plays."""
        self.playing = True
        """False while paused."""

    @property
    def synth(self) -> Synth:
        """What the notes are played on."""
        return self._synth

    @property
    def sounding(self) -> int:
        """How many notes are held; those released by a pause do not count."""
        return 0 if self._released else len(self._held)

    @property
    def begun(self) -> bool:
        """Whether the source has ever supplied an event."""
        return self._begun

    @property
    def playhead_tick(self) -> float:
        """The tick at which the next block begins."""
        return self._tempo_map.tick_at(self.frame)

    def resume(self, events: Iterable[Event], playhead_tick: float) -> None:
        """Take over at ``playhead_tick`` from a performer that played ``events`` and died.

        Nothing sounds yet: the notes that it held are struck again in the next block.
        """
        for event in events:
            self._begun = True
            self._track(event)
            if isinstance(event, TempoFactor):
                self._set_tempo_factor(event)
        self._tempo_map.seek(playhead_tick, self.frame)
        self._released = True

    def change_synth(self, synth: Synth) -> None:
        """Play on ``synth`` soon: the old one fades first, so that there is no click.

        May be called from another thread.
        """
        self._blocks_to_change = CHANGE_BLOCKS
        self._next_synth = synth

    def render(self, frames: int) -> bytes:
        """Return the next block of sound: ``frames`` frames, interleaved stereo s16le."""
        self._go_to_next_synth()
        start, end = self.frame, self.frame + frames
        playhead_tick = self._tempo_map.tick_at(start)
        near_tick = self._tempo_map.tick_at(start + UNCHANGEABLE_BLOCKS * frames)
        near_ticks = near_tick - playhead_tick
        # A note that has been released early must not have its written end rewound.
        ends_tick = max(self._released_early.values(), default=0)
        self._source.refresh(playhead_tick, max(near_ticks, ends_tick - playhead_tick))
        self._apply(self._read_settings(), self._source.horizon_tick - playhead_tick, near_ticks)
        sound = self._play(start, end) if self.playing else self._pause(frames)
        self._end_test_tone(frames)
        self.frame = end
        self.blocks += 1
        return sound

    def end(self) -> None:
        """From the next block on, let the sounding notes die away, whatever the settings say."""
        self._ended = True

    def release(self) -> None:
        """Release every note; the notes are struck again when the music continues."""
        if not self._released:
            for voice, pitch in self._held:
                if not self._broken.waits(voice, pitch):
                    self._voices.note_off(voice, pitch)
        self._broken.waiting.clear()
        self._released = True

    def _go_to_next_synth(self) -> None:
        synth = self._next_synth
        if synth is None:
            return
        if self._blocks_to_change:
            self._blocks_to_change -= 1
            self._synth.volume(0.0)
            return
        self._next_synth, self._synth = None, synth
        self._voices = VoicePlayer(synth)
        self._volume = self._tuning = None
        # The block strikes the held notes again.
        self._released = True

    def _apply(self, settings: LiveSettings, ahead_ticks: float, near_ticks: float) -> None:
        tempo_map = self._tempo_map
        permille = self._tempo_factor_at(settings.expression)
        speed_now = tempo_map.tempo_bpm * tempo_map.tempo_factor_permille
        speed_up = settings.tempo_bpm * permille / speed_now
        # While the music just ahead is being composed again, going faster would reach the horizon.
        if speed_up <= 1 or ahead_ticks > near_ticks * speed_up or not self._begun:
            tempo_map.set_tempo(settings.tempo_bpm, self.frame)
            self._expression = settings.expression
            tempo_map.set_tempo_factor(permille, math.ceil(self.playhead_tick))
        if (settings.temperament, settings.pitch_hz) != self._tuning:
            self._tuning = settings.temperament, settings.pitch_hz
            self._synth.tune(key_cents(*self._tuning))
        if settings.volume != self._volume and self._next_synth is None:
            self._volume = settings.volume
            self._synth.volume(settings.volume)
        self.playing = settings.playing and not self._ended
        if not self.playing:
            self.release()
        self._voices.apply(settings, self.piece)
        if self._test_tones_requested not in (None, settings.tone_count):
            self._synth.note_on(TEST_TONE_VOICE, TEST_TONE_PITCH, TEST_TONE_VELOCITY)
            self._test_tone_frames = round(TEST_TONE_S * self._tempo_map.sample_rate)
        self._test_tones_requested = settings.tone_count

    def _end_test_tone(self, frames: int) -> None:
        if 0 < self._test_tone_frames <= frames:
            self._synth.note_off(TEST_TONE_VOICE, TEST_TONE_PITCH)
        self._test_tone_frames = max(0, self._test_tone_frames - frames)

    def _pause(self, frames: int) -> bytes:
        self.release()
        self._tempo_map.wait(frames)
        return self._synth.render(frames)

    def _play(self, start: int, end: int) -> bytes:
        source, tempo_map, parts = self._source, self._tempo_map, []
        horizon_tick = source.horizon_tick
        self._hold_or_release(horizon_tick, start)
        late_tick = tempo_map.tick_at(start) - 1.0
        position = start
        early = self._early_releases(tempo_map.tick_at(end))
        while True:
            event = source.peek()
            if event is not None and event.tick >= horizon_tick:
                event = None
            is_early = bool(early) and (event is None or early[0].tick <= event.tick)
            if is_early:
                event = early[0]
            waiting = self._broken.waiting
            is_delayed = bool(waiting) and (event is None or waiting[0].tick <= event.tick)
            if is_delayed:
                event = waiting[0]
            if event is None or (frame := tempo_map.frame_of(event.tick)) >= end:
                break
            if frame > position:
                parts.append(self._synth.render(frame - position))
                position = frame
            if is_delayed:
                self._strike(waiting.pop(0))
                continue
            if is_early:
                self._release_early(early.popleft())
                continue
            self.late_events += event.tick < late_tick
            source.pop()
            self._begun = True
            self._perform(event)
        if tempo_map.frame_of(horizon_tick) < end:
            tempo_map.hold(horizon_tick, end)
            self._waited_frames += end - start
            self.starved += self._begun
        parts.append(self._synth.render(end - position))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _hold_or_release(self, horizon_tick: int, start: int) -> None:
        """Release the notes after a long wait; strike them again when the music continues."""
        if self._tempo_map.frame_of(horizon_tick) > start:
            self._waited_frames = 0
        if self._waited_frames >= MAX_WAIT_S * self._tempo_map.sample_rate:
            self.release()
        elif self._released:
            self._broken.waiting.clear()
            for held in self._held.values():
                self._strike(held)
            self._released = False

    def _early_releases(self, end_tick: float) -> deque[NoteOff]:
        """Return the note-offs before ``end_tick`` that come earlier than they are written."""
        max_early_ticks = round(
            expression.MAX_EARLY_RELEASE_TICKS * self._expression / expression.FULL_EXPRESSION
        )
        last_tick = min(end_tick + max_early_ticks, self._source.horizon_tick - 1)
        ahead = list(takewhile(lambda event: event.tick <= last_tick, self._source.ahead()))
        performed = expression.apply_expression(ahead, self._expression)
        return deque(e for e in performed if isinstance(e, NoteOff) and e.early_release_ticks)

    def _release_early(self, event: NoteOff) -> None:
        note = event.voice, event.pitch
        if self._held.pop(note, None):
            self._released_early[note] = event.tick + event.early_release_ticks
            self._end_note(*note)

    def _set_tempo_factor(self, event: TempoFactor) -> None:
        self._written_permille = event.permille
        self._tempo_map.set_tempo_factor(self._tempo_factor_at(self._expression), event.tick)

    def _tempo_factor_at(self, percent: float) -> int:
        """The music's own factor at this expression: the piece's tempo, and changes within it."""
        return _tempo_factor_at(percent, self._written_permille, self.piece.tempo_permille)

    def _strike(self, event: NoteOn) -> None:
        velocity = expression.scale_velocity(event.velocity, self._expression)
        self._voices.note_on(event.voice, event.pitch, velocity)

    def _is_delayed(self, event: NoteOn) -> bool:
        """Whether a note is struck later, in a broken chord."""
        source = self._source
        return self._broken.delay(
            event,
            source.ahead(),
            self._voices,
            horizon_tick=source.horizon_tick,
            expression=self._expression,
            ticks_per_ms=self._tempo_map.ticks_per_ms,
        )

    def _end_note(self, voice: int, pitch: int) -> None:
        """Release a note; strike it first if it still waits, so that it is heard at least."""
        if (note := self._broken.take(voice, pitch)) is not None:
            self._strike(note)
        self._voices.note_off(voice, pitch)

    def _perform(self, event: Event) -> None:
        if isinstance(event, NoteOn):
            if not self._is_delayed(event):
                self._strike(event)
        elif isinstance(event, NoteOff):
            if not self._released_early.pop((event.voice, event.pitch), 0):
                self._end_note(event.voice, event.pitch)
        elif isinstance(event, TempoFactor):
            self._set_tempo_factor(event)
        elif isinstance(event, PieceStart):
            # Notes that the previous piece never released would sound for ever.
            for voice, pitch in self._held:
                self._end_note(voice, pitch)
        self._track(event)
        if isinstance(event, PieceStart):
            self._voices.apply(self._read_settings(), self.piece)

    def _track(self, event: Event) -> None:
        """Update what is held and what plays, without a sound."""
        if isinstance(event, NoteOn):
            self._held[event.voice, event.pitch] = event
        elif isinstance(event, NoteOff):
            self._held.pop((event.voice, event.pitch), None)
        elif isinstance(event, PieceStart):
            self._held.clear()
            self._released_early.clear()
            self.piece = event.piece


@functools.lru_cache(maxsize=8)
def _tempo_factor_at(percent: float, permille: int, piece_permille: int) -> int:
    """The tempo factor at this expression; cached because every block asks for it."""
    scaled = expression.scale_tempo_factor(permille, percent)
    return round(scaled * piece_permille / FULL_TEMPO_PERMILLE)
