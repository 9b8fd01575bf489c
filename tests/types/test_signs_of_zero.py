"""-0.0 equals 0.0, but a value that was written as -0.0 is read as -0.0, however many deltas it is read over."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

VALUES = {
    "DOUBLE": "'-0.0'::DOUBLE",
    "FLOAT": "'-0.0'::FLOAT",
    "DOUBLE[]": "['-0.0'::DOUBLE, NULL]",
    "FLOAT[2]": "['-0.0'::FLOAT, 1]::FLOAT[2]",
    "STRUCT(a FLOAT, b VARCHAR)": "{'a': '-0.0'::FLOAT, 'b': 'x'}",
    "MAP(VARCHAR, DOUBLE)": "MAP {'k': '-0.0'::DOUBLE}",
    "UNION(n DOUBLE, s VARCHAR)": "union_value(n := '-0.0'::DOUBLE)::UNION(n DOUBLE, s VARCHAR)",
}
COLUMNS = ", ".join(f"v{n} {type}" for n, type in enumerate(VALUES))
ROW = ", ".join(VALUES.values())
TABLES = {
    "keyed": f"CREATE TABLE keyed (id INTEGER PRIMARY KEY, {COLUMNS})",
    "by_value": f"CREATE TABLE by_value (id INTEGER, f DOUBLE, {COLUMNS}, PRIMARY KEY (id, f))",
    "bag": f"CREATE TABLE bag (id INTEGER, {COLUMNS})",
}


def insert(repo: Repo, row: int) -> None:
    repo(f"INSERT INTO keyed VALUES ({row}, {ROW}); INSERT INTO bag VALUES ({row}, {ROW})")
    repo(f"INSERT INTO by_value VALUES ({row}, '-0.0', {ROW})")


def texts(repo: Repo, source: str) -> list[tuple[str, ...]]:
    return repo(f"SELECT COLUMNS(*)::VARCHAR FROM {source} WHERE id < 3 ORDER BY ALL")


def test_read_over_deltas_diffs_and_compaction(make_repo: MakeRepo) -> None:
    repo = make_repo("; ".join(TABLES.values()), init=False)
    nulls = ", ".join("NULL" for _ in VALUES)
    for name in TABLES:
        more = "i, " if name == "by_value" else ""
        repo(f"INSERT INTO {name} SELECT i, {more}{nulls} FROM range(100, 200) r(i)")
    repo("CALL epoch_init(); CALL epoch_tag('start')")
    for row in range(3):
        insert(repo, row)
        repo.commit(str(row))
    repo("UPDATE keyed SET v0 = 1, v1 = 1 WHERE id = 0; UPDATE bag SET v0 = 1 WHERE id = 0")
    repo.commit("update")
    repo("UPDATE keyed SET v0 = '-0.0', v1 = '-0.0' WHERE id = 0; UPDATE bag SET v0 = '-0.0' WHERE id = 0")
    repo.commit("and back")
    for _ in range(2):
        for name in TABLES:
            held = texts(repo, name)
            assert sum(value.count("-0.0") for value in held[0]) >= len(VALUES)
            assert texts(repo, f"epoch_at('HEAD', '{name}')") == held, name
            added = ", ".join(f"to_{column}::VARCHAR" for column, _ in repo.columns(f"FROM {name}"))
            diff = f"epoch_diff('start', 'HEAD', table_name := '{name}')"
            assert repo(f"SELECT {added} FROM {diff} ORDER BY ALL") == held, name
        repo("CALL epoch_checkout('start')")
        repo("CALL epoch_checkout('main')")
        assert [texts(repo, name) for name in TABLES] == [texts(repo, f"epoch_at('HEAD', '{name}')") for name in TABLES]
        repo("CALL epoch_compact()")
