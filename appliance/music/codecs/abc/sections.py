"""The bars of a tune put together by what is repeated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from appliance.music.codecs.abc.bars import Bar
from appliance.music.codecs.abc.text import LineError

REPEAT_ENDS = (":|", "::")
MORE_ENDINGS = "of more than two endings, the first and the last were read"
ODD_ENDINGS = "endings that do not fit together were read one after the other"


@dataclass
class Section:
    """Bars that are played once or twice, and the different endings."""

    bars: list[Bar] = field(default_factory=list)
    first: list[Bar] = field(default_factory=list)
    """The ending of the first time; empty if both times end alike."""
    second: list[Bar] = field(default_factory=list)
    """The ending of the second time."""
    repeated: bool = False

    def last_bars(self) -> list[Bar]:
        """The last bar of each time through."""
        return [part[-1] for part in (self.first, self.second) if part] or self.bars[-1:]


def sections_of(bars: list[Bar], notices: list[str], *, freely: bool = False) -> list[Section]:
    """The sections that bars make; ABC may leave out where a repeat begins.

    Args:
        bars: of the tune.
        notices: what was left out is added to them.
        freely: of more than two endings, the first and the last are kept, and endings that do not
            fit together are bars like others.

    Raises:
        ValueError: endings or repeats do not fit together, or there are no notes.
    """
    builder = _Builder(freely=freely)
    for bar in bars:
        try:
            builder.take(bar)
        except ValueError as why:
            raise LineError(bar.line_number, str(why)) from why
    found = builder.finish()
    notices += builder.notices
    return found


class _Builder:
    """Collects bars into sections."""

    def __init__(self, *, freely: bool) -> None:
        self._freely = freely
        self._found: list[Section] = []
        self._section = Section()
        self._opened = False
        """The section began with a repeat sign."""
        self._part = self._section.bars
        """The list of the section that the next bar belongs to."""
        self._lead: Bar | None = None
        """The bar within which the section's endings begin."""
        self.notices: list[str] = []

    def take(self, bar: Bar) -> None:
        """Take the next bar, and do what the bar line at its end says.

        Raises:
            ValueError: the bar line does not fit.
        """
        section = self._section
        is_ending = self._part is not section.bars
        if bar.notes and self._lead and is_ending and not self._part:
            lead = [replace(note) for note in self._lead.notes]
            bar = replace(bar, notes=lead + bar.notes)
        if bar.is_split and not is_ending:
            self._lead = bar
        elif bar.notes:
            self._part.append(bar)
        within = self._opened and self._part is section.bars
        if bar.line == "|" or (bar.line == "||" and within):
            return
        if bar.line == "|1":
            if self._part is not section.bars:
                self._find_odd("a first ending within an ending")
                return
            section.repeated, self._part = True, section.first
        elif bar.line == ":|2":
            if self._part is section.second and section.first and not self._freely:
                raise ValueError(
                    "more than two endings; allowed: a first and a second. Leave out the others"
                )
            if self._part is section.second and self._part:
                section.second.clear()
                if MORE_ENDINGS not in self.notices:
                    self.notices.append(MORE_ENDINGS)
                return
            if self._part is not section.first or not self._part:
                self._find_odd("a second ending without a first")
                return
            self._part = section.second
        else:
            self._close(bar.line)

    def _find_odd(self, what: str) -> None:
        """Note that endings do not fit together.

        Raises:
            ValueError: they must.
        """
        if not self._freely:
            raise ValueError(what)
        if ODD_ENDINGS not in self.notices:
            self.notices.append(ODD_ENDINGS)

    def _close(self, line: str) -> None:
        """End the section at a bar line."""
        section = self._section
        repeats = line in REPEAT_ENDS
        if self._part is section.first:
            if not repeats:
                self._find_odd("a first ending without a second")
                section.repeated = False
            section.bars, section.first = section.bars + section.first, []
        section.repeated = section.repeated or repeats
        if section.bars:
            self._found.append(section)
        elif section.first or section.second or (self._found and repeats):
            raise ValueError("it repeats nothing")
        self._section, self._opened, self._lead = Section(), line in ("|:", "::"), None
        self._part = self._section.bars

    def finish(self) -> list[Section]:
        """All sections.

        Raises:
            ValueError: the last one is not complete, or there is none.
        """
        if self._part is self._section.first and self._part:
            self._close("||")
        if self._section.bars:
            self._found.append(self._section)
        if not self._found:
            raise ValueError("it has no notes")
        return self._found
