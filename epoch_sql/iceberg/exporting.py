"""``export_iceberg``: branches and tags as those of Iceberg tables, by hand and after each push."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from epoch_sql.call import Call
from epoch_sql.errors import EpochArgumentError, EpochError
from epoch_sql.iceberg.places import VERB, Place, place, settings, wanted_references
from epoch_sql.publish.places import Reference
from epoch_sql.remote.connecting import PushResult, connect
from epoch_sql.remote.references import read_references
from epoch_sql.verb import procedure

_MISSING = ("pyiceberg", "sqlalchemy", "pyarrow")


@dataclass(frozen=True)
class IcebergTable:
    """An Iceberg table: the table, its name in the catalog, the references that were exported, and what happened.

    ``bytes`` is what was written besides manifests and metadata. ``metadata`` is its metadata file, which readers
    without a catalog take. ``copied`` are the columns that have another type there, and ``left_out`` what it lacks,
    with the reason.
    """

    table: str
    iceberg_table: str
    refs: list[str]
    status: Literal["exported", "unchanged", "removed", "left out"]
    bytes: int
    metadata: str | None
    copied: list[str]
    left_out: list[str]


@procedure("epoch_export_iceberg", queues=False)
def export_iceberg(
    call: Call,
    refs: Sequence[str] | None = None,
    warehouse: str | None = None,
    *,
    catalog: str | None = None,
    namespace: str | None = None,
    main: str | None = None,
    remote: str | None = None,
) -> list[IcebergTable]:
    """Writes branches and tags as those of Iceberg tables, for any engine that reads Iceberg.

    The tables read the files of the repository where they lie: only what changed since the last export is written.
    Without `refs`, it exports what `iceberg.refs` of the configuration names, or else the checked-out branch, and takes
    out what is gone. Raises EpochReferenceError for what is neither branch nor tag, EpochArgumentError for a place that
    cannot be one, and EpochStorageError where the catalog or the warehouse cannot be used, or has a table of somebody
    else.

    Args:
        refs: the branches and tags; default: those of the configuration
        warehouse: the folder, or `s3://BUCKET/PATH`; default: `iceberg.warehouse`
        catalog: a REST catalog `https://HOST`, or `sqlite:///FILE`; default: `catalog.db` in the warehouse
        namespace: the namespace of the tables of schema main; default: `main`
        main: the reference that engines read when they name none; default: `main`, or else the first one
        remote: the remote whose store readers read; default: the files beside the database
    """
    how = settings(call.folder)
    where = place(call, how, warehouse, catalog, namespace, main, remote)
    found = wanted_references(call, refs, how)
    return _exported(call, where, found, _nothing if refs else _is_gone(call, remote))


def export_pushed(call: Call, pushed: PushResult) -> None:
    """Export the branch and the tags of a push, if the settings name them.

    The push stands, whatever happens: what cannot be exported is a warning of the call.
    """
    try:
        how = settings(call.folder)
        names = [name for name in dict.fromkeys([pushed.branch or "", *pushed.moved]) if how.matches(name)]
        if not names:
            return
        where = place(call, how, remote=pushed.remote)
        if pushed.status == "deleted":
            _exported(call, where, [], lambda name: name in names)
            return
        for one in _exported(call, where, [*_pushed(call, pushed, names)], _nothing):
            if one.status == "left out":
                call.warn(f"table {one.table} is not exported to Iceberg: {one.left_out[0]}")
    except (EpochError, duckdb.Error, OSError) as error:
        told = error.message if isinstance(error, EpochError) else str(error).strip().splitlines()[0]
        call.warn(f"{pushed.branch} was pushed, and is not exported to Iceberg: {told}; export it again")


def _pushed(call: Call, pushed: PushResult, names: Sequence[str]) -> Iterator[Reference]:
    """What a push sent: its branch, as it is there now, and tags."""
    for name in names:
        if name == pushed.branch and pushed.new_commit_id:
            yield Reference("branch", name, pushed.new_commit_id)
        elif tag := call.refs.get("tag", name):
            yield Reference("tag", name, tag.commit_id)


def _exported(call: Call, where: Place, refs: Sequence[Reference], gone: Callable[[str], bool]) -> list[IcebergTable]:
    try:
        from epoch_sql.iceberg.tables import Export
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _MISSING:
            raise
        raise EpochArgumentError(
            "Iceberg needs pyiceberg, which is not installed",
            "pip install 'epoch-sql[iceberg]'",
            function=VERB,
            parameter="warehouse",
        ) from missing
    with call.memory.publishing:
        return Export(call, where, refs, gone).run()


def _is_gone(call: Call, remote: str | None) -> Callable[[str], bool]:
    """Tells which references are not there any more: here, or at the remote whose files readers read."""
    if remote is None:
        return lambda name: not any(call.refs.get(kind, name) for kind in ("branch", "tag", "remote"))
    listing = read_references(connect(call, remote).store)
    return lambda name: name not in listing.heads and name not in listing.tags


def _nothing(name: str) -> bool:
    return False
