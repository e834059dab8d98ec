"""The messages of the WebSocket ``/api/live``: JSON objects with a ``type``."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.frontends.web.api import Value
from appliance.frontends.web.settings_schema import SettingSchema
from appliance.state.box_status import NowPlaying
from appliance.state.settings import Action, ShownSettings


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """The first message."""

    permission: str
    """See :class:`appliance.frontends.web.login.SessionInfo`."""
    name: str
    """The name of the box."""
    version: str
    ticks_per_beat: int
    schema: list[SettingSchema]
    """As in ``GET /api/schema``."""


class SettingsMessage(msgspec.Struct, frozen=True, tag_field="type", tag="settings"):
    """The settings, at first and after every change."""

    values: ShownSettings
    model_defaults: list[str]
    """Names of the settings that follow the model's default."""


class NowMessage(msgspec.Struct, frozen=True, tag_field="type", tag="now"):
    """What is played, at first and after every change."""

    now: NowPlaying
    seed_text: str
    """The seed in digits: JavaScript rounds whole numbers above 2^53."""


class NotesMessage(msgspec.Struct, frozen=True, tag_field="type", tag="notes"):
    """What was composed since the last such message."""

    rewind_tick: int | None
    """Discard all events from this tick on: the composer has gone back to it."""
    horizon_tick: int
    """Everything before this tick is composed."""
    events: list[dict[str, Any]]
    """Objects with a ``type``: ``note_on``, ``note_off``, ``piece_start`` or ``tempo_factor``.

    Their fields are those of the classes in :mod:`appliance.music.events`.
    """


class ClockMessage(msgspec.Struct, frozen=True, tag_field="type", tag="clock"):
    """Where the music is, four times a second."""

    tick: float
    ticks_per_s: float
    """0 while nothing is played."""
    frame: int
    """Audio frames played since the start."""
    frames_per_s: int
    """The sample rate; 0 before the sound card is open."""
    horizon_tick: int


class SchemaMessage(msgspec.Struct, frozen=True, tag_field="type", tag="schema"):
    """What can be set has changed, for example because a model was added."""

    schema: list[SettingSchema]


class Done(msgspec.Struct, frozen=True, tag_field="type", tag="done"):
    """A change was made."""

    id: int
    """The ``id`` of the :class:`ChangeRequest`."""
    warnings: list[str] = []
    """What a scene names and this box cannot take, a sentence each."""


class Refused(msgspec.Struct, frozen=True, tag_field="type", tag="refused"):
    """A change was refused."""

    id: int
    """The ``id`` of the :class:`ChangeRequest`; 0 where it could not be read."""
    error: str
    """A sentence for people."""
    needs_login: bool = False


ServerMessage = (
    Hello | SettingsMessage | NowMessage | NotesMessage | ClockMessage | SchemaMessage | Done
    | Refused
)  # fmt: skip


class ChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends: settings to change, actions to do, or both."""

    id: int = 0
    """Repeated in the response."""
    set: dict[str, Value] = {}
    actions: list[Action] = []
