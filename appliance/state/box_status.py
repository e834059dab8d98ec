"""What the box tells of itself: the same facts for the shell, the broker and the panel.

:class:`BoxStatus` reads them from the shared memory and from ``/proc``; nobody can change anything
through it. Everything in a :class:`Status` becomes JSON by ``msgspec.json.encode``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from appliance.audio import broadcast
from appliance.ipc.audio_tap import TapReader
from appliance.ipc.played_events import PlayedEvents
from appliance.ipc.ring_observer import RingObserver
from appliance.ipc.shared_state import SharedState, State
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.score import Key
from appliance.state import general_midi
from appliance.state.settings import Settings

_CPU_SENSOR: Final = Path("/sys/class/thermal/thermal_zone0/temp")
"""In thousandths of a degree; on a Raspberry Pi the only one."""

CONDITIONS: Final = {
    State.STARTING: "starting",
    State.PLAYING: "playing",
    State.PAUSED: "paused",
    State.NO_CARD: "no sound card",
    State.STOPPED: "stopped",
}
"""What the box is doing, in words."""


class SettingsNow(msgspec.Struct, frozen=True):
    """The settings in force; the names are those of :mod:`appliance.state.settings`."""

    playing: bool
    model: str
    instrument: str
    tempo: float
    """Quarter notes a minute."""
    temperature: float
    top_p: float
    volume: float
    """Percent."""
    expression: float
    """Percent."""
    temperament: str
    pitch: float
    """Of the a', in Hz."""


class NowPlaying(msgspec.Struct, frozen=True):
    """Where the music is."""

    condition: str
    """One of :data:`CONDITIONS`."""
    model: str
    piece: int
    """From 1; 0 before the first."""
    key: str
    """Such as "g minor"; "" before the first piece."""
    bar: int
    """From 1; 0 during a pickup and before the first piece."""
    beat: int
    """Of the bar, from 1; 0 before the first piece."""
    beats_per_bar: int
    seed: int


class Interventions(msgspec.Struct, frozen=True):
    """How often the guard had to help the music on."""

    frozen: int
    loop: int
    stuck: int
    silence: int


class Health(msgspec.Struct, frozen=True):
    """How the box is; counts are since its start."""

    uptime_s: int
    xruns: int
    starved: int
    """Audio blocks for which the composer had written nothing yet."""
    late: int
    """Notes that came after their time."""
    notes: int
    pieces: int
    look_ahead_s: float
    rewinds: int
    restarts: int
    """Of composer and performer together."""
    cures: Interventions
    rss_mib: float
    """Memory of all processes."""
    cpu_celsius: float | None
    """None where the machine does not tell."""


class Status(msgspec.Struct, frozen=True):
    """Everything together."""

    version: str
    settings: SettingsNow
    now_playing: NowPlaying
    health: Health


class ProgressCounters(NamedTuple):
    """What goes on rising while all is well."""

    frames_played: int
    notes: int
    """Composed."""
    composer_beats: int
    performer_beats: tuple[int, ...]
    """With the processes there are: without a card new ones look for one again and again."""
    resting: bool
    """Nothing is to sound: it is paused, or there is no sound card."""


class Playhead(NamedTuple):
    """Where the sound is that is being made just now."""

    tick: float
    """See :class:`appliance.music.events.Event`."""
    frames_played: int
    """Since the start of the box; counts while it is paused, too."""
    sample_rate: int
    """0 before the output is open."""
    moves: bool


class Counts(NamedTuple):
    """What the processes have done and taken, by ``daemon``, ``composer`` and ``performer``."""

    tokens: int
    notes: int
    cpu_s: dict[str, float]
    """Seconds of processor; a process made anew begins anew."""
    rss_mib: dict[str, float]


class BoxStatus:
    """A look into the running box.

    ``restarts`` and ``pids`` (by name) tell of the children; ``say`` takes a sentence for the
    log, and ``said`` gives its last lines.
    """

    def __init__(
        self,
        shared: SharedState,
        settings: Settings,
        restarts: Callable[[], int],
        pids: Callable[[], dict[str, int]],
        say: Callable[[str], None],
        said: Callable[[], list[str]] = list,
    ) -> None:
        self._shared = shared
        self._settings = settings
        self._restarts = restarts
        self._pids = pids
        self._begun = time.monotonic()
        self._version = metadata.version("bachbox")
        self.say = say
        self.said = said
        """The last lines of the log."""
        self.sound = broadcast.of_the_sound(lambda: TapReader(shared))
        """What is played, for any number of listeners."""

    def status(self) -> Status:
        """Everything; reads some files of ``/proc``, so not for every audio block."""
        return Status(self._version, self.settings(), self.now_playing(), self.health())

    def settings(self) -> SettingsNow:
        """The settings in force."""
        now = self._settings.effective
        return SettingsNow(**now._asdict() | {"instrument": general_midi.name(now.instrument)})

    def now_playing(self) -> NowPlaying:
        """Where the music is; costs microseconds."""
        performer = self._shared.performer.read()
        piece, tick = performer.piece, int(self._shared.reader.read().playhead_tick)
        begun = piece.number > 0
        return NowPlaying(
            condition=CONDITIONS[performer.state],
            model=self._settings.values.model,
            piece=piece.number,
            key=str(Key(piece.tonic, piece.minor)) if begun else "",
            bar=piece.bar_at(tick) if begun else 0,
            beat=piece.beat_at(tick) + 1 if begun else 0,
            beats_per_bar=piece.beats_per_bar,
            seed=self._shared.composer.read().seed,
        )

    def troubles(self) -> int:
        """Rises with each xrun, each block without music and each restart; costs microseconds."""
        performer = self._shared.performer.read()
        return performer.xruns + performer.starved + self._restarts()

    def pulse(self) -> ProgressCounters:
        """Whether it goes on; costs microseconds."""
        performer, composer = self._shared.performer.read(), self._shared.composer.read()
        return ProgressCounters(
            frames_played=performer.frames_played,
            notes=composer.notes,
            composer_beats=composer.heartbeat,
            performer_beats=(performer.heartbeat, *self._pids().values()),
            resting=performer.state in (State.PAUSED, State.NO_CARD),
        )

    def look_ahead_s(self) -> float:
        """How much music is composed and not yet heard."""
        ahead_ticks = (
            self._shared.writer.read().horizon_tick - self._shared.reader.read().playhead_tick
        )
        return max(0.0, ahead_ticks) / TICKS_PER_BEAT * 60 / self._settings.effective.tempo

    def playhead(self) -> Playhead:
        """Where the sound is; costs microseconds."""
        performer, tail = self._shared.performer.read(), self._shared.reader.read()
        return Playhead(
            tick=tail.playhead_tick,
            frames_played=performer.frames_played,
            sample_rate=performer.sample_rate,
            moves=performer.state is State.PLAYING,
        )

    def follower(self) -> RingObserver:
        """Somebody who looks on as the music is composed."""
        return RingObserver(self._shared)

    def played(self) -> PlayedEvents:
        """Somebody who hears every event."""
        return PlayedEvents(self._shared)

    def counts(self) -> Counts:
        """What a display of loads is made from; costs a read of ``/proc`` for each process."""
        composer = self._shared.composer.read()
        pids = {"daemon": os.getpid(), **self._pids()}
        return Counts(
            tokens=composer.tokens,
            notes=composer.notes,
            cpu_s={name: _cpu_s(pid) for name, pid in pids.items()},
            rss_mib={name: round(_rss_mib(pid), 1) for name, pid in pids.items()},
        )

    def performer_beats(self) -> int:
        """One more for each block of sound that was rendered."""
        return self._shared.performer.read().heartbeat

    def health(self) -> Health:
        """How the box is."""
        performer, composer = self._shared.performer.read(), self._shared.composer.read()
        return Health(
            uptime_s=int(time.monotonic() - self._begun),
            xruns=performer.xruns,
            starved=performer.starved,
            late=performer.late_events,
            notes=composer.notes,
            pieces=composer.pieces,
            look_ahead_s=round(self.look_ahead_s(), 2),
            rewinds=composer.rewinds,
            restarts=self._restarts(),
            cures=Interventions(
                frozen=composer.cured_frozen,
                loop=composer.cured_loop,
                stuck=composer.cured_stuck,
                silence=composer.cured_silence,
            ),
            rss_mib=round(sum(map(_rss_mib, [os.getpid(), *self._pids().values()])), 1),
            cpu_celsius=_cpu_celsius(),
        )


def told(status: Status) -> str:
    """Everything as lines for people."""
    settings, playing, health = status.settings, status.now_playing, status.health
    where = f": piece {playing.piece} in {playing.key}, bar {playing.bar}" if playing.piece else ""
    cures = ", ".join(f"{name} {n}" for name, n in msgspec.structs.asdict(health.cures).items())
    warmth = "" if health.cpu_celsius is None else f", {health.cpu_celsius:g} °C"
    return (
        f"{playing.condition}{where}; {settings.model}, seed {playing.seed}\n"
        f"  tempo {settings.tempo:g}, {settings.instrument}, volume {settings.volume:g}, "
        f"temperature {settings.temperature:g}, top-p {settings.top_p:g}\n"
        f"  expression {settings.expression:g}, {settings.temperament} temperament, "
        f"a' = {settings.pitch:g} Hz\n"
        f"  {health.look_ahead_s:.1f} s ahead; xruns {health.xruns}, restarts {health.restarts}, "
        f"rewinds {health.rewinds}; cured: {cures}\n"
        f"  up {health.uptime_s} s, {health.notes} notes, {health.rss_mib:.0f} MiB{warmth}"
    )


def _rss_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _cpu_s(pid: int) -> float:
    try:
        # The name in brackets may hold anything; what follows it has the 14th and 15th field.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _cpu_celsius() -> float | None:
    try:
        return round(int(_CPU_SENSOR.read_text()) / 1000, 1)
    except (OSError, ValueError):
        return None
