"""The state of the running box: the same facts for the shell, for MQTT and for the page.

:class:`BoxStatus` reads them from shared memory and from ``/proc``; nothing can be changed through
it. A :class:`Status` becomes JSON by ``msgspec.json.encode``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from appliance import __version__
from appliance.audio import broadcast
from appliance.common import procfs
from appliance.ipc.audio_tap import TapReader
from appliance.ipc.played_events import PlayedEvents
from appliance.ipc.ring_observer import RingObserver
from appliance.ipc.shared_state import Condition, SharedState
from appliance.music.events import TICKS_PER_BEAT, Piece
from appliance.music.score import Key
from appliance.music.titles import piece_title, place_in_group
from appliance.state.settings import Settings, ShownSettings, shown
from appliance.state.settings_ranges_and_steps import SETTINGS

_CPU_SENSOR: Final = Path("/sys/class/thermal/thermal_zone0/temp")
"""In thousandths of a degree Celsius; the only sensor of a Raspberry Pi."""

_SETTINGS_PER_LINE: Final = 4
"""In the text of :func:`format_status`."""


class NowPlaying(msgspec.Struct, frozen=True):
    """What is playing, and where the playhead is."""

    condition: Condition
    model: str
    piece: int
    """Counted from 1; 0 before the first."""
    key: str
    """Such as "g minor"; "" before the first piece."""
    title: str
    """Such as "Sarabande in g minor"; "" before the first piece."""
    group: str
    """Its place in what it is a part of, such as "third of a suite"; "" if it stands alone."""
    tempo_bpm: float
    """The tempo at which it sounds, in quarter notes per minute; 0 before the first piece."""
    bar: int
    """Counted from 1; 0 during a pickup and before the first piece."""
    beat: int
    """Counted from 1 in the bar; 0 before the first piece."""
    beats_per_bar: int
    seed: int
    """Of the music that is composed."""
    output: str = ""
    """What plays: a sound card, or another output."""
    problem: str = ""
    """Why the output or soundfont that was asked for does not play; "" if it does."""
    saved: int = 0
    """The ``id`` of the saved piece that plays; 0: the music is composed."""


class Interventions(msgspec.Struct, frozen=True):
    """How often the stall detector intervened, by what was wrong."""

    frozen: int
    loop: int
    stuck: int
    silence: int


class Health(msgspec.Struct, frozen=True):
    """How well the box works; counts are since its start."""

    uptime_s: int
    xruns: int
    starved_blocks: int
    """Audio blocks for which the composer had written no music in time."""
    late_notes: int
    """Notes that were played late."""
    notes: int
    """Notes composed."""
    pieces: int
    """Pieces composed."""
    look_ahead_s: float
    rewinds: int
    restarts: int
    """Restarts of composer and performer together."""
    interventions: Interventions
    rss_mib: float
    """Resident memory of all processes."""
    cpu_celsius: float | None
    """None if the machine has no sensor."""


class Status(msgspec.Struct, frozen=True):
    """Everything together."""

    version: str
    settings: ShownSettings
    now_playing: NowPlaying
    health: Health
    notices: list[str] = []
    """What was left out of files, after their paths (the config file, the stored settings, and the
    file that the music started from), and which frontends are off, after their names, with the
    reasons."""


class Progress(NamedTuple):
    """Counters that keep rising while all is well."""

    frames_played: int
    notes: int
    """Notes composed."""
    composer_heartbeat: int
    performer_heartbeat: tuple[int, ...]
    """With the process IDs: without a sound card new processes look for one, again and again."""
    silent: bool
    """No sound is expected: the box is paused, or there is no sound card."""


class Playhead(NamedTuple):
    """The place in the music that is being rendered to sound now."""

    tick: float
    """See :class:`appliance.music.events.Event`."""
    frames_played: int
    """Since the start of the box; counts on while it is paused."""
    sample_rate: int
    """In Hz; 0 before the output is open."""
    moving: bool


class Workload(NamedTuple):
    """What the processes have done and used; ``daemon``, ``composer`` and ``performer`` by name."""

    tokens: int
    notes: int
    cpu_s: dict[str, float]
    """Processor time; that of a restarted process starts over."""
    rss_mib: dict[str, float]


class BoxStatus:
    """A read-only view of the running box.

    Args:
        shared: the shared memory.
        settings: the settings.
        restarts: gives the number of restarts of both children.
        pids: gives the process IDs of the children, by name.
        recent_log: gives the last lines of the log.
        notices: gives :attr:`Status.notices`.
    """

    def __init__(
        self,
        shared: SharedState,
        settings: Settings,
        restarts: Callable[[], int],
        pids: Callable[[], dict[str, int]],
        recent_log: Callable[[], list[str]] = list,
        notices: Callable[[], list[str]] = list,
    ) -> None:
        self._shared = shared
        self._settings = settings
        self._restarts = restarts
        self._pids = pids
        self._started_s = time.monotonic()
        self._version = __version__
        self.recent_log = recent_log
        """Gives the last lines of the log."""
        self._notices = notices
        self.sound = broadcast.sound_broadcast(lambda: TapReader(shared))
        """The sound that is played, for any number of listeners."""

    def status(self) -> Status:
        """Return everything; reads files in ``/proc``, so it is too slow for every audio block."""
        return Status(
            self._version, self.settings(), self.now_playing(), self.health(), self._notices()
        )

    def settings(self) -> ShownSettings:
        """Return the effective settings as people read them; the instrument is what plays."""
        effective = self._settings.effective
        program = self._shared.performer.read().piece.sounding_program(
            effective.instrument, is_chosen=self._settings.requested.instrument is not None
        )
        return shown(msgspec.structs.replace(effective, instrument=program))

    def now_playing(self) -> NowPlaying:
        """Return what is playing; takes microseconds."""
        performer, output = self._shared.performer.read(), self._shared.output.read()
        piece, tick = performer.piece, int(self._shared.reader.read().playhead_tick)
        started = piece.number > 0
        return NowPlaying(
            condition=performer.condition,
            model=self._settings.requested.model,
            piece=piece.number,
            key=str(Key(piece.tonic, piece.minor)) if started else "",
            title=piece_title(piece) if started else "",
            group=place_in_group(piece) if started else "",
            tempo_bpm=round(self.sounding_bpm(self._settings.effective.tempo), 1) * started,
            bar=piece.bar_at(tick) if started else 0,
            beat=piece.beat_at(tick) + 1 if started else 0,
            beats_per_bar=piece.beats_per_bar,
            seed=self._shared.composer.read().seed,
            output=output.playing_on,
            problem=output.problem,
            saved=piece.saved,
        )

    def fault_count(self) -> int:
        """Return the number of xruns, blocks without music and restarts; takes microseconds."""
        performer = self._shared.performer.read()
        return performer.xruns + performer.starved + self._restarts()

    def progress(self) -> Progress:
        """Return the counters that rise while all is well; takes microseconds."""
        performer, composer = self._shared.performer.read(), self._shared.composer.read()
        return Progress(
            frames_played=performer.frames_played,
            notes=composer.notes,
            composer_heartbeat=composer.heartbeat,
            performer_heartbeat=(performer.heartbeat, *self._pids().values()),
            silent=performer.condition in (Condition.PAUSED, Condition.NO_SOUND_CARD),
        )

    def look_ahead_s(self) -> float:
        """Return how many seconds of music are composed and not yet heard."""
        ahead_ticks = (
            self._shared.writer.read().horizon_tick - self._shared.reader.read().playhead_tick
        )
        bpm = self.sounding_bpm(self._settings.effective.tempo)
        return max(0.0, ahead_ticks) / TICKS_PER_BEAT * 60 / bpm

    def sounding_bpm(self, set_bpm: float) -> float:
        """Return the tempo of the piece that plays, in BPM, where ``set_bpm`` is set."""
        return self._shared.performer.read().piece.sounding_bpm(set_bpm)

    def playing_piece(self) -> Piece:
        """Return the piece that plays; its number is 0 before the first one."""
        return self._shared.performer.read().piece

    def playhead(self) -> Playhead:
        """Return where the playhead is; takes microseconds."""
        performer, reader = self._shared.performer.read(), self._shared.reader.read()
        return Playhead(
            tick=reader.playhead_tick,
            frames_played=performer.frames_played,
            sample_rate=performer.sample_rate,
            moving=performer.condition is Condition.PLAYING,
        )

    def ring_observer(self) -> RingObserver:
        """Return a new observer of the music as it is composed."""
        return RingObserver(self._shared)

    def played_events(self) -> PlayedEvents:
        """Return a new reader of every event that is played from now on."""
        return PlayedEvents(self._shared)

    def workload(self) -> Workload:
        """Return the work done and the resources used; reads ``/proc`` for each process."""
        composer = self._shared.composer.read()
        processes = {
            name: procfs.read_stat(pid)
            for name, pid in {"daemon": os.getpid(), **self._pids()}.items()
        }
        return Workload(
            tokens=composer.tokens,
            notes=composer.notes,
            cpu_s={name: stat.cpu_s if stat else 0.0 for name, stat in processes.items()},
            rss_mib={
                name: round(stat.rss_bytes / 2**20, 1) if stat else 0.0
                for name, stat in processes.items()
            },
        )

    def performer_heartbeat(self) -> int:
        """Return a count that rises by one with each block of sound that is rendered."""
        return self._shared.performer.read().heartbeat

    def health(self) -> Health:
        """Return how well the box works; reads ``/proc`` for each process."""
        performer, composer = self._shared.performer.read(), self._shared.composer.read()
        return Health(
            uptime_s=int(time.monotonic() - self._started_s),
            xruns=performer.xruns,
            starved_blocks=performer.starved,
            late_notes=performer.late_events,
            notes=composer.notes,
            pieces=composer.pieces,
            look_ahead_s=round(self.look_ahead_s(), 2),
            rewinds=composer.rewinds,
            restarts=self._restarts(),
            interventions=Interventions(
                frozen=composer.frozen_interventions,
                loop=composer.loop_interventions,
                stuck=composer.stuck_interventions,
                silence=composer.silence_interventions,
            ),
            rss_mib=round(sum(map(_rss_mib, [os.getpid(), *self._pids().values()])), 1),
            cpu_celsius=_cpu_celsius(),
        )


def format_status(status: Status) -> str:
    """Return ``status`` as a few lines for people."""
    playing, health = status.now_playing, status.health
    group = f", {playing.group}" if playing.group else ""
    where = f": {playing.title}{group}, bar {playing.bar}" if playing.piece else ""
    interventions = ", ".join(
        f"{name} {n}" for name, n in msgspec.structs.asdict(health.interventions).items()
    )
    processor = "" if health.cpu_celsius is None else f", {health.cpu_celsius:g} °C"
    return "\n".join(
        [
            f"{playing.condition.words}{where}; seed {playing.seed}",
            *([f"  plays on {playing.output}"] if playing.output else []),
            *([f"  {playing.problem}"] if playing.problem else []),
            *(f"  {notice}" for notice in status.notices),
            *format_settings(status.settings),
            f"  {health.look_ahead_s:.1f} s ahead; xruns {health.xruns}, restarts "
            f"{health.restarts}, rewinds {health.rewinds}; interventions: {interventions}",
            f"  up {health.uptime_s} s, {health.notes} notes, {health.rss_mib:.0f} MiB{processor}",
        ]
    )


def format_settings(settings: ShownSettings) -> list[str]:
    """Return ``settings`` as indented lines for people, a few settings on each.

    What voices and clock have to do is left out where it is not in use.
    """
    words = []
    for setting in SETTINGS:
        value = getattr(settings, setting.name)
        if setting.group and setting.is_default(value):
            continue
        if isinstance(value, bool):
            value = "on" if value else "off"
        elif isinstance(value, float):
            value = f"{value:g}"
        words.append(f"{setting.name.replace('_', '-')} {value}")
    return [
        f"  {', '.join(words[start : start + _SETTINGS_PER_LINE])}"
        for start in range(0, len(words), _SETTINGS_PER_LINE)
    ]


def _rss_mib(pid: int) -> float:
    stat = procfs.read_stat(pid)
    return stat.rss_bytes / 2**20 if stat else 0.0


def _cpu_celsius() -> float | None:
    try:
        return round(int(_CPU_SENSOR.read_text()) / 1000, 1)
    except (OSError, ValueError):
        return None
