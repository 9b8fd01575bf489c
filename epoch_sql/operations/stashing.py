"""``stash``: setting working changes aside, and putting them back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from epoch_sql.catalog.local import Stash, Stashes
from epoch_sql.errors import EpochConflict, EpochNothingToCommit, EpochReferenceError
from epoch_sql.model.commit import TableEntry, Tree
from epoch_sql.model.schema import ObjectName
from epoch_sql.operations.moving import apply_tree, attempting
from epoch_sql.operations.recording import record
from epoch_sql.operations.repository import Repository, now
from epoch_sql.operations.worktree_state import require_clean, settle, uncommitted
from epoch_sql.worktree.scan import Working


@dataclass(frozen=True)
class Stashed:
    """A stash, and how many tables it changes."""

    stash_id: str
    tables_changed: int


def push(repository: Repository, message: str | None = None) -> Stashed:
    """Set every uncommitted change aside, and put the working tables back to the last commit."""

    def move() -> Stashed:
        head = repository.head()
        tree = repository.tree(head.commit_id)
        working = repository.scanner.scan(tree)
        changes = uncommitted(repository, tree, working)
        if not changes:
            raise EpochNothingToCommit("there is nothing to stash, the working tables are as committed", "epoch status")
        recorded = record(repository, tree, working, fingerprints=False)
        stash_id = uuid.uuid4().hex
        stashes = Stashes(repository.cursor)
        sequence = max((stash.sequence for stash in stashes.load()), default=0) + 1
        what = (recorded.root_id, repository.author(), now(), message, len(changes))
        stashes.push(Stash(stash_id, sequence, head.branch, head.commit_id, *what))
        apply_tree(repository, as_recorded(working, recorded.tree), tree)
        return Stashed(stash_id, len(changes))

    return attempting(repository, move)


def pop(repository: Repository) -> Stashed:
    """Put the newest stash back into the working tables, and forget it.

    Raises EpochDirtyError when there are uncommitted changes, EpochConflict when a table was changed both in the stash
    and since then; the stash is kept then.
    """

    def move() -> Stashed:
        stash = newest(repository)
        head = repository.head()
        tree = repository.tree(head.commit_id)
        working = repository.scanner.scan(tree)
        require_clean(repository, tree, working, "epoch stash pop")
        target = _onto(repository, repository.tree(stash.commit_id), tree, repository.trees.load(stash.root_id))
        changed, _ = apply_tree(repository, settle(repository, working), target)
        Stashes(repository.cursor).remove(stash.stash_id)
        return Stashed(stash.stash_id, max(changed, stash.tables_changed))

    return attempting(repository, move)


def drop(repository: Repository, stash_id: str | None = None) -> Stashed:
    """Forget a stash: the newest, or the one whose id starts as given."""
    with repository.moving():
        stash = newest(repository, stash_id)
        Stashes(repository.cursor).remove(stash.stash_id)
    return Stashed(stash.stash_id, stash.tables_changed)


def newest(repository: Repository, stash_id: str | None = None) -> Stash:
    """The newest stash, or the one whose id starts as given; EpochReferenceError if there is none."""
    for stash in Stashes(repository.cursor).load():
        if stash.stash_id.startswith(stash_id or ""):
            return stash
    raise EpochReferenceError(f"there is no stash {stash_id}" if stash_id else "there is no stash", "epoch stash list")


def as_recorded(working: Working, tree: Tree) -> Working:
    """A working database of which a tree was just recorded: nothing in it differs from that tree."""
    tables = tuple(
        replace(w, entry=tree.tables[w.table_id], committed=w.table, rows_differ=False, known=None)
        for w in working.tables
    )
    return Working(tables, (), working.objects)


def _onto(repository: Repository, base: Tree, head: Tree, stashed: Tree) -> Tree:
    """The tree of HEAD with what the stash changed since its base."""
    tables: dict[str, TableEntry] = {}
    for table_id in base.tables.keys() | head.tables.keys() | stashed.tables.keys():
        was, now_, then = (tree.tables.get(table_id) for tree in (base, head, stashed))
        stashed_as, is_now, was_then = (_content(repository, entry) for entry in (then, now_, was))
        if stashed_as != was_then and is_now not in (was_then, stashed_as):
            entry = then or now_ or was
            assert entry
            raise EpochConflict(
                f"table {entry.name} was changed in the stash and since then",
                f"epoch checkout -b a branch at the stash's commit, pop there, and merge ({table_id[:7]})",
            )
        chosen = now_ if stashed_as in (was_then, is_now) else then
        if chosen:
            tables[table_id] = chosen
    old = {(o.kind, o.name): o for o in base.objects}
    new = {(o.kind, o.name): o for o in stashed.objects}
    objects = {(o.kind, o.name): o for o in head.objects}
    for key in old.keys() | new.keys():
        if old.get(key) == new.get(key):
            continue
        if objects.get(key) not in (old.get(key), new.get(key)):
            raise EpochConflict(f"{key[0]} {key[1]} was changed in the stash and since then", "epoch stash drop")
        if key in new:
            objects[key] = new[key]
        else:
            objects.pop(key, None)
    return Tree(tables, tuple(objects.values()))


def _content(repository: Repository, entry: TableEntry | None) -> tuple[ObjectName, str, str] | None:
    """What a table of a tree holds, whichever way it got there."""
    if entry is None:
        return None
    contents = repository.contents
    return entry.name, contents.table(entry.version_id).content_digest, contents.version(entry.version_id).fingerprint
