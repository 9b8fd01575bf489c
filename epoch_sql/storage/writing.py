"""Content-addressed files under ``.epoch/objects`` (written aside, synced, named by the SHA-256 of their bytes).
Also writes base levels and deltas as such files, and describes them for the catalog."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from epoch_sql import config, render
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import (
    EMPTY_FINGERPRINT,
    DataFile,
    Level,
    RowCounts,
    level_identity,
    shift_fingerprint,
)
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.key_ranges import base_bounds, cut_value, delta_key, key_bounds, parts, sort_key
from epoch_sql.storage.shape import Shape, aliased, columns, field_ids, has_floats
from epoch_sql.storage.types import FieldId, field_ids_of_copy

_VERIFIED: dict[tuple[str, int, int], bool] = {}
VERIFY_BYTES = 32 << 20
_INCOMING = "incoming"
_FOLDER = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"[0-9a-f]{64}")


class ObjectStore:
    """The files of one repository; ``folder`` is its ``objects`` folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, file_id: str) -> Path:
        """Where the file with that id is in the folder, once it is kept there."""
        return self.folder / file_id[:2] / f"{file_id}.parquet"

    def path(self, file_id: str) -> Path:
        """The path to read the file with that id from."""
        return self.place(file_id)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A temporary path to write a file to. Removes the file afterwards if it is still there."""
        aside = self.folder / _INCOMING
        path = aside / f"{uuid.uuid4().hex}.parquet"
        try:
            aside.mkdir(parents=True, exist_ok=True)
            yield path
        except OSError as error:
            raise EpochStorageError(
                f"cannot write to {self.folder}: {error.strerror or error}",
                "free space or make the folder writable",
                path=str(self.folder),
            ) from error
        finally:
            if path.exists():
                path.unlink()

    def keep(self, path: Path, expected: str | None = None) -> str:
        """Sync a written file, move it to its path, and return its id.

        Replaces an existing file, which repairs a damaged one and makes it young for gc. A file that is not
        ``expected`` stays where it is.
        """
        file_id = sync_and_hash(path)
        if expected not in (None, file_id):
            return file_id
        target = self.place(file_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        sync_folder(target.parent)
        sync_folder(self.folder)
        return file_id

    def check(self, file: DataFile, whole: bool = False) -> str | None:
        """The problem of a stored file, or None: it is missing, or has another size or content.

        Reads the content once in a process, and of files over 32 MiB only if the ``whole`` file is used.
        """
        path = self.path(file.file_id)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return "is missing"
        if stat.st_size != file.bytes:
            return f"is corrupted: it has {stat.st_size} bytes instead of {file.bytes}"
        if file.bytes > VERIFY_BYTES and not whole:
            return None
        mark = (str(path), stat.st_mtime_ns, stat.st_size)
        if mark not in _VERIFIED:
            _VERIFIED[mark] = content_hash(path) == file.file_id
        return None if _VERIFIED[mark] else "is corrupted: its content does not match its name"

    def problem(self, files: Sequence[DataFile], whole: bool = False) -> tuple[DataFile, str] | None:
        """The first file that ``check`` finds a problem of, and the problem."""
        return next(((file, found) for file in files if (found := self.check(file, whole))), None)

    def verify(self, file: DataFile) -> str | None:
        """Like ``check``, but always reads the whole file."""
        path = self.path(file.file_id)
        if not path.exists():
            return "is missing"
        if path.stat().st_size != file.bytes:
            return f"is corrupted: it has {path.stat().st_size} bytes instead of {file.bytes}"
        return None if content_hash(path) == file.file_id else "is corrupted: its content does not match its name"

    def all_files(self) -> Iterator[Path]:
        """Every file of the store, with those that are being written. Ignores other files, and follows no links."""
        for folder in sorted(self.folder.iterdir() if self.folder.is_dir() else ()):
            aside = folder.name == _INCOMING
            if folder.is_symlink() or not folder.is_dir() or not (aside or _FOLDER.fullmatch(folder.name)):
                continue
            for path in sorted(folder.glob("*.parquet")):
                own = aside or (_FILE.fullmatch(path.stem) and path.stem.startswith(folder.name))
                if own and not path.is_symlink() and path.is_file():
                    yield path


def content_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_and_hash(path: Path) -> str:
    """Sync a file to disk, and return the SHA-256 of its bytes."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


ROW_GROUP = 122880
FILE_ROWS, FILE_BYTES, MEASURED_ROWS = 1 << 23, 384 << 20, 1_000_000
"""The most rows and bytes of a file of a base level, about, and how many rows are worth being measured."""


@dataclass(frozen=True)
class WrittenDelta:
    """A delta on disk: its file, its row counts, and the hash sums of removed and of added rows."""

    file: DataFile
    rows: RowCounts
    minus: int
    plus: int


class LevelWriter:
    """Writes levels into an object store, on one cursor. ``uncommitted`` says that only this cursor sees the rows."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, store: ObjectStore) -> None:
        self.cursor = cursor
        self.store = store
        self.uncommitted = False

    def delta(self, changes: Sql, shape: Shape, old: Table, new: Table) -> WrittenDelta | None:
        """Write changes (columns as in ``Shape``). None if there are no changes.

        The hashes are of rows under each side's own definition.
        """
        rows = render.fill(
            Sql("SELECT op, {{names}} FROM ({{changes}}) AS changes ORDER BY {{keys}}"),
            names=[render.column(field.name) for field in shape.fields],
            changes=changes,
            keys=_ordering("k", shape.key),
        )
        with self.store.writing() as path:
            count = self._copy(rows, path, shape.fields, shape.rows)
            if not count:
                return None
            written = render.fill(Sql("SELECT * FROM read_parquet({{path}})"), path=render.literal(str(path)))
            added, modified, removed, *sums, least, greatest = _row(self.cursor, delta_digest(written, shape, old, new))
            size = path.stat().st_size
            file_id = self.store.keep(path)
        file = DataFile(file_id, new.digest, count, size, old.digest, least, greatest)
        minus, plus = sums[0] + (sums[1] << 64), sums[2] + (sums[3] << 64)
        return WrittenDelta(file, RowCounts(added, modified, removed), minus, plus)

    def base(self, rows: Sql, table: Table, count: int, ordered: bool = False) -> Level:
        """Write rows (``c<id>``) as a base level. Sorts them by the key unless blocks of them are ``ordered``.

        There are about ``count`` rows. If they are many, they are split into files by ranges of the key.
        """
        files = (self._base_file(part, table, ordered) for part in self._parts(rows, table, count))
        return base_level(tuple(file for file in files if file))

    def _parts(self, rows: Sql, table: Table, count: int) -> list[Sql]:
        """The rows of each file, in the order of the key."""
        number = round(count / FILE_ROWS)
        if table.key and count >= MEASURED_ROWS:
            number = max(number, round(count * self._row_bytes(rows, table) / FILE_BYTES))
        if number < 2 or not table.key:
            return [rows]
        statement = render.render(
            "files.cuts",
            value=cut_value(table.key),
            shares=[Sql(str(part / number)) for part in range(1, number)],
            rows=rows,
            key=columns("c", table.key),
            share=render.literal(max(count // ROW_GROUP, 1)),
        )
        cuts = sorted(set(_row(self.cursor, statement)[0] or ()))
        split = Sql("SELECT * FROM ({{rows}}) AS state WHERE {{part}}")
        return [render.fill(split, rows=rows, part=part) for part in parts(table.key, cuts)]

    def _row_bytes(self, rows: Sql, table: Table) -> float:
        """How many bytes a row takes, as the first ones do."""
        some = render.fill(Sql("SELECT * FROM ({{rows}}) AS state LIMIT {{n}}"), rows=rows, n=render.literal(ROW_GROUP))
        with self.store.writing() as path:
            count = self._copy(_named(some, table), path, field_ids(table), table.stored_columns)
            return path.stat().st_size / max(count, 1)

    def _base_file(self, rows: Sql, table: Table, ordered: bool) -> DataFile | None:
        """One file of a base level. None if there are no rows."""
        key = _ordering("c", table.key)
        if key and not ordered:
            rows = render.fill(Sql("SELECT * FROM ({{rows}}) AS state ORDER BY {{key}}"), rows=rows, key=key)
        with self.store.writing() as path:
            count = self._copy(_named(rows, table), path, field_ids(table), table.stored_columns)
            if not count:
                return None
            block = ROW_GROUP if ordered else 1
            bounds = _row(self.cursor, base_bounds(str(path), count, table, block)) if key else (None, None)
            size = path.stat().st_size
            return DataFile(self.store.keep(path), table.digest, count, size, None, *bounds)

    def fingerprint(self, rows: Sql, table: Table) -> tuple[int, str]:
        """The number of rows (``c<id>``), and their fingerprint."""
        return _fingerprint(_row(self.cursor, _digest_rows(rows, table, Sql("0"))))[:2]

    @contextmanager
    def fingerprinting(self, rows: Sql, table: Table, other: Sql) -> Iterator[Future[tuple[int, str, int]]]:
        """Computes ``fingerprint`` meanwhile in a transaction of its own, because COPY leaves processors idle.

        That transaction may see other rows than this one. So it also gives the sum of another row hash, to compare.
        """
        statement = _digest_rows(rows, table, other)
        if self.uncommitted:
            alone: Future[tuple[int, str, int]] = Future()
            yield alone
            alone.set_result(_fingerprint(_row(self.cursor, statement)))
            return
        with self.cursor.cursor() as cursor, ThreadPoolExecutor(1) as pool:
            yield pool.submit(lambda: _fingerprint(_row(cursor, statement)))

    def _copy(self, rows: Sql, path: Path, fields: Sequence[FieldId], of: Sequence[Column]) -> int:
        statement = render.render(
            "files.write",
            rows=rows,
            path=render.literal(str(path)),
            field_ids=field_ids_of_copy(fields),
            version=Sql("v1" if config.readers(self.store.folder.parent) else "v2"),
            options=dictionary_options(any(map(has_floats, of))),
        )
        try:
            return int(_row(self.cursor, statement)[0])
        except duckdb.IOException as error:
            if path.name not in str(error):
                raise
            raise EpochStorageError(
                f"cannot write to {self.store.folder}: {_reason(error)}",
                "free space or make the folder writable, then try again",
                path=str(self.store.folder),
            ) from error


def _named(rows: Sql, table: Table) -> Sql:
    outputs = [aliased(render.column(f"c{c.id}"), c.name) for c in table.stored_columns]
    return render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS state"), outputs=outputs, rows=rows)


def _row(cursor: duckdb.DuckDBPyConnection, statement: str) -> tuple[Any, ...]:
    row = cursor.execute(statement).fetchone()
    assert row is not None
    return row


def _digest_rows(rows: Sql, table: Table, other: Sql) -> Sql:
    digest = row_digest(columns("c", table.stored_columns))
    return render.render("files.digest_rows", digest=digest, other=other, rows=rows)


def _fingerprint(digested: tuple[int, ...]) -> tuple[int, str, int]:
    count, lower, upper, other = digested
    return count, shift_fingerprint(EMPTY_FINGERPRINT, 0, lower + (upper << 64)), other


def _reason(error: duckdb.IOException) -> str:
    """The error of the operating system, or else the first line of DuckDB's."""
    text = str(error)
    reasons = (
        os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
    )
    return next((reason for reason in reasons if reason in text), text.splitlines()[0])


def _ordering(prefix: str, key: Sequence[Column]) -> list[render.Sql]:
    """The sort order of rows. Floats are not sorted as such, because DuckDB 1.x would lose the sign of -0.0."""
    found: list[render.Sql] = []
    for column, value in zip(key, columns(prefix, key), strict=True):
        text = "{{v}}"
        if has_floats(column):
            plain = column.type in ("FLOAT", "DOUBLE")
            text = "({{v}} + 0)" if plain else "create_sort_key({{v}}, 'ASC NULLS LAST')"
        found.append(render.fill(Sql(text), v=value))
    return found


def dictionary_options(floats: bool) -> Sql:
    """Options of COPY, for rows with or without ``floats``. DuckDB 1.x loses the sign of -0.0 in dictionary pages."""
    return Sql(", DICTIONARY_SIZE_LIMIT 0" if floats and duckdb.__version__.startswith("1.") else "")


def base_level(files: tuple[DataFile, ...]) -> Level:
    """A base level of these files."""
    level_id = level_identity("base", tuple(file.file_id for file in files), None, None)
    return Level(level_id, "base", files, RowCounts())


def delta_level(
    written: WrittenDelta | None, from_version: str | None, to_version: str, fingerprint: str, schema_id: str
) -> Level:
    """The delta between two versions. It has no file if only the definition differs."""
    files = (written.file,) if written else ()
    level_id = delta_identity(files, from_version, fingerprint, schema_id)
    return Level(level_id, "delta", files, written.rows if written else RowCounts(), from_version, to_version)


def delta_identity(files: tuple[DataFile, ...], from_version: str | None, fingerprint: str, schema_id: str) -> str:
    """The id of a delta that leads from a version to a content."""
    return level_identity("delta", tuple(file.file_id for file in files), from_version, f"{schema_id}:{fingerprint}")


def row_digest(values: Sequence[render.Fragment]) -> Sql:
    """A 128-bit hash of a row: the MD5 of DuckDB's canonical binary form of its storage values.

    The form is injective and the same in all DuckDB versions. It treats -0.0 as 0.0, and all NaN as equal.
    """
    return render.fill(Sql("md5_number({{form}})"), form=sort_key(values))


def delta_digest(rows: Sql, shape: Shape, old: Table, new: Table) -> Sql:
    """The query that gives the counts (added, modified, removed) of a delta, the sums of its row hashes, and the least
    and the greatest key.

    The sums are of the lower and the upper 64 bits, first of removed rows, then of added rows.
    """

    def digest(prefix: str, table: Table) -> Sql:
        keys = {column.id for column in shape.key}
        return row_digest([render.column(f"{'k' if c.id in keys else prefix}{c.id}") for c in table.stored_columns])

    counts, kinds = count_terms(shape)
    return render.render(
        "files.digest_delta",
        rows=rows,
        old_digest=digest("o", old),
        new_digest=digest("n", new),
        bounds=key_bounds(columns("k", delta_key(new, old))),
        **counts,
        **kinds,
    )


def count_terms(shape: Shape) -> tuple[dict[str, Sql], dict[str, Sql]]:
    """The copies of a row before and after a delta (``old_count``, ``new_count``), and the counts that it adds,
    modifies and removes."""
    if shape.keyless:
        counts = {"old_count": Sql("o0"), "new_count": Sql("n0")}
        grown, shrunk = "greatest(new_count - old_count, 0)", "greatest(old_count - new_count, 0)"
        return counts, {"added": Sql(grown), "modified": Sql("0"), "removed": Sql(shrunk)}
    counts = {
        "old_count": Sql("CAST(op <> 'added' AS BIGINT)"),
        "new_count": Sql("CAST(op <> 'removed' AS BIGINT)"),
    }
    return counts, {kind: Sql(f"CAST(op = '{kind}' AS BIGINT)") for kind in ("added", "modified", "removed")}
