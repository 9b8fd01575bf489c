"""A repository for operations: catalog and files on one cursor, resolved references, and transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import duckdb

from epoch_sql import config, render
from epoch_sql.advice import Suggestion, did_you_mean
from epoch_sql.catalog.content import Trees
from epoch_sql.catalog.history import Audit, Commits, Reflog, Refs, State
from epoch_sql.catalog.local import Withheld
from epoch_sql.catalog.lookup import CatalogDescriptions, Lookup
from epoch_sql.catalog.relation import (
    CATALOG_VERSION,
    Mark,
    RowCache,
    Written,
    found_catalog,
    run,
)
from epoch_sql.errors import (
    EpochReferenceError,
    EpochRefused,
    EpochRepositoryError,
    EpochStorageError,
    EpochTransactionError,
    EpochTrustError,
    ReferenceNotFound,
    RepositoryNotFound,
    TableNotFound,
)
from epoch_sql.model.commit import Commit, Head, Ref, Tree
from epoch_sql.model.graph import CommitGraph, Undo
from epoch_sql.model.names import check_identity, suggest
from epoch_sql.model.revisions import resolve
from epoch_sql.model.schema import SchemaObject, Table, definition_id
from epoch_sql.progress import Progress
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.promised import no_working_tables, promised_objects
from epoch_sql.storage.writing import LevelWriter, ObjectStore
from epoch_sql.worktree.rows import Seen, Working
from epoch_sql.worktree.scan import Scanner

WORKING = "WORKING"


@dataclass(frozen=True)
class Opened:
    """An open database: its name in SQL, its file (None: in memory), and whether it is read-only."""

    name: str
    path: str | None
    read_only: bool


@dataclass
class Memory:
    """What a process caches of one database between operations: rows that never change, and the commit graph.

    ``own_macros`` are Epoch's macros, and ``acting`` those of them that change something.

    ``written`` is the state of the catalog that ``rows`` and ``graph`` belong to. After gc or compaction, by any
    connection, thread or process, it differs, and the next operation clears the caches. The graph only grows, except by
    gc. ``last_commit``, which has ``last_sequence``, shows whether it is still the same.

    ``publishing`` is held while files are written that no commit needs, and while gc removes such files. ``records``
    are the records of worktrees that were taken in, by their paths, and ``namesakes`` the warnings that stay.
    ``beside`` opens another database as a repository.
    """

    own_macros: frozenset[str] = frozenset()
    acting: frozenset[str] = frozenset()
    opened: Opened | None = None
    rows: RowCache = field(default_factory=RowCache)
    written: Written | None = None
    graph: CommitGraph = field(default_factory=CommitGraph)
    last_sequence: int = 0
    last_commit: str | None = None
    repository_id: str | None = None
    lock: Lock = field(default_factory=Lock)
    publishing: Lock = field(default_factory=Lock)
    records: dict[str, bytes] = field(default_factory=dict)
    namesakes: dict[str, list[str]] = field(default_factory=dict)
    beside: Callable[[Path], AbstractContextManager[Call]] | None = None


class Call:
    """The repository of the database that a cursor is on.

    ``folder`` is the repository's own, and ``shared`` that of the main worktree, where objects and history are shared.
    ``has_worktrees`` says whether there is, or ever was, a worktree besides this one.
    Raises EpochRepositoryError if the database is in memory, has no repository, or has one of a newer version.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        memory: Memory,
        create: bool = False,
        author: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.cursor = cursor
        self.memory = memory
        self.progress = progress or Progress()
        self.seen: Seen = {}
        self._author = author
        opened = memory.opened or open_database(cursor)
        if not opened.path:
            raise EpochRepositoryError(
                "an in-memory database cannot be versioned",
                "connect to a file: epoch_sql.connect('shop.duckdb'), or ATTACH one that has a repository",
            )
        self.catalog, self.database, self.read_only = opened.name, Path(opened.path).resolve(), opened.read_only
        self.folder = config.repository_folder(self.database)
        self.link = config.link_of(self.folder)
        self.shared = config.repository_folder(self.link.main) if self.link else self.folder
        self.has_worktrees = self.link is not None or (self.shared / "exchange").is_dir()
        self.exists = self._check_version()
        objects = self.shared / "objects"
        self.store = promised_objects(cursor, objects, self.promisor) if self.promisor else ObjectStore(objects)
        if not create and not self.exists:
            message = f"{self.database} has no Epoch repository"
            raise RepositoryNotFound(message, Suggestion("init"), database=str(self.database))
        memory.rows.trim()
        descriptions = CatalogDescriptions(cursor, self.store, memory.rows, self.read_only)
        self.contents = Contents(descriptions, self.store, memory.rows)
        self.scanner = Scanner(cursor, self.contents, memory.own_macros)
        self.writer = LevelWriter(cursor, self.store)
        self.commits = Commits(cursor, memory.rows)
        self.refs = Refs(cursor)
        self.state = State(cursor)
        self.trees = Trees(cursor, memory.rows, self.read_only)
        self._warnings: list[str] = []
        self._rows_before: Mark = {}

    def warn(self, *warnings: str) -> None:
        """Add to what the verb did otherwise or left out."""
        self._warnings += warnings

    @property
    def warnings(self) -> Sequence[str]:
        """All warnings so far. ``extension.performing`` gives them to the caller, with the result of the verb."""
        return tuple(self._warnings)

    def head(self) -> Head:
        """The branch and the commit that are checked out. Of a bare clone, no branch, and the commit of its HEAD."""
        head = self.state.head()
        return Head(None, head.commit_id) if self.promisor else head

    def commit(self, reference: str) -> Commit:
        """The commit that a reference names."""
        return self.commits.get(self.resolve(reference))

    def tree(self, commit_id: str) -> Tree:
        """The tree of a commit."""
        return self.trees.load(self.commits.get(commit_id).root_id)

    def scan(
        self, tree: Tree, read_rows: bool = True, unkeyed: bool = False, macros: bool = True, changed: bool = False
    ) -> Working:
        """The working database against a tree; see ``Scanner.scan``. Raises EpochRepositoryError in a bare clone."""
        self.require_working_tables()
        return self.scanner.scan(tree, self.seen, read_rows, unkeyed, macros, changed)

    def resolve(self, reference: str) -> str:
        """The id of the commit that a reference names. Raises EpochReferenceError if there is none, or more than
        one."""
        try:
            commit_id = resolve(reference, Lookup(self.head, self.refs, self.commits, Reflog(self.cursor)))
            if "@{" in reference and not self.commits.load([commit_id]):
                raise KeyError(commit_id)
        except KeyError as gone:
            raise EpochReferenceError(
                f"{reference} leads to commit {gone.args[0][:7]}, which gc has removed",
                Suggestion("reflog"),
                name=reference,
            ) from gone
        return commit_id

    def graph(self) -> CommitGraph:
        """The commit graph, brought up to date."""
        memory = self.memory
        with memory.lock:
            asked = run(self.cursor, render.load("commits.last_of_graph"), [memory.last_sequence])
            [(repository_id, last_commit, newest)] = asked.fetchall()
            if (memory.repository_id, memory.last_commit) != (repository_id, last_commit):
                memory.graph, memory.last_sequence, memory.last_commit = CommitGraph(), 0, None
                memory.repository_id = repository_id
            if memory.last_sequence == newest:
                return memory.graph
            for sequence, commit_id, parents, at, reverts, *undo in self.commits.edges(memory.last_sequence):
                undoes, redoes, restores = undo
                memory.graph.add(commit_id, parents or (), at, Undo(tuple(undoes), tuple(redoes), restores), reverts)
                memory.last_sequence, memory.last_commit = sequence, commit_id
            return memory.graph

    def elsewhere(self, branch: str) -> str | None:
        """The branch, if it is not the checked-out one: calls about its merge have to name it then."""
        return branch if branch != self.head().branch else None

    def forget(self) -> None:
        """Clear the caches, because rows may have been removed."""
        self.memory.rows.forget()
        self._forget_graph()

    def _forget_graph(self) -> None:
        memory = self.memory
        with memory.lock:
            memory.graph, memory.last_sequence, memory.last_commit = CommitGraph(), 0, None

    def author(self, stated: str | None = None) -> str:
        """The author: as stated, or else from the environment and the configuration. Raises EpochReferenceError for
        an invalid name."""
        who = stated or self.identity()[0]
        check_identity(who)
        return who

    def identity(self) -> tuple[str, config.Origin]:
        """The author of the next commit where none is stated, and where that comes from."""
        return (self._author, "connection") if self._author else config.default_author(self.folder)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One database transaction: all of it or nothing.

        A conflict with another writer raises EpochTransactionError, which says to try again.
        """
        self.keep_cached()
        graph = self.memory.last_commit
        self.cursor.execute("BEGIN TRANSACTION")
        try:
            yield
            self.cursor.execute("COMMIT")
        except duckdb.TransactionException as error:
            self._roll_back(graph)
            reason = str(error).splitlines()[0]
            if "Could not write" in reason or "Could not sync" in reason:
                raise EpochStorageError(f"{reason}; nothing was changed", "free space, then retry") from error
            if "Could not commit creation of dependency" in reason:
                raise EpochTransactionError(
                    f"DuckDB 1.4 cannot make a table and its sequence or type again that it has dropped ({reason})",
                    "close the database, open it again, then retry",
                ) from error
            raise EpochTransactionError.by_another_writer(reason) from error
        except BaseException:
            self._roll_back(graph)
            raise

    @contextmanager
    def trying(self) -> Iterator[None]:
        """A transaction that changes nothing: it is always rolled back."""
        self.keep_cached()
        graph = self.memory.last_commit
        self.cursor.execute("BEGIN TRANSACTION")
        try:
            yield
        finally:
            self._roll_back(graph)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """A transaction in which references move. Two at once conflict, and prepared statements bind again."""
        try:
            with self.transaction():
                self.state.moved()
                yield
        except EpochRefused as refused:
            with self.transaction():
                self._audit(refused)
            raise

    def _audit(self, refused: EpochRefused) -> None:
        """Record a refusal in the audit, although everything else was rolled back."""
        audit = Audit(self.cursor)
        audit.record(now(), self.author(), "refuse", refused.branch, refused.commit_id, refused.message)

    def keep_cached(self) -> None:
        """State that the transaction has stored nothing yet, so that a rollback keeps the cached rows."""
        self._rows_before = self.memory.rows.mark()

    def _roll_back(self, last_commit: str | None) -> None:
        """Roll back, and drop cached rows that may belong to this transaction."""
        self.memory.rows.back_to(self._rows_before)
        if self.memory.last_commit != last_commit:
            self._forget_graph()
        try:
            self.cursor.execute("ROLLBACK")
        except duckdb.TransactionException as error:
            if "no transaction is active" not in str(error):
                raise

    def require_working_tables(self) -> None:
        """Raises EpochRepositoryError in a bare clone, which has none."""
        if self.promisor:
            raise no_working_tables(self.database.name)

    def _check_version(self) -> bool:
        """Whether there is a catalog.

        Raises EpochRepositoryError if a newer Epoch made it, or if strings are not compared by their bytes, because
        then changes would go unnoticed.
        """
        found = found_catalog(self.cursor)
        self.promisor = found.promisor
        version, collation = found.version, found.collation
        if collation.lower() not in ("", "binary"):
            raise EpochRepositoryError(
                f"default_collation is {collation}, under which strings that differ are equal",
                "RESET default_collation",
                database=str(self.database),
            )
        if version is None:
            return False
        if version > CATALOG_VERSION:
            raise EpochRepositoryError(
                f"the repository of {self.database} was written by a newer Epoch "
                f"(catalog version {version}, this one knows {CATALOG_VERSION})",
                "pip install --upgrade epoch-sql",
                database=str(self.database),
            )
        if self.memory.written != found.written:
            self.forget()
            self.memory.written = found.written
        return True


def open_database(cursor: duckdb.DuckDBPyConnection) -> Opened:
    """The database of a new cursor: always the one that the connection opened, whatever else is attached."""
    [row] = cursor.execute(render.load("extension.database")).fetchall()
    return Opened(*row)


def now() -> datetime:
    """The present time in UTC, without a time zone, as the catalog stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


def new_ref(kind: str, name: str, commit_id: str, message: str | None = None, author: str | None = None) -> Ref:
    """A reference that is created or moved now."""
    return Ref(kind, name, commit_id, author, now(), message)


def no_table(name: str, others: Sequence[str], where: str) -> TableNotFound:
    """The error for a table that does not exist."""
    near = suggest(name, others)
    advice = did_you_mean(near) or Suggestion("tables")
    return TableNotFound(f"there is no table {name} in {where}", advice, table=name, suggestions=tuple(near))


def existing(refs: Refs, kind: str, name: str) -> Ref:
    """The branch or tag of that name. Raises EpochReferenceError with suggestions if there is none."""
    ref = refs.get(kind, name)
    if ref is None:
        near = suggest(name, refs.all(kind))
        listing = Suggestion("tags" if kind == "tag" else "branches")
        advice = did_you_mean(near) or listing
        raise ReferenceNotFound(f"there is no {kind} {name}", advice, name=name, suggestions=tuple(near))
    return ref


def require_trusted(call: Call, *definitions: Table | SchemaObject) -> None:
    """Raises Raises EpochTrustError for a definition that is kept as data."""
    found = _withheld(call, definitions)
    if found:
        raise EpochTrustError(
            f"{found} came from {found.remote}, which is not trusted, so it is not run",
            Suggestion("remote_trust", found.remote),
            remote=found.remote,
        )


def is_trusted(call: Call, *definitions: Table | SchemaObject) -> bool:
    """Whether no definition is kept as data, so that all of them may be computed."""
    return _withheld(call, definitions) is None


def _withheld(call: Call, definitions: Iterable[Table | SchemaObject]) -> Withheld | None:
    held = call.scanner.trust.held()
    return next((held[i] for i in map(definition_id, definitions) if i in held), None) if held else None


def warn_of_withheld(call: Call, withheld: Iterable[Withheld]) -> None:
    """Warn of received definitions that are kept as data."""
    found = sorted(withheld, key=str)
    call.warn(*(f"{one} is kept as data and not made, since {one.remote} is not trusted" for one in found))
    remotes = dict.fromkeys(one.remote for one in found)
    call.warn(*(f"trust remote {name} to make what came from it" for name in remotes))
