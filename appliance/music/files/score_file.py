"""The music in a score file, whatever its format: notes by part, meters and bars."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.music.notes import Note

if TYPE_CHECKING:
    from appliance.music.codecs.abc.score import AbcScore


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
        tune: the symbols of an ABC tune; ``None`` for other files.
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
    tune: AbcScore | None = None
    path: Path | None = None
