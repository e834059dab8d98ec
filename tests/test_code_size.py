"""The limits that CONTRIBUTING.md sets: lines of a module, and of a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import appliance

PACKAGE: Final = Path(appliance.__file__).parent
MAX_MODULE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 60


def modules() -> Iterator[tuple[str, str]]:
    """Give path and source of every module of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), path.read_text()


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Give name and lines of every function, from its ``def`` to its last line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_module_is_too_long() -> None:
    lengths = {path: len(source.splitlines()) for path, source in modules()}
    assert len(lengths) > 100
    assert {p: lines for p, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}


def test_no_function_of_the_runtime_is_too_long() -> None:
    too_long = {
        (path, name): lines
        for path, source in modules()
        if not path.startswith("training/")
        for name, lines in functions(source)
        if lines > MAX_FUNCTION_LINES
    }
    assert too_long == {}
