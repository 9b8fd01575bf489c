"""Proving what a fetch read, before anything of it is kept: whether documents agree with each other, and what its
definitions would do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from duckdb import DuckDBPyConnection

from epoch_sql.call import Call
from epoch_sql.catalog.content import Files, Schemas, Trees, tree_of_rows
from epoch_sql.catalog.local import Withheld
from epoch_sql.errors import EpochRemoteError, EpochStorageError
from epoch_sql.model.commit import Commit, DataFile, Version, tree_identity
from epoch_sql.model.names import quoted, shown
from epoch_sql.model.remote import Manifest, PortableCommit, PortableLevel, Remote, damaged
from epoch_sql.model.schema import ObjectName, SchemaObject, Table, definition_id
from epoch_sql.proof.definitions import Definition, Parsed, Refused, take_apart, take_apart_own
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.harmless import Context, illegal, offences
from epoch_sql.remote.connecting import commit_path, manifest_path
from epoch_sql.remote.sending import IDENTITY, KIND, Row

_RELATIONS = ("table", "view")
Defined = tuple[str, ObjectName]
"""The hash of a table's visible definition, and its name."""


def with_one_description(
    call: Call,
    where: str,
    commits: Iterable[PortableCommit],
    manifests: Mapping[str, Manifest],
    definitions: Mapping[str, Table],
) -> tuple[list[PortableCommit], dict[str, Manifest]]:
    """Commits and versions with one description of each file: the local one, if the file is known locally.

    The same bytes may be the rows of two definitions that differ only in parts that do not concern rows. Raises
    EpochStorageError for documents that differ in more.
    """
    told = _Descriptions(call, dict(definitions))
    return (
        [replace(c, deltas=told.levels(c.deltas, f"{where}/{commit_path(c.commit.commit_id)}")) for c in commits],
        {i: replace(m, levels=told.levels(m.levels, f"{where}/{manifest_path(i)}")) for i, m in manifests.items()},
    )


@dataclass
class _Descriptions:
    call: Call
    tables: dict[str, Table]
    files: dict[str, DataFile] = field(default_factory=dict)

    def levels(self, levels: Iterable[PortableLevel], where: str) -> tuple[PortableLevel, ...]:
        """The levels with the known descriptions of their files."""
        given = [*levels]
        unknown = {file.file_id for level in given for file in level.files} - self.files.keys()
        if self.call.exists:
            self.files.update(Files(self.call.cursor).load(unknown))
        return tuple(replace(x, files=tuple(self._file(file, where) for file in x.files)) for x in given)

    def _file(self, file: DataFile, where: str) -> DataFile:
        known = self.files.setdefault(file.file_id, file)
        one, other = ((f.row_count, f.bytes, f.least_key, f.greatest_key) for f in (file, known))
        pairs = ((file.schema_id, known.schema_id), (file.old_schema_id, known.old_schema_id))
        if known != file and not (one == other and all(self._alike(*pair) for pair in pairs)):
            raise damaged(where, f"describes file {file.file_id} otherwise than it is described elsewhere")
        return known

    def _alike(self, one: str | None, other: str | None) -> bool:
        """Whether files are read in the same way under two definitions."""
        if one is None or other is None or one == other:
            return one == other
        missing = {one, other} - self.tables.keys()
        if missing:
            self.tables.update(Schemas(self.call.cursor).load(missing))
        first, second = (
            ([(c.id, c.name, c.type) for c in self.tables[i].stored_columns], self.tables[i].key_names)
            for i in (one, other)
        )
        return first == second


def broken_tree_rule(rows: Iterable[Row]) -> str | None:
    """The problem of the tree of a commit: an object twice, or two objects with one name."""
    identities: set[str] = set()
    names: set[tuple[str, ...]] = set()
    for row in rows:
        kind, _, schema, name = row[:4]
        # A macro may have several definitions.
        told = (
            _RELATIONS[0] if kind in _RELATIONS else kind,
            schema.lower(),
            name.lower(),
            row[5] if kind == "macro" else "",
        )
        if row[IDENTITY] in identities or told in names:
            return f"has {row[KIND]} {name} twice"
        identities.add(row[IDENTITY])
        names.add(told)
    return None


_RUNS_TEXT = frozenset({"epoch_query"})
"""Epoch's own function that runs SQL from its arguments."""


def prove(call: Call, where: str, rows: Iterable[Row], tables: Iterable[Table], remote: Remote) -> list[Withheld]:
    """The definitions from a store that are not known to be harmless. Empty for a trusted remote.

    Raises EpochRemoteError, with the name, for the first definition that is not one statement of its kind and name.
    """
    found = dict.fromkeys(SchemaObject(row[KIND], ObjectName(row[2], row[3]), *row[5:8]) for row in rows)
    definitions: list[Definition] = [*dict.fromkeys(tables), *found]
    if not definitions:
        return []
    with shut_in() as engine:
        parsed = taken_apart(engine, where, definitions)
        macros = take_apart_own(engine, _macros_here(call, definitions))
    context = Context(tuple(macros), lambda *name: _has_relation(call, *name), _readers(call))
    found_out = {} if remote.trusted else offences(parsed, context)
    return [_withheld(made, reason, remote.name) for made, reason in found_out.items() if not _is_own(call, made)]


def taken_apart(engine: DuckDBPyConnection, where: str, definitions: Sequence[Definition]) -> list[Parsed]:
    """The definitions of a store with their syntax trees.

    Raises EpochRemoteError, with the name, for the first definition that is not one statement of its kind and name.
    """
    try:
        parsed = take_apart(engine, definitions)
        for one in parsed:
            reason = illegal(one)
            if reason:
                raise Refused(one.definition, reason)
    except Refused as refused:
        made = refused.definition
        kind = "table" if isinstance(made, Table) else made.kind
        raise EpochRemoteError(
            f"{where} has a {kind} {quoted(str(made.name))} that is no definition of one, {quoted(str(refused))}; "
            "nothing was changed",
            "who may write to that remote? restore it from a backup",
        ) from refused
    return parsed


def require_content(
    commit: Commit, rows: Iterable[Row], version: Callable[[str], Version], defined: Callable[[str], Defined]
) -> None:
    """Raises EpochStorageError unless the commit's id covers a tree, with the versions of its tables and their
    definitions."""
    ordered = sorted(rows, key=lambda row: row[IDENTITY])
    tree, tables = tree_of_rows(ordered), []
    for entry in tree.tables.values():
        found = version(entry.version_id)
        digest, name = defined(found.schema_id)
        if found.table_id != entry.table_id or name != entry.name:
            raise other_content(commit, f"has table {entry.name} as another one")
        tables.append((entry, digest, found.fingerprint))
    broken = broken_tree_rule(ordered)
    if broken:
        raise other_content(commit, broken)
    if tree_identity(tables, tree) != commit.tree_id:
        raise other_content(commit, "does not hold the content that it names")


def other_content(commit: Commit, problem: str) -> EpochStorageError:
    """The error for a commit whose documents do not agree."""
    return EpochStorageError(
        f"commit {commit.commit_id[:7]} at the remote {shown(problem, 400)}; nothing was changed",
        "restore the remote from a backup",
    )


def _is_own(call: Call, definition: Definition) -> bool:
    """Whether the repository has the definition already: the user's own, or one that is kept as data."""
    if not call.exists:
        return False
    trees = Trees(call.cursor)
    if isinstance(definition, SchemaObject):
        return trees.has_object(definition)
    return definition_id(definition) in map(definition_id, trees.tables_named(definition.name))


def _withheld(definition: Table | SchemaObject, reason: str, remote: str) -> Withheld:
    kind = "table" if isinstance(definition, Table) else definition.kind
    name = definition.name
    return Withheld(definition_id(definition), remote, kind, name.schema, name.name, reason)


def _macros_here(call: Call, definitions: Iterable[Definition]) -> Sequence[SchemaObject]:
    """The present and earlier local macros, because a definition may name one of them."""
    if not call.exists or not any(isinstance(d, Table) or d.kind in ("macro", "view") for d in definitions):
        return []
    return Trees(call.cursor).macros()


def _has_relation(call: Call, schema: str, name: str) -> bool:
    return call.exists and Trees(call.cursor).has_relation(schema, name)


def _readers(call: Call) -> frozenset[str]:
    return frozenset(call.memory.own_macros - call.memory.acting - _RUNS_TEXT)
