"""The table of settings: everything about a setting except what it does.

The rows for the voices and for the clock are in modules of their own, only for their number.

Parser, command line, config file, local socket, API, MQTT topics, Home Assistant, metrics, knobs,
the page and the documents follow from it. Only what a setting *does* is written by hand:
:class:`appliance.ipc.shared_state.LiveSettings` takes it to the other processes, and the performer
or the composer acts on it.
"""

from __future__ import annotations

from typing import Final

from appliance.common.text import did_you_mean, quoted
from appliance.errors import UsageError
from appliance.music import key_names, limits, temperament
from appliance.state import clock_settings, voice_settings
from appliance.state.given_name_kinds import NOTHING, SavedPieceName, SceneName
from appliance.state.setting import Setting
from appliance.state.setting_kinds import (
    Choice,
    KeyName,
    ModelName,
    Number,
    OutputName,
    Program,
    SoundfontName,
    Switch,
)

USE_DEFAULT: Final = "default"
"""In place of a value: use the model's default again."""


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        name="playing",
        kind=Switch(),
        title="Playing",
        help="Play, or pause.",
        icon="play-pause",
        default=True,
        metric="playing",
        metric_help="1 while music plays, 0 while it is paused.",
        in_scenes=False,
    ),
    Setting(
        name="volume",
        kind=Number(0, 100, encoder_step=2, unit="percent", symbol="%"),
        title="Volume",
        help="How loud the music is.",
        icon="volume-high",
        default=70.0,
        config="sound.volume",
        metric="volume_percent",
        metric_help="Volume in percent.",
        in_scenes=False,
    ),
    Setting(
        name="tempo",
        kind=Number(*limits.TEMPO_BPM, encoder_step=2, unit="beats per minute", symbol="BPM"),
        title="Tempo",
        help="Quarter notes per minute; a slow piece stays slower than a quick one.",
        icon="metronome",
        config="music.tempo_bpm",
        model_default="tempo_bpm",
        metric="tempo_bpm",
        metric_help="Tempo in quarter notes per minute.",
    ),
    # In Home Assistant without a device class: it is not a temperature in degrees.
    Setting(
        name="temperature",
        kind=Number(*limits.TEMPERATURE, encoder_step=0.05, grain=0.01),
        title="Temperature",
        help="How bold the composer is: low is strict, high is wild.",
        icon="dice-multiple",
        config="music.temperature",
        hint="Low is strict, high is wild",
        model_default="temperature",
        advanced=True,
        metric="temperature",
        metric_help="Sampling temperature of the model.",
    ),
    Setting(
        name="instrument",
        kind=Program(),
        title="Instrument",
        help="The instrument that plays.",
        icon="piano",
        config="music.instrument",
        model_default="program",
    ),
    Setting(
        name="model",
        kind=ModelName(),
        title="Model",
        help="The model that composes.",
        icon="brain",
        default="chorales",
        config="music.model",
        advanced=True,
    ),
    Setting(
        name="top_p",
        kind=Number(*limits.TOP_P, encoder_step=0.02, grain=0.01),
        title="Top-p",
        help="How many of the likely notes the composer chooses from; 1 allows all of them.",
        icon="filter-variant",
        config="music.top_p",
        hint="Lower leaves out the unlikeliest notes",
        model_default="top_p",
        advanced=True,
        metric="top_p",
        metric_help="Top-p (nucleus sampling) of the model.",
    ),
    Setting(
        name="scene",
        kind=SceneName(),
        title="Scene",
        help="Settings that belong together; choosing a scene sets all of them.",
        icon="palette",
        default=NOTHING,
        in_scenes=False,
    ),
    Setting(
        name="saved_piece",
        kind=SavedPieceName(),
        title="Saved piece",
        help="The saved piece to play; with none, and after the piece, new music is composed.",
        icon="music-box",
        default=NOTHING,
        in_scenes=False,
        is_kept=False,
    ),
    Setting(
        name="key",
        kind=KeyName(),
        title="Key",
        help="The key of the pieces, from the next one on; any lets them change.",
        icon="music-clef-treble",
        default=key_names.ANY,
        config="music.key",
    ),
    Setting(
        name="repeats",
        kind=Switch(),
        title="Repeats",
        help="Play both halves of a dance, and each tune, again; from the next double bar on.",
        icon="repeat",
        default=True,
        config="music.repeats",
        advanced=True,
        metric="repeats",
        metric_help="1 if halves and tunes are played again, 0 if not.",
    ),
    Setting(
        name="expression",
        kind=Number(0, 100, encoder_step=5, unit="percent", symbol="%"),
        title="Expression",
        help="Phrasing, accents, ritardandi and broken chords; 0 plays as printed, 60 is natural.",
        icon="chart-bell-curve",
        default=60.0,
        config="music.expression",
        metric="expression_percent",
        metric_help="Expression in percent; 0 plays the notes as printed.",
    ),
    Setting(
        name="temperament",
        kind=Choice(temperament.NAMES),
        title="Temperament",
        help="How the twelve notes of the octave are tuned.",
        icon="tune-variant",
        default=temperament.EQUAL,
        config="sound.temperament",
        advanced=True,
    ),
    Setting(
        name="pitch",
        # From the French chamber pitch to the choir pitch of Bach's organs.
        kind=Number(392, 466, encoder_step=1, unit="Hz", symbol="Hz"),
        title="Concert pitch",
        help="The frequency of A4; baroque orchestras tune to 415 Hz.",
        icon="tune",
        default=temperament.CONCERT_PITCH_HZ,
        config="sound.pitch_hz",
        advanced=True,
        metric="pitch_hz",
        metric_help="Frequency of A4 in hertz.",
    ),
    Setting(
        name="output",
        kind=OutputName(),
        title="Output",
        help="The sound card that plays.",
        icon="speaker",
        default="default",
        config="sound.output",
        advanced=True,
        in_scenes=False,
    ),
    Setting(
        name="soundfont",
        kind=SoundfontName(),
        title="Soundfont",
        help="The file with the sounds of the instruments.",
        icon="music-box-multiple",
        default="default",
        config="sound.soundfont",
        advanced=True,
        in_scenes=False,
    ),
    Setting(
        name="balance",
        kind=Number(-100, 100, encoder_step=5, unit="percent", symbol="%"),
        title="Balance",
        help="-100 plays on the left loudspeaker only, 100 on the right one only.",
        icon="arrow-left-right",
        default=0.0,
        config="sound.balance",
        advanced=True,
        metric="balance_percent",
        metric_help="Balance in percent, from left to right.",
        in_scenes=False,
    ),
    Setting(
        name="swap_channels",
        kind=Switch(),
        title="Swap left and right",
        help="For loudspeakers that stand the other way round.",
        icon="swap-horizontal",
        default=False,
        config="sound.swap_channels",
        advanced=True,
        in_scenes=False,
    ),
    Setting(
        name="mono",
        kind=Switch(),
        title="Mono",
        help="Both loudspeakers play both channels; for a single loudspeaker.",
        icon="speaker-single",
        default=False,
        config="sound.mono",
        advanced=True,
        in_scenes=False,
    ),
    *voice_settings.ROWS,
    *clock_settings.ROWS,
)

NAMES: Final = tuple(setting.name for setting in SETTINGS)

BY_NAME: Final = {setting.name: setting for setting in SETTINGS}

BY_CONFIG: Final = {setting.config: setting for setting in SETTINGS if setting.config}


def number(name: str) -> Number:
    """Return the range of setting ``name``.

    Raises:
        TypeError: the setting is not a number.
    """
    kind = BY_NAME[name].kind
    if not isinstance(kind, Number):
        raise TypeError(f"{name} is not a number")
    return kind


def find(name: str) -> Setting:
    """Return the setting called ``name``; hyphens count as underscores.

    Raises:
        UsageError: there is no such setting.
    """
    setting = BY_NAME.get(name.replace("-", "_"))
    if setting is None:
        hint = did_you_mean(name.replace("-", "_"), NAMES) or f"there are {', '.join(NAMES)}"
        raise UsageError(f"there is no setting {quoted(name)}; {hint}")
    return setting
