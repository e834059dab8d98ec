"""Facts about pieces of a corpus: kind, key, how densely they move, where a dance has its half."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from appliance.music.codecs.abc.score import AbcScore
from appliance.music.events import TICKS_PER_STEP
from appliance.music.files.score_file import ScoreFile
from appliance.music.returns import Entry, Return
from appliance.music.score import NO_FACTS, Form, FreeRhythmScore, PieceFacts, Score
from appliance.music.traits import Traits, traits_of
from appliance.training.data.double_bar import find_double_bar

_WORDS: Final = (
    ("double", "double(?! jig)"),
    ("slip jig", "slip ?jigs?"),
    ("highland fling", "flings?"),
    ("strathspey", "strathspeys?"),
    ("hornpipe", "horn-?pipes?"),
    ("reel", "reels?"),
    ("jig", "(?<!slip )jigs?"),
    ("clog", "clogs?"),
    ("polka", "polkas?"),
    ("waltz", "walt[zs]"),
    ("quickstep", "quick ?steps?"),
    ("allemande", "allemand[ea]s?"),
    ("courante", "courantes?|correntes?|corantos?"),
    ("sarabande", "saraband[ea]s?|sarabands?"),
    ("menuet", "menuett?o?s?|minuett?o?s?|minuets?"),
    ("gavotte", "gavott?[ea]?s?"),
    ("bourree", "bourr?ees?|borea|borry"),
    ("passepied", "passepieds?"),
    ("loure", "loures?"),
    ("polonaise", "polonaises?|polacca"),
    ("gigue", "gigues?|giga"),
    ("chaconne", "chaconnes?|ciaccona|passacaglia|passacaille"),
    ("siciliana", "sicilian[ao]|sicilienne"),
    ("scherzo", "scherzo"),
    ("burlesca", "burlesca"),
    ("capriccio", "capriccio"),
    ("rondeau", "rond(eau|o|eaux)"),
    ("invention", "inventions?|inventio"),
    ("sinfonia", "sinfonias?"),
    ("duet", "duet(to|t)?s?"),
    ("canon", "canons?"),
    ("fugue", "fug(ue|a|hetta|es|en)|fug|contrapunctus[a-z]*"),
    ("ricercar", "ricercare?"),
    ("toccata", "toccat[ae]"),
    ("prelude", "praeludi(um|a)|prelud(e|ium|io)s?|applicatio"),
    ("fantasia", "fantas(ia|y|ie)|fan"),
    ("grave", "grave"),
    ("largo", "largo|larghetto"),
    ("adagio", "adagio"),
    ("andante", "andante"),
    ("presto", "presto|prestissimo"),
    ("allegro", "allegro"),
    ("march", "march(e|es)?"),
    ("aria", "aria"),
    ("air", "airs?|songs?"),
    ("chorale", "chorales?"),
)
"""The words that say what a piece is; the first line that fits decides."""

_PATTERNS: Final = tuple((kind, re.compile(rf"\b(?:{words})\b")) for kind, words in _WORDS)

_SUITES: Final = {
    "bwv1007": "prelude allemande courante sarabande menuet menuet gigue",
    "bwv1009": "prelude allemande courante sarabande bourree gigue",
    "bwv1010": "prelude allemande courante sarabande bourree bourree gigue",
    "bwv1011": "prelude allemande courante sarabande gavotte gavotte gigue",
    "bwv1013": "allemande courante sarabande bourree",
    "bach-bwv825": "prelude allemande courante sarabande menuet menuet gigue",
    "bach-bwv826": "sinfonia allemande courante sarabande rondeau capriccio",
    "bach-bwv829": "prelude allemande courante sarabande menuet passepied gigue",
    "bwv827": "fantasia allemande courante sarabande burlesca gigue",
    "bwv830": "toccata allemande courante sarabande gavotte gigue",
}
"""The movements of works whose files are only numbered, by their titles in the Bach-Werke-
Verzeichnis."""

_DANCES_IN_HALVES: Final = frozenset(
    ("allemande", "courante", "sarabande", "menuet", "gavotte", "bourree", "passepied", "loure",
     "polonaise", "gigue", "double", "scherzo", "burlesca")
)  # fmt: skip

_FLUTE, _VIOLIN, _CELLO = 73, 40, 42
_PROGRAMS: Final = (
    (re.compile(r"\bflute\b"), _FLUTE),
    (re.compile(r"\b(violin|bwv100[1-6])\b"), _VIOLIN),
    (re.compile(r"\b(cello|bwv10(0[7-9]|1[0-2]))\b"), _CELLO),
)
"""General MIDI programs by what a name has in it, for music of one instrument."""
_PROGRAMS_OF_FOLDERS: Final = {"lute": 24, "organ": 19, "ensemble": 48}
"""The same by the name of the folder, where the name of the file says nothing."""


def facts_from_json(form: Sequence[Any]) -> PieceFacts:
    """Return the facts in a form that was written as JSON, if it has any."""
    if len(form) <= 6:
        return NO_FACTS
    facts = PieceFacts(**form[6])
    return replace(
        facts,
        traits=Traits(*facts.traits) if facts.traits else None,
        returns=tuple(Return(*passage) for passage in facts.returns),
        entries=tuple(Entry(*entry) for entry in facts.entries),
    )


def kind_in(*texts: str) -> str:
    """Return the kind of piece that titles or file names state, "" if they state none.

    The first text that states one kind alone decides: "Fantasy and Fugue" may be either.
    """
    found = [kinds for kinds in map(_kinds_in, texts) if kinds]
    alone = [kinds for kinds in found if len(kinds) == 1]
    return next(iter([*alone, *found, [""]]))[0]


def _kinds_in(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.replace("æ", "ae").replace("Æ", "ae"))
    plain = plain.encode("ascii", "ignore").decode().casefold()
    plain = re.sub(r"[^a-z]+", " ", plain)
    return [kind for kind, pattern in _PATTERNS if pattern.search(plain)]


def kind_of_tune(header: str, form: Form) -> str:
    """Return the kind of a tune in ABC, by its rhythm (R:), its titles (T:) or else its meter."""
    for field in ("R", "T"):
        for line in re.findall(rf"(?m)^{field}:(.*)$", header):
            if kind := kind_in(line):
                return {"gigue": "jig", "aria": "air"}.get(kind, kind)
    return {(12, 6): "jig", (18, 6): "slip jig"}.get((form.bar_steps, form.beat_steps), "tune")


def with_facts(score: Any, kind: str = "") -> Any:
    """Return a score of any codec with its key, its density and ``kind`` in its form."""
    facts = replace(
        score.form.facts,
        kind=kind or score.form.facts.kind,
        tonic=score.key.tonic,
        minor=score.key.minor,
        onsets_per_quarter=_onsets_per_quarter(score),
    )
    return replace(score, form=score.form._replace(facts=facts))


def with_facts_of_file(score: FreeRhythmScore, file: ScoreFile, path: Path) -> FreeRhythmScore:
    """Return a score in free rhythm with all facts that its file states or that it shows.

    The double bar is where MusicXML has repeat signs. MIDI has none; where the piece is a dance in
    two halves, it is at the cadence that closes the first half best.

    Args:
        score: as it was read.
        file: that it was read from.
        path: of the file.
    """
    kind = _kind_by_number(path.stem) or kind_in(*file.titles, path.stem)
    found: FreeRhythmScore = with_facts(score, kind)
    by_folder = _PROGRAMS_OF_FOLDERS.get(path.parent.name)
    name = path.stem.casefold()
    program = next((p for pattern, p in _PROGRAMS if pattern.search(name)), by_folder)
    if file.repeats is not None:
        double_bar_step = _half_of(file.repeats, score.form)
    elif kind in _DANCES_IN_HALVES:
        double_bar_step = find_double_bar(found)
    else:
        double_bar_step = None
    facts = replace(
        found.form.facts,
        program=program,
        double_bar_step=double_bar_step,
        traits=traits_of(score.notes, score.form.bar_steps, score.form.pickup_steps),
    )
    return replace(found, form=found.form._replace(facts=facts))


def _onsets_per_quarter(score: Score | FreeRhythmScore | AbcScore) -> float | None:
    if isinstance(score, AbcScore):
        return None  # The symbols are not the length that is played: repeats are not written out.
    if isinstance(score, Score):
        onsets = sum(any(row) for row in score.onsets)
    else:
        onsets = len({note.start for note in score.notes})
    return round(4 * onsets / score.form.steps, 2) or None


def _kind_by_number(stem: str) -> str:
    """The kind of a movement of a suite whose files are only numbered; "" for other files.

    The numbers begin with 0 or, where a composer stands before the work, with 1.
    """
    work = next((work for work in _SUITES if stem.startswith(work)), "")
    if not work or kind_in(stem):
        return ""
    number = re.search(r"-(\d)$", stem)
    kinds = _SUITES[work].split()
    index = int(number[1]) - work.startswith("bach-") if number else 0
    return kinds[index] if index < len(kinds) else ""


def _half_of(repeats: Iterable[tuple[int, bool]], form: Form) -> int | None:
    """Where the second half begins, of a piece of two repeated halves; None for other pieces.

    Args:
        repeats: see :attr:`ScoreFile.repeats`.
        form: of the piece.
    """
    steps = [(round(tick / TICKS_PER_STEP), is_forward) for tick, is_forward in repeats]
    backward = [step for step, is_forward in steps if not is_forward]
    forward = [step for step, is_forward in steps if is_forward and step]
    low, high = 0.2 * form.steps, 0.7 * form.steps
    inner = [step for step in (*forward, *backward) if low <= step <= high]
    if len(backward) > 2 or not any(step > high for step in backward) or not inner:
        return None
    return inner[0]
