"""``epoch log``, ``show`` and ``reflog``: the commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from epoch_sql.characters import visible

from . import output
from .grammar import CountedCommand, json_option
from .graph import Graph, topological
from .output import Line, Span
from .session import Session, call, pass_to_read
from .wording import moment, row_counts, short


@click.command(cls=CountedCommand)
@click.argument("ref", required=False)
@click.option("--oneline", is_flag=True, help="Write one line for each commit.")
@click.option(
    "-n", "--max-count", type=click.IntRange(min=0), metavar="N", help="Show at most N commits; -N for short."
)
@click.option(
    "--first-parent", is_flag=True, help="Only the branch's first-parent line: on an environment, its promotions."
)
@click.option("--graph", is_flag=True, help="Draw the lines of history.")
@click.option("--table", "table_name", metavar="TABLE", help="Only commits that changed this table.")
@click.option("--all", "all_refs", is_flag=True, help="Start at all branches, tags and remote branches, too.")
@click.option(
    "--exclude", metavar="REF", help="Only commits that this reference does not reach, as git's EXCLUDE..REF."
)
@json_option
@pass_to_read
def log(
    session: Session,
    ref: str | None,
    oneline: bool,
    max_count: int | None,
    first_parent: bool,
    graph: bool,
    table_name: str | None,
    all_refs: bool,
    exclude: str | None,
    form: str,
) -> None:
    """Show the commits that lead to a reference.

    Newest first; REF is HEAD by default.
    """
    drawn = graph and form != "json"
    asked = call(
        "epoch_log",
        ref=ref,
        first_parent=first_parent,
        max_count=None if drawn else max_count,
        table_name=table_name,
        all_refs=all_refs or None,
        exclude=exclude,
    )
    if form == "json":
        output.rows(session.rows(asked, form), form)
        return
    commits = session.read(asked)
    if drawn:
        everything = session.read(call("epoch_log", ref=ref, all_refs=all_refs or None)) if table_name else commits
        commits = topological(commits, everything, first_parent)[:max_count]
    shown = [row["commit_id"] for row in commits]
    entries = ((row, [_oneline(row, shown)] if oneline else _entry(row, shown)) for row in commits)
    output.lines(_drawn(entries) if drawn else (line for _, entry in entries for line in entry))


@click.command()
@click.argument("ref", default="HEAD")
@json_option
@pass_to_read
def show(session: Session, ref: str, form: str) -> None:
    """Show a commit and how many rows it changed.

    REF is HEAD by default.
    """
    commit = session.read(call("epoch_log", ref=ref, max_count=1))[0]
    stat = _statistics(session, commit)
    if form == "json":
        output.document({**commit, "diff_stat": stat})
        return
    tables = output.aligned([[f"  {visible(row['table_name'])}", row_counts(row)] for row in stat])
    output.lines([*_entry(commit, []), *tables])


@click.command()
@click.argument("branch", required=False)
@json_option
@pass_to_read
def reflog(session: Session, branch: str | None, form: str) -> None:
    """Show where the branches were before.

    Shows the moves of BRANCH or of all branches, newest first, and so commits that no branch reaches any more.
    """
    asked = call("epoch_reflog", branch=branch)
    if form == "json":
        output.rows(session.rows(asked, form), form)
        return
    output.lines(output.aligned(_move(row) for row in session.read(asked)))


COMMANDS = (log, show, reflog)


def _statistics(session: Session, commit: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that changed against the first parent. The first commit has no parent, and changed all of its rows."""
    if commit["parents"]:
        return session.read(call("epoch_diff_stat", commit["parents"][0], commit["commit_id"]))
    tables = session.read(call("epoch_tables", ref=commit["commit_id"]))
    return [
        {"table_name": row["table_name"], "rows_added": row["row_count"], "rows_modified": 0, "rows_removed": 0}
        for row in tables
        if row["row_count"] is not None
    ]


def _entry(row: dict[str, Any], shown: list[str]) -> list[Line]:
    first: list[Span] = [(f"commit {row['commit_id']}", "yellow"), *_refs(row)]
    lines: list[Line] = [first]
    if len(row["parents"]) > 1:
        lines.append("Merge:  " + " ".join(short(parent, shown) for parent in row["parents"]))
    lines += [f"Author: {visible(row['author'] or '')}", f"Date:   {moment(row['committed_at'])}", ""]
    lines += [f"    {visible(line)}" for line in (row["message"] or "").splitlines()]
    return [*lines, ""]


def _oneline(row: dict[str, Any], shown: list[str]) -> Line:
    message = (row["message"] or "").splitlines()
    return [
        (short(row["commit_id"], shown), "yellow"),
        *_refs(row),
        (f" {visible(message[0]) if message else ''}", ""),
    ]


def _refs(row: dict[str, Any]) -> list[Span]:
    if not row["refs"]:
        return []
    return [(" (", "yellow"), (visible(", ".join(row["refs"])), "bold green"), (")", "yellow")]


def _move(row: dict[str, Any]) -> list[Line]:
    deleted = row["new_commit"] is None
    return [
        [("deleted" if deleted else short(row["new_commit"]), "red" if deleted else "yellow")],
        [(visible(row["branch"]), "bold")],
        visible(row["action"]),
        moment(row["moved_at"]),
        visible(row["author"]),
    ]


def _drawn(entries: Iterator[tuple[dict[str, Any], list[Line]]]) -> Iterator[Line]:
    graph = Graph()
    for row, entry in entries:
        yield from graph.commit(row["commit_id"], row["drawn"], entry)
