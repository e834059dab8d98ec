"""Keys on MIDI channels survive shared memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.ipc.shared_state import SharedState

keys = st.frozensets(st.tuples(st.integers(0, 15), st.integers(0, 127)))


@given(keys, keys)
def test_what_is_written_is_read(
    before: frozenset[tuple[int, int]], after: frozenset[tuple[int, int]]
) -> None:
    shared = SharedState.create()
    assert shared.midi_sounding.read() == frozenset()
    for value in (before, after):
        shared.midi_sounding.write(value)
        assert SharedState(shared.fd).midi_sounding.read() == value
    shared.close()
