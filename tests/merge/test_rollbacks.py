"""Rollbacks of a protected branch: a commit on top with the content of an earlier state, and what merges make of it.

``environments.py`` says what the pictures show.
"""

from __future__ import annotations

import duckdb
import pytest

from tests.merge.environments import Environments, rolled_back

Undone = tuple[Environments, str]


def test_a_hotfix_after_a_rollback(released: Environments) -> None:
    """As drawn at ``released``: the hotfix goes everywhere, the rollback stays on production."""
    released.expect(p="ax", s="abcx", d="abcx")
    assert released.log("p")[:2] == ["Merge hotfix into production", "Roll back to v1"]


def test_promoting_again_after_a_rollback_and_a_hotfix(released: Environments) -> None:
    """Promoting again after a rollback and a hotfix.

    s  ----S-------S-----------S------
            \\       \\         /       \\
    p  -----v2------v3---U---x---M-----M
    """
    released.merge("s", "p")
    released.expect(p="abcx", s="abcx", d="abcx")


@pytest.mark.slow
def test_promoting_again_after_a_rollback(env: Environments) -> None:
    """Promoting again after a rollback.

    s  o---a-------b-------c-----------
            \\       \\       \\          \\
    p  o-----v1------v2------v3---U----M
    """
    for number, letter in enumerate("abc", 1):
        env.add("s", letter)
        env.merge("s", "p")
        env.tag(f"v{number}", "p")
    env.roll_back("v1")
    undo = env.tip("p")[:7]
    assert env.merge("p", "s") == f"keeps 2 commits that {undo} undid on production"
    assert env.merge("s", "p", keep_undone=False) == ""
    env.expect(p="abc", s="abc")


@pytest.mark.slow
def test_a_hotfix_from_before_a_rollback_leaves_it_in_force(env: Environments) -> None:
    """A hotfix from before a rollback leaves it in force.

    s  o---a-------b-------c---------------
            \\       \\       \\              \\
    p  o-----v1------v2------v3---U---M-----M
                              \\      /
    h                          x-----
    """
    for number, letter in enumerate("abc", 1):
        env.add("s", letter)
        env.merge("s", "p")
        env.tag(f"v{number}", "p")
    env.branch("h", "p")
    env.add("h", "x")
    env.roll_back("v1")
    undo = env.tip("p")[:7]
    assert env.merge("h", "p") == ""
    env.expect(p="ax", s="abc", h="abcx")
    assert env.merge("s", "p") == f"re-applies 2 commits that {undo} undid"
    env.expect(p="abcx", s="abc", h="abcx")


def test_a_rollback_past_an_undo_makes_it_void(undone: Undone) -> None:
    """R restores M, so the undo never was.

    s  o---a-----------
            \\
    p  o-----M---U---R
    """
    env, _ = undone
    env.roll_back("HEAD~1")
    env.expect(p="a", s="a")
    assert env.merge("s", "p") == "up-to-date"


@pytest.mark.slow
def test_undoing_a_rollback(released: Environments) -> None:
    """Undoing a rollback.

    p  o---v1---v2---v3---U---M---V
    """
    rollback = released.repo.one("SELECT commit_id FROM epoch_log('production') WHERE message = 'Roll back to v1'")
    released.revert("p", rollback)
    released.expect(p="abcx", s="abcx", d="abcx")
    released.add("d", "y")
    released.promote("dsp")
    released.expect(p="abcxy", s="abcxy", d="abcxy")


def test_a_rollback_is_a_commit_on_top(env: Environments) -> None:
    """R has the content of v1; history stays.

    p  o---a---b---c---R
           v1
    """
    env.add("p", "a")
    env.tag("v1", "p")
    env.add("p", "bc")
    moved = env.roll_back("v1")
    env.expect(p="a")
    assert env.tip("p") == moved[0]
    assert env.log("p")[:2] == ["Roll back to v1", "Add c"]
    assert env.repo.tree("production") == env.repo.tree("v1")
    assert env.repo.one("SELECT action FROM epoch_reflog('production') LIMIT 1") == "reset: rolling back to v1"
    env.revert("p")
    env.expect(p="abc")


def test_a_rollback_loses_uncommitted_changes_as_any_hard_reset_does(env: Environments) -> None:
    env.add("p", "a")
    env.tag("v1", "p")
    env.add("p", "b")
    env.repo("INSERT INTO letters VALUES ('z', 'uncommitted'); CREATE TABLE notes (n INTEGER)")
    rolled_back(env.repo, "v1")
    assert env["p"] == "a"
    assert env.repo.status() == []


def test_a_rollback_to_what_the_branch_is_already(env: Environments) -> None:
    env.add("p", "a")
    tip = env.tip("p")
    assert rolled_back(env.repo, "HEAD") == (tip, 0, 0, 0, [])
    assert env.tip("p") == tip


def test_a_rollback_needs_a_branch(env: Environments) -> None:
    env.add("p", "a")
    env.repo("CALL epoch_checkout(?)", env.tip("p"))
    with pytest.raises(duckdb.Error, match="is checked out, not a branch"):
        rolled_back(env.repo, "HEAD~1")


def test_a_rollback_brings_tables_back(env: Environments) -> None:
    """R restores a state with a table that was dropped and without one that was added since."""
    env.repo("CREATE TABLE old (n INTEGER); INSERT INTO old VALUES (1), (2)")
    env.repo.commit("old")
    env.tag("v1", "p")
    env.repo("DROP TABLE old; CREATE TABLE new (n INTEGER)")
    env.repo.commit("new")
    rolled_back(env.repo, "v1")
    assert env.repo("FROM old ORDER BY n") == [(1,), (2,)]
    with pytest.raises(duckdb.CatalogException):
        env.repo("FROM new")
    assert env.repo.status() == []
