"""What is measured of one piece on the page: features of its excerpts and of the whole, facts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from appliance.composing.model_file import ModelFile
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.training.evaluate.finished_pieces import FinishedPiece
from appliance.training.evaluate.musical_facts import MusicalFacts, facts_of
from appliance.training.evaluate.pages import Page, page_of
from appliance.training.evaluate.two_sample import Rows, rows_of

SOLO_STRINGS = range(40, 48)
"""General MIDI programs (from 0) of violin to harp."""


class PageMeasures(NamedTuple):
    """The measures of a piece."""

    excerpts: Rows
    whole: Rows
    facts: MusicalFacts


def measure_page(page: Page, *, solo_strings: bool) -> PageMeasures:
    """Return everything that is measured of a page."""
    facts = facts_of(page, solo_strings=solo_strings)
    return PageMeasures(rows_of(page), rows_of(page, whole=True), facts)


def measure_pieces(pieces: Iterable[FinishedPiece], *, solo_strings: bool) -> list[PageMeasures]:
    """Return the measures of those pieces that have notes."""
    return [
        measure_page(page_of(piece, str(number)), solo_strings=solo_strings)
        for number, piece in enumerate(pieces)
        if piece.notes
    ]


def is_for_solo_strings(model: ModelFile) -> bool:
    """Whether a model's music in free rhythm is for one string instrument."""
    return model.codec.name == FreeRhythmCodec.name and model.instrument in SOLO_STRINGS
