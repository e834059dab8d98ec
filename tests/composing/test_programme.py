"""The programme: pieces in groups that make sense, in keys that are near, from the seed alone."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.composing import model_file
from appliance.composing.groups import (
    GROUP_PAUSE_S,
    MOVEMENT_PAUSE_S,
    goes_on_at_once,
    group_kind_of,
    pause_after_s,
)
from appliance.composing.piece_plan import PiecePlanner
from appliance.composing.programme import (
    MAX_PIECE_STEPS,
    PlannedPiece,
    Programme,
    max_accidentals,
    tempo_permille,
)
from appliance.music import kinds, titles
from appliance.music.events import Piece
from appliance.music.score import Form, Key, PieceFacts


def form_of(kind: str, tonic: int | None = 0, minor: bool | None = False, steps: int = 256) -> Form:
    return Form(16, 0, steps, facts=PieceFacts(kind=kind, tonic=tonic, minor=minor))


SUITES = [
    form_of(kind, tonic)
    for kind in ("prelude", "allemande", "courante", "sarabande", "menuet", "gavotte", "gigue")
    for tonic in (0, 7, 2)
]
TUNES = [form_of("reel", n % 12, n % 7 == 0) for n in range(60)] + [form_of("jig", 7)] * 20
CHORALES = [form_of("chorale", n % 12, n % 2 == 0) for n in range(40)]


def pieces_of(forms: list[Form], count: int, seed: int = 1) -> list[PlannedPiece]:
    programme = Programme(seed, forms)
    return [programme.piece(number) for number in range(1, count + 1)]


def groups_of(pieces: list[PlannedPiece]) -> list[list[PlannedPiece]]:
    """The complete groups."""
    groups: list[list[PlannedPiece]] = []
    for piece in pieces:
        if piece.place <= 1:
            groups.append([])
        groups[-1].append(piece)
    return groups[:-1]


forms = st.builds(
    form_of,
    st.sampled_from(kinds.NAMES),
    st.one_of(st.none(), st.integers(0, 11)),
    st.one_of(st.none(), st.booleans()),
    st.sampled_from([64, 256, MAX_PIECE_STEPS, 2000]),
)
form_lists = st.lists(forms, max_size=30)
keys = st.one_of(st.none(), st.builds(Key, st.integers(0, 11), st.booleans()))


@given(
    st.integers(0, 2**63 - 1),
    form_lists,
    keys,
    st.lists(st.integers(1, 60), min_size=1, max_size=3),
)
@settings(deadline=None, max_examples=25)
def test_a_piece_follows_from_seed_forms_key_and_number_alone(
    seed: int, forms: list[Form], key: Key | None, numbers: list[int]
) -> None:
    """In whatever order pieces are asked for: a composer may resume anywhere."""
    programme = Programme(seed, forms, key)
    for number in numbers:
        assert programme.piece(number) == Programme(seed, forms, key).piece(number)


@given(st.integers(0, 2**31), form_lists)
@settings(deadline=None, max_examples=25)
def test_keys_have_few_accidentals_and_the_mode_of_the_form(seed: int, forms: list[Form]) -> None:
    for piece in pieces_of(forms, 60, seed):
        assert piece.key.accidentals <= max_accidentals(piece.form)
        assert piece.form.facts.minor in (None, piece.key.minor)


@given(st.integers(0, 2**31), form_lists)
@settings(deadline=None, max_examples=25)
def test_groups_are_whole_and_their_places_count_up(seed: int, forms: list[Form]) -> None:
    for group in groups_of(pieces_of(forms, 60, seed)):
        if len(group) == 1:
            assert (group[0].group, group[0].place, group[0].group_size) == (0, 0, 0)
            continue
        assert [piece.place for piece in group] == [*range(1, len(group) + 1)]
        assert {piece.group_size for piece in group} == {len(group)}
        assert len({piece.group for piece in group}) == 1


@given(st.integers(0, 2**31), form_lists, st.builds(Key, st.integers(0, 11), st.booleans()))
@settings(deadline=None, max_examples=25)
def test_a_wanted_key_is_kept(seed: int, forms: list[Form], key: Key) -> None:
    programme = Programme(seed, forms, key)
    assert {programme.piece(number).key for number in range(1, 40)} == {key}


def test_a_wanted_key_leaves_out_forms_of_the_other_mode() -> None:
    programme = Programme(1, CHORALES, Key(4, minor=True))
    drawn = [programme.piece(number) for number in range(1, 40)]
    assert {piece.form.facts.minor for piece in drawn} == {True}


def test_forms_come_once_until_most_have_been_used() -> None:
    for forms in (SUITES, TUNES, CHORALES):
        first = pieces_of(forms, round(0.8 * len(forms)))
        assert max(Counter(piece.form_number for piece in first).values()) == 1
        assert all(forms[piece.form_number] == piece.form for piece in first)


def test_a_suite_is_in_one_key_and_in_the_usual_order() -> None:
    order = ["prelude", "allemande", "courante", "sarabande", "menuet", "gavotte", "gigue"]
    suites = [g for g in groups_of(pieces_of(SUITES, 40)) if g[0].group == titles.SUITE]
    assert len(suites) >= 4
    for suite in suites:
        places = [order.index(piece.form.facts.kind) for piece in suite]
        # The two galanteries may be of the same kind, or the other way round.
        assert [min(place, 4) if place < 6 else 6 for place in places] == sorted(
            min(place, 4) if place < 6 else 6 for place in places
        )
        assert len({piece.key for piece in suite}) == 1


def test_a_prelude_is_followed_by_a_fugue_in_its_key() -> None:
    forms = [form_of(kind, tonic) for kind in ("prelude", "fugue") for tonic in range(12)]
    pairs = groups_of(pieces_of(forms, 20))
    assert len(pairs) >= 9
    for prelude, fugue in pairs:
        assert (prelude.form.facts.kind, fugue.form.facts.kind) == ("prelude", "fugue")
        assert prelude.key == fugue.key


def test_tunes_come_in_sets_of_one_kind_each_played_two_or_three_times() -> None:
    sets = groups_of(pieces_of(TUNES, 60))
    assert {len(tunes) for tunes in sets} == {2, 3}
    for tunes in sets:
        assert len({piece.form.facts.kind for piece in tunes}) == 1
        assert {piece.times for piece in tunes} <= {2, 3}


def test_chorales_come_in_fours() -> None:
    assert {len(group) for group in groups_of(pieces_of(CHORALES, 30))} == {4}


def test_the_next_key_is_related_to_the_last() -> None:
    near = [
        min((a - b) % 12, (b - a) % 12) <= 2
        for one, other in pairwise(pieces_of(CHORALES, 30))
        for a, b in [(_fifths(one.key), _fifths(other.key))]
    ]
    assert sum(near) >= 0.8 * len(near)


def _fifths(key: Key) -> int:
    return (key.tonic + (3 if key.minor else 0)) * 7 % 12


def test_the_corpus_decides_how_usual_many_accidentals_and_minor_are() -> None:
    corpus = [form_of("reel", tonic) for tonic in (7, 7, 2, 2, 9, 0) for _ in range(30)]
    corpus += [form_of("reel", 9, minor=True)] * 20
    tunes = pieces_of(corpus, 150)
    assert sum(piece.key.minor for piece in tunes) < 0.2 * len(tunes)
    assert max(piece.key.accidentals for piece in tunes) <= 3


def test_long_forms_are_not_drawn() -> None:
    forms = [*SUITES, form_of("fugue", steps=MAX_PIECE_STEPS + 1)]
    assert all(piece.form.steps <= MAX_PIECE_STEPS for piece in pieces_of(forms, 60))


@pytest.mark.parametrize(
    ("group", "place", "size", "pause_s"),
    [
        (titles.SUITE, 1, 6, MOVEMENT_PAUSE_S),
        (titles.SUITE, 6, 6, GROUP_PAUSE_S),
        (titles.CHORALES, 2, 4, MOVEMENT_PAUSE_S),
        (titles.TUNES, 1, 3, 0.0),
        (0, 0, 0, GROUP_PAUSE_S),
    ],
)
def test_pauses_are_those_of_a_concert(group: int, place: int, size: int, pause_s: float) -> None:
    piece = Piece(1, 0, False, 4, 0, 0, group=group, place=place, group_size=size)
    assert pause_after_s(piece) == pause_s
    assert goes_on_at_once(piece) == (pause_s == 0)


def test_every_kind_belongs_to_a_group() -> None:
    assert all(group_kind_of(kind).title for kind in kinds.NAMES)


def test_the_tempo_is_a_share_of_the_models_default() -> None:
    assert tempo_permille(form_of(""), 80) == 1000
    sarabande, gigue = form_of("sarabande"), form_of("gigue")
    assert tempo_permille(sarabande, 80) < 800 < 1000 < tempo_permille(gigue, 80)
    assert tempo_permille(sarabande, 160) == pytest.approx(tempo_permille(sarabande, 80) / 2, abs=1)


def test_the_tunes_of_a_set_follow_each_other_within_a_beat() -> None:
    folk = model_file.load(Path(__file__).parents[2] / "models" / "folk.tflite")
    planner = PiecePlanner(3, folk, None, None)
    inner = [p for n in range(1, 40) if goes_on_at_once(p := planner.piece(n, 0)[0])]
    assert len(inner) > 15
    for piece in inner:
        for end_tick in (5 * piece.beat_ticks, 5 * piece.beat_ticks + 240):
            pause_ticks = planner.pause_ticks(piece, end_tick, 0)
            following, _ = planner.piece(piece.number + 1, 0)
            downbeat_tick = end_tick + pause_ticks + following.pickup_ticks
            assert 0 <= pause_ticks < piece.beat_ticks
            assert (downbeat_tick - piece.pickup_ticks) % piece.beat_ticks == 0
