"""A model's music, weighed: against Bach held out, against an n-gram, and by its promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.composing.model_file import Bundle
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.expression import BREATH_TICKS
from appliance.training.data.corpus import learned
from appliance.training.evaluate.defects import BAR_BEATS, Judged, judged
from appliance.training.evaluate.finished_pieces import Heard, Note
from appliance.training.evaluate.histograms import features_of
from appliance.training.evaluate.originality import Shared
from appliance.training.evaluate.sampling_jobs import Music, Setting, Studied
from appliance.training.evaluate.style_distance import Distances, Grader, grade, strayed

MAX_GIVEN_UP = 0.05
"""A setting at which the guard ends more pieces than this is no default."""
ALIKE = 1.1
"""Settings that stray no further than this times the nearest are as good as that."""
FLOOR_PIECES = 250
"""So many training pieces are enough to tell how far they are from others."""
MAX_BEATS = 4 * BAR_BEATS
MAX_NOTE_BEATS = 8 * BAR_BEATS
MEMORY_GROWTH = 1.05


@dataclass
class Group:
    """Pieces of one origin, and what was found of them.

    Attributes:
        distances: from the training pieces, a piece.
        runs, melodies: notes in the longest run that a piece shares with the training pieces, in
            all voices and in the highest alone.
    """

    distances: list[Distances]
    runs: list[int]
    melodies: list[int]
    judged: list[Judged]
    minor: float

    @property
    def grades(self) -> list[float]:
        """One a piece."""
        return [grade(one) for one in self.distances]


@dataclass
class Weighed:
    """What the page says of a model.

    Attributes:
        ours, bach, ngram: music as it ships, the test pieces, an n-gram's.
        corpus: what the listener says of the training pieces.
        strays: of every setting in the grid, how far its music is from the valid pieces.
        floor: how far the training pieces are from the valid ones.
        test_strays: how far ours, the valid pieces and the n-gram's are from the test pieces.
        promises: and whether they are kept.
    """

    model: Bundle
    recipe: Setting
    day: Music
    knob: list[Music]
    ours: Group
    bach: Group
    ngram: Group
    corpus: list[Judged]
    strays: dict[Setting, float]
    given_up: dict[Setting, float]
    floor: float
    test_strays: dict[str, float]
    promises: dict[str, bool]

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    @property
    def setting(self) -> Setting:
        """What its file says."""
        return self.day.setting

    @property
    def chosen(self) -> Setting:
        """What the recipe should say: its own setting where that is as good as the nearest."""
        fit = [s for s in self.strays if self.given_up[s] <= MAX_GIVEN_UP] or list(self.strays)
        nearest = min(fit, key=lambda setting: self.strays[setting])
        alike = [s for s in fit if self.strays[s] <= ALIKE * self.strays[nearest]]
        return self.recipe if self.recipe in alike else nearest

    @property
    def broken(self) -> list[str]:
        """The promises that are."""
        return [promise for promise, kept in self.promises.items() if not kept]

    @property
    def taken_for_bach(self) -> float:
        """How often the better grade of two is ours, where one is Bach's; 0.5 is even."""
        pairs = [(a, b) for a in self.ours.grades for b in self.bach.grades]
        return sum((a < b) + (a == b) / 2 for a, b in pairs) / len(pairs)


def weigh(
    model: Bundle,
    recipe: Setting,
    studied: Studied,
    day: Music,
    rest: Sequence[Music],
    grid: Sequence[Setting],
) -> Weighed:
    """Compare it all.

    ``recipe`` is the setting that the model's recipe says, ``day`` the music as it ships,
    ``rest`` that at every other setting, of which those in ``grid`` may be chosen.
    """
    features = features_of(model.codec.name)
    known, valid = studied.pieces["train"], studied.pieces["valid"]
    grader = Grader(features, known)
    some = known[:: -(-len(known) // FLOOR_PIECES)]
    train = [grader.distances(piece) for piece in some]
    held = [grader.distances(piece) for piece in valid]
    voice = melody_of(model.codec.name)
    heard = learned(studied.pieces)
    shared = Shared([piece.notes for piece in heard])
    sung = Shared([voice(piece) for piece in heard])

    def group(pieces: Sequence[Heard]) -> Group:
        return Group(
            distances=[grader.distances(piece) for piece in pieces],
            runs=[shared.longest(piece.notes) for piece in pieces],
            melodies=[sung.longest(voice(piece)) for piece in pieces],
            judged=[judged(piece) for piece in pieces],
            minor=sum(piece.key.minor for piece in pieces) / max(1, len(pieces)),
        )

    ours, bach = group(day.pieces), group(studied.pieces["test"])
    counted = group(studied.ngram)
    corpus = [judged(piece) for piece in known]
    tried = [music for music in rest if music.setting in grid]
    return Weighed(
        model=model,
        recipe=recipe,
        day=day,
        knob=sorted((m for m in rest if m.setting.top_p == model.top_p), key=lambda m: m.setting),
        ours=ours,
        bach=bach,
        ngram=counted,
        corpus=corpus,
        strays={
            music.setting: strayed([grader.distances(piece) for piece in music.pieces], held)
            for music in tried
        },
        given_up={m.setting: m.report.given_up / max(1, len(m.pieces)) for m in tried},
        floor=strayed(train, held),
        test_strays={
            "ours": strayed(ours.distances, bach.distances),
            "valid": strayed(held, bach.distances),
            "n-gram": strayed(counted.distances, bach.distances),
        },
        promises=promises(day, corpus),
    )


def melody_of(codec_name: str) -> Callable[[Heard], list[Note]]:
    """The line that one would sing: the soprano, or whatever is highest."""
    return (lambda piece: piece.voice(0)) if codec_name == FourPartCodec.name else Heard.top


def promises(day: Music, corpus: Sequence[Judged]) -> dict[str, bool]:
    """What is promised of hours of music as it ships, and whether it was so."""
    report = day.report
    # A moto perpetuo may do what its models do.
    loop = max(MAX_BEATS, *(piece.loop_beats for piece in corpus))
    return {
        "no chord frozen beyond 4 bars": report.worst("frozen_beats") <= MAX_BEATS,
        "no silence beyond the breath": report.silent_beats * TICKS_PER_BEAT <= BREATH_TICKS,
        "no stuck note (8 bars)": not report.unmatched
        and report.worst("held_beats") <= MAX_NOTE_BEATS,
        f"no loop ({loop / BAR_BEATS:g} bars)": report.worst("loop_beats") <= loop,
        "no two pieces open alike": not report.opened_alike,
        "memory flat": day.memory_mib[-1] <= day.memory_mib[4] * MEMORY_GROWTH,
    }
