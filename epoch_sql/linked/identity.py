"""Which worktree a call is in, and whether it may be changed."""

from __future__ import annotations

from pathlib import Path

from epoch_sql import config
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochRepositoryError
from epoch_sql.storage.remote.exchange import Exchange


def repository_id(call: Call) -> str:
    """The id of the repository, which is also the id of its main worktree."""
    row = run(call.cursor, "SELECT repository_id FROM {{epoch}}.state").fetchone()
    assert row
    return str(row[0])


def own_id(call: Call) -> str:
    """The id of the worktree of a call."""
    return call.link.worktree_id if call.link else repository_id(call)


def require_linked(call: Call, exchange: Exchange) -> None:
    """Raises EpochRepositoryError in a linked worktree that the main one is gone from, or does not know (any more), and
    in a copy of one."""
    if call.link is None:
        return
    main = call.link.main
    file = config.repository_config(call.database)
    if not main.is_file():
        raise EpochRepositoryError(
            f"{main}, to which the worktree {call.database} belongs, is gone",
            f'move it back, or write its new path in {file}: main = "PATH"',
            database=str(call.database),
        )
    record = exchange.record(repository_id(call))
    if record is None or call.link.worktree_id not in record.worktrees:
        raise EpochRepositoryError(
            f"{call.database} is no longer a worktree of {main}, so it cannot be changed",
            (Suggestion("worktree_add", "PATH"), " makes another, there"),
            database=str(call.database),
        )
    own = exchange.record(call.link.worktree_id)
    if own and Path(own.path) != call.database and config.is_worktree(Path(own.path), call.link):
        raise EpochRepositoryError(
            f"{call.database} is a copy of the worktree {own.path}, so it cannot be changed",
            (Suggestion("worktree_add", "PATH"), f" in {main} makes another"),
            database=str(call.database),
        )
