"""Alters a table in place, if DuckDB can do it in one transaction with the changes of its rows that follow.

What DuckDB 1.4, 1.5 and 2.0 refuse or break, found by experiment on databases that were opened from their file:

- Beside an index of CREATE INDEX: everything but ADD COLUMN and comments (1.5 and 2.0 also take defaults). A DROP INDEX
  in the same transaction does not help: the index goes on to hold back DROP COLUMN, to forbid duplicates, and to fail
  on the new names. Where it is then created again under its name, COMMIT aborts the process (1.4, 1.5).
- In a table that others (or itself) refer to: everything but ADD COLUMN, comments and CREATE INDEX.
- DROP COLUMN: of a column of a constraint or generated column, and of one before a column of a key or UNIQUE.
- ALTER TYPE: of a column of a constraint.
- RENAME COLUMN: of a column of a foreign key or referred to by one.
- ALTER of a table after changes of its rows in the same transaction fails at COMMIT, CREATE INDEX after an UPDATE at
  once; the other way around works. So these statements come first, and must hold for the rows as they were: nothing
  that old rows could violate (SET NOT NULL, a new unique index, a narrowing type) is done in place.
- If defaults, checks or generated columns of a table call a function or operator, 1.4 and 1.5 cannot replay a
  write-ahead log with such an ALTER of it, or with a COMMENT ON COLUMN. After a crash the database does not open.
  RENAME of the table, CREATE TABLE and CREATE INDEX replay.

DROP TABLE and CREATE TABLE with the same indexes, constraints and names, in one transaction, work everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from epoch_sql import render
from epoch_sql.model.schema import Column, Constraint, Index, Table, widens
from epoch_sql.model.sql_text import list_after, mentioned, same_expression, tokens
from epoch_sql.render import Sql
from epoch_sql.worktree.ddl import (
    REPLAYS_EXPRESSIONS,
    column_clause,
    comment_on,
    comment_on_column,
    comment_on_index,
    create_index,
    drop_index,
)

_COMPARISONS = frozenset({"=", "<", ">", "<=", ">=", "!=", "<>", "(", ")", ",", "."})
# fmt: off
_CONSTANT_WORDS = frozenset(
    {
        "and", "as", "between", "bigint", "blob", "boolean", "cast", "date", "decimal", "double", "false", "in",
        "integer", "is", "not", "null", "or", "smallint", "time", "timestamp", "true", "uuid", "varchar",
    }
)
# fmt: on


def alter_table(before: Table, after: Table, referenced: bool = False) -> list[Sql] | None:
    """The statements that turn one definition of a table into another. They run before its rows are changed.

    Columns with equal ids are the same column. ``referenced`` says whether foreign keys of other tables refer to it.
    None if the table has to be rebuilt: see the top of this module. Raises ValueError for columns without an id.
    """
    if any(column.id == 0 for column in (*before.columns, *after.columns)):
        raise ValueError(f"columns of {after.name} are not identified")
    change = _Change(before, after)
    if not all(test(change) for test in (_keeps_shape, _holds_for_old_rows, _indexes_allow, _untangled)):
        return None
    if change.alters_columns and (referenced or change.refers_to_itself):
        return None
    if change.alters_structure and before.foreign_keys:
        return None
    if change.touches_columns and not REPLAYS_EXPRESSIONS and (_computes(before) or _computes(after)):
        return None
    return list(_statements(change))


@dataclass(frozen=True)
class _Change:
    """Two definitions of a table, and what became of its columns and indexes."""

    before: Table
    after: Table

    @cached_property
    def kept(self) -> list[tuple[Column, Column]]:
        found = ((old, self.after.column_by_id(old.id)) for old in self.before.columns)
        return [(old, new) for old, new in found if new is not None]

    @cached_property
    def dropped(self) -> list[Column]:
        return [old for old in self.before.columns if self.after.column_by_id(old.id) is None]

    @cached_property
    def added(self) -> list[Column]:
        return [new for new in self.after.columns if self.before.column_by_id(new.id) is None]

    @cached_property
    def renamed(self) -> list[tuple[Column, Column]]:
        return [(old, new) for old, new in self.kept if old.name != new.name]

    @cached_property
    def retyped(self) -> list[tuple[Column, Column]]:
        return [(old, new) for old, new in self.kept if old.type != new.type]

    @cached_property
    def new_names(self) -> dict[str, str]:
        return {old.name.lower(): new.name for old, new in self.renamed}

    @property
    def refers_to_itself(self) -> bool:
        return any((key.referenced or "").lower() == self.before.name.name.lower() for key in self.before.foreign_keys)

    @property
    def alters_structure(self) -> bool:
        """Whether anything changes besides defaults, comments, indexes and columns that are added at the end."""
        relaxed = any(not old.nullable and new.nullable for old, new in self.kept)
        moved = self.before.name != self.after.name
        return bool(moved or self.dropped or self.renamed or self.retyped or relaxed)

    @property
    def alters_columns(self) -> bool:
        """Whether a statement is needed that DuckDB 1.4 refuses beside an index and in a referenced table."""
        defaults = any(old.default != new.default for old, new in self.kept)
        return self.alters_structure or defaults or any(not _added_at_once(new) for new in self.added)

    @property
    def touches_columns(self) -> bool:
        """Whether a statement is needed that DuckDB 1.4 and 1.5 cannot replay if columns call functions."""
        comments = any(old.comment != new.comment for old, new in self.kept)
        only_moved = self.before.columns == self.after.columns
        return not only_moved and bool(self.alters_columns or self.added or comments)

    @cached_property
    def kept_indexes(self) -> set[str]:
        """The names of the indexes that stay as they are, except for their comments."""
        after = {_uncommented(index) for index in self.after.indexes}
        return {index.name for index in self.before.indexes if _uncommented(index) in after}


def _uncommented(index: Index) -> Index:
    return replace(index, comment=None)


def _keeps_shape(change: _Change) -> bool:
    """Whether constraints, generated columns, collations and the order of the columns stay as they are."""
    order = [old.id for old, _ in change.kept] + [new.id for new in change.added]
    return (
        change.before.name.schema == change.after.name.schema
        and [column.id for column in change.after.columns] == order
        and any(old.stored for old, _ in change.kept)
        and all(column.stored for column in (*change.dropped, *change.added))
        and all(old.collation == new.collation and _same_generated(old, new) for old, new in change.kept)
        and _same_constraints(change)
    )


def _same_generated(old: Column, new: Column) -> bool:
    if old.stored or new.stored:
        return old.stored == new.stored
    return (old.name, old.type) == (new.name, new.type) and same_expression(old.generated, new.generated)


def _same_constraints(change: _Change) -> bool:
    before = sorted(_described(constraint, change.new_names) for constraint in change.before.constraints)
    after = sorted(_described(constraint, {}) for constraint in change.after.constraints)
    old_checks = sorted(c.expression for c in change.before.constraints if c.expression is not None)
    new_checks = sorted(c.expression for c in change.after.constraints if c.expression is not None)
    return before == after and _same_lists(old_checks, new_checks)


def _described(constraint: Constraint, new_names: Mapping[str, str]) -> tuple[str, ...]:
    columns = (new_names.get(name.lower(), name) for name in constraint.columns)
    return (constraint.kind, *columns, "", constraint.referenced or "", *constraint.referenced_columns)


def _same_lists(left: Sequence[str], right: Sequence[str]) -> bool:
    return len(left) == len(right) and all(map(same_expression, left, right))


def _holds_for_old_rows(change: _Change) -> bool:
    """Whether the new definition holds for the old rows, which change only later."""
    return (
        not any(old.nullable and not new.nullable for old, new in change.kept)
        and all(_accepts(old.type, new.type) for old, new in change.retyped)
        and all(new.nullable or new.fill not in (None, "NULL") for new in change.added)
    )


def _indexes_allow(change: _Change) -> bool:
    """Whether DuckDB allows the changes of indexes beside the other changes."""
    before, after = change.before.indexes, change.after.indexes
    come = [index for index in after if index.name not in change.kept_indexes]
    removed = [index for index in before if index.name not in change.kept_indexes]
    reused = {index.name.lower() for index in come} & {index.name.lower() for index in before}
    return not (reused or any(index.unique for index in (*come, *removed)) or (before and change.alters_columns))


def _accepts(old: str, new: str) -> bool:
    """Whether every value of the old type can be cast to the new type."""
    if old.startswith("ENUM(") and new.startswith("ENUM("):
        return set(list_after(old)) <= set(list_after(new))
    return widens(old, new)


def _untangled(change: _Change) -> bool:
    """Whether nothing that DuckDB protects uses the columns that are renamed, retyped or dropped."""
    table = change.before
    computed = _mentioned_in(
        *(c.expression for c in table.constraints), *(column.generated for column in table.columns)
    )
    keyed = {name.lower() for c in table.constraints if c.kind != "CHECK" for name in c.columns}
    renamed = {old.name.lower() for old, _ in change.renamed}
    retyped = {old.name.lower() for old, _ in change.retyped}
    dropped = {old.name.lower() for old in change.dropped}
    positions = {column.name.lower(): position for position, column in enumerate(table.columns)}
    last_keyed = max((positions[name] for name in keyed), default=-1)
    return not (
        (renamed | retyped | dropped) & computed
        or retyped & keyed
        or any(positions[name] <= last_keyed for name in dropped)
    )


def _mentioned_in(*expressions: str | None) -> set[str]:
    return {name for expression in expressions if expression is not None for name in mentioned(expression)}


def _computes(table: Table) -> bool:
    """Whether a default, check or generated column calls something, as far as its text shows."""
    columns = {column.name.lower() for column in table.columns}
    expressions = [
        *(column.default for column in table.columns),
        *(column.generated for column in table.columns),
        *(constraint.expression for constraint in table.constraints),
    ]
    return any(_calls(expression, columns) for expression in expressions if expression is not None)


def _calls(expression: str, columns: set[str]) -> bool:
    for token in tokens(expression.removeprefix("-")):
        known = token.name is not None and token.name.lower() in (columns | _CONSTANT_WORDS)
        constant = token.text[0] == "'" or token.text[0].isdigit()
        if not (known or constant or token.text in _COMPARISONS):
            return True
    return any(
        following.text == "(" and (token.name or "").lower() in columns - _CONSTANT_WORDS
        for token, following in zip(tokens(expression), list(tokens(expression))[1:], strict=False)
    )


def _added_at_once(column: Column) -> bool:
    """Whether ADD COLUMN alone adds the whole column."""
    return column.nullable and _same_value(column.fill, column.default)


def _same_value(fill: str | None, default: str | None) -> bool:
    return (None if fill == "NULL" else fill) == default


def _statements(change: _Change) -> Iterator[Sql]:
    """All statements in the order that DuckDB accepts: drop indexes, then names, columns, values and comments, then
    create indexes."""
    before, after = change.before, change.after
    stay = change.kept_indexes
    yield from (drop_index(before, index) for index in before.indexes if index.name not in stay)
    if before.name != after.name:
        yield render.fill(
            "ALTER TABLE {{table}} RENAME TO {{name}}",
            table=render.table(before.name),
            name=render.identifier(after.name.name),
        )
    yield from (_alter(after, "DROP COLUMN {{column}}", old) for old in change.dropped)
    yield from _renames(change)
    for _, new in change.retyped:
        yield _alter(after, "ALTER COLUMN {{column}} TYPE {{type}}", new, type=render.verbatim(new.type))
    for new in change.added:
        yield from _addition(after, new)
    for old, new in change.kept:
        if old.default != new.default:
            yield _default(after, new)
        if not old.nullable and new.nullable:
            yield _alter(after, "ALTER COLUMN {{column}} DROP NOT NULL", new)
    yield from _comments(change)
    yield from (create_index(after, index) for index in after.indexes if index.name not in stay)
    had = {index.name: index.comment for index in before.indexes if index.name in stay}
    yield from (comment_on_index(after, index) for index in after.indexes if had.get(index.name) != index.comment)


def _renames(change: _Change) -> Iterator[Sql]:
    """RENAME COLUMN for each. Uses temporary names if a new name is the old name of another column."""
    kept = {old.name.lower(): old for old, _ in change.kept}
    collides = any(kept.get(new.name.lower(), old) is not old for old, new in change.renamed)
    steps = [(old.name, new.name) for old, new in change.renamed]
    if collides:
        used = {column.name.lower() for column in (*change.before.columns, *change.after.columns)}
        free = (name for name in map("renaming_{}".format, range(len(used) + len(steps))) if name not in used)
        between = [(old, name, new) for (old, new), name in zip(steps, free, strict=False)]
        steps = [(old, name) for old, name, _ in between] + [(name, new) for _, name, new in between]
    for old_name, new_name in steps:
        yield render.fill(
            "ALTER TABLE {{table}} RENAME COLUMN {{old}} TO {{new}}",
            table=render.table(change.after.name),
            old=render.identifier(old_name),
            new=render.identifier(new_name),
        )


def _addition(table: Table, column: Column) -> Iterator[Sql]:
    """ADD COLUMN with the value of existing rows, then the default for new rows."""
    filled = Column(column.name, column.type, collation=column.collation, default=column.fill)
    yield render.fill(
        "ALTER TABLE {{table}} ADD COLUMN {{column}}",
        table=render.table(table.name),
        column=column_clause(filled, not_null=False),
    )
    if not _same_value(column.fill, column.default):
        yield _default(table, column)
    if not column.nullable:
        yield _alter(table, "ALTER COLUMN {{column}} SET NOT NULL", column)


def _default(table: Table, column: Column) -> Sql:
    if column.default is None:
        return _alter(table, "ALTER COLUMN {{column}} DROP DEFAULT", column)
    return _alter(table, "ALTER COLUMN {{column}} SET DEFAULT {{value}}", column, value=render.verbatim(column.default))


def _comments(change: _Change) -> Iterator[Sql]:
    if change.before.comment != change.after.comment:
        yield comment_on("TABLE", render.table(change.after.name), change.after.comment)
    for old, new in change.kept:
        if old.comment != new.comment:
            yield comment_on_column(change.after.name, new.name, new.comment)
    for new in change.added:
        if new.comment is not None:
            yield comment_on_column(change.after.name, new.name, new.comment)


def _alter(table: Table, action: str, column: Column, **fragments: Sql) -> Sql:
    return render.fill(
        "ALTER TABLE {{table}} " + action,
        table=render.table(table.name),
        column=render.identifier(column.name),
        **fragments,
    )
