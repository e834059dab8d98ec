"""Another output or soundfont while the music plays.

Opening a card and loading a soundfont take too long for a block of sound. A thread does both while
the old ones play on, and hands them over when they are ready. What cannot be used is refused, with
the reason, and the old one stays.

PortAudio's list of cards is as old as the process. A card that came later, and a default card that
works again, need a new process: :class:`NeedsNewProcess` asks for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from appliance.audio.alsa_cards import find, hardware_cards, holder_pid
from appliance.audio.outputs import DeviceLost, Output, is_card, open_output
from appliance.audio.synth import FluidSynth
from appliance.errors import BachboxError
from appliance.ipc.shared_state import OutputState, SharedState

POLL_INTERVAL_S: Final = 0.1

PROBE_FIRST_S: Final = 5.0
PROBE_MAX_S: Final = 60.0
"""How long after the start, and then at most how often, a card that could not be opened is tried
again while another one plays; each try is a process of its own."""

_PROBE_TIMEOUT_S: Final = 20.0

logger = logging.getLogger("appliance.workers.performer_process")


class OutputChanges:
    """Watches the settings in a thread, and prepares what they ask for.

    Args:
        shared: the shared memory.
        output: what plays now.
        soundfont: the path of the soundfont that plays now.
        block_frames: size of a block.
        use_output: called with an output that is open; plays on it from now on.
        use_synth: called with a synth; plays it from now on.
        restart_process: ends this process, so that a new one opens the output.
    """

    def __init__(
        self,
        shared: SharedState,
        output: Output,
        soundfont: Path,
        block_frames: int,
        use_output: Callable[[Output, FluidSynth | None], None],
        use_synth: Callable[[FluidSynth], None],
        restart_process: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._output = output
        self._soundfont = str(soundfont)
        self._block_frames = block_frames
        self._use_output = use_output
        self._use_synth = use_synth
        self._restart_process = restart_process
        live = shared.live_settings.read()
        self._wanted_output = live.output
        self._probe_interval_s = PROBE_FIRST_S
        self._probe_at = time.monotonic() + PROBE_FIRST_S
        self._known_cards = hardware_cards()
        self.report(live.output)

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, name="output-changes", daemon=True).start()

    def report(self, requested: str, refused: str = "", problem: str = "") -> None:
        """Publish what plays and what does not."""
        self._shared.output.write(
            OutputState(
                requested=requested,
                playing_on=self._output.name,
                soundfont=self._soundfont,
                refused=refused,
                problem=problem or self._output.problem,
                cards="\n".join(self._output.choices),
            )
        )

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            # Not in real time, as the thread that starts this one may be.
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        refused: tuple[str, str] | None = None
        while True:
            time.sleep(POLL_INTERVAL_S)
            live = self._shared.live_settings.read()
            wanted = live.output, live.soundfont
            if wanted == refused:
                continue
            if refused is not None:
                refused = None
                self.report(self._wanted_output)
            try:
                if live.output != self._wanted_output:
                    self._change_output(live.output)
                elif live.soundfont not in ("", self._soundfont):
                    self._change_soundfont(Path(live.soundfont))
                elif self._output.problem:
                    self._return_to_wanted_card()
            except BachboxError as error:
                refused = wanted
                is_output = live.output != self._wanted_output
                self.report(
                    self._wanted_output, live.output if is_output else live.soundfont, str(error)
                )

    def _change_output(self, name: str) -> None:
        """Open the output called ``name``, and play on it.

        Raises:
            BachboxError: it cannot be used.
        """
        try:
            output = open_output(name, self._block_frames)
        except DeviceLost:
            card = find(name, hardware_cards())
            if card is not None and (
                card not in self._known_cards or holder_pid(card) == os.getpid()
            ):
                # This process may hold the card through ALSA's mixer.
                self._restart_process()
                return
            raise
        is_other_rate = output.sample_rate != self._output.sample_rate
        try:
            synth = FluidSynth(Path(self._soundfont), output.sample_rate) if is_other_rate else None
        except BachboxError:
            output.close()
            raise
        self._wanted_output, self._output = name, output
        self._use_output(output, synth)
        self.report(name)
        logger.info("plays on %s at %d Hz", output.name, output.sample_rate)

    def _change_soundfont(self, path: Path) -> None:
        """Load the soundfont ``path``, and play it.

        Raises:
            BachboxError: it cannot be used.
        """
        synth = FluidSynth(path, self._output.sample_rate)
        self._soundfont = str(path)
        self._use_synth(synth)
        self.report(self._wanted_output)
        logger.info("plays with the soundfont %s", path)

    def _return_to_wanted_card(self) -> None:
        """Open the requested card again as soon as that works."""
        cards, now = hardware_cards(), time.monotonic()
        if cards != self._known_cards:
            self._known_cards, self._probe_interval_s = cards, PROBE_FIRST_S
            self._probe_at = now
        if now < self._probe_at or not is_card(self._wanted_output):
            return
        if can_be_opened(self._wanted_output):
            self._restart_process()
        self._probe_at = time.monotonic() + self._probe_interval_s
        self._probe_interval_s = min(2 * self._probe_interval_s, PROBE_MAX_S)


def can_be_opened(card: str) -> bool:
    """Return whether a new process can open the sound card ``card``."""
    module = "appliance.audio.outputs.probe"
    with contextlib.suppress(subprocess.TimeoutExpired):
        probe = subprocess.run(
            [sys.executable, "-m", module, card],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
        return probe.returncode == 0
    return False
