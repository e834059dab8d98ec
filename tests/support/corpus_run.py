"""Reads every score at hand and counts what is read and what is refused, by sentence.

``python -m tests.support.corpus_run FOLDER...`` prints a Markdown table; without folders it reads
music21's own corpus. Each file is read in a process of its own, whose processor time and memory
are measured. ``--sample 100`` takes a hundred files at random, always the same of the same folders.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import resource
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from appliance.composing import model_file
from appliance.music.codecs.base import Codec
from appliance.music.files import musicxml_reader, score_reader
from appliance.offline import score_check
from appliance.offline.score_check import ScoreReport

MODELS = Path(__file__).parents[2] / "models"


class Outcome(NamedTuple):
    """A file's report, its processor time in seconds and its memory in MiB."""

    report: ScoreReport
    cpu_s: float
    rss_mib: float


_codecs: dict[str, Codec] = {}


def _check(path: Path) -> Outcome:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start_s = time.process_time()
    report = score_check.check(path, _codecs)
    cpu_s = time.process_time() - start_s
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Outcome(report, cpu_s, (after - before) / 1024)


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in musicxml_reader.SUFFIXES:
        return "MusicXML"
    return "ABC" if suffix == ".abc" else "MIDI"


def _general(sentence: str) -> str:
    """A sentence without the figures and names of one file."""
    sentence = re.sub(r"^line \d+: ", "", sentence)
    sentence = re.sub(r"its meter is .*, but", "its meter is ..., but", sentence)
    return re.sub(r"(?<![\w/])\d+(?:/\d+)?", "N", sentence).split(";")[0]


def _print_table(outcomes: list[Outcome]) -> None:
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_kind[_kind(Path(outcome.report.path))].append(outcome)
    models = [*_codecs]
    print("| | Files | Read | " + " | ".join(f"`{name}`" for name in models), end=" | ")
    print("Slowest (CPU s) | Most memory (MiB) |")
    print("|---" * (5 + len(models)) + "|")
    for kind, found in sorted(by_kind.items()):
        counts = [
            sum(v.usable for o in found for v in o.report.models if v.model == name)
            for name in models
        ]
        read = sum(o.report.readable for o in found)
        slowest, most = max(o.cpu_s for o in found), max(o.rss_mib for o in found)
        cells = [kind, len(found), read, *counts, f"{slowest:.1f}", f"{most:.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |")
    refusals = Counter(
        (_kind(Path(o.report.path)), _general(o.report.reason))
        for o in outcomes
        if not o.report.readable
    )
    print("\nNot read:\n\n| Format | Files | Why |\n|---|---|---|")
    for (kind, reason), count in refusals.most_common(30):
        print(f"| {kind} | {count} | {reason} |")


def main() -> int:
    """Read the files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--sample", type=int, metavar="N", help="all files by default")
    parser.add_argument("--suffixes", default=" ".join(score_reader.SUFFIXES))
    options = parser.parse_args()
    folders = options.folders
    if not folders:
        from music21 import common

        folders = [common.getCorpusFilePath()]
    # What all files share is loaded once, and not counted for any of them.
    _codecs.update(
        {path.stem: model_file.load(path).codec for path in sorted(MODELS.glob("*.tflite"))}
    )
    suffixes = options.suffixes.split()
    files = [
        path for path in score_check.score_files(folders)[0] if path.suffix.lower() in suffixes
    ]
    if options.sample:
        random.Random(1).shuffle(files)
    outcomes = []
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for outcome in pool.imap(_check, files[: options.sample]):
            outcomes.append(outcome)
            if outcome.cpu_s > 5 or outcome.rss_mib > 300:
                print(
                    f"{outcome.report.path}: {outcome.cpu_s:.1f} s, {outcome.rss_mib:.0f} MiB",
                    file=sys.stderr,
                )
    _print_table(outcomes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
