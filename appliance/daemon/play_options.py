"""What ``bachbox play`` was asked for, apart from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.config.midi_schema import NO_MIDI, Midi
from appliance.state.saved_pieces import SavedPieces


@dataclass(frozen=True)
class PlayOptions:
    """How to play."""

    soundfont_file: Callable[[str], Path]
    """Gives the file of the soundfont with a name; raises a BachboxError if there is none."""
    seed: int
    model_folders: Sequence[Path]
    look_ahead_s: float
    """As in ``[music]``: how far ahead of the playhead to compose."""
    fallback: str | None = None
    """The output to use if there is no sound card at the start; None: wait for one."""
    block_frames: int = 1024
    prime: Path | None = None
    """A score whose bars the music begins with."""
    delegate: str = "auto"
    """As in ``[music]``: what runs the model."""
    saved: SavedPieces | None = None
    """The saved pieces; None: there are none."""
    midi: Midi = NO_MIDI
    """What goes out as MIDI."""
    duration_s: float | None = None
    """Stop after this many seconds of music; None: play until a signal comes."""

    def composer_arguments(
        self, shared_fd: int, parent_pid: int, *, replaces: bool, verbose: bool
    ) -> list[str]:
        """Return module and arguments of a composer process.

        Args:
            shared_fd: file descriptor of the shared memory.
            parent_pid: the daemon.
            replaces: whether a composer process before it has ended.
            verbose: whether it logs debug messages.
        """
        return [
            *("appliance.workers.composer_process", "--shared-fd", str(shared_fd)),
            *("--parent", str(parent_pid)),
            *(f"--models={folder}" for folder in self.model_folders),
            f"--seed={self.seed}",
            f"--look-ahead-s={self.look_ahead_s}",
            f"--delegate={self.delegate}",
            *(["--after-death"] if replaces else []),
            *([f"--prime={self.prime}"] if self.prime else []),
            *([f"--saved-pieces={self.saved.folder}"] if self.saved else []),
            *(["--verbose"] if verbose else []),
        ]

    def performer_arguments(
        self, shared_fd: int, parent_pid: int, output: str, soundfont: str, *, verbose: bool
    ) -> list[str]:
        """Return module and arguments of a performer process that plays to ``output``."""
        return [
            *("appliance.workers.performer_process", "--shared-fd", str(shared_fd)),
            *("--parent", str(parent_pid)),
            f"--output={output}",
            f"--soundfont={soundfont}",
            f"--block-frames={self.block_frames}",
            *([f"--midi-port={self.midi.out_port}"] if self.midi.out_port else []),
            *(["--midi-clock"] if self.midi.clock else []),
            *([] if self.midi.programs else ["--no-midi-programs"]),
            *(["--verbose"] if verbose else []),
        ]
