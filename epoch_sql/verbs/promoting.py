"""Whether a merge may be made, or why not, by the rules that guard it; and what checks say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.catalog.history import Protections
from epoch_sql.errors import EpochReferenceError, EpochRefused, Protected
from epoch_sql.guard.checks import (
    CheckReport,
    Outcome,
    check_named,
    checks_for,
    failing,
    outcome_of,
    rows_failing,
)
from epoch_sql.guard.moves import evidence, refusals, require_fresh, require_own
from epoch_sql.guard.rules import Judged, brought, judged, own_approvals, stale_approvals
from epoch_sql.merge.constraints import violation_rows
from epoch_sql.merge.merged import MergedTree, as_side, conflict_rows
from epoch_sql.render import Sql
from epoch_sql.verb import procedure, relation
from epoch_sql.verbs.finishing import already_in_progress, move_of
from epoch_sql.verbs.merging import blocking, brings_only_merges
from epoch_sql.verbs.previewing import Preview, preview_of, sides_of
from epoch_sql.versions.sides import Side


@dataclass(frozen=True)
class Reason:
    """Why a merge cannot be made, and what it needs.

    ``needs`` is ``finish`` (the merge in progress), ``resolve`` (conflicts or violations), ``review``, ``sides`` (no
    values by hand), ``growth``, ``fresh`` (derived tables), ``check``, or ``worktree``: the branch moves in another.
    """

    needs: Literal["finish", "resolve", "review", "sides", "growth", "fresh", "check", "worktree"]
    message: str
    table_names: list[str]
    checks: list[str]


@dataclass(frozen=True)
class Promotion:
    """Whether a source may be merged into a target now.

    ``ahead`` and ``behind`` are numbers of commits. ``approvals`` are the reviewers whose approval of exactly that
    commit counts, ``own_approvals`` those of authors, which do not, and ``stale_approvals`` approvals of earlier
    commits of the source. ``may_approve`` says whether an approval of the caller would count.
    """

    source: str
    source_commit: str
    target: str
    target_commit: str
    up_to_date: bool
    ahead: int
    behind: int
    conflicts: int
    violations: int
    failing_checks: list[str]
    requires_review: bool
    approvals: list[str]
    own_approvals: list[str]
    rejections: list[str]
    stale_approvals: list[str]
    may_approve: bool
    allowed: bool
    reasons: list[Reason]


@procedure("epoch_promotion", acts=False)
def promotion(call: Call, source: str, *, into: str | None = None) -> Promotion:
    """Whether a merge would be made now, or why not: conflicts, failing checks, missing reviews. The
    rules are those that guard the merge itself. Changes nothing.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
    """
    with call.trying():
        preview = preview_of(call, source, into)
        graph, progress, merged = call.graph(), preview.progress, preview.merged
        ours, theirs = progress.ours_commit, progress.theirs_commit
        if merged and preview.plan and brings_only_merges(graph, preview.plan, progress) and _is_unchanged(merged):
            merged = None
        about, protection = evidence(call, progress.target), Protections(call.cursor).get(progress.target)
        found, may_approve = Judged((), (), ()), True
        if merged:
            commits = brought(graph, ours, theirs)
            found = judged(protection, about, theirs, commits)
            own = own_approvals(protection, about, commits, (call.identity()[0],))
            may_approve = not (protection.require_review and own)
        conflicts, violations = _obstacles(call, merged) if merged else (0, 0)
        reasons = [*_refusals(call, preview, merged)] if merged else []
        if conflicts or violations:
            reasons.append(Reason("resolve", f"{conflicts} conflicts and {violations} violations stop it", [], []))
        failed = _failing(call, preview, merged) if merged else []
        reasons += [_of_check(outcome, preview) for outcome in failed]
    return Promotion(
        source,
        theirs,
        progress.target,
        ours,
        merged is None,
        *graph.ahead_behind(theirs, ours),
        conflicts,
        violations,
        [outcome.check.name for outcome in failed],
        protection.require_review,
        list(found.approvals),
        list(found.own),
        list(found.against),
        [review.reviewer for review in stale_approvals(about, theirs, source)],
        may_approve,
        not reasons,
        reasons,
    )


@procedure("epoch_preview_checks", acts=False)
def preview_checks(call: Call, source: str, *, into: str | None = None) -> list[CheckReport]:
    """What the checks of the target say of the result of a merge, as `epoch_check_report` gives it. Where there are
    conflicts, the result has what the target has there.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
    """
    preview, side = _result(call, source, into)
    checks = checks_for(call, preview.progress.target)
    return [outcome_of(call, check, side, _where(preview)).report for check in checks]


@relation("epoch_preview_check_rows", also="the columns of the check's query")
def preview_check_rows(call: Call, name: str, source: str, *, into: str | None = None) -> Sql:
    """The rows that a check returns on the result of a merge: those that should not be there.

    Args:
        name: the check
        source: the reference to merge
        into: the branch that is merged into; default: the current one
    """
    check = check_named(call, name)
    preview, side = _result(call, source, into)
    return rows_failing(call, check, side, _where(preview))


def _result(call: Call, source: str, into: str | None) -> tuple[Preview, Side]:
    with call.trying():
        preview = preview_of(call, source, into, rows="queries")
        return preview, sides_of(call, preview)[1]


def _where(preview: Preview) -> str:
    return f"the merge of {preview.progress.source} into {preview.progress.target}"


def _is_unchanged(merged: MergedTree) -> bool:
    """Whether a merge without rows of its own gives what the target has."""
    ours = merged.ours
    same = all(entry.entry and entry.entry == entry.ours for entry in merged.tables)
    return same and len(merged.tables) == len(ours.tables) and merged.objects == ours.objects


def _obstacles(call: Call, merged: MergedTree) -> tuple[int, int]:
    statement = render.render("merge.preview", conflicts=conflict_rows(merged), violations=violation_rows(call, merged))
    rows = call.cursor.execute(statement).fetchall()
    return sum(cells + definitions for _, cells, definitions, _ in rows), sum(row[3] for row in rows)


def _refusals(call: Call, preview: Preview, merged: MergedTree) -> Iterator[Reason]:
    """What refuses the merge whatever it holds, as ``epoch_merge`` finds it."""
    target, other = preview.progress.target, blocking(call, preview.progress)
    if other:
        yield Reason("finish", already_in_progress(call, other).message, [], [])
    try:
        require_own(call, target)
    except EpochReferenceError as elsewhere:
        yield Reason("worktree", elsewhere.message, [], [])
    move = move_of(call.cursor, preview.progress)
    for refused in refusals(call, move if preview.decided else replace(move, by_hand=False)):
        yield _of(refused)
    try:
        require_fresh(call, target, merged.stale_names)
    except EpochRefused as refused:
        yield _of(refused)


def _of(refused: EpochRefused) -> Reason:
    needs = refused.needs if isinstance(refused, Protected) else "review"
    return Reason(needs, refused.message, list(getattr(refused, "tables", ())), [])  # type: ignore[arg-type]


def _failing(call: Call, preview: Preview, merged: MergedTree) -> list[Outcome]:
    checks = checks_for(call, preview.progress.target)
    return failing(call, checks, as_side(call.contents, merged), _where(preview)) if checks else []


def _of_check(outcome: Outcome, preview: Preview) -> Reason:
    name = outcome.check.name
    return Reason("check", f"check {name} fails on {_where(preview)}, {outcome.told}", [], [name])
