"""Opens the MIDI port of the performer; without one, this module is not imported."""

from __future__ import annotations

import logging

from appliance.audio.midi import open_out
from appliance.audio.midi.midi_out import MidiOut
from appliance.audio.midi.midi_synth import CHANNELS
from appliance.errors import BachboxError
from appliance.ipc.shared_state import SharedState

logger = logging.getLogger("appliance.workers.performer_process")


def open_midi_out(
    shared: SharedState, name: str, *, has_clock: bool, has_programs: bool
) -> MidiOut | None:
    """Return what sends to the MIDI port ``name``; None, with a warning, if that cannot be.

    What a performer before this one left sounding is released first.
    """
    is_first = shared.performer.read().heartbeat == 0
    try:
        port = open_out(name)
    except BachboxError as error:
        logger.warning("%s; the music plays without MIDI", error)
        return None
    return MidiOut(
        name,
        port,
        CHANNELS,
        lambda keys: shared.midi_sounding.write(frozenset(keys)),
        None if is_first else shared.midi_sounding.read(),
        has_clock=has_clock,
        has_programs=has_programs,
    )
