"""The functions of the SQL surface for remotes; what talks to one is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import duckdb

from epoch_sql.extension.surface import WARNINGS, Procedure, Reading, optional, required, row_of
from epoch_sql.operations.remote import remotes
from epoch_sql.operations.repository import Call, Memory

Rows = Iterable[Sequence[Any]]

_NAMED = {"name": "VARCHAR", "url": "VARCHAR"}
_TRANSFERRED = {
    "remote": "VARCHAR",
    "branch": "VARCHAR",
    "status": "VARCHAR",
    "old_commit_id": "VARCHAR",
    "new_commit_id": "VARCHAR",
    "moved": "VARCHAR[]",
    "objects": "BIGINT",
    "bytes": "BIGINT",
}
_URL = required("url", "a folder, or `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`; no credentials")
_TRUST = optional(
    "trust", "make and run what comes from it, also where it looks out of the database", "false", "BOOLEAN"
)
_REMOTE = optional("remote", "the remote", "'origin'")


def _clone(cursor: duckdb.DuckDBPyConnection, memory: Memory, url: str, remote: str, trust: bool) -> Rows:
    from epoch_sql.operations.remote import cloning

    cloned, warnings = cloning.clone(cursor, memory, url, remote, trust)
    return [(*row_of(cloned)[0], warnings)]


def _push(call: Call, remote: str, branch: str | None, force: bool, tags: bool, protection: bool, delete: bool) -> Rows:
    from epoch_sql.operations.remote import deleting, pushing

    if delete:
        return row_of(deleting.delete(call, remote, branch))
    return row_of(pushing.push(call, remote, branch, force, tags, protection))


def _fetch(call: Call, remote: str) -> Rows:
    from epoch_sql.operations.remote import fetching

    return row_of(fetching.fetch(call, remote))


def _pull(call: Call, remote: str) -> Rows:
    from epoch_sql.operations.remote import fetching

    return row_of(fetching.pull(call, remote))


READINGS = (
    Reading(
        "epoch_remotes",
        (),
        remotes.listing,
        "The remotes, and the branches that follow theirs.",
        "name, url, branches VARCHAR[], trusted BOOLEAN",
    ),
)

PROCEDURES = (
    Procedure(
        "epoch_remote_add",
        (required("name", "how it is called here: `origin` is the usual one"), _URL, _TRUST),
        _NAMED,
        lambda *arguments: row_of(remotes.add(*arguments)),
        "Adds a remote; nothing is asked of it yet.",
    ),
    Procedure(
        "epoch_remote_trust",
        (
            required("name", "the remote"),
            optional("trust", "whether it is trusted from now on", "true", "BOOLEAN"),
        ),
        {**_NAMED, "trusted": "BOOLEAN", **WARNINGS},
        lambda *arguments: row_of(remotes.set_trust(*arguments)),
        "Trusts a remote: what came from it, and comes, is made and run, also where it reads files or looks out of the "
        "database. What was kept as data until now, and is checked out, is made.",
    ),
    Procedure(
        "epoch_remote_remove",
        (required("name", "the remote"),),
        _NAMED,
        lambda *arguments: row_of(remotes.remove(*arguments)),
        "Forgets a remote and its remote branches; what is stored there stays.",
    ),
    Procedure(
        "epoch_push",
        (
            _REMOTE,
            optional("branch", "the branch; default: the checked-out one"),
            optional("force", "also where the remote loses commits, unless it protects the branch", "false", "BOOLEAN"),
            optional("tags", "push every tag too", "false", "BOOLEAN"),
            optional("protection", "protect the branch there as it is protected here", "false", "BOOLEAN"),
            optional("delete", "delete the branch, or the tag of that name, there instead", "false", "BOOLEAN"),
        ),
        _TRANSFERRED,
        _push,
        "Sends a branch to a remote: what it lacks, and the reference last. Status: `pushed`, `new`, `forced`, "
        "`up-to-date` or `deleted`.",
    ),
    Procedure(
        "epoch_fetch",
        (_REMOTE,),
        {**_TRANSFERRED, **WARNINGS},
        _fetch,
        "Brings the branches of a remote here as `REMOTE/BRANCH`, with its tags and reviews. Status: `fetched` or "
        "`up-to-date`; the commits are those of what the checked-out branch follows.",
    ),
    Procedure(
        "epoch_pull",
        (_REMOTE,),
        {**_TRANSFERRED, **WARNINGS},
        _pull,
        "Fetches, and brings what the checked-out branch follows into it. Status: `fast-forward`, `merged` or "
        "`up-to-date`; conflicts are an error, as in a merge.",
        looks="rows",
    ),
    Procedure(
        "epoch_clone",
        (_URL, _REMOTE, _TRUST),
        {**_TRANSFERRED, **WARNINGS},
        _clone,
        "Makes a repository in an empty database of everything that a remote has, and checks its default branch out.",
        needs_repository=False,
    ),
)
