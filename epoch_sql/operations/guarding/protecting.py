"""Protecting branches, and saying which are."""

from __future__ import annotations

from epoch_sql.catalog.guarding import Protections
from epoch_sql.catalog.history import Audit
from epoch_sql.errors import EpochReferenceError, Suggestion
from epoch_sql.model.protection import Protection
from epoch_sql.operations.branching import existing
from epoch_sql.operations.repository import Repository, now


def protect(
    repository: Repository,
    branch: str,
    require_review: bool = False,
    no_force_push: bool = False,
    allow_self_review: bool = False,
) -> Protection:
    """Protect a branch: this is from now on all that it is protected from.

    Raises EpochReferenceError for a branch that does not exist, and for a protection that would refuse nothing.
    """
    protection = Protection(branch, require_review, no_force_push, allow_self_review)
    with repository.moving():
        existing(repository, "branch", branch)
        if not protection.protects:
            what = "self-review is allowed where no review is required" if allow_self_review else "nothing to protect"
            raise EpochReferenceError(
                f"{what}: say what branch {branch} is to be protected from",
                Suggestion("protect", branch, require_review=True, no_force_push=True),
                name=branch,
            )
        Protections(repository.cursor).put(protection)
        _note(repository, "protect", protection)
    return protection


def unprotect(repository: Repository, branch: str) -> Protection:
    """Take the protection off a branch; EpochReferenceError if it has none."""
    with repository.moving():
        existing(repository, "branch", branch)
        protections = Protections(repository.cursor)
        before = protections.get(branch)
        if not before.protects:
            raise EpochReferenceError(f"branch {branch} is not protected", Suggestion("branches"), name=branch)
        protections.put(Protection(branch))
        _note(repository, "unprotect", before)
    return Protection(branch)


def described(protection: Protection) -> str:
    """What a branch is protected from, in words: ``require_review, no_force_push``."""
    return ", ".join(name for name, value in vars(protection).items() if value is True)


def _note(repository: Repository, action: str, protection: Protection) -> None:
    commit_id = existing(repository, "branch", protection.branch).commit_id
    audit = Audit(repository.cursor)
    audit.record(now(), repository.author(), action, protection.branch, commit_id, described(protection))
