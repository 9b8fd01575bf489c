"""Carrying out a verb: on a cursor of its own, for a caller that sees what is committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import duckdb

from epoch_sql import config
from epoch_sql.call import Call
from epoch_sql.errors import EpochError
from epoch_sql.extension.caller import require_same_view
from epoch_sql.extension.session import Session
from epoch_sql.verb import Procedure, with_warnings

R = TypeVar("R")


def perform(
    session: Session,
    cursor: duckdb.DuckDBPyConnection,
    procedure: Procedure[..., R],
    seen: Sequence[Mapping[str, Any]] | None,
    arguments: Mapping[str, Any],
    author: str | None = None,
    query: str | None = None,
) -> R:
    """The result of a procedure; ``seen`` is what its caller sees of the working tables in a query (see ``caller``).

    Procedures of one process follow each other, unless they wait for others: then those go on.
    """
    if procedure.needs == "nothing":
        return procedure(None, **arguments)
    with session.turn if procedure.acts and procedure.queues else nullcontext():
        call = session.call(cursor, author, create=procedure.needs == "database")
        if procedure.acts and call.exists and call.has_worktrees:
            from epoch_sql.linked.syncing import bring_in

            bring_in(call)
        if procedure.acts:
            call.seen = require_same_view(call, procedure.looks, seen, query)
        result = procedure(call, **arguments)
        if procedure.acts and procedure.needs == "repository":
            if call.refs.moved and _publishes(call):
                from epoch_sql.publish.publishing import publish_moved

                publish_moved(call)
            if procedure.name == "epoch_push":
                from epoch_sql.iceberg.exporting import export_pushed
                from epoch_sql.remote.connecting import PushResult

                assert isinstance(result, PushResult)
                export_pushed(call, result)
            if call.has_worktrees:
                from epoch_sql.linked.syncing import gave_out

                gave_out(call)
    return with_warnings(result, call.warnings) if procedure.warns else result


def _publishes(call: Call) -> bool:
    """Whether references are published when they move. Settings that cannot be read are a warning of ``publish_moved``:
    what moved stands."""
    try:
        return bool(config.get("publish.refs", call.folder))
    except EpochError:
        return True
