"""Protections, and reviews: verdicts on exactly one commit that is to be merged into a branch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, existing, now
from epoch_sql.catalog.history import Audit, Protections, Reviews
from epoch_sql.errors import EpochReferenceError
from epoch_sql.guard.moves import evidence, require_expected
from epoch_sql.guard.rules import Evidence, brought, missing_approval
from epoch_sql.model.protection import REJECT, VERDICTS, Protection, Review, new_review, verdicts
from epoch_sql.verb import procedure, reading


@procedure("epoch_protect")
def protect(
    call: Call,
    branch: str,
    *,
    require_review: bool = False,
    no_force_push: bool = False,
    allow_self_review: bool = False,
    require_fresh: bool = False,
) -> Protection:
    """Protects a branch. The arguments state the whole protection. A protected branch cannot be deleted or renamed.

    Raises EpochReferenceError for a missing branch, and for a protection that would refuse nothing.

    Args:
        branch: the branch
        require_review: take only approved merges, and undos
        no_force_push: let history only grow: a hard reset adds a commit
        allow_self_review: let authors approve their own changes
        require_fresh: take no merge that leaves derived tables stale
    """
    protection = Protection(branch, require_review, no_force_push, allow_self_review, require_fresh)
    with call.moving():
        existing(call.refs, "branch", branch)
        if not protection.protects:
            what = "self-review is allowed where no review is required" if allow_self_review else "nothing to protect"
            raise EpochReferenceError(
                f"{what}: say what branch {branch} is to be protected from",
                Suggestion("protect", branch, require_review=True, no_force_push=True),
                name=branch,
            )
        Protections(call.cursor).put(protection)
        _note(call, "protect", protection)
    return protection


@procedure("epoch_unprotect")
def unprotect(call: Call, branch: str) -> Protection:
    """Removes the protection of a branch.

    Raises EpochReferenceError if it has none.

    Args:
        branch: the branch
    """
    with call.moving():
        existing(call.refs, "branch", branch)
        protections = Protections(call.cursor)
        before = protections.get(branch)
        if not before.protects:
            raise EpochReferenceError(f"branch {branch} is not protected", Suggestion("branches"), name=branch)
        protections.put(Protection(branch))
        _note(call, "unprotect", before)
    return Protection(branch)


def described(protection: Protection) -> str:
    """The protection of a branch in words: ``require_review, no_force_push``."""
    return ", ".join(name for name, value in vars(protection).items() if value is True)


def _note(call: Call, action: str, protection: Protection) -> None:
    commit_id = existing(call.refs, "branch", protection.branch).commit_id
    audit = Audit(call.cursor)
    audit.record(now(), call.author(), action, protection.branch, commit_id, described(protection))


State = Literal["open", "approved", "rejected", "stale"]


@dataclass(frozen=True)
class Reviewed:
    """A recorded review."""

    review_id: str
    source: str
    source_commit: str
    target: str
    verdict: str
    reviewer: str


@procedure("epoch_review")
def review(
    call: Call,
    source: str,
    target: str,
    *,
    verdict: Literal["approve", "reject", "request"] = "approve",
    message: str | None = None,
    reviewer: str | None = None,
    expected: str | None = None,
) -> Reviewed:
    """Records a verdict on merging a commit into a branch. The latest verdict of each reviewer counts, and a rejection
    blocks the merge.

    Raises EpochReferenceError for a source or target that does not exist, and for another verdict.

    Args:
        source: the reference to merge: the review is for the commit that it names now
        target: the branch to merge it into
        verdict: `approve` or `reject`; `request` asks others for a review
        message: why
        reviewer: `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
        expected: the commit that the source has to be at, with 7 digits or more: otherwise nothing is recorded
    """
    if verdict not in VERDICTS:
        raise EpochReferenceError(f"there is no verdict {verdict}", f"one of {', '.join(VERDICTS)}", name=verdict)
    with call.moving():
        existing(call.refs, "branch", target)
        commit_id = call.resolve(source)
        require_expected(source, commit_id, expected)
        if source == target:
            raise EpochReferenceError(
                f"branch {target} cannot be merged into itself", Suggestion("branches"), name=target
            )
        who, reviews = call.author(reviewer), Reviews(call.cursor)
        # The clock may have been set back, and the latest verdict counts.
        last = reviews.latest()
        at = max(now(), last + timedelta(microseconds=1)) if last else now()
        made = new_review(source, commit_id, target, verdict, who, message, at)
        reviews.add([made])
        detail = f"{source} ({commit_id[:7]})" + (f": {message}" if message else "")
        Audit(call.cursor).record(at, who, verdict, target, commit_id, detail)
    return Reviewed(made.review_id, source, commit_id, target, verdict, who)


@dataclass(frozen=True)
class ReviewState(Review):
    """A review, and how a merge would find what it is about."""

    verdict: Literal["approve", "reject", "request"]
    state: State


@reading("epoch_reviews")
def reviews(call: Call) -> list[ReviewState]:
    """The reviews, newest first. The state is `open`, `approved` or `rejected`, or `stale` if the source has moved
    to another commit."""
    protections = Protections(call.cursor).load()
    current: dict[str, str | None] = {}
    found: dict[str, Evidence] = {}
    states: dict[tuple[str, str], State] = {}
    rows = []
    for made in reversed(Reviews(call.cursor).load()):
        target, commit_id = made.target, made.source_commit
        if made.source not in current:
            current[made.source] = _commit_of(call, made.source)
        state: State | None = "stale" if current[made.source] != commit_id else states.get((target, commit_id))
        if state is None:
            found[target] = found.get(target) or evidence(call, target)
            protection = protections.get(target, Protection(target))
            state = states[target, commit_id] = _state(call, protection, found[target], made)
        rows.append(ReviewState(**vars(made), state=state))
    return rows


def _commit_of(call: Call, source: str) -> str | None:
    try:
        return call.resolve(source)
    except EpochReferenceError:
        return None


def _state(call: Call, protection: Protection, about: Evidence, made: Review) -> State:
    if any(verdict.verdict == REJECT for verdict in verdicts(about.reviews, made.target, made.source_commit)):
        return "rejected"
    branch = call.refs.get("branch", made.target)
    if branch is None or made.source_commit not in about.graph:
        return "open"
    commits = brought(about.graph, branch.commit_id, made.source_commit)
    return "open" if missing_approval(protection, about, made.source_commit, commits) else "approved"
