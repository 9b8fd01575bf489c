"""Proving that the rows that a fetch read keep the constraints of their tables: a commit that breaks one could never be
checked out.

What a version has more than one that was proved is in the delta between them. So NOT NULL and CHECK are asked of the
rows of deltas, many at once, and UNIQUE and foreign keys of the values in these rows against the columns of the whole
table. All rows are read of a version that no delta leads to from one that is proved. Versions that are here are
believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from epoch_sql import render
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.names import shown
from epoch_sql.model.remote import content_of
from epoch_sql.model.schema import Table, definition_id
from epoch_sql.proof.harmless import evident
from epoch_sql.remote.row_proof import RowProof
from epoch_sql.remote.row_steps import (
    Edge,
    State,
    signature,
    telling,
)
from epoch_sql.render import Sql
from epoch_sql.storage.shape import aliased, shape_of, struct
from epoch_sql.versions.sides import native_rows

_FRESH = Sql("CREATE OR REPLACE TEMP TABLE epoch_proof_fresh AS {{rows}}")


@dataclass(frozen=True)
class _Rule:
    """Something that a row has to keep by itself, as SQL that says whether it does, and in words."""

    holds: Sql
    words: str


@dataclass(frozen=True)
class _Unique:
    """Expressions whose values no two rows share."""

    values: tuple[Sql, ...]
    words: str


@dataclass
class _Group:
    """The versions of a table with the same columns and constraints, and the deltas between them."""

    table: Table
    states: dict[str, State] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)


@dataclass
class ConstraintProof:
    """``unmade`` are the ids of definitions that are only data: what they say is not computed.

    ``macros`` are names that may mean something else than DuckDB's own.
    """

    rows: RowProof
    unmade: frozenset[str]
    macros: frozenset[str]

    def __post_init__(self) -> None:
        self.cursor, self.store = self.rows.call.cursor, self.rows.call.store
        self.contents, self.where = self.rows.contents, self.rows.where

    def prove_rows(self) -> None:
        """Prove NOT NULL, CHECK, UNIQUE and unique indexes."""
        groups: dict[tuple[object, ...], _Group] = {}
        for state in self.rows.states():
            group = groups.setdefault(_kind(state), _Group(state.table))
            group.states[content_of(state.version)] = state
        for edge in self.rows.edges:
            if edge.plain and _kind(edge.before) == _kind(edge.after) and _kind(edge.after) in groups:
                groups[_kind(edge.after)].edges.append(edge)
        for group in groups.values():
            self._prove(group)

    def _prove(self, group: _Group) -> None:
        rules, uniques = self._constraints(group.table)
        if not rules and not uniques:
            return
        roots, steps = _spanning(group)
        for root in roots:
            rows = self.contents.state_of(root.table, root.levels)
            self._require_rules(group.table, rules, rows)
            for unique in uniques:
                self._require_unique(group.table, unique, rows)
        if not steps:
            return
        rows = self.rows_of(group.table, steps)
        self._require_rules(group.table, rules, rows)
        ends = {content_of(s.version): s for edge, _ in steps for s in (edge.before, edge.after)}
        known = [*roots, *(state for i, state in ends.items() if i not in group.states)]
        for unique in uniques:
            self._require_still_unique(group.table, unique, steps, known)

    def _constraints(self, table: Table) -> tuple[list[_Rule], list[_Unique]]:
        keys = {column.id for column in table.key}
        rules = [
            _Rule(render.fill(Sql("{{c}} IS NOT NULL"), c=render.column(c.name)), f"NOT NULL of column {c.name}")
            for c in table.stored_columns
            if not c.nullable and c.id not in keys
        ]
        stored = {c.name.lower() for c in table.stored_columns}
        uniques = [
            _Unique(
                tuple(render.column(name) for name in constraint.columns),
                f"UNIQUE ({', '.join(constraint.columns)})",
            )
            for constraint in table.constraints
            if constraint.kind == "UNIQUE"
            and {name.lower() for name in constraint.columns} <= stored
            and {table.column(name).id for name in constraint.columns} != keys
        ]
        if definition_id(table) in self.unmade:
            return rules, uniques
        for constraint in table.constraints:
            if constraint.kind == "CHECK" and constraint.expression and self._evident(table, constraint.expression):
                holds = render.fill(Sql("coalesce(({{e}}), true)"), e=render.verbatim(constraint.expression))
                rules.append(_Rule(holds, f"CHECK ({constraint.expression})"))
        for index in table.indexes:
            if index.unique and index.method is None and self._evident(table, *index.expressions):
                values = tuple(render.fill(Sql("({{e}})"), e=render.verbatim(e)) for e in index.expressions)
                uniques.append(_Unique(values, f"the unique index {index.name}"))
        return rules, uniques

    def _evident(self, table: Table, *expressions: str) -> bool:
        generated = [column.generated for column in table.columns if column.generated is not None]
        return evident(table, (*expressions, *generated), self.macros)

    def _require_rules(self, table: Table, rules: Sequence[_Rule], rows: Sql) -> None:
        if not rules:
            return
        broken = [
            aliased(
                render.fill(Sql("any_value(CASE WHEN NOT {{h}} THEN {{k}} END)"), k=key_text(table), h=rule.holds),
                f"r{number}",
            )
            for number, rule in enumerate(rules)
        ]
        statement = render.fill(
            Sql("SELECT {{broken}} FROM ({{rows}}) AS {{name}}"),
            broken=broken,
            rows=self.native(table, rows),
            name=render.identifier(table.name.name),
        )
        with telling(self.where, f"has rows of table {table.name} that cannot be checked"):
            found = self.cursor.execute(statement).fetchone()
        assert found
        for rule, key in zip(rules, found, strict=True):
            if key is not None:
                raise self.broken(table, rule.words, key)

    def _require_unique(self, table: Table, unique: _Unique, rows: Sql, among: str = "") -> None:
        statement = render.render(
            "constraints.proof_repeated",
            named=_valued(unique),
            key=_key(table),
            rows=self.native(table, rows),
            name=render.identifier(table.name.name),
            among=Sql(among),
            whole=_whole(unique),
            values=_values(unique),
        )
        with telling(self.where, f"has rows of table {table.name} that cannot be checked"):
            found = self.cursor.execute(statement).fetchone()
        if found:
            raise self.broken(table, unique.words, found[0])

    def _require_still_unique(
        self, table: Table, unique: _Unique, steps: Sequence[tuple[Edge, bool]], known: Sequence[State]
    ) -> None:
        """What deltas bring is like no row of any version, or, where it is, not in the version that they lead to."""
        values = _values(unique)

        def valued(rows: Sql) -> Sql:
            return render.render(
                "constraints.proof_valued",
                named=_valued(unique),
                key=_key(table),
                rows=self.native(table, rows),
                name=render.identifier(table.name.name),
                whole=_whole(unique),
            )

        before = [
            render.fill(
                Sql("SELECT {{v}}, key FROM ({{rows}}) AS rows SEMI JOIN epoch_proof_fresh USING ({{v}})"),
                v=values,
                rows=valued(self.contents.state_of(state.table, state.levels)),
            )
            for state in known
        ]
        if not table.key:
            self._require_unique(table, unique, self.rows_of(table, steps, copies=True))
        with telling(self.where, f"has rows of table {table.name} that cannot be checked"):
            self.cursor.execute(render.fill(_FRESH, rows=valued(self.rows_of(table, steps))))
            self.cursor.execute(
                render.render(
                    "constraints.proof_twice",
                    values=values,
                    before=render.joined([*before, Sql("SELECT * FROM epoch_proof_fresh WHERE false")], " UNION ALL "),
                )
            )
            row = self.cursor.execute("SELECT count(*) FROM epoch_proof_twice").fetchone()
        assert row
        if not row[0]:
            return
        among = render.fill(Sql("SEMI JOIN epoch_proof_twice USING ({{v}})"), v=values)
        for edge, forward in steps:
            touching = valued(self.rows_of(table, [(edge, forward)]))
            statement = render.fill(
                Sql("SELECT 1 FROM ({{rows}}) AS rows SEMI JOIN epoch_proof_twice USING ({{v}}) LIMIT 1"),
                rows=touching,
                v=values,
            )
            if self.cursor.execute(statement).fetchone():
                state = edge.after if forward else edge.before
                self._require_unique(table, unique, self.contents.state_of(state.table, state.levels), among)

    def native(self, table: Table, rows: Sql) -> Sql:
        """Rows as native values, without generated columns where these are not computed."""
        generated = [column.generated for column in table.columns if column.generated is not None]
        if generated and (definition_id(table) in self.unmade or not self._evident(table)):
            table = replace(table, columns=table.stored_columns)
        return native_rows(table, rows)

    def rows_of(self, table: Table, steps: Sequence[tuple[Edge, bool]], copies: bool = False) -> Sql:
        """The rows that deltas bring, ``c<id>``; read backwards, those that they take away. Only ``copies``: those that
        there are more than once then.
        """
        shape = shape_of(None, table)
        keys = {column.id for column in shape.key}
        selects = []
        for forward in sorted({forward for _, forward in steps}):
            files = {file.file_id for edge, way in steps if way == forward for file in edge.level.files}
            prefix, absent = ("n", "removed") if forward else ("o", "added")
            values = [
                aliased(render.column(f"{'k' if c.id in keys else prefix}{c.id}"), f"c{c.id}")
                for c in table.stored_columns
            ]
            there = render.fill(Sql("op <> {{absent}}"), absent=render.literal(absent))
            selects.append(
                render.render(
                    "constraints.proof_rows",
                    values=values,
                    copies=Sql(f", unnest(range({prefix}0))" if shape.keyless else ""),
                    paths=render.strings([str(self.store.path(file_id)) for file_id in sorted(files)]),
                    there=Sql(f"{prefix}0 > {int(copies)}") if shape.keyless else there,
                )
            )
        return render.joined(selects, "\nUNION ALL\n")

    def broken(self, table: Table, constraint: str, key: object) -> EpochStorageError:
        """The error for a row that breaks a constraint."""
        return EpochStorageError(
            f"{self.where} has a row in table {table.name} that breaks {shown(constraint, 200)}: "
            f"{shown(str(key), 200)}; nothing was changed",
            "restore the remote from a backup, or fix the commit where it was made",
        )


def _kind(state: State) -> tuple[object, ...]:
    """Equal for versions whose rows have to keep the same constraints, and are stored alike."""
    table = state.table
    columns = tuple((c.name, c.nullable, c.generated, c.collation) for c in table.columns)
    return state.version.table_id, signature(table), columns, table.constraints, table.indexes


def ends_of(edge: Edge) -> tuple[str, str]:
    """The contents that a delta leads between."""
    return content_of(edge.before.version), content_of(edge.after.version)


def _spanning(group: _Group) -> tuple[list[State], list[tuple[Edge, bool]]]:
    """Versions of which all rows are read, and deltas that lead to all others from those or from what is here."""
    neighbours: dict[str, list[tuple[str, Edge, bool]]] = {}
    for edge in group.edges:
        before, after = ends_of(edge)
        neighbours.setdefault(before, []).append((after, edge, True))
        neighbours.setdefault(after, []).append((before, edge, False))
    left = dict(group.states)
    roots: list[State] = []
    steps: list[tuple[Edge, bool]] = []
    pending = [i for i in neighbours if i not in left]
    while pending or left:
        if not pending:
            i = next(iter(left))
            roots.append(left.pop(i))
            pending = [i]
        for there, edge, forward in neighbours.get(pending.pop(), ()):
            if there in left:
                del left[there]
                pending.append(there)
                if edge.level.files:
                    steps.append((edge, forward))
    return roots, steps


def _key(table: Table) -> Sql:
    """The key of a row, or all of it, as a struct."""
    columns = table.key or table.stored_columns
    return struct([(c.name, render.column(c.name)) for c in columns])


def key_text(table: Table) -> Sql:
    """The key of a row, or all of it, as text."""
    return render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=_key(table))


def _valued(unique: _Unique) -> list[Sql]:
    return [aliased(value, f"v{number}") for number, value in enumerate(unique.values)]


def _values(unique: _Unique) -> list[render.Sql]:
    return [render.column(f"v{number}") for number in range(len(unique.values))]


def _whole(unique: _Unique) -> Sql:
    """The condition that none of the values is NULL: NULL is like no other value."""
    return render.joined([render.fill(Sql("{{v}} IS NOT NULL"), v=value) for value in _values(unique)], " AND ")
