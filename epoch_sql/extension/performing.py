"""Carrying out a verb: on a cursor of its own, for a caller that sees what is committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import duckdb

from epoch_sql.extension.caller import require_same_view
from epoch_sql.extension.session import Session
from epoch_sql.publish.publishing import publish_moved
from epoch_sql.verb import Procedure, with_warnings

R = TypeVar("R")


def perform(
    session: Session,
    cursor: duckdb.DuckDBPyConnection,
    procedure: Procedure[..., R],
    seen: Sequence[Mapping[str, Any]] | None,
    arguments: Mapping[str, Any],
    author: str | None = None,
) -> R:
    """The result of a procedure; ``seen`` is what its caller sees of the working tables (see ``caller``)."""
    if procedure.needs == "nothing":
        return procedure(None, **arguments)
    call = session.call(cursor, author, create=procedure.needs == "database")
    if procedure.acts:
        call.seen = require_same_view(call, procedure.looks, seen)
    result = procedure(call, **arguments)
    if procedure.acts and procedure.needs == "repository":
        publish_moved(call)
    return with_warnings(result, call.warnings) if procedure.warns else result
