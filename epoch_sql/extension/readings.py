"""The reading functions of the SQL surface."""

from __future__ import annotations

from epoch_sql.extension.surface import Reading, optional, required
from epoch_sql.operations.reading import diff, listing, views

_FROM = required("from_ref", "the older side: a reference, or WORKING")
_TO = required("to_ref", "the newer side: a reference, or WORKING")
_TABLE = optional("table_name", "only this table, or the rows of this view")

READINGS = (
    Reading(
        "epoch_at",
        (required("ref", "a reference, or WORKING"), required("table_name", "`orders` or `schema.orders`")),
        views.at,
        "A table or a view as of a reference.",
        "its own columns",
    ),
    Reading(
        "epoch_log",
        (
            optional("ref", "where to start", "'HEAD'"),
            optional("first_parent", "follow only first parents: the promotion log of a branch", "false", "BOOLEAN"),
            optional("max_count", "at most so many commits", "NULL", "BIGINT"),
            optional("table_name", "only commits that changed this table"),
        ),
        listing.log,
        "The commits that a reference reaches, newest first.",
        "commit_id, parents VARCHAR[], author, committed_at TIMESTAMP (UTC), message, refs VARCHAR[]",
    ),
    Reading(
        "epoch_branches",
        (),
        listing.branches,
        "The branches.",
        "name, commit_id, is_current, is_protected, upstream, ahead, behind",
    ),
    Reading("epoch_tags", (), listing.tags, "The tags.", "name, commit_id, tagger, tagged_at, message"),
    Reading(
        "epoch_tables",
        (optional("ref", "a reference, or WORKING", "'HEAD'"),),
        listing.tables,
        "The versioned tables and views.",
        "table_name, kind, key_columns VARCHAR[], row_count, bytes",
    ),
    Reading(
        "epoch_diff",
        (_FROM, _TO, _TABLE),
        diff.diff,
        "The rows that differ between two references: of all tables as JSON, or of one table with its own columns.",
        "table_name, diff_type (`added` `modified` `removed`), key JSON, changed_columns VARCHAR[], from_row JSON, "
        "to_row JSON; with table_name: diff_type, changed_columns, then `from_<col>` and `to_<col>` for each column of "
        "either side",
    ),
    Reading(
        "epoch_diff_stat",
        (_FROM, _TO, _TABLE),
        diff.diff_stat,
        "How many rows and cells differ, by table.",
        "table_name, rows_added, rows_modified, rows_removed, rows_unmodified, cells_modified, old_row_count, "
        "new_row_count",
    ),
    Reading(
        "epoch_diff_summary",
        (_FROM, _TO),
        diff.diff_summary,
        "Which tables differ, and in what.",
        "table_name, diff_type (`added` `modified` `removed` `renamed`), data_change BOOL, schema_change BOOL",
    ),
    Reading(
        "epoch_schema_diff",
        (_FROM, _TO),
        diff.schema_diff,
        "How the definitions of tables and other objects differ.",
        "table_name, object, name, diff_type, from_definition, to_definition",
    ),
    Reading(
        "epoch_merge_base",
        (required("a", "a reference"), required("b", "a reference")),
        listing.merge_base,
        "The best common ancestor of two references.",
        "commit_id",
    ),
    Reading(
        "epoch_reflog",
        (optional("branch", "only this branch or tag"),),
        listing.reflog,
        "Where branches and tags were, newest move first.",
        "branch, kind, old_commit, new_commit, action, author, moved_at, route",
    ),
    Reading(
        "epoch_stashes",
        (),
        listing.stashes,
        "The stashes, newest first.",
        "stash_id, branch, created_at, author, message, tables_changed",
    ),
    Reading("epoch_head", (), listing.head, "What is checked out.", "branch, commit_id, detached"),
    Reading("epoch_ignored", (), listing.ignored, "The patterns of names that are not versioned.", "pattern"),
    Reading(
        "epoch_audit",
        (),
        listing.audit,
        "What was guarded, approved, refused and promoted, newest first.",
        "recorded_at, actor, action, ref, commit_id, detail",
    ),
)
