"""``bachbox render --melody``: your melody as the soprano of a chorale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.music.files import piece_embedding, score_reader
from tests.support.command import bachbox, home
from tests.support.scores import melody

TUNE = (71, 69, 66, 67)
"""A bar in G major, in quarters."""
TIMEOUT_S = 290.0
"""Eight drafts are four times the work of most commands here; a busy machine takes its time."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return home(tmp_path)


def test_every_file_has_the_melody_on_top_and_plays_again(
    env: dict[str, str], tmp_path: Path
) -> None:
    tune = tmp_path / "tune.mid"
    tune.write_bytes(melody(TUNE))
    outputs = [tmp_path / f"chorale.{kind}" for kind in ("musicxml", "mid", "wav")]
    options = ("--melody", tune, "--seed", 1, "--expression", 0, "--json")
    done = bachbox("render", *outputs, *options, env=env, timeout_s=TIMEOUT_S)
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["pieces"] == 1
    for path in outputs[:2]:
        parts = score_reader.read(path).parts
        assert len(parts) == 4
        top = max(parts, key=lambda part: sum(note.pitch for note in part) / len(part))
        assert [(n.start, n.pitch) for n in top] == [(480 * i, p) for i, p in enumerate(TUNE)]
        assert max(note.end for part in parts for note in part) == 4 * 480
    records = [piece_embedding.read(path) for path in outputs]
    assert records[0] == records[1] == records[2]
    assert records[0].title == "Chorale in G major, by Bachbox"
    assert records[0].note_count == facts["notes"]


def test_what_cannot_be_harmonised_is_said_in_a_sentence(
    env: dict[str, str], tmp_path: Path
) -> None:
    jig = tmp_path / "jig.mid"
    jig.write_bytes(melody(TUNE, (6, 8)))
    refused = bachbox("render", tmp_path / "a.mid", "--melody", jig, env=env)
    refused.is_one_sentence(2, str(jig), "its meter is 6/8")
    both = bachbox("render", tmp_path / "a.mid", "--melody", jig, "--pieces", 2, env=env)
    both.is_one_sentence(2, "--melody and --pieces cannot be combined")
    assert not (tmp_path / "a.mid").exists()
