"""Recognises tables and columns of the working database as those of the last commit, through renames.

DuckDB keeps no identities of columns or tables. But ALTER … RENAME keeps a column's position, and ADD appends. If that
leaves a choice, the data decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochTableError
from epoch_sql.model.schema import Column, Table, identity
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import encode, storage_type
from epoch_sql.storage.types import castable

SameData = Callable[[Column, Column], bool]
"""Whether a column of the last commit and one of the working table hold mostly the same values."""


def identify_columns(
    committed: Table | None, working: Table, table_id: str, same_data: SameData, stored_ids: Iterable[int] = ()
) -> Table:
    """The working definition with column ids: those of the committed columns that it recognises.

    Columns with one name are one column. Others were renamed if they are between the same neighbours. At the end of the
    table it could also be a drop and an add, so there their data have to agree. ``stored_ids`` are the columns that
    files of the table still hold. A new column must not get the id of one of them that was dropped before.
    """
    if committed is None:
        return _with_ids(working, {}, table_id, ())
    by_name = {column.name.lower(): column for column in committed.columns}
    matched = {c.name: by_name[c.name.lower()] for c in working.columns if c.name.lower() in by_name}
    for old, new in _renamed(committed.columns, working.columns, matched, same_data):
        matched[new.name] = old
    return _with_ids(working, matched, table_id, [*stored_ids, *(column.id for column in committed.columns)])


def followed_key(key: tuple[str, ...], committed: Table | None, working: Table) -> tuple[str, ...]:
    """A declared key of the working table under the present names of its columns. Empty if a primary key replaces it.

    ``working`` has identified columns. Raises EpochTableError if a column of the key was dropped.
    """
    if any(constraint.kind == "PRIMARY KEY" for constraint in working.constraints):
        return ()
    names = {column.name.lower(): column.name for column in working.columns}
    if committed:
        present = {column.id: column.name for column in working.columns}
        old = {column.name.lower(): present.get(column.id) for column in committed.columns}
        names = {**{name: new for name, new in old.items() if new}, **names}
    missing = [name for name in key if name.lower() not in names]
    if missing:
        raise EpochTableError(
            f"table {working.name} has lost {', '.join(missing)} of its key ({', '.join(key)})",
            (
                "choose other columns, or none, to version it without a key: ",
                Suggestion("key", str(working.name), ("COLUMN",)),
            ),
            table=str(working.name),
            column=missing[0],
        )
    return tuple(names[name.lower()] for name in key)


def _renamed(
    old: Sequence[Column], new: Sequence[Column], matched: dict[str, Column], same_data: SameData
) -> list[tuple[Column, Column]]:
    known = {column.name for column in matched.values()}
    pairs = []
    old_gaps = _gaps(old, lambda c: c.name in known)
    new_gaps = _gaps(new, lambda c: c.name in matched)
    anchors = [c.name for c in old if c.name in known]
    if anchors != [matched[c.name].name for c in new if c.name in matched]:
        return []
    for position, (before, after) in enumerate(zip(old_gaps, new_gaps, strict=True)):
        last = position == len(old_gaps) - 1
        for candidate, column in zip(before, after, strict=False):
            certain = not last and len(before) == len(after)
            if candidate.stored == column.stored and (certain or (candidate.stored and same_data(candidate, column))):
                pairs.append((candidate, column))
    return pairs


def _gaps(columns: Sequence[Column], anchor: Callable[[Column], bool]) -> list[list[Column]]:
    gaps: list[list[Column]] = [[]]
    for column in columns:
        if anchor(column):
            gaps.append([])
        else:
            gaps[-1].append(column)
    return gaps


def _with_ids(working: Table, matched: dict[str, Column], table_id: str, taken: Sequence[int]) -> Table:
    used = set(taken)
    columns = []
    for column in working.columns:
        old = matched.get(column.name)
        if old:
            columns.append(replace(column, id=old.id, fill=_fill(old, column)))
            continue
        number = identity(table_id, column.name, column.type, taken=used)
        used.add(number)
        columns.append(replace(column, id=number))
    return replace(working, columns=tuple(columns))


def _fill(old: Column, new: Column) -> str | None:
    """The value of rows that are older than the column: first of its type at that time, because that may round it."""
    if old.fill is None or old.type == new.type:
        return old.fill
    value, kind = render.verbatim(old.fill), render.verbatim(old.type)
    return render.fill(Sql("CAST({{value}} AS {{type}})"), value=value, type=kind)


def mostly_equal(
    cursor: duckdb.DuckDBPyConnection, state: Sql, committed: Table, working: Table, old: Column, new: Column
) -> bool:
    """Whether at least half of the rows hold the same value in a committed and in a working column.

    Matches rows by their key. In tables without a key, it compares the two columns as bags of values. Two empty columns
    of one type are the same.
    """
    if not castable(storage_type(new.type), storage_type(old.type)):
        return False
    keys = [(old_key, working.column(old_key.name)) for old_key in committed.key if _has(working, old_key.name)]
    value = render.fill(
        Sql("TRY_CAST({{v}} AS {{t}})"),
        v=encode(render.column(new.name), new.type),
        t=storage_type(old.type),
    )
    keyed = bool(committed.key) and len(keys) == len(committed.key)
    statement = render.render(
        "worktree.mostly_equal" if keyed else "worktree.mostly_equal_bag",
        committed_value=render.column(f"c{old.id}"),
        committed_keys=[render.column(f"c{k.id}") for k, _ in keys],
        committed=state,
        working_value=value,
        working_keys=[encode(render.column(k.name), k.type) for _, k in keys],
        working=render.table(working.name),
    )
    row = cursor.execute(statement).fetchone()
    assert row
    committed_rows, working_rows, equal = row
    if not committed_rows or not working_rows:
        return old.type == new.type
    return bool(2 * equal >= min(committed_rows, working_rows))


def _has(table: Table, name: str) -> bool:
    return any(column.name.lower() == name.lower() for column in table.columns)


def _with_ids_of(table: Table, committed: Table) -> Table:
    columns = tuple(
        replace(column, id=old.id, fill=old.fill) for column, old in zip(table.columns, committed.columns, strict=True)
    )
    return replace(table, columns=columns)
