"""The queries in sql/: each is named in the product, each that the product names is there, and none is in Python."""

from __future__ import annotations

import ast
import re
from importlib.resources import files
from pathlib import Path

import epoch_sql
from epoch_sql import render

_PACKAGE = Path(str(files(epoch_sql)))
_FILES = sorted(p.name.removesuffix(".sql") for p in files("epoch_sql.sql").iterdir() if p.name.endswith(".sql"))
_NAME = re.compile(r"(\w+)\.(\w*)")
_STATEMENT = re.compile(
    r"[\s({}]*(SELECT|WITH|FROM|WHERE|VALUES|INSERT|DELETE|UPDATE|MERGE|CREATE|DROP|ALTER|COMMENT|ATTACH|DETACH|COPY|SET|USE"
    r"|DESCRIBE|TRUNCATE|EXPORT|IMPORT|LOAD|CALL|PREPARE|EXECUTE|BEGIN|COMMIT|CHECKPOINT)\s"
)


def named() -> tuple[set[str], set[str]]:
    """The queries that the product names, and the beginnings of names that it completes."""
    whole, begun = set(), set()
    for path in _PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                found = _NAME.fullmatch(str(node.values[0].value))
                if found and found[1] in _FILES:
                    begun.add(found[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = _NAME.fullmatch(node.value)
                if found and found[1] in _FILES and found[2]:
                    whole.add(node.value)
    return whole, begun


def rendered() -> set[str]:
    """The queries that calls of ``render`` and ``load`` name."""
    found = set()
    for path in _PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("render.render", "render.load") and node.args:
                named = node.args[0]
                found |= {named.value} if isinstance(named, ast.Constant) else set()
    return {str(name) for name in found}


def test_each_query_has_a_name_and_a_use() -> None:
    whole, begun = named()
    stored = {f"{file}.{query}" for file in _FILES for query in render.queries(file)}
    unused = {name for name in stored - whole if not name.startswith(tuple(begun))}
    assert not unused
    assert not {name for name in rendered() if name not in stored}


def test_a_file_holds_the_queries_of_one_concern() -> None:
    assert len(_FILES) <= 30
    for file in _FILES:
        text = files("epoch_sql.sql").joinpath(f"{file}.sql").read_text(encoding="utf-8")
        names = re.findall(r"^-- name: (\w+)$", text, re.MULTILINE)
        assert names and len(names) == len(set(names)) == len(render.queries(file)), file
        assert text.startswith("-- name: "), file


def test_a_statement_in_python_is_on_one_line() -> None:
    found = {}
    for path in [*_PACKAGE.rglob("*.py"), *Path(str(files("epoch_sql.cli"))).rglob("*.py")]:
        parsed = ast.parse(path.read_text(encoding="utf-8"))
        texts = {node.value for node in ast.walk(parsed) if isinstance(node, ast.Expr)}
        for node in ast.walk(parsed):
            text = _text(node)
            if text and _STATEMENT.match(text) and node not in texts and node.end_lineno != node.lineno:
                found[f"{path.name}:{node.lineno}"] = text
    assert not found


def _text(node: ast.AST) -> str:
    """A string, with ``{}`` for what it is completed by."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
