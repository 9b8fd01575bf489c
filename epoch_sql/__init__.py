"""Epoch: Git-like versioning for the tables of a DuckDB database, in SQL and in Python.

In Python, ``open``, ``init`` and ``clone`` give a ``Repository``, whose methods are the verbs; what fails raises an
``EpochError``. For SQL, ``connect(path)`` opens a database with the functions installed, and ``install(con)`` puts
them on an open connection. There, what fails raises duckdb.Error with a text that starts with the kind of failure;
within ``raising(con)`` it raises that kind, a subclass of ``EpochError``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from epoch_sql.advice import Suggestion
    from epoch_sql.errors import (
        ColumnNotFound,
        EpochActsError,
        EpochArgumentError,
        EpochCheckError,
        EpochCheckNameError,
        EpochCheckQueryError,
        EpochConfigError,
        EpochConflict,
        EpochDatabaseError,
        EpochDemoError,
        EpochDirtyError,
        EpochEngineError,
        EpochError,
        EpochFileError,
        EpochLockedError,
        EpochMergeError,
        EpochNoTerminal,
        EpochNothingToCommit,
        EpochOutputError,
        EpochProtectionError,
        EpochQueryError,
        EpochReadOnlyError,
        EpochReferenceError,
        EpochRefused,
        EpochRelationError,
        EpochRemoteError,
        EpochRemoteRefused,
        EpochRepositoryError,
        EpochStorageError,
        EpochTableError,
        EpochTransactionError,
        EpochTrustError,
        EpochWarning,
        InvalidName,
        KeyBroken,
        MergeConflict,
        Protected,
        ReferenceAmbiguous,
        ReferenceExists,
        ReferenceMoved,
        ReferenceNotFound,
        RemoteNotFound,
        RepositoryNotFound,
        StaleTables,
        StashConflict,
        TableNotFound,
        UnsupportedType,
    )
    from epoch_sql.extension.install import connect, install, raising
    from epoch_sql.library import Repository, State, clone, init, open  # noqa: A004 - as gzip.open
    from epoch_sql.progress import Progress

__all__ = [
    "ColumnNotFound",
    "EpochActsError",
    "EpochArgumentError",
    "EpochCheckError",
    "EpochCheckNameError",
    "EpochCheckQueryError",
    "EpochConfigError",
    "EpochConflict",
    "EpochDatabaseError",
    "EpochDemoError",
    "EpochDirtyError",
    "EpochEngineError",
    "EpochError",
    "EpochFileError",
    "EpochLockedError",
    "EpochMergeError",
    "EpochNoTerminal",
    "EpochNothingToCommit",
    "EpochOutputError",
    "EpochProtectionError",
    "EpochQueryError",
    "EpochReadOnlyError",
    "EpochReferenceError",
    "EpochRefused",
    "EpochRelationError",
    "EpochRemoteError",
    "EpochRemoteRefused",
    "EpochRepositoryError",
    "EpochStorageError",
    "EpochTableError",
    "EpochTransactionError",
    "EpochTrustError",
    "EpochWarning",
    "InvalidName",
    "KeyBroken",
    "MergeConflict",
    "Progress",
    "Protected",
    "ReferenceAmbiguous",
    "ReferenceExists",
    "ReferenceMoved",
    "ReferenceNotFound",
    "RemoteNotFound",
    "Repository",
    "RepositoryNotFound",
    "StaleTables",
    "StashConflict",
    "State",
    "Suggestion",
    "TableNotFound",
    "UnsupportedType",
    "clone",
    "connect",
    "init",
    "install",
    "open",
    "raising",
]

_LIBRARY = {"Repository", "State", "clone", "init", "open"}


def __getattr__(name: str) -> Any:
    """Import DuckDB only when it is needed: ``epoch --version`` is faster without."""
    if name in __all__:
        where = dict.fromkeys(("connect", "install", "raising"), "extension.install") | {
            "Progress": "progress",
            "Suggestion": "advice",
        }
        home = where.get(name, "library" if name in _LIBRARY else "errors")
        return getattr(import_module(f"epoch_sql.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
