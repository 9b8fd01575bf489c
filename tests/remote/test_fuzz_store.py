"""Stores in which anything is changed and all hashes are right: refused by name with nothing kept, or read as they are.

``EPOCH_FUZZ_SECONDS`` (of each of both tests) and ``EPOCH_FUZZ_SEED`` say how long, and which changes.
"""

from __future__ import annotations

import copy
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from epoch_sql.model.remote import encoded
from tests.conftest import ADA, Repo
from tests.remote.forging import Spot, Store, at, read_table, spots

SECONDS = float(os.environ.get("EPOCH_FUZZ_SECONDS", "25"))
SEED = os.environ.get("EPOCH_FUZZ_SEED", "1")

FIRST = """
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE SCHEMA part;
    CREATE SEQUENCE numbers START 5;
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, amount DECIMAL(9, 2) CHECK (amount >= 0), note VARCHAR DEFAULT 'none', twice INTEGER AS (id * 2)
    );
    INSERT INTO orders (id, amount) SELECT i, i * 1.5 FROM range(30) AS r(i);
    CREATE TABLE part.log (n INTEGER, tags VARCHAR[]);
    INSERT INTO part.log VALUES (1, ['a']), (1, ['a']), (2, NULL);
    CREATE TABLE empty (a INTEGER, b INTEGER, UNIQUE (a));
    CREATE INDEX by_note ON orders (note);
    CREATE VIEW large AS SELECT * FROM orders WHERE amount > 10;
    CREATE MACRO doubled(x) AS x * 2;
    COMMENT ON TABLE orders IS 'what was ordered';
    COMMENT ON COLUMN orders.note IS 'by the customer';
"""
SECOND = (
    "CALL epoch_derived('part.*'); CALL epoch_commit('what is derived')",
    "CALL epoch_checkout('feature', new_branch := true)",
    "UPDATE orders SET amount = 1 WHERE id < 3; DELETE FROM orders WHERE id = 29; DELETE FROM part.log WHERE n = 2",
    "INSERT INTO part.log VALUES (1, ['a']), (7, ['b', NULL]); CALL epoch_commit('change rows')",
    "ALTER TABLE orders ADD COLUMN paid BOOLEAN DEFAULT false; UPDATE orders SET paid = true WHERE id = 7",
    "CALL epoch_commit('add a column')",
    "CALL epoch_checkout('main'); INSERT INTO orders (id, amount) VALUES (100, 1); CALL epoch_commit('meanwhile')",
    "CALL epoch_tag('v1', message := 'first')",
    "CALL epoch_review('feature', 'main', verdict := 'approve', message := 'good')",
    "CALL epoch_merge('feature'); CALL epoch_revert('HEAD')",
    "CALL epoch_branch('kept'); CALL epoch_protect('kept', no_force_push := true)",
    "CALL epoch_push(tags := true); CALL epoch_push(branch := 'feature'); CALL epoch_push(branch := 'kept')",
)
_ABORTED = "If a transaction was open, DuckDB has aborted it: ROLLBACK, then run its statements again."
AFTERWARDS = (
    "FROM epoch_log()",
    "FROM epoch_branches()",
    "FROM epoch_tags()",
    "FROM epoch_reviews()",
    "FROM epoch_protections()",
    "FROM epoch_status()",
    "SELECT * FROM epoch_diff_stat('HEAD~1', 'HEAD')",
    "CALL epoch_checkout('HEAD~1')",
    "CALL epoch_checkout('main')",
    "CALL epoch_push()",
)


@pytest.fixture(scope="module")
def sound_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A store with every kind of document, and the folder of a clone that has its first commit only."""
    base = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EPOCH_AUTHOR", ADA)
        (base / "shop").mkdir()
        (base / "clone").mkdir()
        shop = Repo(base / "shop" / "shop.duckdb")
        shop(FIRST)
        shop("CALL epoch_init(); CALL epoch_remote_add('origin', ?)", str(base / "store"))
        shop("CALL epoch_push()")
        clone = Repo(base / "clone" / "shop.duckdb")
        clone("CALL epoch_clone(?)", str(base / "store"))
        clone("CALL epoch_branch('own')")
        clone.close()
        shutil.copytree(base / "store", base / "first")
        for sql in SECOND:
            shop(sql)
        shop.close()
        yield base / "store", base / "clone"


class Values:
    """What other documents hold in fields of a name, and what no field holds."""

    ODD = (
        *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**400, 1.5, 1e308),
        *(
            "",
            "x",
            "main",
            "a b",
            "\x1b[31m",
            "\u202e",
            "🦆",
            "0" * 64,
            "f" * 32,
            "f" * 16,
            "é" * 300,
            "../../x",
            "'; --",
        ),
        *(
            "2026-01-01T00:00:00.000000",
            "9999-12-31T23:59:59.999999",
            "1-1-1",
            "{{epoch}}",
            "INTEGER[]",
            "STRUCT(a INTEGER)",
        ),
        *([], [[]], [None], {}, {"a": {"b": []}}),
    )

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.chance = chance
        self.known: dict[object, list[Any]] = {}
        for found in (found for kind in store.documents.values() for found in kind.values()):
            for spot in spots(found):
                self.known.setdefault(_field(spot), []).append(at(found, spot))

    def other(self, spot: Spot, value: Any) -> Any:
        """Another value for a place."""
        near = [v for v in self.known[_field(spot)] if v != value]
        kind = self.chance.random()
        if isinstance(value, int) and kind < 0.25:
            return value + self.chance.choice((-1, 1))
        if near and kind < 0.5:
            return copy.deepcopy(self.chance.choice(near))
        return copy.deepcopy(self.chance.choice(self.ODD))


def _field(spot: Spot) -> object:
    return next((part for part in reversed(spot) if isinstance(part, str)), None), isinstance(
        spot[-1:] and spot[-1], int
    )


def changed(store: Store, values: Values) -> tuple[str, str, Spot, str]:
    """Change one thing somewhere; where, and what was done."""
    chance = values.chance
    kind = chance.choice(sorted(store.documents))
    name = chance.choice(sorted(store.documents[kind]))
    found = store.documents[kind][name]
    spot = chance.choice([spot for spot in spots(found) if spot])
    parent, last = at(found, spot[:-1]), spot[-1]
    act = chance.choice(("other", "other", "other", "remove", "add", "double"))
    if act == "other":
        parent[last] = values.other(spot, parent[last])
    elif act == "remove":
        del parent[last]
    elif act == "double" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[last]))
    elif isinstance(parent, dict):
        parent[chance.choice(("zz", "\u202e", "sha256", "content"))] = values.other(spot, None)
    else:
        parent.insert(chance.randrange(len(parent) + 1), values.other(spot, None))
    return kind, name, spot, act


def forged(sound: Path, folder: Path, chance: random.Random) -> tuple[Store, str]:
    """A store with one change, whose other documents name the one that was changed where that can be."""
    store = Store(sound)
    kind, name, spot, act = changed(store, Values(Store(sound), chance))
    told = f"{kind}/{name} {spot} {act}"
    if chance.random() < 0.7:
        whole = copy.deepcopy(store.documents)
        try:
            store.rebuild()
        except (
            AssertionError,
            AttributeError,
            IndexError,
            KeyError,
            TypeError,
            ValueError,
            UnicodeError,
            RecursionError,
        ):
            store.documents = whole
    try:
        store.write(folder)
    except (UnicodeError, TypeError, ValueError):
        shutil.rmtree(folder)
        return forged(sound, folder, chance)
    store.folder = folder
    return store, told


def problem_of(repo: Repo, sql: str, *parameters: Any) -> str | None:
    """The error that a call ends in; AssertionError for one that is not of Epoch."""
    try:
        repo(sql, *parameters)
    except duckdb.Error as error:
        text = str(error)
        head = text.removeprefix("Invalid Input Error: ")
        assert head.startswith("Epoch") and "Python exception" not in text and "Traceback" not in text, (sql, text)
        text, *more = text.split("\n")
        # Beside what DuckDB adds to errors of readings.
        assert not any(more[: more.index("")] if "" in more else more) or more[0] == _ABORTED, (sql, more)
        assert text.isprintable() and len(text) < 2000, (sql, text, more)
        return text
    return None


def as_stated(repo: Repo, store: Store, head: str, here: Store | None = None) -> None:
    """What a branch of the remote is here is what the documents of the store say; ``here`` is what was here before."""
    if here:
        for kind in ("commits", "trees", "versions", "schemas"):
            store.documents[kind].update(here.documents[kind])
    (ref,) = (
        d
        for name, d in store.documents["refs"].items()
        if name.startswith(f"heads/{encoded(head)}/") and _last(store, name)
    )
    commits = {name[:-5]: d for name, d in store.documents["commits"].items()}
    pending, seen = [ref["commit_id"]], set()
    while pending:
        i = pending.pop()
        if i in seen:
            continue
        seen.add(i)
        stated = commits[i]
        pending += stated["parents"]
        row = repo(
            "SELECT author, strftime(committed_at, '%Y-%m-%dT%H:%M:%S.%f'), message, parents FROM epoch_log(?, max_count := 1)",
            i,
        )
        assert row == [(stated["author"], stated["committed_at"], stated["message"], stated["parents"])]
        rows = [row for t in stated["subtrees"] for row in store.documents["trees"][f"{t}.json"]]
        for kind, _, schema, table, content, *_ in rows:
            if kind == "table":
                expected = read_table(store, content)
                found = repo.con.execute("FROM epoch_at(?, ?)", [i, f"{schema}.{table}"])
                names = [column[0] for column in found.description]
                places = [names.index(name) for name in expected.columns]
                assert sorted([tuple(row[p] for p in places) for row in found.fetchall()], key=repr) == expected.rows
        objects = repo(
            "SELECT kind, object_name, definition FROM epoch.trees JOIN (SELECT unnest(subtree_ids) AS subtree_id FROM epoch.roots JOIN epoch.commits USING (root_id) WHERE commit_id = ?) USING (subtree_id) WHERE kind <> 'table' ORDER BY ALL",
            i,
        )
        assert objects == sorted((row[0], row[3], row[5]) for row in rows if row[0] != "table")


def _last(store: Store, name: str) -> bool:
    folder, number = name.rsplit("/", 1)
    return int(number) == max(
        int(n.rsplit("/", 1)[1]) for n in store.documents["refs"] if n.rsplit("/", 1)[0] == folder
    )


def snapshot(repo: Repo) -> list[Any]:
    names = [row[0] for row in repo("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'epoch' ORDER BY 1")]
    return [repo(f"FROM epoch.{name} ORDER BY ALL") for name in names if name not in ("audit", "state")]


def used(repo: Repo, store: Store) -> None:
    """Everything that can be done with what was taken in ends well, or is told in one line."""
    for call in AFTERWARDS:
        problem_of(repo, call)
    assert repo("CALL epoch_fsck()") == [], repo("CALL epoch_fsck()")


def names_a_document(told: str, folder: Path) -> bool:
    return str(folder) in told or "commit " in told


def rounds(test: str) -> Iterator[random.Random]:
    until, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < until or number == 0:
        yield random.Random(f"{SEED} {test} {number}")
        number += 1


@pytest.mark.slow
@pytest.mark.timeout(int(SECONDS * 3 + 120))
def test_clones_of_changed_stores(
    sound_store: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCH_AUTHOR", ADA)
    for number, chance in enumerate(rounds("clone")):
        folder, here = tmp_path / f"store{number}", tmp_path / f"clone{number}"
        store, told = forged(sound_store[0], folder, chance)
        here.mkdir()
        repo = Repo(here / "shop.duckdb")
        try:
            problem = problem_of(repo, "CALL epoch_clone(?)", str(folder))
            if problem:
                assert names_a_document(problem, folder), problem
                assert not (here / ".epoch").exists()
                assert repo("FROM duckdb_tables()") == [] and repo("FROM duckdb_views() WHERE NOT internal") == []
            else:
                as_stated(repo, store, "main")
                used(repo, store)
        except AssertionError as error:
            raise AssertionError(f"round {number} of seed {SEED}: {told}: {error}") from error
        finally:
            repo.close()
            shutil.rmtree(folder)
            shutil.rmtree(here)


@pytest.mark.slow
@pytest.mark.timeout(int(SECONDS * 3 + 120))
def test_fetches_of_changed_stores(
    sound_store: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCH_AUTHOR", ADA)
    for number, chance in enumerate(rounds("fetch")):
        folder, here = tmp_path / f"store{number}", tmp_path / f"clone{number}"
        store, told = forged(sound_store[0], folder, chance)
        shutil.copytree(sound_store[1], here)
        repo = Repo(here / "shop.duckdb")
        try:
            repo("UPDATE epoch.remotes SET url = ?", str(folder))
            before = snapshot(repo)
            problem = problem_of(repo, "CALL epoch_fetch()")
            if problem:
                assert names_a_document(problem, folder), problem
                assert snapshot(repo) == before
                assert repo("CALL epoch_fsck()") == [], repo("CALL epoch_fsck()")
            else:
                as_stated(repo, store, "main", Store(sound_store[0].parent / "first"))
                assert problem_of(repo, "CALL epoch_checkout('own')") is None
                problem_of(repo, "CALL epoch_pull()")
                used(repo, store)
        except AssertionError as error:
            raise AssertionError(f"round {number} of seed {SEED}: {told}: {error}") from error
        finally:
            repo.close()
            shutil.rmtree(folder)
            shutil.rmtree(here)
