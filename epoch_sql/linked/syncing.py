"""Brings what other worktrees did into this one, and tells them what this one did.

Each branch belongs to one worktree: only there does it move. The others have it as its worktree last said,
under the same name. What commits travel through is imported only where there are others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb

from epoch_sql import config
from epoch_sql.call import Call, warn_of_withheld
from epoch_sql.catalog.local import Elsewhere, Worktree, Worktrees
from epoch_sql.errors import EpochError
from epoch_sql.guard.moves import follow_branch
from epoch_sql.linked.identity import own_id, repository_id, require_linked
from epoch_sql.model.remote import Remote
from epoch_sql.model.worktrees import Record, read_record, record_document
from epoch_sql.storage.remote.exchange import Exchange, record_path


def bring_in(call: Call) -> None:
    """Take in what other worktrees did since the last time.

    What cannot be believed or read is left out with a warning, because it must not stop anybody here. Raises
    EpochRepositoryError in a linked worktree that may not be changed any more.
    """
    exchange = Exchange(call.shared)
    require_linked(call, exchange)
    for worktree_id, data in exchange.records_of_others(own_id(call)):
        path = record_path(worktree_id)
        try:
            if call.memory.records.get(path) != data:
                record = read_record(data, worktree_id, f"{exchange.where}/{path}")
                namesakes = _follow(call, exchange, record) if _is_known(call, exchange, worktree_id) else []
                call.memory.records[path], call.memory.namesakes[path] = data, namesakes
            call.warn(*call.memory.namesakes[path])
        except (EpochError, duckdb.Error) as error:
            told = error.message if isinstance(error, EpochError) else str(error).strip().splitlines()[0]
            known = Worktrees(call.cursor).load().get(worktree_id)
            where = known.path if known else worktree_id
            call.warn(f"nothing is taken in from the worktree {where}: {told}")


def give_out(call: Call) -> None:
    """Tell the other worktrees about the branches of this one: first their commits, and then where they are."""
    exchange = Exchange(call.shared)
    if not exchange.is_there:
        return
    record = record_of(call)
    if exchange.read(record_path(record.worktree_id)) == record_document(record):
        return
    from epoch_sql.remote.sending import send

    graph = call.graph()
    # What records name, and all before it, is in every worktree or in the exchange.
    send(call, exchange, record.branches.values(), [tip for tip in exchange.tips() if tip in graph])
    exchange.write_record(record)


def gave_out(call: Call) -> None:
    """``give_out`` after a call, whose changes stand, whatever happens: what cannot be written there is a warning."""
    try:
        give_out(call)
    except (EpochError, OSError) as error:
        told = error.message if isinstance(error, EpochError) else str(error)
        call.warn(f"the other worktrees do not have this yet: {told}; the next call tells them")


def record_of(call: Call) -> Record:
    """What the worktree of a call tells the others."""
    elsewhere = Elsewhere(call.cursor).load()
    branches = {name: ref.commit_id for name, ref in call.refs.all("branch").items() if name not in elsewhere}
    linked = () if call.link else tuple(sorted(Worktrees(call.cursor).load()))
    return Record(own_id(call), str(call.database), branches, call.head().branch, linked)


def _is_known(call: Call, exchange: Exchange, worktree_id: str) -> bool:
    """Whether it is a worktree of this repository: the main one knows all of them."""
    if call.link is None:
        return worktree_id in Worktrees(call.cursor).load()
    main = repository_id(call)
    record = exchange.record(main)
    return worktree_id == main or (record is not None and worktree_id in record.worktrees)


def _follow(call: Call, exchange: Exchange, record: Record) -> list[str]:
    """Take in the commits of another worktree's branches, and have these branches as they are there.

    Gives a warning for each branch whose name another one has here.
    """
    from epoch_sql.remote.importing import take_in
    from epoch_sql.remote.receiving import receive

    worktree = _worktree(call, record)
    worktree_id, path = worktree.worktree_id, worktree.path
    remote = Remote(path, path, None, worktree.trusted)
    received = receive(call, exchange, remote, record.branches.values())
    with call.moving():
        elsewhere = Elsewhere(call.cursor).load()
        own = {name for name in call.refs.all("branch") if elsewhere.get(name) != worktree_id}
        theirs = {name: commit_id for name, commit_id in record.branches.items() if name not in own}
        take_in(call, received)
        for name in sorted(name for name, owner in elsewhere.items() if owner == worktree_id and name not in theirs):
            follow_branch(call, name, None, f"worktree {path}")
        for name, commit_id in theirs.items():
            follow_branch(call, name, commit_id, f"worktree {path}")
        Elsewhere(call.cursor).replace(worktree_id, {name: name == record.checked_out for name in theirs})
        Worktrees(call.cursor).put(worktree)
    warn_of_withheld(call, received.withheld)
    return [
        f"branch {name} of the worktree {path} is not shown: another branch has that name here; rename one"
        for name in sorted(own & record.branches.keys() - elsewhere.keys())
    ]


def _worktree(call: Call, record: Record) -> Worktree:
    """The worktree of a record. It is where the record says if it is found there, or else where it was.

    A linked one takes the others for trusted as the main one took it when it was made.
    """
    known = Worktrees(call.cursor).load()
    old = known.get(record.worktree_id)
    if old is None:
        main = known.get(repository_id(call))
        return Worktree(record.worktree_id, record.path, main is not None and main.trusted)
    moved = old.path != record.path and (
        call.link or config.is_worktree(Path(record.path), config.Link(record.worktree_id, call.database))
    )
    return replace(old, path=record.path) if moved else old
