"""``worktree add``, ``worktree list`` and ``worktree remove``: other databases to work in, with the same history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from epoch_sql import config, render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, existing
from epoch_sql.catalog.local import Elsewhere, Stashes, Worktree, Worktrees
from epoch_sql.catalog.merging import Merges
from epoch_sql.errors import EpochDirtyError, EpochReferenceError, EpochRepositoryError
from epoch_sql.guard.moves import Move, move_branch, remove_branch, require_own
from epoch_sql.linked.identity import own_id, repository_id
from epoch_sql.linked.making import delete_database, make_database
from epoch_sql.linked.syncing import bring_in, give_out, record_of
from epoch_sql.model.commit import Route
from epoch_sql.model.names import check_ref_name
from epoch_sql.model.worktrees import Record, new_worktree_id
from epoch_sql.storage.remote.exchange import Exchange, record_path
from epoch_sql.verb import procedure
from epoch_sql.verbs.worktree_state import require_clean, settle


@dataclass(frozen=True)
class WorktreeInfo:
    """A worktree: its database, and the branch and the commit that are checked out there.

    ``commit`` is None for a linked worktree in which no branch is checked out.
    """

    path: str
    branch: str | None
    commit: str | None
    kind: Literal["main", "linked"]
    status: Literal["here", "there", "gone"]


@dataclass(frozen=True)
class WorktreeResult:
    """A worktree that was added or removed. ``branch`` is the branch that was checked out in it."""

    path: str
    branch: str | None
    commit: str | None
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_worktrees", acts=False)
def worktrees(call: Call) -> list[WorktreeInfo]:
    """The worktrees: this database, and the others that share objects and history with it. Status: `here`, `there`, or
    `gone` if it is not where it was."""
    head, main = call.head(), repository_id(call)
    main_database = call.link.main if call.link else call.database
    kind: Literal["main", "linked"] = "linked" if call.link else "main"
    found = [WorktreeInfo(str(call.database), head.branch, head.commit_id, kind, "here")]
    own, checked_out = own_id(call), Elsewhere(call.cursor).checked_out()
    for worktree_id, worktree in Worktrees(call.cursor).load().items():
        if worktree_id == own:
            continue
        branch = checked_out.get(worktree_id)
        ref = call.refs.get("branch", branch) if branch else None
        is_main, database = worktree_id == main, Path(worktree.path)
        is_there = (
            database.is_file() if is_main else config.is_worktree(database, config.Link(worktree_id, main_database))
        )
        found.append(
            WorktreeInfo(
                worktree.path,
                branch,
                ref.commit_id if ref else None,
                "main" if is_main else "linked",
                "there" if is_there else "gone",
            )
        )
    return sorted(found, key=lambda worktree: (worktree.kind != "main", worktree.path))


@procedure("epoch_worktree_add")
def add(
    call: Call, path: str, branch: str | None = None, *, new_branch: str | None = None, trust: bool = False
) -> WorktreeResult:
    """Makes another database with working tables of its own, which shares objects and history with this one.

    A branch that belongs to one worktree moves only there, and can be read in all of them. Raises EpochReferenceError
    if the branch is checked out in another worktree, and EpochRepositoryError if the folder is not empty.

    Args:
        path: a new or an empty folder; the database there has the name of this one
        branch: the branch to check out; default: the one with the name of the folder, which is made at HEAD if missing
        new_branch: make this branch where `branch` is, and check it out instead
        trust: trust its definitions, even those that read files or reach outside the database
    """
    call.require_working_tables()
    _require_main(call, Suggestion("worktree_add", "PATH"))
    folder = (Path.cwd() / Path(path).expanduser()).resolve()
    _require_free(call, folder)
    exchange = Exchange(call.shared)
    if exchange.is_there:
        give_out(call)
    else:
        # What is here now is in every worktree that will be made, so nothing of it has to go through the exchange.
        exchange.prepare()
        exchange.write_record(record_of(call))
    worktree = Worktree(new_worktree_id(), str(folder / call.database.name), trust)
    with call.moving():
        name, made = _branch(call, folder, branch, new_branch)
        _require_movable(call, name)
        commit_id = existing(call.refs, "branch", name).commit_id
        Worktrees(call.cursor).put(worktree)
        Elsewhere(call.cursor).replace(worktree.worktree_id, {name: True})
    try:
        exchange.write_record(Record(worktree.worktree_id, worktree.path, {name: commit_id}, name))
        give_out(call)
        make_database(call, worktree, name, commit_id)
    except BaseException:
        _forget(call, exchange, worktree, name if made else None)
        raise
    return WorktreeResult(worktree.path, name, commit_id)


@procedure("epoch_worktree_remove")
def remove(call: Call, path: str, *, force: bool = False) -> WorktreeResult:
    """Removes a worktree: its database and its settings. What was committed in it stays, and its branches belong to
    this database again. Forgets a worktree that is gone.

    Raises EpochDirtyError if it has uncommitted changes or stashes, unless ``force``.

    Args:
        path: its folder or its database
        force: remove it even if uncommitted changes or stashes are lost
    """
    _require_main(call, Suggestion("worktree_remove", path))
    worktree = _named(call, path)
    database, exchange = Path(worktree.path), Exchange(call.shared)
    branch = Elsewhere(call.cursor).checked_out().get(worktree.worktree_id)
    link = config.Link(worktree.worktree_id, call.database)
    if config.is_worktree(database, link):
        assert call.memory.beside
        with call.memory.beside(database) as there:
            if not force:
                _require_nothing_lost(there, worktree)
            give_out(there)
            # The file is removed while it is locked, so nobody writes to it in between.
            with render.for_database(call.catalog):
                _give_back(call, exchange, worktree)
                delete_database(database, link)
    else:
        _give_back(call, exchange, worktree)
        delete_database(database, link)
    ref = call.refs.get("branch", branch) if branch else None
    return WorktreeResult(worktree.path, branch, ref.commit_id if ref else None)


def _require_main(call: Call, suggestion: Suggestion) -> None:
    if call.link:
        raise EpochRepositoryError(
            f"{call.database} is a linked worktree: the main one, {call.link.main}, adds and removes worktrees",
            ("open that, then ", suggestion),
            database=str(call.database),
        )


def _require_free(call: Call, folder: Path) -> None:
    if folder.is_relative_to(call.shared):
        raise EpochRepositoryError(f"{folder} is in {call.shared}, which is Epoch's own", "name another folder")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise EpochRepositoryError(f"{folder} exists and is not an empty folder", "name a new folder")


def _branch(call: Call, folder: Path, branch: str | None, new_branch: str | None) -> tuple[str, bool]:
    """The branch for a new worktree, and whether it was made."""
    if branch and not new_branch:
        return existing(call.refs, "branch", branch).name, False
    name = new_branch or folder.name
    if not new_branch and call.refs.get("branch", name):
        return name, False
    check_ref_name(name)
    start = branch or "HEAD"
    made = Move(name, Route.CREATE, None, call.resolve(start))
    if call.refs.get("branch", name):
        raise EpochReferenceError(f"branch {name} exists already", "name another", name=name)
    move_branch(call, made, f"branch: created from {start}", call.author())
    return name, True


def _require_movable(call: Call, branch: str) -> None:
    require_own(call, branch)
    if call.head().branch == branch:
        raise EpochReferenceError(
            f"branch {branch} is checked out in {call.database}",
            ("check out another branch here, or ", Suggestion("worktree_add", "PATH", branch, new_branch="NAME")),
            name=branch,
        )
    if Merges(call.cursor).get(branch):
        raise EpochReferenceError(
            f"a merge into {branch} is in progress",
            (Suggestion("merge_continue", into=branch), " or ", Suggestion("merge_abort", into=branch), " first"),
            name=branch,
        )


def _named(call: Call, path: str) -> Worktree:
    wanted = (Path.cwd() / Path(path).expanduser()).resolve()
    found = Worktrees(call.cursor).load().values()
    for worktree in found:
        if wanted in (Path(worktree.path), Path(worktree.path).parent):
            return worktree
    near = ", ".join(str(Path(worktree.path).parent) for worktree in found)
    raise EpochRepositoryError(f"{wanted} is not a worktree of {call.database}", f"one of {near}" if near else None)


def _require_nothing_lost(there: Call, worktree: Worktree) -> None:
    fate, advice = (
        "lost with the worktree",
        (
            "commit them there, or ",
            Suggestion("worktree_remove", worktree.path, force=True),
            " to lose them",
        ),
    )
    tree = there.tree(there.head().commit_id)
    require_clean(there, tree, settle(there, there.scan(tree)), fate, advice)
    stashes = len(Stashes(there.cursor).load())
    if stashes:
        raise EpochDirtyError(f"{stashes} stashes in {worktree.path} would be {fate}", advice, tables=())


def _give_back(call: Call, exchange: Exchange, worktree: Worktree) -> None:
    """Take in what was committed in a worktree, and have its branches here from now on."""
    bring_in(call)
    record = exchange.record(worktree.worktree_id)
    # From here on nobody works there, whatever happens.
    own = record_of(call)
    left = tuple(one for one in own.worktrees if one != worktree.worktree_id)
    exchange.write_record(replace(own, worktrees=left))
    shown = {name for name, owner in Elsewhere(call.cursor).load().items() if owner == worktree.worktree_id}
    with call.moving():
        for name, commit_id in record.branches.items() if record else ():
            if name not in shown:
                _keep(call, name, commit_id, Path(worktree.path).parent.name)
        Elsewhere(call.cursor).replace(worktree.worktree_id, {})
        Worktrees(call.cursor).remove(worktree.worktree_id)
    give_out(call)
    exchange.remove(record_path(worktree.worktree_id))


def _keep(call: Call, branch: str, commit_id: str, folder: str) -> None:
    """Keep a branch whose name is taken here under another name."""
    if commit_id not in call.graph():
        raise EpochRepositoryError(
            f"branch {branch} of the worktree could not be taken in, so the worktree is not removed",
            (Suggestion("worktrees"), ", then see the warnings of the next call"),
        )
    names = (f"{branch}-{folder}", *(f"{branch}-{folder}-{number}" for number in range(2, 1000)))
    free = next(name for name in names if not call.refs.get("branch", name))
    move_branch(call, Move(free, Route.CREATE, None, commit_id), f"worktree: was {branch} there", call.author())
    call.warn(f"branch {branch} of the worktree is branch {free} here")


def _forget(call: Call, exchange: Exchange, worktree: Worktree, made: str | None) -> None:
    """Take back what ``add`` recorded."""
    delete_database(Path(worktree.path), config.Link(worktree.worktree_id, call.database))
    with call.moving():
        Elsewhere(call.cursor).replace(worktree.worktree_id, {})
        Worktrees(call.cursor).remove(worktree.worktree_id)
        if made:
            remove_branch(call, existing(call.refs, "branch", made), call.author())
    give_out(call)
    exchange.remove(record_path(worktree.worktree_id))
