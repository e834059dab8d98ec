"""Tunes as people bring them: after the habits of other programs, web pages and books."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.music.codecs.abc import reader
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.abc.header import parse_key
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.text import decode, split_tunes
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files import score_reader
from appliance.music.notes import notes_from
from tests.support.processor_limit import bounded_processor_time

CASES = Path(__file__).parents[3] / "data" / "abc"
EIGHTH = TICKS_PER_BEAT // 2
WORDS = [
    *("GABcdedB", "dedBdedB", "c2ecB2dB", "A2A2A2BA"),
    *("GABcdedB", "dedBdedB", "c2ecB2dB", "A2A2G4"),
]
"""The bars of the reel in all cases, without its repeats."""
G_MAJOR = dict(zip("DGABcdefg", (62, 67, 69, 71, 72, 74, 76, 78, 79), strict=True))


class Sound(NamedTuple):
    """A note as it is played."""

    eighths: float
    pitch: int


def played(score: AbcScore) -> list[tuple[float, Sound]]:
    """The notes of a tune with its repeats, each with its start in eighths."""
    codec = AbcCodec()
    context = codec.start(score.form, score.key)
    events = [event for token in codec.encode(score)[1] for event in context.accept(token)]
    return [
        (note.start / EIGHTH, Sound(note.length / EIGHTH, note.pitch))
        for note in notes_from(events)
    ]


def read(name: str) -> AbcScore:
    return reader.read(CASES / f"{name}.abc")


def sounding(bars: list[str], pitches: dict[str, int]) -> list[tuple[float, Sound]]:
    """Notes in letters and digits, one after the other."""
    found, at = [], 0.0
    text = "".join(bars)
    for n, letter in enumerate(text):
        if letter.isalpha():
            length = float(text[n + 1]) if text[n + 1 : n + 2].isdigit() else 1.0
            found.append((at, Sound(length, pitches[letter])))
            at += length
    return found


def reel(*first: str, last: str = "", pitches: dict[str, int] = G_MAJOR) -> object:
    """The reel; its first part begins with other bars, or ends with another one."""
    part = [*first, *WORDS[len(first) :]]
    part = [*part[:-1], last] if last else part
    return sounding([*part, *part, *WORDS, *WORDS], pitches)


def in_key(**changed: int) -> dict[str, int]:
    """The white keys, of which some are raised or lowered."""
    white = dict(zip("GABcdefg", (67, 69, 71, 72, 74, 76, 77, 79), strict=True))
    return {letter: pitch + changed.get(letter, 0) for letter, pitch in white.items()}


def test_the_reference_is_the_reel() -> None:
    assert played(read("good")) == reel()
    assert (read("good").key.tonic, read("good").key.minor) == (7, False)
    assert read("good").notices == ()


@pytest.mark.parametrize(
    "name",
    [
        *("bom", "cr_only", "html", "backtick", "smartquote", "quotebar"),
        *("V1_only", "V1_clef_header", "inlineV", "dollar", "y_spacer", "inlineR"),
        *("inlineP", "partP", "Kclef", "Ktreble", "noX", "continuation"),
        *("grace_acc", "bang_old", "Linline", "M_paren", "Q", "wline"),
        *("M_cut", "L_missing", "abcheader"),
    ],
)
def test_what_is_no_music_does_no_harm(name: str) -> None:
    good, score = read("good"), read(name)
    assert (score.symbols, score.key, score.form) == (good.symbols, good.key, good.form)
    assert score.notices == ()


@pytest.mark.parametrize(
    ("name", "notice"), [("M_none", "read as 4/4"), ("rest_Z", "rests of whole bars")]
)
def test_what_was_interpreted_is_told(name: str, notice: str) -> None:
    good, score = read("good"), read(name)
    assert (score.symbols, score.key, score.form) == (good.symbols, good.key, good.form)
    assert len(score.notices) == 1
    assert notice in score.notices[0]


@pytest.mark.parametrize(
    ("name", "expected", "tonic", "minor"),
    [
        ("Kempty", reel(pitches=in_key()), 0, False),
        ("Kexp", reel(pitches=in_key(f=1, c=1)), 2, False),
        ("Klyd", reel(pitches=in_key(f=1, c=1)), 7, False),
        ("Kphr", reel(pitches=in_key()), 4, True),
        ("Kminor_lower", reel(pitches=in_key(B=-1, e=-1)), 7, True),
        ("Kunicode", reel(pitches=in_key(B=-1, e=-1)), 10, False),
    ],
)
def test_keys(name: str, expected: object, tonic: int, minor: bool) -> None:
    score = read(name)
    assert played(score) == expected
    assert (score.key.tonic, score.key.minor) == (tonic, minor)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lineG8repeat_field", reel(last="A2A2G2DG")),
        ("lineG8repeat_ref", reel(last="A2A2G2DG")),
        ("dcolon_double", reel(last="A2A2G2DG")),
        ("lineNoteRepeat", reel(last="G8")),
        ("chord", reel("BABcdedB")),
        ("chordlen", reel(*WORDS[:2], "e2ecB2dB")),
        ("hash_redundant", reel("AABcdedB")),
        ("roll", reel("G3cdedB")),
        ("ending12", reel()),
        ("ending_1space", reel()),
        ("ending_13", sounding([*WORDS, *WORDS], G_MAJOR)),
        ("plusfield", sounding([*WORDS, *WORDS], G_MAJOR)),
        ("plusbody", sounding([*WORDS, *WORDS], G_MAJOR)),
    ],
)
def test_what_is_music_sounds(name: str, expected: list[tuple[float, Sound]]) -> None:
    assert played(read(name)) == expected


@pytest.mark.parametrize(
    "chord", ["+GB+2A", "+G2B2+A", "+^G,B+2A", "+trill+B2+fermata+A", "+ff+B2A"]
)
def test_a_chord_between_plus_signs_is_one_and_an_ornament_is_none(chord: str) -> None:
    tunes = [f"X:1\nM:4/4\nL:1/8\nK:G\n|:{part}B GABc|" + "G8|" * 7 for part in (chord, "B2A")]
    assert reader.parse(tunes[0] + ":|").symbols == reader.parse(tunes[1] + ":|").symbols


def test_triplets_last_as_long_as_two_notes() -> None:
    notes = played(read("triplet3_"))
    assert [round(start * 3) for start, _ in notes[8:14]] == [24, 26, 28, 30, 32, 34]
    assert notes[14][0] == 12
    assert len(notes) == len(played(read("good"))) + 2 * 2


def test_upbeats_inside_and_before_the_repeat_sign_are_the_same() -> None:
    inside, before = read("upbeat_in"), read("upbeat_bs")
    once = sounding(["ed", *WORDS[:-1], "A2A2G2"], G_MAJOR)
    end = 64
    assert played(inside) == once + [(start + end, sound) for start, sound in once]
    assert (before.symbols, before.form) == (inside.symbols, inside.form)


def test_a_tuplet_that_states_its_ratio_is_a_triplet() -> None:
    plain, stated = "(3ded d2", "(3:2:3ded d2"
    tunes = [f"X:1\nM:4/4\nL:1/8\nK:G\n|:{part} GABc|" + "G8|" * 7 for part in (plain, stated)]
    assert reader.parse(tunes[0] + ":|").symbols == reader.parse(tunes[1] + ":|").symbols


def test_a_bar_of_a_wrong_length_is_left_out_of_a_tune_and_that_is_told() -> None:
    """The first bar of this case has ten eighths."""
    score = read("tuplet_q")
    assert score.notices == ("line 7: a bar of 10 eighths instead of 8 was left out",)
    rest = sounding([*WORDS[1:], *WORDS[1:], *WORDS, *WORDS], G_MAJOR)
    assert played(score) == rest


HEADER = "X:1\nM:4/4\nL:1/8\nK:G\n"
MUSIC = "|:GABc dedB|dedB dedB|c2ec B2dB|A2A2 A2BA|GABc dedB|dedB dedB|c2ec B2dB|A2A2 G4:|"


@pytest.mark.parametrize("sign", [*"HIJKLMNOPQRSTUVWuvk~.", "!trill!", "+fermata+", "{c}", "y2"])
def test_ornaments_are_passed_over(sign: str) -> None:
    tune = HEADER + MUSIC.replace("GABc", f"{sign}GA{sign}Bc")
    assert reader.parse(tune).symbols == reader.parse(HEADER + MUSIC).symbols


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (HEADER + "%%MIDI transpose -12\n" + MUSIC, "line 5: MIDI transpose -12 was passed over"),
        ("%%transpose 2\n" + HEADER[4:] + MUSIC, "line 1: transpose 2 was passed over"),
        (HEADER + MUSIC.replace("|c2", "|=c2").replace("=", "^/"), "quarter tones were read as"),
        (f"{HEADER}V:1\n{MUSIC}\nV:2\n{MUSIC.replace('G', 'D')}\n", "two voices have notes"),
        (f"{HEADER}[V:a]{MUSIC}\n[V:b]{MUSIC.replace('G', 'D')}\n", "the first (V:a) was read"),
        (f"{HEADER}{MUSIC}\n\n{MUSIC}\n", "what follows the empty line 6 was left out"),
        (f"{HEADER}{MUSIC.replace('A2BA', 'A2BA & F8')}\n", "a second voice within bars"),
        (f"{HEADER}{MUSIC}\n\n{HEADER}{MUSIC}\n", "2 tunes are in the file; the first was read"),
    ],
)
def test_what_is_left_out_is_told(tmp_path: Path, text: str, notice: str) -> None:
    path = tmp_path / "tune.abc"
    path.write_text(text)
    score = reader.read(path)
    assert score.symbols == reader.parse(HEADER + MUSIC).symbols
    assert len(score.notices) == 1
    assert notice in score.notices[0]


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\r\r\n", "\n\n"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, line_end: str) -> None:
    text = HEADER.replace("X:1\n", "X:1\nT:Léim\n") + MUSIC + "\n"
    path = tmp_path / "tune.abc"
    path.write_bytes(text.replace("\n", line_end).encode(encoding))
    assert reader.read(path).symbols == reader.parse(HEADER + MUSIC).symbols


MAIL = "|:GAB=3Dc ded=\nB|de=\ndB dedB|=20\nc2ec B2dB|A2A2 A2BA|=20\n" + "G8|" * 4


@pytest.mark.parametrize(
    ("mail", "plain"),
    [(MAIL, MAIL.replace("=\n", "").replace("=20", "").replace("=3D", "=")),
     (MUSIC.replace("dedB|c2", "de=\ndB|c2"), MUSIC),
     ("%======\n" + MUSIC, MUSIC)],
)  # fmt: skip
def test_a_tune_out_of_a_mail_in_quoted_printable_is_read(mail: str, plain: str) -> None:
    text = decode((HEADER + mail).encode())
    assert reader.parse(text).symbols == reader.parse(HEADER + plain).symbols
    assert text.count("\n") == (HEADER + mail).count("\n")


@pytest.mark.parametrize("key", ["Dmix=c^g", "Dmix =c ^g", "D mix =c^g"])
def test_accidentals_of_a_key_need_no_space(key: str) -> None:
    found = parse_key(key)
    assert found == parse_key("Dmix =c ^g")
    assert found.alterations == (0, 0, 0, 1, 1, 0, 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("zeros", [1, 100, 512, 4096])
def test_a_file_may_be_padded_with_zeros(tmp_path: Path, encoding: str, zeros: int) -> None:
    """As disk images and memory cards do; they are no sign of UTF-16."""
    text = (HEADER.replace("X:1\n", "X:1\nT:Léim\n") + MUSIC + "\n").encode(encoding)
    path = tmp_path / "tune.abc"
    for content in (text + bytes(zeros), bytes(zeros // 2 * 2) + text):
        path.write_bytes(content)
        assert reader.read(path).symbols == reader.parse(HEADER + MUSIC).symbols


@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html>\n<html><head><title>A reel</title></head>\n<body><h1>The reel</h1>\n"
        "<pre>\nTUNE\n</pre>\n<h2>Comments</h2>\n<p>A good reel, says Ed.</p>\n"
        "<a href='x'>back</a></body></html>",
        '<ul>\n<li>\n<textarea rows="9">TUNE</textarea>\n</li>\n</ul>\n<hr/>\nDec 1999, GABE',
        '<meta charset="utf-8">\n<section>\n<pre class="abc"><strong>TUNE</strong></pre>Back\n'
        "</section>",
    ],
)
def test_what_else_is_on_a_web_page_is_no_music(page: str) -> None:
    (tune,) = split_tunes(decode(page.replace("TUNE", HEADER + MUSIC).encode()))
    score = reader.parse(tune)
    assert score.symbols == reader.parse(HEADER + MUSIC).symbols
    assert score.notices == ()


def test_the_header_of_a_file_applies_to_every_tune() -> None:
    book = "%abc-2.1\nM:6/8\nL:1/16\n\n" + 2 * f"X:1\nK:G\n{'G12|' * 8}\n\n"
    assert [reader.parse(tune).form.bar_steps for tune in split_tunes(book)] == [12, 12]


@pytest.mark.parametrize(
    ("body", "line", "why"),
    [
        ("GABc dedB|\nG7|\n" + "G8|" * 6, 6, "7 eighths instead of 8"),
        ("G8|\n\n".strip() + "\n@8|" + "G8|" * 6, 6, "not a symbol"),
        ('"G8|' + "G8|" * 7, 5, "not closed"),
        ("|:" + "G8|" * 7 + "1 G8:|2 G8:|3 G8|", 5, "more than two endings"),
    ],
)
def test_errors_name_the_line(body: str, line: int, why: str) -> None:
    with pytest.raises(ValueError, match=f"line {line}: .*{why}"):
        reader.parse(HEADER + body)


@pytest.mark.parametrize("bad", ["X:0\nT:A book of tunes\nN:collected by me\n", HEADER + "@8|"])
def test_of_a_book_the_first_tune_that_can_be_read_is_taken(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "book.abc"
    path.write_text("\n\n".join((bad, bad, HEADER + MUSIC, HEADER + MUSIC)))
    score = reader.read(path)
    assert score.symbols == reader.parse(HEADER + MUSIC).symbols
    (notice,) = score.notices
    assert notice.startswith(
        "4 tunes are in the file; tune 3 was read, the first that can be (tune 1:"
    )
    path.write_text("\n\n".join((bad, bad)))
    with pytest.raises(UsageError, match="none of the first 2 tunes can be read; tune 1: "):
        reader.read(path)


def test_a_book_for_training_is_read_as_tolerantly_as_an_opening(tmp_path: Path) -> None:
    text = (CASES / "tuplet_q.abc").read_text()
    path = tmp_path / "book.abc"
    path.write_text(f"{text}\n\n{text}")
    assert [tune for _, tune in reader.read_book(path).tunes] == [
        replace(read("tuplet_q"), name="Test")
    ] * 2


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("|::", "::|"), ("[|::", "::|]"), ("::", "::|"), ("|:::", ":::|"), ("|::", ":|")],
)
def test_repeats_for_several_times_are_told(opening: str, closing: str) -> None:
    score = reader.parse(HEADER + MUSIC.replace("|:", opening).replace(":|", closing))
    assert played(score) == sounding([*WORDS, *WORDS], G_MAJOR)
    assert score.notices == ("repeats for more than two times: each part was read as played twice",)


@pytest.mark.parametrize("line", ["::", ":|:", ":||:", "|::|", ":|\n|:", "|\n::"])
def test_one_repeat_after_another_is_not_one_for_several_times(line: str) -> None:
    score = reader.parse(HEADER + MUSIC.replace(":|", line) + MUSIC[2:])
    assert played(score) == sounding([*WORDS, *WORDS, *WORDS, *WORDS], G_MAJOR)
    assert score.notices == ()


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (HEADER.replace("K:G", "K:G transpose=-2") + MUSIC, "line 4: transpose=-2 was passed over"),
        (HEADER.replace("K:G", "K:G octave=-1") + MUSIC, "line 4: octave=-1 was passed over"),
        (HEADER + "V:1 clef=treble-8\n" + MUSIC, "line 5: clef=treble-8 was passed over"),
        (HEADER + "[K:G bass+8]" + MUSIC, "line 5: bass+8 was passed over"),
        (
            HEADER.replace("K:", "P:ABAB\nK:") + "P:A\n" + MUSIC + "\nP:B\n",
            "P:ABAB was not followed",
        ),
        (HEADER.replace("K:", "P:A2.B\nK:") + MUSIC, "P:A2.B was not followed"),
        (HEADER + MUSIC.replace(":|", "!D.C.alfine!:|"), "line 5: D.C.alfine was not followed"),
        (
            HEADER + MUSIC.replace(":|", '"^D.S. al Coda":|'),
            "line 5: D.S. al Coda was not followed",
        ),
        (HEADER + MUSIC.replace(":|", '"_Da Capo":|'), "line 5: Da Capo was not followed"),
        (HEADER + MUSIC.replace("G4", "G"), "line 5: the last note of a section was made longer"),
    ],
)
def test_what_is_not_read_as_it_is_written_is_told(text: str, notice: str) -> None:
    score = reader.parse(text)
    assert score.symbols == reader.parse(HEADER + MUSIC).symbols
    assert len(score.notices) == 1
    assert notice in score.notices[0]


@pytest.mark.parametrize(
    "text",
    [
        HEADER.replace("K:G", "K:G transpose=0 octave=0 clef=treble") + MUSIC,
        HEADER + "V:1\n" + MUSIC + "\nV:2 clef=bass octave=-1\n",
        HEADER.replace("K:", "P:A\nK:") + "P:A\n" + MUSIC,
        HEADER.replace("K:", "P: Modern Version.\nK:") + MUSIC,
        HEADER + MUSIC.replace("|c2ec", '|"Dsus4"c2"D7"ec'),
        HEADER + MUSIC.replace("|c2ec", '|"D"c2"^Coda"ec'),
        HEADER + "%%MIDI transpose 0\n%%MIDI program 12\n" + MUSIC,
        HEADER + MUSIC.replace("|:", "| :").replace(":|", ": |"),
        HEADER + MUSIC.replace("|:", "|  :").replace(":|", " :  |"),
    ],
)
def test_what_changes_no_note_is_not_told(text: str) -> None:
    score = reader.parse(text)
    assert score.symbols == reader.parse(HEADER + MUSIC).symbols
    assert score.notices == ()


def test_a_tune_in_two_four_with_short_notes_is_told_to_be_read_in_four_four() -> None:
    score = reader.parse(HEADER.replace("4/4", "2/4").replace("1/8", "1/16") + MUSIC)
    assert score.symbols == reader.parse(HEADER + MUSIC).symbols
    assert score.notices == (
        "it is in 2/4 with many notes shorter than an eighth: all lengths were doubled, to 4/4",
    )


@pytest.mark.parametrize("field", ["M:6/8\n", "V:1\nM:6/8\n", "[M:6/8]", "|:[M:6/8]"])
def test_a_meter_between_the_key_and_the_first_note_is_that_of_the_tune(field: str) -> None:
    score = reader.parse("X:1\nL:1/8\nK:G\n" + field + "GAB cde|ded B3|" * 8)
    assert (score.form.bar_steps, score.form.beat_steps, score.notices) == (12, 6, ())


def test_an_opening_says_what_was_interpreted() -> None:
    assert (
        AbcCodec().opening(score_reader.read(CASES / "M_none.abc")).notices
        == read("M_none").notices
    )


def test_quarter_tones_are_semitones() -> None:
    tune = HEADER + "|:" + "^/F^3/2F _/B_3/2B _1/2B^1/4F =F=B|" * 8
    plain = HEADER + "|:" + "=F^F =B_B =B=F =F=B|" * 8
    assert reader.parse(tune).symbols == reader.parse(plain).symbols


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (rb"{\rtf1\ansi " + (HEADER + MUSIC).encode() + b"}", "it is a document of a word proc"),
        (("X:1\nM:4/4\nL:1/8\n" + MUSIC).encode(), "it has no line K: (such as K:C)"),
    ],
)
def test_what_is_no_tune_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "tune.abc"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        score_reader.read(path)
    assert reason in str(refused.value)
    ((_, tune),) = reader.read_book(path).tunes
    assert isinstance(tune, str)
    assert reason in tune


# Bounds


@pytest.mark.parametrize(
    "filler",
    [
        *("[", "{", '"', "(", "!", "&", "+", "<p", "A-", "[A", "G/", "^", "|", "1", " ", "\n"),
        *(":|2", "(3", "G::", "Z", "[1", "V:1\n", "[V:1]", "L:1/8\n", "w:a\n", "X:1\n", "%\n"),
        *("GABcdefg|", "|:G8:|", "(9:1:9", "%%begintext\n", "&#9837;", "G\0", "\r", ":", "z8|"),
    ],
)
@bounded_processor_time()
def test_any_input_is_read_or_refused_in_time(tmp_path: Path, filler: str) -> None:
    path = tmp_path / "tune.abc"
    for count in (20_000, 1_000_000):
        path.write_text(HEADER + filler * (count // len(filler)))
        try:
            AbcCodec().opening(score_reader.read(path))
        except UsageError as why:
            assert str(why)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(sorted(CASES.glob("*.abc"))),
    st.lists(
        st.tuples(
            st.integers(0, 250),
            st.integers(0, 20),
            st.text(alphabet="GAbc:|[]()\"'!{}<>^_=/0123456789zZyXVKLMPr\n\r %&$~+-,", max_size=9),
        ),
        max_size=4,
    ),
)
def test_a_damaged_tune_is_read_or_refused(path: Path, damages: list[tuple[int, int, str]]) -> None:
    text = decode(path.read_bytes())
    for at, length, put in damages:
        text = text[:at] + put + text[at + length :]
    for tune in split_tunes(text):
        try:
            AbcCodec().encode(reader.parse(tune))
        except ValueError as why:
            assert str(why)


@given(st.binary(max_size=300).filter(lambda content: not content.lstrip().startswith(b"{\\rtf")))
def test_any_bytes_are_decoded(content: bytes) -> None:
    text = decode(content)
    assert "\r" not in text
    for tune in split_tunes(text):
        try:
            reader.parse(tune)
        except ValueError as why:
            assert str(why)
