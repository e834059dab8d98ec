"""``bachbox check``: what is read of a file, by which models, and why not by the others."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from appliance.cli.check import check
from appliance.music.codecs.abc import reader
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.text import TuneText
from appliance.offline import score_check
from tests.support import scores

DATA = Path(__file__).parents[1] / "data"
TUNE = DATA / "abc" / "good.abc"
HYMN = DATA / "brought" / "closed_satb.musicxml"
FAR = DATA / "brought" / "far.mid"


def reports(*paths: Path, exit_code: int = 0) -> list[dict[str, Any]]:
    shown = CliRunner().invoke(check, [*map(str, paths), "--json"], standalone_mode=False)
    assert shown.exception is None
    assert shown.return_value == exit_code
    found: list[dict[str, Any]] = json.loads(shown.stdout)
    return found


def usable_by(report: dict[str, Any]) -> list[str]:
    return [verdict["model"] for verdict in report["models"] if verdict["usable"]]


def test_each_model_takes_its_kind_of_music() -> None:
    tune, hymn = reports(TUNE, HYMN)
    assert usable_by(tune) == ["folk", "keyboard", "strings"]
    assert usable_by(hymn) == ["chorales", "keyboard", "strings"]
    assert (hymn["parts"], hymn["notes"], hymn["quarters"], hymn["meters"]) == (4, 128, 32, ["4/4"])
    (refused,) = [verdict for verdict in hymn["models"] if not verdict["usable"]]
    assert refused["reason"] == "a model of tunes takes an ABC file only"


def test_names_that_are_not_utf_8_or_have_two_lines_are_shown(tmp_path: Path) -> None:
    for name in (b"K\xf6chel\n1.mid", b"\xff.mxl", b"\xe9.sf2"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.write_bytes((DATA / "brought" / "plain.mid").read_bytes())
    good, bad = reports(tmp_path, exit_code=1)
    assert good["path"] == f"{tmp_path}/K?chel?1.mid"
    assert bad["path"] == f"{tmp_path}/?.mxl"
    (font,) = reports(path, exit_code=1)
    assert font["path"] == f"{tmp_path}/?.sf2"
    assert "/?.sf2 is not a soundfont" in font["reason"]
    shown = CliRunner().invoke(check, [str(tmp_path)], standalone_mode=False).stdout
    assert "/K?chel?1.mid: 4 parts" in shown


def test_a_file_that_no_model_can_use_makes_the_command_fail() -> None:
    (report,) = reports(FAR, exit_code=1)
    assert not report["readable"]
    assert "look for a stray note" in report["reason"]


def test_a_book_of_tunes_says_which_of_them_cannot_be_used(tmp_path: Path) -> None:
    book = tmp_path / "book.abc"
    book.write_text(scores.tune(1) + scores.tune(2, "Cut").replace(":|", "|CDE") + scores.tune(3))
    (report,) = reports(book)
    assert report["tunes"] == 3
    (left_out,) = report["tunes_left_out"]
    assert left_out.startswith("tune 2 (Cut): line ")


def test_a_book_that_no_model_can_start_from_says_what_can_be_used_for_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_OPENING_CHARACTERS", 1)
    book = tmp_path / "book.abc"
    book.write_text("X:1\nT:A list\n\n" + scores.tune(2))
    (report,) = reports(book, exit_code=1)
    assert (report["readable"], report["reason"]) == (
        False,
        "it has no line K: (such as K:C), which its notes follow",
    )
    assert (report["tunes"], len(report["tunes_left_out"])) == (2, 1)
    shown = CliRunner().invoke(check, [str(book)], standalone_mode=False).stdout
    assert "  1 of 2 tunes cannot be used for training:\n    tune 1 (A list): it has no" in shown


def test_of_a_large_book_the_beginning_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the time that a file takes does not grow with its size."""
    parsed: list[str] = []
    parse = reader.parse

    def counted(tune: TuneText, name: str = "", **options: Any) -> AbcScore:
        parsed.append(name)
        return parse(tune, name, **options)

    tune = scores.tune(1)
    monkeypatch.setattr(reader, "parse", counted)
    monkeypatch.setattr(score_check, "MAX_TRIED_CHARACTERS", 3 * len(tune))
    book = tmp_path / "book.abc"
    book.write_text(tune * 50)
    (report,) = reports(book)
    assert (report["tunes"], report["tunes_untried"]) == (3, 47)
    assert len(parsed) == 4, "the first one is read as an opening, too"
    shown = CliRunner().invoke(check, [str(book)], standalone_mode=False).stdout
    assert "only the first 3 of 50 tunes were tried" in shown


def test_what_a_model_leaves_out_stands_with_it() -> None:
    (report,) = reports(DATA / "brought" / "pedal.mid")
    assert "the pedal was taken as length" in report["notices"]
    assert all("the pedal was taken as length" not in v["notices"] for v in report["models"])


def test_folders_are_searched_and_other_files_counted(tmp_path: Path) -> None:
    scores.folder(tmp_path / "deep" / "folder", 3)
    shutil.copy(HYMN, tmp_path)
    (tmp_path / "cover.jpg").write_bytes(b"")
    shown = CliRunner().invoke(check, [str(tmp_path)], standalone_mode=False)
    assert shown.return_value == 0
    last = shown.stdout.splitlines()[-1]
    assert last == (
        "4 of 4 files can be used by a model; 1 other files in the folders are not scores"
    )


@pytest.mark.parametrize("name", ["none.mid", "letter.txt"])
def test_files_that_are_not_there_or_no_scores_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    shown = CliRunner().invoke(check, [str(tmp_path / name)], standalone_mode=False)
    assert shown.return_value == 1
    assert f"{tmp_path / name}: cannot be read: cannot read" in shown.stdout
