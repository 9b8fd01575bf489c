"""Three-way merge of definitions. It matches columns by identity, so it keeps a rename on one side and an edit on the
other.

A change of one side alone is taken. Two different changes are a conflict, which a decision resolves. Until then ours is
used, so that the rows can be merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from epoch_sql.model.schema import Column, Constraint, Index, SchemaObject, Table, Trigger
from epoch_sql.model.schema_diff import index_text, object_text, trigger_text
from epoch_sql.model.sql_text import mentioned, readable, with_names

T = TypeVar("T")
_ATTRIBUTES = ("name", "type", "nullable", "default", "generated", "collation", "comment")


@dataclass(frozen=True)
class SchemaConflict:
    """Two different changes of one definition. Definitions are texts, or None if the definition does not exist.

    ``column_name`` is None if the whole table or object is in conflict.
    """

    table_name: str
    column_name: str | None
    base: str | None
    ours: str | None
    theirs: str | None
    resolved: bool = False


Decide = Callable[[str, str | None], str | None]
"""Which side (``ours``, ``theirs``, ``base``) was chosen for a table and a column (None: the table itself), if any."""


@dataclass(frozen=True)
class MergedTable:
    """The merged definition of a table, its conflicts, and the ids of its columns on the side of theirs.

    ``aliases`` maps the id of a merged column to its id in theirs, if both sides added it under different ids.
    """

    table: Table
    conflicts: tuple[SchemaConflict, ...]
    aliases: Mapping[int, int]


class _Merger:
    def __init__(self, table_name: str, decide: Decide) -> None:
        self.table_name = table_name
        self.decide = decide
        self.conflicts: list[SchemaConflict] = []

    def three_way(self, column: str | None, base: T, ours: T, theirs: T, show: Callable[[T], str | None]) -> T:
        """The value that one side changed, or the decision between two changes."""
        if ours == theirs or theirs == base:
            return ours
        if ours == base:
            return theirs
        return self.settle(column, base, ours, theirs, show)

    def settle(self, column: str | None, base: T, ours: T, theirs: T, show: Callable[[T], str | None]) -> T:
        """Record a conflict, and return the decision, or else ours."""
        side = self.decide(self.table_name, column)
        conflict = SchemaConflict(self.table_name, column, show(base), show(ours), show(theirs), side is not None)
        if conflict not in self.conflicts:
            self.conflicts.append(conflict)
        return {"theirs": theirs, "base": base}.get(side or "", ours)


def merge_definitions(
    base: Table | None,
    ours: Table,
    theirs: Table,
    decide: Decide,
    changed_values: Callable[[str, int], bool],
    loses_values: Callable[[str, int], bool],
    describe: Callable[[Column], str],
) -> MergedTable:
    """Merge two definitions of one table.

    ``changed_values(side, column_id)`` says whether that side changed values of a column of the base, and is called
    only for columns that the other side dropped. ``loses_values`` says whether a side stored values in a column that
    the other side computes with other results. The columns have the order of ours, and then the new columns of theirs.
    """
    merger = _Merger(str(ours.name), decide)
    aliases = _aliases(base, ours, theirs)
    theirs_by_id = {aliases.get(c.id, c.id): replace(c, id=aliases.get(c.id, c.id)) for c in theirs.columns}
    ours_by_id = {c.id: c for c in ours.columns}
    base_by_id = {c.id: c for c in base.columns} if base else {}

    def show(column: Column | None) -> str | None:
        return describe(column) if column else None

    sides = {"ours": ours, "theirs": theirs}

    def touched(side: str, column: Column) -> bool:
        return changed_values(side, column.id) or (base is not None and _needed_anew(base, sides[side], column))

    by_id = _with_merged_names(base_by_id, ours_by_id, theirs_by_id)
    columns = []
    for identity in dict.fromkeys((*ours_by_id, *theirs_by_id, *base_by_id)):
        old, left, right = (by.get(identity) for by in by_id)
        column = _merge_column(merger, old, left, right, touched, loses_values, show)
        if column:
            columns.append(column)
    columns = _without_namesakes(merger, columns, ours_by_id, theirs_by_id, show)
    was = base or replace(ours, constraints=(), indexes=(), comment=None, declared_key=(), triggers=())
    renames = _renames(columns, ours, theirs, base)
    dropped = _dropped(columns, ours, theirs, base)
    table = Table(
        merger.three_way(None, base.name if base else ours.name, ours.name, theirs.name, str),
        tuple(columns),
        tuple(c for c in _merge_constraints(was, ours, theirs, renames) if not _uses(c, dropped)),
        tuple(i for i in _merge_indexes(merger, was, ours, theirs, renames) if not _expressed(i.expressions, dropped)),
        merger.three_way(None, was.comment, ours.comment, theirs.comment, lambda text: text),
        _merge_declared(was, ours, theirs, renames),
        _merge_triggers(merger, was, ours, theirs, renames),
    )
    return MergedTable(table, tuple(merger.conflicts), {v: k for k, v in aliases.items()})


def as_on_one_side(merged: MergedTable, table: Table) -> MergedTable:
    """The merged definition after a decision to take the table of one side, whose columns keep their identities."""
    ids = {own: i for i, own in merged.aliases.items()}
    return replace(merged, table=table.with_column_ids(ids), conflicts=())


def merge_objects(
    base: Sequence[SchemaObject],
    ours: Sequence[SchemaObject],
    theirs: Sequence[SchemaObject],
    decide: Decide,
    forced: Callable[[str], str | None],
) -> tuple[tuple[SchemaObject, ...], tuple[SchemaConflict, ...]]:
    """Merge views, macros and other objects, each as a whole, by kind and name.

    ``forced`` gives the side that was chosen for an object without a conflict, if any.
    """
    sides = [{(o.kind, o.name): o for o in side} for side in (base, ours, theirs)]
    merged, conflicts = [], []
    for key in dict.fromkeys(k for side in (sides[1], sides[2], sides[0]) for k in side):
        old, left, right = (side.get(key) for side in sides)
        merger = _Merger(next(o.label for o in (left, right, old) if o), decide)
        side = forced(merger.table_name)
        if side:
            chosen = {"ours": left, "theirs": right, "base": old}[side]
        else:
            chosen = merger.three_way(None, old, left, right, lambda o: object_text(o) if o else None)
        conflicts.extend(merger.conflicts)
        if chosen:
            merged.append(chosen)
    return tuple(merged), tuple(conflicts)


def _with_merged_names(
    base: Mapping[int, Column], ours: Mapping[int, Column], theirs: Mapping[int, Column]
) -> list[Mapping[int, Column]]:
    """The columns of all three by id. Expressions of generated columns use the names after the merge."""
    names = {}
    for identity, column in {**base, **theirs, **ours}.items():
        old, right = base.get(identity, column).name, theirs.get(identity, column).name
        names[identity] = right if column.name == old else column.name
    found: list[Mapping[int, Column]] = []
    for columns in (base, ours, theirs):
        renamed = _changed({c.name.lower(): names[i] for i, c in columns.items()})
        found.append(
            {i: replace(c, generated=c.generated and with_names(c.generated, renamed)) for i, c in columns.items()}
        )
    return found


def _merge_column(
    merger: _Merger,
    old: Column | None,
    ours: Column | None,
    theirs: Column | None,
    touched: Callable[[str, Column], bool],
    loses_values: Callable[[str, int], bool],
    show: Callable[[Column | None], str | None],
) -> Column | None:
    if ours and theirs:
        if old and old.stored and ours.stored != theirs.stored:
            side, stored = ("ours", ours) if ours.stored else ("theirs", theirs)
            if loses_values(side, stored.id if side == "ours" else old.id):
                return replace(merger.settle(ours.name, old, ours, theirs, show), id=ours.id)
        return _merge_attributes(merger, old, ours, theirs, show)
    if old is None:
        return ours or theirs
    left = ours or theirs
    if left is None:
        return None
    side = "ours" if ours else "theirs"
    if _visible(left) == _visible(old) and not touched(side, left):
        return None
    return merger.settle(old.name, old, ours, theirs, show)


def _merge_attributes(
    merger: _Merger,
    old: Column | None,
    ours: Column,
    theirs: Column,
    show: Callable[[Column | None], str | None],
) -> Column:
    merged: dict[str, Any] = {}
    for attribute in _ATTRIBUTES:
        left, right = getattr(ours, attribute), getattr(theirs, attribute)
        was = getattr(old, attribute) if old else left
        if left != right and was not in (left, right):
            side = merger.settle(ours.name, old, ours, theirs, show) or ours
            return replace(side, id=ours.id)
        if old is None and left != right:
            side = merger.settle(ours.name, None, ours, theirs, show) or ours
            return replace(side, id=ours.id)
        merged[attribute] = right if left == was else left
    if merged["type"] != ours.type:
        merged["fill"] = theirs.fill
    return replace(ours, **merged)


def _without_namesakes(
    merger: _Merger,
    columns: list[Column],
    ours: Mapping[int, Column],
    theirs: Mapping[int, Column],
    show: Callable[[Column | None], str | None],
) -> list[Column]:
    """Of two columns with one name (added on both sides with different types), the chosen one."""
    kept: dict[str, Column] = {}
    for column in columns:
        name = column.name.lower()
        if name not in kept:
            kept[name] = column
            continue
        other = kept[name]
        left, right = (column, other) if column.id in ours and column.id not in theirs else (other, column)
        chosen = merger.settle(left.name, None, left, right, show)
        kept[name] = chosen or left
    return list(kept.values())


def _aliases(base: Table | None, ours: Table, theirs: Table) -> dict[int, int]:
    """Maps theirs' id to ours' id for columns that both sides added with one name and type, but different ids."""
    known = {c.id for c in base.columns} if base else set()
    added = {(c.name.lower(), c.type): c.id for c in ours.columns if c.id not in known}
    found = {}
    for column in theirs.columns:
        own = added.get((column.name.lower(), column.type))
        if column.id not in known and own is not None and own != column.id:
            found[column.id] = own
    return found


def _renames(columns: Sequence[Column], *sides: Table | None) -> list[dict[str, str]]:
    """For each side (ours, theirs, base), maps its column names in lower case to the merged names, by identity."""
    merged = {c.id: c.name for c in columns}
    return [{c.name.lower(): merged.get(c.id, c.name) for c in side.columns} if side else {} for side in sides]


def _dropped(columns: Sequence[Column], *sides: Table | None) -> set[str]:
    """The names, in lower case, of columns that some side has and the merged table has not."""
    kept = {c.name.lower() for c in columns}
    return {c.name.lower() for side in sides if side for c in side.columns} - kept


def _needed_anew(base: Table, side: Table, column: Column) -> bool:
    """Whether a side added constraints, indexes, triggers or generated columns that use the column."""
    name = {column.name.lower()}
    return (
        any(_uses(c, name) for c in set(side.constraints) - set(base.constraints))
        or any(_expressed(i.expressions, name) for i in set(side.indexes) - set(base.indexes))
        or any(_expressed([c.generated or ""], name) for c in set(side.columns) - set(base.columns))
        or any(_expressed([t.body, *map(readable, t.columns)], name) for t in set(side.triggers) - set(base.triggers))
    )


def _uses(constraint: Constraint, names: set[str]) -> bool:
    return any(c.lower() in names for c in constraint.columns) or _expressed([constraint.expression or ""], names)


def _expressed(expressions: Iterable[str], names: set[str]) -> bool:
    return any(mentioned(expression) & names for expression in expressions)


def _merge_constraints(
    base: Table, ours: Table, theirs: Table, renames: Sequence[Mapping[str, str]]
) -> tuple[Constraint, ...]:
    names = [
        {_renamed(constraint, r) for constraint in side.constraints}
        for side, r in zip((ours, theirs, base), renames, strict=True)
    ]
    kept = _three_way_set(names[2], names[0], names[1])
    order = {
        _renamed(c, r): n
        for side, r in ((theirs, renames[1]), (ours, renames[0]))
        for n, c in enumerate(side.constraints)
    }
    return tuple(sorted(kept, key=lambda c: (order.get(c, 0), c.kind, c.columns, c.expression or "")))


def _renamed(constraint: Constraint, names: Mapping[str, str]) -> Constraint:
    return replace(
        constraint,
        columns=tuple(names.get(name.lower(), name) for name in constraint.columns),
        expression=constraint.expression and with_names(constraint.expression, _changed(names)),
    )


def _merge_indexes(
    merger: _Merger, base: Table, ours: Table, theirs: Table, renames: Sequence[Mapping[str, str]]
) -> tuple[Index, ...]:
    sides = [
        {
            index.name: replace(index, expressions=tuple(with_names(e, _changed(names)) for e in index.expressions))
            for index in side.with_index_names_of(ours).indexes
        }
        for side, names in zip((base, ours, theirs), (renames[2], renames[0], renames[1]), strict=True)
    ]
    merged = []
    for name in dict.fromkeys((*sides[1], *sides[2], *sides[0])):
        old, left, right = (side.get(name) for side in sides)
        chosen = merger.three_way(None, old, left, right, lambda i: index_text(ours.name, i) if i else None)
        if chosen:
            merged.append(chosen)
    return tuple(sorted(merged, key=lambda index: index.name))


def _merge_triggers(
    merger: _Merger, base: Table, ours: Table, theirs: Table, renames: Sequence[Mapping[str, str]]
) -> tuple[Trigger, ...]:
    """Each by its name, as DuckDB compares names."""
    sides = [
        {
            trigger.name.lower(): replace(trigger, columns=tuple(names.get(c.lower(), c) for c in trigger.columns))
            for trigger in side.triggers
        }
        for side, names in zip((base, ours, theirs), (renames[2], renames[0], renames[1]), strict=True)
    ]
    merged = []
    for name in dict.fromkeys((*sides[1], *sides[2], *sides[0])):
        old, left, right = (side.get(name) for side in sides)
        chosen = merger.three_way(None, old, left, right, lambda t: trigger_text(ours.name, t) if t else None)
        if chosen:
            merged.append(chosen)
    return tuple(sorted(merged, key=lambda trigger: trigger.name))


def _merge_declared(base: Table, ours: Table, theirs: Table, renames: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    left, right, old = (
        tuple(names.get(name.lower(), name) for name in side.declared_key)
        for side, names in zip((ours, theirs, base), renames, strict=True)
    )
    return left if right == old else right


def _changed(names: Mapping[str, str]) -> dict[str, str]:
    """Only the names that differ, so that the text of an expression stays as it was printed."""
    return {old: new for old, new in names.items() if old != new.lower()}


def _three_way_set(base: set[Constraint], ours: set[Constraint], theirs: set[Constraint]) -> set[Constraint]:
    return (ours & theirs) | (ours - base) | (theirs - base)


def _visible(column: Column) -> Column:
    return replace(column, fill=None)
