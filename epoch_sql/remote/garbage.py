"""The note of a store about its garbage: what no reference reaches, since when, and whether it is being removed now.

A push may need what was garbage until then. So it takes that off the note before it builds on it, by compare-and-swap.
gc removes only what stands on the note for its grace period, and says on the note that it does so. So of a push and a
gc that want the same file, one is first, and the other one sees it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from epoch_sql.call import now
from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.documents import read_garbage as garbage_of
from epoch_sql.model.remote import garbage_fields, seal
from epoch_sql.storage.remote.base import RemoteStore, Token

PATH = "garbage"
REMOVING = timedelta(hours=1)
"""For so long a note of a gc that is removing is believed. The gc renews it far more often."""
MOST = 200_000
"""How much is noted at most: the note is one document."""
_ATTEMPTS = 5
_NUMBER = re.compile(r"(?<=\.json)\.\d+$")


@dataclass(frozen=True)
class Note:
    """What the note says. ``token`` is None if there is none."""

    token: Token | None = None
    paths: Mapping[str, datetime] = field(default_factory=dict)
    removing: datetime | None = None

    @property
    def is_removing(self) -> bool:
        """Whether a gc is removing what is noted, unless it died."""
        return self.removing is not None and now() - self.removing < REMOVING


@dataclass(frozen=True)
class StoreRemoved:
    """Something of a store that nothing reaches.

    ``kind`` is ``commit``, ``tree``, ``version``, ``level``, ``schema`` or ``file``. ``status`` is ``removed``, or
    ``noted`` until the grace period since ``noted_at`` is over.
    """

    kind: str
    path: str
    bytes: int
    status: str
    noted_at: datetime


def read_note(store: RemoteStore) -> Note:
    """The note of a store."""
    stored = store.read_reference(PATH)
    if stored is None:
        return Note()
    paths, removing = garbage_of(stored.data, f"{store.where}/{PATH}")
    return Note(stored.token, paths, removing)


def write_note(store: RemoteStore, note: Note) -> Note | None:
    """Replace the note, and give it with its new token. None if somebody else was faster."""
    if store.swap(PATH, note.token, seal(garbage_fields(note.paths, note.removing, uuid.uuid4().hex))):
        return replace(note, token=_token(store))
    return None


def plain(path: str) -> str:
    """The path of a document whose later values may have numbers."""
    return _NUMBER.sub("", path)


def keep(store: RemoteStore, note: Note, wanted: Set[str]) -> set[str]:
    """Take what a push needs off the note, and give what was on it. Then no gc removes it for its grace period.

    Raises EpochRemoteError while a gc is removing it.
    """
    for _ in range(_ATTEMPTS):
        found = {path for path in note.paths if plain(path) in wanted}
        if not found:
            return found
        if note.is_removing:
            break
        rest = {path: since for path, since in note.paths.items() if path not in found}
        if write_note(store, Note(note.token, rest)):
            return found
        note = read_note(store)
    raise EpochRemoteError(
        f"garbage is being removed from {store.where} that this push needs; nothing was changed", "push again later"
    )


def _token(store: RemoteStore) -> Token | None:
    stored = store.read_reference(PATH)
    return stored.token if stored else None
