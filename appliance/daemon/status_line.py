"""What a person sees while it plays: one living line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import locale
import os
import shutil
import sys
import time
from collections import deque
from typing import Final, NamedTuple, TextIO

from appliance.daemon.journal_events import Event
from appliance.music.events import Piece
from appliance.music.score import Key

REMEMBERED_LINES: Final = 100
"""Of what was said, for the page."""

_HIDE_CURSOR: Final = "\x1b[?25l"
_SHOW_CURSOR: Final = "\x1b[?25h"
_CLEAR_LINE: Final = "\r\x1b[2K"
_BOLD, _DIM, _WARN, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m"

_ASCII: Final = str.maketrans(
    {"♪": "*", "♩": "q", "●": "o", "○": ".", "‖": "|", "·": "|", "…": "~"}
)


class StatusView(NamedTuple):
    """What the line shows."""

    condition: str
    """"" while it plays; else what it does instead ("paused", "no sound card")."""
    piece: Piece | None
    playhead_tick: float
    tempo_bpm: float
    temperature: float
    instrument: str
    look_ahead_s: float
    xruns: int
    restarts: int


class StatusLine:
    """Writes to ``stream``; living only where that is a terminal that can."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self.living = self._stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._coloured = self.living and not os.environ.get("NO_COLOR")
        encoding = getattr(self._stream, "encoding", None) or locale.getpreferredencoding()
        self._ascii = "utf" not in encoding.lower()
        self._shown = ""
        self.said: deque[str] = deque(maxlen=REMEMBERED_LINES)
        """The last sentences, each after the time of day at which it was said."""

    def show(self, view: StatusView) -> None:
        """Draw the line anew, if anything in it has changed."""
        if not self.living:
            return
        # One column stays free: in the last one some terminals wrap.
        columns = shutil.get_terminal_size().columns - 1
        text = compose(view, columns, coloured=self._coloured)
        if self._ascii:
            text = text.translate(_ASCII)
        if text != self._shown:
            start = _CLEAR_LINE if self._shown else _HIDE_CURSOR + _CLEAR_LINE
            self._write(start + text)
            self._shown = text

    def say(self, sentence: str, event: Event | None = None, **facts: str | int) -> None:
        """A line that stays, above the living one; event and facts are in the sentence too."""
        self._remember(sentence)
        shown, self._shown = self._shown, ""
        clear = _CLEAR_LINE if shown else ""
        self._write(f"{clear}{sentence}\n")
        if shown:
            self._write(shown)
            self._shown = shown

    def _remember(self, sentence: str) -> None:
        self.said.append(f"{time.strftime('%H:%M:%S')} {sentence.removeprefix('bachbox: ')}")

    def close(self) -> None:
        """Take the living line away and give the cursor back."""
        if self.living:
            self._write((_CLEAR_LINE if self._shown else "") + _SHOW_CURSOR)
        self._shown = ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody looks any more (the terminal was closed); the music plays on.
            self.living = False


def compose(view: StatusView, columns: int, *, coloured: bool) -> str:
    """The line, at most ``columns`` wide; what matters least goes first where it is narrow."""
    parts = _parts(view)
    while len(parts) > 1 and _width(parts) > columns:
        parts.remove(max(parts, key=lambda part: part.expendable))
    if _width(parts) > columns:
        parts = [parts[0]._replace(text=parts[0].text[: max(0, columns - 1)] + "…")]
    if not coloured:
        return "  ".join(part.text for part in parts)
    return "  ".join(f"{part.style}{part.text}{_PLAIN}" for part in parts)


def title(piece: Piece) -> str:
    """A piece as people call it: "3 in g minor"."""
    return f"{piece.number} in {Key(piece.tonic, piece.minor)}"


class _Part(NamedTuple):
    text: str
    expendable: int
    """The higher, the sooner it is left out."""
    style: str = _DIM


def _parts(view: StatusView) -> list[_Part]:
    troubles = [
        _Part(f"{view.xruns} xruns", 2 if view.xruns else 7, _WARN if view.xruns else _DIM),
        *([_Part(f"{view.restarts} restarts", 3, _WARN)] if view.restarts else []),
    ]
    settings = [
        _Part(f"♩={view.tempo_bpm:.0f}", 4),
        _Part(f"T {view.temperature:.2f}", 6),
        _Part(view.instrument, 5),
        _Part(f"{view.look_ahead_s:.1f} s ahead", 8),
    ]
    if view.piece is None:
        return [_Part(f"♪ {view.condition or 'composing…'}", 0, _BOLD), *settings, *troubles]
    piece, tick = view.piece, int(view.playhead_tick)
    bar = piece.bar_at(tick)
    beat = piece.beat_at(tick)
    beats = "".join("●" if at == beat else "○" for at in range(piece.beats_per_bar))
    head = f"♪ {title(piece)}"
    condition = [_Part(f"‖ {view.condition}", 1, _WARN)] if view.condition else []
    where = [_Part(f"bar {bar:>2}", 2, _PLAIN), _Part(beats, 7, _PLAIN)]
    return [_Part(head, 0, _BOLD), *condition, *where, *settings, *troubles]


def _width(parts: list[_Part]) -> int:
    return sum(len(part.text) for part in parts) + 2 * (len(parts) - 1)
