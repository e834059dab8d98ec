"""ABC files as notes; the tune's symbols are kept beside them for the codec of tunes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.music.codecs.abc import reader
from appliance.music.codecs.abc.grammar import State
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.tokens import END, REPLAY, TOKEN
from appliance.music.codecs.abc.tune import Tune
from appliance.music.events import TICKS_PER_STEP, Event
from appliance.music.files.score_file import ScoreFile
from appliance.music.notes import Note, notes_from
from appliance.music.score import Form

SUFFIXES: Final = (".abc",)


def read(path: Path) -> ScoreFile:
    """Read the first tune of an ABC file, with its repeats played.

    Raises:
        UsageError: there is no such file, no tune in it, or none that can be read.
    """
    score = reader.read(path)
    return ScoreFile(
        name=score.name,
        parts=(tuple(notes_of(score)),),
        time_signatures=(_time_signature(score.form),),
        engraved=True,
        length_ticks=score.form.steps * TICKS_PER_STEP,
        first_bar_ticks=score.form.pickup_steps * TICKS_PER_STEP or None,
        notices=score.notices,
        tune=score,
    )


def notes_of(score: AbcScore) -> list[Note]:
    """The notes of a tune as it is played, repeats included."""
    tune = Tune(score.form, score.key)
    events: list[Event] = []
    for symbol in (*score.symbols, END):
        while tune.state == State.REPLAY:
            events += tune.accept(TOKEN[REPLAY])
        events += tune.accept(TOKEN[symbol])
    return notes_from(events)


def _time_signature(form: Form) -> tuple[int, int]:
    if form.beat_steps == 4 and form.bar_steps % 4 == 0:
        return form.bar_steps // 4, 4
    return form.bar_steps // 2, 8
