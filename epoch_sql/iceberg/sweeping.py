"""Removes the files in a table's own folder that none of its snapshots names any more: of expired snapshots, and of
exports that died."""

from __future__ import annotations

import re
import time
from datetime import timedelta

from pyarrow.fs import FileSelector
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table.metadata import TableMetadata

_OWN = re.compile(r"([0-9a-f]{32}-[0-9a-f]{32})(?:-\d+)?\.[a-z]+|(snap-\d+-[0-9a-f]{32})\.[a-z]+")
"""The files that exports write: those of a manifest have its name."""


def sweep(io: FileIO, metadata: TableMetadata, grace: timedelta) -> None:
    """Remove what is older than the grace period, and what no snapshot names."""
    if not isinstance(io, PyArrowFileIO):
        return
    named = {_stem(snapshot.manifest_list) for snapshot in metadata.snapshots}
    named |= {_stem(found.manifest_path) for snapshot in metadata.snapshots for found in snapshot.manifests(io)}
    scheme, netloc, path = io.parse_location(metadata.location)
    system = io.fs_by_scheme(scheme, netloc)
    youngest = time.time() - grace.total_seconds()
    for folder in ("data", "metadata"):
        for file in system.get_file_info(FileSelector(f"{path}/{folder}", allow_not_found=True)):
            own = _OWN.fullmatch(file.base_name)
            if own and (own[1] or own[2]) not in named and file.mtime.timestamp() <= youngest:
                system.delete_file(file.path)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]
