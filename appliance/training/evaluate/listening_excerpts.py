"""``make listen``: a minute of every model, as sound and as a picture.

The sound goes to ``build/listen/NAME.ogg`` (Opus, by opusenc) and a picture of each beside it,
large enough to see what is wrong; the picture of all goes to ``docs/pianoroll.png``.
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
from appliance.composing.model_file import Bundle
from appliance.errors import BachboxError
from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.training.evaluate.finished_pieces import Heard, composed

mpl.use("Agg")
from matplotlib import pyplot as plt

MODELS = Path("models")
COLOURS = ("#d1495b", "#edae49", "#66a182", "#2e4057", "#8d6a9f", "#4f9dd0")
"""Of the voices, from the highest down."""
GAP_BEATS = 0.06
SECONDS = 60
BITRATE_KBIT = 48


@dataclass
class Excerpt:
    """The first minute of a model's music, in whole pieces.

    Attributes:
        begins: the beat at which each piece begins.
    """

    model: Bundle
    pieces: list[Heard]
    begins: list[float]

    @property
    def beats(self) -> float:
        """Its length."""
        return self.begins[-1] + self.pieces[-1].ticks / TICKS_PER_BEAT


def excerpt(model: Bundle, seed: int, beats: float) -> Excerpt:
    """Compose whole pieces until there are so many beats."""
    found = Excerpt(model, [], [])
    for piece, steps in composed(Composer(model, seed=seed)):
        found.pieces.append(piece)
        found.begins.append(steps[0].tick / TICKS_PER_BEAT)
        if found.beats >= beats:
            return found
    raise AssertionError("a composer never ends")


def draw(excerpts: Sequence[Excerpt], path: Path, *, beats: float, dpi: int) -> None:
    """A row an excerpt, of so many beats at most."""
    figure, rows = plt.subplots(
        len(excerpts), 1, figsize=(12, 3.2 * len(excerpts)), layout="constrained", squeeze=False
    )
    for axes, one in zip(rows[:, 0], excerpts, strict=True):
        _roll(axes, one, min(beats, one.beats))
    figure.savefig(path, dpi=dpi)
    plt.close(figure)


def _roll(axes: plt.Axes, one: Excerpt, beats: float) -> None:
    pitches: list[int] = []
    lines: list[float] = []
    for piece, begin in zip(one.pieces, one.begins, strict=True):
        for note in piece.notes:
            left, width = begin + note.start / TICKS_PER_BEAT, note.length / TICKS_PER_BEAT
            if left < beats:
                pitches.append(note.pitch)
                colour = COLOURS[note.voice % len(COLOURS)]
                axes.barh(note.pitch, width - GAP_BEATS, left=left, height=0.85, color=colour)
        bar = piece.form.bar_steps * TICKS_PER_STEP / TICKS_PER_BEAT
        first = begin + piece.form.pickup_steps * TICKS_PER_STEP / TICKS_PER_BEAT
        end = begin + piece.ticks / TICKS_PER_BEAT
        lines += [first + n * bar for n in range(int((end - first) / bar) + 1)]
        if begin < beats:
            axes.text(begin, max(pitches) + 2.5, f" {piece.key}", fontsize="small", va="bottom")
            axes.axvline(begin, color="black", linewidth=1)
    low, high = min(pitches), max(pitches)
    axes.vlines(lines, low - 1, high + 1, color="#cccccc", linewidth=0.6, zorder=0)
    octaves = range(-(-low // 12) * 12, high + 1, 12)
    axes.set_yticks(list(octaves), [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.set(xlim=(-0.5, beats), ylim=(low - 2, high + 7), title=one.model.title)
    axes.set_xticks([])


def sound(model: Bundle, seed: int, path: Path) -> None:
    """Render a minute, as ``bachbox render`` does.

    Raises:
        BachboxError: there is no opusenc, or one of the two fails.
    """
    if shutil.which("opusenc") is None:
        raise BachboxError("opusenc is not installed; on Debian: apt install opus-tools")
    whole = path.with_suffix(".wav")
    rendering = [sys.executable, "-m", "appliance", "render", whole, "--model", model.path]
    encoding = ["opusenc", "--quiet", "--hard-cbr", "--bitrate", BITRATE_KBIT, whole, path]
    for command in ([*rendering, "--seconds", SECONDS, "--seed", seed], encoding):
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            raise BachboxError(
                f"{path}: {done.stderr.strip() or f'{command[0]} ended with {done.returncode}'}"
            )
    whole.unlink()


def main() -> int:
    """Render and draw; 0 when all is there."""
    parser = argparse.ArgumentParser(prog="make listen", description=__doc__)
    parser.add_argument("--models", nargs="*", help="names (all in models/ where not given)")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--no-sound", action="store_true", help="the pictures alone")
    parser.add_argument("--build", type=Path, default=Path("build/listen"))
    parser.add_argument("--out", type=Path, default=Path("docs/pianoroll.png"))
    asked = parser.parse_args()
    asked.build.mkdir(parents=True, exist_ok=True)
    try:
        paths = [model_file.find(name, [MODELS]) for name in asked.models or []]
        excerpts = []
        for path in paths or model_file.listing([MODELS]):
            model = model_file.load(path)
            excerpts.append(excerpt(model, asked.seed, model.tempo_bpm * SECONDS / 60))
            picture = asked.build / f"{model.name}.png"
            draw(excerpts[-1:], picture, beats=excerpts[-1].beats, dpi=120)
            print(picture)
            if not asked.no_sound:
                sound(model, asked.seed, asked.build / f"{model.name}.ogg")
                print(asked.build / f"{model.name}.ogg")
        draw(excerpts, asked.out, beats=64, dpi=75)
        print(asked.out)
    except BachboxError as why:
        print(f"bachbox: {why}", file=sys.stderr)
        return why.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
