"""``epoch init`` and ``epoch config``: create a repository, and read and write settings."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from epoch_sql import config
from epoch_sql.errors import EpochConfigError, EpochRepositoryError

from . import diagnostics, output
from .grammar import json_option, storage_version_option
from .session import Session, call, pass_session
from .wording import short


@click.command()
@click.argument("database", required=False, type=click.Path(dir_okay=False))
@click.option("--branch", default="main", show_default=True, metavar="NAME", help="The first branch.")
@storage_version_option
@json_option
@pass_session
def init(session: Session, database: str | None, branch: str, storage_version: str | None, form: str) -> None:
    """Start versioning a database.

    Creates .epoch/ beside DATABASE (default: the one *.duckdb file here, or else epoch.duckdb), and commits what the
    database holds.
    """
    path = Path(database or session.database or os.environ.get("EPOCH_DB") or _only_database(Path.cwd()))
    with _opened(session, path, storage_version):
        made = session.do(call("epoch_init", branch=branch), "first commit")
    folder = config.repository_folder(path)
    diagnostics.message(
        f"Initialized Epoch repository in {folder} (branch {made['branch']}, commit {short(made['commit_id'])})"
    )
    if form == "json":
        output.document([made])


@click.group(name="config")
def config_() -> None:
    """Read and write settings, such as user.name and user.email.

    Settings are in .epoch/config.toml. Those of all repositories are in the user's configuration folder (--global).
    """


_everywhere = click.option(
    "--global", "everywhere", is_flag=True, help="Use the user's settings, for all repositories."
)


@config_.command(name="list")
@json_option
@pass_session
def config_list(session: Session, form: str) -> None:
    """List every setting and its file."""
    found = config.settings(_folder(session))
    if form == "json":
        output.document([{"key": s.key, "value": s.value, "origin": str(s.origin)} for s in found])
        return
    output.lines(f"{output.shown(s.key)}={output.shown(s.value)}  ({s.origin})" for s in found)


@config_.command(name="get")
@click.argument("key")
@pass_session
def config_get(session: Session, key: str) -> None:
    """Write the value of KEY. Exits 1 if KEY is not set."""
    value = config.get(key, _folder(session))
    if value is None:
        raise EpochConfigError(f"{key} is not set", f"epoch config set {shlex.quote(key)} VALUE", key=key)
    output.text(value)


@config_.command(name="set")
@click.argument("key")
@click.argument("value")
@_everywhere
@pass_session
def config_set(session: Session, key: str, value: str, everywhere: bool) -> None:
    """Set KEY to VALUE."""
    config.set_value(_file(session, everywhere), key, value)


@config_.command(name="unset")
@click.argument("key")
@_everywhere
@pass_session
def config_unset(session: Session, key: str, everywhere: bool) -> None:
    """Remove KEY."""
    config.unset(_file(session, everywhere), key)


COMMANDS = (init, config_)


def _folder(session: Session) -> Path | None:
    """The repository's folder, or None outside of a repository, which has only the user's settings."""
    try:
        return config.repository_folder(session.path)
    except EpochRepositoryError:
        if session.database is not None:
            raise
        return None


def _file(session: Session, everywhere: bool) -> Path:
    return config.user_config() if everywhere else config.repository_config(session.path)


@contextmanager
def _opened(session: Session, path: Path, storage_version: str | None) -> Iterator[None]:
    """Opens the database, or creates it. If ``init`` is refused, deletes a database that it created."""
    if not path.absolute().parent.is_dir():
        raise EpochRepositoryError(f"there is no folder {path.parent}", f"mkdir -p {shlex.quote(str(path.parent))}")
    existed = path.exists()
    session.open(path, storage_version)
    try:
        yield
    except BaseException:
        # Never deletes a file that somebody else created just before.
        empty = not existed and not session.opened.execute("FROM duckdb_tables() WHERE NOT internal").fetchall()
        click.get_current_context().close()
        if empty:
            for made in (path, path.with_name(f"{path.name}.wal")):
                made.unlink(missing_ok=True)
        raise


def _only_database(folder: Path) -> Path:
    found = sorted(path for path in folder.glob("*.duckdb") if path.is_file())
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise EpochRepositoryError(f"more than one database here: {names}", f"epoch init {shlex.quote(found[0].name)}")
    return found[0] if found else folder / "epoch.duckdb"
