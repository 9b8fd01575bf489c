"""The conflicts of a merged tree as rows, and the scope of a call of ``epoch_resolve`` among them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, no_table
from epoch_sql.catalog.merging import Resolutions, Violating
from epoch_sql.catalog.relation import run
from epoch_sql.errors import ColumnNotFound, EpochTableError
from epoch_sql.merge.constraints import missed_names
from epoch_sql.merge.decisions import given_misfits, key_fields
from epoch_sql.merge.merged import MergedTree
from epoch_sql.model.schema import Column, Table, canonical_json
from epoch_sql.model.schema_merge import SchemaConflict
from epoch_sql.render import Sql
from epoch_sql.storage.shape import shape_of

NO_CONFLICTS = Sql(
    "SELECT ''::VARCHAR AS table_name, NULL::VARCHAR AS key, NULL::VARCHAR AS column_name, ''::VARCHAR AS kind, "
    "NULL::VARCHAR AS base, NULL::VARCHAR AS ours, NULL::VARCHAR AS theirs, false AS resolved WHERE false"
)


def conflict_rows(merged: MergedTree) -> Sql:
    """Every conflict of a merged tree: the columns of ``epoch_conflicts``, with JSON as text."""
    selects = [NO_CONFLICTS]
    for entry in merged.tables:
        selects.extend(entry.conflicts)
    selects.extend(_schema_row(conflict) for conflict in merged.schema_conflicts)
    return render.joined(selects, "\nUNION ALL\n")


def _schema_row(conflict: SchemaConflict) -> Sql:
    texts = [conflict.base, conflict.ours, conflict.theirs]
    values: list[render.Piece] = [
        render.literal(conflict.table_name),
        Sql("NULL"),
        render.literal(conflict.column_name),
        render.literal("schema"),
        *(render.literal(canonical_json(text) if text is not None else None) for text in texts),
        render.literal(conflict.resolved),
    ]
    return render.fill(Sql("SELECT {{values}}"), values=values)


@dataclass(frozen=True)
class Place:
    """A table, row (its key as canonical JSON) and column, with the names of the merged tree. None means all.

    ``forced`` says that the row is decided because of a violation, so a side counts even without a conflict.
    ``violated`` says that something in it violates a constraint, or did before it was decided.
    """

    table: Table | None
    table_name: str | None
    key: str | None
    column_name: str | None
    forced: bool
    violated: bool

    def require_copies(self, call: Call, target: str) -> None:
        """Raises EpochTableError if no copies of rows are in conflict."""
        if self.column_name is None and _listed(call, target, self, "kind = 'copies'"):
            return
        where = f"row {self.key} of {self.table_name}" if self.key else self.table_name or "the conflicts"
        raise EpochTableError(
            f"both is for copies of rows in a table without a key, and {where} has none in conflict",
            "take ours, theirs or base",
            table=self.table_name,
        )

    def require_fitting(self, call: Call, target: str, value: str | None) -> None:
        """Raises EpochTableError if a cell cannot have the value (None: NULL): the type does not fit, or the column
        is part of the key."""
        column = _column(self.table, self.column_name) if self.table else None
        if self.table is None or column is None:
            raise ColumnNotFound(
                f"there is no column {self.column_name} in table {self.table_name}",
                _look(call, target),
                table=self.table_name,
                column=self.column_name,
            )
        identifies = any(column.id == c.id for c in self.table.key or self.table.columns)
        unfit = not self.table.key and _listed(call, target, self, "kind <> 'copies'")
        if not column.stored or (identifies and not unfit):
            raise EpochTableError(
                f"column {column.name} of table {self.table.name} identifies the row, so it cannot be given a value",
                "resolve the row to a side, or change the value on a branch and merge again",
                table=self.table_name,
                column=column.name,
            )
        if value is None and not column.nullable:
            message = f"column {column.name} of table {self.table.name} is NOT NULL"
            raise EpochTableError(message, "give a value", table=self.table_name, column=column.name)
        if value is not None and not _fits(call, column, value):
            raise EpochTableError(
                f"{value!r} is not a value of column {column.name} {column.type} in table {self.table.name}",
                "give another value",
                table=self.table_name,
                column=column.name,
            )


def located(
    call: Call,
    violating: Violating,
    merged: MergedTree,
    table_name: str | None,
    key: str | None,
    column_name: str | None,
) -> Place:
    """The scope that the arguments of ``epoch_resolve`` name. Raises EpochTableError if it has neither a conflict nor a
    violation.

    ``violating`` names the merge, and the constraint, if there is one.
    """
    target = violating.target
    if key is not None and table_name is None:
        raise EpochTableError(f"row {key} is of no table", "name its table and key")
    name = _table_name(call, target, merged, table_name)
    table = next((e.table for e in merged.tables if str(e.table.name) == name), None)
    where = _key_text(call, target, table, key) if key is not None and table else None
    if key is not None and where is None:
        message = f"table {table_name} has no row {key}"
        raise EpochTableError(message, _look(call, target), table=table_name)
    named = _column(table, column_name) if table and column_name else None
    column = named.name if named else column_name
    meant = replace(violating, table_name=name, key=where)
    violated = column is None and Resolutions(call.cursor).count_settled(meant) > 0
    if meant.constraint_name and not violated:
        look = Suggestion("violations", into=call.elsewhere(target))
        raise EpochTableError(f"nothing violates constraint {meant.constraint_name}", look, table=table_name)
    forced = _forced(call, target, merged, name, where, column, violated)
    return Place(table, name, where, column, forced, violated)


def _table_name(call: Call, target: str, merged: MergedTree, given: str | None) -> str | None:
    """The name of the table in the listing, or of a table that a violated foreign key refers to."""
    if given is None:
        return None
    rows = run(
        call.cursor,
        "SELECT table_name FROM {{epoch}}.conflicts WHERE target = $target "
        "UNION SELECT table_name FROM {{epoch}}.violations WHERE target = $target "
        "UNION SELECT table_name FROM {{epoch}}.resolutions WHERE target = $target AND table_name IS NOT NULL",
        {"target": target},
    ).fetchall()
    names = [str(row[0]) for row in rows] + _parents(call, target, merged) + missed_names(call, merged)
    found = next((name for name in names if name.lower() == given.lower()), None)
    if found is None:
        raise no_table(given, names, "the conflicts")
    return found


def _parents(call: Call, target: str, merged: MergedTree) -> list[str]:
    """The tables that violated foreign keys refer to."""
    rows = run(
        call.cursor,
        "SELECT DISTINCT table_name FROM {{epoch}}.violations WHERE target = ? AND kind = 'foreign key'",
        [target],
    ).fetchall()
    violating = {row[0] for row in rows}
    referenced = {
        (e.table.name.schema.lower(), (c.referenced or "").lower())
        for e in merged.tables
        if str(e.table.name) in violating
        for c in e.table.foreign_keys
    }
    return [
        str(e.table.name)
        for e in merged.tables
        if (e.table.name.schema.lower(), e.table.name.name.lower()) in referenced
    ]


def _forced(
    call: Call,
    target: str,
    merged: MergedTree,
    table_name: str | None,
    key: str | None,
    column_name: str | None,
    some_violate: bool,
) -> bool:
    """Whether the scope has, or had, a violation and no open conflict. Raises EpochTableError if it has neither, and
    nothing in it violates a constraint."""
    row = run(
        call.cursor,
        "SELECT count(*), count(*) FILTER (NOT resolved) FROM {{epoch}}.conflicts WHERE target = $target "
        "AND ($table IS NULL OR table_name = $table) AND ($key IS NULL OR key = $key) "
        "AND ($column IS NULL OR column_name IS NULL OR lower(column_name) = lower($column))",
        {"column": column_name, "target": target, "table": table_name, "key": key},
    ).fetchone()
    assert row
    listed, unresolved = row
    if key is None:
        violated = column_name is None and table_name is not None and _undefined(call, target, merged, table_name)
    else:
        violated = _violated(call, target, merged, table_name, key)
    if listed and (unresolved or not violated):
        return False
    if violated or _was_forced(call, target, table_name, key):
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


def _violated(call: Call, target: str, merged: MergedTree, table_name: str | None, key: str) -> bool:
    row = run(
        call.cursor,
        "SELECT count(*) FROM {{epoch}}.violations WHERE target = ? AND table_name = ? AND key = ?",
        [target, table_name, key],
    ).fetchone()
    assert row
    return bool(row[0]) or table_name in _parents(call, target, merged)


def _was_forced(call: Call, target: str, table_name: str | None, key: str | None) -> bool:
    """Whether a violation was resolved there before. It is no longer listed, so the decision is changed."""
    row = run(
        call.cursor,
        "SELECT count(*) FROM {{epoch}}.resolutions WHERE target = ? AND table_name = ? AND key IS NOT DISTINCT FROM ? "
        "AND (forced OR side = 'value')",
        [target, table_name, key],
    ).fetchone()
    assert row
    return bool(row[0])


def _undefined(call: Call, target: str, merged: MergedTree, name: str) -> bool:
    """Whether a table or object cannot be created, or another one needs it."""
    row = run(
        call.cursor,
        "SELECT count(*) FROM {{epoch}}.violations WHERE target = ? AND table_name = ? AND key IS NULL",
        [target, name],
    ).fetchone()
    assert row
    return bool(row[0]) or name in missed_names(call, merged)


def _listed(call: Call, target: str, place: Place, condition: str) -> bool:
    """Whether a conflict of some kind is listed in the scope."""
    row = run(
        call.cursor,
        "SELECT count(*) FROM {{epoch}}.conflicts WHERE target = $target AND ($table IS NULL OR table_name = $table) "
        f"AND ($key IS NULL OR key = $key) AND ($column IS NULL OR column_name = $column) AND {condition}",
        {"target": target, "table": place.table_name, "key": place.key, "column": place.column_name},
    ).fetchone()
    return bool(row and row[0])


def _key_text(call: Call, target: str, table: Table, key: str) -> str | None:
    """The listed text of a key that is given as that text, as JSON, or as the value of a one-column key."""
    listed = run(
        call.cursor,
        "SELECT key FROM (SELECT target, table_name, key FROM {{epoch}}.conflicts UNION ALL "
        "SELECT target, table_name, key FROM {{epoch}}.violations) AS listed "
        "WHERE target = $target AND table_name = $table AND key = "
        "CASE WHEN json_valid($key) THEN CAST(json($key) AS VARCHAR) ELSE $key END",
        {"target": target, "table": str(table.name), "key": key},
    ).fetchone()
    if listed:
        return str(listed[0])
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
    row = call.cursor.execute(render.fill(Sql("SELECT CAST(to_json({{s}}) AS VARCHAR)"), s=struct)).fetchone()
    return str(row[0]) if row else None


def _column(table: Table, name: str | None) -> Column | None:
    return next((column for column in table.columns if column.name.lower() == (name or "").lower()), None)


def _fits(call: Call, column: Column, value: str) -> bool:
    text = render.to_sql(render.literal(value))
    row = call.cursor.execute(
        render.fill(Sql("SELECT NOT {{misfits}}"), misfits=given_misfits(text, column))
    ).fetchone()
    return bool(row and row[0])
