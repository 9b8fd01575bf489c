"""Views and macros that DuckDB keeps but would not make again: named at commit, left out, kept, and back when they can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from tests.conftest import Epoch, MakeRepo, Repo

pytestmark = pytest.mark.core


@dataclass(frozen=True)
class Case:
    """What makes an object stale, what it is called, and what makes what it needs come back."""

    makes: str
    name: str
    mends: str
    removes: str = ""
    besides: tuple[str, ...] = field(default=())


CASES = {
    "a column is renamed under a view": Case(
        "CREATE VIEW x AS SELECT v FROM t; ALTER TABLE t RENAME COLUMN v TO w", "x", "ALTER TABLE t RENAME COLUMN w TO v"
    ),
    "a table is dropped under a view": Case("CREATE TABLE a (i INTEGER); CREATE VIEW x AS FROM a; DROP TABLE a", "x", "CREATE TABLE a (i INTEGER)"),
    "a view over a view that is stale": Case(
        "CREATE TABLE a (i INTEGER); CREATE VIEW y AS FROM a; CREATE VIEW x AS FROM y; DROP TABLE a", "x", "CREATE TABLE a (i INTEGER)", besides=("y",)
    ),
    "a macro over a dropped table": Case(
        "CREATE TABLE a (i INTEGER); CREATE MACRO x() AS (SELECT max(i) FROM a); DROP TABLE a", "x", "CREATE TABLE a (i INTEGER)"
    ),
    "a table macro over a dropped table": Case(
        "CREATE TABLE a (i INTEGER); CREATE MACRO x(n) AS TABLE SELECT * FROM a LIMIT n; DROP TABLE a", "x", "CREATE TABLE a (i INTEGER)"
    ),
    "a view over a macro over a dropped table": Case(
        "CREATE TABLE a (i INTEGER); CREATE MACRO y() AS (SELECT max(i) FROM a); CREATE VIEW x AS SELECT y() AS m; DROP TABLE a",
        "x", "CREATE TABLE a (i INTEGER)", besides=("y",),
    ),
    "a view in a schema": Case(
        "CREATE SCHEMA s; CREATE TABLE s.a (i INTEGER); CREATE VIEW s.x AS FROM a; DROP TABLE s.a", "s.x", "CREATE TABLE s.a (i INTEGER)"
    ),
    "a view over a macro that is gone": Case("CREATE MACRO f() AS 1; CREATE VIEW x AS SELECT f() AS i; DROP MACRO f", "x", "CREATE MACRO f() AS 1"),
    "a view over a type that is gone": Case(
        "CREATE TYPE e AS ENUM ('a'); CREATE VIEW x AS SELECT CAST('a' AS e) AS i; DROP TYPE e", "x", "CREATE TYPE e AS ENUM ('a')"
    ),
    "a view over a sequence that is gone": Case("CREATE SEQUENCE q; CREATE VIEW x AS SELECT nextval('q') AS i; DROP SEQUENCE q", "x", "CREATE SEQUENCE q"),
    "a view over a file that is gone": Case(
        "COPY (SELECT 1 AS a) TO '{folder}/f.csv'; CREATE VIEW x AS FROM read_csv('{folder}/f.csv')", "x",
        "COPY (SELECT 1 AS a) TO '{folder}/f.csv'", removes="f.csv",
    ),
    "a view over a database that is gone": Case(
        "ATTACH ':memory:' AS mem; CREATE TABLE mem.a (i INTEGER); CREATE VIEW x AS FROM mem.a; DETACH mem", "x", "ATTACH ':memory:' AS mem; CREATE TABLE mem.a (i INTEGER)"
    ),
}  # fmt: skip


def made(repo: Repo, name: str) -> bool:
    schema, _, own = ("main." + name).rpartition(".")[0].rpartition(".")[2], "", name.rpartition(".")[2]
    return bool(
        repo.one(
            "SELECT count(*) FROM (SELECT schema_name, view_name AS n FROM duckdb_views() UNION ALL SELECT schema_name, function_name FROM duckdb_functions())"
            " WHERE schema_name = ? AND n = ?",
            schema,
            own,
        )
    )


def unmade(repo: Repo) -> list[str]:
    return sorted(name for name, change, *_ in repo.status() if change == "unmade")


def start(make_repo: MakeRepo, case: Case) -> tuple[Repo, list[str], str]:
    """A repository at a commit with the stale object on branch main; the warnings of that commit."""
    repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR)")
    folder = str(repo.path.parent)
    repo(case.makes.replace("{folder}", folder))
    if case.removes:
        (repo.path.parent / case.removes).unlink()
    told = repo.refused("CALL epoch_commit('x', strict := true)")
    assert "EpochTableError: these could not be made again: " in told
    assert f" {case.name}: " in told
    return repo, repo.one("SELECT warnings FROM epoch_commit('x')"), case.mends.replace("{folder}", folder)


@pytest.mark.grid(every=15)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
@pytest.mark.older
def test_a_stale_object_is_named_left_out_kept_and_back(name: str, make_repo: MakeRepo, tmp_path: Path) -> None:
    case = CASES[name]
    repo, warnings, mends = start(make_repo, case)
    expected = sorted([case.name, *case.besides])
    for one in expected:
        assert any(f" {one} cannot be made again, so a checkout or clone will be without it: " in w for w in warnings)
    assert len(warnings) == len(expected)
    tree = repo.tree()

    # Away and back: it is left out, said so, and no change.
    assert repo.one("SELECT warnings FROM epoch_checkout('HEAD~1')") == []
    assert unmade(repo) == []
    (back,) = repo("SELECT warnings FROM epoch_checkout('main')")[0]
    assert [any(f" {one} cannot be made, so it is left out here" in w for w in back) for one in expected] == [
        True
    ] * len(expected)
    assert [made(repo, one) for one in expected] == [False] * len(expected)
    assert repo("SELECT table_name, change FROM epoch_status()") == [(one, "unmade") for one in expected]

    # What is committed, stashed, reset, merged and reverted besides keeps it.
    repo("INSERT INTO t VALUES (1, 'one')")
    repo("CALL epoch_stash()")
    repo("CALL epoch_stash_pop()")
    assert unmade(repo) == expected
    repo("CREATE TABLE more (i INTEGER)")
    assert repo.one("SELECT warnings FROM epoch_commit('more')") == []
    assert repo("SELECT table_name FROM epoch_diff_summary('HEAD~1', 'HEAD') ORDER BY 1") == [("more",), ("t",)]
    assert repo.one("SELECT warnings FROM epoch_reset('HEAD~1', hard := true)") == []
    assert repo.tree() == tree
    repo("CALL epoch_checkout('side', new_branch := true)")
    repo("INSERT INTO t VALUES (2, 'two')")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_merge('side')")
    assert repo("SELECT table_name FROM epoch_diff_summary('HEAD^1', 'HEAD')") == [("t",)]
    repo("CALL epoch_revert('HEAD')")
    assert repo.tree() == tree
    assert unmade(repo) == expected

    # A clone goes on without it too, and has the same commit.
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push()")
    with epoch_sql.connect(tmp_path / "clone.duckdb") as other:
        ((told,),) = other.execute("SELECT warnings FROM epoch_clone(?)", [str(tmp_path / "store")]).fetchall()
        assert len(told) >= len(expected)
        other.execute("CALL epoch_remote_trust('origin')")
        left_out = other.execute("SELECT table_name, change FROM epoch_status()").fetchall()
        assert left_out == [(one, "unmade") for one in expected]
        (head,) = other.execute("SELECT tree_id FROM epoch.commits JOIN epoch_head() USING (commit_id)").fetchall()
        assert head == (tree,)

    # What it needs is there again: the next checkout has it.
    repo(mends)
    repo("CALL epoch_commit('mended', allow_empty := true)")
    repo("CALL epoch_checkout('main')")
    assert [made(repo, one) for one in expected] == [True] * len(expected)
    assert repo.status() == []


def test_what_is_made_in_its_place_replaces_it(make_repo: MakeRepo) -> None:
    repo, _, _ = start(make_repo, CASES["a table is dropped under a view"])
    repo("CALL epoch_checkout('HEAD~1'); CALL epoch_checkout('main')")
    repo("CREATE VIEW X AS SELECT 1 AS i")
    assert repo("SELECT table_name, change FROM epoch_status() ORDER BY ALL") == [("X", "added"), ("x", "removed")]
    repo.commit()
    assert repo.status() == []
    repo("DROP VIEW X")
    assert repo("SELECT table_name, change FROM epoch_status()") == [("X", "removed")]
    repo.commit()
    assert repo.status() == []
    assert repo("SELECT count(*) FROM epoch.unmade") == [(0,)]


def test_a_soft_reset_takes_it_along(make_repo: MakeRepo) -> None:
    repo, _, _ = start(make_repo, CASES["a macro over a dropped table"])
    repo("CALL epoch_checkout('HEAD~1'); CALL epoch_checkout('main')")
    tree = repo.tree()
    repo("CALL epoch_reset('HEAD~1')")
    assert ("x", "added") in repo("SELECT table_name, change FROM epoch_status()")
    repo.commit()
    assert repo.tree() == tree


def test_a_view_over_what_is_ignored_is_named(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER)")
    repo("CALL epoch_ignore('scratch*')")
    repo(
        "CREATE TABLE scratch (i INTEGER); CREATE VIEW x AS FROM scratch; CREATE VIEW fine AS SELECT i AS scratch FROM t"
    )
    assert repo.one("SELECT warnings FROM epoch_commit('x')") == [
        "view x cannot be made again, so a checkout or clone will be without it: it reads scratch, which is ignored"
    ]
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push()")
    with epoch_sql.connect(tmp_path / "clone.duckdb") as other:
        other.execute("CALL epoch_clone(?)", [str(tmp_path / "store")])
        other.execute("CALL epoch_remote_trust('origin')")
        assert other.execute("SELECT table_name, change FROM epoch_status()").fetchall() == [("x", "unmade")]
        other.execute("CREATE TABLE scratch (i INTEGER)")
        other.execute("CALL epoch_ignore('scratch*')")
        other.execute("CALL epoch_checkout('main')")
        assert other.execute("FROM x").fetchall() == []
        assert other.execute("FROM epoch_status()").fetchall() == []


def test_views_over_the_history_come_with_a_clone(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)")
    repo("CALL epoch_tag('v1')")
    repo("CREATE VIEW was AS FROM epoch_at('v1', 't'); CREATE VIEW told AS SELECT message FROM epoch_log(); CREATE VIEW asked AS FROM epoch_query('v1', 'FROM t');"
         "CREATE VIEW over AS FROM was; CREATE MACRO then_(r) AS TABLE FROM epoch_at('v1', 't')")  # fmt: skip
    assert repo.one("SELECT warnings FROM epoch_commit('x')") == []
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push(tags := true)")
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo.one("SELECT warnings FROM epoch_checkout('main')") == []
    with epoch_sql.connect(tmp_path / "clone.duckdb") as other:
        ((told,),) = other.execute("SELECT warnings FROM epoch_clone(?)", [str(tmp_path / "store")]).fetchall()
        assert [text.partition(" (")[0] for text in told[:-1]] == ["view asked"]  # what runs a text asks for trust
        assert other.execute("SELECT warnings FROM epoch_remote_trust('origin')").fetchall() == [([],)]
        for view in ("was", "asked", "over", "then_(1)"):
            assert other.execute(f"FROM {view}").fetchall() == [(1,)]
        assert other.execute("FROM epoch_status()").fetchall() == []
    # A program without Epoch cannot read them, and harms nothing.
    repo.close()
    with duckdb.connect(str(repo.path)) as plain:
        with pytest.raises(duckdb.Error):
            plain.execute("FROM was")
        plain.execute("INSERT INTO t VALUES (2)")
    repo.con = epoch_sql.connect(repo.path)
    assert repo.status() == [("t", "modified", 1, 0, 0)]


def test_a_commit_of_rows_looks_at_no_view(make_repo: MakeRepo) -> None:
    """Only what a commit changes, and what depends on it, is asked for: rows change most often."""
    repo, _, _ = start(make_repo, CASES["a table is dropped under a view"])
    repo("INSERT INTO t VALUES (1, 'one')")
    assert repo.one("SELECT warnings FROM epoch_commit('rows')") == []
    repo("CREATE TABLE b (i INTEGER); CREATE VIEW fine AS FROM b")
    assert repo.one("SELECT warnings FROM epoch_commit('another')") == []
    repo("DROP TABLE b")
    (warnings,) = repo("SELECT warnings FROM epoch_commit('gone')")[0]
    assert [w.partition(" cannot")[0] for w in warnings] == ["view fine"]


def test_on_the_command_line(make_repo: MakeRepo, epoch: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER); CREATE TABLE a (i INTEGER)")
    repo("CREATE VIEW x AS FROM a; DROP TABLE a; INSERT INTO t VALUES (1)")
    repo.close()
    monkeypatch.chdir(repo.path.parent)
    assert "view x: " in epoch("commit", "-m", "x", "--strict", code=1).err
    assert "warning: view x cannot be made again" in epoch("commit", "-m", "x").err
    steps = epoch("checkout", "HEAD~1", "--dry-run", "--json").json
    assert [(s["action"], s["kind"], s["name"], s["row_count"]) for s in steps] == [
        ("drop", "view", "x", None),
        ("create", "table", "a", None),
        ("delete", "rows", "t", 1),
    ]
    epoch("checkout", "HEAD~1")
    assert "insert  1 rows  t" in epoch("reset", "--hard", "main", "--dry-run").out
    assert (
        "warning: view x cannot be made, so it is left out here and kept in the commit" in epoch("checkout", "main").err
    )
    assert epoch("status").out.splitlines()[-2:] == [
        "Left out here, since DuckDB cannot make it (a commit keeps it):",
        "  x",
    ]
    repo.con = epoch_sql.connect(repo.path)
