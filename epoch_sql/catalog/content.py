"""The catalog tables that describe content: definitions, files, levels, versions and trees. Rows are immutable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.catalog.relation import Relation, RowCache
from epoch_sql.model.commit import (
    DERIVED,
    SUBTREES,
    DataFile,
    Level,
    RowCounts,
    TableEntry,
    Tree,
    Version,
)
from epoch_sql.model.schema import (
    ObjectName,
    SchemaObject,
    Table,
    canonical_json,
    part_comments_from_json,
    part_comments_to_json,
    table_from_json,
    table_to_json,
)

_parse_table = lru_cache(maxsize=4096)(table_from_json)


class Schemas(Relation):
    """``epoch.schemas``: the definitions of tables, by digest."""

    name = "schemas"
    columns = {"schema_id": "VARCHAR", "definition": "VARCHAR"}

    def load(self, ids: Iterable[str]) -> dict[str, Table]:
        """The definitions of these ids."""
        return {schema_id: _parse_table(definition) for schema_id, definition in self.with_ids(ids)}

    def add(self, tables: Iterable[Table]) -> None:
        """Store definitions that are not stored yet."""
        self.insert_missing({table.digest: (table.digest, table_to_json(table)) for table in tables}.values())


class Files(Relation):
    """``epoch.files``: the Parquet files, by the SHA-256 of their bytes."""

    name = "files"
    columns = {
        "file_id": "VARCHAR",
        "schema_id": "VARCHAR",
        "old_schema_id": "VARCHAR",
        "row_count": "BIGINT",
        "bytes": "BIGINT",
        "least_key": "VARCHAR",
        "greatest_key": "VARCHAR",
    }

    def load(self, ids: Iterable[str] | None = None) -> dict[str, DataFile]:
        """The files of these ids, or all of them."""
        return {
            file_id: DataFile(file_id, schema_id, row_count, size, old_schema_id, *bounds)
            for file_id, schema_id, old_schema_id, row_count, size, *bounds in self._rows(ids)
        }

    def add(self, files: Iterable[DataFile]) -> None:
        """Record files that are not recorded yet."""
        by_id = {file.file_id: file for file in files}
        self.insert_missing(
            (f.file_id, f.schema_id, f.old_schema_id, f.row_count, f.bytes, f.least_key, f.greatest_key)
            for f in by_id.values()
        )

    def _rows(self, ids: Iterable[str] | None) -> list[tuple[Any, ...]]:
        return self.select() if ids is None else self.with_ids(ids)


class Levels(Relation):
    """``epoch.levels``: base and delta levels; a delta is an edge between two versions."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, cache: RowCache | None = None) -> None:
        super().__init__(cursor)
        self._cache = cache or RowCache()

    name = "levels"
    columns = {
        "level_id": "VARCHAR",
        "kind": "VARCHAR",
        "from_version": "VARCHAR",
        "to_version": "VARCHAR",
        "rows_added": "BIGINT",
        "rows_modified": "BIGINT",
        "rows_removed": "BIGINT",
        "file_ids": "VARCHAR[]",
    }

    def load(self, ids: Iterable[str]) -> dict[str, Level]:
        """The levels of these ids, with their files."""
        return {level.level_id: level for level in self._levels(self.with_ids(ids))}

    def edges(self, table_id: str) -> list[Level]:
        """Every delta between two versions of the table."""
        return self._levels(self.run(render.load("levels.edges"), [table_id]).fetchall())

    def count(self) -> int:
        """How many there are."""
        row = self.run("SELECT count(*) FROM {{epoch}}.levels").fetchone()
        assert row
        return int(row[0])

    def between(self, before: Iterable[str], after: Iterable[str]) -> list[Level]:
        """The deltas that lead from one of some versions to one of others."""
        ends = [sorted(set(before)), sorted(set(after))]
        return self._levels(self.run(render.load("levels.between"), ends).fetchall())

    def add(self, levels: Iterable[Level]) -> None:
        """Store levels that are not stored yet, and their files."""
        by_id = {level.level_id: level for level in levels}
        Files(self.cursor).add(file for level in by_id.values() for file in level.files)
        self.insert_missing(
            (
                level.level_id,
                level.kind,
                level.from_version,
                level.to_version,
                level.rows.added,
                level.rows.modified,
                level.rows.removed,
                [file.file_id for file in level.files],
            )
            for level in by_id.values()
        )

    def _levels(self, rows: Sequence[tuple[Any, ...]]) -> list[Level]:
        files = self._cache.files
        files.update(Files(self.cursor).load(i for row in rows for i in row[7] if i not in files))
        return [
            Level(row[0], row[1], tuple(files[i] for i in row[7]), RowCounts(*row[4:7]), row[2], row[3]) for row in rows
        ]


class Versions(Relation):
    """``epoch.versions``: the contents that tables have had."""

    name = "versions"
    columns = {
        "version_id": "VARCHAR",
        "table_id": "VARCHAR",
        "schema_id": "VARCHAR",
        "row_count": "BIGINT",
        "fingerprint": "VARCHAR",
        "level_ids": "VARCHAR[]",
    }

    def load(self, ids: Iterable[str]) -> dict[str, Version]:
        """The versions of these ids."""
        return {
            version_id: Version(version_id, table_id, schema_id, row_count, fingerprint, tuple(level_ids))
            for version_id, table_id, schema_id, row_count, fingerprint, level_ids in self.with_ids(ids)
        }

    def bases_with(self, file_ids: Iterable[str]) -> list[Version]:
        """The versions that are one base level with one of these files."""
        found = self.run(render.load("remote.bases_with"), [[*file_ids]]).fetchall()
        return [*self.load(row[0] for row in found).values()]

    def table_ids(self) -> list[str]:
        """The tables that have versions."""
        return [row[0] for row in self.run("SELECT DISTINCT table_id FROM {{epoch}}.versions").fetchall()]

    def add(self, versions: Iterable[Version]) -> None:
        """Store versions that are not stored yet."""
        by_id = {version.version_id: version for version in versions}
        self.insert_missing(
            (v.version_id, v.table_id, v.schema_id, v.row_count, v.fingerprint, list(v.level_ids))
            for v in by_id.values()
        )


class Roots(Relation):
    """``epoch.roots``: the subtrees that each tree is made of."""

    name = "roots"
    columns = {"root_id": "VARCHAR", "subtree_ids": "VARCHAR[]"}


class Trees(Relation):
    """``epoch.trees`` and ``epoch.roots``: the content of commits, which share it.

    A root lists subtrees, and the hash of a table's identity chooses its subtree. So a commit that changes one table of
    a thousand stores one subtree.
    """

    name = "trees"
    columns = {
        "subtree_id": "VARCHAR",
        "kind": "VARCHAR",
        "identity": "VARCHAR",
        "schema_name": "VARCHAR",
        "object_name": "VARCHAR",
        "version_id": "VARCHAR",
        "definition": "VARCHAR",
        "comment": "VARCHAR",
        "state": "VARCHAR",
        "part_comments": "VARCHAR",
    }

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, cache: RowCache | None = None, read_only: bool = False
    ) -> None:
        super().__init__(cursor)
        self._cache = (cache or RowCache()).trees
        self._read_only = read_only

    def load(self, root_id: str) -> Tree:
        """The tree of that root."""
        tree = self._cache.get(root_id)
        if tree is None:
            tree = self._load(root_id)
            # A root that is not stored (yet) has no subtrees either.
            if tree != Tree():
                self._cache[root_id] = tree
        return tree

    def _load(self, root_id: str) -> Tree:
        rows = self.select(
            "WHERE subtree_id IN (SELECT unnest(subtree_ids) FROM {{epoch}}.roots WHERE root_id = ?) ORDER BY identity",
            [root_id],
        )
        return tree_of_rows(row[1:] for row in rows)

    def macros(self) -> list[SchemaObject]:
        """Every macro that any tree has, in each of its definitions."""
        rows = self.run(
            "SELECT DISTINCT schema_name, object_name, definition FROM {{epoch}}.trees WHERE kind = 'macro'"
        ).fetchall()
        return [SchemaObject("macro", ObjectName(schema, name), definition) for schema, name, definition in rows]

    def has_object(self, made: SchemaObject) -> bool:
        """Whether any tree has exactly that object."""
        values = [made.kind, made.name.schema, made.name.name, made.definition]
        condition = "WHERE kind = ? AND schema_name = ? AND object_name = ? AND definition = ? LIMIT 1"
        return bool(self.select(condition, values))

    def tables_named(self, name: ObjectName) -> list[Table]:
        """The definitions that a table of that name has in any tree."""
        rows = self.run(
            render.load("commits.schemas_of_table"),
            [name.schema, name.name],
        ).fetchall()
        return [_parse_table(definition) for (definition,) in rows]

    def has_relation(self, schema: str, name: str) -> bool:
        """Whether any tree has a table or a view of that name, given in lower case."""
        return bool(
            self.select(
                "WHERE kind IN ('table', 'view') AND lower(schema_name) = ? AND lower(object_name) = ? LIMIT 1",
                [schema, name],
            )
        )

    def add(self, tree: Tree) -> str:
        """Store the tree and return the id of its root. In a read-only database, it is remembered only."""
        subtrees = self._subtrees(tree)
        root_id = root_identity(subtrees)
        self._cache[root_id] = replace(tree, tables=dict(sorted(tree.tables.items())))
        if self._read_only or self.run("SELECT 1 FROM {{epoch}}.roots WHERE root_id = ?", [root_id]).fetchone():
            return root_id
        self.insert_missing((subtree_id, *entry) for subtree_id in sorted(subtrees) for entry in subtrees[subtree_id])
        Roots(self.cursor).insert([(root_id, sorted(subtrees))])
        return root_id

    @staticmethod
    def _subtrees(tree: Tree) -> Mapping[str, list[tuple[Any, ...]]]:
        groups: dict[int, list[tuple[Any, ...]]] = {}
        row: tuple[Any, ...]
        for entry in tree.tables.values():
            group = groups.setdefault(int(entry.table_id, 16) % SUBTREES, [])
            name, state = entry.name, "stale" if entry.stale else None
            group.append(("table", entry.table_id, name.schema, name.name, entry.version_id, None, None, state, None))
        for position, o in enumerate(tree.objects):
            row = (o.kind, f"{position:08d}", o.name.schema, o.name.name, None, *described(o))
            groups.setdefault(SUBTREES, []).append(row)
        for position, pattern in enumerate(tree.derived, len(tree.objects)):
            row = (DERIVED, f"{position:08d}", "", pattern, None, None, None, None, None)
            groups.setdefault(SUBTREES, []).append(row)
        return {subtree_identity(rows): rows for rows in groups.values()}


def tree_of_rows(rows: Iterable[Sequence[Any]]) -> Tree:
    """The tree that rows of ``epoch.trees`` (without their ids) make, in their order."""
    tables, objects, derived = {}, [], []
    for kind, identity, schema, name, version_id, *fields in rows:
        if kind == "table":
            tables[identity] = TableEntry(identity, ObjectName(schema, name), version_id, fields[2] == "stale")
        elif kind == DERIVED:
            derived.append(name)
        else:
            objects.append(object_of_row(kind, ObjectName(schema, name), *fields))
    return Tree(tables, tuple(objects), tuple(derived))


def described(obj: SchemaObject) -> tuple[str, str | None, str | None, str | None]:
    """The columns of a row of ``epoch.trees`` for an object, without its name. ``object_of_row`` reads them back."""
    return obj.definition, obj.comment, obj.state, part_comments_to_json(obj)


def object_of_row(
    kind: str, name: ObjectName, definition: str, comment: str | None, state: str | None, part_comments: str | None
) -> SchemaObject:
    """The object that a row of ``epoch.trees`` describes."""
    return SchemaObject(kind, name, definition, comment, state, part_comments_from_json(part_comments))


def subtree_identity(rows: Iterable[tuple[Any, ...]]) -> str:
    """The id of a subtree: the SHA-256 of its rows, which are those of ``epoch.trees`` without their id."""
    return hashlib.sha256(canonical_json(sorted(rows, key=lambda row: row[1])).encode()).hexdigest()


def root_identity(subtree_ids: Iterable[str]) -> str:
    """The id of a root: the SHA-256 of the ids of its subtrees."""
    return hashlib.sha256(canonical_json(sorted(subtree_ids)).encode()).hexdigest()
