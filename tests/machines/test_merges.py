"""A state machine over everything that version control does to two tables, against a model in plain Python.

After every step the working tables equal the model's; after a step that moves branches so do these, and what a merge
would do (the preview), what is in its way (the conflicts) and what it did. ``EPOCH_MACHINE_STEPS`` says how many steps
are made (4,000), ``EPOCH_MACHINE_SEED`` repeats a run: its value is printed.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

import epoch_sql
from epoch_sql.model.graph import NO_UNDO, Undo
from epoch_sql.model.undo import plan_merge, undo_of_revert
from tests.machines.machine_of_tables import CHOICES, NOT_ON_A_BRANCH, Tables
from tests.machines.model_of_merges import (
    Clash,
    Decision,
    InProgress,
    Merged,
    State,
    merge,
)

STEPS = int(os.environ.get("EPOCH_MACHINE_STEPS", "4000"))
STEPS_OF_ONE = 60
SIDES = st.sampled_from(["ours", "theirs", "base"])
WAYS = st.sampled_from([{}, {}, {}, {"squash": True}, {"ff": True}, {"strategy": "ours"}, {"strategy": "theirs"}])


class Machine(Tables):
    @rule()
    def stash(self) -> None:
        if not self.dirty:
            self.refused("EpochNothingToCommit", "CALL epoch_stash()")
            return self.done()
        self.rows("CALL epoch_stash()")
        self.stashes.append((self.committed, self.working))
        self.working = self.committed
        return self.done(self.head)

    @precondition(lambda self: self.stashes)
    @rule()
    def pop(self) -> None:
        before, stashed = self.stashes[-1]
        if self.dirty:
            self.refused("EpochDirtyError", "CALL epoch_stash_pop()")
            return self.done()
        merged = merge(before, self.committed, stashed, [])
        if merged.stopped:
            self.refused("EpochConflict", "CALL epoch_stash_pop()")
            assert len(self.rows("FROM epoch_stashes()")) == len(self.stashes)
            self.rows("CALL epoch_stash_drop()")
        else:
            self.rows("CALL epoch_stash_pop()")
            self.working = merged.state
        self.stashes.pop()
        return self.done(self.head)

    @rule()
    def reopen(self) -> None:
        """As another run of a program would find it: merges in progress are still there."""
        self.db.reopen()
        for target in self.merges:
            self.check_conflicts(target)
        self.done()

    # Merging.

    def merged(self, target: str) -> Merged:
        progress = self.merges[target]
        return progress.onto(self.history.states[progress.ours])

    def check_conflicts(self, target: str) -> None:
        merged = self.merged(target)
        rows = self.rows(
            "SELECT key, column_name, kind, base, ours, theirs, resolved FROM epoch_conflicts(target := ?)", target
        )
        assert sorted(row[1] for row in rows if row[2] == "schema") == sorted(merged.schema)
        found = [self.clash(*row) for row in rows if row[2] != "schema"]
        assert sorted(found, key=repr) == sorted(merged.clashes, key=repr)

    @staticmethod
    def clash(key: str, column: str | None, kind: str, *rest: Any) -> Clash:
        *texts, resolved = rest
        values = tuple(None if text is None else json.loads(text) for text in texts)
        (number,) = json.loads(key).values()
        return Clash(number, column, kind, values if column or kind == "copies" else None, resolved)  # type: ignore[arg-type]

    def check_preview(self, source: str, target: str, strategy: str, merged: Merged | None) -> None:
        rows = self.rows("FROM epoch_preview_merge(?, target := ?, strategy := ?)", source, target, strategy)
        if merged is None:
            assert rows == []
            return
        assert sum(row[4] for row in rows) == sum(not clash.resolved for clash in merged.clashes)
        assert sum(row[5] for row in rows) == merged.open_schema
        assert sum(row[6] for row in rows) == 0
        ours = self.history.states[self.tips[target]]
        if not merged.stopped and merged.state.columns == ours.columns:
            found = {row[0]: row[1:4] for row in rows if any(row[1:4])}
            assert found == {name: counts for name, counts in differences(ours, merged.state).items() if any(counts)}

    @rule(source=CHOICES, into=CHOICES, how=WAYS)
    def merge_into(self, source: int, into: int, how: Mapping[str, Any]) -> None:
        self.merging(self.some_branch(source), self.some_branch(into), how)

    @rule(source=CHOICES, how=WAYS)
    def merge_here(self, source: int, how: Mapping[str, Any]) -> None:
        if self.head is None:
            return self.refused(NOT_ON_A_BRANCH, "CALL epoch_merge(?)", self.some_branch(source))
        return self.merging(self.some_branch(source), self.head, how)

    def merging(self, source: str, target: str, how: Mapping[str, Any]) -> None:
        squash, ff = bool(how.get("squash")), bool(how.get("ff"))
        strategy = how.get("strategy", "three-way")
        sql = "SELECT status, commit_id FROM epoch_merge(?, target := ?, squash := ?, ff := ?, strategy := ?)"
        call = (sql, source, target, squash, ff, strategy)
        if source == target:
            return self.refused("EpochReferenceError", *call)
        ours, theirs = self.tips[target], self.tips[source]
        plan = plan_merge(self.history.graph, ours, theirs)
        if plan.up_to_date:
            self.check_preview(source, target, strategy, None)
            assert self.rows(*call) == [("up-to-date", ours)]
            return self.done()
        base, state = self.history.planned(plan, ours, theirs), self.history.states[theirs]
        side = strategy if strategy in ("ours", "theirs") else None
        progress = InProgress("merge", source, ours, theirs, base, state, NO_UNDO, side, squash)
        if self.in_the_way_of(progress, target):
            self.refused("EpochMergeError", *call)
            return self.done()
        self.merges.pop(target, None)
        if ff and plan.fast_forward:
            return self.fast_forward(target, theirs, call)
        merged = progress.onto(self.history.states[ours])
        self.check_preview(source, target, strategy, merged)
        changes = merged.stopped or merged.state != self.history.states[ours]
        brings = plan.reapplies or plan.keeps or not self.brings_only_merges(ours, theirs)
        if strategy == "three-way" and not changes and not brings:
            assert self.rows(*call) == [("up-to-date", ours)]
            return self.done()
        return self.finishing(target, progress, merged, *call)

    def brings_only_merges(self, ours: str, theirs: str) -> bool:
        graph = self.history.graph
        return all(
            len(graph.parents(c)) > 1 and not graph.undo(c).commits for c in graph.difference((theirs,), (ours,))
        )

    def in_the_way_of(self, progress: InProgress, target: str) -> bool:
        """Whether a merge is in progress that a new one does not replace: one of an older state, and left untouched."""
        running = self.merges.get(target)
        if running is None:
            return False
        same = running.kind == "merge" and running.source == progress.source and not running.decisions
        return not same or (running.ours, running.theirs) == (progress.ours, progress.theirs)

    def fast_forward(self, target: str, theirs: str, call: tuple[Any, ...]) -> None:
        if self.head == target and self.dirty:
            self.refused("EpochDirtyError", *call)
            return self.done()
        assert self.rows(*call) == [("fast-forward", theirs)]
        self.tips[target] = theirs
        if self.head == target:
            self.working = self.committed
        return self.done(target)

    def finishing(self, target: str, progress: InProgress, merged: Merged, sql: str, *parameters: Any) -> None:
        """A call that commits a merge, or stops on conflicts, or is refused for uncommitted changes."""
        if merged.stopped:
            self.refused("EpochConflict", sql, *parameters)
            self.merges[target] = progress
            self.check_conflicts(target)
            return self.done(target)
        ours = self.history.states[progress.ours]
        if progress.kind == "cherry-pick" and merged.state == ours:
            self.refused("EpochNothingToCommit: nothing to commit", sql, *parameters)
            return self.done()
        in_the_way = self.head == target and (
            (not self.working.same_items(ours) and not merged.state.same_items(ours))
            or (self.working.events != ours.events and merged.state.events != ours.events)
        )
        if in_the_way:
            self.refused("EpochDirtyError", sql, *parameters)
            return self.done()
        try:
            commit = self.rows(sql, *parameters)[0][-1]
        except duckdb.Error as error:
            if self.head == target and self.dirty and "EpochDirtyError" in str(error):
                return self.done()
            raise
        working = self.working
        merges = progress.kind == "merge" and not progress.squash
        parents = (progress.ours, progress.theirs) if merges else (progress.ours,)
        self.merges.pop(target, None)
        self.moved(target, commit, parents, merged.state, progress.undo)
        if self.head == target:
            items = merged.state if working.same_items(ours) else working
            events = merged.state.events if working.events == ours.events else working.events
            self.working = State(items.columns, items.items, events)
        return self.done(target)

    def picking(self, kind: str, sql: str, commit: str, base: str, theirs: str, undo: Undo) -> None:
        if self.head is None or self.head in self.merges:
            self.refused("EpochMergeError" if self.head else NOT_ON_A_BRANCH, sql, commit)
            return self.done()
        states = self.history.states
        progress = InProgress(kind, commit, self.tip, theirs, states[base], states[theirs], undo)
        return self.finishing(self.head, progress, progress.onto(self.committed), sql, commit)

    @rule(choice=CHOICES)
    def revert(self, choice: int) -> None:
        commit = self.some_commit(choice)
        parents = self.history.graph.parents(commit)
        sql = "SELECT commit_id FROM epoch_revert(?)"
        if not parents:
            return self.refused("EpochReferenceError", sql, commit)
        undo = undo_of_revert(self.history.graph, self.tip, commit)
        return self.picking("revert", sql, commit, commit, parents[0], undo)

    @rule(choice=CHOICES)
    def cherry_pick(self, choice: int) -> None:
        commit = self.some_commit(choice)
        parents = self.history.graph.parents(commit)
        sql = "SELECT commit_id FROM epoch_cherry_pick(?)"
        if len(parents) != 1:
            if parents:
                self.refused("EpochReferenceError", sql, commit)
            return None
        return self.picking("cherry-pick", sql, commit, parents[0], commit, NO_UNDO)

    def some_merge(self, choice: int) -> str:
        return sorted(self.merges)[choice % len(self.merges)]

    def resolved(self, target: str, decision: Decision, sql: str, *parameters: Any) -> None:
        (remaining,) = self.rows(sql, *parameters)[0]
        self.merges[target].decisions.append(decision)
        merged = self.merged(target)
        assert remaining == merged.open
        self.check_conflicts(target)
        self.done()

    @precondition(lambda self: self.merges)
    @rule(choice=CHOICES, side=SIDES)
    def resolve_all(self, choice: int, side: str) -> None:
        target = self.some_merge(choice)
        sql = "SELECT remaining FROM epoch_resolve(side := ?, target := ?)"
        self.resolved(target, Decision(side), sql, side, target)

    @precondition(lambda self: self.merges)
    @rule(choice=CHOICES, which=CHOICES, side=SIDES)
    def resolve_row(self, choice: int, which: int, side: str) -> None:
        target = self.some_merge(choice)
        clashes = [clash for clash in self.merged(target).clashes if clash.kind != "copies"]
        if clashes:
            key = clashes[which % len(clashes)].key
            sql = "SELECT remaining FROM epoch_resolve('items', side := ?, key := ?, target := ?)"
            self.resolved(target, Decision(side, key, table="items"), sql, side, str(key), target)

    @precondition(lambda self: self.merges)
    @rule(choice=CHOICES, which=CHOICES, side=SIDES | st.just("both"), scope=st.sampled_from(["row", "table", "all"]))
    def resolve_copies(self, choice: int, which: int, side: str, scope: str) -> None:
        """Events that both sides added or removed: one, all of them, or with ``both`` whatever is in conflict."""
        target = self.some_merge(choice)
        copies = [clash.key for clash in self.merged(target).clashes if clash.kind == "copies"]
        key = copies[which % len(copies)] if copies and scope == "row" else None
        table = None if scope == "all" and side == "both" else "events"
        call = ("SELECT remaining FROM epoch_resolve(?, side := ?, key := ?, target := ?)", table, side)
        parameters = (*call, None if key is None else json.dumps({"n": key}), target)
        if copies:
            return self.resolved(target, Decision(side, key, table=table), *parameters)
        self.refused("EpochTableError", *parameters)
        return self.done()

    @precondition(lambda self: self.merges)
    @rule(choice=CHOICES, which=CHOICES, side=SIDES)
    def resolve_column(self, choice: int, which: int, side: str) -> None:
        """A definition in conflict, and with it clashing cells of a column of that name."""
        target = self.some_merge(choice)
        merged = self.merged(target)
        columns = sorted({*merged.schema, *(clash.column for clash in merged.clashes if clash.column)})
        if columns:
            column = columns[which % len(columns)]
            sql = "SELECT remaining FROM epoch_resolve('items', side := ?, column_name := ?, target := ?)"
            self.resolved(target, Decision(side, None, column, table="items"), sql, side, column, target)

    @precondition(lambda self: self.merges)
    @rule(choice=CHOICES, which=CHOICES, value=st.none() | st.integers(0, 9))
    def resolve_cell(self, choice: int, which: int, value: int | None) -> None:
        target = self.some_merge(choice)
        cells = [clash for clash in self.merged(target).clashes if clash.kind == "modify/modify"]
        if cells:
            cell = cells[which % len(cells)]
            given = "side := 'null'" if value is None else f"value := '{value}'"
            sql = f"SELECT remaining FROM epoch_resolve('items', {given}, key := ?, column_name := ?, target := ?)"
            decision = Decision("value", cell.key, cell.column, value, "items")
            self.resolved(target, decision, sql, str(cell.key), cell.column, target)

    @precondition(lambda self: self.merges)
    @rule(choice=CHOICES)
    def abort(self, choice: int) -> None:
        target = self.some_merge(choice)
        assert self.value("SELECT status FROM epoch_merge_abort(target := ?)", target) == "aborted"
        del self.merges[target]
        assert self.rows("FROM epoch_conflicts(target := ?)", target) == []
        self.done(target)

    @precondition(lambda self: self.merges)
    @rule(choice=CHOICES)
    def carry_on(self, choice: int) -> None:
        target = self.some_merge(choice)
        progress = self.merges[target]
        sql = "SELECT commit_id FROM epoch_merge_continue(target := ?)"
        if self.tips[target] != progress.ours:
            self.refused("EpochMergeError", sql, target)
            return self.done()
        return self.finishing(target, progress, self.merged(target), sql, target)


def differences(ours: State, result: State) -> dict[str, tuple[int, int, int]]:
    """Rows added, modified and removed, by table."""
    both = ours.items.keys() & result.items.keys()
    modified = sum(ours.items[key] != result.items[key] for key in both)
    return {
        "items": (len(result.items.keys() - both), modified, len(ours.items.keys() - both)),
        "events": ((result.events - ours.events).total(), 0, (ours.events - result.events).total()),
    }


def run(number: int, steps: int, folder: str) -> int:
    """Run machines until so many steps were made, from a seed; how many were."""
    os.environ["EPOCH_AUTHOR"] = "Ada <ada@example.com>"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        Machine.template = Path(scratch) / "template"
        Machine.template.mkdir()
        with epoch_sql.connect(Machine.template / "shop.duckdb") as con:
            con.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER DEFAULT 1)")
            con.execute("INSERT INTO items VALUES (1, 0, 0), (2, 1, 1)")
            con.execute("CREATE TABLE events (n INTEGER); INSERT INTO events VALUES (7), (7)")
            con.execute("CALL epoch_init()").fetchall()
        for batch in count():
            if Machine.steps >= steps:
                break
            run_state_machine_as_test(seed(number + 1000 * batch)(Machine), settings=MACHINE)
        if Machine.database:
            Machine.database.close()
    return Machine.steps


MACHINE = settings(
    max_examples=2,
    stateful_step_count=STEPS_OF_ONE,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


@pytest.mark.long
@pytest.mark.timeout(300 + STEPS)
def test_everything_is_as_in_the_model(tmp_path: Path) -> None:
    number = int(os.environ.get("EPOCH_MACHINE_SEED", random.randrange(2**32)))
    workers = min(os.cpu_count() or 1, 4)
    print(f"EPOCH_MACHINE_SEED={number} EPOCH_MACHINE_STEPS={STEPS} workers={workers}")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        runs = [pool.submit(run, number + worker, -(-STEPS // workers), str(tmp_path)) for worker in range(workers)]
        made = [result.result() for result in runs]
    print(f"{sum(made)} steps")
    assert sum(made) >= STEPS
