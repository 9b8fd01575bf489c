"""Checks that documents agree: about files that several of them describe, and within the tree of a commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from epoch_sql.catalog.content import Files, Schemas
from epoch_sql.model.remote import Manifest, PortableCommit, PortableLevel, damaged
from epoch_sql.model.schema import Table
from epoch_sql.model.version import DataFile
from epoch_sql.operations.remote.places import commit_path, manifest_path
from epoch_sql.operations.remote.portable import IDENTITY, KIND, Row
from epoch_sql.operations.repository import Call

_RELATIONS = ("table", "view")


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
        same = (file.row_count, file.bytes) == (known.row_count, known.bytes)
        pairs = ((file.schema_id, known.schema_id), (file.old_schema_id, known.old_schema_id))
        if known != file and not (same and all(self._alike(*pair) for pair in pairs)):
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
