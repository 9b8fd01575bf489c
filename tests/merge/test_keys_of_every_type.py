"""A conflict's key, of any type, can be given back to ``epoch_resolve`` as ``epoch_conflicts`` lists it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from epoch_sql.catalog.merging import Resolutions, Scope
from epoch_sql.merge.engine import list_obstacles, merge
from epoch_sql.merge.scope import _key_text
from epoch_sql.render import column
from epoch_sql.storage.encoding import encode
from epoch_sql.verbs.merging import in_progress
from tests.conftest import Repo, opened
from tests.support.values import TYPES

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A merge in which every row is in conflict: of k<n>, with a key of each type, and of b<n>, without one."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        repo = Repo(tmp_path_factory.mktemp("keys") / "keys.duckdb")
        for number, (type, values) in enumerate(TYPES.items()):
            rows = ", ".join(f"({i}, CAST({value} AS {type}))" for i, value in enumerate(values))
            # Texts of JSON that differ in spaces only are listed alike.
            same = "CAST(json(v) AS VARCHAR)" if type == "JSON" else encode(column("v"), type)
            repo(f"CREATE TABLE k{number} (i INTEGER, v {type}); CREATE TABLE b{number} (v {type})")
            repo(
                f"INSERT INTO k{number} SELECT min(i), any_value(v) FROM (VALUES {rows}) AS r(i, v) "
                f"WHERE v IS NOT NULL GROUP BY {same}"
            )
            repo(f"INSERT INTO b{number} SELECT v FROM k{number}")
        numbers = range(len(TYPES))
        repo("CALL epoch_init()")
        for number in numbers:
            repo(f"CALL epoch_key('k{number}', ['v'])")
        repo.commit()
        repo("CALL epoch_branch('theirs')")
        for branch, copies in (("main", 1), ("theirs", 2)):
            repo("CALL epoch_checkout(?)", branch)
            for number in numbers:
                repo(f"UPDATE k{number} SET i = i + {1000 * copies}")
                repo(f"INSERT INTO b{number} SELECT v FROM k{number}, range({copies})")
            repo.commit()
        repo("CALL epoch_checkout('main')")
        assert "EpochConflict" in repo.refused("CALL epoch_merge('theirs')")
        yield repo
        repo.close()


@pytest.mark.slow
def test_every_key_is_found_as_it_is_listed(stopped: Repo) -> None:
    listed = stopped("SELECT table_name, key, count(*) FROM epoch_conflicts() GROUP BY ALL")
    for number, type in enumerate(TYPES):
        rows = stopped.one(f"SELECT count(*) FROM k{number}")
        for name in (f"k{number}", f"b{number}"):
            assert [count for table, _, count in listed if table == name] == [1] * rows, type
    with opened(stopped) as call, call.trying():
        progress = in_progress(call, None)
        tables = {str(e.table.name): e.table for e in merge(call, progress, rows=False).tables}
        for table, key, _ in listed:
            assert _key_text(call.cursor, "main", tables[table], key) == key
            Resolutions(call.cursor).add("main", Scope(table, key, None), "theirs", None, False)
        assert list_obstacles(call, progress, merge(call, progress)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "type", ["MAP(VARCHAR, VARCHAR)", 'UNION("name" VARCHAR, age SMALLINT)', "UNION(a INTEGER, b VARCHAR)[]", "BLOB"]
)
def test_one_row_is_resolved_by_it(stopped: Repo, type: str) -> None:
    for name in (f"{kind}{[*TYPES].index(type)}" for kind in "kb"):
        (key, *_), *_ = stopped(
            "SELECT key FROM epoch_conflicts() WHERE table_name = ? AND NOT resolved ORDER BY 1", name
        )
        call = "CALL epoch_resolve(table_name := ?, key := ?, side := 'ours')"
        assert stopped(call, name, key)[0][0] == 1
        assert stopped("SELECT resolved FROM epoch_conflicts() WHERE table_name = ? AND key = ?", name, key) == [
            (True,)
        ]
