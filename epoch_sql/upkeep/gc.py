"""``gc``: removes unreferenced data, first from the catalog, then from the disk. Keeps what other databases in the
folder need."""

from __future__ import annotations

import time
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from epoch_sql import config, render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, now
from epoch_sql.catalog.history import Parents
from epoch_sql.catalog.relation import interval, run
from epoch_sql.errors import EpochRepositoryError, EpochStorageError, EpochTransactionError
from epoch_sql.render import Sql
from epoch_sql.upkeep.others import Needed, clear_exchange, needed_by_others
from epoch_sql.verb import procedure

# Mark and sweep, as in git's gc: from the references over the commits to the files.

SWEPT = (
    ("commits", "commit_id", "commits"),
    ("parents", "commit_id", "commits"),
    ("roots", "root_id", "roots"),
    ("trees", "subtree_id", "trees"),
    ("versions", "version_id", "versions"),
    ("levels", "level_id", "levels"),
    ("files", "file_id", "files"),
    ("schemas", "schema_id", "schemas"),
)
"""The swept catalog tables: their names, their id columns, and the marks for these."""


def mark(cursor: duckdb.DuckDBPyConnection, until: datetime, others: Set[str]) -> None:
    """Store the ids of what is kept in temporary tables ``epoch_kept_<what>``.

    ``until`` is the end of the grace period. What a reference moved to or away from since then is kept, what a
    published file reads, or read since then, and the commits that ``others`` need.
    """
    ids = render.fill(
        Sql("SELECT unnest(CAST({{ids}} AS VARCHAR[])) AS id"),
        ids=render.strings(kept_commits(cursor, until, others)),
    )
    cursor.execute(render.render("gc.keep", name=kept("commits"), ids=ids))
    for what in ("roots", "trees", "versions", "levels", "files", "schemas"):
        ids = render.render(f"gc.kept_{what}", until=_moment(until))
        statement = render.render("gc.keep", name=kept(what), ids=ids)
        cursor.execute(statement)


def kept_commits(cursor: duckdb.DuckDBPyConnection, until: datetime, others: Set[str]) -> list[str]:
    """The kept commits: the marked ones and their ancestors."""
    parents: dict[str, list[str]] = {}
    for commit_id, _, parent_id in Parents(cursor).select():
        parents.setdefault(commit_id, []).append(parent_id)
    pending = [row[0] for row in run(cursor, render.load("gc.marks"), [until]).fetchall() if row[0]]
    pending += others
    found: set[str] = set()
    while pending:
        commit_id = pending.pop()
        if commit_id not in found:
            found.add(commit_id)
            pending.extend(parents.get(commit_id, ()))
    return sorted(found)


def sweep(call: Call, until: datetime) -> None:
    """Remove from the catalog what ``mark`` did not keep."""
    call.state.rewritten()
    for name, column, what in SWEPT:
        call.cursor.execute(
            render.render("gc.sweep", table=render.catalog_table(name), column=render.column(column), kept=kept(what))
        )
    run(call.cursor, render.load("gc.sweep_published"), [until])
    run(call.cursor, render.load("gc.sweep_compacted"))


def kept(what: str) -> render.Fragment:
    """The temporary table of kept ids."""
    return render.identifier(f"epoch_kept_{what}")


# One transaction sweeps the catalog. A second one, in which no reference can move, deletes files. So a file that a
# commit has just written is either in the catalog by then, or younger than the grace period.

GRACE = timedelta(days=7)
_DEAD = ("commits", "reflog", "trees", "versions", "levels", "schemas")


@dataclass(frozen=True)
class Removed:
    """A removed object. ``kind`` is ``commit``, ``reflog``, ``tree``, ``version``, ``level``, ``schema`` or ``file``.

    ``object_id`` is its id, or the number of a move of a reference. ``bytes`` is the size of a file, or of the files of
    a level. ``description`` is the message of a commit, the table of a version or a definition, or the path of a file.
    """

    kind: str
    object_id: str
    bytes: int | None
    description: str | None


@procedure("epoch_gc")
def collect(call: Call, *, dry_run: bool = False, grace: str | None = None) -> list[Removed]:
    """Removes commits that no branch, tag, stash or recent move of a reference needs, and files that nothing names.

    Files younger than ``grace`` stay, and so does what a reference held within it. Raises EpochRepositoryError for a
    grace that is not an interval, and where the files belong to another database; EpochStorageError for a file that
    cannot be removed.

    Args:
        dry_run: only list what would be removed
        grace: an INTERVAL: keep what is younger; default: 7 days
    """
    period = GRACE if grace is None else interval(call.cursor, grace, Suggestion("gc", grace="7 days"))
    _require_own_files(call)
    with call.memory.publishing, needed_by_others(call) as needed:
        removed = _collect(call, dry_run, period, needed)
        if not dry_run:
            clear_exchange(call, needed)
        return removed


def _collect(call: Call, dry_run: bool, period: timedelta, needed: Needed) -> list[Removed]:
    until = now() - period
    if dry_run:
        with call.transaction():
            dead = _mark(call.cursor, until, needed)
            return [*dead, *map(_removed, _unreferenced(call, period, needed.files, swept=False))]
    with call.moving():
        dead = _mark(call.cursor, until, needed)
        run(
            call.cursor,
            "DELETE FROM {{epoch}}.reflog WHERE sequence IN (SELECT unnest(?::BIGINT[]))",
            [[int(removed.object_id) for removed in dead if removed.kind == "reflog"]],
        )
        sweep(call, until)
    return [*dead, *_delete_files(call, period, needed.files)]


def _mark(cursor: duckdb.DuckDBPyConnection, until: datetime, needed: Needed) -> list[Removed]:
    """Mark what is kept, and list the rest of the catalog."""
    mark(cursor, until, needed.commits)
    dead: list[Removed] = []
    for what in _DEAD:
        found = render.render(f"gc.dead_{what}", until=_moment(until), object_name=render.load("files.object_name"))
        rows = cursor.execute(found).fetchall()
        dead.extend(Removed(*row) for row in rows)
    return dead


def _moment(at: datetime) -> Sql:
    return render.fill(Sql("CAST({{t}} AS TIMESTAMP)"), t=render.literal(at.isoformat(sep=" ")))


def _delete_files(call: Call, grace: timedelta, needed: Set[str]) -> list[Removed]:
    deleted = []
    try:
        with call.moving():
            for path in _unreferenced(call, grace, needed, swept=True):
                removed = _removed(path)
                path.unlink(missing_ok=True)
                deleted.append(removed)
    except EpochTransactionError as error:
        raise EpochTransactionError(
            "the catalog was cleaned up, but another writer came before the files were removed",
            (Suggestion("gc"), " again"),
            overtaken=True,
        ) from error
    except OSError as error:
        raise EpochStorageError(
            f"cannot remove files from {call.store.folder}: {error.strerror}",
            "make the folder writable",
            path=str(call.store.folder),
        ) from error
    return deleted


def _unreferenced(call: Call, grace: timedelta, needed: Set[str], swept: bool) -> Iterator[Path]:
    """The files on disk, older than the grace period, that neither the catalog (after it is ``swept``) nor another
    one names."""
    source = render.catalog_table("files") if swept else render.identifier("epoch_kept_files")
    column = render.column("file_id" if swept else "id")
    statement = render.fill(render.Sql("SELECT {{column}} FROM {{source}}"), column=column, source=source)
    named = needed | {row[0] for row in call.cursor.execute(statement).fetchall()}
    youngest = time.time() - grace.total_seconds()
    for path in sorted(call.store.all_files()):
        if path.stem not in named and path.stat().st_mtime <= youngest:
            yield path


def _removed(path: Path) -> Removed:
    return Removed("file", path.stem, path.stat().st_size, str(path))


def _require_own_files(call: Call) -> None:
    """Refuse if another, unknown database may need the files."""
    named = config.read(config.repository_config(call.database)).get("database")
    name = call.database.name
    if named is None:
        raise EpochRepositoryError(
            f"{call.folder / config.FILE} does not say which database the files belong to",
            f'write database = "{name}" in it, if it is this one',
            database=name,
        )
    if named != name:
        raise EpochRepositoryError(
            f"{call.folder} belongs to {named}, not to {name}: what only the other database needs would be removed",
            f'collect garbage in {named}, or write database = "{name}" in {config.FILE}',
            database=name,
        )
    for folder in (call.folder, call.store.folder):
        if folder.is_symlink():
            raise EpochRepositoryError(
                f"{folder} is a link: what lies there may be needed by another database, which nothing here knows of",
                ("move the folder that it leads to in its place, then ", Suggestion("gc")),
                database=name,
            )
