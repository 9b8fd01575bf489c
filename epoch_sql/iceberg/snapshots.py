"""Snapshots of an Iceberg table: the manifests of a version's levels, and the files that these need."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DataFile as IcebergFile,
)
from pyiceberg.manifest import (
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.typedef import Record

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.iceberg.levels import BaseFile, Before, Delta, Levels, has_signs
from epoch_sql.iceberg.types import held_table
from epoch_sql.model.schema import Table
from epoch_sql.render import Sql
from epoch_sql.storage.shape import field_ids
from epoch_sql.storage.types import FieldId, field_ids_of_copy
from epoch_sql.storage.writing import dictionary_options

_MANIFEST = re.compile(r"([0-9a-f]{32})-[0-9a-f]{32}\.avro")
_FILE_PATH, _POS = 2147483546, 2147483545
"""The field ids of a position delete file, which Iceberg reserves."""
_CODEC: Literal["deflate"] = "deflate"


class _Deletes(ManifestWriterV2):
    """pyiceberg writes manifests of data files only."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class SnapshotWriter:
    """Writes the snapshots of one Iceberg table, with the manifests that it has already where they are the same.

    ``bytes`` counts what was written in data files and position deletes.
    """

    def __init__(self, call: Call, io: FileIO, location: str, known: Iterable[ManifestFile]) -> None:
        self._call = call
        self._io = io
        self._location = location
        self._known: dict[str, ManifestFile] = {}
        self.bytes = 0
        for manifest in known:
            found = _MANIFEST.fullmatch(manifest.manifest_path.rpartition("/")[2])
            if found:
                self._known[found[1]] = manifest

    def snapshot(
        self, levels: Levels, schema: Schema, parent: Snapshot | None, number: int, facts: Mapping[str, str], same: bool
    ) -> Snapshot:
        """A new snapshot of a version, with the sequence ``number``. ``facts`` are for its summary; ``same`` says that
        it has the rows of its parent."""
        snapshot_id = secrets.randbits(62)
        manifests = [*self._manifests(levels, schema, snapshot_id)]
        path = f"{self._location}/metadata/snap-{snapshot_id}-{uuid.uuid4().hex}.avro"
        parent_id = parent.snapshot_id if parent else None
        with write_manifest_list(2, self._io.new_output(path), snapshot_id, parent_id, number, _CODEC) as writer:
            writer.add_manifests(manifests)
        for manifest in manifests:
            if manifest.added_snapshot_id == snapshot_id:
                # Later snapshots share the manifest, which has the number of this one.
                manifest.sequence_number = number
                manifest._data[5] = number
        operation = Operation.REPLACE if same else Operation.OVERWRITE if parent else Operation.APPEND
        return Snapshot.model_validate(
            {
                "snapshot-id": snapshot_id,
                "parent-snapshot-id": parent_id,
                "sequence-number": number,
                "timestamp-ms": int(time.time() * 1000),
                "manifest-list": path,
                "summary": Summary(operation, **facts, **_totals(manifests)),
                "schema-id": schema.schema_id,
            }
        )

    def _manifests(self, levels: Levels, schema: Schema, snapshot_id: int) -> Iterator[ManifestFile]:
        before: list[Before] = []
        base = levels.base()
        if base:
            manifest = self._known_or_made(
                levels.base_key(base), schema, snapshot_id, lambda stem: self._base_files(levels, base, stem)
            )
            stem = _stem(manifest)
            before += [Before(f.path or self._data(stem, n), f.file, 0) for n, f in enumerate(base)]
            yield manifest
        for place, delta in enumerate(levels.deltas):
            if before and levels.replaces_rows(delta):
                reached = [f for f in before if isinstance(f.source, Delta) or levels.may_hold(f.source, delta)]
                yield from self._deletes(levels, delta, reached, schema, snapshot_id)
            if levels.leaves_rows(delta):
                manifest = self._known_or_made(
                    levels.rows_key(delta), schema, snapshot_id, partial(self._rows, levels, delta)
                )
                before.append(Before(self._data(_stem(manifest)), delta, place + 1))
                yield manifest

    def _deletes(
        self, levels: Levels, delta: Delta, before: Sequence[Before], schema: Schema, snapshot_id: int
    ) -> Iterator[ManifestFile]:
        key = levels.deletes_key(delta, before)
        if key in self._known:
            yield self._known[key]
            return
        paths = sorted(found.path for found in before)
        fields = (FieldId("file_path", _FILE_PATH), FieldId("pos", _POS))

        def written(stem: str) -> list[IcebergFile]:
            file = self._parquet(levels.deletes(delta, before), self._data(stem), field_ids_of_copy(fields), Sql(""))
            return [_described(*file, DataFileContent.POSITION_DELETES, (paths[0], paths[-1]))] if file[1] else []

        manifest = self._write(key, schema, snapshot_id, written, deletes=True) if paths else None
        if manifest:
            yield manifest

    def _base_files(self, levels: Levels, base: Sequence[BaseFile], stem: str) -> list[IcebergFile]:
        found = []
        for number, one in enumerate(base):
            if one.path:
                found.append(_described(one.path, one.file.row_count, one.file.bytes, DataFileContent.DATA))
            else:
                rows, table = levels.copy(one.file)
                found.append(_described(*self._table_file(rows, table, self._data(stem, number)), DataFileContent.DATA))
        return found

    def _rows(self, levels: Levels, delta: Delta, stem: str) -> list[IcebergFile]:
        file = self._table_file(levels.rows(delta), delta.written, self._data(stem))
        return [_described(*file, DataFileContent.DATA)]

    def _known_or_made(
        self, key: str, schema: Schema, snapshot_id: int, files: Callable[[str], list[IcebergFile]]
    ) -> ManifestFile:
        found = self._known.get(key) or self._write(key, schema, snapshot_id, files)
        assert found
        return found

    def _table_file(self, rows: Sql, table: Table, path: str) -> tuple[str, int, int]:
        return self._parquet(
            rows, path, field_ids_of_copy(field_ids(held_table(table))), dictionary_options(has_signs(table))
        )

    def _parquet(self, rows: Sql, path: str, ids: Sql, options: Sql) -> tuple[str, int, int]:
        """Write rows to a file of the warehouse: its path, and the numbers of its rows and bytes."""
        with self._call.store.writing() as aside:
            literal = render.literal(str(aside))
            copy = render.render("iceberg.write", rows=rows, path=literal, field_ids=ids, options=options)
            [(count,)] = self._call.cursor.execute(copy).fetchall()
            if count:
                self._upload(aside, path)
                self.bytes += aside.stat().st_size
            return path, count, aside.stat().st_size

    def _upload(self, file: Path, path: str) -> None:
        with file.open("rb") as source, self._io.new_output(path).create() as target:
            while chunk := source.read(1 << 20):
                target.write(chunk)

    def _write(
        self,
        key: str,
        schema: Schema,
        snapshot_id: int,
        files: Callable[[str], list[IcebergFile]],
        deletes: bool = False,
    ) -> ManifestFile | None:
        """A new manifest of files that are written now; None if there are none."""
        stem = f"{key}-{uuid.uuid4().hex}"
        found = files(stem)
        if not found:
            return None
        output = self._io.new_output(f"{self._location}/metadata/{stem}.avro")
        kind = _Deletes if deletes else ManifestWriterV2
        with kind(UNPARTITIONED_PARTITION_SPEC, schema, output, snapshot_id, _CODEC) as writer:
            for file in found:
                writer.add(_added(snapshot_id, file))
        manifest = self._known[key] = writer.to_manifest_file()
        return manifest

    def _data(self, stem: str, number: int | None = None) -> str:
        return f"{self._location}/data/{stem}{'' if number is None else f'-{number}'}.parquet"


def _stem(manifest: ManifestFile) -> str:
    """The name of a manifest, which is that of its files, too."""
    return manifest.manifest_path.rpartition("/")[2].rpartition(".")[0]


def _added(snapshot_id: int, file: IcebergFile) -> ManifestEntry:
    return ManifestEntry.from_args(
        status=ManifestEntryStatus.ADDED,
        snapshot_id=snapshot_id,
        sequence_number=None,
        file_sequence_number=None,
        data_file=file,
    )


def _described(
    path: str, rows: int, size: int, content: DataFileContent, paths: tuple[str, str] | None = None
) -> IcebergFile:
    """A file as manifests describe it. ``paths`` are the least and the greatest path of a position delete file."""
    found = IcebergFile.from_args(
        content=content,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=rows,
        file_size_in_bytes=size,
        column_sizes=None,
        value_counts=None,
        null_value_counts=None,
        nan_value_counts=None,
        lower_bounds={_FILE_PATH: paths[0].encode()} if paths else None,
        upper_bounds={_FILE_PATH: paths[1].encode()} if paths else None,
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
    )
    found.spec_id = 0
    return found


def _totals(manifests: Sequence[ManifestFile]) -> dict[str, str]:
    def total(content: ManifestContent, files: bool) -> int:
        found = [m for m in manifests if m.content == content]
        return sum((m.added_files_count if files else m.added_rows_count) or 0 for m in found)

    deleted = total(ManifestContent.DELETES, files=False)
    return {
        "total-data-files": str(total(ManifestContent.DATA, files=True)),
        "total-delete-files": str(total(ManifestContent.DELETES, files=True)),
        "total-position-deletes": str(deleted),
        "total-equality-deletes": "0",
        "total-records": str(total(ManifestContent.DATA, files=False) - deleted),
    }
