"""The scope of a call of ``epoch_resolve`` among the conflicts and violations that are listed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, no_table
from epoch_sql.catalog.merging import Conflicts, Resolutions, Scope, Violating, Violations
from epoch_sql.errors import ColumnNotFound, EpochTableError
from epoch_sql.merge.constraints import missed_names
from epoch_sql.merge.decisions import given_misfits, key_fields
from epoch_sql.merge.merged import MergedTree
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.shape import shape_of


@dataclass(frozen=True)
class DecisionScope:
    """A scope with the names of the merged tree, and the table's merged definition.

    ``forced`` says that the row is decided because of a violation, so a side counts even without a conflict.
    ``violated`` says that something in it violates a constraint, or did before it was decided.
    """

    scope: Scope
    table: Table | None
    forced: bool
    violated: bool

    def resolves_all(self, cursor: duckdb.DuckDBPyConnection, target: str, merged: MergedTree) -> bool:
        """Whether a side resolves every conflict in the scope, and nothing else that is listed for the merge.

        It does not if it decides a definition, if a side may have a value that does not fit, and if something in the
        merge violates a constraint, or did. Then only the merge says what is left.
        """
        named = self.scope.table_name
        return not (
            self.forced
            or self.violated
            or Violations(cursor).count(Violating(target))
            or Resolutions(cursor).has_forced(target)
            or "schema" in Conflicts(cursor).kinds(target, self.scope)
            or any(e.merge and e.merge.unlike for e in merged.tables if named in (None, str(e.table.name)))
        )

    def require_copies(self, cursor: duckdb.DuckDBPyConnection, target: str) -> None:
        """Raises EpochTableError if no copies of rows are in conflict."""
        table_name, key, column_name = self.scope.table_name, self.scope.key, self.scope.column_name
        if column_name is None and "copies" in Conflicts(cursor).kinds(target, self.scope):
            return
        where = f"row {key} of {table_name}" if key else table_name or "the conflicts"
        raise EpochTableError(
            f"both is for copies of rows in a table without a key, and {where} has none in conflict",
            "take ours, theirs or base",
            table=table_name,
        )

    def require_fitting(self, call: Call, target: str, value: str | None) -> None:
        """Raises EpochTableError if a cell cannot have the value (None: NULL): the type does not fit, or the column
        is part of the key."""
        table_name, column_name = self.scope.table_name, self.scope.column_name
        column = _column(self.table, column_name) if self.table else None
        if self.table is None or column is None:
            raise ColumnNotFound(
                f"there is no column {column_name} in table {table_name}",
                _look(call, target),
                table=table_name,
                column=column_name,
            )
        identifies = any(column.id == c.id for c in self.table.key or self.table.columns)
        unfit = not self.table.key and Conflicts(call.cursor).kinds(target, self.scope) - {"copies"}
        if not column.stored or (identifies and not unfit):
            raise EpochTableError(
                f"column {column.name} of table {self.table.name} identifies the row, so it cannot be given a value",
                "resolve the row to a side, or change the value on a branch and merge again",
                table=table_name,
                column=column.name,
            )
        if value is None and not column.nullable:
            message = f"column {column.name} of table {self.table.name} is NOT NULL"
            raise EpochTableError(message, "give a value", table=table_name, column=column.name)
        if value is not None and not _fits(call.cursor, column, value):
            raise EpochTableError(
                f"{value!r} is not a value of column {column.name} {column.type} in table {self.table.name}",
                "give another value",
                table=table_name,
                column=column.name,
            )


def located(
    call: Call,
    violating: Violating,
    merged: MergedTree,
    table_name: str | None,
    key: str | None,
    column_name: str | None,
) -> DecisionScope:
    """The scope that the arguments of ``epoch_resolve`` name. Raises EpochTableError if it has neither a conflict nor a
    violation.

    ``violating`` names the merge, and the constraint, if there is one.
    """
    target = violating.target
    if key is not None and table_name is None:
        raise EpochTableError(f"row {key} is of no table", "name its table and key")
    name = _table_name(call, target, merged, table_name)
    table = next((e.table for e in merged.tables if str(e.table.name) == name), None)
    text = _key_text(call.cursor, target, table, key) if key is not None and table else None
    if key is not None and text is None:
        message = f"table {table_name} has no row {key}"
        raise EpochTableError(message, _look(call, target), table=table_name)
    named = _column(table, column_name) if table and column_name else None
    scope = Scope(name, text, named.name if named else column_name)
    meant = replace(violating, table_name=name, key=text)
    violated = scope.column_name is None and Resolutions(call.cursor).count_settled(meant) > 0
    if meant.constraint_name and not violated:
        look = Suggestion("violations", into=call.elsewhere(target))
        raise EpochTableError(f"nothing violates constraint {meant.constraint_name}", look, table=table_name)
    return DecisionScope(scope, table, _forced(call, target, merged, scope, violated), violated)


def _table_name(call: Call, target: str, merged: MergedTree, given: str | None) -> str | None:
    """The name of the table in the listing, or of a table that a violated foreign key refers to."""
    if given is None:
        return None
    names = (
        Conflicts(call.cursor).table_names(target) + _parents(call.cursor, target, merged) + missed_names(call, merged)
    )
    found = next((name for name in names if name.lower() == given.lower()), None)
    if found is None:
        raise no_table(given, names, "the conflicts")
    return found


def _parents(cursor: duckdb.DuckDBPyConnection, target: str, merged: MergedTree) -> list[str]:
    """The tables that violated foreign keys refer to."""
    referring = Violations(cursor).referring(Violating(target))
    referenced = {
        (e.table.name.schema.lower(), (c.referenced or "").lower())
        for e in merged.tables
        if str(e.table.name) in referring
        for c in e.table.foreign_keys
    }
    return [
        str(e.table.name)
        for e in merged.tables
        if (e.table.name.schema.lower(), e.table.name.name.lower()) in referenced
    ]


def _forced(call: Call, target: str, merged: MergedTree, scope: Scope, some_violate: bool) -> bool:
    """Whether the scope has, or had, a violation and no open conflict. Raises EpochTableError if it has neither, and
    nothing in it violates a constraint."""
    table_name, key, column_name = scope.table_name, scope.key, scope.column_name
    listed, unresolved = Conflicts(call.cursor).near(target, scope)
    if key is None:
        violated = column_name is None and table_name is not None and _undefined(call, target, merged, table_name)
    else:
        violated = _violated(call.cursor, target, merged, table_name, key)
    if listed and (unresolved or not violated):
        return False
    if violated or Resolutions(call.cursor).was_forced(target, table_name, key):
        return True
    if some_violate:
        return False
    what = (
        f"row {key} of {table_name}" if key else f"column {column_name} of {table_name}" if column_name else table_name
    )
    raise EpochTableError(
        f"{what} is not in conflict, and violates no constraint"
        if what
        else "nothing is in conflict, and nothing violates a constraint",
        _look(call, target),
        table=table_name,
        column=column_name,
    )


def _look(call: Call, target: str) -> Suggestion:
    return Suggestion("conflicts", into=call.elsewhere(target))


def _violated(
    cursor: duckdb.DuckDBPyConnection, target: str, merged: MergedTree, table_name: str | None, key: str
) -> bool:
    violating = Violations(cursor).count(Violating(target, table_name, key))
    return bool(violating) or table_name in _parents(cursor, target, merged)


def _undefined(call: Call, target: str, merged: MergedTree, name: str) -> bool:
    """Whether a table or object cannot be created, or another one needs it."""
    missing = Violations(call.cursor).of_definitions(Violating(target, name))
    return bool(missing) or name in missed_names(call, merged)


def _key_text(cursor: duckdb.DuckDBPyConnection, target: str, table: Table, key: str) -> str | None:
    """The listed text of a key that is given as that text, as JSON, or as the value of a one-column key."""
    listed = Conflicts(cursor).key_text(target, str(table.name), key)
    if listed is not None:
        return listed
    columns = shape_of(None, table).key
    fields = key_fields(key)
    given = {name.lower(): value for name, value in fields.items()} if fields is not None else {}
    if given.keys() == {column.name.lower() for column in columns}:
        values = [given[column.name.lower()] for column in columns]
    elif len(columns) == 1:
        values = [key]
    else:
        return None
    typed = [
        render.fill(
            Sql("{{n}}: TRY_CAST({{v}} AS {{t}})"),
            n=render.literal(column.name),
            v=render.literal(value),
            t=render.verbatim(column.type),
        )
        for column, value in zip(columns, values, strict=True)
    ]
    struct = render.fill(Sql("{{b}}{{fields}}{{e}}"), b=Sql("{"), fields=render.joined(typed, ", "), e=Sql("}"))
    row = cursor.execute(render.fill(Sql("SELECT CAST(to_json({{s}}) AS VARCHAR)"), s=struct)).fetchone()
    return str(row[0]) if row else None


def _column(table: Table, name: str | None) -> Column | None:
    return next((column for column in table.columns if column.name.lower() == (name or "").lower()), None)


def _fits(cursor: duckdb.DuckDBPyConnection, column: Column, value: str) -> bool:
    text = render.literal(value)
    row = cursor.execute(render.fill(Sql("SELECT NOT {{misfits}}"), misfits=given_misfits(text, column))).fetchone()
    return bool(row and row[0])
