"""The bare clone on the driver: what decides about a write. It mirrors the store: before each write its branches and
their protection are as they are there, and after a refused push again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from epoch_sql import library
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.history import Protections
from epoch_sql.catalog.local import Upstreams
from epoch_sql.errors import EpochRemoteError
from epoch_sql.guard.moves import follow_branch
from epoch_sql.library import Repository
from epoch_sql.model.remote import Upstream
from epoch_sql.remote.connecting import connect
from epoch_sql.remote.references import read_protection
from epoch_sql.storage.remote.parallel import in_parallel
from epoch_sql.verb import Procedure

REMOTE = "origin"
Made = TypeVar("Made")


@dataclass(frozen=True)
class Followed:
    """A branch that was brought to where the remote has it."""

    branch: str
    commit: str


def _follow(call: Call, *, forced: bool) -> list[Followed]:
    """Has every branch of the remote as it is there, with its protection.

    Raises EpochRemoteError for a branch here with commits that the remote lacks, unless ``forced``.
    """
    prefix = f"{REMOTE}/"
    there = {name.removeprefix(prefix): ref.commit_id for name, ref in call.refs.all("remote").items()}
    store = connect(call, REMOTE).store
    guards = dict(zip(there, in_parallel(lambda name: read_protection(store, name).protection, there), strict=True))
    own, moved = call.refs.all("branch"), []
    with call.moving():
        for name, commit_id in there.items():
            old = own[name].commit_id if name in own else None
            if old and not forced and not call.graph().is_ancestor(old, commit_id):
                raise EpochRemoteError(
                    f"branch {name} of {call.database} has commits that {REMOTE} lacks",
                    (Suggestion("push", REMOTE, name), ", there"),
                    remote=REMOTE,
                )
            if follow_branch(call, name, commit_id, f"mirror {REMOTE}"):
                moved.append(Followed(name, commit_id))
            Upstreams(call.cursor).put(Upstream(name, REMOTE, name))
            Protections(call.cursor).put(guards[name])
    return moved


follow = Procedure("mirror", _follow, acts=True, looks="counts", needs="repository")
"""Brings a bare clone to where its remote is. Users have fetch and merge for that."""


@dataclass
class Mirror:
    """A bare clone of the store at ``url``, made when something is first written: the database at ``path``, or one in a
    temporary folder. ``author`` is the author of commits."""

    url: str
    author: str | None = None
    path: Path | None = None
    _folder: TemporaryDirectory[str] | None = None
    _repository: Repository | None = field(default=None, repr=False)

    @property
    def repository(self) -> Repository:
        """The bare clone as the remote is now."""
        if self._repository is None:
            self._repository = self._opened()
        self._repository.fetch(REMOTE)
        self._repository.perform(follow, forced=self.path is None)
        return self._repository

    @contextmanager
    def publishing(self, branch: str, layout: bool = False) -> Iterator[Repository]:
        """The repository, to move the branch in. Pushes the branch at the end, or also the ``layout`` of its tables.
        If that is refused, or if anything fails before, nothing is left of it."""
        repository = self.repository
        try:
            yield repository
            repository.push(REMOTE, branch, layout=layout)
        except BaseException:
            if self.path is None:
                self.close()
            else:
                repository.fetch(REMOTE)
                repository.perform(follow, forced=True)
            raise

    def close(self) -> None:
        """Close the bare clone. A temporary one goes."""
        if self._repository is not None:
            self._repository.close()
            self._repository = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _opened(self) -> Repository:
        if self.path and self.path.exists():
            return library.open(self.path, author=self.author)
        if self.path is None:
            self._folder = TemporaryDirectory(prefix="epoch-bare-")
        folder = self.path or Path(self._folder.name if self._folder else "") / "bare.duckdb"
        return library.clone(self.url, folder, bare=True, author=self.author)


def within(repository: Repository, act: Callable[[Call], Made]) -> Made:
    """What ``act`` gives with the context of a call of the repository, which only reads."""
    with repository._session.cursor() as cursor:
        return act(repository._session.call(cursor, repository._author))
