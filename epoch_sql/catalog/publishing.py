"""The catalog tables of publishing: the published files, the base files that were written for them, and what Iceberg
tables read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from epoch_sql import render
from epoch_sql.catalog.relation import Relation


class Compacted(Relation):
    """``epoch.compacted``: base files that hold the rows of a version, which itself has deltas.

    They belong to no level, so a version and its history are the same with and without them.
    """

    name = "compacted"
    columns = {"version_id": "VARCHAR", "table_id": "VARCHAR", "file_ids": "VARCHAR[]"}

    def load(self, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The files of each of these versions that has some."""
        return {version_id: tuple(file_ids) for version_id, _, file_ids in self.with_ids(ids)}

    def of_table(self, table_id: str) -> dict[str, tuple[str, ...]]:
        """The files of each version of a table that has some."""
        rows = self.select("WHERE table_id = ?", [table_id])
        return {version_id: tuple(file_ids) for version_id, _, file_ids in rows}


@dataclass(frozen=True)
class PublishedFile:
    """A file that was published, and what it names.

    ``kind`` and ``ref`` are the reference. ``digest`` tells whether a new file would say the same. ``bytes`` and
    ``modified_ns`` tell whether the file on disk is still this one. ``file_ids`` are the files that it reads.
    """

    path: str
    kind: str
    ref: str
    commit_id: str
    digest: str
    bytes: int
    modified_ns: int
    tables: int
    file_ids: Sequence[str]


class Published(Relation):
    """``epoch.published``: every published file. ``replaced_at`` says since when it is replaced or removed.

    What a file names is needed until then, and by readers that have it open for a while longer.
    """

    name = "published"
    columns = {
        "sequence": "BIGINT",
        "path": "VARCHAR",
        "kind": "VARCHAR",
        "ref": "VARCHAR",
        "commit_id": "VARCHAR",
        "digest": "VARCHAR",
        "bytes": "BIGINT",
        "modified_ns": "BIGINT",
        "tables": "BIGINT",
        "file_ids": "VARCHAR[]",
        "replaced_at": "TIMESTAMP",
    }

    def current(self, path: str) -> PublishedFile | None:
        """What was last published at a path."""
        rows = self.select("WHERE path = ? AND replaced_at IS NULL ORDER BY sequence DESC LIMIT 1", [path])
        return PublishedFile(*rows[0][1:-1]) if rows else None

    def present(self) -> list[PublishedFile]:
        """The files that were neither replaced nor removed."""
        rows = self.select("WHERE replaced_at IS NULL ORDER BY sequence")
        return [PublishedFile(*row[1:-1]) for row in rows]

    def add(self, file: PublishedFile) -> None:
        """Note a file before it is put in its place."""
        self.append((*vars(file).values(), None))

    def replaced(self, path: str, at: datetime, digest: str | None = None) -> None:
        """Note that the files that were at a path are replaced by the one with ``digest``, or removed."""
        self.run(render.load("publish.replaced"), [at, path, digest])


class Exported(Relation):
    """``epoch.exported``: the files that snapshots of Iceberg tables read.

    ``place`` is the catalog, ``identifier`` the table's name in it, and ``version_id`` what a snapshot shows. gc keeps
    the files while there is a row.
    """

    name = "exported"
    columns = {
        "place": "VARCHAR",
        "table_id": "VARCHAR",
        "identifier": "VARCHAR[]",
        "version_id": "VARCHAR",
        "file_ids": "VARCHAR[]",
    }

    def identifiers(self, place: str) -> set[tuple[str, ...]]:
        """The names of the tables that were exported to a catalog."""
        return {tuple(row[2]) for row in self.select("WHERE place = ?", [place])}

    def add(
        self, place: str, table_id: str, identifier: Sequence[str], files: Iterable[tuple[str, Sequence[str]]]
    ) -> None:
        """Note the files of versions, before a snapshot names them."""
        self.insert([(place, table_id, list(identifier), version_id, list(ids)) for version_id, ids in files])

    def keep(self, place: str, table_id: str, identifier: Sequence[str], version_ids: Iterable[str]) -> None:
        """Forget what no snapshot of a table shows any more, and what was noted twice."""
        self.run(render.load("publish.forget_exported"), [place, table_id, [*version_ids], [*identifier]])
