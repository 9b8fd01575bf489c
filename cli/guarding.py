"""``epoch review`` and ``check``: what a promotion has to pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from epoch_sql.characters import visible
from epoch_sql.errors import EpochCheckError
from epoch_sql.model.patterns import counted

from . import diagnostics, output
from .explaining import pattern_lines, verdict_lines
from .grammar import DefaultGroup, json_option
from .output import Line
from .session import Session, call, pass_session
from .wording import moment, short

_DONE = {"approve": "Approved", "reject": "Rejected", "request": "Requested a review of"}
_STYLES = {"approved": "green", "rejected": "red", "stale": "dim", "open": "yellow"}

_into = click.option("--into", "target", required=True, metavar="TARGET", help="The branch to merge it into.")
_expected = click.option(
    "--expected",
    metavar="COMMIT",
    help="The commit that the source has to be at, with 7 digits or more: otherwise nothing is recorded.",
)
_message = click.option("-m", "--message", metavar="MSG", help="Why.")


@click.group(cls=DefaultGroup, bare="list")
def review() -> None:
    """Approve or reject a commit that is to be merged into a branch.

    A review is about one commit: a new commit on SOURCE makes it stale. Without a command: list.
    """


@review.command(name="request")
@click.argument("source")
@_into
@_message
@json_option
@pass_session
def review_request(session: Session, source: str, target: str, message: str | None, form: str) -> None:
    """Ask for a review of merging SOURCE into TARGET."""
    _review(session, "request", source, target, message, form)


@review.command(name="approve")
@click.argument("source")
@_into
@_message
@_expected
@json_option
@pass_session
def review_approve(
    session: Session, source: str, target: str, message: str | None, expected: str | None, form: str
) -> None:
    """Approve merging the commit that SOURCE names into TARGET.

    Authors of the commits that it brings in cannot approve it, unless TARGET allows self-review.
    """
    _review(session, "approve", source, target, message, form, expected)


@review.command(name="reject")
@click.argument("source")
@_into
@_message
@_expected
@json_option
@pass_session
def review_reject(
    session: Session, source: str, target: str, message: str | None, expected: str | None, form: str
) -> None:
    """Reject merging the commit that SOURCE names into TARGET.

    It stays rejected until you approve it yourself, even if others approve it.
    """
    _review(session, "reject", source, target, message, form, expected)


@review.command(name="show")
@click.argument("source")
@_into
@json_option
@pass_session
def review_show(session: Session, source: str, target: str, form: str) -> None:
    """Show whether SOURCE may be merged into TARGET, or why not, and what it would change.

    Of each changed column, it says what most of the cells have in common.
    """
    found = session.done(call("epoch_promotion", source, target=target), "comparing")[0]
    changed = session.read(call("epoch_preview_diff_stat", source, target=target))
    patterns = session.read(call("epoch_changes", source, target=target))
    if form == "json":
        output.document([{**found, "tables": changed, "changes": patterns}])
        return
    output.lines(verdict_lines(found))
    output.lines(output.aligned(_changed_table(row) for row in changed))
    output.lines(pattern_lines(patterns))


@review.command(name="list")
@json_option
@pass_session
def review_list(session: Session, form: str) -> None:
    """List the reviews, newest first.

    Each is open, approved, rejected, or stale: the source has moved since.
    """
    if form == "json":
        output.rows(session.rows(call("epoch_reviews"), form), form)
        return
    output.lines(output.aligned(_review_line(row) for row in session.read(call("epoch_reviews"))))


@click.group(cls=DefaultGroup, bare="list")
def check() -> None:
    """Test data before a merge: queries that must return no row.

    Checks run on the result of each merge into a matching branch, before anybody sees it. Without a command: list.
    """


@check.command(name="add")
@click.argument("name")
@click.argument("sql")
@click.option("--branch", metavar="PATTERN", help="A branch, or a shell pattern such as 'release/*' (default: all).")
@json_option
@pass_session
def check_add(session: Session, name: str, sql: str, branch: str | None, form: str) -> None:
    """Add check NAME, which fails when SQL returns a row."""
    made = session.do(call("epoch_check_add", name, sql, branch=branch), "adding the check")
    diagnostics.message(f"Added check '{made['name']}' for merges into {made['branch']}")
    if form == "json":
        output.document([made])


@check.command(name="remove")
@click.argument("name")
@json_option
@pass_session
def check_remove(session: Session, name: str, form: str) -> None:
    """Remove check NAME."""
    deleted = session.do(call("epoch_check_remove", name), "removing the check")
    diagnostics.message(f"Removed check '{deleted['name']}'")
    if form == "json":
        output.document([deleted])


@check.command(name="list")
@json_option
@pass_session
def check_list(session: Session, form: str) -> None:
    """List the checks and the branches that they are for."""
    output.rows(session.rows(call("epoch_checks"), form), form)


@check.command(name="run")
@click.argument("ref", required=False)
@click.option(
    "--junit", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Also write JUnit XML."
)
@json_option
@pass_session
def check_run(session: Session, ref: str | None, file: Path | None, form: str) -> None:
    """Run every check on REF. Exits 4 if one fails.

    REF is the working tables by default. Every check runs, whichever branches it is for.
    """
    found = session.done(call("epoch_check_report", ref=ref), "checking")
    for row in found:
        row["first_rows"] = [json.loads(first) for first in row["first_rows"]]
    where = ref or "the working tables"
    if file is not None:
        # Importing XML's modules would slow down the start of every command.
        from . import junit

        junit.write(file, f"epoch check run {where}", found)
    if form == "json":
        output.document(found)
    else:
        output.lines(line for row in found for line in _outcome(row))
    failed = [row["name"] for row in found if not row["passed"]]
    if failed:
        outcome = f"{len(failed)} of {counted(len(found), 'check')} failed on {where}: {', '.join(failed)}"
        raise EpochCheckError(outcome, checks=tuple(failed))
    diagnostics.message(f"{counted(len(found), 'check')} passed on {where}" if found else "there are no checks")


COMMANDS = (review, check)


def _review(
    session: Session,
    verdict: str,
    source: str,
    target: str,
    message: str | None,
    form: str,
    expected: str | None = None,
) -> None:
    given = call("epoch_review", source, target, verdict=verdict, message=message, expected=expected)
    made = session.do(given, "recording the review")
    commit = short(made["source_commit"])
    diagnostics.message(f"{_DONE[verdict]} {source} ({commit}) for {target} as {made['reviewer']}")
    state = next(row["state"] for row in session.read(call("epoch_reviews")) if row["review_id"] == made["review_id"])
    if verdict == "approve" and state == "rejected":
        diagnostics.warning("somebody else has rejected it, so it cannot be merged")
    elif verdict == "approve" and state == "open":
        diagnostics.warning(f"{made['reviewer']} is an author of what it brings in: this approval does not count")
        diagnostics.hint(f"let somebody else approve it, or epoch branch protect {target} --allow-self-review")
    if form == "json":
        output.document([made])


def _changed_table(row: dict[str, Any]) -> list[Line]:
    kinds = {"added": "+", "modified": "~", "removed": "-"}
    counts = " ".join(f"{sign}{row[f'rows_{kind}']:,}" for kind, sign in kinds.items() if row[f"rows_{kind}"])
    return [f"  {visible(row['table_name'])}", counts]


def _review_line(row: dict[str, Any]) -> list[Line]:
    return [
        [(row["state"], _STYLES[row["state"]])],
        [(short(row["source_commit"]), "yellow")],
        f"{visible(row['source'])} → {visible(row['target'])}",
        row["verdict"],
        visible(row["reviewer"]),
        moment(row["reviewed_at"]),
        visible(row["message"] or ""),
    ]


def _outcome(row: dict[str, Any]) -> list[Line]:
    if row["passed"]:
        return [[("pass", "green"), (f"  {visible(row['name'])}", "")]]
    outcome = row["problem"] or counted(row["failing_rows"], "row")
    head: Line = [("FAIL", "bold red"), (f"  {visible(row['name'])}: {visible(outcome)}", "")]
    return [head, *(f"      {visible(json.dumps(first, ensure_ascii=False))}" for first in row["first_rows"])]
