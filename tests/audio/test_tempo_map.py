"""Ticks and frames agree with exact arithmetic over a day, whatever changes."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.audio.tempo_map import TempoMap

_DAY_S = 24 * 3600


class ExactTempoMap:
    """The same mapping in fractions, integrated piece by piece."""

    def __init__(self, rate: int, tempo_bpm: float) -> None:
        self.rate, self.tempo, self.permille = rate, Fraction(tempo_bpm), 1000
        self.frame, self.tick = Fraction(0), Fraction(0)

    @property
    def frames_per_tick(self) -> Fraction:
        return Fraction(self.rate * 60 * 1000) / (self.tempo * self.permille * 480)

    def go_to_frame(self, frame: int) -> None:
        self.tick += (frame - self.frame) / self.frames_per_tick
        self.frame = Fraction(frame)

    def go_to_tick(self, tick: int) -> None:
        self.frame += (tick - self.tick) * self.frames_per_tick
        self.tick = Fraction(tick)


_tempi = st.floats(40.0, 240.0, allow_nan=False)
_changes = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.just("tempo"), _tempi),
            st.tuples(st.just("factor"), st.integers(300, 1500)),
            st.tuples(st.just("wait"), st.integers(1, 100_000)),
        ),
        st.floats(0.0, 1.0),
    ),
    max_size=30,
)


@given(rate=st.sampled_from([44_100, 48_000, 96_000]), tempo=_tempi, changes=_changes)
@settings(deadline=None)
def test_no_drift_over_a_day_of_changes(
    rate: int, tempo: float, changes: list[tuple[tuple[str, float], float]]
) -> None:
    tempo_map, exact = TempoMap(rate, tempo), ExactTempoMap(rate, tempo)
    frames_between = _DAY_S * rate // (len(changes) + 1)
    frame = 0
    for (kind, value), share in changes:
        frame += int(frames_between * share)
        if kind == "factor":
            tick = max(round(tempo_map.tick_at(frame)), 0)
            exact.go_to_tick(tick)
            frame = max(frame, tempo_map.frame_of(tick))
            tempo_map.set_tempo_factor(int(value), tick)
            exact.permille = int(value)
        elif kind == "wait":
            exact.go_to_frame(frame)
            tempo_map.wait(int(value))
            exact.frame += int(value)
            frame += int(value)
        else:
            exact.go_to_frame(frame)
            tempo_map.set_tempo(value, frame)
            exact.tempo = Fraction(value)
    exact.go_to_frame(_DAY_S * rate)
    assert abs(Fraction(tempo_map.tick_at(_DAY_S * rate)) - exact.tick) < Fraction(1, 1000)
    tick = int(exact.tick) + 1
    exact.go_to_tick(tick)
    assert abs(tempo_map.frame_of(tick) - exact.frame) <= Fraction(501, 1000)


def test_fifty_changes_a_second_drift_by_less_than_a_frame_a_day() -> None:
    # A tenth of a day in full, with its error held to a tenth of the day's allowance.
    rate = 48_000
    tempo_map, exact = TempoMap(rate, 80.0), ExactTempoMap(rate, 80.0)
    tempi = [60.0, 60.1, 133.7, 239.9, 41.3]
    seconds_of_each = 0.02
    count = int(_DAY_S / 10 / seconds_of_each)
    step = int(rate * seconds_of_each)
    ticks_in_frames = Fraction(0)
    for change in range(count):
        tempo_map.set_tempo(tempi[change % 5], change * step)
    for at, tempo in enumerate(tempi):
        times = (count - at + 4) // 5
        exact.tempo = Fraction(tempo)
        ticks_in_frames += times * step / exact.frames_per_tick
    assert abs(tempo_map.tick_at(count * step) - float(ticks_in_frames)) < 1e-4


@given(tempo=_tempi, tick=st.integers(0, 10**12), frame=st.integers(0, 10**12))
def test_frame_of_and_tick_at_are_inverse(tempo: float, tick: int, frame: int) -> None:
    tempo_map = TempoMap(48_000, tempo)
    tempo_map.hold(tick, frame)
    assert tempo_map.frame_of(tick) == frame
    later = tempo_map.frame_of(tick + 7777)
    assert abs(tempo_map.tick_at(later) - (tick + 7777)) < 0.1


@given(tempo=_tempi, other=_tempi, frame=st.integers(0, 10**9))
def test_a_tempo_change_does_not_move_the_place_in_the_music(
    tempo: float, other: float, frame: int
) -> None:
    tempo_map = TempoMap(48_000, tempo)
    before = tempo_map.tick_at(frame)
    tempo_map.set_tempo(other, frame)
    assert abs(tempo_map.tick_at(frame) - before) < 1e-6


def test_a_transport_can_start_between_two_ticks() -> None:
    tempo_map = TempoMap(48_000, 100.0, tick=123.25)
    assert tempo_map.tick_at(0) == 123.25
    assert tempo_map.frame_of(124) == round(0.75 * 60)
