"""``epoch export iceberg``: branches and tags as those of Iceberg tables."""

from __future__ import annotations

from typing import Any

import click

from epoch_sql.model.patterns import counted

from . import diagnostics, output
from .grammar import json_option
from .session import Session, call, pass_session


@click.command(name="iceberg")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--warehouse", metavar="PLACE", help="The folder, or s3://BUCKET/PATH (default: iceberg.warehouse).")
@click.option(
    "--catalog",
    metavar="URI",
    help="A REST catalog https://HOST, or sqlite:///FILE (default: catalog.db in the warehouse).",
)
@click.option("--namespace", metavar="NAME", help="The namespace of the tables of schema main (default: main).")
@click.option(
    "--main",
    "main_ref",
    metavar="REF",
    help="The reference that engines read when they name none (default: main, or else the first one).",
)
@click.option(
    "--remote",
    "remote_name",
    metavar="REMOTE",
    help="The remote whose store readers read (default: the files beside the database).",
)
@json_option
@pass_session
def iceberg(
    session: Session,
    refs: tuple[str, ...],
    warehouse: str | None,
    catalog: str | None,
    namespace: str | None,
    main_ref: str | None,
    remote_name: str | None,
    form: str,
) -> None:
    """Write branches and tags as those of Iceberg tables, for any engine that reads Iceberg.

    Without REF, exports what iceberg.refs of the configuration names, or else the checked-out branch, and takes out
    what is gone. The tables read the files of the repository where they lie: only changes are written.
    """
    asked = call(
        "epoch_export_iceberg",
        refs=list(refs) or None,
        warehouse=warehouse,
        catalog=catalog,
        namespace=namespace,
        main=main_ref,
        remote=remote_name,
    )
    found = session.done(asked, "exporting")
    for one in found:
        for reason in one["left_out"] if one["status"] == "left out" else ():
            diagnostics.warning(f"{one['table_name']} is left out: {reason}")
    for one in found:
        if one["status"] != "left out":
            diagnostics.message(_told(one))
    if form == "json":
        output.document(found)


def _told(one: dict[str, Any]) -> str:
    if one["status"] == "removed":
        return f"Removed {one['iceberg_table']}: no reference has the table"
    if one["status"] == "unchanged":
        return f"Unchanged: {one['iceberg_table']}"
    of = f" of {', '.join(one['refs'])}" if one["refs"] else ""
    return f"Exported {one['iceberg_table']}{of} ({counted(one['bytes'], 'byte')} written)"
