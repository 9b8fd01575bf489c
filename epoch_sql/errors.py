"""The errors that Epoch raises, by their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

from epoch_sql.failure import EpochError as EpochError


@dataclass(eq=False, repr=False)
class EpochArgumentError(EpochError):
    """An argument that is missing, or of the wrong kind."""

    _: KW_ONLY
    function: str
    parameter: str


class EpochWarning(UserWarning):
    """Something that a function of ``epoch_sql`` left out or did otherwise; verbs return their warnings."""


class EpochDatabaseError(EpochError):
    """DuckDB refused a statement; the message is DuckDB's."""


@dataclass(eq=False, repr=False)
class EpochLockedError(EpochDatabaseError):
    """The database file is open in another program: its file, its process, and the command that started it."""

    _: KW_ONLY
    program: str
    process: int
    command: str


@dataclass(eq=False, repr=False)
class EpochRepositoryError(EpochError):
    """No repository, one that cannot be opened, or one of a newer version."""

    _: KW_ONLY
    database: str | None = None


class RepositoryNotFound(EpochRepositoryError):
    """No repository, or no database."""


class EpochReadOnlyError(EpochRepositoryError):
    """A change of a database that is open to read only."""


@dataclass(eq=False, repr=False)
class EpochConfigError(EpochError):
    """A setting or a configuration file cannot be read or written."""

    _: KW_ONLY
    key: str | None = None
    file: str | None = None


@dataclass(eq=False, repr=False)
class EpochReferenceError(EpochError):
    """A name that is no valid reference, is unknown, ambiguous, or taken."""

    _: KW_ONLY
    name: str | None = None


@dataclass(eq=False, repr=False)
class ReferenceNotFound(EpochReferenceError):
    """No branch, tag, commit or other reference of that name; ``suggestions`` are names that are near."""

    _: KW_ONLY
    suggestions: tuple[str, ...] = ()


@dataclass(eq=False, repr=False)
class ReferenceAmbiguous(EpochReferenceError):
    """A name of several things; ``meanings`` are names that each say which."""

    _: KW_ONLY
    meanings: tuple[str, ...] = ()


@dataclass(eq=False, repr=False)
class ReferenceMoved(EpochReferenceError):
    """A reference that is no longer at the commit that was expected: that commit, and the one that it is at."""

    _: KW_ONLY
    expected: str
    commit_id: str


class ReferenceExists(EpochReferenceError):
    """A name that is taken."""


@dataclass(eq=False, repr=False)
class InvalidName(EpochReferenceError):
    """A name that breaks the rules; ``nearest`` is one that does not."""

    _: KW_ONLY
    nearest: str | None = None


@dataclass(eq=False, repr=False)
class EpochTableError(EpochError):
    """A table, key or column that does not exist or cannot be versioned."""

    _: KW_ONLY
    table: str | None = None
    column: str | None = None


@dataclass(eq=False, repr=False)
class TableNotFound(EpochTableError):
    """No table of that name; ``suggestions`` are names that are near."""

    _: KW_ONLY
    suggestions: tuple[str, ...] = ()


@dataclass(eq=False, repr=False)
class ColumnNotFound(EpochTableError):
    """No column of that name; ``suggestions`` are names that are near."""

    _: KW_ONLY
    suggestions: tuple[str, ...] = ()


class KeyBroken(EpochTableError):
    """A key that is NULL or repeated in some rows."""


@dataclass(eq=False, repr=False)
class UnsupportedType(EpochTableError):
    """A type whose values cannot be stored exactly; ``part`` is the part of it that is refused."""

    _: KW_ONLY
    type: str
    part: str

    @classmethod
    def of(cls, type: str, part: str) -> UnsupportedType:
        """The error for a type, wherever it is found."""
        within = "" if part == type else f" (inside {' '.join(type.split())})"
        return cls(f"Epoch cannot store values of type {' '.join(part.split())}{within} exactly", type=type, part=part)


@dataclass(eq=False, repr=False)
class EpochFileError(EpochError):
    """A file that cannot be read into a table, or cannot hold one: the file, and the line (or row) and the column of a
    value that does not fit."""

    _: KW_ONLY
    file: str | None = None
    line: int | None = None
    row: int | None = None
    column: str | None = None


class EpochNothingToCommit(EpochError):
    """A commit without a change."""


@dataclass(eq=False, repr=False)
class EpochDirtyError(EpochError):
    """Uncommitted changes that the operation would lose."""

    _: KW_ONLY
    tables: tuple[str, ...]


@dataclass(eq=False, repr=False)
class EpochTransactionError(EpochError):
    """The connection has uncommitted changes, or another writer was faster: retry.

    ``pending`` is what the caller's transaction sees otherwise than it is committed, if it is for that. ``overtaken``
    says that another writer was faster, so that the same may work now.
    """

    _: KW_ONLY
    pending: str | None = None
    overtaken: bool = False

    @classmethod
    def by_another_writer(cls, reason: str) -> EpochTransactionError:
        """The error for a transaction that conflicts with another one, which was faster."""
        return cls(f"another writer was faster ({reason}); nothing was changed", "retry", overtaken=True)

    @classmethod
    def uncommitted(cls, what: str, aborted: bool = False) -> EpochTransactionError:
        """The error for a caller that sees something otherwise than it is committed.

        ``aborted`` says that DuckDB aborts the caller's transaction for an error.
        """
        seen = f"a transaction with uncommitted changes is open: {what} does not look the same inside it"
        again = "then retry; or just retry, if another connection was writing"
        if aborted:
            seen += "; DuckDB has aborted it, so that COMMIT saves nothing"
            return cls(seen, f"ROLLBACK, run its statements again, COMMIT, {again}", pending=what)
        return cls(seen, f"COMMIT or ROLLBACK it, {again}", pending=what)


@dataclass(eq=False, repr=False)
class EpochRelationError(EpochError):
    """A function that acts, within a relation, which would run it again whenever somebody reads the relation."""

    _: KW_ONLY
    function: str

    @classmethod
    def of(cls, function: str) -> EpochRelationError:
        """The error for a function that a relation would call."""
        return cls(
            f"{function} would act again whenever this relation is read",
            f"write CALL {function}(...), or execute(...) instead of sql(...)",
            function=function,
        )


@dataclass(eq=False, repr=False)
class EpochStorageError(EpochError):
    """A file that is missing, corrupted or cannot be written."""

    _: KW_ONLY
    path: str | None = None


@dataclass(eq=False, repr=False)
class EpochMergeError(EpochError):
    """A merge that cannot be started, continued or aborted: one is in progress already, or none is."""

    _: KW_ONLY
    target: str | None = None


class EpochConflict(EpochError):
    """A merge or a stash that stopped on conflicts or violations."""

    exit_code = 3


@dataclass(eq=False, repr=False)
class MergeConflict(EpochConflict):
    """A merge of ``source`` into ``target`` that is in progress: how many conflicts and violations are open.

    ``verb`` is merge, revert or cherry-pick. ``tables`` has the number of conflicts of each table that has any.
    """

    _: KW_ONLY
    verb: str
    source: str
    target: str
    conflicts: int
    violations: int
    tables: Mapping[str, int]


@dataclass(eq=False, repr=False)
class StashConflict(EpochConflict):
    """A stash that clashes with what was committed since."""

    _: KW_ONLY
    stash_id: str
    tables: tuple[str, ...]


@dataclass(eq=False, repr=False)
class EpochRefused(EpochError):
    """Refused by protection, review or a failed check; ``branch`` and ``commit_id`` say what, for the audit."""

    _: KW_ONLY
    branch: str | None = None
    commit_id: str | None = None
    exit_code = 4


class EpochProtectionError(EpochRefused):
    """Refused because a branch is protected, or because a review is missing."""


@dataclass(eq=False, repr=False)
class Protected(EpochProtectionError):
    """What a protected branch does not take.

    ``needs`` says what would do: ``review`` (an approval), ``merge`` (changes that come by a merge), ``sides`` (no
    values that neither side has), ``growth`` (a move that drops no commit), ``fresh`` (no stale table) or
    ``unprotect``.
    """

    _: KW_ONLY
    needs: str


@dataclass(eq=False, repr=False)
class StaleTables(Protected):
    """A merge that would leave derived ``tables`` stale: they ``need`` to be ``fresh``."""

    _: KW_ONLY
    tables: tuple[str, ...]


@dataclass(eq=False, repr=False)
class EpochCheckError(EpochRefused):
    """Refused because checks failed; ``checks`` are their names."""

    _: KW_ONLY
    checks: tuple[str, ...]


@dataclass(eq=False, repr=False)
class EpochRemoteRefused(EpochRefused):
    """A push that the remote's own protection refuses."""

    _: KW_ONLY
    remote: str
    needs: str


@dataclass(eq=False, repr=False)
class EpochCheckQueryError(EpochError):
    """A check whose SQL is not one query that only reads."""

    _: KW_ONLY
    check: str | None = None


@dataclass(eq=False, repr=False)
class EpochCheckNameError(EpochError):
    """A check of that name exists, or none does."""

    _: KW_ONLY
    name: str
    suggestions: tuple[str, ...] = ()


@dataclass(eq=False, repr=False)
class EpochRemoteError(EpochError):
    """A remote that is unknown, does not answer, refuses the credentials, or is the store of another repository."""

    _: KW_ONLY
    remote: str | None = None


@dataclass(eq=False, repr=False)
class RemoteNotFound(EpochRemoteError):
    """No remote of that name; ``suggestions`` are names that are near."""

    _: KW_ONLY
    suggestions: tuple[str, ...] = ()


@dataclass(eq=False, repr=False)
class EpochEngineError(EpochError):
    """A task of another engine, such as Spark, that failed."""


@dataclass(eq=False, repr=False)
class EpochTrustError(EpochError):
    """Something that came from a remote which is not trusted, and would be run."""

    _: KW_ONLY
    remote: str


class EpochActsError(EpochError):
    """A query that should only read does more, or is not proved to read only."""


class EpochQueryError(EpochError):
    """A query that cannot be read at another state."""


class EpochOutputError(EpochError):
    """Standard output does not take what is written."""


class EpochNoTerminal(EpochError):
    """Questions without a terminal to ask them on."""

    exit_code = 2


class EpochDemoError(EpochError):
    """The demo's data or folder is missing."""
