"""``merge`` and what belongs to it: continue, abort, resolve, preview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from epoch_sql import render
from epoch_sql.catalog.merging import MergeInProgress, Merges, Resolutions, Violating
from epoch_sql.errors import EpochMergeError, EpochReferenceError, EpochTableError, Suggestion, to_finish
from epoch_sql.model.commit import Route
from epoch_sql.model.origin import UndoneCommits
from epoch_sql.model.undo import MergePlan, plan_merge
from epoch_sql.model.version import RowCounts
from epoch_sql.operations.branching import existing
from epoch_sql.operations.committing import checked_out_branch, first_line
from epoch_sql.operations.guarding.moves import Move, move_branch, require_allowed
from epoch_sql.operations.merge.bases import base_tree, planned_base
from epoch_sql.operations.merge.constraints import violation_rows
from epoch_sql.operations.merge.decisions import BOTH, NULL, SIDES
from epoch_sql.operations.merge.engine import (
    Done,
    Stopped,
    finish,
    list_obstacles,
    move_of,
)
from epoch_sql.operations.merge.engine import merge as merged_tree
from epoch_sql.operations.merge.listing import conflict_rows
from epoch_sql.operations.merge.places import located
from epoch_sql.operations.merge.settling import follow, settle
from epoch_sql.operations.merge.writing import counts
from epoch_sql.operations.moving import attempting, put_working_tables
from epoch_sql.operations.repository import Call, now

_NOTHING = RowCounts()
STRATEGIES = ("three-way", "ours", "theirs")


@dataclass(frozen=True)
class Merged:
    """What a merge did: status is ``merged``, ``fast-forward``, ``up-to-date`` or ``aborted``.

    ``reapplied`` is what came back that the target had undone, ``kept`` what stayed that the source had undone.
    """

    status: str
    commit_id: str
    rows_added: int = 0
    rows_modified: int = 0
    rows_removed: int = 0
    reapplied: Sequence[UndoneCommits] = ()
    kept: Sequence[UndoneCommits] = ()


@dataclass(frozen=True)
class Resolved:
    """How many conflicts a call resolved, and how many are left, violations included."""

    resolved: int
    remaining: int


def merge(
    call: Call,
    source: str,
    target: str | None = None,
    message: str | None = None,
    ff: bool = False,
    squash: bool = False,
    strategy: str = "three-way",
    keep_undone: bool = False,
) -> Merged:
    """Merge a reference into a branch (default: the checked-out one) as one commit on the branch's first-parent line.

    Raises EpochConflict when it stops on conflicts or violations: the merge is then in progress, and nothing else
    changed.
    """
    _require_strategy(strategy)

    def move() -> Merged | Stopped:
        branch, plan, progress = _planned(call, source, target, keep_undone)
        if plan.up_to_date:
            return Merged("up-to-date", progress.ours_commit)
        progress = replace(progress, strategy=strategy, squash=squash, message=message or progress.message)
        only_changes = strategy == "three-way" and _brings_only_merges(call, plan, progress)
        if not only_changes:
            require_allowed(call, move_of(call, progress))
        _supersede(call, progress)
        if ff and plan.fast_forward:
            return _fast_forward(call, branch, progress)
        progress = _based(call, plan, progress)
        outcome = finish(call, progress, only_changes)
        if isinstance(outcome, Stopped):
            require_allowed(call, move_of(call, progress))
        return _result(outcome, progress)

    return _or_stop(attempting(call, move))


def continue_merge(call: Call, message: str | None = None, target: str | None = None) -> Merged:
    """Commit the merge in progress; EpochConflict when something is still in its way."""

    def move() -> Merged | Stopped:
        progress = in_progress(call, target)
        ref = existing(call, "branch", progress.target)
        if ref.commit_id != progress.ours_commit:
            raise EpochMergeError(
                f"branch {progress.target} has moved since the {progress.kind} stopped",
                (Suggestion("merge_abort", into=call.elsewhere(progress.target)), ", then start it again"),
                target=progress.target,
            )
        require_allowed(call, move_of(call, progress))
        if message:
            progress = replace(progress, message=message)
        return _result(finish(call, progress), progress)

    return _or_stop(attempting(call, move))


def abort(call: Call, target: str | None = None) -> Merged:
    """Forget the merge in progress; nothing else was changed by it."""
    with call.moving():
        progress = in_progress(call, target)
        Merges(call.cursor).remove(progress.target)
    return Merged("aborted", progress.ours_commit)


def resolve(
    call: Call,
    table_name: str | None = None,
    side: str | None = None,
    key: str | None = None,
    column_name: str | None = None,
    value: str | None = None,
    target: str | None = None,
    constraint_name: str | None = None,
) -> Resolved:
    """Decide conflicts and violations of the merge in progress: all of them, of a table, a row or a cell; by a side or
    by a value. ``constraint_name`` decides only what violates one constraint.

    ``side`` is ``ours``, ``theirs`` or ``base``, or ``null`` for a cell that is to be NULL, or, for copies of a row in
    a table without a key, ``both``: ours and theirs less the base. A row that violates a constraint is taken from a
    side as a whole, with what it needs there: the rows that it refers to, and, where all of a table is decided, the
    constraint. So is a row that a violated foreign key refers to, decided by its key.
    Raises EpochTableError for what is not in conflict, and for a value that is none of the column's type.
    """
    if (side is None) == (value is None) or side not in (*SIDES, BOTH, NULL, None):
        raise EpochTableError(
            "a conflict is resolved by a side or by a value",
            "take ours, theirs or base, or both for copies of a row",
        )
    given = value is not None or side == NULL
    if given and (table_name is None or key is None or column_name is None):
        raise EpochTableError("a value is for one cell", "name its table, key and column")
    if constraint_name is not None and (side not in SIDES or column_name is not None):
        raise EpochTableError("what violates a constraint is resolved by a side", "name no column and no value")
    with call.moving():
        progress = in_progress(call, target)
        if given:
            require_allowed(call, replace(move_of(call, progress), by_hand=True))
        before = _open(call, progress)
        merged = merged_tree(call, progress, rows=False)
        violating = Violating(progress.target, constraint_name=constraint_name)
        place = located(call, violating, merged, table_name, key, column_name)
        if given:
            place.require_fitting(call, progress.target, value)
        if side == BOTH:
            place.require_copies(call, progress.target)
        chosen = "value" if given else str(side)
        forced = place.forced and not given
        if constraint_name is None:
            Resolutions(call.cursor).add(
                progress.target, place.table_name, place.key, place.column_name, chosen, value, forced
            )
        meant = replace(violating, table_name=place.table_name, key=place.key)
        followed = Resolutions(call.cursor).drop_consequences(meant)
        if side in SIDES and place.violated:
            settle(call, progress, str(side), meant)
        elif place.column_name is not None and followed:
            follow(call, progress, followed[-1], meant)
        else:
            list_obstacles(call, progress, merged_tree(call, progress))
        after = _open(call, progress)
    resolved = [max(was - left, 0) for was, left in zip(before, after, strict=True)]
    return Resolved(sum(resolved), sum(after))


def preview(
    call: Call,
    source: str,
    target: str | None = None,
    strategy: str = "three-way",
    keep_undone: bool = False,
) -> list[tuple[Any, ...]]:
    """What a merge would do, by table: rows added, modified and removed, conflicts and violations. Changes nothing."""
    _require_strategy(strategy)
    cursor = call.cursor
    cursor.execute("BEGIN TRANSACTION")
    try:
        _, plan, progress = _planned(call, source, target, keep_undone)
        if plan.up_to_date:
            return []
        merged = merged_tree(call, replace(_based(call, plan, progress), strategy=strategy))
        statement = render.render("preview", conflicts=conflict_rows(merged), violations=violation_rows(call, merged))
        found = {row[0]: row[1:] for row in cursor.execute(statement).fetchall()}
        changed = {str(e.table.name): counts(call, e) for e in merged.tables if e.entry is None or e.entry != e.ours}
        kept = {entry.table_id for entry in merged.tables}
        for table_id, gone in merged.ours.tables.items():
            if table_id not in kept:
                removed = call.contents.version(gone.version_id).row_count
                changed[str(gone.name)] = replace(changed.get(str(gone.name), _NOTHING), removed=removed)
        names = sorted(changed.keys() | found.keys())
        rows = [(n, changed.get(n, _NOTHING), found.get(n, (0, 0, 0))) for n in names]
        return [(n, c.added, c.modified, c.removed, *f) for n, c, f in rows]
    finally:
        cursor.execute("ROLLBACK")


def revert(call: Call, ref: str) -> Done:
    """Add a commit that undoes a commit (a merge: against its first parent), as a three-way merge of its own."""

    def move() -> Done | Stopped:
        undone = call.commit(ref)
        if not undone.parents:
            message = f"{ref} is the first commit, there is nothing before it"
            raise EpochReferenceError(message, Suggestion("log"), name=ref)
        message = f'Revert "{first_line(undone.message)}"\n\nThis reverts commit {undone.commit_id}.'
        progress = _picked(call, "revert", undone.commit_id, undone.parents[0], undone.commit_id, message)
        require_allowed(call, move_of(call, progress))
        return finish(call, progress)

    return _done(attempting(call, move))


def cherry_pick(call: Call, ref: str) -> Done:
    """Add a commit with the changes that a commit made against its parent."""

    def move() -> Done | Stopped:
        picked = call.commit(ref)
        if len(picked.parents) > 1:
            into, merged = (parent[:7] for parent in picked.parents[:2])
            raise EpochReferenceError(
                f"{ref} is a merge of {merged} into {into}, so it has no changes of its own to pick",
                (Suggestion("cherry_pick", merged), ", or ", Suggestion("merge", merged)),
                name=ref,
            )
        base = picked.parents[0] if picked.parents else None
        progress = _picked(call, "cherry-pick", base, picked.commit_id, picked.commit_id, picked.message)
        require_allowed(call, move_of(call, progress))
        return finish(call, progress)

    return _done(attempting(call, move))


def in_progress(call: Call, target: str | None) -> MergeInProgress:
    """The merge in progress of a branch, by default the checked-out one; EpochMergeError if there is none."""
    branch = target or checked_out_branch(call)[0]
    progress = Merges(call.cursor).get(branch)
    if progress is None:
        message = f"no merge into {branch} is in progress"
        raise EpochMergeError(message, Suggestion("merge", "SOURCE"), target=branch)
    return progress


def _require_strategy(strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise EpochMergeError(f"there is no merge strategy {strategy}", f"one of {', '.join(STRATEGIES)}")


def _planned(call: Call, source: str, target: str | None, keep_undone: bool) -> tuple[str, MergePlan, MergeInProgress]:
    branch = target or checked_out_branch(call)[0]
    ours = existing(call, "branch", branch).commit_id
    if source in (branch, f"heads/{branch}", f"refs/heads/{branch}") or (source.upper() == "HEAD" and target is None):
        message = f"branch {branch} cannot be merged into itself"
        raise EpochReferenceError(message, Suggestion("branches"), name=branch)
    theirs = call.commit(source)
    plan = plan_merge(call.graph(), ours, theirs.commit_id, keep_undone=keep_undone)
    progress = MergeInProgress(
        target=branch,
        kind="merge",
        ours_commit=ours,
        theirs_commit=theirs.commit_id,
        base_root="",
        theirs_root=theirs.root_id,
        source=source,
        message=f"Merge {source} into {branch}",
        author=call.author(),
        squash=False,
        strategy="three-way",
        keep_undone=keep_undone,
        started_at=now(),
    )
    return branch, plan, progress


def _based(call: Call, plan: MergePlan, progress: MergeInProgress) -> MergeInProgress:
    """A planned merge with the tree that both sides are compared with, which may have to be computed."""
    base = planned_base(call, plan, progress.ours_commit, progress.theirs_commit)
    return replace(progress, base_root=call.trees.add(base))


def _supersede(call: Call, progress: MergeInProgress) -> None:
    """Refuse a merge while another is in progress, unless that one is of an older state and was left untouched."""
    merges = Merges(call.cursor)
    other = merges.get(progress.target)
    if other is None:
        return
    older = (other.theirs_commit, other.ours_commit) != (progress.theirs_commit, progress.ours_commit)
    untouched = not Resolutions(call.cursor).of(progress.target)
    if other.kind == "merge" and other.source == progress.source and untouched and older:
        merges.remove(progress.target)
        return
    raise _in_progress(call, other)


def _in_progress(call: Call, progress: MergeInProgress) -> EpochMergeError:
    message = f"a {progress.kind} of {progress.source} into {progress.target} is in progress"
    return EpochMergeError(message, to_finish(call.elsewhere(progress.target)), target=progress.target)


def _fast_forward(call: Call, branch: str, progress: MergeInProgress) -> Merged:
    theirs = progress.theirs_commit
    move = Move(branch, Route.FAST_FORWARD, progress.ours_commit, theirs, theirs, progress.source)
    require_allowed(call, move)
    rows = _NOTHING
    if branch == call.head().branch:
        _, rows = put_working_tables(call, theirs, "the merge")
    move_branch(call, move, f"merge {progress.source}: fast-forward", progress.author)
    return Merged("fast-forward", progress.theirs_commit, rows.added, rows.modified, rows.removed)


def _picked(call: Call, kind: str, base: str | None, theirs: str, source: str, message: str) -> MergeInProgress:
    branch, tip = checked_out_branch(call)
    other = Merges(call.cursor).get(branch)
    if other:
        raise _in_progress(call, other)
    base_root = call.commits.get(base).root_id if base else call.trees.add(base_tree(call, ()))
    return MergeInProgress(
        target=branch,
        kind=kind,
        ours_commit=tip,
        theirs_commit=theirs,
        base_root=base_root,
        theirs_root=call.commits.get(theirs).root_id,
        source=source,
        message=message,
        author=call.author(),
        squash=False,
        strategy="three-way",
        keep_undone=False,
        started_at=now(),
    )


def _brings_only_merges(call: Call, plan: MergePlan, progress: MergeInProgress) -> bool:
    """Whether the source has nothing that the target lacks but merges, as after the target was merged back into it.

    Such a merge is a commit only if it changes something: without a change there was no promotion to log.
    """
    graph = call.graph()
    new = graph.difference((progress.theirs_commit,), (progress.ours_commit,))
    real = [commit for commit in new if len(graph.parents(commit)) < 2 or graph.undo(commit).commits]
    return not (real or plan.reapplies or plan.keeps)


def _result(outcome: Done | Stopped, progress: MergeInProgress) -> Merged | Stopped:
    if isinstance(outcome, Stopped):
        return outcome
    rows, made = outcome.rows, outcome.commit
    if made.commit_id == progress.ours_commit:
        return Merged("up-to-date", made.commit_id)
    counted = (rows.added, rows.modified, rows.removed)
    return Merged("merged", made.commit_id, *counted, made.origin.reapplied, made.origin.kept)


def _or_stop(result: Merged | Stopped) -> Merged:
    """The result of a merge; raised as an error, after the merge was kept as in progress, when it stopped."""
    if isinstance(result, Stopped):
        raise result.error()
    return result


def _done(outcome: Done | Stopped) -> Done:
    if isinstance(outcome, Stopped):
        raise outcome.error()
    return outcome


def _open(call: Call, progress: MergeInProgress) -> tuple[int, int]:
    conflicts, violations = Merges(call.cursor).open_obstacles(progress.target)
    return sum(count for _, count in conflicts), violations
