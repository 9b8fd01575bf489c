"""Random statements, and what else happens to a database, against a full comparison: nothing that changed goes unnoticed.

After every step the status counts what a comparison of all cells counts. Commits hold exactly the rows of the tables. The
tables are small, but take the way of large ones, with buckets and with columns that are left out. Weak signs make the
same test fail. ``EPOCH_MACHINE_STEPS=100000 pytest -m long tests/worktree/test_noticed.py`` plays longer, and
``EPOCH_MACHINE_SEED`` repeats a run.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from epoch_sql.render import Sql
from epoch_sql.verbs import checkout
from epoch_sql.versions import recording
from epoch_sql.worktree import narrowing, rows, scan
from tests.conftest import Repo

STEPS = int(os.environ.get("EPOCH_MACHINE_STEPS", "300"))
ROWS = 400
BASE = {
    "keyed": "id BIGINT PRIMARY KEY, a INTEGER, d DOUBLE, s VARCHAR, m DECIMAL(12, 2), l INTEGER[]",
    "named": "id VARCHAR PRIMARY KEY, a INTEGER, d DOUBLE, s VARCHAR, m DECIMAL(12, 2), l INTEGER[]",
    "pair": "id INTEGER, a INTEGER, d DOUBLE, s VARCHAR, m DECIMAL(12, 2), l INTEGER[], PRIMARY KEY (id, a)",
    "bag": "id BIGINT, a INTEGER, d DOUBLE, s VARCHAR, m DECIMAL(12, 2), l INTEGER[]",
}
CELLS = "id, a, d, s, m, l"
FILL = "SELECT {n}, i % 50, i / 7, 'text ' || i % 90, i % 1000 / 100, [i % 3, NULL] FROM range({start}, {end}) AS r (i)"
UPDATES = (
    "a = a + 1",
    "a = a",
    "a = NULL",
    "d = -d",
    "d = d + 0.5",
    "d = CASE a % 2 WHEN 0 THEN 1.5 ELSE -1.5 END",
    "s = 'x' || s",
    "s = NULL",
    "s = left(s, 6)",
    "m = -m",
    "m = m + 0.01",
    "l = [NULL]",
    "l = NULL",
    "l = list_append(l, 1)",
    "s = s || 'y', m = 0",
)
CHECKS = ("keyed", "named", "pair", "bag")


class Player:
    """Plays one random step after the other on a repository. ``was_<table>`` holds what was committed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.copies = 0
        self.played: list[str] = []
        self.next_row = ROWS
        self.repo = Repo(folder / "shop.duckdb")
        for table, columns in BASE.items():
            self.sql(f"CREATE TABLE {table} ({columns})")
            self.sql(f"INSERT INTO {table} {self.filling(table, 0, ROWS)}")
        self.sql("CALL epoch_init()")
        self.sql("CALL epoch_ignore('was_*')")
        for table in BASE:
            self.sql(f"CREATE TABLE was_{table} AS FROM {table}")
        self.sql("UPDATE keyed SET a = 99 WHERE id = 1")
        self.commit()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        self.played.append(statement)
        return self.repo(statement)

    def filling(self, table: str, start: int, end: int) -> str:
        return FILL.format(n={"named": "'key ' || i", "bag": "i // 2"}.get(table, "i"), start=start, end=end)

    def step(self) -> None:
        """One thing that happens."""
        kinds: list[tuple[Callable[[], None], int]] = [
            (self.update, 10),
            (self.swap, 3),
            (self.delete, 3),
            (self.insert, 3),
            (self.delete_and_put_back, 2),
            (self.put_back, 3),
            (self.roll_back, 3),
            (self.move_keys, 2),
            (self.act_uncommitted, 3),
            (self.commit, 6),
            (self.leave_and_return, 1),
            (self.alter, 1),
            (self.rebuild, 1),
            (self.checkpoint, 4),
            (self.reopen, 1),
            (self.kill, 1),
        ]
        kind = self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        kind()

    # What users do.

    def some(self) -> str:
        return self.random.choice(CHECKS)

    def where(self) -> str:
        few, step = self.random.randrange(ROWS), self.random.choice((2, 17, 131))
        return self.random.choice(
            (f"rowid = {few}", f"rowid % {step} = {few % step}", f"rowid BETWEEN {few} AND {few + 20}")
        )

    def update(self) -> None:
        table, setting = self.some(), self.random.choice(UPDATES)
        if table != "pair" or not setting.startswith("a ="):
            self.sql(f"UPDATE {table} SET {setting} WHERE {self.where()}")

    def swap(self) -> None:
        """Two rows exchange values, so each column holds the same values as before."""
        table, column = self.some(), self.random.choice(("s", "m", "d", "l"))
        one = self.random.randrange(ROWS)
        other = one + self.random.choice((1, 64, 300))
        self.sql(
            f"UPDATE {table} SET {column} = o.{column} FROM (SELECT rowid AS r, {column} FROM {table}) AS o"
            f" WHERE {table}.rowid IN ({one}, {other}) AND o.r = {one + other} - {table}.rowid"
        )

    def delete(self) -> None:
        self.sql(f"DELETE FROM {self.some()} WHERE {self.where()} AND rowid % 3 = 0")

    def insert(self) -> None:
        table, more = self.some(), self.random.choice((1, 3, 40))
        self.sql(f"INSERT INTO {table} ({CELLS}) {self.filling(table, self.next_row, self.next_row + more)}")
        self.next_row += more

    def delete_and_put_back(self) -> None:
        table, where = self.some(), self.where()
        self.sql(f"CREATE OR REPLACE TEMP TABLE aside AS FROM {table} WHERE {where}")
        self.sql(f"DELETE FROM {table} WHERE {where}")
        self.sql(f"INSERT INTO {table} FROM aside")

    def put_back(self) -> None:
        """Some values or all rows are as committed again."""
        table = self.some()
        if table in ("bag", "pair") or self.random.random() < 0.3:
            self.sql(f"DELETE FROM {table}")
            self.sql(f"INSERT INTO {table} FROM was_{table}")
            return
        column = self.random.choice(("a", "d", "s", "m", "l"))
        self.sql(f"UPDATE {table} SET {column} = w.{column} FROM was_{table} AS w WHERE w.id = {table}.id")

    def roll_back(self) -> None:
        self.sql("BEGIN TRANSACTION")
        self.random.choice((self.update, self.delete, self.insert, self.swap))()
        self.sql("ROLLBACK")

    def move_keys(self) -> None:
        table = self.random.choice(("keyed", "bag"))
        by = self.random.choice((1_000, 1 << 23, -5_000_000_000))
        self.sql(f"UPDATE {table} SET id = id + {by} WHERE id BETWEEN 0 AND {ROWS // 20}")
        self.sql(f"UPDATE {table} SET id = id - {by} WHERE id BETWEEN {by} AND {by} + {ROWS // 40}")
        if table == "bag":
            self.sql(
                f"UPDATE bag SET id = {self.random.choice(('NULL', 'coalesce(id, 5)', '-id'))} WHERE {self.where()}"
            )

    def act_uncommitted(self) -> None:
        """A commit within a transaction that changed something is refused, however few rows it shows."""
        table = self.some()
        before = self.repo(f"FROM {table} ORDER BY ALL")
        self.sql("BEGIN TRANSACTION")
        self.random.choice(
            (
                lambda: self.sql(f"UPDATE {table} SET s = 'open' WHERE {self.where()}"),
                lambda: self.sql(f"UPDATE {table} SET l = [7] WHERE {self.where()}"),
                lambda: self.sql(f"DELETE FROM {table} WHERE rowid % 7 = 0"),
                lambda: (
                    self.sql(f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})"),
                    self.sql(f"INSERT INTO {table} ({CELLS}) {self.filling(table, self.next_row, self.next_row + 1)}"),
                ),
            )
        )()
        changed = self.repo(f"FROM {table} ORDER BY ALL") != before
        try:
            if changed:
                assert "EpochTransactionError" in self.repo.refused("CALL epoch_commit('open')")
        finally:
            self.sql("ROLLBACK")

    def alter(self) -> None:
        """A definition changes, and is committed with its rows."""
        table, number = self.some(), len(self.played)
        self.random.choice(
            (
                lambda: self.sql(f"ALTER TABLE {table} ADD COLUMN c{number} INTEGER DEFAULT 5"),
                lambda: self.sql(
                    f"ALTER TABLE {table} RENAME COLUMN m TO money; ALTER TABLE {table} RENAME money TO m"
                ),
                lambda: self.sql(f"ALTER TABLE {table} ALTER m TYPE DECIMAL(14, 2)"),
                lambda: (
                    self.sql(f"ALTER TABLE {table} ADD COLUMN e INTEGER"),
                    self.sql(f"UPDATE {table} SET e = 1 WHERE {self.where()}"),
                    self.commit(),
                    self.sql(f"ALTER TABLE {table} DROP COLUMN e"),
                ),
            )
        )()
        self.commit()

    def rebuild(self) -> None:
        table = self.some()
        self.sql(f"CREATE OR REPLACE TEMP TABLE aside AS FROM {table}")
        self.sql(f"DELETE FROM {table}")
        self.sql("CHECKPOINT")
        self.sql(f"INSERT INTO {table} SELECT * FROM aside ORDER BY hash(id, s)")

    # What happens to the database.

    def checkpoint(self) -> None:
        self.sql("CHECKPOINT")

    def reopen(self) -> None:
        self.played.append("reopen")
        self.repo.reopen()

    def kill(self) -> None:
        """What a kill leaves: the files as they are, with the log."""
        self.played.append("kill")
        self.copies += 1
        folder = self.folder / f"copy{self.copies}"
        shutil.copytree(self.repo.path.parent, folder, ignore=shutil.ignore_patterns("copy*"))
        self.repo.leave()
        if self.copies > 1:
            shutil.rmtree(self.repo.path.parent)
        self.repo = Repo(folder / "shop.duckdb")

    # What Epoch does.

    def commit(self) -> None:
        noticed = self.repo.status()
        if not noticed:
            assert "EpochNothingToCommit" in self.repo.refused("CALL epoch_commit('nothing')")
            return
        self.played.append("commit")
        counts = self.repo.commit()
        assert counts[1:] == tuple(map(sum, zip(*(row[2:] for row in noticed), strict=True)))
        for table in CHECKS:
            assert self.repo.one(_UNLIKE.format(one=table, other=f"epoch_at('HEAD', '{table}')")) == 0
            self.repo(f"CREATE OR REPLACE TABLE was_{table} AS FROM {table}")
        assert self.repo.status() == []

    def leave_and_return(self) -> None:
        self.commit()
        for ref in ("HEAD~1", "main"):
            self.sql(f"CALL epoch_checkout('{ref}')")
            assert self.repo.status() == []
            for table in CHECKS:
                assert self.repo.one(_UNLIKE.format(one=table, other=f"epoch_at('HEAD', '{table}')")) == 0

    def check(self) -> None:
        """The status is what a comparison of all cells counts."""
        expected = []
        for table in sorted(CHECKS):
            names = [name for name, _ in self.repo.columns(f"FROM {table}")]
            key = {"bag": (), "pair": ("id", "a")}.get(table, ("id",))
            counts = self.repo(_counting(table, key, names))[0]
            if any(counts):
                expected.append((table, "modified", *counts))
        assert self.repo.status() == expected, self.played[-30:]


_UNLIKE = """
SELECT (SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})) + (SELECT count(*) FROM (FROM {other} EXCEPT ALL FROM {one}))
"""


def _counting(table: str, key: tuple[str, ...], names: list[str]) -> str:
    """The query that counts the rows that were added, modified and removed, by a comparison of all cells."""
    if not key:
        difference = "(SELECT count(*) FROM (FROM {} EXCEPT ALL FROM {}))"
        return f"SELECT {difference.format(table, f'was_{table}')}, 0, {difference.format(f'was_{table}', table)}"
    differs = " OR ".join(f"t.{name} IS DISTINCT FROM w.{name}" for name in names if name not in key)
    same = " AND ".join(f"t.{name} = w.{name}" for name in key)
    return f"""
        SELECT count(*) FILTER (w.id IS NULL), count(*) FILTER (w.id IS NOT NULL AND t.id IS NOT NULL AND ({differs})),
            count(*) FILTER (t.id IS NULL)
        FROM {table} AS t FULL JOIN was_{table} AS w ON {same}
    """


def play(folder: Path, seed: int, steps: int) -> None:
    print(f"EPOCH_MACHINE_SEED={seed} EPOCH_MACHINE_STEPS={steps}")
    player = Player(folder, seed)
    try:
        for _ in range(steps):
            player.step()
            player.check()
    finally:
        player.repo.leave()


@pytest.fixture(autouse=True)
def like_large_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables have buckets, and a sample of few rows, which often misleads."""
    for module in (rows, scan, recording, checkout):
        monkeypatch.setattr(module, "ROWS_WORTH_BUCKETS", 50, raising=module is not rows)
    for module in (rows, recording, checkout):
        monkeypatch.setattr(module, "BUCKETS", 256)
    for module in (rows, narrowing):
        monkeypatch.setattr(module, "NEIGHBOUR_BITS", 1)
    monkeypatch.setattr(narrowing, "_SAMPLE", 3)
    monkeypatch.setattr(narrowing, "ROWS_WORTH_NARROWING", 50)
    monkeypatch.setattr(narrowing, "_FEW", 2)
    monkeypatch.setattr(narrowing, "_GAP", 8)


@pytest.mark.core
def test_nothing_goes_unnoticed(tmp_path: Path) -> None:
    play(tmp_path, seed=7, steps=15)


@pytest.mark.long
@pytest.mark.timeout(300 + STEPS)
def test_nothing_goes_unnoticed_in_many_steps(tmp_path: Path) -> None:
    play(tmp_path, int(os.environ.get("EPOCH_MACHINE_SEED", random.randrange(2**32))), STEPS)


def _of_columns(values: list[tuple[Any, str]]) -> Sql:
    """A sum of the hashes of columns: it misses values that change places between rows."""
    return Sql(" + ".join(f"(hash({place}, {_quoted(n)}) >> 8)" for place, (_, n) in enumerate(values)))


def _of_magnitudes(values: list[tuple[Any, str]]) -> Sql:
    """A hash that takes a number and its negative for the same."""
    parts = [f"abs({_quoted(n)})" if c.type in ("DOUBLE", "DECIMAL(12,2)") else _quoted(n) for c, n in values]
    return Sql(f"hash(hash({', '.join(parts)}))")


def _quoted(name: str) -> str:
    return f'"{name}"'


WEAK: dict[str, tuple[Any, str, Any]] = {
    "a sum over columns": (rows, "mixed_hash", _of_columns),
    "a hash without signs": (rows, "mixed_hash", _of_magnitudes),
    "the columns of a sample, unproved": (narrowing.DirtyRows, "_add_up", lambda self, changes: True),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("weak", WEAK)
def test_a_weak_sign_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weak: str) -> None:
    monkeypatch.setattr(*WEAK[weak])
    with pytest.raises(AssertionError) as caught:
        play(tmp_path, seed=7, steps=150)
    assert caught.traceback[-1].name == "check"
