"""The functions of the SQL surface for merging and undoing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from epoch_sql.extension.surface import WARNINGS, Procedure, Reading, optional, required, row_of
from epoch_sql.model.origin import undone_fields
from epoch_sql.operations import merging
from epoch_sql.operations.merge.engine import Done
from epoch_sql.operations.reading import obstacles

_ROWS = {"rows_added": "BIGINT", "rows_modified": "BIGINT", "rows_removed": "BIGINT"}
_UNDONE = "STRUCT(undone_by VARCHAR, commits VARCHAR[])[]"
_MERGED = {"status": "VARCHAR", "commit_id": "VARCHAR", **_ROWS, "reapplied": _UNDONE, "kept": _UNDONE, **WARNINGS}
_DONE = {"commit_id": "VARCHAR", **_ROWS, **WARNINGS}
_TARGET = optional("target", "the branch that is merged into; default: the checked-out one")


def _row(done: Done) -> Iterable[Sequence[Any]]:
    return [(done.commit.commit_id, done.rows.added, done.rows.modified, done.rows.removed)]


def _merged(done: merging.Merged) -> Iterable[Sequence[Any]]:
    undone = {name: [undone_fields(group) for group in getattr(done, name)] for name in ("reapplied", "kept")}
    return [tuple({**vars(done), **undone}.values())]


READINGS = (
    Reading(
        "epoch_conflicts",
        (optional("table_name", "only this table"), _TARGET),
        obstacles.conflicts,
        "The conflicts of the merge in progress.",
        "table_name, key JSON, column_name, kind (`modify/modify` `modify/delete` `delete/modify` `add/add` `copies` "
        "`schema`), base, ours, theirs (JSON), resolved BOOL",
    ),
    Reading(
        "epoch_violations",
        (_TARGET,),
        obstacles.violations,
        "What would violate a constraint after the merge in progress: rows, and definitions that could not be made "
        "(without a key: a view over a dropped column, a foreign key to a dropped table).",
        "table_name, constraint_name, kind, key JSON, detail",
    ),
    Reading(
        "epoch_merges",
        (),
        obstacles.merges,
        "The merges in progress.",
        "target, kind, source, source_commit, message, author, started_at, conflicts, violations",
    ),
)

PROCEDURES = (
    Procedure(
        "epoch_merge",
        (
            required("source", "what is merged: a reference"),
            _TARGET,
            optional("message", "default: `Merge SOURCE into TARGET`"),
            optional("ff", "move the branch without a commit where that is possible", "false", "BOOLEAN"),
            optional("squash", "one commit with one parent", "false", "BOOLEAN"),
            optional("strategy", "`ours` or `theirs` settle conflicting cells", "'three-way'"),
            optional("keep_undone", "leave out what was undone on the target", "false", "BOOLEAN"),
        ),
        _MERGED,
        lambda *arguments: _merged(merging.merge(*arguments)),
        "Merges a reference into a branch, cell by cell; conflicts are an error, and the merge stays in progress.",
    ),
    Procedure(
        "epoch_preview_merge",
        (
            required("source", "what would be merged"),
            _TARGET,
            optional("strategy", "`ours` or `theirs` settle conflicting cells", "'three-way'"),
            optional("keep_undone", "leave out what was undone on the target", "false", "BOOLEAN"),
        ),
        {
            "table_name": "VARCHAR",
            **_ROWS,
            "data_conflicts": "BIGINT",
            "schema_conflicts": "BIGINT",
            "violations": "BIGINT",
        },
        merging.preview,
        "What a merge would do, by table; changes nothing.",
        acts=False,
    ),
    Procedure(
        "epoch_resolve",
        (
            optional("table_name", "only conflicts of this table"),
            optional(
                "side",
                "`ours`, `theirs` or `base`; `both` for copies of a row; for one cell also `null`, the value NULL",
            ),
            optional("key", 'only this row: JSON (`{"id": 42}`) or the value of a one-column key'),
            optional("column_name", "only this column"),
            optional("value", "a value of the column's type for one cell, instead of a side; for NULL, side := 'null'"),
            _TARGET,
            optional("constraint_name", "only what violates this constraint"),
        ),
        {"resolved": "BIGINT", "remaining": "BIGINT"},
        lambda *arguments: row_of(merging.resolve(*arguments)),
        "Decides conflicts and violations of the merge in progress. What violates a constraint is taken from a side as "
        "a whole, with what it needs there: the rows that it refers to and, where a table is decided, its definition.",
    ),
    Procedure(
        "epoch_merge_continue",
        (optional("message", "instead of the merge's own message"), _TARGET),
        _MERGED,
        lambda *arguments: _merged(merging.continue_merge(*arguments)),
        "Commits the merge in progress, after its conflicts were resolved.",
    ),
    Procedure(
        "epoch_merge_abort",
        (_TARGET,),
        _MERGED,
        lambda *arguments: _merged(merging.abort(*arguments)),
        "Forgets the merge in progress.",
    ),
    Procedure(
        "epoch_revert",
        (required("ref", "the commit to undo; a merge is undone against its first parent"),),
        _DONE,
        lambda *arguments: _row(merging.revert(*arguments)),
        "Adds a commit that undoes a commit.",
    ),
    Procedure(
        "epoch_cherry_pick",
        (required("ref", "the commit whose changes are taken"),),
        _DONE,
        lambda *arguments: _row(merging.cherry_pick(*arguments)),
        "Adds a commit with the changes of another one.",
    ),
)
