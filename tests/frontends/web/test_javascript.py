"""Unit tests of the page's JavaScript, in ``js/``, run by node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from appliance.frontends.web.static_files import STATIC

TESTS = Path(__file__).parent / "js"

TIMEOUT_S = 120.0


def test_javascript_units(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "node is not installed: run `make test`, which installs it"
    # Older versions of node take a .js file for a module only if a package.json says so.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copytree(STATIC, tmp_path / "static")
    shutil.copytree(TESTS, tmp_path / "js")
    result = subprocess.run(
        [node, "--test", *sorted(f"js/{path.name}" for path in TESTS.iterdir())],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
