"""Notes and their pairing: which note-off ends which note-on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.music.events import Event, NoteOff, NoteOn, TempoFactor
from appliance.music.notes import Note, notes_from, paired, still_sounding

FIRST, SECOND = NoteOn(0, 0, 60, 80), NoteOn(240, 1, 60, 80)


def test_a_note_ends_with_the_note_off_of_its_voice_and_pitch() -> None:
    first_off, second_off = NoteOff(960, 0, 60), NoteOff(480, 1, 60)
    events: list[Event] = [FIRST, SECOND, second_off, TempoFactor(480, 900), first_off]
    assert paired(events) == [(FIRST, first_off), (SECOND, second_off)]
    assert notes_from(events) == [Note(0, 960, 60, 0), Note(240, 240, 60, 1)]
    assert notes_from(events, start_tick=-100)[0] == Note(100, 960, 60, 0)
    assert notes_from(events)[1].end == 480


def test_a_note_that_is_struck_again_ends_there() -> None:
    again = NoteOn(480, 0, 60, 80)
    assert paired([FIRST, again]) == [(FIRST, again), (again, None)]


def test_a_note_off_without_a_note_is_skipped() -> None:
    assert paired([NoteOff(0, 0, 60), NoteOff(0, 0, 61)]) == []


def test_still_sounding_are_the_notes_without_an_end() -> None:
    assert still_sounding([FIRST, SECOND, NoteOff(480, 0, 60)]) == [SECOND]


_events = st.lists(
    st.one_of(
        st.builds(NoteOn, st.integers(0, 99), st.integers(0, 2), st.integers(60, 62), st.just(80)),
        st.builds(NoteOff, st.integers(0, 99), st.integers(0, 2), st.integers(60, 62)),
    )
)


@given(_events)
def test_every_note_on_is_paired_once_in_order(events: list[Event]) -> None:
    pairs = paired(events)
    assert [note for note, _ in pairs] == [e for e in events if isinstance(e, NoteOn)]
    for note, end in pairs:
        assert end is None or (note.voice, note.pitch) == (end.voice, end.pitch)
    sounding = [(note.voice, note.pitch) for note in still_sounding(events)]
    assert len(sounding) == len({*sounding})
