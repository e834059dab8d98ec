"""Musical time to sound: ticks to frames, under a tempo that may change at any moment.

One anchor says which tick sounds at which frame; everything else is one multiplication away
from it, so nothing adds up over the hours. Only a change of speed, or a wait, moves the anchor.
The anchor is a whole tick at a whole frame plus a phase below one frame: floats then hold only
small distances, and a box that has played for years is as exact as a new one.
"""

from __future__ import annotations

import math

from appliance.music.events import FULL_TEMPO_PERMILLE, TICKS_PER_BEAT, TempoFactor


class Transport:
    """The clock of one performer; frame 0 is the first that it renders."""

    def __init__(self, sample_rate: int, tempo_bpm: float, tick: float = 0.0) -> None:
        self.sample_rate = sample_rate
        self._tempo_bpm = tempo_bpm
        self._tempo_factor_permille = FULL_TEMPO_PERMILLE
        self._frames_per_tick = self._speed()
        self._tick = 0
        self._frame = 0
        self._phase = 0.0
        self.seek(tick, 0)

    @property
    def tempo_bpm(self) -> float:
        """Quarter notes per minute, before the music's own tempo factor."""
        return self._tempo_bpm

    @property
    def tempo_factor_permille(self) -> int:
        """The music's own factor on the tempo, see :class:`appliance.music.events.TempoFactor`."""
        return self._tempo_factor_permille

    def frame_of(self, tick: int) -> int:
        """The frame nearest to ``tick``, at today's speed."""
        return self._frame + round(self._phase + (tick - self._tick) * self._frames_per_tick)

    def tick_at(self, frame: int) -> float:
        """The tick, and part of one, that sounds at ``frame``."""
        return self._tick + (frame - self._frame - self._phase) / self._frames_per_tick

    def set_tempo(self, tempo_bpm: float, frame: int) -> None:
        """Another tempo from ``frame`` on."""
        if tempo_bpm == self._tempo_bpm:
            return
        ticks_passed = (frame - self._frame - self._phase) / self._frames_per_tick
        whole_ticks = math.ceil(ticks_passed)
        self._tempo_bpm = tempo_bpm
        self._frames_per_tick = self._speed()
        self.hold(self._tick + whole_ticks, frame)
        self._shift((whole_ticks - ticks_passed) * self._frames_per_tick)

    def set_tempo_factor(self, tempo_factor_permille: int, tick: int) -> None:
        """Change the tempo factor from ``tick`` on."""
        if tempo_factor_permille == self._tempo_factor_permille:
            return
        self._shift((tick - self._tick) * self._frames_per_tick)
        self._tick = tick
        self._tempo_factor_permille = tempo_factor_permille
        self._frames_per_tick = self._speed()

    def wait(self, frames: int) -> None:
        """Let every tick sound ``frames`` later."""
        self._frame += frames

    def hold(self, tick: int, frame: int) -> None:
        """Let ``tick`` sound exactly at ``frame``."""
        self._tick, self._frame, self._phase = tick, frame, 0.0

    def seek(self, tick: float, frame: int) -> None:
        """Let ``tick``, which may lie between two, sound at ``frame``."""
        whole_tick = math.ceil(tick)
        self.hold(whole_tick, frame)
        self._shift((whole_tick - tick) * self._frames_per_tick)

    def _shift(self, frames: float) -> None:
        """Move the anchor's place in sound by ``frames``."""
        place = self._phase + frames
        whole = math.floor(place)
        self._frame += whole
        self._phase = place - whole

    def _speed(self) -> float:
        """Frames in a tick."""
        beats_per_minute = self._tempo_bpm * self._tempo_factor_permille / FULL_TEMPO_PERMILLE
        return self.sample_rate * 60.0 / (beats_per_minute * TICKS_PER_BEAT)
