"""Events in time become sound: the same code for the sound card and for a file.

The performer knows no device and no clock. Each call of :meth:`Performer.render` is one block;
controls act at its start, events at their own frame inside it (FluidSynth itself begins a note
at the next multiple of 64 frames that it renders, 1.3 ms). Where the composer has not written
far enough the music waits at the horizon, and what sounds rings on, for some seconds.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Final, Protocol

from appliance.audio.event_source import EventSource
from appliance.audio.transport import Transport
from appliance.ipc.shared_state import NO_PIECE, LiveSettings
from appliance.music import expression
from appliance.music.events import AS_WRITTEN_PERMILLE, Event, Kind, Piece, pace, piece_of
from appliance.music.temperament import key_cents

NEAR_BLOCKS: Final = 2
"""What is nearer than so many blocks is too near to be composed anew."""

LET_GO_S: Final = 3.0
"""A chord that the music has waited in for so long is let go: an organ would sound for ever."""


TONE_VOICE: Final = 14
"""The last of the synth's voices, which no model has."""

TONE_PITCH: Final = 69
TONE_VELOCITY: Final = 100
TONE_S: Final = 1.0


class Synth(Protocol):
    """What the performer plays on; :class:`appliance.audio.synth.FluidSynth` is one."""

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        """A voice begins a note."""

    def note_off(self, voice: int, pitch: int) -> None:
        """A voice leaves a note, which then dies away."""

    def program(self, program: int) -> None:
        """General MIDI program of every voice, for the notes from now on."""

    def tune(self, cents: Sequence[float]) -> None:
        """Tune all 128 keys, in cents above key 0 as it comes; what sounds is retuned too."""

    def volume(self, percent: float) -> None:
        """0 to 100; moves there without a click."""

    def render(self, frames: int) -> bytes:
        """The next ``frames`` of sound, interleaved stereo s16le."""


class Performer:
    """Plays a source's events on a synth."""

    def __init__(
        self,
        source: EventSource,
        synth: Synth,
        transport: Transport,
        controls: Callable[[], LiveSettings],
    ) -> None:
        self._source = source
        self._synth = synth
        self._transport = transport
        self._read_controls = controls
        self._program: int | None = None
        self._volume: float | None = None
        self._tuning: tuple[str, float] | None = None
        self._expression = expression.FULL
        self._written_permille = AS_WRITTEN_PERMILLE
        """The pace that the composer asked for last."""
        self._held: dict[tuple[int, int], Event] = {}
        self._left_early: dict[tuple[int, int], int] = {}
        """Notes that expression has ended, and at which tick they are written to end."""
        self._released = False
        self._tones_asked: int | None = None
        self._tone_frames = 0
        """How much of a test tone is still to be heard."""
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
    def sounding(self) -> int:
        """Notes that are held just now; those released by a pause do not count."""
        return 0 if self._released else len(self._held)

    @property
    def begun(self) -> bool:
        """The source has given music to play at least once."""
        return self._begun

    @property
    def playhead_tick(self) -> float:
        """Where the music is."""
        return self._transport.tick_at(self.frame)

    def resume(self, events: Iterable[Event], playhead_tick: float) -> None:
        """Take over at ``playhead_tick`` from a performer that played ``events`` and died.

        Nothing sounds yet: the notes that it held are struck anew in the next block.
        """
        for event in events:
            self._begun = True
            self._note(event)
            if event.kind is Kind.PACE:
                self._set_pace(event)
        self._transport.seek(playhead_tick, self.frame)
        self._released = True

    def render(self, frames: int) -> bytes:
        """The next block of sound: ``frames`` times two samples, s16le."""
        start, end = self.frame, self.frame + frames
        playhead_tick = self._transport.tick_at(start)
        near_ticks = self._transport.tick_at(start + NEAR_BLOCKS * frames) - playhead_tick
        # Where a note has been left already, its end must not be composed away.
        left_tick = max(self._left_early.values(), default=0)
        self._source.refresh(playhead_tick, max(near_ticks, left_tick - playhead_tick))
        self._apply(self._read_controls(), self._source.horizon_tick - playhead_tick, near_ticks)
        sound = self._play(start, end) if self.playing else self._pause(frames)
        self._end_tone(frames)
        self.frame = end
        self.blocks += 1
        return sound

    def end(self) -> None:
        """From the next block on only let what sounds die away, whatever the controls say."""
        self._ended = True

    def release(self) -> None:
        """Let go of every note; they die away, and are struck anew when the music goes on."""
        if not self._released:
            for voice, pitch in self._held:
                self._synth.note_off(voice, pitch)
        self._released = True

    def _apply(self, controls: LiveSettings, ahead_ticks: float, near_ticks: float) -> None:
        transport = self._transport
        permille = _pace_at(controls.expression, self._written_permille)
        faster = controls.tempo_bpm * permille / (transport.tempo_bpm * transport.pace_permille)
        # No faster into music that is being composed anew just now; it is there in a moment.
        if faster <= 1 or ahead_ticks > near_ticks * faster or not self._begun:
            transport.set_tempo(controls.tempo_bpm, self.frame)
            self._expression = controls.expression
            transport.set_pace(permille, math.ceil(self.playhead_tick))
        if (controls.temperament, controls.pitch_hz) != self._tuning:
            self._tuning = controls.temperament, controls.pitch_hz
            self._synth.tune(key_cents(*self._tuning))
        if controls.volume != self._volume:
            self._volume = controls.volume
            self._synth.volume(controls.volume)
        if controls.program != self._program:
            # What sounds is struck anew by the block, so that the change is heard at once.
            self.release()
            self._program = controls.program
            self._synth.program(controls.program)
        self.playing = controls.playing and not self._ended
        if self._tones_asked not in (None, controls.tone_count):
            self._synth.note_on(TONE_VOICE, TONE_PITCH, TONE_VELOCITY)
            self._tone_frames = round(TONE_S * self._transport.sample_rate)
        self._tones_asked = controls.tone_count

    def _end_tone(self, frames: int) -> None:
        if 0 < self._tone_frames <= frames:
            self._synth.note_off(TONE_VOICE, TONE_PITCH)
        self._tone_frames = max(0, self._tone_frames - frames)

    def _pause(self, frames: int) -> bytes:
        self.release()
        self._transport.wait(frames)
        return self._synth.render(frames)

    def _play(self, start: int, end: int) -> bytes:
        source, transport, parts = self._source, self._transport, []
        horizon_tick = source.horizon_tick
        if transport.frame_of(horizon_tick) > start:
            self._waited_frames = 0
        if self._waited_frames >= LET_GO_S * transport.sample_rate:
            self.release()
        elif self._released:
            for held in self._held.values():
                self._strike(held)
            self._released = False
        late_tick = transport.tick_at(start) - 1.0
        position = start
        lifts = self._lifts(transport.tick_at(end))
        while True:
            event = source.peek()
            if event is not None and event.tick >= horizon_tick:
                event = None
            lifted = bool(lifts) and (event is None or lifts[0].tick <= event.tick)
            if lifted:
                event = lifts[0]
            if event is None or (frame := transport.frame_of(event.tick)) >= end:
                break
            if frame > position:
                parts.append(self._synth.render(frame - position))
                position = frame
            if lifted:
                self._leave_early(lifts.popleft())
                continue
            self.late_events += event.tick < late_tick
            source.pop()
            self._begun = True
            self._sound(event)
        if transport.frame_of(horizon_tick) < end:
            transport.hold(horizon_tick, end)
            self._waited_frames += end - start
            self.starved += self._begun
        parts.append(self._synth.render(end - position))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _lifts(self, end_tick: float) -> deque[Event]:
        """The notes that are left before ``end_tick``, earlier than they are written to end."""
        longest_ticks = round(expression.MAX_LIFT_TICKS * self._expression / expression.FULL)
        last_tick = min(end_tick + longest_ticks, self._source.horizon_tick - 1)
        ahead = list(takewhile(lambda event: event.tick <= last_tick, self._source.ahead()))
        heard = expression.played(ahead, self._expression)
        return deque(event for event in heard if event.kind is Kind.NOTE_OFF and event.value)

    def _leave_early(self, lift: Event) -> None:
        note = lift.voice, lift.pitch
        if self._held.pop(note, None):
            self._left_early[note] = lift.tick + lift.value
            self._synth.note_off(*note)

    def _set_pace(self, event: Event) -> None:
        self._written_permille = event.value
        self._transport.set_pace(_pace_at(self._expression, event.value), event.tick)

    def _strike(self, event: Event) -> None:
        struck = expression.scaled(event, self._expression)
        self._synth.note_on(struck.voice, struck.pitch, struck.velocity)

    def _sound(self, event: Event) -> None:
        if event.kind is Kind.NOTE_ON:
            self._strike(event)
        elif event.kind is Kind.NOTE_OFF:
            if not self._left_early.pop((event.voice, event.pitch), 0):
                self._synth.note_off(event.voice, event.pitch)
        elif event.kind is Kind.PACE:
            self._set_pace(event)
        elif event.kind is Kind.PIECE:
            # A piece begins with nothing held, whatever became of the one before.
            for voice, pitch in self._held:
                self._synth.note_off(voice, pitch)
        self._note(event)

    def _note(self, event: Event) -> None:
        """Keep account of what ``event`` changes."""
        if event.kind is Kind.NOTE_ON:
            self._held[event.voice, event.pitch] = event
        elif event.kind is Kind.NOTE_OFF:
            self._held.pop((event.voice, event.pitch), None)
        elif event.kind is Kind.PIECE:
            self._held.clear()
            self._left_early.clear()
            self.piece = piece_of(event)


@functools.lru_cache(maxsize=8)
def _pace_at(percent: float, permille: int) -> int:
    """A pace as it is played at this expression; asked for in every block."""
    return expression.scaled(pace(0, permille), percent).value
