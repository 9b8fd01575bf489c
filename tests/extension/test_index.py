"""The index of verbs agrees with the verbs, and what it calls plain gives the rows that its function in SQL gives."""

from __future__ import annotations

import ast
import subprocess
import sys

import duckdb
import pytest

from epoch_sql.extension.index import ACTING, MODULES, PLAIN, verb_named
from epoch_sql.extension.reading import read, session_to_read
from epoch_sql.extension.surface import PROCEDURES, VERBS
from tests.conftest import MakeRepo


def test_the_index_is_that_of_the_verbs() -> None:
    assert {verb.name: verb.function.__module__ for verb in VERBS} == MODULES
    assert {name for name, procedure in PROCEDURES.items() if procedure.has_effects} == ACTING
    assert all(verb_named(verb.name) is verb for verb in VERBS)
    assert not PLAIN.keys() & ACTING


@pytest.mark.core
def test_plain_verbs_give_what_sql_gives(make_repo: MakeRepo) -> None:
    """Also where a view reads the past through the functions, which are not there then."""
    repo = make_repo("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10)")
    for statement in (
        "CREATE MACRO newest() AS TABLE FROM epoch_at('main', 'orders')",
        "CREATE VIEW past AS FROM newest()",
        "COMMENT ON COLUMN past.amount IS 'as committed'",
        "CALL epoch_commit('A view of the past')",
        "CALL epoch_tag('v1', message := 'one')",
        "CALL epoch_checkout('dev', new_branch := true)",
        "UPDATE orders SET amount = 11 WHERE id = 1",
        "CALL epoch_stash('later')",
        "UPDATE orders SET amount = 12 WHERE id = 1",
        "CALL epoch_commit('Theirs')",
        "CALL epoch_checkout('main')",
        "UPDATE orders SET amount = 13 WHERE id = 1",
        "CALL epoch_commit('Ours')",
        "CALL epoch_protect('main', no_force_push := true)",
        "CREATE TABLE more AS SELECT 1 AS a",
    ):
        repo(statement)
    assert "EpochConflict" in repo.refused("CALL epoch_merge('dev', target := 'main')")
    given = {"epoch_merge_base": {"a": "main", "b": "dev"}, "epoch_log": {"ref": "dev", "max_count": 2}}
    expected = {}
    for name in PLAIN:
        arguments = ", ".join(f"{key} := {value!r}" for key, value in given.get(name, {}).items())
        found = repo.con.sql(f"FROM {name}({arguments})")
        expected[name] = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    assert [change["table_name"] for change in expected["epoch_status"]] == ["more"]
    assert [name for name, rows in expected.items() if not rows] == ["epoch_violations"]
    repo.close()
    with duckdb.connect(str(repo.path)) as con:
        session = session_to_read(con, {})
        assert session
        assert {name: read(session, name, given.get(name, {})) for name in PLAIN} == expected
        with pytest.raises(duckdb.CatalogException):
            con.execute("FROM past")


INSTALL = """
import sys, duckdb, epoch_sql
con = duckdb.connect(sys.argv[1])
epoch_sql.install(con)
loaded = [{name for name in sys.modules if name.startswith("epoch_sql")}]
for statement in ("FROM epoch_branches()", "FROM epoch_status()", "CALL epoch_commit('x', allow_empty := true)"):
    con.execute(statement)
    loaded.append({name for name in sys.modules if name.startswith("epoch_sql")})
print([sorted(names) for names in loaded])
"""


def test_a_verb_is_loaded_when_it_is_first_called(make_repo: MakeRepo) -> None:
    """To load them all takes three times as long as all else that opening a database needs."""
    repo = make_repo("CREATE TABLE orders (id INTEGER)")
    repo.close()
    ran = subprocess.run([sys.executable, "-c", INSTALL, str(repo.path)], capture_output=True, text=True, check=True)
    installed, *later = (set(names) for names in ast.literal_eval(ran.stdout))
    verbs = {*MODULES.values(), "epoch_sql.library", "epoch_sql.merge.engine", "epoch_sql.linked.syncing"}
    assert not installed & verbs and len(installed) < 70
    assert later[0] - installed == {"epoch_sql.history", "epoch_sql.history.listing", "epoch_sql.catalog.merging"}
    assert later[1] & {*MODULES.values()} == {"epoch_sql.history.listing", "epoch_sql.verbs.worktree_state"}
    assert "epoch_sql.verbs.committing" in later[2] and not later[2] & {"epoch_sql.library", "epoch_sql.remote.verbs"}
