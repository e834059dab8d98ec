"""The figures of ``make quality``: what they count, on music small enough to count by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.events import TICKS_PER_BEAT, NoteOff, NoteOn
from appliance.music.score import Form, Key, Score
from appliance.training.evaluate import (
    style_features,
    ngram,
    quality_page,
    sampling_jobs,
    style_distance,
)
from appliance.training.evaluate.model_quality import ModelQuality, promises, measure_quality
from appliance.training.evaluate.defects import DefectCounter, find_defects
from appliance.training.evaluate.finished_pieces import Heard, Note, Step, composed, notes_of, told
from appliance.training.evaluate.style_features import Histogram
from appliance.training.evaluate.originality import SharedRuns
from appliance.training.evaluate.sampling_jobs import Amount, Music, Setting, ReferenceMusic
from appliance.training.evaluate.style_distance import (
    Grader,
    between,
    rank_distance,
    set_distance,
    wasserstein,
)
from tests.support.making_music import MODEL, OPENING, chords

CODEC = FourPartCodec(onsets=True, form=True)
BEAT = TICKS_PER_BEAT
PLAIN, HOME = Form(16, 0, 64), Key(0, False)


def line(*pitches: int, length: int = BEAT, voice: int = 0) -> list[Note]:
    return [Note(n * length, length, pitch, voice) for n, pitch in enumerate(pitches)]


def heard(*voices: list[Note], form: Form = PLAIN) -> Heard:
    notes = sorted((n for voice in voices for n in voice), key=lambda n: (n.start, -n.pitch))
    ticks = max((note.end for note in notes), default=0)
    return Heard(tuple(notes), HOME, form, ticks)


def performed(score: Score) -> Heard:
    return told(CODEC, CODEC.encode(score)[1], score.form, score.key)


# Pieces


def test_a_score_is_heard_as_it_is_written() -> None:
    piece = performed(OPENING)
    sopranos = [note.pitch for note in piece.voice(0)]
    written = [
        row[0] for row, struck in zip(OPENING.pitches, OPENING.onsets, strict=True) if struck[0]
    ]
    assert sopranos == written
    assert piece.ticks == OPENING.steps * BEAT // 4
    assert (piece.key, piece.form) == (OPENING.key, OPENING.form)


def test_a_voice_that_goes_straight_on_has_left_its_note() -> None:
    events = [NoteOn(0, 0, 60, 80), NoteOn(240, 0, 62, 80), NoteOff(480, 0, 62)]
    assert notes_of(events) == (Note(0, 240, 60, 0), Note(240, 240, 62, 0))


def test_chords_are_what_sounds_between_two_changes() -> None:
    piece = heard([Note(0, 960, 72, 0)], [Note(0, 480, 48, 1), Note(1440, 480, 50, 1)])
    assert piece.chords() == [
        (0, 480, [48, 72]),
        (480, 960, [72]),
        (960, 1440, []),
        (1440, 1920, [50]),
    ]


def test_what_the_composer_composes_is_cut_into_pieces() -> None:
    composer = Composer(model_file.load(MODEL), seed=3)
    composer.ending_samples = 1
    pieces = composed(composer)
    first, steps = next(pieces)
    assert first.ticks == first.form.steps * BEAT // 4 or first.given_up
    assert max(note.end for note in first.notes) <= first.ticks
    assert first.notes[0].start == 0
    # The breath belongs to the piece's last call.
    assert steps[-1].tick == first.ticks < steps[-1].until
    assert not first.late


# Features


def test_the_key_is_heard_from_the_notes() -> None:
    cadence = chords((4, (72, 67, 64, 48)), (4, (72, 69, 65, 53)), (4, (71, 67, 62, 55)))
    for shift in (0, 3, 7):
        assert style_features.estimate_key(performed(cadence.transposed(shift))) == Key(shift, False)


def test_parallels_are_counted_as_they_are() -> None:
    fifths = heard(line(67, 69, 71), [], [], line(48, 50, 52, voice=3))
    assert style_features.parallels(fifths) == Counter(fifths=2, octaves=0)
    octaves = heard(line(72, 74), line(60, 62, voice=1), line(52, 50, voice=2))
    assert style_features.parallels(octaves) == Counter(fifths=0, octaves=1)
    oblique = heard(line(67, 67), line(60, 60, voice=1))
    contrary = heard(line(67, 65), line(48, 58, voice=3))
    late = heard(line(67, 69), [Note(0, 240, 60, 1), Note(240, 240, 62, 1)])
    for piece in (oblique, contrary, late):
        assert not style_features.parallels(piece).total()


def test_a_fermata_absolves() -> None:
    phrase = Form(16, 0, 64, ((0, 4),))
    over = heard(line(67, 69), line(60, 62, voice=1), form=phrase)
    assert not style_features.parallels(over).total()


@pytest.mark.parametrize(
    ("pitches", "kind"),
    [
        ((48, 64, 67, 72), "major"),
        ((52, 60, 67, 72), "major"),
        ((45, 60, 64, 69), "minor"),
        ((43, 59, 62, 65), "dominant seventh"),
        ((47, 62, 65, 68), "diminished seventh"),
        ((48, 49, 50, 51), "other"),
        ((60,), "unison"),
    ],
)
def test_chords_have_names(pitches: tuple[int, ...], kind: str) -> None:
    assert style_features.chord_kind(pitches) == kind


def test_intervals_do_not_reach_over_a_rest() -> None:
    voice = [Note(0, 480, 60, 0), Note(480, 480, 64, 0), Note(1440, 480, 62, 0)]
    assert style_features.intervals(voice) == Counter({4: 1})
    assert style_features.rests(heard(voice)) == [480]


def test_repeats_are_sequences_of_two_notes_or_more_that_no_longer_one_explains() -> None:
    a, b, c, d = ("a", 4), ("b", 4), ("c", 4), ("d", 4)
    assert not style_features.repeats([a, b, c, d])
    assert not style_features.repeats([a, b, a, c, a, d])
    # "a b c" twice; "a b" and "b c" stand only within it.
    assert style_features.repeats([a, b, c, d, a, b, c]) == Counter({12: 2})
    # "a b" three times, and twice as part of "a b c".
    assert style_features.repeats([a, b, c, a, b, d, a, b, c]) == Counter({12: 2, 8: 3})
    # The last note of a sequence may go on in one place and not in another.
    assert style_features.repeats([a, ("b", 8), c, a, b]) == Counter({8: 2})


def test_lines_are_counted_by_their_highest_notes() -> None:
    piece = heard(line(72, 74, 76, 74, 72, 74), [Note(0, 6 * BEAT, 48, 1)])
    found = style_features.of_lines(piece)
    assert found["melody"] == Counter({2: 3, -2: 2})
    assert found["onsets"] == Counter({BEAT: 5})
    assert found["rhythm"] == Counter({BEAT: 6, 6 * BEAT: 1})
    assert found["harmony"] == Counter({"unison": 2, "whole tone": 3, "major third": 1})
    assert found["repeats"] == style_features.Histogram()
    tune = line(72, 74, 76, 77, 60, 72, 74, 76, 77)
    assert style_features.of_lines(heard(tune))["repeats"] == Counter({2: 2})


# The grade


def test_a_corpus_is_no_distance_from_itself() -> None:
    pieces = [performed(OPENING)]
    grader = Grader(style_features.of_four_voices, pieces)
    assert style_distance.grade(grader.distances(pieces[0])) == 0
    assert (
        set_distance([grader.distances(p) for p in pieces], [grader.distances(p) for p in pieces]) == 0
    )


def test_another_key_is_no_distance_and_another_piece_is() -> None:
    piece = performed(OPENING)
    grader = Grader(style_features.of_four_voices, [piece])
    moved = performed(OPENING.transposed(2))
    assert style_distance.grade(grader.distances(moved)) == pytest.approx(0)
    other = performed(chords((8, (72, 67, 64, 48)), (8, (71, 67, 62, 43))))
    assert style_distance.grade(grader.distances(other)) > 1


def test_the_entries_stand_in_the_order_of_their_frequency() -> None:
    known: Histogram = Counter({"often": 6, "less": 3, "rarely": 1})
    assert rank_distance(Counter({"often": 12, "less": 6, "rarely": 2}), known) == pytest.approx(0)
    # All of it one place, or two places, from where six tenths of the corpus are.
    assert rank_distance(Counter({"less": 1}), known) == pytest.approx(0.6 + 0.1)
    assert rank_distance(Counter({"rarely": 1}), known) == pytest.approx(2 * 0.6 + 0.3)
    # What the corpus does not know comes after everything else.
    assert rank_distance(Counter({"never": 1}), known) == pytest.approx(3 * 0.6 + 2 * 0.3 + 0.1)
    assert rank_distance(Counter(), known) == rank_distance(Counter({"never": 1}), known)


def test_parallels_weigh_by_how_much_more_often_they_are() -> None:
    one_fifth = heard(line(67, 69, 68, 69), line(60, 62, 62, 64, voice=1))
    corpus = [one_fifth, heard(line(72, 74, 73, 74), line(60, 62, 62, 64, voice=1))]
    grader = Grader(lambda piece: {"parallels": style_features.parallels(piece)}, corpus)
    bad = heard(line(67, 69, 71, 72), line(60, 62, 64, 65, voice=1))
    clean = heard(line(67, 69), line(60, 59, voice=1))
    assert grader.distances(clean) == {"parallels": 0}
    # Three fifths where the corpus has one parallel in eight notes, half of them octaves.
    assert grader.distances(bad)["parallels"] == pytest.approx(0.5 * (3 / 8) / (2 / 16))


histogram = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)


@given(histogram, histogram, histogram)
def test_the_distance_is_one(a: list[int], b: list[int], c: list[int]) -> None:
    assert wasserstein(a, a) == pytest.approx(0)
    assert wasserstein(a, b) == pytest.approx(wasserstein(b, a))
    assert wasserstein(a, c) <= wasserstein(a, b) + wasserstein(b, c) + 1e-9
    assert wasserstein(a, b) == pytest.approx(wasserstein([2 * x for x in a], b))


def test_sets_of_numbers_are_compared_as_sets() -> None:
    assert between([1, 2, 3], [3, 1, 2]) == 0
    assert between([0, 0], [2, 2]) == 2
    assert between([1, 1, 1, 5], [1, 5, 5, 5]) == pytest.approx(2)


# Originality


def test_the_longest_run_is_found_in_any_key() -> None:
    known = SharedRuns([line(60, 62, 64, 65, 67), line(72, 71, 69)])
    assert known.longest(line(67, 69, 71, 72, 74)) == 5
    assert known.longest(line(50, 62, 64, 66, 67, 50)) == 4
    assert known.longest(line(60, 70, 50)) == 0
    assert known.longest(line(60)) == 0
    # The end of one piece and the beginning of the next are no run.
    assert known.longest(line(65, 67, 72, 71)) == 2


def test_a_run_is_not_found_by_chance() -> None:
    dice = np.random.default_rng(1)
    known = SharedRuns([line(*dice.integers(40, 80, 300).tolist()) for _ in range(100)])
    runs = [known.longest(line(*dice.integers(40, 80, 300).tolist())) for _ in range(100)]
    assert max(runs) < 10


def test_another_rhythm_is_another_run() -> None:
    known = SharedRuns([line(60, 62, 64, 65)])
    assert known.longest(line(60, 62, 64, 65, length=BEAT // 2)) == 0
    held = [note._replace(length=100) for note in line(60, 62, 64, 65)]
    assert known.longest(held) == 4


@given(
    st.lists(st.lists(st.integers(60, 64), max_size=12), max_size=4),
    st.lists(st.integers(60, 64), max_size=12),
)
def test_it_is_the_longest(corpus: list[list[int]], piece: list[int]) -> None:
    def steps(pitches: list[int]) -> list[int]:
        return list(np.diff(pitches))

    def within(part: list[int], whole: list[int]) -> bool:
        return any(whole[n : n + len(part)] == part for n in range(len(whole) - len(part) + 1))

    ours = steps(piece)
    runs = [
        length + 1
        for length in range(1, len(ours) + 1)
        for at in range(len(ours) - length + 1)
        if any(within(ours[at : at + length], steps(known)) for known in corpus)
    ]
    found = SharedRuns([line(*known) for known in corpus]).longest(line(*piece))
    assert found == max(runs, default=0)


# The listener


def test_a_listener_finds_what_is_wrong() -> None:
    frozen = chords((64, (72, 67, 64, 48)), (4, (71, 67, 62, 43)), (4, (72, 67, 64, 48)))
    found = find_defects(performed(frozen))
    assert found.frozen_beats == 16
    assert found.held_beats == 16
    assert found.silent_beats == 0
    assert (found.at_home, found.by_cadence) == (True, True)
    open_end = performed(chords((4, (72, 67, 64, 48)), (4, (71, 67, 62, 43))))
    assert not find_defects(Heard(open_end.notes, Key(0, False), open_end.form, open_end.ticks)).at_home


def test_a_chord_struck_again_is_still_frozen_and_a_figure_is_a_loop() -> None:
    assert find_defects(heard(line(*[60] * 12))).frozen_beats == 12
    figure = find_defects(heard(line(*[60, 64, 67, 64] * 5)))
    assert figure.frozen_beats == 1
    assert figure.loop_beats == 16
    assert find_defects(heard(line(*range(60, 80)))).loop_beats == 0


def test_what_was_heard_before_is_repeated() -> None:
    tune = [60, 62, 65, 64, 67, 60, 59, 62, 71, 72]
    assert find_defects(heard(line(*tune))).repeated == 0
    assert find_defects(heard(line(*tune, *tune))).repeated == pytest.approx(2 / 20)


def test_silences_and_unmatched_notes_are_heard_across_pieces() -> None:
    listener = DefectCounter()
    piece = heard(line(60))
    listener.hear(piece, [Step(0, [NoteOn(0, 0, 60, 80), NoteOff(480, 0, 60)], 480)])
    later = [NoteOn(1920, 0, 60, 80), NoteOn(2000, 0, 61, 80), NoteOff(2400, 0, 60)]
    listener.hear(piece, [Step(1920, later, 2400)])
    assert listener.report.silent_beats == 3
    assert listener.report.unmatched == 2
    assert listener.report.opened_alike == 1


# The n-gram


def test_an_n_gram_composes_in_the_form_that_it_is_given() -> None:
    learnt = ngram.composer(CODEC, [OPENING], [CODEC.encode(OPENING)[1]], 4)
    said = CODEC.encode(OPENING)[1]
    for at in (0, 5, 20):
        shares = learnt.shares(said, at)
        assert shares.sum() == pytest.approx(1)
        assert shares[said[at]] == pytest.approx(learnt.share(said, at, said[at]))
    form = Form(16, 0, 32, ((28, 32),))
    tokens = ngram.compose(learnt, CODEC, form, minor=False, dice=np.random.default_rng(1))
    assert len(tokens) == 4 * 32


# Choosing, and the page


def music(setting: Setting, pieces: list[Heard]) -> Music:
    listener = DefectCounter()
    for piece in pieces:
        listener.hear(piece, [Step(0, [], piece.ticks)])
    return Music(setting, pieces, listener.report, {"loop": 1}, [50.0] * 20, 1.0)


SCORES = [
    OPENING,
    chords((8, (72, 67, 64, 48)), (8, (71, 67, 62, 43)), (16, (72, 67, 64, 48))),
    chords(
        (4, (72, 67, 64, 48)), (4, (71, 67, 62, 43)), (8, (72, 69, 65, 41)), (16, (72, 67, 64, 48))
    ),
]
STRANGE = chords(*[(1, (61 + n % 7, 60, 50 + n % 5, 40)) for n in range(32)])


def weighed(near: Setting, others: list[Setting], own: Setting) -> ModelQuality:
    """One setting at which the model composes what is held out, others at which it does not."""
    bach = [performed(score) for score in SCORES]
    strange = [performed(STRANGE)] * 3
    rest = [music(near, bach)] + [music(setting, strange) for setting in others]
    studied = ReferenceMusic({"train": bach, "valid": bach, "test": bach[:2]}, strange)
    day = music(own, bach if own == near else strange)
    return measure_quality(model_file.load(MODEL), own, studied, day, rest, [m.setting for m in rest])


def test_the_setting_nearest_to_the_valid_pieces_is_chosen() -> None:
    near, far = Setting(0.8, 0.9), Setting(1.2, 1.0)
    one = weighed(near, [far], own=far)
    assert one.strays[near] == 0 < one.strays[far]
    assert one.chosen == near
    assert "should be 0.8 and 0.9" in quality_page.verdict(one)
    assert weighed(near, [far], own=near).chosen == near


def test_a_setting_as_good_as_the_nearest_stays() -> None:
    near, own, far = Setting(0.8, 0.9), Setting(0.9, 0.9), Setting(1.2, 1.0)
    one = weighed(near, [own, far], own=own)
    one.strays.update({near: 1.0, own: 1.09, far: 1.2})
    assert one.chosen == own
    one.strays[own] = 1.11
    assert one.chosen == near


def test_a_setting_that_the_guard_gives_up_is_no_default() -> None:
    near, far = Setting(0.8, 0.9), Setting(1.2, 1.0)
    one = weighed(near, [far], own=far)
    one.given_up[near] = 0.1
    assert one.chosen == far


def test_promises_are_broken_one_by_one() -> None:
    good = [performed(score) for score in SCORES]
    corpus = [find_defects(piece) for piece in good]
    assert all(promises(music(Setting(1, 1), good), corpus).values())
    frozen = performed(chords((72, (72, 67, 64, 48)), (4, (71, 67, 62, 43))))
    looping = heard(line(*[60, 64, 67, 64] * 12))
    for piece, broken in (
        (frozen, "no chord frozen beyond 4 bars"),
        (looping, "no loop (4 bars)"),
        (good[0], "no two pieces open alike"),
    ):
        kept = promises(music(Setting(1, 1), [*good, piece]), corpus)
        assert [promise for promise, was in kept.items() if not was] == [broken]
    growing = music(Setting(1, 1), good)
    growing.memory_mib[-1] = 60
    assert not promises(growing, corpus)["memory flat"]


def test_a_loop_that_the_corpus_has_is_music() -> None:
    perpetual = heard(line(*[60, 64, 67, 64] * 12))
    assert "no loop (11 bars)" in promises(music(Setting(1, 1), [perpetual]), [find_defects(perpetual)])


def test_the_page_says_it_all() -> None:
    near, far = Setting(0.9, 0.95), Setting(1.2, 0.95)
    one = weighed(near, [far], own=near)
    page = quality_page.write([one], hours=1, pieces=3, seed=1, seconds=60)
    for said in ("grade", "the model", "an n-gram", "| top-p 0.95 | **0.00**", "are right"):
        assert said in page
    widths = {row.count("|") for row in page.partition("## Promises")[2].split("\n") if "|" in row}
    assert widths == {3}


def test_the_command_composes_studies_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "pieces"
    found = sampling_jobs.compose(MODEL, Setting(0.9, 0.95), Amount(1), 1, spool)
    (piece,) = sampling_jobs.spooled(spool)
    assert found.report.notes == len(piece.notes)
    assert len(found.memory_mib) == 20
    scores: dict[str, list[Score]] = {"train": SCORES, "valid": SCORES, "test": SCORES}
    monkeypatch.setattr(sampling_jobs, "scores_for", lambda *_: scores)
    studied = sampling_jobs.study(MODEL, None, tmp_path, 1, 1)
    assert len(studied.ngram) == 1
    assert [len(some) for some in studied.pieces.values()] == [3, 3, 3]
