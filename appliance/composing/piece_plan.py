"""Form and key of each piece: drawn from the corpus's forms, and related to the piece before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from appliance.music.codecs.base import Opening
from appliance.music.score import Form, Key

MAX_PIECE_STEPS = 1024
"""Forms of the corpus that are longer than this are not drawn, so that no piece is too long."""
DEFAULT_FORM = Form(16, 0, 512)
"""The form for a model without forms, which ends its pieces itself."""
RELATED_KEYS = ((7, False), (5, False), (0, True), (0, True), (2, False), (0, False))
"""Where the next piece may lie: semitones above the tonic of the last piece, and whether the mode
changes to the relative one: dominant, subdominant, relative (twice as likely), supertonic, same."""


def choose_form_and_key(
    rng: np.random.Generator,
    forms: Sequence[Form],
    previous_key: Key | None,
    prime: Opening | None = None,
) -> tuple[Form, Key]:
    """Choose the form and the key of a piece.

    Args:
        rng: decides; how many numbers are drawn depends on the other arguments only.
        forms: the forms of the corpus.
        previous_key: of the piece before; ``None`` for the first one.
        prime: music that the piece starts from, whose meter and key it keeps.
    """
    forms = [form for form in forms if form.steps <= MAX_PIECE_STEPS] or [DEFAULT_FORM]
    form = forms[int(rng.integers(len(forms)))]
    if prime is not None:
        return _form_after(prime.form, form), prime.key
    if previous_key is None:
        return form, Key(int(rng.integers(12)), bool(rng.integers(2)))
    semitones, to_relative = RELATED_KEYS[int(rng.integers(len(RELATED_KEYS)))]
    key = previous_key.transposed(semitones)
    if to_relative:
        key = Key((key.tonic + (3 if key.minor else 9)) % 12, not key.minor)
    return form, key


def _form_after(prime: Form, form: Form) -> Form:
    """The form of a piece that starts from a prime and then continues for the length of ``form``.

    It keeps the prime's meter. ``form`` begins at the first place after the prime that has the
    same position in the bar.
    """
    bar, pickup = prime.bar_steps, prime.pickup_steps
    if form.bar_steps != bar:
        form = Form(bar, 0, 8 * bar, ((7 * bar, 8 * bar),), prime.beat_steps)
    start = prime.steps + (pickup - form.pickup_steps - prime.steps) % bar
    shifted = tuple((a + start, b + start) for a, b in form.fermatas)
    return Form(bar, pickup, start + form.steps, prime.fermatas + shifted, prime.beat_steps)
