"""``make listen``: a minute of every model, as sound and as a piano roll.

The sound goes to ``build/listen/NAME.ogg`` (Opus, by opusenc), and a piano roll beside it that is
large enough to find mistakes in. A piano roll of all models goes to ``docs/pianoroll.png``. With
``--blind``, composed and real pieces are drawn side by side instead, for eyes that do not know
which is which; see :mod:`.blind_rolls`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.errors import BachboxError
from appliance.music.events import TICKS_PER_BEAT
from appliance.training.evaluate import blind_rolls
from appliance.training.evaluate.finished_pieces import compose_pieces
from appliance.training.evaluate.piano_rolls import PianoRoll, draw

MODELS = Path("models")
EXCERPT_S = 60
BITRATE_KBIT = 48
OVERVIEW_BEATS = 64


def compose_excerpt(model: ModelFile, seed: int, min_beats: float) -> PianoRoll:
    """Compose whole pieces until they are ``min_beats`` long.

    Raises:
        BachboxError: the runtime refuses the model.
    """
    excerpt = PianoRoll(model.title, [], [])
    for piece, steps in compose_pieces(Composer(model, seed=seed)):
        excerpt.pieces.append(piece)
        excerpt.start_beats.append(steps[0].tick / TICKS_PER_BEAT)
        if excerpt.beats >= min_beats:
            return excerpt
    raise AssertionError("a composer never ends")


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
        "--blind",
        action="store_true",
        help="composed and real pieces, and which is which in a text",
    )
    parser.add_argument(
        "--data", type=Path, help="folder with the scores that are not in music21, for --blind"
    )
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
        paths = paths or model_file.listing([MODELS])
        if options.blind:
            for path in paths:
                print(blind_rolls.draw_both(path, options.seed, options.data, options.build))
            return 0
        excerpts = []
        for path in paths:
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
