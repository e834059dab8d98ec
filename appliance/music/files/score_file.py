"""The music in a score file, whatever its format: notes by part, meters and bars."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from appliance.music.notes import Note
from appliance.music.score import Key

if TYPE_CHECKING:
    from appliance.music.codecs.abc.score import AbcScore


MAX_NOTES: Final = 50_000
"""An hour of piano music has about 30 000."""
MAX_BEATS: Final = 8192
"""The longest file that is read, in quarter notes: over an hour at 120 BPM."""


class KeySignature(NamedTuple):
    """A key signature as a file states it, which may not be the key that is heard."""

    fifths: int
    """Sharps, flats below 0; -7 to 7."""
    minor: bool | None
    """The mode; ``None`` where the file does not say."""

    @property
    def keys(self) -> tuple[Key, Key]:
        """The major and the minor key that have it."""
        major = self.fifths * 7 % 12
        return Key(major, minor=False), Key((major + 9) % 12, minor=True)


@dataclass(frozen=True)
class ScoreFile:
    """What a MIDI, MusicXML or ABC file contains; times are in ticks from its beginning.

    Attributes:
        name: the file's name without its suffix.
        parts: the notes of every part. In MIDI these are the tracks and channels that have notes,
            without drums; in MusicXML all parts without percussion, from the top of the page down;
            in ABC one part. Each note has the number of its part as its voice.
        time_signatures: numerators and denominators, in the order of the file.
        engraved: the file is notation: its parts are in order, and it knows bars and fermatas.
        length_ticks: length with the rests at the end; ``None`` for MIDI, which does not say.
        first_bar_ticks: length of the first bar, which may be a pickup; ``None`` if unknown.
        fermatas: half-open spans of the top part's notes that have a fermata.
        notices: what was left out or not taken as it is written, in words for the user.
        part_names: as the file has them, "" where it has none; one for each part, or none at all.
        titles: the most specific first; of MIDI, the name of the first track that has one.
        key_signature: the first one, as it sounds; ``None`` where there is none.
        repeats: of the top part of MusicXML, where each repeat sign is, and whether a repeat begins
            there; ``None`` for MIDI and ABC.
        tune: the symbols of an ABC tune; ``None`` for other files, and where the codec of tunes
            cannot encode it.
        not_a_tune: why the codec cannot; "" for other files.
        path: of the file, for messages.
    """

    name: str
    parts: tuple[tuple[Note, ...], ...]
    time_signatures: tuple[tuple[int, int], ...]
    engraved: bool = False
    length_ticks: int | None = None
    first_bar_ticks: int | None = None
    fermatas: tuple[tuple[int, int], ...] = ()
    notices: tuple[str, ...] = ()
    part_names: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    key_signature: KeySignature | None = None
    repeats: tuple[tuple[int, bool], ...] | None = None
    tune: AbcScore | None = None
    not_a_tune: str = ""
    path: Path | None = None


def first_line(error: Exception) -> str:
    """The first line of a library's error, or a general reason if it has none."""
    return next(iter(str(error).strip().splitlines()), "") or "it ends too early or is garbled"
