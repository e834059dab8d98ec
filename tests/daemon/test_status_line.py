"""The status line fits, keeps the most important parts, and leaves the terminal as it was."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.daemon.status_line import StatusLine, StatusView, format_line
from appliance.ipc.shared_state import Condition
from appliance.music import kinds, titles
from appliance.music.events import Piece

PIECE = Piece(3, 7, True, 4, 480, 960)
BOURREE = kinds.NAMES.index("bourree")
VIEW = StatusView(
    condition=Condition.PLAYING,
    piece=PIECE,
    playhead_tick=960 + 480 + 4 * 480 * 11 + 480 * 2 + 5,
    tempo_bpm=84,
    temperature=0.95,
    instrument="Church Organ",
    look_ahead_s=4.04,
    xruns=0,
    restarts=0,
)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def test_line_shows_everything_if_there_is_room() -> None:
    assert format_line(VIEW, 200, coloured=False) == (
        "♪ Piece in g minor  bar 12  ○○●○  ♩=84  T 0.95  Church Organ  4.0 s ahead  0 xruns"
    )


@given(st.integers(1, 150), st.integers(0, 9), st.booleans())
def test_line_is_never_wider_than_the_terminal(columns: int, xruns: int, paused: bool) -> None:
    view = VIEW._replace(xruns=xruns, condition=Condition.PAUSED if paused else Condition.PLAYING)
    coloured = format_line(view, columns, coloured=True)
    plain = re.sub(r"\x1b\[\d+m", "", coloured)
    assert len(plain) <= columns
    assert plain == format_line(view, columns, coloured=False)


def test_narrow_line_keeps_faults_and_drops_decoration() -> None:
    narrow = format_line(VIEW._replace(xruns=2, restarts=1), 48, coloured=False)
    assert "2 xruns" in narrow
    assert "1 restarts" in narrow
    assert "ahead" not in narrow


def test_cursor_is_hidden_once_and_shown_again_at_the_end(terminal: Terminal) -> None:
    line = StatusLine(terminal)
    line.show(VIEW)
    line.show(VIEW)
    line.print_above("performer: hello")
    line.close()
    written = terminal.getvalue()
    assert written.count("\x1b[?25l") == 1
    assert written.endswith("\r\x1b[2K\x1b[?25h")
    assert "\x1b[2Kperformer: hello\n" in written


def test_no_color_variable_means_no_colour(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    line = StatusLine(terminal)
    line.show(VIEW)
    assert not re.search(r"\x1b\[\d*m", terminal.getvalue())


def test_line_is_not_drawn_elsewhere_than_on_a_terminal() -> None:
    stream = io.StringIO()
    line = StatusLine(stream)
    line.show(VIEW)
    line.print_above("one line")
    line.close()
    assert stream.getvalue() == "one line\n"


def test_the_kind_and_the_place_in_the_group_are_shown() -> None:
    suite = PIECE._replace(kind=BOURREE, group=titles.SUITE, place=5, group_size=6)
    assert format_line(VIEW._replace(piece=suite), 200, coloured=False).startswith(
        "♪ Bourrée in g minor  fifth of a suite  bar 12"
    )


@pytest.mark.parametrize("kind", range(len(kinds.NAMES)))
def test_ascii_terminal_gets_ascii(terminal: Terminal, kind: int) -> None:
    terminal.encoding = "ascii"
    line = StatusLine(terminal)
    line.show(VIEW._replace(piece=PIECE._replace(kind=kind)))
    assert terminal.getvalue().isascii()
