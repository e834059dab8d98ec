"""Shows what is playing: in the status line on a terminal, in the log elsewhere."""

from __future__ import annotations

import logging

from appliance.daemon.daemon_log import DaemonLog
from appliance.daemon.journal_events import COMPOSING, PIECE_STARTED, STOPPED
from appliance.daemon.status_line import StatusView
from appliance.daemon.supervisor import Child
from appliance.ipc.shared_state import Condition, SharedState
from appliance.music.score import Key
from appliance.music.titles import piece_title
from appliance.state import general_midi
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

logger = logging.getLogger(__name__)


class Announcer:
    """Watches the shared state; :meth:`update` is called a few times a second."""

    def __init__(
        self,
        shared: SharedState,
        settings: Settings,
        box: BoxStatus,
        composer: Child,
        performer: Child,
        log: DaemonLog,
    ) -> None:
        self._shared = shared
        self._settings = settings
        self._box = box
        self._composer = composer
        self._performer = performer
        self._log = log
        self._start_is_logged = False
        self._announced_piece = (0, 0)
        """Its number; 0 before the first."""

    def update(self) -> None:
        """Draw the status line or log a new piece, and log the start when it has come."""
        if not self._start_is_logged and self._plays():
            self._start_is_logged = True
            self._log_start()
        if self._log.status_line.interactive:
            self._log.status_line.show(self._view())
        else:
            self._log_new_piece()

    def close(self) -> None:
        """Remove the status line."""
        self._log.status_line.close()

    def log_summary(self) -> None:
        """Log what has been played, in one sentence."""
        state = self._shared.performer.read()
        seconds = state.frames_played / state.sample_rate if state.sample_rate else 0.0
        composer, performer = self._composer.restarts, self._performer.restarts
        # A saved piece has the number that it had when it was composed.
        pieces = self._shared.composer.read().piece_number if state.piece.saved else 0
        pieces = pieces or state.piece.number
        logger.info(
            "played %.0f s, %d pieces begun; xruns %d, starved %d, late %d; restarts: composer %d, "
            "performer %d",
            seconds, pieces, state.xruns, state.starved, state.late_events,
            composer, performer,
            extra={
                "event": STOPPED,
                "pieces": pieces,
                "xruns": state.xruns,
                "starved": state.starved,
                "late": state.late_events,
                "restarts": composer + performer,
            },
        )  # fmt: skip

    def _plays(self) -> bool:
        """Whether the composer works, and the performer too or it waits for a sound card.

        Before that, one of them may be about to fail.
        """
        performer = self._shared.performer.read()
        return self._shared.composer.read().ready and (
            performer.heartbeat > 0 or performer.condition is Condition.NO_SOUND_CARD
        )

    def _log_start(self) -> None:
        """Log what makes the box compose the same music again, and what was held back."""
        model, seed = self._settings.requested.model, self._shared.composer.read().seed
        logger.info(
            "%s composes, seed %d; Ctrl-C ends it", model, seed,
            extra={"event": COMPOSING, "model": model, "seed": seed},
        )  # fmt: skip
        self._log.open()

    def _log_new_piece(self) -> None:
        piece, live = self._shared.performer.read().piece, self._shared.live_settings.read()
        if (piece.number, piece.saved) == self._announced_piece:
            return
        self._announced_piece = (piece.number, piece.saved)
        instrument = general_midi.name(live.program)
        tempo_bpm = round(piece.sounding_bpm(live.tempo_bpm))
        logger.info(
            "piece %d: %s, %g beats a minute, %s",
            piece.number, piece_title(piece), tempo_bpm, instrument,
            extra={
                "event": PIECE_STARTED,
                "piece": piece.number,
                "key": str(Key(piece.tonic, piece.minor)),
                "title": piece_title(piece),
                "tempo": f"{tempo_bpm:g}",
                "instrument": instrument,
            },
        )  # fmt: skip

    def _view(self) -> StatusView:
        performer, live = self._shared.performer.read(), self._shared.live_settings.read()
        return StatusView(
            condition=performer.condition,
            piece=performer.piece if performer.piece.number else None,
            playhead_tick=self._shared.reader.read().playhead_tick,
            tempo_bpm=performer.piece.sounding_bpm(live.tempo_bpm),
            temperature=live.temperature,
            instrument=general_midi.name(live.program),
            look_ahead_s=self._box.look_ahead_s(),
            xruns=performer.xruns,
            restarts=self._composer.restarts + self._performer.restarts,
        )
