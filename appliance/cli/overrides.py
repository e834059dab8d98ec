"""Config and command line together: what is wished for, and what that means here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.errors import BachboxError, UsageError

if TYPE_CHECKING:
    from appliance.config.loader import Config
    from appliance.state.settings import ModelDefaults, RequestedSettings

_SEED_BITS: Final = 31
"""Of a seed that we draw: short enough to be typed again."""


def wished(config: Config, **wishes: Any) -> Config:
    """The config with what the command line says in place of what the file says."""
    from msgspec.structs import replace

    said = {name: value for name, value in wishes.items() if value is not None}
    for name, key in (("tempo", "tempo_bpm"), ("pitch", "pitch_hz")):
        if name in said:
            said[key] = said.pop(name)
    sections = {
        name: replace(section, **{k: v for k, v in said.items() if hasattr(section, k)})
        for name, section in (("music", config.music), ("sound", config.sound))
    }
    return replace(config, **sections)


def first_values(
    config: Config,
) -> tuple[list[Path], RequestedSettings, Callable[[str], ModelDefaults]]:
    """Model folders, first settings, and the way to a model's own values.

    Raises:
        BachboxError: the model cannot be used.
    """
    from appliance.composing import model_file
    from appliance.config import loader as configs
    from appliance.state.settings import ModelDefaults, RequestedSettings

    music = config.music
    folders = configs.model_folders(config)
    path = model_file.find(music.model, folders)
    if path.suffix != model_file.SUFFIX:
        raise UsageError(
            f"{path}: a model is a {model_file.SUFFIX} file; `bachbox models` lists some"
        )
    if music.model not in (known.stem for known in model_file.listing(folders)):
        # Given by its path: its folder comes first, so that from now on its name means it.
        model_file.load(path)
        folders.insert(0, path.parent)

    def own(name: str) -> ModelDefaults:
        model = model_file.load(model_file.find(name, folders))
        return ModelDefaults(model.tempo_bpm, model.temperature, model.top_p, model.instrument)

    values = RequestedSettings(
        model=path.stem,
        instrument=music.instrument,
        tempo=music.tempo_bpm,
        temperature=music.temperature,
        top_p=music.top_p,
        volume=config.sound.volume,
        expression=music.expression,
        temperament=config.sound.temperament,
        pitch=config.sound.pitch_hz,
    )
    return folders, values, own


def usable(
    values: RequestedSettings, models: Sequence[str], own: Callable[[str], ModelDefaults]
) -> tuple[RequestedSettings, list[str]]:
    """``values`` with another of the ``models`` where the configured one is damaged, and why."""
    from dataclasses import replace

    try:
        own(values.model)
    except BachboxError as error:
        for other in models:
            with contextlib.suppress(BachboxError):
                own(other)
                return replace(values, model=other), [f"{error}; {other} plays instead"]
    return values, []


def warn(sentence: str) -> None:
    """Tell a person, and go on."""
    click.echo(f"bachbox: {sentence}", err=True)


def seed_of(config: Config) -> int:
    """The configured seed, or one that is drawn."""
    import secrets

    return secrets.randbits(_SEED_BITS) if config.music.seed is None else config.music.seed
