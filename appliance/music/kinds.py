"""Kinds of pieces, such as sarabande, fugue or reel, and the tempo that each is played at.

The ranges are this project's own, for stylised dances played on a keyboard, a string instrument or
a fiddle: usual metronome marks. Their upper ends stay below what J. J. Quantz, "Versuch einer
Anweisung die Flöte traversiere zu spielen" (Berlin 1752), chapter XVII, section VII, gives for
dancing by the pulse of a hand at about 80 a minute: a sarabande, a loure and a courante a quarter
to the pulse, a menuet two quarters, a bourrée and a gigue a bar. Within a range the metre and the
smallest notes decide, as J. P. Kirnberger, "Die Kunst des reinen Satzes in der Musik", part II
(Berlin 1776), section IV, asks for: many short notes make a piece slower, few make it quicker.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from appliance.music.limits import TEMPO_BPM
from appliance.music.score import Form


class Kind(NamedTuple):
    """How a kind of piece is called and played."""

    title: str
    """As a title of a piece begins."""
    slowest_bpm: float
    """Of what is counted (:func:`counted_quarters`), where there are many short notes."""
    quickest_bpm: float
    """The same where there are few."""
    sparse: float = 1.5
    """Onsets in what is counted: with this many or fewer a piece has its quickest tempo."""
    dense: float = 4.0
    """With this many or more it has its slowest."""


KINDS: Final[dict[str, Kind]] = {
    # Suites
    "allemande": Kind("Allemande", 52, 72),
    "courante": Kind("Courante", 88, 126),
    "sarabande": Kind("Sarabande", 42, 58),
    "menuet": Kind("Menuet", 104, 138),
    "gavotte": Kind("Gavotte", 112, 144),
    "bourree": Kind("Bourrée", 132, 168),
    "passepied": Kind("Passepied", 56, 68),
    "loure": Kind("Loure", 72, 96),
    "polonaise": Kind("Polonaise", 72, 92),
    "rondeau": Kind("Rondeau", 72, 100),
    "scherzo": Kind("Scherzo", 84, 108),
    "burlesca": Kind("Burlesca", 92, 126),
    "capriccio": Kind("Capriccio", 80, 104),
    "gigue": Kind("Gigue", 84, 116),
    "double": Kind("Double", 58, 84),
    "chaconne": Kind("Chaconne", 54, 66),
    # Free forms and counterpoint
    "prelude": Kind("Prelude", 58, 88),
    "fugue": Kind("Fugue", 56, 84),
    "invention": Kind("Invention", 62, 92),
    "sinfonia": Kind("Sinfonia", 54, 84),
    "duet": Kind("Duet", 66, 92),
    "ricercar": Kind("Ricercar", 54, 72),
    "canon": Kind("Canon", 58, 80),
    "toccata": Kind("Toccata", 66, 92),
    "fantasia": Kind("Fantasia", 58, 84),
    "aria": Kind("Aria", 46, 62),
    # Movements of sonatas, called by their tempo
    "grave": Kind("Grave", 34, 44),
    "adagio": Kind("Adagio", 36, 48),
    "largo": Kind("Largo", 44, 56),
    "siciliana": Kind("Siciliana", 34, 46),
    "andante": Kind("Andante", 54, 72),
    "allegro": Kind("Allegro", 84, 116),
    "presto": Kind("Presto", 68, 126),
    # Four parts
    "chorale": Kind("Chorale", 52, 104, sparse=1.2, dense=1.85),
    # Dance tunes
    "reel": Kind("Reel", 204, 232),
    "hornpipe": Kind("Hornpipe", 124, 148),
    "jig": Kind("Jig", 106, 122),
    "slip jig": Kind("Slip jig", 100, 116),
    "strathspey": Kind("Strathspey", 112, 132),
    "highland fling": Kind("Highland fling", 124, 144),
    "clog": Kind("Clog", 128, 152),
    "polka": Kind("Polka", 200, 232),
    "waltz": Kind("Waltz", 132, 168),
    "march": Kind("March", 108, 126),
    "quickstep": Kind("Quickstep", 160, 200),
    "air": Kind("Air", 84, 108),
    "tune": Kind("Tune", 138, 166),
}
"""By the name that model files have. New ones go to the end of their section: events hold the
name by its place among them, and no place outlives a session."""

NAMES: Final = ("", *KINDS)


def counted_quarters(bar_steps: int, beat_steps: int) -> float:
    """How long that is what a metronome counts, in quarter notes.

    The beat, but at least a quarter: three eighths in compound time, a bar of three eighths as one.
    """
    if bar_steps == 6 and beat_steps == 2:
        return 1.5
    return max(beat_steps, 4) / 4


def tempo_bpm(form: Form) -> float | None:
    """The tempo that suits a piece in this form, in quarter notes a minute.

    ``None`` where its kind is not known.
    """
    kind = KINDS.get(form.facts.kind)
    if kind is None:
        return None
    quarters = counted_quarters(form.bar_steps, form.beat_steps)
    density = form.facts.onsets_per_quarter
    share = 0.5
    if density is not None:
        share = (kind.dense - density * quarters) / (kind.dense - kind.sparse)
    counted_bpm = kind.slowest_bpm + (kind.quickest_bpm - kind.slowest_bpm) * min(1, max(0, share))
    return min(TEMPO_BPM.high, max(TEMPO_BPM.low, round(counted_bpm * quarters)))
