"""MusicXML as programs write it: what sounds is read, where it sounds, and the rest is told of.

music21 is here a program that writes MusicXML, and another reader to compare with.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from music21 import converter, corpus, meter, note, percussion, stream, tie

from appliance.errors import UsageError
from appliance.music.files import musicxml_reader, score_reader
from appliance.music.files.musicxml_document import MAX_ELEMENTS
from appliance.music.files.musicxml_reader import MAX_MEASURES, MAX_PARTS
from appliance.music.files.score_file import MAX_BEATS, MAX_NOTES, KeySignature, ScoreFile
from appliance.music.notes import Note
from appliance.music.score import Key
from tests.support.processor_limit import bounded_processor_time

BROUGHT = Path(__file__).parents[2] / "data" / "brought"
OPEN = (BROUGHT / "open.musicxml").read_text()


def melody(*pitches: str) -> stream.Part:
    part = stream.Part()
    part.append([meter.TimeSignature("4/4"), *(note.Note(pitch) for pitch in pitches)])
    return part


def read(path: Path, *parts: stream.Part) -> ScoreFile:
    score = stream.Score()
    for part in parts:
        score.insert(0, part)
    score.write("musicxml", path / "a.musicxml")
    return musicxml_reader.read(path / "a.musicxml")


def test_percussion_is_left_out_with_a_notice(tmp_path: Path) -> None:
    drums = stream.Part()
    drums.append([meter.TimeSignature("4/4"), note.Unpitched(), note.Unpitched()])
    drums.append(percussion.PercussionChord([note.Unpitched("D4"), note.Unpitched("E4")]))
    file = read(tmp_path, melody("C4", "D4", "E4", "F4"), drums)
    assert [len(part) for part in file.parts] == [4]
    assert file.notices == ("read 1 of 2 parts (percussion left out)",)


@pytest.mark.parametrize(
    ("names", "clef", "parts"),
    [
        (2, "<clef><sign>percussion</sign></clef>", 1),
        (2, "<clef><sign>F</sign></clef>", 2),
        (2, "<midi-channel>10</midi-channel>", 1),
        (2, "<midi-channel>11</midi-channel>", 2),
        (10, "<midi-channel>10</midi-channel>", 10),
        (10, "<midi-channel>10</midi-channel><midi-unpitched>37</midi-unpitched>", 9),
    ],
)
def test_drums_that_a_program_writes_with_pitches_are_percussion(
    tmp_path: Path, names: int, clef: str, parts: int
) -> None:
    """``clef``: of the last part, or its sound."""
    text = score(*[[pitched("C", 2)]] * names)
    last = f'<part id="P{names - 1}"><measure><attributes><divisions>2</divisions>'
    if clef.startswith("<clef>"):
        assert last in text
        text = text.replace(last, last + clef)
    else:
        name = f'<score-part id="P{names - 1}"><part-name/>'
        assert name in text
        text = text.replace(name, f"{name}<midi-instrument>{clef}</midi-instrument>")
    file = written(tmp_path, text)
    assert len(file.parts) == parts
    left_out = f"read {parts} of {names} parts (percussion left out)"
    assert file.notices == ((left_out,) if parts < names else ())


def test_a_clef_of_percussion_counts_for_its_staff_until_the_next_clef(tmp_path: Path) -> None:
    def clef(sign: str) -> str:
        return f'<attributes><clef number="2"><sign>{sign}</sign></clef></attributes>'

    staff = "<staff>2</staff>"
    measure = (
        pitched("C", 2) + clef("percussion") + pitched("D", 2) + pitched("E", 2, staff)
        + clef("G") + pitched("F", 2, staff)
    )  # fmt: skip
    file = written(tmp_path, score([measure], attributes="<staves>2</staves>"))
    assert [[note.pitch for note in part] for part in file.parts] == [[60, 62], [65]]
    assert file.notices == ("notes without a pitch were left out (1)",)


def test_grace_notes_are_left_out_with_a_notice(tmp_path: Path) -> None:
    part = melody("C4", "D4")
    part.append([note.Note("E4").getGrace(), note.Note("F4", quarterLength=2)])
    file = read(tmp_path, part)
    assert [n.pitch for n in file.parts[0]] == [60, 62, 65]
    assert file.notices == ("grace notes were left out (1)",)


def test_ties_of_voices_that_overlap_are_joined(tmp_path: Path) -> None:
    """Both voices are tied over a bar line; music21 loses one of the ties when it joins them."""
    part = stream.Part()
    for number in (1, 2):
        bar = stream.Measure(number=number)
        if number == 1:
            bar.insert(0, meter.TimeSignature("4/4"))
        kind = "start" if number == 1 else "stop"
        for place, (pitch, first) in enumerate((("B4", 1.0), ("G4", 2.0)), start=1):
            voice = stream.Voice(id=str(place))
            lengths = (4 - first, first) if number == 1 else (first, 4 - first)
            pitches = ("A4", pitch) if number == 1 else (pitch, "A4")
            for name, length in zip(pitches, lengths, strict=True):
                added = note.Note(name, quarterLength=length)
                if name == pitch:
                    added.tie = tie.Tie(kind)
                voice.append(added)
            bar.insert(0, voice)
        part.append(bar)
    (notes,) = read(tmp_path, part).parts
    assert {(n.start, n.end) for n in notes if n.pitch == 71} == {(1440, 2400)}
    assert {(n.start, n.end) for n in notes if n.pitch == 67} == {(960, 2880)}


# Files as programs write them


def written(tmp_path: Path, content: str | bytes, suffix: str = ".musicxml") -> ScoreFile:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return score_reader.read(path)


def refusal(tmp_path: Path, content: str | bytes, suffix: str = ".musicxml") -> str:
    with pytest.raises(UsageError) as refused:
        written(tmp_path, content, suffix)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


def pitched(step: str, duration: int, extra: str = "", octave: int = 4) -> str:
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{extra}{pitch}<duration>{duration}</duration></note>"


def rest(duration: int, attributes: str = "") -> str:
    return f"<note><rest{attributes}/><duration>{duration}</duration></note>"


def score(*parts: list[str], attributes: str = "") -> str:
    """A score of measures, in which a quarter note has two divisions."""
    first = f"<attributes><divisions>2</divisions>{attributes}</attributes>"
    names = "".join(f'<score-part id="P{n}"><part-name/></score-part>' for n in range(len(parts)))
    music = "".join(
        f'<part id="P{n}">'
        + "".join(
            f"<measure>{'' if place else first}{measure}</measure>"
            for place, measure in enumerate(part)
        )
        + "</part>"
        for n, part in enumerate(parts)
    )
    return f"<score-partwise><part-list>{names}</part-list>{music}</score-partwise>"


def archive(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name.replace("__", "/").replace("_", "."), data)
    return content.getvalue()


ARCHIVE = archive(a_xml=OPEN.encode())
DAMAGED = ARCHIVE[:200] + bytes((ARCHIVE[200] ^ 0xFF,)) + ARCHIVE[201:]
CONTAINER = b'<container><rootfiles><rootfile full-path="b.xml"/></rootfiles></container>'


@pytest.mark.parametrize(
    "content",
    [
        OPEN.encode("utf-16"), OPEN.encode("utf-16-le"), OPEN.encode("utf-16-be"),
        OPEN.replace("UTF-8", "UTF-16").encode(), OPEN.encode("utf-8-sig"),
        OPEN.replace("UTF-8", "latin-1").encode("latin-1"),
        OPEN.replace("UTF-8", "nonsense").encode(),
        OPEN.replace("<part-name>", "<part-name>Ténor ").encode("latin-1"),
        OPEN.replace("<part-name>", "<part-name>\x0b\x07").encode(),
        b"\r\n \n" + OPEN.encode(), OPEN.encode() + b"\n\0\0\0\0",
        OPEN.replace("score-partwise version", "score-partwise xmlns='urn:x' version").encode(),
        archive(a_xml=OPEN.encode()), archive(b_xml=OPEN.encode(), META_INF__a_xml=b"<x/>"),
        archive(**{"META-INF__container_xml": CONTAINER, "a_xml": b"<x/>", "b_xml": OPEN.encode()}),
        archive(**{"META-INF__container_xml": CONTAINER.decode().encode("utf-16"),
                   "a_xml": b"<x/>", "b_xml": OPEN.encode()}),
        archive(**{"META-INF__container_xml": CONTAINER.replace(b"b.xml", b"b.pdf"),
                   "b_pdf": b"%PDF", "b_xml": OPEN.encode()}),
        bytes(16) + archive(b_xml=OPEN.encode()),
    ],
)  # fmt: skip
def test_encodings_paddings_and_archives_do_no_harm(tmp_path: Path, content: bytes) -> None:
    opened = score_reader.read(BROUGHT / "open.musicxml")
    for suffix in (".musicxml", ".xml", ".mxl"):
        assert written(tmp_path, content, suffix).parts == opened.parts


def test_a_score_may_be_written_bar_by_bar(tmp_path: Path) -> None:
    bars = [[pitched("C", 4), pitched("D", 4)], [pitched("E", 4, octave=3), pitched("F", 4)]]
    partwise = written(tmp_path, score(*bars))
    first = "<attributes><divisions>2</divisions></attributes>"
    measures = "".join(
        "<measure>"
        + "".join(
            f'<part id="P{n}">{"" if k else first}{part[k]}</part>' for n, part in enumerate(bars)
        )
        + "</measure>"
        for k in range(2)
    )
    timewise = written(tmp_path, f"<score-timewise>{measures}</score-timewise>")
    assert timewise.parts == partwise.parts


def test_parts_with_the_same_id_or_none_are_read_side_by_side(tmp_path: Path) -> None:
    bars = [[pitched("C", 4), pitched("D", 4)], [pitched("E", 4, octave=3), pitched("F", 4)]]
    right = written(tmp_path, score(*bars))
    for same in ('id="P0"', ""):
        partwise = score(*bars).replace('<part id="P1">', f"<part {same}>")
        assert written(tmp_path, partwise).parts == right.parts
        first = "<attributes><divisions>2</divisions></attributes>"
        measures = "".join(
            "<measure>"
            + "".join(f"<part {same}>{'' if k else first}{part[k]}</part>" for part in bars)
            + "</measure>"
            for k in range(2)
        )
        timewise = written(tmp_path, f"<score-timewise>{measures}</score-timewise>")
        assert timewise.parts == right.parts


def test_a_part_rests_in_measures_that_it_has_not(tmp_path: Path) -> None:
    first = "<attributes><divisions>2</divisions></attributes>"
    measures = (
        f'<part id="a">{first}{pitched("C", 8)}</part><part id="b">{first}{pitched("D", 8)}</part>',
        f'<part id="b">{pitched("E", 8)}</part><part id="c">{first}{pitched("F", 8)}</part>',
        f'<part id="a">{pitched("G", 8)}</part>',
    )
    content = "".join(f"<measure>{measure}</measure>" for measure in measures)
    file = written(tmp_path, f"<score-timewise>{content}</score-timewise>")
    assert file.parts == (
        (Note(0, 1920, 60, 0), Note(3840, 1920, 67, 0)),
        (Note(0, 1920, 62, 1), Note(1920, 1920, 64, 1)),
        (Note(1920, 1920, 65, 2),),
    )


def test_a_measure_that_only_a_sign_repeats_has_the_notes_of_the_one_before(
    tmp_path: Path,
) -> None:
    sign = (
        '<attributes><measure-style{}><measure-repeat type="{}">{}</measure-repeat>'
        "</measure-style></attributes>"
    )
    start, stop = sign.format("", "start", 1), sign.format("", "stop", "")
    one = pitched("C", 4) + pitched("D", 4)
    omitted = written(tmp_path, score([one, start + rest(8), "", stop + pitched("E", 8)]))
    assert omitted.parts == written(tmp_path, score([one, one, one, pitched("E", 8)])).parts
    present = written(tmp_path, score([one, start + pitched("E", 8), stop + rest(8)]))
    assert present.parts == written(tmp_path, score([one, pitched("E", 8), rest(8)])).parts
    two = [one, pitched("E", 8), sign.format("", "start", 2) + rest(8), rest(8)]
    doubled = written(tmp_path, score([one, pitched("E", 8)] * 2))
    assert written(tmp_path, score(two)).parts == doubled.parts
    low = pitched("G", 8, octave=2).replace("</note>", "<staff>2</staff></note>")
    back = "<backup><duration>8</duration></backup>"
    upper = sign.format(' number="1"', "start", 1) + low
    staves = written(tmp_path, score([one + back + low, upper], attributes="<staves>2</staves>"))
    assert [len(part) for part in staves.parts] == [4, 2]


def test_quarter_tones_are_told_of(tmp_path: Path) -> None:
    between = pitched("D", 8).replace("<octave>", "<alter>0.5</alter><octave>")
    file = written(tmp_path, score([pitched("C", 8), between]))
    assert file.notices == ("notes between two semitones were read as one of them (1)",)


def test_harmonics_are_told_of(tmp_path: Path) -> None:
    def harmonic(step: str, kinds: str, chord: str = "") -> str:
        notations = f"<technical><harmonic>{kinds}</harmonic></technical>"
        note = pitched(step, 8).replace("<note>", f"<note>{chord}")
        return note.replace("</note>", f"<notations>{notations}</notations></note>")

    # Stopped at C and touched a fourth above; then harmonics that are written as they sound.
    artificial = harmonic("C", "<artificial/><base-pitch/>")
    touched = harmonic("F", "<artificial/><touching-pitch/>", "<chord/>")
    as_it_sounds = harmonic("A", "<natural/><sounding-pitch/>"), harmonic("B", "")
    file = written(tmp_path, score([artificial + touched, *as_it_sounds]))
    assert [note.pitch % 12 for note in file.parts[0]] == [0, 9, 11]
    assert file.notices == (
        "harmonics were read as they are written, not as they sound (1)",
        "places where a string is touched for a harmonic were left out (1)",
    )


def test_bars_are_as_long_as_what_is_in_them(tmp_path: Path) -> None:
    """A pickup of a quarter, in which one part has a rest of a whole bar, as programs write it."""
    meter_of = "<time><beats>4</beats><beat-type>4</beat-type></time>"
    file = written(
        tmp_path,
        score(
            [
                pitched("C", 2),
                pitched("D", 8),
                pitched("E", 4) + "<forward><duration>4</duration></forward>",
            ],
            [rest(8, ' measure="yes"'), rest(2) + pitched("F", 6), pitched("G", 4)],
            attributes=meter_of,
        ),
    )
    assert file.parts == (
        (Note(0, 480, 60, 0), Note(480, 1920, 62, 0), Note(2400, 960, 64, 0)),
        (Note(960, 1440, 65, 1), Note(2400, 960, 67, 1)),
    )
    assert (file.first_bar_ticks, file.length_ticks) == (480, 3360)


def test_chords_backups_and_staves(tmp_path: Path) -> None:
    low = pitched("C", 8, octave=3).replace("</note>", "<staff>2</staff></note>")
    measure = (
        pitched("E", 4) + pitched("G", 4, "<chord/>") + pitched("F", 4)
        + "<backup><duration>8</duration></backup>" + low
    )  # fmt: skip
    file = written(tmp_path, score([measure], attributes="<staves>2</staves>"))
    assert file.parts == (
        (Note(0, 960, 67, 0), Note(0, 960, 64, 0), Note(960, 960, 65, 0)),
        (Note(0, 1920, 48, 1),),
    )


def test_a_tablature_does_not_repeat_what_the_other_staff_has(tmp_path: Path) -> None:
    upper, lower = (
        "".join(pitched(s, 2).replace("</note>", f"<staff>{n}</staff></note>") for s in "CDEF")
        for n in (1, 2)
    )
    clef = '<staves>2</staves><clef number="2"><sign>TAB</sign></clef>'
    measure = upper + "<backup><duration>8</duration></backup>" + lower
    file = written(tmp_path, score([measure], attributes=clef))
    assert [len(part) for part in file.parts if part] == [4]
    assert file.notices == ("notes of a tablature were left out (4)",)
    alone = written(tmp_path, score([lower], attributes=clef))
    assert [len(part) for part in alone.parts if part] == [4]


def test_a_note_without_a_duration_is_as_long_as_it_looks(tmp_path: Path) -> None:
    looks = ("<type>half</type><dot/>", "<type>quarter</type>")
    notes = [pitched("C", 0).replace("<duration>0</duration>", look) for look in looks]
    file = written(tmp_path, score(["".join(notes)]))
    assert [(note.start, note.length) for note in file.parts[0]] == [(0, 1440), (1440, 480)]


def test_slashes_and_jumps_are_told_of(tmp_path: Path) -> None:
    slash = pitched("B", 2).replace("</note>", "<notehead>slash</notehead></note>")
    jump = '<direction><sound dacapo="yes"/></direction><sound tempo="60" fine="yes" tocoda="no"/>'
    file = written(tmp_path, score([pitched("C", 2) + slash + jump]))
    assert file.parts == ((Note(0, 480, 60, 0),),)
    assert file.notices == (
        "da capo and the like were not followed (1)",
        "slashes in place of notes were left out (1)",
    )


def test_a_very_short_note_is_still_a_note(tmp_path: Path) -> None:
    short = score([pitched("C", 2) + pitched("D", 1)]).replace("divisions>2", "divisions>9999")
    assert [note.length for note in written(tmp_path, short).parts[0]] == [1, 1]


def test_what_does_not_sound_is_told_of(tmp_path: Path) -> None:
    measure = (
        pitched("C", 2) + pitched("D", 2, "<cue/>") + pitched("E", 0) + pitched("Q", 2)
        + pitched("F", 2, octave=12) + "<note><unpitched/><duration>2</duration></note>"
    )  # fmt: skip
    file = written(tmp_path, score([measure]))
    assert file.parts == ((Note(0, 480, 60, 0),),)
    assert file.notices == (
        "notes without a pitch were left out (1)",
        "cue notes were left out (1)",
        "notes without a length were left out (1)",
        "notes that are no MIDI note were left out (2)",
    )


@pytest.mark.parametrize(
    ("attributes", "signature", "keys"),
    [
        ("<key><fifths>-3</fifths><mode>minor</mode></key>", KeySignature(-3, minor=True),
         (Key(3, False), Key(0, True))),
        ("<key><fifths>2</fifths></key>", KeySignature(2, minor=None),
         (Key(2, False), Key(11, True))),
        ("<key><fifths>2</fifths></key><transpose><chromatic>-2</chromatic></transpose>",
         KeySignature(0, minor=None), (Key(0, False), Key(9, True))),
    ],
)  # fmt: skip
def test_a_key_signature_is_read_as_it_sounds(
    tmp_path: Path, attributes: str, signature: KeySignature, keys: tuple[Key, Key]
) -> None:
    file = written(tmp_path, score([pitched("C", 8)], attributes=attributes))
    assert file.key_signature == signature
    assert signature.keys == keys


@pytest.mark.parametrize("fifths", ["8", "-9", "x", "nan", "1e9", ""])
def test_an_impossible_key_signature_is_none(tmp_path: Path, fifths: str) -> None:
    attributes = f"<key><fifths>{fifths}</fifths></key>"
    file = written(tmp_path, score([pitched("C", 8)], attributes=attributes))
    assert file.key_signature is None


@pytest.mark.parametrize("value", ["0", "-4", "nan", "inf", "9" * 400, "x", ""])
@pytest.mark.parametrize("element", ["divisions", "beats", "beat-type", "duration", "octave"])
def test_numbers_that_make_no_sense_end_in_notes_or_a_sentence(
    tmp_path: Path, element: str, value: str
) -> None:
    text = OPEN.replace(f"<{element}>4<", f"<{element}>{value}<").replace(
        f"<{element}>5<", f"<{element}>{value}<"
    )
    assert text != OPEN
    try:
        file = written(tmp_path, text)
    except UsageError as refused:
        reasons = "quarter notes after its beginning", "notes without a length were left out (128)"
        assert any(reason in str(refused) for reason in reasons)
    else:
        assert all(0 <= n.start <= n.end and 0 <= n.pitch < 128 for p in file.parts for n in p)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<museScore/>", "it begins with <museScore>, and should with <score-partwise>"),
        ("", "it is empty"),
        ("just some text", "it is not XML"),
        (gzip.compress(OPEN.encode()), "it is not XML"),
        (score([]), "there are no notes in it"),
        (
            score([pitched("C", 4, "<grace/>")]),
            "there are no notes in it: grace notes were left out (1)",
        ),
        (
            score(["<note><unpitched/><duration>2</duration></note>"]),
            "there are no notes in it: read 0 of 1 parts (percussion left out)",
        ),
        (OPEN[:2000], "no element found|unclosed"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + score(["&a;"]), "it declares entities"),
        (b"PK\x03\x04 and nothing else", "the compressed file is damaged: File is not a zip file"),
        (DAMAGED, "the compressed file is damaged: "),
        (archive(a_txt=b"x"), "there is no score in it"),
        (archive(a_xml=b" " * (25 << 20)), "larger than 24 MiB when it is unpacked"),
        (score(["<a/>" * MAX_ELEMENTS]), f"more than {MAX_ELEMENTS} elements"),
        (score([pitched("C", 1) * (MAX_NOTES + 1)]), f"more than {MAX_NOTES} notes|elements"),
        (score([pitched("C", 3 * MAX_BEATS)]), f"at most {MAX_BEATS} can be read"),
        (score(*[["<a/>"]] * (MAX_PARTS + 1)), f"more than {MAX_PARTS} parts"),
        (score([""] * (MAX_MEASURES + 1)), f"more than {MAX_MEASURES} measures"),
    ],
)  # fmt: skip
@bounded_processor_time()
def test_what_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, content: str | bytes, reason: str
) -> None:
    sentence = refusal(tmp_path, content)
    assert any(part in sentence for part in reason.split("|")), sentence


# Music by others


@pytest.mark.parametrize("name", ["bach/bwv269", "bach/bwv66.6", "bach/bwv253", "bach/bwv153.1"])
def test_the_notes_are_those_that_music21_reads(name: str) -> None:
    path = Path(corpus.getWork(name))
    found = musicxml_reader.read(path)
    other = converter.parse(path).stripTies()
    for part, wanted in zip(found.parts, other.parts, strict=True):
        expected = sorted(
            (round(float(element.offset) * 480), round(float(element.quarterLength) * 480), p.midi)
            for element in part_notes(wanted)
            for p in element.pitches
        )
        assert sorted((n.start, n.length, n.pitch) for n in part) == expected


def part_notes(part: stream.Part) -> list[note.NotRest]:
    return [n for n in part.flatten().notes if n.quarterLength and "Harmony" not in n.classes]


@bounded_processor_time()
def test_a_whole_string_quartet_is_read_in_time() -> None:
    file = musicxml_reader.read(Path(corpus.getWork("beethoven/opus133")))
    assert [len(part) for part in file.parts] == [2145, 2529, 2435, 1776]
    assert file.notices == ("grace notes were left out (172)",)


def closed(*pitches: tuple[str, str]) -> list[str]:
    """The bars of a staff with two voices: two half notes each, of the letters given."""
    return [
        "".join(
            f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch>"
            f"<duration>4</duration><voice>{voice}</voice></note>"
            * 2
            + "<backup><duration>8</duration></backup>"
            for voice, (step, octave) in enumerate(zip(bar, (5, 4), strict=True))
        )
        for bar in pitches
    ]


WOMEN, MEN = closed(("C", "G"), ("D", "G")), closed(("E", "C"), ("D", "B"))


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ([], ()),
        ([["", ""]], ()),
        ([[pitched("A", 8), pitched("A", 8)]], ("Soprano", "Alto", "Tenor", "Bass", "")),
    ],
)
def test_closed_score_is_split_whatever_else_is_on_the_page(
    tmp_path: Path, others: list[list[str]], names: tuple[str, ...]
) -> None:
    file = written(tmp_path, score(WOMEN, MEN, *others))
    voices = [[note.pitch for note in part] for part in file.parts]
    assert voices[:4] == [
        [72, 72, 74, 74], [67, 67, 67, 67], [76, 76, 74, 74], [60, 60, 71, 71],
    ]  # fmt: skip
    assert file.part_names == names


def test_chords_of_a_piano_are_not_split(tmp_path: Path) -> None:
    chord = pitched("C", 8) + pitched("E", 8, "<chord/>")
    file = written(tmp_path, score(WOMEN, MEN, [chord, chord]))
    assert [len(part) for part in file.parts] == [4, 4, 4, 4, 4]
    assert file.part_names == ("Soprano", "Alto", "Tenor", "Bass", "")


def test_of_interchangeable_meters_the_first_counts(tmp_path: Path) -> None:
    other = "<interchangeable><beats>6</beats><beat-type>8</beat-type></interchangeable>"
    meters = f"<time><beats>3</beats><beat-type>4</beat-type>{other}</time>"
    file = written(tmp_path, score([pitched("C", 6), pitched("D", 6)], attributes=meters))
    assert file.time_signatures == ((3, 4),)
    assert file.first_bar_ticks == 1440


def test_endings_are_read_one_after_the_other_with_a_notice(tmp_path: Path) -> None:
    bars = [
        f"<barline location='left'><ending number='{n}' type='start'/></barline>"
        + pitched("C", 8)
        + f"<barline location='right'><ending number='{n}' type='stop'/></barline>"
        for n in (1, 2)
    ]
    file = written(tmp_path, score([pitched("G", 8), *bars]))
    assert [note.pitch for note in file.parts[0]] == [67, 60, 60]
    assert file.notices == ("endings of repeats were read one after the other (2)",)
