"""How a piece that was played is to be played again: as it was, or as somebody says now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from appliance.daemon.daemon import live_settings_for
from appliance.errors import UsageError
from appliance.ipc.shared_state import LiveSettings
from appliance.music.files.piece_record import PieceRecord, Value
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings

OF_THE_ROOM: Final = ("playing", "model", "volume")
"""Settings that a piece is not played by again: what it was paused for or how loud it was is no
part of it, and its notes are there already."""

_ANYTHING: Final = ModelDefaults(tempo_bpm=80.0, temperature=1.0, top_p=1.0, program=19)
"""What a file leaves open; ours leave nothing open."""


def wished(keepsake: PieceRecord, said: Mapping[str, Value]) -> PieceRecord:
    """The same piece, with ``said`` (settings by their names) from its beginning to its end."""
    return replace(
        keepsake,
        settings={**keepsake.settings, **said},
        changes=[
            replace(change, settings={n: v for n, v in change.settings.items() if n not in said})
            for change in keepsake.changes
        ],
    )


def steps_of(keepsake: PieceRecord, volume: float) -> list[tuple[int, LiveSettings]]:
    """The settings, with the ticks from which on they hold; the first tick is 0.

    Settings that this version does not know are left alone.

    Raises:
        UsageError: one is set to what it cannot be.
    """
    model = keepsake.model
    settings = Settings(RequestedSettings(model), lambda: [model], lambda _model: _ANYTHING)
    settings.change("volume", volume)
    steps: list[tuple[int, LiveSettings]] = []
    for tick, changed in [
        (0, keepsake.settings),
        *((c.tick, c.settings) for c in keepsake.changes),
    ]:
        if steps and tick < steps[-1][0]:
            raise UsageError("the piece in it is damaged: what was set is out of order")
        settings.change_all(
            {
                name: value
                for name, value in changed.items()
                if name in settings.names and name not in OF_THE_ROOM and value is not None
            }
        )
        steps.append((tick, live_settings_for(settings.effective)))
    return steps
