"""What is played becomes a piece: composed aside, kept, and played."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from appliance.errors import UsageError
from appliance.frontends import render_process
from appliance.frontends.midi.piece_starter import PieceStarter
from appliance.music.files import midi_reader, piece_embedding
from appliance.music.notes import Note

NOTES = [Note(0, 480, 60), Note(480, 480, 64), Note(960, 480, 67), Note(1440, 480, 72)]


class ShelfOfOne:
    """A library that keeps and plays one piece."""

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.played: list[int] = []

    async def save_record(self, record: object, name: str = "") -> Any:
        self.kept.append(record)
        return type("Piece", (), {"id": 12})

    def play_piece(self, number: int) -> None:
        self.played.append(number)


def test_the_model_in_use_goes_on_from_the_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    primes = []

    async def render(*arguments: str | Path) -> list[str]:
        said.extend(map(str, arguments))
        primes.append(midi_reader.read(Path(arguments[3])))
        return []

    monkeypatch.setattr(render_process, "render", render)
    monkeypatch.setattr(piece_embedding, "read", lambda path: path.name)
    shelf = ShelfOfOne()
    asyncio.run(PieceStarter(cast(Any, shelf)).start(NOTES, "keyboard"))
    assert said[:3] == ["--model", "keyboard", "--prime"]
    assert said[4:6] == ["--pieces", "1"]
    assert primes[0].parts == (tuple(NOTES),)
    assert (shelf.kept, shelf.played) == (["piece.mid"], [12])


def test_a_model_that_cannot_go_on_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def render(*_arguments: str | Path) -> list[str]:
        raise UsageError("no")

    monkeypatch.setattr(render_process, "render", render)
    shelf = ShelfOfOne()
    with pytest.raises(UsageError):
        asyncio.run(PieceStarter(cast(Any, shelf)).start(NOTES, "keyboard"))
    assert not shelf.played


def test_chorales_are_given_the_notes_as_a_melody(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    async def render(*arguments: str | Path) -> list[str]:
        said.extend(map(str, arguments))
        return []

    monkeypatch.setattr(render_process, "render", render)
    monkeypatch.setattr(piece_embedding, "read", lambda path: path.name)
    shelf = ShelfOfOne()
    asyncio.run(PieceStarter(cast(Any, shelf)).start(NOTES, "chorales"))
    assert said[0] == "--melody"
    assert shelf.played == [12]
