"""The catalog tables of history (commits, references, their log, the audit) and of guarded branches (protections,
reviews, checks)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.catalog.relation import Relation, RowCache, among
from epoch_sql.model.commit import Commit, Head, Ref, Route, TrackingRoute, origin_fields, origin_of
from epoch_sql.model.protection import Check, Protection, Review

AnyRoute = Route | TrackingRoute


class Commits(Relation):
    """``epoch.commits`` and ``epoch.parents``."""

    name = "commits"
    columns = {
        "commit_id": "VARCHAR",
        "sequence": "BIGINT",
        "tree_id": "VARCHAR",
        "root_id": "VARCHAR",
        "author": "VARCHAR",
        "committed_at": "TIMESTAMP",
        "message": "VARCHAR",
        "source": "VARCHAR",
        "squashes": "VARCHAR",
        "reverts": "VARCHAR",
        "picks": "VARCHAR",
        "rolls_back_to": "VARCHAR",
        "undoes": "VARCHAR[]",
        "redoes": "VARCHAR[]",
        "restores": "VARCHAR",
        "strategy": "VARCHAR",
        "keep_undone": "BOOLEAN",
        "resolutions": (
            'STRUCT(table_name VARCHAR, "key" VARCHAR, column_name VARCHAR, side VARCHAR, "value" VARCHAR, '
            "forced BOOLEAN)[]"
        ),
        "reapplied": "STRUCT(undone_by VARCHAR, commits VARCHAR[])[]",
        "kept": "STRUCT(undone_by VARCHAR, commits VARCHAR[])[]",
    }

    def __init__(self, cursor: duckdb.DuckDBPyConnection, cache: RowCache | None = None) -> None:
        super().__init__(cursor)
        self._cache = (cache or RowCache()).commits

    def load(self, ids: Iterable[str]) -> dict[str, Commit]:
        """The commits of these ids that exist."""
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        rows = self.with_ids(wanted)
        parents: dict[str, list[str]] = {}
        condition, parameters = among("commit_id", wanted)
        for commit_id, _, parent_id in Parents(self.cursor).select(
            f"WHERE {condition} ORDER BY commit_id, ordinal", parameters
        ):
            parents.setdefault(commit_id, []).append(parent_id)
        return {row[0]: self._commit(row, parents.get(row[0], [])) for row in rows}

    def get(self, commit_id: str) -> Commit:
        """One commit. Raises KeyError if it does not exist."""
        if commit_id not in self._cache:
            self._cache[commit_id] = self.load([commit_id])[commit_id]
        return self._cache[commit_id]

    def add(self, commit: Commit) -> None:
        """Store a commit. Does not change a stored commit."""
        self._cache[commit.commit_id] = commit
        row = self.run(
            "SELECT coalesce(max(sequence), 0) + 1, coalesce(bool_or(commit_id = ?), false) FROM {{epoch}}.commits",
            [commit.commit_id],
        ).fetchone()
        assert row
        sequence, exists = row
        if exists:
            return
        self.insert([self._row(commit, sequence)])
        Parents(self.cursor).insert((commit.commit_id, n, parent) for n, parent in enumerate(commit.parents))

    def add_all(self, commits: Sequence[Commit]) -> None:
        """Store commits that are not stored yet, parents before their children."""
        row = self.run("SELECT coalesce(max(sequence), 0) + 1 FROM {{epoch}}.commits").fetchone()
        assert row
        self.insert(self._row(commit, sequence) for sequence, commit in enumerate(commits, row[0]))
        Parents(self.cursor).insert((c.commit_id, n, parent) for c in commits for n, parent in enumerate(c.parents))

    def edges(self, after: int) -> list[tuple[Any, ...]]:
        """The commits stored after ``after``, parents first.

        Each is (sequence, commit, parents, time, the commit that it reverts, undoes, redoes, restores).
        """
        return self.run(
            render.load("commits.edges"),
            [after],
        ).fetchall()

    def with_prefix(self, prefix: str) -> list[str]:
        """The ids that start with the prefix, at most ten."""
        rows = self.run(
            "SELECT commit_id FROM {{epoch}}.commits WHERE starts_with(commit_id, ?) ORDER BY ALL LIMIT 10",
            [prefix.lower()],
        ).fetchall()
        return [row[0] for row in rows]

    def _row(self, commit: Commit, sequence: int) -> list[Any]:
        values = {**vars(commit), "sequence": sequence, **origin_fields(commit.origin)}
        return [values[name] for name in self.columns]

    @classmethod
    def _commit(cls, row: tuple[Any, ...], parents: list[str]) -> Commit:
        commit_id, _, tree_id, root_id, author, committed_at, message, *facts = row
        origin = origin_of(dict(zip([*cls.columns][7:], facts, strict=True)))
        return Commit(commit_id, tree_id, root_id, tuple(parents), author, committed_at, message, origin)


class Parents(Relation):
    """``epoch.parents``: the edges of the commit graph."""

    name = "parents"
    columns = {"commit_id": "VARCHAR", "ordinal": "INTEGER", "parent_id": "VARCHAR"}


class State(Relation):
    """``epoch.state``: one row that says what is checked out. Every move of a reference updates it.

    So two concurrent writers conflict on this row, one of them fails, and nothing is lost.
    """

    name = "state"
    columns = {
        "repository_id": "VARCHAR",
        "catalog_version": "INTEGER",
        "head_branch": "VARCHAR",
        "head_commit": "VARCHAR",
        "moves": "BIGINT",
        "rewrites": "BIGINT",
        "promisor": "VARCHAR",
    }

    def head(self) -> Head:
        """The branch and the commit that are checked out."""
        row = self.run(render.load("commits.head")).fetchone()
        assert row
        return Head(*row)

    def make_bare(self, promisor: str) -> None:
        """Have no working tables, and read rows where they lie: at a remote."""
        self.run("UPDATE {{epoch}}.state SET promisor = ?", [promisor])

    def set_head(self, head: Head) -> None:
        """Check out a branch, or a commit when detached."""
        self.run(
            "UPDATE {{epoch}}.state SET head_branch = ?, head_commit = ?",
            [head.branch, head.commit_id if head.detached else None],
        )

    def moved(self) -> None:
        """Note that a reference moves.

        The comment is here for its DDL, which makes statements that were prepared before bind again.
        """
        self.run("UPDATE {{epoch}}.state SET moves = moves + 1")
        self.run("COMMENT ON TABLE {{epoch}}.state IS 'what is checked out'")

    def rewritten(self) -> None:
        """Note that rows were replaced or removed which processes remember by their ids. See ``Memory.written``."""
        self.run("UPDATE {{epoch}}.state SET rewrites = rewrites + 1")


class Refs(Relation):
    """``epoch.refs``: branches, tags and remote branches. Every move adds a row to ``epoch.reflog``.

    ``moved`` are the kinds and names of those that moved through this object.
    """

    name = "refs"
    columns = {
        "kind": "VARCHAR",
        "name": "VARCHAR",
        "commit_id": "VARCHAR",
        "author": "VARCHAR",
        "moved_at": "TIMESTAMP",
        "message": "VARCHAR",
    }

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        super().__init__(cursor)
        self.moved: dict[tuple[str, str], None] = {}

    def all(self, kind: str) -> dict[str, Ref]:
        """The references of a kind, by name."""
        return {row[1]: Ref(*row) for row in self.select("WHERE kind = ? ORDER BY name", [kind])}

    def get(self, kind: str, name: str) -> Ref | None:
        """The branch, tag or remote branch of that name, if there is one."""
        rows = self.select("WHERE kind = ? AND name = ?", [kind, name])
        return Ref(*rows[0]) if rows else None

    def named(self, names: Collection[str] | None) -> list[tuple[str, str, str]]:
        """The kind, the name and the commit of each reference that has one of these names (None: of all)."""
        condition, parameters = ("true", []) if names is None else among("name", [*names])
        statement = f"SELECT kind, name, commit_id FROM {{{{epoch}}}}.refs WHERE {condition}"
        return self.run(statement, parameters).fetchall()

    def put(self, ref: Ref, route: AnyRoute, action: str, author: str) -> None:
        """Create or move a reference."""
        old = self.get(ref.kind, ref.name)
        if old is None:
            self.add(ref, route, action, author)
            return
        self.run(
            render.load("commits.move_reference"),
            [ref.commit_id, ref.author, ref.moved_at, ref.message, ref.kind, ref.name],
        )
        self._log(ref, old.commit_id, ref.commit_id, route, action, author, ref.moved_at)

    def add(self, ref: Ref, route: AnyRoute, action: str, author: str) -> None:
        """Create a reference that does not exist yet."""
        self.insert([(ref.kind, ref.name, ref.commit_id, ref.author, ref.moved_at, ref.message)])
        self._log(ref, None, ref.commit_id, route, action, author, ref.moved_at)

    def remove(self, ref: Ref, route: AnyRoute, action: str, author: str, moved_at: datetime) -> None:
        """Delete a reference."""
        self.run("DELETE FROM {{epoch}}.refs WHERE kind = ? AND name = ?", [ref.kind, ref.name])
        self._log(ref, ref.commit_id, None, route, action, author, moved_at)

    def _log(
        self,
        ref: Ref,
        old: str | None,
        new: str | None,
        route: AnyRoute,
        action: str,
        author: str,
        moved_at: datetime,
    ) -> None:
        self.moved[ref.kind, ref.name] = None
        Reflog(self.cursor).append((ref.kind, ref.name, old, new, route.value, action, author, moved_at))


@dataclass(frozen=True)
class LoggedMove:
    """One move of a reference. ``old`` is None if it was created, and ``new`` is None if it was deleted."""

    old: str | None
    new: str | None
    route: str
    moved_at: datetime


class Reflog(Relation):
    """``epoch.reflog``: where each reference was, when, and the route of each move. ``action`` is for people."""

    name = "reflog"
    columns = {
        "sequence": "BIGINT",
        "kind": "VARCHAR",
        "name": "VARCHAR",
        "old_commit": "VARCHAR",
        "new_commit": "VARCHAR",
        "route": "VARCHAR",
        "action": "VARCHAR",
        "author": "VARCHAR",
        "moved_at": "TIMESTAMP",
    }

    def moves_of(self, kind: str, name: str) -> list[LoggedMove]:
        """The moves of a reference, oldest first."""
        rows = self.select("WHERE kind = ? AND name = ? ORDER BY sequence", [kind, name])
        return [LoggedMove(old, new, route, at) for _, _, _, old, new, route, _, _, at in rows]

    def merged(self, commits: Iterable[str]) -> dict[str, str]:
        """The branch that each merge made here was into, by the commit that it made, which is one of these."""
        asked = "WHERE kind = 'branch' AND route IN ('merge', 'squash') AND new_commit IN (SELECT unnest(?))"
        rows = self.select(asked, [[*commits]])
        return {row[4]: row[2] for row in rows}


class Audit(Relation):
    """``epoch.audit``: protection changes, approvals, refusals, promotions and rollbacks."""

    name = "audit"
    columns = {
        "sequence": "BIGINT",
        "recorded_at": "TIMESTAMP",
        "actor": "VARCHAR",
        "action": "VARCHAR",
        "ref": "VARCHAR",
        "commit_id": "VARCHAR",
        "detail": "VARCHAR",
    }

    def record(
        self, at: datetime, actor: str, action: str, ref: str | None, commit_id: str | None, detail: str | None
    ) -> None:
        """Add a row."""
        self.append((at, actor, action, ref, commit_id, detail))


class Protections(Relation):
    """``epoch.protections``: the protected branches, and what each refuses."""

    name = "protections"
    columns = {
        "branch": "VARCHAR",
        "require_review": "BOOLEAN",
        "no_force_push": "BOOLEAN",
        "allow_self_review": "BOOLEAN",
        "require_fresh": "BOOLEAN",
    }

    def load(self) -> dict[str, Protection]:
        """The protections by branch."""
        return {row[0]: Protection(*row) for row in self.select("ORDER BY branch")}

    def get(self, branch: str) -> Protection:
        """The protection of a branch. Without one, a protection that refuses nothing."""
        rows = self.select("WHERE branch = ?", [branch])
        return Protection(*rows[0]) if rows else Protection(branch)

    def put(self, protection: Protection) -> None:
        """Set the protection of a branch, and replace an earlier one."""
        self.run("DELETE FROM {{epoch}}.protections WHERE branch = ?", [protection.branch])
        if protection.protects:
            self.insert([tuple(vars(protection).values())])


class Reviews(Relation):
    """``epoch.reviews``: verdicts on merging commits into branches. No review is ever changed or removed."""

    name = "reviews"
    columns = {
        "review_id": "VARCHAR",
        "source": "VARCHAR",
        "source_commit": "VARCHAR",
        "target": "VARCHAR",
        "verdict": "VARCHAR",
        "reviewer": "VARCHAR",
        "message": "VARCHAR",
        "reviewed_at": "TIMESTAMP",
    }

    def load(self) -> list[Review]:
        """Every review, oldest first."""
        return [Review(*row) for row in self.select("ORDER BY reviewed_at, review_id")]

    def into(self, target: str) -> list[Review]:
        """The reviews for merges into a branch, oldest first."""
        return [Review(*row) for row in self.select("WHERE target = ? ORDER BY reviewed_at, review_id", [target])]

    def latest(self) -> datetime | None:
        """The time of the latest review."""
        row = self.run("SELECT max(reviewed_at) FROM {{epoch}}.reviews").fetchone()
        return row[0] if row else None

    def add(self, reviews: Iterable[Review]) -> None:
        """Store reviews, local ones and those of a remote. Does not change stored reviews."""
        self.insert_missing(tuple(vars(review).values()) for review in reviews)


class Checks(Relation):
    """``epoch.checks``: queries that must return no row on the result of a merge."""

    name = "checks"
    columns = {"name": "VARCHAR", "query": "VARCHAR", "branch": "VARCHAR"}

    def load(self) -> list[Check]:
        """The checks by name."""
        return [Check(*row) for row in self.select("ORDER BY name")]

    def remove(self, name: str) -> None:
        """Forget a check."""
        self.run("DELETE FROM {{epoch}}.checks WHERE name = ?", [name])
