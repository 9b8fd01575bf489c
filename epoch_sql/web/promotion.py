"""The pages of a promotion: its verdict, its tables, its checks; and of a rollback, which is looked at alike."""

from __future__ import annotations

import math

from epoch_sql import render
from epoch_sql.library import Repository
from epoch_sql.web.comparing import ROWS
from epoch_sql.web.data import first_row, page_of_call
from epoch_sql.web.environments import apart
from epoch_sql.web.page import Page, Query, Site
from epoch_sql.web.promoting import merge_of, promotion_of
from epoch_sql.web.rows import difference, of_commits, of_merge, of_revert

AT_ONCE = 20_000
"""How many rows a table may have that is compared before the page is shown."""


def promotion(site: Site, repository: Repository, query: Query) -> Page:
    """A promotion: whether it can be merged, what to look at first, its tables, checks and commits."""
    found = promotion_of(site, repository, query["source"], query["into"])
    subject = of_merge(found)
    most = math.inf if query.get("wait") else AT_ONCE
    changed = [table for table in found.tables if table.rows.total]
    at_once = [
        table.table
        for table in changed
        if table.rows.total < most or site.comparisons.made(subject.between, table.table)
    ]
    told = {name: difference(site, repository, subject, name).patterns for name in at_once}
    return Page("promotion.html", {"promotion": found, "patterns": told})


def patterns(site: Site, repository: Repository, query: Query) -> Page:
    """What the change of one table consists of: the part of a promotion's page that may take longer."""
    subject = of_merge(merge_of(site, repository, query["source"], query["into"]))
    table = subject.table(query["table"]).table
    return Page("patterns.html", {"patterns": difference(site, repository, subject, table).patterns})


def check(site: Site, repository: Repository, query: Query) -> Page:
    """A check: its query, the rows that fail on the result, and how many fail on the target as it is."""
    found = promotion_of(site, repository, query["source"], query["into"])
    report = next((one for one in found.checks if one.name == query["name"]), None)
    if report is None:
        raise LookupError(query["name"])
    begin = first_row(query)
    rows = render.fill(
        "epoch_preview_check_rows({{name}}, {{source}}, target := {{into}})",
        name=render.literal(report.name),
        source=render.literal(found.source),
        into=render.literal(found.target),
    )
    now = next((one for one in repository.check_run(found.target) if one.name == report.name), None)
    values = {
        "promotion": found,
        "report": report,
        "sql": next(one.sql for one in repository.checks() if one.name == report.name),
        "result": page_of_call(repository, rows, begin) if report.problem is None else None,
        "now": now.failing_rows if now else None,
        "first": begin + 1,
        "rows_of_page": ROWS,
    }
    return Page("check.html", values)


def rollback(site: Site, repository: Repository, query: Query) -> Page:
    """What would change if one commit of a branch were undone, or if the branch went back to what was before it."""
    branch, way = query["branch"], "reset" if query.get("way") == "reset" else "revert"
    commit, tip = repository.log(query["commit"], max_count=1)[0], repository.log(branch, max_count=1)[0]
    if not commit.parents:
        raise LookupError(commit.commit)
    before = commit.parents[0]
    if way == "revert":
        subject = of_revert(site, repository, commit.commit, branch)
        conflicts = len(repository.preview_conflicts(commit.commit, into=branch, revert=True))
    else:
        subject, conflicts = of_commits(site, repository, tip, repository.log(before, max_count=1)[0]), 0
    values = {
        "subject": subject,
        "branch": branch,
        "way": way,
        "commit": commit,
        "tip": tip,
        "before": before,
        "later": apart(repository, branch, commit.commit),
        "conflicts": conflicts,
        "patterns": {
            table.table: difference(site, repository, subject, table.table).patterns
            for table in subject.tables
            if 0 < table.rows.total < AT_ONCE
        },
    }
    return Page("rollback.html", values)
