"""Where each verb is, so that a program that needs one of them imports its module only.

``surface`` has the verbs themselves, and a test compares the two.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from epoch_sql.verb import Verb

_PLAIN = {
    "history.environments": ("environments",),
    "history.listing": (
        *("audit", "branches", "conflicts", "head", "identity", "log", "merge_base", "merges", "protections", "reflog"),
        *("stashes", "tags", "violations"),
    ),
    "verbs.worktree_state": ("status",),
}
"""They read the catalog, definitions and tables, and bind no SQL of a user's, which could call a function of Epoch."""
_READING = {
    "diff.diff": ("diff", "diff_stat", "diff_summary", "schema_diff"),
    "diff.patterns": ("diff_changes",),
    "extension.surface": ("version",),
    "guard.checks": ("check_report", "check_rows", "check_run", "checks"),
    "guard.protecting": ("reviews",),
    "history.cells": ("blame_cells",),
    "history.changelog": ("changelog",),
    "history.rows": ("blame", "history"),
    "history.tables": ("tables",),
    "linked.verbs": ("worktrees",),
    "patch.patch": ("patch",),
    "query.query": ("query",),
    "query.views": ("at",),
    "remote.managing": ("remotes",),
    "upkeep.fsck": ("fsck",),
    "verbs.checkout": ("plan",),
    "verbs.committing": ("ignored",),
    "verbs.deriving": ("derived_patterns",),
    "verbs.previewing": (
        *("changes", "preview_conflicts", "preview_diff", "preview_diff_stat", "preview_merge", "preview_schema_diff"),
    ),
    "verbs.promoting": ("preview_check_rows", "preview_checks", "promotion"),
}
_ACTING = {
    "files.exporting": ("export",),
    "files.importing": ("import_files",),
    "guard.checks": ("check_add", "check_remove"),
    "guard.protecting": ("protect", "review", "unprotect"),
    "iceberg.exporting": ("export_iceberg",),
    "linked.verbs": ("worktree_add", "worktree_remove"),
    "publish.publishing": ("publish",),
    "remote.managing": ("remote_add", "remote_remove", "remote_trust"),
    "remote.verbs": ("clone", "fetch", "pull", "push", "remote_gc"),
    "upkeep.compact": ("compact",),
    "upkeep.gc": ("gc",),
    "verbs.branching": ("branch", "branch_delete", "branch_rename", "tag", "tag_delete"),
    "verbs.checkout": ("checkout",),
    "verbs.committing": ("commit", "ignore", "init", "key"),
    "verbs.deriving": ("derived", "rebuilt"),
    "verbs.merging": ("merge", "merge_abort", "merge_continue", "resolve"),
    "verbs.resetting": ("reset",),
    "verbs.reverting": ("cherry_pick", "revert"),
    "verbs.stashing": ("stash", "stash_drop", "stash_pop"),
}
"""They change the database, or write elsewhere."""


def _modules(verbs: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {f"epoch_{name}": f"epoch_sql.{module}" for module, names in verbs.items() for name in names}


PLAIN = _modules(_PLAIN)
ACTING = frozenset(_modules(_ACTING))
MODULES = {**PLAIN, **_modules(_READING), **_modules(_ACTING)}
"""The module of each verb, by its name in SQL."""
MACROS = "epoch__macros"
"""A macro that gives the version of a database's macros."""
MADE_IN = "epoch__made_in"
"""A macro that gives the mark of the database that the macros were made in: a random text that each of them has."""
OWN_MACROS = frozenset((*MODULES, MACROS, MADE_IN))


def verb_named(name: str) -> Verb[..., Any]:
    """The verb of a name in SQL."""
    found = vars(import_module(MODULES[name])).values()
    return next(verb for verb in found if isinstance(verb, Verb) and verb.name == name)
