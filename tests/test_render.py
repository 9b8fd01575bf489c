"""Names and constants in SQL: spelled as sqlglot spells them, and read by DuckDB as they were given."""

from __future__ import annotations

import duckdb
import pytest
from sqlglot import exp

from epoch_sql import render
from epoch_sql.model.schema import ObjectName
from epoch_sql.render import DATABASE, Sql

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
@pytest.mark.parametrize("name", HOSTILE)
def test_names_and_constants_are_spelled_as_by_sqlglot(name: str) -> None:
    for expression in (
        render.identifier(name),
        render.column(name),
        render.column("c", name),
        render.table(ObjectName("main", name)),
        render.table(ObjectName(name, "t"), name),
        render.literal(name),
    ):
        assert render.to_sql(expression) == expression.sql(dialect="duckdb")


@pytest.mark.core
@pytest.mark.parametrize("value", [0, 7, -7, 1 << 70, True, False, None])
def test_other_constants_are_spelled_as_by_sqlglot(value: int | bool | None) -> None:
    expression = render.literal(value)
    assert render.to_sql(expression) == expression.sql(dialect="duckdb")


@pytest.mark.core
@pytest.mark.parametrize("text", HOSTILE)
def test_duckdb_reads_a_constant_and_a_name_as_given(text: str) -> None:
    query = render.fill("SELECT {{v}} AS {{n}}", v=render.literal(text), n=render.identifier(text or "x"))
    result = duckdb.connect().execute(query)
    assert result.description is not None
    assert [column[0] for column in result.description] == [text or "x"]
    assert result.fetchall() == [(text,)]


@pytest.mark.core
def test_an_unquoted_name_and_an_expression_are_left_to_sqlglot() -> None:
    assert render.to_sql(exp.column("a") + 1) == "a + 1"
    assert render.to_sql(exp.Column(this=exp.Star(), table=render.identifier("t"))) == '"t".*'


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
