"""``epoch status``, ``commit`` and ``stash``: the changes of the working tables."""

from __future__ import annotations

from typing import Any

import click

from epoch_sql.characters import visible
from epoch_sql.model.patterns import counted

from . import diagnostics, in_progress, output
from .grammar import DefaultGroup, json_option
from .output import Line
from .protection import protection, protection_of
from .session import Session, call, pass_session, pass_to_read
from .wording import in_brackets, moment, row_counts, short, summary

_STYLES = {"added": "green", "removed": "red", "modified": "yellow", "renamed": "cyan", "schema": "magenta"}


@click.command()
@json_option
@pass_to_read
def status(session: Session, form: str) -> None:
    """Show the branch, what changed since its last commit, and merges in progress."""
    head = session.read(call("epoch_head"))[0]
    changes = session.read(call("epoch_status"))
    going_on = in_progress.merges(session)
    protected = protection_of(session, head["branch"])
    followed = _followed(session, head["branch"])
    if form == "json":
        output.document({**head, **followed, "protection": protected, "changes": changes, "merges": going_on})
        return
    merges = [line for row in going_on for line in _merge(row, head["branch"])]
    guarded = [f"The branch is protected: {protection(protected)}"] if protected else []
    output.lines([_position(head), *_apart(followed), *guarded, *merges, *_changes(changes)])


@click.command()
@click.option("-m", "--message", required=True, metavar="MSG", help="What changed and why.")
@click.option("--author", metavar="AUTHOR", help='"Name <mail>" (default: EPOCH_AUTHOR, or epoch config user.name).')
@click.option("--allow-empty", is_flag=True, help="Commit even if nothing changed.")
@click.option("--strict", is_flag=True, help="Refuse views and macros that cannot be created again.")
@json_option
@pass_session
def commit(session: Session, message: str, author: str | None, allow_empty: bool, strict: bool, form: str) -> None:
    """Record the changes of the working tables.

    Records every change of versioned tables: there is no staging area.
    """
    asked = {"author": author, "allow_empty": allow_empty, "strict": strict}
    made = session.do(call("epoch_commit", message, **asked), "committing")
    where = f"{made['branch']} {short(made['commit_id'])}"
    diagnostics.message(f"[{where}] {message.splitlines()[0] if message else ''}{in_brackets(summary(made))}")
    in_progress.remind(session, made["branch"])
    if form == "json":
        output.document([made])


@click.group(cls=DefaultGroup, bare="push")
def stash() -> None:
    """Set uncommitted changes aside, and restore them.

    Without a command: push.
    """


@stash.command(name="push")
@click.option("-m", "--message", metavar="MSG", help="What is set aside.")
@json_option
@pass_session
def stash_push(session: Session, message: str | None, form: str) -> None:
    """Set the uncommitted changes aside. The working tables go back to the last commit."""
    made = session.do(call("epoch_stash", message=message), "stashing")
    diagnostics.message(f"Saved the working changes as stash {short(made['stash_id'])}{in_brackets(summary(made))}")
    if form == "json":
        output.document([made])


@stash.command(name="pop")
@json_option
@pass_session
def stash_pop(session: Session, form: str) -> None:
    """Restore the latest stash to the working tables, and drop it."""
    made = session.do(call("epoch_stash_pop"), "restoring the stash")
    diagnostics.message(f"Restored stash {short(made['stash_id'])}{in_brackets(summary(made))}")
    diagnostics.stale(made["stale"])
    if form == "json":
        output.document([made])


@stash.command(name="list")
@json_option
@pass_session
def stash_list(session: Session, form: str) -> None:
    """List the stashes, newest first."""
    if form == "json":
        output.rows(session.rows(call("epoch_stashes"), form), form)
        return
    found = session.read(call("epoch_stashes"))
    output.lines(output.aligned(_stash(row) for row in found))


@stash.command(name="drop")
@click.argument("stash_id", required=False)
@json_option
@pass_session
def stash_drop(session: Session, stash_id: str | None, form: str) -> None:
    """Delete a stash (default: the latest)."""
    dropped = session.do(call("epoch_stash_drop", stash_id=stash_id), "dropping the stash")
    diagnostics.message(f"Dropped stash {short(dropped['stash_id'])}")
    if form == "json":
        output.document([dropped])


COMMANDS = (status, commit, stash)


def _position(head: dict[str, Any]) -> Line:
    if head["branch"] is not None:
        return [("On branch ", ""), (visible(head["branch"]), "bold")]
    return [("HEAD detached at ", "red"), (short(head["commit_id"]), "bold"), (" (read-only for commit)", "")]


def _followed(session: Session, branch: str | None) -> dict[str, Any]:
    """The upstream of a branch, and how many commits the branch is ahead of it and behind it."""
    row = next((row for row in session.read(call("epoch_branches")) if row["name"] == branch), {})
    return {name: row.get(name) for name in ("upstream", "ahead", "behind")}


def _apart(followed: dict[str, Any]) -> list[Line]:
    """How the branch compares with its upstream, and the command to type next."""
    ahead, behind, upstream = followed["ahead"], followed["behind"], visible(followed["upstream"] or "")
    if ahead is None or not (ahead or behind):
        return [f"Up to date with {upstream}"] if ahead is not None else []
    if ahead and behind:
        return [f"{counted(ahead, 'commit')} ahead of {upstream} and {behind:,} behind it", '  (use "epoch pull")']
    if behind:
        return [f"{counted(behind, 'commit')} behind {upstream}", '  (use "epoch pull")']
    return [f"{counted(ahead, 'commit')} ahead of {upstream}", '  (use "epoch push")']


def _merge(row: dict[str, Any], current: str | None) -> list[Line]:
    """A merge in progress, and what to type next."""
    where = in_progress.Target(row["target"], row["target"] != current)
    name, left = visible(in_progress.name(row)), in_progress.left(row)
    resolve = where.command("conflicts resolve")
    steps = [f'  (use "{where.command("conflicts")}" to see them, "{resolve}" to resolve them,'] if left else []
    lead = "   then" if left else "  (use"
    return [
        [(f"The {name} is in progress: {left or 'all conflicts are resolved'}", "yellow" if left else "green")],
        *steps,
        f'{lead} "{where.command("merge --continue")}" to commit it, "{where.command("merge --abort")}" to give it up)',
        "",
    ]


def _changes(found: list[dict[str, Any]]) -> list[Line]:
    unmade = [row for row in found if row["change"] == "unmade"]
    unkeyed = [row for row in found if row["change"] == "unkeyed"]
    stale = [row for row in found if row["change"] == "stale"]
    other = [row for row in found if row not in unmade + unkeyed + stale]
    lost: list[Line] = [
        "The declared key has lost a column, so that a commit is refused:",
        *(f"  {visible(row['table_name'])}" for row in unkeyed),
        '  (use "epoch table key TABLE COLUMN..." to declare another, "epoch table key TABLE --remove" for none)',
    ]
    left_out: list[Line] = [
        "Left out here, since DuckDB cannot make it (a commit keeps it):",
        *(f"  {visible(row['table_name'])}" for row in unmade),
    ]
    listed = _uncommitted(other) if other or not unkeyed else []
    outdated: list[Line] = [
        "Derived tables that are stale:",
        *([("  stale: rebuild ", "yellow"), (visible(row["table_name"]), "")] for row in stale),
        '  (rebuild and commit them, or "epoch table rebuilt TABLE" where a rebuild gives the same rows)',
    ]
    parts = ((lost, unkeyed), (left_out, unmade), (outdated, stale))
    return [*listed, *(line for lines, rows in parts if rows for line in lines)]


def _uncommitted(changes: list[dict[str, Any]]) -> list[Line]:
    if not changes:
        return ["nothing to commit, working tables clean"]
    tables = len({row["table_name"] for row in changes})
    listed: list[list[Line]] = [
        [[(f"  {row['change']}:", _STYLES.get(row["change"], ""))], visible(row["table_name"]), row_counts(row)]
        for row in changes
    ]
    return [
        f"Uncommitted changes in {counted(tables, 'table')}:",
        '  (use "epoch diff" to see them, "epoch commit -m MESSAGE" to record them,',
        '   "epoch stash" to set them aside, "epoch reset --hard" to discard them)',
        "",
        *output.aligned(listed),
    ]


def _stash(row: dict[str, Any]) -> list[Line]:
    where = f"on {row['branch']}" if row["branch"] is not None else ""
    tables = "" if row["tables_changed"] is None else counted(row["tables_changed"], "table")
    return [
        [(short(row["stash_id"]), "yellow")],
        visible(where),
        moment(row["created_at"]),
        visible(row["author"] or ""),
        tables,
        visible(row["message"] or ""),
    ]
