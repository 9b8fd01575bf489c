"""Decides what a protection refuses, from commits and reviews alone, wherever these are kept.

So the same rules decide a local move of a branch and a push, which is checked against the remote's settings.
``check_push`` is the whole decision on a push.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum

from epoch_sql.advice import Suggestion
from epoch_sql.errors import Protected, StaleTables
from epoch_sql.model.commit import Commit
from epoch_sql.model.graph import CommitGraph, Undo
from epoch_sql.model.protection import APPROVE, REJECT, REQUEST, Protection, Review, same_person, verdicts
from epoch_sql.model.undo import expected_undo, present


@dataclass(frozen=True)
class Evidence:
    """The facts for decisions.

    ``graph`` holds both tips of a move. ``commits`` gives commits by id. ``reviews`` are those of merges into the
    branch. ``is_as_recorded`` says whether a merge or revert has the content that merging or reverting gives. ``stale``
    names the stale tables of a commit.
    """

    graph: CommitGraph
    commits: Callable[[Iterable[str]], Mapping[str, Commit]]
    reviews: Sequence[Review]
    is_as_recorded: Callable[[Commit], bool]
    stale: Callable[[str], Sequence[str]]


class Lacking(Enum):
    """The reason why a commit is not approved."""

    REJECTED = "rejected"
    NOBODY = "nobody"
    OWN = "own"


NAMED = 10
"""An error names at most so many stale tables."""

_WHO = {Lacking.REJECTED: "the one who rejected it: ", Lacking.NOBODY: "", Lacking.OWN: "somebody else: "}


@dataclass(frozen=True)
class Missing:
    """What an approval lacks, also as a clause for people."""

    lacking: Lacking
    clause: str


def check_push(
    protection: Protection, evidence: Evidence, old: str | None, new: str | None, had: Iterable[str] = ()
) -> None:
    """Raises EpochProtectionError if a protected branch must not move from one commit to another by a push or a pull.

    ``old`` is None if the branch does not exist yet, so nothing protects it. ``new`` is None to delete it. ``had`` are
    other states that the branch is known to have had.
    """
    if not protection.protects or old is None or old == new:
        return
    if new is None:
        raise stays(protection, "delete")
    if protection.no_force_push and not evidence.graph.is_ancestor(old, new):
        raise rewritten(protection, old, new)
    if protection.require_review:
        _require_reviewed_line(protection, evidence, old, new, had)
    if protection.require_fresh:
        _require_fresh_line(protection, evidence, old, new, had)


def brought(graph: CommitGraph, target: str, source: str, keep_undone: bool = False) -> set[str]:
    """The commits that a merge brings into a branch, including those that were undone there and come again."""
    found = graph.difference((source,), (target,))
    if keep_undone or not graph.undoing(target):
        return found
    return found | (present(graph, source) - present(graph, target))


@dataclass(frozen=True)
class Judged:
    """The reviewers of a commit: those against its merge, those whose approval counts, and its own authors."""

    against: tuple[str, ...]
    approvals: tuple[str, ...]
    own: tuple[str, ...]


def judged(protection: Protection, evidence: Evidence, source: str, commits: Iterable[str]) -> Judged:
    """The verdicts on merging ``source``, which brings ``commits``."""
    found = verdicts(evidence.reviews, protection.branch, source)
    against = tuple(review.reviewer for review in found if review.verdict == REJECT)
    approved = tuple(review.reviewer for review in found if review.verdict == APPROVE)
    own = own_approvals(protection, evidence, commits, approved)
    return Judged(against, tuple(who for who in approved if who not in own), own)


def own_approvals(
    protection: Protection, evidence: Evidence, commits: Iterable[str], approving: Sequence[str]
) -> tuple[str, ...]:
    """Those whose approval of commits would not count, because they are authors of some."""
    if not approving or protection.allow_self_review:
        return ()
    authors = {commit.author for commit in evidence.commits(commits).values()}
    return tuple(who for who in approving if any(same_person(who, author) for author in authors))


def missing_approval(protection: Protection, evidence: Evidence, source: str, commits: Iterable[str]) -> Missing | None:
    """What an approval of merging ``source``, which brings ``commits``, lacks. None if it is approved."""
    found = judged(protection, evidence, source, commits)
    if found.against:
        return Missing(Lacking.REJECTED, f"{', '.join(found.against)} rejected commit {source[:7]}")
    if found.approvals:
        return None
    if not found.own:
        return Missing(Lacking.NOBODY, f"nobody has approved commit {source[:7]}")
    own = ", ".join(found.own)
    return Missing(Lacking.OWN, f"{own} approved commit {source[:7]}, but is an author of what it brings in")


def stale_approvals(evidence: Evidence, source: str, named: str | None) -> list[Review]:
    """Approvals of other commits that a source, ``named`` so, was at before."""
    return [r for r in evidence.reviews if r.source == named and r.verdict == APPROVE and r.source_commit != source]


def require_approval(
    protection: Protection, evidence: Evidence, source: str, commits: Iterable[str], named: str | None = None
) -> None:
    """Raises Raises EpochProtectionError, with what to type, unless merging ``source`` (as ``named``) is approved."""
    missing = missing_approval(protection, evidence, source, commits)
    if missing is None:
        return
    branch, asked = protection.branch, named or source[:7]
    earlier = {review.source_commit for review in stale_approvals(evidence, source, named)}
    stale = ""
    if missing.lacking is Lacking.NOBODY and earlier:
        stale = f"; an approval of {sorted(earlier)[0][:7]} is stale, for {asked} has moved since"
    raise Protected(
        f"branch {branch} requires a review: {missing.clause}{stale}",
        (_WHO[missing.lacking], Suggestion("review", asked, branch)),
        branch=branch,
        commit_id=source,
        needs="review",
    )


def stays(protection: Protection, doing: str) -> Protected:
    """The error for deleting or renaming a protected branch."""
    branch = protection.branch
    return Protected(
        f"branch {branch} is protected: it cannot be {doing}d",
        Suggestion("unprotect", branch),
        branch=branch,
        needs="unprotect",
    )


def rewritten(protection: Protection, old: str, new: str) -> Protected:
    """The error for a move that drops commits of a branch whose history only grows."""
    branch = protection.branch
    return Protected(
        f"branch {branch} is protected from being rewritten: {new[:7]} does not lead on from {old[:7]}",
        (
            f"on {branch}: ",
            Suggestion("reset", new[:7], hard=True),
            " adds a commit with that content, ",
            Suggestion("revert", "COMMIT"),
            " undoes one",
        ),
        branch=branch,
        commit_id=new,
        needs="growth",
    )


def stale(branch: str, tables: Sequence[str]) -> StaleTables:
    """The error for a merge that would leave derived tables stale."""
    named = ", ".join(tables[:NAMED]) + (f" and {len(tables) - NAMED} more" if len(tables) > NAMED else "")
    return StaleTables(
        f"the merge would leave {named} stale on {branch}",
        (
            "on the source: ",
            Suggestion("merge", branch),
            ", rebuild, ",
            Suggestion("commit", "MESSAGE"),
            ", merge again",
        ),
        branch=branch,
        needs="fresh",
        tables=tuple(tables),
    )


def direct(protection: Protection, doing: str, commit_id: str | None = None) -> Protected:
    """The error for a commit that would come into a branch without a review."""
    branch = protection.branch
    return Protected(
        f"branch {branch} requires a review: it takes no {doing}",
        (Suggestion("checkout", "NAME", new_branch=True), ", commit there, ", _request(branch)),
        branch=branch,
        commit_id=commit_id,
        needs="merge",
    )


def by_hand(protection: Protection, doing: str, named: str, commit_id: str | None = None) -> Protected:
    """The error for a merge or revert with values that neither side has, so that nobody has reviewed them."""
    branch = protection.branch
    return Protected(
        f"branch {branch} requires a review: it takes no {doing} with values that nobody has reviewed",
        (
            "choose sides only; or ",
            Suggestion("branch", "NAME", start=named),
            ", ",
            Suggestion("checkout", "NAME"),
            ", ",
            Suggestion("merge", branch),
            ", resolve there, ",
            _request(branch),
        ),
        branch=branch,
        commit_id=commit_id,
        needs="sides",
    )


def _request(branch: str) -> Suggestion:
    return Suggestion("review", "NAME", branch, verdict=REQUEST)


def first_parents_until(graph: CommitGraph, commit: str, known: Set[str]) -> Iterator[str]:
    """The first-parent line from a commit down to the first ``known`` one, without that."""
    for earlier in graph.first_parents(commit):
        if earlier in known:
            return
        yield earlier


def _require_reviewed_line(protection: Protection, evidence: Evidence, old: str, new: str, had: Iterable[str]) -> None:
    """Refuse a first-parent line with a commit that is neither an approved merge nor an undo.

    A commit that was approved itself came by a fast-forward, with everything before it.
    """
    graph = evidence.graph
    known = {*had, *graph.first_parents(old)}
    if not graph.is_ancestor(old, new) and new not in known:
        raise direct(protection, f"state that it never had, such as {new[:7]}", new)
    line = list(first_parents_until(graph, new, known))
    forwarded = (
        position
        for position, commit_id in enumerate(line)
        if missing_approval(protection, evidence, commit_id, graph.difference((commit_id,), (old,))) is None
    )
    line = line[: next(forwarded, len(line))]
    single = any(len(graph.parents(commit_id)) == 1 for commit_id in line)
    states = {commit.tree_id for commit in evidence.commits(known).values()} if single else set()
    commits = evidence.commits(line)
    for commit in (commits[commit_id] for commit_id in reversed(line)):
        if not _is_undo(evidence, commit, states) and not _is_approved_merge(protection, evidence, commit):
            raise _unreviewed(protection, evidence, commit)
        states.add(commit.tree_id)


def _require_fresh_line(protection: Protection, evidence: Evidence, old: str, new: str, had: Iterable[str]) -> None:
    """Refuse stale tables that a merge on the first-parent line brought. Other commits do not promote."""
    tables = evidence.stale(new)
    if not tables or new in had:
        return
    line = first_parents_until(evidence.graph, new, {*had, *evidence.graph.first_parents(old)})
    commits = evidence.commits(line).values()
    if any(_source(commit) and evidence.stale(commit.commit_id) for commit in commits):
        raise stale(protection.branch, tables)


def _is_approved_merge(protection: Protection, evidence: Evidence, commit: Commit) -> bool:
    source = _source(commit)
    if source is None or source not in evidence.graph:
        return False
    commits = brought(evidence.graph, commit.parents[0], source, commit.origin.keep_undone)
    approved = missing_approval(protection, evidence, source, commits) is None
    return approved and not commit.origin.by_hand and evidence.is_as_recorded(commit)


def _source(commit: Commit) -> str | None:
    """The commit that a merge commit merged. None for other commits."""
    if len(commit.parents) > 1:
        return commit.parents[1]
    return commit.origin.squashes if commit.parents else None


def _is_undo(evidence: Evidence, commit: Commit, states: Set[str]) -> bool:
    """Whether a commit goes back to a state that the branch had, or reverts a commit on its first-parent line.

    It has to record exactly what this undoes, because later merges follow that. A revert has to have the content that
    reverting gives.
    """
    graph, origin = evidence.graph, commit.origin
    if len(commit.parents) != 1:
        return False
    if commit.tree_id in states:
        return Undo(origin.undoes, origin.redoes, origin.restores) == expected_undo(graph, commit)
    if origin.reverts is None or origin.by_hand:
        return False
    return origin.reverts in graph.first_parents(commit.parents[0]) and evidence.is_as_recorded(commit)


def _unreviewed(protection: Protection, evidence: Evidence, commit: Commit) -> Protected:
    source = _source(commit)
    if source is None or source not in evidence.graph:
        return direct(protection, f"direct commit, such as {commit.commit_id[:7]}", commit.commit_id)
    commits = brought(evidence.graph, commit.parents[0], source, commit.origin.keep_undone)
    missing = missing_approval(protection, evidence, source, commits)
    if missing is None and commit.origin.by_hand:
        return by_hand(protection, f"merge, such as {commit.commit_id[:7]},", source[:7], commit.commit_id)
    clause = missing.clause if missing else f"its content is not what merging {source[:7]} gives"
    return Protected(
        f"branch {protection.branch} requires a review of what {commit.commit_id[:7]} merges: {clause}",
        Suggestion("review", source[:7], protection.branch),
        branch=protection.branch,
        commit_id=commit.commit_id,
        needs="review",
    )
