"""Random histories against a model: what Epoch says and does is what a few dictionaries say and do.

The model knows a database as tables with columns and rows, a commit as such a database, and nothing of levels, deltas,
column identities or hashes. After every step the working tables, every branch, the status and the difference of two
random commits are compared. More steps: ``EPOCH_MACHINE_EXAMPLES=200 pytest tests/machines/test_histories.py``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import Repo

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("EPOCH_MACHINE_EXAMPLES", "6"))
STEPS = int(os.environ.get("EPOCH_MACHINE_STEPS", "14"))

KEYED, KEYLESS, RENAMED = "keyed", "bag", "renamed"
NAMES = ("x", "y", "Z z")
WIDER = {"INTEGER": "BIGINT", "BIGINT": "VARCHAR", "VARCHAR": "VARCHAR"}
Value = int | str | None
Row = tuple[Value, ...]


@dataclass(frozen=True)
class Column:
    """A column of the model."""

    name: str
    type: str
    default: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of the model; a keyed one has its key first. Rows are sorted: equal tables are equal."""

    columns: tuple[Column, ...]
    keyed: bool
    rows: tuple[Row, ...] = ()

    def having(self, rows: list[Row]) -> Table:
        return replace(self, rows=tuple(sorted(rows, key=repr)))

    def place(self, name: str) -> int:
        return [column.name for column in self.columns].index(name)


Database = dict[str, Table]


@dataclass
class Stash:
    """A stash of the model: what was committed then, and what the working tables held."""

    base: Database
    content: Database


@dataclass
class Model:
    """What a repository is: commits in order of creation, branches, what is checked out, and the working tables."""

    commits: dict[str, Database] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    branch: str | None = "main"
    detached: str = ""
    working: Database = field(default_factory=dict)
    stashes: list[Stash] = field(default_factory=list)

    @property
    def head(self) -> str:
        return self.branches[self.branch] if self.branch else self.detached

    @property
    def committed(self) -> Database:
        return self.commits[self.head]

    @property
    def clean(self) -> bool:
        return self.working == self.committed


def quoted(name: str) -> str:
    return f'"{name}"'


def value_of(type: str, number: int | None) -> Value:
    """A value of a type; VARCHAR takes digits, so that columns can be widened and compared."""
    return None if number is None else str(number) if type == "VARCHAR" else number


class Machine(RuleBasedStateMachine):
    """Every rule does one thing to the repository and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="epoch-machine-"))
        self.repo = Repo(self.folder / "shop.duckdb")
        self.model = Model()
        self.trees: dict[str, str] = {}
        self.numbers = 0

    def teardown(self) -> None:
        self.repo.close()
        shutil.rmtree(self.folder)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        note(f"{statement} {parameters or ''}")
        return self.repo(statement, *parameters)

    @initialize()
    def start(self) -> None:
        self.sql("CREATE TABLE keyed (id INTEGER PRIMARY KEY, x INTEGER, y VARCHAR)")
        self.sql("CREATE TABLE bag (x INTEGER, y VARCHAR)")
        columns = (Column("x", "INTEGER"), Column("y", "VARCHAR"))
        self.model.working = {
            KEYED: Table((Column("id", "INTEGER"), *columns), keyed=True),
            KEYLESS: Table(columns, keyed=False),
        }
        ((_, commit_id, _),) = self.sql("CALL epoch_init()")
        self.model.commits[commit_id] = dict(self.model.working)
        self.model.branches["main"] = commit_id
        self.remember_tree(commit_id)

    # What users do to rows.

    @rule(
        data=st.data(), key=st.integers(0, 12), numbers=st.lists(st.integers(0, 3) | st.none(), min_size=6, max_size=6)
    )
    def put_row(self, data: st.DataObject, key: int, numbers: list[int | None]) -> None:
        name = self.some_table(data)
        if name is None:
            return
        table = self.model.working[name]
        values = [value_of(c.type, n) for c, n in zip(table.columns, numbers, strict=False)]
        row: Row = (key, *values[1:]) if table.keyed else tuple(values)
        marks = ", ".join("?" for _ in row)
        replacing = "OR REPLACE " if table.keyed else ""
        self.sql(f"INSERT {replacing}INTO {name} VALUES ({marks})", *row)
        self.change(name, [*(r for r in table.rows if not (table.keyed and r[0] == key)), row])

    @rule(data=st.data(), number=st.integers(0, 3) | st.none(), low=st.integers(0, 12), high=st.integers(0, 12))
    def update(self, data: st.DataObject, number: int | None, low: int, high: int) -> None:
        name = self.some_table(data)
        if name is None:
            return
        table = self.model.working[name]
        places = range(1 if table.keyed else 0, len(table.columns))
        if not places:
            return
        place = data.draw(st.sampled_from(places))
        column, first = table.columns[place], table.columns[0]
        value = value_of(column.type, number)
        self.sql(
            f"UPDATE {name} SET {quoted(column.name)} = ? WHERE CAST({quoted(first.name)} AS INTEGER) BETWEEN ? AND ?",
            value,
            low,
            high,
        )
        self.change(
            name,
            [
                (*r[:place], value, *r[place + 1 :]) if r[0] is not None and low <= int(r[0]) <= high else r
                for r in table.rows
            ],
        )

    @rule(data=st.data())
    def shift_values_between_rows(self, data: st.DataObject) -> None:
        table = self.model.working.get(KEYED)
        if table is None or len(table.columns) < 2 or len(table.rows) < 2:
            return
        place = data.draw(st.sampled_from(range(1, len(table.columns))))
        column = quoted(table.columns[place].name)
        one, other = data.draw(st.permutations([r[0] for r in table.rows]))[:2]
        self.sql(
            f"UPDATE keyed SET {column} = other.{column} FROM keyed AS other"
            " WHERE keyed.id IN ($1, $2) AND other.id IN ($1, $2) AND other.id <> keyed.id",
            one,
            other,
        )
        values = {r[0]: r[place] for r in table.rows}
        values[one], values[other] = values[other], values[one]
        self.change(KEYED, [(*r[:place], values[r[0]], *r[place + 1 :]) for r in table.rows])

    @rule(data=st.data(), copies=st.booleans())
    def delete(self, data: st.DataObject, copies: bool) -> None:
        name = self.some_table(data)
        if name is None or not self.model.working[name].rows:
            return
        table = self.model.working[name]
        row = data.draw(st.sampled_from(table.rows))
        same = " AND ".join(f"{quoted(c.name)} IS NOT DISTINCT FROM ?" for c in table.columns)
        one = f"rowid = (SELECT min(rowid) FROM {name} WHERE {same})"
        self.sql(f"DELETE FROM {name} WHERE {same if copies else one}", *row)
        rows = list(table.rows)
        if copies:
            rows = [r for r in rows if r != row]
        else:
            rows.remove(row)
        self.change(name, rows)

    @rule(data=st.data(), count=st.integers(1, 40))
    def load_many(self, data: st.DataObject, count: int) -> None:
        name = self.some_table(data)
        if name is None:
            return
        table = self.model.working[name]
        start = 100 + self.numbers
        self.numbers += count
        self.sql(
            f"INSERT INTO {name} ({quoted(table.columns[0].name)}) "
            f"SELECT i FROM range({start}, {start + count}) AS r(i)"
        )
        defaults = [value_of(c.type, int(c.default) if c.default else None) for c in table.columns[1:]]
        added: list[Row] = [(value_of(table.columns[0].type, n), *defaults) for n in range(start, start + count)]
        self.change(name, [*table.rows, *added])

    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        name = self.some_table(data)
        if name is not None:
            self.sql(f"TRUNCATE {name}")
            self.change(name, [])

    # What users do to definitions.

    @rule(
        data=st.data(),
        name=st.sampled_from(NAMES),
        type=st.sampled_from(["INTEGER", "VARCHAR"]),
        default=st.none() | st.integers(0, 2),
    )
    def add_column(self, data: st.DataObject, name: str, type: str, default: int | None) -> None:
        table_name = self.some_table(data)
        if table_name is None or any(c.name == name for c in self.model.working[table_name].columns):
            return
        table = self.model.working[table_name]
        clause = "" if default is None else f" DEFAULT {value_of(type, default)!r}"
        self.sql(f"ALTER TABLE {table_name} ADD COLUMN {quoted(name)} {type}{clause}")
        column = Column(name, type, None if default is None else str(default))
        altered = replace(table, columns=(*table.columns, column))
        self.model.working[table_name] = altered.having([(*r, value_of(type, default)) for r in table.rows])

    @rule(data=st.data())
    def drop_column(self, data: st.DataObject) -> None:
        name = self.some_table(data)
        if name is None:
            return
        table = self.model.working[name]
        places = range(1, len(table.columns))
        if not places:
            return
        place = data.draw(st.sampled_from(places))
        self.sql(f"ALTER TABLE {name} DROP COLUMN {quoted(table.columns[place].name)}")
        altered = replace(table, columns=(*table.columns[:place], *table.columns[place + 1 :]))
        self.model.working[name] = altered.having([(*r[:place], *r[place + 1 :]) for r in table.rows])

    @rule(data=st.data(), name=st.sampled_from((*NAMES, "X")))
    def rename_column(self, data: st.DataObject, name: str) -> None:
        table_name = self.some_table(data)
        if table_name is None:
            return
        table = self.model.working[table_name]
        places = range(1 if table.keyed else 0, len(table.columns))
        if not places:
            return
        place = data.draw(st.sampled_from(places))
        old = table.columns[place]
        if any(c.name.lower() == name.lower() for c in table.columns if c is not old) or old.name == name:
            return
        self.sql(f"ALTER TABLE {table_name} RENAME COLUMN {quoted(old.name)} TO {quoted(name)}")
        columns = (*table.columns[:place], replace(old, name=name), *table.columns[place + 1 :])
        self.model.working[table_name] = replace(table, columns=columns)

    @rule(data=st.data())
    def widen_column(self, data: st.DataObject) -> None:
        name = self.some_table(data)
        if name is None:
            return
        table = self.model.working[name]
        places = [n for n, c in enumerate(table.columns) if not (table.keyed and n == 0) and c.default is None]
        if not places:
            return
        place = data.draw(st.sampled_from(places))
        column = table.columns[place]
        wider = WIDER[column.type]
        self.sql(f"ALTER TABLE {name} ALTER COLUMN {quoted(column.name)} TYPE {wider}")
        columns = (*table.columns[:place], replace(column, type=wider), *table.columns[place + 1 :])
        rows = [
            (*r[:place], value_of(wider, None if r[place] is None else int(str(r[place]))), *r[place + 1 :])
            for r in table.rows
        ]
        self.model.working[name] = replace(table, columns=columns).having(rows)

    @rule(data=st.data())
    def drop_or_create_table(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([KEYED, KEYLESS]))
        if name in self.model.working:
            self.sql(f"DROP TABLE {name}")
            del self.model.working[name]
            return
        key = "id INTEGER PRIMARY KEY, " if name == KEYED else ""
        self.sql(f"CREATE TABLE {name} ({key}x INTEGER)")
        columns = (Column("id", "INTEGER"),) if name == KEYED else ()
        self.model.working[name] = Table((*columns, Column("x", "INTEGER")), keyed=name == KEYED)

    @rule()
    def rename_table(self) -> None:
        old, new = (KEYLESS, RENAMED) if KEYLESS in self.model.working else (RENAMED, KEYLESS)
        if old not in self.model.working or new in self.model.working:
            return
        self.sql(f"ALTER TABLE {old} RENAME TO {new}")
        self.model.working[new] = self.model.working.pop(old)

    # What Epoch does.

    @rule()
    def commit(self) -> None:
        model = self.model
        if model.branch is None:
            assert "EpochReferenceError" in self.repo.refused("CALL epoch_commit('on no branch')")
            return
        if model.clean:
            assert "EpochNothingToCommit" in self.repo.refused("CALL epoch_commit('nothing')")
            return
        ((commit_id, branch, *_),) = self.sql("CALL epoch_commit('change')")
        assert branch == model.branch
        model.commits[commit_id] = dict(model.working)
        model.branches[model.branch] = commit_id
        self.remember_tree(commit_id)

    @rule()
    def branch(self) -> None:
        name = f"b{len(self.model.branches)}"
        if len(self.model.branches) < 5:
            self.sql("CALL epoch_branch(?)", name)
            self.model.branches[name] = self.model.head

    @rule()
    def branch_off(self) -> None:
        name = f"b{len(self.model.branches)}"
        if len(self.model.branches) < 5:
            self.sql("CALL epoch_checkout(?, new_branch := true)", name)
            self.model.branches[name] = self.model.head
            self.model.branch = name

    @rule()
    def tag(self) -> None:
        name = f"t{len(self.model.tags)}"
        self.sql("CALL epoch_tag(?)", name)
        self.model.tags[name] = self.model.head

    @rule(data=st.data(), force=st.booleans())
    def checkout(self, data: st.DataObject, force: bool) -> None:
        model = self.model
        refs = [*model.branches, *model.branches, *model.tags, *list(model.commits)[-3:]]
        ref = data.draw(st.sampled_from(refs))
        if not model.clean and not force:
            assert "EpochDirtyError" in self.repo.refused("CALL epoch_checkout(?)", ref)
            return
        self.sql("CALL epoch_checkout(?, force := ?)", ref, force)
        model.branch = ref if ref in model.branches else None
        model.detached = model.tags.get(ref, ref)
        model.working = dict(model.committed)

    @rule(data=st.data(), hard=st.booleans())
    def reset(self, data: st.DataObject, hard: bool) -> None:
        model = self.model
        commit_id = data.draw(st.sampled_from([model.head, *list(model.commits)[-4:]]))
        if model.branch is None:
            assert "EpochReferenceError" in self.repo.refused("CALL epoch_reset(?)", commit_id)
            return
        self.sql("CALL epoch_reset(?, hard := ?)", commit_id, hard)
        model.branches[model.branch] = commit_id
        if hard:
            model.working = dict(model.committed)

    @rule()
    def stash(self) -> None:
        model = self.model
        if model.clean:
            assert "EpochNothingToCommit" in self.repo.refused("CALL epoch_stash()")
            return
        self.sql("CALL epoch_stash('aside')")
        model.stashes.append(Stash(dict(model.committed), dict(model.working)))
        model.working = dict(model.committed)

    @precondition(lambda self: self.model.stashes)
    @rule()
    def pop(self) -> None:
        model = self.model
        if not model.clean:
            assert "EpochDirtyError" in self.repo.refused("CALL epoch_stash_pop()")
            return
        stash = model.stashes[-1]
        if stash.base != model.committed:
            # Which tables are the same through renames is for test_reset_stash.py.
            self.sql("CALL epoch_stash_drop()")
            model.stashes.pop()
            return
        self.sql("CALL epoch_stash_pop()")
        model.stashes.pop()
        model.working = dict(stash.content)

    @rule()
    def reopen(self) -> None:
        self.repo.reopen()

    # What must hold after every step.

    @invariant()
    def working_tables_are_those_of_the_model(self) -> None:
        assert self.read_working() == self.model.working

    @invariant()
    def every_branch_reads_as_it_was_committed(self) -> None:
        for name, commit_id in self.model.branches.items():
            found = {table: self.read_at(name, table) for table in self.model.commits[commit_id]}
            assert found == self.model.commits[commit_id], name
            tables = self.repo("SELECT table_name FROM epoch_tables(?)", name)
            assert sorted(t for (t,) in tables) == sorted(found)

    @invariant()
    def status_tells_what_differs(self) -> None:
        if not self.model.branches:
            return
        old, new = self.model.committed, self.model.working
        changed = {row[0]: row[1:] for row in self.repo.status()}
        note(f"status {changed}")
        assert bool(changed) == (old != new)
        for name in old.keys() | new.keys():
            before, after = old.get(name), new.get(name)
            if before is None or after is None:
                continue
            if before == after:
                assert name not in changed
            elif before.columns == after.columns:
                assert changed[name] == ("modified", *counts(before, after))
            else:
                assert changed[name][0] == "schema"

    @precondition(lambda self: len(self.model.commits) > 1)
    @rule(data=st.data())
    def any_two_commits_differ_as_their_contents_do(self, data: st.DataObject) -> None:
        commits = [*self.model.commits, "WORKING"]
        one, other = (data.draw(st.sampled_from(commits)) for _ in range(2))
        before, after = (self.model.working if c == "WORKING" else self.model.commits[c] for c in (one, other))
        note(f"diff {one} {other}")
        if before == after:
            assert self.repo("FROM epoch_diff(?, ?)", one, other) == []
            assert self.repo("FROM epoch_diff_summary(?, ?)", one, other) == []
            assert self.repo("FROM epoch_schema_diff(?, ?)", one, other) == []
        renamed = self.renamed_columns(one, other)
        for name in before.keys() & after.keys():
            assert_difference(self.repo, one, other, name, before[name], after[name], renamed)

    # How the repository is read.

    def renamed_columns(self, one: str, other: str) -> dict[tuple[str, str], str]:
        """(table, new name) of renamed columns → old name."""
        rows = self.repo(
            "SELECT table_name, name, from_definition FROM epoch_schema_diff(?, ?)"
            " WHERE object = 'column' AND diff_type = 'renamed'",
            one,
            other,
        )
        columns = ("id", *NAMES, "X")
        return {
            (table, new): next(n for n in columns if old.replace('"', "").startswith(f"{n} "))
            for table, new, old in rows
        }

    def some_table(self, data: st.DataObject) -> str | None:
        return data.draw(st.sampled_from(sorted(self.model.working))) if self.model.working else None

    def change(self, name: str, rows: list[Row]) -> None:
        self.model.working[name] = self.model.working[name].having(rows)

    def remember_tree(self, commit_id: str) -> None:
        """Equal contents have equal tree ids, different ones have different ids."""
        tree = self.repo.tree(commit_id)
        content = repr(sorted(self.model.commits[commit_id].items()))
        assert self.trees.setdefault(content, tree) == tree
        assert list(self.trees.values()).count(tree) == 1

    def read_working(self) -> Database:
        names = self.repo("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY ALL")
        return {name: self.read(name, f"FROM {name}") for (name,) in names}

    def read_at(self, ref: str, name: str) -> Table:
        return self.read(name, f"FROM epoch_at('{ref}', '{name}')", self.model.commits[self.model.branches[ref]][name])

    def read(self, name: str, query: str, like: Table | None = None) -> Table:
        types = self.repo.columns(query)
        defaults: dict[str, str] = {}
        if like is not None:
            defaults = {c.name: c.default for c in like.columns if c.default is not None}
        else:
            rows = self.repo(
                "SELECT column_name, trim(column_default, '''') FROM duckdb_columns()"
                " WHERE table_name = ? AND schema_name = 'main' AND column_default <> 'NULL'",
                name,
            )
            defaults = dict(rows)  # type: ignore[arg-type]
        columns = tuple(Column(column, type, defaults.get(column)) for column, type in types)
        return Table(columns, keyed=name == KEYED).having(self.repo(query))


def counts(before: Table, after: Table) -> tuple[int, int, int]:
    """Rows added, modified and removed."""
    if not before.keyed:
        old, new = Counter(before.rows), Counter(after.rows)
        return (new - old).total(), 0, (old - new).total()
    old_rows, new_rows = {r[0]: r for r in before.rows}, {r[0]: r for r in after.rows}
    both = old_rows.keys() & new_rows.keys()
    modified = sum(old_rows[k] != new_rows[k] for k in both)
    return len(new_rows.keys() - both), modified, len(old_rows.keys() - both)


def assert_difference(
    repo: Repo, one: str, other: str, name: str, before: Table, after: Table, renamed: dict[tuple[str, str], str]
) -> None:
    """The rows of the difference are those of the two states, and every row that it leaves out is the same in both."""
    cursor = repo.con.execute("FROM epoch_diff(?, ?, table_name := ?)", [one, other, name])
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    sources = {c.name: renamed.get((name, c.name), c.name) for c in after.columns}
    ends = []
    for prefix, table, absent in (("from_", before, "added"), ("to_", after, "removed")):
        places = [names.index(prefix + c.name) for c in table.columns]
        ends.append([tuple(row[p] for p in places) for row in rows if row[0] != absent])
        assert Counter(ends[-1]) <= Counter(table.rows)
    kept = [Counter(table.rows) - Counter(end) for table, end in zip((before, after), ends, strict=True)]
    shared = [
        (before.place(sources[c.name]), n)
        for n, c in enumerate(after.columns)
        if sources[c.name] in [b.name for b in before.columns]
    ]
    added = [(n, c) for n, c in enumerate(after.columns) if sources[c.name] not in [b.name for b in before.columns]]

    def as_text(rows: Counter[Row], places: list[int]) -> Counter[tuple[str, ...]]:
        return Counter(tuple(str(r[p]) for p in places) for r in rows.elements())

    assert as_text(kept[0], [p for p, _ in shared]) == as_text(kept[1], [p for _, p in shared])
    for row in kept[1]:
        assert all(row[n] in (None, value_of(c.type, int(c.default or 0))) for n, c in added)


@pytest.mark.timeout(3600)
def test_random_histories() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink] if EXAMPLES > 20 else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


__all__ = ["duckdb"]
