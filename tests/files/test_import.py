"""Rows come in from files, as one commit; and what cannot come in changes nothing, and says where it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import duckdb
import pyarrow
import pyarrow.feather
import pytest

import epoch_sql
from epoch_sql import errors
from tests.conftest import Epoch, MakeRepo, Repo, begun


@begun(
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer VARCHAR NOT NULL, amount DECIMAL(10, 2), day DATE,"
    " double DECIMAL(11, 2) AS (amount * 2));"
    "INSERT INTO orders VALUES (1, 'Ada', 12.5, '2026-01-01'), (2, 'Grace', 20, '2026-01-02');"
    "CREATE TABLE log (n INTEGER, t VARCHAR); INSERT INTO log VALUES (1, 'a'), (1, 'a'); CREATE VIEW v AS FROM log; CREATE TABLE typed (d DOUBLE, b BOOLEAN)"
)
def shop(repo: Repo) -> None:
    """A table with a key and a generated column, one without, and a view."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where files are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, *lines: str) -> str:
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return name


def load(repo: Repo, *sources: str, **options: Any) -> tuple[Any, ...]:
    """(rows added, modified, removed)."""
    named = "".join(f", {name} := ?" for name in options)
    ((_, _, _, *counts, _),) = repo(f"CALL epoch_import_files(?{named})", list(sources), *options.values())
    return tuple(counts)


HEADER = "id,customer,amount,day"


def test_files_of_each_form_become_tables(repo: Repo, folder: Path) -> None:
    repo("CREATE SCHEMA s; CREATE TABLE s.keep AS SELECT 1 AS a")
    repo.commit()
    write("a.csv", "id,name", "1,Ada", "2,")
    write("b.tsv", "id\tname", '1\t"a\tb"')
    write("c.jsonl", '{"id": 1, "n": 1.5, "tags": ["x", {"y": null}]}', '{"id": 2, "n": 2, "more": {"z": 1}}')
    with duckdb.connect() as con:
        con.execute("CREATE TABLE rows AS SELECT i AS id, i % 3 AS part, 'v' || i AS v FROM range(10) t(i)")
        con.execute("COPY (FROM rows) TO 'parts' (FORMAT parquet, PARTITION_BY (part))")
        con.execute("COPY (FROM rows) TO 'd.csv.gz'")
        arrow = con.sql("SELECT 1 AS id, INTERVAL 2 DAY AS i").fetch_arrow_table()
    pyarrow.feather.write_feather(arrow, "e.arrow")
    with pyarrow.ipc.new_stream("f.arrows", arrow.schema) as stream:
        stream.write_table(arrow)
    Path("parts/_SUCCESS").write_text("")
    with duckdb.connect("other.duckdb") as other:
        other.execute("CREATE TABLE o1 AS SELECT 1 AS a; CREATE SCHEMA s; CREATE TABLE s.o2 AS SELECT 2 AS b")
    everything = ["a.csv", "b.tsv", "c.jsonl", "d.csv.gz", "e.arrow", "f.arrows", "parts", "other.duckdb"]
    before = repo.head()
    assert load(repo, *everything, message="All") == (2 + 1 + 2 + 10 + 1 + 1 + 10 + 2, 0, 0)
    assert repo("SELECT message, parents FROM epoch_log(max_count := 1)") == [("All", [before])]
    assert repo.status() == []
    assert repo("FROM a ORDER BY id") == [(1, "Ada"), (2, None)]
    assert repo("FROM b") == [(1, "a\tb")]
    assert [kind for _, kind in repo.columns("FROM c")] == ["BIGINT", "DOUBLE", "JSON[]", "STRUCT(z BIGINT)"]
    assert repo("SELECT count(*), sum(part) FROM parts") == [(10, 9)]
    assert repo("FROM e UNION FROM f") == repo("SELECT 1, INTERVAL 2 DAY")
    assert repo("SELECT (FROM o1), (FROM s.o2)") == [(1, 2)]
    repo("CALL epoch_checkout('HEAD~1'); CALL epoch_checkout('main')")
    assert repo("SELECT count(*) FROM d") == [(10,)]


def test_what_becomes_of_a_table_that_exists(shop: Repo, folder: Path) -> None:
    write("orders.csv", HEADER, "1,Ada,13,2026-01-01", "3,Bo,1.25,2026-02-01")
    assert load(shop, "orders.csv", mode="upsert") == (1, 1, 0)
    assert load(shop, "orders.csv", mode="upsert") == (0, 0, 0)
    assert load(shop, "orders.csv", mode="replace") == (0, 0, 1)
    definition = shop.columns("FROM orders")
    write("new.csv", "Day,CUSTOMER,amount,id", "2026-02-01,Cy,007.10,7")
    assert load(shop, "new.csv", table_name="orders", mode="append") == (1, 0, 0)
    assert shop("SELECT id, amount::VARCHAR, double::VARCHAR FROM orders ORDER BY id")[-1] == (7, "7.10", "14.20")
    assert shop.columns("FROM orders") == definition
    write("log.csv", "n,t", "1,a", "2,007")
    assert load(shop, "log.csv", mode="replace") == (1, 0, 1)
    assert load(shop, "log.csv", mode="append") == (2, 0, 0)
    assert shop("FROM log ORDER BY ALL") == [(1, "a"), (1, "a"), (2, "007"), (2, "007")]
    write("keyed.csv", "k,v", "a,1")
    assert load(shop, "keyed.csv", key=["K"], mode="upsert") == (1, 0, 0)
    write("keyed.csv", "k,v", "a,2", "b,3")
    assert load(shop, "keyed.csv", mode="upsert") == (1, 1, 0)
    assert shop("SELECT key_columns FROM epoch_tables() WHERE table_name = 'keyed'") == [(["k"],)]


def test_an_exported_table_comes_back_with_its_generated_column(shop: Repo, folder: Path) -> None:
    shop("COPY orders TO 'orders.parquet'; COPY orders TO 'orders.csv'")
    for file in ("orders.parquet", "orders.csv"):
        assert load(shop, file, mode="replace") == (0, 0, 0)


LONG = ["id,n", *(f"{i},{i}" for i in range(90_208))]

REFUSED: list[tuple[Sequence[str], dict[str, Any], str]] = [
    (["orders.csv", HEADER, "3,Bo,1,2026-01-01"], {}, r"table orders exists .*mode := 'replace'.*mode := 'upsert'"),
    (["orders.csv", "id,customer,amount", "3,Bo,1"], {"mode": "append"}, "orders.csv has no column day, which table orders has"),
    (["orders.csv", f"{HEADER},zip", "3,Bo,1,2026-01-01,x"], {"mode": "append"}, "table orders has no column zip"),
    (["orders.csv", HEADER, "3,Bo,1.255,2026-01-01"], {"mode": "append"}, r"orders.csv, line 2, column amount: '1.255' is not of type DECIMAL\(10,2\)"),
    (["orders.csv", HEADER, '3,"B\no",1,2026-01-01', "4,Cy,x,2026-01-01"], {"mode": "upsert"}, "orders.csv, line 4, column amount: 'x' is not of type DECIMAL"),
    (["orders.csv", HEADER, "3,Bo,1,2026-01-01 10:00:00"], {"mode": "replace"}, "orders.csv, line 2, column day"),
    (["orders.csv", HEADER, "2.5,Bo,1,2026-01-01"], {"mode": "append"}, "orders.csv, line 2, column id: '2.5' is not of type INTEGER"),
    (["orders.csv", HEADER, "3,Bo,1,2026-01-01", "3,Cy,1,2026-01-01"], {"mode": "upsert"}, r"key of table orders \(id\) is NULL or repeated in orders.csv"),
    (["orders.csv", HEADER, ",Bo,1,2026-01-01"], {"mode": "replace"}, r"key of table orders \(id\) is NULL or repeated"),
    (["orders.csv", HEADER, "1,Bo,1,2026-01-01"], {"mode": "append"}, r"table orders refuses the rows: .*Duplicate key"),
    (["orders.csv", HEADER, "3,,1,2026-01-01"], {"mode": "append"}, r"table orders refuses the rows: NOT NULL constraint failed: orders.customer"),
    (["orders.csv", HEADER, "3,Bo,1"], {"mode": "append"}, "lines do not have as many values"),
    (["orders.csv", HEADER, "3,Bo,1,2026-01-01"], {"mode": "append", "key": ["customer"]}, "rows of table orders are identified by id"),
    (["typed.csv", "d,b", "1.5,true", "x,true"], {"mode": "append"}, "typed.csv, line 3, column d: 'x' is not of type DOUBLE"),
    (["typed.csv", "d,b", "1.5,maybe"], {"mode": "append"}, "typed.csv, line 2, column b: 'maybe' is not of type BOOLEAN"),
    (["dates.csv", "a,d", *(f"{i},{i % 28 + 1:02}/12/2026" for i in range(30_000)), "1,2026-12-40"], {}, "dates.csv, line 30,002, column d: "),
    (["log.csv", "n,t", "1,a"], {"mode": "upsert"}, "table log has no key"),
    (["v.csv", "n,t", "1,a"], {}, "v is a view"),
    (["x.csv", "n,t", "1,a"], {"key": ["m"]}, "there is no column m in x.csv"),
    (["x.csv", "n,t", "1,a", "1,b"], {"key": ["n"]}, r"by its key \(n\): NULL or duplicate in \{\"n\":1\}"),
    (["x.csv", "n,t", "1,a"], {"table_name": "nowhere.x"}, "there is no schema nowhere"),
    (["x.csv"], {}, "x.csv is empty"),
    (["x.parquet", "x"], {}, "x.parquet cannot be read as Parquet"),
    (["x.arrow", "x"], {}, "x.arrow cannot be read as Arrow"),
    (["x.duckdb", "x"], {}, "x.duckdb cannot be read as DuckDB"),
    (["x.json", '{"a": 1}', '{"a": '], {}, "x.json cannot be read as JSON"),
    (["x.json", "[]"], {}, "x.json has no rows"),
    (["x.txt", "x"], {}, "the suffix of x.txt does not say what it is"),
    (["long.csv", *LONG, "90208,abc"], {}, "long.csv, line 90,210, column n: 'abc' is not of type BIGINT"),
    (["long.csv", *LONG, "90208,1.5"], {}, "long.csv, line 90,210, column n: '1.5' is not of type BIGINT"),
    (["long.csv", *LONG, "90208,1,2"], {}, "long.csv, line 90,210: "),
]  # fmt: skip


def held(repo: Repo) -> list[Any]:
    """Everything that a load could change."""
    tables = repo("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL")
    rows = [repo(f"SELECT * FROM {name} ORDER BY ALL") for name in ("orders", "log", "epoch.refs", "epoch.reflog")]
    return [
        tables,
        *rows,
        repo("FROM epoch.declared_keys"),
        repo.status(),
        repo("FROM duckdb_databases() SELECT database_name"),
    ]


def test_what_does_not_fit_changes_nothing_and_says_where_it_is(shop: Repo, folder: Path) -> None:
    before = held(shop)
    for lines, options, told in REFUSED:
        write(*lines)
        with pytest.raises(duckdb.Error) as caught:
            load(shop, lines[0], **options)
        message = str(caught.value)
        assert re.search(told, message), f"{lines[0]} {options}: {message}"
        assert held(shop) == before
        Path(lines[0]).unlink()
    for missing in ("none.csv", "*.nothing"):
        assert missing in shop.refused("CALL epoch_import_files([?])", missing)
    write("a.csv", "n", "1")
    Path("twice").mkdir()
    write("twice/a.csv", "n", "1")
    assert "two sources are for table a" in shop.refused("CALL epoch_import_files(['a.csv', 'twice/a.csv'])")
    shop("INSERT INTO log VALUES (3, 'c')")
    assert "uncommitted changes in log" in shop.refused("CALL epoch_import_files(['a.csv'])")


def test_the_facts_of_a_fault_are_fields(shop: Repo, folder: Path) -> None:
    write("log.csv", "n,t", "1,a", "x,b")
    with pytest.raises(errors.EpochFileError) as caught, epoch_sql.raising(shop.con):
        load(shop, "log.csv", mode="append")
    assert caught.value.facts == {"file": "log.csv", "line": 3, "row": 2, "column": "n"}
    with duckdb.connect() as con:
        con.execute("COPY (SELECT 1.5 AS n, 'x' AS t) TO 'log.parquet'")
    with pytest.raises(errors.EpochFileError) as caught, epoch_sql.raising(shop.con):
        load(shop, "log.parquet", mode="append")
    assert caught.value.facts == {"file": "log.parquet", "line": None, "row": 1, "column": "n"}


HOSTILE = ["it's; DROP TABLE orders.csv", "[orders]*.csv", 'a"b.csv', "a.b.csv", "--.csv", "x\ny.csv"]


def test_names_of_files_are_names_and_nothing_else(shop: Repo, folder: Path) -> None:
    write("o.csv", "n", "1")
    for name in HOSTILE:
        write(name, 'n,"m\'""; DROP"', "1,2")
        load(shop, name)
        assert shop(f'SELECT count(*) FROM "{name[:-4].replace(chr(34), chr(34) * 2)}"') == [(1,)]
        Path(name).unlink()
    assert shop.status() == []
    assert len(shop("FROM orders")) == 2


def test_what_another_database_computes_does_not_run(repo: Repo, folder: Path) -> None:
    """Expressions of a file are a stranger's SQL, which could call whatever the session has."""
    run: list[Any] = []

    def pwn(value: Any) -> str:
        run.append(value)
        return "x"

    with duckdb.connect("evil.duckdb") as evil:
        evil.create_function("pwn", lambda value: "x", ["INTEGER"], "VARCHAR")
        evil.execute(
            'CREATE TABLE computed (i INTEGER, g VARCHAR AS (pwn(i)), h VARCHAR AS (pwn(1)), "GENERATED" INTEGER, z INTEGER)'
        )
        evil.execute("CREATE TABLE filled (i INTEGER CHECK (pwn(i) = 'x'), v VARCHAR DEFAULT (pwn(1)))")
        evil.execute("INSERT INTO computed (i, z) VALUES (1, 5); INSERT INTO filled (i) VALUES (2)")
        evil.execute("CREATE VIEW shown AS SELECT pwn(1)")
    repo.con.create_function("pwn", pwn, ["INTEGER"], "VARCHAR", side_effects=True)
    ((*_, warnings),) = repo("CALL epoch_import_files(['evil.duckdb'])")
    assert warnings == [f"column {c} of computed in evil.duckdb is computed there, so it is left out" for c in "gh"]
    assert repo("FROM computed") == [(1, None, 5)]
    assert repo("FROM filled") == [(2, "x")]
    assert [row[:2] for row in repo("DESCRIBE computed")] == [(c, "INTEGER") for c in ("i", "GENERATED", "z")]
    assert run == []


def test_settings_of_the_database_hold(make_repo: MakeRepo, folder: Path) -> None:
    repo = make_repo()
    write("a.csv", "n", "1")
    pyarrow.feather.write_feather(pyarrow.table({"n": [1]}), "a.arrow")
    repo("SET enable_external_access = false")
    for file in ("a.csv", "a.arrow"):
        assert f"{file} cannot be" in repo.refused("CALL epoch_import_files([?])", file)


def test_arrow(shop: Repo) -> None:
    library = epoch_sql.open(shop.path)
    table = pyarrow.table({"n": pyarrow.array([1, 5], pyarrow.int64()), "t": ["a", None]})
    assert library.import_arrow(table, "log", mode="append").rows.added == 2
    assert library.import_arrow(table.to_reader(), "fresh", key=["n"]).tables == ["fresh"]
    assert library.import_arrow(table.to_batches()[0], "fresh", mode="replace").rows.total == 0
    with pytest.raises(errors.EpochFileError) as caught:
        library.import_arrow(pyarrow.table({"n": [1, 2**40], "t": ["a", "b"]}), "log", mode="append")
    assert (caught.value.row, caught.value.column) == (2, "n")
    with pytest.raises(errors.EpochFileError, match="the data for log"):
        library.import_arrow(pyarrow.table({"n": [2**40], "t": ["a"]}).to_reader(), "log", mode="append")
    with pytest.raises(errors.EpochTableError, match="table log exists"):
        library.import_arrow(table, "log")
    reader = library.arrow("HEAD", "log", rows_per_batch=2)
    assert isinstance(reader, pyarrow.RecordBatchReader)
    assert library.connection.sql("SELECT 1").fetchall() == [(1,)]
    assert sorted(row["n"] for batch in reader for row in batch.to_pylist()) == [1, 1, 1, 5]
    assert library.arrow("HEAD", "v").schema.names == ["n", "t"]
    with pytest.raises(errors.TableNotFound):
        library.arrow("HEAD", "nothing")
    library.close()


def test_the_command(shop: Repo, epoch: Epoch, folder: Path) -> None:
    shop.close()
    monkey = ["--db", str(shop.path)]
    write("orders.csv", HEADER, "1,Ada,13,2026-01-01", "3,Bo,1.25,2026-02-01")
    told = epoch(*monkey, "import", "orders.csv", code=1).err
    assert "epoch import --replace orders.csv" in told and "Traceback" not in told
    told = epoch(*monkey, "import", "orders.csv", "--upsert", "-m", "Orders of today").err
    assert re.fullmatch(r"Imported orders: \+1 ~1 rows \(commit \w{7} on main\)\n", told)
    assert epoch(*monkey, "import", "orders.csv", "--upsert").err == "orders: no row changed\n"
    made = epoch(*monkey, "import", "orders.csv", "--replace", "--json").json
    assert [made[0][name] for name in ("branch", "tables", "rows_removed")] == ["main", ["orders"], 1]
    assert epoch(*monkey, "log", "--oneline", "-2").out.splitlines()[1].endswith("Orders of today")
    shop.reopen()


@pytest.mark.slow
def test_an_import_costs_little_more_than_copy_and_commit(make_repo: MakeRepo, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    rows = "i AS id, i % 1000 AS k, (i % 7777) / 100 AS amount, 'customer ' || i AS name FROM range(400000) AS r(i)"
    duckdb.execute(f"COPY (SELECT {rows}) TO '{path}' (HEADER)")
    copied, imported = make_repo("SELECT 1", "copied.duckdb"), make_repo("SELECT 1", "imported.duckdb")
    statements = (
        "CREATE TABLE many (id BIGINT, k BIGINT, amount DOUBLE, name VARCHAR)",
        f"COPY many FROM '{path}' (HEADER)",
        "CALL epoch_commit('first')",
    )
    start = process_time()
    for statement in statements:
        copied(statement)
    by_copy = process_time() - start
    start = process_time()
    imported("CALL epoch_import_files(?)", [str(path)])
    # What a call costs by itself counts for more of so few rows: of 175 MB an import takes 0.75 times as long.
    assert process_time() - start < 1.2 * by_copy + 0.5
    assert imported("SELECT count(*) FROM many") == copied("SELECT count(*) FROM many")
