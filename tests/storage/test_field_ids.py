"""Every column of a file, and every part of a nested one, has a field id that other engines may rely on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from epoch_sql.model.schema import LARGEST_COLUMN_ID, Column, ObjectName, Table, identity
from epoch_sql.storage.shape import field_ids
from epoch_sql.storage.types import OLD_VALUE, FieldId
from tests.conftest import MakeRepo, Repo, opened
from tests.support.values import TYPES

pytestmark = pytest.mark.core

Path = tuple[str, ...]


def in_file(repo: Repo, file_id: str) -> dict[Path, int | None]:
    """The ids in a file by path, without the groups that Parquet puts around the parts of lists and maps."""
    file = repo.path.parent / f".epoch/objects/{file_id[:2]}/{file_id}.parquet"
    rows = iter(repo("SELECT name, num_children, repetition_type, field_id FROM parquet_schema(?)", str(file)))
    found: dict[Path, int | None] = {}

    def read(above: Path) -> None:
        name, children, repetition, number = next(rows)
        path = above if repetition == "REPEATED" else (*above, name)
        if repetition != "REPEATED":
            assert path not in found
            found[path] = number
        for _ in range(children or 0):
            read(path)

    _, top, *_ = next(rows)
    for _ in range(top):
        read(())
    return found


def expected(fields: Iterable[FieldId], above: Path = ()) -> Iterator[tuple[Path, int]]:
    for field in fields:
        yield (*above, field.name), field.id
        yield from expected(field.parts, (*above, field.name))


def files(repo: Repo, kind: str) -> list[str]:
    found = repo("SELECT unnest(file_ids) FROM epoch.levels WHERE kind = ? ORDER BY ALL", kind)
    return [file_id for (file_id,) in found]


def test_every_part_of_every_type_has_an_id(make_repo: MakeRepo) -> None:
    repo = make_repo()
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(TYPES))
    repo(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")
    for row in (0, 1):
        repo(f"INSERT INTO t VALUES ({row}, {', '.join(values[row % len(values)] for values in TYPES.values())})")
    # A delta is kept while it is small beside the base level.
    repo("INSERT INTO t SELECT t.* REPLACE (id + 2 * n AS id) FROM t, range(1, 10) AS r(n)")
    repo.commit()
    repo("UPDATE t SET c0 = false WHERE id = 0; DELETE FROM t WHERE id = 1")
    repo.commit()
    with opened(repo) as call:
        [entry] = call.tree(repo.head()).tables.values()
        ids = dict(expected(field_ids(call.contents.table(entry.version_id))))
    base, delta = (in_file(repo, *files(repo, kind)) for kind in ("base", "delta"))
    assert base == ids
    assert len(set(ids.values())) == len(ids)
    assert all((number <= LARGEST_COLUMN_ID) == (len(path) == 1) for path, number in ids.items())
    assert all(0 < number < OLD_VALUE - 1 for number in ids.values())
    names = {number: path[0] for path, number in ids.items() if len(path) == 1}
    named = {f"{'k' if name == 'id' else 'n'}{number}": name for number, name in names.items()}
    new = {path: number for path, number in delta.items() if path[0][0] != "o"}
    old = {path: number for path, number in delta.items() if path[0][0] == "o" and path != ("op",)}
    assert new == {
        (f, *path[1:]): number for f, name in named.items() for path, number in ids.items() if path[0] == name
    }
    assert old == {
        (f"o{path[0][1:]}", *path[1:]): (number or 0) + OLD_VALUE for path, number in new.items() if path[0][0] == "n"
    }
    assert delta[("op",)] is None


def test_what_an_id_depends_on() -> None:
    def ids(*columns: Column) -> dict[Path, int]:
        return dict(expected(field_ids(Table(ObjectName("main", "t"), columns))))

    before = ids(Column("s", "STRUCT(a INTEGER, b STRUCT(c INTEGER)[], m MAP(VARCHAR, INTEGER))", 7))
    assert before[("s", "a")] == (1 << 29) + identity("part", "7", "a")
    # Another name of the table's column, another type of a part, more parts, and another letter case change none.
    after = ids(
        Column("x", "INTEGER", 5), Column("r", "STRUCT(z INTEGER, b STRUCT(C BIGINT, d INTEGER)[], A INTEGER)", 7)
    )
    assert [
        after[path] for path in (("r",), ("r", "A"), ("r", "b"), ("r", "b", "element"), ("r", "b", "element", "C"))
    ] == [before[path] for path in (("s",), ("s", "a"), ("s", "b"), ("s", "b", "element"), ("s", "b", "element", "c"))]
    assert len({*after.values(), *before.values()}) == len(before) + len(
        [("x",), ("r", "z"), ("r", "b", "element", "d")]
    )


def test_a_renamed_part_is_another_one_and_all_rows_are_written_again(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY, s STRUCT(a INTEGER)); INSERT INTO t VALUES (1, {a: 1})")
    [first] = files(repo, "base")
    repo("CREATE OR REPLACE TABLE t (id INTEGER PRIMARY KEY, s STRUCT(b INTEGER)); INSERT INTO t VALUES (1, {b: 1})")
    repo.commit()
    [second] = {*files(repo, "base")} - {first}
    before, after = in_file(repo, first), in_file(repo, second)
    assert (before[("s",)], before[("s", "a")] == after[("s", "b")]) == (after[("s",)], False)


def test_a_name_that_FIELD_IDS_keeps_for_itself(make_repo: MakeRepo) -> None:
    """DuckDB cannot be told ids of such parts. The rows are kept all the same."""
    repo = make_repo(
        """CREATE TABLE t (id INTEGER PRIMARY KEY, s STRUCT("__duckdb_field_id" INTEGER, b INTEGER));
        INSERT INTO t VALUES (1, {'__duckdb_field_id': 7, 'b': 8})"""
    )
    repo("UPDATE t SET s = {'__duckdb_field_id': 8, 'b': 9}")
    repo.commit()
    for file_id in files(repo, "base"):
        found = in_file(repo, file_id)
        assert found[("s", "b")] is None and found[("s",)] is not None
    assert repo.at("HEAD~1", "t") == [(1, {"__duckdb_field_id": 7, "b": 8})]
    assert repo.at("HEAD", "t") == [(1, {"__duckdb_field_id": 8, "b": 9})]
