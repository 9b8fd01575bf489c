"""A branch that is protected at a remote is protected there by the remote's own settings and reviews."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone


@pytest.fixture
def shop(make_repo: MakeRepo, url: str) -> Repo:
    """Branches main and production, production protected here, both pushed."""
    repo = make_repo(SHOP)
    change(repo, 0)
    repo("CALL epoch_branch('production')")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_protect('production', require_review := true, no_force_push := true)")
    repo("CALL epoch_push(); CALL epoch_push(branch := 'production')")
    return repo


def change(repo: Repo, number: int) -> None:
    repo("UPDATE orders SET amount = ? WHERE id = ?", 100 + number, number)
    repo("CALL epoch_commit(?, author := 'Ada <ada@example.com>')", f"change {number}")


def test_a_clone_has_the_protection_and_cannot_go_around_it(shop: Repo, clone: Clone, url: str) -> None:
    other = clone(url)
    assert other("SELECT branch, require_review, no_force_push FROM epoch_protections()") == [
        ("production", True, True)
    ]
    # The clone takes its own protection off: the remote keeps its.
    other("CALL epoch_unprotect('production'); CALL epoch_checkout('production')")
    change(other, 1)
    told = other.refused("CALL epoch_push()")
    assert "EpochRemoteRefused: origin refuses the push: branch production requires a review" in told
    assert "EpochRemoteRefused" in other.refused("CALL epoch_push(force := true)")
    other("CALL epoch_reset('HEAD~2', hard := true)")
    change(other, 2)
    assert "is protected at origin from being rewritten" in other.refused("CALL epoch_push(force := true)")
    shop("CALL epoch_fetch()")
    assert shop("SELECT ahead, behind FROM epoch_branches() WHERE name = 'production'") == [(0, 0)]


def test_a_push_of_an_approved_promotion(shop: Repo, clone: Clone, url: str) -> None:
    other = clone(url)
    change(shop, 1)
    shop("CALL epoch_push()")
    # Bo approves in the clone what Ada made; the review travels with a push of any branch.
    other("CALL epoch_pull(); CALL epoch_review('main', 'production', reviewer := 'Bo <bo@example.com>')")
    other("CALL epoch_push()")
    assert "requires a review" in shop.refused("CALL epoch_merge('main', target := 'production')")
    shop("CALL epoch_fetch()")
    assert shop("SELECT reviewer, verdict FROM epoch_reviews()") == [("Bo <bo@example.com>", "approve")]
    shop("CALL epoch_merge('main', target := 'production')")
    assert shop("SELECT status FROM epoch_push(branch := 'production')") == [("pushed",)]
    # An undo needs no review, and is a push that only grows.
    shop("CALL epoch_checkout('production'); CALL epoch_revert('HEAD')")
    assert shop("SELECT status FROM epoch_push()") == [("pushed",)]
    # The other clone follows, by its own protection.
    other("CALL epoch_checkout('production')")
    assert other("SELECT status, new_commit_id FROM epoch_pull()") == [("fast-forward", shop.head())]


def test_an_approval_that_the_remote_does_not_have_does_not_count(shop: Repo, clone: Clone, url: str) -> None:
    other = clone(url)
    other("CALL epoch_unprotect('production')")
    other("UPDATE orders SET amount = 4 WHERE id = 2; CALL epoch_commit('mine')")
    other("CALL epoch_merge('main', target := 'production')")
    assert "nobody has approved" in other.refused("CALL epoch_push(branch := 'production')")
    other("CALL epoch_review('main', 'production', reviewer := 'Ada <ada@example.com>', verdict := 'reject')")
    assert "rejected" in other.refused("CALL epoch_push(branch := 'production')")
    other("CALL epoch_review('main', 'production', reviewer := 'Ada <ada@example.com>')")
    assert other("SELECT status FROM epoch_push(branch := 'production')") == [("pushed",)]


@pytest.mark.slow
def test_the_protection_there_is_changed_on_purpose_only(shop: Repo, clone: Clone, url: str) -> None:
    other = clone(url)
    other("CALL epoch_unprotect('production'); CALL epoch_checkout('production')")
    change(other, 3)
    # Taking it off and pushing past it in one call is not possible: the push is checked against what is there.
    assert "EpochRemoteRefused" in other.refused("CALL epoch_push(protection := true)")
    other("CALL epoch_branch('aside'); CALL epoch_reset('HEAD~1', hard := true)")
    assert other("SELECT status FROM epoch_push(protection := true)") == [("up-to-date",)]
    other("CALL epoch_reset('aside', hard := true)")
    assert other("SELECT status FROM epoch_push()") == [("pushed",)]
    # Nobody else's push puts it back, although it is set there: a setting that says nothing is a setting.
    shop("CALL epoch_checkout('production'); CALL epoch_fetch()")
    assert "requires a review" in shop.refused("CALL epoch_pull()")
    assert shop("SELECT ref FROM epoch_audit() WHERE action = 'refuse' AND detail LIKE '%requires a review%'")
    shop("CALL epoch_checkout('main'); CALL epoch_push()")
    third = clone(url)
    assert third("FROM epoch_protections()") == []
    shop("CALL epoch_protect('main', no_force_push := true); CALL epoch_push()")
    assert clone(url)("SELECT branch, no_force_push FROM epoch_protections()") == [("main", True)]


def test_pushes_are_audited(shop: Repo) -> None:
    assert shop("SELECT ref, detail FROM epoch_audit() WHERE action = 'protect' AND detail LIKE '%origin%'") == [
        ("production", "set at origin as it is here")
    ]
    assert shop("SELECT action, ref, detail FROM epoch_audit() WHERE action = 'push' ORDER BY ref") == [
        ("push", "main", "push to origin, which was at nothing"),
        ("push", "production", "push to origin, which was at nothing"),
    ]


@pytest.mark.slow
def test_a_pull_that_fast_forwards_runs_the_checks(shop: Repo, clone: Clone, url: str) -> None:
    other = clone(url)
    other("CALL epoch_check_add('small', 'SELECT * FROM orders WHERE amount > 150')")
    change(shop, 1)
    shop("CALL epoch_push()")
    assert other("SELECT status, new_commit_id FROM epoch_pull()") == [("fast-forward", shop.head())]
    shop("UPDATE orders SET amount = 200 WHERE id = 2; CALL epoch_commit('large'); CALL epoch_push()")
    before = (other.head(), other("FROM orders ORDER BY ALL"), other.status())
    told = other.refused("CALL epoch_pull()")
    assert "EpochCheckError: check small fails on " in told and '"amount":200' in told
    assert (other.head(), other("FROM orders ORDER BY ALL"), other.status()) == before
    shop("UPDATE orders SET amount = 20 WHERE id = 2; CALL epoch_commit('small again'); CALL epoch_push()")
    assert other("SELECT status, new_commit_id FROM epoch_pull()") == [("fast-forward", shop.head())]
