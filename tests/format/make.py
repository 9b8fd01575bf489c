"""Writes ``v1``: what version 1 stores (a repository and a remote, packed), and what Epoch says of it.

The files are kept as they are, so that every later Epoch reads what version 1 wrote. Make them again only for a format
that was not released: ``python -m tests.format.make``, with the newest DuckDB.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

import epoch_sql
from epoch_sql.call import Call, Memory
from epoch_sql.extension.index import OWN_MACROS
from epoch_sql.storage import writing
from tests.support.values import TYPES

V1 = Path(__file__).parent / "v1"
STORED, EXPECTED = V1 / "stored.tar.xz", V1 / "expected.json"
DATABASE, STORE = "repository/shop.duckdb", "store"
_NOT_IN_1_4 = ("TIMESTAMPTZ_NS", "GEOMETRY", "TUPLE", "STRUCT,")

_BASE = """
CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, price DECIMAL(9, 2) DEFAULT 1, twice AS (price * 2));
INSERT INTO items SELECT i, 'item ' || i, i / 4 FROM range(1000) AS r(i);
COMMENT ON TABLE items IS 'what is sold'; CREATE INDEX by_name ON items (name);
CREATE SCHEMA extra; CREATE SEQUENCE extra.numbers START 7; CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE extra.people (name VARCHAR, born DATE, mood mood); INSERT INTO extra.people VALUES ('Ada', '1815-12-10', 'glad');
CREATE TABLE orders (id INTEGER PRIMARY KEY, item INTEGER REFERENCES items (id), n INTEGER CHECK (n > 0));
INSERT INTO orders SELECT i, i, i + 1 FROM range(20) AS r(i);
CREATE TABLE log (line VARCHAR); INSERT INTO log VALUES ('a'), ('a'), ('b'), (NULL);
CREATE TABLE total (n INTEGER PRIMARY KEY, price DECIMAL(18, 2)); INSERT INTO total SELECT 1, sum(price) FROM items;
CREATE TABLE notes (id INTEGER PRIMARY KEY, note VARCHAR); INSERT INTO notes VALUES (1, 'one'), (2, 'two');
CREATE TABLE scratch (x INTEGER);
CREATE VIEW cheap AS SELECT id, name FROM items WHERE price < 10;
CREATE MACRO plus_tax(price) AS price * 1.2; CREATE MACRO item(wanted) AS TABLE SELECT * FROM items WHERE id = wanted;
CALL epoch_key('extra.people', ['name']); CALL epoch_ignore('scratch'); CALL epoch_derived('total');
"""


class _Made:
    """A connection that makes a repository."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir()
        with duckdb.connect() as new:
            # Small blocks make a small file.
            new.execute(f"ATTACH '{path}' AS made (STORAGE_VERSION 'v1.2.0', BLOCK_SIZE 16384)")
        self.con = epoch_sql.connect(path, author="Ada <ada@example.com>")

    def __call__(self, sql: str) -> None:
        self.con.execute(sql)

    def commit(self, changes: str, message: str) -> None:
        self(changes)
        self.con.execute("CALL epoch_commit(?)", [message])

    def stops(self, sql: str) -> None:
        """A statement that ends in a conflict."""
        try:
            self(sql)
        except duckdb.Error as error:
            assert "EpochConflict" in str(error), error
        else:
            raise AssertionError(sql)


def _make(folder: Path) -> dict[str, Any]:
    repo = _Made(folder / DATABASE)
    repo("CALL epoch_init()")
    repo(_BASE)
    _kinds(repo)
    repo("CALL epoch_commit('the first'); CALL epoch_tag('v1', message := 'what was first')")
    _history(repo)
    _promotions(repo)
    repo(f"CALL epoch_remote_add('origin', '{folder / STORE}')")
    repo("CALL epoch_push(tags := true); CALL epoch_push('origin', 'staging'); CALL epoch_push('origin', 'undone')")
    _triggers(folder)
    repo("CALL epoch_fetch(); CALL epoch_publish(['main'])")
    _in_progress(repo)
    found = facts(repo.con)
    repo.con.close()
    return found


def _kinds(repo: _Made) -> None:
    """A table of every type that DuckDB 1.4 has."""
    kinds = {kind: values for kind, values in TYPES.items() if not any(word in f"{kind}," for word in _NOT_IN_1_4)}
    columns = ", ".join(f"k{n} {kind}" for n, kind in enumerate(kinds))
    repo(f"CREATE TABLE kinds (id INTEGER PRIMARY KEY, {columns})")
    for row in range(max(map(len, kinds.values()))):
        values = [values[row] if row < len(values) else "NULL" for values in kinds.values()]
        repo(f"INSERT INTO kinds VALUES ({row}, {', '.join(values)})")


def _history(repo: _Made) -> None:
    """Deltas, folded levels, a base level of several files, changed definitions, and a merge with a decision."""
    for n in range(6):
        repo.commit(f"UPDATE items SET price = {n} WHERE id % 97 = {n}; INSERT INTO log VALUES ('{n}')", f"prices {n}")
    repo.commit(
        "ALTER TABLE notes RENAME COLUMN note TO words; ALTER TABLE notes ADD COLUMN sold BOOLEAN DEFAULT false", "sold"
    )
    repo.commit(
        "UPDATE kinds SET id = id + 100; DELETE FROM orders WHERE id = 19; DELETE FROM log WHERE line = 'a'", "kinds"
    )
    repo.commit(
        "UPDATE items SET price = 3 WHERE id < 300; UPDATE notes SET sold = true; UPDATE orders SET n = n + 1", "many"
    )
    repo("CALL epoch_branch('staging')")
    repo.commit("UPDATE items SET price = 7 WHERE id IN (1, 2); UPDATE orders SET n = 70 WHERE id = 3", "ours")
    repo("CALL epoch_checkout('staging')")
    repo.commit("UPDATE items SET price = 8 WHERE id IN (1, 2, 3); INSERT INTO log VALUES ('staging')", "theirs")
    repo("CALL epoch_checkout('main')")
    repo.stops("CALL epoch_merge('staging')")
    repo("CALL epoch_resolve('items', key := '1', column_name := 'price', value := '7.5')")
    repo("CALL epoch_resolve('items', 'theirs'); CALL epoch_merge_continue()")
    repo("CALL epoch_rebuilt('total'); CALL epoch_commit('the total is right')")


def _promotions(repo: _Made) -> None:
    """A promotion that was undone and came again, one that stays undone, a squash, a pick, a rollback, and guards."""
    repo("CALL epoch_branch('undone'); CALL epoch_checkout('undone')")
    repo.commit("UPDATE orders SET n = 99 WHERE id = 5", "to be undone")
    repo(
        "CALL epoch_checkout('main'); CALL epoch_merge('undone'); CALL epoch_revert('HEAD'); CALL epoch_merge('undone')"
    )
    repo("CALL epoch_revert('HEAD')")
    repo("CALL epoch_checkout('staging')")
    repo.commit("UPDATE orders SET n = 44 WHERE id = 4", "squashed")
    repo("CALL epoch_branch('picked', 'main'); CALL epoch_checkout('picked'); CALL epoch_cherry_pick('staging')")
    repo("CALL epoch_checkout('main'); CALL epoch_merge('staging', squash := true)")
    repo("CALL epoch_reset('HEAD~1', hard := true)")
    repo("CALL epoch_protect('main', require_review := true); CALL epoch_review('staging', 'main', message := 'good')")
    repo("CALL epoch_check_add('cheap', 'SELECT * FROM items WHERE price < 0')")


def _triggers(folder: Path) -> None:
    """A branch at the remote with what DuckDB 1.4 does not have."""
    with epoch_sql.connect(folder / "newer.duckdb", author="Bo <bo@example.com>") as other:
        other.execute(f"CALL epoch_clone('{folder / STORE}')")
        other.execute("CALL epoch_branch('triggers'); CALL epoch_checkout('triggers')")
        other.execute(
            "CREATE TRIGGER noted AFTER INSERT ON orders FOR EACH STATEMENT INSERT INTO log VALUES ('ordered'); "
            "CALL epoch_commit('a trigger'); CALL epoch_push()"
        )


def _in_progress(repo: _Made) -> None:
    """A stash, uncommitted changes, and two merges that stopped: on conflicts, some decided, and on a violation."""
    repo(
        "UPDATE items SET name = 'stashed' WHERE id = 29; INSERT INTO log VALUES ('stashed'); CALL epoch_stash('later')"
    )
    for target, price in (("stopped", 1), ("other", 2)):
        repo(f"CALL epoch_branch('{target}', 'v1'); CALL epoch_checkout('{target}')")
        repo.commit(f"UPDATE items SET price = {price} WHERE id < 3; INSERT INTO log VALUES ('c')", target)
    repo("CALL epoch_branch('orphans', 'v1'); CALL epoch_checkout('orphans')")
    repo.commit("DELETE FROM orders; DELETE FROM items WHERE id = 3", "orphans")
    repo("CALL epoch_checkout('main')")
    repo.stops("CALL epoch_merge('other', target := 'stopped')")
    repo("CALL epoch_resolve('items', 'theirs', key := '0', target := 'stopped')")
    repo.stops("CALL epoch_merge('main', target := 'orphans', message := 'with orders')")
    repo(
        "UPDATE items SET name = 'not committed' WHERE id = 25; CREATE TABLE fresh (x INTEGER); INSERT INTO scratch VALUES (1)"
    )


def facts(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What Epoch says of a repository, without what depends on the machine."""

    def rows(sql: str, *parameters: str) -> list[list[str | None]]:
        found = con.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({sql}) AS found", [*parameters]).fetchall()
        return sorted(([*row] for row in found), key=str)

    refs = [name for (name,) in con.execute("SELECT name FROM epoch.refs ORDER BY kind, name").fetchall()]
    return {
        "log": rows("FROM epoch_log()"),
        "reflog": rows("FROM epoch_reflog()"),
        "origins": rows("SELECT * EXCLUDE (sequence, root_id) FROM epoch.commits"),
        "tables": rows("FROM epoch_tables()"),
        "states": states(con, refs),
        "refs": rows("SELECT kind, name, commit_id, author, moved_at, message FROM epoch.refs"),
        "diffs": {
            ref: rows("FROM epoch_diff_stat('main', ?)", ref) for ref in ("v1", "staging", "stopped", "origin/triggers")
        },
        "status": rows("FROM epoch_status()"),
        "stashes": rows("SELECT message, author, tables_changed FROM epoch_stashes()"),
        "conflicts": rows("SELECT * EXCLUDE (side, value) FROM epoch_conflicts(target := 'stopped')"),
        "violations": rows("FROM epoch_violations(target := 'orphans')"),
        "merges": rows("SELECT * EXCLUDE (started_at) FROM epoch_merges()"),
        "guards": [*rows("FROM epoch_protections()"), *rows("FROM epoch_reviews()"), *rows("FROM epoch_checks()")],
        "audit": rows("FROM epoch_audit()"),
        "patterns": [*rows("FROM epoch_ignored()"), *rows("FROM epoch_derived_patterns()")],
    }


def states(con: duckdb.DuckDBPyConnection, refs: list[str]) -> dict[str, dict[str, tuple[int, str]]]:
    """The tables of some references: the number of rows of each, and their fingerprint, computed from the files. It is
    the same on all versions of DuckDB."""
    read: dict[str, tuple[int, str]] = {}
    found: dict[str, dict[str, tuple[int, str]]] = {}
    with con.cursor() as cursor:
        call = Call(cursor, Memory(OWN_MACROS))
        for ref in refs:
            for entry in call.tree(call.resolve(ref)).tables.values():
                version = entry.version_id
                if version not in read:
                    rows, table = call.contents.state(version), call.contents.table(version)
                    read[version] = call.writer.fingerprint(rows, table)
                found.setdefault(ref, {})[str(entry.name)] = read[version]
    return found


def main() -> None:
    writing.FILE_ROWS = 200
    V1.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="epoch-") as made:
        folder = Path(made).resolve()
        EXPECTED.write_text(json.dumps(_make(folder), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        with tarfile.open(STORED, "w:xz", preset=9) as packed:
            for name in (Path(DATABASE).parent, STORE):
                packed.add(folder / name, str(name))


if __name__ == "__main__":
    main()
