"""The functions of the SQL surface that guard branches: protection, review, checks, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from epoch_sql.extension.surface import Procedure, Reading, optional, required, row_of
from epoch_sql.operations.guarding import checking, protecting, reviewing
from epoch_sql.operations.guarding.changelog import changelog
from epoch_sql.operations.reading import guarding
from epoch_sql.operations.repository import Call

Rows = Iterable[Sequence[Any]]

_PROTECTION = {
    "branch": "VARCHAR",
    "require_review": "BOOLEAN",
    "no_force_push": "BOOLEAN",
    "allow_self_review": "BOOLEAN",
}
_CHECK = {"name": "VARCHAR", "branch": "VARCHAR", "sql": "VARCHAR"}
_ROWS = {"rows_added": "BIGINT", "rows_modified": "BIGINT", "rows_removed": "BIGINT"}
_COUNTED = "STRUCT(table_name VARCHAR, rows_added BIGINT, rows_modified BIGINT, rows_removed BIGINT)[]"
_REF = optional("ref", "a reference; default: the working tables", "'WORKING'")


def _added(call: Call, name: str, sql: str, branch: str) -> Rows:
    check = checking.add_check(call, name, sql, branch)
    return [(check.name, check.branch, check.query)]


def _removed(call: Call, name: str) -> Rows:
    check = checking.remove_check(call, name)
    return [(check.name, check.branch, check.query)]


def _run(call: Call, ref: str) -> Rows:
    return [(o.check.name, o.passed, o.failing_rows) for o in checking.run_checks(call, ref)]


def _report(call: Call, ref: str) -> Rows:
    return [
        (o.check.name, o.check.branch, o.passed, o.failing_rows, list(o.first_rows), o.problem)
        for o in checking.run_checks(call, ref)
    ]


def _changelog(call: Call, branch: str, since: str | None) -> Rows:
    names = ("table_name", *_ROWS)
    for entry in changelog(call, branch, since):
        commit, rows = entry.commit, entry.rows
        tables = [dict(zip(names, (table, *vars(n).values()), strict=True)) for table, n in entry.tables]
        yield (
            *(
                commit.commit_id,
                commit.committed_at,
                commit.author,
                commit.origin.named,
                entry.tag,
                commit.message,
                tables,
            ),
            *(rows.added, rows.modified, rows.removed),
        )


READINGS = (
    Reading(
        "epoch_protections",
        (),
        guarding.protections,
        "The protected branches, and what they are protected from.",
        "branch, require_review BOOL, no_force_push BOOL, allow_self_review BOOL",
    ),
    Reading(
        "epoch_reviews",
        (),
        guarding.reviews,
        "The reviews, newest first. The state says how a merge would find what they are about: `open`, `approved` or "
        "`rejected`; it is `stale` when the source has moved to another commit.",
        "review_id, source, source_commit, target, verdict (`approve` `reject` `request`), reviewer, message, "
        "reviewed_at TIMESTAMP (UTC), state",
    ),
    Reading(
        "epoch_checks",
        (),
        guarding.checks,
        "The checks, and the branches that each is for.",
        "name, branch, sql",
    ),
)

PROCEDURES = (
    Procedure(
        "epoch_protect",
        (
            required("branch", "the branch"),
            optional("require_review", "it takes only merges that were approved, and undos", "false", "BOOLEAN"),
            optional("no_force_push", "its history only grows: a hard reset adds a commit", "false", "BOOLEAN"),
            optional("allow_self_review", "authors may approve their own changes", "false", "BOOLEAN"),
        ),
        _PROTECTION,
        lambda *arguments: row_of(protecting.protect(*arguments)),
        "Protects a branch, from what is named and from nothing else; a protected branch cannot be deleted or renamed.",
    ),
    Procedure(
        "epoch_unprotect",
        (required("branch", "the branch"),),
        _PROTECTION,
        lambda *arguments: row_of(protecting.unprotect(*arguments)),
        "Takes the protection off a branch.",
    ),
    Procedure(
        "epoch_review",
        (
            required("source", "what is to be merged: the commit that it names now is reviewed"),
            required("target", "the branch that it is to be merged into"),
            optional("verdict", "`approve` or `reject`; `request` asks others for a review", "'approve'"),
            optional("message", "why"),
            optional("reviewer", "`Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user"),
        ),
        {
            "review_id": "VARCHAR",
            "source": "VARCHAR",
            "source_commit": "VARCHAR",
            "target": "VARCHAR",
            "verdict": "VARCHAR",
            "reviewer": "VARCHAR",
        },
        lambda *arguments: row_of(reviewing.review(*arguments)),
        "Records a verdict on merging a commit into a branch. The latest one of each reviewer counts, and a rejection "
        "blocks the merge.",
    ),
    Procedure(
        "epoch_check_add",
        (
            required("name", "the check"),
            required("sql", "one query, which must return no row"),
            optional("branch", "the branches that it is for: a name, or a shell pattern", "'*'"),
        ),
        _CHECK,
        _added,
        "Adds a check that is run on the result of each merge into a matching branch, before anybody sees it.",
    ),
    Procedure("epoch_check_remove", (required("name", "the check"),), _CHECK, _removed, "Removes a check."),
    Procedure(
        "epoch_check_run",
        (_REF,),
        {"name": "VARCHAR", "passed": "BOOLEAN", "failing_rows": "BIGINT"},
        _run,
        "Runs every check on a state, whichever branches it is for; one that cannot be run there fails with NULL rows.",
        acts=False,
    ),
    Procedure(
        "epoch_check_report",
        (_REF,),
        {
            "name": "VARCHAR",
            "branch": "VARCHAR",
            "passed": "BOOLEAN",
            "failing_rows": "BIGINT",
            "first_rows": "VARCHAR[]",
            "problem": "VARCHAR",
        },
        _report,
        "Runs every check as `epoch_check_run` does, and shows the first rows that it returned, as JSON, or why it "
        "cannot be run.",
        acts=False,
    ),
    Procedure(
        "epoch_changelog",
        (
            required("branch", "a branch; also a tag or a commit"),
            optional("since", "only what came after this reference"),
        ),
        {
            "commit_id": "VARCHAR",
            "committed_at": "TIMESTAMP",
            "author": "VARCHAR",
            "source": "VARCHAR",
            "tag": "VARCHAR",
            "message": "VARCHAR",
            "tables": _COUNTED,
            **_ROWS,
        },
        _changelog,
        "What came into a branch, newest first: a row for each commit of its own line (promotions, hotfixes, reverts, "
        "rollbacks), with what was merged and the rows that changed in each table.",
        acts=False,
    ),
)
