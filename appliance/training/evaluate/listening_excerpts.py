"""``make listen``: a minute of every model, as sound and as a piano roll.

The sound goes to ``build/listen/NAME.ogg`` (Opus, by opusenc), and a piano roll beside it that is
large enough to find mistakes in. A piano roll of all models goes to ``docs/pianoroll.png``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.errors import BachboxError
from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.training.evaluate.finished_pieces import FinishedPiece, compose_pieces

mpl.use("Agg")
from matplotlib import pyplot as plt

MODELS = Path("models")
VOICE_COLOURS = ("#d1495b", "#edae49", "#66a182", "#2e4057", "#8d6a9f", "#4f9dd0")
"""From the highest voice down."""
GAP_BEATS = 0.06
"""White space after each note."""
EXCERPT_S = 60
BITRATE_KBIT = 48
OVERVIEW_BEATS = 64


@dataclass
class Excerpt:
    """Whole pieces by a model, of about a minute.

    Attributes:
        model: that composed them.
        pieces: in order.
        start_beats: the beat at which each piece starts.
    """

    model: ModelFile
    pieces: list[FinishedPiece]
    start_beats: list[float]

    @property
    def beats(self) -> float:
        """The length of all pieces together."""
        return self.start_beats[-1] + self.pieces[-1].ticks / TICKS_PER_BEAT


def compose_excerpt(model: ModelFile, seed: int, min_beats: float) -> Excerpt:
    """Compose whole pieces until they are ``min_beats`` long.

    Raises:
        BachboxError: the runtime refuses the model.
    """
    excerpt = Excerpt(model, [], [])
    for piece, steps in compose_pieces(Composer(model, seed=seed)):
        excerpt.pieces.append(piece)
        excerpt.start_beats.append(steps[0].tick / TICKS_PER_BEAT)
        if excerpt.beats >= min_beats:
            return excerpt
    raise AssertionError("a composer never ends")


def draw(excerpts: Sequence[Excerpt], path: Path, *, max_beats: float, dpi: int) -> None:
    """Draw a piano roll for each excerpt, one below the other, into a PNG.

    Raises:
        OSError: the file cannot be written.
    """
    figure, rows = plt.subplots(
        len(excerpts), 1, figsize=(12, 3.2 * len(excerpts)), layout="constrained", squeeze=False
    )
    for axes, excerpt in zip(rows[:, 0], excerpts, strict=True):
        _draw_piano_roll(axes, excerpt, min(max_beats, excerpt.beats))
    figure.savefig(path, dpi=dpi)
    plt.close(figure)


def _draw_piano_roll(axes: plt.Axes, excerpt: Excerpt, beats: float) -> None:
    pitches: list[int] = []
    bar_lines: list[float] = []
    for piece, start in zip(excerpt.pieces, excerpt.start_beats, strict=True):
        for note in piece.notes:
            left, width = start + note.start / TICKS_PER_BEAT, note.length / TICKS_PER_BEAT
            if left < beats:
                pitches.append(note.pitch)
                colour = VOICE_COLOURS[note.voice % len(VOICE_COLOURS)]
                axes.barh(note.pitch, width - GAP_BEATS, left=left, height=0.85, color=colour)
        bar = piece.form.bar_steps * TICKS_PER_STEP / TICKS_PER_BEAT
        first_bar_line = start + piece.form.pickup_steps * TICKS_PER_STEP / TICKS_PER_BEAT
        end = start + piece.ticks / TICKS_PER_BEAT
        bar_count = int((end - first_bar_line) / bar) + 1
        bar_lines += [first_bar_line + n * bar for n in range(bar_count)]
        if start < beats:
            axes.text(start, max(pitches) + 2.5, f" {piece.key}", fontsize="small", va="bottom")
            axes.axvline(start, color="black", linewidth=1)
    low, high = min(pitches), max(pitches)
    axes.vlines(bar_lines, low - 1, high + 1, color="#cccccc", linewidth=0.6, zorder=0)
    octaves = range(-(-low // 12) * 12, high + 1, 12)
    axes.set_yticks(list(octaves), [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.set(xlim=(-0.5, beats), ylim=(low - 2, high + 7), title=excerpt.model.title)
    axes.set_xticks([])


def render_opus(model: ModelFile, seed: int, path: Path) -> None:
    """Render a minute with ``bachbox render``, and encode it as Opus.

    Raises:
        BachboxError: opusenc is not installed, or one of the two commands fails.
    """
    if shutil.which("opusenc") is None:
        raise BachboxError("opusenc is not installed; on Debian: apt install opus-tools")
    wav = path.with_suffix(".wav")
    render = [sys.executable, "-m", "appliance", "render", wav, "--model", model.path]
    encode = ["opusenc", "--quiet", "--hard-cbr", "--bitrate", BITRATE_KBIT, wav, path]
    for command in ([*render, "--seconds", EXCERPT_S, "--seed", seed], encode):
        finished = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, errors="replace", check=False
        )
        if finished.returncode:
            reason = finished.stderr.strip() or f"{command[0]} ended with {finished.returncode}"
            raise BachboxError(f"{path}: {reason}")
    wav.unlink()


def main() -> int:
    """Compose, draw and render; the exit code."""
    parser = argparse.ArgumentParser(prog="make listen", description=__doc__)
    parser.add_argument("--models", nargs="*", help="names of models (default: all in models/)")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--no-sound", action="store_true", help="only the piano rolls")
    parser.add_argument(
        "--build", type=Path, default=Path("build/listen"), help="folder for sound and piano rolls"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("docs/pianoroll.png"), help="the piano roll of all models"
    )
    options = parser.parse_args()
    options.build.mkdir(parents=True, exist_ok=True)
    try:
        paths = [model_file.find(name, [MODELS]) for name in options.models or []]
        excerpts = []
        for path in paths or model_file.listing([MODELS]):
            model = model_file.load(path)
            excerpt = compose_excerpt(model, options.seed, model.tempo_bpm * EXCERPT_S / 60)
            excerpts.append(excerpt)
            picture = options.build / f"{model.name}.png"
            draw([excerpt], picture, max_beats=excerpt.beats, dpi=120)
            print(picture)
            if not options.no_sound:
                sound = options.build / f"{model.name}.ogg"
                render_opus(model, options.seed, sound)
                print(sound)
        draw(excerpts, options.out, max_beats=OVERVIEW_BEATS, dpi=75)
        print(options.out)
    except BachboxError as error:
        print(f"bachbox: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
