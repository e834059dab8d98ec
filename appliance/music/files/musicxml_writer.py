"""Piece records as scores: MusicXML 4.0, written as text.

All times are on a grid of 10 ticks, a third of a 64th note, of which all usual durations are
multiples. A voice of the music is a part. Where its notes overlap (a hand on a keyboard), the part
has as many layers as it needs. A duration that no single note has is written as tied notes, across
bar lines too.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from appliance.music.events import TICKS_PER_BEAT, Event, Piece
from appliance.music.files import piece_embedding
from appliance.music.files.midi_writer import VOICE_NAMES, time_signature
from appliance.music.files.piece_record import PieceRecord
from appliance.music.notes import paired

SUFFIXES: Final = (".musicxml", ".xml")

_GRID_TICKS: Final = 10
_DIVISIONS: Final = TICKS_PER_BEAT // _GRID_TICKS

_TYPES: Final = ("whole", "half", "quarter", "eighth", "16th", "32nd", "64th")

_WHOLE: Final = 4 * _DIVISIONS

_MAJOR_FIFTHS: Final = (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5)
"""Sharps of the major key on each pitch class, flats below 0."""

_FLATTEST: Final = -3
"""Notes are spelt from this far below their key on the circle of fifths to eleven above that."""


class _Span(NamedTuple):
    """A note on the grid: start and end in units of 10 ticks."""

    start: int
    end: int
    pitch: int


class _Value(NamedTuple):
    """A written duration: in units of 10 ticks, and as notation has it."""

    duration: int
    type: str
    dots: int = 0
    triplet: bool = False


def _values() -> list[_Value]:
    found = []
    for power, name in enumerate(_TYPES):
        plain, rest = divmod(_WHOLE, 1 << power)
        if not rest:
            found.append(_Value(plain, name))
            if plain % 2 == 0:
                found.append(_Value(plain * 3 // 2, name, 1))
            if plain * 2 % 3 == 0:
                found.append(_Value(plain * 2 // 3, name, triplet=True))
    # Where a dotted note is as long as a triplet note, the dotted one comes first.
    return sorted(found, key=lambda value: (-value.duration, value.triplet))


_VALUES: Final = _values()


def write(path: Path, record: PieceRecord, tempo_bpm: float) -> None:
    """Write a piece as a score, with its record inside.

    Args:
        path: written in place.
        record: of the piece.
        tempo_bpm: quarter notes per minute.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text("\n".join(_document(record, tempo_bpm)) + "\n", encoding="utf-8")


def _document(record: PieceRecord, tempo_bpm: float) -> Iterator[str]:
    about = record.piece
    voices = _voices(record.events())
    names = VOICE_NAMES if list(voices) == list(range(len(VOICE_NAMES))) else ()
    ends = [span.end for spans in voices.values() for span in spans]
    bars = _bars(about, max(ends, default=1))
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">'
    )
    yield '<score-partwise version="4.0">'
    yield f"<work><work-title>{escape(record.title)}</work-title></work>"
    yield "<identification>"
    yield f'<creator type="composer">{escape(record.description)}</creator>'
    yield f"<encoding><software>{escape(record.made_by)}</software></encoding>"
    yield "<miscellaneous>"
    yield (
        f'<miscellaneous-field name="{piece_embedding.FIELD}">{piece_embedding.xml_text(record)}'
        "</miscellaneous-field>"
    )
    yield "</miscellaneous>"
    yield "</identification>"
    yield "<part-list>"
    for voice in voices:
        name = names[voice] if names else f"Voice {voice + 1}"
        yield f'<score-part id="P{voice + 1}"><part-name>{name}</part-name></score-part>'
    yield "</part-list>"
    for voice, spans in voices.items():
        yield f'<part id="P{voice + 1}">'
        yield from _part(spans, bars, about, tempo_bpm)
        yield "</part>"
    yield "</score-partwise>"


def _voices(events: Iterable[Event]) -> dict[int, list[_Span]]:
    """The notes of every voice that has any, in order of their start."""
    found: dict[int, list[_Span]] = defaultdict(list)
    for note_on, note_end in paired(events):
        if note_end is not None:
            start, end = _on_grid(note_on.tick), _on_grid(note_end.tick)
            found[note_on.voice].append(_Span(start, max(end, start + 1), note_on.pitch))
    return {voice: sorted(found[voice]) for voice in sorted(found)}


def _on_grid(tick: int) -> int:
    return (tick + _GRID_TICKS // 2) // _GRID_TICKS


def _bars(about: Piece, end: int) -> list[tuple[int, int]]:
    """The bars as half-open spans on the grid; the first one may be a pickup."""
    length = about.beats_per_bar * about.beat_ticks // _GRID_TICKS
    pickup = about.pickup_ticks // _GRID_TICKS
    edges = [0, *([pickup] if pickup else [])]
    while edges[-1] < end:
        edges.append(edges[-1] + length)
    return list(itertools.pairwise(edges))


def _part(
    spans: list[_Span], bars: list[tuple[int, int]], about: Piece, tempo_bpm: float
) -> Iterator[str]:
    fifths = _fifths(about)
    layers = _layers(spans)
    for number, (start, end) in enumerate(bars, start=0 if about.pickup_ticks else 1):
        implicit = "" if number else ' implicit="yes"'
        yield f'<measure number="{number}"{implicit}>'
        if start == 0:
            yield _attributes(spans, about)
            yield f'<sound tempo="{about.sounding_bpm(tempo_bpm):g}"/>'
        for layer, chords in enumerate(layers, start=1):
            if layer > 1:
                yield f"<backup><duration>{end - start}</duration></backup>"
            yield from _bar(chords, start, end, layer, fifths)
        yield "</measure>"


def _attributes(spans: list[_Span], about: Piece) -> str:
    """Key, time and clef of a part."""
    high = sum(span.pitch for span in spans) >= 60 * len(spans)
    clef = "<sign>G</sign><line>2</line>" if high else "<sign>F</sign><line>4</line>"
    mode = "minor" if about.minor else "major"
    time = time_signature(about)
    return (
        f"<attributes><divisions>{_DIVISIONS}</divisions>"
        f"<key><fifths>{_fifths(about)}</fifths><mode>{mode}</mode></key>"
        f"<time><beats>{time['numerator']}</beats>"
        f"<beat-type>{time['denominator']}</beat-type></time>"
        f"<clef>{clef}</clef></attributes>"
    )


def _layers(spans: list[_Span]) -> list[list[tuple[int, int, list[int]]]]:
    """The notes as layers of chords (start, end, pitches); chords of a layer do not overlap."""
    together: dict[tuple[int, int], list[int]] = defaultdict(list)
    for span in spans:
        together[span.start, span.end].append(span.pitch)
    layers: list[list[tuple[int, int, list[int]]]] = []
    for (start, end), pitches in sorted(together.items()):
        layer = next((layer for layer in layers if layer[-1][1] <= start), None)
        if layer is None:
            layers.append(layer := [])
        layer.append((start, end, pitches))
    return layers


def _bar(
    chords: list[tuple[int, int, list[int]]], start: int, end: int, layer: int, fifths: int
) -> Iterator[str]:
    """One layer of one bar."""
    now = start
    for chord_start, chord_end, pitches in chords:
        if chord_end <= start or chord_start >= end:
            continue
        first, last = max(chord_start, start), min(chord_end, end)
        yield from _notes([], first - now, layer, fifths)
        yield from _notes(
            pitches, last - first, layer, fifths, chord_start < first, chord_end > last
        )
        now = last
    yield from _notes([], end - now, layer, fifths)


def _notes(
    pitches: list[int],
    duration: int,
    layer: int,
    fifths: int,
    tied_from: bool = False,
    tied_on: bool = False,
) -> Iterator[str]:
    """A chord, or a rest if there are no pitches, as one written note or several tied ones."""
    values = list(_split(duration))
    for place, value in enumerate(values):
        stop = bool(pitches) and (tied_from or place > 0)
        start = bool(pitches) and (tied_on or place < len(values) - 1)
        ties = [kind for kind, there in (("stop", stop), ("start", start)) if there]
        for nth, pitch in enumerate(pitches or [None]):
            yield (
                "<note>"
                + ("<chord/>" if nth else "")
                + ("<rest/>" if pitch is None else _pitch(pitch, fifths))
                + f"<duration>{value.duration}</duration>"
                + "".join(f'<tie type="{kind}"/>' for kind in ties)
                + f"<voice>{layer}</voice>"
                + (f"<type>{value.type}</type>" if value.type else "")
                + "<dot/>" * value.dots
                + (_TRIPLET if value.triplet else "")
                + _notations(ties)
                + "</note>"
            )


_TRIPLET: Final = (
    "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes>"
    "</time-modification>"
)


def _notations(ties: list[str]) -> str:
    tied = "".join(f'<tied type="{kind}"/>' for kind in ties)
    return f"<notations>{tied}</notations>" if tied else ""


def _split(duration: int) -> Iterator[_Value]:
    """The longest written values that make up ``duration``."""
    exact = next((value for value in _VALUES if value.duration == duration), None)
    while duration:
        fits = (value for value in _VALUES if value.duration <= duration and not value.triplet)
        value = exact or next(fits, _Value(duration, ""))
        yield value
        duration -= value.duration


def _fifths(about: Piece) -> int:
    """Sharps of the key signature, flats below 0."""
    return _MAJOR_FIFTHS[(about.tonic + 3 * about.minor) % 12]


def _pitch(pitch: int, fifths: int) -> str:
    """A pitch as it is spelt in a key: nearest on the circle of fifths, leading notes raised."""
    place = pitch * 7 % 12
    lowest = fifths + _FLATTEST
    place = lowest + (place - lowest) % 12
    step, alter = "FCGDAEB"[(place + 1) % 7], (place + 1) // 7
    octave = (pitch - alter) // 12 - 1
    return (
        f"<pitch><step>{step}</step>"
        + (f"<alter>{alter}</alter>" if alter else "")
        + f"<octave>{octave}</octave></pitch>"
    )
