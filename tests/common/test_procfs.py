from __future__ import annotations

import os
import subprocess
import sys

from appliance.common.procfs import read_stat


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
