"""``epoch ui``: the pages on which promotions are reviewed, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from epoch_sql.errors import EpochConfigError

from . import diagnostics, output
from .session import Session, pass_session
from .suggested import as_command

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="The port (default: a free one)."
)
@click.option("--host", default=_LOOPBACK[0], show_default=True, metavar="ADDRESS", help="The address to listen on.")
@click.option("--exposed", is_flag=True, help="Allow a --host that other machines reach; put TLS in front of it.")
@click.option("--read-only", is_flag=True, help="Show, and change nothing.")
@click.option("--no-browser", is_flag=True, help="Print the link, and open no browser.")
@pass_session
def ui(session: Session, port: int, host: str, exposed: bool, read_only: bool, no_browser: bool) -> None:
    """Serve pages to review, approve, merge and roll back promotions.

    Prints a link with a token, which lets one browser in. The pages act as you, and hold the database open only for the
    moment of a request. End them with Ctrl-C.
    """
    if host not in _LOOPBACK and not exposed:
        raise EpochConfigError(
            f"other machines reach {host}, and whoever has the link acts as you",
            "put TLS in front of it and add --exposed, or leave --host out",
        )
    serve_pages(session.path, host=host, port=port, read_only=read_only, author=session.author, browse=not no_browser)


def serve_pages(path: Path, **options: Any) -> None:
    """Serves the pages of a database, with the options of ``epoch_sql.web.serving.serve``, until Ctrl-C."""
    try:
        from epoch_sql.web.serving import serve
    except ImportError as error:
        raise EpochConfigError(f"epoch ui needs the package {error.name}", "pip install 'epoch-sql[ui]'") from error
    try:
        serve(path, spell=as_command, tell=lambda link: output.lines([link]), **options)
    except KeyboardInterrupt:
        diagnostics.message("The pages are closed")


COMMANDS = (ui,)
