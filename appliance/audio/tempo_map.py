"""Maps musical time to sound: ticks to frames, under a tempo that may change at any moment.

One anchor says which tick sounds at which frame. Everything else is one multiplication away from
it, so that errors do not add up. Only a change of speed or a wait moves the anchor. It is a whole
tick at a whole frame plus a phase below one frame: floats hold only small distances, and a box
that has played for years is as exact as a new one.
"""

from __future__ import annotations

import math

from appliance.music.events import FULL_TEMPO_PERMILLE, TICKS_PER_BEAT


class TempoMap:
    """Which tick sounds at which frame; frame 0 is the first that the performer renders.

    Args:
        sample_rate: frames per second.
        tempo_bpm: quarter notes per minute.
        tick: what sounds at frame 0.
    """

    def __init__(self, sample_rate: int, tempo_bpm: float, tick: float = 0.0) -> None:
        self.sample_rate = sample_rate
        self._tempo_bpm = tempo_bpm
        self._tempo_factor_permille = FULL_TEMPO_PERMILLE
        self._frames_per_tick = self._new_frames_per_tick()
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

    @property
    def ticks_per_ms(self) -> float:
        """The present speed."""
        return self.sample_rate / 1000 / self._frames_per_tick

    def frame_of(self, tick: int) -> int:
        """Return the frame nearest to ``tick``, at the present speed."""
        return self._frame + round(self._phase + (tick - self._tick) * self._frames_per_tick)

    def tick_at(self, frame: int) -> float:
        """Return the tick that sounds at ``frame``, with its fraction."""
        return self._tick + (frame - self._frame - self._phase) / self._frames_per_tick

    def set_tempo(self, tempo_bpm: float, frame: int) -> None:
        """Change the tempo, in quarter notes per minute, from ``frame`` on."""
        if tempo_bpm == self._tempo_bpm:
            return
        ticks_passed = (frame - self._frame - self._phase) / self._frames_per_tick
        whole_ticks = math.ceil(ticks_passed)
        self._tempo_bpm = tempo_bpm
        self._frames_per_tick = self._new_frames_per_tick()
        self.hold(self._tick + whole_ticks, frame)
        self._shift((whole_ticks - ticks_passed) * self._frames_per_tick)

    def set_tempo_factor(self, tempo_factor_permille: int, tick: int) -> None:
        """Change the tempo factor, in thousandths, from ``tick`` on."""
        if tempo_factor_permille == self._tempo_factor_permille:
            return
        self._shift((tick - self._tick) * self._frames_per_tick)
        self._tick = tick
        self._tempo_factor_permille = tempo_factor_permille
        self._frames_per_tick = self._new_frames_per_tick()

    def wait(self, frames: int) -> None:
        """Delay every tick by ``frames``."""
        self._frame += frames

    def hold(self, tick: int, frame: int) -> None:
        """Set the tick that sounds at ``frame``."""
        self._tick, self._frame, self._phase = tick, frame, 0.0

    def seek(self, tick: float, frame: int) -> None:
        """Set the tick that sounds at ``frame``, with its fraction."""
        whole_tick = math.ceil(tick)
        self.hold(whole_tick, frame)
        self._shift((whole_tick - tick) * self._frames_per_tick)

    def _shift(self, frames: float) -> None:
        """Move the anchor by ``frames``."""
        place = self._phase + frames
        whole = math.floor(place)
        self._frame += whole
        self._phase = place - whole

    def _new_frames_per_tick(self) -> float:
        """Frames per tick."""
        beats_per_minute = self._tempo_bpm * self._tempo_factor_permille / FULL_TEMPO_PERMILLE
        return self.sample_rate * 60.0 / (beats_per_minute * TICKS_PER_BEAT)
