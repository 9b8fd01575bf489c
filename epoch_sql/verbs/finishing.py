"""Finishes a merge: makes its commit, or keeps its conflicts and violations. Brings working tables to the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import duckdb

from epoch_sql.advice import Suggestion, to_finish
from epoch_sql.call import Call
from epoch_sql.catalog.merging import MergeInProgress, Merges, Resolutions
from epoch_sql.errors import EpochDirtyError, EpochMergeError, EpochNothingToCommit
from epoch_sql.guard.moves import Move, move_branch, require_fresh
from epoch_sql.merge.engine import Stopped, list_obstacles, merge, notes, origin_of
from epoch_sql.merge.rows import StoredTree, store
from epoch_sql.model.commit import Commit, Route, RowCounts, Tree, merged_patterns
from epoch_sql.verbs.checkout import apply_tree
from epoch_sql.verbs.committing import first_line, new_commit
from epoch_sql.verbs.unmade import Attempts
from epoch_sql.verbs.worktree_state import settle
from epoch_sql.worktree.rows import Working
from epoch_sql.worktree.trust import folded_name


@dataclass(frozen=True)
class Done:
    """A committed merge: the commit, the rows that it changed in the target, and the stale tables."""

    commit: Commit
    rows: RowCounts
    stale: list[str]


def finish(
    call: Call, attempts: Attempts, progress: MergeInProgress, only_changes: bool = False, fresh: bool = False
) -> Done | Stopped:
    """Commit a merge, or keep it in progress with its conflicts and violations.

    With ``only_changes``, the result is the target's commit, and not a new one, if the target has the result already.
    With ``fresh``, raises EpochProtectionError if tables of the result are stale.
    """
    merged = merge(call, progress)
    if progress.kind == "merge" and merged.stale:
        require_fresh(call, progress.target, merged.stale_names, fresh)
    stopped = list_obstacles(call, progress, merged)
    if stopped:
        return stopped
    stored = store(call, merged)
    before = call.commits.get(progress.ours_commit)
    if progress.kind == "cherry-pick" and stored.tree_id == before.tree_id:
        raise EpochNothingToCommit(
            f"nothing to commit: what {progress.source[:7]} changed is in {progress.target} already",
            (Suggestion("log"), "; ", Suggestion("merge_abort"), ", if it had stopped on conflicts"),
        )
    if only_changes and stored.tree_id == before.tree_id:
        return Done(before, RowCounts(), stored.tree.stale)
    if progress.target == call.head().branch:
        bring_working(call, attempts, merged.ours, stored)
    origin = origin_of(call, progress)
    message = "\n\n".join(filter(None, (progress.message, "\n".join(notes(origin)))))
    parents: tuple[str, ...] = (progress.ours_commit,)
    if progress.kind == "merge" and not progress.squash:
        parents = (progress.ours_commit, progress.theirs_commit)
    commit = new_commit(stored.tree_id, stored.root_id, parents, progress.author, message, origin)
    call.commits.add(commit)
    action = f"{progress.kind}: {first_line(progress.message)}"
    move_branch(call, replace(move_of(call.cursor, progress), new=commit.commit_id), action, progress.author)
    Merges(call.cursor).remove(progress.target)
    return Done(commit, stored.rows, stored.tree.stale)


def move_of(cursor: duckdb.DuckDBPyConnection, progress: MergeInProgress) -> Move:
    """What a merge, revert or cherry-pick does to its target branch."""
    routes = {"merge": Route.SQUASH if progress.squash else Route.MERGE, "revert": Route.REVERT}
    return Move(
        progress.target,
        routes.get(progress.kind, Route.CHERRY_PICK),
        progress.ours_commit,
        source=progress.source if progress.kind == "revert" else progress.theirs_commit,
        named=progress.source,
        keep_undone=progress.keep_undone,
        by_hand=any(made.by_hand for made in Resolutions(cursor).of(progress.target)),
    )


def bring_working(call: Call, attempts: Attempts, ours: Tree, stored: StoredTree, doing: str = "merge") -> RowCounts:
    """Bring the working tables to a merged tree. Uncommitted changes in other tables stay.

    Returns the rows changed in tables that were not rebuilt. Raises EpochDirtyError if the merge changes tables or
    objects with uncommitted changes.
    """
    working = settle(call, call.scan(ours))
    dirty = {w.table_id: str(w.table.name) for w in working.tables if w.differs}
    dirty.update({entry.table_id: str(entry.name) for entry in working.removed})
    seen, wished = call.scanner.visible(ours), call.scanner.visible(stored.tree)
    was, now = ({(o.kind, o.name): o for o in objects} for objects in (seen.objects, working.objects))
    wanted = {(o.kind, o.name): o for o in wished.objects}
    own = {key for key in was.keys() | now.keys() if was.get(key) != now.get(key)}
    clashing = [name for table_id, name in dirty.items() if table_id in stored.tables]
    clashing += [str(key[1]) for key in own if was.get(key) != wanted.get(key)]
    taken = {folded_name("table", w.table.name): str(w.table.name) for w in working.tables if w.differs}
    taken.update({folded_name(*key): str(key[1]) for key in own if key in now})
    brought = {folded_name("table", entry.name) for i, entry in wished.tables.items() if i in stored.tables}
    brought |= {folded_name(*key) for key, wish in wanted.items() if was.get(key) != wish}
    clashing += [name for folded, name in taken.items() if folded in brought]
    if clashing:
        raise EpochDirtyError(
            f"uncommitted changes in {', '.join(sorted(set(clashing))[:3])} block the {doing}",
            (Suggestion("commit", "MESSAGE"), " or ", Suggestion("stash"), f", then {doing} again"),
            tables=tuple(sorted(set(clashing))),
        )
    objects = {key: o for key, o in wanted.items() if key not in own}
    objects.update({key: now[key] for key in own if key in now})
    tables = {i: entry for i, entry in wished.tables.items() if i not in dirty}
    tables_now = tuple(w for w in working.tables if w.table_id not in dirty)
    clean = Working(tables_now, (), working.objects, unmade=working.unmade)
    pinned = [w for w in working.tables if w.table_id in dirty]
    derived = merged_patterns(ours.derived, working.derived, stored.tree.derived)
    return apply_tree(call, attempts, clean, Tree(tables, tuple(objects.values()), derived), pinned)[1]


Result = TypeVar("Result")


def already_in_progress(call: Call, progress: MergeInProgress) -> EpochMergeError:
    """The error for a merge that would begin on a branch where another one is in progress."""
    message = f"a {progress.kind} of {progress.source} into {progress.target} is in progress"
    return EpochMergeError(message, to_finish(call.elsewhere(progress.target)), target=progress.target)


def or_stop(result: Result | Stopped) -> Result:
    """The result of a merge. If it stopped, raises the error after the merge was stored as in progress."""
    if isinstance(result, Stopped):
        raise result.error()
    return result
