"""Every verb of Epoch, by its name in Python: the functions of SQL, and the methods of ``epoch_sql.Repository``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any

from epoch_sql.operations import (
    branching,
    committing,
    merging,
    moving,
    planning,
    stashing,
    tracking,
    undoing,
    worktree_state,
)
from epoch_sql.operations.guarding import changelog, checking, protecting, reviewing
from epoch_sql.operations.reading import diff, guarding, history, listing, obstacles, patch, query, views
from epoch_sql.operations.remote import remotes
from epoch_sql.operations.upkeep import compact, fsck, gc
from epoch_sql.remote import verbs
from epoch_sql.verb import Procedure, Query, Reading, Verb, procedure


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
    key = tracking.declare_key
    ignore = tracking.ignore
    ignored = tracking.ignored

    _at = views.at
    query = query.query_for_caller
    tables = listing.tables
    log = listing.log
    blame = history.blame
    history = history.history

    diff_stat = diff.diff_stat
    diff_summary = diff.diff_summary
    schema_diff = diff.schema_diff
    diff = diff.diff
    patch = patch.patch

    head = listing.head
    branches = listing.branches
    branch = branching.create_branch
    branch_rename = branching.rename_branch
    branch_delete = branching.delete_branch
    tags = listing.tags
    tag = branching.create_tag
    tag_delete = branching.delete_tag
    plan = planning.steps
    reset = undoing.reset
    checkout = moving.checkout
    reflog = listing.reflog

    preview_merge = merging.preview
    merge = merging.merge
    merge_base = listing.merge_base
    merges = obstacles.merges
    conflicts = obstacles.conflicts
    violations = obstacles.violations
    resolve = merging.resolve
    merge_continue = merging.continue_merge
    merge_abort = merging.abort
    revert = merging.revert
    cherry_pick = merging.cherry_pick

    protections = guarding.protections
    protect = protecting.protect
    unprotect = protecting.unprotect
    reviews = guarding.reviews
    review = reviewing.review
    check_add = checking.add_check
    check_remove = checking.remove_check
    check_run = checking.run_checks
    check_report = checking.report_checks
    checks = guarding.checks
    changelog = changelog.changelog
    audit = listing.audit

    remote_add = remotes.add
    remote_trust = remotes.set_trust
    remote_remove = remotes.remove
    remotes = remotes.listing
    push = verbs.push
    fetch = verbs.fetch
    pull = verbs.pull

    gc = gc.collect
    compact = compact.compact
    fsck = fsck.check


VERBS: tuple[Verb[..., Any], ...] = tuple(verb for verb in vars(Verbs).values() if isinstance(verb, Verb))
READINGS = {verb.name: verb for verb in VERBS if isinstance(verb, Reading | Query)}
PROCEDURES = {verb.name: verb for verb in VERBS if isinstance(verb, Procedure)}
