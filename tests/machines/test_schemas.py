"""Random schemas, altered at random on two branches: nothing is lost on the way away and back, in a merge, in a patch.

Every value that a statement writes holds a number of its own (a *token*), at some depth of some type, so that what
became of it can be asked of the text of a state, a conflict or a result. Statements that DuckDB refuses are left out.
More examples: ``EPOCH_SCHEMA_EXAMPLES=500 pytest tests/machines/test_schemas.py``.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

from epoch_sql.render import identifier
from tests.conftest import Repo
from tests.support.databases import state

EXAMPLES = int(os.environ.get("EPOCH_SCHEMA_EXAMPLES", "12"))
TRIGGERS = int(duckdb.__version__.split(".")[0]) >= 2
TOKEN = re.compile(r"(?<!\d)[4-6]\d{6}(?!\d)")

SCALARS = ("INTEGER", "BIGINT", "VARCHAR", "DOUBLE", "DECIMAL(12,2)", "HUGEINT")
NARROW = ("TINYINT", "SMALLINT", "DATE", "BOOLEAN", "UTINYINT")
NESTED = (
    "{0}[]", "{0}[2]", "STRUCT(a {0}, b {1})", "STRUCT(a {0}, b {1}, c {1})", "STRUCT(a {0})", "MAP(VARCHAR, {0})",
    "UNION(n {0}, s {1})", "UNION(n {0})", "STRUCT(a {0}[], b {1})", "STRUCT(a STRUCT(x {0}), b {1})[]",
)  # fmt: skip
COLUMNS = ("c0", "c1", "c2", 'c 3"')
TABLES = ("t0", "t1", "s.t0")
LABELS = ("calm", "glad", "sad", "mad")

# What holds no token has a value of a digit.
SPELLED = {
    "varchar": "'{token}'",
    "decimal": "{token}.25",
    "double": "{token}.25",
    "integer": "{token}",
    "bigint": "{token}",
    "hugeint": "{token}",
    "date": "DATE '2024-01-1{narrow}'",
    "boolean": "{narrow} % 2 = 0",
}

# One operation is five small numbers: which statement, and four choices that it makes among what there is.
NUMBERS = st.tuples(st.integers(0, 63), *(st.integers(0, 15) for _ in range(4)))
CHOICES = st.tuples(*(st.integers(0, 15) for _ in range(4)))
SETUP = st.lists(NUMBERS, min_size=2, max_size=10)
CHANGES = st.lists(NUMBERS, min_size=1, max_size=6)
Choices = tuple[int, ...]


def pick(choice: int, among: tuple[str, ...] | list[str]) -> str:
    return among[choice % len(among)]


def type_of(choice: int, other: int) -> str:
    """A type that holds tokens, one in five a narrow one that holds none, half of them nested."""
    inner = pick(choice, NARROW if other % 5 == 0 else SCALARS)
    if other % 2 == 0:
        return "mood" if other == 8 else inner
    return pick(other * 3 + choice, NESTED).format(inner, pick(other, SCALARS))


def literal(sql_type: str, token: int) -> str:
    """A constant of a type that DuckDB spells, with the token in each place that can hold it."""
    kind = duckdb.sqltype(sql_type)
    return _literal(kind, token)


def _literal(kind: Any, token: int) -> str:
    match kind.id:
        case "list":
            return f"[{_literal(kind.children[0][1], token)}]"
        case "array":
            return f"[{', '.join([_literal(kind.children[0][1], token)] * int(kind.children[1][1]))}]"
        case "struct":
            return "{" + ", ".join(f"'{name}': {_literal(child, token)}" for name, child in kind.children) + "}"
        case "map":
            return f"MAP {{{_literal(kind.children[0][1], token)}: {_literal(kind.children[1][1], token)}}}"
        case "union":
            members = [child for child in kind.children if child[0]]
            name, child = members[token % len(members)]
            return f"union_value({name} := {_literal(child, token)}::{child})"
        case "enum":
            return f"'{kind.children[0][1][token % len(kind.children[0][1])]}'"
        case scalar:
            return SPELLED.get(scalar, "{narrow}").format(token=token, narrow=token % 9)


class Writer:
    """Turns operations into statements that suit what a database holds."""

    def __init__(self, repo: Repo, tokens: Iterator[int]) -> None:
        self.repo, self.tokens = repo, tokens
        self.statements: list[Callable[[Choices], str]] = [
            self.create_type, self.create_macro, self.create_table, self.create_table, self.insert, self.insert,
            self.insert, self.update, self.update, self.update, self.delete, self.add_column, self.drop_column,
            self.retype, self.retype, self.rename_column, self.rename_table, self.drop_table, self.create_view,
            self.drop_view, self.create_index, self.drop_index, self.comment, self.set_default, self.sequence,
            self.replace_macro, self.rename_field, self.drop_field, self.recreate,
            *([self.create_trigger, self.drop_trigger] if TRIGGERS else []),
        ]  # fmt: skip

    def run(self, operations: list[Choices]) -> None:
        for which, *choices in operations:
            sql = self.statements[which % len(self.statements)](tuple(choices))
            if not sql:
                continue
            try:
                self.repo(sql)
                note(f"  {sql};")
            except duckdb.Error as refused:
                assert "INTERNAL" not in str(refused), sql

    def start(self, choices: list[Choices]) -> None:
        """A macro, and a table with some rows: what most operations need."""
        create, insert = self.statements.index(self.create_table), self.statements.index(self.insert)
        macro = self.statements.index(self.create_macro)
        self.run([(macro, 0, 0, 0, 0), (create, 0, *choices[0][1:]), *((insert, *c) for c in choices[1:])])

    def tables(self) -> list[str]:
        return [row[0] for row in self.repo(
            "SELECT CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || table_name FROM duckdb_tables()"
            " WHERE schema_name NOT LIKE 'epoch%' ORDER BY ALL"
        )]  # fmt: skip

    def table(self, choice: int) -> str:
        return pick(choice, self.tables() or ["t0"])

    def columns(self, table: str) -> list[tuple[str, str]]:
        """The stored columns that are no key, and their types."""
        return [(name, kind) for name, kind in self._all_columns(table) if name != "id"]

    def _all_columns(self, table: str) -> list[tuple[str, str]]:
        generated = {
            row[0]
            for row in self.repo(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = $1 AND column_default LIKE 'CAST(%'",
                table.rpartition(".")[2],
            )
        }
        try:
            found = self.repo(f"DESCRIBE {table}")
        except duckdb.Error:
            return []
        return [(row[0], row[1]) for row in found if row[0] not in generated and not row[0].startswith("g")]

    def column(self, table: str, choice: int) -> tuple[str, str]:
        found = self.columns(table)
        return found[choice % len(found)] if found else ("c0", "INTEGER")

    def value(self, kind: str, choice: int) -> str:
        if choice == 3:
            return "NULL"
        token = next(self.tokens)
        return literal(kind, token) if not kind.startswith("mood") else f"'{pick(token, LABELS)}'"

    def create_type(self, c: Choices) -> str:
        labels = ", ".join(f"'{label}'" for label in LABELS[: 2 + c[0] % 3])
        return f"CREATE TYPE mood AS ENUM ({labels})"

    def create_macro(self, c: Choices) -> str:
        return pick(c[0], (
            "CREATE MACRO plus(x) AS x + 1", "CREATE MACRO twice(x) AS plus(x) * 2", "CREATE SCHEMA s",
            "CREATE MACRO rows_of() AS TABLE SELECT * FROM t0",
        ))  # fmt: skip

    def replace_macro(self, c: Choices) -> str:
        return pick(c[0], (
            "CREATE OR REPLACE MACRO plus(x) AS x + 2", "DROP MACRO twice", "DROP MACRO plus",
            "CREATE OR REPLACE MACRO twice(x) AS plus(plus(x))",
        ))  # fmt: skip

    def create_table(self, c: Choices) -> str:
        name = pick(c[0], TABLES)
        keyed = c[1] % 3 > 0
        parts = [f"id INTEGER{' PRIMARY KEY' if keyed else ''}"]
        for number, column in enumerate(COLUMNS[: 1 + c[2] % 4]):
            kind = type_of(c[(number + 1) % 4], c[(number + 2) % 4] + number)
            default = f" DEFAULT {literal(kind, next(self.tokens))}" if c[3] == number and kind != "mood" else ""
            parts.append(f"{identifier(column)} {kind}{default}")
        extra = {
            1: "g INTEGER GENERATED ALWAYS AS (plus(id))",
            2: "CHECK (plus(id) > 0)",
            3: "n INTEGER DEFAULT plus(3)",
            4: "g INTEGER GENERATED ALWAYS AS (id * 2)",
            5: "n INTEGER DEFAULT nextval('numbers')",
            6: "CHECK (id < 1000)",
        }.get(c[3] % 8)
        return f"CREATE TABLE {name} ({', '.join([*parts, *([extra] if extra else [])])})"

    def recreate(self, c: Choices) -> str:
        return self.create_table(c).replace("CREATE TABLE", "CREATE OR REPLACE TABLE", 1) if c[3] % 4 == 0 else ""

    def insert(self, c: Choices) -> str:
        table = self.table(c[0])
        columns = self.columns(table)
        rows = [
            f"({', '.join([str(c[1] % 6 + row), *(self.value(kind, c[2]) for _, kind in columns)])})"
            for row in range(1 + c[3] % 3)
        ]
        names = ", ".join(["id", *(identifier(name) for name, _ in columns)])
        return f"INSERT INTO {table} ({names}) VALUES {', '.join(rows)}"

    def update(self, c: Choices) -> str:
        table = self.table(c[0])
        name, kind = self.column(table, c[1])
        where = f" WHERE id = {c[2] % 6}" if c[2] else ""
        return f"UPDATE {table} SET {identifier(name)} = {self.value(kind, c[3])}{where}"

    def delete(self, c: Choices) -> str:
        return f"DELETE FROM {self.table(c[0])} WHERE id = {c[1] % 6}"

    def add_column(self, c: Choices) -> str:
        kind = type_of(c[1], c[2])
        default = f" DEFAULT {self.value(kind, 0)}" if c[3] % 2 and kind != "mood" else ""
        return f"ALTER TABLE {self.table(c[0])} ADD COLUMN d{c[3] % 3} {kind}{default}"

    def drop_column(self, c: Choices) -> str:
        table = self.table(c[0])
        return f"ALTER TABLE {table} DROP COLUMN {identifier(self.column(table, c[1])[0])}"

    def retype(self, c: Choices) -> str:
        table = self.table(c[0])
        name, kind = self.column(table, c[1])
        column = identifier(name)
        found = duckdb.sqltype(kind) if not kind.startswith("ENUM") else None
        inner = pick(c[2], SCALARS + NARROW)
        wanted = inner
        if found is not None and found.id in ("list", "array"):
            wanted = f"{inner}[]" if found.id == "list" else f"{inner}[2]"
        elif found is not None and found.id == "struct":
            fields = [
                f'"{field}" {inner if number == c[3] % 2 else child}'
                for number, (field, child) in enumerate(found.children)
            ]
            wanted = f"STRUCT({', '.join(fields)})"
        elif found is not None and found.id == "map":
            wanted = f"MAP(VARCHAR, {inner})"
        using = f" USING TRY_CAST({column} AS {wanted})" if c[3] % 3 == 0 else ""
        return f"ALTER TABLE {table} ALTER {column} TYPE {wanted}{using}"

    def rename_field(self, c: Choices) -> str:
        return self._field(c, "RENAME {path} TO renamed")

    def drop_field(self, c: Choices) -> str:
        return self._field(c, "DROP COLUMN {path}")

    def _field(self, c: Choices, change: str) -> str:
        table = self.table(c[0])
        structs = [name for name, kind in self.columns(table) if kind.startswith("STRUCT") and not kind.endswith("]")]
        if not structs:
            return ""
        path = f"{identifier(pick(c[1], structs))}.{pick(c[2], ('a', 'b'))}"
        return f"ALTER TABLE {table} {change.format(path=path)}"

    def rename_column(self, c: Choices) -> str:
        table = self.table(c[0])
        return f"ALTER TABLE {table} RENAME COLUMN {identifier(self.column(table, c[1])[0])} TO r{c[2] % 3}"

    def rename_table(self, c: Choices) -> str:
        return f"ALTER TABLE {self.table(c[0])} RENAME TO moved{c[1] % 2}"

    def drop_table(self, c: Choices) -> str:
        return f"DROP TABLE {self.table(c[0])}" if c[1] % 3 == 0 else ""

    def create_view(self, c: Choices) -> str:
        table = self.table(c[0])
        column = identifier(self.column(table, c[2])[0])
        return f"CREATE OR REPLACE VIEW v{c[1] % 2} AS " + pick(c[3], (
            f"SELECT * FROM {table}", f"SELECT {column} AS x FROM {table}", f"SELECT plus(id) AS p FROM {table}",
            "SELECT * FROM v0",
        ))  # fmt: skip

    def drop_view(self, c: Choices) -> str:
        return f"DROP VIEW v{c[0] % 2}"

    def create_index(self, c: Choices) -> str:
        on = pick(c[1], ("id", "(plus(id))", "(id + 1)"))
        return f"CREATE INDEX i{c[2] % 2} ON {self.table(c[0])} ({on})"

    def drop_index(self, c: Choices) -> str:
        return f"DROP INDEX i{c[0] % 2}"

    def comment(self, c: Choices) -> str:
        table = self.table(c[0])
        column = identifier(self.column(table, c[2])[0])
        what = pick(
            c[1],
            (
                f"TABLE {table}",
                f"COLUMN {table}.{column}",
                "VIEW v0",
                "MACRO plus",
                "TYPE mood",
                "INDEX i0",
            ),
        )
        return f"COMMENT ON {what} IS 'it''s {c[3]}'"

    def set_default(self, c: Choices) -> str:
        table = self.table(c[0])
        name, kind = self.column(table, c[1])
        return f"ALTER TABLE {table} ALTER {identifier(name)} SET DEFAULT {self.value(kind, 0)}"

    def sequence(self, c: Choices) -> str:
        return pick(
            c[0],
            (
                "CREATE SEQUENCE numbers",
                "CREATE SEQUENCE numbers START 5 INCREMENT BY 2",
                "SELECT nextval('numbers')",
            ),
        )

    def create_trigger(self, c: Choices) -> str:
        table = self.table(c[0])
        event_of = pick(c[1], ("INSERT", "UPDATE", "DELETE"))
        return f"CREATE TRIGGER r{c[2] % 2} AFTER {event_of} ON {table} FOR EACH STATEMENT INSERT INTO logged VALUES ({c[3]})"

    def drop_trigger(self, c: Choices) -> str:
        return f"DROP TRIGGER r{c[1] % 2} ON {self.table(c[0])}"


def tokens_of(repo: Repo, ref: str) -> set[str]:
    """The tokens in the stored rows of all tables of a state."""
    found: set[str] = set()
    for table in [row[0] for row in repo("SELECT table_name FROM epoch_tables(?) WHERE kind = 'table'", ref)]:
        for (text,) in repo("SELECT CAST(t AS VARCHAR) FROM epoch_at(?, ?) AS t", ref, table):
            found.update(TOKEN.findall(text))
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schemas") / "shop.duckdb"
    Repo(path).close()
    return path


@contextmanager
def opened(template: Path) -> Iterator[Repo]:
    folder = Path(tempfile.mkdtemp(dir=template.parent))
    path = folder / "shop.duckdb"
    shutil.copyfile(template, path)
    repo = Repo(path)
    try:
        yield repo
    finally:
        repo.close()
        shutil.rmtree(folder)


Stale = set[tuple[str, str]]


def without(stale: Stale, found: Any) -> Any:
    """A state without objects that DuckDB keeps but would not make again: checkouts and patches leave those out."""
    (tables, objects), rows = found
    return (
        tables,
        [o for o in objects if (o.name.schema, o.name.name) not in stale],
    ), rows


def assert_at(repo: Repo, expected: Any, told: str) -> Stale:
    """The working database is in a state, and nothing in it counts as changed; the objects that could not be made."""
    stale = set(repo("SELECT schema_name, object_name FROM epoch.unmade"))
    assert without(stale, state(repo.con)) == without(stale, expected), told
    assert {change for _, change, *_ in repo.status()} <= {"unmade"}, told
    assert repo("FROM epoch_diff_summary('HEAD', 'WORKING')") == [], told
    return stale


def check_patch(
    repo: Repo,
    template: Path,
    refs: tuple[str, str],
    wanted: dict[str, Any],
    stale: Stale,
) -> None:
    """The patches there and back, in a plain database that is made by a patch from nothing."""
    folder = Path(tempfile.mkdtemp(dir=template.parent))
    with duckdb.connect(str(folder / "plain.duckdb")) as con:
        here = "empty"
        for ref in (*refs, refs[0], "empty"):
            for (statement,) in repo(
                "SELECT statement FROM epoch_patch(?, ?) ORDER BY statement_order",
                here,
                ref,
            ):
                con.execute(statement)
            assert without(stale, state(con)) == without(stale, wanted[ref]), f"patch from {here} to {ref}"
            here = ref
    shutil.rmtree(folder)


@settings(
    max_examples=EXAMPLES, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink] if os.environ.get("EPOCH_SCHEMA_SHRINK") else [Phase.explicit, Phase.generate],
)  # fmt: skip
@given(start=st.lists(CHOICES, min_size=3, max_size=3), setup=SETUP, ours=CHANGES, theirs=CHANGES)
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_schemas_altered_on_two_branches(
    template: Path, start: list[Choices], setup: list[Choices], ours: list[Choices], theirs: list[Choices]
) -> None:
    os.environ["EPOCH_AUTHOR"] = "Ada <ada@example.com>"
    with opened(template) as repo:
        writer = Writer(repo, count(4_000_001))
        repo("CALL epoch_init()")
        repo("CALL epoch_branch('empty')")
        states = {"empty": state(repo.con)}
        repo("CREATE TABLE logged (id INTEGER)")
        writer.start(start)
        for branch, operations in (("main", setup), ("ours", ours), ("theirs", theirs)):
            note(f"on {branch}")
            if branch != "main":
                repo("CALL epoch_checkout('main')")
                repo("CALL epoch_checkout(?, new_branch := true)", branch)
            writer.run(operations)
            states[branch] = state(repo.con)
            repo("CALL epoch_commit('change', allow_empty := true)")
            assert repo.status() == []
        # Away and back.
        stale: Stale = set()
        for branch in ("main", "theirs", "ours", "empty", "theirs", "main", "ours"):
            repo("CALL epoch_checkout(?)", branch)
            stale |= assert_at(repo, states[branch], f"checkout of {branch}")
        check_patch(repo, template, ("main", "ours"), states, stale)
        check_patch(repo, template, ("ours", "theirs"), states, stale)
        check_merge(repo, states)


def check_merge(repo: Repo, states: dict[str, Any]) -> None:
    """Each value that a side wrote is in the result, or in a conflict; what a side removed is in neither."""
    base, ours, theirs = (tokens_of(repo, ref) for ref in ("main", "ours", "theirs"))
    try:
        repo("CALL epoch_merge('theirs')")
    except duckdb.Error as stopped:
        assert str(stopped).startswith(("EpochConflict", "Invalid Input Error: EpochConflict")), stopped
        event("conflicts")
        assert_at(repo, states["ours"], "a merge that stopped")
        conflicts = repo("SELECT table_name, kind, base, ours, theirs FROM epoch_conflicts()")
        violated = repo("SELECT table_name FROM epoch_violations()")
        assert conflicts or violated
        if violated:
            event("violations")
            repo("CALL epoch_merge_abort()")
        else:
            listed = {token for row in conflicts for value in row[2:] if value for token in TOKEN.findall(value)}
            repo("CALL epoch_resolve(side := 'ours')")
            try:
                repo("CALL epoch_merge_continue()")
            except duckdb.Error as violation:
                assert repo("FROM epoch_violations()"), violation
                repo("CALL epoch_merge_abort()")
                return
            result = tokens_of(repo, "ours")
            if not any(kind == "schema" for _, kind, *_ in conflicts):
                assert ours - base <= result | listed
                assert theirs - base <= result | listed
    else:
        event("merged")
        result = tokens_of(repo, "ours")
        assert result == (base & ours & theirs) | (ours - base) | (theirs - base)
    # What the merge left can be left, and come back to.
    here = state(repo.con)
    repo("CALL epoch_checkout('empty')")
    repo("CALL epoch_checkout('ours')")
    assert_at(repo, here, "checkout of the merge")
