"""Reviews: whose approval counts, for which commit, and until when."""

from __future__ import annotations

import pytest

from epoch_sql.model.protection import same_person
from tests.conftest import Repo, begun

BO, CY = "Bo <bo@x>", "Cy <cy@x>"


@begun("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10)")
def repo(repo: Repo) -> None:
    """Production requires a review; staging, checked out, has one commit by Ada that production lacks."""
    repo("CALL epoch_branch('production')")
    repo("CALL epoch_checkout('staging', new_branch := true)")
    repo("CALL epoch_protect('production', require_review := true)")
    change(repo)


def change(repo: Repo, author: str | None = None) -> str:
    repo("UPDATE orders SET amount = amount + 1")
    return str(repo("CALL epoch_commit('change', author := ?)", author)[0][0])


def review(repo: Repo, reviewer: str, verdict: str = "approve", source: str = "staging") -> None:
    repo("CALL epoch_review(?, 'production', verdict := ?, reviewer := ?)", source, verdict, reviewer)


def refused(repo: Repo, source: str = "staging") -> str:
    return repo.refused("CALL epoch_merge(?, target := 'production')", source)


def merge(repo: Repo, source: str = "staging") -> str:
    return str(repo("CALL epoch_merge(?, target := 'production')", source)[0][0])


def states(repo: Repo) -> list[tuple[str, ...]]:
    return repo("SELECT reviewer, verdict, state FROM epoch_reviews() ORDER BY reviewed_at")


def test_a_merge_needs_an_approval_of_exactly_its_commit(repo: Repo) -> None:
    first = repo.head()
    told = refused(repo)
    assert f"EpochProtectionError: branch production requires a review: nobody has approved commit {first[:7]}" in told
    assert "CALL epoch_review('staging', 'production')" in told
    assert "CALL epoch_review('staging', 'production')" in told

    ((review_id, *found),) = repo("CALL epoch_review('staging', 'production', reviewer := ?)", BO)
    assert (len(review_id), found) == (64, ["staging", first, "production", "approve", BO])
    assert states(repo) == [(BO, "approve", "approved")]

    second = change(repo)
    told = refused(repo)
    assert f"nobody has approved commit {second[:7]}; an approval of {first[:7]} is stale" in told
    assert states(repo) == [(BO, "approve", "stale")]
    assert merge(repo, first) == "merged"
    assert "nobody has approved" in refused(repo)
    review(repo, BO)
    assert states(repo) == [(BO, "approve", "stale"), (BO, "approve", "approved")]
    assert merge(repo) == "merged"
    assert merge(repo) == "up-to-date"


def test_a_review_and_a_merge_of_exactly_the_commit_that_was_looked_at(repo: Repo) -> None:
    seen = repo.head()
    assert repo("CALL epoch_review('staging', 'production', reviewer := ?, expected := ?)", BO, seen[:7].upper())
    moved = change(repo)
    before = repo("FROM epoch_reviews()"), repo("FROM epoch_reflog()"), repo("FROM epoch_audit()")
    for call in ("epoch_review('staging', 'production'", "epoch_merge('staging', target := 'production'"):
        told = repo.refused(f"CALL {call}, expected := ?)", seen)
        assert f"'staging' is at {moved[:7]}, not at '{seen[:7]}" in told
        assert "CALL epoch_" in told or "FROM epoch_log('staging')" in told
        for wrong in (moved[:6], "", "staging", moved + "0", "'; --"):
            assert "EpochReferenceError" in repo.refused(f"CALL {call}, expected := ?)", wrong)
    assert (repo("FROM epoch_reviews()"), repo("FROM epoch_reflog()"), repo("FROM epoch_audit()")) == before
    review(repo, BO)
    merged = "SELECT status, message, source FROM epoch_merge('staging', target := 'production', expected := ?)"
    assert repo(merged, moved) == [("merged", "Merge staging into production", "staging")]


def test_an_approval_is_for_one_target(repo: Repo) -> None:
    repo("CALL epoch_branch('other', start := 'production')")
    repo("CALL epoch_review('staging', 'other', reviewer := ?)", BO)
    assert "nobody has approved" in refused(repo)


def test_an_approval_by_any_author_of_what_comes_in_does_not_count(repo: Repo) -> None:
    change(repo, CY)
    review(repo, "Ada <ADA@Example.com>")
    assert "is an author of what it brings in" in refused(repo)
    review(repo, "someone else <cy@X>")
    told = refused(repo)
    assert "is an author of what it brings in (hint: somebody else: CALL epoch_review(" in told
    assert {state for _, _, state in states(repo)} == {"open"}
    review(repo, BO)
    assert {state for _, _, state in states(repo)} == {"approved"}
    assert merge(repo) == "merged"
    change(repo, BO)
    review(repo, CY)
    assert merge(repo) == "merged", "Cy's commit is there already, so Cy is no author of what comes in"


def test_self_review_can_be_allowed(repo: Repo) -> None:
    review(repo, "Ada <ada@example.com>")
    assert "is an author" in refused(repo)
    repo("CALL epoch_protect('production', require_review := true, allow_self_review := true)")
    assert states(repo) == [("Ada <ada@example.com>", "approve", "approved")]
    assert merge(repo) == "merged"


def test_an_author_of_what_is_applied_again_cannot_approve_it(repo: Repo) -> None:
    """After a revert the commits of the source are in the branch's history, and are brought in all the same."""
    review(repo, BO)
    merge(repo)
    repo("CALL epoch_checkout('production')")
    repo("CALL epoch_revert('HEAD')")
    repo("CALL epoch_checkout('staging')")
    change(repo, CY)
    review(repo, "Ada <ada@example.com>")
    assert "is an author of what it brings in" in refused(repo)
    review(repo, BO)
    assert merge(repo) == "merged"
    assert "re-applies 1 commit" in repo.one("SELECT message FROM epoch_log('production', max_count := 1)")
    assert repo.at("production", "orders") == [(1, 12)]


def test_an_author_of_what_comes_again_cannot_approve_it_although_the_source_knows_of_the_undo(repo: Repo) -> None:
    change(repo, CY)
    review(repo, BO)
    merge(repo)
    repo("CALL epoch_checkout('production')")
    repo("CALL epoch_revert('HEAD')")
    repo("CALL epoch_checkout('staging')")
    repo("CALL epoch_merge('production')")
    repo("INSERT INTO orders VALUES (7, 70)")
    repo("CALL epoch_commit('by another', author := 'Di <di@x>')")
    review(repo, CY)
    assert "Cy <cy@x> approved commit" in refused(repo)
    review(repo, BO)
    assert merge(repo) == "merged"
    assert repo.at("production", "orders") == [(1, 12), (7, 70)]


def test_the_latest_verdict_of_each_reviewer_counts_and_a_rejection_blocks(repo: Repo) -> None:
    review(repo, BO)
    review(repo, CY, "reject")
    told = refused(repo)
    assert "Cy <cy@x> rejected commit" in told
    assert "the one who rejected it: CALL epoch_review('staging'" in told
    assert states(repo) == [(BO, "approve", "rejected"), (CY, "reject", "rejected")]
    review(repo, "Cy Young <CY@x>", "request")
    assert "rejected" in refused(repo), "a request is no verdict"
    review(repo, "Cy Young <CY@x>")
    assert {state for _, _, state in states(repo)} == {"approved"}
    review(repo, BO, "reject")
    assert "Bo <bo@x> rejected" in refused(repo)
    change(repo)
    assert "nobody has approved" in refused(repo), "a rejection is about one commit, as an approval is"
    assert {state for _, _, state in states(repo)} == {"stale"}


def test_an_author_may_reject(repo: Repo) -> None:
    review(repo, BO)
    review(repo, "Ada <ada@example.com>", "reject")
    assert "Ada <ada@example.com> rejected" in refused(repo)


def test_a_request_is_open_until_somebody_decides(repo: Repo) -> None:
    repo("CALL epoch_review('staging', 'production', verdict := 'request', message := 'please')")
    assert states(repo) == [("Ada <ada@example.com>", "request", "open")]
    assert repo("SELECT message, source, target FROM epoch_reviews()") == [("please", "staging", "production")]
    assert "nobody has approved" in refused(repo)
    review(repo, BO)
    assert {state for _, _, state in states(repo)} == {"approved"}
    repo("CALL epoch_checkout('production')")
    repo("CALL epoch_branch_delete('staging', force := true)")
    assert {state for _, _, state in states(repo)} == {"stale"}


def test_reviews_are_columns_for_sql(repo: Repo) -> None:
    review(repo, BO)
    assert repo.columns("FROM epoch_reviews()") == [
        *((name, "VARCHAR") for name in ("review_id", "source", "source_commit", "target", "verdict", "reviewer")),
        *(("message", "VARCHAR"), ("reviewed_at", "TIMESTAMP"), ("state", "VARCHAR")),
    ]
    repo("PREPARE listed AS SELECT count(*) FROM epoch_reviews()")
    assert repo("EXECUTE listed") == [(1,)]
    review(repo, CY)
    assert repo("EXECUTE listed") == [(2,)]


def test_a_review_survives_a_clock_that_was_set_back(repo: Repo) -> None:
    review(repo, BO)
    repo("UPDATE epoch.reviews SET reviewed_at = reviewed_at + INTERVAL 1 DAY")
    review(repo, BO, "reject")
    assert "Bo <bo@x> rejected" in refused(repo)


def test_a_wrong_review_changes_nothing(repo: Repo) -> None:
    audit = repo("FROM epoch_audit()")
    assert "did you mean 'staging'" in repo.refused("CALL epoch_review('stagin', 'production')")
    assert "did you mean production?" in repo.refused("CALL epoch_review('staging', 'productoin')")
    assert "one of approve, reject, request" in repo.refused(
        "CALL epoch_review('staging', 'production', verdict := 'ok')"
    )
    assert "cannot be merged into itself" in repo.refused("CALL epoch_review('production', 'production')")
    assert (repo("FROM epoch_reviews()"), repo("FROM epoch_audit()")) == ([], audit)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ann <a@x>", "<A@X>", True),
        ("Ann <a@x>", "Anna <a@x>", True),
        ("Ann <a@x>", "Ann <b@x>", False),
        ("Ann", " ann ", True),
        ("Ann <>", "Ann", True),
        ("Ann < a@x >", "Ann <a@x>", True),
        ("a@x", "<A@x>", True),
        ("Ann", "Bo", False),
        ("Ann", "Ann <a@x>", True),
        ("ANN  Lee", "ann lee <a@x>", True),
        ("Bo", "Ann <a@x>", False),
        ("<a@x>", "Ann", False),
        ("a@x", "Ann <a@x>", True),
        ("Zo\u00eb", "Zoe\u0308 <z@x>", True),
        ("A\u200bnn", "Ann", True),
        ("Ann <a@x>", "\uff21nn", True),
        ("STRASSE <s@x>", "Stra\u00dfe", True),
        ("Ann <a@x> (work)", "Ann <a@x>", False),
    ],
)
def test_people_are_known_by_their_mail(one: str, other: str, same: bool) -> None:
    assert same_person(one, other) is same_person(other, one) is same


def test_everything_is_audited(repo: Repo) -> None:
    refused(repo)
    review(repo, CY, "request")
    review(repo, CY, "reject")
    review(repo, CY)
    merge(repo)
    repo("CALL epoch_checkout('production')")
    repo("CALL epoch_revert('HEAD')")
    repo("CALL epoch_reset('HEAD~1', hard := true)")
    repo("CALL epoch_unprotect('production')")
    staging = repo.one("SELECT commit_id FROM epoch_branches() WHERE name = 'staging'")
    rows = repo("SELECT action, actor, ref, commit_id, detail FROM epoch_audit() ORDER BY recorded_at")
    ada = "Ada <ada@example.com>"
    assert [row[:3] for row in rows] == [
        ("protect", ada, "production"),
        ("refuse", ada, "production"),
        ("request", CY, "production"),
        ("reject", CY, "production"),
        ("approve", CY, "production"),
        ("promote", ada, "production"),
        ("roll back", ada, "production"),
        ("roll back", ada, "production"),
        ("unprotect", ada, "production"),
    ]
    assert [row[3] for row in rows[1:5]] == [staging] * 4
    assert rows[5][4] == f"merge: Merge staging into production ({staging[:7]})"
    assert rows[7][4] == "reset: moving to HEAD~1"
    repo.reopen()
    assert len(repo("FROM epoch_audit()")) == len(rows)
