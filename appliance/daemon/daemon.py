"""The process that a person or systemd starts: it holds no audio and no model.

It makes the shared memory, writes the settings into it, keeps composer and performer running,
and shows what plays. Whatever happens to a child, the music goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.daemon.journal import line as line_or_journal
from appliance.daemon.journal_events import COMPOSES, ENDED, MISTAKE, MODEL_FAILED, PIECE, Event
from appliance.daemon.status_line import StatusLine, StatusView, title
from appliance.daemon.supervisor import Child
from appliance.errors import BachboxError
from appliance.frontends import Frontend, FrontendRunner
from appliance.ipc import shared_state as shared_state
from appliance.ipc.shared_state import LiveSettings, SharedState, State
from appliance.music.score import Key
from appliance.state import general_midi
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Action, EffectiveSettings, RequestedSettings, Settings

SHOW_S: Final = 0.1
"""How often the living line is looked at; a beat at 240 a minute lasts 0.25 s."""

PERFORMER_TIMEOUT_S: Final = 0.8
"""The last chord dies away for half a second; all is over within one."""

COMPOSER_TIMEOUT_S: Final = 0.4

PERFORMER_PRIORITY: Final = 10
"""Of SCHED_FIFO's 1 to 99: before every normal process, behind the kernel's own threads."""

COMPOSER_PRIORITY: Final = 5
"""Of SCHED_RR's: work of others must not use up the look-ahead, the composer takes a few percent of
a core, and nice values count for nothing between services (see sched(7), autogroup)."""

COMPOSER_NICENESS: Final = 5
"""Where real time is not granted: there the performer has only its place before this one."""

_ACTIONS: Final = {
    Action.NEXT_PIECE: shared_state.Action.NEXT_PIECE,
    Action.RESTART_PIECE: shared_state.Action.RESTART_PIECE,
}

_CONDITIONS: Final = {State.PAUSED: "paused", State.NO_CARD: "no sound card"}


@dataclass(frozen=True)
class Plan:
    """What does not change while it plays."""

    output: str
    soundfont: Path
    seed: int
    model_folders: Sequence[Path]
    fallback: str | None = None
    """The output to take where there is no sound card at the start; None: wait for one."""
    block_frames: int = 1024
    look_ahead_s: float = 4.0
    prime: Path | None = None
    delegate: str = "auto"
    """As in ``[music]``: what runs the model."""
    duration_s: float | None = None
    """Stop by itself after so many seconds of music."""


def live_settings_for(
    values: EffectiveSettings,
    action_count: int = 0,
    action: shared_state.Action = shared_state.Action.NONE,
    tone_count: int = 0,
) -> LiveSettings:
    """The settings as the children need them."""
    return LiveSettings(
        tempo_bpm=values.tempo,
        volume=values.volume,
        playing=values.playing,
        program=values.instrument,
        temperature=values.temperature,
        top_p=values.top_p,
        expression=values.expression,
        temperament=values.temperament,
        pitch_hz=values.pitch,
        action_count=action_count,
        action=action,
        tone_count=tone_count,
        model=values.model,
    )


class Daemon:
    """Plays until told to stop, and lets ``controls`` steer.

    ``unsaid`` are sentences for when it composes.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        line: StatusLine,
        controls: Sequence[Frontend] = (),
        unsaid: Sequence[str] = (),
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._line = line
        self._output = plan.output
        self._shared = SharedState.create()
        self._action_count = 0
        self._action = shared_state.Action.NONE
        self._tone_count = 0
        self._write_controls(settings.values, frozenset())
        settings.observe(self._write_controls)
        settings.trouble = self._tell_trouble
        shared = self._shared
        self.composer = Child(
            "composer",
            self._composer_arguments,
            shared.fd,
            lambda: shared.composer.read().heartbeat,
            line.say,
            _compose_early,
        )
        self.performer = Child(
            "performer",
            self._performer_arguments,
            shared.fd,
            lambda: shared.performer.read().heartbeat,
            self._say_when_composing,
            _perform_in_time,
        )
        self.composer.suspect = f"the model {settings.values.model}"
        self.performer.suspect = f"the soundfont {plan.soundfont} or ALSA's config"
        self.composer.failed = self._give_way
        self.performer.missing_card = self._fall_back
        self.box = BoxStatus(
            shared,
            settings,
            lambda: self.composer.restarts + self.performer.restarts,
            lambda: {c.name: c.pid for c in (self.composer, self.performer) if c.pid},
            self._say_when_composing,
            lambda: list(line.said),
        )
        self._hands = FrontendRunner(controls, settings, self.box)
        self._stop = asyncio.Event()
        self._first_sound: float | None = None
        self._greeted = False
        self._unsaid: list[tuple[str, Event | None, dict[str, str | int]]] = [
            (f"bachbox: {sentence}", None, {}) for sentence in unsaid
        ]
        self._piece_shown = 0
        self._deaths = 0
        """Of the composer, when it last did what it was asked."""

    async def run(self) -> None:
        """Play until a signal, or as long as planned.

        Raises:
            BachboxError: a child cannot work, and says why; nothing of it is left running.
        """
        self._settle_files()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        tasks = [
            asyncio.create_task(work)
            for work in (
                self.performer.run(),
                self.composer.run(),
                self._show(),
                self._stop.wait(),
            )
        ]
        # After the children: nothing that a control does may keep the music waiting.
        loop.call_soon(self._hands.start)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await asyncio.gather(
                self._hands.stop(),
                self.performer.stop(PERFORMER_TIMEOUT_S),
                self.composer.stop(COMPOSER_TIMEOUT_S),
            )
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._line.close()
        for task in done:
            task.result()
        self._line.say(f"bachbox: {self.summary()}", ENDED, **self._counts())

    def stop(self) -> None:
        """End :meth:`run`."""
        self._stop.set()

    def summary(self) -> str:
        """What has been played, in one sentence."""
        state = self._shared.performer.read()
        seconds = state.frames_played / state.sample_rate if state.sample_rate else 0.0
        return (
            f"played {seconds:.0f} s, {state.piece.number} pieces begun; xruns {state.xruns}, "
            f"starved {state.starved}, late {state.late_events}; restarts: composer "
            f"{self.composer.restarts}, performer {self.performer.restarts}"
        )

    def _counts(self) -> dict[str, int]:
        state = self._shared.performer.read()
        return {
            "pieces": state.piece.number,
            "xruns": state.xruns,
            "starved": state.starved,
            "late": state.late_events,
            "restarts": self.composer.restarts + self.performer.restarts,
        }

    def _settle_files(self) -> None:
        # What cannot be written now could not be after a restart either.
        kind = self._output.partition(":")[0]
        self.performer.failures_are_final = kind in ("wav", "pipe")

    def _fall_back(self) -> bool:
        """There is no sound card: take the fallback, if nothing has been played yet."""
        fallback = self._plan.fallback
        if fallback is None or self._output == fallback or self.performer.has_worked:
            return False
        self._output = fallback
        self._settle_files()
        place = fallback.partition(":")[2] or fallback
        self._say_when_composing(
            f"bachbox: there is no sound card, so the music is written to {place}; Ctrl-C ends it"
        )
        return True

    def _write_controls(self, _values: RequestedSettings, changed: frozenset[str]) -> None:
        for action, code in _ACTIONS.items():
            if action in changed:
                self._action_count += 1
                self._action = code
        self._tone_count += Action.TEST_TONE in changed
        now = self._settings.effective
        self._shared.live_settings.write(
            live_settings_for(now, self._action_count, self._action, self._tone_count)
        )

    def _tell_trouble(self, error: Exception) -> None:
        self._line.say(
            f"bachbox: a mistake in Bachbox itself ({type(error).__name__}: {error}); "
            "the music goes on",
            MISTAKE,
        )

    def _composer_arguments(self) -> list[str]:
        plan = self._plan
        return [
            *("appliance.workers.composer_process", "--shared-fd", str(self._shared.fd)),
            *("--parent", str(os.getpid())),
            *(f"--models={folder}" for folder in plan.model_folders),
            f"--seed={plan.seed}",
            f"--look-ahead-s={plan.look_ahead_s}",
            f"--delegate={plan.delegate}",
            *(["--after-death"] if self.composer.restarts else []),
            *([f"--prime={plan.prime}"] if plan.prime else []),
        ]

    def _performer_arguments(self) -> list[str]:
        plan = self._plan
        return [
            *("appliance.workers.performer_process", "--shared-fd", str(self._shared.fd)),
            *("--parent", str(os.getpid())),
            f"--output={self._output}",
            f"--soundfont={plan.soundfont}",
            f"--block-frames={plan.block_frames}",
        ]

    async def _show(self) -> None:
        """Draw, announce pieces, and end when the planned time is over."""
        while not self._over():
            self._greet()
            self._mind_the_model()
            if self._line.living:
                self._line.show(self._view())
            else:
                self._announce()
            await asyncio.sleep(SHOW_S)

    def _over(self) -> bool:
        now = time.monotonic()
        if self._first_sound is None and self._shared.performer.read().state is State.PLAYING:
            self._first_sound = now
        limit = self._plan.duration_s
        return (
            limit is not None and self._first_sound is not None and now - self._first_sound >= limit
        )

    def _mind_the_model(self) -> None:
        """Where a model that was asked for does not compose, go on with the one before."""
        composer, wanted = self._shared.composer.read(), self._settings.values.model
        if composer.model == wanted:
            self._deaths = self.composer.restarts
        elif composer.model and (
            composer.refused == wanted or self.composer.restarts > self._deaths
        ):
            self._give_way(composer.model)

    def _give_way(self, *first: str) -> None:
        """The model does not compose, or cannot even be loaded: another one plays, if any does."""
        self._deaths = self.composer.restarts
        wanted = self._settings.values.model
        for other in (*first, *self._settings.models):
            # A damaged one; the next.
            with contextlib.suppress(BachboxError):
                if other != wanted:
                    self._settings.change("model", other)
                    self._line.say(
                        f"bachbox: {wanted} does not compose, so {other} goes on",
                        MODEL_FAILED,
                        model=wanted,
                    )
                    return

    def _greet(self) -> None:
        """Once it composes, say what would make it compose the same again.

        Not before the performer has begun, or waits for a card: else it may be about to fail.
        """
        state, performer = self._shared.composer.read(), self._shared.performer.read()
        performs = performer.heartbeat > 0 or performer.state is State.NO_CARD
        if state.ready and performs and not self._greeted:
            self._greeted = True
            model = self._settings.values.model
            self._line.say(
                f"bachbox: {model} composes, seed {state.seed}; Ctrl-C ends it",
                COMPOSES,
                model=model,
                seed=state.seed,
            )
            for sentence, event, facts in self._unsaid:
                self._line.say(sentence, event, **facts)

    def _say_when_composing(
        self, sentence: str, event: Event | None = None, **facts: str | int
    ) -> None:
        """If the composer fails at once, that is all that a person has to read."""
        if self._greeted:
            self._line.say(sentence, event, **facts)
        else:
            self._unsaid.append((sentence, event, facts))

    def _announce(self) -> None:
        state, controls = self._shared.performer.read(), self._shared.live_settings.read()
        if state.piece.number != self._piece_shown:
            self._piece_shown = state.piece.number
            self._line.say(
                f"bachbox: piece {title(state.piece)}, {controls.tempo_bpm:g} beats a minute, "
                f"{general_midi.name(controls.program)}",
                PIECE,
                piece=state.piece.number,
                key=str(Key(state.piece.tonic, state.piece.minor)),
                tempo=f"{controls.tempo_bpm:g}",
                instrument=general_midi.name(controls.program),
            )

    def _view(self) -> StatusView:
        shared = self._shared
        state, controls, tail = (
            shared.performer.read(),
            shared.live_settings.read(),
            shared.reader.read(),
        )
        return StatusView(
            condition=_CONDITIONS.get(state.state, ""),
            piece=state.piece if state.piece.number else None,
            playhead_tick=tail.playhead_tick,
            tempo_bpm=controls.tempo_bpm,
            temperature=controls.temperature,
            instrument=general_midi.name(controls.program),
            look_ahead_s=self.box.look_ahead_s(),
            xruns=state.xruns,
            restarts=self.composer.restarts + self.performer.restarts,
        )


def _perform_in_time(pid: int) -> None:
    # Seldom granted outside the service, and not needed on an idle machine.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(PERFORMER_PRIORITY))


def _compose_early(pid: int) -> None:
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(COMPOSER_PRIORITY))
    except PermissionError:
        os.setpriority(os.PRIO_PROCESS, pid, COMPOSER_NICENESS)


def play(
    plan: Plan, settings: Settings, controls: Sequence[Frontend] = (), unsaid: Sequence[str] = ()
) -> None:
    """Play in the foreground until a signal; ``unsaid`` is said when it does.

    Raises:
        BachboxError: as :meth:`Daemon.run`.
    """

    async def run() -> None:
        daemon = Daemon(plan, settings, line_or_journal(), controls, unsaid)
        await daemon.run()

    asyncio.run(run())
