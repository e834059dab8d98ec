from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from appliance.common.procfs import read_stat, text_of


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
