"""``stash``: sets uncommitted changes aside, and restores them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, now
from epoch_sql.catalog.local import Stash, Stashes
from epoch_sql.errors import EpochNothingToCommit, EpochTableError, ReferenceNotFound, StashConflict
from epoch_sql.merge.constraints import violation_rows
from epoch_sql.merge.decisions import Decisions
from epoch_sql.merge.merged import conflict_rows
from epoch_sql.merge.rows import store
from epoch_sql.merge.trees import merge_trees
from epoch_sql.model.commit import Tree
from epoch_sql.verb import procedure
from epoch_sql.verbs.checkout import apply_tree, attempting
from epoch_sql.verbs.deriving import keep_freshness
from epoch_sql.verbs.unmade import Attempts
from epoch_sql.verbs.worktree_state import require_clean, settle, uncommitted
from epoch_sql.versions.recording import record
from epoch_sql.worktree.rows import Working
from epoch_sql.worktree.scan import Scanner


@dataclass(frozen=True)
class Stashed:
    """A stash, and the number of tables that it changes."""

    stash_id: str
    tables_changed: int


@dataclass(frozen=True)
class StashResult(Stashed):
    """A stash that was made or put back. ``stale`` are the derived tables that have to be rebuilt then."""

    stale: list[str]
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_stash", looks="changes")
def push(call: Call, message: str | None = None) -> StashResult:
    """Sets every uncommitted change aside.

    Raises EpochNothingToCommit without a change.

    Args:
        message: what is set aside
    """

    def move(attempts: Attempts) -> StashResult:
        head = call.head()
        tree = call.tree(head.commit_id)
        working = call.scan(tree, changed=True)
        changes = uncommitted(call, tree, working)
        if not changes:
            raise EpochNothingToCommit(
                "there is nothing to stash, the working tables are as committed", Suggestion("status")
            )
        recorded = record(call, working, fingerprints=False)
        stash_id = uuid.uuid4().hex
        stashes = Stashes(call.cursor)
        sequence = max((stash.sequence for stash in stashes.load()), default=0) + 1
        what = (recorded.root_id, call.author(), now(), message, len(changes))
        stashes.push(Stash(stash_id, sequence, head.branch, head.commit_id, *what))
        apply_tree(call, attempts, as_recorded(working, recorded.tree), tree)
        return StashResult(stash_id, len(changes), [])

    return attempting(call, move)


@procedure("epoch_stash_pop", looks="rows")
def pop(call: Call) -> StashResult:
    """Restores the newest stash to the working tables, and deletes it.

    Merges it with what was committed since then, cell by cell. Raises EpochDirtyError if there are uncommitted changes,
    and EpochConflict, which keeps the stash, if both changed the same cell.
    """

    def move(attempts: Attempts) -> StashResult:
        stash = newest(call)
        head = call.head()
        tree = call.tree(head.commit_id)
        working = call.scan(tree)
        require_clean(call, tree, working, "lost by the stash")
        target = _onto(call, stash, tree)
        _require_seen(call.scanner, tree, target)
        changed, _ = apply_tree(call, attempts, settle(call, working), target)
        stale = keep_freshness(call, target, tree)
        Stashes(call.cursor).remove(stash.stash_id)
        return StashResult(stash.stash_id, max(changed, stash.tables_changed), stale)

    return attempting(call, move)


@procedure("epoch_stash_drop")
def drop(call: Call, stash_id: str | None = None) -> Stashed:
    """Deletes a stash.

    Raises EpochReferenceError if there is none.

    Args:
        stash_id: the stash; default: the newest
    """
    with call.moving():
        stash = newest(call, stash_id)
        Stashes(call.cursor).remove(stash.stash_id)
    return Stashed(stash.stash_id, stash.tables_changed)


def newest(call: Call, stash_id: str | None = None) -> Stash:
    """The newest stash, or the one whose id starts with ``stash_id``. Raises EpochReferenceError if there is none."""
    for stash in Stashes(call.cursor).load():
        if stash.stash_id.startswith(stash_id or ""):
            return stash
    message = f"there is no stash {stash_id}" if stash_id else "there is no stash"
    raise ReferenceNotFound(message, Suggestion("stashes"), name=stash_id)


def as_recorded(working: Working, tree: Tree) -> Working:
    """A working database that was just recorded as a tree, so nothing in it differs from that tree."""
    tables = tuple(
        replace(w, entry=tree.tables[w.table_id], committed=w.table, rows_differ=False, known=None)
        for w in working.tables
    )
    return Working(tables, (), working.objects, unmade=working.unmade)


def _require_seen(scanner: Scanner, head: Tree, target: Tree) -> None:
    """Raises EpochTableError if a stash changes tables that are ignored by now, because it would be deleted without
    being restored."""
    before, after = scanner.hidden(head), scanner.hidden(target)
    named = {**before.tables, **after.tables}
    changed = [str(entry.name) for i, entry in named.items() if before.tables.get(i) != after.tables.get(i)]
    changed += [str(o.name) for o in {*before.objects} ^ {*after.objects}]
    if changed:
        raise EpochTableError(
            f"the stash changes {', '.join(sorted(set(changed)))}, which is ignored since",
            (
                Suggestion("ignored"),
                "; ",
                Suggestion("ignore", "PATTERN", remove=True),
                ", then ",
                Suggestion("stash_pop"),
            ),
            table=min(changed),
        )


def _onto(call: Call, stash: Stash, head: Tree) -> Tree:
    """The tree of HEAD with the changes of the stash since its commit, by a three-way merge."""
    base, stashed = call.tree(stash.commit_id), call.trees.load(stash.root_id)
    merged = merge_trees(call, base, head, stashed, Decisions())
    obstacles = render.render("merge.preview", conflicts=conflict_rows(merged), violations=violation_rows(call, merged))
    tables = sorted(row[0] for row in call.cursor.execute(obstacles).fetchall())
    if tables:
        raise StashConflict(
            f"the stash and what was committed since clash in {', '.join(tables)}",
            (
                Suggestion("branch", "NAME", start=stash.commit_id[:7]),
                ", ",
                Suggestion("checkout", "NAME"),
                ", ",
                Suggestion("stash_pop"),
                ", ",
                Suggestion("commit", "MESSAGE"),
                "; then merge NAME",
            ),
            stash_id=stash.stash_id,
            tables=tuple(tables),
        )
    return store(call, merged, count=False).tree
