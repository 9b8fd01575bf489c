"""Altering, creating and ordering: the statements run, and the definition that DuckDB then has is the wanted one."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from epoch_sql.model.schema import DatabaseSchema, ObjectName, SchemaObject, Table
from epoch_sql.worktree import alter, ddl, ordering
from epoch_sql.worktree.introspect import read_schema

pytestmark = pytest.mark.core

REPLAYS_EXPRESSIONS = duckdb.__version__ >= "2"
COLUMNS = "id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR DEFAULT 'q', c DOUBLE NOT NULL, d INTEGER"
ROWS = 3000


def read(con: duckdb.DuckDBPyConnection) -> DatabaseSchema:
    return read_schema(con, {}, lambda name: False, frozenset())


def run(con: duckdb.DuckDBPyConnection, statements: Sequence[str]) -> None:
    for statement in statements:
        con.execute(statement)


def identified(table: Table, renamed: Mapping[str, str], fills: Mapping[str, str]) -> Table:
    """The table with ids that follow from the names that the columns had before ``renamed`` (new name → old name)."""
    names = {column.name: renamed.get(column.name, column.name) for column in table.columns}
    known = {"id": 1, "a": 2, "b": 3, "c": 4, "d": 5, "g": 6, "p": 7, "e": 8}
    columns = tuple(
        replace(c, id=known.get(names[c.name], 100 + sum(map(ord, names[c.name]))), fill=fills.get(c.name))
        for c in table.columns
    )
    return replace(table, columns=columns)


def rows(con: duckdb.DuckDBPyConnection, table: Table) -> list[tuple]:
    names = ", ".join('"' + c.name.replace('"', '""') + '"' for c in table.columns)
    return con.execute(f'SELECT {names} FROM "{table.name.name}" ORDER BY ALL').fetchall()


def change_rows(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    """What a checkout does to rows: delete, update, insert, and a deleted key that comes back."""
    key = next(c.name for c in table.columns if c.id == 1)
    names = [c.name for c in table.stored_columns]
    quoted = ", ".join(f'"{name}"' for name in names)
    name = f'"{table.name.name}"'
    others = [n for n in names if n != key]
    run(
        con,
        [
            f'DELETE FROM {name} WHERE "{key}" IN (2, 3)',
            *(f'UPDATE {name} SET "{other}" = "{other}" WHERE "{key}" = 4' for other in others),
            f'CREATE TEMP TABLE copied AS SELECT * FROM {name} WHERE "{key}" = 5',
            f'DELETE FROM {name} WHERE "{key}" = 5',
            f"INSERT INTO {name} ({quoted}) SELECT {quoted} FROM copied",
            "DROP TABLE copied",
        ],
    )


T = [f"CREATE TABLE t ({COLUMNS})"]


def columns(old: str, new: str) -> list[str]:
    assert old in COLUMNS
    return [f"CREATE TABLE t ({COLUMNS.replace(old, new)})"]


def more(extra: str) -> list[str]:
    return [f"CREATE TABLE t ({COLUMNS}, {extra})"]


# before, after, renamed (new name → old name), fills
IN_PLACE: dict[str, tuple[list[str], list[str], dict[str, str], dict[str, str]]] = {
    "rename the table": (T, [f'CREATE TABLE "T 2 "" é" ({COLUMNS})'.replace('""', "x")], {}, {}),
    "rename a column": (T, columns("a INT", '"A x" INT'), {"A x": "a"}, {}),
    "rename in another case": (T, columns("a INT", '"A" INT'), {"A": "a"}, {}),
    "rename the key": (T, columns("id INT", '"select" INT'), {"select": "id"}, {}),
    "rename a unique column": (
        more("UNIQUE (b)"),
        [f"CREATE TABLE t ({COLUMNS.replace('b V', 'bb V')}, UNIQUE (bb))"],
        {"bb": "b"},
        {},
    ),
    "swap two names": (
        T,
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, d INTEGER, b VARCHAR DEFAULT 'q', c DOUBLE NOT NULL, a INTEGER)"],
        {"d": "a", "a": "d"},
        {},
    ),
    "a chain of names": (
        T,
        [
            """CREATE TABLE t (
                id INTEGER PRIMARY KEY, d INTEGER, b VARCHAR DEFAULT 'q', c DOUBLE NOT NULL, renaming_0 INTEGER)"""
        ],
        {"d": "a", "renaming_0": "d"},
        {},
    ),
    "add a column": (T, more("z DATE"), {}, {}),
    "add a column with its default": (T, more("z INTEGER DEFAULT 7"), {}, {"z": "7"}),
    "add a column with another default": (T, more("z INTEGER DEFAULT 8"), {}, {"z": "7"}),
    "add a column with a default for new rows": (T, more("z INTEGER DEFAULT 8"), {}, {}),
    "add a filled column without default": (T, more("z VARCHAR COLLATE nocase"), {}, {"z": "'x''y'"}),
    "add a column that is not null": (T, more("z INTEGER NOT NULL"), {}, {"z": "7"}),
    "add two columns": (T, more("z INTEGER, \"Z 2\" VARCHAR DEFAULT 'k'"), {}, {"Z 2": "'k'"}),
    "drop the last column": (T, columns(", d INTEGER", ""), {}, {}),
    "drop a column that is not null": (T, columns(", c DOUBLE NOT NULL", ""), {}, {}),
    "replace a column by one of its name": (T, columns(", d INTEGER", ", d VARCHAR"), {"d": "other"}, {"d": "'n'"}),
    "set a default": (T, columns("a INTEGER", "a INTEGER DEFAULT 5"), {}, {}),
    "drop a default": (T, columns(" DEFAULT 'q'", ""), {}, {}),
    "drop not null": (T, columns("c DOUBLE NOT NULL", "c DOUBLE"), {}, {}),
    "widen a type": (T, columns("a INTEGER", "a BIGINT"), {}, {}),
    "widen a type with a default": (
        columns("a INT", "a SMALLINT DEFAULT 3, e INT"),
        columns("a INT", "a BIGINT DEFAULT 4, e INT"),
        {},
        {},
    ),
    "add an enum value": (more("e ENUM('x', 'y') DEFAULT 'x'"), more("e ENUM('y', 'x', 'z') DEFAULT 'z'"), {}, {}),
    "comments": (
        [*T, "COMMENT ON TABLE t IS 'gone'", "COMMENT ON COLUMN t.b IS 'gone'"],
        [*T, "COMMENT ON COLUMN t.a IS 'it''s'"],
        {},
        {},
    ),
    "add indexes": (T, [*T, "CREATE INDEX i ON t (a)", 'CREATE INDEX "i 2" ON t ((a + 1), b)'], {}, {}),
    "drop an index": ([*T, "CREATE INDEX i ON t (b)"], T, {}, {}),
    "add a column beside an index": (
        [*T, "CREATE INDEX i ON t (b)"],
        [*more("z INTEGER"), "CREATE INDEX i ON t (b)"],
        {},
        {},
    ),
    "alter beside a check": (
        more("CHECK (d >= 0)"),
        [f"CREATE TABLE t ({COLUMNS.replace('a I', 'x I')}, CHECK (d >= 0))"],
        {"x": "a"},
        {},
    ),
    "alter beside a generated column": (
        more("g BIGINT AS (d)"),
        [f"CREATE TABLE t ({COLUMNS.replace('a I', 'x I')}, g BIGINT AS (d), z DATE)"],
        {"x": "a"},
        {},
    ),
    "defaults of a table with a foreign key": (
        [*more("p INTEGER REFERENCES parent (id)")],
        [
            f"CREATE TABLE t ({COLUMNS.replace('a INTEGER', 'a INTEGER DEFAULT 6')}, "
            "p INTEGER REFERENCES parent (id), z DATE)"
        ],
        {},
        {},
    ),
    "everything at once": (
        T,
        [
            """CREATE TABLE "new" (
                id INTEGER PRIMARY KEY, aa BIGINT DEFAULT 3, b VARCHAR, c DOUBLE, y DECIMAL(5,2) NOT NULL)""",
            'CREATE INDEX i ON "new" (aa)',
            """COMMENT ON COLUMN "new".y IS 'why'""",
            """COMMENT ON TABLE "new" IS 'all'""",
        ],
        {"aa": "a"},
        {"y": "1.5"},
    ),
    "columns, comments and indexes beside an index": (
        [*T, "CREATE INDEX i ON t (d)", "CREATE INDEX gone ON t (b)"],
        [
            *more("z INTEGER"),
            "CREATE INDEX i ON t (d)",
            "CREATE INDEX j ON t (z)",
            "COMMENT ON COLUMN t.a IS 'a'",
        ],
        {},
        {},
    ),
}


def with_parent(statements: Sequence[str]) -> list[str]:
    parent = ["CREATE TABLE parent (id INTEGER PRIMARY KEY)"] if "parent" in statements[0] else []
    return [*parent, *statements]


def definition(statements: Sequence[str], renamed: Mapping[str, str], fills: Mapping[str, str]) -> Table:
    with duckdb.connect() as con:
        run(con, with_parent(statements))
        found = [table for table in read(con).tables if table.name.name != "parent"]
        assert len(found) == 1
        return identified(found[0], renamed, fills)


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("case", IN_PLACE)
def test_a_table_is_altered_in_place_and_its_rows_change_in_the_same_transaction(case: str, tmp_path: Path) -> None:
    before_ddl, after_ddl, renamed, fills = IN_PLACE[case]
    before, after = definition(before_ddl, {}, {}), definition(after_ddl, renamed, fills)
    path, crashed = tmp_path / "d.duckdb", tmp_path / "crashed.duckdb"
    with duckdb.connect(str(path)) as con:
        run(con, with_parent(before_ddl))
        con.execute(f"INSERT INTO t (id, a, b, c, d) SELECT i, i, 'x' || i, i, i FROM range({ROWS}) r(i)")
    with duckdb.connect(str(path)) as con:
        con.execute("SET wal_autocheckpoint = '1GB'")
        old = {row[0]: row for row in rows(con, before)}
        statements = alter.alter_table(before, after)
        assert statements is not None
        con.execute("BEGIN")
        run(con, statements)
        found = next(table for table in read(con).tables if table.name.name != "parent")
        assert found.content_digest == after.content_digest
        change_rows(con, after)
        con.execute("COMMIT")
        new = rows(con, after)
        assert len(new) == ROWS - 2
        for row in new[:10]:
            for column, value in zip(after.columns, row, strict=True):
                known = before.column_by_id(column.id)
                if known:
                    assert value == old[row[0]][before.columns.index(known)]
                elif column.fill:
                    assert (value,) == con.execute(f"SELECT ({column.fill})::{column.type}").fetchone()
                else:
                    assert value is None
        shutil.copy(path, crashed)
        shutil.copy(f"{path}.wal", f"{crashed}.wal")
    for again in (path, crashed):
        with duckdb.connect(str(again)) as con:
            assert rows(con, after) == new
            assert [t.content_digest for t in read(con).tables if t.name == after.name] == [after.content_digest]


REBUILT: dict[str, tuple[list[str], list[str], dict[str, str], dict[str, str]]] = {
    "a check is added": (T, more("CHECK (a > 0)"), {}, {}),
    "a check is changed": (more("CHECK (a > 0)"), more("CHECK (a > 1)"), {}, {}),
    "a unique constraint is dropped": (more("UNIQUE (a)"), T, {}, {}),
    "another key": (T, columns("id INTEGER PRIMARY KEY, a INTEGER", "id INTEGER, a INTEGER PRIMARY KEY"), {}, {}),
    "the key's columns change places": (
        ["CREATE TABLE t (id INTEGER, a INTEGER, PRIMARY KEY (id, a))"],
        ["CREATE TABLE t (id INTEGER, a INTEGER, PRIMARY KEY (a, id))"],
        {},
        {},
    ),
    "null is forbidden": (T, columns("a INTEGER", "a INTEGER NOT NULL"), {}, {}),
    "a narrower type": (columns("a INTEGER", "a BIGINT"), T, {}, {}),
    "an enum loses a value": (more("e ENUM('x', 'y')"), more("e ENUM('x')"), {}, {}),
    "text becomes a number": (T, columns("b VARCHAR DEFAULT 'q'", "b INTEGER"), {}, {}),
    "the key gets another type": (T, columns("id INTEGER", "id BIGINT"), {}, {}),
    "an indexed column gets another type": (
        [*T, "CREATE INDEX i ON t (a)"],
        [*columns("a INTEGER", "a BIGINT"), "CREATE INDEX i ON t (a)"],
        {},
        {},
    ),
    "a new unique index": (T, [*T, "CREATE UNIQUE INDEX i ON t (a)"], {}, {}),
    "an index becomes unique": ([*T, "CREATE INDEX i ON t (a)"], [*T, "CREATE UNIQUE INDEX i ON t (a)"], {}, {}),
    "a column in the middle": (T, columns("a INTEGER,", "z DATE, a INTEGER,"), {}, {}),
    "columns change places": (
        T,
        columns("a INTEGER, b VARCHAR DEFAULT 'q'", "b VARCHAR DEFAULT 'q', a INTEGER"),
        {},
        {},
    ),
    "the key is dropped": (T, columns("id INTEGER PRIMARY KEY, ", ""), {}, {}),
    "a column before a unique one is dropped": (
        more("UNIQUE (d)"),
        [f"CREATE TABLE t ({COLUMNS.replace('a INTEGER,', '')}, UNIQUE (d))"],
        {},
        {},
    ),
    "a column before an indexed one is dropped": (
        [*T, "CREATE INDEX i ON t ((d + 1))"],
        columns("a INTEGER,", ""),
        {},
        {},
    ),
    "a checked column is renamed": (
        more("CHECK (a > 0)"),
        [f"CREATE TABLE t ({COLUMNS.replace('a INT', 'x INT')}, CHECK (x > 0))"],
        {"x": "a"},
        {},
    ),
    "a column of a generated one is renamed": (
        more("g BIGINT AS (a)"),
        [f"CREATE TABLE t ({COLUMNS.replace('a INT', 'x INT')}, g BIGINT AS (x))"],
        {"x": "a"},
        {},
    ),
    "change an index": ([*T, "CREATE INDEX i ON t (b)"], [*T, "CREATE INDEX i ON t (a, d)"], {}, {}),
    "alter beside an index": (
        [*T, "CREATE UNIQUE INDEX i ON t (b)"],
        [*columns("a INTEGER", "x BIGINT DEFAULT 9"), "CREATE UNIQUE INDEX i ON t (b)"],
        {"x": "a"},
        {},
    ),
    "rename an indexed column": (
        [*T, "CREATE UNIQUE INDEX i ON t (b)", "CREATE INDEX j ON t ((a + d), lower(b))"],
        [
            *columns("b V", '"B é" V'),
            'CREATE UNIQUE INDEX i ON t ("B é")',
            'CREATE INDEX j ON t ((a + d), lower("B é"))',
        ],
        {"B é": "b"},
        {},
    ),
    "drop a column behind an index": (
        [*T, "CREATE INDEX i ON t (b)"],
        [*columns(", d INTEGER", ""), "CREATE INDEX i ON t (b)"],
        {},
        {},
    ),
    "a unique index is dropped": ([*T, "CREATE UNIQUE INDEX i ON t (b)"], T, {}, {}),
    "a generated column is added": (T, more("g BIGINT AS (a)"), {}, {}),
    "a generated column is changed": (more("g BIGINT AS (a)"), more("g BIGINT AS (d)"), {}, {}),
    "a generated column is dropped": (more("g BIGINT AS (a)"), T, {}, {}),
    "a generated column is stored": (more("g BIGINT AS (a)"), more("g BIGINT"), {}, {}),
    "another collation": (T, columns("b VARCHAR", "b VARCHAR COLLATE nocase"), {}, {}),
    "another schema": (T, ["CREATE SCHEMA s", f"CREATE TABLE s.t ({COLUMNS})"], {}, {}),
    "a column without a value for old rows must not be null": (T, more("z INTEGER NOT NULL"), {}, {}),
    "a column filled with null must not be null": (T, more("z INTEGER NOT NULL"), {}, {"z": "NULL"}),
    "no column is kept": (["CREATE TABLE t (a INTEGER)"], ["CREATE TABLE t (a INTEGER)"], {"a": "other"}, {}),
    "a column is renamed beside a foreign key": (
        more("p INTEGER REFERENCES parent (id)"),
        [f"CREATE TABLE t ({COLUMNS.replace('a INT', 'x INT')}, p INTEGER REFERENCES parent (id))"],
        {"x": "a"},
        {},
    ),
    "a default in a table that refers to itself": (
        more("p INTEGER REFERENCES t (id)"),
        [f"CREATE TABLE t ({COLUMNS.replace('a INTEGER', 'a INTEGER DEFAULT 1')}, p INTEGER REFERENCES t (id))"],
        {},
        {},
    ),
}


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("case", REBUILT)
def test_a_table_has_to_be_rebuilt(case: str) -> None:
    before_ddl, after_ddl, renamed, fills = REBUILT[case]
    assert alter.alter_table(definition(before_ddl, {}, {}), definition(after_ddl, renamed, fills)) is None


@pytest.mark.parametrize(
    "clause",
    [
        "z INTEGER DEFAULT (1 + 2)",
        "z TIMESTAMP DEFAULT current_timestamp",
        "z INTEGER[] DEFAULT [1]",
        "CHECK (length(b) > 0)",
        "CHECK (b LIKE 'x%')",
        "CHECK (a + 1 > 0)",
        "g BIGINT AS (a + 1)",
    ],
)
def test_calls_in_a_table_keep_it_from_being_altered_where_the_log_could_not_be_replayed(clause: str) -> None:
    before = definition(more(clause), {}, {})
    renamed = definition([f"CREATE TABLE t ({COLUMNS.replace(', d INT', ', x INT')}, {clause})"], {"x": "d"}, {})
    commented = definition([*more(clause), "COMMENT ON COLUMN t.d IS 'd'"], {}, {})
    assert (alter.alter_table(before, renamed) is not None) == REPLAYS_EXPRESSIONS
    assert (alter.alter_table(before, commented) is not None) == REPLAYS_EXPRESSIONS
    assert alter.alter_table(before, before.renamed(ObjectName("main", "other"))) is not None
    assert alter.alter_table(before, replace(before, comment="it")) is not None


def test_a_table_that_others_refer_to_takes_columns_comments_and_indexes(tmp_path: Path) -> None:
    before = definition(T, {}, {})
    with duckdb.connect(str(tmp_path / "d.duckdb")) as con:
        run(con, [*T, "CREATE TABLE child (id INTEGER REFERENCES t (id))", "INSERT INTO t VALUES (1, 1, 'a', 1, 1)"])
        for after_ddl, possible in (
            ([*more("z INTEGER DEFAULT 7"), "COMMENT ON COLUMN t.a IS 'a'", "CREATE INDEX i ON t (a)"], True),
            (columns("a INTEGER", "a INTEGER DEFAULT 7"), False),
            (columns("a INTEGER", "x INTEGER"), False),
        ):
            after = definition(after_ddl, {"x": "a"}, {"z": "7"})
            statements = alter.alter_table(before, after, referenced=True)
            assert (statements is not None) == possible
            if statements is not None:
                con.execute("BEGIN")
                run(con, statements)
                assert next(t for t in read(con).tables if t.name.name == "t").content_digest == after.content_digest
                con.execute("ROLLBACK")


def test_no_difference_needs_no_statement() -> None:
    table = definition([*T, "CREATE INDEX i ON t (a)", "COMMENT ON COLUMN t.a IS 'a'"], {}, {})
    assert alter.alter_table(table, table) == []


def test_columns_without_identity_are_refused() -> None:
    table = definition(T, {}, {})
    bare = replace(table, columns=tuple(replace(column, id=0) for column in table.columns))
    with pytest.raises(ValueError, match="not identified"):
        alter.alter_table(bare, table)


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("used", [0, 1, 3, 4, 5])
@pytest.mark.parametrize(
    "options", ["INCREMENT 3 MAXVALUE 14", "INCREMENT 3 MAXVALUE 14 CYCLE", "START 9 INCREMENT -4"]
)
def test_a_sequence_goes_on_where_it_was(options: str, used: int) -> None:
    if "INCREMENT -4" in options:
        options += " MINVALUE -5 MAXVALUE 9"
    with duckdb.connect() as con, duckdb.connect() as other:
        con.execute(f'CREATE SEQUENCE "s 1" {options}')
        following(con, used)
        run(other, ddl.create_object(read(con).objects[0]))
        assert read(other) == read(con)
        assert following(other, 3) == following(con, 3)


def following(con: duckdb.DuckDBPyConnection, count: int) -> list[object]:
    """The next values, with the error that says that there is none."""
    found: list[object] = []
    for _ in range(count):
        try:
            found.append(con.execute("""SELECT nextval('"s 1"')""").fetchone())
        except duckdb.SequenceException as error:
            found.append(type(error))
    return found


def test_a_sequence_without_state_starts_at_its_bound() -> None:
    with duckdb.connect() as con:
        definition_of = SchemaObject(
            "sequence",
            ObjectName("main", "s 1"),
            'CREATE SEQUENCE "main"."s 1" INCREMENT BY 1 MINVALUE 4 MAXVALUE 9 NO CYCLE',
        )
        run(con, ddl.create_object(definition_of))
        assert following(con, 1) == [(4,)]


def test_everything_that_was_created_is_dropped_in_the_opposite_order() -> None:
    with duckdb.connect() as con:
        run(
            con,
            [
                'CREATE SCHEMA "s ""1"',
                """CREATE TYPE "s ""1".mood AS ENUM ('a')""",
                'CREATE SEQUENCE "s ""1"."q 1"',
                'CREATE MACRO "s ""1"."twice 2"(a, b := 2) AS a * b',
                """CREATE TABLE "s ""1".t (id INTEGER PRIMARY KEY DEFAULT nextval('"s ""1"."q 1"'),
                    v INTEGER DEFAULT "s ""1"."twice 2"(1), m "s ""1".mood)"""
                if REPLAYS_EXPRESSIONS
                else """CREATE TABLE "s ""1".t (id INTEGER PRIMARY KEY, v INTEGER DEFAULT "s ""1"."twice 2"(1),
                    m "s ""1".mood)""",
                'CREATE TABLE "s ""1".child (id INTEGER REFERENCES "s ""1".t (id))',
                'CREATE VIEW "s ""1".v AS FROM "s ""1".child',
                'CREATE MACRO "s ""1".reading(n := 1) AS TABLE SELECT * FROM "s ""1".v WHERE id > n',
                'CREATE VIEW a_last AS FROM "s ""1".reading(n := 2)',
            ],
        )
        schema = read(con)
        order = ordering.definition_order(schema.tables, schema.objects)
        con.execute("BEGIN")
        for found in reversed(order):
            con.execute(ddl.drop_table(found.name) if isinstance(found, Table) else ddl.drop_object(found))
        assert read(con) == DatabaseSchema()
        for found in order:
            run(con, ddl.create_table(found) if isinstance(found, Table) else ddl.create_object(found))
        assert read(con) == schema
        con.execute("COMMIT")


def order_of(*statements: str) -> list[str]:
    with duckdb.connect() as con:
        run(con, statements)
        schema = read(con)
    return [found.name.name for found in ordering.definition_order(schema.tables, schema.objects)]


def test_views_come_after_what_they_read() -> None:
    order = order_of(
        "CREATE TABLE t (a INTEGER)",
        "CREATE VIEW d AS SELECT a FROM t",
        "CREATE VIEW c AS SELECT x.a FROM (SELECT 1 AS a) y, d AS x",
        'CREATE VIEW "b ""1" AS SELECT * FROM main.c JOIN d USING (a)',
        'CREATE VIEW a AS WITH q AS (FROM "B ""1") FROM q',
    )
    assert order == ["t", "d", "c", 'b "1', "a"]


def test_relations_are_found_wherever_a_query_lists_them() -> None:
    order = order_of(
        "CREATE VIEW z AS SELECT 1 AS a, 1 AS b",
        "CREATE VIEW y AS SELECT 1 AS a, 1 AS b",
        "CREATE VIEW b AS SELECT m.a FROM (SELECT 1) n, y m JOIN (z k CROSS JOIN y) ON k.a = m.a",
        "CREATE VIEW a AS SELECT EXISTS (FROM z, b) AS b, (SELECT max(i.a) FROM (FROM y) i, b) AS y",
    )
    assert order == ["y", "z", "b", "a"]


def test_columns_named_like_views_do_not_turn_the_order() -> None:
    assert order_of("CREATE VIEW b AS SELECT 1 AS a", "CREATE VIEW a AS SELECT a AS b FROM b") == ["b", "a"]


def test_tables_come_after_the_macros_in_their_expressions_and_before_those_that_read_them() -> None:
    order = order_of(
        "CREATE MACRO twice(x) AS x * 2",
        "CREATE MACRO four(x) AS twice(twice(x))",
        "CREATE TABLE a_first (a INTEGER CHECK (four(a) > 1))",
        "CREATE MACRO all_of() AS TABLE FROM a_first",
    )
    assert order == ["twice", "four", "a_first", "all_of"]


def test_parents_come_before_children_and_a_table_may_refer_to_itself() -> None:
    with duckdb.connect() as con:
        run(
            con,
            [
                "CREATE TABLE z (id INTEGER PRIMARY KEY, up INTEGER REFERENCES z (id))",
                'CREATE TABLE "M" (id INTEGER PRIMARY KEY REFERENCES z (id))',
                "CREATE TABLE a (id INTEGER REFERENCES m (id), z INTEGER REFERENCES Z (id))",
            ],
        )
        tables = read(con).tables
    assert [table.name.name for table in ordering.creation_order(tables)] == ["z", "M", "a"]


def test_objects_are_ordered_by_kind_and_use() -> None:
    with duckdb.connect() as con:
        run(
            con,
            [
                "CREATE SEQUENCE s",
                "CREATE SCHEMA z",
                "CREATE VIEW z.v AS SELECT 1 AS a",
                "CREATE VIEW a AS FROM z.v",
                "CREATE MACRO m(x) AS (SELECT max(a) + x FROM a)",
                "CREATE TYPE e AS ENUM ('a')",
            ],
        )
        objects = read(con).objects
    assert [found.name.name for found in ordering.object_order(objects)] == ["z", "e", "s", "v", "a", "m"]
