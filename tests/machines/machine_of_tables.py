"""A state machine over two tables on branches, against the model: what the machine of merges is built on."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import epoch_sql
from epoch_sql.model.graph import NO_UNDO, Undo
from tests.machines.model_of_merges import (
    Column,
    History,
    InProgress,
    Row,
    State,
    Value,
)

EXAMPLES_IN_ONE_DATABASE = 8
START = State(
    (Column("a", "a", None), Column("b", "b", 1)), {1: {"a": 0, "b": 0}, 2: {"a": 1, "b": 1}}, Counter([7, 7])
)
KEYS = st.integers(0, 4)
VALUES = st.sampled_from([None, 0, 1, 2])
MANY_VALUES = st.lists(VALUES, min_size=6, max_size=6)
ROWS = st.dictionaries(KEYS, MANY_VALUES, min_size=1, max_size=3)
CHOICES = st.integers(0, 30)
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


class Tables(RuleBasedStateMachine):
    """Rows, columns, commits and branches; what there is to ask and to tell Epoch."""

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
