"""Reverts, cherry-picks and resets of a branch that is not checked out, with all guards; and whose commits they are."""

from __future__ import annotations

import pytest

from epoch_sql import config
from tests.conftest import ADA, Repo, begun

BO = "Bo <bo@x>"


@begun("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1), (2, 2)")
def repo(repo: Repo) -> None:
    """Production has two promotions, tagged v1 and v2, of staging, which is checked out with an uncommitted change."""
    repo("CALL epoch_branch('production')")
    repo("CALL epoch_checkout('staging', new_branch := true)")
    for number in (1, 2):
        repo("UPDATE t SET v = v + 10 WHERE id = ?", number)
        repo.commit(f"change {number}")
        repo("CALL epoch_merge('staging', target := 'production', author := ?)", BO)
        repo("CALL epoch_tag(?, 'production')", f"v{number}")
    repo("INSERT INTO t VALUES (9, 9)")


def tip(repo: Repo, branch: str = "production") -> tuple[str, str]:
    return repo("SELECT author, message.split(chr(10))[1] FROM epoch_log(?, max_count := 1)", branch)[0]


def test_a_branch_that_is_not_checked_out(repo: Repo) -> None:
    status, head = repo.status(), repo.head()
    assert tip(repo) == (BO, "Merge staging into production")
    assert repo("SELECT rows_modified, branch FROM epoch_revert('v1', target := 'production', author := ?)", BO) == [
        (1, "production")
    ]
    assert tip(repo) == (BO, 'Revert "Merge staging into production"')
    assert repo.at("production", "t") == [(1, 1), (2, 12)]
    picked = repo("SELECT branch FROM epoch_cherry_pick('staging~1', target := 'production', author := ?)", "Cy <c@x>")
    assert (picked, tip(repo)) == ([("production",)], ("Cy <c@x>", "change 1"))

    repo("CALL epoch_protect('production', no_force_push := true)")
    assert "v1 does not lead" in repo.refused("CALL epoch_reset('v1', target := 'production')").replace(
        repo.one("SELECT commit_id[:7] FROM epoch_tags() WHERE name = 'v1'"), "v1"
    )
    repo("CALL epoch_reset('v1', hard := true, target := 'production', author := ?)", BO)
    assert (tip(repo), repo.at("production", "t")) == ((BO, "Roll back to v1"), [(1, 11), (2, 2)])
    repo("CALL epoch_unprotect('production')")
    repo("CALL epoch_reset('v2', target := 'production')")
    assert repo.at("production", "t") == [(1, 11), (2, 12)]
    assert (repo.status(), repo.head(), repo("FROM t ORDER BY id")) == (status, head, [(1, 11), (2, 12), (9, 9)])

    for verb in ("epoch_revert('v1'", "epoch_cherry_pick('v1~1'", "epoch_reset('v1'"):
        assert "there is no branch nope" in repo.refused(f"CALL {verb}, target := 'nope')")
    assert "name the commit to which 'production' goes back" in repo.refused("CALL epoch_reset(target := 'production')")
    assert repo("SELECT branch FROM epoch_head()") == [("staging",)]


def test_guards_hold_there_too(repo: Repo) -> None:
    repo("CALL epoch_protect('production', require_review := true)")
    assert "takes no direct cherry-pick" in repo.refused("CALL epoch_cherry_pick('staging', target := 'production')")
    assert "a state that it never had" in repo.refused("CALL epoch_reset('staging', target := 'production')")
    assert "which is not a promotion" in repo.refused("CALL epoch_revert('staging', target := 'production')")
    assert repo("SELECT rows_modified FROM epoch_revert('v2', target := 'production')") == [(1,)]


def test_one_that_stops_goes_on_there(repo: Repo) -> None:
    repo("DELETE FROM t WHERE id = 9")
    repo("CALL epoch_checkout('hotfix', new_branch := true)")
    repo("CALL epoch_reset('production', hard := true)")
    repo("UPDATE t SET v = 99 WHERE id = 1")
    repo.commit("hotfix")
    repo("CALL epoch_merge('hotfix', target := 'production')")
    assert "conflict" in repo.refused("CALL epoch_revert('v1', target := 'production')")
    assert repo("SELECT kind, target FROM epoch_merges()") == [("revert", "production")]
    repo("CALL epoch_resolve(side := 'theirs', target := 'production')")
    assert repo("SELECT side, resolved FROM epoch_conflicts(target := 'production')") == [("theirs", True)]
    repo("CALL epoch_merge_continue(target := 'production', author := ?)", "Cy <c@x>")
    assert tip(repo)[0] == "Cy <c@x>"


def test_whose_the_next_commit_is(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repo("FROM epoch_identity()") == [(ADA, "Ada", "ada@example.com", "EPOCH_AUTHOR")]
    monkeypatch.delenv("EPOCH_AUTHOR")
    config.set_value(config.repository_config(repo.path), "user.name", "Grace")
    assert repo("FROM epoch_identity()") == [("Grace", "Grace", None, "configuration")]


def test_environments_follow_what_was_promoted(repo: Repo) -> None:
    listed = "SELECT position, name, is_protected, promoted_from FROM epoch_environments()"
    assert repo(listed) == [(1, "staging", False, None), (2, "production", False, "staging")]
    repo("CALL epoch_branch('hotfix', start := 'production')")
    repo("CALL epoch_protect('production', no_force_push := true)")
    assert repo(listed) == [(1, "staging", False, None), (2, "production", True, "staging")]
    config.set_value(config.repository_config(repo.path), "environments", "main nope production, production")
    assert repo(listed) == [(1, "main", False, None), (2, "production", True, "staging")]


def test_a_branch_of_work_is_no_environment_where_there_are_others(repo: Repo) -> None:
    listed = "SELECT name FROM epoch_environments() ORDER BY position"
    repo("CALL epoch_reset(hard := true); CALL epoch_checkout('work', new_branch := true)")
    repo("UPDATE t SET v = 0 WHERE id = 1")
    repo.commit("work")
    repo("CALL epoch_merge('work', target := 'staging')")
    assert repo(listed) == [("staging",), ("production",)]


def test_the_history_of_another_reference(repo: Repo) -> None:
    blamed = "SELECT id, message FROM epoch_blame('t', ref := ?) ORDER BY id"
    assert repo(blamed, "v1") == [(1, "change 1"), (2, "Initial commit")]
    assert repo(blamed, "production") == [(1, "change 1"), (2, "change 2")]
    versions = "SELECT diff_type, v FROM epoch_history('t', key := '2', ref := ?)"
    assert repo(versions, "v1") == [("added", 2)]
    assert repo(versions, "v2") == [("modified", 12), ("added", 2)]
    assert "there is no table x in v1" in repo.refused("FROM epoch_blame('x', ref := 'v1')")
    repo("CALL epoch_checkout('alone', new_branch := true)")
    repo.commit("alone")
    repo("CALL epoch_checkout('main')")
    everything = repo("SELECT message, refs FROM epoch_log(all_refs := true)")
    assert everything[0] == ("alone", ["alone"])
    assert len(everything) == 6
    assert len(repo("FROM epoch_log(all_refs := true, first_parent := true)")) == 6
    assert len(repo("FROM epoch_log(all_refs := true, max_count := 2)")) == 2
