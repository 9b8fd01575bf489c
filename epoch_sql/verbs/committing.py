"""``init`` and ``commit``. Also ``epoch_key`` and ``epoch_ignore``: which tables are versioned, and what identifies
their rows."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock

import duckdb

from epoch_sql import config, render
from epoch_sql.advice import Advice, Suggestion, did_you_mean
from epoch_sql.call import Call, no_table, now
from epoch_sql.catalog.local import DeclaredKeys
from epoch_sql.catalog.merging import Merges
from epoch_sql.catalog.relation import catalog_version, run, upgrade
from epoch_sql.errors import (
    ColumnNotFound,
    EpochNothingToCommit,
    EpochReferenceError,
    EpochRepositoryError,
    EpochStorageError,
    EpochTableError,
)
from epoch_sql.guard.moves import Move, move_branch, require_allowed
from epoch_sql.model.commit import NO_ORIGIN, Commit, Head, Origin, Route, RowCounts, Tree, commit_identity
from epoch_sql.model.names import check_ref_name, name_meant, suggest
from epoch_sql.model.schema import Table
from epoch_sql.render import Sql
from epoch_sql.verb import procedure, query
from epoch_sql.verbs.patterns import change_pattern
from epoch_sql.verbs.unmade import note_replaced, warn_of_stale
from epoch_sql.verbs.worktree_state import warn_of_unversioned
from epoch_sql.versions.recording import record
from epoch_sql.worktree.introspect import OWN_SCHEMA, read_schema_paths
from epoch_sql.worktree.scan import Scanner

_initialising = Lock()
"""Two at once run one after the other: otherwise the one that fails would remove the folder of the other."""


@dataclass(frozen=True)
class InitResult:
    """The result of ``init``: the first branch and its first commit."""

    branch: str
    commit: str
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CommitResult:
    """The result of ``commit``."""

    commit: str
    branch: str
    tables_changed: int
    rows: RowCounts
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_init", needs="database")
def init(call: Call, branch: str = "main") -> InitResult:
    """Makes the database a repository, and commits what it holds.

    Raises EpochRepositoryError if it is one already, and EpochReferenceError for an invalid branch name.

    Args:
        branch: the first branch
    """
    check_ref_name(branch)
    with _initialising, _folder(call), call.transaction():
        upgrade(call.cursor, 0)
        run(call.cursor, "UPDATE {{epoch}}.state SET repository_id = ?, head_branch = ?", [uuid.uuid4().hex, branch])
        empty = Tree()
        working = call.scan(empty)
        warn_of_stale(call, empty, working, strict=False)
        warn_of_unversioned(call, empty, working)
        recorded = record(call, working)
        author = call.author()
        commit = new_commit(recorded.tree_id, recorded.root_id, (), author, "Initial commit")
        call.commits.add(commit)
        move_branch(call, Move(branch, Route.INIT, None, commit.commit_id), "init", author)
    return InitResult(branch, commit.commit_id)


@procedure("epoch_commit", looks="changes")
def commit(
    call: Call, message: str, *, author: str | None = None, allow_empty: bool = False, strict: bool = False
) -> CommitResult:
    """Commits every change of the working tables to the current branch.

    Raises EpochNothingToCommit without a change, EpochReferenceError on a detached checkout, and EpochTableError for
    tables that cannot be versioned.

    Args:
        message: what changed and why
        author: `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
        allow_empty: commit even if nothing changed
        strict: refuse views and macros that cannot be created again
    """
    if not message.strip():
        raise EpochNothingToCommit("a commit needs a message", Suggestion("commit", "what changed and why"))
    with call.moving():
        return commit_changes(call, message, author, allow_empty, strict)


def commit_changes(
    call: Call, message: str, author: str | None, allow_empty: bool = False, strict: bool = False
) -> CommitResult:
    """Commit the working tables within a transaction that moves references."""
    branch, tip = checked_out_branch(call)
    move = Move(branch, Route.COMMIT, tip)
    require_allowed(call, move)
    parent = call.commits.get(tip)
    tree = call.trees.load(parent.root_id)
    working = call.scan(tree, changed=True)
    call.keep_cached()
    warn_of_stale(call, tree, working, strict)
    warn_of_unversioned(call, tree, working)
    note_replaced(call.cursor, working)
    recorded = record(call, working)
    if recorded.tree_id == parent.tree_id and not allow_empty:
        raise _nothing_changed(call.cursor, branch)
    who = call.author(author)
    made = new_commit(recorded.tree_id, recorded.root_id, (parent.commit_id,), who, message)
    call.commits.add(made)
    move_branch(call, replace(move, new=made.commit_id), f"commit: {first_line(message)}", who)
    return CommitResult(made.commit_id, branch, recorded.tables_changed, recorded.rows)


def _nothing_changed(cursor: duckdb.DuckDBPyConnection, branch: str) -> EpochNothingToCommit:
    """In git a commit concludes a merge. For those who try that, the advice is the verb that does it in Epoch."""
    merging = Merges(cursor).get(branch) is not None
    advice: Advice = (Suggestion("merge_continue"), ", to commit the merge") if merging else Suggestion("status")
    return EpochNothingToCommit("nothing to commit, the working tables are as committed", advice)


def checked_out_branch(call: Call) -> tuple[str, str]:
    """The checked-out branch and its commit. Raises EpochReferenceError if a commit or a tag is checked out instead,
    and EpochRepositoryError in a bare clone."""
    call.require_working_tables()
    head = call.head()
    if head.branch is None:
        raise EpochReferenceError(
            f"{head.commit_id[:7]} is checked out, not a branch, so there is nothing to commit to",
            (Suggestion("branch", "NAME", start=head.commit_id[:7]), ", ", Suggestion("checkout", "NAME")),
            name=head.commit_id,
        )
    return head.branch, head.commit_id


def new_commit(
    tree_id: str, root_id: str, parents: tuple[str, ...], author: str, message: str, origin: Origin = NO_ORIGIN
) -> Commit:
    """A commit made now."""
    at = now()
    commit_id = commit_identity(tree_id, parents, author, at, message, origin)
    return Commit(commit_id, tree_id, root_id, parents, author, at, message, origin)


def set_head(call: Call, branch: str | None, commit_id: str) -> None:
    """Set what is checked out."""
    call.state.set_head(Head(branch, commit_id))


def first_line(message: str) -> str:
    """A message's subject."""
    return message.strip().splitlines()[0]


@contextmanager
def _folder(call: Call) -> Iterator[None]:
    """Creates the folder of a new repository. Removes a new folder again if ``init`` fails.

    Raises EpochRepositoryError when there is one already.
    """
    folder, existed = call.folder, call.folder.exists()
    if OWN_SCHEMA in read_schema_paths(call.cursor):
        message = f"{call.database} has an Epoch repository already"
        raise EpochRepositoryError(message, Suggestion("status"), database=str(call.database))
    try:
        try:
            config.name_database(call.database)
            call.store.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EpochStorageError(
                f"cannot write to {folder}: {error.strerror}", "make the folder writable", path=str(folder)
            ) from error
        yield
    except BaseException:
        if not existed and catalog_version(call.cursor) is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


@dataclass(frozen=True)
class KeyResult:
    """A table and the columns that identify its rows."""

    table: str
    key_columns: list[str]


@dataclass(frozen=True)
class IgnoredPattern:
    """A shell pattern of names that are not versioned."""

    pattern: str


@procedure("epoch_key")
def declare_key(call: Call, table: str, columns: Sequence[str]) -> KeyResult:
    """Declares the key of a table without a primary key.

    No column withdraws it. Raises EpochTableError for a table or column that does not exist, and for a table with a
    primary key.

    Args:
        table: the table
        columns: the columns that identify a row
    """
    call.require_working_tables()
    with call.moving():
        found = working_table(call.scanner, table)
        if any(constraint.kind == "PRIMARY KEY" for constraint in found.constraints):
            raise EpochTableError(
                f"table {found.name} has a primary key ({', '.join(found.key_names)}), which identifies its rows",
                "no key needs to be declared",
                table=str(found.name),
            )
        names = tuple(_column(found, name) for name in columns)
        if len(set(names)) != len(names):
            message = f"a column is named twice in the key of {found.name}"
            raise EpochTableError(message, "name each column once", table=str(found.name))
        DeclaredKeys(call.cursor).put(found.name, names)
    return KeyResult(str(found.name), list(names))


@procedure("epoch_ignore")
def ignore(call: Call, pattern: str, *, remove: bool = False) -> IgnoredPattern:
    """Leaves tables whose names match a pattern out of versioning. Committed tables stay as they are committed.

    Raises EpochTableError where ``remove`` finds no such pattern.

    Args:
        pattern: a shell pattern of table names: `scratch_*`
        remove: no longer ignore this pattern
    """
    if not pattern.strip():
        raise EpochTableError("a pattern is empty", Suggestion("ignore", "scratch_*"))
    change_pattern(call, "ignored", pattern, remove, unless="ignored", listing=Suggestion("ignored"))
    return IgnoredPattern(pattern)


@query("epoch_ignored", IgnoredPattern)
def ignored(call: Call) -> Sql:
    """The patterns of `epoch_ignore`: tables whose names match are not versioned."""
    return render.render("listing.patterns", kind=render.literal("ignored"))


def working_table(scanner: Scanner, name: str) -> Table:
    """The working table of that name. Raises EpochTableError with suggestions if there is none."""
    tables = scanner.schema(macros=False).tables
    meant = name_meant(name, (table.name for table in tables))
    for table in tables:
        if table.name == meant:
            return table
    raise no_table(name, [str(table.name) for table in tables], "the working database")


def _column(table: Table, name: str) -> str:
    try:
        column = table.column(name)
    except KeyError as error:
        near = suggest(name, [c.name for c in table.stored_columns])
        raise ColumnNotFound(
            f"there is no column {name} in table {table.name}",
            did_you_mean(near) or f"columns: {', '.join(c.name for c in table.columns)}",
            table=str(table.name),
            column=name,
            suggestions=tuple(near),
        ) from error
    if not column.stored:
        message = f"column {column.name} of table {table.name} is generated"
        raise EpochTableError(message, "name a column with values", table=str(table.name), column=column.name)
    return column.name
