"""The process that a person or systemd starts: it holds no audio and no model.

It makes the shared memory, writes the settings into it, keeps composer and performer running,
and runs the frontends. If a child fails, the music continues.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Sequence
from typing import Final

from appliance.common.freed_memory import return_freed_memory
from appliance.daemon.announcer import Announcer
from appliance.daemon.clock import Clock
from appliance.daemon.daemon_log import DaemonLog
from appliance.daemon.journal_events import MODEL_FAILED
from appliance.daemon.output_guard import OutputGuard
from appliance.daemon.piece_requests import PieceRequests
from appliance.daemon.play_options import PlayOptions
from appliance.daemon.supervisor import Child, ChildSpec
from appliance.errors import BachboxError, bug_sentence
from appliance.frontends.base import Frontend
from appliance.frontends.runner import FrontendRunner
from appliance.ipc.shared_state import Condition, SharedState
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Action, RequestedSettings, Settings, live_settings

POLL_INTERVAL_S: Final = 0.1
"""How often the shared state is looked at; a beat at 240 BPM lasts 0.25 s."""

PERFORMER_STOP_TIMEOUT_S: Final = 0.8
"""The last chord fades for half a second; everything has ended within one."""

COMPOSER_STOP_TIMEOUT_S: Final = 0.4

PERFORMER_PRIORITY: Final = 10
"""Of SCHED_FIFO's 1 to 99: before every normal process, behind the kernel's own threads."""

COMPOSER_PRIORITY: Final = 5
"""Of SCHED_RR's 1 to 99. Other processes must not use up the look-ahead, and the composer takes a
few percent of a core; nice values mean nothing between services (see sched(7), autogroup)."""

COMPOSER_NICENESS: Final = 5
"""If real time is not granted: it puts the performer before the composer."""

logger = logging.getLogger(__name__)

_composer_logger = logging.getLogger("appliance.workers.composer_process")
_performer_logger = logging.getLogger("appliance.workers.performer_process")
"""Messages about a child, and those that it logs, go out under the name of its module."""


class Daemon:
    """Plays until it is stopped, operated by ``frontends``."""

    def __init__(
        self,
        options: PlayOptions,
        settings: Settings,
        log: DaemonLog,
        frontends: Sequence[Frontend] = (),
    ) -> None:
        self._options = options
        self._settings = settings
        self._fallback: str | None = None
        """The output in place of the sound card, once it is used."""
        self._shared = shared = SharedState.create()
        self._requests = PieceRequests(shared, options.saved)
        self._tone_count = 0
        self._soundfont = ""
        """The file of the soundfont."""
        # Before the first sound: these may be quiet hours.
        self._clock = Clock(settings)
        self._volume = 0.0
        """What the clock makes of the volume that is set; the performer has it."""
        self._clock.update()
        self._write_live_settings(settings.requested, frozenset({"saved_piece"}))
        settings.observe(self._write_live_settings)
        settings.on_observer_error = _log_observer_error
        self.composer = Child(self._composer_spec(verbose=log.verbose))
        self.performer = Child(self._performer_spec(verbose=log.verbose))
        self._output_guard = OutputGuard(shared, settings, lambda: self.performer.restarts)
        self.box = BoxStatus(
            shared,
            settings,
            lambda: self.composer.restarts + self.performer.restarts,
            lambda: {c.spec.name: c.pid for c in (self.composer, self.performer) if c.pid},
            log.recent.lines,
            log.recent.notices,
        )
        self._frontends = FrontendRunner(frontends, settings, self.box)
        self._announcer = Announcer(shared, settings, self.box, self.composer, self.performer, log)
        self._stop = asyncio.Event()
        self._first_sound_at: float | None = None
        self._restarts_of_working_composer = 0
        """The composer's restarts when the requested model was last seen to compose."""

    async def run(self) -> None:
        """Play until a signal, or as long as planned.

        Raises:
            BachboxError: a child cannot work, for the reason given; no process is left running.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        tasks = [
            asyncio.create_task(work)
            for work in (
                self.performer.run(),
                self.composer.run(),
                self._poll_shared_state(),
                self._stop.wait(),
            )
        ]
        # After the children: no frontend may keep the music waiting.
        loop.call_soon(self._frontends.start)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await asyncio.gather(
                self._frontends.stop(),
                self.performer.stop(PERFORMER_STOP_TIMEOUT_S),
                self.composer.stop(COMPOSER_STOP_TIMEOUT_S),
            )
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._release_midi_notes()
            self._announcer.close()
        for task in done:
            task.result()
        self._announcer.log_summary()

    def stop(self) -> None:
        """End :meth:`run`."""
        self._stop.set()

    def _composer_spec(self, *, verbose: bool) -> ChildSpec:
        return ChildSpec(
            name="composer",
            arguments=lambda: self._options.composer_arguments(
                self._shared.fd, os.getpid(), replaces=self.composer.restarts > 0, verbose=verbose
            ),
            shared_fd=self._shared.fd,
            heartbeat=lambda: self._shared.composer.read().heartbeat,
            logger=_composer_logger,
            set_priority=_set_composer_priority,
            likely_cause=lambda: f"the model {self._settings.requested.model}",
            on_failure=self._change_to_another_model,
        )

    def _performer_spec(self, *, verbose: bool) -> ChildSpec:
        return ChildSpec(
            name="performer",
            arguments=lambda: self._options.performer_arguments(
                self._shared.fd,
                os.getpid(),
                self._output,
                self._shared.live_settings.read().soundfont,
                verbose=verbose,
            ),
            shared_fd=self._shared.fd,
            heartbeat=lambda: self._shared.performer.read().heartbeat,
            logger=_performer_logger,
            set_priority=_set_performer_priority,
            likely_cause=lambda: (
                f"the soundfont {self._shared.live_settings.read().soundfont} or ALSA's config"
            ),
            # A file that cannot be written now could not be after a restart either.
            failures_are_final=lambda: self._output.partition(":")[0] in ("wav", "pipe"),
            on_failure=lambda: self._output_guard.check(),
            on_missing_card=self._change_output,
            on_end=self._release_midi_notes if self._options.midi.out_port else None,
        )

    def _release_midi_notes(self) -> None:
        """Release what a performer that was killed has left sounding on a MIDI port."""
        keys, name = self._shared.midi_sounding.read(), self._options.midi.out_port
        if keys:
            from appliance.audio import midi
            from appliance.audio.midi.midi_out import silence

            with contextlib.suppress(BachboxError):
                if silence(midi.open_out(name), keys):
                    self._shared.midi_sounding.write(frozenset())
                    logger.info("released %d notes on the MIDI port %s", len(keys), name)

    @property
    def _output(self) -> str:
        """The output of the next performer process."""
        return self._fallback or self._settings.requested.output

    def _change_output(self) -> bool:
        """Use another output in place of the missing sound card; return whether there is one."""
        reason = self._shared.output.read().problem
        is_other = self.performer.has_ever_worked and self._output_guard.return_to_working(reason)
        return is_other or self._change_to_fallback_output()

    def _change_to_fallback_output(self) -> bool:
        """Use the fallback in place of the missing sound card, if nothing has been played yet."""
        fallback = self._options.fallback
        if fallback is None or self._output == fallback or self.performer.has_ever_worked:
            return False
        self._fallback = fallback
        place = fallback.partition(":")[2] or fallback
        _performer_logger.warning(
            "there is no sound card, so the music is written to %s; Ctrl-C ends it", place
        )
        return True

    def _write_live_settings(self, requested: RequestedSettings, changed: frozenset[str]) -> None:
        self._requests.note(requested, changed)
        self._tone_count += Action.TEST_TONE in changed
        if "output" in changed:
            self._fallback = None
        if not self._soundfont or "soundfont" in changed:
            # Only then, because a knob that turns changes much and files take time.
            with contextlib.suppress(BachboxError):
                self._soundfont = str(self._options.soundfont_file(requested.soundfont))
        settings = self._settings.effective
        live = live_settings(
            settings,
            self._requests.count,
            self._requests.action,
            self._tone_count,
            self._soundfont,
            is_program_chosen=requested.instrument is not None,
        )
        self._volume = self._clock.volume(settings.volume)
        self._shared.live_settings.write(
            live._replace(volume=self._volume, saved_piece=self._requests.saved_piece)
        )
        for name in sorted(changed):
            logger.debug("%s %s", name, getattr(requested, name, "was asked for"))

    async def _poll_shared_state(self) -> None:
        """Follow what the children do, and return when the planned time is over."""
        while not self._is_over():
            self._announcer.update()
            self._requests.follow(self._settings)
            self._follow_clock()
            self._check_model()
            self._output_guard.check()
            await asyncio.sleep(POLL_INTERVAL_S)

    def _follow_clock(self) -> None:
        self._clock.update()
        requested = self._settings.requested
        if self._clock.volume(requested.volume) != self._volume:
            self._write_live_settings(requested, frozenset())

    def _is_over(self) -> bool:
        now = time.monotonic()
        if self._first_sound_at is None:
            if self._shared.performer.read().condition is not Condition.PLAYING:
                return False
            self._first_sound_at = now
            return_freed_memory()
        duration_s = self._options.duration_s
        return duration_s is not None and now - self._first_sound_at >= duration_s

    def _check_model(self) -> None:
        """Return to the model before it if the requested one does not compose."""
        composer, requested = self._shared.composer.read(), self._settings.requested.model
        if composer.model == requested:
            self._restarts_of_working_composer = self.composer.restarts
        elif composer.model and (
            composer.refused == requested
            or self.composer.restarts > self._restarts_of_working_composer
        ):
            self._change_to_another_model(composer.model)

    def _change_to_another_model(self, *preferred: str) -> None:
        """Replace the requested model, which does not compose or cannot even be loaded."""
        self._restarts_of_working_composer = self.composer.restarts
        failed = self._settings.requested.model
        for other in (*preferred, *self._settings.models):
            if other == failed:
                continue
            # If this one is unusable too, the next one is tried.
            with contextlib.suppress(BachboxError):
                self._settings.change("model", other)
                logger.warning(
                    "%s does not compose, so %s takes over", failed, other,
                    extra={"event": MODEL_FAILED, "model": failed},
                )  # fmt: skip
                return


def _log_observer_error(error: Exception) -> None:
    logger.error("%s; the music continues", bug_sentence(error), exc_info=error)


def _set_performer_priority(pid: int) -> None:
    # Seldom granted outside the service, and not needed on an idle machine.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(PERFORMER_PRIORITY))


def _set_composer_priority(pid: int) -> None:
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(COMPOSER_PRIORITY))
    except PermissionError:
        # Refused where the daemon itself was started with `nice`: that cannot be undone.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, pid, COMPOSER_NICENESS)


def play(
    options: PlayOptions, settings: Settings, log: DaemonLog, frontends: Sequence[Frontend] = ()
) -> None:
    """Play in the foreground until a signal.

    Raises:
        BachboxError: as :meth:`Daemon.run`.
    """

    async def run() -> None:
        await Daemon(options, settings, log, frontends).run()

    asyncio.run(run())
