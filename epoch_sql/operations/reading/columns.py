"""The columns of a difference for users: native values under the names of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.model.schema import Column, Table
from epoch_sql.operations.reading.generated import free_name, with_generated
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.shape import Shape, aliased


@dataclass(frozen=True)
class Pair:
    """A column on both sides of a difference. One of them is None if only one side has the column."""

    before: Column | None
    after: Column | None

    @property
    def from_name(self) -> str:
        """The name of its old values in a difference."""
        column = self.before or self.after
        assert column
        return f"from_{column.name}"

    @property
    def to_name(self) -> str:
        """The name of its new values in a difference."""
        column = self.after or self.before
        assert column
        return f"to_{column.name}"


def pairs(before: Table | None, after: Table | None) -> list[Pair]:
    """The columns of both sides, in the order of the later one. Columns with one name are a pair, and so are renamed
    ones."""
    old = {c.id: c for c in before.columns} if before else {}
    new = after.columns if after else ()
    matched = {c.id: old[c.id] for c in new if c.id in old}
    left = {c.name.lower(): c for i, c in old.items() if i not in matched}
    found = [Pair(matched.get(c.id) or left.pop(c.name.lower(), None), c) for c in new]
    return [*found, *(Pair(c, None) for c in left.values())]


def value(column: Column | None, shape: Shape, prefix: str, like: Column | None = None) -> Sql:
    """The native value of a column on one side (``n`` or ``o``) of a change. NULL if the side has no such row or
    column."""
    if column is None:
        assert like
        return render.fill(Sql("CAST(NULL AS {{t}})"), t=render.verbatim(like.type))
    present = Sql("op <> 'removed'" if prefix == "n" else "op <> 'added'")
    if not column.stored:
        computed = render.column(f"g{prefix}{column.id}")
        return render.fill(Sql("CASE WHEN {{p}} THEN {{v}} END"), p=present, v=computed)
    key = shape.key_of(column.id, old=prefix == "o")
    if key is None:
        return decode(render.column(f"{prefix}{column.id}"), column.type)
    stored = render.fill(Sql("CASE WHEN {{p}} THEN {{v}} END"), p=present, v=render.column(f"k{key.id}"))
    native = decode(stored, key.type)
    if key.type == column.type:
        return native
    return render.fill(Sql("TRY_CAST({{v}} AS {{t}})"), v=native, t=render.verbatim(column.type))


def computed(table: Table | None, shape: Shape, prefix: str, rows: Sql, carried: Sequence[str]) -> Sql:
    """Changes with the generated columns of one side as ``g<prefix><id>``. ``carried`` are the other columns."""
    generated = [c for c in table.columns if not c.stored] if table else []
    if not table or not generated:
        return rows
    names = {name: free_name(name, table) for name in carried}
    outputs = [
        *(aliased(render.column(name), free) for name, free in names.items()),
        *(aliased(value(c, shape, prefix), c.name) for c in table.stored_columns),
    ]
    native = render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS changes"), outputs=outputs, rows=rows)
    kept = [
        *(aliased(render.column(free), name) for name, free in names.items()),
        *(aliased(render.column(c.name), f"g{prefix}{c.id}") for c in generated),
    ]
    return render.fill(Sql("SELECT {{kept}} FROM ({{rows}}) AS changes"), kept=kept, rows=with_generated(table, native))


def row_struct(table: Table | None, shape: Shape, prefix: str) -> Sql:
    """All values of one side as JSON, or NULL if the side has no row."""
    if table is None:
        return Sql("CAST(NULL AS JSON)")
    present = Sql("op <> 'removed'" if prefix == "n" else "op <> 'added'")
    fields = [(c.name, value(c, shape, prefix)) for c in table.stored_columns]
    return render.fill(Sql("CASE WHEN {{p}} THEN to_json({{s}}) END"), p=present, s=struct(fields))


def key_struct(table: Table, shape: Shape) -> Sql:
    """The key of a change as JSON. NULL for a table without a key."""
    if shape.keyless:
        return Sql("CAST(NULL AS JSON)")
    keys = {
        old: [(table.column(c.name).name, shape.key_of(c.id, old)) for c in shape.key if c.id > 0]
        for old in (False, True)
    }
    new, old = (
        render.fill(
            Sql("to_json({{s}})"),
            s=struct([(name, decode(render.column(f"k{c.id}"), c.type)) for name, c in keys[side] if c]),
        )
        for side in (False, True)
    )
    return new if new == old else render.fill(Sql("CASE op WHEN 'removed' THEN {{o}} ELSE {{n}} END"), o=old, n=new)


def struct(fields: Sequence[tuple[str, Sql]]) -> Sql:
    """A struct constant: ``{'name': value, …}``."""
    parts = [render.fill(Sql("{{n}}: {{v}}"), n=render.literal(name), v=expression) for name, expression in fields]
    return Sql("{" + render.joined(parts, ", ") + "}")


def changed_columns(shape: Shape) -> Sql:
    """The names of the columns in which a modified row differs. Empty for added and removed rows."""
    if shape.keyless or not shape.compared:
        return Sql("CAST([] AS VARCHAR[])")
    names = [
        render.fill(
            Sql("CASE WHEN op = 'modified' AND {{d}} THEN {{n}} END"),
            d=shape.value_differs(c, render.column(f"n{c.id}"), render.column(f"o{c.id}")),
            n=render.literal(c.name),
        )
        for c in shape.compared
    ]
    return render.fill(Sql("list_filter([{{names}}], lambda name: name IS NOT NULL)"), names=names)


def expanded(changes: Sql, shape: Shape) -> Sql:
    """Changes with one row for each added or removed copy of a row without a key."""
    if not shape.keyless:
        return changes
    return render.render("expand_copies", changes=changes)
