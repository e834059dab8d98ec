"""Unit tests of the page's JavaScript, in ``js/``, run by node."""

from __future__ import annotations

from pathlib import Path

from tests.support.javascript import node_tests


def test_javascript_units(tmp_path: Path) -> None:
    result = node_tests(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
