"""``python -m benchmarks``: measure everything, print it, and write ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from appliance.composing import model_file
from appliance.composing.interpreter import RUNTIMES
from appliance.config import loader
from appliance.errors import BachboxError
from benchmarks import hands, measure, naive, playing, rendering, report, runtime
from benchmarks.measure import CHECKOUT, FailedError, Told, UnavailableError
from benchmarks.report import Row, Section
from tests.support.virtual_card import virtual_card

PAGE = CHECKOUT / "docs" / "benchmarks.md"


@contextmanager
def section(title: str, sections: list[Section], note: str = "") -> Iterator[Section]:
    """A section of the page; what goes wrong in it is told in it, and the others go on."""
    print(title, file=sys.stderr)
    own = Section(title, note=note)
    sections.append(own)
    psutil.cpu_percent()
    try:
        yield own
        own.busy_percent = psutil.cpu_percent()
    except UnavailableError as why:
        own.unavailable = f"{own.unavailable} {why}".strip()
    except (FailedError, BachboxError, OSError, RuntimeError, subprocess.SubprocessError) as why:
        own.failure = str(why) or repr(why)
    for sentence in filter(None, (own.failure, own.unavailable)):
        print(f"  {sentence}", file=sys.stderr)


def composing(sections: list[Section]) -> Told | None:
    """Both runtimes; what the one that plays here told."""
    ours: Told | None = None
    for name in RUNTIMES:
        with section(f"Composing: {name}", sections) as own:
            with measure.step("composing"):
                told = runtime.measured(name)
            own.rows += runtime.rows(name, told)
            ours = ours or told
    return ours


def listening(sections: list[Section]) -> None:
    """All that needs a sound card."""
    note = (
        "`bachbox play` with all defaults, not on a terminal, on a virtual card at 48 kHz (a "
        "PulseAudio null sink, whose own work is not counted)."
    )
    with section("Playing", sections, note) as own, virtual_card() as card:
        for part in (playing.starts, playing.costs, playing.knob):
            own.rows += part(card)


def handling(sections: list[Section]) -> None:
    """How soon it obeys."""
    note = (
        "Changes by the local socket, heard in the recording of the virtual card, all other "
        "settings at their defaults."
    )
    with section("At hand", sections, note) as own, virtual_card() as card:
        for part in hands.PARTS:
            own.rows += part(card)


def files(sections: list[Section]) -> None:
    """All that is written to files."""
    with section("Rendering", sections) as own:
        own.rows += rendering.rows()


def naively(sections: list[Section], ours: Told | None, python: Path) -> None:
    """The same figures for the naive way, beside ours."""
    note = (
        f"Keras, two LSTM layers of {naive.UNITS} over a window of {naive.WINDOW_NOTES} notes, "
        "all of it computed anew for every note; random weights, which cost the same as learned "
        "ones. Each in a process of its own, in the same run. Mean times; a note of ours is all "
        "the tokens that lead to it, rests and held notes too."
    )
    with section("The naive way", sections, note) as own:
        if ours is None:
            raise FailedError("there is nothing to compare with, because composing failed")
        own.rows.append(_beside(f"Bachbox, {ours.figures['runtime']}", ours, ours))
        for way in naive.WAYS:
            with measure.step(f"Keras, model.{way}"):
                told = naive.measured(python, way)
            name = "model.predict(...)" if way == "predict" else "model(...)"
            own.rows.append(_beside(f"Keras, `{name}`", told, ours))


def _beside(what: str, told: Told, ours: Told) -> Row:
    figures = told.figures
    ratio = figures["note_us"] / ours.figures["note_us"]
    return Row(
        what,
        f"{figures['note_us']:,.0f} µs a note"
        + (f" ({ratio:.0f} times as long)" if told is not ours else ""),
        how=f"{figures['note_cpu_us']:,.0f} µs of processor a note, RSS {figures['rss_mb']:.0f} "
        f"MB, first note {told.first_note_s:.2f} s after the start of Python",
    )


def main() -> int:
    """Measure; 1 when something could not be measured, bars missed or met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = ("composing", "playing", "hands", "rendering", "naive")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"only some of {', '.join(parts)}; no page then"
    )
    parser.add_argument("--naive-python", type=Path, default=Path(".venv-naive/bin/python"))
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(parts):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    wanted = asked.parts or parts
    defaults = loader.Config()
    try:
        model = model_file.find(defaults.music.model, loader.model_folders(defaults))
        soundfont = loader.soundfont(defaults)
    except BachboxError as why:
        print(f"benchmarks: {why}", file=sys.stderr)
        return why.exit_code
    load_before = os.getloadavg()[0]
    sections: list[Section] = []
    ours: Told | None = None
    if "composing" in wanted or "naive" in wanted:
        ours = composing(sections)
    work: dict[str, Callable[[], None]] = {
        "playing": lambda: listening(sections),
        "hands": lambda: handling(sections),
        "rendering": lambda: files(sections),
        "naive": lambda: naively(sections, ours, asked.naive_python),
    }
    for name, measurement in work.items():
        if name in wanted:
            measurement()
    text = report.page(sections, load_before, model, soundfont)
    print(text)
    if not asked.parts:
        PAGE.write_text(text)
        print(f"written to {PAGE.relative_to(CHECKOUT)}", file=sys.stderr)
    return 1 if any(section.failure for section in sections) else 0


if __name__ == "__main__":
    sys.exit(main())
