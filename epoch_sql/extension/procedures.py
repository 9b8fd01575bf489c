"""The procedures of the SQL surface, and the functions that compute on a cursor of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import duckdb

from epoch_sql.extension.surface import WARNINGS, Procedure, optional, required, row_of
from epoch_sql.model.version import RowCounts
from epoch_sql.operations import branching, committing, moving, planning, stashing, tracking, undoing
from epoch_sql.operations.repository import Call, Memory
from epoch_sql.operations.worktree_state import Uncommitted, uncommitted

Rows = Iterable[Sequence[Any]]

_ROWS = {"rows_added": "BIGINT", "rows_modified": "BIGINT", "rows_removed": "BIGINT"}
_NAMED = {"name": "VARCHAR", "commit_id": "VARCHAR"}
_STASHED = {"stash_id": "VARCHAR", "tables_changed": "BIGINT"}


def _init(cursor: duckdb.DuckDBPyConnection, memory: Memory, branch: str) -> Rows:
    return row_of(committing.init(cursor, memory, branch))


def _status(call: Call) -> Rows:
    tree = call.tree(call.head().commit_id)
    working = call.scanner.scan(tree)
    changes = uncommitted(call, tree, working)
    changes += [Uncommitted(found.label, "unmade", RowCounts()) for found in working.unmade]
    ordered = sorted(changes, key=lambda change: change.table_name)
    return [(c.table_name, c.change, c.rows.added, c.rows.modified, c.rows.removed) for c in ordered]


def _version(cursor: duckdb.DuckDBPyConnection, memory: Memory) -> Rows:
    return [(version("epoch-sql"),)]


def _ignore(call: Call, pattern: str, remove: bool) -> Rows:
    return [(tracking.ignore(call, pattern, remove),)]


PROCEDURES = (
    Procedure(
        "epoch_version",
        (),
        {"version": "VARCHAR"},
        _version,
        "The version of Epoch.",
        acts=False,
        needs_repository=False,
    ),
    Procedure(
        "epoch_init",
        (optional("branch", "the first branch", "'main'"),),
        {"branch": "VARCHAR", "commit_id": "VARCHAR", **WARNINGS},
        _init,
        "Makes a repository of the database, with a first commit of what it holds.",
        needs_repository=False,
    ),
    Procedure(
        "epoch_status",
        (),
        {"table_name": "VARCHAR", "change": "VARCHAR", **_ROWS},
        _status,
        "What is uncommitted: `added`, `modified`, `removed`, `renamed` or `schema`, with the rows that changed; and "
        "`unmade`, what is committed but could not be made here.",
        acts=False,
    ),
    Procedure(
        "epoch_commit",
        (
            required("message", "what changed and why"),
            optional("author", "`Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user"),
            optional("allow_empty", "commit also without a change", "false", "BOOLEAN"),
            optional("strict", "refuse views and macros that could not be made again", "false", "BOOLEAN"),
        ),
        {"commit_id": "VARCHAR", "branch": "VARCHAR", "tables_changed": "BIGINT", **_ROWS, **WARNINGS},
        lambda *arguments: row_of(committing.commit(*arguments)),
        "Commits every change of the working tables to the checked-out branch.",
        looks="rows",
    ),
    Procedure(
        "epoch_branch",
        (required("name", "the new branch"), optional("start", "where it starts", "'HEAD'")),
        _NAMED,
        lambda *arguments: row_of(branching.create_branch(*arguments)),
        "Makes a branch.",
    ),
    Procedure(
        "epoch_branch_delete",
        (
            required("name", "the branch"),
            optional("force", "also with commits that nothing else has", "false", "BOOLEAN"),
        ),
        _NAMED,
        lambda *arguments: row_of(branching.delete_branch(*arguments)),
        "Deletes a branch.",
    ),
    Procedure(
        "epoch_branch_rename",
        (required("old", "the branch"), required("new", "its new name")),
        _NAMED,
        lambda *arguments: row_of(branching.rename_branch(*arguments)),
        "Renames a branch.",
    ),
    Procedure(
        "epoch_checkout",
        (
            required("ref", "a branch, tag or commit; with new_branch, the name of the branch to make"),
            optional("new_branch", "make a branch of that name at HEAD and check it out", "false", "BOOLEAN"),
            optional("force", "lose uncommitted changes", "false", "BOOLEAN"),
        ),
        {"branch": "VARCHAR", "commit_id": "VARCHAR", "tables_changed": "BIGINT", **WARNINGS},
        lambda *arguments: row_of(moving.checkout(*arguments)),
        "Puts the working tables at a reference.",
        looks="rows",
    ),
    Procedure(
        "epoch_plan",
        (required("ref", "where a checkout, or a hard reset, would go"),),
        {
            "step_order": "BIGINT",
            "action": "VARCHAR",
            "kind": "VARCHAR",
            "name": "VARCHAR",
            "row_count": "BIGINT",
            "statement": "VARCHAR",
        },
        lambda *arguments: [tuple(vars(step).values()) for step in planning.steps(*arguments)],
        "The steps that a checkout or a hard reset would take; changes nothing. Actions are `drop`, `alter`, `create`, "
        "`refresh`, and for rows `delete`, `update` and `insert`.",
        acts=False,
    ),
    Procedure(
        "epoch_reset",
        (
            optional("ref", "where the branch goes", "'HEAD'"),
            optional("hard", "also the working tables, losing uncommitted changes", "false", "BOOLEAN"),
        ),
        {"commit_id": "VARCHAR", **_ROWS, **WARNINGS},
        lambda *arguments: row_of(undoing.reset(*arguments)),
        "Moves the checked-out branch to a commit.",
        looks="rows",
    ),
    Procedure(
        "epoch_stash",
        (optional("message", "what is set aside"),),
        {**_STASHED, **WARNINGS},
        lambda *arguments: row_of(stashing.push(*arguments)),
        "Sets every uncommitted change aside.",
        looks="rows",
    ),
    Procedure(
        "epoch_stash_pop",
        (),
        {**_STASHED, **WARNINGS},
        lambda *arguments: row_of(stashing.pop(*arguments)),
        "Puts the newest stash back into the working tables.",
        looks="rows",
    ),
    Procedure(
        "epoch_stash_drop",
        (optional("stash_id", "the stash; default: the newest"),),
        _STASHED,
        lambda *arguments: row_of(stashing.drop(*arguments)),
        "Forgets a stash.",
    ),
    Procedure(
        "epoch_tag",
        (
            required("name", "the tag"),
            optional("ref", "what it names", "'HEAD'"),
            optional("message", "what it is for"),
        ),
        _NAMED,
        lambda *arguments: row_of(branching.create_tag(*arguments)),
        "Tags a commit.",
    ),
    Procedure(
        "epoch_tag_delete",
        (required("name", "the tag"),),
        _NAMED,
        lambda *arguments: row_of(branching.delete_tag(*arguments)),
        "Deletes a tag.",
    ),
    Procedure(
        "epoch_key",
        (required("table_name", "the table"), required("columns", "the columns that identify a row", "VARCHAR[]")),
        {"table_name": "VARCHAR", "key_columns": "VARCHAR[]"},
        lambda *arguments: row_of(tracking.declare_key(*arguments)),
        "Declares the key of a table without a primary key.",
    ),
    Procedure(
        "epoch_ignore",
        (
            required("pattern", "a shell pattern of table names: `scratch_*`"),
            optional("remove", "no longer ignore what matches it", "false", "BOOLEAN"),
        ),
        {"pattern": "VARCHAR"},
        _ignore,
        "Leaves tables whose name matches out of versioning; what is committed stays as it is committed.",
    ),
)
