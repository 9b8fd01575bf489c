"""Checks: named queries that must return no row. They run on the result of a merge before anybody sees it, and on
any state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion, did_you_mean
from epoch_sql.call import WORKING, Call, now
from epoch_sql.catalog.history import Audit, Checks, Refs
from epoch_sql.characters import has_hidden
from epoch_sql.errors import (
    EpochActsError,
    EpochCheckError,
    EpochCheckNameError,
    EpochCheckQueryError,
    EpochError,
    ReferenceNotFound,
)
from epoch_sql.model.commit import Tree
from epoch_sql.model.names import is_line, quoted, shown, suggest
from epoch_sql.model.protection import Check
from epoch_sql.model.revisions import parse_revision
from epoch_sql.query.query import query_of
from epoch_sql.query.table_references import macro_texts, read_query, require_reading, syntax_tree
from epoch_sql.render import Sql
from epoch_sql.verb import procedure, query, relation
from epoch_sql.versions.sides import Side, side_of, tree_side

_HINT = "one SELECT that returns the rows that should not be there: SELECT * FROM orders WHERE amount < 0"
_READS_UNSEEN = frozenset({"query", "query_table", "json_execute_serialized_sql"})
_WRITES = frozenset(
    {
        "nextval",
        "setval",
        "setseed",
        "write_log",
        "checkpoint",
        "force_checkpoint",
        "enable_logging",
        "disable_logging",
        "truncate_duckdb_logs",
        "enable_profiling",
        "disable_profiling",
        "create_external_resource",
        "destroy_external_resource",
        "register_external_resource",
        "register_external_resource_type",
        "deregister_external_resource",
    }
)


def require_query(call: Call, check: Check, states: Iterable[tuple[str, Side]]) -> None:
    """Raises EpochCheckQueryError unless the check is one query that only reads and that binds on one of the states."""
    functions = _functions(call, check.query)
    writing = sorted(name for name in functions if name in _WRITES or name in _procedures(call.cursor))
    if writing:
        raise EpochCheckQueryError(f"a check only reads, but {writing[0]}() acts", _HINT, check=check.name)
    unseen = sorted(functions & _READS_UNSEEN)
    if unseen:
        message = f"{unseen[0]}() reads tables that a check does not name"
        raise EpochCheckQueryError(message, "name the table in FROM", check=check.name)
    problems = []
    for where, side in states:
        problem = _binding_problem(call, check, where, side)
        if problem is None:
            return
        problems.append(problem)
    raise EpochCheckQueryError(f"the SQL of check {check.name} is wrong: {problems[0]}", _HINT, check=check.name)


def _functions(call: Call, sql: str) -> set[str]:
    """The functions that a query uses, even through macros of users."""
    tree = syntax_tree(call.cursor, sql)
    if tree.get("error"):
        if tree.get("error_type") == "not implemented":
            raise EpochCheckQueryError("a check only reads: its SQL is not a query", _HINT)
        told = str(tree.get("error_message", "")).splitlines() or ["syntax error"]
        raise EpochCheckQueryError(f"the SQL of the check is wrong: {told[0]}", _HINT)
    if len(tree["statements"]) != 1:
        raise EpochCheckQueryError(f"a check is one query, not {len(tree['statements'])}", _HINT)
    texts = macro_texts(call.cursor, call.memory.own_macros)
    found: set[str] = set()
    pending = [tree]
    while pending:
        used = {name for part in pending.pop()["statements"] for name in read_query(part).functions} - found
        found |= used
        macros = [syntax_tree(call.cursor, texts[name]) for name in used if name in texts]
        pending += [macro for macro in macros if not macro.get("error")]
    return found


def _procedures(cursor: duckdb.DuckDBPyConnection) -> set[str]:
    """Epoch's own functions whose inner functions have side effects."""
    rows = cursor.execute(render.load("functions.procedures")).fetchall()
    return {name for row in rows for name in row}


def _binding_problem(call: Call, check: Check, where: str, side: Side) -> str | None:
    """The reason why DuckDB cannot bind the query on a state, or None. Runs nothing.

    Raises EpochCheckQueryError for a query that does more than read.
    """
    try:
        rows = query_of(call, side, where, check.query, where == WORKING, "a check").bare
        require_reading(call, rows, "a check")
        call.cursor.execute(render.fill(Sql("DESCRIBE SELECT * FROM ({{rows}}) AS failing"), rows=rows))
    except EpochActsError as error:
        raise EpochCheckQueryError(error.message, _HINT, check=check.name) from error
    except EpochError as error:
        return error.message
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return None


SHOWN_ROWS = 3
SHOWN_LENGTH = 200


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check on one state: the number of returned rows, and the first of them as JSON.

    ``problem`` is the reason why it could not run, which counts as failed.
    """

    check: Check
    failing_rows: int | None
    first_rows: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it returned no row."""
        return self.failing_rows == 0

    @property
    def report(self) -> CheckReport:
        """What `epoch_check_report` says of it."""
        rows = list(self.first_rows)
        return CheckReport(self.check.name, self.check.branch, self.passed, self.failing_rows, rows, self.problem)

    @property
    def told(self) -> str:
        """One line that says how it failed."""
        if self.problem:
            return f"it cannot be run: {self.problem}"
        rows = ", ".join(row if len(row) <= SHOWN_LENGTH else f"{row[:SHOWN_LENGTH]}…" for row in self.first_rows)
        more = ", …" if (self.failing_rows or 0) > len(self.first_rows) else ""
        return f"{self.failing_rows} row{'' if self.failing_rows == 1 else 's'}: {rows}{more}"


@dataclass(frozen=True)
class CheckInfo:
    """A query that must return no row, and the branches that it is for."""

    name: str
    branch: str
    sql: str


@dataclass(frozen=True)
class CheckResult:
    """What a check said of a state; without a number of rows, it cannot be run there."""

    name: str
    passed: bool
    failing_rows: int | None


@dataclass(frozen=True)
class CheckReport:
    """What a check said of a state, with the first rows that it returned, as JSON."""

    name: str
    branch: str
    passed: bool
    failing_rows: int | None
    first_rows: list[str]
    problem: str | None


@query("epoch_checks", CheckInfo)
def checks(call: Call) -> Sql:
    """The checks: their queries, and the branches that each guards."""
    return render.render("listing.checks")


@procedure("epoch_check_add")
def add_check(call: Call, name: str, sql: str, *, branch: str = "*") -> CheckInfo:
    """Adds a check. It runs on the result of each merge into a matching branch, before anybody sees that result.

    Raises EpochReferenceError for a plain name that names no branch, EpochCheckQueryError for what is not one query,
    or does more than read, and EpochCheckNameError for a name that is taken.

    Args:
        name: the check
        sql: one query, which must return no row
        branch: a branch, or a shell pattern such as 'release/*'; default: all
    """
    check = Check(name.strip(), sql.strip(), branch.strip())
    _require_branch(call.refs, check)
    # Not within the transaction, because a query that cannot be bound would end it.
    require_query(call, check, _states_to_bind(call, check))
    with call.moving():
        _require_new_name(call.cursor, check)
        Checks(call.cursor).insert([tuple(vars(check).values())])
        _note(call, "add check", check)
    return CheckInfo(check.name, check.branch, check.query)


@procedure("epoch_check_remove")
def remove_check(call: Call, name: str) -> CheckInfo:
    """Removes a check.

    Raises EpochCheckNameError if there is none of that name.

    Args:
        name: the check
    """
    with call.moving():
        check = check_named(call, name)
        Checks(call.cursor).remove(name)
        _note(call, "remove check", check)
    return CheckInfo(name, check.branch, check.query)


@procedure("epoch_check_run", acts=False)
def run_checks(call: Call, ref: str = WORKING) -> list[CheckResult]:
    """Runs every check on a state, whichever branches the check is for. A check that cannot run there fails, with NULL
    as its number of rows.

    Args:
        ref: a reference; default: the working tables
    """
    return [CheckResult(o.check.name, o.passed, o.failing_rows) for o in _outcomes(call, ref)]


@procedure("epoch_check_report", acts=False)
def report_checks(call: Call, ref: str = WORKING) -> list[CheckReport]:
    """Runs every check like `epoch_check_run`, and gives the first rows that each returned, as JSON, or the reason why
    it cannot run.

    Args:
        ref: a reference; default: the working tables
    """
    return [outcome.report for outcome in _outcomes(call, ref)]


@relation("epoch_check_rows", also="the columns of the check's query")
def check_rows(call: Call, name: str, ref: str = WORKING) -> Sql:
    """The rows that a check returns on a state, whichever branches it is for: those that should not be there.

    Args:
        name: the check
        ref: a reference; default: the working tables
    """
    return rows_failing(call, check_named(call, name), side_of(call, ref), ref, parse_revision(ref).is_working)


def _outcomes(call: Call, ref: str) -> list[Outcome]:
    """What every check says of a state."""
    checks = Checks(call.cursor).load()
    side = side_of(call, ref)
    working = parse_revision(ref).is_working
    return [outcome_of(call, check, side, ref, working) for check in checks]


def require_passing(call: Call, branch: str, tree: Tree, source: str) -> None:
    """Raises EpochCheckError if a check for the branch fails on the tree that the branch is about to get."""
    checks = checks_for(call, branch)
    if not checks:
        return
    where = f"the merge of {source} into {branch}"
    failed = failing(call, checks, tree_side(call.contents, tree), where)
    if not failed:
        return
    first, *others = failed
    more = f"; failed too: {', '.join(outcome.check.name for outcome in others)}" if others else ""
    raise EpochCheckError(
        f"check {first.check.name} fails on {where}, {first.told}{more}",
        (f"correct it in {source}, or see all checks of it: ", Suggestion("check_run", source)),
        branch=branch,
        checks=tuple(outcome.check.name for outcome in failed),
    )


def checks_for(call: Call, branch: str) -> list[Check]:
    """The checks that guard a branch."""
    return [check for check in Checks(call.cursor).load() if check.applies_to(branch)]


def failing(call: Call, checks: Iterable[Check], side: Side, where: str) -> list[Outcome]:
    """The checks that fail on a state, which messages call ``where``; up to the first that cannot be run."""
    failed: list[Outcome] = []
    for check in checks:
        outcome = outcome_of(call, check, side, where)
        failed += [] if outcome.passed else [outcome]
        if outcome.problem:
            # A query that fails may have ended the transaction, so no other query can run in it.
            break
    return failed


def outcome_of(call: Call, check: Check, side: Side, where: str, working: bool = False) -> Outcome:
    """Runs a check. A query with an error is a failed check, because its result is unknown."""
    cursor = call.cursor
    try:
        rows = rows_failing(call, check, side, where, working)
        count = render.fill(Sql("SELECT count(*) FROM ({{rows}}) AS failing"), rows=rows)
        (failing,) = cursor.execute(count).fetchone() or (0,)
        if not failing:
            return Outcome(check, 0)
        shown = Sql("SELECT CAST(to_json(failing) AS VARCHAR) FROM ({{rows}}) AS failing LIMIT {{n}}")
        found = cursor.execute(render.fill(shown, rows=rows, n=render.literal(SHOWN_ROWS))).fetchall()
        return Outcome(check, int(failing), tuple(row[0] for row in found))
    except EpochError as error:
        return Outcome(check, None, problem=error.message)
    except duckdb.Error as error:
        return Outcome(check, None, problem=str(error).splitlines()[0])


def rows_failing(call: Call, check: Check, side: Side, where: str, working: bool = False) -> Sql:
    """The rows that a check returns on a state. Raises EpochError if it cannot be run there."""
    provable = query_of(call, side, where, check.query, working, "a check")
    require_reading(call, provable.bare, "a check")
    return provable.sql


def check_named(call: Call, name: str) -> Check:
    """The check of a name. Raises EpochCheckNameError with suggestions if there is none."""
    checks = {check.name: check for check in Checks(call.cursor).load()}
    if name not in checks:
        near = suggest(name, checks)
        advice = did_you_mean(near) or Suggestion("checks")
        raise EpochCheckNameError(f"there is no check {shown(name)}", advice, name=name, suggestions=tuple(near))
    return checks[name]


def _require_new_name(cursor: duckdb.DuckDBPyConnection, check: Check) -> None:
    if not is_line(check.name) or has_hidden(check.branch):
        message = "a check needs a name, on one line"
        raise EpochCheckNameError(message, Suggestion("check_add", "NAME", "SQL"), name=check.name)
    if check.name in {known.name for known in Checks(cursor).load()}:
        message = f"check {check.name} exists already"
        raise EpochCheckNameError(message, Suggestion("check_remove", check.name), name=check.name)


def _require_branch(refs: Refs, check: Check) -> None:
    """A pattern may match future branches. A plain name without a branch is a mistake."""
    branches = refs.all("branch")
    if check.branch not in branches and not check.is_pattern:
        near = suggest(check.branch, branches)
        advice = did_you_mean(near) or "a branch, or a pattern such as 'release/*'"
        message = f"there is no branch {quoted(check.branch)}"
        raise ReferenceNotFound(message, advice, name=check.branch, suggestions=tuple(near))


def _states_to_bind(call: Call, check: Check) -> Iterable[tuple[str, Side]]:
    """The states on which the query may find its tables: the working tables, or else a branch of the check."""
    if not call.promisor:
        yield WORKING, side_of(call, WORKING)
    for name, ref in call.refs.all("branch").items():
        if check.applies_to(name):
            yield name, tree_side(call.contents, call.tree(ref.commit_id))


def _note(call: Call, action: str, check: Check) -> None:
    detail = f"{check.name}: {check.query}"
    Audit(call.cursor).record(now(), call.author(), action, check.branch, None, detail)
