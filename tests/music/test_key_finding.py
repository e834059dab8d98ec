"""The key of music that may be a beginning: by its notes, and by the signature that is written."""

from __future__ import annotations

import pytest

from appliance.music.files.score_file import KeySignature
from appliance.music.key_finding import written_key
from appliance.music.notes import Note
from appliance.music.score import Key

C_MAJOR, A_MINOR, G_MAJOR = Key(0, False), Key(9, True), Key(7, False)
C_SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


def tune(*pitches: int) -> list[Note]:
    return [Note(480 * place, 480, pitch) for place, pitch in enumerate(pitches)]


def test_a_beginning_that_stops_anywhere_has_the_key_of_its_signature() -> None:
    notes = tune(60, 64, 67, 72, 71, 69, 65, 62)
    assert written_key(notes, Key(2, True), KeySignature(0, minor=None)) == C_MAJOR


def test_of_the_two_keys_with_a_signature_the_notes_choose() -> None:
    notes = tune(57, 60, 64, 69, 68, 69, 64, 60, 57, 64, 62)
    assert written_key(notes, G_MAJOR, KeySignature(0, minor=False)) == A_MINOR


def test_a_signature_that_the_notes_contradict_does_not_count() -> None:
    """Programs write C major over anything."""
    e_major = [pitch + 4 for pitch in (60, 64, 67, 72, 71, 67, 65, 62, 67)]
    found = Key(4, False)
    assert written_key(tune(*e_major), found, KeySignature(0, minor=False)) == found


def test_music_that_closes_on_its_tonic_needs_no_signature() -> None:
    """g minor with one flat, as old scores have it."""
    notes = tune(67, 70, 74, 72, 70, 69, 66, 67, 62, 67)
    found = Key(7, True)
    assert written_key(notes, found, KeySignature(-1, minor=None)) == found


@pytest.mark.parametrize("signature", [None, KeySignature(3, minor=True)])
def test_what_has_no_key_keeps_what_was_found(signature: KeySignature | None) -> None:
    assert written_key(tune(*range(60, 72)), G_MAJOR, signature) == G_MAJOR


def test_without_a_signature_it_is_what_was_found() -> None:
    assert written_key(tune(*C_SCALE), G_MAJOR, None) == G_MAJOR
