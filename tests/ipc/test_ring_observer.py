"""The ring observer sees the music that is valid, however often the ring is rewound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.ipc.ring import HISTORY_SLOTS, RingReader, RingWriter, events_before
from appliance.ipc.ring_observer import MAX_KEPT_EVENTS, RingObserver, RingUpdate, notes_of
from appliance.ipc.shared_state import SLOT_COUNT, SharedState
from appliance.music.events import Event, NoteOff, NoteOn, Piece, PieceStart, TempoFactor, Tokens

STEP = 120


class Screen:
    """What a browser does with the updates."""

    def __init__(self, observer: RingObserver) -> None:
        self.events = list(observer.events)

    def update(self, update: RingUpdate) -> None:
        if update.rewind_tick is not None:
            self.events = [e for e in self.events if e.tick < update.rewind_tick]
        self.events += update.events


def truth(shared: SharedState, writer: RingWriter) -> list[Event]:
    return events_before(shared, writer.write_index)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 4), st.integers(48, 60)),
        st.tuples(st.just("play"), st.integers(1, 3), st.just(0)),
        st.tuples(st.just("rewind"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("poll"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
def test_an_observer_sees_what_is_composed(steps: list[tuple[str, int, int]]) -> None:
    shared = SharedState.create()
    try:
        writer, reader = RingWriter(shared), RingReader(shared)
        observer = RingObserver(shared)
        screen = Screen(observer)
        tick, playhead = 0, 0.0
        checkpoints: list[tuple[int, int]] = []
        for what, number, pitch in steps:
            if what == "write":
                for _ in range(number):
                    checkpoints.append((writer.write_index, tick))
                    if tick:
                        # Often the same as before the rewind: such slots do not change.
                        writer.append(NoteOff(tick, 0, 48))
                    writer.append(NoteOn(tick, 0, pitch, 80))
                    tick += STEP
                writer.publish(tick)
            elif what == "play":
                playhead = min(playhead + number * STEP, float(tick))
                reader.refresh(playhead)
                while (event := reader.peek()) is not None and event.tick < playhead:
                    reader.pop()
                reader.refresh(playhead)
            elif what == "rewind":
                ahead = [point for point in checkpoints if point[1] > playhead]
                if ahead:
                    index, at = ahead[min(number, len(ahead) - 1)]
                    writer.request_rewind(index, at)
                    reader.refresh(playhead)
                    if number % 2:
                        screen.update(observer.poll())
                    if writer.rewind_answer():
                        tick = at
                        checkpoints = [point for point in checkpoints if point[1] < at]
            else:
                screen.update(observer.poll())
        screen.update(observer.poll())
        assert screen.events == truth(shared, writer)
        assert observer.events == screen.events
        assert observer.horizon_tick == writer.horizon_tick
    finally:
        shared.close()


def test_an_observer_that_was_away_for_a_lap_starts_over() -> None:
    shared = SharedState.create()
    writer, reader = RingWriter(shared), RingReader(shared)
    observer = RingObserver(shared)
    tick = 0
    for _ in range(3):
        # As much as the composer may write ahead.
        for _ in range(SLOT_COUNT // 2):
            writer.append(NoteOn(tick, 0, 60, 80))
            tick += 1
        writer.publish(tick)
        reader.refresh(float(tick))
        while reader.peek() is not None:
            reader.pop()
        reader.refresh(float(tick))
    update = observer.poll()
    assert update.rewind_tick == 0
    assert update.events[-1].tick == tick - 1
    shared.close()


def test_a_new_observer_gets_what_is_in_force() -> None:
    shared = SharedState.create()
    writer = RingWriter(shared)
    about = Piece(3, 7, True, 4, 0, 0)
    written: list[Event] = [
        PieceStart.of(about), TempoFactor(0, 1000), NoteOn(0, 0, 60, 80), NoteOn(0, 1, 55, 80),
        Tokens(0, b"x"), NoteOff(480, 0, 60), TempoFactor(480, 800), NoteOn(480, 0, 62, 80),
        NoteOff(960, 1, 55),
    ]  # fmt: skip
    for event in written:
        writer.append(event)
    writer.publish(1000)
    observer = RingObserver(shared)
    since = observer.since(700)
    assert [(type(e), e.tick) for e in since] == [
        (PieceStart, 0), (NoteOn, 0), (TempoFactor, 480), (NoteOn, 480), (NoteOff, 960),
    ]  # fmt: skip
    assert observer.since(480)[-4:] == written[-4:], "what begins at the tick is not in force yet"
    notes = notes_of(since)
    assert [(n.pitch, n.start_tick, n.end_tick) for n in notes] == [(55, 0, 960), (62, 480, None)]
    assert observer.tempo_factor_permille(479) == 1000
    assert observer.tempo_factor_permille(480) == 800
    assert observer.tempo_factor_permille(481) == 800
    shared.close()


def _write(writer: RingWriter, count: int) -> None:
    """Write and publish ``count`` notes, a tick apart."""
    for _ in range(count):
        writer.append(NoteOn(writer.horizon_tick + 1, 0, 60, 80))
    writer.publish(writer.horizon_tick + 1)


def test_before_the_first_tempo_factor_the_tempo_is_plain() -> None:
    shared = SharedState.create()
    _write(RingWriter(shared), 3)
    assert RingObserver(shared).tempo_factor_permille(9.0) == 1000
    shared.close()


def test_an_observer_that_was_away_for_what_the_ring_keeps_misses_nothing() -> None:
    shared = SharedState.create()
    writer, observer = RingWriter(shared), RingObserver(shared)
    _write(writer, HISTORY_SLOTS)
    update = observer.poll()
    assert update.rewind_tick is None
    assert update.events == truth(shared, writer)
    assert update.horizon_tick == writer.horizon_tick
    shared.close()


def test_an_observer_keeps_the_newest_events_and_not_endlessly_many() -> None:
    shared = SharedState.create()
    writer, observer = RingWriter(shared), RingObserver(shared)
    for count in (MAX_KEPT_EVENTS, MAX_KEPT_EVENTS, MAX_KEPT_EVENTS // 2, 3 * MAX_KEPT_EVENTS // 2):
        _write(writer, count)
        observer.poll()
        kept = len(observer.events)
        assert MAX_KEPT_EVENTS <= kept <= 2 * MAX_KEPT_EVENTS
        assert observer.events == truth(shared, writer)[-kept:]
    assert RingObserver(shared).events == truth(shared, writer)[-MAX_KEPT_EVENTS:]
    shared.close()


def _rewound_to_the_fifth_of_ten() -> tuple[SharedState, RingWriter, RingObserver, list[Event]]:
    """An observer of ten notes, which come last, after a rewind that the reader has accepted."""
    shared = SharedState.create()
    writer, reader = RingWriter(shared), RingReader(shared)
    _write(writer, 10)
    observer = RingObserver(shared)
    old = list(observer.events)
    writer.request_rewind(4, old[4].tick)
    reader.refresh(0.0)
    return shared, writer, observer, old


def test_a_rewind_voids_no_more_than_what_has_changed() -> None:
    shared, writer, observer, old = _rewound_to_the_fifth_of_ten()
    for joins in (observer, RingObserver(shared)):
        update = joins.poll()
        # The composer has not gone on yet.
        assert update.rewind_tick == (old[4].tick if joins is observer else None)
        assert update.horizon_tick == old[4].tick
        assert joins.events == old[:4]
    assert writer.rewind_answer()
    for event in old[4:8]:
        writer.append(event)
    writer.publish(100)
    update = observer.poll()
    assert (update.rewind_tick, update.events) == (None, old[4:8])
    shared.close()


def test_music_that_is_written_again_as_it_was_is_not_void() -> None:
    shared, writer, observer, old = _rewound_to_the_fifth_of_ten()
    assert writer.rewind_answer()
    for event in old[4:7]:
        writer.append(event)
    writer.append(NoteOn(old[7].tick, 0, 72, 80))
    writer.publish(old[7].tick + 1)
    update = observer.poll()
    assert update.rewind_tick == old[7].tick
    assert observer.events == truth(shared, writer)
    shared.close()
