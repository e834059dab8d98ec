"""Saved pieces: a file each, which survives a pulled plug, and a broken one harms no other."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance.errors import BachboxError, UsageError
from appliance.music.files.piece_record import PieceRecord
from appliance.state import saved_files, saved_pieces
from appliance.state.saved_pieces import SavedPieces
from tests.support.log_lines import log_lines
from tests.workers.test_saved_pieces import record


def played(at: str, *, complete: bool = True) -> PieceRecord:
    return record(played_at=at, complete=complete)


@pytest.fixture
def saved(tmp_path: Path) -> SavedPieces:
    return SavedPieces(tmp_path / "pieces")


def loaded(saved: SavedPieces) -> SavedPieces:
    """The same pieces after a restart."""
    again = SavedPieces(saved.folder)
    again.load()
    return again


def test_a_saved_piece_outlives_a_restart_note_for_note(saved: SavedPieces) -> None:
    piece = saved.save(played("one"), "  Tea time ")
    again = loaded(saved)
    assert again.listing() == [piece]
    assert (piece.name, piece.model, piece.seed, piece.instrument) == (
        "Tea time", "keyboard", 4, "Church Organ",
    )  # fmt: skip
    assert again.record(piece.id) == played("one")
    assert again.find("TEA TIME") == piece
    assert [path.name for path in saved.folder.iterdir()] == [f"{piece.id}.json"]


def test_names_are_titles_that_differ(saved: SavedPieces) -> None:
    names = [saved.save(played(at)).name for at in ("one", "two", "three")]
    assert names == ["Piece in d minor", "Piece in d minor (2)", "Piece in d minor (3)"]
    assert saved.names() == names
    assert [piece.name for piece in saved.listing()] == names[::-1]


def test_saving_again_changes_nothing_unless_there_is_more_of_the_piece(saved: SavedPieces) -> None:
    begun = saved.save(played("one", complete=False), "Mine")
    assert saved.save(played("one", complete=False)) == begun
    saved.save_more(played("one"))
    whole = saved.get(begun.id)
    assert whole is not None
    assert (whole.name, whole.saved_at, whole.complete) == ("Mine", begun.saved_at, True)
    saved.save_more(played("one", complete=False))
    assert loaded(saved).listing() == [whole]
    saved.save_more(played("never saved"))
    assert len(saved.listing()) == 1


def test_a_piece_keeps_its_number_and_no_number_comes_twice(
    saved: SavedPieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = saved.save(played("one"))
    monkeypatch.setattr("time.time", lambda: 12.0)  # A clock that has not been set yet.
    second = saved.save(played("two"))
    assert second.id > first.id > 1_000_000_000
    renamed = saved.rename(first.id, "Another")
    assert (renamed.id, loaded(saved).find("another").id) == (first.id, first.id)
    with pytest.raises(UsageError, match="another saved piece is called Another"):
        saved.rename(second.id, "ANOTHER")


def test_a_deleted_piece_is_gone(saved: SavedPieces) -> None:
    piece = saved.save(played("one"))
    assert saved.delete(piece.id) == piece
    assert loaded(saved).listing() == []
    with pytest.raises(UsageError, match="no saved piece"):
        saved.delete(piece.id)
    with pytest.raises(UsageError, match="no saved piece"):
        saved.rename(piece.id, "x")
    with pytest.raises(UsageError, match="there are: none"):
        saved.find("anything")


def test_there_are_not_endless_pieces(saved: SavedPieces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_pieces, "MAX_PIECES", 2)
    saved.save(played("one"))
    saved.save(played("two"))
    with pytest.raises(UsageError, match="delete one first"):
        saved.save(played("three"))
    saved.save(played("two"))


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_broken_file_is_said_and_the_others_are_there(saved: SavedPieces, cut: int) -> None:
    broken, whole = saved.save(played("one")), saved.save(played("two"))
    path = saved_files.path_of(saved.folder, broken.id)
    path.write_bytes(path.read_bytes()[:cut])
    with log_lines() as lines:
        assert loaded(saved).listing() == [whole]
    assert len(lines) == 1
    assert f"the saved piece {path} is damaged" in lines[0]
    assert path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"\xff",
        b"[" * 9999,
        msgspec.json.encode({"name": "+5", "saved_at": "", "packed": b""}),
    ],
)
def test_foreign_files_are_no_pieces(saved: SavedPieces, content: bytes) -> None:
    saved.folder.mkdir()
    (saved.folder / "17.json").write_bytes(content)
    (saved.folder / ".17.json.part").write_bytes(content)
    (saved.folder / "notes.json").write_bytes(content)
    with log_lines() as lines:
        assert loaded(saved).listing() == []
    assert len(lines) == 1


def test_a_full_disk_is_said_and_changes_nothing(
    saved: SavedPieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved_files, "write_atomically", full)
    with pytest.raises(BachboxError, match="No space left on device"):
        saved.save(played("one"))
    assert saved.listing() == []
