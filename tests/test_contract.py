"""The contract of the SQL surface: names, arguments, columns; and from where its functions can be called."""

from __future__ import annotations

import duckdb
import pytest

import epoch_sql
from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

ROWS = [("rows_added", "BIGINT"), ("rows_modified", "BIGINT"), ("rows_removed", "BIGINT")]

READING = [
    ("epoch_at('HEAD', 'orders')", "id amount"),
    ("epoch_status()", "table_name change rows_added rows_modified rows_removed"),
    ("epoch_log()", "commit_id parents author committed_at message refs"),
    ("epoch_log('HEAD', first_parent := true, max_count := 1, table_name := 'orders')", None),
    ("epoch_branches()", "name commit_id is_current is_protected upstream ahead behind"),
    ("epoch_tags()", "name commit_id tagger tagged_at message"),
    ("epoch_tables()", "table_name kind key_columns row_count bytes"),
    ("epoch_tables('v1')", None),
    ("epoch_diff('v1', 'HEAD')", "table_name diff_type key changed_columns from_row to_row"),
    (
        "epoch_diff('v1', 'HEAD', table_name := 'orders')",
        "diff_type changed_columns from_id to_id from_amount to_amount",
    ),
    (
        "epoch_diff_stat('v1', 'HEAD')",
        "table_name rows_added rows_modified rows_removed rows_unmodified cells_modified old_row_count new_row_count",
    ),
    ("epoch_diff_stat('v1', 'HEAD', table_name := 'orders')", None),
    ("epoch_diff_summary('v1', 'HEAD')", "table_name diff_type data_change schema_change"),
    ("epoch_schema_diff('v1', 'HEAD')", "table_name object name diff_type from_definition to_definition"),
    ("epoch_patch('v1', 'HEAD')", "statement_order table_name diff_type statement"),
    ("epoch_history('orders')", "commit_id committed_at author diff_type id amount"),
    ("epoch_history('orders', key := '1')", None),
    ("epoch_blame('orders')", "id commit_id author committed_at message"),
    ("epoch_merge_base('v1', 'HEAD')", "commit_id"),
    (
        "epoch_preview_merge('v1')",
        "table_name rows_added rows_modified rows_removed data_conflicts schema_conflicts violations",
    ),
    ("epoch_conflicts()", "table_name key column_name kind base ours theirs resolved"),
    ("epoch_violations()", "table_name constraint_name kind key detail"),
    ("epoch_reflog()", None),
    ("epoch_remotes()", "name url branches trusted"),
    ("epoch_protections()", "branch require_review no_force_push allow_self_review"),
    (
        "epoch_reviews()",
        "review_id source source_commit target verdict reviewer message reviewed_at state",
    ),
    ("epoch_checks()", "name branch sql"),
    ("epoch_check_run()", "name passed failing_rows"),
    ("epoch_check_run('v1')", None),
    ("epoch_check_report()", "name branch passed failing_rows first_rows problem"),
    (
        "epoch_changelog('main')",
        "commit_id committed_at author source tag message tables rows_added rows_modified rows_removed",
    ),
    ("epoch_changelog('main', since := 'v1')", None),
    ("epoch_audit()", "recorded_at actor action ref commit_id detail"),
    ("epoch_plan('v1')", "step_order action kind name row_count statement"),
    ("epoch_version()", "version"),
]

ACTING = [
    (
        "epoch_commit('again', author := 'Bo <b@x>', allow_empty := true)",
        "commit_id branch tables_changed rows_added rows_modified rows_removed warnings",
    ),
    ("epoch_branch('b1', start := 'v1')", "name commit_id"),
    ("epoch_branch_rename('b1', 'b2')", "name commit_id"),
    ("epoch_branch_delete('b2', force := true)", "name commit_id"),
    ("epoch_tag('t', ref := 'HEAD', message := 'm')", "name commit_id"),
    ("epoch_tag_delete('t')", "name commit_id"),
    ("epoch_checkout('side', new_branch := true, force := false)", "branch commit_id tables_changed warnings"),
    (
        "epoch_merge('main', target := 'side', message := 'm', ff := false, squash := false, strategy := 'ours', "
        "keep_undone := false)",
        "status commit_id rows_added rows_modified rows_removed reapplied kept warnings",
    ),
    ("epoch_revert('v2')", "commit_id rows_added rows_modified rows_removed warnings"),
    ("epoch_cherry_pick('v2')", "commit_id rows_added rows_modified rows_removed warnings"),
    ("epoch_reset('HEAD', hard := true)", "commit_id rows_added rows_modified rows_removed warnings"),
    ("epoch_key('log', ['n'])", "table_name key_columns"),
    ("epoch_ignore('scratch_*')", "pattern"),
    ("epoch_ignore('scratch_*', remove := true)", "pattern"),
    ("epoch_stash(message := 'later')", "stash_id tables_changed warnings"),
    ("epoch_stash_pop()", "stash_id tables_changed warnings"),
    (
        "epoch_review('main', 'side', verdict := 'approve', message := 'm', reviewer := 'Bo <b@x>')",
        "review_id source source_commit target verdict reviewer",
    ),
    (
        "epoch_protect('main', require_review := true, no_force_push := true, allow_self_review := true)",
        "branch require_review no_force_push allow_self_review",
    ),
    ("epoch_unprotect('main')", "branch require_review no_force_push allow_self_review"),
    ("epoch_check_add('c', 'FROM log WHERE n < 0', branch := 'main')", None),
    ("epoch_check_remove('c')", None),
    ("epoch_remote_add('origin', '/tmp')", "name url"),
    ("epoch_remote_trust('origin')", "name url trusted warnings"),
    ("epoch_remote_remove('origin')", "name url"),
    ("epoch_gc(dry_run := true)", None),
    ("epoch_compact()", None),
    ("epoch_fsck()", None),
]


@pytest.fixture
def shop(make_repo: MakeRepo) -> Repo:
    """Two commits, tagged v1 and v2, of a table with a key and one without."""
    repo = make_repo(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20);"
        "CREATE TABLE log (n INTEGER); INSERT INTO log VALUES (1)"
    )
    repo("CALL epoch_tag('v1')")
    repo("UPDATE orders SET amount = 11 WHERE id = 1; INSERT INTO orders VALUES (3, 30)")
    repo.commit("second")
    repo("CALL epoch_tag('v2')")
    return repo


@pytest.mark.parametrize(("call", "names"), READING, ids=[call for call, _ in READING])
def test_reading_functions_from_everywhere(shop: Repo, call: str, names: str | None) -> None:
    columns = shop.columns(f"FROM {call}")
    if names:
        assert [name for name, _ in columns] == names.split()
    expected = shop(f"FROM {call} ORDER BY ALL")
    assert shop.con.cursor().execute(f"FROM {call} ORDER BY ALL").fetchall() == expected
    with duckdb.connect(str(shop.path)) as second:
        assert second.execute(f"FROM {call} ORDER BY ALL").fetchall() == expected
    assert shop(f"WITH c AS (FROM {call}) SELECT * FROM c ORDER BY ALL") == expected
    assert shop.one(f"SELECT count(*) FROM {call} AS a, {call} AS b") == len(expected) ** 2
    shop(f"CREATE VIEW seen AS FROM {call}")
    if not call.startswith(("epoch_status", "epoch_plan")):  # to these, the view is a change
        assert shop("FROM seen ORDER BY ALL") == expected
    shop("DROP VIEW seen")
    shop(f"PREPARE again AS FROM {call} ORDER BY ALL")
    assert shop("EXECUTE again") == expected
    shop.con.close()
    with epoch_sql.connect(shop.path, read_only=True) as readonly:
        assert readonly.execute(f"FROM {call} ORDER BY ALL").fetchall() == expected


def test_acting_functions_return_what_the_contract_says(shop: Repo) -> None:
    for call, names in ACTING:
        if "stash(" in call:
            shop("INSERT INTO log VALUES (9)")
        described = shop.columns(f"FROM {call}")
        head, rows = shop.head(), shop("FROM epoch_reflog()")
        shop(f"EXPLAIN CALL {call}")
        shop(f"PREPARE later AS FROM {call}")
        assert (shop.head(), shop("FROM epoch_reflog()")) == (head, rows), f"{call} acted without being executed"
        shop(f"CALL {call}")
        if names:
            assert [name for name, _ in described] == names.split()


def test_arguments_can_be_prepared_parameters(shop: Repo) -> None:
    assert len(shop("FROM epoch_diff(?, ?, table_name := ?)", "v1", "v2", "orders")) == 2
    ((commit_id, *_),) = shop("CALL epoch_commit(?, author := ?, allow_empty := ?)", "p", "Cy <c@x>", True)
    assert shop("SELECT author, message FROM epoch_log(?, max_count := 1)", commit_id) == [("Cy <c@x>", "p")]


def test_a_prepared_statement_that_outlives_a_commit_shows_the_new_state(shop: Repo) -> None:
    shop("PREPARE state AS SELECT sum(amount) FROM epoch_at('main', 'orders')")
    shop("PREPARE tip AS SELECT message FROM epoch_log(max_count := 1)")
    assert shop("EXECUTE state") == [(61,)]
    for amount, message in ((100, "third"), (200, "fourth")):
        shop("UPDATE orders SET amount = ? WHERE id = 2", amount)
        shop.commit(message)
        assert shop("EXECUTE state") == [(41 + amount,)]
        assert shop("EXECUTE tip") == [(message,)]


def test_a_view_over_a_branch_follows_it(shop: Repo) -> None:
    shop("CREATE VIEW production AS FROM epoch_at('main', 'orders')")
    shop("UPDATE orders SET amount = 0")
    assert shop.one("SELECT sum(amount) FROM production") == 61
    shop.commit("zero")
    assert shop.one("SELECT sum(amount) FROM production") == 0


def test_a_procedure_takes_effect_exactly_once(shop: Repo) -> None:
    before = shop.one("SELECT count(*) FROM epoch_log()")
    shop(
        "SELECT c.commit_id, d.message "
        "FROM epoch_commit('once', allow_empty := true) AS c, (SELECT 'x' AS message) AS d"
    )
    shop("SELECT count(*) FROM epoch_commit('twice', allow_empty := true) WHERE branch = 'nope'")
    assert shop.one("SELECT count(*) FROM epoch_log()") == before + 2


def test_every_change_is_refused_on_a_read_only_connection(shop: Repo) -> None:
    shop.con.close()
    with epoch_sql.connect(shop.path, read_only=True) as readonly:
        for call, _ in ACTING:
            if "fsck" in call:
                continue
            with pytest.raises(duckdb.Error, match="read-only"):
                readonly.execute(f"CALL {call}")


def test_errors_start_with_their_kind_and_end_with_what_to_do(shop: Repo) -> None:
    told = shop.refused("FROM epoch_at('mian', 'orders')")
    assert "EpochReferenceError: unknown reference 'mian' (hint: did you mean 'main'?)" in told
    assert "EpochTableError: there is no table ordrs" in shop.refused("FROM epoch_at('main', 'ordrs')")
    assert "EpochNothingToCommit: nothing to commit" in shop.refused("CALL epoch_commit('x')")
    assert "needs message" in shop.refused("CALL epoch_commit(NULL)")
