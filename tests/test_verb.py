"""A verb is declared once: what its typed function says is what SQL, the library and the docs have."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest

import epoch_sql
from epoch_sql.extension.surface import VERBS
from epoch_sql.verb import Json, procedure, record_of, relation, rows_of, sql_type, with_warnings

DECORATORS = {"procedure", "reading", "query", "relation"}


@dataclass(frozen=True)
class Counts:
    """Two numbers."""

    added: int
    removed: int = 0


@dataclass(frozen=True)
class Told:
    """What a verb tells."""

    table: str
    kind: Literal["new", "old"] | None
    rows: Counts
    parts: list[Counts]
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_tell")
def tell(call: Any, table: str, *, into: str | None = None, often: int = 1, loud: bool = False) -> Told:
    """Tells of a table,
    in two lines.

    Raises nothing.

    Args:
        table: the table
        into: where it goes,
            if anywhere
        often: how often
        loud: whether it's loud
    """
    return Told(table, "new", Counts(often), [Counts(1, 2)])


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (str, "VARCHAR"),
        (bool, "BOOLEAN"),
        (int | None, "BIGINT"),
        (datetime, "TIMESTAMP"),
        (Json | None, "JSON"),
        (Literal["a", "b"], "VARCHAR"),
        (list[str], "VARCHAR[]"),
        (tuple[Counts, ...], "STRUCT(added BIGINT, removed BIGINT)[]"),
        (list[Told] | None, "STRUCT(table_name VARCHAR, kind VARCHAR, rows_added BIGINT, rows_removed BIGINT, "
         "parts STRUCT(added BIGINT, removed BIGINT)[], warnings VARCHAR[])[]"),
    ],
)  # fmt: skip
def test_types(hint: Any, expected: str) -> None:
    assert sql_type(hint) == expected


def test_parameters_and_description() -> None:
    assert tell.description == "Tells of a table, in two lines."
    assert [(p.name, p.python, p.type, p.default, p.description) for p in tell.parameters] == [
        ("table_name", "table", "VARCHAR", None, "the table"),
        ("target", "into", "VARCHAR", "NULL", "where it goes, if anywhere"),
        ("often", "often", "BIGINT", "1", "how often"),
        ("loud", "loud", "BOOLEAN", "false", "whether it's loud"),
    ]


def test_a_result_as_a_row_and_back() -> None:
    told = with_warnings(tell(None, "orders", often=3), ["careful"])
    row = {
        "table_name": "orders",
        "kind": "new",
        "rows_added": 3,
        "rows_removed": 0,
        "parts": [{"added": 1, "removed": 2}],
        "warnings": ["careful"],
    }
    assert (rows_of(told), rows_of([told, told]), rows_of(None)) == ([row], [row, row], [])
    assert list(row) == [column.name for column in tell.columns]
    assert tell.columns[1].values == ("new", "old")
    assert record_of(Told, list(row.values())).rows == Counts(3)


def test_a_method_has_the_signature_without_the_context() -> None:
    class Library:
        tell = tell

        def perform(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
            return verb(self, *args, **kwargs)

    method: Any = Library().tell
    assert str(method.__signature__).startswith("(table: 'str', *, into: 'str | None' = None, often")
    assert (method("orders").table, method.__doc__) == ("orders", tell.__doc__)
    with pytest.raises(TypeError, match="onto"):
        method("orders", onto="x")


def test_default_texts_are_quoted() -> None:
    @relation("epoch_quoted", also="its own")
    def quoted(call: Any, told: str = "it's") -> str:
        """Quoted."""
        return ""

    assert (quoted.parameters[0].default, quoted.columns) == ("'it''s'", ())


def test_each_verb_is_declared_once() -> None:
    declared: Counter[str] = Counter()
    for path in Path(epoch_sql.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in DECORATORS
                and node.args
            ):
                name = node.args[0]
                if isinstance(name, ast.Constant) and str(name.value).startswith("epoch_"):
                    declared[str(name.value)] += 1
    assert declared == Counter(verb.name for verb in VERBS)
    assert set(declared.values()) == {1} and len(declared) > 60
