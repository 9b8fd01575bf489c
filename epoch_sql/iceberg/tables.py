"""One export: what each Iceberg table is to be, and its name. A catalog takes the change of a table at once or not at
all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pyiceberg.table import Table as Stored
from pyiceberg.table.update import TableUpdate

from epoch_sql.call import Call, is_trusted
from epoch_sql.catalog.publishing import Exported
from epoch_sql.errors import EpochArgumentError, EpochStorageError
from epoch_sql.iceberg.changes import HISTORY, MAIN_IS, TABLE, Change, Target
from epoch_sql.iceberg.exporting import IcebergTable
from epoch_sql.iceberg.lake import Identifier, Lake, Overtaken
from epoch_sql.iceberg.places import MAIN, VERB, Place, unusable
from epoch_sql.iceberg.types import cannot_hold, fields_of
from epoch_sql.model.commit import DataFile, TableEntry
from epoch_sql.model.schema import ObjectName
from epoch_sql.publish.places import Reference
from epoch_sql.remote.connecting import connect
from epoch_sql.storage.remote.base import file_path
from epoch_sql.upkeep.gc import GRACE

ATTEMPTS = 5


class Export:
    """An export of references to a place. ``gone`` tells which other references to take out of the tables."""

    def __init__(self, call: Call, place: Place, refs: Sequence[Reference], gone: Callable[[str], bool]) -> None:
        self._call = call
        self._place = place
        self._refs = sorted(refs, key=lambda ref: ref.name != (place.main or MAIN))
        self._gone = gone
        self._exported = Exported(call.cursor)
        if place.main and place.main != MAIN and any(ref.name == MAIN for ref in refs):
            raise EpochArgumentError(
                f"main cannot be {place.main} in the Iceberg tables and a branch of its own",
                "export without main, or leave the branch main out",
                function=VERB,
                parameter="main",
            )
        self._store = connect(call, place.remote).store if place.remote else None
        self._lake = Lake(place)
        self._history = _history(call)
        self._main_is: str | None = None

    def run(self) -> list[IcebergTable]:
        """Export everything. Nothing changes if a name belongs to somebody else."""
        for attempt in range(ATTEMPTS):
            try:
                return self._run()
            except Overtaken as error:
                if attempt + 1 == ATTEMPTS:
                    raise EpochStorageError(
                        f"another writer keeps changing the tables in {self._place.catalog}: {error}",
                        "export again: what was exported stays",
                        path=self._place.catalog,
                    ) from error
        raise AssertionError

    def _run(self) -> list[IcebergTable]:
        left_out, targets = self._targets()
        stored = self._stored(targets)
        found = [self._export(target, stored.get(target.table_id)) for target in targets.values()]
        others = [self._without(table) for table_id, table in stored.items() if table_id not in targets]
        return sorted([*left_out, *found, *filter(None, others)], key=lambda one: one.table)

    def _targets(self) -> tuple[list[IcebergTable], dict[str, Target]]:
        """The tables to export, and those that cannot be, with the reason. Two tables never get one name."""
        left_out: list[IcebergTable] = []
        targets: dict[str, Target] = {}
        refused: dict[str, str] = {}
        taken: set[Identifier] = set()
        for ref in self._refs:
            entries = self._call.tree(ref.commit_id).tables
            self._call.contents.load(entry.version_id for entry in entries.values())
            for table_id, entry in entries.items():
                identifier = self._place.identifier(entry.name)
                if table_id not in targets and identifier in taken:
                    identifier = (*identifier[:-1], f"{identifier[-1]}_{table_id[:8]}")
                reason = self._refusal(entry, identifier)
                if reason:
                    refused.setdefault(table_id, reason)
                    left_out.append(_left_out(entry, identifier, ref, reason))
                    continue
                target = targets.setdefault(table_id, Target(table_id, entry.name, identifier))
                taken.add(target.identifier)
                target.at[ref.name] = (ref, entry)
        return left_out, targets

    def _refusal(self, entry: TableEntry, identifier: Identifier) -> str | None:
        table = self._call.contents.table(entry.version_id)
        if not is_trusted(self._call, table):
            return "it came from a remote that is not trusted"
        return unusable(identifier) or cannot_hold(table)

    def _stored(self, targets: Mapping[str, Target]) -> dict[str, Stored]:
        """The Iceberg tables of this repository, under the names that they are to have.

        Raises EpochStorageError if somebody else has a table of such a name, before anything changes.
        """
        wanted = {target.identifier: target for target in targets.values()}
        names = self._exported.identifiers(self._place.catalog)
        found = self._lake.tables(sorted({name[:-1] for name in {*wanted, *names}}))
        own = {t.properties[TABLE]: t for t in found if self._is_own(t)}
        self._main_is = next((t.properties[MAIN_IS] for t in own.values() if MAIN_IS in t.properties), None)
        for table in found:
            if table.name() in wanted and not self._is_own(table):
                raise EpochStorageError(
                    f"{'.'.join(table.name())} in {self._place.catalog} is not a table of this repository; "
                    "nothing was exported",
                    "name another namespace, or another catalog",
                    path=self._place.catalog,
                )
        moving = [
            (table_id, table)
            for table_id, table in own.items()
            if table_id in targets and table.name() != targets[table_id].identifier
        ]
        # Two tables may have each other's name.
        held = {table.name() for table in own.values()}
        for table_id, table in moving:
            if targets[table_id].identifier in held:
                aside = (*table.name()[:-1], f"{table.name()[-1]}_{table_id[:8]}")
                if aside != table.name():
                    own[table_id] = self._lake.rename(table, aside)
        for table_id, _ in moving:
            own[table_id] = self._lake.rename(own[table_id], targets[table_id].identifier)
        return own

    def _is_own(self, table: Stored) -> bool:
        return table.properties.get(HISTORY) == self._history and TABLE in table.properties

    def _export(self, target: Target, stored: Stored | None) -> IcebergTable:
        change = self._change(target, stored)
        self._add_refs(change, target)
        self._remove_refs(change, target.at)
        updates = change.updates()
        bytes_written = change.bytes
        if updates:
            self._note(target, change)
            metadata = self._commit(target, stored, change, updates)
        else:
            assert stored
            metadata = stored.metadata_location
        table = self._call.contents.table(next(iter(target.at.values()))[1].version_id)
        return IcebergTable(
            str(target.name),
            ".".join(target.identifier),
            [*target.at],
            "exported" if updates else "unchanged",
            bytes_written,
            metadata,
            [f"{f.column.name} {f.column.type}" for f in fields_of(table) if not f.as_stored],
            [f"column {c.name}: it is computed" for c in table.columns if not c.stored],
        )

    def _add_refs(self, change: Change, target: Target) -> None:
        for name, (ref, entry) in target.at.items():
            change.show(name, ref, entry)
        main = self._main(change, target)
        if main and main in target.at:
            change.show(MAIN, *target.at[main])
            change.properties[MAIN_IS] = main

    def _main(self, change: Change, target: Target) -> str | None:
        """The reference that is main in an Iceberg table, besides its own name."""
        if any(ref.name == MAIN for ref in self._refs):
            change.properties[MAIN_IS] = MAIN
            return None
        return self._place.main or self._main_is or (self._refs[0].name if self._refs else None)

    def _remove_refs(self, change: Change, at: Iterable[str]) -> None:
        """Take out the references that do not have the table any more, and those that are gone."""
        exported = {ref.name for ref in self._refs} - set(at)
        main_is = change.known_property(MAIN_IS)
        for name in change.refs():
            source = main_is if name == MAIN and main_is else name
            if source in exported or (source not in at and self._gone(source)):
                change.hide(name)

    def _without(self, stored: Stored) -> IcebergTable | None:
        """An Iceberg table whose table none of the exported references has. It goes with its last reference."""
        identifier = stored.name()
        target = Target(stored.properties[TABLE], ObjectName(".".join(identifier[:-1]), identifier[-1]), identifier)
        change = self._change(target, stored)
        self._remove_refs(change, ())
        updates = change.updates()
        if not updates:
            return None
        if change.is_empty:
            self._lake.drop(stored)
            self._exported.keep(self._place.catalog, target.table_id, identifier, ())
            metadata = None
        else:
            metadata = self._commit(target, stored, change, updates)
        name = ".".join(identifier)
        return IcebergTable(name, name, [], "exported" if metadata else "removed", 0, metadata, [], [])

    def _change(self, target: Target, stored: Stored | None) -> Change:
        properties = {HISTORY: self._history, TABLE: target.table_id}
        return Change(self._call, self._place, target, stored, self._lake, self._path_of, properties, GRACE)

    def _note(self, target: Target, change: Change) -> None:
        """Keep the files of the repository that new snapshots name, before they do."""
        with self._call.transaction():
            files = change.files.items()
            self._exported.add(self._place.catalog, target.table_id, target.identifier, [*files])

    def _commit(self, target: Target, stored: Stored | None, change: Change, updates: Sequence[TableUpdate]) -> str:
        if stored is None:
            metadata = self._lake.create(target.identifier, change.empty, updates)
        else:
            metadata = self._lake.commit(stored, change.requirements(), updates)
            if change.expires():
                self._lake.sweep(target.identifier, GRACE)
        self._exported.keep(self._place.catalog, target.table_id, target.identifier, change.versions)
        return metadata

    def _path_of(self, file: DataFile) -> str | None:
        """Where a base file lies for readers; None if it does not."""
        if self._store is None:
            return str(self._call.store.path(file.file_id))
        path = file_path(file.file_id)
        return f"{self._store.url}/{path}" if self._store.size(path) == file.bytes else None


def _history(call: Call) -> str:
    """What tells one history from another, and is the same in all clones: its first commit."""
    *_, first = call.graph().first_parents(call.head().commit_id)
    return first


def _left_out(entry: TableEntry, identifier: Identifier, ref: Reference, reason: str) -> IcebergTable:
    return IcebergTable(str(entry.name), ".".join(identifier), [ref.name], "left out", 0, None, [], [reason])
