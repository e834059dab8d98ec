"""A score file is read by the reader of its suffix."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.music.files import abc_reader, midi_reader, musicxml_reader, score_reader


@pytest.mark.parametrize("reader", [abc_reader, midi_reader, musicxml_reader])
def test_every_suffix_of_a_reader_leads_to_it(reader: object, tmp_path: Path) -> None:
    suffixes: tuple[str, ...] = reader.SUFFIXES  # type: ignore[attr-defined]
    for suffix in suffixes:
        assert score_reader._reader(suffix) is reader.read  # type: ignore[attr-defined]
        (tmp_path / f"empty{suffix}").write_bytes(b"")
        with pytest.raises(UsageError):
            score_reader.read(tmp_path / f"empty{suffix}")


def test_no_other_suffix_is_known() -> None:
    readers = (midi_reader, musicxml_reader, abc_reader)
    assert set(score_reader.SUFFIXES) == {s for reader in readers for s in reader.SUFFIXES}
    with pytest.raises(UsageError, match=r"cannot read \.pdf files; known: \.mid"):
        score_reader.read(Path("bach.pdf"))
