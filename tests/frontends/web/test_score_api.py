"""What the box says of the piece that plays as notation, from the events in its ring."""

from __future__ import annotations

from appliance.frontends.web.score_api import Score, score_of
from appliance.music import kinds
from appliance.music.events import TICKS_PER_BEAT, Event, NoteOff, NoteOn, Piece, PieceStart
from tests.support.web_server import WebBox, eventually

START = 4800
BAR = 3 * TICKS_PER_BEAT

E_FLAT_MINOR = Piece(
    number=2, tonic=3, minor=True, beats_per_bar=3, pickup_ticks=0, start_tick=START,
    kind=kinds.NAMES.index("chorale"),
)  # fmt: skip


def note(tick: int, ticks: int, pitch: int, voice: int = 0) -> list[Event]:
    """A note that begins so long after the piece."""
    return [NoteOn(START + tick, voice, pitch, 80), NoteOff(START + tick + ticks, voice, pitch)]


def score(
    *notes: list[Event], horizon: int, after: list[Event] | None = None, bar: int = 1
) -> Score:
    events = sorted((e for one in notes for e in one), key=lambda event: event.tick)
    return score_of(E_FLAT_MINOR, [*events, *(after or [])], START + horizon, bar)


def four_voices(ticks: int) -> list[list[Event]]:
    return [note(0, ticks, pitch, voice) for voice, pitch in enumerate((75, 66, 58, 51))]


def test_four_voices_have_a_staff_each_in_the_signature_of_the_key_as_it_is_called() -> None:
    found = score(*four_voices(BAR), horizon=BAR)
    assert (found.piece, found.key_fifths) == (2, -6)
    assert (found.numerator, found.denominator) == (3, 4)
    assert found.clefs == ["treble", "treble", "tenor", "bass"]
    [bar] = found.bars
    assert (bar.number, bar.tick, bar.end_tick) == (1, START, START + BAR)
    heads = [staff[0][0].keys[0] for staff in bar.staves]
    assert "".join(head.step for head in heads) == "EGBE"
    assert {head.alter for head in heads} == {-1}
    assert [head.pitch for head in heads] == [75, 66, 58, 51]
    # The tenor's clef sounds an octave lower than it is written.
    assert [head.octave for head in heads] == [5, 4, 4, 3]


def test_only_whole_composed_bars_are_written_and_a_note_beyond_them_is_tied() -> None:
    notes = [*four_voices(BAR), note(BAR, 2 * BAR, 75)]
    assert [bar.number for bar in score(*notes, horizon=2 * BAR - 10).bars] == [1]
    found = score(*notes, horizon=2 * BAR + 10)
    assert [bar.number for bar in found.bars] == [1, 2]
    [[held]] = found.bars[1].staves[0]
    assert held.tied_on
    assert not held.tied_from


def test_a_note_whose_end_is_not_composed_lasts_beyond_the_last_bar() -> None:
    found = score(*four_voices(BAR), [NoteOn(START + BAR, 0, 75, 80)], horizon=2 * BAR)
    [[held]] = found.bars[1].staves[0]
    assert held.tied_on
    assert [len(staff) for staff in found.bars[1].staves] == [1, 0, 0, 0]


def test_the_score_begins_at_the_bar_that_is_asked_for() -> None:
    notes = [*four_voices(BAR), note(BAR, BAR, 74), note(2 * BAR, BAR, 75)]
    assert [bar.number for bar in score(*notes, horizon=3 * BAR, bar=2).bars] == [2, 3]
    assert score(*notes, horizon=3 * BAR, bar=9).bars == []


def test_what_belongs_to_other_pieces_is_left_out() -> None:
    before = note(-BAR, BAR, 40)
    next_piece = PieceStart(START + BAR, 3, 0, False, 4, 0, TICKS_PER_BEAT)
    after = [next_piece, *note(BAR, BAR, 90)]
    found = score(before, *four_voices(BAR), horizon=4 * BAR, after=after)
    [bar] = found.bars
    assert [key.pitch for [[written]] in bar.staves for key in written.keys] == [75, 66, 58, 51]


def test_before_the_first_piece_there_is_nothing() -> None:
    found = score_of(E_FLAT_MINOR._replace(number=0), [], 0, 0)
    assert (found.piece, found.clefs, found.bars) == (0, [], [])


def test_every_note_of_the_roll_is_in_the_score(box: WebBox) -> None:
    eventually(lambda: len(box.get("/api/score/0")["bars"]) > 2)
    found, roll = box.get("/api/score/0"), box.get("/api/roll")
    written = {
        (note["tick"], key["pitch"])
        for bar in found["bars"] for staff in bar["staves"] for layer in staff for note in layer
        for key in note["keys"] if not note["tied_from"]
    }  # fmt: skip
    played = {(note["start_tick"], note["pitch"]) for note in roll["notes"]}
    assert len(written) > 12
    assert written <= played
