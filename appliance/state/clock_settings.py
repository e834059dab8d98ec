"""The rows of the settings table that have to do with the clock; the daemon acts on them."""

from __future__ import annotations

from typing import Final

from appliance.state.clock_kinds import OFF, HoursOfDay, TimeOfDay
from appliance.state.given_name_kinds import NOTHING, SceneName
from appliance.state.setting import Setting
from appliance.state.setting_kinds import Number

ROWS: Final = (
    Setting(
        name="sleep",
        kind=Number(0, 240, encoder_step=5, unit="minutes", symbol="min"),
        title="Sleep timer",
        help="The music fades out and pauses after this time; 0 lets it play on.",
        icon="sleep",
        group="clock",
        default=0.0,
        is_kept=False,
        in_scenes=False,
        metric="sleep_minutes",
        metric_help="Minutes until the sleep timer pauses the music; 0 if it is off.",
    ),
    Setting(
        name="quiet_hours",
        kind=HoursOfDay(),
        title="Quiet hours",
        help="When the music pauses, or is no louder than the quiet volume.",
        icon="weather-night",
        group="clock",
        default=OFF,
        config="clock.quiet_hours",
        advanced=True,
        in_scenes=False,
    ),
    Setting(
        name="quiet_volume",
        kind=Number(0, 100, encoder_step=2, unit="percent", symbol="%"),
        title="Quiet volume",
        help="The highest volume in quiet hours; 0 pauses the music.",
        icon="volume-low",
        group="clock",
        default=0.0,
        config="clock.quiet_volume",
        advanced=True,
        in_scenes=False,
        metric="quiet_volume_percent",
        metric_help="The highest volume in quiet hours in percent; 0 pauses the music.",
    ),
    Setting(
        name="wake_time",
        kind=TimeOfDay(),
        title="Wake-up",
        help="When the music begins, softly at first.",
        icon="alarm",
        group="clock",
        default=OFF,
        config="clock.wake_time",
        advanced=True,
        in_scenes=False,
    ),
    Setting(
        name="wake_rise",
        kind=Number(0, 60, encoder_step=1, unit="minutes", symbol="min"),
        title="Wake-up rise",
        help="How long the music that begins takes to reach its volume.",
        icon="stairs-up",
        group="clock",
        default=5.0,
        config="clock.wake_rise_minutes",
        advanced=True,
        in_scenes=False,
        metric="wake_rise_minutes",
        metric_help="Minutes that the music takes to reach its volume at the wake-up.",
    ),
    Setting(
        name="wake_scene",
        kind=SceneName(),
        title="Wake-up scene",
        help="The scene that the wake-up chooses; none leaves the settings as they are.",
        icon="palette-outline",
        group="clock",
        default=NOTHING,
        config="clock.wake_scene",
        advanced=True,
        in_scenes=False,
    ),
    Setting(
        name="stop_time",
        kind=TimeOfDay(),
        title="Stop",
        help="When the music fades out and pauses.",
        icon="clock-end",
        group="clock",
        default=OFF,
        config="clock.stop_time",
        advanced=True,
        in_scenes=False,
    ),
)
