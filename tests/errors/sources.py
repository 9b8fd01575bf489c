"""The product's sources, parsed: what tests look for in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import epoch_sql
from epoch_sql.cli import main

# Where they are installed: in an editable installation, the commands are not below the library.
COMMANDS = Path(main.__file__).parent
SURFACES = {"harlequin.py"}
"""Modules that call Epoch in SQL, as its users do."""
LIBRARY = [
    source
    for source in Path(epoch_sql.__file__).parent.rglob("*.py")
    if COMMANDS not in source.parents and source.name not in SURFACES
]
SOURCES = [*LIBRARY, *COMMANDS.rglob("*.py")]


@cache
def parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))


def calls(source: Path) -> Iterator[ast.Call]:
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call):
            yield node


def called(call: ast.Call) -> str:
    return ast.unparse(call.func)


def texts(node: ast.AST) -> str:
    """The constant parts of a text."""
    return "".join(n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
