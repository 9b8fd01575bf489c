"""``epoch conflicts``: shows and resolves the conflicts and violations of a merge."""

from __future__ import annotations

from typing import Any

import click

from epoch_sql.advice import to_finish, to_resolve
from epoch_sql.model.patterns import counted

from . import diagnostics, output
from .grammar import DefaultGroup, documented, json_option, short_option
from .in_progress import Target, into_option, left, merge_into, merge_target, name
from .rows import Rows
from .session import Session, call, pass_session


@click.group(cls=DefaultGroup, bare="show", default="show")
def conflicts() -> None:
    """Show and resolve the conflicts of a merge.

    `epoch conflicts [TABLE]` shows them.
    """


@conflicts.command(name="show")
@click.argument("table_name", required=False, metavar="TABLE")
@into_option
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="The output format.",
)
@short_option
@documented
@pass_session
def conflicts_show(session: Session, table_name: str | None, into: str | None, form: str) -> None:
    """Show the conflicts and violations of the merge in progress, of TABLE or of all tables."""
    asked = call("epoch_conflicts", table_name=table_name, target=into)
    found = session.rows(asked, form)
    # The case of the name does not matter, so rows are matched as DuckDB matches the table.
    violated = session.rows(
        call("epoch_violations", target=into),
        form,
        "WHERE ? IS NULL OR lower(table_name) = lower(?)",
        [table_name, table_name],
    )
    if form == "json":
        output.documents({"conflicts": found, "violations": violated})
        return
    _write(found)
    _write(violated)
    _report_progress(session, merge_target(session, into))


@conflicts.command(name="resolve")
@click.argument("table_name", required=False, metavar="TABLE")
@click.option("--ours", is_flag=True, help="Take the branch that is merged into.")
@click.option("--theirs", is_flag=True, help="Take the side that is merged.")
@click.option("--base", is_flag=True, help="Take the merge base.")
@click.option("--both", is_flag=True, help="Take all copies of a row that both sides added.")
@click.option("--value", metavar="V", help="Give one cell this value: with TABLE, --record and --field.")
@click.option("--record", metavar="KEY", help='Only this row: JSON ({"id": 42}) or the value of a one-column key.')
@click.option("--field", metavar="F", help="Only this column.")
@click.option("--constraint", metavar="NAME", help="Only rows that violate this constraint.")
@click.option("--interactive", is_flag=True, help="Ask about each row, on a terminal.")
@into_option
@json_option
@pass_session
@click.pass_context
def conflicts_resolve(
    ctx: click.Context,
    session: Session,
    /,
    table_name: str | None,
    ours: bool,
    theirs: bool,
    base: bool,
    both: bool,
    into: str | None,
    interactive: bool,
    form: str,
    **cell: str | None,
) -> None:
    """Decide conflicts and violations: all of them, or those of a TABLE, a row or a cell.

    A side gives a violating row as a whole, with the rows that it refers to there. If you decide a whole table, the
    side gives its definition too. You can change a decision until epoch merge --continue.
    """
    flags = (("ours", ours), ("theirs", theirs), ("base", base), ("both", both))
    sides = [side for side, chosen in flags if chosen]
    _require_one_choice(ctx, sides, cell["value"], interactive)
    _require_fitting(ctx, table_name, interactive, form, cell)
    where = merge_target(session, into)
    if interactive:
        from .interactive import resolve_interactively

        resolve_interactively(session, where, table_name)
        _report_next(session, where)
        return
    asked = call(
        "epoch_resolve",
        table_name=table_name,
        side=sides[0] if sides else None,
        key=cell["record"],
        column_name=cell["field"],
        value=cell["value"],
        target=into,
        constraint_name=cell["constraint"],
    )
    before = merge_into(session, where.branch) or {}
    resolved = session.do(asked, "resolving")
    diagnostics.message(f"Resolved {_settled(before, merge_into(session, where.branch))}")
    _report_next(session, where)
    if form == "json":
        output.document([resolved])


COMMANDS = (conflicts,)


def _require_one_choice(ctx: click.Context, sides: list[str], value: str | None, interactive: bool) -> None:
    others = (("value", value is not None), ("interactive", interactive))
    chosen = [f"--{name}" for name in (*sides, *(name for name, there in others if there))]
    if not chosen:
        raise click.UsageError("choose one of --ours, --theirs, --base, --both, --value and --interactive", ctx)
    if len(chosen) > 1:
        raise click.UsageError(f"choose one of {' and '.join(chosen)}", ctx)


def _require_fitting(
    ctx: click.Context, table_name: str | None, interactive: bool, form: str, cell: dict[str, str | None]
) -> None:
    """Refuses options that do not go together, because ignoring one would mislead the user."""
    constraint = cell["constraint"] is not None
    given = [f"--{option}" for option, value in cell.items() if value is not None]
    if constraint and (interactive or cell["value"] is not None or cell["field"] is not None):
        raise click.UsageError("--constraint goes with --ours, --theirs or --base, a TABLE and --record", ctx)
    given = [option for option in given if option != "--constraint"]
    if interactive and (given or form == "json"):
        raise click.UsageError(f"--interactive asks about each row: leave {(given or ['--json'])[0]} out", ctx)
    if given and table_name is None:
        raise click.UsageError(f"{given[0]} needs a TABLE", ctx)
    if cell["value"] is not None and (cell["record"] is None or cell["field"] is None):
        raise click.UsageError("--value is for one cell: give --record and --field", ctx)


def _settled(before: dict[str, Any], after: dict[str, Any] | None) -> str:
    """``3 conflicts and 2 violations, 1 violation left``."""
    assert after is not None
    fewer = {what: max(before.get(what, 0) - after[what], 0) for what in ("conflicts", "violations")}
    return f"{left(fewer) or counted(0, 'conflict')}, {left(after) or 'nothing'} left"


def _write(found: Rows) -> None:
    """Writes rows as a table, and nothing if there are no rows."""
    cells = list(found.cells)
    if cells:
        output.rows(Rows(found.columns, cells, found.numeric), "table")
        output.lines([""])


def _report_progress(session: Session, where: Target) -> None:
    row = merge_into(session, where.branch)
    if row is None:
        diagnostics.message(
            f"No merge into {where.branch} is in progress" if where.branch else "No branch is checked out"
        )
        return
    diagnostics.message(f"The {name(row)} is in progress: {left(row) or 'nothing'} left to resolve")
    _report_next(session, where)


def _report_next(session: Session, where: Target) -> None:
    row: dict[str, Any] | None = merge_into(session, where.branch)
    if row is not None and left(row):
        diagnostics.advise(to_resolve(where.into, row["conflicts"]))
    elif row is not None:
        diagnostics.advise(to_finish(where.into))
