"""A piece as it is announced: from the programme to the facts that its first event states."""

from __future__ import annotations

from dataclasses import replace

from appliance.composing.groups import goes_on_at_once, pause_after_s
from appliance.composing.model_file import ModelFile
from appliance.composing.programme import DEFAULT_FORM, Programme, tempo_permille
from appliance.music import kinds
from appliance.music.codecs.base import Opening
from appliance.music.events import (
    NO_PROGRAM,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Piece,
)
from appliance.music.score import Form, Key


class PiecePlanner:
    """Plans the pieces of a composer.

    Args:
        seed: of the composer.
        model_file: whose forms the pieces fill.
        key: the only key; ``None``: any.
        prime: music that the first piece starts from, whose meter and key it keeps.
    """

    def __init__(
        self, seed: int, model_file: ModelFile, key: Key | None, prime: Opening | None
    ) -> None:
        self._forms = model_file.forms
        self._default_bpm = model_file.tempo_bpm
        self._prime = prime
        self._programme = Programme(seed, self._forms, key)

    def piece(self, number: int, start_tick: int) -> tuple[Piece, Form]:
        """Return the piece with this number, and the form that it fills.

        A piece that starts from a prime is of no kind, and its tempo is what is set; unless the
        prime is the whole piece.
        """
        planned = self._programme.piece(number)
        form, key, facts = planned.form, planned.key, planned.form.facts
        prime = self._prime if number == 1 else None
        if prime is not None:
            form, key = _begun(prime, form), prime.key
            facts = form.facts
            planned = replace(planned, group=0, place=0, group_size=0, times=1)
        piece = Piece(
            number=number,
            tonic=key.tonic,
            minor=key.minor,
            beats_per_bar=form.bar_steps // form.beat_steps,
            pickup_ticks=form.pickup_steps * TICKS_PER_STEP,
            start_tick=start_tick,
            beat_ticks=form.beat_steps * TICKS_PER_STEP,
            form=planned.form_number,
            kind=kinds.NAMES.index(facts.kind) if facts.kind in kinds.KINDS else 0,
            tempo_permille=tempo_permille(form, self._default_bpm),
            group=planned.group,
            place=planned.place,
            group_size=planned.group_size,
            times=planned.times,
            program=NO_PROGRAM if facts.program is None else facts.program,
        )
        return piece, form

    def form_of(self, piece: Piece) -> Form:
        """Return the form of a piece that was planned before, perhaps by another planner.

        :data:`DEFAULT_FORM` if the forms are not those of the model that it was planned for.
        """
        form = self._forms[piece.form] if piece.form < len(self._forms) else DEFAULT_FORM
        if self._prime is not None and piece.number == 1:
            form = _begun(self._prime, form)
        if form.bar_steps != piece.beats_per_bar * form.beat_steps:
            return DEFAULT_FORM
        return form

    def pause_ticks(self, piece: Piece, end_tick: int, silent_ticks: int) -> int:
        """Return the silence to add after a piece.

        Within a set of tunes the next one begins with the beat, less than a beat later, its pickup
        before it.

        Args:
            piece: the piece.
            end_tick: where it ends.
            silent_ticks: how long nothing has sounded there, which counts in a pause.
        """
        if goes_on_at_once(piece):
            following, _ = self.piece(piece.number + 1, end_tick)
            first_bar_tick = piece.start_tick + piece.pickup_ticks
            return (first_bar_tick - end_tick - following.pickup_ticks) % piece.beat_ticks
        quarters = pause_after_s(piece) * piece.sounding_bpm(self._default_bpm) / 60
        return max(0, round(quarters * TICKS_PER_BEAT) - silent_ticks)


def _begun(prime: Opening, form: Form) -> Form:
    """Return the form of a piece that starts from a prime and would otherwise fill ``form``."""
    return prime.form if prime.whole else form_after(prime.form, form)


def form_after(prime: Form, form: Form) -> Form:
    """Return the form of a piece that starts from a prime and continues for the length of ``form``.

    It keeps the prime's meter. ``form`` begins at the first place after the prime that has the
    same position in the bar.
    """
    bar, pickup = prime.bar_steps, prime.pickup_steps
    if form.bar_steps != bar:
        form = Form(bar, 0, 8 * bar, ((7 * bar, 8 * bar),), prime.beat_steps)
    start = prime.steps + (pickup - form.pickup_steps - prime.steps) % bar
    shifted = tuple((a + start, b + start) for a, b in form.fermatas)
    return Form(bar, pickup, start + form.steps, prime.fermatas + shifted, prime.beat_steps)
