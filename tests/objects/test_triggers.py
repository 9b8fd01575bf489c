"""Triggers (DuckDB 2.0): versioned with their table, and never fired by what Epoch itself writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pytest

from epoch_sql.model.schema import Column, ObjectName, Table, Trigger
from epoch_sql.proof.definitions import Refused, take_apart
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.harmless import Context, offences
from epoch_sql.worktree import ddl
from epoch_sql.worktree.ddl import read_trigger
from tests.conftest import MakeRepo, Repo

BASE = """
    CREATE SCHEMA s;
    CREATE TABLE log (event VARCHAR, i INTEGER); CREATE TABLE s.log (i INTEGER);
    CREATE TABLE a (i INTEGER PRIMARY KEY, j INTEGER, k VARCHAR); CREATE TABLE bag (i INTEGER); CREATE TABLE r (i INTEGER);
    CREATE MACRO tag(e) AS upper(e); CREATE VIEW seen AS SELECT event, i FROM log;
    CREATE TRIGGER ins AFTER INSERT ON a REFERENCING NEW TABLE AS n FOR EACH STATEMENT INSERT INTO log SELECT tag('ins'), i FROM n;
    CREATE TRIGGER del AFTER DELETE ON a REFERENCING OLD TABLE AS o FOR EACH STATEMENT INSERT INTO log SELECT 'del', i FROM o;
    CREATE TRIGGER upd AFTER UPDATE OF j, k ON a FOR EACH STATEMENT INSERT INTO log VALUES ('upd', 0);
    CREATE TRIGGER "it's ""the"" first" BEFORE INSERT ON bag FOR EACH STATEMENT INSERT INTO s.log SELECT count(*) FROM seen;
    CREATE TRIGGER gone BEFORE DELETE ON bag FOR EACH STATEMENT DELETE FROM s.log WHERE i > 100;
    CREATE TRIGGER each AFTER INSERT ON r FOR EACH ROW INSERT INTO log VALUES ('row', NEW.i);
    INSERT INTO a VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z'); INSERT INTO bag VALUES (1), (1), (2); INSERT INTO r VALUES (7);
"""
INS = "CREATE TRIGGER ins AFTER INSERT ON a REFERENCING NEW TABLE AS n FOR EACH STATEMENT INSERT INTO log SELECT tag('ins'), i FROM n"
NO_TRIGGERS_OF_A = "DROP TRIGGER ins ON a; DROP TRIGGER del ON a; DROP TRIGGER upd ON a; "
NO_TRIGGERS_OF_LOG = f'{NO_TRIGGERS_OF_A} DROP TRIGGER each ON r; DROP TRIGGER "it\'s ""the"" first" ON bag; '

CHANGES = {
    "rows": """
        INSERT INTO a VALUES (4, 4, 'n'); UPDATE a SET j = 9 WHERE i = 1; DELETE FROM a WHERE i = 2;
        INSERT INTO bag VALUES (1), (5); DELETE FROM bag WHERE i = 2; INSERT INTO r VALUES (8), (9)
    """,
    "only the log": "INSERT INTO log VALUES ('by hand', 1)",
    "a column is added": "ALTER TABLE a ADD COLUMN z INTEGER; INSERT INTO a VALUES (5, 5, 'e', 5)",
    "a column is renamed": f"{NO_TRIGGERS_OF_A} ALTER TABLE a RENAME j TO q; {INS}",
    "a column is dropped": f"{NO_TRIGGERS_OF_A} ALTER TABLE a DROP COLUMN k; {INS}; INSERT INTO a VALUES (6, 6)",
    "the table is renamed": f"{NO_TRIGGERS_OF_A} ALTER TABLE a RENAME TO a2; {INS.replace('ON a ', 'ON a2 ')}; DELETE FROM a2 WHERE i = 1",
    "the table has another key": "CREATE OR REPLACE TABLE a (i INTEGER, j INTEGER PRIMARY KEY, k VARCHAR); INSERT INTO a VALUES (1, 8, 'x')",
    "the table is dropped": "DROP TABLE a",
    "the table has an index": "CREATE INDEX by_k ON a (k); INSERT INTO a VALUES (5, 5, 'e')",
    "a trigger goes": "DROP TRIGGER ins ON a",
    "all triggers go": f"{NO_TRIGGERS_OF_LOG} DROP TRIGGER gone ON bag; INSERT INTO a VALUES (9, 9, 'q')",
    "a trigger does something else": f"CREATE OR REPLACE {INS.removeprefix('CREATE ').replace('ins', 'sni')}; DROP TRIGGER ins ON a",
    "the log is another one": f"""
        {NO_TRIGGERS_OF_LOG} DROP VIEW seen; DROP TABLE log; CREATE TABLE log (event VARCHAR PRIMARY KEY, i BIGINT);
        CREATE VIEW seen AS SELECT event, i FROM log; {INS}
    """,
    "a macro of a trigger is another one": f"DROP TRIGGER ins ON a; DROP MACRO tag; CREATE MACRO tag(e) AS lower(e); {INS}; INSERT INTO a VALUES (5, 5, '')",
    "a view of a trigger is another one": """
        DROP TRIGGER "it's ""the"" first" ON bag; DROP VIEW seen; CREATE VIEW seen AS SELECT i FROM log;
        CREATE TRIGGER again BEFORE INSERT ON bag FOR EACH STATEMENT INSERT INTO s.log SELECT count(*) FROM seen
    """,
}


def picture(ask: Any) -> dict[str, Any]:
    """The triggers, and the rows of all tables."""
    triggers = ask("SELECT schema_name, table_name, sql FROM duckdb_triggers() ORDER BY ALL")
    tables = ask(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name IN ('main', 's') AND NOT temporary ORDER BY ALL"
    )
    rows = {f"{s}.{t}": sorted(ask(f'FROM "{s}"."{t}"'), key=str) for s, t in tables}
    return {"triggers": [(schema, table, read_trigger(sql)) for schema, table, sql in triggers], **rows}


@pytest.mark.grid(every=15)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.slow
def test_going_away_and_coming_back_fires_nothing(make_repo: MakeRepo, change: str) -> None:
    repo = make_repo(BASE)
    main = picture(repo)
    assert main["triggers"] and repo.status() == []
    repo("CALL epoch_checkout('dev', new_branch := true)")
    repo(CHANGES[change])
    dev = picture(repo)
    assert repo.status()
    repo("CALL epoch_stash()")
    assert picture(repo) == main
    repo("CALL epoch_stash_pop()")
    assert picture(repo) == dev
    repo.commit()
    assert repo.status() == []
    for ref, expected in (("main", main), ("dev", dev), ("main", main)):
        repo("CALL epoch_checkout(?)", ref)
        assert picture(repo) == expected
        assert repo.status() == []
    repo("CALL epoch_merge('dev')")
    assert picture(repo) == dev
    repo("CALL epoch_revert('HEAD')")
    assert picture(repo) == main
    repo("CALL epoch_cherry_pick('dev')")
    assert picture(repo) == dev
    repo("CALL epoch_reset('HEAD~1', hard := true)")
    assert picture(repo) == main
    assert repo.status() == []


@pytest.mark.grid(every=15)
@pytest.mark.parametrize("change", CHANGES)
def test_patches_fire_nothing(repo: Repo, change: str) -> None:
    repo(BASE)
    repo.commit()
    main = picture(repo)
    repo(CHANGES[change])
    dev = picture(repo)
    con = duckdb.connect()

    def play(from_ref: str, to_ref: str) -> dict[str, Any]:
        """The picture of a plain DuckDB after a patch."""
        for (statement,) in repo("SELECT statement FROM epoch_patch(?, ?) ORDER BY statement_order", from_ref, to_ref):
            con.execute(statement)
        return picture(lambda sql: con.execute(sql).fetchall())

    assert play("HEAD~1", "HEAD") == main
    assert play("HEAD", "WORKING") == dev
    assert play("WORKING", "HEAD") == main
    assert play("HEAD", "HEAD~1")["triggers"] == []


TABLES = """
    CREATE TABLE a (i INTEGER PRIMARY KEY, j INTEGER, k INTEGER); CREATE TABLE log (i INTEGER); INSERT INTO a VALUES (1, 1, 1);
    CREATE TRIGGER old AFTER INSERT ON a FOR EACH STATEMENT INSERT INTO log VALUES (0);
"""
ONE = "CREATE TRIGGER t AFTER DELETE ON a FOR EACH STATEMENT INSERT INTO log VALUES (1)"
TWO = ONE.replace("(1)", "(2)")
OF_J = "CREATE TRIGGER t AFTER UPDATE OF j ON a FOR EACH STATEMENT INSERT INTO log VALUES (1)"
DROP = "DROP TRIGGER old ON a"
CHANGED = f"{DROP}; CREATE TRIGGER old BEFORE INSERT ON a FOR EACH STATEMENT INSERT INTO log VALUES (9)"
ROW = "UPDATE a SET k = 2"

MERGED = {
    "added on one side": (ONE, ROW, ["old AFTER INSERT", "t AFTER DELETE"]),
    "added alike on both sides": (ONE, f"{ONE}; {ROW}", ["old AFTER INSERT", "t AFTER DELETE"]),
    "two added": (ONE, OF_J.replace("t AFTER", "u AFTER"), ["old AFTER INSERT", "t AFTER DELETE", "u AFTER UPDATE"]),
    "dropped on one side": (DROP, ROW, []),
    "dropped on both sides": (DROP, f"{DROP}; {ROW}", []),
    "changed on one side": (CHANGED, f"{ROW}; UPDATE a SET j = 5", ["old BEFORE INSERT"]),
    "added, and the table renamed": (ONE, f"{DROP}; ALTER TABLE a RENAME TO b", ["t AFTER DELETE"]),
    "of a column that the other side renames": (
        f"{DROP}; {OF_J}",
        f"{DROP}; ALTER TABLE a RENAME j TO q",
        ["t AFTER UPDATE"],
    ),
}


@pytest.mark.grid(every=8)
@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("turned", [False, True])
def test_triggers_merge_by_name(make_repo: MakeRepo, name: str, turned: bool) -> None:
    *sides, expected = MERGED[name]
    repo = branches(make_repo, TABLES, *(sides[::-1] if turned else sides))
    log = repo("FROM log")
    repo("CALL epoch_merge('theirs')")
    assert triggers(repo) == expected
    assert repo("FROM log") == log and repo.status() == []


CLASHES = {
    "added differently on both sides": (ONE, TWO, "t AFTER DELETE"),
    "changed and dropped": (CHANGED, DROP, "old BEFORE INSERT"),
    "changed differently": (CHANGED, CHANGED.replace("(9)", "(8)"), "old BEFORE INSERT"),
}


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("name", CLASHES)
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_what_both_sides_changed_is_a_conflict(make_repo: MakeRepo, name: str, side: str) -> None:
    ours, theirs, shown = CLASHES[name]
    repo = branches(make_repo, TABLES, ours, theirs)
    before = picture(repo)
    assert "conflict" in repo.refused("CALL epoch_merge('theirs')")
    assert picture(repo) == before
    ((table, kind, text),) = repo("SELECT table_name, kind, ours FROM epoch_conflicts()")
    assert (table, kind) == ("a", "schema") and shown in text
    repo("CALL epoch_resolve('a', side := ?)", side)
    repo("CALL epoch_merge_continue()")
    repo("CALL epoch_checkout(?)", {"ours": "HEAD~1", "theirs": "theirs"}[side])
    chosen = picture(repo)["triggers"]
    repo("CALL epoch_checkout('main')")
    assert picture(repo)["triggers"] == chosen


def test_a_column_that_a_new_trigger_names_is_not_dropped_by_the_other_side(make_repo: MakeRepo) -> None:
    repo = branches(make_repo, TABLES, OF_J, f"{DROP}; ALTER TABLE a DROP COLUMN j")
    assert "conflict" in repo.refused("CALL epoch_merge('theirs')")
    assert repo("SELECT table_name, column_name FROM epoch_conflicts()") == [("a", "j")]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        # A circle, which neither side has.
        (ONE, "CREATE TRIGGER back AFTER INSERT ON log FOR EACH STATEMENT DELETE FROM a"),
        # For statements and for rows, for one event.
        (f"{DROP}; {ONE}", f"{DROP}; CREATE TRIGGER u AFTER DELETE ON a FOR EACH ROW INSERT INTO log VALUES (OLD.i)"),
    ],
)
def test_triggers_that_cannot_be_made_together_stop_the_merge(make_repo: MakeRepo, ours: str, theirs: str) -> None:
    base = TABLES if theirs.startswith(DROP) else TABLES.replace("CREATE TRIGGER old", "-- ")
    repo = branches(make_repo, base, ours, theirs)
    before = picture(repo)
    assert "violation" in repo.refused("CALL epoch_merge('theirs')")
    assert repo.one("SELECT count(*) FROM epoch_violations()") >= 1
    assert picture(repo) == before


def test_status_and_schema_diff_tell_of_triggers(repo: Repo) -> None:
    repo("CREATE TABLE a (i INTEGER); CREATE TABLE log (i INTEGER)")
    repo.commit()
    repo(ONE)
    assert repo.status() == [("a", "schema", 0, 0, 0)]
    text = "CREATE TRIGGER t AFTER DELETE ON a FOR EACH STATEMENT INSERT INTO log (VALUES (1))"
    assert repo("FROM epoch_schema_diff('HEAD', 'WORKING')") == [("a", "trigger", "t", "added", None, text)]
    repo.commit()
    repo(f"CREATE OR REPLACE {TWO.removeprefix('CREATE ')}")
    changed = ("a", "trigger", "t", "modified", text, text.replace("(1)", "(2)"))
    assert repo("FROM epoch_schema_diff('HEAD', 'WORKING')") == [changed]
    repo.reopen()
    assert repo.status() == [("a", "schema", 0, 0, 0)]


def test_a_trigger_that_could_not_be_made_again_is_a_warning(repo: Repo) -> None:
    repo(TABLES)
    repo.commit()
    repo("ALTER TABLE log ADD COLUMN noted TIMESTAMP")
    (warnings,) = repo("SELECT warnings FROM epoch_commit('the log has a column that the trigger does not fill')")[0]
    assert [w.partition(",")[0] for w in warnings] == ["trigger old on a cannot be made again"]
    repo("CALL epoch_checkout('HEAD~1')")
    assert triggers(repo) == ["old AFTER INSERT"]
    repo("CALL epoch_checkout('main')")
    assert (triggers(repo), repo.status()) == ([], [("old on a", "unmade", 0, 0, 0)])
    repo("INSERT INTO a VALUES (5, 5, 5); CALL epoch_commit('goes on without')")
    repo("ALTER TABLE log DROP COLUMN noted; CALL epoch_commit('as it was')")
    repo("CALL epoch_checkout('HEAD~1'); CALL epoch_checkout('main')")
    assert (triggers(repo), repo.status()) == (["old AFTER INSERT"], [])


def test_a_duckdb_without_triggers_keeps_them_in_the_commit(
    make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    repo = make_repo(TABLES)
    store = str(tmp_path / "store")
    repo("CALL epoch_remote_add('origin', ?)", store)
    repo("CALL epoch_push()")
    other = make_repo(init=False)
    with monkeypatch.context() as patch:
        patch.setattr(ddl, "TRIGGERS", False)
        (warnings,) = other("SELECT warnings FROM epoch_clone(?)", store)[0]
        assert len(warnings) == 1 and warnings[0].startswith("trigger old on a cannot be made")
        assert "has no triggers, DuckDB 2.0 has" in warnings[0]
        assert other.status() == [("old on a", "unmade", 0, 0, 0)]
        other("INSERT INTO a VALUES (2, 2, 2); CALL epoch_commit('a row')")
        other("ALTER TABLE a RENAME TO b; CALL epoch_commit('renamed'); CALL epoch_push()")
        other("CALL epoch_checkout('HEAD~1'); CALL epoch_checkout('main')")
        assert triggers(other) == []
    repo("CALL epoch_pull()")
    assert triggers(repo) == ["old AFTER INSERT"]
    assert repo("SELECT table_name FROM duckdb_triggers()") == [("b",)] and repo("FROM log") == []


@pytest.mark.parametrize(
    "body", ["INSERT INTO log VALUES (1); COPY log TO 'x'", "COPY log TO 'x'", "SELECT 1", "INSERT INTO log VALUES ("]
)
def test_a_store_has_triggers_of_one_statement_that_changes_rows(body: str) -> None:
    fine = Trigger("t", "AFTER", "INSERT", "STATEMENT", "INSERT INTO log VALUES (1)")
    table = Table(ObjectName("main", "a"), (Column("i", "INTEGER", 1),), triggers=(fine,))
    with shut_in() as engine:
        (proved,) = take_apart(engine, [table])
        assert proved.texts[-1] == fine.body
        with pytest.raises(Refused, match="trigger t is not one statement"):
            take_apart(engine, [replace(table, triggers=(replace(fine, body=body),))])


HARMLESS = (
    "INSERT INTO log SELECT i FROM n",
    "INSERT INTO log (VALUES (1))",
    "INSERT INTO a.b.log SELECT count(*) FROM n WHERE (i IN (1, 2)) AND (CAST(i AS DECIMAL(10, 2)) > 1.5)",
    "UPDATE log SET i = nextval('q') WHERE name = 'a.csv'",
    "DELETE FROM log WHERE EXISTS (SELECT 1 FROM n)",
    "MERGE INTO log USING n ON (n.i = log.i) WHEN NOT MATCHED THEN INSERT VALUES (n.i)",
    "WITH q AS (SELECT 1 AS i) INSERT INTO log SELECT i, upper('x') FROM q",
)
HARMFUL = (
    "INSERT INTO log SELECT getenv('HOME')",
    "INSERT INTO log SELECT getenv /* */ ('HOME')",
    "INSERT INTO log FROM read_csv('x')",
    r"INSERT INTO log SELECT E'x\'' || getenv('HOME') || ''",
    "INSERT INTO log FROM 'x.csv'",
    "INSERT INTO log SELECT 1 FROM n, 'x.csv'",
    'INSERT INTO log SELECT 1 FROM n, "x.csv"',
    "INSERT INTO log FROM other.main.secret",
    "INSERT INTO log SELECT epoch_commit('x')",
    "INSERT INTO log FROM query('x')",
    "INSERT INTO log SELECT 1 FROM n JOIN '/etc/passwd' ON true",
)


@pytest.mark.parametrize(("body", "harmless"), [*((b, True) for b in HARMLESS), *((b, False) for b in HARMFUL)])
def test_triggers_that_look_out_of_the_database_are_not_trusted(body: str, harmless: bool) -> None:
    trigger = Trigger("t", "AFTER", "INSERT", "STATEMENT", body, new_table="n")
    table = Table(ObjectName("main", "a"), (Column("i", "INTEGER", 1),), triggers=(trigger,))
    with shut_in() as engine:
        parsed = take_apart(engine, [table])
    found = offences(parsed, Context((), lambda *name: name in {("main", "log"), ("a.b", "log")}, frozenset()))
    assert (found == {}) == harmless


def branches(make_repo: MakeRepo, base: str, ours: str, theirs: str) -> Repo:
    """A repository with changes on main, which is checked out, and on a branch theirs."""
    repo = make_repo(base)
    repo("CALL epoch_checkout('theirs', new_branch := true)")
    repo(f"{theirs}; CALL epoch_commit('theirs')")
    repo("CALL epoch_checkout('main')")
    repo(f"{ours}; CALL epoch_commit('ours')")
    return repo


def triggers(repo: Repo) -> list[str]:
    found = repo("SELECT trigger_name, action_timing, event_manipulation FROM duckdb_triggers() ORDER BY ALL")
    return [" ".join(row) for row in found]
