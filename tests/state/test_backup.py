"""A backup brings back settings, scenes and pieces; a damaged or foreign file changes nothing."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.common.atomic_write import write_atomically
from appliance.errors import BachboxError, UsageError
from appliance.state import backup_file
from appliance.state.backup import Backups
from appliance.state.saved_pieces import MAX_PIECES, SavedPieces
from appliance.state.scenes import MAX_OWN_SCENES, Scenes
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from appliance.state.store import UNFINISHED_RESTORE, Store
from tests.support.log_lines import log_lines
from tests.workers.test_saved_pieces import record

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)


class Box:
    """What a box keeps in ``folder``; another one there is the box after a restart."""

    def __init__(self, folder: Path, *models: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.settings = Settings(
            RequestedSettings(model="chorales"),
            lambda: models or ("chorales", "folk"),
            lambda _: DEFAULTS,
        )
        self.store = Store(folder / "settings.json")
        self.scenes = Scenes(folder / "scenes.json", self.settings)
        self.saved = SavedPieces(folder / "pieces")
        self.saved.load()
        self.settings.add_names("saved_piece", self.saved.names)
        self.store.restore(self.settings)
        self.settings.observe(lambda requested, changed: self.store._note(requested, changed))
        self.backups = Backups(folder, self.settings, self.store, self.scenes, self.saved)

    def restore(self, packed: bytes) -> tuple[str, list[str]]:
        return asyncio.run(self.backups.restore(packed))

    def content(self) -> object:
        """All that a person sees of what is kept."""
        pieces = sorted((piece.name, piece.played_at) for piece in self.saved.listing())
        return self.settings.requested, self.scenes.own(), pieces


def kept_box(folder: Path) -> Box:
    """A box in which somebody has set, kept and saved something."""
    box = Box(folder)
    box.settings.change_all({"tempo": 96, "model": "folk", "playing": False})
    box.scenes.save("Tea time", {"tempo": 60})
    box.saved.save(record(played_at="one"), "First")
    box.saved.save(record(played_at="two"), "Second")
    return box


@pytest.fixture
def packed(tmp_path: Path) -> bytes:
    return kept_box(tmp_path / "kept").backups.make()


def test_a_new_box_becomes_as_the_old_one_was_and_plays_on(tmp_path: Path, packed: bytes) -> None:
    box = Box(tmp_path / "new")
    assert box.restore(packed) == (
        "2 settings, 1 scene and 2 saved pieces, 2 of them new here", []
    )  # fmt: skip
    for now in (box, Box(box.folder)):
        assert (now.settings.requested.tempo, now.settings.requested.model) == (96, "folk")
        # It played, and it plays.
        assert now.settings.requested.playing
        assert now.scenes.own() == {"Tea time": {"tempo": 60}}
        assert [piece.name for piece in now.saved.listing()] == ["Second", "First"]
        first = now.saved.find("First")
        assert now.saved.record(first.id) == record(played_at="one")
    old = Box(tmp_path / "kept")
    assert [p.id for p in box.saved.listing()] == [p.id for p in old.saved.listing()]
    assert not (box.folder / UNFINISHED_RESTORE).exists()


def test_nothing_that_is_only_here_is_lost(tmp_path: Path, packed: bytes) -> None:
    box = Box(tmp_path / "kept")
    box.settings.change_all({"volume": 12, "tempo": 50, "playing": True})
    box.scenes.save("Supper", {"tempo": 70})
    box.scenes.save("TEA TIME", {"tempo": 61})
    box.saved.rename(box.saved.find("First").id, "Renamed")
    box.saved.save(record(played_at="three"), "Third")
    said, problems = box.restore(packed)
    assert said.endswith(", 0 of them new here")
    assert problems == []
    now = box.settings.requested
    # What the backup does not have is as the config says.
    assert (now.tempo, now.volume, now.playing) == (96, RequestedSettings(model="").volume, True)
    assert box.scenes.own() == {"Supper": {"tempo": 70}, "Tea time": {"tempo": 60}}
    assert {piece.name for piece in box.saved.listing()} == {"Renamed", "Second", "Third"}


def test_another_piece_under_the_same_number_keeps_it(tmp_path: Path, packed: bytes) -> None:
    box = Box(tmp_path / "new")
    taken = box.saved.save(record(played_at="other"), "First")
    content = backup_file.unpack(packed)
    (first, second) = content.pieces.values()
    box.restore(
        backup_file.pack(
            msgspec.structs.replace(content, pieces={str(taken.id): first, "7": second})
        )
    )
    assert box.saved.get(taken.id) == taken
    assert {piece.name for piece in box.saved.listing()} == {"First", "First (2)", "Second"}


def test_what_this_box_lacks_is_said_and_the_rest_restored(tmp_path: Path, packed: bytes) -> None:
    content = backup_file.unpack(packed)
    newer = content.settings | {"brightness": 3, "volume": 1e9}
    box = Box(tmp_path / "new", "chorales")
    _, problems = box.restore(backup_file.pack(msgspec.structs.replace(content, settings=newer)))
    assert len(problems) == 3
    for word in ("brightness", "folk", "volume"):
        assert word in " ".join(problems)
    assert set(box.store.stored) == {"tempo"}
    assert (box.settings.requested.tempo, box.settings.requested.model) == (96, "chorales")


@given(data=st.data())
def test_damage_anywhere_is_refused_and_changes_nothing(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packed = _packed(tmp_path_factory)
    at = data.draw(st.integers(0, len(packed) - 2))
    damaged = data.draw(
        st.sampled_from(
            [packed[:at], packed[:at] + bytes([packed[at] ^ 0x15]) + packed[at + 1 :], packed[at:]]
        )
    )
    if damaged in (packed, packed[:-1]):
        return
    try:
        found = backup_file.unpack(damaged)
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        # In the version, which nothing depends on.
        assert found == backup_file.unpack(packed)


_kept: list[bytes] = []


def _packed(factory: pytest.TempPathFactory) -> bytes:
    if not _kept:
        _kept.append(kept_box(factory.mktemp("kept")).backups.make())
    return _kept[0]


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_other_file_is_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(UsageError, match="not a backup of a Bachbox"):
        backup_file.unpack(content)


def test_refused_files_change_nothing(tmp_path: Path, packed: bytes) -> None:
    content = backup_file.unpack(packed)
    (piece, _) = content.pieces.values()
    replace = msgspec.structs.replace
    newer = msgspec.json.decode(packed) | {"bachbox_backup": 2, "version": "9.0"}
    scenes = {f"Scene {n}": {"tempo": 60.0} for n in range(MAX_OWN_SCENES)}
    box = Box(tmp_path / "new")
    box.scenes.save("Mine", {"tempo": 60})
    before = box.content()
    for file, sentence in (
        (b"", "not a backup"),
        (b'{"tempo": 96}', "not a backup"),
        (packed.replace(b"Tea time", b"Tea tome"), "it has changed since it was made"),
        (msgspec.json.encode(newer), "Bachbox 9.0 made this backup in format 2"),
        (backup_file.pack(replace(content, pieces={"x": piece})), "no number"),
        (backup_file.pack(replace(content, pieces={"1": replace(piece, packed=b"")})), "damaged"),
        (backup_file.pack(replace(content, scenes={"none": {}})), "cannot be the name"),
        (backup_file.pack(replace(content, scenes=scenes)), "51 scenes of your own"),
    ):
        with pytest.raises(UsageError, match=sentence):
            box.restore(file)
        assert box.content() == Box(box.folder).content() == before
        assert not (box.folder / UNFINISHED_RESTORE).exists()


def test_too_many_pieces_are_refused(
    tmp_path: Path, packed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.state.saved_pieces.MAX_PIECES", 2)
    assert MAX_PIECES > 2
    box = Box(tmp_path / "new")
    box.saved.save(record(played_at="other"), "Mine")
    before = box.content()
    with pytest.raises(UsageError, match="there would be 3 saved pieces"):
        box.restore(packed)
    assert box.content() == Box(box.folder).content() == before


def test_a_full_disk_changes_nothing(
    tmp_path: Path, packed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Box(tmp_path / "new")
    before = box.content()
    writes = [0]

    def full(path: Path, content: bytes, mode: int = 0o666) -> None:
        writes[0] += 1
        if writes[0] > 1:
            raise OSError(28, "No space left on device")
        write_atomically(path, content, mode)

    monkeypatch.setattr("appliance.state.saved_files.write_atomically", full)
    with pytest.raises(BachboxError, match="No space left"):
        box.restore(packed)
    assert writes[0] == 2
    assert box.content() == Box(box.folder).content() == before


@pytest.mark.parametrize("after", ["nothing", "the scenes", "a piece", "the settings"])
def test_a_pulled_plug_is_finished_at_the_next_start(
    tmp_path: Path, packed: bytes, after: str
) -> None:
    whole = Box(tmp_path / "whole")
    whole.restore(packed)
    box = Box(tmp_path / "new")
    # What the disk holds when the plug is pulled.
    (box.folder / UNFINISHED_RESTORE).write_bytes(packed)
    if after != "nothing":
        shutil.copy(whole.folder / "scenes.json", box.folder)
    if after in ("a piece", "the settings"):
        (box.folder / "pieces").mkdir()
        shutil.copy(min((whole.folder / "pieces").iterdir()), box.folder / "pieces")
    if after == "the settings":
        shutil.copy(whole.folder / "settings.json", box.folder)
    again = Box(box.folder)
    with log_lines() as logged:
        again.backups.finish_interrupted()
    assert "finished" in logged[0]
    for now in (again, Box(box.folder)):
        assert now.content() == whole.content()
    assert not (box.folder / UNFINISHED_RESTORE).exists()
