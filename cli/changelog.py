"""``epoch changelog``: what came into a branch, as a page of Markdown or as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click

from epoch_sql.characters import visible

from . import output
from .grammar import documented, short_option
from .session import Session, call, pass_to_read
from .wording import moment, short

_SPECIAL = re.compile(r"([\\`*_{}<>\[\]#|])")
_COUNTS = ("rows_added", "rows_modified", "rows_removed")


@click.command()
@click.argument("branch", required=False)
@click.option("--since", metavar="REF", help="Only what came after this reference.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("markdown", "json")),
    default="markdown",
    show_default=True,
    help="The output format.",
)
@short_option
@documented
@pass_to_read
def changelog(session: Session, branch: str | None, since: str | None, form: str) -> None:
    """Show what was promoted to a branch: when, by whom, from where, and how many rows of each table.

    BRANCH is the current branch by default, and may be a tag or a commit. Newest first.
    """
    of = branch or session.read(call("epoch_head"))[0]["branch"] or "HEAD"
    entries = session.done(call("epoch_changelog", of, since=since), "reading")
    if form == "json":
        output.document(entries)
        return
    output.text("\n".join(_page(of, since, entries)))


COMMANDS = (changelog,)


def _page(branch: str, since: str | None, entries: list[dict[str, Any]]) -> Iterator[str]:
    yield f"# Changelog of {_escaped(branch)}{f' since {_escaped(since)}' if since else ''}"
    if not entries:
        yield from ("", "Nothing.")
    for entry in entries:
        yield from _entry(entry)


def _entry(entry: dict[str, Any]) -> Iterator[str]:
    title, *rest = entry["message"].splitlines() or [""]
    commit = short(entry["commit_id"])
    yield from ("", f"## {_escaped(entry['tag'] or commit)}: {_escaped(title)}", "")
    origin = f" from {_escaped(_source(entry))}" if entry["source"] else ""
    yield f"{moment(entry['committed_at'])}, by {_escaped(entry['author'])}{origin}, commit {commit}."
    for line in rest:
        yield _escaped(line)
    if entry["tables"]:
        yield from ("", "| table | added | modified | removed |", "| --- | ---: | ---: | ---: |")
    for table in entry["tables"]:
        yield f"| {_escaped(table['table_name'])} | {' | '.join(f'{table[name]:,}' for name in _COUNTS)} |"


def _source(entry: dict[str, Any]) -> str:
    """The name of what was merged, or the id of what was picked or undone."""
    source: str = entry["source"]
    return short(source) if re.fullmatch(r"[0-9a-f]{64}", source) else source


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", visible(text))
