"""What `make quality` keeps of its long jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.training.evaluate import job_cache


def test_a_job_is_done_once_for_the_same_parts(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return len(made)

    folder = tmp_path / "not there yet"
    assert job_cache.cached(folder, "job", (1.0, b"model"), make) == 1
    assert job_cache.cached(folder, "job", (1.0, b"model"), make) == 1
    assert job_cache.cached(folder, "job", (1.1, b"model"), make) == 2


def test_changed_code_makes_new_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert job_cache.cached(tmp_path, "job", (), lambda: 1) == 1
    monkeypatch.setattr(job_cache, "source_hash", lambda: "other")
    assert job_cache.cached(tmp_path, "job", (), lambda: 2) == 2
