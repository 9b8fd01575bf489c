"""Storage values: native -> encode -> Parquet -> decode gives the same value, and different values stay different."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from epoch_sql.errors import EpochTableError, UnsupportedType
from epoch_sql.render import Sql, column, identifier, literal
from epoch_sql.storage.encoding import check_supported, decode, encode, storage_type
from epoch_sql.storage.types import parse_type
from tests.support.values import EQUAL, SCALARS, TYPES, available

pytestmark = pytest.mark.core

Connection = duckdb.DuckDBPyConnection
V = column("v")

DIFFERENT = [
    ("INTERVAL", "'30 days'", "'1 month'"),
    ("INTERVAL", "'24 hours'", "'1 day'"),
    ("STRUCT(a INTERVAL)[]", "[{a: '30 days'::INTERVAL}]", "[{a: '1 month'::INTERVAL}]"),
    ("MAP(INTEGER, INTERVAL)", "MAP {1: '30 days'::INTERVAL}", "MAP {1: '1 month'::INTERVAL}"),
    ("TIME WITH TIME ZONE", "'12:00:00+00'", "'13:00:00+01'"),
    ("TIME WITH TIME ZONE", "'00:00:00+15:59:59'", "'00:00:00+15:59:58'"),
    ("UNION(a INTEGER, b INTEGER)", "union_value(a := 1)", "union_value(b := 1)"),
    ("UNION(a INTEGER, b INTEGER)", "union_value(a := NULL::INTEGER)", "union_value(b := NULL::INTEGER)"),
    ("UNION(a INTEGER, b INTEGER)", "union_value(a := NULL::INTEGER)", "NULL"),
    ("STRUCT(a HUGEINT)", "{a: NULL}", "NULL"),
    ("INTERVAL[]", "[]", "NULL"),
    ("MAP(INTEGER, INTERVAL)", "MAP {}", "NULL"),
    ("VARCHAR", "'a'", "'A'"),
    ("VARCHAR", "chr(233)", "'e' || chr(769)"),
    ("VARCHAR", "'a'", "'a' || chr(0)"),
    ("JSON", "'[1]'", "'[1 ]'"),
    ("BIT", "'1'", "'01'"),
    ("HUGEINT", "'9007199254740993'", "'9007199254740992'"),
    ("TIMESTAMP_NS", "'2020-01-01 00:00:00.000000001'", "'2020-01-01 00:00:00.000000002'"),
]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with duckdb.connect() as opened:
        yield opened


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoding") / "values.parquet"


def create(connection: Connection, type: str, values: list[str]) -> None:
    connection.execute(f"CREATE OR REPLACE TABLE native(i INTEGER, v {type})")
    rows = ", ".join(f"({number}, CAST({value} AS {type}))" for number, value in enumerate([*values, "NULL"]))
    connection.execute(f"INSERT INTO native VALUES {rows}")


def pages(type: str) -> str:
    """The COPY option that keeps the sign of -0.0: dictionaries of DuckDB 1.4 and 1.5 take it for 0.0."""
    floats = any(leaf.name in ("FLOAT", "DOUBLE") for leaf in parse_type(type).leaves())
    return ", DICTIONARY_SIZE_LIMIT 0" if floats and duckdb.__version__.startswith("1.") else ""


def repeat(connection: Connection) -> None:
    """Make native larger than one vector, and repetitive enough for dictionaries in Parquet."""
    connection.execute("INSERT INTO native SELECT i + 100 * copy, v FROM native, range(1, 600) AS copies(copy)")


def assert_survives(connection: Connection, parquet: Path, type: str) -> None:
    """Everything in native.v comes back from Parquet as it was, and reads as its storage type."""
    file = literal(str(parquet))
    connection.execute(f"COPY (SELECT i, {encode(V, type)} AS v FROM native) TO {file} (FORMAT parquet{pages(type)})")
    read = connection.execute(f"DESCRIBE SELECT v FROM read_parquet({file})").fetchall()[0][1]
    assert read == connection.execute(f"SELECT typeof(CAST(NULL AS {storage_type(type)}))").fetchall()[0][0]
    connection.execute(
        f"CREATE OR REPLACE TABLE restored AS SELECT i, {decode(V, type)} AS v FROM read_parquet({file})"
    )
    types = connection.execute(
        "SELECT data_type FROM duckdb_columns() WHERE table_name IN ('native', 'restored') AND column_name = 'v'"
    )
    assert types.fetchall() == [(type,), (type,)]
    changed = connection.execute(
        f"""
        SELECT native.v::VARCHAR, restored.v::VARCHAR
        FROM native FULL JOIN restored USING (i) LEFT JOIN read_parquet({file}) AS stored USING (i)
        WHERE native.v IS DISTINCT FROM restored.v OR native.v::VARCHAR IS DISTINCT FROM restored.v::VARCHAR
            OR (native.v IS NULL) <> (stored.v IS NULL)
            OR {encode(column("v", "native"), type)} IS DISTINCT FROM stored.v
            OR {encode(column("v", "restored"), type)} IS DISTINCT FROM stored.v
            OR hash({encode(column("v", "native"), type)}) <> hash(stored.v)
        """
    )
    assert changed.fetchall() == []


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("type", TYPES)
def test_hard_values_survive_parquet(connection: Connection, parquet: Path, type: str) -> None:
    create(connection, type, TYPES[type])
    assert_survives(connection, parquet, type)
    repeat(connection)
    assert_survives(connection, parquet, type)


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("type", [type for type in SCALARS if type in TYPES])
def test_hard_values_survive_inside_other_types(connection: Connection, parquet: Path, type: str) -> None:
    inside = f'STRUCT("a b" {type}[], u UNION(x {type}, y VARCHAR), m MAP(INTEGER, {type}[1]))'
    values = [
        f'struct_pack("a b" := [{v}, NULL], u := union_value(x := {v}), m := MAP {{1: [{v}], 2: NULL}})'
        for v in (f"({value})::{type}" for value in SCALARS[type])
    ]
    create(connection, inside, values)
    assert_survives(connection, parquet, inside)


def test_every_type_that_duckdb_lists_survives(connection: Connection, parquet: Path) -> None:
    columns = connection.execute("DESCRIBE SELECT * FROM test_all_types()").fetchall()
    assert len(columns) > 40
    for name, type, *_ in columns:
        connection.execute(
            f"CREATE OR REPLACE TABLE native AS SELECT row_number() OVER () AS i, {identifier(name)} AS v"
            " FROM test_all_types()"
        )
        assert_survives(connection, parquet, type)


def test_every_offset_of_time_with_time_zone_survives(connection: Connection, parquet: Path) -> None:
    type = "TIME WITH TIME ZONE"
    connection.execute(
        """
        CREATE OR REPLACE TABLE native AS
        SELECT o AS i, CAST(format('23:59:59.999999{}{:02d}:{:02d}:{:02d}', CASE WHEN o < 0 THEN '-' ELSE '+' END,
            abs(o) // 3600, abs(o) // 60 % 60, abs(o) % 60) AS TIME WITH TIME ZONE) AS v
        FROM range(-57599, 57600) AS offsets(o)
        """
    )
    assert_survives(connection, parquet, type)
    kept = connection.execute(
        "SELECT count(*) FROM restored WHERE date_part('timezone', v) = i AND v::TIME = '23:59:59.999999'"
    )
    assert kept.fetchall() == [(115_199,)]


def test_negative_zero_keeps_its_sign(connection: Connection, parquet: Path) -> None:
    for type in ("FLOAT", "DOUBLE"):
        create(connection, type, ["'-0.0'", "'0.0'"])
        assert_survives(connection, parquet, type)
        signs = connection.execute("SELECT signbit(v) FROM restored ORDER BY i").fetchall()
        assert signs == [(True,), (False,), (None,)]


@pytest.mark.parametrize(("type", "left", "right"), DIFFERENT)
def test_different_values_are_stored_as_different_values(
    connection: Connection, type: str, left: str, right: str
) -> None:
    assert not stored_alike(connection, type, left, right)


@pytest.mark.parametrize(("type", "left", "right"), EQUAL)
def test_values_that_count_as_equal(connection: Connection, type: str, left: str, right: str) -> None:
    assert stored_alike(connection, type, left, right)


def stored_alike(connection: Connection, type: str, left: str, right: str) -> bool:
    """Whether IS NOT DISTINCT FROM, DISTINCT and create_sort_key agree that two values are stored as one.

    hash() may say so of different values: it is the same for NULL, [], MAP {} and {a: NULL}.
    """
    create(connection, type, [left, right])
    equal, distinct, keys, hashes = connection.execute(
        f"""
        WITH stored AS (SELECT i, {encode(V, type)} AS v FROM native WHERE i < 2)
        SELECT (SELECT v FROM stored WHERE i = 0) IS NOT DISTINCT FROM (SELECT v FROM stored WHERE i = 1),
            (SELECT count(*) FROM (SELECT DISTINCT v FROM stored)),
            (SELECT count(DISTINCT create_sort_key(v, 'ASC NULLS LAST')) FROM stored),
            (SELECT count(DISTINCT hash(v)) FROM stored)
        """
    ).fetchall()[0]
    assert (distinct, keys) == ((1, 1) if equal else (2, 2))
    assert hashes == 1 or not equal
    return bool(equal)


COLLATED = {
    "VARCHAR": "a",
    "STRUCT(x VARCHAR)": "{x: a}",
    "VARCHAR[]": "[a]",
    "STRUCT(x VARCHAR[])[]": "[{x: [a]}]",
    "VARCHAR[1]": "[a]::VARCHAR[1]",
    "MAP(VARCHAR, VARCHAR)": "MAP([a], [a])",
    "UNION(k VARCHAR)": "union_value(k := a)",
    "STRUCT(x VARCHAR, i INTERVAL)": "{x: a, i: '1 month'::INTERVAL}",
    "STRUCT(x VARCHAR, e ENUM('e'))[]": "[{x: a, e: 'e'::ENUM('e')}]",
}


@pytest.mark.parametrize("type", COLLATED)
def test_strings_compare_by_their_bytes_in_collated_columns(connection: Connection, parquet: Path, type: str) -> None:
    connection.execute("CREATE OR REPLACE TABLE collated(i INTEGER, a VARCHAR COLLATE NOCASE)")
    connection.execute("INSERT INTO collated VALUES (0, 'a'), (1, 'A')")
    connection.execute(f"CREATE OR REPLACE TABLE native AS SELECT i, {COLLATED[type]} AS v FROM collated")
    assert_survives(connection, parquet, type)
    found = connection.execute(
        f"""
        WITH working AS (SELECT i, {encode(V, type)} AS v FROM native)
        SELECT (SELECT count(*) FROM (SELECT DISTINCT v FROM working)),
            (SELECT count(*) FROM working JOIN read_parquet({literal(str(parquet))}) AS stored
                ON working.v IS NOT DISTINCT FROM stored.v),
            (SELECT count(*) FROM working AS x JOIN working AS y ON x.v = y.v),
            (SELECT count(*) FROM (SELECT create_sort_key(v, 'ASC NULLS LAST') FROM working GROUP BY ALL))
        """
    )
    assert found.fetchall() == [(2, 2, 2, 2)]


@pytest.mark.parametrize("type", ["HUGEINT", "UHUGEINT"])
def test_storage_values_of_large_integers_sort_as_numbers(connection: Connection, type: str) -> None:
    create(connection, type, SCALARS[type])
    by_value = connection.execute("SELECT i FROM native ORDER BY v").fetchall()
    assert connection.execute(f"SELECT i FROM native ORDER BY {encode(V, type)}").fetchall() == by_value


@pytest.mark.parametrize("system", ["EPSG:4326", "ESRI:102100"])
def test_coordinate_systems_that_a_cast_does_not_know(connection: Connection, parquet: Path, system: str) -> None:
    type = f"GEOMETRY('{system}')"
    if not available("GEOMETRY"):
        with pytest.raises(UnsupportedType):
            check_supported(type)
        return
    connection.execute(
        f"CREATE OR REPLACE TABLE native AS SELECT 0 AS i, ST_SetCRS('POINT(0 1)'::GEOMETRY, '{system}') AS v"
    )
    assert_survives(connection, parquet, type)


REFUSED = [
    ("VARIANT", "VARIANT"),
    ("STRUCT(a INTEGER, b VARIANT[])", "VARIANT"),
    ("MAP(VARCHAR, UNION(a INTEGER, b INET))[3]", "INET"),
    ('"NULL"', '"NULL"'),
    ("TUPLE", "TUPLE"),
    ("ENUM()", "ENUM()"),
    ("AGGREGATE_STATE<sum(INTEGER)::HUGEINT>", "AGGREGATE_STATE<sum(INTEGER)::HUGEINT>"),
    ("STRUCT(INTEGER, VARCHAR)", "STRUCT(INTEGER, VARCHAR)"),
    ("MAP(INTEGER, INTEGER, INTEGER)", "MAP(INTEGER, INTEGER, INTEGER)"),
    ("INTEGER[", "INTEGER["),
    ("INTEGER]", "INTEGER]"),
    ("INTEGER; DROP TABLE t", "INTEGER; DROP TABLE t"),
    ("ENUM('a", "ENUM('a"),
    ("", ""),
    *([] if available("GEOMETRY") else [("GEOMETRY", "GEOMETRY")]),
]


@pytest.mark.parametrize(("type", "part"), REFUSED)
def test_what_cannot_be_stored_exactly_is_refused_by_name(type: str, part: str) -> None:
    for refused in (
        check_supported,
        storage_type,
        lambda text: encode(V, text),
        lambda text: decode(V, text),
    ):
        with pytest.raises(UnsupportedType) as caught:
            refused(type)
        assert isinstance(caught.value, EpochTableError)
        assert (caught.value.type, caught.value.part) == (type, part)
        assert part in caught.value.message and type in caught.value.message
        assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "type", ["INTEGER", "DECIMAL(18,3)", "JSON", "TIMESTAMP WITH TIME ZONE", "STRUCT(a INTEGER[])[]"]
)
def test_types_that_parquet_carries_are_left_alone(type: str) -> None:
    assert storage_type(type) == type
    assert encode(V, type) == decode(V, type) == '"v"'


def test_any_expression_can_be_encoded(connection: Connection) -> None:
    assert connection.execute(f"SELECT {encode(Sql('1 = 2 OR true'), 'BOOLEAN')}").fetchall() == [(True,)]
    both = decode(encode(Sql("1::HUGEINT + 2"), "HUGEINT"), "HUGEINT")
    assert connection.execute(f"SELECT {both}, typeof({both})").fetchall() == [(3, "HUGEINT")]


def test_type_text_is_read_with_every_quote() -> None:
    parsed = parse_type("""MAP(ENUM('it''s', 'a, b', 'p)'), STRUCT("a ""b"".c" DECIMAL(18,3)[2][], x INTEGER))""")
    assert parsed.fields[0].type.arguments == ("it's", "a, b", "p)")
    (name, decimals), (_, integer) = ((field.name, field.type) for field in parsed.fields[1].type.fields)
    assert name == 'a "b".c'
    assert [decimals.name, decimals.fields[0].type.name, decimals.fields[0].type.arguments] == ["LIST", "ARRAY", ("2",)]
    assert [leaf.text for leaf in decimals.leaves()] == ["DECIMAL(18,3)"]
    assert integer.text == "INTEGER"


KEYS = {
    "INTEGER": ["1", "2"],
    "HUGEINT": ["-1", "7"],
    "ENUM('k', 'l')": ["'k'", "'l'"],
    "INTERVAL": ["'1 day'", "'1 month'"],
}
NAMES = ("a", "B b", "select", "part1", "it's", '"')
Typed = tuple[str, st.SearchStrategy[str]]


def nullable(type: str, values: st.SearchStrategy[str]) -> Typed:
    """A type and its values as SQL, each of exactly the type."""
    return type, st.one_of(st.just("NULL"), values).map(lambda value: f"CAST({value} AS {type})")


def lists(item: Typed) -> Typed:
    return nullable(f"{item[0]}[]", st.lists(item[1], max_size=3).map(lambda values: f"[{', '.join(values)}]"))


def arrays(item: Typed) -> Typed:
    values = st.lists(item[1], min_size=2, max_size=2)
    return nullable(f"{item[0]}[2]", values.map(lambda values: f"[{', '.join(values)}]"))


def structs(parts: list[Typed]) -> Typed:
    names = [identifier(name) for name in NAMES]
    fields = ", ".join(f"{name} {type}" for name, (type, _) in zip(names, parts, strict=False))
    packed = st.tuples(*(values for _, values in parts)).map(
        lambda values: ", ".join(f"{name} := {value}" for name, value in zip(names, values, strict=False))
    )
    return nullable(f"STRUCT({fields})", packed.map(lambda values: f"struct_pack({values})"))


def unions(parts: list[Typed]) -> Typed:
    names = [identifier(name) for name in NAMES]
    fields = ", ".join(f"{name} {type}" for name, (type, _) in zip(names, parts, strict=False))
    members = [
        values.map(lambda value, name=name: f"union_value({name} := {value})")
        for name, (_, values) in zip(names, parts, strict=False)
    ]
    return nullable(f"UNION({fields})", st.one_of(members))


def maps(key: str, content: Typed) -> Typed:
    keys = st.lists(st.sampled_from(KEYS[key]), max_size=2, unique=True)
    entries = keys.flatmap(
        lambda keys: st.lists(content[1], min_size=len(keys), max_size=len(keys)).map(
            lambda values: (
                f"MAP([{', '.join(f'{k}::{key}' for k in keys)}]::{key}[], [{', '.join(values)}]::{content[0]}[])"
            )
        )
    )
    return nullable(f"MAP({key}, {content[0]})", entries)


LEAVES = [
    nullable(type, st.sampled_from(values))
    for type, values in SCALARS.items()
    if type in TYPES and not type.startswith("GEOMETRY('{")
]
TYPED = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(lists),
        inner.map(arrays),
        st.lists(inner, min_size=1, max_size=3).map(structs),
        st.lists(inner, min_size=1, max_size=3).map(unions),
        st.tuples(st.sampled_from(list(KEYS)), inner).map(lambda pair: maps(*pair)),
    ),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_nested_values_survive(connection: Connection, parquet: Path, data: st.DataObject) -> None:
    type, values = data.draw(TYPED)
    printed = connection.execute(f"SELECT typeof(CAST(NULL AS {type}))").fetchall()[0][0]
    create(connection, printed, data.draw(st.lists(values, min_size=1, max_size=5)))
    repeat(connection)
    assert_survives(connection, parquet, printed)
