"""Proving constraints of what a fetch read: foreign keys by the versions of child and parent in the same tree."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.catalog.content import Versions
from epoch_sql.catalog.local import Withheld
from epoch_sql.model.remote import PortableCommit
from epoch_sql.model.schema import Constraint, Table
from epoch_sql.remote.constraint_proof import ConstraintProof, ends_of, key_text
from epoch_sql.remote.row_proof import RowProof
from epoch_sql.remote.row_steps import Edge, State, telling
from epoch_sql.remote.sending import (
    IDENTITY,
    KIND,
    VERSION,
    LocalTrees,
    Row,
    versions_of,
)
from epoch_sql.render import Sql

Named = tuple[str, str]
"""The schema and the name of a table, in lower case."""


@dataclass(frozen=True)
class Trees:
    """The trees of commits, parents first: ``subtrees`` were received, the others are those of ``edge``, which is
    here."""

    commits: Sequence[PortableCommit]
    subtrees: Mapping[str, list[Row]]
    edge: LocalTrees

    def received(self, contents: Collection[str]) -> Iterator[list[Row]]:
        """The rows of each tree of a commit that has one of some contents in what was received."""
        wanted = {i for i, rows in self.subtrees.items() if any(row[VERSION] in contents for row in rows)}
        here: dict[str, list[Row]] | None = None
        for commit in self.commits:
            if wanted.isdisjoint(commit.subtrees):
                continue
            wanted -= set(commit.subtrees)
            here = here or {there: self.edge.portable_rows(i) for i, there in self.edge.portable.items()}
            yield [row for i in commit.subtrees for row in (self.subtrees[i] if i in self.subtrees else here[i])]

    def of_tables(self, wanted: Collection[Named]) -> Iterator[tuple[bool, dict[Named, str]]]:
        """The contents of some tables in each tree; first those of trees that are here, and are believed."""
        here = {there: self.edge.portable_rows(i) for i, there in self.edge.portable.items()}
        found = {
            i: {_named(row[2], row[3]): row[VERSION] for row in rows if row[KIND] == "table"}
            for i, rows in {**here, **self.subtrees}.items()
        }
        contents = {i: {name: c for name, c in tables.items() if name in wanted} for i, tables in found.items()}
        roots = [(True, [self.edge.portable[i] for i in ids]) for ids in self.edge.roots.values()]
        for believed, ids in (*roots, *((False, commit.subtrees) for commit in self.commits)):
            yield believed, {name: c for i in ids for name, c in contents[i].items()}


def prove_constraints(
    cursor: duckdb.DuckDBPyConnection, rows: RowProof, trees: Trees, withheld: Iterable[Withheld]
) -> None:
    """Prove the constraints of what was received, whose rows are proved.

    Raises EpochStorageError, which names the table, the constraint and the row.
    """
    objects = [row for found in trees.subtrees.values() for row in found if row[KIND] == "macro"]
    macros = {row[3].lower() for row in objects} | _macros_here(cursor)
    unmade = frozenset(one.definition_id for one in withheld)
    proof = ConstraintProof(rows, unmade, frozenset(macros))
    proof.prove_rows()
    ReferenceProof(proof).run(trees)


def _macros_here(cursor: duckdb.DuckDBPyConnection) -> set[str]:
    found = cursor.execute(render.load("functions.macros_of_users")).fetchall()
    return {name for (name,) in found}


@dataclass
class ReferenceProof:
    """What ``proof`` has proved are the rows of the trees, each by itself."""

    proof: ConstraintProof

    def run(self, trees: Trees) -> None:
        """Prove each pair of versions of a child and its parent once."""
        tables = self._tables_of(trees)
        keys = {i: table.foreign_keys for i, table in tables.items() if table.foreign_keys}
        if not keys:
            return
        names = {
            name for i, found in keys.items() for name in (_name(tables[i]), *(_parent(tables[i], c) for c in found))
        }
        steps = {ends_of(edge): edge for edge in self.proof.rows.edges if edge.plain}
        proved: dict[tuple[Named, Constraint], dict[tuple[str, str], None]] = {}
        for believed, tree in trees.of_tables(names):
            for child in tree.values():
                for constraint in keys.get(child, ()):
                    parent = tree.get(_parent(tables[child], constraint))
                    before = proved.setdefault((_name(tables[child]), constraint), {})
                    if parent is None or (child, parent) in before:
                        continue
                    if not believed:
                        self._prove_reference(child, parent, constraint, before, steps)
                    before[child, parent] = None

    def _tables_of(self, trees: Trees) -> dict[str, Table]:
        """The definitions of all tables in the trees, by contents; versions that are here become known to the proof."""
        here = {
            content_id: version_id
            for version_id, content_id in trees.edge.contents.items()
            if content_id not in self.proof.rows.local
        }
        named = {row[VERSION] for rows in trees.subtrees.values() for row in rows if row[KIND] == "table"}
        left = named - self.proof.rows.received.manifests.keys() - self.proof.rows.local.keys() - here.keys()
        if left:
            identities = {row[IDENTITY] for rows in trees.subtrees.values() for row in rows if row[VERSION] in left}
            found = versions_of(self.proof.rows.call.cursor, identities)
            here.update((i, found[i][0]) for i in left if i in found)
        if here:
            versions = Versions(self.proof.rows.call.cursor).load(here.values())
            self.proof.rows.local = {
                **self.proof.rows.local,
                **{i: versions[version_id] for i, version_id in here.items()},
            }
        stated = {i: manifest.version for i, manifest in self.proof.rows.received.manifests.items()}
        versions = {**self.proof.rows.local, **stated}
        self.proof.rows.load_tables({version.schema_id for version in versions.values()})
        return {i: self.proof.rows.tables[version.schema_id] for i, version in versions.items()}

    def _prove_reference(
        self,
        child_id: str,
        parent_id: str,
        constraint: Constraint,
        proved: Iterable[tuple[str, str]],
        steps: Mapping[tuple[str, str], Edge],
    ) -> None:
        """By what changed since a pair that is proved, where deltas say it; else by all rows of the child."""
        child, parent = self.proof.rows.state(child_id), self.proof.rows.state(parent_id)
        children = self.proof.contents.state_of(child.table, child.levels)
        parents = self.proof.contents.state_of(parent.table, parent.levels)
        for old_child, old_parent in reversed([*proved]):
            came, went = _step(old_child, child_id, steps), _step(old_parent, parent_id, steps)
            if came is None or went is None:
                continue
            if came:
                self._require_parents(child, constraint, self.proof.rows_of(child.table, came), parent, parents)
            if any(_takes_away(edge, forward) for edge, forward in went):
                back = [(edge, not forward) for edge, forward in went]
                removed = self.proof.rows_of(parent.table, back)
                self._require_parents(child, constraint, children, parent, parents, removed)
            return
        self._require_parents(child, constraint, children, parent, parents)

    def _require_parents(
        self,
        child: State,
        constraint: Constraint,
        children: Sql,
        parent: State,
        parents: Sql,
        removed: Sql | None = None,
    ) -> None:
        """The children, only those of parents that are ``removed`` if given, have parents."""
        own = [render.column(name, "child") for name in constraint.columns]
        pairs = [
            render.fill(Sql("{{p}} = {{c}}"), p=render.column(name, "parent"), c=column)
            for name, column in zip(constraint.referenced_columns, own, strict=True)
        ]
        joined = render.joined(pairs, " AND ")
        candidates = self.proof.native(child.table, children)
        if removed is not None:
            candidates = render.fill(
                Sql("SELECT child.* FROM ({{c}}) AS child SEMI JOIN ({{removed}}) AS parent ON {{pairs}}"),
                c=candidates,
                removed=self.proof.native(parent.table, removed),
                pairs=joined,
            )
        statement = render.render(
            "constraints.proof_orphan",
            key=key_text(child.table),
            c=candidates,
            p=self.proof.native(parent.table, parents),
            pairs=joined,
            whole=render.joined([render.fill(Sql("{{c}} IS NOT NULL"), c=column) for column in own], " AND "),
        )
        with telling(self.proof.where, f"has rows of table {child.table.name} that cannot be checked"):
            found = self.proof.cursor.execute(statement).fetchone()
        if found:
            words = f"its foreign key to {constraint.referenced} ({', '.join(constraint.referenced_columns)})"
            raise self.proof.broken(child.table, words, found[0])


def _step(before: str, after: str, steps: Mapping[tuple[str, str], Edge]) -> list[tuple[Edge, bool]] | None:
    """The delta between two versions, none between one and itself; None where there is none."""
    if before == after:
        return []
    edge, back = steps.get((before, after)), steps.get((after, before))
    found = edge or back
    return None if found is None else [(found, edge is not None)] if found.level.files else []


def _takes_away(edge: Edge, forward: bool) -> bool:
    """Whether a delta may take values away: a row that is only added takes none."""
    counts = edge.level.rows
    return bool(counts.modified or (counts.removed if forward else counts.added))


def _named(schema: str, name: str) -> Named:
    return schema.lower(), name.lower()


def _name(table: Table) -> Named:
    return _named(table.name.schema, table.name.name)


def _parent(table: Table, constraint: Constraint) -> Named:
    return _named(table.name.schema, constraint.referenced or "")
