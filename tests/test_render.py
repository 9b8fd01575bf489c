"""Names and constants in SQL: spelled as sqlglot spells them, and read by DuckDB as they were given."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest
from sqlglot import exp

from epoch_sql import render
from epoch_sql.model.schema import ObjectName
from epoch_sql.render import DATABASE, Sql
from epoch_sql.verb import Column

HOSTILE = [
    "a",
    "",
    " ",
    'a"b',
    '"',
    '""',
    "it's",
    "'",
    "''",
    "\\",
    "\\'",
    "a.b",
    "select",
    "🦆",
    "Mixed Case",
    "-- x",
    "\n",
    "{{a}}",
]


@pytest.mark.core
@pytest.mark.parametrize("name", [*filter(None, HOSTILE)])
def test_names_and_constants_are_spelled_as_by_sqlglot(name: str) -> None:
    quoted = exp.to_identifier(name, quoted=True)
    main = exp.to_identifier("main", quoted=True)
    table = exp.to_identifier("t", quoted=True)
    for text, expression in (
        (render.identifier(name), quoted),
        (render.column(name), exp.Column(this=quoted)),
        (
            render.column("c", name),
            exp.Column(this=exp.to_identifier("c", quoted=True), table=quoted),
        ),
        (render.table(ObjectName("main", name)), exp.Table(this=quoted, db=main)),
        (render.table(ObjectName("main", "t"), name), exp.Table(this=table, db=main, catalog=quoted)),
        (render.literal(name), exp.Literal.string(name)),
    ):
        assert text == expression.sql(dialect="duckdb")


@pytest.mark.core
@pytest.mark.parametrize("value", [0, 7, -7, 1 << 70, True, False, None])
def test_other_constants_are_spelled_as_by_sqlglot(value: int | bool | None) -> None:
    assert render.literal(value) == exp.convert(value).sql(dialect="duckdb")


@pytest.mark.core
@pytest.mark.parametrize("text", HOSTILE)
def test_duckdb_reads_a_constant_and_a_name_as_given(text: str) -> None:
    query = render.fill("SELECT {{v}} AS {{n}}", v=render.literal(text), n=render.identifier(text or "x"))
    result = duckdb.connect().execute(query)
    assert result.description is not None
    assert [column[0] for column in result.description] == [text or "x"]
    assert result.fetchall() == [(text,)]


@pytest.mark.core
def test_a_name_is_qualified_by_the_database() -> None:
    token = DATABASE.set('my "db"')
    try:
        assert render.fill("FROM {{t}}", t=render.table(ObjectName("s", "t"))) == 'FROM "my ""db"""."s"."t"'
        assert render.fill("FROM {{epoch}}.refs") == 'FROM "my ""db"""."epoch".refs'
    finally:
        DATABASE.reset(token)


@pytest.mark.core
def test_a_plain_string_is_refused() -> None:
    with pytest.raises(TypeError, match="not a SQL fragment"):
        render.fill("SELECT {{v}}", v="1; DROP TABLE orders")  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        render.fill("SELECT {{v}}")
    assert render.fill("SELECT {{v}}", v=Sql("1")) == "SELECT 1"


def test_sections_are_repeated_and_what_they_hold_is_no_placeholder() -> None:
    text = "SELECT 1{{#columns}}, {{value}}{{#named}} AS {{name}}{{/named}}{{/columns}}{{#where}} WHERE true{{/where}}"
    columns = [
        {"value": render.literal("{{value}}"), "named": True, "name": render.identifier("{{#where}}")},
        {"value": render.literal(2), "named": False, "name": render.identifier("unused")},
    ]
    assert render.fill(text, columns=columns, where=False) == "SELECT 1, '{{value}}' AS \"{{#where}}\", 2"
    assert render.fill(text, columns=[], where=True) == "SELECT 1 WHERE true"
    with pytest.raises(TypeError):
        render.fill(text, columns=[{"value": "plain", "named": False}], where=False)


@pytest.mark.core
def test_constants_come_back_as_they_are() -> None:
    columns = [
        Column("i", "BIGINT"),
        Column("t", "VARCHAR"),
        Column("b", "BOOLEAN"),
        Column("l", "VARCHAR[]"),
        Column("at", "TIMESTAMP"),
    ]
    at = datetime(2026, 1, 31, 12, 0, 0, 5)
    rows = [[number, text, number % 2 == 0, [text, "x"], at] for number, text in enumerate(HOSTILE, -(1 << 62))]
    rows += [[None, None, None, None, None], [7, "null", True, [], at]]
    assert duckdb.connect().execute(render.constants(columns, rows)).fetchall() == [tuple(row) for row in rows]
