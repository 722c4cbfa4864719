"""The syntax of the project's Python files, for tests of its structure. A process parses each file once."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

Nodes = tuple[ast.Import | ast.ImportFrom | ast.Call, ...]


def imports_and_calls(source: str) -> Nodes:
    """Return the import statements and the calls anywhere in ``source``, inside functions too."""
    return tuple(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
    )


@cache
def nodes_of(file: Path) -> Nodes:
    """Return the :func:`imports_and_calls` of a file."""
    return imports_and_calls(file.read_text())
