"""Every verb of Epoch, by its name in Python: the functions of SQL, and the methods of ``epoch_sql.Repository``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any

from epoch_sql.diff import diff, patterns
from epoch_sql.files import exporting, importing
from epoch_sql.guard import checks, protecting
from epoch_sql.history import cells, changelog, environments, listing, rows, tables
from epoch_sql.iceberg import exporting as iceberg
from epoch_sql.linked import verbs as linked
from epoch_sql.patch import patch
from epoch_sql.publish import publishing
from epoch_sql.query import query, views
from epoch_sql.remote import managing, verbs
from epoch_sql.upkeep import compact, fsck, gc
from epoch_sql.verb import Procedure, Query, Reading, Verb, procedure
from epoch_sql.verbs import (
    branching,
    checkout,
    committing,
    deriving,
    merging,
    previewing,
    promoting,
    resetting,
    reverting,
    stashing,
    worktree_state,
)


@dataclass(frozen=True)
class Version:
    """Which Epoch this is."""

    version: str


@procedure("epoch_version", acts=False, needs="nothing")
def version(call: None) -> Version:
    """The version of Epoch."""
    return Version(installed_version("epoch-sql"))


class Verbs:
    """The verbs, each named as its function in SQL without ``epoch_``.

    Those with an underscore are functions of ``epoch_sql``, or methods that give more. A verb that is called like the
    module of others comes after them.
    """

    _init = committing.init
    _clone = verbs.clone
    version = version

    status = worktree_state.status
    commit = committing.commit
    stash = stashing.push
    stash_pop = stashing.pop
    stash_drop = stashing.drop
    stashes = listing.stashes
    key = committing.declare_key
    ignore = committing.ignore
    ignored = committing.ignored
    derived = deriving.derive
    derived_patterns = deriving.derived_patterns
    rebuilt = deriving.rebuilt
    import_files = importing.import_files
    export = exporting.export
    export_iceberg = iceberg.export_iceberg

    _at = views.at
    query = query.query_for_caller
    tables = tables.tables
    log = listing.log
    blame = rows.blame
    blame_cells = cells.blame_cells
    history = rows.history

    diff_stat = diff.diff_stat
    diff_summary = diff.diff_summary
    schema_diff = diff.schema_diff
    diff_changes = patterns.diff_changes
    diff = diff.diff
    patch = patch.patch

    head = listing.head
    identity = listing.identity
    environments = environments.environments
    branches = listing.branches
    branch = branching.create_branch
    branch_rename = branching.rename_branch
    branch_delete = branching.delete_branch
    tags = listing.tags
    tag = branching.create_tag
    tag_delete = branching.delete_tag
    plan = checkout.steps
    reset = resetting.reset
    checkout = checkout.checkout
    reflog = listing.reflog

    preview_merge = previewing.preview
    preview_diff = previewing.preview_diff
    preview_diff_stat = previewing.preview_diff_stat
    preview_schema_diff = previewing.preview_schema_diff
    preview_conflicts = previewing.preview_conflicts
    changes = previewing.changes
    preview_checks = promoting.preview_checks
    preview_check_rows = promoting.preview_check_rows
    promotion = promoting.promotion
    merge = merging.merge
    merge_base = listing.merge_base
    merges = listing.merges
    conflicts = listing.conflicts
    violations = listing.violations
    resolve = merging.resolve
    merge_continue = merging.continue_merge
    merge_abort = merging.abort
    revert = reverting.revert
    cherry_pick = reverting.cherry_pick

    protections = listing.protections
    protect = protecting.protect
    unprotect = protecting.unprotect
    reviews = protecting.reviews
    review = protecting.review
    check_add = checks.add_check
    check_remove = checks.remove_check
    check_run = checks.run_checks
    check_report = checks.report_checks
    check_rows = checks.check_rows
    checks = checks.checks
    changelog = changelog.changelog
    audit = listing.audit

    remote_add = managing.add
    remote_trust = managing.set_trust
    remote_remove = managing.remove
    remote_gc = verbs.collect
    remotes = managing.listing
    push = verbs.push
    fetch = verbs.fetch
    pull = verbs.pull

    worktrees = linked.worktrees
    worktree_add = linked.add
    worktree_remove = linked.remove

    publish = publishing.publish
    gc = gc.collect
    compact = compact.compact
    fsck = fsck.check


VERBS: tuple[Verb[..., Any], ...] = tuple(verb for verb in vars(Verbs).values() if isinstance(verb, Verb))
READINGS = {verb.name: verb for verb in VERBS if isinstance(verb, Reading | Query)}
PROCEDURES = {verb.name: verb for verb in VERBS if isinstance(verb, Procedure)}
