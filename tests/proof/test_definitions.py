"""Definitions that come from elsewhere: one statement each, of its kind, that makes what its name says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from epoch_sql import render
from epoch_sql.extension.registration import inner
from epoch_sql.model.schema import Column, Constraint, Index, ObjectName, SchemaObject, Table, Trigger
from epoch_sql.proof.definitions import Definition, Parsed, Refused, called, take_apart
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.harmless import Context, illegal, offences
from epoch_sql.proof.reads import reads_by_plan
from epoch_sql.worktree.ddl import create_object, create_table
from epoch_sql.worktree.introspect import read_schema
from epoch_sql.worktree.ordering import definition_order

pytestmark = pytest.mark.core

READS_OUTSIDE = re.compile(r'"(read_\w+|glob|parquet_\w+|getenv|getvariable|current_setting|nextval)"')
COPY = "COPY (SELECT 1) TO '/tmp/canary'"

HONEST = (
    "CREATE TYPE mood AS ENUM ('a', 'b''c', 'd); --')",
    "CREATE SCHEMA s",
    'CREATE SCHEMA "a "" b"',
    'CREATE TYPE s.pt AS STRUCT(x INTEGER, "y z" mood)',
    "CREATE SEQUENCE sq",
    "CREATE SEQUENCE s.sq2 START 5 MINVALUE -3 INCREMENT 2 CYCLE",
    "CREATE MACRO add1(x) AS x + 1",
    "CREATE MACRO defaults(a, b := 5) AS a + b, (a, b, c) AS a * b * c",
    "CREATE MACRO tm(n) AS TABLE SELECT * FROM range(n) r(i)",
    "CREATE MACRO add1(x) AS TABLE SELECT 1 AS y, x AS z",
    "CREATE MACRO text() AS '); COPY (SELECT 1) TO ''x''; --'",
    """CREATE TABLE t (i INTEGER PRIMARY KEY DEFAULT nextval('sq'), v VARCHAR COLLATE nocase DEFAULT 'x''y); --', m mood,
        p s.pt, d DECIMAL(10, 2) CHECK (d > 0), g INTEGER GENERATED ALWAYS AS (add1(i)), ts TIMESTAMP DEFAULT now(),
        u UUID DEFAULT uuid(), l INTEGER[] DEFAULT [1, 2], st STRUCT(a INTEGER, b VARCHAR), mp MAP(VARCHAR, INTEGER),
        ar INTEGER[3], un UNION(a INTEGER, b VARCHAR), CHECK (length(v) < 10 AND v NOT LIKE '%;x%'))""",
    "CREATE INDEX ix ON t (lower(v), i)",
    "CREATE UNIQUE INDEX iy ON t (d)",
    'CREATE TABLE "a.b" ("x y" INTEGER)',
    "CREATE TABLE s.u (i INTEGER)",
    "CREATE VIEW v1 AS SELECT i, add1(i) AS j, row_number() OVER (PARTITION BY v ORDER BY i DESC NULLS LAST) AS n FROM t",
    'CREATE VIEW v2 (a, "b c") AS SELECT count(*), sum(i) FILTER (i > 1) FROM t GROUP BY ALL HAVING count(*) > 0 LIMIT 5',
    "CREATE VIEW v3 AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) FROM r JOIN t ON n = i",
    """CREATE VIEW v4 AS SELECT list_transform([1, 2], lambda x: x + 1) AS l1, {'a': 1} AS s1, [1, 2][1] AS e1,
        (SELECT max(i) FROM t) AS m1, EXISTS (FROM t) AS ex, i IN (SELECT i FROM s.u) AS n, CASE WHEN i = 1 THEN 'a' END AS c,
        strftime(ts, '%Y') AS y, INTERVAL 1 DAY AS iv, i::VARCHAR AS cs, coalesce(v, 'x') AS co, v || 'x' AS cc, v ~ 'a' AS re,
        extract(year FROM ts) AS ey, try_cast(v AS INTEGER) AS tc, p.x AS px, l[1:2] AS sl, v GLOB 'x*' AS gl, v ILIKE 'x' AS il,
        5 // 2 AS d1, 2 ** 3 AS po, -i AS neg, i & 1 AS ba, v IS DISTINCT FROM 'x' AS idf, '{}'->>'a' AS ja,
        '{}'::JSON->'a' AS jb, [x + 1 for x in l if x > 1] AS lc, split_part(v, 'a', 1) AS sp, if(true, 1, 2) AS iff,
        (1, 2) AS tup, ts AT TIME ZONE 'UTC' AS tz, position('a' IN v) AS pos, trim(both 'a' FROM v) AS tr,
        CAST(NULL AS STRUCT(a mood, b INTEGER[3])) AS deep FROM t""",
    "CREATE VIEW v5 AS FROM (PIVOT t ON m IN ('a', 'b''c') USING sum(i) GROUP BY v)",
    "CREATE VIEW v6 AS SELECT DISTINCT ON (v) * EXCLUDE (g) REPLACE (i + 1 AS i) FROM t QUALIFY rank() OVER (ORDER BY i) = 1",
    "CREATE VIEW v7 AS SELECT * FROM tm(3), unnest([1, 2]) u(z), generate_series(1, 2) g(h)",
    "CREATE VIEW v8 AS SELECT * FROM information_schema.tables",
    "CREATE VIEW v9 AS SELECT unnest(l) AS un1, COLUMNS('i|v') FROM t",
    "CREATE VIEW v10 AS SELECT 1 AS x UNION BY NAME SELECT 2 AS y EXCEPT SELECT 3, 4",
    "CREATE VIEW v11 AS FROM t TABLESAMPLE 10%",
    "CREATE VIEW v12 AS FROM t ASOF JOIN s.u ON t.i >= u.i",
    "CREATE VIEW v13 AS VALUES (1, 'a'), (2, ';')",
    "CREATE VIEW v14 AS SELECT grouping(v) AS gr, sum(i) AS su FROM t GROUP BY ROLLUP (v, i)",
    "CREATE VIEW v15 AS FROM t UNPIVOT (val FOR nm IN (i))",
    'CREATE VIEW v16 AS FROM "a.b", LATERAL (SELECT "x y" + 1 AS q)',
    "CREATE VIEW s.v17 AS FROM main.t SEMI JOIN s.u ON u.i = t.i",
    "CREATE VIEW v18 AS WITH q AS MATERIALIZED (FROM t) FROM q ORDER BY i LIMIT 10%",
    "CREATE VIEW v19 AS SELECT random() AS r, now() AS n, arg_max(i, v) AS am, string_agg(v, ',' ORDER BY i) AS sa FROM t",
)

FAR = (
    "CREATE VIEW far1 AS FROM duckdb_settings()",
    "CREATE VIEW far2 AS SELECT current_setting('threads') AS x",
    "CREATE VIEW far3 AS FROM glob('/etc/*')",
    "CREATE VIEW far4 AS FROM read_text('/etc/hostname')",
    "CREATE VIEW far5 AS SELECT nextval('sq') AS x",
    "CREATE VIEW far6 AS FROM query('SELECT 1 AS x')",
    "CREATE VIEW far7 AS SELECT getvariable('x') AS x",
    "CREATE VIEW far8 AS FROM query_table('t')",
    "CREATE VIEW far9 AS FROM duckdb_tables",
    "CREATE VIEW far10 AS SELECT current_query() AS x",
    "CREATE VIEW far11 AS FROM histogram(t, i)",
    "CREATE VIEW far12 AS FROM '{folder}/f.csv'",
    "CREATE VIEW far13 AS SELECT (SELECT content FROM read_text('{folder}/f.csv')) AS x",
    "CREATE VIEW far14 AS WITH a AS (FROM read_blob('{folder}/f.csv')) FROM t WHERE EXISTS (FROM a)",
    "CREATE VIEW far15 AS FROM t JOIN parquet_schema('{folder}/f.parquet') ON true",
    "CREATE VIEW far16 AS FROM sniff_csv('{folder}/f.csv')",
    "CREATE VIEW far17 AS FROM (PIVOT (FROM '{folder}/f.csv') ON a IN (1) USING count(*))",
    "CREATE VIEW far18 AS SELECT list_transform([1], lambda y: current_setting('threads')) AS x",
    "CREATE VIEW far19 AS SELECT sum(i) OVER (ORDER BY current_setting('threads')) AS x FROM t",
    "CREATE VIEW far20 AS SELECT setseed(0.1) IS NULL AS x",
    "CREATE VIEW far21 AS FROM memory2.main.elsewhere",
    "CREATE VIEW far22 AS SELECT far_scalar('/etc/hostname') AS x",
    "CREATE VIEW far23 AS FROM far_table()",
    "CREATE VIEW far24 AS SELECT far_nested() AS x",
    "CREATE TABLE far25 (i INTEGER DEFAULT (current_setting('threads')))",
    "CREATE TABLE far26 (i VARCHAR, g VARCHAR GENERATED ALWAYS AS (i || current_setting('threads')))",
    "CREATE TABLE far27 (i VARCHAR, CHECK (i <> current_setting('threads')))",
    "CREATE VIEW far29 AS FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1 AS x'))",
)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Definition]]:
    """The definitions of a database that has of everything something, honest and not."""
    folder: Path = tmp_path_factory.mktemp("definitions")
    with duckdb.connect(str(folder / "x.duckdb")) as con:
        con.execute(f"COPY (SELECT 1 AS a) TO '{folder}/f.csv'; COPY (SELECT 1 AS a) TO '{folder}/f.parquet'")
        con.execute("ATTACH ':memory:' AS memory2; CREATE TABLE memory2.elsewhere AS SELECT 1 AS x")
        for statement in HONEST:
            con.execute(statement)
        con.execute("CREATE MACRO far_scalar(f) AS (SELECT content FROM read_text(f))")
        con.execute("CREATE MACRO far_table() AS TABLE FROM duckdb_settings()")
        con.execute("CREATE MACRO far_nested() AS far_scalar('/x')")
        for statement in FAR:
            con.execute(statement.replace("{folder}", str(folder)))
        found = read_schema(con, {}, lambda name: False, frozenset())
        yield [*found.tables, *found.objects]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One engine for each test: to open it takes longer than a proof."""
    with shut_in() as opened:
        monkeypatch.setitem(ENGINES, "one", opened)
        yield


ENGINES: dict[str, duckdb.DuckDBPyConnection] = {}


def parsed_of(*definitions: Definition) -> list[Parsed]:
    return take_apart(ENGINES["one"], definitions)


def judged(*definitions: Definition) -> set[str]:
    context = Context((), lambda *name: False, frozenset({"epoch_at"}))
    return {called(definition) for definition in offences(parsed_of(*definitions), context)}


def test_what_duckdb_prints_passes_and_what_looks_out_is_told(schema: list[Definition]) -> None:
    parsed = parsed_of(*schema)
    assert [called(one.definition) for one in parsed if illegal(one)] == []
    names = {called(d): d.name.name.startswith("far") for d in schema}
    assert judged(*schema) == {name for name, is_far in names.items() if is_far}
    assert sum(names.values()) == len(FAR) + 3


def test_what_is_harmless_does_no_more_where_it_is_bound(schema: list[Definition]) -> None:
    """The engine that reaches nothing makes exactly what was declared, and the plans that it binds only read tables."""
    held = judged(*schema)
    harmless = [definition for definition in schema if called(definition) not in held]
    tables = [definition for definition in harmless if isinstance(definition, Table)]
    objects = [definition for definition in harmless if isinstance(definition, SchemaObject)]
    with shut_in() as engine:
        token = render.DATABASE.set("memory")
        try:
            for made in definition_order(tables, objects):
                for statement in create_table(made) if isinstance(made, Table) else create_object(made):
                    assert len(duckdb.extract_statements(statement)) == 1, statement
                    engine.execute(statement)
        finally:
            render.DATABASE.reset(token)
        found = read_schema(engine, {}, lambda name: False, frozenset())
        assert {called(d) for d in (*found.tables, *found.objects)} == {called(d) for d in harmless}
        relations = [f'"{d.name.schema}"."{d.name.name}"' for d in (*tables, *objects) if _is_read(d)]
        for relation in relations:
            plan = engine.execute("SELECT json_serialize_plan(?)", [f"FROM {relation}"]).fetchall()[0][0]
            assert reads_by_plan(engine, plan), relation
            assert READS_OUTSIDE.findall(plan) == [], relation
        assert len(relations) > 20
        (looking,) = engine.execute("SELECT json_serialize_plan('SELECT current_setting(''threads'')')").fetchall()
        assert READS_OUTSIDE.findall(looking[0])


def _is_read(definition: Definition) -> bool:
    return isinstance(definition, Table) or definition.kind == "view"


def table(**changes: object) -> Table:
    column = Column("v", "VARCHAR", 2, **{k: v for k, v in changes.items() if k in vars(Column("", ""))})
    rest = {k: v for k, v in changes.items() if k in ("constraints", "indexes", "comment")}
    return Table(ObjectName("main", "t"), (Column("i", "INTEGER", 1), column), **rest)


def made(kind: str, definition: str, name: str = "x") -> SchemaObject:
    return SchemaObject(kind, ObjectName("" if kind == "schema" else "main", name), definition)


EXPRESSIONS = (
    f"1); {COPY}; --",
    f"1)); {COPY}; CREATE TABLE zz (a INTEGER, CHECK (true",
    f"1; {COPY}",
    "1) + (2",
    "1, 2",
    "1 --",
    "1 /*",
    "*/ 1 /*",
    "'",
    "'x",
    "E'\\'; --'; x",
    "$$",
    '"',
    "",
    " ",
    "1 AS x",
    "1 FROM t",
    "SELECT 1",
    "DISTINCT 1",
    "1 LIMIT 1",
    "1 UNION SELECT 2",
    f"({COPY})",
    "(DELETE FROM t)",
    "1\0",
    "x: 1",
    "1 ORDER BY 1",
)
QUERIES = (
    f"SELECT 1; {COPY}",
    "SELECT 1;",
    f"SELECT 1) ; {COPY}; (SELECT 2",
    "SELECT 1 --",
    "SELECT 1 /*",
    "1",
    "",
    COPY,
    "ATTACH 'x'",
    "INSERT INTO t VALUES (1)",
    "DELETE FROM t RETURNING *",
    "CALL epoch_commit('x')",
    "SET threads = 1",
    "PRAGMA version",
    "EXECUTE p",
    "SELECT 1 UNION",
    "SELECT 1) UNION (SELECT 2",
)
TYPES = (
    f"INTEGER); {COPY}; CREATE TABLE zz (a INTEGER",
    "INTEGER) --",
    "INTEGER)::STRUCT(a INTEGER",
    "INTEGER DEFAULT 1",
    "INTEGER NOT NULL",
    "INTEGER PRIMARY KEY",
    "INTEGER, z INTEGER",
    "ENUM (SELECT 'a')",
    "ENUM('a'); DROP TABLE t; --",
    "ENUM(E'\\')",
    "VARCHAR COLLATE nocase",
    "VARCHAR USING COMPRESSION zstd",
    "INTEGER GENERATED ALWAYS AS (1)",
    "INTEGER REFERENCES t (i)",
    "INTEGER --",
    "'INTEGER'",
    "",
    ")",
)


def refused(definition: Definition) -> bool:
    try:
        (parsed,) = parsed_of(definition)
    except Refused as error:
        assert error.definition is definition and str(error)
        return True
    return illegal(parsed) is not None


def test_expressions_of_tables() -> None:
    for text in EXPRESSIONS:
        for field in ("default", "generated", "fill"):
            assert refused(table(**{field: text})), (field, text)
        assert refused(table(constraints=(Constraint("CHECK", ("v",), text),))), text
        assert refused(table(indexes=(Index("ix", False, (text,)),))), text
    for query in ("(SELECT 1)", "v IN (SELECT 1)", "EXISTS (SELECT 1)", "list_transform([1], lambda x: (SELECT x))"):
        for field in ("default", "generated", "fill"):
            assert refused(table(**{field: query})), (field, query)
        assert refused(table(constraints=(Constraint("CHECK", ("v",), query),))), query
        assert refused(table(indexes=(Index("ix", False, (query,)),))), query
    for text in ("getvariable('x')", "i + 1", "nextval('x')", "current_setting('threads')"):
        assert refused(table(fill=text)), text
    assert refused(table(default="(" * 100_000 + "1" + ")" * 100_000))
    assert not refused(table(default="1", fill="CAST('2020-01-01' AS DATE)"))


def test_other_parts_of_tables() -> None:
    for text in TYPES:
        assert refused(replace(table(), columns=(Column("v", text, 1),))), text
    for text in ("nocase; DROP", "nocase)", "nocase --", "", "no case", "a..b", "nocase.", '"x"'):
        assert refused(table(collation=text)), text
    for kind in ("CHECK (true)); DROP TABLE t; --", "check", "EXCLUDE", "PRIMARY  KEY"):
        assert refused(table(constraints=(Constraint(kind, ("v",), "true"),))), kind
    assert not refused(table(comment="'); DROP TABLE t; --"))


def test_triggers() -> None:
    def with_trigger(**changes: str) -> Table:
        trigger = Trigger("tr", "AFTER", "INSERT", "STATEMENT", "INSERT INTO log VALUES (1)")
        return replace(table(), triggers=(replace(trigger, **changes),))

    assert not refused(with_trigger())
    for body in (
        f"INSERT INTO t SELECT 1; {COPY}",
        "SELECT 1",
        COPY,
        "CALL epoch_commit('x')",
        "DROP TABLE t",
        "ATTACH 'x'",
        "",
    ):
        assert refused(with_trigger(body=body)), body
    assert not judged(with_trigger())
    for body in (
        "UPDATE t SET v = getvariable('x')",
        "INSERT INTO log FROM read_csv('x')",
        "INSERT INTO log FROM '/x/f.csv'",
        "INSERT INTO other.main.log SELECT 1",
        "MERGE INTO log USING (FROM glob('*')) AS u ON true WHEN MATCHED THEN DELETE",
    ):
        assert judged(with_trigger(body=body)), body


def test_views() -> None:
    start = 'CREATE VIEW "main"."x" '
    assert not refused(made("view", f"{start}AS SELECT 1"))
    assert not refused(made("view", f'{start}(a, "b c") AS SELECT 1, 2'))
    for text in QUERIES:
        assert refused(made("view", f"{start}AS {text}")), text
    for definition in (
        'CREATE VIEW "main"."y" AS SELECT 1',
        'CREATE VIEW "s"."x" AS SELECT 1',
        "CREATE VIEW x AS SELECT 1",
        'CREATE OR REPLACE VIEW "main"."x" AS SELECT 1',
        'CREATE TEMP VIEW "main"."x" AS SELECT 1',
        'CREATE TABLE "main"."x" AS SELECT 1',
        'CREATE MACRO "main"."x"() AS 1',
        ' CREATE VIEW "main"."x" AS SELECT 1',
        f'{COPY}; CREATE VIEW "main"."x" AS SELECT 1',
        f"{start}(a; DROP TABLE t) AS SELECT 1",
        f"{start}(a) WITH (x) AS SELECT 1",
        f"{start}(a,) AS SELECT 1",
        f"{start}() AS SELECT 1",
        f"{start}(1) AS SELECT 1",
        f"{start}SELECT 1",
        f"{start}AS",
        start,
        COPY,
        "",
    ):
        assert refused(made("view", definition)), definition


def test_macros() -> None:
    start = 'CREATE MACRO "main"."x"'
    for honest in (
        "() AS 1",
        '("a", "b" INTEGER, "c" := 5) AS a + b',
        "() AS TABLE (SELECT 1)",
        '("a") AS a, ("a", "b") AS b',
    ):
        assert not refused(made("macro", start + honest)), honest
    assert not refused(made("macro", f"{start}() AS 1;\n{start}() AS TABLE (SELECT 1)"))
    for text in EXPRESSIONS:
        if text != "1, 2":
            assert refused(made("macro", f"{start}() AS {text}")), text
        assert refused(made("macro", f'{start}("a" := {text}) AS a')), text
    for text in QUERIES:
        assert refused(made("macro", f"{start}() AS TABLE ({text})")), text
    for text in TYPES:
        if text not in ("", "INTEGER, z INTEGER"):
            assert refused(made("macro", f'{start}("a" {text}) AS a')), text
    for definition in (
        f"{start}() AS 1, {COPY}",
        f"{start}() AS 1; {COPY}",
        f"{start}() AS 1;\n{COPY}",
        f"{start}() AS 1;\n{start}() AS 2",
        f"{start}() AS 1;\n{start}() AS TABLE (SELECT 1);\n{start}() AS 3",
        f'{start}() AS 1;\nCREATE MACRO "main"."y"() AS 2',
        'CREATE OR REPLACE MACRO "main"."x"() AS 1',
        'CREATE MACRO "main"."y"() AS 1',
        'CREATE TEMP MACRO "main"."x"() AS 1',
        f"{start}() AS",
        f"{start}()",
        f"{start}(1) AS 1",
        f'{start}("a" AS 1',
        f"{start}() AS TABLE SELECT 1",
        f"{start}() AS TABLE (SELECT 1",
        "",
    ):
        assert refused(made("macro", definition)), definition


def test_types_schemas_and_sequences() -> None:
    assert not refused(made("type", "CREATE TYPE \"main\".\"x\" AS ENUM('a)', ';')"))
    for text in TYPES:
        assert refused(made("type", f'CREATE TYPE "main"."x" AS {text}')), text
    for definition in (
        COPY,
        'CREATE TYPE "main"."y" AS INTEGER',
        'CREATE OR REPLACE TYPE "main"."x" AS INTEGER',
        "",
    ):
        assert refused(made("type", definition)), definition
    assert not refused(made("schema", 'CREATE SCHEMA "x"'))
    for definition in (COPY, 'CREATE SCHEMA "y"', f'CREATE SCHEMA "x"; {COPY}', 'CREATE SCHEMA IF NOT EXISTS "x"', ""):
        assert refused(made("schema", definition)), definition
    start = 'CREATE SEQUENCE "main"."x" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9'
    assert not refused(replace(made("sequence", f"{start} NO CYCLE"), state="5"))
    for definition in (
        start,
        f"{start} CYCLE; {COPY}",
        f"{start} CYCLE START WITH 1",
        start.replace('"x"', '"y"') + " CYCLE",
        start.replace("CREATE", "CREATE OR REPLACE") + " CYCLE",
        start.replace("9", "(SELECT 9)") + " CYCLE",
        COPY,
    ):
        assert refused(made("sequence", definition)), definition
    for state in ("5; DROP", "", "x", "1.5", "5)"):
        assert refused(replace(made("sequence", f"{start} CYCLE"), state=state)), state
    for kind in ("trigger", "table", "index", "secret", ""):
        assert refused(made(kind, 'CREATE VIEW "main"."x" AS SELECT 1')), kind


def test_tables_that_refer_to_one_that_is_kept_as_data() -> None:
    far = replace(table(default="getvariable('x')"), name=ObjectName("main", "far"))
    key = Constraint("FOREIGN KEY", ("v",), referenced="FAR", referenced_columns=("v",))
    child = table(constraints=(key,))
    other = replace(child, name=ObjectName("main", "other"), constraints=(replace(key, referenced="t"),))
    assert judged(far, child, other) == {"table far", "table t", "table other"}
    assert judged(child, other) == set()


def test_sequences_that_a_default_uses() -> None:
    for name in ("sq", "main.sq", '"a.b"."c.d"'):
        assert not judged(table(default=f"nextval('{name}')")), name
    for use in ("nextval('other.main.sq')", "nextval(v)", "nextval('s' || 'q')", "setval('sq', 1)", "currval('sq')"):
        assert judged(table(default=use)), use
    assert judged(made("view", 'CREATE VIEW "main"."x" AS SELECT nextval(\'sq\')'))


def test_names_that_take_the_place_of_others() -> None:
    for name in ("lower", "count", "duckdb_tables", "hash", "epoch_commit", "epoch__commit", "epoch_new", "RANGE"):
        assert judged(made("macro", f'CREATE MACRO "main"."{name}"() AS 1', name)), name
    for name in ("VARCHAR", "uhugeint", "json"):
        assert refused(made("type", f'CREATE TYPE "main"."{name}" AS INTEGER', name)), name
    use = made("view", 'CREATE VIEW "main"."v" AS SELECT lower(\'x\')', "v")
    assert judged(use) == set()
    assert judged(use, made("macro", 'CREATE MACRO "main"."lower"(a) AS a', "lower")) == {"view v", "macro lower"}


def test_relations_that_are_not_there() -> None:
    start = 'CREATE VIEW "main"."x" AS '
    for name in ("gone", '"go ne"', "information_schema.tables"):
        assert not judged(made("view", f"{start}FROM {name}")), name
    for name in (
        "'f.csv'",
        '"f.csv"',
        "f.csv",
        "'https://x/f'",
        "'a/*'",
        "other.main.t",
        "duckdb_secrets",
        "sqlite_master",
    ):
        assert judged(made("view", f"{start}FROM {name}")), name


def test_epochs_own_readers_are_harmless_where_they_run_no_text() -> None:
    start = 'CREATE VIEW "main"."x" AS '
    assert not judged(made("view", f"{start}FROM epoch_at('tag', 't')"))
    assert judged(made("view", f"{start}FROM epoch_query('tag', 'FROM t')"))
    assert judged(made("view", f"{start}FROM epoch_commit('x')"))
    assert judged(made("view", f"{start}SELECT \"{inner('epoch_commit')}\"('x')"))


def test_the_shut_in_engine_reaches_nothing(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    duckdb.sql(f"COPY (SELECT 1 AS a) TO '{file}'")
    with shut_in() as engine:
        for statement in (
            f"FROM '{file}'",
            f"FROM read_text('{file}')",
            f"COPY (SELECT 1) TO '{tmp_path}/canary'",
            f"ATTACH '{tmp_path}/canary'",
            "SET enable_external_access = true",
            "SET lock_configuration = false",
            "INSTALL httpfs",
            "FROM 'https://example.com/x.csv'",
            f"LOAD '{file}'",
            f"EXPORT DATABASE '{tmp_path}/canary'",
            "FROM file",
        ):
            with pytest.raises(duckdb.Error):
                engine.execute(statement)
    assert not (tmp_path / "canary").exists()
