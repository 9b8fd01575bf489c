"""Commits on the driver: the versions that tasks wrote, with what guards the branch and what the table asks of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, existing, no_table
from epoch_sql.catalog.content import subtree_identity
from epoch_sql.errors import EpochNothingToCommit, EpochStorageError, EpochTableError
from epoch_sql.guard.moves import Move, move_branch, require_allowed
from epoch_sql.model.commit import (
    Level,
    Route,
    RowCounts,
    TableEntry,
    Tree,
    Version,
    shift_fingerprint,
    table_identity,
    version_identity,
)
from epoch_sql.model.names import name_meant, shown
from epoch_sql.model.remote import PortableCommit, content_of
from epoch_sql.model.schema import Table
from epoch_sql.proof.harmless import evident
from epoch_sql.remote.reference_proof import Trees, prove_constraints
from epoch_sql.remote.row_proof import RowProof, Stated
from epoch_sql.remote.row_steps import Edge, State
from epoch_sql.remote.sending import IDENTITY, KIND, local_trees, with_version
from epoch_sql.storage.writing import WrittenDelta, delta_level
from epoch_sql.verb import Procedure
from epoch_sql.verbs.committing import first_line, new_commit
from epoch_sql.versions.folding import fold, tree_id

_WHERE = "the data frame"


@dataclass(frozen=True)
class Committed:
    """A commit that was made of what the engine wrote: the branch, and how many rows it changes."""

    commit: str
    branch: str
    rows: RowCounts


@dataclass(frozen=True)
class Found:
    """A table at the tip of a branch."""

    tip: str
    entry: TableEntry
    table: Table
    levels: tuple[Level, ...]


def found(call: Call, branch: str, name: str) -> Found:
    """The table that a commit to a branch is for.

    Raises EpochProtectionError where the branch takes no commits, so that nothing is computed for one that it refuses.
    """
    tip = existing(call.refs, "branch", branch).commit_id
    require_allowed(call, Move(branch, Route.COMMIT, tip))
    at = read(call, tip, name, branch)
    _require_evident(call, tip, at.table)
    return at


def read(call: Call, tip: str, name: str, where: str) -> Found:
    """A table of a commit, which messages call ``where``."""
    entries = {entry.name: entry for entry in call.tree(tip).tables.values()}
    meant = name_meant(name, entries)
    if meant is None:
        raise no_table(name, [str(one) for one in entries], where)
    entry = entries[meant]
    return Found(tip, entry, call.contents.table(entry.version_id), tuple(call.contents.levels(entry.version_id)))


def require_new(call: Call, branch: str, table: Table) -> str:
    """The tip of a branch that a new table is for. Raises EpochTableError if there is one of that name."""
    tip = existing(call.refs, "branch", branch).commit_id
    require_allowed(call, Move(branch, Route.COMMIT, tip))
    tree = call.tree(tip)
    taken = {entry.name.folded for entry in tree.tables.values()}
    taken |= {one.name.folded for one in tree.objects if one.kind == "view"}
    name = str(table.name)
    if table.name.folded in taken:
        message = f"{name} exists already in {branch}"
        raise EpochTableError(message, "commit rows to it, or choose another name", table=name)
    schemas = {"main", *(one.name.name for one in tree.objects if one.kind == "schema")}
    if table.name.schema not in schemas:
        message = f"there is no schema {table.name.schema} in {branch} for table {name}"
        raise EpochTableError(message, "make the schema in a clone, and push it", table=name)
    return tip


def identity_of(call: Call, tip: str, table: Table) -> str:
    """The identity of a new table."""
    return table_identity(table.name, call.tree(tip).tables)


def _commit_delta(
    call: Call, at: Found, branch: str, written: WrittenDelta, message: str, author: str | None
) -> Committed:
    """Commits a delta to a branch. Raises EpochTableError for rows that break a constraint of the table."""
    table, contents = at.table, call.contents
    with call.moving():
        _require_tip(call, branch, at.tip)
        before = contents.version(at.entry.version_id)
        fingerprint = shift_fingerprint(before.fingerprint, written.minus, written.plus)
        count = before.row_count + written.rows.added - written.rows.removed
        pending = delta_level(written, before.version_id, "", fingerprint, table.digest)
        levels = fold(call, [*contents.levels(before.version_id), pending], table, fingerprint)
        level_ids = tuple(level.level_id for level in levels)
        version_id = version_identity(before.table_id, table.digest, fingerprint, level_ids)
        version = Version(version_id, before.table_id, table.digest, count, fingerprint, level_ids)
        fresh = [level for level in levels if level.to_version == ""]
        fresh += [pending] if pending not in levels else []
        contents.store_descriptions([table], [replace(level, to_version=version_id) for level in fresh], [version])
        _require_constraints(call, at, version, replace(pending, to_version=version_id))
        entry = replace(at.entry, version_id=version_id, stale=False)
        return _committed(call, branch, at.tip, entry, message, author, written.rows)


def _commit_table(
    call: Call, tip: str, branch: str, version: Version, table: Table, level: Level, message: str, author: str | None
) -> Committed:
    """Commits a new table to a branch."""
    with call.moving():
        _require_tip(call, branch, tip)
        require_new(call, branch, table)
        call.contents.store_descriptions([table], [level], [version])
        entry = TableEntry(version.table_id, table.name, version.version_id)
        return _committed(call, branch, tip, entry, message, author, RowCounts(added=version.row_count))


commit_delta = Procedure("commit_delta", _commit_delta, acts=True, looks="counts", needs="repository")
commit_table = Procedure("commit_table", _commit_table, acts=True, looks="counts", needs="repository")


def _require_tip(call: Call, branch: str, tip: str) -> None:
    assert existing(call.refs, "branch", branch).commit_id == tip, "a mirror moves by one writer"


def _committed(
    call: Call, branch: str, tip: str, entry: TableEntry, message: str, author: str | None, rows: RowCounts
) -> Committed:
    old = call.tree(tip)
    tree = Tree({**old.tables, entry.table_id: entry}, old.objects, old.derived)
    made_id = tree_id(call.contents, tree)
    if made_id == call.commits.get(tip).tree_id:
        raise EpochNothingToCommit(f"nothing to commit, {entry.name} has these rows in {branch}", Suggestion("log"))
    who = call.author(author)
    made = new_commit(made_id, call.trees.add(tree), (tip,), who, message)
    call.commits.add(made)
    move = Move(branch, Route.COMMIT, tip, made.commit_id)
    move_branch(call, move, f"commit: {first_line(message)}", who)
    return Committed(made.commit_id, branch, rows)


class _Proof(RowProof):
    """What is to be proved of rows that the engine wrote: one version, by the delta that leads to it."""

    made: State

    def states(self) -> list[State]:
        """The version that was made. The one before it is believed."""
        return [self.made]


def _require_evident(call: Call, tip: str, table: Table) -> None:
    """Raises EpochTableError for a constraint that only a database with the user's macros can check."""
    macros = frozenset(one.name.name.lower() for one in call.tree(tip).objects if one.kind == "macro")
    generated = [column.generated for column in table.columns if column.generated is not None]
    checks = [(f"CHECK ({one.expression})", one.expression) for one in table.constraints if one.kind == "CHECK"]
    unique = [(f"the unique index {one.name}", text) for one in table.indexes if one.unique for text in one.expressions]
    for words, expression in (*checks, *unique):
        if not evident(table, (expression or "", *generated), macros):
            raise EpochTableError(
                f"{shown(words, 200)} of table {table.name} calls what only a clone with working tables has",
                ("commit there: ", Suggestion("clone", "URL")),
                table=str(table.name),
            )


def _require_constraints(call: Call, at: Found, version: Version, level: Level) -> None:
    """NOT NULL and CHECK of the rows of a delta; UNIQUE and foreign keys of their values, by the whole tables."""
    before = call.contents.version(at.entry.version_id)
    contents = [content_of(one) for one in (before, version)]
    proof = _Proof(call, Stated(_WHERE, [], {}, {}), dict(zip(contents, (before, version), strict=True)))
    proof.made = proof.state(contents[1])
    proof.edges.append(Edge(proof.state(contents[0]), proof.made, level, _WHERE, True))
    parent = call.commits.get(at.tip)
    edge = local_trees(call.cursor, [parent.root_id])
    subtrees, received = [], {}
    for local_id in edge.roots[parent.root_id]:
        rows = edge.portable_rows(local_id)
        subtree_id = edge.portable[local_id]
        if any(row[KIND] == "table" and row[IDENTITY] == at.entry.table_id for row in rows):
            made = [
                with_version(row, contents[1]) if (row[KIND], row[IDENTITY]) == ("table", at.entry.table_id) else row
                for row in rows
            ]
            subtree_id = subtree_identity(made)
            received[subtree_id] = made
        subtrees.append(subtree_id)
    trees = Trees([PortableCommit(parent, tuple(subtrees), ())], received, edge)
    try:
        prove_constraints(call.cursor, proof, trees, ())
    except EpochStorageError as broken:
        name = str(at.table.name)
        raise EpochTableError(broken.message, "correct the rows, then commit again", table=name) from broken
