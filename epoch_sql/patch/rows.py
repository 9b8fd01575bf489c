"""The rows of a patch: what deletes, updates and inserts them, as statements that any DuckDB database takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.errors import EpochTableError, UnsupportedType
from epoch_sql.model.schema import Column, Table
from epoch_sql.model.sql_text import tokens
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.literals import has_interval, literal_of
from epoch_sql.storage.shape import Shape, aliased, arrange, compare, keyed_alike, shape_of, struct
from epoch_sql.storage.types import parse_type
from epoch_sql.versions.differences import Difference, changes_between
from epoch_sql.versions.sides import rows_of

DEFINITIONS, DELETES, UPDATES, INSERTS, TRIGGERS = range(5)


@dataclass
class TableRows:
    """The statements for the rows of one table, as queries.

    ``position`` is its position among all tables. ``referenced`` says whether foreign keys refer to it.
    """

    call: Call
    source: Difference
    table: Table
    position: int
    referenced: bool

    def fill(self) -> Sql:
        """The insertions of all rows into a created table."""
        assert self.source.after
        return self._inserts(rows_of(self.call.contents, self.source.after))

    def statements(self, action: Literal["delete", "update", "insert"]) -> list[Sql]:
        """The queries for one kind of statement, with the columns that ``patch.sql`` orders by."""
        _, shape = self._changes
        changes = render.fill(Sql("FROM {{name}}"), name=self._shared_name)
        if shape.keyless:
            return self._copies(changes, shape, action)
        if action == "delete":
            return [self._deletes(changes, shape)]
        return self._updates(changes, shape) if action == "update" else [self._inserts(self._new_rows(changes, shape))]

    @property
    def shared(self) -> list[Sql]:
        """The changes, read once for all kinds of statements. ``moved`` marks rows that are deleted before they are
        inserted again."""
        changes, shape = self._changes
        query = render.fill(
            Sql("WITH changes AS MATERIALIZED ({{changes}}) SELECT *, {{moved}} AS moved FROM changes"),
            changes=changes,
            moved=Sql("false") if shape.keyless else self._moved(shape),
        )
        return [render.fill(Sql("{{name}} AS MATERIALIZED ({{query}})"), name=self._shared_name, query=query)]

    @property
    def _shared_name(self) -> Sql:
        return render.identifier(f"changes_{self.position}")

    @property
    def _name(self) -> Sql:
        return render.relative(self.table.name)

    @cached_property
    def _changes(self) -> tuple[Sql, Shape]:
        """The changes after the definition was altered: by key, or of whole rows if the key differs."""
        before, after = self.source.before, self.source.after
        assert before and after
        if self.table.key and keyed_alike(before.table, after.table):
            return changes_between(self.call, self.source)
        bag = replace(self.table, constraints=(), declared_key=())
        shape = shape_of(None, bag)
        sides = [arrange(rows_of(self.call.contents, side), shape, side.table) for side in (before, after)]
        return compare(shape, *sides), shape

    def _new_rows(self, changes: Sql, shape: Shape) -> Sql:
        keys = {column.id for column in shape.key}
        outputs = [
            aliased(render.column(f"{'k' if c.id in keys else 'n'}{c.id}"), f"c{c.id}")
            for c in self.table.stored_columns
        ]
        return render.fill(
            Sql("SELECT {{outputs}} FROM ({{changes}}) AS changes WHERE op = 'added' OR moved"),
            outputs=outputs,
            changes=changes,
        )

    def _inserts(self, rows: Sql) -> Sql:
        """One INSERT for each row (``c<id>``)."""
        columns = self.table.stored_columns
        start = render.fill(
            Sql("INSERT INTO {{table}} ({{columns}}) VALUES ("),
            table=self._name,
            columns=[render.identifier(c.name) for c in columns],
        )
        values = [self._literal(c, f"c{c.id}") for c in columns]
        statement = render.fill(
            Sql("{{start}} || concat_ws(', ', {{values}}) || ')'"), start=render.literal(start), values=values
        )
        sort_key = _names(self.table.key or columns)
        return self._part(INSERTS, self.position, self._deep(rows, "c"), statement, sort_key)

    def _deletes(self, changes: Sql, shape: Shape) -> Sql:
        """One DELETE for each row that is removed, for good or to be inserted again."""
        keys = {column.id for column in shape.key}
        outputs = [
            aliased(render.column(f"{'k' if c.id in keys else 'o'}{c.id}"), f"c{c.id}")
            for c in (*shape.key, *shape.old_values)
        ]
        rows = render.fill(
            Sql("SELECT {{outputs}} FROM ({{changes}}) AS changes WHERE op = 'removed' OR moved"),
            outputs=outputs,
            changes=changes,
        )
        start = render.fill(Sql("DELETE FROM {{table}} WHERE "), table=self._name)
        condition = self._where(shape.key, "c")
        statement = render.fill(Sql("{{start}} || {{where}}"), start=render.literal(start), where=condition)
        return self._part(DELETES, -self.position, self._deep(rows, "c"), statement, _names(shape.key), "-depth")

    def _updates(self, changes: Sql, shape: Shape) -> list[Sql]:
        """One UPDATE of the differing columns for each row that changes in place."""
        if not shape.compared:
            return []
        assignments = [
            render.fill(
                Sql("CASE WHEN {{differs}} THEN {{name}} || {{value}} END"),
                differs=shape.value_differs(c, render.column(f"n{c.id}"), render.column(f"o{c.id}")),
                name=render.literal(render.fill(Sql("{{c}} = "), c=render.identifier(c.name))),
                value=self._literal(c, f"n{c.id}"),
            )
            for c in shape.compared
        ]
        statement = render.fill(
            Sql("{{start}} || concat_ws(', ', {{assignments}}) || ' WHERE ' || {{where}}"),
            start=render.literal(render.fill(Sql("UPDATE {{table}} SET "), table=self._name)),
            assignments=assignments,
            where=self._where(shape.key, "k"),
        )
        rows = render.fill(
            Sql("SELECT * FROM ({{changes}}) AS changes WHERE op = 'modified' AND NOT moved"), changes=changes
        )
        return [self._part(UPDATES, self.position, rows, statement, [f"k{c.id}" for c in shape.key])]

    def _copies(self, changes: Sql, shape: Shape, action: Literal["delete", "update", "insert"]) -> list[Sql]:
        """For rows without a key: a DELETE of surplus copies, and an INSERT for each missing one."""
        columns = [aliased(render.column(f"k{c.id}"), f"c{c.id}") for c in shape.key]
        keeps = _hides_row_ids(self.table)
        if action == "delete":
            surplus = render.fill(
                Sql("SELECT {{columns}}, o0 - n0 AS surplus FROM ({{changes}}) AS changes WHERE o0 > n0"),
                columns=columns,
                changes=changes,
            )
            return [self._part(DELETES, -self.position, surplus, self._delete_copies(shape, keeps), _names(shape.key))]
        if action == "update":
            return []
        missing = Sql("CASE WHEN o0 > n0 THEN n0 ELSE n0 - o0 END" if keeps else "n0 - o0")
        rows = render.fill(
            Sql("SELECT {{columns}}, unnest(range({{missing}})) AS copy FROM ({{changes}}) AS changes"),
            columns=columns,
            missing=missing,
            changes=changes,
        )
        return [self._inserts(rows)]

    def _delete_copies(self, shape: Shape, all_copies: bool) -> Sql:
        text = "DELETE FROM {{t}} WHERE " + ("" if all_copies else "rowid IN (SELECT rowid FROM {{t}} WHERE ")
        return render.fill(
            Sql("{{start}} || {{where}} || {{end}}"),
            start=render.literal(render.fill(Sql(text), t=self._name)),
            where=self._where(shape.key, "c"),
            end=Sql("''") if all_copies else Sql("' LIMIT ' || surplus || ')'"),
        )

    def _where(self, columns: Sequence[Column], prefix: str) -> Sql:
        """The text of the condition that a row of the database equals this one."""
        terms = []
        for column in columns:
            own = self.table.column(column.name)
            terms.append(self._equals(own, f"{prefix}{column.id}", self._literal(column, f"{prefix}{column.id}")))
        return render.fill(Sql("concat_ws(' AND ', {{terms}})"), terms=terms)

    def _equals(self, column: Column, stored: str, value: Sql) -> Sql:
        """The text of the condition that a column of the database has a value."""
        name = render.identifier(column.name)
        if _compares_otherwise(column):
            mark = "<value>"
            while mark in name:
                mark += ">"
            equal = render.fill(Sql("{{l}} = {{r}}"), l=encode(name, column.type), r=encode(Sql(mark), column.type))
            present = render.fill(
                Sql("replace({{text}}, {{mark}}, {{value}})"),
                text=render.literal(equal),
                mark=render.literal(mark),
                value=value,
            )
        else:
            comparison = "IS NOT DISTINCT FROM" if parse_type(column.type).fields else "="
            present = render.fill(
                Sql("{{name}} || {{value}}"), name=render.literal(f"{name} {comparison} "), value=value
            )
        return render.fill(
            Sql("CASE WHEN {{stored}} IS NULL THEN {{null}} ELSE {{present}} END"),
            stored=render.column(stored),
            null=render.literal(f"{name} IS NULL"),
            present=present,
        )

    def _literal(self, column: Column, stored: str) -> Sql:
        """The expression for the literal of a storage value."""
        try:
            return literal_of(decode(render.column(stored), column.type), column.type)
        except UnsupportedType as error:
            raise EpochTableError(
                f"values of column {column.name} of table {self.table.name} cannot be written as SQL: {error.message}",
                "export the table, or publish the database",
                table=str(self.table.name),
                column=column.name,
            ) from error

    def _moved(self, shape: Shape) -> Sql:
        """The condition that a modified row must be deleted before it is inserted: it refers to others, or takes
        over their values."""
        if self.referenced:
            return Sql("false")
        by_name = {c.name.lower(): c for c in shape.compared}
        terms = []
        for constraint in self.table.constraints:
            columns = [by_name[name.lower()] for name in constraint.columns if name.lower() in by_name]
            if constraint.kind == "FOREIGN KEY":
                terms += [_differs(shape, [c]) for c in columns]
            elif constraint.kind == "UNIQUE" and columns:
                terms.append(self._takes_over(shape, constraint.columns, columns))
        for index in (index for index in self.table.indexes if index.unique):
            names = [_column_name(text) for text in index.expressions]
            columns = [by_name[name.lower()] for name in names if name and name.lower() in by_name]
            plain = [name for name in names if name]
            if len(plain) < len(names):
                terms.append(Sql("true"))
            elif columns:
                terms.append(self._takes_over(shape, plain, columns))
        condition = render.joined(terms, " OR ") if terms else Sql("false")
        return render.fill(Sql("coalesce(op = 'modified' AND ({{condition}}), false)"), condition=condition)

    def _takes_over(self, shape: Shape, names: Sequence[str], columns: Sequence[Column]) -> Sql:
        """The condition that the row's new unique values are those that another modified row had before."""
        keys = {c.name.lower(): c for c in shape.key}
        own = [c for name in names if (c := keys.get(name.lower()))]
        kept = [(f"k{c.id}", render.column(f"k{c.id}")) for c in own]
        new = [(f"v{c.id}", render.column(f"n{c.id}")) for c in columns]
        old = [(f"v{c.id}", render.column(f"o{c.id}")) for c in columns]
        return render.fill(
            Sql("({{differs}} AND {{new}} IN (SELECT {{old}} FROM changes WHERE op = 'modified' AND {{differs}}))"),
            differs=_differs(shape, columns),
            new=struct([*kept, *new]),
            old=struct([*kept, *old]),
        )

    def _deep(self, rows: Sql, prefix: str) -> Sql:
        """The rows, with their depth in a table that refers to itself."""
        if not _refers_to_itself(self.table):
            return rows
        ids = {c.name.lower(): c.id for c in self.table.stored_columns}
        links = []
        for key in self.table.foreign_keys:
            if (key.referenced or "").lower() != self.table.name.name.lower():
                continue
            terms = [
                render.fill(
                    Sql("{{child}} = {{parent}}"),
                    child=render.column(f"{prefix}{ids[child.lower()]}", "child"),
                    parent=render.column(f"{prefix}{ids[parent.lower()]}", "parent"),
                )
                for child, parent in zip(key.columns, key.referenced_columns, strict=True)
            ]
            links.append(
                render.render(
                    "patch.links",
                    on=render.joined(terms, " AND "),
                )
            )
        return render.render("patch.row_depths", rows=rows, links=render.joined(links, " UNION "))

    def _part(
        self, phase: int, position: int, rows: Sql, statement: Sql, sort_key: Sequence[str], depth: str = "depth"
    ) -> Sql:
        deep = _refers_to_itself(self.table) and phase != UPDATES and not (phase == DELETES and not self.table.key)
        return render.render(
            "patch.rows",
            phase=render.literal(phase),
            position=render.literal(position),
            depth=Sql(depth) if deep else Sql("CAST(0 AS BIGINT)"),
            sort_key=render.joined(
                [render.fill(Sql("{{c}}, 'ASC NULLS LAST'"), c=render.column(name)) for name in sort_key], ", "
            ),
            table_name=render.literal(str(self.table.name)),
            statement=statement,
            rows=rows,
        )


def _names(columns: Sequence[Column]) -> list[str]:
    return [f"c{c.id}" for c in columns]


def _differs(shape: Shape, columns: Sequence[Column]) -> Sql:
    terms = [shape.value_differs(c, render.column(f"n{c.id}"), render.column(f"o{c.id}")) for c in columns]
    return render.fill(Sql("({{terms}})"), terms=render.joined(terms, " OR "))


def _refers_to_itself(table: Table) -> bool:
    return any((key.referenced or "").lower() == table.name.name.lower() for key in table.foreign_keys)


def _column_name(expression: str) -> str | None:
    """The column in an index expression. None for an expression that computes something."""
    found = list(tokens(expression))
    return found[0].name if len(found) == 1 else None


def _hides_row_ids(table: Table) -> bool:
    """Whether a column has the name of DuckDB's row ids and hides them."""
    return any(column.name.lower() == "rowid" for column in table.columns)


def _compares_otherwise(column: Column) -> bool:
    """Whether different values of the column can be equal under ``=``."""
    return column.collation is not None or has_interval(column.type) or parse_type(column.type).name == "GEOMETRY"
