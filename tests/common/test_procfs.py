from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from appliance.common.procfs import ran_s, read_stat, text_of


def test_own_process() -> None:
    stat = read_stat(os.getpid())
    assert stat is not None
    assert stat.state == "R"
    assert stat.rss_bytes > 1 << 20
    assert stat.cpu_s > 0


def test_a_process_that_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert read_stat(child.pid) is None


def test_a_file_of_the_kernel_is_text_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "status").write_bytes(b"okay\0\n")
    assert text_of(tmp_path / "status") == "okay"
    assert text_of(tmp_path / "gone") == ""
    assert text_of(tmp_path) == ""


def test_processes_that_share_a_core_run_half_of_the_time_each() -> None:
    core = {min(os.sched_getaffinity(0))}
    since = time.monotonic()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {core})\nwhile True: pass"]
        )
        for _ in range(2)
    ]
    try:
        deadline = time.monotonic() + 240
        while not all(ran_s(child.pid) > 0.5 for child in children):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ran = [ran_s(child.pid) for child in children]
        # Each may have run on another core until it chose this one.
        assert sum(ran) < time.monotonic() - since + 0.4
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert ran_s(children[0].pid) == 0
