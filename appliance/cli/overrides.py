"""Config file and command line together: what a command works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from appliance.state.settings_ranges_and_steps import BY_NAME, SETTINGS

if TYPE_CHECKING:
    from appliance.cli.model_catalog import ModelCatalog
    from appliance.config.loader import Config
    from appliance.state.settings import RequestedSettings, Settings

_SEED_BITS: Final = 31
"""The size of a random seed: short enough to be typed again."""


def apply_overrides(config: Config, **options: Any) -> Config:
    """Return ``config`` with command-line ``options`` in place of its values.

    Options that are None were not given; those that no section has a key for are ignored.
    """
    from msgspec.structs import replace

    changes: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        setting = BY_NAME.get(name)
        key = setting.key if setting else name
        sections = (setting.section,) if setting else ("music", "sound")
        for section in sections:
            if value is not None and hasattr(getattr(config, section), key):
                changes.setdefault(section, {})[key] = value
    return replace(
        config,
        **{section: replace(getattr(config, section), **new) for section, new in changes.items()},
    )


def requested_settings(config: Config, model: str) -> RequestedSettings:
    """Return the settings that ``config`` asks for, with the model called ``model``."""
    from appliance.config import loader
    from appliance.state.settings import RequestedSettings

    values = {s.name: getattr(getattr(config, s.section), s.key) for s in SETTINGS if s.config}
    # A soundfont that was given by its path goes by its name, as the others do.
    for name, path in loader.soundfonts(config).items():
        if str(path) == values["soundfont"]:
            values["soundfont"] = name
    return RequestedSettings(**(values | {"model": model}))


def new_settings(config: Config, catalog: ModelCatalog, model: str) -> Settings:
    """Return the live settings as ``config`` asks for them, with the model called ``model``.

    Raises:
        BachboxError: the model cannot be used.
    """
    from appliance.config import loader
    from appliance.state.settings import Settings

    names = {"soundfont": lambda: ["default", *loader.soundfonts(config)]}
    return Settings(requested_settings(config, model), catalog.names, catalog.defaults_of, names)


def choose_seed(config: Config) -> int:
    """Return the configured seed, or a random one."""
    import secrets

    return secrets.randbits(_SEED_BITS) if config.music.seed is None else config.music.seed
