"""Values of every type come back exactly, in pyiceberg, in DuckDB's own reader and in Sail.

``make test-all`` installs the readers below EPOCH_CLIENTS. pyiceberg reads NULL lists and maps of structs as empty ones, so
it is asked for rows without them.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pyarrow.compute
import pyarrow.parquet
import pytest
from pyiceberg.table import Table

from epoch_sql.iceberg.types import NAMES, WRITTEN_AS, fields_of, held_value
from epoch_sql.model.schema import Column, ObjectName
from epoch_sql.model.schema import Table as Definition
from epoch_sql.render import column as column_of
from epoch_sql.storage.encoding import encode
from epoch_sql.storage.types import parse_type
from tests.conftest import MakeRepo, Repo
from tests.publish.test_clients import python
from tests.support.lakes import differences, table, tables
from tests.support.values import TYPES

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "iceberg.md"
COLUMNS = {f"c{number}": kind for number, kind in enumerate(TYPES)}
MOST = max(map(len, TYPES.values()))
SQL = f"""
CREATE TABLE kinds (id INTEGER PRIMARY KEY, {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())});
CREATE TABLE bag AS SELECT i % 7 AS a, ['x', NULL][i % 2 + 1] AS b FROM range(300) AS r(i);
CREATE TABLE pairs (a VARCHAR, b UBIGINT, v INTEGER[], PRIMARY KEY (b, a));
INSERT INTO pairs SELECT 'a' || i % 9, i // 9, [i] FROM range(300) AS r(i);
INSERT INTO kinds (id) VALUES (1000);
"""
DUCKDB = r"""
import duckdb, glob, sys
con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ("avro", "iceberg"):
    module = __import__(f"duckdb_extension_{name}")
    (file,) = glob.glob(module.__path__[0] + "/**/*.duckdb_extension", recursive=True)
    con.execute(f"LOAD '{file}'")
metadata, *rest = sys.argv[1:]
for snapshot, target in zip(rest[::2], rest[1::2]):
    con.execute(f"COPY (FROM iceberg_scan('{metadata}', snapshot_from_id := {snapshot})) TO '{target}' (FORMAT parquet)")
print(duckdb.__version__)
"""
SAIL = r"""
import pyarrow.parquet, sys
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
spark.conf.set("spark.sql.session.timeZone", "UTC")
for location, branch, columns, target in zip(*[iter(sys.argv[1:])] * 4):
    frame = spark.read.format("iceberg").option("branch", branch).load(location).select(*columns.split(","))
    pyarrow.parquet.write_table(frame.toArrow(), target)
"""


def made(make_repo: MakeRepo, folder: Path, readers: str = "") -> tuple[Repo, Path]:
    """A repository with values of all types in base files and in deltas on two branches, and its Iceberg tables."""
    repo = make_repo(init=False)
    repo("SET TimeZone = 'America/New_York'")
    if readers:
        (repo.path.parent / ".epoch").mkdir(exist_ok=True)
        (repo.path.parent / ".epoch" / "config.toml").write_text(f'[files]\nreaders = "{readers}"\n')
    repo(SQL)
    for number in range(MOST):
        values = ", ".join(own[number % len(own)] for own in TYPES.values())
        repo(f"INSERT INTO kinds VALUES ({number}, {values})")
    # A delta is kept while it is small beside the base level.
    repo(f"INSERT INTO kinds SELECT k.* REPLACE (k.id + {2 * MOST} * n AS id) FROM kinds AS k, range(1, 20) AS r(n)")
    repo("CALL epoch_init()")
    repo("CALL epoch_branch('dev')")
    repo("UPDATE kinds SET c0 = NOT c0 WHERE id < 3; DELETE FROM kinds WHERE id = 4; DELETE FROM bag WHERE a = 2")
    repo("INSERT INTO bag VALUES (2, 'x'), (9, NULL); UPDATE pairs SET v = [NULL] WHERE b % 10 = 3")
    repo.commit()
    repo("CALL epoch_checkout('dev'); UPDATE kinds SET c0 = NULL WHERE id = 5; DELETE FROM pairs WHERE a = 'a1'")
    repo.commit()
    repo("CALL epoch_export_iceberg(['main', 'dev'], ?)", str(folder / "lake"))
    return repo, folder / "lake"


def truth(repo: Repo, ref: str, name: str, where: str = "true", names: list[str] | None = None) -> str:
    """What a reader is to give: each value in the form that Iceberg has it in."""
    described = repo(f"DESCRIBE FROM epoch_at('{ref}', '{name}')")
    cells = [
        f'{held_value(encode(column_of(column), kind), Column(column, kind, 1))} AS "{column}"'
        for column, kind, *_ in described
        if names is None or column in names
    ]
    return f"SELECT {', '.join(cells)} FROM epoch_at('{ref}', '{name}') WHERE {where}"


def of_structs(kind: str) -> bool:
    """Whether a type has lists or maps of structs."""
    held = parse_type(str(fields_of(Definition(ObjectName("main", "t"), (Column("c", kind, 1),)))[0].held.text))
    return any(
        part.name in ("LIST", "MAP") and any(inner.type.name == "STRUCT" for inner in part.fields)
        for part in held.parts()
    )


def snapshot(found: Table, ref: str) -> int:
    return found.metadata.refs[ref].snapshot_id


@pytest.mark.slow
def test_pyiceberg_and_duckdb(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo, lake = made(make_repo, tmp_path)
    in_pyiceberg(repo, lake)
    in_duckdb(repo, lake, tmp_path)


def in_pyiceberg(repo: Repo, lake: Path) -> None:
    kinds = {row[0]: row[1] for row in repo("DESCRIBE kinds")}
    nulls = [name for name, kind in kinds.items() if of_structs(kind)]
    for ref in ("main", "dev"):
        for name in ("kinds", "bag", "pairs"):
            found = table(lake, name)
            rows = found.scan(snapshot_id=snapshot(found, ref)).to_arrow()
            if name == "kinds":
                assert len(rows) == repo.one(f"SELECT count(*) FROM epoch_at('{ref}', 'kinds')")
                held = [column for column in rows.column_names if column not in nulls]
                assert differences(repo, rows.select(held), truth(repo, ref, name, names=held)) == []
                for column in nulls if ref == "main" else ():
                    there = f"{column} IS NOT NULL AND CAST({column} AS VARCHAR) NOT LIKE '%NULL%'"
                    ids = [i for (i,) in repo(f"SELECT id FROM epoch_at('{ref}', 'kinds') WHERE {there}")]
                    own = rows.select(["id", column]).filter(pyarrow.compute.field("id").isin(ids))
                    assert differences(repo, own, truth(repo, ref, name, there, ["id", column])) == [], column
            else:
                assert differences(repo, rows, truth(repo, ref, name)) == []
    # The text of a number or a time is the number or the time.
    found = table(lake, "kinds").scan().to_arrow()
    repo.con.register("found", found)
    for name, kind in COLUMNS.items():
        if kind in WRITTEN_AS:
            back = f"(SELECT id, CAST({name} AS {kind}) FROM found) EXCEPT ALL (SELECT id, {name} FROM epoch_at('main', 'kinds'))"
            assert repo(back) == [], kind


def in_duckdb(repo: Repo, lake: Path, tmp_path: Path) -> None:
    for found in tables(lake):
        name = found.name()[-1]
        files = {ref: tmp_path / f"{name}-{ref}.parquet" for ref in ("main", "dev")}
        asked = [str(part) for ref, file in files.items() for part in (snapshot(found, ref), file)]
        assert python("duckdb-iceberg", "-c", DUCKDB, found.metadata_location, *asked).startswith("1.5")
        for ref, file in files.items():
            assert differences(repo, pyarrow.parquet.read_table(file), truth(repo, ref, name)) == [], (ref, name)


@pytest.mark.slow
def test_sail(make_repo: MakeRepo, tmp_path: Path) -> None:
    """Sail takes files that are written for Spark: it cannot pass over rows in the encodings of Parquet 2."""
    repo, lake = made(make_repo, tmp_path, "spark")
    asked, expected = [], {}
    for found in tables(lake):
        name = found.name()[-1]
        names = [row[0] for row in repo(f"DESCRIBE FROM epoch_at('main', '{name}')")]
        for ref in ("main", "dev"):
            file = tmp_path / f"{name}-{ref}.parquet"
            asked += [found.metadata.location, ref, ",".join(names), str(file)]
            expected[file] = truth(repo, ref, name, names=names)
    # pyspark looks for a Spark of its own where there is no file of the program.
    program = tmp_path / "read.py"
    program.write_text(SAIL)
    python("sail", str(program), *asked)
    for file, rows in expected.items():
        assert differences(repo, pyarrow.parquet.read_table(file), rows) == [], file


def test_the_page_names_every_type() -> None:
    """The table of types in docs/how-to/iceberg.md is what the code does."""
    lines = re.findall(r"^\| ([A-Z].*?) \| (.*?) \|(.*?)\|$", PAGE.read_text().partition("## Types")[2], re.MULTILINE)
    told = {
        kind.strip(): (type.partition(" of ")[0].partition(" (")[0].partition(";")[0], bool(again.strip()))
        for kinds, type, again in lines
        for kind in re.sub(r"\(.*?\)", "", kinds).split(",")
        if kind.strip() != "DuckDB"
    }
    samples = {name: name for name in told} | {
        "DECIMAL": "DECIMAL(9,2)",
        "ENUM": "ENUM('a')",
        "LIST": "INTEGER[]",
        "ARRAY": "INTEGER[2]",
        "STRUCT": "STRUCT(a INTEGER)",
        "TUPLE": "TUPLE(INTEGER, VARCHAR)",
        "MAP": "MAP(INTEGER, VARCHAR)",
        "UNION": "UNION(a INTEGER)",
    }
    assert {*NAMES, *WRITTEN_AS} <= told.keys()
    assert {parse_type(kind).name for kind in TYPES} <= told.keys()
    for name, kind in samples.items():
        if name == "GEOMETRY" and duckdb.__version__ < "1.5":
            continue
        (field,) = fields_of(Definition(ObjectName("main", "t"), (Column("c", kind, 1),)))
        type = field.type if isinstance(field.type, str) else field.type["type"]
        assert told[name] == (type.partition("(")[0], not field.as_stored), name
