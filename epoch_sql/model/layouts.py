"""How a remote stores a version: the document of the version, and that of its base level, which many versions share.

A base level names every file, so it would be most of the document of each version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from epoch_sql.model.commit import DataFile, Version
from epoch_sql.model.remote import Fields, Manifest, PortableLevel, file_fields, level_fields
from epoch_sql.model.schema import canonical_json


@dataclass(frozen=True)
class Layout:
    """How the document of a version says so: the document of its base level, and the deltas on it."""

    base: str
    deltas: tuple[PortableLevel, ...]


@dataclass(frozen=True)
class StoredVersion:
    """The document of a version. A push can replace the layout, and nothing else."""

    version: Version
    layout: Layout


def base_text(files: Iterable[DataFile]) -> str:
    """A base level as its document holds it, whose SHA-256 is its id."""
    return canonical_json({"files": [file_fields(file) for file in files]})


def base_id(files: Iterable[DataFile]) -> str:
    """The id of the document of a base level."""
    return hashlib.sha256(base_text(files).encode()).hexdigest()


def stored_version(manifest: Manifest) -> StoredVersion:
    """The document of a version."""
    return StoredVersion(manifest.version, Layout(base_id(manifest.levels[0].files), manifest.levels[1:]))


def version_fields(stored: StoredVersion) -> Fields:
    """The document of a version."""
    v = stored.version
    return {
        "table_id": v.table_id,
        "schema_id": v.schema_id,
        "row_count": v.row_count,
        "fingerprint": v.fingerprint,
        "base": stored.layout.base,
        "deltas": [level_fields(level) for level in stored.layout.deltas],
    }
