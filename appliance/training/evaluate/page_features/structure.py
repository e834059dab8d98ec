"""Features of structure and form: what comes back, and where."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from appliance.training.evaluate.page_features.calculation import STEP, Features, share
from appliance.training.evaluate.page_features.lines import diatonic_step, figures
from appliance.training.evaluate.pages import GRID, Page, PageNote, fifths_apart, find_key


def bar_contents(
    notes: Sequence[PageNote], start: int, bar: int, count: int, tonic: int
) -> tuple[list[tuple[int, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return for each bar its rhythm, its exact notes, and its shape (rhythm and scale steps).

    ``start`` and ``bar`` are in grid positions, see :data:`appliance.training.evaluate.pages.GRID`.

    ``tonic`` is a pitch class, 0 = C.
    """
    bars: list[list[PageNote]] = [[] for _ in range(count)]
    for note in notes:
        if 0 <= (note.start - start) // bar < count:
            bars[(note.start - start) // bar].append(note)
    rhythms, exact, shapes = [], [], []
    for number, inside in enumerate(bars):
        at = [note.start - start - number * bar for note in inside]
        steps = [diatonic_step(note.pitch, tonic) for note in inside]
        rhythms.append(tuple(sorted(set(at))))
        exact.append(tuple(zip(at, [note.pitch for note in inside], strict=True)))
        shapes.append(tuple(zip(at, [s - steps[0] for s in steps], strict=True)))
    return rhythms, exact, shapes


def add_structure(
    found: Features,
    page: Page,
    notes: Sequence[PageNote],
    top: Sequence[PageNote],
    start: int,
    end: int,
) -> None:
    """Add what an excerpt repeats of itself.

    ``start`` and ``end`` are grid positions, see :data:`appliance.training.evaluate.pages.GRID`.
    """
    tonic, count = page.key.tonic, max(1, round((end - start) / page.bar))
    rhythms, exact, shapes = bar_contents(notes, start, page.bar, count, tonic)
    full = [bar for bar in range(count) if exact[bar]]
    found["structure: different bar rhythms"] = len(set(rhythms)) / count
    found["structure: commonest bar rhythm"] = Counter(rhythms).most_common(1)[0][1] / count
    for label, lag in (("the bar before", 1), ("two bars before", 2), ("four bars before", 4)):
        late = [bar for bar in full if bar >= lag]
        found[f"structure: bar rhythm same as {label}"] = share(
            [1 for bar in late if rhythms[bar] == rhythms[bar - lag]], late
        )
    found["structure: bars heard before note for note"] = share(
        [1 for bar in full if exact[bar] in exact[:bar]], full
    )
    found["structure: bars heard before on another degree"] = share(
        [
            1
            for bar in full
            if len(exact[bar]) > 2 and shapes[bar] in shapes[:bar] and exact[bar] not in exact[:bar]
        ],
        full,
    )
    _, exact, shapes = bar_contents(notes, start, page.bar // 2, 2 * count, tonic)
    halves = [half for half in range(2 * count) if len(exact[half]) > 2]
    found["structure: half bars that continue a sequence"] = share(
        [
            1
            for half in halves
            if any(
                half >= lag
                and shapes[half] == shapes[half - lag]
                and exact[half] != exact[half - lag]
                for lag in (1, 2)
            )
        ],
        halves,
    )
    signs = figures(top, tonic)
    groups = list(zip(signs, signs[1:], signs[2:], strict=False))
    found["structure: melodic figures of four notes that are new"] = len(set(groups)) / max(
        1, len(groups)
    )
    codes = {sign: code % 250 for code, sign in enumerate(dict.fromkeys(signs))}
    packed = bytes(codes[sign] for sign in signs)
    found["structure: melody that cannot be compressed"] = len(zlib.compress(packed, 9)) / max(
        1, len(packed)
    )


_FORM_LAGS = (1, 2, 4, 8, 16)


def add_form(found: Features, page: Page, top: Sequence[PageNote]) -> None:
    """Add what only a whole piece has."""
    start, bar, count, tonic = page.pickup, page.bar, page.bar_count, page.key.tonic
    _, exact, shapes = bar_contents(page.notes, start, bar, count, tonic)
    found["form: bars"] = count
    found["form: bars a multiple of 4"] = float(count % 4 == 0)
    found["form: bars a multiple of 8"] = float(count % 8 == 0)
    last = [note for note in page.notes if note.end >= page.end - STEP]
    found["form: ends on the tonic in the bass"] = float(min(n.pitch for n in last) % 12 == tonic)
    found["form: last notes, quarters"] = (page.end - min(note.start for note in last)) / GRID
    for lag in _FORM_LAGS:
        late = [b for b in range(lag, count) if len(exact[b]) > 1]
        for label, contents in (("note for note", exact), ("of the shape", shapes)):
            if count > lag:
                found[f"form: bar {label} as {lag} before"] = share(
                    [1 for b in late if contents[b] == contents[b - lag]], late
                )
    returns = opening_returns(page, top)
    found["form: the opening's melody comes back"] = float(bool(returns))
    middle = start + count * bar / 2
    found["form: the opening comes back after the middle"] = float(any(r > middle for r in returns))
    keys = []
    for at in range(start, start + count * bar, 4 * bar):
        some = [note for note in page.notes if at <= note.start < at + 4 * bar]
        if len(some) > 8:
            keys.append(find_key(some))
    found["form: different keys of four bars"] = len({k[:2] for k in keys}) / max(1, len(keys))
    found["form: four bars in the piece's key"] = share(
        [1 for k in keys if k[:2] == page.key[:2]], keys
    )
    for label, key in (("first", keys[:1]), ("last", keys[-1:])):
        found[f"form: {label} four bars in the piece's key"] = share(
            [1 for k in key if not fifths_apart(k, page.key)], 1
        )
    quarters = Counter((note.start - start) * 4 // max(1, count * bar) for note in page.notes)
    for quarter in range(4):
        found[f"form: notes in quarter {quarter + 1} of the piece"] = quarters[quarter] / len(
            page.notes
        )


def opening_returns(page: Page, top: Sequence[PageNote]) -> list[int]:
    """Return where the melody of the first two bars comes back (grid positions), in any key.

    It is back where 80 % of its notes are.
    """
    opening = [note for note in top if note.start < page.pickup + 2 * page.bar][:10]
    sought, signs = figures(opening, page.key.tonic), figures(top, page.key.tonic)
    length = len(sought)
    if length < 4:
        return []
    return [
        top[at].start
        for at in range(length, len(signs) - length + 1)
        if sum(a == b for a, b in zip(sought, signs[at : at + length], strict=True)) >= 0.8 * length
    ]
