"""The errors that Epoch raises: one line that says what is wrong, and a hint with what to type next."""

from __future__ import annotations

from epoch_sql.characters import escaped


class EpochError(Exception):
    """A request that was refused or failed; nothing was changed.

    ``message`` is one line for people, ``hint`` the command to type next (or None), ``exit_code`` what the CLI exits
    with. ``str(error)`` is ``Kind: message (hint: …)``, the text that SQL users see.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        # Both may name what others named.
        self.message = escaped(message)
        self.hint = hint and escaped(hint)
        super().__init__(self.message)

    @property
    def kind(self) -> str:
        """The name that the error has in SQL: the class name."""
        return type(self).__name__

    def __str__(self) -> str:
        tail = f" (hint: {self.hint})" if self.hint else ""
        return f"{self.kind}: {self.message}{tail}"


class EpochRepositoryError(EpochError):
    """No repository, one that cannot be opened, or one of a newer version."""


class EpochReadOnlyError(EpochRepositoryError):
    """A change of a database that is open to read only."""


class EpochReferenceError(EpochError):
    """A name that is no valid reference, is unknown, ambiguous, or taken."""


class EpochTableError(EpochError):
    """A table, key or column that does not exist or cannot be versioned."""


class EpochNothingToCommit(EpochError):
    """A commit without a change."""


class EpochDirtyError(EpochError):
    """Uncommitted changes that the operation would lose."""


class EpochTransactionError(EpochError):
    """The connection has uncommitted changes, or another writer was faster: retry.

    ``pending`` is what the caller's transaction sees otherwise than it is committed, if it is for that. ``overtaken``
    says that another writer was faster, so that the same may work now.
    """

    pending: str | None = None
    overtaken: bool = False

    @classmethod
    def by_another_writer(cls, told: str) -> EpochTransactionError:
        """The error for a transaction that conflicts with another one, which was faster."""
        error = cls(f"another writer was faster ({told}); nothing was changed", "retry")
        error.overtaken = True
        return error

    @classmethod
    def uncommitted(cls, what: str, aborted: bool = False) -> EpochTransactionError:
        """The error for a caller that sees something otherwise than it is committed.

        ``aborted`` says that DuckDB aborts the caller's transaction for an error.
        """
        seen = f"a transaction with uncommitted changes is open: {what} does not look the same inside it"
        again = "then retry; or just retry, if another connection was writing"
        if aborted:
            seen += "; DuckDB has aborted it, so that COMMIT saves nothing"
            error = cls(seen, f"ROLLBACK, run its statements again, COMMIT, {again}")
        else:
            error = cls(seen, f"COMMIT or ROLLBACK it, {again}")
        error.pending = what
        return error


class EpochStorageError(EpochError):
    """A file that is missing, corrupted or cannot be written."""


class EpochMergeError(EpochError):
    """A merge that cannot be started, continued or aborted: one is in progress already, or none is."""


class EpochConflict(EpochError):
    """A merge that stopped on conflicts or violations."""

    exit_code = 3


class EpochRefused(EpochError):
    """Refused by protection, review or a failed check; ``ref`` and ``commit_id`` say what, for the audit."""

    exit_code = 4

    def __init__(
        self, message: str, hint: str | None = None, ref: str | None = None, commit_id: str | None = None
    ) -> None:
        self.ref = ref
        self.commit_id = commit_id
        super().__init__(message, hint)


class EpochProtectionError(EpochRefused):
    """Refused because a branch is protected, or because a review is missing."""


class EpochCheckError(EpochRefused):
    """Refused because a check failed."""


class EpochRemoteError(EpochError):
    """A remote that is unknown, does not answer, refuses the credentials, or is the store of another repository."""


class EpochRemoteRefused(EpochRefused):
    """A push that the remote's own protection refuses."""
