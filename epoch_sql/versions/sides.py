"""The two sides of a difference (a commit, or the working tables), and its columns for users: native values under
the names of the columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.call import Call, require_trusted
from epoch_sql.model.commit import Tree
from epoch_sql.model.names import name_meant
from epoch_sql.model.revisions import parse_revision
from epoch_sql.model.schema import Column, SchemaObject, Table
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.shape import Shape, aliased, arrange, columns, compare, shape_of, struct
from epoch_sql.worktree.rows import WorkingTable, working_rows


def with_generated(table: Table, rows: Sql) -> Sql:
    """Rows with the native values of all stored columns, and after them those of the generated columns."""
    for column in table.columns:
        if column.generated is not None:
            value = render.fill(
                Sql("CAST({{e}} AS {{t}})"), e=render.verbatim(column.generated), t=render.verbatim(column.type)
            )
            rows = render.fill(
                Sql("SELECT *, {{c}} FROM ({{rows}}) AS stored"), c=aliased(value, column.name), rows=rows
            )
    return rows


def free_name(name: str, table: Table) -> str:
    """A name that no column of a table has, for an additional column."""
    taken = [column.name.lower() for column in table.columns]
    while name.lower() in taken:
        name += "_"
    return name


def crossing(before: Table, after: Table) -> frozenset[int]:
    """The columns (by id) that are generated on one side and have values of their own on the other."""
    sides = [({c.id for c in t.columns if not c.stored}, {c.id for c in t.stored_columns}) for t in (before, after)]
    (old_generated, old_stored), (new_generated, new_stored) = sides
    return frozenset((old_generated & new_stored) | (old_stored & new_generated))


def by_value(before: Table, before_rows: Sql, after: Table, after_rows: Sql) -> tuple[Sql, Shape]:
    """The difference between rows (``c<id>``) of two definitions. A column that is generated on one side and stored
    on the other is compared by its values."""
    ids = crossing(before, after)
    (old, old_rows), (new, new_rows) = as_stored(before, before_rows, ids), as_stored(after, after_rows, ids)
    shape = shape_of(old, new)
    return compare(shape, arrange(old_rows, shape, old, old=True), arrange(new_rows, shape, new)), shape


def storing(table: Table, ids: Iterable[int]) -> Table:
    """A table as if it stored the values of generated columns."""
    wanted = set(ids)
    columns = tuple(replace(c, generated=None) if c.id in wanted and not c.stored else c for c in table.columns)
    return table if columns == table.columns else replace(table, columns=columns)


def as_stored(table: Table, rows: Sql, ids: Iterable[int]) -> tuple[Table, Sql]:
    """A table and its rows (``c<id>``, storage values) as if it stored the values of generated columns."""
    wanted = [c for c in table.columns if c.id in set(ids) and not c.stored]
    if not wanted:
        return table, rows
    kept = {c.id: free_name(f"c{c.id}", table) for c in table.stored_columns}
    outputs = [
        *(aliased(render.column(f"c{i}"), free) for i, free in kept.items()),
        *(aliased(decode(render.column(f"c{c.id}"), c.type), c.name) for c in table.stored_columns),
    ]
    native = render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS stored"), outputs=outputs, rows=rows)
    stored = [
        *(aliased(render.column(free), f"c{i}") for i, free in kept.items()),
        *(aliased(encode(render.column(c.name), c.type), f"c{c.id}") for c in wanted),
    ]
    return storing(table, ids), render.fill(
        Sql("SELECT {{stored}} FROM ({{rows}}) AS computed"), stored=stored, rows=with_generated(table, native)
    )


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
    outputs = [*shape.keys(), *columns("n", shape.values), *columns("o", shape.values)]
    return render.render("levels.expand_copies", outputs=outputs, changes=changes)


def table_rows(call: Call, side: TableSide, bare: bool = False) -> Sql:
    """The rows of a table on one side, in its own columns. With ``bare``, a relation of the same columns without
    rows."""
    if side.version_id is None and side.made is None:
        return render.fill(Sql("FROM {{t}}"), t=render.table(side.table.name))
    require_trusted(call, side.table)
    contents = call.contents
    return native_rows(side.table, contents.state_of(side.table, []) if bare else rows_of(contents, side))


def native_rows(table: Table, state: Sql) -> Sql:
    """Rows of storage values (``c<id>``) as native values under the names of the columns, with generated columns."""
    stored = [aliased(decode(render.column(f"c{c.id}"), c.type), c.name) for c in table.stored_columns]
    rows = render.fill(Sql("SELECT {{stored}} FROM ({{state}}) AS state"), stored=stored, state=state)
    generated = [c for c in table.columns if not c.stored]
    if not generated:
        return rows
    return render.fill(
        Sql("SELECT {{columns}} FROM ({{rows}}) AS complete"),
        columns=[render.column(c.name) for c in table.columns],
        rows=with_generated(table, rows),
    )


@dataclass(frozen=True)
class Made:
    """Rows (``c<id>``) that no version has: those that a merge would make.

    ``changes`` lead to them from the other side of the difference, in the columns of ``shape``. ``undecided`` are the
    keys (``k<id>``) of rows that are left out there.
    """

    rows: Sql
    changes: Sql
    shape: Shape
    undecided: Sql | None = None


@dataclass(frozen=True)
class TableSide:
    """A table on one side: a version of it, or the working table, or what a merge would make.

    ``stored`` is the definition for reading its rows if ``table`` has other column ids.
    """

    table: Table
    version_id: str | None
    working: WorkingTable | None = None
    stored: Table | None = None
    made: Made | None = None


@dataclass(frozen=True)
class Side:
    """Everything on one side, tables by identity, with the patterns of derived tables and the stale ones."""

    tables: Mapping[str, TableSide]
    objects: tuple[SchemaObject, ...]
    derived: tuple[str, ...] = ()
    stale: frozenset[str] = frozenset()

    def named(self, name: str) -> tuple[str, TableSide] | None:
        """The identity and the table of a name as in table arguments."""
        meant = name_meant(name, (side.table.name for side in self.tables.values()))
        return next(((i, side) for i, side in self.tables.items() if side.table.name == meant), None)

    def view(self, name: str) -> SchemaObject | None:
        """The view of a name as in table arguments."""
        views = {o.name: o for o in self.objects if o.kind == "view"}
        meant = name_meant(name, views)
        return views[meant] if meant else None


def side_of(call: Call, reference: str, macros: bool = True) -> Side:
    """The side of a reference: the tree of a commit, or the working tables for ``WORKING``.

    Without ``macros``, the working database's are not read.
    """
    if not parse_revision(reference).is_working:
        return tree_side(call.contents, call.tree(call.resolve(reference)))
    working = call.scan(call.tree(call.head().commit_id), read_rows=False, macros=macros)
    contents = call.contents
    # Ignored and untrusted parts stay as they are committed, whatever the working database has.
    ignored, withheld = (tree_side(call.contents, tree) for tree in (working.ignored, working.withheld))
    tables = {w.table_id: TableSide(w.table, None, w) for w in working.tables}
    objects = (*working.objects, *ignored.objects, *withheld.objects)
    prints = {w.table_id: contents.fingerprint(w.entry) for w in working.tables if w.entry and working.derived}
    stale = frozenset(w.table_id for w in working.tables if (f := prints.get(w.table_id)) and working.is_stale(w, f, f))
    return Side({**tables, **ignored.tables, **withheld.tables}, objects, working.derived, stale)


def tree_side(contents: Contents, tree: Tree) -> Side:
    """A tree as a side."""
    contents.load(entry.version_id for entry in tree.tables.values())
    tables = {i: TableSide(contents.table(e.version_id), e.version_id) for i, e in tree.tables.items()}
    return Side(tables, tree.objects, tree.derived, frozenset(i for i, e in tree.tables.items() if e.stale))


def rows_of(contents: Contents, side: TableSide) -> Sql:
    """The rows of a table on one side: ``c<id>`` for each stored column, as storage values."""
    if side.made:
        return side.made.rows
    rows = contents.state(side.version_id) if side.version_id else working_rows(side.stored or side.table)
    if side.stored is None:
        return rows
    pairs = zip(side.stored.stored_columns, side.table.stored_columns, strict=True)
    outputs = [aliased(render.column(f"c{old.id}"), f"c{new.id}") for old, new in pairs]
    return render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS stored"), outputs=outputs, rows=rows)
