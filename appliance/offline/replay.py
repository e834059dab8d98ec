"""Play a recorded piece again into files: as it was played, or with other settings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from appliance.audio.event_source import finished
from appliance.audio.performer import Performer, Synth
from appliance.audio.tempo_map import TempoMap
from appliance.errors import UsageError
from appliance.ipc.shared_state import LiveSettings
from appliance.music.events import Event
from appliance.music.files.piece_record import PieceRecord, Value
from appliance.offline.output_files import (
    REPLAY_SUFFIXES,
    SAMPLE_RATE,
    SOUND_SUFFIXES,
    OutputFile,
    Timeline,
    check_outputs,
    complete_or_absent,
    settings_at,
    sound_file,
    write_piece,
)
from appliance.offline.renderer import TAIL_S, Progress, Rendered, load_synth
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings, live_settings
from appliance.state.settings_ranges_and_steps import NAMES

BLOCK_FRAMES: Final = 1024
"""Settings that were changed during the piece change at the same place, to within a block."""

IGNORED_SETTINGS: Final = (
    *("playing", "model", "volume", "scene", "saved_piece"),
    *("output", "soundfont", "balance", "swap_channels", "mono"),
)
"""Settings in a record that a replay ignores: pauses and volume are not part of the piece, and
its notes are composed already."""

_DEFAULTS: Final = ModelDefaults(tempo_bpm=80.0, temperature=1.0, top_p=1.0, program=19)
"""For settings that a file does not state; files from Bachbox state all of them."""


def override_settings(record: PieceRecord, overrides: Mapping[str, Value]) -> PieceRecord:
    """Return ``record`` with ``overrides`` (settings by name) from its beginning to its end."""
    return replace(
        record,
        settings={**record.settings, **overrides},
        changes=[
            replace(
                change,
                settings={n: v for n, v in change.settings.items() if n not in overrides},
            )
            for change in record.changes
        ],
    )


def timeline_of(record: PieceRecord, volume: float) -> list[tuple[int, LiveSettings]]:
    """Return the settings of a piece with the ticks from which they apply; the first tick is 0.

    Settings that this version does not know are ignored.

    Args:
        record: the piece.
        volume: 0 to 100; a record has none.

    Raises:
        UsageError: a setting has a value that is not allowed, or the changes are not in order.
    """
    model = record.model
    settings = Settings(RequestedSettings(model=model), lambda: [model], lambda _model: _DEFAULTS)
    settings.change("volume", volume)
    timeline: list[tuple[int, LiveSettings]] = []
    for tick, changes in [(0, record.settings), *((c.tick, c.settings) for c in record.changes)]:
        if timeline and tick < timeline[-1][0]:
            raise UsageError("the piece in it is damaged: the settings are not in order of time")
        settings.change_all(
            {
                name: value
                for name, value in changes.items()
                if name in NAMES and name not in IGNORED_SETTINGS and value is not None
            }
        )
        timeline.append((tick, live_settings(settings.effective)))
    return timeline


def replay(
    record: PieceRecord,
    timeline: Timeline,
    soundfont: Callable[[], Path],
    outputs: Sequence[Path],
    progress: Progress,
) -> Rendered:
    """Write a recorded piece to each of ``outputs``, with the record embedded.

    Args:
        record: the piece.
        timeline: how it is played; see :func:`timeline_of`.
        soundfont: gives the soundfont; called only if there is a sound file to write.
        outputs: the files; their suffixes say what is written.
        progress: called with the share that is done.

    Raises:
        UsageError: a suffix is not possible.
        BachboxError: a file cannot be written, or the soundfont cannot be read. None of the
            outputs has appeared then, and those that existed before are unchanged.
    """
    check_outputs(outputs, REPLAY_SUFFIXES)
    events = list(record.events())
    frames = 0
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(complete_or_absent(path)) for path in outputs]
        if sound_outputs := [file for file in files if file.suffix in SOUND_SUFFIXES]:
            synth = load_synth(soundfont())
            frames = _play(record, events, timeline, synth, sound_outputs, progress)
        for file in files:
            write_piece(file, record, events, timeline)
        progress(1.0)
    return Rendered(frames / SAMPLE_RATE, 1, record.note_count)


def _play(
    record: PieceRecord,
    events: list[Event],
    timeline: Timeline,
    synth: Synth,
    outputs: list[OutputFile],
    progress: Progress,
) -> int:
    """Render ``events`` into sound files; return the number of frames."""
    tags = {
        "title": record.title,
        "artist": f"Bachbox ({record.model}, seed {record.seed})",
        "comment": record.description,
        "software": record.made_by,
    }

    def settings() -> LiveSettings:
        return settings_at(timeline, performer.playhead_tick)

    tempo_map = TempoMap(SAMPLE_RATE, timeline[0][1].tempo_bpm)
    performer = Performer(finished(events), synth, tempo_map, settings)
    end_tick = events[-1].tick
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(sound_file(output, tags)) for output in outputs]
        tail_blocks = round(TAIL_S * SAMPLE_RATE / BLOCK_FRAMES)
        while tail_blocks:
            tail_blocks -= performer.playhead_tick > end_tick
            sound = performer.render(BLOCK_FRAMES)
            for file in files:
                file.write(sound)
            progress(min(1.0, performer.playhead_tick / (end_tick + 1)))
    return performer.frame
