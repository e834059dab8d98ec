"""Results of long jobs in files, so that a stopped run continues where it was."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

import appliance
from appliance.common.atomic_write import write_atomically

T = TypeVar("T")

SOURCES = (
    "composing/*.py", "music/**/*.py", "training/data/*.py", "training/evaluate/page_features/*.py",
    "training/evaluate/pages.py", "training/evaluate/musical_facts.py",
    "training/evaluate/two_sample.py", "training/evaluate/defects.py",
    "training/evaluate/finished_pieces.py", "training/evaluate/ngram.py",
    "training/evaluate/likeness.py",
)  # fmt: skip
"""The code that decides what is composed and what is measured of it."""


def cached(folder: Path, name: str, parts: Iterable[object], make: Callable[[], T]) -> T:
    """Return what an earlier call made of the same ``parts``, or make it and keep it.

    Args:
        folder: for the files; it may be deleted at any time.
        name: begins the name of the file.
        parts: everything that the result depends on, apart from the code in ``SOURCES``; things
            whose ``repr`` says all.
        make: makes the result, which can be pickled.

    Raises:
        OSError: the file cannot be read or written.
    """
    digest = hashlib.sha256(repr([*parts, source_hash()]).encode()).hexdigest()
    path = folder / f"{name}-{digest[:24]}.pickle"
    if path.is_file():
        found: T = pickle.loads(path.read_bytes())
        return found
    made = make()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, pickle.dumps(made))
    return made


@cache
def source_hash() -> str:
    """Return a hash of the code that results depend on, as it was when this was first asked."""
    root = Path(appliance.__file__).parent
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(root.glob(pattern)):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
