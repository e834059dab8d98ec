"""A tune in ABC as a score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from appliance.music.score import Form, Key


@dataclass(frozen=True)
class AbcScore:
    """A tune as symbols in C, from the mode to the last bar line; repeats are not written out."""

    name: str
    symbols: tuple[str, ...]
    key: Key
    form: Form
    """With the length of the tune as it is played, repeats included."""
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What was left out or interpreted when the tune was read from a text."""

    @property
    def text(self) -> str:
        """The tune's text in C, without header and layout."""
        return "".join(self.symbols[1:])

    def transposed(self, semitones: int) -> AbcScore:
        """The same tune on another tonic; its symbols stay the same."""
        return replace(self, key=self.key.transposed(semitones))
