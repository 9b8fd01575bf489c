"""The parts that CREATE and ALTER statements share: columns, constraints, indexes and comments as SQL."""

from __future__ import annotations

from sqlglot import exp

from epoch_sql import render
from epoch_sql.model.schema import Column, Constraint, Index, ObjectName, Table
from epoch_sql.render import Sql


def column_clause(column: Column, not_null: bool) -> Sql:
    """A column in CREATE TABLE. ``not_null`` says whether NOT NULL is part of it."""
    parts = [render.to_sql(render.identifier(column.name)), render.verbatim(column.type)]
    if column.collation is not None:
        parts.append(render.fill("COLLATE {{name}}", name=render.verbatim(column.collation)))
    if column.generated is not None:
        parts.append(render.fill("GENERATED ALWAYS AS ({{value}})", value=render.verbatim(column.generated)))
    if column.default is not None:
        parts.append(render.fill("DEFAULT ({{value}})", value=render.verbatim(column.default)))
    if not_null:
        parts.append(Sql("NOT NULL"))
    return render.joined(parts, " ")


def constraint_clause(constraint: Constraint, schema: str) -> Sql:
    """A table constraint of a table in ``schema``."""
    if constraint.kind == "CHECK":
        return render.fill("CHECK ({{condition}})", condition=render.verbatim(constraint.expression or ""))
    columns = [render.identifier(name) for name in constraint.columns]
    if constraint.kind != "FOREIGN KEY":
        return render.fill("{{kind}} ({{columns}})", kind=render.verbatim(constraint.kind), columns=columns)
    return render.fill(
        "FOREIGN KEY ({{columns}}) REFERENCES {{referenced}} ({{referenced_columns}})",
        columns=columns,
        referenced=render.relative(ObjectName(schema, constraint.referenced or "")),
        referenced_columns=[render.identifier(name) for name in constraint.referenced_columns],
    )


def create_index(table: Table, index: Index) -> Sql:
    """The CREATE INDEX of an index of the table."""
    return render.fill(
        "CREATE {{unique}}INDEX {{name}} ON {{table}} {{method}}({{expressions}}){{options}}",
        unique=Sql("UNIQUE " if index.unique else ""),
        method=render.fill("USING {{type}} ", type=render.verbatim(index.method)) if index.method else Sql(""),
        options=render.verbatim(f" {index.options}" if index.options else ""),
        name=render.identifier(index.name),
        table=render.table(table.name),
        expressions=[render.verbatim(expression) for expression in index.expressions],
    )


def drop_index(table: Table, index: Index) -> Sql:
    """The DROP INDEX of an index of the table."""
    return render.fill("DROP INDEX {{name}}", name=render.table(ObjectName(table.name.schema, index.name)))


def comment_on(kind: str, name: exp.Expression | Sql, comment: str | None) -> Sql:
    """The COMMENT ON an object of a kind such as TABLE or MACRO. None removes the comment."""
    return render.fill(
        "COMMENT ON {{kind}} {{name}} IS {{comment}}",
        kind=render.verbatim(kind),
        name=name,
        comment=render.literal(comment),
    )


def comment_on_column(relation: ObjectName, column: str, comment: str | None) -> Sql:
    """The COMMENT ON COLUMN of a column of a table or view."""
    name = render.fill("{{relation}}.{{column}}", relation=render.table(relation), column=render.identifier(column))
    return comment_on("COLUMN", name, comment)


def comment_on_index(table: Table, index: Index) -> Sql:
    """The COMMENT ON INDEX that gives an index of the table its comment."""
    return comment_on("INDEX", render.table(ObjectName(table.name.schema, index.name)), index.comment)
