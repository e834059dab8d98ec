"""Piece records as scores to print: MusicXML 4.0, written as text.

Source: https://www.w3.org/2021/06/musicxml40/
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from appliance.music.events import NO_PROGRAM, TICKS_PER_BEAT, Piece
from appliance.music.files import notation, piece_embedding
from appliance.music.files.notation import DIVISIONS, GRID_TICKS, Layer, Written
from appliance.music.files.parts_and_clefs import Clef, Part, parts_of
from appliance.music.files.piece_record import PieceRecord
from appliance.music.files.time_signatures import time_signature
from appliance.music.notes import notes_from
from appliance.music.score import Key
from appliance.music.titles import piece_title

SUFFIXES: Final = (".musicxml", ".xml")

_VOICES_PER_STAFF: Final = 4
"""Voices 1 to 4 are on the first staff, 5 to 8 on the second, as other programs number them."""
_TRIPLET: Final = (
    "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes>"
    "</time-modification>"
)


def write(path: Path, record: PieceRecord, tempo_bpm: float) -> None:
    """Write a piece as a score, with its record inside.

    Args:
        path: written in place.
        record: of the piece.
        tempo_bpm: quarter notes per minute that are set; the piece's own tempo follows from it.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text("\n".join(_document(record, tempo_bpm)) + "\n", encoding="utf-8")


def _document(record: PieceRecord, tempo_bpm: float) -> Iterator[str]:
    about = record.piece
    notes = sorted(notes_from(record.events()))
    parts = parts_of(about, notes)
    bars = notation.bars(about, max((notation.on_grid(note.end) for note in notes), default=1))
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">'
    )
    yield '<score-partwise version="4.0">'
    yield f"<work><work-title>{escape(piece_title(about))}</work-title></work>"
    yield "<identification>"
    composer = f"Bachbox ({record.model}, seed {record.seed})"
    yield f'<creator type="composer">{escape(composer)}</creator>'
    yield f"<encoding><software>{escape(record.made_by)}</software></encoding>"
    yield "<miscellaneous>"
    yield _field("settings", escape(record.description))
    yield _field(piece_embedding.FIELD, piece_embedding.xml_text(record))
    yield "</miscellaneous>"
    yield "</identification>"
    yield "<part-list>"
    for number, part in enumerate(parts, start=1):
        yield _score_part(number, part)
    yield "</part-list>"
    for number, part in enumerate(parts, start=1):
        yield f'<part id="P{number}">'
        yield from _part(part, bars, about, tempo_bpm, is_first=number == 1)
        yield "</part>"
    yield "</score-partwise>"


def _field(name: str, text: str) -> str:
    return f'<miscellaneous-field name="{name}">{text}</miscellaneous-field>'


def _score_part(number: int, part: Part) -> str:
    name = escape(part.name)
    instrument = ""
    if part.program != NO_PROGRAM:
        instrument = (
            f'<score-instrument id="P{number}-I1"><instrument-name>{name}</instrument-name>'
            f'</score-instrument><midi-instrument id="P{number}-I1">'
            f"<midi-channel>{number}</midi-channel><midi-program>{part.program + 1}</midi-program>"
            "</midi-instrument>"
        )
    return f'<score-part id="P{number}"><part-name>{name}</part-name>{instrument}</score-part>'


def _part(
    part: Part, bars: Sequence[tuple[int, int]], about: Piece, tempo_bpm: float, *, is_first: bool
) -> Iterator[str]:
    fifths = Key(about.tonic, about.minor).fifths
    staves = [notation.layers(staff.notes) for staff in part.staves]
    for number, (start, end) in enumerate(bars, start=0 if about.pickup_ticks else 1):
        implicit = "" if number else ' implicit="yes"'
        yield f'<measure number="{number}"{implicit}>'
        if start == 0:
            yield _attributes(part, about, fifths)
            if is_first:
                yield _tempo(about, about.sounding_bpm(tempo_bpm))
        yield from _bar(staves, start, end, about, fifths)
        if end == bars[-1][1]:
            yield ('<barline location="right"><bar-style>light-heavy</bar-style></barline>')
        yield "</measure>"


def _attributes(part: Part, about: Piece, fifths: int) -> str:
    """Key, time, staves and clefs of a part."""
    mode = "minor" if about.minor else "major"
    time = time_signature(about)
    count = len(part.staves)
    return (
        f"<attributes><divisions>{DIVISIONS}</divisions>"
        f"<key><fifths>{fifths}</fifths><mode>{mode}</mode></key>"
        f"<time><beats>{time['numerator']}</beats>"
        f"<beat-type>{time['denominator']}</beat-type></time>"
        + (f"<staves>{count}</staves>" if count > 1 else "")
        + "".join(
            _clef(staff.clef, f' number="{number}"' if count > 1 else "")
            for number, staff in enumerate(part.staves, start=1)
        )
        + "</attributes>"
    )


def _clef(clef: Clef, number: str) -> str:
    octave = (
        f"<clef-octave-change>{clef.octave_change}</clef-octave-change>"
        if clef.octave_change
        else ""
    )
    return f"<clef{number}><sign>{clef.sign}</sign><line>{clef.line}</line>{octave}</clef>"


def _tempo(about: Piece, quarters_bpm: float) -> str:
    """A visible metronome mark for what is counted, and the tempo for players."""
    beat = about.beat_ticks / TICKS_PER_BEAT
    unit, dot = {1.5: ("quarter", "<beat-unit-dot/>"), 0.5: ("eighth", "")}.get(
        beat, ("quarter", "")
    )
    counted_bpm = quarters_bpm / beat if beat in (0.5, 1.5) else quarters_bpm
    return (
        '<direction placement="above"><direction-type><metronome>'
        f"<beat-unit>{unit}</beat-unit>{dot}<per-minute>{round(counted_bpm)}</per-minute>"
        f'</metronome></direction-type><sound tempo="{quarters_bpm:g}"/></direction>'
    )


def _bar(
    staves: Sequence[Sequence[Layer]], start: int, end: int, about: Piece, fifths: int
) -> Iterator[str]:
    """All layers of all staves of one bar."""
    beat = max(1, about.beat_ticks // GRID_TICKS)
    is_whole = end - start == notation.bar_length(about)
    now = start
    for number, layers in enumerate(staves, start=1):
        staff = f"<staff>{number}</staff>" if len(staves) > 1 else ""
        first = (number - 1) * _VOICES_PER_STAFF + 1
        written = [notation.bar_of(layer, start, end, beat) for layer in layers]
        sounding = [bar for bar in written if any(note.pitches for note in bar)]
        for voice, bar in enumerate(sounding or [[]], start=first):
            if now > start:
                yield f"<backup><duration>{now - start}</duration></backup>"
            if not bar and is_whole:
                yield _whole_rest(end - start, voice, staff)
                now = end
            else:
                # Programs take a whole bar's rest for as long as the meter says, in a pickup too.
                bar = bar or notation.bar_of([], start, end, beat)
                now = yield from _layer(bar, voice, staff, fifths, hide_rests=voice > first)


def _whole_rest(duration: int, voice: int, staff: str) -> str:
    return (
        f'<note><rest measure="yes"/><duration>{duration}</duration><voice>{voice}</voice>'
        f"{staff}</note>"
    )


def _layer(
    bar: Sequence[Written], voice: int, staff: str, fifths: int, *, hide_rests: bool
) -> Generator[str, None, int]:
    """One layer of a bar; return where it ends."""
    last = max((n for n, note in enumerate(bar) if note.pitches), default=len(bar))
    for place, note in enumerate(bar):
        if note.pitches or not hide_rests:
            yield from _notes(note, voice, staff, fifths)
        elif place < last:
            duration = f"<duration>{note.value.duration}</duration>"
            yield f"<forward>{duration}<voice>{voice}</voice>{staff}</forward>"
        else:
            return note.start
    return bar[-1].end


def _notes(written: Written, voice: int, staff: str, fifths: int) -> Iterator[str]:
    """A chord, a note or a rest."""
    value = written.value
    ties = [
        kind for kind, there in (("stop", written.tied_from), ("start", written.tied_on)) if there
    ]
    for nth, pitch in enumerate(written.pitches or (None,)):
        yield (
            "<note>"
            + ("<chord/>" if nth else "")
            + ("<rest/>" if pitch is None else _pitch(pitch, fifths))
            + f"<duration>{value.duration}</duration>"
            + "".join(f'<tie type="{kind}"/>' for kind in ties)
            + f"<voice>{voice}</voice>"
            + (f"<type>{value.type}</type>" if value.type else "")
            + "<dot/>" * value.dots
            + (_TRIPLET if value.triplet else "")
            + staff
            + ("" if nth else _beams(written.beams))
            + _notations(ties)
            + "</note>"
        )


def _beams(beams: Sequence[str]) -> str:
    return "".join(f'<beam number="{n}">{beam}</beam>' for n, beam in enumerate(beams, start=1))


def _notations(ties: Sequence[str]) -> str:
    tied = "".join(f'<tied type="{kind}"/>' for kind in ties)
    return f"<notations>{tied}</notations>" if tied else ""


def _pitch(pitch: int, fifths: int) -> str:
    step, alter, octave = notation.spelled(pitch, fifths)
    return (
        f"<pitch><step>{step}</step>"
        + (f"<alter>{alter}</alter>" if alter else "")
        + f"<octave>{octave}</octave></pitch>"
    )
