"""``import_files``: rows of files and of other databases, as one commit of their tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import duckdb

from epoch_sql.advice import Advice, Suggestion
from epoch_sql.call import Call, no_table
from epoch_sql.errors import EpochFileError, EpochNothingToCommit, EpochTableError, KeyBroken
from epoch_sql.files.loading import Mode, Unfit, goal_of, load
from epoch_sql.files.locating import located
from epoch_sql.files.opening import attached, opened, registered
from epoch_sql.files.readers import Reader
from epoch_sql.files.sources import Source, size_of, sources_of
from epoch_sql.guard.moves import Move, require_allowed
from epoch_sql.model.commit import Route, RowCounts
from epoch_sql.model.names import name_meant, parse_name, path_text
from epoch_sql.model.schema import ObjectName, Table
from epoch_sql.verb import Procedure, procedure
from epoch_sql.verbs.committing import checked_out_branch, commit_changes
from epoch_sql.verbs.worktree_state import require_clean
from epoch_sql.worktree.introspect import OWN_SCHEMA, read_schema_paths
from epoch_sql.worktree.rows import Working


@dataclass(frozen=True)
class ImportResult:
    """The result of an import: its commit, and what changed. Without a change, the commit is the one before."""

    commit: str
    branch: str
    tables: list[str]
    rows: RowCounts
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """What an import was asked for, besides the mode."""

    sources: tuple[str, ...]
    table: str | None


Inputs = dict[ObjectName, list[Reader]]
"""The readers of each table."""


@procedure("epoch_import_files", looks="rows")
def import_files(
    call: Call,
    sources: Sequence[str],
    table: str | None = None,
    *,
    key: Sequence[str] | None = None,
    mode: Literal["new", "replace", "append", "upsert"] = "new",
    message: str | None = None,
    author: str | None = None,
) -> ImportResult:
    """Loads files into tables, and commits them: CSV, JSON, Parquet, Arrow, and the tables of DuckDB files.

    A file goes to the table of its name, `orders.csv` to `orders`, and a folder of files, with its partitions, to one
    table. What fails changes nothing. Raises EpochFileError for a file that cannot be read, with the line and the
    column of a value that does not fit. Raises EpochTableError for columns that differ, for a key that is NULL or
    repeated, and for a table that exists, unless a mode says what becomes of its rows. Raises EpochDirtyError if there
    are uncommitted changes.

    Args:
        sources: files, folders and patterns
        table: the table for all sources; of a DuckDB file, the one to import; default: each file's name
        key: the columns that identify a row
        mode: what becomes of the rows of a table that exists: `replace`, `append`, or `upsert` by the key
        message: what changed and why; default: the sources
        author: `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
    """
    call.require_working_tables()
    found = sources_of(sources)
    call.progress.begin(sum(size_of(file) for source in found for file in source.files))
    with ExitStack() as stack:
        inputs = _inputs(call.cursor, stack, found, table)
        told = message or f"Import {', '.join(source.path for source in found)}"
        return imported(call, inputs, key or (), mode, told, author, Asked(tuple(sources), table))


def _import_arrow(
    call: Call,
    data: Any,
    table: str,
    *,
    key: Sequence[str] | None = None,
    mode: Literal["new", "replace", "append", "upsert"] = "new",
    message: str | None = None,
    author: str | None = None,
) -> ImportResult:
    """Loads Arrow data into a table, and commits it, as `import_files` does with files. No row passes through Python.

    Takes a `pyarrow.Table`, `RecordBatch`, `RecordBatchReader` or `Dataset`, and whatever else DuckDB reads as Arrow.
    A reader is read once, so errors do not name its rows. Raises what `import_files` does.

    Args:
        data: the rows, with the columns of the table
        table: the table
        key: the columns that identify a row
        mode: what becomes of the rows of a table that exists: `replace`, `append`, or `upsert` by the key
        message: what changed and why; default: the table
        author: `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
    """
    call.require_working_tables()
    reader = registered(call.cursor, data, f"the data for {table}", again=hasattr(data, "num_rows"))
    inputs = {parse_name(table): [reader]}
    return imported(call, inputs, key or (), mode, message or f"Import {table}", author, None)


import_arrow = Procedure("import_arrow", _import_arrow, acts=True, looks="rows", needs="repository")
"""A method of the library only: SQL has no values of Arrow."""


def imported(
    call: Call,
    inputs: Inputs,
    key: Sequence[str],
    mode: Mode,
    message: str,
    author: str | None,
    asked: Asked | None,
) -> ImportResult:
    """Load tables from readers, and commit them. ``asked`` is the call, for advice on what it lacks."""
    _measured(call.cursor)
    for reader in (one for readers in inputs.values() for one in readers):
        call.warn(*(f"column {name} of {reader.file} is computed there, so it is left out" for name in reader.left_out))
    try:
        with call.moving():
            branch, tip = checked_out_branch(call)
            require_allowed(call, Move(branch, Route.COMMIT, tip))
            working = _clean(call, tip)
            for name, readers in inputs.items():
                existing = _existing(call, working, name)
                if existing and mode == "new":
                    raise _exists(existing, asked)
                goal = goal_of(existing.name if existing else name, existing, mode, key, readers)
                load(call, goal, readers)
            call.writer.uncommitted = True
            # The rows that were loaded are read for the commit.
            loaded = {name.folded for name in inputs}
            call.seen = {name: sums for name, sums in call.seen.items() if name.folded not in loaded}
            tables = sorted(str(name) for name in inputs)
            try:
                made = commit_changes(call, message, author)
            except EpochNothingToCommit:
                return ImportResult(tip, branch, tables, RowCounts())
            return ImportResult(made.commit, made.branch, tables, made.rows)
    except Unfit as unfit:
        raise located(call.cursor, unfit) from unfit
    except KeyBroken as broken:
        raise replace(broken, advice="correct the rows, or name other columns as the key") from broken


def _inputs(
    cursor: duckdb.DuckDBPyConnection, stack: ExitStack, sources: Sequence[Source], table: str | None
) -> Inputs:
    """The readers of each table. Databases are detached at the end of ``stack``."""
    goal = parse_name(table) if table else None
    found: Inputs = {}
    for source in sources:
        if source.form == "duckdb":
            tables = stack.enter_context(attached(cursor, source.path))
            chosen = _chosen(tables, source, table)
        else:
            name = goal or ObjectName("main", source.name)
            chosen = {name: [opened(cursor, file, source.form) for file in source.files]}
        for name, readers in chosen.items():
            if name in found and not goal:
                raise EpochFileError(
                    f"two sources are for table {name}, the second is {source.path}",
                    "name the table that both are for",
                    file=source.path,
                )
            found.setdefault(name, []).extend(readers)
    return found


def _chosen(tables: dict[ObjectName, Reader], source: Source, table: str | None) -> Inputs:
    """The tables of a database, or the one that is named."""
    if table is None:
        if not tables:
            raise EpochFileError(f"{source.path} has no tables", "name another file", file=source.path)
        return {name: [reader] for name, reader in tables.items()}
    meant = name_meant(table, tables)
    if meant is None:
        raise no_table(table, [str(name) for name in tables], source.path)
    return {meant: [tables[meant]]}


def _clean(call: Call, tip: str) -> Working:
    """The working tables. Raises EpochDirtyError if there are changes that the commit would have besides."""
    tree = call.tree(tip)
    working = call.scan(tree)
    first = (Suggestion("commit", "MESSAGE"), " or ", Suggestion("stash"), " first")
    require_clean(call, tree, working, "in the commit of the import", first)
    return working


def _existing(call: Call, working: Working, name: ObjectName) -> Table | None:
    """The working table of that name. Raises EpochTableError if something else has it, or if it is not versioned."""
    tables = {one.table.name.folded: one.table for one in working.tables}
    if name.folded in tables:
        return tables[name.folded]
    if any(found.kind == "view" and found.name.folded == name.folded for found in working.objects):
        raise EpochTableError(f"{name} is a view", "import into a table of another name", table=str(name))
    if call.scanner.ignores(name):
        raise EpochTableError(
            f"table {name} is not versioned, because a pattern ignores it", Suggestion("ignored"), table=str(name)
        )
    schemas = {path.lower() for path in read_schema_paths(call.cursor)} - {OWN_SCHEMA}
    if name.schema.lower() not in schemas:
        raise EpochTableError(
            f"there is no schema {name.schema}", f"CREATE SCHEMA {path_text([name.schema])}", table=str(name)
        )
    return None


def _exists(table: Table, asked: Asked | None) -> EpochTableError:
    advice: Advice = "say what becomes of its rows, as the mode: replace, append or upsert"
    if asked:
        advice = (
            Suggestion("import_files", asked.sources, table=asked.table, mode="replace"),
            ", ",
            Suggestion("import_files", asked.sources, table=asked.table, mode="append"),
            ", or by its key ",
            Suggestion("import_files", asked.sources, table=asked.table, mode="upsert"),
        )
    return EpochTableError(f"table {table.name} exists", advice, table=str(table.name))


def _measured(cursor: duckdb.DuckDBPyConnection) -> None:
    """Have DuckDB measure the progress of statements, unless its configuration is locked."""
    with suppress(duckdb.InvalidInputException):
        cursor.execute("SET enable_progress_bar_print = false")
        cursor.execute("SET enable_progress_bar = true")
