"""The history: pieces are downloaded, and rendered again note for note."""

from __future__ import annotations

import contextlib
import http.client
import time
from pathlib import Path
from typing import Any

import mido
from playwright.sync_api import expect

from appliance.music.files import piece_embedding
from tests.support import audio_analysis
from tests.support.browser import chromium, page
from tests.support.command import bachbox
from tests.support.priority import hurry_children
from tests.support.web_server import WebBox, eventually

MIN_LIKENESS = 0.9

SECOND_HOPS = audio_analysis.RATE // audio_analysis.HOP_FRAMES
PART_HOPS = 2 * SECOND_HOPS
"""So much is compared at a time."""

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


def download(one: WebBox, number: int, kind: str, folder: Path) -> Path:
    answer = one.request("GET", f"/api/pieces/{number}.{kind}")
    assert answer.status == 200, answer
    assert f".{kind}" in str(answer.headers["Content-Disposition"])
    path = folder / f"taken.{kind}"
    path.write_bytes(answer.body)
    return path


def test_piece_with_changed_settings_is_rendered_as_heard(box: WebBox, tmp_path: Path) -> None:
    stream = tmp_path / "heard.wav"
    first = box.get("/api/pieces")["pieces"]
    assert not first or first[0]["playing"]
    connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)
    with contextlib.closing(connection), stream.open("wb") as file:
        connection.request("GET", "/stream.wav")
        response = connection.getresponse()
        started = time.monotonic()
        turns: list[tuple[int, dict[str, Any]]] = [
            (3, {"temperature": 2.5}), (6, {"tempo": 100}), (9, {"instrument": "Flute"})
        ]  # fmt: skip
        while (now := time.monotonic() - started) < 13:
            file.write(response.read1(65536))
            if turns and now > turns[0][0]:
                box.set(**turns.pop(0)[1])
    box.request("POST", "/api/actions/next_piece")
    eventually(lambda: any(not piece["playing"] for piece in box.get("/api/pieces")["pieces"]))
    about = next(piece for piece in box.get("/api/pieces")["pieces"] if not piece["playing"])
    assert not about["complete"]
    files = {
        kind: download(box, about["id"], kind, tmp_path) for kind in ("mid", "wav", "musicxml")
    }
    wanted = notes(files["mid"])
    assert len(wanted) == about["notes"]
    for kind, path in files.items():
        again = tmp_path / f"again-{kind}.mid"
        result = bachbox("render", "--replay", path, again, env=box.env)
        assert result.code == 0, result.err
        assert notes(again) == wanted, kind
        assert again.read_bytes() == files["mid"].read_bytes()
    recorded = audio_analysis.picture(
        audio_analysis.music(audio_analysis.raw(stream.read_bytes()[44:]))
    )
    played = audio_analysis.picture(audio_analysis.wav(files["wav"]))
    found = [
        audio_analysis.likeness(recorded[start : start + PART_HOPS], played)[0]
        for start in range(0, len(recorded) - PART_HOPS + 1, SECOND_HOPS)
    ]
    # A busy machine leaves something out of the stream, and a part with such a gap is unlike.
    alike = [likeness for likeness in found if likeness > MIN_LIKENESS]
    assert len(alike) > 0.75 * len(found) > 0, f"changed settings must be in the file, too: {found}"


def test_replay_with_other_tempo_keeps_notes(box: WebBox, tmp_path: Path) -> None:
    eventually(lambda: box.get("/api/pieces")["pieces"])
    piece = box.get("/api/pieces")["pieces"][0]
    taken = download(box, piece["id"], "mid", tmp_path)
    other = tmp_path / "other.mid"
    result = bachbox("render", "--replay", taken, other, "--tempo", 60, env=box.env)
    assert result.code == 0, result.err
    assert notes(other) == notes(taken)
    even = tmp_path / "even.mid"
    options = ("--tempo", 60, "--expression", 0)
    assert bachbox("render", "--replay", taken, even, *options, env=box.env).code == 0
    tempos = {m.tempo for m in mido.MidiFile(even).tracks[0] if m.type == "set_tempo"}
    # A slow or quick piece keeps its relation to the tempo that is set.
    about = piece_embedding.read(taken).piece
    assert tempos == {mido.bpm2tempo(60 * about.tempo_permille / 1000)}
    for change in ("--seed", "--pieces", "--seconds"):
        refused = bachbox("render", "--replay", taken, other, change, 1, env=box.env)
        refused.is_one_sentence(2, change, "combined")


def test_rendered_file_can_be_replayed(box: WebBox, tmp_path: Path) -> None:
    names = [tmp_path / f"one.{kind}" for kind in ("mid", "wav", "musicxml")]
    result = bachbox("render", *names, "--pieces", 1, "--seed", 7, env=box.env)
    assert result.code == 0, result.err
    for path in names:
        again = tmp_path / "again.mid"
        assert bachbox("render", "--replay", path, again, env=box.env).code == 0
        assert notes(again) == notes(names[0])


def test_missing_piece_is_404(box: WebBox) -> None:
    for path in ("/api/pieces/99999.mid", "/api/pieces/1.mp3", "/api/pieces/x.mid"):
        answer = box.request("GET", path)
        assert answer.status == 404
        assert "error" in answer.json


def test_save_button_offers_files(box: WebBox, tmp_path: Path) -> None:
    eventually(lambda: box.get("/api/pieces")["pieces"])
    with chromium() as browser, page(browser, box.url, accept_downloads=True) as one:
        hurry_children()
        one.click("#save")
        files = one.locator("#saved-pieces li a[download]")
        expect(files).to_have_count(3)
        with one.expect_download() as coming:
            files.first.click()
        path = tmp_path / coming.value.suggested_filename
        coming.value.save_as(path)
        assert path.suffix == ".mid"
        assert notes(path)
