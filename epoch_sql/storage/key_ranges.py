"""The range of keys of each file. With it, reads and rewrites skip files.

Keys are compared by their sort keys: bytes that DuckDB makes of values of every type, in the order of the values, and
equal in all DuckDB versions. The catalog keeps the first 64 bytes in hex, because keys can be long. Cut sort keys keep
their order, so a key whose cut sort key lies outside of a range is not in the file. Ranges of keys of two types cannot
be compared, so a file with another key is never skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from epoch_sql import render
from epoch_sql.model.commit import DataFile
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.shape import aliased, columns, shape_of

Range = tuple[str, str]
"""The least and the greatest cut sort key, in hex."""

# DuckDB sorts native values of these types as it sorts their storage values.
_SORTED_AS_STORED = frozenset(
    {
        *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
        *("FLOAT", "DOUBLE", "VARCHAR", "BLOB", "UUID", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    }
)
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})


def sorted_as_stored(column: Column) -> bool:
    """Whether native values of a column have the order of their storage values."""
    return column.type in _SORTED_AS_STORED and not column.collation


def sort_key(values: Sequence[render.Fragment]) -> Sql:
    """The sort key of some values.

    The empty string at the end makes it a BLOB, because sort keys of up to 8 bytes are BIGINT otherwise.
    """
    terms = [render.fill(Sql("{{v}}, 'ASC NULLS LAST'"), v=value) for value in (*values, Sql("''"))]
    return render.fill(Sql("create_sort_key({{terms}})"), terms=render.joined(terms, ", "))


def cut_sort_key(values: Sequence[render.Fragment]) -> Sql:
    """The first 64 bytes of the sort key, in hex."""
    return render.fill(Sql("lower(hex(array_slice({{k}}, 1, 64)))"), k=sort_key(values))


def key_bounds(key: Sequence[render.Fragment]) -> Sql:
    """Two aggregates: the least and the greatest key of some rows. NULL for rows without a key."""
    if not key:
        return Sql("NULL, NULL")
    if len(key) == 1:
        ends = [cut_sort_key([render.fill(Sql(f"{end}({{{{v}}}})"), v=key[0])]) for end in ("min", "max")]
        return render.joined(ends, ", ")
    whole = sort_key(key)
    ends = [render.fill(Sql(f"lower(hex(array_slice({end}({{{{k}}}}), 1, 64)))"), k=whole) for end in ("min", "max")]
    return render.joined(ends, ", ")


def stored_key(new: Table, old: Table | None) -> list[render.Sql]:
    """The columns of files that hold the key. ``old`` is the definition of the old values of a delta."""
    if old is None:
        return [render.column(column.name) for column in new.key]
    return columns("k", delta_key(new, old))


def delta_key(new: Table, old: Table) -> list[Column]:
    """The key columns of a delta, in the order of the key. Empty if the rows have no key."""
    shape = shape_of(old, new)
    found = {column.id: column for column in shape.key}
    return [] if shape.keyless else [found[column.id] for column in new.key]


def key_types(new: Table, old: Table | None = None) -> tuple[tuple[int, str], ...]:
    """What two files have in common if their ranges can be compared. Empty if the rows have no key."""
    return tuple((column.id, column.type) for column in (delta_key(new, old) if old else new.key))


def base_bounds(path: str, rows: int, table: Table, block: int) -> Sql:
    """The query for the bounds of a base file that was written in the order of its key, but for rows within a block.

    Reads the first and the last block.
    """
    # DuckDB refuses to number the rows of a file with such a column. Then all keys are read.
    numbered = all(c.name.lower() != "file_row_number" for c in table.columns)
    ends = render.fill(
        Sql(" WHERE file_row_number < {{block}} OR file_row_number >= {{last}}"),
        block=render.literal(block),
        last=render.literal(rows - block),
    )
    return render.render(
        "files.base_bounds",
        bounds=key_bounds(columns("c", table.key)),
        key=[aliased(render.column(column.name), f"c{column.id}") for column in table.key],
        path=render.literal(path),
        numbered=Sql(", file_row_number = true") if numbered else Sql(""),
        ends=ends if numbered else Sql(""),
    )


def may_hold(file: DataFile, keys: Range) -> bool:
    """Whether a file may hold one of these keys. It may if its range is not known."""
    least, greatest = file.least_key, file.greatest_key
    return least is None or greatest is None or (least <= keys[1] and keys[0] <= greatest)


def range_of(file: DataFile) -> Range | None:
    """The range of a file. None if its rows have no key."""
    return (file.least_key, file.greatest_key) if file.least_key and file.greatest_key else None


def apart(files: Sequence[DataFile]) -> bool:
    """Whether no two files can hold the same key, because each range ends before the next one begins."""
    ranges = [range_of(file) for file in files]
    return len(files) < 2 or all(one and two and one[1] < two[0] for one, two in pairwise(ranges))


@dataclass(frozen=True)
class Zone:
    """Neighbouring files of a base level, and the keys from ``start`` (None: the least one) to ``end`` (excluded;
    None: the greatest one). No other file has such keys."""

    files: tuple[DataFile, ...]
    start: str | None = None
    end: str | None = None

    def meets(self, keys: Range) -> bool:
        """Whether some of these keys may lie in the zone."""
        return (self.start is None or self.start <= keys[1]) and (self.end is None or keys[0] < self.end)


def zones(files: Sequence[DataFile]) -> list[Zone]:
    """The zones of a base level. One zone if the files do not tell their keys apart."""
    if not files:
        return []
    ranges = [known for file in files if (known := range_of(file))]
    if len(ranges) < len(files) or ranges != sorted(ranges):
        return [Zone(tuple(files))]
    groups: list[list[DataFile]] = []
    reached = ""
    for file, (least, greatest) in zip(files, ranges, strict=True):
        if groups and least <= reached:
            groups[-1].append(file)
        else:
            groups.append([file])
        reached = max(reached, greatest)
    starts = [None, *(group[0].least_key for group in groups[1:])]
    return [Zone(tuple(group), *ends) for group, *ends in zip(groups, starts, [*starts[1:], None], strict=True)]


def runs(zones: Sequence[Zone], touched: Iterable[int]) -> Iterator[tuple[bool, Zone]]:
    """Neighbouring zones that are all touched, or all not, as one zone each."""
    wanted = set(touched)
    for is_touched, group in groupby(enumerate(zones), key=lambda numbered: numbered[0] in wanted):
        members = [zone for _, zone in group]
        files = tuple(file for zone in members for file in zone.files)
        yield is_touched, Zone(files, members[0].start, members[-1].end)


def between(key: Sequence[render.Fragment], start: str | None, end: str | None) -> Sql:
    """The condition that a key lies in a zone. A sort key and a cut one compare to the ends of zones alike."""
    whole = sort_key(key)
    terms = [
        render.fill(Sql(f"{{{{k}}}} {sign} unhex({{{{b}}}})"), k=whole, b=render.literal(bound))
        for sign, bound in ((">=", start), ("<", end))
        if bound is not None
    ]
    return render.joined(terms, " AND ") if terms else Sql("true")


def parts(key: Sequence[Column], cuts: Sequence[object]) -> list[Sql]:
    """The conditions that split rows (``c<id>``) after some keys, as ``cut_value`` gives them, in the order of the
    key."""
    value = cut_value(key)
    bounds = [None, *cuts, None]
    found = []
    for start, end in pairwise(bounds):
        terms = [
            render.fill(Sql(f"{{{{v}}}} {sign} {{{{b}}}}"), v=value, b=_cut_literal(bound))
            for sign, bound in ((">", start), ("<=", end))
            if bound is not None
        ]
        found.append(render.joined(terms, " AND "))
    return found


def cut_value(key: Sequence[Column]) -> Sql:
    """What rows are split by: the sort key, or an integer key itself, so that DuckDB skips blocks of an ordered
    table."""
    values = columns("c", key)
    return render.joined(values, "") if len(key) == 1 and key[0].type in _INTEGERS else sort_key(values)


def _cut_literal(cut: object) -> Sql:
    if isinstance(cut, bytes):
        return render.fill(Sql("unhex({{hex}})"), hex=render.literal(cut.hex()))
    assert isinstance(cut, int)
    return render.literal(cut)
