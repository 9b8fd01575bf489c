"""An export has what the references have, from files where they lie, writes what changed, and is taken at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from epoch_sql.iceberg import tables as exporting
from epoch_sql.iceberg.lake import Lake
from epoch_sql.storage import writing
from tests.conftest import Epoch, MakeRepo, Repo, begun
from tests.support.lakes import catalog, differences, files, names, rows, same, table

REPLACED = {"t": "REPLACE (CAST(huge AS VARCHAR) AS huge)", "u": ""}
SQL = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, status VARCHAR, amount DECIMAL(9,2));
INSERT INTO orders SELECT i, 'open', i FROM range(100000) AS r(i);
CREATE TABLE log AS SELECT i % 5 AS a, NULL::VARCHAR AS b FROM range(50) AS r(i);
CREATE SCHEMA sales;
CREATE TABLE sales.pairs (a VARCHAR, b INTEGER, PRIMARY KEY (b, a));
INSERT INTO sales.pairs VALUES ('x', 1), ('y', 1);
"""


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@begun(SQL)
def shop(repo: Repo) -> None:
    repo("CALL epoch_tag('v1.0.0')")
    repo("CALL epoch_branch('dev')")


def export(repo: Repo, lake: Path, *refs: str, **options: str) -> dict[str, tuple[Any, ...]]:
    """status, bytes, refs, copied and left_out of each table."""
    named = "".join(f", {name} := '{value}'" for name, value in options.items())
    asked = f"SELECT * FROM epoch_export_iceberg(refs := ?, warehouse := ?{named})"
    return {row[0]: (row[3], row[4], row[2], row[6], row[7]) for row in repo(asked, [*refs], str(lake))}


def paths(lake: Path, name: str, ref: str) -> list[str]:
    found = table(lake, name)
    return [task.file.file_path for task in found.scan(snapshot_id=found.metadata.refs[ref].snapshot_id).plan_files()]


def test_branches_and_tags_share_files_that_lie_where_they_are(shop: Repo, lake: Path) -> None:
    made = export(shop, lake, "main", "dev", "v1.0.0")
    assert {name: found[:2] for name, found in made.items()} == dict.fromkeys(
        ("orders", "log", "sales.pairs"), ("exported", 0)
    )
    assert names(lake) == {name: ["dev", "main", "v1.0.0"] for name in ("main.orders", "main.log", "sales.pairs")}
    kinds = {name: ref.snapshot_ref_type.value for name, ref in table(lake, "orders").metadata.refs.items()}
    assert kinds == {"main": "branch", "dev": "branch", "v1.0.0": "tag"}
    (path,) = paths(lake, "orders", "main")
    assert Path(path).is_relative_to(shop.path.parent / ".epoch" / "objects") and Path(path).is_file()
    assert table(lake, "orders").properties["gc.enabled"] == "false"
    # A commit: what it changed, in the tables that it changed.
    shop("UPDATE orders SET status = 'paid' WHERE id % 1000 = 1; DELETE FROM orders WHERE id = 7")
    shop.commit()
    before = files(lake)
    made = export(shop, lake, "main", "dev", "v1.0.0")
    assert {name: found[0] for name, found in made.items()} == {
        "orders": "exported",
        "log": "unchanged",
        "sales.pairs": "unchanged",
    }
    new = {path: size for path, size in files(lake).items() if path not in before}
    assert made["orders"][1] == sum(size for path, size in new.items() if path.endswith(".parquet")) < 5000
    assert sum(new.values()) < 30000
    assert all("orders" in path for path in new)
    for ref in ("main", "dev", "v1.0.0"):
        for name in ("orders", "log"):
            same(shop, lake, ref, name)
        same(shop, lake, ref, "pairs", "sales")
    found = table(lake, "orders")
    summary = found.metadata.snapshot_by_name("main").summary
    assert summary["epoch.commit"] == shop.head() and summary["total-records"] == "99999"
    assert summary["total-position-deletes"] == "101"


@pytest.mark.slow
def test_bytes_written_follow_the_change(shop: Repo, lake: Path) -> None:
    export(shop, lake, "main")
    written = []
    for number in (10, 100, 1000):
        shop(f"UPDATE orders SET amount = amount + 1 WHERE id < {number}")
        shop.commit()
        before = files(lake)
        export(shop, lake, "main")
        written.append(sum(size for path, size in files(lake).items() if path not in before))
    assert written[0] < 30_000 and written[2] < written[0] + 20_000
    # The table grows fivefold, and the same change costs the same.
    shop("INSERT INTO orders SELECT i, 'open', i FROM range(100000, 500000) AS r(i)")
    shop.commit()
    export(shop, lake, "main")
    shop("UPDATE orders SET amount = amount + 1 WHERE id < 10")
    shop.commit()
    before = files(lake)
    export(shop, lake, "main")
    assert sum(size for path, size in files(lake).items() if path not in before) < written[0] + 5000
    same(shop, lake, "main", "orders")


def test_a_compaction_and_a_rewound_branch_write_no_rows(shop: Repo, lake: Path) -> None:
    for number in range(2):
        shop(f"UPDATE orders SET status = 's{number}' WHERE id % 100 = {number}")
        shop("DELETE FROM log WHERE a = 1")
        shop.commit()
    export(shop, lake, "main")
    assert len(paths(lake, "orders", "main")) > 1
    shop("CALL epoch_compact()")
    assert export(shop, lake, "main")["orders"][:2] == ("exported", 0)
    assert len(paths(lake, "orders", "main")) == 1
    assert table(lake, "orders").current_snapshot().summary["operation"].value == "replace"  # type: ignore[union-attr]
    same(shop, lake, "main", "orders")
    shop("CALL epoch_reset('HEAD~1', hard := true)")
    export(shop, lake, "main")
    snapshots = len(table(lake, "orders").metadata.snapshots)
    shop("CALL epoch_reset('main@{1}', hard := true)")
    assert export(shop, lake, "main")["orders"][:2] == ("exported", 0)
    assert len(table(lake, "orders").metadata.snapshots) == snapshots
    for name in ("orders", "log"):
        same(shop, lake, "main", name)


def test_base_levels_of_many_files(make_repo: MakeRepo, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions are those of each file, and files that no delta reaches are not looked at."""
    monkeypatch.setattr(writing, "FILE_ROWS", 5000)
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v DOUBLE, huge HUGEINT);"
        "INSERT INTO t SELECT i * 7919 % 40000, i, i FROM range(40000) AS r(i);"
        "CREATE TABLE u (id INTEGER PRIMARY KEY, v DOUBLE); INSERT INTO u SELECT id, v FROM t",
        fresh=True,
    )
    repo("UPDATE u SET v = '-0.0' WHERE id BETWEEN 12000 AND 12100; DELETE FROM u WHERE id % 9000 = 1")
    repo("UPDATE t SET v = 'nan' WHERE id % 4000 = 5; DELETE FROM t WHERE id = 39999")
    repo.commit()
    repo("DELETE FROM u WHERE id BETWEEN 12050 AND 12060; INSERT INTO u VALUES (12055, 1)")
    repo.commit()
    export(repo, lake, "main")
    for name in ("t", "u"):
        assert len(paths(lake, name, "main")) > 7
        found = differences(
            repo, rows(lake, "main", name), f"SELECT * {REPLACED[name]} FROM epoch_at('main', '{name}')"
        )
        assert found == []
    assert table(lake, "u").current_snapshot().summary["total-records"] == str(repo.one("SELECT count(*) FROM u"))  # type: ignore[union-attr]


def test_a_declared_key_that_widens(make_repo: MakeRepo, lake: Path) -> None:
    repo = make_repo("CREATE TABLE t AS SELECT i::SMALLINT AS id, 'v' || i AS v FROM range(500) AS r(i)")
    repo(
        "CALL epoch_key('t', ['id']); CALL epoch_commit('a key'); UPDATE t SET v = 'x' WHERE id < 5; CALL epoch_commit('x')"
    )
    repo("CALL epoch_tag('narrow')")
    repo("ALTER TABLE t ALTER id TYPE BIGINT; CALL epoch_commit('wide')")
    repo(
        "UPDATE t SET v = 'y' WHERE id BETWEEN 3 AND 9; DELETE FROM t WHERE id = 11; INSERT INTO t VALUES (70000, 'z')"
    )
    repo.commit()
    export(repo, lake, "main", "narrow")
    for ref in ("main", "narrow"):
        same(repo, lake, ref, "t")


def test_from_a_bare_clone(shop: Repo, lake: Path, tmp_path: Path) -> None:
    """A bare clone has no files, so the tables read those of its remote."""
    shop("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    shop("CALL epoch_push()")
    shop("UPDATE orders SET status = 'x' WHERE id < 5")
    shop.commit()
    shop("CALL epoch_push()")
    (tmp_path / "bare").mkdir()
    bare = Repo(tmp_path / "bare" / "shop.duckdb")
    bare("CALL epoch_clone(?, bare := true)", str(tmp_path / "store"))
    export(bare, lake, "origin/main", main="origin/main")
    store = tmp_path / "store" / "objects"
    assert any(Path(path).is_relative_to(store) for path in paths(lake, "orders", "main"))
    same(shop, lake, "main", "orders")
    bare.leave()


def test_what_is_gone_goes(shop: Repo, lake: Path) -> None:
    """References that are deleted, tables that are dropped, and the last reference of a table."""
    shop("CREATE TABLE extra (i INTEGER)")
    shop.commit()
    export(shop, lake, "main", "dev", "v1.0.0")
    shop("DROP TABLE extra; DROP TABLE sales.pairs")
    shop.commit()
    made = export(shop, lake, "main")
    assert (made["main.extra"][0], made["sales.pairs"][0]) == ("removed", "exported")
    assert names(lake)["sales.pairs"] == ["dev", "v1.0.0"]
    shop("CALL epoch_branch_delete('dev', force := true)")
    export(shop, lake, "main")
    assert "dev" in names(lake)["main.orders"]
    # Only an export without references looks for what is gone.
    shop("CALL epoch_export_iceberg(warehouse := ?)", str(lake))
    assert names(lake) == {
        "main.orders": ["main", "v1.0.0"],
        "main.log": ["main", "v1.0.0"],
        "sales.pairs": ["v1.0.0"],
    }


def test_definitions_change(make_repo: MakeRepo, lake: Path) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR, d DECIMAL(9,2), twice INTEGER AS (id * 2));"
        "INSERT INTO t (id, a, b, d) SELECT i, i, 'b' || i, i FROM range(100) AS r(i)"
    )
    repo("CALL epoch_tag('v0')")
    assert export(repo, lake, "main", "v0")["t"][4] == ["column twice: it is computed"]
    for number, text in enumerate(
        (
            "ALTER TABLE t ADD COLUMN c INTEGER; ALTER TABLE t RENAME b TO label; ALTER TABLE t ALTER a TYPE BIGINT",
            "ALTER TABLE t ADD COLUMN filled VARCHAR DEFAULT 'old'",
            "ALTER TABLE t DROP COLUMN c; ALTER TABLE t ALTER d TYPE DECIMAL(12,2)",
            "ALTER TABLE t ALTER d TYPE VARCHAR",
            "ALTER TABLE t ADD COLUMN big UBIGINT DEFAULT 18446744073709551615",
            "ALTER TABLE t RENAME TO u",
        ),
        1,
    ):
        repo(f"{text}; CALL epoch_commit('columns'); CALL epoch_tag('v{number}')")
        export(repo, lake, "main", f"v{number}")
    refs = ["main", *(f"v{number}" for number in range(7))]
    assert names(lake) == {"main.u": sorted(refs)}
    for ref in refs:
        truth = f"SELECT * EXCLUDE (twice) FROM epoch_at('{ref}', '{'u' if ref in ('main', 'v6') else 't'}')"
        assert differences(repo, rows(lake, ref, "u"), truth) == []
    # What neither needs other values nor another type wrote nothing.
    (path,) = paths(lake, "u", "v1")
    assert "objects" in path and "objects" not in paths(lake, "u", "v2")[0]


def test_main_is_what_engines_read_without_a_branch(shop: Repo, lake: Path, tmp_path: Path) -> None:
    shop("CALL epoch_checkout('dev'); DELETE FROM orders WHERE id > 10")
    shop.commit()
    export(shop, lake, "dev", "v1.0.0")
    assert len(table(lake, "orders").scan().to_arrow()) == 11
    export(shop, lake, "v1.0.0")
    assert len(table(lake, "orders").scan().to_arrow()) == 11
    export(shop, lake, "v1.0.0", main="v1.0.0")
    assert len(table(lake, "orders").scan().to_arrow()) == 100000
    export(shop, lake, "main", "dev")
    assert len(table(lake, "orders").scan().to_arrow()) == 100000
    assert "main cannot be dev" in shop.refused(
        "CALL epoch_export_iceberg(refs := ['main', 'dev'], warehouse := ?, main := 'dev')", str(lake)
    )
    other = tmp_path / "other"
    export(shop, other, "main", namespace="shop")
    assert {*names(other)} == {"shop.log", "shop.orders", "shop.sales.pairs"}


def test_what_no_reference_shows_expires_with_its_files(
    shop: Repo, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gc keeps what the tables read, until the snapshots expire."""
    shop("UPDATE orders SET status = 'lost'")
    shop.commit()
    shop("DELETE FROM orders WHERE id < 3; INSERT INTO orders VALUES (-1, 'new', 0)")
    shop.commit()
    export(shop, lake, "main")
    path, own = sorted(paths(lake, "orders", "main"), key=lambda path: path.startswith(str(lake)))
    shop("CALL epoch_reset('HEAD~2', hard := true)")
    shop("DELETE FROM epoch.reflog")
    shop("CALL epoch_gc(grace := '0 seconds')")
    assert Path(path).is_file()
    assert len(table(lake, "orders").scan().to_arrow()) == 99998
    export(shop, lake, "main")
    shop("CALL epoch_gc(grace := '0 seconds')")
    assert Path(path).is_file() and len(table(lake, "orders").metadata.snapshots) == 2
    monkeypatch.setattr(exporting, "GRACE", timedelta(0))
    shop("CALL epoch_tag('now')")
    export(shop, lake, "now")
    assert len(table(lake, "orders").metadata.snapshots) == 1
    shop("CALL epoch_gc(grace := '0 seconds')")
    assert not Path(path).is_file() and not Path(own).is_file()
    assert [path for path in files(lake) if "orders" in path and path.endswith(".parquet")] == []
    same(shop, lake, "main", "orders")


def test_another_export_at_the_same_time(
    shop: Repo, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are in the tables, whoever was faster."""
    shutil.copytree(shop.path.parent, tmp_path / "copy")
    other_shop = Repo(tmp_path / "copy" / shop.path.name)
    other = Lake.create, Lake.commit
    raced: list[str] = []

    def race(ref: str, method: Any) -> Any:
        def racing(*arguments: Any) -> Any:
            if len(raced) < 2:
                raced.append(ref)
                monkeypatch.setattr(Lake, "create", other[0])
                monkeypatch.setattr(Lake, "commit", other[1])
                export(other_shop, lake, ref)
            return method(*arguments)

        return racing

    monkeypatch.setattr(Lake, "create", race("dev", other[0]))
    export(shop, lake, "main")
    shop("UPDATE orders SET status = 'x' WHERE id < 10")
    shop.commit()
    monkeypatch.setattr(Lake, "commit", race("v1.0.0", other[1]))
    export(shop, lake, "main")
    assert raced == ["dev", "v1.0.0"]
    assert names(lake)["main.orders"] == ["dev", "main", "v1.0.0"]
    found = table(lake, "orders").metadata
    numbers = [snapshot.sequence_number for snapshot in found.snapshots]
    assert len(set(numbers)) == len(numbers)
    for ref in ("main", "dev", "v1.0.0"):
        same(shop, lake, ref, "orders")
    other_shop.leave()


KILLED = """
import epoch_sql, os, sys
from epoch_sql.iceberg.lake import Lake
commit = Lake.{method}
def killed(*arguments):
    if "{when}" == "after": commit(*arguments)
    os._exit(9)
Lake.{method} = killed
con = epoch_sql.connect(sys.argv[1])
con.execute("CALL epoch_export_iceberg(refs := ['main'], warehouse := ?)", [sys.argv[2]]).fetchall()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("method", "when"), [("create", "after"), ("commit", "before")])
def test_the_next_export_goes_on_after_a_kill(shop: Repo, lake: Path, method: str, when: str) -> None:
    if method == "commit":
        export(shop, lake, "main")
    shop("UPDATE orders SET status = 's' WHERE id % 50 = 1; INSERT INTO log VALUES (7, 'x')")
    shop.commit()
    shop.close()
    program = [sys.executable, "-c", KILLED.format(method=method, when=when), str(shop.path), str(lake)]
    assert subprocess.run(program, capture_output=True).returncode == 9
    shop.reopen()
    assert len(names(lake)) == (1 if method == "create" else 3)
    export(shop, lake, "main")
    for name in ("orders", "log"):
        same(shop, lake, "main", name)


def test_a_table_of_somebody_else_is_not_touched(shop: Repo, make_repo: MakeRepo, lake: Path) -> None:
    other = make_repo("CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1)")
    other("CALL epoch_export_iceberg(refs := ['main'], warehouse := ?)", str(lake))
    before = files(lake)
    found = shop.refused("CALL epoch_export_iceberg(refs := ['main'], warehouse := ?)", str(lake))
    assert "main.orders in sqlite:///" in found and "is not a table of this repository; nothing was exported" in found
    assert files(lake) == before
    export(shop, lake, "main", namespace="shop")
    assert len(table(lake, "orders").scan().to_arrow()) == 1
    # Somebody else writes to a branch of ours.
    ours = catalog(lake).load_table(("shop", "orders"))
    ours.append(ours.scan(limit=1).to_arrow())
    shop("DELETE FROM orders WHERE id = 3")
    shop.commit()
    found = shop.refused("CALL epoch_export_iceberg(refs := ['main'], warehouse := ?, namespace := 'shop')", str(lake))
    assert "branch main of shop.orders was written by somebody else" in found


def test_bad_input_changes_nothing(shop: Repo, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.mkdir()
    shop("CALL epoch_tag('both'); CALL epoch_branch('both')")
    for arguments, message in {
        "refs := ['WORKING']": "WORKING is not committed",
        "refs := ['main~0']": "main~0 is neither a branch nor a tag",
        "refs := ['nothing']": "nothing",
        "refs := ['refs/heads/both', 'refs/tags/both']": "both is a branch and a tag",
        "warehouse := 's3://bucket/x'": "cannot read the files of this machine",
        "warehouse := 'ftp://host/x'": "a warehouse cannot be at ftp://",
        "warehouse := 's3://user:secret@bucket/x'": "credentials",
        "warehouse := 'a#b'": "cannot have ?, #",
        "catalog := 'https://user:secret@host'": "credentials",
        "catalog := 'postgresql://host'": "is not a catalog",
        "catalog := 'http://127.0.0.1:9'": "cannot be used: Connection refused",
        "remote := 'nowhere'": "nowhere",
    }.items():
        named = arguments if "warehouse" in arguments else f"{arguments}, warehouse := '{lake}'"
        found = shop.refused(f"CALL epoch_export_iceberg({named})")
        assert message in found and "\n" not in found.split("\nIf a transaction")[0], found
        assert "secret" not in found
    (tmp_path / "file").write_text("")
    found = shop.refused("CALL epoch_export_iceberg(warehouse := ?)", str(tmp_path / "file" / "lake"))
    assert "cannot be used: Not a directory" in found
    assert "no warehouse is named" in shop.refused("CALL epoch_export_iceberg()")
    monkeypatch.delitem(sys.modules, "epoch_sql.iceberg.tables", raising=False)
    monkeypatch.setitem(sys.modules, "pyiceberg.table", None)
    found = shop.refused("CALL epoch_export_iceberg(warehouse := ?)", str(lake))
    assert "Iceberg needs pyiceberg, which is not installed (hint: pip install 'epoch-sql[iceberg]')" in found
    assert files(lake) == {}


def test_names_that_catalogs_cannot_hold_are_left_out_by_name(make_repo: MakeRepo, lake: Path) -> None:
    repo = make_repo(
        """
        CREATE TABLE "a.b" (i INTEGER); CREATE TABLE " c" (i INTEGER); CREATE SCHEMA "x/y"; CREATE TABLE "x/y".t (i INTEGER);
        CREATE TABLE same (a STRUCT(b INTEGER), "a.b" INTEGER); CREATE TABLE part (a STRUCT(__duckdb_field_id INTEGER));
        CREATE TABLE "it's ""a"" [b] {c} -- d" ("a'b""c" VARCHAR); INSERT INTO "it's ""a"" [b] {c} -- d" VALUES ('it''s')
        """
    )
    made = export(repo, lake, "main")
    left = {name: found[4] for name, found in made.items() if found[0] == "left out"}
    assert len(left) == 5 and all(len(reasons) == 1 for reasons in left.values())
    assert left["same"] == ["two columns or parts of columns have the path a.b"]
    assert "catalogs of Iceberg tables cannot hold the name a.b" in left['"a.b"']
    same(repo, lake, "main", 'it\'s "a" [b] {c} -- d', truth='"it\'s ""a"" [b] {c} -- d"')


def test_nothing_of_pyiceberg_is_imported_otherwise(shop: Repo) -> None:
    program = (
        "import epoch_sql, sys; con = epoch_sql.connect(sys.argv[1]);"
        "con.execute('FROM epoch_status()').fetchall(); con.execute('CALL epoch_publish()').fetchall();"
        "print([name for name in sys.modules if name.partition('.')[0] in ('pyiceberg', 'sqlalchemy')])"
    )
    shop.close()
    ran = subprocess.run([sys.executable, "-c", program, str(shop.path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_after_a_push(shop: Repo, lake: Path, tmp_path: Path, epoch: Epoch) -> None:
    store = tmp_path / "store"
    shop("CALL epoch_remote_add('origin', ?)", str(store))
    config = shop.path.parent / ".epoch" / "config.toml"
    with config.open("a") as stream:
        stream.write(f'\n[iceberg]\nrefs = "main v*"\nwarehouse = "{lake}"\n')
    assert shop("SELECT warnings FROM epoch_push(tags := true)") == [([],)]
    assert names(lake)["main.orders"] == ["main", "v1.0.0"]
    # Readers of the store need nothing of this machine.
    (path,) = paths(lake, "orders", "main")
    assert Path(path).is_relative_to(store / "objects")
    shop("UPDATE orders SET status = 'x' WHERE id < 5")
    shop.commit()
    shop("CALL epoch_push(branch := 'dev')")
    assert names(lake)["main.orders"] == ["main", "v1.0.0"]
    shop("CALL epoch_push()")
    same(shop, lake, "main", "orders")
    # A forced push, and a branch that is deleted there.
    shop("CALL epoch_reset('HEAD~1', hard := true); CALL epoch_push(force := true)")
    same(shop, lake, "main", "orders")
    shop("CALL epoch_push('origin', 'v1.0.0', delete := true)")
    assert names(lake)["main.orders"] == ["main"]
    # An export that fails leaves the push as it is, and says so in one line.
    (lake / "catalog.db").write_text("no database")
    shop("DELETE FROM orders WHERE id = 1")
    shop.commit()
    ((status, (warning,)),) = shop("SELECT status, warnings FROM epoch_push()")
    assert status == "pushed" and "\n" not in warning
    assert warning.startswith("main was pushed, and is not exported to Iceberg: the catalog")


def test_the_command_line(shop: Repo, lake: Path, epoch: Epoch, tmp_path: Path) -> None:
    shop.close()
    out = epoch("--db", str(shop.path), "export", "iceberg", "main", "--warehouse", str(lake))
    assert "Exported main.orders of main (0 bytes written)" in out.err
    assert (
        "Unchanged: main.orders"
        in epoch("--db", str(shop.path), "export", "iceberg", "main", "--warehouse", str(lake)).err
    )
    file = tmp_path / "orders.parquet"
    assert "Wrote 100,000 rows" in epoch("--db", str(shop.path), "export", "main", "orders", str(file)).err
    assert duckdb.sql(f"SELECT count(*) FROM '{file}'").fetchall() == [(100000,)]
