"""The live settings: one state that every frontend changes and every display shows.

A frontend never writes a value itself; it calls :meth:`Settings.change`, which checks the value
and calls the observers. :mod:`appliance.state.settings_ranges_and_steps` lists the settings.

Everything here belongs to the thread of the daemon's event loop: a frontend whose library calls
back from another thread comes over with ``loop.call_soon_threadsafe``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from appliance.common.text import quoted
from appliance.errors import UsageError
from appliance.ipc import shared_state
from appliance.ipc.shared_state import LiveSettings
from appliance.state import settings_ranges_and_steps, voice_settings
from appliance.state.given_name_kinds import NOTHING
from appliance.state.setting_kinds import (
    NamedKind,
    Value,
    absolute,
    is_plain_name,
    is_relative,
)
from appliance.state.setting_records import EffectiveSettings, RequestedSettings, ShownSettings
from appliance.state.settings_ranges_and_steps import BY_NAME, NAMES, SETTINGS, USE_DEFAULT

__all__ = [
    "NAMES", "Action", "EffectiveSettings", "ModelDefaults", "Observer", "RequestedSettings",
    "Settings", "ShownSettings", "effective", "left_to_model", "live_settings", "shown",
]  # fmt: skip


class Action(enum.StrEnum):
    """What is done once, and leaves no value behind."""

    NEXT_PIECE = "next_piece"
    RESTART_PIECE = "restart_piece"
    MODEL_DEFAULTS = "model_defaults"
    """Leave to the model every setting that it has a default for."""
    SAVE = "save"
    """Keep the piece that plays for good."""
    TEST_TONE = "test_tone"
    """One second of A with the current instrument, on top of the music."""


class ModelDefaults(NamedTuple):
    """The settings with which a model plays unless people ask for others."""

    tempo_bpm: float
    temperature: float
    top_p: float
    program: int


def effective(requested: RequestedSettings, defaults: ModelDefaults) -> EffectiveSettings:
    """Return ``requested`` with the model's ``defaults`` filled in."""
    values = msgspec.structs.asdict(requested)
    for setting in SETTINGS:
        if values[setting.name] is None:
            values[setting.name] = getattr(defaults, setting.model_default)
    return EffectiveSettings(**values)


def shown(settings: EffectiveSettings) -> ShownSettings:
    """Return ``settings`` as people read them."""
    return ShownSettings(
        **{s.name: s.kind.show(getattr(settings, s.name)) for s in SETTINGS}  # type: ignore[arg-type]
    )


def left_to_model(requested: RequestedSettings) -> list[str]:
    """Return the names of the settings that are at the model's default."""
    return [name for name in NAMES if getattr(requested, name) is None]


def live_settings(
    settings: EffectiveSettings,
    action_count: int = 0,
    action: shared_state.Action = shared_state.Action.NONE,
    tone_count: int = 0,
    soundfont: str = "",
    *,
    is_program_chosen: bool = True,
) -> LiveSettings:
    """Return ``settings`` as composer and performer read them in shared memory.

    Args:
        settings: the settings.
        action_count: how many actions were requested.
        action: the last of them.
        tone_count: how many test tones were requested.
        soundfont: the path of the soundfont that the setting names.
        is_program_chosen: somebody chose the instrument, so that no piece brings its own.
    """
    return LiveSettings(
        tempo_bpm=settings.tempo,
        volume=settings.volume,
        playing=settings.playing,
        program=settings.instrument,
        is_program_chosen=is_program_chosen,
        temperature=settings.temperature,
        top_p=settings.top_p,
        expression=settings.expression,
        key=settings.key,
        repeats=settings.repeats,
        temperament=settings.temperament,
        pitch_hz=settings.pitch,
        balance=settings.balance,
        is_swapped=settings.swap_channels,
        is_mono=settings.mono,
        action_count=action_count,
        action=action,
        tone_count=tone_count,
        voice_programs=voice_settings.programs(settings),
        voice_levels=voice_settings.levels(settings),
        model=settings.model,
        output=settings.output,
        soundfont=soundfont,
    )


Observer = Callable[[RequestedSettings, frozenset[str]], None]
"""Called with the state now and the names of what changed: settings, or one action, and
:data:`ASKED_TO_PLAY`."""

ASKED_TO_PLAY: Final = "asked_to_play"
"""Among what has changed when music or a pause is asked for, even where it is so already: the clock
may be about to end it."""


class SceneBook(Protocol):
    """What the settings ask about scenes; see :class:`appliance.state.scenes.Scenes`."""

    def expand(self, parsed: Mapping[str, Value | None]) -> dict[str, Value | None]:
        """Return ``parsed``, and the settings of the scene that it chooses."""

    def is_left(self, before: RequestedSettings, changed: frozenset[str]) -> bool:
        """Return whether a change of these settings means that the scene no longer applies."""


class Settings:
    """The settings of the running box.

    Args:
        requested: the first state.
        models: gives the names of the models that exist now.
        defaults_of: gives a model's defaults, or raises a BachboxError if the model is unusable.
        names: gives, for further settings by name, the names that exist now.
    """

    def __init__(
        self,
        requested: RequestedSettings,
        models: Callable[[], Iterable[str]],
        defaults_of: Callable[[str], ModelDefaults],
        names: Mapping[str, Callable[[], Iterable[str]]] | None = None,
    ) -> None:
        self._requested = requested
        self._models = models
        self._names = {"model": lambda: sorted(models()), **(names or {})}
        self._defaults_of = defaults_of
        self._defaults = defaults_of(requested.model)
        self._observers: list[Observer] = []
        self.on_observer_error: Callable[[Exception], None] = _raise
        """Called with the exception of an observer, after all observers have been called."""
        self.passing: frozenset[str] = frozenset()
        """Settings that are changed for now: after a restart they are what they were before."""
        self.scenes: SceneBook | None = None
        self.warnings: list[str] = []
        """Sentences about the last change: what a scene names and this box cannot take."""

    @property
    def requested(self) -> RequestedSettings:
        """What people asked for; an immutable snapshot."""
        return self._requested

    @property
    def effective(self) -> EffectiveSettings:
        """The requested settings, with the model's defaults filled in."""
        return effective(self._requested, self._defaults)

    @property
    def models(self) -> list[str]:
        """The names of the models that exist now, sorted."""
        return sorted(self._models())

    @property
    def choices(self) -> dict[str, list[str]]:
        """For each setting that is a :class:`NamedKind`, the names that exist now."""
        named = [s.name for s in SETTINGS if isinstance(s.kind, NamedKind)]
        return {name: [str(value) for value in self.options(name)] for name in named}

    def options(self, name: str) -> Sequence[Value]:
        """Return the values that setting ``name`` can have; none for a number."""
        kind = BY_NAME[name].kind
        return kind.options(self._names_of(name) if isinstance(kind, NamedKind) else ())

    def add_names(self, name: str, names: Callable[[], Iterable[str]]) -> None:
        """Let ``names`` give the names that exist for setting ``name``."""
        self._names[name] = names

    def restore(self, name: str, value: object) -> None:
        """Set ``name`` to a value that was kept, as :meth:`change` does.

        A sound card that is absent now is accepted: it may be switched on later. A scene sets
        nothing, because all settings are restored.

        Raises:
            UsageError: as :meth:`change`.
            BachboxError: as :meth:`change`.
        """
        if name == "output" and isinstance(value, str) and is_plain_name(value):
            self._set({name: value})
        elif name == "scene":
            self._set({name: self.parse(name, value)})
        else:
            self.change(name, value)

    def change(self, name: str, value: object) -> RequestedSettings:
        """Set ``name`` to ``value`` (typed, or as text), call the observers, return the new state.

        Steps and toggles start from the effective value
        (:func:`appliance.state.setting_kinds.absolute`).

        Raises:
            UsageError: there is no such setting, or the value is not allowed; nothing changed.
            BachboxError: the model exists but is unusable; nothing changed.
        """
        return self.change_all({name: value})

    def change_all(
        self, changes: Mapping[str, object], *, is_passing: bool = False
    ) -> RequestedSettings:
        """Make all ``changes`` (value by name), or none of them; return the new state.

        Where music or a pause is asked for, observers hear :data:`ASKED_TO_PLAY`.

        Args:
            changes: values by name.
            is_passing: after a restart the settings are what they were before.

        Raises:
            UsageError: as :meth:`change`.
            BachboxError: as :meth:`change`.
        """
        self.warnings = []
        parsed: dict[str, Value | None] = {
            settings_ranges_and_steps.find(name).name: self.parse(name, changes[name])
            for name in changes
        }
        if self.scenes is not None and parsed.get("scene", NOTHING) != NOTHING:
            parsed = self.scenes.expand(parsed)
        others = self.passing - parsed.keys()
        self.passing = others | parsed.keys() if is_passing else others
        return self._set(parsed)

    def _set(self, parsed: Mapping[str, Value | None]) -> RequestedSettings:
        old, new = self._requested, msgspec.structs.replace(self._requested, **parsed)
        changed = frozenset(name for name in parsed if getattr(old, name) != getattr(new, name))
        if self.scenes is not None and "scene" not in parsed and self.scenes.is_left(old, changed):
            new, changed = msgspec.structs.replace(new, scene=NOTHING), changed | {"scene"}
        if "model" in changed:
            self._defaults = self._defaults_of(new.model)
        self._requested = new
        if heard := changed | ({ASKED_TO_PLAY} if "playing" in parsed else set()):
            self._notify(heard)
        return self._requested

    def act(self, action: str) -> None:
        """Trigger the :class:`Action` called ``action``.

        Raises:
            UsageError: there is no such action.
        """
        try:
            known = Action(action.replace("-", "_"))
        except ValueError as error:
            raise UsageError(
                f"there is no action {quoted(action)}; there are {', '.join(Action)}"
            ) from error
        if known is Action.MODEL_DEFAULTS:
            self.change_all({s.name: USE_DEFAULT for s in SETTINGS if s.default is None})
        self._notify(frozenset({str(known)}))

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call ``observer`` after each change from now on; return a function that stops this."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def parse(self, name: str, value: object) -> Value | None:
        """Return what :meth:`change` would set ``name`` to; None stands for the model's default.

        Raises:
            UsageError: as :meth:`change`.
            BachboxError: as :meth:`change`.
        """
        setting = settings_ranges_and_steps.find(name)
        kind = setting.kind
        if setting.default is None and _is_default(value):
            return None
        if isinstance(value, str) and is_relative(value):
            current = getattr(self.effective, setting.name)
            value = absolute(kind, value, current, self.options(setting.name))
        if not isinstance(kind, NamedKind):
            return kind.parse(setting.name, value)
        chosen = kind.parse(setting.name, value, self._names_of(setting.name))
        if setting.name == "model":
            self._defaults_of(chosen)
        return chosen

    def _names_of(self, name: str) -> list[str]:
        """Return the names that exist for setting ``name``, and the one that is set.

        A card that is set may be switched off, and no control may show a value that it lacks.
        """
        names = list(self._names[name]()) if name in self._names else []
        current: str = getattr(self._requested, name)
        return names if name == "model" or current in names else [*names, current]

    def _notify(self, changed: frozenset[str]) -> None:
        failures = []
        for observer in tuple(self._observers):
            try:
                # The state of this moment: an earlier observer may have changed more.
                observer(self._requested, changed)
            except Exception as error:
                failures.append(error)
        for failure in failures:
            self.on_observer_error(failure)


def _is_default(value: object) -> bool:
    return isinstance(value, str) and value.strip().casefold() == USE_DEFAULT


def _raise(error: Exception) -> None:
    raise error
