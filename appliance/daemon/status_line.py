"""The status line: what a person sees on a terminal while the music plays."""

from __future__ import annotations

import locale
import os
import shutil
import sys
import threading
from typing import Final, NamedTuple, TextIO

from appliance.ipc.shared_state import Condition
from appliance.music.events import Piece
from appliance.music.titles import piece_title, place_in_group

_SILENT: Final = (Condition.PAUSED, Condition.NO_SOUND_CARD)
"""The conditions that are shown; in the others there is music to hear, or soon will be."""

_HIDE_CURSOR: Final = "\x1b[?25l"
_SHOW_CURSOR: Final = "\x1b[?25h"
_CLEAR_LINE: Final = "\r\x1b[2K"
_BOLD, _DIM, _WARN, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m"

_ASCII: Final = str.maketrans(
    {"♪": "*", "♩": "q", "●": "o", "○": ".", "‖": "|", "·": "|", "…": "~", "é": "e"}
)


class StatusView(NamedTuple):
    """What the line shows."""

    condition: Condition
    piece: Piece | None
    playhead_tick: float
    tempo_bpm: float
    temperature: float
    instrument: str
    look_ahead_s: float
    xruns: int
    restarts: int


class StatusLine:
    """A line at the bottom of a terminal that is redrawn in place, with messages above it.

    May be used from several threads.

    Args:
        stream: where to write; by default standard error.

    Attributes:
        interactive: whether the stream is a terminal that can redraw a line. If it is not,
            messages are written and the line is not.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self.interactive = self._stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._coloured = self.interactive and not os.environ.get("NO_COLOR")
        encoding = getattr(self._stream, "encoding", None) or locale.getpreferredencoding()
        self._ascii = "utf" not in encoding.lower()
        self._shown = ""
        self._lock = threading.RLock()

    def show(self, view: StatusView) -> None:
        """Redraw the line if anything in it has changed."""
        if not self.interactive:
            return
        # One column stays free: some terminals wrap after the last one.
        columns = shutil.get_terminal_size().columns - 1
        text = format_line(view, columns, coloured=self._coloured)
        if self._ascii:
            text = text.translate(_ASCII)
        with self._lock:
            if text != self._shown:
                start = _CLEAR_LINE if self._shown else _HIDE_CURSOR + _CLEAR_LINE
                self._write(start + text)
                self._shown = text

    def print_above(self, text: str) -> None:
        """Write ``text``, one line or more, which stays above the status line."""
        with self._lock:
            if self._shown:
                self._write(f"{_CLEAR_LINE}{text}\n")
                self._write(self._shown)
            else:
                self._write(f"{text}\n")

    def close(self) -> None:
        """Remove the line and show the cursor again."""
        with self._lock:
            if self.interactive:
                self._write((_CLEAR_LINE if self._shown else "") + _SHOW_CURSOR)
            self._shown = ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # The terminal was closed; the music plays on.
            self.interactive = False


def format_line(view: StatusView, columns: int, *, coloured: bool) -> str:
    """Return the line, at most ``columns`` wide; what matters least is left out first."""
    parts = _parts(view)
    while len(parts) > 1 and _width(parts) > columns:
        parts.remove(max(parts, key=lambda part: part.expendable))
    if _width(parts) > columns:
        parts = [parts[0]._replace(text=parts[0].text[: max(0, columns - 1)] + "…")]
    if not coloured:
        return "  ".join(part.text for part in parts)
    return "  ".join(f"{part.style}{part.text}{_PLAIN}" for part in parts)


class _Part(NamedTuple):
    text: str
    expendable: int
    """The part with the highest number is left out first."""
    style: str = _DIM


def _parts(view: StatusView) -> list[_Part]:
    faults = [
        _Part(f"{view.xruns} xruns", 2 if view.xruns else 7, _WARN if view.xruns else _DIM),
        *([_Part(f"{view.restarts} restarts", 3, _WARN)] if view.restarts else []),
    ]
    settings = [
        _Part(f"♩={view.tempo_bpm:.0f}", 4),
        _Part(f"T {view.temperature:.2f}", 6),
        _Part(view.instrument, 5),
        _Part(f"{view.look_ahead_s:.1f} s ahead", 8),
    ]
    silent = view.condition.words if view.condition in _SILENT else ""
    if view.piece is None:
        return [_Part(f"♪ {silent or 'composing…'}", 0, _BOLD), *settings, *faults]
    piece, tick = view.piece, int(view.playhead_tick)
    bar = piece.bar_at(tick)
    beat = piece.beat_at(tick)
    beats = "".join("●" if at == beat else "○" for at in range(piece.beats_per_bar))
    head = f"♪ {piece_title(piece)}"
    condition = [_Part(f"‖ {silent}", 1, _WARN)] if silent else []
    where = [_Part(f"bar {bar:>2}", 2, _PLAIN), _Part(beats, 7, _PLAIN)]
    if group := place_in_group(piece):
        where.insert(0, _Part(group, 5, _PLAIN))
    return [_Part(head, 0, _BOLD), *condition, *where, *settings, *faults]


def _width(parts: list[_Part]) -> int:
    return sum(len(part.text) for part in parts) + 2 * (len(parts) - 1)
