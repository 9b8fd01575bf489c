"""``epoch remote``, ``push``, ``fetch``, ``pull`` and ``clone``: share a repository through a folder or a bucket."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import click

from epoch_sql.characters import visible
from epoch_sql.errors import EpochRepositoryError
from epoch_sql.model.patterns import counted

from . import diagnostics, in_progress, output
from .grammar import DefaultGroup, json_option, storage_version_option
from .session import Session, call, pass_session
from .wording import in_brackets, short

trust_option = click.option(
    "--trust", is_flag=True, help="Trust its definitions, even those that read files or reach outside the database."
)
remote_argument = click.argument("remote_name", required=False, metavar="[REMOTE]")


@click.group(cls=DefaultGroup, bare="list")
def remote() -> None:
    """Manage the remotes of a repository.

    A remote is a folder, or s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH. Credentials come from the
    environment. Without a command: list.
    """


@remote.command(name="add")
@click.argument("name")
@click.argument("url")
@trust_option
@click.option(
    "--readers",
    type=click.Choice(("spark",)),
    help="Write files that the readers of Spark and Iceberg take, too: here, and in every clone of the store.",
)
@json_option
@pass_session
def remote_add(session: Session, name: str, url: str, trust: bool, readers: str | None, form: str) -> None:
    """Add the remote at URL under NAME. The usual name is `origin`."""
    made = session.do(call("epoch_remote_add", name, url, trust=trust, readers=readers), "adding the remote")
    diagnostics.message(f"Added remote '{made['name']}' at {made['url']}")
    if readers:
        diagnostics.message("What is committed already is written for them by: epoch compact")
    if form == "json":
        output.document([made])


@remote.command(name="list")
@json_option
@pass_session
def remote_list(session: Session, form: str) -> None:
    """List the remotes, and the branches that follow them."""
    if form == "json":
        output.rows(session.rows(call("epoch_remotes"), form), form)
        return
    found = session.read(call("epoch_remotes"))
    output.lines(
        output.aligned(
            [
                [(visible(row["name"]), "bold")],
                visible(row["url"]),
                visible(", ".join(row["branches"])),
                "trusted" if row["trusted"] else "",
                f"for {row['readers']}" if row["readers"] else "",
            ]
            for row in found
        )
    )


@remote.command(name="trust")
@click.argument("name")
@click.option("--revoke", is_flag=True, help="No longer trust new definitions.")
@json_option
@pass_session
def remote_trust(session: Session, name: str, revoke: bool, form: str) -> None:
    """Trust the definitions of remote NAME.

    Views, macros, defaults, checks and generated columns that read files, or reach outside the database in another way,
    stay data until you trust their remote. Epoch does not create them before.
    """
    made = session.do(call("epoch_remote_trust", name, trust=not revoke), "trusting the remote")
    diagnostics.message(f"Remote '{made['name']}' is {'trusted' if made['trusted'] else 'not trusted any more'}")
    if form == "json":
        output.document([made])


@remote.command(name="remove")
@click.argument("name")
@json_option
@pass_session
def remote_remove(session: Session, name: str, form: str) -> None:
    """Remove remote NAME from the repository. Its store stays."""
    deleted = session.do(call("epoch_remote_remove", name), "removing the remote")
    diagnostics.message(f"Removed remote '{deleted['name']}' ({deleted['url']})")
    if form == "json":
        output.document([deleted])


@remote.command(name="gc")
@remote_argument
@click.option("--dry-run", is_flag=True, help="Only list what would be noted and removed.")
@click.option("--grace", metavar="INTERVAL", help="An INTERVAL: keep what was noted since (default: 14 days).")
@json_option
@pass_session
def remote_gc(session: Session, remote_name: str | None, dry_run: bool, grace: str | None, form: str) -> None:
    """Remove what none of a remote's branches, tags and reviews reaches.

    REMOTE is origin by default. The first run notes it. A run after the grace period removes what is still unreachable.
    """
    asked = call("epoch_remote_gc", remote=remote_name, dry_run=dry_run, grace=grace)
    output.rows(session.listed(asked, "reading the store", form), form)


@click.command()
@remote_argument
@click.argument("branch", required=False)
@click.option(
    "--force", is_flag=True, help="Push even if the remote's branch loses commits, unless the remote protects it."
)
@click.option("--tags", is_flag=True, help="Push every tag too.")
@click.option("--protection", is_flag=True, help="Set the remote's protection of the branch to the local one.")
@click.option(
    "--layout",
    is_flag=True,
    help="Store the branch's tables there as they are stored here, such as by compact, unless in more levels.",
)
@click.option(
    "--delete", metavar="NAME", help="Delete a branch or a tag of the remote instead, unless the remote protects it."
)
@json_option
@pass_session
def push(
    session: Session,
    remote_name: str | None,
    branch: str | None,
    force: bool,
    tags: bool,
    protection: bool,
    layout: bool,
    delete: str | None,
    form: str,
) -> None:
    """Send a branch to a remote.

    REMOTE is origin by default, and BRANCH the current branch. Sends only what the remote lacks.
    """
    if delete is not None:
        if branch or force or tags or protection or layout:
            raise click.UsageError("--delete goes with a remote only: epoch push REMOTE --delete NAME")
        deleted = session.do(call("epoch_push", remote=remote_name, branch=delete, delete=True), "pushing")
        was = short(deleted["old_commit_id"])
        diagnostics.message(
            f"{deleted['remote']}: deleted {deleted['branch']} (it was at {was}; its commits stay there)"
        )
        _finish(deleted, "sent", form)
        return
    options = {"force": force, "tags": tags, "protection": protection, "layout": layout}
    asked = call("epoch_push", remote=remote_name, branch=branch, **options)
    made = session.do(asked, "pushing", session.transferred)
    if not made["moved"]:
        diagnostics.message("Everything up-to-date")
    for name in made["moved"]:
        diagnostics.message(f"{made['remote']}: {_moved(name, made)}")
    _finish(made, "sent", form)


@click.command()
@remote_argument
@json_option
@pass_session
def fetch(session: Session, remote_name: str | None, form: str) -> None:
    """Bring the commits of a remote, as REMOTE/BRANCH.

    REMOTE is origin by default. Brings tags and reviews too, and moves no local branch.
    """
    made = session.do(call("epoch_fetch", remote=remote_name), "fetching", session.transferred)
    diagnostics.message(f"Fetched {', '.join(made['moved'])}" if made["moved"] else "Already up to date")
    _finish(made, "received", form)


@click.command()
@remote_argument
@json_option
@pass_session
def pull(session: Session, remote_name: str | None, form: str) -> None:
    """Fetch, and merge the upstream branch into the current one.

    A fast-forward if possible, or else a merge, which stops on conflicts like `epoch merge`.
    """
    with in_progress.stopping():
        made = session.do(call("epoch_pull", remote=remote_name), "pulling", session.transferred)
    said = {
        "up-to-date": "Already up to date",
        "fast-forward": f"Fast-forward to {short(made['new_commit_id'])}",
        "merged": f"Merged as {short(made['new_commit_id'])}",
    }
    diagnostics.message(f"{made['branch']}: {said[made['status']]}")
    _finish(made, "received", form)


@click.command()
@click.argument("url")
@click.argument("folder", required=False, metavar="[DIR]")
@trust_option
@click.option(
    "--bare", is_flag=True, help="Make no working tables, fetch no files, and read rows where they lie, at the remote."
)
@storage_version_option
@json_option
@pass_session
def clone(
    session: Session, url: str, folder: str | None, trust: bool, bare: bool, storage_version: str | None, form: str
) -> None:
    """Create a database from a remote.

    Creates DIR (default: the last part of URL), and checks out the default branch of the remote. For every branch of
    the remote, creates a local branch that follows it.

    A bare clone has the history, and no tables to work on: it logs, compares, queries, merges, reviews and pushes.
    """
    from epoch_sql.model.remote import parse_url

    target = Path(folder) if folder else Path(parse_url(url, Path.cwd()).last_name)
    _require_free(target)
    # The folder appears when the clone is complete, so an interrupted clone leaves nothing that looks like a clone.
    aside = target.absolute().parent / f".{target.name}.clone-{os.getpid()}"
    try:
        made, database = _clone_into(session, url, aside, {"trust": trust, "bare": bare}, storage_version)
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    how = "Made a bare clone in" if bare else "Cloned into"
    diagnostics.message(f"{how} {target / database} (branch {made['branch']}, {short(made['new_commit_id'])})")
    _tell_sent(made, "received")
    diagnostics.hint(f"cd {shlex.quote(str(target))}")
    if form == "json":
        output.document([made])


COMMANDS = (remote, push, fetch, pull, clone)


def _clone_into(
    session: Session, url: str, folder: Path, options: dict[str, bool], storage_version: str | None
) -> tuple[dict[str, Any], str]:
    from epoch_sql.remote.fetching import database_name

    with diagnostics.working("reading the remote"):
        database = database_name(url)
    folder.mkdir()
    connection = session.open(folder / database, storage_version)
    try:
        return session.do(call("epoch_clone", url, **options), "cloning", session.transferred), database
    finally:
        connection.close()


def _require_free(target: Path) -> None:
    if not target.absolute().parent.is_dir():
        raise EpochRepositoryError(f"there is no folder {target.absolute().parent}", "epoch clone URL DIR")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise EpochRepositoryError(f"{target} exists and is not empty", "epoch clone URL DIR, for another folder")


def _moved(name: str, made: dict[str, Any]) -> str:
    if name != made["branch"]:
        return f"new tag {name}"
    if made["old_commit_id"] is None:
        return f"new branch {name} at {short(made['new_commit_id'])}"
    forced = " (forced)" if made["status"] == "forced" else ""
    return f"{name} {short(made['old_commit_id'])}..{short(made['new_commit_id'])}{forced}"


def _finish(made: dict[str, Any], verb: str, form: str) -> None:
    _tell_sent(made, verb)
    if form == "json":
        output.document([made])


def _tell_sent(made: dict[str, Any], verb: str) -> None:
    if made["objects"]:
        diagnostics.message(f"{verb} {counted(made['objects'], 'file')}{in_brackets(_size(made['bytes']))}")


def _size(count: int) -> str:
    """A number of bytes, rounded up to kB, or to tenths of MB."""
    return f"{-(-count // 1000)} kB" if count < 1_000_000 else f"{-(-count // 100_000) / 10:,.1f} MB"
