"""Violations are settled in bulk, by side: all, of a table, of a constraint or of a row; and what was settled is counted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.conftest import Epoch, MakeRepo, Repo

pytestmark = pytest.mark.core


@dataclass(frozen=True)
class Case:
    """What both sides do to a base, and what a query gives after everything was settled by either side."""

    base: str
    ours: str
    theirs: str
    violations: int
    query: str
    by_ours: list[tuple[object, ...]]
    by_theirs: list[tuple[object, ...]]


PARENTS = "CREATE TABLE p (id INTEGER PRIMARY KEY, n VARCHAR); INSERT INTO p VALUES (1, 'one'), (2, 'two');"
CHILDREN = "CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id));"
FAMILY = "SELECT (SELECT list(id ORDER BY id) FROM p), (SELECT list(id ORDER BY id) FROM c)"
CASES = {
    "unique": Case(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, u INTEGER UNIQUE)",
        "INSERT INTO t SELECT i + 1000, i FROM range(100) AS r(i); INSERT INTO t VALUES (-1, -1)",
        "INSERT INTO t SELECT i, i FROM range(100) AS r(i); INSERT INTO t VALUES (-2, -2)",
        200,
        "SELECT count(*), min(k), max(k), count(*) FILTER (k < 0) FROM t",
        [(102, -2, 1099, 2)],
        [(102, -2, 99, 2)],
    ),
    "unique index of an expression": Case(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, u VARCHAR); CREATE UNIQUE INDEX of_u ON t (lower(u))",
        "INSERT INTO t VALUES (1, 'A'), (11, 'own')",
        "INSERT INTO t VALUES (2, 'a'), (22, 'other')",
        2,
        "SELECT k FROM t ORDER BY k",
        [(1,), (11,), (22,)],
        [(2,), (11,), (22,)],
    ),
    "unique, without a key": Case(
        "CREATE TABLE t (u INTEGER UNIQUE, v VARCHAR)",
        "INSERT INTO t VALUES (1, 'ours'), (11, 'own')",
        "INSERT INTO t VALUES (1, 'theirs'), (22, 'other')",
        2,
        "SELECT u, v FROM t ORDER BY u",
        [(1, "ours"), (11, "own"), (22, "other")],
        [(1, "theirs"), (11, "own"), (22, "other")],
    ),
    "not null of theirs": Case(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (0, 'base')",
        "INSERT INTO t VALUES (1, NULL), (2, NULL), (11, 'own')",
        "ALTER TABLE t ALTER v SET NOT NULL; INSERT INTO t VALUES (22, 'other')",
        2,
        "SELECT k FROM t ORDER BY k",
        [(0,), (1,), (2,), (11,), (22,)],
        [(0,), (11,), (22,)],
    ),
    "not null of ours": Case(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (0, 'base')",
        "ALTER TABLE t ALTER v SET NOT NULL; INSERT INTO t VALUES (11, 'own')",
        "INSERT INTO t VALUES (1, NULL), (2, NULL), (22, 'other')",
        2,
        "SELECT k FROM t ORDER BY k",
        [(0,), (11,), (22,)],
        [(0,), (1,), (2,), (11,), (22,)],
    ),
    "check of two columns": Case(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, a INTEGER, b INTEGER, CHECK (a + b < 10)); "
        "INSERT INTO t VALUES (1, 1, 1), (2, 1, 1), (3, 1, 1)",
        "UPDATE t SET a = 8 WHERE k < 3",
        "UPDATE t SET b = 7 WHERE k IN (1, 2, 3)",
        2,
        "FROM t ORDER BY k",
        [(1, 8, 1), (2, 8, 1), (3, 1, 7)],
        [(1, 1, 7), (2, 1, 7), (3, 1, 7)],
    ),
    "child of theirs, parent removed by ours": Case(
        PARENTS + CHILDREN,
        "DELETE FROM p WHERE id = 1; INSERT INTO p VALUES (3, 'own')",
        "INSERT INTO c VALUES (10, 1), (20, 1), (30, 2)",
        2,
        FAMILY,
        [([2, 3], [30])],
        [([1, 2, 3], [10, 20, 30])],
    ),
    "child of ours, parent removed by theirs": Case(
        PARENTS + CHILDREN,
        "INSERT INTO c VALUES (10, 1), (20, 1), (30, 2)",
        "DELETE FROM p WHERE id = 1; INSERT INTO p VALUES (3, 'other')",
        2,
        FAMILY,
        [([1, 2, 3], [10, 20, 30])],
        [([2, 3], [30])],
    ),
    "a parent and its own parent": Case(
        "CREATE TABLE g (id INTEGER PRIMARY KEY); INSERT INTO g VALUES (7);"
        "CREATE TABLE p (id INTEGER PRIMARY KEY, g_id INTEGER REFERENCES g (id)); INSERT INTO p VALUES (1, 7);"
        + CHILDREN,
        "DELETE FROM p",
        "INSERT INTO c VALUES (10, 1)",
        1,
        FAMILY,
        [(None, None)],
        [([1], [10])],
    ),
    "a view over a dropped column": Case(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, v VARCHAR, w VARCHAR)",
        "CREATE VIEW seen AS SELECT k, v FROM t; INSERT INTO t VALUES (11, 'own', 'w')",
        "ALTER TABLE t DROP COLUMN v; INSERT INTO t VALUES (22, 'other')",
        1,
        "SELECT (SELECT list(k ORDER BY k) FROM t), (SELECT count(*) FROM duckdb_views() WHERE view_name = 'seen')",
        [([11, 22], 1)],
        [([11, 22], 0)],
    ),
    "a child of a dropped table": Case(
        PARENTS + "CREATE TABLE t (i INTEGER)",
        CHILDREN + "INSERT INTO c VALUES (10, 1)",
        "DROP TABLE p; INSERT INTO t VALUES (22)",
        1,
        "SELECT (SELECT count(*) FROM t), (SELECT list(table_name ORDER BY table_name) FROM duckdb_tables() "
        "WHERE table_name IN ('p', 'c'))",
        [(1, ["c", "p"])],
        [(1, None)],
    ),
}


def stopped(make_repo: MakeRepo, case: Case) -> Repo:
    """A repository whose merge of theirs into ours has stopped."""
    repo = make_repo(case.base)
    repo("CALL epoch_checkout('theirs', new_branch := true)")
    repo(case.theirs)
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo(case.ours)
    repo.commit()
    told = repo.refused("CALL epoch_merge('theirs')")
    assert "EpochConflict" in told
    assert len(repo("FROM epoch_violations()")) == case.violations
    return repo


@pytest.mark.grid(every=8)
@pytest.mark.parametrize("side", ["ours", "theirs"])
@pytest.mark.parametrize("name", CASES)
def test_all_are_settled_by_side(make_repo: MakeRepo, name: str, side: str) -> None:
    case = CASES[name]
    repo = stopped(make_repo, case)
    ((resolved, remaining),) = repo("CALL epoch_resolve(side := ?)", side)
    assert (resolved, remaining) == (case.violations, 0)
    repo("CALL epoch_merge_continue()")
    assert repo(case.query) == (case.by_ours if side == "ours" else case.by_theirs)
    assert repo.status() == []


@pytest.mark.grid(every=15)
@pytest.mark.parametrize("sides", [("theirs", "ours"), ("ours", "theirs"), ("theirs", "ours", "theirs")])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_what_was_settled_is_settled_again(make_repo: MakeRepo, name: str, sides: tuple[str, ...]) -> None:
    case = CASES[name]
    repo = stopped(make_repo, case)
    for side in sides:
        assert repo("CALL epoch_resolve(side := ?)", side)[0][1] == 0
    repo("CALL epoch_merge_continue()")
    assert repo(case.query) == (case.by_ours if sides[-1] == "ours" else case.by_theirs)


TWO = Case(
    "CREATE TABLE t (k INTEGER PRIMARY KEY, u INTEGER UNIQUE, w INTEGER UNIQUE); "
    "CREATE TABLE other (k INTEGER PRIMARY KEY, u INTEGER UNIQUE); CREATE TABLE cells (k INTEGER PRIMARY KEY, v INTEGER); "
    "INSERT INTO cells VALUES (1, 1)",
    "INSERT INTO t VALUES (1, 1, 10), (2, 2, 20); INSERT INTO other VALUES (1, 1); UPDATE cells SET v = 2",
    "INSERT INTO t VALUES (101, 1, 11), (102, 22, 20); INSERT INTO other VALUES (101, 1); UPDATE cells SET v = 3",
    6,
    "SELECT (SELECT list(k ORDER BY k) FROM t), (SELECT list(k) FROM other), (SELECT v FROM cells)",
    [([1, 2], [1], 2)],
    [([101, 102], [101], 3)],
)


class TestScope:
    def test_a_table(self, make_repo: MakeRepo) -> None:
        repo = stopped(make_repo, TWO)
        assert repo("CALL epoch_resolve(table_name := 'OTHER', side := 'theirs')") == [(2, 5)]
        assert repo("CALL epoch_resolve(table_name := 't', side := 'ours')") == [(4, 1)]
        assert repo("CALL epoch_resolve(table_name := 'cells', side := 'base')") == [(1, 0)]
        repo("CALL epoch_merge_continue()")
        assert repo(TWO.query) == [([1, 2], [101], 1)]

    @pytest.mark.slow
    def test_a_constraint(self, make_repo: MakeRepo) -> None:
        repo = stopped(make_repo, TWO)
        assert repo("CALL epoch_resolve(constraint_name := 't_u_key', side := 'ours')") == [(2, 5)]
        assert repo("CALL epoch_resolve(table_name := 't', constraint_name := 't_w_key', side := 'theirs')") == [(2, 3)]
        assert "nothing violates constraint t_w_key" in repo.refused(
            "CALL epoch_resolve(constraint_name := 't_w_key', side := 'ours')"
        )
        assert repo("SELECT count(*) FROM epoch_conflicts() WHERE NOT resolved") == [(1,)]
        repo("CALL epoch_resolve(side := 'theirs')")
        repo("CALL epoch_merge_continue()")
        assert repo(TWO.query) == TWO.by_theirs

    def test_everything_with_conflicts(self, make_repo: MakeRepo) -> None:
        repo = stopped(make_repo, TWO)
        assert repo("CALL epoch_resolve(side := 'ours')") == [(7, 0)]
        repo("CALL epoch_merge_continue()")
        assert repo(TWO.query) == TWO.by_ours

    def test_a_row_with_what_it_refers_to(self, make_repo: MakeRepo) -> None:
        repo = stopped(make_repo, CASES["child of theirs, parent removed by ours"])
        assert repo("CALL epoch_resolve(table_name := 'c', key := '10', side := 'theirs')") == [(2, 0)]
        repo("CALL epoch_merge_continue()")
        assert repo(FAMILY) == [([1, 2, 3], [10, 20, 30])]

    def test_what_does_not_violate_is_refused(self, make_repo: MakeRepo) -> None:
        repo = stopped(make_repo, CASES["unique"])
        assert "there is no table" in repo.refused("CALL epoch_resolve(table_name := 'no', side := 'ours')")
        assert "resolved by a side" in repo.refused(
            "CALL epoch_resolve(table_name := 't', constraint_name := 'x', key := '1', column_name := 'u', value := '1')"
        )
        repo("CALL epoch_merge_abort()")
        assert len(repo("FROM t")) == 101


class TestConsequences:
    """What a row needs comes with the decision for it, and goes when that is changed."""

    @pytest.mark.grid(every=3)
    @pytest.mark.parametrize("first", [{"table_name": "c", "key": "10"}, {"table_name": "c"}, {}])
    @pytest.mark.parametrize(
        ("name", "needing"),
        [("child of theirs, parent removed by ours", "theirs"), ("child of ours, parent removed by theirs", "ours")],
    )
    def test_of_a_row(self, make_repo: MakeRepo, name: str, needing: str, first: dict[str, str]) -> None:
        case = CASES[name]
        repo = stopped(make_repo, case)
        other = {"theirs": "ours", "ours": "theirs"}[needing]
        assert decide(repo, needing, **first)[1] == 0
        # Two rows need the parent: as long as one of them does, it stays.
        decide(repo, other, table_name="c", key="10")
        decide(repo, needing, table_name="c", key="20")
        decide(repo, other, table_name="c", key="10")
        assert repo("FROM epoch_violations()") == []
        decide(repo, other, table_name="c", key="20")
        assert repo("FROM epoch_violations()") == []
        repo("CALL epoch_merge_continue()")
        assert repo(FAMILY) == [([2, 3], [30])]

    @pytest.mark.grid(every=3)
    @pytest.mark.parametrize("scope", [{"table_name": "c"}, {"table_name": "c", "key": "10"}, {}])
    @pytest.mark.slow
    def test_of_a_row_at_any_depth(self, make_repo: MakeRepo, scope: dict[str, str]) -> None:
        base = (
            "CREATE TABLE g (id INTEGER PRIMARY KEY); INSERT INTO g VALUES (7);"
            "CREATE TABLE p (id INTEGER PRIMARY KEY, g_id INTEGER REFERENCES g (id)); INSERT INTO p VALUES (1, 7);"
        )
        repo = make_repo(base + CHILDREN)
        repo("CALL epoch_checkout('theirs', new_branch := true)")
        repo("INSERT INTO c VALUES (10, 1)")
        repo.commit()
        repo("CALL epoch_checkout('main')")
        repo("DELETE FROM p")
        repo.commit()
        repo("DELETE FROM g")
        repo.commit()
        repo.refused("CALL epoch_merge('theirs')")
        for side in ("theirs", "ours", "theirs", "ours"):
            assert decide(repo, side, **(scope if side == "ours" else {}))[1] == 0
        repo("CALL epoch_merge_continue()")
        assert repo("SELECT (SELECT count(*) FROM g), (SELECT count(*) FROM p), (SELECT count(*) FROM c)") == [
            (0, 0, 0)
        ]

    @pytest.mark.parametrize("column", ["n", "p_id"])
    @pytest.mark.slow
    @pytest.mark.older
    def test_of_a_row_of_which_a_cell_is_decided(self, make_repo: MakeRepo, column: str) -> None:
        base = PARENTS + "CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id), n INTEGER)"
        repo = stopped(
            make_repo,
            Case(base, "DELETE FROM p WHERE id = 1", "INSERT INTO c VALUES (10, 1, 0)", 1, FAMILY, [], []),
        )
        decide(repo, "theirs", table_name="c", key="10")
        repo("CALL epoch_resolve(table_name := 'c', key := '10', column_name := ?, value := '2')", column)
        assert repo("FROM epoch_violations()") == []
        repo("CALL epoch_merge_continue()")
        assert repo("FROM c") == [(10, 1, 2) if column == "n" else (10, 2, 0)]
        assert repo("SELECT id FROM p ORDER BY id") == ([(1,), (2,)] if column == "n" else [(2,)])

    @pytest.mark.slow
    def test_of_a_constraint(self, make_repo: MakeRepo) -> None:
        base = PARENTS + (
            "CREATE TABLE q (id INTEGER PRIMARY KEY); INSERT INTO q VALUES (1);"
            "CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id), q_id INTEGER REFERENCES q (id))"
        )
        theirs = "INSERT INTO c VALUES (10, 1, NULL), (20, NULL, 1)"
        repo = stopped(make_repo, Case(base, "DELETE FROM p WHERE id = 1; DELETE FROM q", theirs, 2, FAMILY, [], []))
        decide(repo, "theirs")
        # What is said of one row takes nothing from another one.
        decide(repo, "ours", table_name="c", key="10")
        assert repo("FROM epoch_violations()") == []
        repo("CALL epoch_merge_continue()")
        assert repo("SELECT (SELECT list(id) FROM p), (SELECT list(id) FROM q), (SELECT list(id) FROM c)") == [
            ([2], [1], [20])
        ]

    def test_of_a_definition(self, make_repo: MakeRepo) -> None:
        repo = stopped(make_repo, CASES["a child of a dropped table"])
        assert decide(repo, "ours")[1] == 0
        assert decide(repo, "theirs", table_name="c")[1] == 0
        repo("CALL epoch_merge_continue()")
        assert repo(CASES["a child of a dropped table"].query) == [(1, None)]

    def test_a_decision_for_what_follows_counts_until_what_it_follows_from_is_decided_again(
        self, make_repo: MakeRepo
    ) -> None:
        repo = stopped(make_repo, CASES["child of theirs, parent removed by ours"])
        decide(repo, "theirs")
        assert decide(repo, "ours", table_name="p", key="1")[1] == 2
        assert decide(repo, "theirs", table_name="c")[1] == 0
        assert decide(repo, "ours", table_name="c")[1] == 0
        repo("CALL epoch_merge_continue()")
        assert repo(FAMILY) == [([2, 3], [30])]


def decide(repo: Repo, side: str, **place: str) -> tuple[object, ...]:
    """Resolve a place to a side: what was resolved, and what is left."""
    arguments = "".join(f", {name} := '{value}'" for name, value in place.items())
    return repo(f"CALL epoch_resolve(side := '{side}'{arguments})")[0]


@pytest.mark.slow
def test_the_hints_of_the_command_line_lead_out(make_repo: MakeRepo, epoch: Epoch) -> None:
    repo = stopped(make_repo, TWO)
    repo("CALL epoch_merge_abort()")
    repo.con.close()
    folder = repo.path.parent.name
    err = epoch("merge", "theirs", code=3, folder=folder).err
    assert "1 conflict and 6 violations" in err
    assert "epoch conflicts resolve --theirs" in err
    assert epoch("conflicts", "resolve", "t", "--constraint", "t_u_key", "--ours", folder=folder).err.startswith(
        "Resolved 2 violations, 1 conflict and 4 violations left\n"
    )
    assert epoch("conflicts", "resolve", "--theirs", folder=folder).err.startswith(
        "Resolved 1 conflict and 4 violations, nothing left\nhint: epoch merge --continue"
    )
    epoch("merge", "--continue", folder=folder)
    epoch("conflicts", "resolve", "t", "--constraint", "x", "--value", "1", code=2, folder=folder)
