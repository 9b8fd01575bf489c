"""The page of environments: what each is at, and what waits between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from epoch_sql.guard.protecting import ReviewState
from epoch_sql.history.listing import Branch, LogEntry
from epoch_sql.library import Repository
from epoch_sql.model.protection import REQUEST, Protection
from epoch_sql.web.page import Page, Query, Site

LINE = 4
"""How many of its last promotions an environment shows."""


@dataclass(frozen=True)
class Environment:
    """A branch in the order of promotion, with the newest commits of its own line."""

    branch: Branch
    line: list[LogEntry]
    tags: dict[str, str]
    protection: Protection | None

    @property
    def tag(self) -> str | None:
        """The tag that it is at."""
        return self.tags.get(self.branch.commit)


@dataclass(frozen=True)
class Step:
    """What waits between two environments. ``lacking`` are commits that the target has and the source lacks.

    ``review`` is ``approved``, ``rejected`` or ``request``, None if nobody has asked for one.
    """

    source: str
    target: str
    ahead: list[LogEntry]
    lacking: list[LogEntry]
    tables: int
    rows: int
    review: str | None


def environments(site: Site, repository: Repository, _: Query) -> Page:
    """The environments in their order, and the other branches."""
    branches = {branch.name: branch for branch in repository.branches()}
    names = [name for name in order(repository) if name in branches]
    protections = {protection.branch: protection for protection in repository.protections()}
    tags = {tag.commit: tag.name for tag in sorted(repository.tags(), key=lambda tag: tag.tagged_at)}
    shown = [
        Environment(
            branches[name],
            repository.log(name, first_parent=True, max_count=LINE),
            tags,
            protections.get(name),
        )
        for name in names
    ]
    reviews = repository.reviews()
    steps = [_step(site, repository, reviews, branches[source], branches[target]) for source, target in pairwise(names)]
    values = {
        "environments": shown,
        "steps": steps,
        "others": [branch for name, branch in branches.items() if name not in names],
        "merges": repository.merges(),
        "into": names[0] if names else None,
    }
    return Page("environments.html", values)


def order(repository: Repository) -> list[str]:
    """The environments in the order of promotion."""
    return [environment.name for environment in repository.environments()]


def apart(repository: Repository, a: str, b: str) -> list[LogEntry]:
    """The commits that ``a`` reaches and ``b`` does not, newest first."""
    return repository.log(a, exclude=b)


def by_hand(commits: Sequence[LogEntry]) -> list[LogEntry]:
    """The commits that are no merges."""
    return [commit for commit in commits if len(commit.parents) < 2]


def merge_between(repository: Repository, source_commit: str, target: str, target_commit: str) -> tuple[str, ...]:
    """What names the result of a merge: decisions count if it is in progress."""
    begun = next((merge for merge in repository.merges() if merge.target == target), None)
    decided = begun.decisions if begun and begun.source_commit == source_commit else None
    return (source_commit, target_commit, *([decided] if decided else []))


def _step(site: Site, repository: Repository, reviews: Sequence[ReviewState], source: Branch, target: Branch) -> Step:
    ahead = apart(repository, source.name, target.name)
    lacking = by_hand(apart(repository, target.name, source.name))
    tables, rows = 0, 0
    if ahead:
        between = merge_between(repository, source.commit, target.name, target.commit)
        found = site.remembered("preview", between, lambda: repository.preview_merge(source.name, into=target.name))
        tables = len(found)
        rows = sum(table.rows.total for table in found)
    own = [review for review in reviews if (review.source_commit, review.target) == (source.commit, target.name)]
    review: str | None = own[0].state if own else None
    if review == "open":
        review = REQUEST if any(one.verdict == REQUEST for one in own) else None
    return Step(source.name, target.name, ahead, lacking, tables, rows, review)
