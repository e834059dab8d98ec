"""``python -m benchmarks``: measure everything, print it, and write ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.composing import model_file
from appliance.composing.interpreter import RUNTIMES
from appliance.config import loader
from appliance.errors import BachboxError
from benchmarks import (
    browser,
    composing,
    instructions,
    interference,
    keras_baseline,
    latency,
    listeners,
    measure,
    midi,
    page_cost,
    playing,
    rendering,
    report,
    rooms,
)
from benchmarks.measure import CHECKOUT, ChildResult, FailedError
from benchmarks.report import Row, Section
from tests.support.virtual_card import VirtualCard, virtual_card

PAGE = CHECKOUT / "docs" / "benchmarks.md"
MODELS = ("chorales", "folk", "strings", "keyboard")
PARTS = [
    "composing",
    "instructions",
    "playing",
    "latency",
    "midi",
    "interference",
    "page",
    "rendering",
    "keras",
]


def section(title: str, note: str = "") -> Section:
    """A new section, named on the terminal."""
    print(title, file=sys.stderr)
    return Section(title, note)


def composing_section(runtime: str) -> tuple[Section, ChildResult | None]:
    """All models on one runtime; the figures of the first."""
    own = section(f"Composing on {runtime}", composing.NOTE)
    lines: list[tuple[str, ...]] = []
    first: ChildResult | None = None

    def part(model: str) -> list[Row]:
        nonlocal first
        composing.check_speed(runtime, MODELS[0])
        with measure.step(f"composing with {model}"):
            result = composing.measured(runtime, model)
        first = first or result
        lines.append(composing.table_line(result))
        return composing.judged(runtime, result)

    for model in MODELS:
        own.measure(functools.partial(part, model), model)
    if lines:
        own.tables += report.table(composing.HEAD, lines)
    return own, first


def instructions_section() -> Section:
    """What composing and performing take on a Raspberry Pi, in instructions."""
    own = section("Instructions on a Raspberry Pi", instructions.NOTE)

    def part() -> list[Row]:
        own.tables += report.table(instructions.HEAD, instructions.table_lines(MODELS))
        return []

    own.measure(part)
    return own


def playing_section() -> Section:
    """What needs a sound card and changes nothing."""
    own = section(
        "Playing",
        "`bachbox play` with all defaults but the model, not on a terminal, on a virtual card at "
        "48 kHz (a PulseAudio null sink, whose own work is not counted).",
    )
    with virtual_card() as card:
        own.measure(lambda: playing.starts(card), "start")
        for runtime in RUNTIMES:
            for model in MODELS:
                default = model == MODELS[0]
                windows_s = playing.WINDOWS_S if default else playing.OTHER_WINDOWS_S
                own.measure(
                    functools.partial(_costs, card, runtime, model, windows_s),
                    f"{model} on {runtime}",
                )
        own.measure(lambda: playing.rewinds(card), "rewinds")
    return own


def _costs(card: VirtualCard, runtime: str, model: str, windows_s: Sequence[float]) -> list[Row]:
    composing.check_speed(runtime, MODELS[0])
    return playing.costs(card, runtime, model, windows_s)


def card_section(title: str, note: str, *parts: Callable[..., list[Row]]) -> Section:
    """Parts that share a virtual card."""
    own = section(title, note)
    with virtual_card() as card:
        for part in parts:
            own.measure(
                functools.partial(part, card),
                f"{part.__module__}.{part.__name__}".partition(".")[2],
            )
    return own


def keras_section(ours: ChildResult | None, python: Path) -> Section:
    """The same figures for Keras, beside Bachbox's."""
    own = section(
        "Beside Keras",
        f"Two LSTM layers of {keras_baseline.UNITS} units over a window of "
        f"{keras_baseline.WINDOW_NOTES} notes, all of it computed again for every note; random "
        "weights, which cost the same as learned ones. Each in a process of its own, in the same "
        "run. Mean times; a note of Bachbox's is all the tokens that lead to it, rests and held "
        "notes too.",
    )

    def part(way: str) -> list[Row]:
        if ours is None:
            raise FailedError("there is nothing to compare with, because composing failed")
        with measure.step(f"Keras, model.{way}"):
            result = keras_baseline.measured(python, way)
        name = "model.predict(...)" if way == "predict" else "model(...)"
        return [_note_row(f"Keras, `{name}`", result, ours)]

    if ours is not None:
        own.measure(lambda: [_note_row(f"Bachbox, {ours.figures['runtime']}", ours, ours)])
    for way in keras_baseline.WAYS:
        own.measure(functools.partial(part, way))
    return own


def _note_row(what: str, result: ChildResult, ours: ChildResult) -> Row:
    figures = result.figures
    times = figures["note_us"] / ours.figures["note_us"]
    return Row(
        what,
        f"{figures['note_us']:,.0f} µs a note"
        + (f" ({times:.0f} times as long)" if result is not ours else ""),
        how=f"{figures['note_cpu_us']:,.0f} µs of processor time a note, RSS "
        f"{figures['rss_mb']:.0f} MB, first note {result.first_note_s:.2f} s after the start of "
        "Python",
    )


def measured(parts: set[str], keras_python: Path) -> list[Section]:
    """The sections of these parts."""
    sections: list[Section] = []
    ours: ChildResult | None = None
    if parts & {"composing", "keras"}:
        for runtime in RUNTIMES:
            own, first = composing_section(runtime)
            sections.append(own)
            ours = ours or first
    if "instructions" in parts:
        sections.append(instructions_section())
    if "playing" in parts:
        sections.append(playing_section())
    if "latency" in parts:
        note = (
            "Changes over the local socket, heard in the recording of the virtual card, all other "
            "settings at their defaults."
        )
        sections.append(card_section("From a change to the sound", note, *latency.PARTS))
    if "midi" in parts:
        sections.append(card_section("MIDI", "All defaults but MIDI.", midi.rows))
    if "interference" in parts:
        note = (
            "Blocks that reach the card too late (xruns), blocks without music (starved) and notes "
            "struck too late, while something happens; `make soak` counts them for hours."
        )
        sections.append(
            card_section("Under disturbance", note, *interference.PARTS, rooms.rows, browser.rows)
        )
    if "page" in parts:
        note = "What the page costs the machine that shows it, and its listeners the box."
        sections.append(card_section("The page", note, page_cost.rows, listeners.rows))
    if "rendering" in parts:
        sections.append(section("Rendering"))
        sections[-1].measure(rendering.rows)
    if "keras" in parts:
        sections.append(keras_section(ours, keras_python))
    return sections


def main() -> int:
    """Measure; 1 when something could not be measured, bars missed or met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"only some of {', '.join(PARTS)}; no page then"
    )
    parser.add_argument(
        "--quick", action="store_true", help="little of everything, to see that it works; no page"
    )
    parser.add_argument("--keras-python", type=Path, default=Path(".venv-keras/bin/python"))
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.quick:
        measure.be_quick()
    defaults = loader.Config()
    try:
        model = model_file.find(defaults.music.model, loader.model_folders(defaults))
        soundfont = loader.soundfont(defaults)
    except BachboxError as why:
        print(f"benchmarks: {why}", file=sys.stderr)
        return why.exit_code
    load_before = os.getloadavg()[0]
    sections = measured(set(options.parts or PARTS), options.keras_python)
    text = report.page(sections, load_before, model, soundfont)
    print(text)
    if not options.parts and not options.quick:
        PAGE.write_text(text)
        print(f"written to {PAGE.relative_to(CHECKOUT)}", file=sys.stderr)
    return 1 if any(section.failures for section in sections) else 0


if __name__ == "__main__":
    sys.exit(main())
