"""Protected branches, reviews and checks, and which reviews count."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from epoch_sql.model.schema import canonical_json

APPROVE, REJECT, REQUEST = "approve", "reject", "request"
VERDICTS = (APPROVE, REJECT, REQUEST)

_MAIL = re.compile(r"(?P<name>.*?) ?(?:< ?(?P<mail>[^<>]*?) ?>)?")
_BARE_MAIL = re.compile(r"[^\s@]+@[^\s@]+")
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Protection:
    """What a branch is protected from.

    ``require_review``: it takes only approved merges, and undos. ``no_force_push``: its history only grows.
    ``allow_self_review``: approvals of authors count too. ``require_fresh``: it takes no merge that leaves derived
    tables stale.
    """

    branch: str
    require_review: bool = False
    no_force_push: bool = False
    allow_self_review: bool = False
    require_fresh: bool = False

    @property
    def protects(self) -> bool:
        """Whether it refuses anything."""
        return self.require_review or self.no_force_push or self.require_fresh


@dataclass(frozen=True)
class Review:
    """A verdict on one commit that is to be merged into a branch; ``source`` is the reference that named it."""

    review_id: str
    source: str
    source_commit: str
    target: str
    verdict: str
    reviewer: str
    message: str | None
    reviewed_at: datetime


@dataclass(frozen=True)
class Check:
    """A named query that must return no row, for the branches whose name matches a shell pattern."""

    name: str
    query: str
    branch: str

    def applies_to(self, branch: str) -> bool:
        """Whether it guards merges into that branch."""
        return fnmatchcase(branch, self.branch)

    @property
    def is_pattern(self) -> bool:
        """Whether it is for all branches that match a pattern, rather than for one branch."""
        return bool(_GLOB.search(self.branch))


def new_review(
    source: str, source_commit: str, target: str, verdict: str, reviewer: str, message: str | None, at: datetime
) -> Review:
    """A review whose id is the SHA-256 of its content."""
    stated = [source, source_commit, target, verdict, reviewer, message, at.isoformat(timespec="microseconds")]
    review_id = hashlib.sha256(canonical_json(["review", *stated]).encode()).hexdigest()
    return Review(review_id, source, source_commit, target, verdict, reviewer, message, at)


def same_person(one: str, other: str) -> bool:
    """Whether two identities (``Name <mail>``) are one person: by their mail addresses, or else by their names.

    So ``Ann <a@x>`` and ``<A@X>`` are one person, and so are ``Ann`` and ``Ann <a@x>``. Letter case, spaces and the
    Unicode spelling of characters do not matter.
    """
    (name, mail), (other_name, other_mail) = _person(one), _person(other)
    return mail == other_mail if mail and other_mail else name == other_name


def _person(identity: str) -> tuple[str, str]:
    """The name and the mail address of an identity, in the form that is compared. A missing part is empty."""
    found = _MAIL.fullmatch(_plain(identity))
    assert found
    name, mail = found["name"], found["mail"] or ""
    return ("", name) if not mail and _BARE_MAIL.fullmatch(name) else (name, mail)


def _plain(text: str) -> str:
    """A text in one spelling: without letter case, repeated spaces and invisible characters."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(c for c in folded if unicodedata.category(c) != "Cf").split())


def verdicts(reviews: Iterable[Review], target: str, source_commit: str) -> list[Review]:
    """The latest verdict of each reviewer on merging a commit into a branch. A request is not a verdict."""
    latest: list[Review] = []
    for review in sorted(reviews, key=lambda review: review.reviewed_at, reverse=True):
        about = (review.target, review.source_commit) == (target, source_commit) and review.verdict != REQUEST
        if about and not any(same_person(review.reviewer, later.reviewer) for later in latest):
            latest.append(review)
    return latest[::-1]
