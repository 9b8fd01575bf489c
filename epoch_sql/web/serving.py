"""Starts the pages on this machine."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlunsplit

import uvicorn

from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochConfigError
from epoch_sql.web.app import application
from epoch_sql.web.comparing import Comparisons
from epoch_sql.web.lease import PREFIX, Lease
from epoch_sql.web.page import Site

LOOPBACK = "127.0.0.1"
_TOKEN_BYTES = 24


def serve(
    database: Path,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    read_only: bool = False,
    author: str | None = None,
    browse: bool = False,
    spell: Callable[[Suggestion], str] = str,
    tell: Callable[[str], object] = print,
) -> None:
    """Serve the pages of a database until the process is interrupted. Raises EpochError where there is no repository,
    and EpochConfigError where the address cannot be had.

    Args:
        database: the file
        host: the address to listen on; whoever reaches another one than loopback, and has the link, acts as you
        port: 0 for a free one
        read_only: no forms; the database is only ever opened to read
        author: the author of what is done, `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
        browse: open the link in a browser
        spell: what to type, for the advice of errors
        tell: called with the link, once the pages can be reached
    """
    _remove_left_over()
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise EpochConfigError(f"cannot listen on {host}:{port}: {error.strerror}", "name another --port") from error
    with listening:
        port = listening.getsockname()[1]
        lease = Lease(database, author)
        try:
            # A database that cannot be opened fails here, before there is a link.
            with lease.read() as repository:
                who = repository.identity().author
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            site = Site(database, lease, Comparisons(lease.folder), who, read_only, secrets.token_urlsafe(), spell)
            app = application(site, _hosts(host, port), token, f"epoch_ui_{port}")
            link = urlunsplit(("http", f"{_shown(host)}:{port}", "/", f"token={token}", ""))
            tell(link)
            if browse:
                webbrowser.open(link)
            # No access log: it would have the token.
            config = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="on",
                timeout_graceful_shutdown=3,
            )
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            lease.close()
            shutil.rmtree(lease.folder, ignore_errors=True)


def _hosts(host: str, port: int) -> frozenset[str]:
    names = {LOOPBACK, "localhost", "[::1]", _shown(host)} if host in (LOOPBACK, "localhost", "::1") else {_shown(host)}
    return frozenset(f"{name}:{port}" for name in names)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _remove_left_over() -> None:
    """Remove the private folders of pages whose process is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        found = folder.lstat()
        own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if own and process.isdigit() and not _runs(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
