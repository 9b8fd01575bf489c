"""The pages of rows: those of a table that differ, between two commits or by a merge, and one row in full."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.diff.diff import DiffStat
from epoch_sql.history.listing import LogEntry
from epoch_sql.library import Repository
from epoch_sql.model.schema_diff import SchemaChange
from epoch_sql.web.comparing import KINDS, ROWS, Column, Kept, Wanted
from epoch_sql.web.data import first_row
from epoch_sql.web.page import Page, Query, Site, link
from epoch_sql.web.promoting import Merge, merge_of

_SPLIT = "split"
_ALL = "all"


@dataclass(frozen=True)
class Subject:
    """What the rows are a difference of: a promotion, or two commits.

    ``between`` names it for good, ``address`` are the arguments of its page, ``up`` is the page that it belongs to, and
    ``sides`` are the headings of old and new values.
    """

    title: str
    between: tuple[str, ...]
    address: dict[str, str]
    up: str
    sides: tuple[str, str]
    tables: list[DiffStat]
    definitions: list[SchemaChange]

    def table(self, name: str) -> DiffStat:
        """The table of that name. Raises LookupError if it does not differ."""
        found = [table for table in self.tables if table.table == name]
        if not found:
            raise LookupError(name)
        return found[0]


def rows(site: Site, repository: Repository, query: Query) -> Page:
    """A page of the rows of a table that differ."""
    subject = subject_of(site, repository, query)
    table = subject.table(query["table"])
    kept = difference(site, repository, subject, table.table)
    wanted = Wanted(
        query.get("kind") or None,
        query.get("column") or None,
        query.get("q", "").strip(),
        query.get("sort") == "size",
        min(first_row(query), max(kept.total - 1, 0)),
    )
    page = kept.page(wanted)
    columns = _shown(kept, wanted.kind, every=query.get("columns") == _ALL)
    state = {
        **subject.address,
        "table": table.table,
        "kind": wanted.kind,
        "column": wanted.column,
        "q": wanted.text,
        "sort": "size" if wanted.largest_first else None,
        "view": _SPLIT if query.get("view") == _SPLIT else None,
        "columns": _ALL if query.get("columns") == _ALL else None,
    }
    values = {
        "subject": subject,
        "table": table,
        "definitions": [change for change in subject.definitions if change.table_name == table.table],
        "kept": kept,
        "page": page,
        "wanted": wanted,
        "columns": columns,
        "column": kept.named(wanted.column),
        "kinds": KINDS,
        "rows_of_page": ROWS,
        "first": wanted.begin + 1,
        "split": state["view"] == _SPLIT,
        "state": {name: value for name, value in state.items() if value},
        "url": lambda **changes: link("/rows", **{**state, **changes}),
        "record": lambda number: link("/record", **subject.address, table=table.table, n=number),
    }
    return Page("rows.html", values)


def record(site: Site, repository: Repository, query: Query) -> Page:
    """One row: its key, what changed, the rest."""
    subject = subject_of(site, repository, query)
    kept = difference(site, repository, subject, query["table"])
    number = query["n"]
    row = kept.record(int(number)) if number.isdigit() else None
    if row is None:
        raise LookupError(number)
    columns = sorted(kept.columns, key=lambda c: (not c.key, c.name not in row[1], c.position))
    return Page("record.html", {"subject": subject, "table": query["table"], "row": row, "columns": columns})


def difference(site: Site, repository: Repository, subject: Subject, table: str) -> Kept:
    """The difference of a table, kept."""
    address = subject.address
    if address.get("after"):
        refs = (address["before"], address["after"])
        function = "epoch_diff({{a}}, {{b}}, table_name := {{table}})"
    else:
        refs = (address.get("source") or address["revert"], address["into"])
        merge = "epoch_preview_diff({{a}}, target := {{b}}, table_name := {{table}}, revert := {{revert}})"
        function = merge.replace("{{revert}}", "true" if address.get("revert") else "false")
    a, b, name = (render.literal(text) for text in (*refs, table))
    call = render.fill(function, a=a, b=b, table=name)
    return site.comparisons.of(repository, call, subject.between, table, _key(repository, refs, table))


def subject_of(site: Site, repository: Repository, query: Query) -> Subject:
    """What an address is about: a promotion, by ``source`` and ``into``, a revert, by ``revert`` and ``into``, or two
    commits, by ``before`` and ``after``.

    Raises LookupError if it says none of these.
    """
    if query.get("source"):
        return of_merge(merge_of(site, repository, query["source"], query["into"]))
    if query.get("revert"):
        return of_revert(site, repository, query["revert"], query["into"])
    before, after = (repository.log(query[side], max_count=1)[0] for side in ("before", "after"))
    return of_commits(site, repository, before, after)


def of_commits(site: Site, repository: Repository, before: LogEntry, after: LogEntry) -> Subject:
    """Two commits, as a subject."""
    between = (before.commit, after.commit)
    return Subject(
        f"{before.commit[:7]} → {after.commit[:7]}",
        between,
        {"before": before.commit, "after": after.commit},
        link("/commit", id=after.commit),
        (before.commit[:7], after.commit[:7]),
        site.remembered("stat", between, lambda: repository.diff_stat(*between)),
        site.remembered("definitions", between, lambda: repository.schema_diff(*between)),
    )


def of_merge(merge: Merge) -> Subject:
    """A merge as a subject."""
    address = {"source": merge.source, "into": merge.target}
    return Subject(
        f"{merge.source} → {merge.target}",
        ("merge", *merge.between),
        address,
        link("/promotion", **address),
        (f"{merge.target} now", f"{merge.target} after the merge"),
        merge.tables,
        merge.definitions,
    )


def of_revert(site: Site, repository: Repository, commit: str, branch: str) -> Subject:
    """The revert of a commit of a branch, as a subject."""
    undone = repository.log(commit, max_count=1)[0].commit
    tip = repository.log(branch, max_count=1)[0].commit
    between = ("revert", undone, tip)
    return Subject(
        f"undo {undone[:7]} in {branch}",
        between,
        {"revert": undone, "into": branch},
        link("/rollback", branch=branch, commit=undone),
        (f"{branch} now", f"{branch} without it"),
        site.remembered("stat", between, lambda: repository.preview_diff_stat(undone, into=branch, revert=True)),
        site.remembered(
            "definitions", between, lambda: repository.preview_schema_diff(undone, into=branch, revert=True)
        ),
    )


def _key(repository: Repository, refs: Iterable[str], table: str) -> list[str]:
    """The key columns of a table on the newer side that has it."""
    for ref in refs:
        for found in repository.tables(ref):
            if found.table == table and found.key_columns:
                return found.key_columns
    return []


def _shown(kept: Kept, kind: str | None, *, every: bool) -> list[Column]:
    """The key, and the columns that differ; all where rows only came or went."""
    key = [column for column in kept.columns if column.key]
    rest = [column for column in kept.columns if not column.key]
    differing = [column for column in rest if column.cells or not column.before or not column.after]
    if every or not differing or kind in ("added", "removed") or not kept.counts["modified"]:
        return [*key, *rest]
    return [*key, *differing]
