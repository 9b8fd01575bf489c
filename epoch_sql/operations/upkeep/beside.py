"""Other databases in the folder of a database. Copies share its files, so gc must know what they need."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb

from epoch_sql.errors import EpochRepositoryError, Suggestion

_MAGIC, _AT = b"DUCK", 8
_IS_REPOSITORY = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'epoch' AND table_name = 'files'"


@contextmanager
def files_needed_beside(database: Path) -> Iterator[Set[str]]:
    """The files that other databases in the folder name. Holds these databases open, so that none commits meanwhile.

    Raises EpochRepositoryError for one that cannot be read, because its files are unknown then.
    """
    needed: set[str] = set()
    with ExitStack() as opened:
        for path in sorted(database.parent.iterdir()):
            if path != database and not path.is_symlink() and _is_database(path):
                needed |= _files(path, opened)
        yield needed


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(_AT + len(_MAGIC))[_AT:] == _MAGIC


def _files(path: Path, opened: ExitStack) -> set[str]:
    try:
        other = opened.enter_context(
            duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"})
        )
        if not other.execute(_IS_REPOSITORY).fetchone():
            return set()
        return {row[0] for row in other.execute("SELECT file_id FROM epoch.files").fetchall()}
    except duckdb.Error as error:
        raise EpochRepositoryError(
            f"{path} beside the database may need the same files, and cannot be read now; nothing was removed",
            ("close what has it open, or move it to a folder of its own, then ", Suggestion("gc")),
            database=str(path),
        ) from error
