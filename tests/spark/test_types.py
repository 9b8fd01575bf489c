"""Values of every type are those of DuckDB, column by column: over a base, over deltas, and in a difference.

Each type is a column of one table, with its hard values and NULL in the rows, and of a bag.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from epoch_sql.render import column, literal
from epoch_sql.storage.types import DataType, parse_type
from tests.conftest import Repo
from tests.spark.conftest import Engine
from tests.support.values import TYPES

pytestmark = pytest.mark.slow

MOST = 10**38
"""Spark's DECIMAL has 38 digits. Numbers with more are refused by another test."""
ENDS = {"infinity": 2**63 - 1, "-infinity": 1 - 2**63}
NANOSECONDS = ("TIMESTAMP_NS", "TIMESTAMPTZ_NS")
MORE = {
    "DATE": ["'1500-02-28'", "'1582-10-10'", "'0001-01-01'", "'9999-12-31'"],
    "TIMESTAMP": ["'1500-03-01 00:00:01'", "'1890-01-01 12:00:00.000001'"],
    "TIMESTAMP WITH TIME ZONE": ["'1500-03-01 00:00:01+00'"],
    "DOUBLE": ["1e300", "1.5"],
    "HUGEINT": ["99999999999999999999999999999999999999", "'-99999999999999999999999999999999999999'"],
    "UHUGEINT": ["99999999999999999999999999999999999999"],
    "TIME": ["'12:30:00.5'", "'01:02:03.000100'"],
    "DATE[]": ["['1500-01-01', NULL]"],
    "STRUCT(d DATE, f DOUBLE, t TIME)[]": [
        "[{d: '1500-01-01', f: 'nan', t: '10:00:00'}, {d: NULL, f: '-0.0', t: NULL}, NULL]"
    ],
    "MAP(VARCHAR, DOUBLE)": ["MAP {'a': 'nan', 'b': '-0.0', 'c': NULL}"],
    "UUID[]": ["['00000000-0000-0000-0000-00000000000f', NULL]"],
    "MAP(UUID, TIME)": ["MAP {'00000000-0000-0000-0000-00000000000f': '10:00:00.25'}"],
}


def fits(repo: Repo, type: str, value: str) -> bool:
    """Whether Spark has the value: a number of at most 38 digits."""
    if "HUGEINT" not in type:
        return True
    text = repo.one(f"SELECT CAST(CAST({value} AS {type}) AS VARCHAR)")
    return not any(len(digits) > 38 for digits in "".join(c if c.isdigit() else " " for c in text).split())


def told(value: str, type: DataType) -> str:
    """The SQL of the text that a value has after Spark: of a number for a time of nanoseconds, of parts for an INTERVAL."""
    if type.name in NANOSECONDS:
        ends = " ".join(f"WHEN {value} = '{end}' THEN {number}" for end, number in ENDS.items())
        return f"CASE {ends} ELSE epoch_ns({value}) END"
    if (
        type.name in ("UUID", "TIME", "TIME_NS", "TIME WITH TIME ZONE", "ENUM", "BIT", "BIGNUM", "JSON")
        and not type.fields
    ):
        return f"CAST({value} AS VARCHAR)"
    if type.name == "INTERVAL":
        micros = f"hour({value}) * 3600000000 + minute({value}) * 60000000 + microsecond({value})"
        parts = f"{{months: year({value}) * 12 + month({value}), days: day({value}), micros: {micros}}}"
        return f"CASE WHEN {value} IS NOT NULL THEN {parts} END"
    if type.name == "GEOMETRY":
        return f"CAST(ST_AsWKB({value}) AS BLOB)"
    if type.name == "STRUCT" and not type.fields:
        return f"CASE WHEN {value} IS NOT NULL THEN true END"
    if type.name == "HUGEINT" or type.name == "UHUGEINT":
        return f"CAST({value} AS DECIMAL(38,0))"
    if type.name in ("TIMESTAMP_S", "TIMESTAMP_MS"):
        return f"CAST({value} AS TIMESTAMP)"
    return nested(value, type) if type.fields else value


def nested(value: str, type: DataType) -> str:
    if type.name in ("LIST", "ARRAY"):
        p = f"p{type.height}"
        return (
            f"list_transform(CAST({value} AS {type.fields[0].type.text}[]), lambda {p}: {told(p, type.fields[0].type)})"
        )
    if type.name == "MAP":
        parts = []
        for field, of in zip(type.fields, ("map_keys", "map_values"), strict=True):
            p = f"p{type.height}"
            parts.append(f"list_transform({of}({value}), lambda {p}: {told(p, field.type)})")
        return f"CASE WHEN {value} IS NOT NULL THEN map({', '.join(parts)}) END"
    get = {"UNION": "union_extract({}, {})", "TUPLE": "struct_extract_at({}, {})"}.get(
        type.name, "struct_extract({}, {})"
    )
    fields = [
        f"{column(f.name)} := {told(get.format(value, n if type.name == 'TUPLE' else literal(f.name)), f.type)}"
        for n, f in enumerate(type.fields, 1)
    ]
    packed = f"struct_pack({', '.join(fields)})"
    if type.name == "UNION":
        packed = f'struct_pack(tag := CAST(union_tag({value}) AS VARCHAR), "value" := {packed})'
    return f"CASE WHEN {value} IS NOT NULL THEN {packed} END"


@dataclass
class Types:
    """A repository, its store, and the columns of each of its tables."""

    repo: Repo
    store: str
    tables: dict[str, dict[str, DataType]]

    def expected(self, query: str, table: str, prefixes: tuple[str, ...] = ("",)) -> tuple[list[str], list[list[Any]]]:
        """The columns that an engine reads, and their texts in DuckDB."""
        columns = self.tables[table]
        found = [(prefix + name, type) for name, type in columns.items() for prefix in prefixes]
        outputs = [f"CAST({told(column(name), type)} AS VARCHAR)" for name, type in found]
        rows = self.repo(f"SELECT {', '.join(outputs)} FROM ({query})")
        return [name for name, _ in found], sorted(map(list, rows), key=repr)


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Types]:
    folder = tmp_path_factory.mktemp("types")
    repo = Repo(folder / "types.duckdb")
    repo("SET TimeZone = 'UTC'")
    repo("CALL epoch_init(); CALL epoch_remote_add('origin', ?, readers := 'spark')", str(folder / "store"))
    known = dict.fromkeys([*TYPES, *MORE])
    values = {t: [v for v in (*TYPES.get(t, ()), *MORE.get(t, ())) if fits(repo, t, v)] for t in known}
    nanoseconds = {t: found for t, found in values.items() if "_NS" in t and t != "TIME_NS"}
    others = {t: found for t, found in values.items() if t not in nanoseconds}
    tables = {"wide": create(repo, "wide", others), "nanos": create(repo, "nanos", nanoseconds)}
    apart = {n: t for n, t in tables["wide"].items() if all(part.name != "MAP" for part in t.parts())}
    repo(f"CREATE TABLE bag AS SELECT {', '.join(apart)} FROM wide, range(2)")
    repo("CREATE TABLE maps AS SELECT MAP {'b': i, 'a': 0.0::DOUBLE} AS m FROM wide")
    repo.commit("values")
    repo("CALL epoch_branch('before')")
    for step in (1, 3):
        for name, columns in tables.items():
            shifted = ", ".join(f"{n} = other.{n}" for n in columns)
            condition = f"other.i = (t.i + {step}) % (SELECT count(*) FROM {name})"
            repo(f"UPDATE {name} AS t SET {shifted} FROM {name} AS other WHERE t.i % 3 = {step % 3} AND {condition}")
            repo(f"DELETE FROM {name} WHERE i = {step}")
        repo(f"DELETE FROM bag WHERE v0 IS NULL AND {step} = 1")
        repo(f"INSERT INTO bag SELECT {', '.join(apart)} FROM wide WHERE i % 5 = 0")
        repo(f"INSERT INTO maps SELECT MAP {{'b': i, 'a': {step}.0::DOUBLE}} FROM wide WHERE i < 1")
        repo.commit(f"step {step}")
    for branch in ("main", "before"):
        repo("SELECT * FROM epoch_push('origin', ?)", branch)
    yield Types(repo, str(folder / "store"), {**tables, "bag": apart})
    repo.close()


def create(repo: Repo, table: str, values: dict[str, list[str]]) -> dict[str, DataType]:
    """A table with a column for each type, which has its values and NULL. Gives its columns."""
    columns = {f"v{n}": parse_type(type) for n, type in enumerate(values)}
    repo(f"CREATE TABLE {table} (i INTEGER PRIMARY KEY, {', '.join(f'{n} {t.text}' for n, t in columns.items())})")
    for i in range(max(map(len, values.values())) + 1):
        row = [f"CAST({[*found, 'NULL'][i % (len(found) + 1)]} AS {type})" for type, found in values.items()]
        repo(f"INSERT INTO {table} VALUES ({i}, {', '.join(row)})")
    return columns


def skips(engine: Engine, table: str) -> bool:
    """Whether the engine has no such times: Sail 0.7 refuses those of nanoseconds, by the name of the column."""
    return engine.name == "sail" and table == "nanos"


@pytest.mark.parametrize("name", ["wide", "bag", "nanos"])
def test_rows_are_those_of_duckdb(types: Types, engine: Engine, name: str) -> None:
    if skips(engine, name):
        assert "`v0`" in engine("refused", "table", types.store, "main", name, [])[1]
        return
    columns, rows = types.expected(f"FROM epoch_at('main', '{name}')", name)
    _, found = engine("table", types.store, "main", name, columns)
    same(columns, found, rows)


@pytest.mark.parametrize("name", ["wide", "bag", "nanos"])
def test_differences_are_those_of_duckdb(types: Types, engine: Engine, name: str) -> None:
    """Where there is no key, -0.0 and 0.0 are one row, and either may stand for it."""
    refs = ("main", "before") if name == "wide" else ("before", "main")
    if skips(engine, name):
        assert "`" in engine("refused", "diff", types.store, *refs, name, [])[1]
        return
    query = f"FROM epoch_diff('{refs[0]}', '{refs[1]}', table_name := '{name}')"
    columns, rows = types.expected(query, name, ("from_", "to_"))
    _, found = engine("diff", types.store, *refs, name, columns)
    if name == "bag":
        found, rows = (json.loads(json.dumps(given).replace("-0.0", "0.0")) for given in (found, rows))
    same(columns, found, rows)


def test_maps_without_a_key_are_not_guessed(types: Types, engine: Engine) -> None:
    """Spark sorts the entries of maps that it groups by, so that it takes different rows for one."""
    kind, message, *_ = engine("refused", "diff", types.store, "before", "main", "maps", [])
    said = "rows of table maps differ by column m, whose maps Spark takes for equal in any order"
    assert (kind, message) == ("UnsupportedType", said)


def same(columns: list[str], found: list[list[Any]], rows: list[list[Any]]) -> None:
    """Column by column, so that a failure names the column."""
    assert len(found) == len(rows)
    for n, name in enumerate(columns):
        assert sorted(repr(row[n]) for row in found) == sorted(repr(row[n]) for row in rows), name
    assert sorted(found, key=repr) == sorted(rows, key=repr)
