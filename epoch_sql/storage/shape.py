"""The columns of rows and changes of a table in queries, named by column id.

Rows have ``c<id>``. A change has ``op`` (``added``, ``modified``, ``removed``), the key ``k<id>``, new values ``n<id>``
and old values ``o<id>``. A table without a key is a bag of rows. There the whole row is the key, and its only value,
with id 0, is the number of copies.

If neither type of a key column has every value of the other, the key has the column twice: ``k<id>`` of the newer type
and ``k-<id>`` of the older one. A value that converts to the other type and back has both, so it is the same key on
both sides. Any other value has only its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from epoch_sql import render
from epoch_sql.model.schema import Column, Table, common, widens
from epoch_sql.render import Sql
from epoch_sql.storage.conversion import converted, differs, exactly
from epoch_sql.storage.encoding import encode, storage_type
from epoch_sql.storage.types import COPIES, OLD_VALUE, FieldId, parse_type, part_ids

_FLEETING = re.compile(r"TIME ZONE|TZ")

MULTIPLICITY = Column("multiplicity", "BIGINT", 0)
Condition = Callable[[str], Sql]
"""A condition on the key of a row, whose columns have a prefix: ``c<id>`` or ``k<id>``."""


@dataclass(frozen=True)
class Shape:
    """Key and value columns of the changes between two definitions of a table.

    ``compared`` are the values that make a row count as modified: those of the newer definition. ``retyped`` are the
    older definitions of values whose type differs. Old values keep the old type, and are converted to be compared.
    ``twice`` are the doubled key columns by id: the newer and the older definition.
    """

    key: tuple[Column, ...]
    values: tuple[Column, ...]
    compared: tuple[Column, ...]
    keyless: bool
    retyped: Mapping[int, Column] = field(default_factory=dict)
    twice: Mapping[int, tuple[Column, Column]] = field(default_factory=dict)

    def old(self, column: Column) -> Column:
        """The definition of a column's old values."""
        return self.retyped.get(column.id, column)

    def key_of(self, column_id: int, old: bool) -> Column | None:
        """The key column (``k<id>``) with a column's value on one side of a change, or None if the key does not have
        it."""
        wanted = -column_id if old and column_id in self.twice else column_id
        return next((column for column in self.key if column.id == wanted), None)

    @property
    def old_values(self) -> tuple[Column, ...]:
        """The value columns under the older definition."""
        return tuple(self.old(column) for column in self.values)

    @property
    def fields(self) -> tuple[FieldId, ...]:
        """The columns of a delta's file, but for ``op``, with their field ids."""
        new = [(f"{prefix}{c.id}", c) for prefix, group in (("k", self.key), ("n", self.values)) for c in group]
        return _fields(new) + _fields([(f"o{c.id}", c) for c in self.old_values], OLD_VALUE)

    @property
    def rows(self) -> tuple[Column, ...]:
        """The columns of a row."""
        return self.key if self.keyless else (*self.key, *self.values)

    def keys(self, relation: str | None = None) -> list[render.Sql]:
        """References to the key columns of a change."""
        return [render.column(f"k{column.id}", relation) for column in self.key]

    def same_key(self, left: str, right: str, left_prefix: str = "c", right_prefix: str = "c") -> render.Sql:
        """The join condition of two relations on the key. The NULLs of a row without a key are equal."""
        condition = "{{l}} IS NOT DISTINCT FROM {{r}}" if self.keyless else "{{l}} = {{r}}"
        terms = [
            render.fill(
                render.Sql(condition),
                l=render.column(f"{left_prefix}{column.id}", left),
                r=render.column(f"{right_prefix}{column.id}", right),
            )
            for column in self.key
        ]
        return render.joined(terms, " AND ")

    def differs(self, new: tuple[str | None, str], old: tuple[str | None, str]) -> render.Sql:
        """The condition that some compared value differs. Each side is a relation and the prefix of its columns."""
        terms = [
            self.value_differs(
                column, render.column(f"{new[1]}{column.id}", new[0]), render.column(f"{old[1]}{column.id}", old[0])
            )
            for column in self.compared
        ]
        return (
            render.fill(render.Sql("({{terms}})"), terms=render.joined(terms, " OR ")) if terms else render.Sql("false")
        )

    def value_differs(self, column: Column, new: render.Sql, old: render.Sql) -> render.Sql:
        """The condition that one value differs. Two types differ if they do not convert to each other in both
        directions."""
        if column.id not in self.retyped:
            return render.fill(render.Sql("{{n}} IS DISTINCT FROM {{o}}"), n=new, o=old)
        return differs(new, column, old, self.old(column))


def shape_of(before: Table | None, after: Table | None) -> Shape:
    """The shape of the changes from one definition to another. None means that the table does not exist."""
    old = before or after
    new = after or before
    assert old and new
    if not new.key or {c.id for c in old.key} != {c.id for c in new.key}:
        key, twice = _of_both_sides(_union(old, new), old)
        return Shape(key, (MULTIPLICITY,), (MULTIPLICITY,), keyless=True, twice=twice)
    types = {column.id: column for column in old.stored_columns}
    key_ids = {column.id for column in new.key}
    key, twice = _of_both_sides((column for column in new.stored_columns if column.id in key_ids), old)
    values = tuple(column for column in _union(old, new) if column.id not in key_ids)
    compared = tuple(column for column in new.stored_columns if column.id not in key_ids)
    retyped = {c.id: types[c.id] for c in values if c.id in types and types[c.id].type != c.type}
    return Shape(key, values, compared, keyless=False, retyped=retyped, twice=twice)


def field_ids(table: Table) -> tuple[FieldId, ...]:
    """The columns of a table's base files, with their field ids."""
    return _fields([(column.name, column) for column in table.stored_columns])


def _fields(named: Iterable[tuple[str, Column]], shift: int = 0) -> tuple[FieldId, ...]:
    taken = {COPIES}
    found = []
    for name, column in named:
        # The older type of a doubled key counts as an old value.
        number, added = (column.id or COPIES, shift) if column.id >= 0 else (-column.id, OLD_VALUE)
        parts = part_ids(parse_type(storage_type(column.type)), number, added, taken)
        found.append(FieldId(name, number + added, parts))
    return tuple(found)


def keyed_alike(before: Table, after: Table) -> bool:
    """Whether the same columns identify rows under both definitions, so that a delta can lead from one to the other."""
    if before.key or after.key:
        return _same_key(before, after)
    return [c.id for c in before.stored_columns] == [c.id for c in after.stored_columns]


def is_constant(column: Column) -> bool:
    """Whether a column's default is a constant, which ADD COLUMN puts into existing rows.

    Texts of user-defined types, and of types that depend on the session's time zone, do not count as constants.
    """
    return column.default is not None and not _FLEETING.search(column.type) and _is_constant(column.default)


@lru_cache(maxsize=1024)
def _is_constant(default: str) -> bool:
    # Few operations ask, and to import sqlglot takes longer than most of them.
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    constant = (exp.Literal, exp.Cast, exp.Neg, exp.Boolean, exp.Null, exp.Paren, exp.DataType, exp.DataTypeParam)
    fleeting = (exp.DataType.Type.USERDEFINED, exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMETZ)
    try:
        nodes = parse_one(default, dialect="duckdb").walk()
        return all(isinstance(node, constant) and node.this not in fleeting for node in nodes)
    except SqlglotError:
        return False


def filling(column: Column) -> render.Sql:
    """The storage value of a column in rows that were written before the column existed."""
    value = render.verbatim(column.fill) if column.fill is not None else render.Sql("NULL")
    typed = render.fill(render.Sql("CAST({{value}} AS {{type}})"), value=value, type=render.verbatim(column.type))
    return encode(typed, column.type)


def stored_as(column: Column) -> render.Sql:
    """The type of a column's storage values when they are read."""
    return render.Sql("BIGINT") if column.id == MULTIPLICITY.id else storage_type(column.type)


def has_floats(column: Column) -> bool:
    """Whether values of the column hold floating-point numbers. DuckDB loses the sign of -0.0 when it sorts them."""
    return any(leaf.name in ("FLOAT", "DOUBLE") for leaf in parse_type(column.type).leaves())


def of_step(column: Column, value: render.Sql, newest: bool) -> render.Sql:
    """The aggregate that gives the storage value (or NULL) of the newest or oldest ``step`` of a key's changes.

    For most types DuckDB keeps the value as a sort key, which turns -0.0 into 0.0. DOUBLE and lists keep the sign.
    """
    pick = "arg_max_null({{v}}, step)" if newest else "arg_min_null({{v}}, step)"
    if column.type == "FLOAT":
        pick = f"CAST({pick.replace('{{v}}', 'CAST({{v}} AS DOUBLE)')} AS FLOAT)"
    elif column.type != "DOUBLE" and has_floats(column):
        pick = f"list({{{{v}}}} ORDER BY step)[{-1 if newest else 1}]"
    return render.fill(render.Sql(pick), v=value)


def aliased(expression: render.Fragment, name: str) -> render.Sql:
    """``expression AS "name"``."""
    return render.fill(render.Sql("{{e}} AS {{n}}"), e=expression, n=render.identifier(name))


def columns(prefix: str, of: Sequence[Column], relation: str | None = None) -> list[render.Sql]:
    """References to ``<prefix><id>`` of each column."""
    return [render.column(f"{prefix}{column.id}", relation) for column in of]


def _same_key(old: Table, new: Table) -> bool:
    types = {c.id: c.type for c in old.key}
    return types.keys() == {c.id for c in new.key} and all(
        widens(types[c.id], c.type) or widens(c.type, types[c.id]) for c in new.key
    )


def _of_both_sides(
    columns: Iterable[Column], old: Table
) -> tuple[tuple[Column, ...], dict[int, tuple[Column, Column]]]:
    """Key columns with types that have the values of both definitions, and those that need two types."""
    before = {column.id: column for column in old.stored_columns}
    found, twice = [], {}
    for column in columns:
        was = before.get(column.id, column)
        shared = common(was.type, column.type)
        found.append(replace(column, type=shared or column.type))
        if shared is None:
            twice[column.id] = (column, was)
    return (*found, *(replace(was, id=-was.id) for _, was in twice.values())), twice


def _union(old: Table, new: Table) -> tuple[Column, ...]:
    ids = {column.id for column in new.stored_columns}
    return (*new.stored_columns, *(column for column in old.stored_columns if column.id not in ids))


def struct(fields: Sequence[tuple[str, Sql]]) -> Sql:
    """A struct constant: ``{'name': value, …}``."""
    parts = [render.fill(Sql("{{n}}: {{v}}"), n=render.literal(name), v=expression) for name, expression in fields]
    return Sql("{" + render.joined(parts, ", ") + "}")


def matching(rows: Sql, condition: Condition | None, prefix: str) -> Sql:
    """The rows that meet a condition, if there is one; see ``Condition``."""
    if condition is None:
        return rows
    return render.fill("SELECT * FROM ({{rows}}) AS rows WHERE {{where}}", rows=rows, where=condition(prefix))


def arrange(rows: Sql, shape: Shape, table: Table, old: bool = False) -> Sql:
    """Rows of a definition in the columns of a shape. Fills missing columns, and counts equal rows of a bag (``c0``).

    ``old`` rows keep their own types. In the key they do so only if there is no common type with the newer rows.
    """
    outputs = [_arranged(shape.old(c) if old else c, table) for c in shape.rows if abs(c.id) not in shape.twice]
    if shape.twice:
        rows = _made(rows, shape, old)
        outputs += [part for new, was in shape.twice.values() for part in _both(new, was, old)]
    if not shape.keyless:
        return render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS state"), outputs=outputs, rows=rows)
    return render.fill(
        Sql("SELECT {{outputs}}, count(*) AS c0 FROM ({{rows}}) AS state GROUP BY ALL"), outputs=outputs, rows=rows
    )


def _arranged(wanted: Column, table: Table) -> Sql:
    source = table.column_by_id(wanted.id)
    if source is None or not source.stored:
        return aliased(filling(wanted), f"c{wanted.id}")
    value = render.column(f"c{wanted.id}")
    same = source.type == wanted.type
    return aliased(value if same else converted(value, source, wanted), f"c{wanted.id}")


def _made(rows: Sql, shape: Shape, old: bool) -> Sql:
    """Rows of one side with ``m<id>``: the value of a doubled key column under its other type."""
    pairs = [(was, new) if old else (new, was) for new, was in shape.twice.values()]
    made = [aliased(converted(render.column(f"c{own.id}"), own, other), f"m{own.id}") for own, other in pairs]
    return render.fill(Sql("SELECT *, {{made}} FROM ({{rows}}) AS state"), made=made, rows=rows)


def _both(new: Column, was: Column, old: bool) -> tuple[Sql, Sql]:
    """A value of one side, under the newer and the older type."""
    own, other = (was, new) if old else (new, was)
    value = render.column(f"c{new.id}")
    turned = exactly(render.column(f"m{new.id}"), other, value, own)
    pair = (turned, value) if old else (value, turned)
    return aliased(pair[0], f"c{new.id}"), aliased(pair[1], f"c-{new.id}")


def applied(table: Table, base: Sql, changed: Sql, latest: Sql) -> Sql:
    """The rows (``c<id>``) of a table after changes: those of the ``base`` whose keys have not ``changed``, and the
    ``latest`` change of each key that has."""
    shape = shape_of(None, table)
    keys = {column.id for column in shape.key}
    rows = "SELECT *, unnest(range(n0)) FROM ({{latest}}) AS latest WHERE n0 > 0"
    if not shape.keyless:
        rows = "FROM ({{latest}}) AS latest WHERE op <> 'removed'"
    return render.render(
        "levels.state",
        base_columns=columns("c", table.stored_columns),
        base=base,
        changed=changed,
        same_key=shape.same_key("base", "delta", "c", "k"),
        delta_columns=[
            aliased(render.column(f"{'k' if c.id in keys else 'n'}{c.id}"), f"c{c.id}") for c in table.stored_columns
        ],
        rows=render.fill(rows, latest=latest),
    )


def compare(shape: Shape, before: Sql | None, after: Sql | None) -> Sql:
    """The difference between two relations that ``arrange`` made (None: no rows)."""
    empty = render.no_rows((f"c{c.id}", stored_as(c)) for c in (*shape.key, *shape.values))
    keys = [
        aliased(
            render.fill(
                Sql("CASE WHEN a.present THEN {{a}} ELSE {{b}} END"),
                a=render.column(f"c{c.id}", "a"),
                b=render.column(f"c{c.id}", "b"),
            ),
            f"k{c.id}",
        )
        for c in shape.key
    ]
    absent = (lambda value: render.fill(Sql("coalesce({{v}}, 0)"), v=value)) if shape.keyless else (lambda value: value)
    values = [
        aliased(absent(render.column(f"c{c.id}", relation)), f"{prefix}{c.id}")
        for prefix, relation in (("n", "a"), ("o", "b"))
        for c in shape.values
    ]
    return render.render(
        "levels.compare",
        outputs=[*keys, *values],
        before=before or empty,
        after=after or empty,
        same_key=shape.same_key("b", "a"),
        differs=shape.differs(("a", "c"), ("b", "c")),
    )


def no_changes(shape: Shape) -> Sql:
    """An empty relation of changes."""
    groups = (("k", shape.key), ("n", shape.values), ("o", shape.old_values))
    values = [(f"{prefix}{column.id}", stored_as(column)) for prefix, group in groups for column in group]
    return render.no_rows([("op", Sql("VARCHAR")), *values])
