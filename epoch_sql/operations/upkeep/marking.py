"""Marks what gc keeps: everything that a reference, a stash, a merge in progress or a young move of a reference leads
to.

Mark and sweep, as in git's gc: from the references over the commits to the files.
"""

from __future__ import annotations

from datetime import datetime

from epoch_sql import render
from epoch_sql.catalog.history import Parents
from epoch_sql.catalog.relation import run
from epoch_sql.operations.repository import Call
from epoch_sql.render import Sql

SWEPT = (
    ("commits", "commit_id", "commits"),
    ("parents", "commit_id", "commits"),
    ("roots", "root_id", "roots"),
    ("trees", "subtree_id", "trees"),
    ("versions", "version_id", "versions"),
    ("levels", "level_id", "levels"),
    ("files", "file_id", "files"),
    ("schemas", "schema_id", "schemas"),
)
"""The swept catalog tables: their names, their id columns, and the marks for these."""


def mark(call: Call, until: datetime) -> None:
    """Store the ids of what is kept in temporary tables ``epoch_kept_<what>``.

    ``until`` is the end of the grace period. What a reference moved to or away from since then is kept.
    """
    ids = render.fill(
        Sql("SELECT unnest(CAST({{ids}} AS VARCHAR[])) AS id"), ids=render.strings(kept_commits(call, until))
    )
    call.cursor.execute(render.render("upkeep/keep", name=kept("commits"), ids=ids))
    for what in ("roots", "trees", "versions", "levels", "files", "schemas"):
        statement = render.render("upkeep/keep", name=kept(what), ids=render.render(f"upkeep/kept_{what}"))
        call.cursor.execute(statement)


def kept_commits(call: Call, until: datetime) -> list[str]:
    """The kept commits: the marked ones and their ancestors."""
    parents: dict[str, list[str]] = {}
    for commit_id, _, parent_id in Parents(call.cursor).select():
        parents.setdefault(commit_id, []).append(parent_id)
    pending = [row[0] for row in run(call.cursor, render.load("upkeep/marks"), [until]).fetchall() if row[0]]
    found: set[str] = set()
    while pending:
        commit_id = pending.pop()
        if commit_id not in found:
            found.add(commit_id)
            pending.extend(parents.get(commit_id, ()))
    return sorted(found)


def sweep(call: Call) -> None:
    """Remove from the catalog what ``mark`` did not keep."""
    call.state.rewritten()
    for name, column, what in SWEPT:
        call.cursor.execute(
            render.render(
                "upkeep/sweep", table=render.catalog_table(name), column=render.column(column), kept=kept(what)
            )
        )


def kept(what: str) -> render.Fragment:
    """The temporary table of kept ids."""
    return render.identifier(f"epoch_kept_{what}")
