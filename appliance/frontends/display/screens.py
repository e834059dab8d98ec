"""What a small display shows: the state of the box, cut to a few short texts."""

from __future__ import annotations

import datetime
import unicodedata
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from appliance.config.schema import Display
from appliance.ipc.shared_state import Condition
from appliance.state.box_status import NowPlaying
from appliance.state.clock_kinds import hours_of
from appliance.state.settings import Settings, ShownSettings

TROUBLE_S: Final = 10.0
"""How long trouble is shown after an xrun or a restart."""

PAUSE_DARK_S: Final = 600.0
"""After this long a pause the display is dark: a picture that never changes burns into an OLED."""

SCROLL_HOLD_S: Final = 3.0
"""How long the beginning of a text that is too wide stands still."""

SCROLL_STEP_S: Final = 0.3
"""How long it takes to move by a character."""

INSTRUMENT_INTERVAL_S: Final = 1.0
"""How often the instrument is read, which takes longer than the rest."""

T = TypeVar("T")

_GAP: Final = "   "
"""Between the end of a scrolling text and its beginning."""


class Source(Protocol):
    """Where it comes from; :class:`appliance.state.box_status.BoxStatus` is one."""

    def now_playing(self) -> NowPlaying:
        """Return what is playing."""

    def settings(self) -> ShownSettings:
        """Return the effective settings."""

    def fault_count(self) -> int:
        """Return a number that rises with each xrun, block without music and restart."""


class Layout(NamedTuple):
    """How many characters there is room for."""

    title_columns: int
    instrument_columns: int


class Screen(NamedTuple):
    """Everything that is shown; two equal ones look the same."""

    title: str = "Bachbox"
    key: str = ""
    """Such as "d minor"; "" before the first piece."""
    tempo_bpm: int = 0
    """0 before the first piece."""
    instrument: str = ""
    bar: int = 0
    beat: int = 0
    """Counted from 1; 0 before the first piece."""
    beats_per_bar: int = 4
    silent: str = ""
    """Why there is no music: "paused", "no sound card", "starting"; "" if it plays."""
    trouble: bool = False
    """Something went wrong a moment ago."""
    brightness: int = 80
    """0 (dark) to 100 percent."""


class Screens:
    """Makes the screen that is to be shown at a moment.

    Args:
        display: the config.
        layout: how much room there is.
    """

    def __init__(self, display: Display, layout: Layout) -> None:
        self._display = display
        self._layout = layout
        self._title = _Since("")
        self._instrument = _Since("")
        self._paused = _Since(False)
        self._instrument_read_at = float("-inf")
        self._faults: int | None = None
        self._trouble_until = float("-inf")

    def screen(self, settings: Settings, box: Source, now_s: float) -> Screen:
        """Return the screen at ``now_s``, in seconds on the monotonic clock."""
        music = box.now_playing()
        faults = box.fault_count()
        if self._faults is not None and faults != self._faults:
            self._trouble_until = now_s + TROUBLE_S
        self._faults = faults
        if now_s - self._instrument_read_at >= INSTRUMENT_INTERVAL_S:
            self._instrument_read_at = now_s
            self._instrument.set(plain(box.settings().instrument), now_s)
        self._title.set(plain(_title(music)), now_s)
        self._paused.set(music.condition is Condition.PAUSED, now_s)
        playing = music.condition is Condition.PLAYING
        return Screen(
            title=scrolled(
                self._title.value, self._layout.title_columns, now_s - self._title.since_s
            ),
            key=music.key,
            tempo_bpm=round(music.tempo_bpm),
            instrument=scrolled(
                self._instrument.value,
                self._layout.instrument_columns,
                now_s - self._instrument.since_s,
            ),
            bar=music.bar,
            beat=music.beat,
            beats_per_bar=music.beats_per_bar,
            silent="" if playing else music.condition.words,
            trouble=now_s < self._trouble_until,
            brightness=self._brightness(settings, now_s),
        )

    def _brightness(self, settings: Settings, now_s: float) -> int:
        if self._paused.value and now_s - self._paused.since_s > PAUSE_DARK_S:
            return 0
        hours = hours_of(settings.requested.quiet_hours)
        # The local time, by [clock] time_zone, too: the command has set the zone of the process.
        if hours is not None and hours.include(datetime.datetime.now().time()):
            return min(self._display.brightness, self._display.quiet_brightness)
        return self._display.brightness


class _Since(Generic[T]):
    """A value, and since when it has been the same."""

    def __init__(self, value: T) -> None:
        self.value = value
        self.since_s = 0.0

    def set(self, value: T, now_s: float) -> None:
        if value != self.value:
            self.value, self.since_s = value, now_s


def scrolled(text: str, columns: int, elapsed_s: float) -> str:
    """Return the part of ``text`` that is seen ``elapsed_s`` after it first appeared.

    Args:
        text: of any length; one that fits stands still.
        columns: the greatest length of what is returned.
        elapsed_s: 0 or more.
    """
    if len(text) <= columns:
        return text
    loop = text + _GAP
    moved_s = elapsed_s % (SCROLL_HOLD_S + len(loop) * SCROLL_STEP_S) - SCROLL_HOLD_S
    start = int(max(0.0, moved_s) / SCROLL_STEP_S)
    return (loop + loop)[start : start + columns]


def plain(text: str) -> str:
    """Return ``text`` as a display's font can write it: in ASCII, a character for each."""
    return "".join(
        char if " " <= char <= "~" else "?"
        for char in (unicodedata.normalize("NFKD", each)[0] for each in text)
    )


def _title(music: NowPlaying) -> str:
    if music.condition is Condition.NO_SOUND_CARD:
        return music.problem or "No sound card"
    title = music.title or "Bachbox"
    return f"{title}{_GAP}{music.problem}" if music.problem else title
