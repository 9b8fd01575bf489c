"""``epoch merge``, ``revert`` and ``cherry-pick``: bring changes of other commits into a branch."""

from __future__ import annotations

import shlex
from typing import Any

import click

from epoch_sql.characters import visible
from epoch_sql.errors import EpochConflict, MergeConflict
from epoch_sql.model.patterns import counted

from . import diagnostics, output
from .grammar import json_option
from .in_progress import Target, into_option, merge_target, name, stopping
from .session import Call, Session, call, pass_session
from .wording import in_brackets, short, summary

_UNDONE = {"re-applies": "reapplied", "keeps": "kept"}
_STRATEGIES = ("three-way", "ours", "theirs")
_LISTED = 10
_OBSTACLES = {"data_conflicts": "conflict", "schema_conflicts": "schema conflict", "violations": "violation"}


_to = click.option("--into", metavar="BRANCH", help="The branch that gets the commit (default: the current one).")


@click.command()
@click.argument("source", required=False)
@into_option
@click.option("-m", "--message", metavar="MSG", help="The commit message (default: Merge SOURCE into BRANCH).")
@click.option("--ff", is_flag=True, help="Move the branch without a commit, if possible.")
@click.option("--squash", is_flag=True, help="Add a commit with one parent.")
@click.option(
    "--strategy",
    type=click.Choice(_STRATEGIES),
    help="Take conflicting cells from ours or theirs (default: three-way).",
)
@click.option("--keep-undone", is_flag=True, help="Leave out what was undone on the target, as git does.")
@click.option("--require-fresh", is_flag=True, help="Refuse a merge that leaves derived tables stale.")
@click.option(
    "--expected",
    metavar="COMMIT",
    help="The commit that the source has to be at, with 7 digits or more: otherwise nothing is merged.",
)
@click.option("--dry-run", is_flag=True, help="Only show what it would do. Exits 3 if it would stop.")
@click.option(
    "--continue", "go_on", is_flag=True, help="Commit the merge in progress, once its conflicts are resolved."
)
@click.option("--abort", is_flag=True, help="Forget the merge in progress.")
@json_option
@pass_session
@click.pass_context
def merge(
    ctx: click.Context,
    session: Session,
    /,
    source: str | None,
    into: str | None,
    message: str | None,
    go_on: bool,
    abort: bool,
    dry_run: bool,
    form: str,
    **settings: Any,
) -> None:
    """Merge SOURCE into the current branch, or into another one.

    A merge adds one commit to the branch. If both sides changed the same cells, it stops, exits 3 and changes nothing:
    see epoch conflicts, then --continue or --abort.
    """
    _require_one_verb(ctx, source, go_on, abort)
    _require_fitting(ctx, dry_run, message, settings, source)
    if abort:
        _abort(session, into, form)
    elif dry_run:
        _preview(ctx, session, source, into, settings, form)
    elif go_on:
        going = call("epoch_merge_continue", message=message, target=into)
        _merged(session, into, going, "committing the merge", form)
    else:
        started = call("epoch_merge", source, target=into, message=message, **settings)
        _merged(session, into, started, "merging", form, source)


@click.command()
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@_to
@json_option
@pass_session
def revert(session: Session, refs: tuple[str, ...], into: str | None, form: str) -> None:
    """Add a commit that undoes another one.

    The revert of a merge goes back to its first parent, so `epoch revert HEAD` undoes the whole last promotion. Several
    commits are reverted one after the other, in the given order.
    """
    _each(session, "epoch_revert", "revert", refs, into, form)


@click.command(name="cherry-pick")
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@_to
@json_option
@pass_session
def cherry_pick(session: Session, refs: tuple[str, ...], into: str | None, form: str) -> None:
    """Add a commit with the changes of another one.

    Several commits are picked one after the other, in the given order.
    """
    _each(session, "epoch_cherry_pick", "cherry-pick", refs, into, form)


COMMANDS = (merge, revert, cherry_pick)


def _require_one_verb(ctx: click.Context, source: str | None, go_on: bool, abort: bool) -> None:
    given = [verb for verb, there in (("SOURCE", source), ("--continue", go_on), ("--abort", abort)) if there]
    if not given:
        raise click.UsageError("name the SOURCE to merge, or --continue or --abort a merge", ctx)
    if len(given) > 1:
        raise click.UsageError(f"choose one of {' and '.join(given)}", ctx)


def _require_fitting(
    ctx: click.Context, dry_run: bool, message: str | None, settings: dict[str, Any], source: str | None
) -> None:
    """Refuses options that would have no effect, because ignoring them would mislead the user."""
    starting = [f"--{key.replace('_', '-')}" for key, value in settings.items() if value]
    if source is None and (starting or dry_run):
        raise click.UsageError(f"{(starting or ['--dry-run'])[0]} is for a new merge: name its SOURCE", ctx)
    if ctx.params["abort"] and message is not None:
        raise click.UsageError("--message is for a merge that makes a commit", ctx)
    if settings["ff"] and settings["squash"]:
        raise click.UsageError("choose one of --ff and --squash", ctx)


def _merged(
    session: Session, into: str | None, procedure: Call, doing: str, form: str, source: str | None = None
) -> None:
    done = _run(session, into, procedure, doing)
    _report(done, source)
    if form == "json":
        output.document([done])


def _report(done: dict[str, Any], source: str | None) -> None:
    """Reports what a merge did, and which undone commits it brought back or kept."""
    if done["status"] == "up-to-date":
        diagnostics.message("Already up to date")
        diagnostics.stale(done["stale"])
        return
    changed = in_brackets(summary(done))
    if done["status"] == "fast-forward":
        diagnostics.message(f"Fast-forwarded {done['target']} to {short(done['commit_id'])}{changed}")
        diagnostics.stale(done["stale"])
        return
    _report_commit(done, source)


def _report_commit(done: dict[str, Any], source: str | None = None) -> None:
    branch = done.get("target") or done["branch"]
    title, *_ = done["message"].splitlines() or [""]
    diagnostics.message(f"[{branch} {short(done['commit_id'])}] {title}{in_brackets(summary(done))}")
    for verb, column in _UNDONE.items():
        for undone in done.get(column) or ():
            commits = counted(len(undone["commits"]), "commit")
            # The merge keeps what the source undid, and re-applies what the target undid.
            there = f" on {source}" if column == "kept" and source else ""
            diagnostics.message(f"{verb} {commits} that {short(undone['undone_by'])} undid{there}")
    diagnostics.stale(done["stale"])


def _run(session: Session, into: str | None, procedure: Call, doing: str) -> dict[str, Any]:
    """Runs a procedure that may stop on conflicts, and lists them before the error."""
    try:
        with stopping():
            return session.do(procedure, doing)
    except MergeConflict:
        _list_open(session, merge_target(session, into))
        raise


def _list_open(session: Session, where: Target) -> None:
    """Writes the first open conflicts and violations, one line each."""
    conflicts = call("epoch_conflicts", target=where.branch)
    some = f"LIMIT {_LISTED + 1}"
    cells = f"SELECT table_name, key, coalesce(column_name, ''), kind FROM {conflicts.text} WHERE NOT resolved {some}"
    found = session.query(cells, "table", conflicts.values)
    lines = [f"CONFLICT ({kind}): {_subject(table, key, field)}" for table, key, field, kind in found.cells]
    violations = call("epoch_violations", target=where.branch)
    cells = f"SELECT table_name, key, kind, detail FROM {violations.text} {some}"
    found = session.query(cells, "table", violations.values)
    lines += [f"VIOLATION ({kind}): {_subject(table, key, None)}: {detail}" for table, key, kind, detail in found.cells]
    for line in lines[:_LISTED]:
        diagnostics.message(line)
    if len(lines) > _LISTED:
        diagnostics.message("… and more")


def _subject(table: str | None, key: str | None, field: str | None) -> str:
    return " ".join(output.shown(part) for part in (table, key, field) if part)


def _abort(session: Session, into: str | None, form: str) -> None:
    done = session.do(call("epoch_merge_abort", target=into), "aborting the merge")
    diagnostics.message(f"Aborted the {name(done)}")
    if form == "json":
        output.document([done])


def _preview(
    ctx: click.Context, session: Session, source: str | None, into: str | None, settings: dict[str, Any], form: str
) -> None:
    """Writes what a merge would do, and exits as the merge would."""
    asked = {key: settings[key] or None for key in ("strategy", "keep_undone")}
    found = session.read(call("epoch_preview_merge", source, target=into, **asked))
    if form == "json":
        output.document(found)
    else:
        output.lines(_preview_lines(found))
    if any(row[obstacle] for row in found for obstacle in _OBSTACLES):
        ctx.exit(EpochConflict.exit_code)


def _preview_lines(found: list[dict[str, Any]]) -> list[output.Line]:
    if not found:
        return ["nothing would change"]
    counts = [{name: value for name, value in row.items() if name != "stale"} for row in found]
    lines = output.aligned(
        [output.header(counts[0]), *([output.shown(str(value)) for value in row.values()] for row in counts)]
    )
    return [*lines, *(f"stale: rebuild {visible(row['table_name'])}" for row in found if row["stale"])]


def _each(session: Session, function: str, verb: str, refs: tuple[str, ...], into: str | None, form: str) -> None:
    """Applies one commit after the other. If one stops, says what is left."""
    # Each adds a commit, which moves HEAD and the branch. So all references are resolved before the first.
    commits = session.commits(refs)
    made = []
    for at, (ref, commit) in enumerate(zip(refs, commits, strict=True)):
        try:
            asked = call(function, ref if len(refs) == 1 else commit, target=into)
            made.append(_run(session, into, asked, verb))
        except Exception as error:
            _tell_left(verb, error, commits[at + 1 :], into)
            raise
        _report_commit(made[-1])
    if form == "json":
        output.document(made)


def _tell_left(verb: str, error: Exception, commits: list[str], into: str | None) -> None:
    if not commits:
        return
    where = f" --into {shlex.quote(into)}" if into else ""
    after = f"after epoch merge --continue{where}: " if isinstance(error, EpochConflict) else ""
    rest = " ".join(shlex.quote(short(commit, commits)) for commit in commits)
    diagnostics.message(f"{counted(len(commits), 'commit')} left, {after}epoch {verb} {rest}{where}")
