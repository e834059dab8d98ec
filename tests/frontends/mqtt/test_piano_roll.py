"""The picture of what plays is well-formed, small, and shows the notes around the present."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from appliance.frontends.mqtt.piano_roll import AHEAD_BEATS, PAST_BEATS, piano_roll
from appliance.ipc.ring_observer import Note
from appliance.music.events import TICKS_PER_BEAT

SVG = "{http://www.w3.org/2000/svg}"

ticks = st.integers(-20, 40).map(lambda beat: beat * TICKS_PER_BEAT // 2)


def note(pitch: int, start_tick: int, end_tick: int | None, voice: int = 0) -> Note:
    return Note(voice=voice, pitch=pitch, start_tick=start_tick, end_tick=end_tick, velocity=80)


def rects(picture: str) -> list[dict[str, str]]:
    """The notes, without the background."""
    return [dict(one.attrib) for one in ElementTree.fromstring(picture).iter(f"{SVG}rect")][1:]


def test_only_notes_around_the_present_are_drawn() -> None:
    now = 100 * TICKS_PER_BEAT
    notes = [
        note(60, now - 2 * TICKS_PER_BEAT, now - TICKS_PER_BEAT),
        note(64, now, None),
        note(70, now - (PAST_BEATS + 2) * TICKS_PER_BEAT, now - (PAST_BEATS + 1) * TICKS_PER_BEAT),
        note(71, now + (AHEAD_BEATS + 1) * TICKS_PER_BEAT, None),
    ]
    drawn = rects(piano_roll(notes, now, "Fugue"))
    assert len(drawn) == 2
    assert float(drawn[0]["x"]) + float(drawn[0]["width"]) < float(drawn[1]["x"]) + 1
    # Higher notes are further up.
    assert float(drawn[1]["y"]) < float(drawn[0]["y"])


@given(
    st.lists(st.builds(note, st.integers(0, 127), ticks, st.none() | ticks, st.integers(0, 9))),
    ticks,
    st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs"]), max_size=60),
)
def test_any_music_is_a_picture_with_everything_inside(
    notes: list[Note], now: int, title: str
) -> None:
    picture = piano_roll(notes, now, title)
    assert ElementTree.fromstring(picture).findtext(f"{SVG}text") == title
    for one in rects(picture):
        assert 0 <= float(one["x"]) <= (PAST_BEATS + AHEAD_BEATS) * 40
        assert float(one["width"]) >= 1
