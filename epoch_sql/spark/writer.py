"""The verbs that write to a store from an engine, as methods of its repository in Spark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from epoch_sql.spark import compacting, writing
from epoch_sql.spark.compacting import Compacted
from epoch_sql.spark.mirror import Mirror
from epoch_sql.spark.recording import Committed
from epoch_sql.spark.writing import DataFrame
from epoch_sql.storage.writing import FILE_ROWS
from epoch_sql.verbs.merging import MergeResult, Strategy


class Writer:
    """What commits to the branches of a store. Each method is one push: all of it or nothing.

    A bare clone on the driver decides: it has the history, the protection and the reviews. The engine's tasks read and
    write the rows, and need epoch-sql there.
    """

    def __init__(self, spark: Any, url: str, author: str | None, clone: str | Path | None) -> None:
        self.spark = spark
        self._mirror = Mirror(url, author, Path(clone) if clone else None)

    def import_table(
        self,
        frame: DataFrame,
        name: str,
        *,
        key: Sequence[str] = (),
        branch: str | None = None,
        message: str | None = None,
        author: str | None = None,
        rows_per_file: int = FILE_ROWS,
    ) -> Committed:
        """Commits a DataFrame as a new table.

        Raises EpochTableError for a table that exists and for columns that Epoch cannot store, and KeyBroken for a key
        that is NULL or repeated.

        Args:
            frame: the rows. It is computed three times: to count, to sample keys, and to write
            name: `orders` or `schema.orders`
            key: the columns that identify a row
            branch: the branch that gets the commit; default: the one that clones check out
            message: what changed and why; default: the table
            author: `Name <mail>`; default: that of the connection
            rows_per_file: how many rows a file has, about
        """
        return writing.import_table(
            self._mirror,
            frame,
            name,
            key=key,
            branch=branch,
            message=message,
            author=author,
            rows_per_file=rows_per_file,
        )

    def commit(
        self,
        branch: str,
        table: str,
        *,
        upserts: DataFrame | None = None,
        deletes: DataFrame | None = None,
        message: str,
        author: str | None = None,
    ) -> Committed:
        """Commits rows that come, change and go to a table of a branch.

        A key to delete that is not there changes nothing. Raises ColumnNotFound and EpochTableError for columns and
        values that do not fit, and for rows that break a constraint. Raises KeyBroken for a key that is NULL or given
        twice, and EpochNothingToCommit if the table has these rows. Raises EpochProtectionError if the branch takes no
        commit, and EpochRemoteError if another writer was faster.

        Args:
            branch: the branch that gets the commit
            table: `orders` or `schema.orders`; it has a key
            upserts: rows with all columns of the table
            deletes: keys, with the columns of the key
            message: what changed and why
            author: `Name <mail>`; default: that of the connection
        """
        return writing.commit(
            self._mirror, branch, table, upserts=upserts, deletes=deletes, message=message, author=author
        )

    def merge(
        self,
        source: str,
        target: str,
        *,
        message: str | None = None,
        ff: bool = False,
        squash: bool = False,
        strategy: Strategy = "three-way",
        keep_undone: bool = False,
        require_fresh: bool = False,
        expected: str | None = None,
        author: str | None = None,
    ) -> MergeResult:
        """Merges a branch of the store into another, as `epoch merge` does, and pushes it.

        The driver merges: it reads what changed on both sides. It reads a whole table only for UNIQUE, a
        foreign key, a check or a converted column. Raises what `Repository.merge` and `push` raise.

        Args:
            source: the reference to merge
            target: the branch that is merged into
            message: the commit message; default: `Merge SOURCE into TARGET`
            ff: move the branch without a commit, if possible
            squash: add a commit with one parent
            strategy: take conflicting cells from `ours` or `theirs`
            keep_undone: leave out what was undone on the target, as git does
            require_fresh: refuse a merge that leaves derived tables stale
            expected: the commit that the source has to be at, with 7 digits or more
            author: `Name <mail>`; default: that of the connection
        """
        options = {
            "message": message,
            "ff": ff,
            "squash": squash,
            "strategy": strategy,
            "keep_undone": keep_undone,
            "require_fresh": require_fresh,
            "expected": expected,
            "author": author,
        }
        return writing.merge(self._mirror, source, target, **options)

    def compact(self, ref: str, table: str) -> Compacted:
        """Rewrites the ranges of keys of a table that changes lie on, for fast reading. The commit stays as it is.

        Args:
            ref: a branch
            table: `orders` or `schema.orders`
        """
        return compacting.compact(self.spark, self._mirror, ref, table)

    def close(self) -> None:
        """Remove the bare clone, unless it has a place of its own."""
        self._mirror.close()
