"""The differences between two states of the definitions: the rows of ``epoch_schema_diff``, with readable
definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from epoch_sql.model.schema import Column, Constraint, Index, ObjectName, SchemaObject, Table, Trigger
from epoch_sql.model.sql_text import readable, same_expression, with_names

_KINDS_BEFORE_TABLES = ("schema", "type", "sequence")
_KINDS_AFTER_TABLES = ("macro", "view")


@dataclass(frozen=True)
class SchemaChange:
    """One difference between two states of the definitions.

    ``object`` is column, constraint, index, trigger, table, view, macro, sequence, type or schema; ``diff_type`` is
    added, modified, removed or renamed. After a rename, ``name`` is the new name. A missing definition is None.
    """

    table_name: str
    object: str
    name: str
    diff_type: str
    from_definition: str | None
    to_definition: str | None


def schema_changes(
    before: Mapping[str, Table],
    after: Mapping[str, Table],
    before_objects: Sequence[SchemaObject],
    after_objects: Sequence[SchemaObject],
) -> list[SchemaChange]:
    """The differences of tables, which are keyed by their ids, and of other objects.

    Columns are matched by id, indexes and objects by name. A table that only one side has is one row. Schemas, types
    and sequences come first, then tables by name, then macros and views.
    """
    names = {before[key].name: after[key].name for key in before.keys() & after.keys()}
    keys = sorted(before.keys() | after.keys(), key=lambda key: ((after.get(key) or before[key]).name, key))
    changes = list(_objects(before_objects, after_objects, _KINDS_BEFORE_TABLES))
    for key in keys:
        changes += _table(before.get(key), after.get(key), names)
    return changes + list(_objects(before_objects, after_objects, _KINDS_AFTER_TABLES))


def table_definition(table: Table) -> str:
    """The CREATE TABLE of a table, with names quoted only where they must be."""
    parts = [column_text(replace(column, comment=None)) for column in table.columns]
    parts += [_constraint_text(constraint) for constraint in table.constraints]
    return f"CREATE TABLE {_qualified(table.name)} ({', '.join(parts)})"


def _table(before: Table | None, after: Table | None, names: Mapping[ObjectName, ObjectName]) -> Iterator[SchemaChange]:
    if before is None or after is None:
        table = after or before
        assert table is not None
        yield from _change(
            str(table.name),
            "table",
            str(table.name),
            table_definition(before) if before else None,
            table_definition(after) if after else None,
        )
        return
    name = str(after.name)
    if before.name != after.name:
        yield SchemaChange(name, "table", name, "renamed", _qualified(before.name), _qualified(after.name))
    if before.comment != after.comment:
        yield SchemaChange(name, "table", name, "modified", _comment_text(before), _comment_text(after))
    yield from _order(before, after)
    yield from _columns(before, after)
    yield from _constraints(before, after, names)
    yield from _indexes(before, after)
    yield from _triggers(before, after)


def _change(table_name: str, kind: str, name: str, old: str | None, new: str | None) -> Iterator[SchemaChange]:
    """The row for two definitions that differ. No row if they are equal."""
    if old == new:
        return
    diff_type = "added" if old is None else "removed" if new is None else "modified"
    yield SchemaChange(table_name, kind, name, diff_type, old, new)


def _order(before: Table, after: Table) -> Iterator[SchemaChange]:
    """A row if the common columns have another order."""
    old = [column.id for column in before.columns if after.column_by_id(column.id)]
    new = [column.id for column in after.columns if before.column_by_id(column.id)]
    if old != new:
        name = str(after.name)
        yield SchemaChange(name, "table", name, "modified", _name_list(before.columns), _name_list(after.columns))


def _columns(before: Table, after: Table) -> Iterator[SchemaChange]:
    name = str(after.name)
    for new in after.columns:
        old = before.column_by_id(new.id)
        if old is not None and old.name != new.name:
            yield SchemaChange(name, "column", new.name, "renamed", column_text(old), column_text(new))
        else:
            yield from _change(name, "column", new.name, column_text(old) if old else None, column_text(new))
    for old in before.columns:
        if after.column_by_id(old.id) is None:
            yield from _change(name, "column", old.name, column_text(old), None)


def _constraints(before: Table, after: Table, names: Mapping[ObjectName, ObjectName]) -> Iterator[SchemaChange]:
    """Rows for constraints. New names of renamed columns or tables do not count as a change."""
    renamed = _new_names(before, after)
    removed = [_followed(constraint, renamed, before.name.schema, names) for constraint in before.constraints]
    come = []
    for constraint in after.constraints:
        same = next((old for old in removed if _same_constraint(old, constraint)), None)
        if same is None:
            come.append(constraint)
        else:
            removed.remove(same)
    name = str(after.name)
    old_key = next((c for c in removed if c.kind == "PRIMARY KEY"), None)
    new_key = next((c for c in come if c.kind == "PRIMARY KEY"), None)
    old_text = _constraint_text(old_key) if old_key else None
    new_text = _constraint_text(new_key) if new_key else None
    yield from _change(name, "constraint", "PRIMARY KEY", old_text, new_text)
    for constraint in come:
        if constraint is not new_key:
            yield from _change(name, "constraint", _constraint_text(constraint), None, _constraint_text(constraint))
    for constraint in removed:
        if constraint is not old_key:
            yield from _change(name, "constraint", _constraint_text(constraint), _constraint_text(constraint), None)
    declared = tuple(renamed.get(column.lower(), column) for column in before.declared_key)
    yield from _change(name, "constraint", "KEY", _declared_text(declared), _declared_text(after.declared_key))


def _followed(
    constraint: Constraint, renamed: Mapping[str, str], schema: str, names: Mapping[ObjectName, ObjectName]
) -> Constraint:
    """The constraint after its columns and the table that it refers to were renamed."""
    referenced = constraint.referenced
    if referenced is not None:
        referenced = names.get(ObjectName(schema, referenced), ObjectName(schema, referenced)).name
    return replace(
        constraint,
        columns=tuple(renamed.get(column.lower(), column) for column in constraint.columns),
        expression=constraint.expression and with_names(constraint.expression, renamed),
        referenced=referenced,
    )


def _same_constraint(old: Constraint, new: Constraint) -> bool:
    return replace(old, expression=new.expression) == new and same_expression(old.expression, new.expression)


def _indexes(before: Table, after: Table) -> Iterator[SchemaChange]:
    name, renamed = str(after.name), _new_names(before, after)
    old_indexes = {index.name: index for index in before.indexes}
    new_indexes = {index.name: index for index in after.with_index_names_of(before).indexes}
    for index_name in sorted(old_indexes.keys() | new_indexes.keys()):
        old, new = old_indexes.get(index_name), new_indexes.get(index_name)
        if old and new and _same_index(old, new, renamed):
            continue
        old_text = index_text(after.name, old) if old else None
        new_text = index_text(after.name, new) if new else None
        yield from _change(name, "index", index_name, old_text, new_text)


def _same_index(old: Index, new: Index, renamed: Mapping[str, str]) -> bool:
    expected = [with_names(expression, renamed) for expression in old.expressions]
    same = len(expected) == len(new.expressions) and all(map(same_expression, expected, new.expressions))
    return same and replace(old, expressions=new.expressions) == new


def _triggers(before: Table, after: Table) -> Iterator[SchemaChange]:
    name, renamed = str(after.name), _new_names(before, after)
    old_triggers = {trigger.name: trigger for trigger in before.triggers}
    new_triggers = {trigger.name: trigger for trigger in after.triggers}
    for trigger_name in sorted(old_triggers.keys() | new_triggers.keys()):
        old, new = old_triggers.get(trigger_name), new_triggers.get(trigger_name)
        if old and new and _same_trigger(old, new, renamed):
            continue
        old_text = trigger_text(after.name, old) if old else None
        new_text = trigger_text(after.name, new) if new else None
        yield from _change(name, "trigger", trigger_name, old_text, new_text)


def _same_trigger(old: Trigger, new: Trigger, renamed: Mapping[str, str]) -> bool:
    columns = tuple(renamed.get(column.lower(), column) for column in old.columns)
    return replace(old, columns=columns, body=new.body) == new and same_expression(old.body, new.body)


def _objects(
    before: Sequence[SchemaObject], after: Sequence[SchemaObject], kinds: Sequence[str]
) -> Iterator[SchemaChange]:
    old = {(kinds.index(found.kind), found.name): found for found in before if found.kind in kinds}
    new = {(kinds.index(found.kind), found.name): found for found in after if found.kind in kinds}
    for key in sorted(old.keys() | new.keys()):
        kind, name = kinds[key[0]], (new.get(key) or old[key]).label
        old_text = object_text(old[key]) if key in old else None
        new_text = object_text(new[key]) if key in new else None
        yield from _change(name, kind, name, old_text, new_text)


def _new_names(before: Table, after: Table) -> dict[str, str]:
    """The new names of renamed columns, by their old names in lower case."""
    pairs = ((old, after.column_by_id(old.id)) for old in before.columns)
    return {old.name.lower(): new.name for old, new in pairs if new is not None and old.name != new.name}


def column_text(column: Column) -> str:
    """A column as a difference or a conflict shows it."""
    parts = [readable(column.name), column.type]
    if column.collation is not None:
        parts.append(f"COLLATE {column.collation}")
    if column.generated is not None:
        parts.append(f"GENERATED ALWAYS AS ({column.generated})")
    if column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if not column.nullable:
        parts.append("NOT NULL")
    return " ".join(parts) + _comment_clause(column.comment)


def _constraint_text(constraint: Constraint) -> str:
    if constraint.kind == "CHECK":
        expression = constraint.expression or ""
        return f"CHECK {expression}" if expression.startswith("(") else f"CHECK ({expression})"
    text = f"{constraint.kind} {_names(constraint.columns)}"
    if constraint.referenced is None:
        return text
    return f"{text} REFERENCES {readable(constraint.referenced)} {_names(constraint.referenced_columns)}"


def index_text(table: ObjectName, index: Index) -> str:
    """An index of a table as a difference or a conflict shows it."""
    unique = "UNIQUE " if index.unique else ""
    method = f"USING {index.method} " if index.method else ""
    options = f" {index.options}" if index.options else ""
    listed = f"({', '.join(index.expressions)})"
    text = f"CREATE {unique}INDEX {readable(index.name)} ON {_qualified(table)} {method}{listed}{options}"
    return text + _comment_clause(index.comment)


def trigger_text(table: ObjectName, trigger: Trigger) -> str:
    """A trigger of a table as a difference or a conflict shows it."""
    columns = f" OF {', '.join(readable(name) for name in trigger.columns)}" if trigger.columns else ""
    rows = ((kind, name) for kind, name in (("OLD", trigger.old_table), ("NEW", trigger.new_table)) if name is not None)
    named = [f"{kind} TABLE AS {readable(name)}" for kind, name in rows]
    referencing = f" REFERENCING {' '.join(named)}" if named else ""
    when = f"{trigger.timing} {trigger.event}{columns} ON {_qualified(table)}{referencing}"
    return f"CREATE TRIGGER {readable(trigger.name)} {when} FOR EACH {trigger.for_each} {trigger.body}"


def object_text(obj: SchemaObject) -> str:
    """An object with its comments as a difference or a conflict shows it."""
    parts = [f" COMMENT ON {readable(part)} {_quoted(comment)}" for part, comment in obj.part_comments]
    return obj.definition + _comment_clause(obj.comment) + "".join(parts)


def _comment_text(table: Table) -> str | None:
    return None if table.comment is None else f"COMMENT ON TABLE {_qualified(table.name)} IS {_quoted(table.comment)}"


def _comment_clause(comment: str | None) -> str:
    return "" if comment is None else f" COMMENT {_quoted(comment)}"


def _declared_text(columns: Sequence[str]) -> str | None:
    return f"KEY {_names(columns)}" if columns else None


def _name_list(columns: Sequence[Column]) -> str:
    return _names([column.name for column in columns])


def _names(names: Sequence[str]) -> str:
    return f"({', '.join(readable(name) for name in names)})"


def _qualified(name: ObjectName) -> str:
    schemas = () if name.schema == "main" else name.schema_path
    return ".".join(readable(part) for part in (*schemas, name.name))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
