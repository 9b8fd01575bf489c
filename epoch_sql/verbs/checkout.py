"""``checkout`` brings the working tables to another commit. ``epoch_plan`` says what it, or a reset, would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar, get_args

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.local import Fingerprint, Fingerprints, Freshness, Patterns, Upstreams
from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochDirtyError, ReferenceExists
from epoch_sql.guard.moves import Move, move_branch, require_own
from epoch_sql.model.commit import Ref, Route, RowCounts, Tree
from epoch_sql.model.names import check_ref_name
from epoch_sql.model.remote import Upstream
from epoch_sql.model.schema import Table
from epoch_sql.patch.planning import unqualified
from epoch_sql.plan.executor import Applied, Attempt, Executor, StillUsed, working_plan
from epoch_sql.plan.making import CannotMake, HeldByGhost, still_held
from epoch_sql.plan.planner import (
    Alter,
    ChangeRows,
    Fill,
    Plan,
    TableChange,
    describe,
    statements,
)
from epoch_sql.render import Sql
from epoch_sql.storage.shape import arrange, compare, shape_of
from epoch_sql.verb import procedure
from epoch_sql.verbs.committing import set_head
from epoch_sql.verbs.unmade import Attempts, left_out, make_again, note_unmade
from epoch_sql.verbs.worktree_state import require_clean, settle
from epoch_sql.versions.folding import count_changes, same_values
from epoch_sql.versions.recording import fill_buckets, shift_buckets
from epoch_sql.worktree.rows import (
    BUCKETS,
    ROWS_WORTH_BUCKETS,
    Working,
    WorkingTable,
    checksums,
    engine,
    hash_shift,
    working_rows,
)


@dataclass(frozen=True)
class PlanStep:
    """A step: its action and its object, with the statement for a definition, and the number of rows otherwise."""

    step_order: int
    action: str
    kind: str
    name: str
    row_count: int | None
    statement: str | None


@procedure("epoch_plan", acts=False)
def steps(call: Call, ref: str) -> list[PlanStep]:
    """The steps that a checkout or a hard reset would take. Changes nothing. Actions are `drop`, `alter`, `create`,
    `refresh`, and for rows `delete`, `update` and `insert`.

    Steps that change no row are left out.

    Args:
        ref: the target of the checkout or hard reset
    """
    target = call.scanner.visible(call.tree(call.resolve(ref)))
    working = settle(call, call.scan(call.tree(call.head().commit_id)))
    plan = working_plan(call.contents, working, target, left_out=left_out(call, working, target))
    found = [*_definitions(plan), *_rows_of_step(call, plan, working, target)]
    return [PlanStep(number, *fields) for number, fields in enumerate(found, 1)]


_Fields = tuple[str, str, str, int | None, str | None]


def _definitions(plan: Plan) -> Iterator[_Fields]:
    with unqualified():
        for step in plan.definitions:
            made = step.after if isinstance(step, Alter) else step.what
            kind = "table" if isinstance(made, Table) else made.kind
            yield describe(step), kind, str(made.name), None, ";\n".join(statements(step))


def _rows_of_step(call: Call, plan: Plan, working: Working, target: Tree) -> Iterator[_Fields]:
    counts: dict[str, RowCounts] = {}
    for step in plan.rows:
        change = step.change
        assert change.after
        if change.table_id not in counts:
            counts[change.table_id] = _counts(call, step, working, target.tables[change.table_id].version_id)
        of_table = counts[change.table_id]
        numbers = {"delete": of_table.removed, "update": of_table.modified, "insert": of_table.added}
        action = describe(step)
        if numbers[action]:
            yield action, "rows", str(change.after.name), numbers[action], None


def _counts(call: Call, step: ChangeRows | Fill, working: Working, version_id: str) -> RowCounts:
    """The number of rows that a step would delete, update and insert now."""
    contents = call.contents
    if isinstance(step, Fill):
        return RowCounts(added=contents.version(version_id).row_count)
    now = next(w for w in working.tables if w.table_id == step.change.table_id)
    after = _after(step.change)
    shape = shape_of(now.table, after)
    if now.entry and not now.differs:
        return count_changes(call.cursor, contents.changes(now.entry.version_id, version_id), shape.keyless)
    before = arrange(working_rows(now.table), shape, now.table, old=True)
    rows = compare(shape, before, arrange(contents.state(version_id), shape, after))
    return count_changes(call.cursor, rows, shape.keyless)


def _after(change: TableChange) -> Table:
    assert change.after
    return change.after


T = TypeVar("T")
_ATTEMPTS: tuple[Attempt, ...] = get_args(Attempt)


@dataclass(frozen=True)
class CheckoutResult:
    """What is checked out now. ``branch`` is None for a commit or a tag."""

    branch: str | None
    commit: str
    tables_changed: int
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_checkout", looks="rows")
def checkout(call: Call, ref: str, *, new_branch: bool = False, force: bool = False) -> CheckoutResult:
    """Brings the working tables to a reference.

    Raises EpochDirtyError if uncommitted changes would be lost, unless ``force``. On the branch that is checked out,
    they stay.

    Args:
        ref: a branch, tag or commit; with new_branch, the name of the branch to create
        new_branch: create a branch of that name at HEAD and check it out
        force: discard uncommitted changes
    """
    if new_branch:
        return _checkout_new(call, ref)

    def move(attempts: Attempts) -> CheckoutResult:
        branch = call.refs.get("branch", ref) or _following(call, ref)
        if branch:
            require_own(call, branch.name)
        commit_id = branch.commit_id if branch else call.resolve(ref)
        try:
            tables, _ = put_working_tables(call, attempts, commit_id, f"checkout {ref}", force)
        except EpochDirtyError:
            if not branch or call.head().branch != ref:
                raise
            return CheckoutResult(ref, commit_id, 0)
        set_head(call, ref if branch else None, commit_id)
        return CheckoutResult(ref if branch else None, commit_id, tables)

    return attempting(call, move)


def _following(call: Call, name: str) -> Ref | None:
    """Creates a branch that follows the only remote branch of that name, as git does. None if there is not exactly
    one."""
    if call.refs.get("tag", name):
        return None
    found = [ref for ref in call.refs.all("remote").values() if ref.name.partition("/")[2] == name]
    if len(found) != 1:
        return None
    tracking, commit_id = found[0].name, found[0].commit_id
    made = Move(name, Route.CREATE, None, commit_id)
    move_branch(call, made, f"branch: created from {tracking}", call.author())
    Upstreams(call.cursor).put(Upstream(name, tracking.partition("/")[0], name))
    return call.refs.get("branch", name)


def attempting(call: Call, move: Callable[[Attempts], T]) -> T:
    """Run a move of the working tables in a transaction in which references move; see ``in_transactions``."""
    return in_transactions(call, call.moving, move)


def in_transactions(
    call: Call, transaction: Callable[[], AbstractContextManager[None]], act: Callable[[Attempts], T]
) -> T:
    """Apply a tree in a transaction. While DuckDB refuses, try again with more tables rebuilt, and without the objects
    that cannot be created.

    DuckDB 1.4 may refuse to drop something after all of its dependents are dropped, because it remembers what a table
    depended on before an ALTER. Then all tables are rebuilt.
    """
    attempts = Attempts()
    while True:
        try:
            with transaction():
                result = act(attempts)
            break
        except CannotMake as refused:
            attempts.refused[refused.made.kind, refused.made.name] = refused.reason
        except HeldByGhost as held:
            if held.ghost in attempts.ghosts:
                raise still_held(held.ghost) from held
            attempts.ghosts.append(held.ghost)
        except (duckdb.ConstraintException, duckdb.OutOfMemoryException):
            if attempts.attempt in ("differing", "all"):
                raise
            attempts.attempt = "differing"
        except StillUsed as used:
            if attempts.attempt == "all":
                raise used.error() from used
            attempts.attempt = _ATTEMPTS[_ATTEMPTS.index(attempts.attempt) + 1]
    make_again(call, attempts.unmade_before)
    return result


def put_working_tables(
    call: Call, attempts: Attempts, commit_id: str, doing: str, force: bool = False
) -> tuple[int, RowCounts]:
    """Bring the working tables to a commit. Gives the number of changed tables, and the rows changed in tables that
    were not rebuilt."""
    head_tree = call.tree(call.head().commit_id)
    working = call.scan(head_tree)
    if not force:
        require_clean(call, head_tree, working, f"lost by {doing}")
    working = settle(call, working)
    return apply_tree(call, attempts, working, call.tree(commit_id))


def apply_tree(
    call: Call, attempts: Attempts, working: Working, target: Tree, pinned: Sequence[WorkingTable] = ()
) -> tuple[int, RowCounts]:
    """Bring the working tables and their fingerprints to a tree. Other tables, which are ``pinned``, must not
    change."""
    target, derived = call.scanner.visible(target), target.derived
    omitted = left_out(call, working, target, attempts.refused)
    plan = working_plan(call.contents, working, target, attempts.attempt, omitted, pinned)
    outcome = Executor(call.cursor, call.contents, attempts.ghosts).run(plan, working, target)
    note_unmade(call, attempts, working, target, outcome)
    applied = outcome.tables
    removed = [w.table_id for w in working.tables if w.table_id not in target.tables]
    Fingerprints(call.cursor).forget(removed)
    if derived or call.scanner.patterns("derived"):
        Patterns(call.cursor).replace_derived(derived)
        Freshness(call.cursor).replace(())
    _follow(call, working, applied)
    rows = RowCounts()
    for change in applied:
        rows += change.counts or RowCounts()
    return len(applied) + len(removed), rows


def _follow(call: Call, working: Working, applied: list[Applied]) -> None:
    """The fingerprints of the changed tables: shifted by the changes, or computed again after a rebuild."""
    known = {w.table_id: w for w in working.tables}
    current = engine(call.cursor)
    unread = []
    found = []
    for change in applied:
        before = known.get(change.table_id)
        checksum = before.checksum if before else None
        shiftable = change.changes and change.before and same_values(change.before, change.after)
        if before is None or checksum is None or not shiftable:
            unread.append(change)
            continue
        count = before.row_count
        assert change.counts and change.before
        [(shift,)] = call.cursor.execute(hash_shift(change.before, change.after, _rows(change))).fetchall()
        shifted = checksum + int(shift)
        count += change.counts.added - change.counts.removed
        buckets = _shift_buckets(call, change, None if before.differs else before.known, count)
        found.append(Fingerprint(change.table_id, change.version_id, current, count, shifted, *buckets))
    # A new worktree knows the hashes of its tables from the one that made it.
    kept = Fingerprints(call.cursor).load() if unread else {}
    new = {i: f for i, f in kept.items() if i not in known and f.engine == current}
    unread = [c for c in unread if c.table_id not in new or new[c.table_id].version_id != c.version_id]
    for change, sums in zip(unread, checksums(call.cursor, [change.after for change in unread]), strict=True):
        assert sums.checksum is not None
        buckets = _shift_buckets(call, change, None, sums.row_count)
        found.append(Fingerprint(change.table_id, change.version_id, current, sums.row_count, sums.checksum, *buckets))
    Fingerprints(call.cursor).put(found)


def _shift_buckets(call: Call, change: Applied, known: Fingerprint | None, row_count: int) -> tuple[int, int | None]:
    """Bring the bucket checksums of a changed table up to date, from those that are ``known`` or from its rows. Returns
    their number, and the column that gives them (see ``Fingerprint``)."""
    if row_count < ROWS_WORTH_BUCKETS:
        run(call.cursor, "DELETE FROM {{epoch}}.buckets WHERE table_id = ?", [change.table_id])
        return 0, None
    if known and known.buckets == BUCKETS and change.changes and change.before:
        shift_buckets(call.cursor, known, change.before, change.after, _rows(change))
        return BUCKETS, known.bucket_column
    return BUCKETS, fill_buckets(call.cursor, change.table_id, change.after)


def _rows(change: Applied) -> Sql:
    assert change.changes
    return render.fill(Sql("FROM {{name}}"), name=render.identifier(change.changes.name))


def _checkout_new(call: Call, name: str) -> CheckoutResult:
    check_ref_name(name)
    with call.moving():
        if call.refs.get("branch", name):
            raise ReferenceExists(f"branch {name} exists already", Suggestion("checkout", name), name=name)
        commit_id = call.head().commit_id
        made = Move(name, Route.CREATE, None, commit_id)
        move_branch(call, made, "branch: created from HEAD", call.author())
        set_head(call, name, commit_id)
    return CheckoutResult(name, commit_id, 0)
