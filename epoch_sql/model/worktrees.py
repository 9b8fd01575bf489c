"""The record of a worktree: the document in which it tells the others about its branches. It is data until it is read
here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta

from epoch_sql.model.names import is_line, is_valid_ref_name
from epoch_sql.model.remote import damaged, seal, unseal

Id = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
WorktreeId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]


@dataclass(frozen=True)
class Record:
    """What a worktree tells: its database, its branches with their commits, and which of them is checked out.

    ``worktrees`` are the linked worktrees, by the main one. Those that it does not name are no longer any.
    """

    worktree_id: str
    path: str
    branches: Mapping[str, str] = field(default_factory=dict)
    checked_out: str | None = None
    worktrees: tuple[str, ...] = ()


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    worktree_id: WorktreeId
    path: str
    branches: dict[str, Id]
    checked_out: str | None
    worktrees: list[WorktreeId]


def new_worktree_id() -> str:
    """The id of a new worktree."""
    return uuid.uuid4().hex


def record_document(record: Record) -> bytes:
    """The document of a record."""
    return seal({**vars(record), "branches": dict(record.branches), "worktrees": list(record.worktrees)})


def read_record(data: bytes, worktree_id: str, where: str) -> Record:
    """The record in a document. Raises EpochStorageError for anything else than what Epoch would write."""
    try:
        stated = msgspec.json.decode(unseal(data, where), type=_Record, strict=True)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise damaged(where, "is not the record of a worktree") from None
    found = Record(stated.worktree_id, stated.path, stated.branches, stated.checked_out, tuple(stated.worktrees))
    names = [*found.branches, *([found.checked_out] if found.checked_out else [])]
    sound = found.worktree_id == worktree_id and is_line(found.path) and all(map(is_valid_ref_name, names))
    if not sound or record_document(found) != data:
        raise damaged(where, "is not the record of a worktree")
    return found
