"""What other databases need of the shared objects and history: those in the repository's folder, and all worktrees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from epoch_sql import config, render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.local import Worktrees
from epoch_sql.errors import EpochRepositoryError
from epoch_sql.storage.remote.exchange import Exchange

_MAGIC, _AT = b"DUCK", 8
_IS_REPOSITORY = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'epoch' AND table_name = 'files'"


@dataclass
class Needed:
    """The files and the commits that must stay. ``worktrees`` are the commits that each other worktree has."""

    files: set[str] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    worktrees: list[set[str]] = field(default_factory=list)


@contextmanager
def needed_by_others(call: Call) -> Iterator[Needed]:
    """What other databases need. Holds these databases open, so that none of them changes meanwhile.

    Raises EpochRepositoryError for one that is gone or cannot be read, because nobody knows what it needs.
    """
    exchange = Exchange(call.shared)
    needed = Needed()
    with ExitStack() as opened:
        worktrees = _worktrees(call, opened)
        for path in sorted(worktrees | _beside(call)):
            _add(needed, path, path in worktrees, opened)
        if exchange.is_there:
            needed.files |= exchange.file_ids
            needed.commits |= exchange.tips()
        yield needed


def clear_exchange(call: Call, needed: Needed) -> None:
    """Remove the commits in the exchange if every worktree has them."""
    exchange = Exchange(call.shared)
    if exchange.is_there:
        own = {row[0] for row in call.cursor.execute(render.fill("SELECT commit_id FROM {{epoch}}.commits")).fetchall()}
        if all(exchange.commit_ids <= commits for commits in (own, *needed.worktrees)):
            exchange.clear()


def _worktrees(call: Call, opened: ExitStack) -> set[Path]:
    """The databases of the other worktrees, all of which are there. The main one knows them."""
    if call.link is None:
        known = Worktrees(call.cursor).load().values()
        found = {Path(worktree.path): worktree.worktree_id for worktree in known}
    else:
        main = call.link.main
        with _told(main, True):
            rows = _open(main, opened).execute("SELECT path, worktree_id FROM epoch.worktrees").fetchall()
        found = {Path(path): worktree_id for path, worktree_id in rows if worktree_id != call.link.worktree_id}
    for path, worktree_id in found.items():
        if not config.is_worktree(path, config.Link(worktree_id, call.link.main if call.link else call.database)):
            raise EpochRepositoryError(
                f"the worktree {path} is gone, so nobody knows what it needs; nothing was removed",
                ("move it back, or ", Suggestion("worktree_remove", str(path)), " forgets it"),
                database=str(path),
            )
    return {*found, call.link.main} if call.link else {*found}


def _beside(call: Call) -> set[Path]:
    """The other databases in the folder of the objects."""
    folder = call.shared.parent
    found = (path for path in folder.iterdir() if path != call.database and not path.is_symlink())
    return {path for path in found if _is_database(path)}


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(_AT + len(_MAGIC))[_AT:] == _MAGIC


def _add(needed: Needed, path: Path, is_worktree: bool, opened: ExitStack) -> None:
    with _told(path, is_worktree):
        other = _open(path, opened)
        if not other.execute(_IS_REPOSITORY).fetchone():
            return
        needed.files |= {row[0] for row in other.execute("SELECT file_id FROM epoch.files").fetchall()}
        if is_worktree:
            needed.commits |= {row[0] for row in other.execute(render.load("gc.marks_of_worktree")).fetchall()}
            commits = other.execute("SELECT commit_id FROM epoch.commits").fetchall()
            needed.worktrees.append({row[0] for row in commits})


def _open(path: Path, opened: ExitStack) -> duckdb.DuckDBPyConnection:
    return opened.enter_context(duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"}))


@contextmanager
def _told(path: Path, is_worktree: bool) -> Iterator[None]:
    """Refuse when a database cannot be read."""
    try:
        yield
    except duckdb.Error as error:
        apart = "" if is_worktree else ", or move it to a folder of its own"
        raise EpochRepositoryError(
            f"{path} may need the same files, and cannot be read now; nothing was removed",
            (f"close what has it open{apart}, then ", Suggestion("gc")),
            database=str(path),
        ) from error
