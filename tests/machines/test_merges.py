"""A state machine over everything that version control does to two tables, against a model in plain Python.

After every step the working tables equal the model's; after a step that moves branches so do these, and what a merge
would do (the preview), what is in its way (the conflicts) and what it did. ``EPOCH_MACHINE_STEPS`` says how many steps
are made (4,000), ``EPOCH_MACHINE_SEED`` repeats a run: its value is printed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

import epoch_sql
from epoch_sql.model.graph import NO_UNDO, Undo
from epoch_sql.model.undo import plan_merge, undo_of_revert
from tests.machines.model_of_merges import (
    Clash,
    Column,
    Decision,
    History,
    InProgress,
    Merged,
    Row,
    State,
    Value,
    merge,
)

STEPS = int(os.environ.get("EPOCH_MACHINE_STEPS", "4000"))
STEPS_OF_ONE = 60
EXAMPLES_IN_ONE_DATABASE = 8
START = State(
    (Column("a", "a", None), Column("b", "b", 1)), {1: {"a": 0, "b": 0}, 2: {"a": 1, "b": 1}}, Counter([7, 7])
)
KEYS = st.integers(0, 4)
VALUES = st.sampled_from([None, 0, 1, 2])
MANY_VALUES = st.lists(VALUES, min_size=6, max_size=6)
ROWS = st.dictionaries(KEYS, MANY_VALUES, min_size=1, max_size=3)
CHOICES = st.integers(0, 30)
SIDES = st.sampled_from(["ours", "theirs", "base"])
WAYS = st.sampled_from([{}, {}, {}, {"squash": True}, {"ff": True}, {"strategy": "ours"}, {"strategy": "theirs"}])
NOT_ON_A_BRANCH = "EpochReferenceError: [0-9a-f]{7} is checked out, not a branch"


class Database:
    """A database that several examples share, each on branches of its own from the first commit on."""

    def __init__(self, folder: Path, template: Path) -> None:
        shutil.copytree(template, folder)
        self.path = folder / "shop.duckdb"
        self.examples = 0
        self.con = epoch_sql.connect(self.path, config={"threads": 1})
        self.first = self.con.execute("SELECT commit_id FROM epoch_log(max_count := 1)").fetchall()[0][0]

    def next_example(self) -> str:
        """What the names of the next example's branches start with; of the one before, branches alone are left."""
        self.examples += 1
        name = f"e{self.examples}"
        for (target,) in self.con.execute("SELECT target FROM epoch_merges()").fetchall():
            self.con.execute("CALL epoch_merge_abort(target := ?)", [target]).fetchall()
        for _ in self.con.execute("FROM epoch_stashes()").fetchall():
            self.con.execute("CALL epoch_stash_drop()").fetchall()
        self.con.execute("CALL epoch_branch(?, ?)", [f"{name}/main", self.first]).fetchall()
        self.con.execute("CALL epoch_checkout(?, force := true)", [f"{name}/main"]).fetchall()
        return name

    def reopen(self) -> None:
        self.con.close()
        self.con = epoch_sql.connect(self.path, config={"threads": 1})

    def close(self) -> None:
        self.con.close()
        shutil.rmtree(self.path.parent)


class Machine(RuleBasedStateMachine):
    template: Path
    steps = 0
    numbers = count()
    database: Database | None = None

    def __init__(self) -> None:
        super().__init__()
        cls = type(self)
        if cls.database and cls.database.examples >= EXAMPLES_IN_ONE_DATABASE:
            cls.database.close()
            cls.database = None
        cls.database = cls.database or Database(self.template.parent / f"database{next(self.numbers)}", self.template)
        self.db = cls.database
        name = self.db.next_example()
        self.names_of_branches = [f"{name}/{branch}" for branch in ("main", "b1", "b2", "b3")]
        first = self.db.first
        self.working = START
        self.head: str | None = self.names_of_branches[0]
        self.detached = first
        self.history = History(first, START)
        self.tips = {self.names_of_branches[0]: first}
        self.order = [first]
        self.merges: dict[str, InProgress] = {}
        self.stashes: list[tuple[State, State]] = []
        self.names = 0

    # Asking and telling Epoch.

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.db.con.execute(sql, list(parameters)).fetchall()

    def value(self, sql: str, *parameters: Any) -> Any:
        return self.rows(sql, *parameters)[0][0]

    def dicts(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        cursor = self.db.con.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def refused(self, kind: str, sql: str, *parameters: Any) -> None:
        with pytest.raises(duckdb.Error, match=kind):
            self.rows(sql, *parameters)

    @property
    def tip(self) -> str:
        return self.tips[self.head] if self.head else self.detached

    @property
    def committed(self) -> State:
        return self.history.states[self.tip]

    @property
    def dirty(self) -> bool:
        return self.working != self.committed

    def some_commit(self, choice: int) -> str:
        return self.order[-1 - choice % min(len(self.order), 12)]

    def some_branch(self, choice: int) -> str:
        return sorted(self.tips)[choice % len(self.tips)]

    def check_working(self) -> None:
        found = self.dicts("SELECT * FROM items ORDER BY id")
        assert found == self.working.by_name()
        if found:
            assert list(found[0]) == ["id", *(c.name for c in self.working.columns)]
        assert self.rows("SELECT n FROM events ORDER BY n") == [(n,) for n in sorted(self.working.events.elements())]

    def check_ref(self, ref: str, state: State) -> None:
        assert self.dicts("SELECT * FROM epoch_at(?, 'items') ORDER BY id", ref) == state.by_name()
        events = self.rows("SELECT n FROM epoch_at(?, 'events') ORDER BY n", ref)
        assert events == [(n,) for n in sorted(state.events.elements())]

    def check_status(self) -> None:
        assert bool(self.rows("FROM epoch_status()")) == self.dirty

    def done(self, branch: str | None = None) -> None:
        """The end of every step: what the model says is so."""
        type(self).steps += 1
        self.check_working()
        if branch:
            self.check_ref(branch, self.history.states[self.tips[branch]])
            other = self.some_branch(self.steps)
            self.check_ref(other, self.history.states[self.tips[other]])
            if self.steps % 4 == 0:
                self.check_status()

    # Changing rows.

    def set_item(self, key: int, row: Row) -> None:
        self.working = replace(self.working, items={**self.working.items, key: row})

    @rule(rows=ROWS)
    def insert(self, rows: dict[int, list[Value]]) -> None:
        found = {}
        for key, values in rows.items():
            row = dict(zip((c.identity for c in self.working.columns), values, strict=False))
            found[key] = row | {c.identity: c.default for c in self.working.columns if c.identity not in row}
        one = f"({', '.join('?' for _ in range(len(self.working.columns) + 1))})"
        values = [v for key, row in found.items() for v in (key, *(row[c.identity] for c in self.working.columns))]
        self.rows(f"INSERT OR REPLACE INTO items VALUES {', '.join(one for _ in found)}", *values)
        self.working = replace(self.working, items={**self.working.items, **found})
        self.done()

    @precondition(lambda self: self.working.items and self.working.columns)
    @rule(choice=CHOICES, column=CHOICES, value=VALUES)
    def update(self, choice: int, column: int, value: Value) -> None:
        key = sorted(self.working.items)[choice % len(self.working.items)]
        changed = self.working.columns[column % len(self.working.columns)]
        self.rows(f"UPDATE items SET {changed.name} = ? WHERE id = ?", value, key)
        self.set_item(key, {**self.working.items[key], changed.identity: value})
        self.done()

    @precondition(lambda self: self.working.items)
    @rule(choice=CHOICES)
    def delete(self, choice: int) -> None:
        key = sorted(self.working.items)[choice % len(self.working.items)]
        self.rows("DELETE FROM items WHERE id = ?", key)
        self.working = replace(self.working, items={k: row for k, row in self.working.items.items() if k != key})
        self.done()

    @rule(event=st.integers(7, 9), times=st.integers(1, 2))
    def add_events(self, event: int, times: int) -> None:
        self.rows("INSERT INTO events SELECT ? FROM range(?)", event, times)
        self.working = replace(self.working, events=self.working.events + Counter({event: times}))
        self.done()

    @rule(event=st.integers(7, 9))
    def remove_events(self, event: int) -> None:
        self.rows("DELETE FROM events WHERE n = ?", event)
        self.working = replace(
            self.working, events=Counter({e: n for e, n in self.working.events.items() if e != event})
        )
        self.done()

    @rule(
        changes=st.lists(
            st.tuples(st.sampled_from(["set", "delete", "add", "remove"]), CHOICES, VALUES), min_size=60, max_size=100
        )
    )
    def many_changes(self, changes: list[tuple[str, int, Value]]) -> None:
        """As between two commits of a day's work; each is a step."""
        for change, choice, value in changes:
            if change == "add":
                self.add_events(7 + choice % 3, 1 + choice % 2)
            elif change == "remove":
                self.remove_events(7 + choice % 3)
            elif change == "delete" and self.working.items:
                self.delete(choice)
            elif self.working.items and self.working.columns:
                self.update(choice, choice // 5, value)
            else:
                self.insert({choice % 5: [value] * 6})

    # Changing columns: each is a commit of its own, so that a rename cannot be taken for a drop and an add.

    def committed_columns(self, columns: tuple[Column, ...], statement: str, added: Column | None = None) -> None:
        self.rows(statement)
        kept = {c.identity for c in columns}
        items = {k: {i: v for i, v in row.items() if i in kept} for k, row in self.working.items.items()}
        if added:
            items = {k: {**row, added.identity: added.default} for k, row in items.items()}
        self.working = State(columns, items, self.working.events)
        self.commit()

    @precondition(lambda self: self.head and not self.dirty and len(self.working.columns) < 6)
    @rule(default=VALUES)
    def add_column(self, default: Value) -> None:
        self.names += 1
        column = Column(f"c{self.names}", f"c{self.names}", default, default)
        self.adding(column)

    @precondition(lambda self: self.head and not self.dirty and len(self.working.columns) < 6)
    @rule(choice=CHOICES)
    def add_column_of_another_branch(self, choice: int) -> None:
        """Both branches add a column under one name, each for itself."""
        ancestors = self.history.graph.ancestors(self.tip)
        known = {c.identity for commit in ancestors for c in self.history.states[commit].columns}
        other = self.history.states[self.tips[self.some_branch(choice)]]
        fresh = [c for c in other.columns if c.identity not in known and c.name == c.identity]
        if fresh:
            self.adding(fresh[0])

    def adding(self, column: Column) -> None:
        default = "NULL" if column.default is None else str(column.default)
        statement = f"ALTER TABLE items ADD COLUMN {column.name} INTEGER DEFAULT {default}"
        self.committed_columns((*self.working.columns, column), statement, column)

    @precondition(lambda self: self.head and not self.dirty and len(self.working.columns) > 1)
    @rule(choice=CHOICES)
    def drop_column(self, choice: int) -> None:
        columns = self.working.columns
        gone = columns[choice % len(columns)]
        self.committed_columns(tuple(c for c in columns if c != gone), f"ALTER TABLE items DROP COLUMN {gone.name}")

    @precondition(lambda self: self.head and not self.dirty and self.working.columns)
    @rule(choice=CHOICES)
    def rename_column(self, choice: int) -> None:
        columns = self.working.columns
        old = columns[choice % len(columns)]
        self.names += 1
        new = replace(old, name=f"r{self.names}")
        statement = f"ALTER TABLE items RENAME COLUMN {old.name} TO {new.name}"
        self.committed_columns(tuple(new if c == old else c for c in columns), statement)

    # Commits and branches.

    def moved(self, branch: str, commit: str, parents: tuple[str, ...], state: State, undo: Undo = NO_UNDO) -> None:
        self.history.add(commit, parents, state, undo)
        self.order.append(commit)
        self.tips[branch] = commit

    @rule()
    def commit(self) -> None:
        if self.head is None:
            self.refused(NOT_ON_A_BRANCH, "CALL epoch_commit('nowhere')")
            return self.done()
        if not self.dirty:
            self.refused("EpochNothingToCommit", "CALL epoch_commit('nothing')")
            return self.done()
        commit = self.value("SELECT commit_id FROM epoch_commit('change')")
        self.moved(self.head, commit, (self.tip,), self.working)
        return self.done(self.head)

    @precondition(lambda self: len(self.tips) < len(self.names_of_branches))
    @rule(choice=CHOICES)
    def branch(self, choice: int) -> None:
        name = next(name for name in self.names_of_branches if name not in self.tips)
        start = self.some_commit(choice)
        self.rows("CALL epoch_branch(?, start := ?)", name, start)
        self.tips[name] = start
        self.done(name)

    @rule(choice=CHOICES, force=st.booleans())
    def checkout(self, choice: int, force: bool) -> None:
        branch = self.some_branch(choice)
        if self.checked_out(branch, force):
            self.head = branch
            self.working = self.committed
        self.done(branch)

    @rule(choice=CHOICES, force=st.booleans())
    def detach(self, choice: int, force: bool) -> None:
        commit = self.some_commit(choice)
        if self.checked_out(commit, force):
            self.head, self.detached = None, commit
            self.working = self.committed
        self.done()

    def checked_out(self, ref: str, force: bool) -> bool:
        call = ("CALL epoch_checkout(?, force := ?)", ref, force)
        if self.dirty and not force:
            if ref == self.head:
                self.rows(*call)
            else:
                self.refused("EpochDirtyError", *call)
            return False
        self.rows(*call)
        return True

    @precondition(lambda self: len(self.order) > 1)
    @rule(choice=CHOICES, hard=st.booleans())
    def reset(self, choice: int, hard: bool) -> None:
        commit = self.some_commit(choice)
        state = self.history.states[commit]
        call = ("CALL epoch_reset(?, hard := ?)", commit, hard)
        if self.head is None and not (hard and commit == self.detached):
            self.refused(NOT_ON_A_BRANCH, *call)
            return self.done()
        if not hard and state.columns != self.working.columns:
            return None
        self.rows(*call)
        if self.head:
            self.tips[self.head] = commit
        if hard:
            self.working = state
        return self.done(self.head)

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
