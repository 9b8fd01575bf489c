"""Writes a published file beside its place, and puts it there with one rename: readers have the old file or the new
one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochArgumentError, EpochError, EpochStorageError
from epoch_sql.publish.at import DATABASE
from epoch_sql.publish.surface import ABOUT, Made, Surface
from epoch_sql.storage.asides import aside_of, remove_aside
from epoch_sql.storage.writing import sync_folder

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "python_enable_replacements": False,
}
_BROKEN = (duckdb.IOException, duckdb.FatalException, duckdb.OutOfMemoryException, duckdb.TransactionException)
"""Errors of the disk or the memory, but for what ``_is_of_disk`` tells apart. All others refuse a statement."""


@contextmanager
def written(
    path: Path, surface: Surface, version: str, folder: Path | None = None
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A new file beside ``path`` that holds a surface, and what DuckDB refused to create, with the reason.

    Removes the file afterwards if it is still there. ``folder`` is that of the repository that it is noted in. Raises
    EpochStorageError if it cannot be written.
    """
    with aside_of(path, folder) as aside:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            left_out = _create(aside, surface.made, version)
            _sync(aside)
        yield aside, left_out


def create_database(path: Path, version: str) -> None:
    """Create an empty database that DuckDB of that version reads. It stays so whoever writes to it."""
    with _attached(path, version):
        pass


def put(aside: Path, path: Path) -> None:
    """Put a written file in its place."""
    with _told(path):
        with suppress(FileNotFoundError):
            shutil.copymode(path, aside)
        aside.replace(path)
        sync_folder(path.parent)


def state_of(path: Path) -> tuple[int, int] | None:
    """The size of a file and its time of change, which together recognise it. None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def require_replaceable(path: Path) -> None:
    """Raises EpochStorageError for a file that Epoch did not publish."""
    statement = "SELECT 1 FROM duckdb_functions() WHERE function_name = ? AND schema_name = 'main' AND NOT internal"
    try:
        with duckdb.connect(str(path), read_only=True, config=_SETTINGS | {"enable_external_access": False}) as file:
            if file.execute(statement, [ABOUT]).fetchone():
                return
    except duckdb.Error:
        # It is a file of another kind, or another program writes to it.
        pass
    raise EpochStorageError(
        f"{path} exists, and Epoch did not publish it: nothing was written",
        "move it away, or choose another folder",
        path=str(path),
    )


def _create(aside: Path, made: tuple[Made, ...], version: str) -> tuple[str, ...]:
    """Create a file, in one transaction, or if DuckDB refuses something, one statement after the other."""
    try:
        with _attached(aside, version) as file:
            file.execute("BEGIN TRANSACTION")
            for one in made:
                for statement in one.statements:
                    file.execute(statement)
            file.execute("COMMIT")
        return ()
    except duckdb.Error as error:
        if _is_of_disk(error):
            raise
        remove_aside(aside)
    left_out: list[str] = []
    with _attached(aside, version) as file:
        for one in made:
            try:
                for statement in one.statements:
                    file.execute(statement)
            except duckdb.Error as error:
                if _is_of_disk(error):
                    raise
                left_out.append(f"{one.what}: {_first_line(error)}")
    return tuple(left_out)


@contextmanager
def _attached(aside: Path, version: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a new file as ``DATABASE``, which is complete on disk afterwards."""
    with duckdb.connect(config=_SETTINGS) as file:
        name = render.identifier(DATABASE)
        attach = "ATTACH {{path}} AS {{name}} (STORAGE_VERSION {{version}})"
        try:
            file.execute(
                render.fill(attach, path=render.literal(str(aside)), name=name, version=render.literal(version))
            )
        except duckdb.InvalidInputException as error:
            raise EpochArgumentError(
                f"DuckDB {duckdb.__version__} does not write storage version {version}",
                "v1.0.0, for example",
                function="publish",
                parameter="storage_version",
            ) from error
        file.execute(render.fill("USE {{name}}", name=name))
        yield file
        file.execute("USE memory")
        file.execute(render.fill("DETACH {{name}}", name=name))
    if _wal(aside).exists():
        raise duckdb.IOException("the file is not complete")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of the disk, in one line."""
    try:
        yield
    except EpochError:
        raise
    except (OSError, *_BROKEN) as error:
        raise EpochStorageError(
            f"cannot write {path}: {_reason(error)}; what was published there before is as it was",
            "free space, or make the folder writable, then publish again",
            path=str(path),
        ) from error


def _reason(error: OSError | duckdb.Error) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
    return next((os.strerror(code) for code in codes if os.strerror(code) in str(error)), _first_line(error))


def _is_of_disk(error: duckdb.Error) -> bool:
    """Whether DuckDB failed, instead of refusing a statement. It refuses what the storage version cannot hold when it
    commits."""
    return isinstance(error, _BROKEN) and "Cannot serialize" not in str(error)


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().splitlines()[0]


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")
