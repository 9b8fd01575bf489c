"""The change of one Iceberg table: the schemas and snapshots that it gets, and what its references show then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import uuid4

from pyiceberg.io import FileIO
from pyiceberg.schema import Schema
from pyiceberg.table import Table as Stored
from pyiceberg.table.metadata import TableMetadata, TableMetadataV2
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotRefUpdate,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from epoch_sql.call import Call
from epoch_sql.errors import EpochStorageError
from epoch_sql.iceberg.lake import Identifier, Lake, empty_metadata
from epoch_sql.iceberg.levels import Levels
from epoch_sql.iceberg.places import MAIN, Place
from epoch_sql.iceberg.snapshots import SnapshotWriter
from epoch_sql.iceberg.types import schema_json
from epoch_sql.model.commit import DataFile, TableEntry
from epoch_sql.model.remote import content_of
from epoch_sql.model.schema import ObjectName, Table
from epoch_sql.publish.places import Reference

HISTORY, TABLE, MAIN_IS = "epoch.history", "epoch.table", "epoch.main"
COMMIT, CONTENT, VERSION, REF = "epoch.commit", "epoch.content", "epoch.version", "epoch.ref"
_PROPERTIES = {
    # Other programs must not remove files of the repository.
    "gc.enabled": "false",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


_NEWEST = 20
"""Of how many snapshots the manifests are looked at, besides those of branches."""


@dataclass
class Target:
    """A table at the references that have it, by the names of these in Iceberg."""

    table_id: str
    name: ObjectName
    identifier: Identifier
    at: dict[str, tuple[Reference, TableEntry]] = field(default_factory=dict)


class Change:
    """The change of one Iceberg table: new schemas and snapshots, and what its references show then."""

    def __init__(
        self,
        call: Call,
        place: Place,
        target: Target,
        stored: Stored | None,
        lake: Lake,
        path_of: Callable[[DataFile], str | None],
        properties: dict[str, str],
        grace: timedelta,
    ) -> None:
        self._call = call
        self._target = target
        self._stored = stored
        self._lake = lake
        self._path_of = path_of
        self._grace = grace
        self._at_remote = place.remote is not None
        self._schemas: dict[int, Schema] = {}
        self._new_schemas: list[Schema] = []
        self._snapshots: dict[int, Snapshot] = {}
        self._new: list[Snapshot] = []
        self._shown: dict[str, tuple[Snapshot, str]] = {}
        self._hidden: set[str] = set()
        self._writer: SnapshotWriter | None = None
        self.files: dict[str, list[str]] = {}
        self.properties = {**_PROPERTIES, **properties}
        if stored:
            self._schemas = {schema.schema_id: schema for schema in stored.metadata.schemas}
            self._snapshots = {snapshot.snapshot_id: snapshot for snapshot in stored.metadata.snapshots}
            self.location = stored.metadata.location
        else:
            plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in target.identifier[-1])[:60]
            self.location = f"{place.warehouse}/{plain}-{target.table_id[:8]}-{uuid4().hex[:8]}"

    @property
    def bytes(self) -> int:
        """What was written in data files and position deletes."""
        return self._writer.bytes if self._writer else 0

    @property
    def empty(self) -> TableMetadataV2:
        """The metadata of the table before its first snapshot."""
        return empty_metadata(self._new_schemas[0], self.location)

    @property
    def is_empty(self) -> bool:
        """Whether no reference shows anything afterwards."""
        return not self._shown and not set(self.refs()) - self._hidden

    @property
    def versions(self) -> set[str]:
        """What the snapshots show that are left."""
        expired = {snapshot.snapshot_id for snapshot in self._expired()}
        left = [*(s for s in self._snapshots.values() if s.snapshot_id not in expired)]
        return {version for snapshot in left if (version := _fact(snapshot, VERSION))}

    def known_property(self, name: str) -> str | None:
        """A property of the table as it is."""
        return self._stored.properties.get(name) if self._stored else None

    def refs(self) -> list[str]:
        """The references that the table has."""
        return [*self._stored.metadata.refs] if self._stored else []

    def show(self, name: str, ref: Reference, entry: TableEntry) -> None:
        """Have a reference show a version of the table."""
        current = self._current(name)
        if current and not _fact(current, VERSION):
            raise EpochStorageError(
                f"branch {name} of {'.'.join(self._target.identifier)} was written by somebody else, whose rows an "
                "export would take away",
                "set the branch back to what Epoch exported, or export to another namespace",
                path=self.location,
            )
        schema = self._schema(self._call.contents.table(entry.version_id))
        snapshot = self._snapshot(ref, entry, schema, current)
        self._shown[name] = (snapshot, "tag" if ref.kind == "tag" else "branch")

    def hide(self, name: str) -> None:
        """Take a reference out."""
        self._hidden.add(name)

    def updates(self) -> list[TableUpdate]:
        """The change; nothing if there is none."""
        found: list[TableUpdate] = []
        known = self._stored.metadata.refs if self._stored else {}
        found += [AddSnapshotUpdate(snapshot=snapshot) for snapshot in self._new]
        for name, (snapshot, kind) in self._shown.items():
            there = known.get(name)
            if not there or (there.snapshot_id, str(there.snapshot_ref_type.value)) != (snapshot.snapshot_id, kind):
                found.append(
                    SetSnapshotRefUpdate.model_validate(
                        {"ref-name": name, "type": kind, "snapshot-id": snapshot.snapshot_id}
                    )
                )
        found += [
            RemoveSnapshotRefUpdate.model_validate({"ref-name": name}) for name in sorted(self._hidden) if name in known
        ]
        schema_id = self._shown[MAIN][0].schema_id if MAIN in self._shown else None
        if schema_id is not None and (not self._stored or schema_id != self._stored.metadata.current_schema_id):
            found.append(SetCurrentSchemaUpdate.model_validate({"schema-id": schema_id}))
        properties = self._stored.properties if self._stored else {}
        changed = {name: value for name, value in self.properties.items() if properties.get(name) != value}
        found += [SetPropertiesUpdate(updates=changed)] if changed else []
        if not found:
            return []
        expired = [snapshot.snapshot_id for snapshot in self._expired()]
        schemas = self._new_schemas if self._stored else self._new_schemas[1:]
        return [
            *(AddSchemaUpdate(schema=schema) for schema in schemas),
            *found,
            *([RemoveSnapshotsUpdate.model_validate({"snapshot-ids": expired})] if expired else []),
        ]

    def requirements(self) -> list[TableRequirement]:
        """What has to be as it was when the table was loaded."""
        assert self._stored
        metadata = self._stored.metadata
        touched = {*self._shown, *self._hidden}
        return [
            AssertTableUUID(uuid=metadata.table_uuid),
            *(
                AssertRefSnapshotId.model_validate({"ref": name, "snapshot-id": self._id_at(metadata, name)})
                for name in sorted(touched)
            ),
        ]

    def _id_at(self, metadata: TableMetadata, name: str) -> int | None:
        found = metadata.refs.get(name)
        return found.snapshot_id if found else None

    def _current(self, name: str) -> Snapshot | None:
        found = self._stored.metadata.refs.get(name) if self._stored else None
        return self._snapshots.get(found.snapshot_id) if found else None

    def _schema(self, table: Table) -> Schema:
        number = max(self._schemas, default=-1) + 1
        made = Schema.model_validate(schema_json(table, number))
        for schema in self._schemas.values():
            if schema.fields == made.fields:
                return schema
        self._schemas[number] = made
        self._new_schemas.append(made)
        return made

    def _snapshot(self, ref: Reference, entry: TableEntry, schema: Schema, current: Snapshot | None) -> Snapshot:
        """The snapshot that shows a version: one that is there, or else a new one."""
        content = content_of(self._call.contents.version(entry.version_id))
        there = [s for s in (current, *self._snapshots.values()) if s and s.schema_id == schema.schema_id]
        own = next((s for s in there if _fact(s, VERSION) == entry.version_id), None)
        alike = next((s for s in there if _fact(s, CONTENT) == content), None)
        # At a remote, another clone may have exported the same rows from other files, which are as good.
        if alike and not own and self._at_remote and not self._lies_there(entry):
            return alike
        if own:
            return own
        levels = Levels(
            self._call.cursor,
            self._call.contents,
            self._call.contents.table(entry.version_id),
            self._call.contents.levels(entry.version_id),
            partial(self._noted, entry.version_id),
        )
        newest = max(self._snapshots.values(), key=lambda found: found.sequence_number or 0, default=None)
        parent = current or newest
        facts = {COMMIT: ref.commit_id, CONTENT: content, VERSION: entry.version_id, REF: ref.name}
        is_same = parent is not None and _fact(parent, CONTENT) == content
        last = getattr(self._stored.metadata, "last_sequence_number", 0) if self._stored else 0
        self.files.setdefault(entry.version_id, [])
        with self._lake.telling():
            made = self._written().snapshot(levels, schema, parent, last + len(self._new) + 1, facts, is_same)
        self._new.append(made)
        self._snapshots[made.snapshot_id] = made
        return made

    def _lies_there(self, entry: TableEntry) -> bool:
        """Whether the base files of a version are where readers read."""
        levels = self._call.contents.levels(entry.version_id)
        return bool(levels) and all(self._path_of(file) is not None for file in levels[0].files)

    def _noted(self, version_id: str, file: DataFile) -> str | None:
        path = self._path_of(file)
        if path and not self._at_remote and file.file_id not in self.files[version_id]:
            self.files[version_id].append(file.file_id)
        return path

    def _written(self) -> SnapshotWriter:
        if self._writer is None:
            io: FileIO = self._stored.io if self._stored else self._lake.io(self.location)
            known = [manifest for snapshot in self._near() for manifest in snapshot.manifests(io)]
            self._writer = SnapshotWriter(self._call, io, self.location, known)
        return self._writer

    def expires(self) -> bool:
        """Whether snapshots expire with the change."""
        return bool(self._expired())

    def _near(self) -> list[Snapshot]:
        """The snapshots that a new one may share levels with: those of branches, and the newest ones."""
        refs = self._stored.metadata.refs.values() if self._stored else ()
        shown = {ref.snapshot_id for ref in refs if ref.snapshot_ref_type.value == "branch"}
        own = [snapshot for snapshot in self._snapshots.values() if _fact(snapshot, VERSION)]
        own.sort(key=lambda snapshot: snapshot.sequence_number or 0)
        return [*(s for s in own[:-_NEWEST] if s.snapshot_id in shown), *own[-_NEWEST:]]

    def _expired(self) -> list[Snapshot]:
        """The snapshots that no reference shows any more, after the time that readers have to finish."""
        if self._stored is None:
            return []
        refs = self._stored.metadata.refs
        named = {ref.snapshot_id for name, ref in refs.items() if name not in {*self._hidden, *self._shown}}
        named |= {snapshot.snapshot_id for snapshot, _ in self._shown.values()}
        oldest = (time.time() - self._grace.total_seconds()) * 1000
        return [
            s
            for s in self._stored.metadata.snapshots
            if s.snapshot_id not in named and s.timestamp_ms < oldest and _fact(s, VERSION)
        ]


def _fact(snapshot: Snapshot, name: str) -> str | None:
    return snapshot.summary.additional_properties.get(name) if snapshot.summary else None
