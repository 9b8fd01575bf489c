"""``merge`` and what belongs to it: continue, abort, resolve."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import duckdb

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, existing, now
from epoch_sql.catalog.merging import Conflicts, MergeInProgress, Merges, Resolutions, Violating
from epoch_sql.errors import EpochMergeError, EpochReferenceError, EpochTableError
from epoch_sql.guard import moves as guard
from epoch_sql.guard.moves import Move, move_branch, require_allowed, require_expected
from epoch_sql.merge.decisions import BOTH, NULL, SIDES
from epoch_sql.merge.engine import Stopped, list_obstacles, open_obstacles, planned_base
from epoch_sql.merge.engine import merge as merged_tree
from epoch_sql.merge.scope import DecisionScope, located
from epoch_sql.merge.settling import follow, settle
from epoch_sql.model.commit import Route, RowCounts, UndoneCommits
from epoch_sql.model.graph import CommitGraph
from epoch_sql.model.undo import MergePlan, plan_merge
from epoch_sql.verb import procedure
from epoch_sql.verbs.checkout import attempting, put_working_tables
from epoch_sql.verbs.committing import checked_out_branch
from epoch_sql.verbs.finishing import Done, already_in_progress, finish, move_of, or_stop
from epoch_sql.verbs.unmade import Attempts

_NOTHING = RowCounts()
Strategy = Literal["three-way", "ours", "theirs"]
STRATEGIES = get_args(Strategy)


@dataclass(frozen=True)
class MergeResult:
    """What a merge did: of ``source`` into ``target``, or a revert or cherry-pick of a commit that went on.

    ``reapplied`` are commits that came back although the target undid them. ``kept`` are those that stayed although the
    source undid them. ``message`` is that of the commit. ``stale`` are the derived tables that have to be rebuilt.
    """

    status: Literal["merged", "fast-forward", "up-to-date", "aborted"]
    commit: str
    rows: RowCounts
    reapplied: list[UndoneCommits]
    kept: list[UndoneCommits]
    kind: Literal["merge", "revert", "cherry-pick"]
    source: str
    target: str
    message: str
    stale: list[str]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Resolved:
    """The numbers of resolved and of remaining conflicts, with violations."""

    resolved: int
    remaining: int


@procedure("epoch_merge")
def merge(
    call: Call,
    source: str,
    *,
    into: str | None = None,
    message: str | None = None,
    ff: bool = False,
    squash: bool = False,
    strategy: Strategy = "three-way",
    keep_undone: bool = False,
    require_fresh: bool = False,
    expected: str | None = None,
    author: str | None = None,
) -> MergeResult:
    """Merges a reference into a branch, cell by cell. Conflicts are an error, and the merge stays in progress.

    It is one commit on the branch's first-parent line. Raises EpochConflict if it stops on conflicts or violations.
    Then the merge is in progress, and nothing else changed.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
        message: the commit message; default: `Merge SOURCE into BRANCH`
        ff: move the branch without a commit, if possible
        squash: add a commit with one parent
        strategy: take conflicting cells from `ours` or `theirs`
        keep_undone: leave out what was undone on the target, as git does
        require_fresh: refuse a merge that leaves derived tables stale
        expected: the commit that the source has to be at, with 7 digits or more: otherwise nothing is merged
        author: `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
    """
    require_strategy(strategy)

    def move(attempts: Attempts) -> MergeResult | Stopped:
        branch, plan, progress = planned(call, source, into, keep_undone, author)
        require_expected(source, progress.theirs_commit, expected)
        if plan.up_to_date:
            return _ended("up-to-date", progress)
        progress = replace(progress, strategy=strategy, squash=squash, message=message or progress.message)
        only_changes = strategy == "three-way" and brings_only_merges(call.graph(), plan, progress)
        if not only_changes:
            require_allowed(call, move_of(call.cursor, progress))
        _supersede(call, progress)
        if ff and plan.fast_forward:
            return _fast_forward(call, attempts, branch, progress, require_fresh)
        progress = _based(call, plan, progress)
        outcome = finish(call, attempts, progress, only_changes, require_fresh)
        if isinstance(outcome, Stopped):
            require_allowed(call, move_of(call.cursor, progress))
        return _result(outcome, progress)

    return or_stop(attempting(call, move))


@procedure("epoch_merge_continue")
def continue_merge(
    call: Call, message: str | None = None, *, into: str | None = None, author: str | None = None
) -> MergeResult:
    """Commits the merge in progress, after its conflicts are resolved.

    Raises EpochConflict while something still stops it.

    Args:
        message: replaces the merge's own message
        into: the branch that is merged into; default: the current one
        author: `Name <mail>`; default: the author of the merge
    """

    def move(attempts: Attempts) -> MergeResult | Stopped:
        progress = in_progress(call, into)
        ref = existing(call.refs, "branch", progress.target)
        if ref.commit_id != progress.ours_commit:
            raise EpochMergeError(
                f"branch {progress.target} has moved since the {progress.kind} stopped",
                (Suggestion("merge_abort", into=call.elsewhere(progress.target)), ", then start it again"),
                target=progress.target,
            )
        require_allowed(call, move_of(call.cursor, progress))
        progress = replace(
            progress, message=message or progress.message, author=call.author(author) if author else progress.author
        )
        return _result(finish(call, attempts, progress), progress)

    return or_stop(attempting(call, move))


@procedure("epoch_merge_abort")
def abort(call: Call, *, into: str | None = None) -> MergeResult:
    """Ends the merge in progress, and keeps nothing of it.

    Args:
        into: the branch that is merged into; default: the current one
    """
    with call.moving():
        progress = in_progress(call, into)
        Merges(call.cursor).remove(progress.target)
    return _ended("aborted", progress)


@procedure("epoch_resolve")
def resolve(
    call: Call,
    table: str | None = None,
    side: Literal["ours", "theirs", "base", "both", "null"] | None = None,
    *,
    key: str | None = None,
    column: str | None = None,
    value: str | None = None,
    into: str | None = None,
    constraint: str | None = None,
) -> Resolved:
    """Resolves conflicts and violations of the merge in progress, by a side or a value. A side gives a violating row as
    a whole, with the rows that it refers to there and, if a whole table is resolved, its definition.

    ``both`` are ours and theirs less the base. A row that a violated foreign key refers to can be decided by its key,
    too. Raises EpochTableError for what is not in conflict, and for a value that does not fit the column's type.

    Args:
        table: only conflicts of this table
        side: `ours`, `theirs` or `base`; `both` for copies of a row; for one cell also `null`, the value NULL
        key: only this row: JSON (`{"id": 42}`) or the value of a one-column key
        column: only this column
        value: a value of the column's type for one cell, instead of a side; for NULL, side := 'null'
        into: the branch that is merged into; default: the current one
        constraint: only rows that violate this constraint
    """
    if (side is None) == (value is None) or side not in (*SIDES, BOTH, NULL, None):
        raise EpochTableError(
            "a conflict is resolved by a side or by a value",
            "take ours, theirs or base, or both for copies of a row",
        )
    given = value is not None or side == NULL
    if given and (table is None or key is None or column is None):
        raise EpochTableError("a value is for one cell", "name its table, key and column")
    if constraint is not None and (side not in SIDES or column is not None):
        raise EpochTableError("what violates a constraint is resolved by a side", "name no column and no value")
    with call.moving():
        progress = in_progress(call, into)
        if given:
            require_allowed(call, replace(move_of(call.cursor, progress), by_hand=True))
        before = _open(call.cursor, progress)
        merged = merged_tree(call, progress, rows=False)
        violating = Violating(progress.target, constraint_name=constraint)
        found = located(call, violating, merged, table, key, column)
        if given:
            found.require_fitting(call, progress.target, value)
        if side == BOTH:
            found.require_copies(call.cursor, progress.target)
        marks = constraint is None and found.resolves_all(call.cursor, progress.target, merged)
        scope, chosen = found.scope, "value" if given else str(side)
        if constraint is None:
            Resolutions(call.cursor).add(progress.target, scope, chosen, value, found.forced and not given)
        if marks:
            Conflicts(call.cursor).mark_resolved(progress.target, scope, chosen)
        else:
            _merge_again(call, progress, replace(violating, table_name=scope.table_name, key=scope.key), found, side)
        after = _open(call.cursor, progress)
    resolved = [max(was - left, 0) for was, left in zip(before, after, strict=True)]
    return Resolved(sum(resolved), sum(after))


def _merge_again(
    call: Call, progress: MergeInProgress, violating: Violating, decided: DecisionScope, side: str | None
) -> None:
    """List what is left after a decision, and decide what follows from it for violations."""
    followed = Resolutions(call.cursor).drop_consequences(violating)
    if side in SIDES and decided.violated:
        settle(call, progress, str(side), violating)
    elif decided.scope.column_name is not None and followed:
        follow(call, progress, followed[-1], violating)
    else:
        list_obstacles(call, progress, merged_tree(call, progress))


def in_progress(call: Call, target: str | None) -> MergeInProgress:
    """The merge in progress of a branch (default: the current one). Raises EpochMergeError if there is none."""
    branch = target or checked_out_branch(call)[0]
    progress = Merges(call.cursor).get(branch)
    if progress is None:
        message = f"no merge into {branch} is in progress"
        raise EpochMergeError(message, Suggestion("merge", "SOURCE"), target=branch)
    return progress


def require_strategy(strategy: str) -> None:
    """Raises EpochMergeError for a strategy that does not exist."""
    if strategy not in STRATEGIES:
        raise EpochMergeError(f"there is no merge strategy {strategy}", f"one of {', '.join(STRATEGIES)}")


def planned(
    call: Call, source: str, target: str | None, keep_undone: bool, author: str | None = None
) -> tuple[str, MergePlan, MergeInProgress]:
    """The target of a merge, what is to be merged, and the merge as it would be in progress, without its base."""
    branch = target or checked_out_branch(call)[0]
    ours = existing(call.refs, "branch", branch).commit_id
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
        author=call.author(author),
        squash=False,
        strategy="three-way",
        keep_undone=keep_undone,
        started_at=now(),
    )
    return branch, plan, progress


def _based(call: Call, plan: MergePlan, progress: MergeInProgress) -> MergeInProgress:
    """A planned merge with its base tree, which may have to be computed."""
    base = planned_base(call, plan, progress.ours_commit, progress.theirs_commit)
    return replace(progress, base_root=call.trees.add(base))


def _supersede(call: Call, progress: MergeInProgress) -> None:
    """Refuse a merge while another is in progress. Replace an older merge of the same source without decisions."""
    merges = Merges(call.cursor)
    if merges.get(progress.target) is None:
        return
    other = blocking(call, progress)
    if other:
        raise already_in_progress(call, other)
    merges.remove(progress.target)


def blocking(call: Call, progress: MergeInProgress) -> MergeInProgress | None:
    """The merge in progress that a new one must not replace."""
    other = Merges(call.cursor).get(progress.target)
    if other is None:
        return None
    older = (other.theirs_commit, other.ours_commit) != (progress.theirs_commit, progress.ours_commit)
    untouched = not Resolutions(call.cursor).of(progress.target)
    return None if other.kind == "merge" and other.source == progress.source and untouched and older else other


def _fast_forward(call: Call, attempts: Attempts, branch: str, progress: MergeInProgress, fresh: bool) -> MergeResult:
    theirs = progress.theirs_commit
    stale = call.tree(theirs).stale
    guard.require_fresh(call, branch, stale, fresh)
    move = Move(branch, Route.FAST_FORWARD, progress.ours_commit, theirs, theirs, progress.source)
    require_allowed(call, move)
    rows = _NOTHING
    if branch == call.head().branch:
        _, rows = put_working_tables(call, attempts, theirs, "the merge")
    move_branch(call, move, f"merge {progress.source}: fast-forward", progress.author)
    return replace(_ended("fast-forward", progress), commit=theirs, rows=rows, stale=stale)


def brings_only_merges(graph: CommitGraph, plan: MergePlan, progress: MergeInProgress) -> bool:
    """Whether the source has only merges that the target lacks, as after a merge of the target into it.

    Such a merge adds a commit only if it changes something, because otherwise there is no promotion to log.
    """
    new = graph.difference((progress.theirs_commit,), (progress.ours_commit,))
    real = [commit for commit in new if len(graph.parents(commit)) < 2 or graph.undo(commit).commits]
    return not (real or plan.reapplies or plan.keeps)


def _ended(status: Literal["merged", "fast-forward", "up-to-date", "aborted"], of: MergeInProgress) -> MergeResult:
    """The result of a merge that made no commit."""
    return MergeResult(status, of.ours_commit, _NOTHING, [], [], of.kind, of.source, of.target, of.message, [])


def _result(outcome: Done | Stopped, progress: MergeInProgress) -> MergeResult | Stopped:
    if isinstance(outcome, Stopped):
        return outcome
    made = outcome.commit
    if made.commit_id == progress.ours_commit:
        return replace(_ended("up-to-date", progress), stale=outcome.stale)
    return replace(
        _ended("merged", progress),
        commit=made.commit_id,
        rows=outcome.rows,
        reapplied=list(made.origin.reapplied),
        kept=list(made.origin.kept),
        message=made.message,
        stale=outcome.stale,
    )


def _open(cursor: duckdb.DuckDBPyConnection, progress: MergeInProgress) -> tuple[int, int]:
    conflicts, violations = open_obstacles(cursor, progress.target)
    return sum(count for _, count in conflicts), violations
