"""Table versions: a base level of rows and delta levels on top, as in a log-structured merge tree.

A delta is also an edge between two versions. It holds old and new values, so it can be read in both directions. So the
diff of two versions is the composition of the deltas on the cheapest path between them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from epoch_sql.model.schema import canonical_json

FINGERPRINT_BITS = 128
EMPTY_FINGERPRINT = "0" * (FINGERPRINT_BITS // 4)


@dataclass(frozen=True)
class RowCounts:
    """How many rows a change adds, modifies and removes."""

    added: int = 0
    modified: int = 0
    removed: int = 0

    @property
    def total(self) -> int:
        """The number of changed rows."""
        return self.added + self.modified + self.removed

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(self.added + other.added, self.modified + other.modified, self.removed + other.removed)


@dataclass(frozen=True)
class DataFile:
    """A Parquet file named by the SHA-256 of its bytes.

    ``schema_id`` is the definition of its rows (in a delta: of its new values), and ``old_schema_id`` that of the old
    values.
    """

    file_id: str
    schema_id: str
    row_count: int
    bytes: int
    old_schema_id: str | None = None


@dataclass(frozen=True)
class Level:
    """An immutable level: kind ``base`` (rows sorted by key) or ``delta`` (one row per key changed between two
    versions).
    """

    level_id: str
    kind: str
    files: tuple[DataFile, ...]
    rows: RowCounts
    from_version: str | None = None
    to_version: str | None = None

    @property
    def row_count(self) -> int:
        """The number of rows in the files."""
        return sum(file.row_count for file in self.files)


@dataclass(frozen=True)
class Version:
    """The content of a table: its definition, its rows as levels (base first), and a fingerprint of the rows.

    ``fingerprint`` is 32 hex digits: the sum over all rows, modulo 2^128, of a hash of the row (a multiset hash). It
    does not depend on the levels, and a delta updates it without reading the table.
    """

    version_id: str
    table_id: str
    schema_id: str
    row_count: int
    fingerprint: str
    level_ids: tuple[str, ...]


def version_identity(table_id: str, schema_id: str, fingerprint: str, level_ids: tuple[str, ...]) -> str:
    """The id of a version: the SHA-256 of what describes it."""
    return _sha256(canonical_json(["version", table_id, schema_id, fingerprint, level_ids]))


def level_identity(kind: str, file_ids: tuple[str, ...], from_version: str | None, to_fingerprint: str | None) -> str:
    """The id of a level: the SHA-256 of its files and its ends."""
    return _sha256(canonical_json(["level", kind, file_ids, from_version, to_fingerprint]))


def shift_fingerprint(fingerprint: str, minus: int, plus: int) -> str:
    """The fingerprint after removing rows with the hash sum ``minus`` and adding rows with the hash sum ``plus``."""
    total = (int(fingerprint, 16) - minus + plus) % (1 << FINGERPRINT_BITS)
    return f"{total:0{FINGERPRINT_BITS // 4}x}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
