"""Commits that say that they are approved merges or undos, and are not, go into no branch that requires a review."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from epoch_sql.call import new_ref
from epoch_sql.guard.moves import evidence
from epoch_sql.guard.rules import check_push
from epoch_sql.model.commit import NO_ORIGIN, Origin, Route
from epoch_sql.model.protection import Protection
from epoch_sql.verbs.committing import new_commit
from tests.conftest import Repo, opened

BO = "Bo <bo@example.com>"
TABLES = """
CREATE TABLE pay (id INTEGER PRIMARY KEY, amount INTEGER, note VARCHAR);
INSERT INTO pay VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c');
CREATE TABLE bag AS SELECT i % 2 AS i FROM range(4) AS r(i);
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repo, Repo]]:
    """A repository whose main requires a review, here and at its remote, and a clone that has taken that off itself.

    In both: main~1 is a merge of `first`; `source` is approved and conflicts with main in amount 1; `raised` has what
    nobody has approved.
    """
    folder = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        shop = Repo(folder / "shop.duckdb")
        shop(TABLES)
        shop("CALL epoch_init()")
        for branch, change in {
            "first": "UPDATE pay SET note = 'first' WHERE id = 3; INSERT INTO bag VALUES (7)",
            "source": "UPDATE pay SET amount = 11 WHERE id = 1; UPDATE pay SET note = 'source' WHERE id = 2",
            "raised": "UPDATE pay SET amount = 1000000 WHERE id = 2",
        }.items():
            shop("CALL epoch_checkout('main')")
            shop("CALL epoch_checkout(?, new_branch := true)", branch)
            shop(change)
            shop.commit(branch)
        shop("CALL epoch_checkout('main')")
        shop("CALL epoch_merge('first')")
        shop("UPDATE pay SET amount = 12 WHERE id = 1")
        shop.commit()
        shop("CALL epoch_review('source', 'main', reviewer := ?)", BO)
        shop("CALL epoch_review('first', 'main', reviewer := ?)", BO)
        shop("CALL epoch_protect('main', require_review := true, no_force_push := true)")
        shop("CALL epoch_remote_add('origin', ?)", str(folder / "store"))
        for branch in ("main", "source", "first", "raised"):
            shop("CALL epoch_push(branch := ?)", branch)
        (folder / "clone").mkdir()
        other = Repo(folder / "clone" / "shop.duckdb")
        other("CALL epoch_clone(?)", str(folder / "store"))
        other("CALL epoch_unprotect('main')")
        yield shop, other
        shop.close()
        other.close()


@pytest.fixture
def clone(pair: tuple[Repo, Repo]) -> Iterator[Repo]:
    """The clone, whose main is where the remote's is, before and after."""
    _, other = pair
    yield other
    for (target,) in other("SELECT target FROM epoch_merges()"):
        other("CALL epoch_merge_abort(target := ?)", target)
    other("CALL epoch_reset('origin/main', hard := true)")
    other("CALL epoch_checkout('main', force := true)")
    other("CALL epoch_reset('origin/main', hard := true)")


def forged(clone: Repo, content: str, origin: Origin = NO_ORIGIN, *parents: str, message: str = "Promote") -> None:
    """Let main be a commit by hand: with the content of a reference, and whatever it says of itself."""
    with opened(clone) as call, call.moving():
        like, tip = call.commit(content), call.resolve("main")
        ids = (tip, *(call.resolve(parent) for parent in parents))
        made = new_commit(like.tree_id, like.root_id, ids, "Mallory <m@x>", message, origin)
        call.commits.add(made)
        call.refs.put(new_ref("branch", "main", made.commit_id), Route.COMMIT, "by hand", "Mallory <m@x>")


def head_of(clone: Repo, ref: str) -> str:
    return str(clone.one("SELECT commit_id FROM epoch_log(ref := ?, max_count := 1)", ref))


def resolved(clone: Repo, call: str, source: str = "source") -> None:
    assert "EpochConflict" in clone.refused("CALL epoch_merge(?)", source)
    clone(f"CALL epoch_resolve({call})")
    clone("CALL epoch_merge_continue()")


def typed_in(clone: Repo) -> None:
    resolved(clone, "table_name := 'pay', key := '1', column_name := 'amount', value := '1000000'")


def typed_in_null(clone: Repo) -> None:
    resolved(clone, "table_name := 'pay', key := '1', column_name := 'amount', side := 'null'")


def merged_with_a_tree_of_its_own(clone: Repo) -> None:
    forged(clone, "raised", Origin(source="source"), "source")


def squashed_with_a_tree_of_its_own(clone: Repo) -> None:
    forged(clone, "raised", Origin(source="source", squashes=head_of(clone, "source")))


def merge_that_leaves_changes_out(clone: Repo) -> None:
    forged(clone, "main", Origin(source="source", strategy="ours"), "source")


def revert_of_other_things(clone: Repo) -> None:
    forged(clone, "raised", Origin(reverts=head_of(clone, "main")))


def revert_that_says_so_only(clone: Repo) -> None:
    forged(clone, "raised", message=f"Raise\n\nThis reverts commit {head_of(clone, 'main')}.")


def rollback_to_what_it_never_had(clone: Repo) -> None:
    forged(clone, "raised", Origin(source="raised", rolls_back_to=head_of(clone, "raised")))


def rollback_that_undoes_nothing(clone: Repo) -> None:
    forged(clone, "main~2", Origin(source="main~2", rolls_back_to=head_of(clone, "main~2")))


def edited_after_the_merge(clone: Repo) -> None:
    resolved(clone, "side := 'theirs'")
    clone("UPDATE pay SET amount = 5 WHERE id = 3")
    clone.commit()


def typed_in_on_another_branch(clone: Repo) -> None:
    """A merge made elsewhere is a merge that main is fast-forwarded to."""
    clone("CALL epoch_checkout('elsewhere', new_branch := true)")
    typed_in(clone)
    clone("CALL epoch_merge('elsewhere', target := 'main', ff := true)")
    clone("CALL epoch_checkout('main')")
    clone("CALL epoch_branch_delete('elsewhere', force := true)")


REFUSED = (
    *(typed_in, typed_in_null, merged_with_a_tree_of_its_own, squashed_with_a_tree_of_its_own),
    *(merge_that_leaves_changes_out, revert_of_other_things, revert_that_says_so_only),
    *(rollback_to_what_it_never_had, rollback_that_undoes_nothing, edited_after_the_merge, typed_in_on_another_branch),
)


def side(clone: Repo) -> None:
    resolved(clone, "side := 'theirs'")


def sides_of_cells(clone: Repo) -> None:
    resolved(clone, "table_name := 'pay', key := '1', column_name := 'amount', side := 'base'")


def strategy(clone: Repo) -> None:
    clone("CALL epoch_merge('source', strategy := 'theirs')")


def squash(clone: Repo) -> None:
    clone("CALL epoch_merge('source', strategy := 'ours', squash := true)")


def revert_of_a_merge(clone: Repo) -> None:
    clone("CALL epoch_revert('main~1')")


def revert_and_again(clone: Repo) -> None:
    clone("CALL epoch_revert('main~1')")
    clone("CALL epoch_merge('first')")
    assert clone("SELECT len(reapplied) FROM epoch.commits ORDER BY sequence DESC LIMIT 1") == [(1,)]


def keep_undone(clone: Repo) -> None:
    clone("CALL epoch_revert('main~1')")
    clone("CALL epoch_merge('source', strategy := 'theirs', keep_undone := true)")


def revert_of_the_revert(clone: Repo) -> None:
    clone("CALL epoch_revert('main~1')")
    clone("CALL epoch_revert('HEAD')")


def rollback(clone: Repo) -> None:
    clone("CALL epoch_protect('main', no_force_push := true)")
    clone("CALL epoch_reset('main~1', hard := true)")
    clone("CALL epoch_unprotect('main')")


ALLOWED = (
    side,
    sides_of_cells,
    strategy,
    squash,
    revert_of_a_merge,
    revert_and_again,
    keep_undone,
    revert_of_the_revert,
    rollback,
)


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("lie", REFUSED, ids=lambda lie: lie.__name__)
@pytest.mark.slow
def test_what_was_made_by_hand_is_not_pushed(clone: Repo, lie: Callable[[Repo], None]) -> None:
    lie(clone)
    files = clone("SELECT count(*) FROM epoch.levels")
    assert "EpochRemoteRefused: origin refuses the push: branch main requires a review" in clone.refused(
        "CALL epoch_push(branch := 'main')"
    )
    assert clone("SELECT count(*) FROM epoch.levels") == files, "what was computed to see it is not kept"
    assert clone("CALL epoch_fsck()") == []


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("made", ALLOWED, ids=lambda made: made.__name__)
def test_what_a_merge_or_an_undo_gives_may_be_pushed(clone: Repo, made: Callable[[Repo], None]) -> None:
    made(clone)
    with opened(clone) as call:
        protection = Protection("main", require_review=True, no_force_push=True)
        with call.trying():
            old, new = call.resolve("origin/main"), call.resolve("main")
            assert old != new
            check_push(protection, evidence(call, "main"), old, new)


def test_a_pull_takes_in_none_of_it_where_the_remote_let_it_pass(pair: tuple[Repo, Repo]) -> None:
    shop, clone = pair
    before = shop.head()
    clone("CALL epoch_push(protection := true)")
    merged_with_a_tree_of_its_own(clone)
    clone("CALL epoch_push(branch := 'main')")
    shop("CALL epoch_checkout('main')")
    assert "its content is not what merging" in shop.refused("CALL epoch_pull()")
    assert shop.head() == before
    # What is pulled is judged by the settings of here; a merge here of what came is a merge of what nobody approved.
    assert "requires a review" in shop.refused("CALL epoch_merge('origin/main')")


def test_values_are_typed_in_on_a_branch_of_their_own(pair: tuple[Repo, Repo]) -> None:
    shop, _ = pair
    shop("CALL epoch_checkout('main')")
    assert "EpochConflict" in shop.refused("CALL epoch_merge('source')")
    told = shop.refused("CALL epoch_resolve(table_name := 'pay', key := '1', column_name := 'amount', value := '9')")
    assert "it takes no merge with values that nobody has reviewed" in told
    assert "CALL epoch_review('NAME', 'main', verdict := 'request')" in told
    shop("CALL epoch_merge_abort()")
    shop("CALL epoch_checkout('source')")
    shop("CALL epoch_checkout('settled', new_branch := true)")
    resolved(shop, "table_name := 'pay', key := '1', column_name := 'amount', value := '9'", "main")
    assert "nobody has approved" in shop.refused("CALL epoch_merge('settled', target := 'main')")
    shop("CALL epoch_review('settled', 'main', reviewer := ?)", BO)
    shop("CALL epoch_merge('settled', target := 'main')")
    assert shop.at("main", "pay")[0][:2] == (1, 9)
