"""``epoch publish``: the states of references as read-only DuckDB files."""

from __future__ import annotations

from typing import Any

import click

from epoch_sql.model.patterns import counted

from . import diagnostics, output
from .grammar import json_option
from .session import Session, call, pass_session
from .wording import short


@click.command()
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--to", "folder", metavar="FOLDER", help="The folder (default: published beside the database).")
@click.option("--materialize", is_flag=True, help="Write the rows into the file, which then needs no other.")
@click.option("--storage-version", metavar="V", help="The oldest DuckDB that reads the file (default: v1.0.0).")
@json_option
@pass_session
def publish(
    session: Session,
    refs: tuple[str, ...],
    folder: str | None,
    materialize: bool,
    storage_version: str | None,
    form: str,
) -> None:
    """Write a read-only DuckDB file of each REF, for any DuckDB client.

    Without REF, publishes the branches and tags that publish.refs of the configuration names, or else the checked-out
    branch.
    """
    asked = call(
        "epoch_publish",
        refs=list(refs) or None,
        path=folder,
        materialize=materialize,
        storage_version=storage_version,
    )
    published = session.done(asked, "publishing")
    for one in published:
        for text in one["left_out"]:
            diagnostics.warning(f"{one['path']} lacks {text}")
        diagnostics.message(_told(one))
    if form == "json":
        output.document(published)


COMMANDS = (publish,)


def _told(one: dict[str, Any]) -> str:
    if one["status"] == "removed":
        return f"Removed {one['path']}: {one['ref']} is gone"
    done = "Published" if one["status"] == "published" else "Unchanged:"
    return f"{done} {one['ref']} ({short(one['commit_id'])}, {counted(one['tables'], 'table')}) in {one['path']}"
