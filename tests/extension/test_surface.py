"""From where the SQL surface can be called, and when its procedures act: once for each execution, on committed data only.

The names and columns of all functions are in ``test_contract.py``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql.characters import has_hidden
from epoch_sql.extension.surface import VERBS
from epoch_sql.verb import Relation
from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core


def filled(repo: Repo) -> Repo:
    repo(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20);"
        "CREATE TABLE log (n INTEGER); CALL epoch_init(); CALL epoch_tag('v1')"
    )
    repo("UPDATE orders SET amount = 11 WHERE id = 1")
    repo.commit("second")
    return repo


@pytest.fixture
def shop(make_repo: MakeRepo) -> Repo:
    return filled(make_repo(init=False))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """The same, for tests that change nothing, or only add empty commits."""
    repo = filled(Repo(tmp_path_factory.mktemp("surface") / "shop.duckdb"))
    yield repo
    repo.close()


def commits(repo: Repo) -> int:
    return int(repo.one("SELECT count(*) FROM epoch.commits"))


# What they are.


def test_names_parameters_and_columns_are_those_that_the_verbs_declare(shared: Repo) -> None:
    """The reference is written from the same, so whoever changes a name changes a page."""
    described = "SELECT function_name, parameters, comment FROM duckdb_functions() WHERE function_type = 'table_macro'"
    found = {name: (parameters, comment) for name, parameters, comment in shared(described) if name.startswith("epoch")}
    assert found == {verb.name: ([p.name for p in verb.parameters], verb.description) for verb in VERBS}
    values = {"table_name": "'orders'", "key": "'1'", "columns": "['id']", "sql": "'FROM orders'"}
    shared("CALL epoch_check_add('v1', 'FROM orders WHERE id < 0', branch := 'nowhere/*')")
    for verb in VERBS:
        needed = ", ".join(values.get(p.name, "'v1'") for p in verb.parameters if p.default is None)
        columns = shared.columns(f"FROM {verb.name}({needed})")
        fixed = columns[: len(verb.columns)] if verb.columns else []
        assert fixed == [(column.name, column.type) for column in verb.columns], verb.name
        assert columns == fixed or isinstance(verb, Relation), verb.name


# Once for each execution.

ONCE = [
    "CALL epoch_commit('x', allow_empty := true)",
    "FROM epoch_commit('x', allow_empty := true)",
    "SELECT commit_id FROM epoch_commit('x', allow_empty := true)",
    "SELECT * FROM epoch_commit('x', allow_empty := true), range(5)",
    "SELECT * FROM range(5), epoch_commit('x', allow_empty := true)",
    "SELECT * FROM epoch_commit('x', allow_empty := true) WHERE branch = 'nope'",
    "SELECT count(*) FROM epoch_commit('x', allow_empty := true)",
    "SELECT max(commit_id), min(branch), count(*) FROM epoch_commit('x', allow_empty := true) GROUP BY branch",
    "SELECT * FROM orders WHERE id IN (SELECT length(commit_id) FROM epoch_commit('x', allow_empty := true))",
    "WITH c AS MATERIALIZED (FROM epoch_commit('x', allow_empty := true)) FROM c AS a JOIN c AS b USING (commit_id)",
    "CREATE TEMP TABLE made AS FROM epoch_commit('x', allow_empty := true)",
    "INSERT INTO orders SELECT amount, 0 FROM orders, epoch_commit('x', allow_empty := true) WHERE false OR id = 0",
    "EXPLAIN ANALYZE CALL epoch_commit('x', allow_empty := true)",
]


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("statement", ONCE)
def test_a_procedure_acts_once(shared: Repo, statement: str) -> None:
    before = commits(shared)
    shared(statement)
    assert commits(shared) == before + 1


def test_a_table_made_of_what_a_procedure_returns(shared: Repo) -> None:
    """It acts once, or is refused: sooner or later, DuckDB has made the table, uncommitted, before the query runs."""
    before, made = commits(shared), 0
    try:
        shared("CREATE TABLE outcome AS FROM epoch_commit('x', allow_empty := true)")
        made = shared.one("SELECT count(*) FROM outcome")
        shared("DROP TABLE outcome")
    except duckdb.Error as error:
        assert "EpochTransactionError" in str(error)
    assert (commits(shared), shared.status()) == (before + made, [])


NEVER = [
    "EXPLAIN CALL epoch_commit('x', allow_empty := true)",
    "EXPLAIN FROM epoch_checkout('v1')",
    "DESCRIBE FROM epoch_commit('x', allow_empty := true)",
    "PREPARE later AS FROM epoch_commit('x', allow_empty := true)",
    "PREPARE sooner AS FROM epoch_reset('v1', hard := true)",
    "CREATE VIEW seen AS FROM epoch_commit('x', allow_empty := true)",
    "SELECT * FROM epoch_commit('x', allow_empty := true) WHERE false",
    "CREATE MACRO made() AS TABLE FROM epoch_commit('x', allow_empty := true)",
]


def test_a_procedure_that_is_not_executed_does_not_act(shop: Repo) -> None:
    def everything() -> list[object]:
        return [commits(shop), shop.head(), shop("FROM epoch_reflog()"), shop("FROM orders ORDER BY ALL")]

    before = everything()
    for statement in NEVER:
        shop(statement)
        assert everything() == before, statement


def test_a_prepared_procedure_acts_each_time_it_is_executed(shared: Repo) -> None:
    before = commits(shared)
    shared("PREPARE each AS FROM epoch_commit($message, allow_empty := true)")
    for n in range(3):
        shared(f"EXECUTE each(message := 'commit {n}')")
    assert commits(shared) == before + 3
    assert [m for (m,) in shared("SELECT message FROM epoch_log(max_count := 3)")] == [
        "commit 2",
        "commit 1",
        "commit 0",
    ]


# Prepared statements and views that outlive a change.


def test_prepared_readings_show_the_new_state(shop: Repo) -> None:
    prepared = {
        "FROM epoch_at('main', 'orders') ORDER BY ALL": 0,
        "FROM epoch_diff('v1', 'main')": 0,
        "FROM epoch_diff('v1', 'HEAD', table_name := 'orders') ORDER BY ALL": 0,
        "FROM epoch_diff_stat('v1', 'main')": 0,
        "FROM epoch_diff_summary('v1', 'main')": 0,
        "FROM epoch_schema_diff('v1', 'main')": 0,
        "FROM epoch_log()": 0,
        "FROM epoch_branches() ORDER BY ALL": 0,
        "FROM epoch_tags() ORDER BY ALL": 0,
        "FROM epoch_tables('main') ORDER BY ALL": 0,
        "FROM epoch_status()": 0,
    }
    other = duckdb.connect(str(shop.path))
    for number, query in enumerate(prepared):
        shop(f"PREPARE q{number} AS {query}")
        other.execute(f"PREPARE q{number} AS {query}")

    def assert_current() -> None:
        for number, query in enumerate(prepared):
            expected = shop(query)
            assert shop(f"EXECUTE q{number}") == expected, query
            assert other.execute(f"EXECUTE q{number}").fetchall() == expected, query

    assert_current()
    shop("UPDATE orders SET amount = 99")
    shop.commit("third")
    assert_current()
    shop("ALTER TABLE orders ADD COLUMN note VARCHAR; CREATE TABLE fresh (i INTEGER)")
    shop("CALL epoch_commit('fourth')")
    shop("CALL epoch_tag('v4'); CALL epoch_branch('b')")
    for number, query in enumerate(prepared):
        if "orders" not in query:
            assert shop(f"EXECUTE q{number}") == shop(query), query
    shop("CALL epoch_reset('v1', hard := true)")
    assert_current()
    other.close()


def operators(plan: dict[str, Any]) -> list[tuple[str, str]]:
    """The operators of a plan, from its root, each with the conditions that it tests while it reads."""
    below = [operator for child in plan["children"] for operator in operators(child)]
    return [(plan["name"].strip(), str(plan["extra_info"].get("Filters", ""))), *below]


def test_a_state_is_read_as_its_file_would_be(shared: Repo) -> None:
    """What makes prepared statements bind anew leaves no trace in the plan."""
    files = (shared.path.parent / ".epoch" / "objects").rglob("*.parquet")
    bases = [f"read_parquet('{f}')" for f in files]
    base = next(b for b in bases if [name for name, _ in shared.columns(f"FROM {b}")] == ["id", "amount"])
    for query in (
        "SELECT sum(amount) FROM {}",
        "SELECT amount FROM {} WHERE id = 2",
        "SELECT count(*) FROM {}",
        "FROM {} LIMIT 1",
        "SELECT * FROM {} JOIN log ON n = id",
    ):
        plans = [
            json.loads(shared("EXPLAIN (FORMAT JSON) " + query.format(source))[0][1])
            for source in ("epoch_at('v1', 'orders')", base)
        ]
        state, plain = (operators(plan[0]) for plan in plans)
        assert state == plain, query


def test_views_follow_their_references(shop: Repo) -> None:
    shop("CREATE VIEW production AS FROM epoch_at('main', 'orders')")
    shop(
        "CREATE VIEW changed AS SELECT o.id, d.diff_type FROM orders o JOIN epoch_diff('v1', 'main', table_name := 'orders') d ON d.to_id = o.id"
    )
    assert shop("FROM changed") == [(1, "modified")]
    shop("UPDATE orders SET amount = 0")
    assert shop.one("SELECT sum(amount) FROM production") == 31
    shop.commit("zero")
    assert shop.one("SELECT sum(amount) FROM production") == 0
    assert shop("FROM changed ORDER BY id") == [(1, "modified"), (2, "modified")]
    shop("CALL epoch_checkout('HEAD~1')")
    shop("CALL epoch_checkout('main')")
    assert shop.one("SELECT sum(amount) FROM production") == 0
    shop.reopen()
    assert shop("FROM changed ORDER BY id") == [(1, "modified"), (2, "modified")]


def test_readings_inside_queries(shop: Repo) -> None:
    assert shop(
        "SELECT id, now.amount - was.amount FROM orders AS now JOIN epoch_at('v1', 'orders') AS was USING (id) ORDER BY id"
    ) == [
        (1, 1),
        (2, 0),
    ]
    assert shop("WITH was AS (FROM epoch_at('v1', 'orders')), now AS (FROM orders) FROM now EXCEPT FROM was") == [
        (1, 11)
    ]
    assert shop("SELECT (SELECT sum(amount) FROM epoch_at('v1', 'orders'))") == [(30,)]
    assert shop("SELECT id FROM orders WHERE amount NOT IN (SELECT amount FROM epoch_at('v1', 'orders'))") == [(1,)]
    assert shop("SELECT * FROM epoch_at(?, ?) WHERE id = ?", "v1", "orders", 1) == [(1, 10)]
    assert shop("FROM epoch_at('v1', 'orders') UNION ALL FROM epoch_at('main', 'orders') ORDER BY ALL") == [
        (1, 10),
        (1, 11),
        (2, 20),
        (2, 20),
    ]


def test_arguments_that_are_no_constants_are_refused_clearly(shop: Repo) -> None:
    shop("SET VARIABLE ref = 'v1'")
    for query in ("FROM epoch_at(NULL, 'orders')", "CALL epoch_commit(NULL)", "FROM epoch_diff('v1', NULL)"):
        assert "a constant or a prepared parameter, not NULL or a variable" in shop.refused(query)
    assert "Error" in shop.refused(
        "SELECT (SELECT count(*) FROM epoch_at(o.ref, 'orders')) FROM (SELECT 'v1' AS ref) AS o"
    )


# Connections.


def test_every_connection_of_the_process(shop: Repo) -> None:
    plain = duckdb.connect(str(shop.path))
    installed = epoch_sql.connect(shop.path)
    again = epoch_sql.install(shop.con.cursor())
    for connection in (shop.con, shop.con.cursor(), plain, plain.cursor(), installed, installed.cursor(), again):
        before = commits(shop)
        connection.execute("INSERT INTO log VALUES (1)")
        assert connection.execute("FROM epoch_status()").fetchall() == [("log", "modified", 1, 0, 0)]
        connection.execute("CALL epoch_commit('from anywhere')")
        assert commits(shop) == before + 1
    shop.close()
    assert installed.execute("SELECT count(*) FROM epoch_log()").fetchall() == [(9,)]
    assert plain.execute("SELECT count(*) FROM epoch_log()").fetchall() == [(9,)]
    for connection in (plain, installed, again):
        connection.close()
    shop.con = epoch_sql.connect(shop.path)
    assert len(shop("FROM epoch_log()")) == 9


def test_a_read_only_connection_reads_everything_and_changes_nothing(shop: Repo) -> None:
    shop("INSERT INTO log VALUES (7); CREATE VIEW production AS FROM epoch_at('main', 'orders')")
    shop.close()
    with epoch_sql.connect(shop.path, read_only=True) as reader:
        assert reader.execute("FROM epoch_status()").fetchall() == [
            ("log", "modified", 1, 0, 0),
            ("production", "added", 0, 0, 0),
        ]
        assert reader.execute("FROM epoch_diff('HEAD', 'WORKING', table_name := 'log')").fetchall() == [
            ("added", [], None, 7)
        ]
        assert reader.execute("SELECT sum(amount) FROM production").fetchall() == [(31,)]
        for call in (
            "epoch_commit('x')",
            "epoch_checkout('v1', force := true)",
            "epoch_branch('b')",
            "epoch_stash()",
            "epoch_key('log', ['n'])",
        ):
            with pytest.raises(duckdb.Error, match=r"EpochReadOnlyError: .* is open read-only"):
                reader.execute(f"CALL {call}")
    shop.reopen()
    assert len(shop("FROM epoch_log()")) == 2


def test_without_a_repository(make_repo: MakeRepo) -> None:
    repo = make_repo(init=False)
    for call in ("FROM epoch_status()", "CALL epoch_commit('x')", "FROM epoch_log()", "FROM epoch_at('HEAD', 't')"):
        message = repo.refused(call)
        assert "EpochRepositoryError" in message
        assert "CALL epoch_init()" in message
    repo("CALL epoch_init()")
    assert "EpochRepositoryError" in repo.refused("CALL epoch_init()")


def test_without_the_extension_functions_are_missing(shop: Repo) -> None:
    shop.close()
    with duckdb.connect(str(shop.path)) as plain:
        for call in ("epoch_status()", "epoch_head()", "epoch_at('HEAD', 'log')", "epoch_commit('x')"):
            name = call.partition("(")[0]
            with pytest.raises(duckdb.Error, match=f"{name} of the python package epoch-sql .pip install epoch-sql"):
                plain.execute(f"FROM {call}")
        plain.execute("INSERT INTO log VALUES (1)")
    shop.reopen()
    assert shop.status() == [("log", "modified", 1, 0, 0)]


# Transactions; more of them in ``test_transactions.py``.


def test_two_writers_at_once_lose_nothing(shop: Repo) -> None:
    """Of commits that meet, each is made or refused with a word about trying again; what was made is all there."""
    outcomes: list[str] = []

    def write(number: int) -> None:
        cursor = shop.con.cursor()
        for turn in range(5):
            try:
                cursor.execute("INSERT INTO log VALUES (?)", [number * 100 + turn])
                cursor.execute("CALL epoch_commit(?)", [f"{number} {turn}"])
                outcomes.append("made")
            except duckdb.Error as error:
                outcomes.append(str(error))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 15
    for outcome in outcomes:
        assert outcome == "made" or "EpochTransactionError" in outcome or "EpochNothingToCommit" in outcome, outcome
    assert shop.one("SELECT count(*) FROM log") == 15
    if shop.status():
        shop.commit("the rest")
    assert shop.at("HEAD", "log") == shop("FROM log ORDER BY ALL")
    assert shop.one("SELECT count(*) FROM epoch_log()") == commits(shop)


@pytest.mark.parametrize("change", ["INSERT INTO log VALUES (100)", "DELETE FROM orders WHERE id = 1"])
def test_another_connections_open_transaction_stays_out_of_a_commit(shop: Repo, change: str) -> None:
    with duckdb.connect(str(shop.path)) as other:
        other.execute(f"BEGIN; {change}")
        shop("UPDATE orders SET amount = 5 WHERE id = 2")
        try:
            shop.commit("mine")
        except duckdb.Error as error:
            assert "EpochTransactionError" in str(error)
        made = shop("FROM epoch_log(max_count := 1)")[0][4] == "mine"
        other.execute("COMMIT")
    if made:
        assert (shop.at("HEAD", "log"), shop.at("HEAD", "orders")) == ([], [(1, 11), (2, 5)])
    assert len(shop.status()) == (1 if made or "orders" in change else 2)
    shop.commit("theirs")
    assert shop.at("HEAD", "log") + shop.at("HEAD", "orders") == shop("FROM log") + shop("FROM orders ORDER BY ALL")


# Threads.


@pytest.mark.parametrize(
    ("settings", "workers"),
    [({}, 0), ({"threads": 1}, 1), ({"threads": 4}, 0), ({"threads": 4, "external_threads": 2}, 2)],
)
def test_a_worker_more_unless_the_user_says_otherwise(tmp_path: Path, settings: dict[str, int], workers: int) -> None:
    """A procedure may run on a worker, which waits for the procedure's own queries."""
    config = {"threads": 2, **settings}
    with epoch_sql.connect(tmp_path / "shop.duckdb", config=config) as con:
        assert con.execute("SELECT current_setting('external_threads')").fetchall() == [(workers,)]
        assert con.execute("SELECT current_setting('threads')").fetchall() == [(config["threads"],)]


def test_a_locked_configuration_is_left_alone(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shop.duckdb"), config={"threads": 2, "lock_configuration": True}) as con:
        epoch_sql.install(con)
        assert con.execute("SELECT current_setting('external_threads')").fetchall() == [(1,)]
        con.execute("CALL epoch_init()")


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x1b[31m", "\n", "\u2028"])
def test_names_with_characters_that_nobody_sees_are_refused_and_never_repeated_raw(shop: Repo, hidden: str) -> None:
    name = f"x{hidden}y"
    before = [commits(shop), shop("FROM epoch_reflog()"), shop("FROM epoch_checks()"), shop("FROM epoch_remotes()")]
    shop("UPDATE orders SET amount = 1")
    for call in (
        "epoch_branch(?)",
        "epoch_branch_rename('main', ?)",
        "epoch_checkout(?, new_branch := true)",
        "epoch_tag(?)",
        "epoch_remote_add(?, '/tmp/store')",
        "epoch_check_add(?, 'FROM orders')",
        "epoch_check_add('c', 'FROM orders', branch := ?)",
        "epoch_commit('m', author := ?)",
        "epoch_review('HEAD', 'main', reviewer := ?)",
        "epoch_checkout(?)",
        "epoch_merge(?)",
        "epoch_key(?, ['id'])",
        "epoch_push(?)",
    ):
        told = shop.refused(f"CALL {call}", name)
        assert "Epoch" in told and not has_hidden(told.replace("\n", "")) and name not in told, call
    assert "Epoch" in shop.refused("FROM epoch_at(?, 'orders')", name)
    assert [
        commits(shop),
        shop("FROM epoch_reflog()"),
        shop("FROM epoch_checks()"),
        shop("FROM epoch_remotes()"),
    ] == before
    shop("CALL epoch_reset('HEAD', hard := true)")
