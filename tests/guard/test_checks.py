"""Checks: queries that must return no row, on what a merge makes before anybody sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import MakeRepo, Repo

NEGATIVE = "SELECT * FROM orders WHERE amount < 0"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """Branches `good` and `bad` have a commit more than main; in `bad`, four amounts are negative."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        repo = Repo(tmp_path_factory.mktemp("checks") / "shop.duckdb")
        repo("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER)")
        repo("INSERT INTO orders SELECT range, 10 FROM range(1, 6)")
        repo("CREATE VIEW large AS SELECT * FROM orders WHERE amount > 5; CREATE SEQUENCE numbers")
        repo("CALL epoch_init()")
        for branch, amount in (("good", 11), ("bad", -1)):
            repo("CALL epoch_checkout('main')")
            repo("CALL epoch_checkout(?, new_branch := true)", branch)
            repo("UPDATE orders SET amount = ? WHERE id < 5", amount)
            repo.commit(branch)
        repo("CALL epoch_checkout('main')")
        yield repo
        repo.close()


@pytest.fixture
def repo(shared: Repo) -> Iterator[Repo]:
    """The repository without checks and with a branch `production`, from main."""
    shared("CALL epoch_checkout('main', force := true)")
    shared("CALL epoch_branch('production')")
    yield shared
    shared("CALL epoch_checkout('main', force := true)")
    shared("CALL epoch_branch_delete('production', force := true)")
    for (name,) in shared("SELECT name FROM epoch_checks()"):
        shared("CALL epoch_check_remove(?)", name)


def add(repo: Repo, sql: str = NEGATIVE, name: str = "negative", branch: str = "*") -> None:
    repo("CALL epoch_check_add(?, ?, branch := ?)", name, sql, branch)


def everything(repo: Repo) -> list[object]:
    """What a refused merge must leave as it was."""
    return [
        repo("FROM epoch_branches()"),
        repo("FROM epoch_merges()"),
        repo("FROM epoch_status()"),
        repo("FROM orders ORDER BY ALL"),
        repo("SELECT count(*) FROM epoch.commits"),
    ]


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("options", ["", ", ff := true", ", squash := true", ", strategy := 'theirs'"])
@pytest.mark.parametrize("checked_out", [True, False])
def test_a_failing_check_stops_the_merge_and_leaves_nothing_behind(repo: Repo, options: str, checked_out: bool) -> None:
    add(repo)
    if checked_out:
        repo("CALL epoch_checkout('production')")
    before = everything(repo)
    told = repo.refused(f"CALL epoch_merge('bad', target := 'production'{options})")
    assert "EpochCheckError: check negative fails on the merge of bad into production, 4 rows: " in told
    assert '{"id":1,"amount":-1}, {"id":2,"amount":-1}, {"id":3,"amount":-1}, …' in told
    assert "(hint: correct it in bad, or see all checks of it: FROM epoch_check_run('bad'))" in told
    assert everything(repo) == before
    assert repo("SELECT action, ref FROM epoch_audit() LIMIT 1") == [("refuse", "production")]
    assert repo(f"CALL epoch_merge('good', target := 'production'{options})")[0][0] in ("merged", "fast-forward")


def test_uncommitted_working_tables_are_no_part_of_the_result(repo: Repo) -> None:
    add(repo)
    repo("UPDATE orders SET amount = -7")
    assert repo("CALL epoch_merge('good', target := 'production')")[0][0] == "merged"
    assert repo("SELECT name, passed, failing_rows FROM epoch_check_run()") == [("negative", False, 5)]
    assert repo("FROM epoch_check_run('production')") == [("negative", True, 0)]


def test_checks_read_views_and_the_result_of_both_sides(repo: Repo) -> None:
    """Each side alone passes; only the merged table fails."""
    add(repo, "SELECT count(*) AS large FROM large HAVING count(*) = 6", "six")
    repo("CALL epoch_checkout('production')")
    repo("INSERT INTO orders VALUES (6, 60)")
    repo("UPDATE orders SET amount = 1 WHERE id = 5")
    repo.commit("ours")
    repo("CALL epoch_checkout('good')")
    repo("CALL epoch_checkout('more', new_branch := true)")
    repo("INSERT INTO orders VALUES (7, 70)")
    repo.commit("theirs")
    told = repo.refused("CALL epoch_merge('more', target := 'production')")
    assert 'check six fails on the merge of more into production, 1 row: {"large":6}' in told
    assert repo("SELECT name, passed FROM epoch_check_run('more')") == [("six", False)]
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_branch_delete('more', force := true)")


def test_a_check_stops_a_merge_that_goes_on_after_a_conflict(repo: Repo) -> None:
    add(repo)
    repo("CALL epoch_checkout('production')")
    repo("UPDATE orders SET amount = 99 WHERE id = 1")
    repo.commit("ours")
    assert "EpochConflict" in repo.refused("CALL epoch_merge('bad')")
    repo("CALL epoch_resolve(side := 'theirs')")
    assert "check negative fails" in repo.refused("CALL epoch_merge_continue()")
    assert repo("SELECT target, conflicts FROM epoch_merges()") == [("production", 0)]
    assert repo("SELECT amount FROM orders WHERE id = 1") == [(99,)]
    repo("CALL epoch_merge_abort()")


def test_only_merges_into_matching_branches_are_checked(repo: Repo) -> None:
    add(repo, branch="prod*")
    add(repo, "SELECT 1", "never", "release/*")
    repo("CALL epoch_checkout('side', new_branch := true)")
    assert repo("CALL epoch_merge('bad')")[0][0] == "merged"
    repo("CALL epoch_checkout('production')")
    assert "check negative fails" in repo.refused("CALL epoch_merge('bad')")
    repo("CALL epoch_cherry_pick('bad')")
    repo("CALL epoch_revert('HEAD')")
    repo("CALL epoch_branch_delete('side', force := true)")


def test_a_check_that_cannot_be_run_on_the_result_fails(repo: Repo) -> None:
    add(repo)
    add(repo, "SELECT CAST(amount || 'x' AS INTEGER) AS broken FROM orders", "broken")
    told = repo.refused("CALL epoch_merge('good', target := 'production')")
    assert "check broken fails on the merge of good into production, it cannot be run: Conversion Error" in told
    assert repo("FROM epoch_check_run('good') ORDER BY ALL") == [("broken", False, None), ("negative", True, 0)]
    ((problem,),) = repo("SELECT problem FROM epoch_check_report('good') WHERE name = 'broken'")
    assert problem.startswith("Conversion Error")


def test_a_check_whose_table_is_gone_fails(repo: Repo) -> None:
    add(repo)
    repo("CALL epoch_checkout('without', new_branch := true)")
    repo("DROP VIEW large; DROP TABLE orders")
    repo.commit("without orders")
    told = repo.refused("CALL epoch_merge('without', target := 'production')")
    assert "it cannot be run: there is no table orders in the merge of without into production" in told
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_branch_delete('without', force := true)")


def test_checks_are_listed_and_run(repo: Repo) -> None:
    add(repo, branch="production")
    add(repo, "FROM epoch_diff('main', 'bad') LIMIT 2", "differences", "pro*")
    assert repo("FROM epoch_checks()") == [
        ("differences", "pro*", "FROM epoch_diff('main', 'bad') LIMIT 2"),
        ("negative", "production", NEGATIVE),
    ]
    assert repo("FROM epoch_check_run('bad')") == [("differences", False, 2), ("negative", False, 4)]
    assert repo("FROM epoch_check_run()") == [("differences", False, 2), ("negative", True, 0)]
    ((rows,),) = repo("SELECT first_rows FROM epoch_check_report('bad') WHERE name = 'negative'")
    assert rows == [f'{{"id":{number},"amount":-1}}' for number in (1, 2, 3)]
    assert "unknown reference 'nowhere'" in repo.refused("FROM epoch_check_run('nowhere')")
    actions = repo("SELECT action, detail FROM epoch_audit() LIMIT 2")
    assert [action for action, _ in actions] == ["add check", "add check"]
    assert actions[1][1] == f"negative: {NEGATIVE}"


WRONG = [
    ("SELEC 1", "the SQL of the check is wrong: syntax error"),
    ("", "a check is one query, not 0"),
    ("SELECT 1; SELECT 2", "a check is one query, not 2"),
    ("DELETE FROM orders", "a check only reads"),
    ("DROP TABLE orders", "a check only reads"),
    ("COPY orders TO 'orders.csv'", "a check only reads"),
    ("INSERT INTO orders VALUES (9, 9) RETURNING *", "a check only reads"),
    ("SELECT nextval('numbers')", "nextval() acts"),
    ("SELECT (SELECT nextval('numbers')) AS n FROM orders", "nextval() acts"),
    ("FROM epoch_commit('from a check', allow_empty := true)", "epoch_commit() acts"),
    ("SELECT * FROM query('FROM orders')", "query() reads tables that a check does not name"),
    ("SELECT * FROM checked()", "nextval() acts"),
    ("SELECT * FROM nowhere", "the SQL of check wrong is wrong: there is no table nowhere"),
    ("SELECT nothing FROM orders", "the SQL of check wrong is wrong: Binder Error"),
]


@pytest.mark.grid(every=3)
@pytest.mark.parametrize(("sql", "told"), WRONG)
def test_what_is_no_check_is_refused(repo: Repo, sql: str, told: str) -> None:
    repo("CREATE MACRO checked() AS TABLE SELECT nextval('numbers') AS n")
    before = (repo("FROM epoch_audit()"), repo("FROM orders"), repo.head())
    found = repo.refused("CALL epoch_check_add('wrong', ?)", sql)
    assert f"EpochCheckQueryError: {told}" in found or told in found
    assert "(hint: " in found
    assert repo("FROM epoch_checks()") == []
    assert (repo("FROM epoch_audit()"), repo("FROM orders"), repo.head()) == before
    repo("DROP MACRO TABLE checked")


def test_names_and_patterns_that_are_wrong(repo: Repo) -> None:
    add(repo)
    assert "check negative exists already (hint: CALL epoch_check_remove('negative'))" in repo.refused(
        "CALL epoch_check_add('negative', 'SELECT 1')"
    )
    assert "did you mean production?" in repo.refused("CALL epoch_check_add('a', 'SELECT 1', branch := 'prodction')")
    assert "there is no branch ''" in repo.refused("CALL epoch_check_add('a', 'SELECT 1', branch := ' ')")
    assert "a check needs a name" in repo.refused("CALL epoch_check_add(' ', 'SELECT 1')")
    assert "did you mean negative?" in repo.refused("CALL epoch_check_remove('negativ')")
    assert [row[0] for row in repo("FROM epoch_checks()")] == ["negative"]
    add(repo, name="for what is to come", branch="release/v*")


def test_a_check_may_be_about_a_table_that_only_its_branch_has(repo: Repo) -> None:
    repo("CALL epoch_checkout('wide', new_branch := true)")
    repo("CREATE TABLE only_here (n INTEGER)")
    repo.commit("a table")
    repo("CALL epoch_checkout('main')")
    add(repo, "FROM only_here", "here", "wid*")
    assert "there is no table only_here" in repo.refused(
        "CALL epoch_check_add('b', 'FROM only_here', branch := 'good')"
    )
    assert repo("FROM epoch_check_run('wide')") == [("here", True, 0)]
    assert repo("FROM epoch_check_run()") == [("here", False, None)]
    repo("CALL epoch_branch_delete('wide', force := true)")


def test_a_check_of_keyless_tables_odd_names_and_types(make_repo: MakeRepo) -> None:
    repo = make_repo(
        'CREATE TABLE "odd ""name" ("a b" DECIMAL(38, 4), "ü" TIMESTAMPTZ, list INTEGER[]);'
        'INSERT INTO "odd ""name" VALUES (1.5, \'2026-01-01 00:00:00+00\', [1, NULL]), (1.5, NULL, NULL)'
    )
    repo("CALL epoch_branch('production')")
    repo("CALL epoch_checkout('side', new_branch := true)")
    repo('INSERT INTO "odd ""name" VALUES (2, NULL, [])')
    repo.commit()
    repo(
        """CALL epoch_check_add('doubles', 'SELECT "a b", "a b" FROM "odd ""name" GROUP BY ALL HAVING count(*) > 1')"""
    )
    told = repo.refused("CALL epoch_merge('side', target := 'production')")
    assert "check doubles fails on the merge of side into production, 1 row: " in told
    assert '"a b":1.5' in told
