"""Keep it: what was liked is taken home, and played again there note for note."""

from __future__ import annotations

import contextlib
import http.client
import time
from pathlib import Path
from typing import Any

import mido
import pytest
from playwright.sync_api import expect

from tests.support import audio_analysis
from tests.support.browser import chromium, page
from tests.support.command import bachbox
from tests.support.priority import hurry_children
from tests.support.web_server import House, eventually

ALIKE = 0.9

Notes = list[tuple[int, int, int, int]]


def notes(path: Path) -> Notes:
    """Tick, channel, pitch and velocity of every note of a MIDI file."""
    found = []
    for track in mido.MidiFile(path).tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on":
                found.append((tick, message.channel, message.note, message.velocity))
    return sorted(found)


def download(one: House, number: int, kind: str, folder: Path) -> Path:
    answer = one.ask("GET", f"/api/pieces/{number}.{kind}")
    assert answer.status == 200, answer
    assert f".{kind}" in str(answer.headers["Content-Disposition"])
    path = folder / f"taken.{kind}"
    path.write_bytes(answer.body)
    return path


def test_a_piece_with_turns_in_it_is_played_again_as_it_was_heard(
    kitchen: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = tmp_path / "heard.wav"
    first = kitchen.get("/api/pieces")["pieces"]
    assert not first or first[0]["playing"]
    connection = http.client.HTTPConnection("127.0.0.1", kitchen.port, timeout=30)
    with contextlib.closing(connection), stream.open("wb") as file:
        connection.request("GET", "/stream.wav")
        response = connection.getresponse()
        begun = time.monotonic()
        turns: list[tuple[int, dict[str, Any]]] = [
            (3, {"temperature": 2.5}), (6, {"tempo": 100}), (9, {"instrument": "Flute"})
        ]  # fmt: skip
        while (now := time.monotonic() - begun) < 13:
            file.write(response.read1(65536))
            if turns and now > turns[0][0]:
                kitchen.set(**turns.pop(0)[1])
    kitchen.ask("POST", "/api/actions/next_piece")
    eventually(lambda: any(not piece["playing"] for piece in kitchen.get("/api/pieces")["pieces"]))
    about = next(piece for piece in kitchen.get("/api/pieces")["pieces"] if not piece["playing"])
    assert not about["complete"]
    files = {
        kind: download(kitchen, about["id"], kind, tmp_path) for kind in ("mid", "wav", "musicxml")
    }
    wanted = notes(files["mid"])
    assert len(wanted) == about["notes"]
    for kind, path in files.items():
        again = tmp_path / f"again-{kind}.mid"
        said = bachbox("render", "--replay", path, again, env=kitchen.env)
        assert said.code == 0, said.err
        assert notes(again) == wanted, kind
        assert again.read_bytes() == files["mid"].read_bytes()
    heard = audio_analysis.picture(
        audio_analysis.music(audio_analysis.raw(stream.read_bytes()[44:]))
    )
    played = audio_analysis.picture(audio_analysis.wav(files["wav"]))
    alike, _ = audio_analysis.likeness(heard[: len(played) - 30][:180], played)
    with capsys.disabled():
        print(f"\nlikeness of what was heard to what was taken home: {alike:.3f}")
    assert alike > ALIKE, "what was turned is turned there, too"


def test_another_instrument_or_tempo_may_be_said_and_nothing_about_the_notes(
    kitchen: House, tmp_path: Path
) -> None:
    eventually(lambda: kitchen.get("/api/pieces")["pieces"])
    piece = kitchen.get("/api/pieces")["pieces"][0]
    taken = download(kitchen, piece["id"], "mid", tmp_path)
    other = tmp_path / "other.mid"
    said = bachbox("render", "--replay", taken, other, "--tempo", 60, env=kitchen.env)
    assert said.code == 0, said.err
    assert notes(other) == notes(taken)
    tempos = [m.tempo for m in mido.MidiFile(other).tracks[0] if m.type == "set_tempo"]
    assert tempos[0] == 1_000_000
    for wish in ("--seed", "--pieces", "--seconds"):
        refused = bachbox("render", "--replay", taken, other, wish, 1, env=kitchen.env)
        refused.is_one_sentence(2, wish, "exclude")


def test_one_rendered_piece_is_kept_in_its_files(kitchen: House, tmp_path: Path) -> None:
    names = [tmp_path / f"one.{kind}" for kind in ("mid", "wav", "musicxml")]
    said = bachbox("render", *names, "--pieces", 1, "--seed", 7, env=kitchen.env)
    assert said.code == 0, said.err
    for path in names:
        again = tmp_path / "again.mid"
        assert bachbox("render", "--replay", path, again, env=kitchen.env).code == 0
        assert notes(again) == notes(names[0])


def test_what_is_not_there_is_told(kitchen: House) -> None:
    for path in ("/api/pieces/99999.mid", "/api/pieces/1.mp3", "/api/pieces/x.mid"):
        answer = kitchen.ask("GET", path)
        assert answer.status == 404
        assert "error" in answer.json


def test_the_button_shows_the_piece_with_its_files(kitchen: House, tmp_path: Path) -> None:
    eventually(lambda: kitchen.get("/api/pieces")["pieces"])
    with chromium() as browser, page(browser, kitchen.url, accept_downloads=True) as one:
        hurry_children()
        one.click("#like")
        links = one.locator("#keepsakes .liked a")
        expect(links).to_have_count(3)
        expect(links.first).to_be_focused()
        with one.expect_download() as coming:
            links.first.click()
        path = tmp_path / coming.value.suggested_filename
        coming.value.save_as(path)
        assert path.suffix == ".mid"
        assert notes(path)
