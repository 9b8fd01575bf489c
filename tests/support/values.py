"""Values of every type that Epoch keeps, with the edges of each."""

from __future__ import annotations

import duckdb

SCALARS: dict[str, list[str]] = {
    "BOOLEAN": ["true", "false"],
    "TINYINT": ["-128", "127"],
    "UBIGINT": ["18446744073709551615", "0"],
    "BIGINT": ["'-9223372036854775808'", "9223372036854775807"],
    "HUGEINT": [
        "'-170141183460469231731687303715884105728'",
        "'-170141183460469231731687303715884105727'",
        "'170141183460469231731687303715884105727'",
        "'-18446744073709551616'",
        "'-18446744073709551617'",
        "'18446744073709551615'",
        "'18446744073709551616'",
        "-1",
        "0",
        "1",
    ],
    "UHUGEINT": ["'340282366920938463463374607431768211455'", "0", "'18446744073709551615'", "'18446744073709551616'"],
    "BIGNUM": ["'0'", "'-1'", "'-" + "9" * 300 + "'", "'" + "9" * 300 + "'"],
    "FLOAT": ["'-0.0'", "'0.0'", "'nan'", "'inf'", "'-inf'", "'1.4e-45'", "'3.4028235e38'"],
    "DOUBLE": ["'-0.0'", "'0.0'", "'nan'", "'inf'", "'-inf'", "'5e-324'", "'1.7976931348623157e308'", "0.1"],
    "DECIMAL(4,1)": ["'-999.9'", "'999.9'", "'0.1'"],
    "DECIMAL(9,4)": ["'-99999.9999'", "'99999.9999'"],
    "DECIMAL(18,6)": ["'-999999999999.999999'", "'999999999999.999999'"],
    "DECIMAL(38,0)": ["'-" + "9" * 38 + "'", "'" + "9" * 38 + "'"],
    "DECIMAL(38,38)": ["'-0." + "9" * 38 + "'", "'0." + "0" * 37 + "1'"],
    "VARCHAR": ["''", "'a'", "'A'", "'a ' || chr(0) || 'b'", "chr(0)", "'🦆'", "'e' || chr(769)", "chr(233)", "'NULL'"],
    "JSON": ["""'{"a":1}'""", """'{"a": 1}'""", "'null'", "'[]'"],
    "BLOB": ["''", r"'\x00\xFF'", "'a'"],
    "BIT": ["'0'", "'1'", "'01'", "'000000001'", "'1' || repeat('0', 70)"],
    "UUID": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "DATE": ["'infinity'", "'-infinity'", "'0044-03-15 (BC)'", "'5877642-06-25 (BC)'", "'5881580-07-10'"],
    "TIME": ["'00:00:00'", "'24:00:00'", "'23:59:59.999999'"],
    "TIME_NS": ["'00:00:00'", "'24:00:00'", "'23:59:59.999999999'", "'00:00:00.000000001'"],
    "TIME WITH TIME ZONE": [
        "'24:00:00-15:59:59'",
        "'00:00:00+15:59:59'",
        "'24:00:00+15:59:59'",
        "'12:00:00+00'",
        "'13:00:00+01'",
        "'13:00:00.000001-01:30:01'",
        "'00:00:00-00:00:01'",
    ],
    "TIMESTAMP": ["'infinity'", "'-infinity'", "'290309-12-22 (BC) 00:00:00'", "'294247-01-10 04:00:54.775806'"],
    "TIMESTAMP_S": ["'infinity'", "'-infinity'", "'290309-12-22 (BC) 00:00:00'", "'1969-12-31 23:59:59'"],
    "TIMESTAMP_MS": ["'infinity'", "'-infinity'", "'290309-12-22 (BC) 00:00:00'", "'1969-12-31 23:59:59.999'"],
    "TIMESTAMP_NS": [
        "'infinity'",
        "'-infinity'",
        "'1677-09-22 00:00:00'",
        "'2262-04-11 23:47:16.854775806'",
        "'1969-12-31 23:59:59.999999999'",
    ],
    "TIMESTAMP WITH TIME ZONE": [
        "'infinity'",
        "'-infinity'",
        "'290309-12-22 (BC) 00:00:00+00'",
        "'2020-01-01 01:00:00+02'",
    ],
    "TIMESTAMPTZ_NS": ["'infinity'", "'-infinity'", "'1677-09-22 00:00:00+00'", "'2262-04-11 23:47:16.854775806+00'"],
    "INTERVAL": [
        "'30 days'",
        "'1 month'",
        "'24 hours'",
        "'1 day'",
        "'0.000001 seconds'",
        "to_microseconds(-61500001)",
        "to_months(-14) + to_days(3)",
        "to_months('-2147483648'::INTEGER) + to_days(2147483647) + to_microseconds(9223372036854775807)",
        "to_months(2147483647) + to_days('-2147483648'::INTEGER) + to_microseconds('-9223372036854775808'::BIGINT)",
    ],
    "ENUM('a', 'A', '', 'it''s', 'x, y', 'p)', '\"q\"', 'NULL')": ["'a'", "'A'", "''", "'it''s'", "'x, y'", "'p)'"],
    "GEOMETRY": [
        "'POINT(0 1)'",
        "'POINT(-0.0 1)'",
        "'POINT EMPTY'",
        "'POINT ZM (1 2 3 4)'",
        "'GEOMETRYCOLLECTION(POINT(0 1), POLYGON EMPTY)'",
    ],
    "GEOMETRY('OGC:CRS84')": ["'POINT(0 1)'"],
    """GEOMETRY('{"type":"GeographicCRS","name":"it''s, (x)","id":{"authority":"X","code":1}}')""": ["'POINT(0 1)'"],
}

HOSTILE = 'STRUCT("a b" INTEGER, "x""y.z" VARCHAR, "select" HUGEINT, "🦆" INTERVAL, part1 VARCHAR[], "it\'s" INTEGER)'
NESTED: dict[str, list[str]] = {
    "INTEGER[]": ["[]", "[NULL]", "[1, NULL, 3]"],
    "INTEGER[][]": ["[]", "[[]]", "[NULL]", "[[NULL], NULL, []]"],
    "VARCHAR[]": ["['', NULL, 'A', chr(0)]", "[]"],
    "VARCHAR[2]": ["['a', NULL]", "[NULL, NULL]"],
    "UNION(a BOOLEAN[2], b INTERVAL)": [
        "union_value(a := [true, NULL]::BOOLEAN[2])",
        "union_value(b := NULL::INTERVAL)",
    ],
    "STRUCT(a INTERVAL, b INTEGER[2])[2]": [
        "[{a: NULL, b: NULL}, {a: '1 day'::INTERVAL, b: [1, NULL]}]",
        "[NULL, NULL]",
    ],
    "INTEGER[2][3]": ["[NULL, [1, 2], [NULL, 4]]"],
    "INTEGER[][2]": ["[[], NULL]", "[[1], [NULL, 2]]"],
    "HUGEINT[2]": ["[1, NULL]", "['-170141183460469231731687303715884105728'::HUGEINT, -1]"],
    "HUGEINT[2][][2]": ["[[[1, NULL], NULL], []]", "[NULL, [[-1, -2]]]"],
    "STRUCT(a INTEGER, b VARCHAR)": ["{a: NULL, b: NULL}", "{a: 1, b: ''}"],
    "STRUCT(a STRUCT(b STRUCT(c INTERVAL)))": ["{a: NULL}", "{a: {b: NULL}}", "{a: {b: {c: NULL}}}"],
    "STRUCT(a INTERVAL, b INTEGER)[]": ["[NULL, {a: NULL, b: NULL}, {a: '1 month'::INTERVAL, b: 1}]", "[]"],
    "STRUCT(a INTEGER[2])[2]": ["[NULL, {a: NULL}]", "[{a: [1, NULL]}, {a: [NULL, 2]}]"],
    "MAP(VARCHAR, VARCHAR)": ["MAP {}", "MAP {'a': NULL, 'A': 'x'}", "MAP {'A': 'x', 'a': NULL}"],
    "MAP(VARCHAR, STRUCT(i INTERVAL)[])": ["MAP {'a': [{i: '30 days'::INTERVAL}, NULL, {i: NULL}]}", "MAP {'': NULL}"],
    "MAP(HUGEINT, INTERVAL)": ["MAP {}", "MAP {1: '1 month'::INTERVAL, -1: NULL}"],
    "MAP(ENUM('x', 'y'), BIT)": ["MAP {'x': '01'::BIT, 'y': NULL}"],
    "MAP(INTERVAL, MAP(HUGEINT, UHUGEINT)[])[]": [
        "[MAP {'30 days'::INTERVAL: [MAP {1: 2}, MAP {}, NULL]}, MAP {}, NULL]"
    ],
    "ENUM('a', 'b')[]": ["['a', NULL, 'b']", "[]"],
    "ENUM('a', 'b')[2]": ["['a', NULL]"],
    'UNION("name" VARCHAR, age SMALLINT)': [
        "union_value(\"name\" := 'x')",
        "union_value(age := 1::SMALLINT)",
        'union_value("name" := NULL::VARCHAR)',
        "union_value(age := NULL::SMALLINT)",
    ],
    'UNION("a b" INTERVAL, "x""y\'.z" HUGEINT, tag INTEGER, "value" VARCHAR[])': [
        "union_value(\"a b\" := '1 month'::INTERVAL)",
        'union_value("x""y\'.z" := -1::HUGEINT)',
        "union_value(tag := NULL::INTEGER)",
        "union_value(\"value\" := ['a', NULL])",
    ],
    "UNION(a INTEGER, b VARCHAR)[]": [
        "[union_value(a := 1)::UNION(a INTEGER, b VARCHAR), NULL, union_value(b := NULL::VARCHAR)]",
        "[]",
    ],
    "STRUCT(u UNION(a INTEGER, b UNION(c INTERVAL, d HUGEINT)))": [
        "{u: NULL}",
        "{u: union_value(b := union_value(d := NULL::HUGEINT)::UNION(c INTERVAL, d HUGEINT))}",
    ],
    HOSTILE: [
        'struct_pack("a b" := 1, "x""y.z" := \'A\', "select" := -1::HUGEINT, "🦆" := \'1 month\'::INTERVAL,'
        " part1 := ['A', NULL], \"it's\" := 2)"
    ],
    "STRUCT": ["struct_pack()"],
    "STRUCT(a STRUCT, b STRUCT[])": ["{a: struct_pack(), b: [NULL, struct_pack()]}", "{a: NULL, b: NULL}"],
    "TUPLE(INTEGER, VARCHAR)": ["row(1, 'a')", "row(NULL, NULL)"],
    "TUPLE(INTERVAL, TUPLE(HUGEINT)[])[]": [
        "[row('30 days'::INTERVAL, [row(1), row(NULL), NULL]), NULL, row(NULL, NULL)]"
    ],
    "STRUCT(t TUPLE(ENUM('a'), TIME WITH TIME ZONE))": ["{t: row('a', '10:00:00+01')}", "{t: NULL}"],
    "GEOMETRY('OGC:CRS84')[]": ["['POINT(0 1)', NULL]"],
}


EQUAL = [
    ("DOUBLE", "'-0.0'", "'0.0'"),
    ("FLOAT", "'nan'", "'-nan'"),
    ("DOUBLE[]", "['nan', '-0.0']", "['-nan', '0.0']"),
]


_DUCKDB = duckdb.connect()


def available(type: str) -> bool:
    """Whether this version of DuckDB has the type."""
    try:
        _DUCKDB.execute(f"SELECT CAST(NULL AS {type})")
    except duckdb.Error:
        return False
    return True


TYPES = {type: values for type, values in {**SCALARS, **NESTED}.items() if available(type)}
