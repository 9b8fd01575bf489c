"""The pages of history: the graph of commits, and one commit."""

from __future__ import annotations

from epoch_sql.library import Repository
from epoch_sql.web.environments import order
from epoch_sql.web.lanes import Lanes
from epoch_sql.web.page import Page, Query

COMMITS = 200
"""The commits of a page."""


def history(repository: Repository, query: Query) -> Page:
    """The commits of a reference, or those of all, newest first, with the lanes of the environments leftmost."""
    ref = query.get("ref") or None
    branches = {branch.name: branch.commit for branch in repository.branches()}
    entries = repository.log(ref, max_count=COMMITS) if ref else repository.log(all_refs=True, max_count=COMMITS)
    environments = order(repository)
    lanes = Lanes([] if ref else [branches[name] for name in reversed(environments)])
    rows = [(entry, lanes.add(entry.commit, entry.parents)) for entry in entries]
    values = {
        "rows": rows,
        "width": max((lane.width for _, lane in rows), default=1),
        "ref": ref,
        "branches": sorted(branches),
        "environments": environments,
        "full": len(rows) == COMMITS,
    }
    return Page("history.html", values)


def commit(repository: Repository, query: Query) -> Page:
    """One commit, and what it changed since its first parent, by table."""
    [entry] = repository.log(query["id"], max_count=1)
    before = entry.parents[0] if entry.parents else None
    values = {
        "entry": entry,
        "before": before,
        "tables": repository.diff_stat(before, entry.commit) if before else [],
        "definitions": repository.schema_diff(before, entry.commit) if before else [],
        "environments": order(repository),
    }
    return Page("commit.html", values)
