"""The rows of epoch_schema_diff for pairs of definitions; each case also runs in the other direction."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from epoch_sql.model.schema import Column, Constraint, Index, ObjectName, SchemaObject, Table
from epoch_sql.model.schema_diff import SchemaChange, schema_changes, table_definition

pytestmark = pytest.mark.core

ID = Column("id", "BIGINT", 1, nullable=False)
AMOUNT = Column("amount", "DECIMAL(12,2)", 2, nullable=False, default="0")
NOTE = Column("note", "VARCHAR", 3, collation="nocase")
DOUBLED = Column("doubled", "DECIMAL(13,2)", 4, generated="(amount * 2)")
KEY = Constraint("PRIMARY KEY", ("id",))
POSITIVE = Constraint("CHECK", ("amount",), "(amount > 0)")
UNIQUE = Constraint("UNIQUE", ("note",))
OWNER = Constraint("FOREIGN KEY", ("id",), None, "owners", ("id",))
ORDERS = Table(ObjectName("main", "orders"), (ID, AMOUNT, NOTE, DOUBLED), (KEY, UNIQUE, POSITIVE, OWNER))

Row = tuple[str, str, str, str, str | None, str | None]


def rows(before: Table | None, after: Table | None) -> list[Row]:
    changes = schema_changes({"1": before} if before else {}, {"1": after} if after else {}, (), ())
    return [as_row(change) for change in changes]


def as_row(change: SchemaChange) -> Row:
    return tuple(vars(change).values())


def with_columns(*columns: Column) -> Table:
    return replace(ORDERS, columns=columns)


def opposite(row: Row) -> Row:
    table_name, kind, name, diff_type, old, new = row
    return table_name, kind, name, {"added": "removed", "removed": "added"}.get(diff_type, diff_type), new, old


MODIFIED: list[tuple[str, Table, Table, list[Row]]] = [
    ("nothing", ORDERS, ORDERS, []),
    (
        "a column",
        ORDERS,
        with_columns(*ORDERS.columns, Column("when", "DATE", 9, comment="it's")),
        [("orders", "column", "when", "added", None, "\"when\" DATE COMMENT 'it''s'")],
    ),
    (
        "a default and a comment",
        ORDERS,
        with_columns(ID, replace(AMOUNT, default="1", comment="€"), NOTE, DOUBLED),
        [
            (
                "orders",
                "column",
                "amount",
                "modified",
                "amount DECIMAL(12,2) DEFAULT 0 NOT NULL",
                "amount DECIMAL(12,2) DEFAULT 1 NOT NULL COMMENT '€'",
            )
        ],
    ),
    (
        "a type, a collation, null and an expression",
        ORDERS,
        with_columns(
            replace(ID, type="INTEGER"),
            replace(AMOUNT, nullable=True),
            replace(NOTE, collation=None),
            replace(DOUBLED, generated="(amount * 3)"),
        ),
        [
            ("orders", "column", "id", "modified", "id BIGINT NOT NULL", "id INTEGER NOT NULL"),
            (
                "orders",
                "column",
                "amount",
                "modified",
                "amount DECIMAL(12,2) DEFAULT 0 NOT NULL",
                "amount DECIMAL(12,2) DEFAULT 0",
            ),
            ("orders", "column", "note", "modified", "note VARCHAR COLLATE nocase", "note VARCHAR"),
            (
                "orders",
                "column",
                "doubled",
                "modified",
                "doubled DECIMAL(13,2) GENERATED ALWAYS AS ((amount * 2))",
                "doubled DECIMAL(13,2) GENERATED ALWAYS AS ((amount * 3))",
            ),
        ],
    ),
    (
        "the fill of a column, which nobody sees",
        ORDERS,
        with_columns(ID, replace(AMOUNT, fill="7"), NOTE, DOUBLED),
        [],
    ),
    (
        "another column of the same name",
        with_columns(ID, NOTE),
        with_columns(ID, replace(NOTE, id=8)),
        [
            ("orders", "column", "note", "added", None, "note VARCHAR COLLATE nocase"),
            ("orders", "column", "note", "removed", "note VARCHAR COLLATE nocase", None),
        ],
    ),
    (
        "the order of columns",
        with_columns(ID, NOTE),
        with_columns(NOTE, ID),
        [("orders", "table", "orders", "modified", "(id, note)", "(note, id)")],
    ),
    (
        "a table comment",
        ORDERS,
        replace(ORDERS, comment="it's"),
        [("orders", "table", "orders", "modified", None, "COMMENT ON TABLE orders IS 'it''s'")],
    ),
    (
        "constraints",
        replace(ORDERS, constraints=(KEY,)),
        replace(ORDERS, constraints=(replace(KEY, columns=("id", "note")), UNIQUE, POSITIVE, OWNER)),
        [
            ("orders", "constraint", "PRIMARY KEY", "modified", "PRIMARY KEY (id)", "PRIMARY KEY (id, note)"),
            ("orders", "constraint", "UNIQUE (note)", "added", None, "UNIQUE (note)"),
            ("orders", "constraint", "CHECK (amount > 0)", "added", None, "CHECK (amount > 0)"),
            (
                "orders",
                "constraint",
                "FOREIGN KEY (id) REFERENCES owners (id)",
                "added",
                None,
                "FOREIGN KEY (id) REFERENCES owners (id)",
            ),
        ],
    ),
    (
        "a declared key",
        replace(ORDERS, constraints=()),
        replace(ORDERS, constraints=(), declared_key=("id", "note")),
        [("orders", "constraint", "KEY", "added", None, "KEY (id, note)")],
    ),
    (
        "indexes",
        replace(ORDERS, indexes=(Index("by note", False, ("note",)), Index("same", False, ("id",)))),
        replace(ORDERS, indexes=(Index("by note", True, ("lower(note)",)), Index("same", False, ("id",)))),
        [
            (
                "orders",
                "index",
                "by note",
                "modified",
                'CREATE INDEX "by note" ON orders (note)',
                'CREATE UNIQUE INDEX "by note" ON orders (lower(note))',
            )
        ],
    ),
]


@pytest.mark.grid(every=3)
@pytest.mark.parametrize(("before", "after", "expected"), [case[1:] for case in MODIFIED], ids=[c[0] for c in MODIFIED])
def test_changes_of_a_table(before: Table, after: Table, expected: Sequence[Row]) -> None:
    assert rows(before, after) == expected
    assert sorted(rows(after, before), key=repr) == sorted(map(opposite, expected), key=repr)


def test_a_renamed_column_is_one_row_and_what_names_it_is_no_change() -> None:
    indexes = (Index("i", True, ("note", "(lower(note) || amount(note))")),)
    before = replace(ORDERS, indexes=indexes, declared_key=("note",))
    after = replace(
        before,
        columns=(
            replace(ID, name="order"),
            replace(AMOUNT, name="Total", default="2"),
            replace(NOTE, name="text"),
            DOUBLED,
        ),
        constraints=(
            replace(KEY, columns=("order",)),
            replace(UNIQUE, columns=("text",)),
            Constraint("CHECK", ("Total",), '("Total" > 0)'),
            replace(OWNER, columns=("order",)),
        ),
        indexes=(Index("i", True, ('"text"', "(lower(text) || amount(text))")),),
        declared_key=("text",),
    )
    assert rows(before, after) == [
        ("orders", "column", "order", "renamed", "id BIGINT NOT NULL", '"order" BIGINT NOT NULL'),
        (
            "orders",
            "column",
            "Total",
            "renamed",
            "amount DECIMAL(12,2) DEFAULT 0 NOT NULL",
            "Total DECIMAL(12,2) DEFAULT 2 NOT NULL",
        ),
        ("orders", "column", "text", "renamed", "note VARCHAR COLLATE nocase", "text VARCHAR COLLATE nocase"),
    ]


def test_a_renamed_table_is_one_row_and_its_children_are_unchanged() -> None:
    owners = Table(ObjectName("main", "owners"), (ID,), (KEY,))
    people = owners.renamed(ObjectName("main", "the people"))
    orders = replace(ORDERS, constraints=(KEY, replace(OWNER, referenced="the people")))
    before = {"1": replace(ORDERS, constraints=(KEY, OWNER)), "2": owners}
    assert [as_row(c) for c in schema_changes(before, {"1": orders, "2": people}, (), ())] == [
        ("the people", "table", "the people", "renamed", "owners", '"the people"')
    ]


def test_a_table_of_one_side_is_one_row_with_its_definition() -> None:
    table = Table(ObjectName("s 1", "t"), (ID, DOUBLED), (KEY, OWNER), (Index("i", False, ("id",)),), "comment")
    text = (
        'CREATE TABLE "s 1".t (id BIGINT NOT NULL, doubled DECIMAL(13,2) GENERATED ALWAYS AS ((amount * 2)), '
        "PRIMARY KEY (id), FOREIGN KEY (id) REFERENCES owners (id))"
    )
    assert table_definition(table) == text
    assert rows(None, table) == [("s 1.t", "table", "s 1.t", "added", None, text)]
    assert rows(table, None) == [("s 1.t", "table", "s 1.t", "removed", text, None)]


def test_objects_are_matched_by_kind_and_name_and_their_state_is_no_change() -> None:
    def found(
        kind: str, name: str, definition: str, comment: str | None = None, state: str | None = None
    ) -> SchemaObject:
        schema = "" if kind == "schema" else "main"
        return SchemaObject(kind, ObjectName(schema, name), definition, comment, state)

    before = [
        found("view", "v", "CREATE VIEW v AS SELECT 1"),
        found("view", "same", "CREATE VIEW same AS SELECT 1"),
        found("sequence", "s", "CREATE SEQUENCE s", state="1"),
        found("macro", "v", "CREATE MACRO v() AS 1"),
        found("type", "t", "CREATE TYPE t AS ENUM ('a')"),
    ]
    after = [
        found("schema", "z", "CREATE SCHEMA z"),
        found("view", "same", "CREATE VIEW same AS SELECT 1", "it's"),
        found("view", "v", "CREATE VIEW v AS SELECT 2"),
        found("sequence", "s", "CREATE SEQUENCE s", state="9"),
        found("type", "t", "CREATE TYPE t AS ENUM ('a', 'b')"),
    ]
    expected: list[Row] = [
        ("z", "schema", "z", "added", None, "CREATE SCHEMA z"),
        ("t", "type", "t", "modified", "CREATE TYPE t AS ENUM ('a')", "CREATE TYPE t AS ENUM ('a', 'b')"),
        ("orders", "table", "orders", "removed", table_definition(ORDERS), None),
        ("v", "macro", "v", "removed", "CREATE MACRO v() AS 1", None),
        (
            "same",
            "view",
            "same",
            "modified",
            "CREATE VIEW same AS SELECT 1",
            "CREATE VIEW same AS SELECT 1 COMMENT 'it''s'",
        ),
        ("v", "view", "v", "modified", "CREATE VIEW v AS SELECT 1", "CREATE VIEW v AS SELECT 2"),
    ]
    assert [as_row(c) for c in schema_changes({"1": ORDERS}, {}, before, after)] == expected
    assert [as_row(c) for c in schema_changes({}, {"1": ORDERS}, after, before)] == [opposite(row) for row in expected]


def test_tables_come_in_the_order_of_their_names() -> None:
    tables = {key: Table(ObjectName("main", name), (ID,)) for key, name in (("1", "c"), ("2", "a"), ("3", "b"))}
    assert [change.table_name for change in schema_changes({}, tables, (), ())] == ["a", "b", "c"]
