"""The catalog tables of this working database only: keys, ignore patterns, fingerprints, stashes, remotes,
untrusted definitions, and worktrees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Literal

from epoch_sql.catalog.content import described, object_of_row
from epoch_sql.catalog.relation import Relation, among
from epoch_sql.model.remote import Remote, Upstream
from epoch_sql.model.schema import ObjectName, SchemaObject, Table, definition_id

PatternKind = Literal["ignored", "derived"]


class DeclaredKeys(Relation):
    """``epoch.declared_keys``: the keys that ``epoch_key`` gave to working tables without a primary key."""

    name = "declared_keys"
    columns = {"schema_name": "VARCHAR", "table_name": "VARCHAR", "columns": "VARCHAR[]"}

    def load(self) -> dict[ObjectName, tuple[str, ...]]:
        """The declared key of each table that has one."""
        return {ObjectName(schema, name): tuple(columns) for schema, name, columns in self.select()}

    def put(self, name: ObjectName, key: tuple[str, ...]) -> None:
        """Declare the key of a table. An empty one removes the declaration."""
        self.run(
            "DELETE FROM {{epoch}}.declared_keys WHERE schema_name = ? AND table_name = ?", [name.schema, name.name]
        )
        if key:
            self.insert([(name.schema, name.name, list(key))])

    def replace(self, keys: Mapping[ObjectName, tuple[str, ...]]) -> None:
        """Make these the declared keys of all tables."""
        wanted = {name: key for name, key in keys.items() if key}
        if wanted != self.load():
            self.run("DELETE FROM {{epoch}}.declared_keys")
            self.insert((name.schema, name.name, list(key)) for name, key in wanted.items())


class Patterns(Relation):
    """``epoch.patterns``: shell patterns of table names: of tables that are not versioned (``ignored``), and of those
    that are computed from others (``derived``), as the next commit will have them."""

    name = "patterns"
    columns = {"kind": "VARCHAR", "pattern": "VARCHAR"}

    def load(self) -> dict[PatternKind, tuple[str, ...]]:
        """The patterns of each kind, in order."""
        rows = sorted(self.select())
        return {kind: tuple(pattern for found, pattern in rows if found == kind) for kind in ("ignored", "derived")}

    def add(self, kind: PatternKind, pattern: str) -> None:
        """Add a pattern."""
        self.insert([(kind, pattern)])

    def remove(self, kind: PatternKind, pattern: str) -> None:
        """Forget a pattern."""
        self.run("DELETE FROM {{epoch}}.patterns WHERE kind = ? AND pattern = ?", [kind, pattern])

    def replace_derived(self, patterns: Sequence[str]) -> None:
        """Make these the patterns of derived tables."""
        if tuple(patterns) != self.load()["derived"]:
            self.run("DELETE FROM {{epoch}}.patterns WHERE kind = 'derived'")
            self.insert(("derived", pattern) for pattern in patterns)


@dataclass(frozen=True)
class Mark:
    """That the next commit takes a table for stale or fresh, whatever HEAD says, as long as it holds these rows."""

    table_id: str
    stale: bool
    fingerprint: str


class Freshness(Relation):
    """``epoch.freshness``: the marks of derived tables."""

    name = "freshness"
    columns = {"table_id": "VARCHAR", "stale": "BOOLEAN", "fingerprint": "VARCHAR"}

    def load(self) -> dict[str, Mark]:
        """The marks by table identity."""
        return {row[0]: Mark(*row) for row in self.select()}

    def replace(self, marks: Iterable[Mark]) -> None:
        """Make these the marks of all tables."""
        wanted = {mark.table_id: mark for mark in marks}
        if wanted != self.load():
            self.run("DELETE FROM {{epoch}}.freshness")
            self.insert(astuple(mark) for mark in wanted.values())


class Unmade(Relation):
    """``epoch.unmade``: objects of the checked-out commit that DuckDB refused to create, with the reason.

    The user did not delete them, so they count as if the working database had them.
    """

    name = "unmade"
    columns = {
        "kind": "VARCHAR",
        "schema_name": "VARCHAR",
        "object_name": "VARCHAR",
        "definition": "VARCHAR",
        "comment": "VARCHAR",
        "state": "VARCHAR",
        "part_comments": "VARCHAR",
        "reason": "VARCHAR",
    }

    def load(self) -> list[tuple[SchemaObject, str]]:
        """The objects, each with the reason."""
        return [
            (object_of_row(kind, ObjectName(schema, name), *described), why)
            for kind, schema, name, *described, why in self.select()
        ]

    def replace(self, objects: Sequence[tuple[SchemaObject, str]]) -> None:
        """Replace the objects that could not be created."""
        if set(objects) != set(self.load()):
            self.run("DELETE FROM {{epoch}}.unmade")
            self.insert((o.kind, o.name.schema, o.name.name, *described(o), why) for o, why in objects)


@dataclass(frozen=True)
class Fingerprint:
    """The ``hash()`` of a working table that holds a version, in one DuckDB engine.

    ``checksum`` is the sum of the hashes of its rows. ``buckets`` is the number of buckets that split this sum in
    ``epoch.buckets`` (0: the table is too small for buckets). In a table without a key, ``bucket_column`` is the id of
    the column that gives a row's bucket. None: the whole row gives it.
    """

    table_id: str
    version_id: str
    engine: str
    row_count: int
    checksum: int
    buckets: int
    bucket_column: int | None = None


class Fingerprints(Relation):
    """``epoch.fingerprints`` and ``epoch.buckets``: a cache that says which working tables may have changed."""

    name = "fingerprints"
    columns = {
        "table_id": "VARCHAR",
        "version_id": "VARCHAR",
        "engine": "VARCHAR",
        "row_count": "BIGINT",
        "checksum": "HUGEINT",
        "buckets": "INTEGER",
        "bucket_column": "INTEGER",
    }

    def load(self) -> dict[str, Fingerprint]:
        """The fingerprints by table identity."""
        return {row[0]: Fingerprint(*row) for row in self.select()}

    def put(self, fingerprints: Iterable[Fingerprint]) -> None:
        """Replace the fingerprints of these tables."""
        batch = list(fingerprints)
        if not batch:
            return
        condition, parameters = among("table_id", [f.table_id for f in batch])
        self.run(f"DELETE FROM {{{{epoch}}}}.fingerprints WHERE {condition}", parameters)
        self.insert(astuple(f) for f in batch)

    def forget(self, table_ids: Iterable[str]) -> None:
        """Drop the fingerprints of these tables."""
        ids = sorted(set(table_ids))
        if not ids:
            return
        condition, parameters = among("table_id", ids)
        for table in ("fingerprints", "buckets"):
            self.run(f"DELETE FROM {{{{epoch}}}}.{table} WHERE {condition}", parameters)


@dataclass(frozen=True)
class Stash:
    """Uncommitted changes that are set aside: the tree of the working tables, and the commit below them."""

    stash_id: str
    sequence: int
    branch: str | None
    commit_id: str
    root_id: str
    author: str
    created_at: datetime
    message: str | None
    tables_changed: int


class Stashes(Relation):
    """``epoch.stashes``: a stack of stashes."""

    name = "stashes"
    columns = {
        "stash_id": "VARCHAR",
        "sequence": "BIGINT",
        "branch": "VARCHAR",
        "commit_id": "VARCHAR",
        "root_id": "VARCHAR",
        "author": "VARCHAR",
        "created_at": "TIMESTAMP",
        "message": "VARCHAR",
        "tables_changed": "BIGINT",
    }

    def load(self) -> list[Stash]:
        """The stashes, newest first."""
        return [Stash(*row) for row in self.select("ORDER BY sequence DESC")]

    def push(self, stash: Stash) -> None:
        """Store a stash."""
        values = vars(stash)
        self.insert([[values[name] for name in self.columns]])

    def remove(self, stash_id: str) -> None:
        """Forget a stash."""
        self.run("DELETE FROM {{epoch}}.stashes WHERE stash_id = ?", [stash_id])


@dataclass(frozen=True)
class Withheld:
    """A definition that is kept as data: its id, its remote, its kind and name, and what it does."""

    definition_id: str
    remote: str
    kind: str
    schema_name: str
    object_name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {ObjectName(self.schema_name, self.object_name)} ({self.reason})"


class Untrusted(Relation):
    """``epoch.untrusted``: definitions that are not created or run until their remote is trusted."""

    name = "untrusted"
    columns = {
        "definition_id": "VARCHAR",
        "remote": "VARCHAR",
        "kind": "VARCHAR",
        "schema_name": "VARCHAR",
        "object_name": "VARCHAR",
        "reason": "VARCHAR",
    }

    def load(self) -> dict[str, Withheld]:
        """All of them, by the ids of the definitions."""
        return {row[0]: Withheld(*row) for row in self.select()}

    def add(self, withheld: Iterable[Withheld]) -> None:
        """Keep definitions as data that are not kept so yet."""
        self.insert_missing(astuple(one) for one in withheld)

    def trust(self, remote: str) -> None:
        """Trust all definitions of a remote."""
        self.run("DELETE FROM {{epoch}}.untrusted WHERE remote = ?", [remote])

    def adopt(self, definitions: Iterable[Table | SchemaObject]) -> None:
        """Remove definitions that the user has created, because they are the user's own."""
        own = [definition_id(definition) for definition in definitions]
        self.run("DELETE FROM {{epoch}}.untrusted WHERE definition_id IN (SELECT unnest(CAST(? AS VARCHAR[])))", [own])


class Remotes(Relation):
    """``epoch.remotes``: the remotes by name. A URL has no credentials in it."""

    name = "remotes"
    columns = {"name": "VARCHAR", "url": "VARCHAR", "store_id": "VARCHAR", "trusted": "BOOLEAN", "readers": "VARCHAR"}

    def load(self) -> dict[str, Remote]:
        """The remotes by name."""
        return {row[0]: Remote(*row) for row in self.select("ORDER BY name")}

    def put(self, remote: Remote) -> None:
        """Add or change a remote."""
        self.run("DELETE FROM {{epoch}}.remotes WHERE name = ?", [remote.name])
        self.insert([tuple(vars(remote).values())])

    def remove(self, name: str) -> None:
        """Delete a remote, and the upstreams at it."""
        self.run("DELETE FROM {{epoch}}.remotes WHERE name = ?", [name])
        self.run("DELETE FROM {{epoch}}.upstreams WHERE remote = ?", [name])


class Upstreams(Relation):
    """``epoch.upstreams``: the remote branch that a branch follows."""

    name = "upstreams"
    columns = {"branch": "VARCHAR", "remote": "VARCHAR", "remote_branch": "VARCHAR"}

    def load(self) -> dict[str, Upstream]:
        """The upstreams by branch."""
        return {row[0]: Upstream(*row) for row in self.select()}

    def put(self, upstream: Upstream) -> None:
        """Set the upstream of a branch, and replace an earlier one."""
        self.remove(upstream.branch)
        self.insert([tuple(vars(upstream).values())])

    def remove(self, branch: str) -> None:
        """Remove the upstream of a branch."""
        self.run("DELETE FROM {{epoch}}.upstreams WHERE branch = ?", [branch])

    def rename(self, old: str, new: str) -> None:
        """Move the upstream of a branch to its new name."""
        self.run("UPDATE {{epoch}}.upstreams SET branch = ? WHERE branch = ?", [new, old])


@dataclass(frozen=True)
class Worktree:
    """Another worktree: its database, and whether its definitions may do whatever their SQL does."""

    worktree_id: str
    path: str
    trusted: bool = False


class Worktrees(Relation):
    """``epoch.worktrees``: the other databases that share objects and history with this one."""

    name = "worktrees"
    columns = {"worktree_id": "VARCHAR", "path": "VARCHAR", "trusted": "BOOLEAN"}

    def load(self) -> dict[str, Worktree]:
        """The worktrees by id."""
        return {row[0]: Worktree(*row) for row in self.select("ORDER BY path")}

    def at(self, path: str) -> Worktree | None:
        """The worktree whose database is there."""
        return next((found for found in self.load().values() if found.path == path), None)

    def put(self, worktree: Worktree) -> None:
        """Add or change a worktree."""
        self.remove(worktree.worktree_id)
        self.insert([tuple(vars(worktree).values())])

    def remove(self, worktree_id: str) -> None:
        """Forget a worktree."""
        self.run("DELETE FROM {{epoch}}.worktrees WHERE worktree_id = ?", [worktree_id])


@dataclass(frozen=True)
class Owner:
    """The worktree that a branch belongs to: its database, and whether the branch is checked out there."""

    worktree_id: str
    path: str
    checked_out: bool


class Elsewhere(Relation):
    """``epoch.elsewhere``: the branches that belong to another worktree. Only there can they move."""

    name = "elsewhere"
    columns = {"branch": "VARCHAR", "worktree_id": "VARCHAR", "checked_out": "BOOLEAN"}

    def load(self) -> dict[str, str]:
        """The worktree of each branch."""
        return {branch: worktree_id for branch, worktree_id, _ in self.select("ORDER BY branch")}

    def checked_out(self) -> dict[str, str]:
        """The branch that is checked out in each worktree with one."""
        return {worktree_id: branch for branch, worktree_id, checked_out in self.select() if checked_out}

    def owner(self, branch: str) -> Owner | None:
        """The worktree that a branch belongs to. None: this one."""
        rows = self.select("WHERE branch = ?", [branch])
        if not rows:
            return None
        [(_, worktree_id, checked_out)] = rows
        found = Worktrees(self.cursor).load().get(worktree_id)
        return Owner(worktree_id, found.path if found else worktree_id, checked_out)

    def replace(self, worktree_id: str, branches: Mapping[str, bool]) -> None:
        """Make these the branches of a worktree, each with whether it is checked out there."""
        self.run("DELETE FROM {{epoch}}.elsewhere WHERE worktree_id = ?", [worktree_id])
        self.insert((branch, worktree_id, checked_out) for branch, checked_out in branches.items())
