"""A catalog of Iceberg tables, through pyiceberg: loads, creates, changes, renames and drops the tables of a place."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from pyarrow import ArrowException
from pydantic import ValidationError
from pyiceberg import exceptions
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.io import FileIO, load_file_io
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.serializers import ToOutputFile
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadataV2
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import TableRequirement, TableUpdate, update_table_metadata
from requests.utils import get_environ_proxies
from sqlalchemy.exc import SQLAlchemyError

from epoch_sql.errors import EpochError, EpochStorageError
from epoch_sql.iceberg.places import Place, is_folder
from epoch_sql.iceberg.sweeping import sweep
from epoch_sql.model.names import shown

CONNECT_SECONDS = 10
_PORTS = {"http": 80, "https": 443}
Identifier = tuple[str, ...]
_FAILURES: tuple[type[Exception], ...] = (
    *(kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    *(SQLAlchemyError, ValidationError, ArrowException, OSError, ValueError, KeyError, RuntimeError),
)
"""What pyiceberg and what it is built on raise."""


class Overtaken(Exception):
    """Somebody else changed the catalog meanwhile."""


class Lake:
    """The tables of a catalog. Errors are EpochStorageError in one line, and ``Overtaken`` where another writer was
    faster."""

    def __init__(self, place: Place) -> None:
        self._place = place
        with self.telling(), self._overtaking():
            if is_folder(place.warehouse):
                Path(place.warehouse).mkdir(parents=True, exist_ok=True)
            kind = "rest" if urlsplit(place.catalog).netloc else "sql"
            if kind == "rest" and not get_environ_proxies(place.catalog):
                _require_answer(place.catalog)
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            self._properties = {"s3.endpoint": endpoint} if endpoint else {}
            self._catalog: Catalog = load_catalog("epoch", **{"type": kind, "uri": place.catalog, **self._properties})

    def tables(self, namespaces: Sequence[Identifier]) -> list[Table]:
        """The tables of these namespaces, as far as they exist."""
        found = []
        with self.telling():
            for namespace in namespaces:
                try:
                    identifiers = self._catalog.list_tables(namespace)
                except NoSuchNamespaceError:
                    continue
                found += [table for table in map(self._table, identifiers) if table]
        return found

    def _table(self, identifier: Identifier) -> Table | None:
        try:
            return self._catalog.load_table(identifier)
        except NoSuchTableError:
            return None

    def io(self, location: str) -> FileIO:
        """What reads and writes files of a table that is not there yet."""
        return load_file_io({**self._catalog.properties, **self._properties}, location)

    def create(self, identifier: Identifier, empty: TableMetadataV2, updates: Sequence[TableUpdate]) -> str:
        """Create a table with its first snapshots at once. Its fields keep their ids: ``create_table`` would number
        them again. Gives the path of its metadata."""
        metadata = update_table_metadata(empty, tuple(updates))
        path = f"{empty.location}/metadata/00000-{uuid.uuid4()}.metadata.json"
        with self.telling(), self._overtaking():
            self._require_namespace(identifier[:-1])
            ToOutputFile.table_metadata(metadata, self.io(empty.location).new_output(path))
            return self._catalog.register_table(identifier, path).metadata_location

    def commit(self, table: Table, requirements: Sequence[TableRequirement], updates: Sequence[TableUpdate]) -> str:
        """Change a table, if it is as it was loaded. Gives the path of its metadata."""
        with self.telling(), self._overtaking():
            return self._catalog.commit_table(table, tuple(requirements), tuple(updates)).metadata_location

    def rename(self, table: Table, identifier: Identifier) -> Table:
        """Give a table another name."""
        with self.telling(), self._overtaking():
            self._require_namespace(identifier[:-1])
            return self._catalog.rename_table(table.name(), identifier)

    def sweep(self, identifier: Identifier, grace: timedelta) -> None:
        """Remove the files of a table that none of its snapshots names."""
        with self.telling():
            table = self._catalog.load_table(identifier)
            sweep(table.io, table.metadata, grace)

    def drop(self, table: Table) -> None:
        """Take a table out of the catalog. Its files stay."""
        with self.telling(), self._overtaking():
            self._catalog.drop_table(table.name())

    def _require_namespace(self, namespace: Identifier) -> None:
        for length in range(1, len(namespace) + 1):
            try:
                self._catalog.create_namespace_if_not_exists(namespace[:length])
            except NamespaceAlreadyExistsError:
                continue

    @contextmanager
    def _overtaking(self) -> Iterator[None]:
        try:
            yield
        except (CommitFailedException, TableAlreadyExistsError, NoSuchTableError) as error:
            raise Overtaken(_reason(error)) from error
        except ValueError as error:
            # A snapshot whose number another writer has taken meanwhile.
            if "sequence number" not in str(error):
                raise
            raise Overtaken(_reason(error)) from error
        except SQLAlchemyError as error:
            # Two programs that make the tables of a new catalog at once.
            if "already exists" not in str(error) and "UNIQUE constraint" not in str(error):
                raise
            raise Overtaken(_reason(error)) from error

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Errors of pyiceberg and of what it is built on, in one line."""
        try:
            yield
        except (EpochError, Overtaken):
            raise
        except CommitStateUnknownException as error:
            raise EpochStorageError(
                f"the catalog {self._place.catalog} does not say whether it took the export",
                "export again: it goes on from where it is",
                path=self._place.catalog,
            ) from error
        except _FAILURES as error:
            raise EpochStorageError(
                f"the catalog {self._place.catalog} or the warehouse {self._place.warehouse} cannot be used: "
                f"{_reason(error)}",
                "check the address, the credentials in the environment, and the rights to write",
                path=self._place.warehouse,
            ) from error


def _require_answer(uri: str) -> None:
    """Raises OSError for a server that cannot be reached: pyiceberg would wait without an end."""
    parts = urlsplit(uri)
    socket.create_connection((parts.hostname, parts.port or _PORTS[parts.scheme]), CONNECT_SECONDS).close()


def empty_metadata(schema: Schema, location: str) -> TableMetadataV2:
    """The metadata of a table without snapshots."""
    return TableMetadataV2.model_validate(
        {
            "location": location,
            "table-uuid": uuid.uuid4(),
            "last-updated-ms": int(time.time() * 1000),
            "last-column-id": schema.highest_field_id,
            "schemas": [schema],
            "current-schema-id": schema.schema_id,
            "partition-specs": [UNPARTITIONED_PARTITION_SPEC.model_dump()],
            "default-spec-id": 0,
            "last-partition-id": 999,
            "sort-orders": [UNSORTED_SORT_ORDER.model_dump()],
            "default-sort-order-id": 0,
            "last-sequence-number": 0,
        }
    )


def _reason(error: Exception) -> str:
    """The first line of an error, without what it quotes of a request."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    # The errors of requests quote whole objects.
    if type(cause).__module__.startswith("requests"):
        return "it does not answer"
    lines = str(cause).strip().splitlines()
    return shown(lines[0] if lines else type(cause).__name__, 160)
