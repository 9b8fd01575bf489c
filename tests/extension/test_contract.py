"""The contract of the SQL surface: names, arguments, columns; and from where its functions can be called."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

import epoch_sql
from epoch_sql.extension.surface import VERBS
from epoch_sql.verb import Relation
from tests.conftest import Repo, begun

pytestmark = pytest.mark.core

READING = [
    "epoch_at('HEAD', 'orders')",
    "epoch_status()",
    "epoch_log()",
    "epoch_log('HEAD', first_parent := true, max_count := 1, table_name := 'orders')",
    "epoch_branches()",
    "epoch_tags()",
    "epoch_tables()",
    "epoch_tables('v1')",
    "epoch_diff('v1', 'HEAD')",
    "epoch_diff('v1', 'HEAD', table_name := 'orders')",
    "epoch_diff_stat('v1', 'HEAD')",
    "epoch_diff_stat('v1', 'HEAD', table_name := 'orders')",
    "epoch_diff_summary('v1', 'HEAD')",
    "epoch_schema_diff('v1', 'HEAD')",
    "epoch_patch('v1', 'HEAD')",
    "epoch_history('orders')",
    "epoch_history('orders', key := '1', ref := 'v1')",
    "epoch_blame('orders', ref := 'v1')",
    "epoch_log('v1', all_refs := true)",
    "epoch_identity()",
    "epoch_environments()",
    "epoch_blame('orders')",
    "epoch_blame_cells('orders', '1', ref := 'v1')",
    "epoch_merge_base('v1', 'HEAD')",
    "epoch_preview_merge('v1')",
    "epoch_preview_diff('v2', 'before')",
    "epoch_preview_diff('v2', 'before', table_name := 'orders')",
    "epoch_preview_diff_stat('v2', 'before', table_name := 'orders', strategy := 'ours', keep_undone := true)",
    "epoch_preview_schema_diff('v2', target := 'before')",
    "epoch_diff_changes('v1', 'v2')",
    "epoch_diff_changes('v1', 'v2', table_name := 'orders')",
    "epoch_changes('v2', target := 'before', table_name := 'orders')",
    "epoch_preview_checks('v2', target := 'before')",
    "epoch_preview_check_rows('positive', 'v2', 'before')",
    "epoch_check_rows('positive', ref := 'v2')",
    "epoch_promotion('v2', target := 'before')",
    "epoch_preview_conflicts('v2', target := 'before', table_name := 'orders')",
    "epoch_conflicts()",
    "epoch_violations()",
    "epoch_reflog()",
    "epoch_remotes()",
    "epoch_worktrees()",
    "epoch_protections()",
    "epoch_reviews()",
    "epoch_checks()",
    "epoch_check_run()",
    "epoch_check_run('v1')",
    "epoch_check_report()",
    "epoch_changelog('main')",
    "epoch_changelog('main', since := 'v1')",
    "epoch_audit()",
    "epoch_plan('v1')",
    "epoch_version()",
    "epoch_query('v1', 'FROM orders')",
    "epoch_head()",
    "epoch_merges()",
    "epoch_stashes()",
    "epoch_ignored()",
    "epoch_derived_patterns()",
]

ACTING = [
    "epoch_commit('again', author := 'Bo <b@x>', allow_empty := true)",
    "epoch_branch('b1', start := 'v1')",
    "epoch_branch_rename('b1', 'b2')",
    "epoch_branch_delete('b2', force := true)",
    "epoch_tag('t', ref := 'HEAD', message := 'm')",
    "epoch_tag_delete('t')",
    "epoch_checkout('side', new_branch := true, force := false)",
    "epoch_merge('main', target := 'side', message := 'm', ff := false, squash := false, strategy := 'ours', "
    "keep_undone := false, require_fresh := false, expected := NULL, author := 'Bo <b@x>')",
    "epoch_revert('v2', target := 'main', author := 'Bo <b@x>')",
    "epoch_cherry_pick('v2', target := 'main', author := 'Bo <b@x>')",
    "epoch_reset('HEAD', hard := true, target := NULL, author := 'Bo <b@x>')",
    "epoch_key('log', ['n'])",
    "epoch_ignore('scratch_*')",
    "epoch_ignore('scratch_*', remove := true)",
    "epoch_derived('mart_*')",
    "epoch_derived('mart_*', remove := true)",
    "epoch_stash(message := 'later')",
    "epoch_stash_pop()",
    "epoch_review('main', 'side', verdict := 'approve', message := 'm', reviewer := 'Bo <b@x>', expected := NULL)",
    "epoch_protect('main', require_review := true, no_force_push := true, allow_self_review := true, "
    "require_fresh := true)",
    "epoch_unprotect('main')",
    "epoch_check_add('c', 'FROM log WHERE n < 0', branch := 'main')",
    "epoch_check_remove('c')",
    "epoch_remote_add('origin', '/tmp')",
    "epoch_remote_trust('origin')",
    "epoch_remote_remove('origin')",
    "epoch_worktree_add('beside', branch := 'main', new_branch := 'beside', trust := false)",
    "epoch_worktree_remove('beside', force := true)",
    "epoch_gc(dry_run := true)",
    "epoch_publish(refs := ['main'])",
    "epoch_compact()",
    "epoch_fsck()",
]


@begun(
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20);"
    "CREATE TABLE log (n INTEGER); INSERT INTO log VALUES (1)"
)
def shop(repo: Repo) -> None:
    """Two commits, tagged v1 and v2, of a table with a key and one without."""
    repo("CALL epoch_tag('v1')")
    repo("UPDATE orders SET amount = 11 WHERE id = 1; INSERT INTO orders VALUES (3, 30)")
    repo.commit("second")
    repo("CALL epoch_tag('v2')")
    repo("CALL epoch_branch('before', start := 'v1')")
    repo("CALL epoch_check_add('positive', 'SELECT id, amount FROM orders WHERE amount < 15', branch := 'before')")


def declared(call: str) -> list[tuple[str, str]]:
    """The columns that the verb of a call declares; none where only the call tells."""
    verb = next(verb for verb in VERBS if verb.name == call.partition("(")[0])
    only_the_call = isinstance(verb, Relation) and ("table_name :=" in call or verb.name == "epoch_history")
    return [] if only_the_call else [(column.name, column.type) for column in verb.columns]


def test_every_verb_is_called_here() -> None:
    elsewhere = {"epoch_init", "epoch_clone", "epoch_push", "epoch_fetch", "epoch_pull", "epoch_resolve"}
    elsewhere |= {"epoch_merge_continue", "epoch_merge_abort", "epoch_stash_drop", "epoch_rebuilt"}
    elsewhere |= {"epoch_import_files", "epoch_export", "epoch_export_iceberg", "epoch_remote_gc"}
    called = {call.partition("(")[0] for call in (*READING, *ACTING)}
    assert called == {verb.name for verb in VERBS} - elsewhere


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("call", READING)
def test_reading_functions_from_everywhere(shop: Repo, call: str) -> None:
    columns = shop.columns(f"FROM {call}")
    assert columns == (declared(call) or columns)
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


def test_acting_functions_return_what_the_contract_says(
    shop: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for call in ACTING:
        if "stash(" in call:
            shop("INSERT INTO log VALUES (9)")
        described = shop.columns(f"FROM {call}")
        head, rows = shop.head(), shop("FROM epoch_reflog()")
        shop(f"EXPLAIN CALL {call}")
        shop(f"PREPARE later AS FROM {call}")
        assert (shop.head(), shop("FROM epoch_reflog()")) == (head, rows), f"{call} acted without being executed"
        shop(f"CALL {call}")
        assert described == declared(call)


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
        for call in ACTING:
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
