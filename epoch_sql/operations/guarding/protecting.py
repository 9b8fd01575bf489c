"""Protects branches."""

from __future__ import annotations

from epoch_sql.catalog.guarding import Protections
from epoch_sql.catalog.history import Audit
from epoch_sql.errors import EpochReferenceError, Suggestion
from epoch_sql.model.protection import Protection
from epoch_sql.operations.branching import existing
from epoch_sql.operations.repository import Call, now
from epoch_sql.verb import procedure


@procedure("epoch_protect")
def protect(
    call: Call,
    branch: str,
    *,
    require_review: bool = False,
    no_force_push: bool = False,
    allow_self_review: bool = False,
) -> Protection:
    """Protects a branch. The arguments state the whole protection. A protected branch cannot be deleted or renamed.

    Raises EpochReferenceError for a missing branch, and for a protection that would refuse nothing.

    Args:
        branch: the branch
        require_review: it takes only approved merges, and undos
        no_force_push: its history only grows: a hard reset adds a commit
        allow_self_review: authors may approve their own changes
    """
    protection = Protection(branch, require_review, no_force_push, allow_self_review)
    with call.moving():
        existing(call, "branch", branch)
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
        existing(call, "branch", branch)
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
    commit_id = existing(call, "branch", protection.branch).commit_id
    audit = Audit(call.cursor)
    audit.record(now(), call.author(), action, protection.branch, commit_id, described(protection))
