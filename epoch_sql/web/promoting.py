"""What a promotion would do, and what a reviewer should look at first. Every number is that of the merge's result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from epoch_sql.diff.diff import DiffStat
from epoch_sql.errors import EpochReferenceError, ReferenceNotFound
from epoch_sql.guard.checks import CheckReport
from epoch_sql.guard.protecting import ReviewState
from epoch_sql.history.listing import LogEntry
from epoch_sql.library import Repository
from epoch_sql.model.patterns import counted
from epoch_sql.model.protection import REQUEST, same_person
from epoch_sql.model.schema_diff import SchemaChange
from epoch_sql.verbs.promoting import Promotion as Judged
from epoch_sql.verbs.promoting import Reason
from epoch_sql.web.environments import apart, by_hand, merge_between
from epoch_sql.web.page import Site, link, share

MOSTLY = 0.5
"""The share of a table's rows that is worth a look if they are modified."""


@dataclass(frozen=True)
class Notice:
    """Something to look at first, and where."""

    level: Literal["danger", "warn"]
    text: str
    link: str | None = None


@dataclass(frozen=True)
class Merge:
    """A merge that is not made: of a source, at a commit, into a branch at another one, and what it would change.

    ``between`` names it: by the commits, and by what was decided if it is in progress.
    """

    source: str
    target: str
    source_commit: str
    target_commit: str
    between: tuple[str, ...]
    tables: list[DiffStat]
    definitions: list[SchemaChange]


@dataclass(frozen=True)
class Since:
    """What a source has got since somebody judged it last."""

    review: ReviewState
    commits: list[LogEntry]
    tables: list[DiffStat]
    definitions: list[SchemaChange]


@dataclass(frozen=True)
class Promotion(Merge):
    """A merge as it is reviewed: what it brings, what checks and people say of it, and whether it may be made."""

    ahead: list[LogEntry]
    lacking: list[LogEntry]
    checks: list[CheckReport]
    judged: Judged
    reviews: list[ReviewState]
    since: Since | None

    @property
    def conflicts(self) -> int:
        """How many conflicts and violations stop it."""
        return self.judged.conflicts + self.judged.violations

    @property
    def reasons(self) -> list[str]:
        """Why it cannot be merged, in a few words each."""
        found = [*([counted(self.conflicts, "conflict")] if self.conflicts else [])]
        if self.failing:
            found.append(f"{counted(len(self.failing), 'check')} {'fails' if len(self.failing) == 1 else 'fail'}")
        found += [self._of_review(reason) for reason in self.judged.reasons if reason.needs == "review"]
        return found + [r.message for r in self.judged.reasons if r.needs not in ("resolve", "check", "review")]

    def _of_review(self, _: Reason) -> str:
        if self.judged.rejections:
            return f"rejected by {', '.join(self.judged.rejections)}"
        if self.judged.own_approvals:
            return "only its authors have approved it"
        return "nobody has approved it"

    @property
    def rows(self) -> int:
        """How many rows would change."""
        return sum(table.rows.total for table in self.tables)

    @property
    def changed_tables(self) -> int:
        """How many tables have rows that would change."""
        return sum(table.rows.total > 0 for table in self.tables)

    @property
    def failing(self) -> list[CheckReport]:
        """The checks that do not pass on the result."""
        return [check for check in self.checks if not check.passed]

    @property
    def authors(self) -> list[str]:
        """Who made the commits that it brings."""
        return sorted({commit.author for commit in by_hand(self.ahead)})

    @property
    def request(self) -> ReviewState | None:
        """The newest request for a review of this commit."""
        return next((review for review in self.reviews if review.verdict == REQUEST), None)

    @property
    def names(self) -> list[str]:
        """The tables and views that would change, those with the most rows first."""
        rows = {table.table: table.rows.total for table in self.tables}
        names = {*rows, *(change.table_name for change in self.definitions)}
        return sorted(names, key=lambda name: (-rows.get(name, 0), name))

    def table(self, name: str) -> DiffStat | None:
        """How much of a table would change."""
        return next((table for table in self.tables if table.table == name), None)

    def definitions_of(self, name: str) -> list[SchemaChange]:
        """The definitions of a table that would change."""
        return [change for change in self.definitions if change.table_name == name]

    def notices(self) -> list[Notice]:
        """What to look at first, the worst before the rest."""
        found = [*self._of_checks(), *self._of_definitions(), *self._of_rows()]
        return sorted(found, key=lambda notice: notice.level != "danger")

    def _of_checks(self) -> Iterator[Notice]:
        for check in self.failing:
            rows = f": {counted(check.failing_rows, 'row')}" if check.failing_rows is not None else " to run"
            yield Notice("danger", f"check {check.name} fails{rows}", self._link("/promotion/check", name=check.name))

    def _of_definitions(self) -> Iterator[Notice]:
        for change in self.definitions:
            where = self._link("/rows", table=change.table_name) if self._has_rows(change.table_name) else None
            if change.object == "table" and change.diff_type == "removed":
                yield Notice("danger", f"table {change.name} is dropped", where)
            elif change.object == "column" and change.diff_type == "removed":
                yield Notice("danger", f"{change.table_name}.{change.name} is dropped", where)
            elif change.object == "column" and change.diff_type == "modified":
                old, new = change.from_definition, change.to_definition
                yield Notice("warn", f"{change.table_name}.{change.name} changes: {old} → {new}", where)

    def _of_rows(self) -> Iterator[Notice]:
        for table in self.tables:
            before, rows = table.old_row_count, table.rows
            if not before:
                continue
            if rows.removed:
                is_removed = (
                    f"{counted(rows.removed, 'row')} of {table.table} {'is' if rows.removed == 1 else 'are'} removed"
                )
                where = self._link("/rows", table=table.table, kind="removed")
                yield Notice("warn", f"{is_removed} ({share(rows.removed, before)})", where)
            if rows.modified > MOSTLY * before:
                where = self._link("/rows", table=table.table, kind="modified")
                yield Notice("warn", f"{share(rows.modified, before)} of the rows of {table.table} are modified", where)

    def _has_rows(self, name: str) -> bool:
        table = self.table(name)
        return table is not None and table.rows.total > 0

    def _link(self, path: str, **arguments: str) -> str:
        return link(path, source=self.source, into=self.target, **arguments)


def merge_of(site: Site, repository: Repository, source: str, target: str) -> Merge:
    """What merging a source into a branch would change, as both are now."""
    tips = {branch.name: branch.commit for branch in repository.branches()}
    if target not in tips:
        raise ReferenceNotFound(f"there is no branch {target}", name=target)
    source_commit = tips.get(source) or repository.log(source, max_count=1)[0].commit
    between = merge_between(repository, source_commit, target, tips[target])
    return Merge(
        source,
        target,
        source_commit,
        tips[target],
        between,
        tables=site.remembered("merge", between, lambda: repository.preview_diff_stat(source, into=target)),
        definitions=site.remembered(
            "merged definitions", between, lambda: repository.preview_schema_diff(source, into=target)
        ),
    )


def promotion_of(site: Site, repository: Repository, source: str, target: str) -> Promotion:
    """The same, with all that a review needs."""
    merge = merge_of(site, repository, source, target)
    checks = tuple(f"{check.name}\n{check.sql}\n{check.branch}" for check in repository.checks())
    about, reviews = (merge.source_commit, target), repository.reviews()
    return Promotion(
        **vars(merge),
        ahead=apart(repository, merge.source_commit, merge.target_commit),
        lacking=by_hand(apart(repository, merge.target_commit, merge.source_commit)),
        # Checks may come and go while the commits stay.
        checks=site.remembered(
            "checks",
            (*merge.between, target, *checks),
            lambda: repository.preview_checks(source, into=target),
        ),
        judged=repository.promotion(source, into=target),
        reviews=[review for review in reviews if (review.source_commit, review.target) == about],
        since=_since(site, repository, merge, reviews),
    )


def _since(site: Site, repository: Repository, merge: Merge, reviews: Sequence[ReviewState]) -> Since | None:
    """What is new since this reviewer judged the source last, if that was at another commit that is still there."""
    own = (r for r in reviews if (r.source, r.target) == (merge.source, merge.target) and r.verdict != REQUEST)
    last = next((review for review in own if same_person(review.reviewer, site.author)), None)
    if last is None or last.source_commit == merge.source_commit:
        return None
    try:
        commits = apart(repository, merge.source_commit, last.source_commit)
    except EpochReferenceError:
        return None
    between = (last.source_commit, merge.source_commit)
    return Since(
        last,
        by_hand(commits),
        site.remembered("stat", between, lambda: repository.diff_stat(*between)),
        site.remembered("definitions", between, lambda: repository.schema_diff(*between)),
    )
