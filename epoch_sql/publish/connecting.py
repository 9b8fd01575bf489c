"""A connection to the state of one reference, with what a published file of it would hold."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import duckdb

from epoch_sql.call import Call
from epoch_sql.errors import EpochWarning
from epoch_sql.publish.compacting import compacted
from epoch_sql.publish.places import file_name, reference
from epoch_sql.publish.surface import surface
from epoch_sql.publish.writing import written

_STORAGE_VERSION = "latest"


def connect_to(call: Call, ref: str, options: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a file of its own, which goes with it. Nothing of the database stays open.

    The files that it reads may be removed by gc, after its grace period, once no reference needs them.
    """
    found = reference(call, ref)
    version_ids = [entry.version_id for entry in call.tree(found.commit_id).tables.values()]
    known = compacted(call, version_ids)
    levels = {i: known.get(i) or call.contents.levels(i) for i in version_ids}
    content = surface(call, found, levels, materialize=False)
    folder = Path(mkdtemp(prefix="epoch-"))
    try:
        path = folder / file_name(found.name)
        with written(path, content, _STORAGE_VERSION) as (aside, refused):
            aside.replace(path)
        # By default, DuckDB would spill beside the file, which has no name any more.
        config = {"temp_directory": f"{folder}.tmp"} | dict(options.get("config", {}))
        connection = duckdb.connect(str(path), **{**options, "read_only": True, "config": config})
    finally:
        # Where an open file cannot be removed, the system removes it with its other temporary files.
        with suppress(PermissionError):
            rmtree(folder)
    for text in (*content.left_out, *refused):
        warnings.warn(f"{ref} lacks {text}", EpochWarning, stacklevel=5)
    return connection
