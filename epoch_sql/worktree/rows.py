"""The rows of working tables as storage values, and hashes that show whether they changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.catalog.local import Fingerprint, Mark
from epoch_sql.model.commit import TableEntry, Tree
from epoch_sql.model.names import matches_name
from epoch_sql.model.schema import Column, ObjectName, SchemaObject, Table
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import encode, storage_type
from epoch_sql.storage.shape import aliased, shape_of

TABLES_AT_ONCE = 64
BUCKETS = 1 << 16
NEIGHBOUR_BITS = 7
ROWS_WORTH_BUCKETS = 200_000
_ROWS_OF_A_VALUE = 16
"""A column with more rows for each value does not tell rows apart."""
_ENGINES: dict[str, str] = {}
NEIGHBOURLY = ("INTEGER", "UINTEGER", "BIGINT", "UBIGINT")


def working_rows(table: Table, source: ObjectName | None = None, where: Sql | None = None) -> Sql:
    """The working table's rows: ``c<id>`` for each stored column, as storage values.

    ``source`` is the name of the working table if it differs from the definition's. ``where`` is a condition over its
    columns. Only here does DuckDB test it while it reads the table.
    """
    outputs = [aliased(encode(render.column(c.name), c.type), f"c{c.id}") for c in table.stored_columns]
    relation = render.table(source or table.name)
    condition = render.fill(Sql(" WHERE {{where}}"), where=where) if where is not None else Sql("")
    return render.fill(
        Sql("SELECT {{outputs}} FROM {{relation}}{{condition}}"),
        outputs=outputs,
        relation=relation,
        condition=condition,
    )


def row_hash(of: Sequence[Column]) -> Sql:
    """DuckDB's 64-bit hash of a row (``c<id>``), hashed once more: sums of plain hashes miss values that swap rows."""
    return mixed_hash([(c, f"c{c.id}") for c in of])


def mixed_hash(values: Sequence[tuple[Column, str]]) -> Sql:
    """The hash behind ``row_hash``, of columns under any names."""
    return render.fill(Sql("hash({{hash}})"), hash=_hash([(c, render.column(name)) for c, name in values]))


def _hash(values: Sequence[tuple[Column, Sql]]) -> Sql:
    """``hash()`` of several values. It confuses some nested values (NULL and [NULL]), and their sort keys do not."""
    nested = Sql("create_sort_key({{v}}, 'ASC NULLS LAST')")
    terms = [render.fill(nested if _is_nested(c) else Sql("{{v}}"), v=value) for c, value in values]
    return render.fill(Sql("hash({{terms}})"), terms=terms)


def _is_nested(column: Column) -> bool:
    storage = storage_type(column.type)
    return storage.endswith("]") or storage.startswith(("STRUCT", "MAP"))


def bucket(key: Sequence[Column], buckets: int, prefix: str = "c") -> Sql:
    """The bucket of a row by its key, in columns ``<prefix><id>``."""
    return _bucket([(c, render.column(f"{prefix}{c.id}")) for c in key], buckets)


def working_bucket(table: Table, known: Fingerprint) -> Sql:
    """The same for a row of the working table, in its own columns."""
    key = [(c, encode(render.column(c.name), c.type)) for c in bucket_key(table, known.bucket_column)]
    return _bucket(key, known.buckets)


def _bucket(key: Sequence[tuple[Column, Sql]], buckets: int) -> Sql:
    """The bucket by the hash of a key. Neighbouring integers share one.

    So rows in the order of their key add up bucket by bucket, which is faster. A hash spreads integers that are further
    apart, whatever pattern their lower bits have. NULL, in a table without a key or with a broken declared key, needs a
    bucket too.
    """
    mask = render.literal(buckets - 1)
    if len(key) > 1 or storage_type(key[0][0].type) not in NEIGHBOURLY:
        return render.fill(Sql("CAST({{hash}} & {{mask}} AS UINTEGER)"), hash=_hash(key), mask=mask)
    return render.fill(
        Sql(
            "CAST(xor(CAST(({{v}} >> {{near}}) & {{mask}} AS UBIGINT), hash({{v}} >> {{far}}) & {{mask}}) AS UINTEGER)"
        ),
        v=render.fill(Sql("coalesce({{v}}, 0)"), v=key[0][1]),
        near=render.literal(NEIGHBOUR_BITS),
        far=render.literal(NEIGHBOUR_BITS + buckets.bit_length() - 1),
        mask=mask,
    )


def bucket_key(table: Table, bucket_column: int | None) -> tuple[Column, ...]:
    """The columns whose hash gives the bucket: the key, or in a table without one a chosen column or the whole row."""
    if table.key or bucket_column is None:
        return table.key or table.stored_columns
    return tuple(column for column in table.stored_columns if column.id == bucket_column)


def choose_bucket_column(cursor: duckdb.DuckDBPyConnection, table: Table) -> int | None:
    """The id of the column to give the buckets of a table without a key: an integer that tells rows apart, and has
    neighbouring values. None if there is none.

    What is added, or changed in one place, mostly has neighbouring values, and so is in few buckets.
    """
    integers = [] if table.key else [c for c in table.stored_columns if storage_type(c.type) in NEIGHBOURLY]
    if not integers:
        return None
    columns = [render.column(c.name) for c in integers]
    count = "approx_count_distinct({{c}})"
    statement = render.render(
        "fingerprints.distinct_values",
        values=[render.fill(count, c=column) for column in columns],
        neighbourhoods=[render.fill(count, c=Sql(f"{column} >> {NEIGHBOUR_BITS}")) for column in columns],
        columns=columns,
        table=render.table(table.name),
    )
    found = cursor.execute(statement).fetchone()
    assert found
    rows, values, neighbourhoods = found
    telling = [n for n, number in enumerate(values) if number * _ROWS_OF_A_VALUE >= rows]
    return integers[min(telling, key=neighbourhoods.__getitem__)].id if telling else None


def checksums(cursor: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> list[Sums]:
    """The sums of each working table. Reads each table once."""
    found = _of_each(cursor, list(tables), checksum_query)
    return [Sums(rows, int(checksum)) for rows, checksum in found]


def row_counts(cursor: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> list[int]:
    """The number of rows of each working table, which DuckDB knows."""
    return [count for (count,) in _of_each(cursor, list(tables), _count_query)]


def _of_each(
    cursor: duckdb.DuckDBPyConnection, tables: Sequence[Table], query: Callable[[Sequence[Table], int], Sql]
) -> list[tuple[Any, ...]]:
    """The result of a query for each table, many tables at once. The query numbers its rows."""
    found: dict[int, tuple[Any, ...]] = {}
    for start in range(0, len(tables), TABLES_AT_ONCE):
        rows = cursor.execute(query(tables[start : start + TABLES_AT_ONCE], start)).fetchall()
        found.update((number, tuple(values)) for number, *values in rows)
    return [found[number] for number in range(len(tables))]


def _count_query(tables: Sequence[Table], start: int) -> Sql:
    count = "SELECT {{number}} AS number, count(*) AS row_count FROM {{table}}"
    selects = [
        render.fill(count, number=render.literal(number), table=render.table(table.name))
        for number, table in enumerate(tables, start)
    ]
    return render.joined(selects, "\nUNION ALL\n")


def checksum_query(tables: Sequence[Table], start: int = 0) -> Sql:
    """The query behind ``checksums``: one row for each table."""
    selects = [
        render.render(
            "fingerprints.fingerprint",
            number=render.literal(number),
            row_hash=row_hash(table.stored_columns),
            working=working_rows(table),
        )
        for number, table in enumerate(tables, start)
    ]
    return render.joined(selects, "\nUNION ALL\n")


def located(cursor: duckdb.DuckDBPyConnection, table: WorkingTable) -> Sums:
    """The sums of a table that is ``bucketed``, and the buckets that differ. Reads the table once."""
    assert table.known
    by = bucket_key(table.table, table.known.bucket_column)
    row = cursor.execute(located_query(table.table, by, table.known)).fetchone()
    assert row
    rows, checksum, dirty = row
    return Sums(rows, int(checksum), table.known.version_id, tuple(dirty))


def located_query(table: Table, by: Sequence[Column], known: Fingerprint) -> Sql:
    """The query behind ``located``: one row. ``by`` is the table's bucket key."""
    return render.render(
        "fingerprints.located",
        bucket=bucket(by, known.buckets),
        row_hash=row_hash(table.stored_columns),
        working=working_rows(table),
        buckets=render.catalog_table("buckets"),
        table_id=render.literal(known.table_id),
    )


def dirty_buckets(table: Table, known: Fingerprint, rows: Sql | None = None) -> Sql:
    """The buckets in which the working table, or other rows of it, differ from the version in ``epoch.buckets``."""
    return render.render(
        "fingerprints.dirty",
        bucket=bucket(bucket_key(table, known.bucket_column), known.buckets),
        row_hash=row_hash(table.stored_columns),
        working=rows or working_rows(table),
        buckets=render.catalog_table("buckets"),
        table_id=render.literal(known.table_id),
    )


def hash_shift(old: Table, new: Table, changes: Sql) -> Sql:
    """The query for the difference that changes (see ``Shape``) make to the sum of a table's row hashes."""
    return render.fill(
        Sql("SELECT coalesce(sum({{shift}}), 0) FROM ({{changes}}) AS changes"),
        shift=row_shift(old, new),
        changes=changes,
    )


def row_shift(old: Table, new: Table) -> Sql:
    """The difference that one change makes to the sum of a table's row hashes."""
    shape = shape_of(old, new)
    keys = {column.id for column in shape.key}

    def hashed(prefix: str, table: Table) -> Sql:
        values = [(c, f"{'k' if c.id in keys else prefix}{c.id}") for c in table.stored_columns]
        return render.fill(Sql("CAST({{hash}} AS HUGEINT)"), hash=mixed_hash(values))

    counts = ("n0", "o0") if shape.keyless else ("CAST(op <> 'removed' AS BIGINT)", "CAST(op <> 'added' AS BIGINT)")
    return render.fill(
        Sql("{{new}} * {{new_count}} - {{old}} * {{old_count}}"),
        new=hashed("n", new),
        new_count=Sql(counts[0]),
        old=hashed("o", old),
        old_count=Sql(counts[1]),
    )


def engine(cursor: duckdb.DuckDBPyConnection) -> str:
    """Identifies the ``hash()`` of this DuckDB by its values for a sample. Only fingerprints of this engine are
    used."""
    if duckdb.__version__ not in _ENGINES:
        row = cursor.execute(render.load("fingerprints.engine")).fetchone()
        assert row
        _ENGINES[duckdb.__version__] = str(row[0])
    return _ENGINES[duckdb.__version__]


@dataclass(frozen=True)
class WorkingTable:
    """A table of the working database.

    ``table`` is its definition with identified columns. ``entry`` is its table in the commit (None: it is new).
    ``row_count`` and ``checksum`` are of the working rows. The checksum of a large new table is None, because its rows
    have not been read yet. ``rows_differ`` is False if the hashes prove that no row changed, and True if rows may have
    changed. ``dirty`` are the buckets that differ from those of ``known``. None: nobody has looked.
    """

    table_id: str
    table: Table
    entry: TableEntry | None
    committed: Table | None
    row_count: int
    checksum: int | None
    rows_differ: bool
    known: Fingerprint | None
    dirty: tuple[int, ...] | None = None

    @property
    def schema_differs(self) -> bool:
        """Whether the definition differs from the committed one."""
        before, now = self.committed, self.table
        return before is None or (before != now and before != now.with_index_names_of(before))

    @property
    def differs(self) -> bool:
        """Whether the definition differs, or rows may."""
        return self.schema_differs or self.rows_differ


def same_rows(committed: Table, working: Table) -> bool:
    """Whether hashes of the rows under both definitions can be compared."""
    old = [(c.id, c.type) for c in committed.stored_columns]
    new = [(c.id, c.type) for c in working.stored_columns]
    return old == new and [c.id for c in committed.key] == [c.id for c in working.key]


def bucketed(table: WorkingTable) -> bool:
    """Whether the rows of a table can be compared with its committed version bucket by bucket."""
    known, committed = table.known, table.committed
    return bool(known and known.buckets and committed and same_rows(committed, table.table))


@dataclass(frozen=True)
class Working:
    """The working database against a tree: its tables, the missing tables of the tree, and its other objects.

    ``ignored`` is what the tree has under ignored names: it stays as it is committed. ``unmade`` are objects that
    DuckDB could not create: they count as present. ``withheld`` is what the tree has from untrusted remotes: it does
    not exist here, and stays as it is committed. ``unkeyed`` are the ids of tables that have lost a column of their
    declared key: they can be looked at, but not committed. ``derived`` are the patterns of derived tables.
    ``marks`` say, by the ids of such tables, which ones the next commit takes for stale or fresh.
    """

    tables: tuple[WorkingTable, ...]
    removed: tuple[TableEntry, ...]
    objects: tuple[SchemaObject, ...]
    ignored: Tree = field(default_factory=Tree)
    unmade: tuple[SchemaObject, ...] = ()
    withheld: Tree = field(default_factory=Tree)
    unkeyed: frozenset[str] = frozenset()
    derived: tuple[str, ...] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)

    @property
    def made(self) -> list[SchemaObject]:
        """The objects that exist."""
        return [found for found in self.objects if found not in self.unmade]

    def named(self, name: ObjectName) -> WorkingTable | None:
        """The working table of exactly that name."""
        return next((t for t in self.tables if t.table.name == name), None)

    def is_stale(self, table: WorkingTable, fingerprint: str, committed: str | None) -> bool:
        """Whether a table is stale with rows of a fingerprint: as marked, or as it is committed with these rows."""
        if not matches_name(self.derived, table.table.name):
            return False
        mark = self.marks.get(table.table_id)
        if mark and mark.fingerprint == fingerprint:
            return mark.stale
        return table.entry is not None and table.entry.stale and committed == fingerprint


@dataclass(frozen=True)
class Sums:
    """The number of rows of a working table and the sum of their hashes. The sum of a large new table is None.

    ``dirty`` are the buckets that differ from those of the committed version ``version_id``, if that was asked.
    """

    row_count: int
    checksum: int | None
    version_id: str | None = None
    dirty: tuple[int, ...] = ()


Seen = Mapping[ObjectName, Sums]
"""Tables as the caller of an operation sees them."""
