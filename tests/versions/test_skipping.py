"""Base levels of several files: which files are read and written again, for keys of every type."""

from __future__ import annotations

import pytest

from epoch_sql.history.rows import history
from epoch_sql.model.commit import DataFile, Level
from epoch_sql.storage import writing
from epoch_sql.storage.key_ranges import zones
from epoch_sql.storage.skipping import differing
from epoch_sql.versions import folding
from tests.conftest import MakeRepo, Repo, opened
from tests.support.values import TYPES

pytestmark = pytest.mark.core


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Base levels are split after some hundred rows."""
    monkeypatch.setattr(writing, "FILE_ROWS", 100)


_NUMBERS = "CREATE TABLE t (id BIGINT PRIMARY KEY, v INTEGER); INSERT INTO t SELECT i, 0 FROM range(1000) AS r(i)"


def _base(repo: Repo, table: str = "t") -> list[DataFile]:
    """The files of the table's base level at HEAD, in their order."""
    with opened(repo) as call:
        entries = call.tree(call.head().commit_id).tables.values()
        (version_id,) = [entry.version_id for entry in entries if str(entry.name) == table]
        return [*call.contents.levels(version_id)[0].files]


def _sound(repo: Repo, table: str = "t") -> None:
    """Nothing is wrong, and the state is the working table."""
    assert repo("FROM epoch_fsck()") == []
    assert repo(f"SELECT count(*) FROM {table}") == repo(f"SELECT count(*) FROM epoch_at('HEAD', '{table}')")
    for one, other in (("HEAD", "WORKING"), ("WORKING", "HEAD")):
        assert repo(f"FROM epoch_at('{one}', '{table}') EXCEPT ALL FROM epoch_at('{other}', '{table}')") == []


def test_a_commit_writes_only_files_with_changed_keys(make_repo: MakeRepo) -> None:
    repo = make_repo(_NUMBERS, fresh=True)
    before = _base(repo)
    assert [file.row_count for file in before] == [100] * 10
    repo("UPDATE t SET v = 1 WHERE id BETWEEN 110 AND 290; DELETE FROM t WHERE id BETWEEN 500 AND 599")
    repo.commit()
    after = _base(repo)
    assert [file in before for file in after] == [True, False, False, True, True, True, True, True, True]
    assert [file for file in before if file not in after] == [before[1], before[2], before[5]]
    _sound(repo)
    repo("INSERT INTO t SELECT i, 2 FROM range(1000, 1400) AS r(i)")
    repo.commit()
    grown = _base(repo)
    assert grown[:8] == after[:8]
    assert [file.row_count for file in grown[8:]] == [100] * 5
    _sound(repo)


def test_a_merge_writes_only_files_with_changed_keys(make_repo: MakeRepo) -> None:
    repo = make_repo(_NUMBERS, fresh=True)
    repo("CALL epoch_branch('other')")
    repo("UPDATE t SET v = 1 WHERE id < 120")
    repo.commit()
    before = _base(repo)
    repo("CALL epoch_checkout('other'); UPDATE t SET v = 2 WHERE id BETWEEN 880 AND 999")
    repo.commit()
    repo("CALL epoch_checkout('main'); CALL epoch_merge('other')")
    assert [file in before for file in _base(repo)] == [False] * 2 + [True] * 6 + [False] * 2
    _sound(repo)


def test_compaction_writes_only_files_with_changed_keys_or_another_definition(make_repo: MakeRepo) -> None:
    repo = make_repo(_NUMBERS, fresh=True)
    before = _base(repo)
    repo("UPDATE t SET v = 1 WHERE id IN (50, 950)")
    repo.commit()
    assert _base(repo) == before
    repo("CALL epoch_compact()")
    after = _base(repo)
    assert [file in before for file in after] == [False] + [True] * 8 + [False]
    _sound(repo)
    repo("ALTER TABLE t ADD COLUMN w INTEGER; UPDATE t SET w = 1 WHERE id < 300")
    repo.commit()
    widened = _base(repo)
    assert [file in after for file in widened] == [False] * 3 + [True] * 7, [f.row_count for f in widened]
    _sound(repo)
    repo("UPDATE t SET w = 2 WHERE id = 5")
    repo.commit()
    repo("CALL epoch_compact()")
    assert [file in widened for file in _base(repo)] == [False, True, True] + [False] * 7
    _sound(repo)


def test_history_of_a_key_names_only_files_that_may_hold_it(make_repo: MakeRepo) -> None:
    repo = make_repo(_NUMBERS, fresh=True)
    for key in (5, 505, 905):
        repo("UPDATE t SET v = v + 1 WHERE id = ?", key)
        repo.commit()
    repo("UPDATE t SET v = 9 WHERE id IN (4, 506)")
    repo.commit()

    def read(key: str | None) -> int:
        with opened(repo) as call:
            return str(history(call, "t", key)).count(".parquet")

    assert (read(None), read("5"), read("505"), read("905"), read("700"), read("-1")) == (14, 3, 3, 2, 1, 0)
    assert repo("SELECT v, diff_type FROM epoch_history('t', key := '505')") == [(1, "modified"), (0, "added")]
    assert repo("SELECT count(*) FROM epoch_history('t', key := '-1')") == [(0,)]


def test_states_are_compared_without_common_files(make_repo: MakeRepo) -> None:
    repo = make_repo(_NUMBERS, fresh=True)
    repo("UPDATE t SET v = 1 WHERE id < 150; DELETE FROM t WHERE id > 940")
    repo.commit()
    with opened(repo) as call:
        now, then = (call.tree(call.resolve(ref)).tables for ref in ("HEAD", "HEAD~1"))
        ids = [next(iter(tables.values())).version_id for tables in (then, now)]
        call.contents.path = lambda before, after: None  # type: ignore[method-assign]
        changes = call.contents.changes(ids[0], ids[1])
        assert str(changes).count(".parquet") == 3 + 3
        assert call.cursor.execute(f"SELECT op, count(*) FROM ({changes}) GROUP BY op ORDER BY op").fetchall() == [
            ("modified", 150),
            ("removed", 59),
        ]


def _keys(type: str, values: list[str]) -> str:
    rows = ", ".join(f"(CAST({value} AS {type}))" for value in values)
    return f"SELECT DISTINCT v FROM (VALUES {rows}) AS r(v) WHERE v IS NOT NULL"


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("first", range(4))
def test_keys_of_every_type(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    """Each row is a file of its own, as far as the keys tell rows apart."""
    monkeypatch.setattr(writing, "FILE_ROWS", 1)
    repo = make_repo()
    types = [*TYPES.items()][first::4]
    numbers = range(len(types))
    for number, (type, values) in enumerate(types):
        repo(
            f"CREATE TABLE t{number} (v {type}, i INTEGER); INSERT INTO t{number} SELECT *, 0 FROM ({_keys(type, values)})"
        )
    for number in numbers:
        repo(f"CALL epoch_key('t{number}', ['v'])")
    repo.commit()
    for number in numbers:
        repo(f"UPDATE t{number} SET i = rowid + 1 WHERE rowid = 0")
    repo.commit()
    before = {number: _base(repo, f"t{number}") for number in numbers}
    repo("CALL epoch_compact()")
    assert repo("FROM epoch_fsck()") == repo.status() == []
    kept = 0
    for number, (type, _) in enumerate(types):
        after = _base(repo, f"t{number}")
        assert repo.one(f"SELECT count(*) FROM epoch_at('HEAD', 't{number}') WHERE i = 1") == 1, type
        assert len(zones(after)) == 1 or len([file for file in before[number] if file not in after]) <= 1, type
        kept += len(after) > 1
    assert kept > len(types) // 2


@pytest.mark.grid(every=4)
@pytest.mark.parametrize(
    ("columns", "key", "rows"),
    [
        ("a INTEGER, b VARCHAR", "b, a", "i % 10, 'x' || (i // 10)"),
        ("a VARCHAR", "a", "repeat('the same prefix ', 10) || i"),
        ("a VARCHAR", "a", "CASE WHEN i < 50 THEN repeat('the same prefix ', 10) ELSE 'a' END || i"),
        ("a VARCHAR COLLATE NOCASE", "a", "chr((65 + i % 2 * 32 + (i // 10) % 20)::INTEGER) || i"),
        ("a DOUBLE", "a", "CASE i WHEN 0 THEN 'nan' WHEN 1 THEN '-0.0' WHEN 2 THEN 'inf' ELSE (i - 300)::VARCHAR END"),
        ("a BLOB, b UTINYINT", "a, b", "from_hex(lpad(hex(i), 4, '0')), i % 3"),
        ("a DECIMAL(9, 2), b DATE", "b, a", "i / 7, DATE '2020-01-01' + (i % 50)::INTEGER"),
        ("file_row_number INTEGER", "file_row_number", "i * 31 % 200"),
        ("a ENUM ('b', 'a', 'c'), b INTEGER", "a, b", "['a', 'b', 'c'][1 + i % 3], i"),
    ],
)
@pytest.mark.slow
@pytest.mark.older
def test_keys_of_several_columns_and_collations(make_repo: MakeRepo, columns: str, key: str, rows: str) -> None:
    repo = make_repo(
        f"CREATE TABLE t ({columns}, v INTEGER, PRIMARY KEY ({key})); INSERT INTO t SELECT {rows}, 0 FROM range(200) AS r(i)",
        name="keys.duckdb",
        fresh=True,
    )
    for where in ("rowid = 0", "rowid IN (3, 150)", "rowid BETWEEN 40 AND 60"):
        before = _base(repo)
        repo(f"UPDATE t SET v = v + 1 WHERE {where}; DELETE FROM t WHERE rowid = (SELECT max(rowid) FROM t)")
        repo.commit()
        repo("CALL epoch_compact()")
        _sound(repo)
        assert len(before) == 2
    repo("CALL epoch_checkout('HEAD~3')")
    assert repo.one("SELECT sum(v) FROM t") == 0
    _sound(repo)


def test_a_key_of_another_type_is_never_skipped(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER, v INTEGER); INSERT INTO t SELECT i, 0 FROM range(300) AS r(i)", fresh=True
    )
    repo("CALL epoch_key('t', ['id'])")
    repo.commit()
    assert len(_base(repo)) == 3
    repo("ALTER TABLE t ALTER id TYPE BIGINT; UPDATE t SET v = 1 WHERE id IN (-1, 5)")
    repo.commit()
    repo("UPDATE t SET v = 2 WHERE id = 205; INSERT INTO t VALUES (5000000000, 3)")
    repo.commit()
    _sound(repo)
    assert repo("SELECT v FROM epoch_history('t', key := '5') ORDER BY v") == [(0,), (1,)]
    repo("CALL epoch_compact()")
    _sound(repo)
    assert repo("SELECT v FROM epoch_history('t', key := '205') ORDER BY v") == [(0,), (2,)]


def _file(name: str, least: str | None, greatest: str | None) -> DataFile:
    return DataFile(name, "schema", 1, 1, None, least, greatest)


def test_files_whose_ranges_touch_are_one_zone() -> None:
    apart, touching = _file("a", "10", "20"), [_file("b", "30", "40"), _file("c", "40", "40"), _file("d", "40", "50")]
    found = zones([apart, *touching])
    assert [(zone.files, zone.start, zone.end) for zone in found] == [
        ((apart,), None, "30"),
        (tuple(touching), "30", None),
    ]
    for files in ([touching[0], apart], [apart, _file("x", None, None)]):
        assert [zone.files for zone in zones(files)] == [tuple(files)]
    assert zones([]) == []


def test_common_files_are_left_out_only_if_no_delta_may_have_their_keys() -> None:
    files = [_file("a", "10", "20"), _file("b", "30", "40")]

    def levels(*deltas: DataFile) -> list[Level]:
        rows = Level("", "base", tuple(files), None)  # type: ignore[arg-type]
        return [rows, *(Level("", "delta", (delta,), None) for delta in deltas)]  # type: ignore[arg-type]

    for delta, left in (
        (_file("d", "20", "25"), ["a"]),
        (_file("d", "21", "29"), []),
        (_file("d", "10", "40"), ["a", "b"]),
        (_file("d", None, None), ["a", "b"]),
    ):
        for one, other in ((levels(delta), levels()), (levels(), levels(delta))):
            assert [[f.file_id for f in side[0].files] for side in differing(one, other)] == [left, left]


def test_files_of_wide_rows_have_fewer(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base level is split by measured bytes, too."""
    monkeypatch.setattr(writing, "FILE_ROWS", 1_000_000)
    monkeypatch.setattr(writing, "FILE_BYTES", 100_000)
    monkeypatch.setattr(writing, "MEASURED_ROWS", 1000)
    repo = make_repo(
        "CREATE TABLE wide (id INTEGER PRIMARY KEY, words VARCHAR);"
        "INSERT INTO wide SELECT i, md5(CAST(i AS VARCHAR)) || md5(CAST(-i AS VARCHAR)) FROM range(20000) AS r(i);"
        "CREATE TABLE narrow (id INTEGER PRIMARY KEY); INSERT INTO narrow FROM range(20000);"
        "CREATE TABLE bag AS SELECT words FROM wide",
        fresh=True,
    )
    files = dict(
        repo(
            """SELECT json_extract_string(s.definition, '$.name'), list(f.bytes) FROM epoch.files AS f
            JOIN epoch.schemas AS s USING (schema_id) GROUP BY 1"""
        )
    )
    assert (len(files["narrow"]), len(files["bag"])) == (1, 1)
    assert 6 <= len(files["wide"]) <= 16
    assert max(files["wide"]) < 150_000
    assert repo("FROM epoch_fsck()") == []


def test_a_commit_leaves_to_compact_what_is_too_much(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a commit nor a merge writes more than so many rows again, whatever has changed."""
    monkeypatch.setattr(folding, "MOST_REWRITTEN", 250)
    repo = make_repo(_NUMBERS, fresh=True)
    first = _base(repo)
    repo("CALL epoch_branch('side'); CALL epoch_checkout('side')")
    repo("UPDATE t SET v = 1 WHERE id BETWEEN 110 AND 290; UPDATE t SET v = 2 WHERE id BETWEEN 280 AND 320")
    repo.commit()
    assert [file in first for file in _base(repo)] == [True] * 10, "three files have changed keys"
    repo("CALL epoch_checkout('main'); UPDATE t SET v = 3 WHERE id BETWEEN 600 AND 799 OR id = 5")
    repo.commit()
    assert _base(repo) == first
    repo("CALL epoch_merge('side')")
    assert _base(repo) == first
    _sound(repo)
    repo("CALL epoch_compact('t')")
    assert [file in first for file in _base(repo)] == [n in (4, 5, 8, 9) for n in range(10)]
    compacted = _base(repo)
    repo("UPDATE t SET v = 4 WHERE id BETWEEN 610 AND 790; UPDATE t SET v = 4 WHERE id BETWEEN 600 AND 630")
    repo.commit()
    assert _base(repo) == compacted
    repo("UPDATE t SET v = 5 WHERE id BETWEEN 600 AND 799")
    repo.commit()
    assert [file in compacted for file in _base(repo)] == [n not in (6, 7) for n in range(10)]
    _sound(repo)
