"""Makes and deletes the database of a linked worktree."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import duckdb

from epoch_sql import config, render
from epoch_sql.call import Call
from epoch_sql.catalog.content import Files, Levels, Roots, Schemas, Trees, Versions
from epoch_sql.catalog.history import Checks, Commits, Parents, Protections, Reflog, Refs, Reviews
from epoch_sql.catalog.local import Elsewhere, Patterns, Remotes, Untrusted, Upstreams, Worktree, Worktrees
from epoch_sql.catalog.relation import Relation, run, upgrade
from epoch_sql.errors import EpochStorageError
from epoch_sql.linked.identity import repository_id
from epoch_sql.model.commit import Tree
from epoch_sql.storage.writing import sync_folder
from epoch_sql.verbs.checkout import apply_tree, in_transactions

_NEW = "epoch_new_worktree"
_SHARED: tuple[type[Relation], ...] = (
    Commits,
    Parents,
    Roots,
    Trees,
    Schemas,
    Versions,
    Levels,
    Files,
    Refs,
    Reflog,
    Patterns,
    Protections,
    Reviews,
    Checks,
    Remotes,
    Upstreams,
    Untrusted,
)
"""The tables of the catalog that a new worktree begins with."""


def make_database(call: Call, worktree: Worktree, branch: str, commit_id: str) -> None:
    """Make the database of a new worktree, with a branch checked out. It gets its name when it is complete.

    Raises EpochStorageError if the folder cannot be written.
    """
    database = Path(worktree.path)
    aside = _aside(database)
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        _configure(call, worktree)
        _copy_catalog(call, aside, worktree, branch, commit_id)
        assert call.memory.beside
        with call.memory.beside(aside) as there:
            in_transactions(
                there,
                there.transaction,
                lambda attempts: apply_tree(there, attempts, there.scan(Tree()), there.tree(commit_id)),
            )
            call.warn(*there.warnings)
        aside.replace(database)
        sync_folder(database.parent)
    except (OSError, duckdb.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).strip().splitlines()[0]
        raise EpochStorageError(
            f"cannot make the worktree {database}: {reason}",
            "free space, or make the folder writable",
            path=str(database),
        ) from error


def delete_database(database: Path, link: config.Link) -> None:
    """Delete the database of a worktree and its settings, and the folder if nothing else is in it.

    Deletes nothing where another worktree or none is.
    """
    folder = config.repository_folder(database)
    if config.link_of(folder) != link:
        return
    for path in (database, _aside(database)):
        for file in (path, path.with_name(f"{path.name}.wal")):
            file.unlink(missing_ok=True)
    shutil.rmtree(folder)
    with suppress(OSError):
        database.parent.rmdir()


def _configure(call: Call, worktree: Worktree) -> None:
    """Write the settings of a worktree: those of this one, and what makes it a worktree."""
    database = Path(worktree.path)
    here, there = config.repository_config(call.database), config.repository_config(database)
    there.parent.mkdir(exist_ok=True)
    aside = there.with_name(f"{there.name}.adding")
    if here.exists():
        shutil.copyfile(here, aside)
        for setting in config.settings_of(aside):
            # Otherwise each worktree would publish the branches of all.
            if setting.key.partition(".")[0] == "publish":
                config.unset(aside, setting.key)
    config.set_value(aside, "database", database.name)
    config.set_value(aside, "worktree.id", worktree.worktree_id)
    config.set_value(aside, "worktree.main", str(call.database))
    aside.replace(there)


def _copy_catalog(call: Call, path: Path, worktree: Worktree, branch: str, commit_id: str) -> None:
    """Make a database with the history of this one, as it is now."""
    cursor = call.cursor
    [(version,)] = cursor.execute(render.load("linked.storage_version"), [call.catalog]).fetchall()
    name = render.identifier(_NEW)
    cursor.execute(
        render.render("linked.attach", path=render.literal(str(path)), name=name, version=render.literal(version))
    )
    try:
        with call.transaction():
            own, others = repository_id(call), Worktrees(cursor).load()
            elsewhere = Elsewhere(cursor).select()
            mine = [name for name in call.refs.all("branch") if name not in {row[0] for row in elsewhere}]
            head = call.head().branch
            here = {table: render.catalog_table(table.name) for table in _SHARED}
            hashes, sums = render.catalog_table("fingerprints"), render.catalog_table("buckets")
            versions = [entry.version_id for entry in call.tree(commit_id).tables.values()]
            with render.for_database(_NEW):
                upgrade(cursor, 0)
                run(cursor, render.load("linked.start"), [own, branch])
                for table, source in here.items():
                    columns = [render.column(column) for column in table.columns]
                    there = render.catalog_table(table.name)
                    cursor.execute(render.render("linked.copy", there=there, columns=columns, here=source))
                new = render.catalog_table("fingerprints")
                copied = render.render("linked.copy_fingerprints", there=new, here=hashes)
                cursor.execute(copied, {"versions": versions})
                there = render.catalog_table("buckets")
                cursor.execute(render.render("linked.copy_buckets", there=there, here=sums, fingerprints=new))
                Elsewhere(cursor).insert(row for row in elsewhere if row[1] != worktree.worktree_id)
                Elsewhere(cursor).insert((name, own, name == head) for name in mine)
                for other in (*others.values(), Worktree(own, str(call.database), worktree.trusted)):
                    if other.worktree_id != worktree.worktree_id:
                        Worktrees(cursor).put(other)
    finally:
        cursor.execute(render.fill("DETACH {{name}}", name=name))


def _aside(database: Path) -> Path:
    return database.with_name(f".{database.name}.adding")
