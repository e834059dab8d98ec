"""Saved pieces, scenes and melodies over HTTP: kept, listed, renamed, played, deleted."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import threading
from pathlib import Path

from appliance.music.files import piece_embedding
from tests.support.scores import melody
from tests.support.web_server import WebBox, eventually


def test_a_piece_is_kept_and_played_again(box: WebBox, tmp_path: Path) -> None:
    assert box.get("/api/saved")["pieces"] == []
    box.set(tempo=240)
    # So long that on a busy machine it still plays when it is asked for.
    eventually(lambda: box.get("/api/now")["bar"] >= 8)
    # Two people press the button at once.
    presses = [
        threading.Thread(target=box.request_json, args=("POST", "/api/saved", {"name": ""}))
        for _ in range(2)
    ]
    for press in presses:
        press.start()
    for press in presses:
        press.join()
    (piece,) = box.get("/api/saved")["pieces"]
    path = f"/api/saved/{piece['id']}"
    assert not piece["complete"]
    # Once it is over, all that was heard of it is kept: more than when the button was pressed.
    bar = box.get("/api/now")["bar"]
    eventually(lambda: box.get("/api/now")["bar"] not in (bar, bar + 1))
    box.request_json("POST", "/api/actions/next_piece")
    eventually(lambda: box.get("/api/saved")["pieces"][0]["notes"] > piece["notes"])
    renamed = box.request_json("PATCH", path, {"name": "Tea <time>"})
    assert (renamed["id"], renamed["name"]) == (piece["id"], "Tea <time>")
    (tmp_path / "taken.mid").write_bytes(box.request("GET", f"{path}.mid").body)
    taken = piece_embedding.read(tmp_path / "taken.mid")
    assert (taken.note_count, taken.seed) == (renamed["notes"], 5)
    box.request_json("POST", f"{path}/play")
    eventually(lambda: box.get("/api/now")["saved"] == piece["id"])
    # It is kept already.
    assert box.request_json("POST", "/api/saved", {})["id"] == piece["id"]
    assert box.settings["saved_piece"] == "Tea <time>"
    assert box.request_json("DELETE", path)["pieces"] == []
    for method, gone in (("DELETE", path), ("POST", f"{path}/play"), ("GET", f"{path}.mid")):
        assert box.request(method, gone).status == 404
    eventually(lambda: box.get("/api/now")["saved"] == 0)
    eventually(lambda: box.settings["saved_piece"] == "none")


def test_what_cannot_be_saved_is_said(box: WebBox) -> None:
    for content in ({"id": 10**6}, {"name": "none"}, {"name": "+5"}, {"name": "x" * 61}):
        answer = box.request("POST", "/api/saved", content)
        assert answer.status == 422
        assert answer.json["error"]


def test_scenes(box: WebBox) -> None:
    names = [scene["name"] for scene in box.get("/api/scenes")["scenes"]]
    assert len(names) == 5
    answer = box.request_json("PATCH", "/api/settings", {"scene": names[0]})
    assert (answer["values"]["scene"], answer["warnings"]) == (names[0], [])
    kept = box.request_json("POST", "/api/scenes", {"name": "Früh & spät"})
    assert (kept["scenes"][-1]["name"], kept["current"]) == ("Früh & spät", "Früh & spät")
    other = {"name": "Loud", "settings": {"volume": 90, "tempo": "default"}}
    assert box.request_json("POST", "/api/scenes", other)["current"] == "Früh & spät"
    assert box.set(scene="loud")["volume"] == 90
    assert (
        box.request("POST", "/api/scenes", {"name": "Bad", "settings": {"tempo": 1}}).status == 422
    )
    assert box.request("DELETE", "/api/scenes/Village%20dance").status == 422
    box.request_json("DELETE", "/api/scenes/Fr%C3%BCh%20%26%20sp%C3%A4t")
    left = box.request_json("DELETE", "/api/scenes/Loud")
    assert [scene["name"] for scene in left["scenes"]] == names
    assert left["current"] == "none"


def test_a_backup_is_taken_and_restored(box: WebBox) -> None:
    names = {scene["name"] for scene in box.get("/api/scenes")["scenes"]}
    box.request_json("POST", "/api/scenes", {"name": "Kept", "settings": {"tempo": 60}})
    taken = box.request("GET", "/api/backup")
    box.request_json("DELETE", "/api/scenes/Kept")
    answer = box.request_json("POST", "/api/backup", taken.json)
    assert answer["warnings"] == []
    assert "1 scene" in answer["restored"]
    assert {scene["name"] for scene in box.get("/api/scenes")["scenes"]} == names | {"Kept"}
    for content in (
        dict[str, str](),
        taken.json | {"sha256": ""},
        taken.json | {"bachbox_backup": 2},
    ):
        assert box.request("POST", "/api/backup", content).status == 422
    box.request_json("DELETE", "/api/scenes/Kept")


def test_a_melody_is_harmonised_kept_and_played(box: WebBox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=290)
    new = {"kind": "mid", "content": in_base64(melody([55, 69, 66, 67])), "name": "Mine"}
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/melodies", json.dumps(new), headers)
        answer = json.loads(connection.getresponse().read())
    piece = answer["piece"]
    assert (piece["name"], piece["title"]) == ("Mine", "Chorale in G major")
    assert answer["notices"] == [
        "the melody was transposed up by 1 octave into the range of a soprano"
    ]
    eventually(lambda: box.get("/api/now")["saved"] == piece["id"])
    box.request_json("DELETE", f"/api/saved/{piece['id']}")


def test_what_is_no_melody_is_said(box: WebBox) -> None:
    pieces = box.get("/api/saved")["pieces"]
    jig = {"kind": "mid", "content": in_base64(melody([67, 69, 71], (6, 8)))}
    answer = box.request("POST", "/api/melodies", jig)
    assert answer.status == 422
    assert answer.json["error"].startswith("its meter is 6/8")
    for wrong in ({"kind": "exe"}, {"content": "%"}, {"content": in_base64(bytes(1 << 20))}):
        assert box.request("POST", "/api/melodies", jig | wrong).status in (413, 422)
    assert box.get("/api/saved")["pieces"] == pieces


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
